//! Who leads, and who follows whom: by right, and no longer than that.

use std::collections::{BTreeMap, BTreeSet};
use std::format;

use crate::ballot::Ballot;
use crate::membership::{Peer, ReplicaId, VoteSet};
use crate::message::{HandOver, Message};
use crate::replica::{Role, Status};

use super::{Broken, Image, Oracle, broken, index_of};

impl Image {
    /// What the replica tells of its log.
    pub(super) fn note_told(&mut self, message: &Message) {
        let (ballot, accepted, chosen) = &mut self.told;
        *chosen = message.chosen().unwrap_or_default().max(*chosen);
        if let Message::Accepted(told) = message {
            if told.ballot > *ballot {
                (*ballot, *accepted) = (told.ballot, BTreeSet::new());
            }
            if told.ballot == *ballot {
                accepted.extend(told.slots.iter());
            }
        }
    }
}

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

    /// HANDOVER: only a leader asks another one to lead, and only one that has told that it
    /// accepted all that was proposed at that ballot, or knows it to be chosen.
    pub(super) fn hand_over_is_due(
        &mut self,
        from: Peer,
        to: ReplicaId,
        asked: &HandOver,
    ) -> Result<(), Broken> {
        let (at, target) = (index_of(from.replica), index_of(to));
        self.i2_ballot_has_one_owner(from, asked.ballot)?;
        self.lead_has_its_quorum(at, asked.ballot)?;
        self.tag_announcement_is_true(at, &asked.announcement)?;
        let (told_at, accepted, chosen) = &self.images[target].told;
        let mut above = self.proposals.range((*chosen, Ballot::ZERO)..);
        let lacking = above.find(|((slot, ballot), _)| {
            let has = *told_at == asked.ballot && accepted.contains(slot);
            *ballot == asked.ballot && !has
        });
        match lacking {
            Some(((slot, _), _)) => broken(
                "HANDOVER",
                format!("{} hands {} over to {to}, which lacks {slot}", at + 1, asked.ballot),
            ),
            None => Ok(()),
        }
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
