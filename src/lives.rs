//! The lives of the members: on which disk each one is, and in which of its starts.
//!
//! What an earlier start sent may still be under way, and a wiped or copied directory may speak
//! under a member's name. Neither may be taken for the member.

use alloc::collections::BTreeMap;

use crate::membership::{Incarnation, Membership, Peer, ReplicaId};
use crate::output::IgnoreReason;

/// The latest start that was heard of each member.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Lives {
    latest: BTreeMap<ReplicaId, Incarnation>,
}

impl Lives {
    /// Judges who a message says it comes from. Strangers are let through: they may teach and are
    /// answered, but nobody counts them.
    ///
    /// # Errors
    /// Why the message must be dropped.
    pub(crate) fn judge(
        &mut self,
        from: Peer,
        membership: &Membership,
    ) -> Result<(), IgnoreReason> {
        let Some(member) = membership.member(from.replica) else { return Ok(()) };
        if member.disk != from.disk {
            return Err(IgnoreReason::OtherDisk);
        }
        let latest = self.latest.entry(from.replica).or_default();
        if from.incarnation < *latest {
            return Err(IgnoreReason::OldIncarnation);
        }
        *latest = from.incarnation;
        Ok(())
    }

    /// The latest start that was heard of the member.
    #[must_use]
    pub(crate) fn latest(&self, of: ReplicaId) -> Incarnation {
        self.latest.get(&of).copied().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests;
