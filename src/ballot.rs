//! Ballots: the total order of attempts to lead.

use core::fmt;

use serde::{Deserialize, Serialize};

use crate::membership::ReplicaId;

/// A ballot number ("Paxos Made Simple", 2.2, where it is the *proposal number*).
///
/// Ballots are totally ordered by round, then by replica, and each belongs to the one replica that
/// it names: no two replicas ever lead at the same ballot. A restarted replica never leads at a
/// ballot of an earlier life, because its own promise of each ballot it used was durable before any
/// other replica saw that ballot (invariants I2 and I4).
///
/// ```
/// use synod::{Ballot, ReplicaId};
///
/// let first = Ballot { round: 1, replica: ReplicaId(3) };
/// let next = first.next(ReplicaId(1)).expect("rounds are left");
/// assert!(Ballot::ZERO < first && first < next);
/// assert_eq!(next.to_string(), "2.1");
/// ```
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub struct Ballot {
    /// Counts attempts. Zero is below every attempt.
    pub round: u64,
    /// Who leads at this ballot.
    pub replica: ReplicaId,
}

impl Ballot {
    /// Below every ballot that is ever used: what a fresh acceptor has promised.
    pub const ZERO: Self = Self { round: 0, replica: ReplicaId(0) };

    /// The lowest ballot of `replica` that is higher than `self`, whoever owns `self`.
    ///
    /// `None` when the rounds are used up, which takes 2^64 elections.
    #[must_use]
    pub fn next(self, replica: ReplicaId) -> Option<Self> {
        Some(Self { round: self.round.checked_add(1)?, replica })
    }
}

impl fmt::Display for Ballot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.round, self.replica.0)
    }
}
