//! Quorums: which sets of members decide.

use crate::membership::VoteSet;

/// What a set of votes amounts to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Tally {
    /// The votes are a quorum.
    Won,
    /// They can no longer become one. This never proves that nothing was chosen.
    Lost,
    /// More votes can make them one.
    Waiting,
}

/// A system of prepare and accept quorums in which every prepare quorum meets every accept quorum
/// ("Paxos Made Simple", 2.2; "Flexible Paxos", section 4).
///
/// There is no way to build one in which they do not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Quorums {
    members: usize,
    prepare: usize,
    accept: usize,
}

impl Quorums {
    /// Every majority of `members` is a quorum of both kinds.
    pub(crate) fn majority(members: usize) -> Self {
        let size = members / 2 + 1;
        let quorums = Self { members, prepare: size, accept: size };
        assert!(
            quorums.prepare + quorums.accept > members,
            "a prepare quorum could miss an accept quorum"
        );
        quorums
    }

    /// Judges votes of a prepare phase.
    #[must_use]
    pub fn prepare(&self, yes: VoteSet, no: VoteSet) -> Tally {
        self.judge(self.prepare, yes, no)
    }

    /// Judges votes of an accept phase.
    #[must_use]
    pub fn accept(&self, yes: VoteSet, no: VoteSet) -> Tally {
        self.judge(self.accept, yes, no)
    }

    fn judge(&self, needed: usize, yes: VoteSet, no: VoteSet) -> Tally {
        if yes.len() >= needed {
            Tally::Won
        } else if self.members.saturating_sub(no.len()) < needed {
            Tally::Lost
        } else {
            Tally::Waiting
        }
    }
}
