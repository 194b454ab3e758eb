//! Who leads, and who follows whom: by right, and no longer than that.

use std::collections::BTreeMap;
use std::format;

use crate::ballot::Ballot;
use crate::membership::VoteSet;
use crate::replica::{Role, Status};

use super::{Broken, Oracle, broken, index_of};

impl Oracle {
    /// LEAD: a replica leads, or tries to, at the very ballot that it has promised: a higher
    /// promise ends it. Whom it follows has a ballot that is not below its promise.
    pub(super) fn lead_by_its_own_promise(&self, at: usize, status: &Status) -> Result<(), Broken> {
        let (promised, leader) = (status.promised, status.leader);
        let mine = index_of(promised.replica) == at;
        match status.role {
            Role::Leading if leader != Some(promised) || !mine => broken(
                "LEAD",
                format!("{} leads at {leader:?}, and has promised {promised}", at + 1),
            ),
            Role::Leading => self.lead_has_its_quorum(at, promised),
            Role::Preparing if !mine => {
                broken("LEAD", format!("{} tries to lead, and has promised {promised}", at + 1))
            }
            Role::Following if leader.is_some_and(|leader| leader < promised) => broken(
                "LEAD",
                format!("{} follows {leader:?}, and has promised {promised}", at + 1),
            ),
            Role::Forming | Role::Following | Role::Canvassing | Role::Preparing | Role::Halted => {
                Ok(())
            }
        }
    }

    /// LEAD: whoever leads has heard Promises of its ballot from a quorum, its own among them.
    pub(super) fn lead_has_its_quorum(&self, at: usize, ballot: Ballot) -> Result<(), Broken> {
        let votes = self.promised(at, ballot);
        if !self.is_prepare_quorum(votes) {
            return broken(
                "LEAD",
                format!("{} leads at {ballot} on Promises of {votes:?}", at + 1),
            );
        }
        Ok(())
    }

    /// Whether it leads on the Promises of fewer than a majority.
    pub(crate) fn led_by_few(&self, at: usize, ballot: Ballot) -> bool {
        2 * self.promised(at, ballot).len() <= self.replicas
    }

    /// Whose Promises of its ballot it has heard, its own among them.
    fn promised(&self, at: usize, ballot: Ballot) -> VoteSet {
        let heard = self.promises.get(&ballot).into_iter().flat_map(BTreeMap::keys);
        let votes = heard.copied().fold(VoteSet::EMPTY, VoteSet::with).without(at);
        if self.images[at].promised >= ballot { votes.with(at) } else { votes }
    }

    /// LEAD: only a leader has slots open, or holds what others have forwarded. Whoever gives up
    /// drops both.
    pub(super) fn lead_before_slots_open(&self, at: usize, status: &Status) -> Result<(), Broken> {
        let holds = status.open_slots > 0 || status.forwarded_bytes > 0;
        if holds && status.role != Role::Leading {
            return broken("LEAD", format!("{} does not lead, and holds {status:?}", at + 1));
        }
        Ok(())
    }
}
