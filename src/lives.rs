//! The lives of the members: on which disk each one is, in which of its starts, and what it stood
//! by before that start.
//!
//! What an earlier start sent may still be under way, and a wiped or copied directory may speak
//! under a member's name. Neither may be taken for the member. A directory that was set back to an
//! older copy has the right disk, perhaps even a new start, but it has forgotten votes: whoever has
//! heard those votes finds that out, since what a member votes is durable before it says so.

use crate::membership::{Incarnation, Membership, Peer, ReplicaId};
use crate::message::Standing;
use crate::output::IgnoreReason;
use crate::roster::Roster;

/// What was heard of one member.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
struct Life {
    latest: Incarnation,
    /// What it has voted in this start.
    voted: Standing,
    /// What it had voted in earlier ones.
    before: Standing,
    /// In this start it has shown that it remembers that.
    remembers: bool,
}

/// The latest start that was heard of each member.
///
/// ```
/// use synod::ReplicaId;
/// use synod::membership::{ClusterId, DiskId, Member, Membership};
/// use synod::output::IgnoreReason;
/// use synod::record::Recovered;
/// use synod::roles::Lives;
///
/// let member = |id: u32| Member { replica: ReplicaId(id), disk: DiskId([id as u8; 16]) };
/// let membership = Membership::new((1..=3).map(member).collect())?;
/// let peer = |disk| Recovered::nothing(ClusterId::default(), ReplicaId(2), DiskId(disk)).me;
/// let mut lives = Lives::default();
/// assert_eq!(lives.judge(peer([2; 16]), &membership), Ok(()));
/// let wiped = lives.judge(peer([9; 16]), &membership);
/// assert_eq!(wiped, Err(IgnoreReason::OtherDisk), "the name of a member, on another disk");
/// # Ok::<(), synod::MembershipError>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Lives {
    lives: Roster<Life>,
}

impl Lives {
    /// Judges who a message says it comes from. Strangers are let through: they may teach and are
    /// answered, but nobody counts them.
    ///
    /// # Errors
    /// Why the message must be dropped.
    #[inline]
    pub fn judge(&mut self, from: Peer, membership: &Membership) -> Result<(), IgnoreReason> {
        let Some(member) = membership.member(from.replica) else { return Ok(()) };
        if member.disk != from.disk {
            return Err(IgnoreReason::OtherDisk);
        }
        let life = self.lives.of_or_default(from.replica);
        if from.incarnation < life.latest {
            return Err(IgnoreReason::OldIncarnation);
        }
        if from.incarnation > life.latest {
            let before = life.before.max(life.voted);
            *life = Life { latest: from.incarnation, before, ..Life::default() };
        }
        Ok(())
    }

    /// Hears a vote of the member: a Promise or an Accepted. Only a message that was judged.
    pub fn note_vote(&mut self, of: ReplicaId, vote: Standing) {
        if let Some(life) = self.lives.of_mut(of) {
            life.voted = life.voted.max(vote);
        }
    }

    /// Hears what the member stood by when its present start began. False if it has forgotten what
    /// it voted before.
    pub fn note_start(&mut self, of: ReplicaId, start: Standing) -> bool {
        let Some(life) = self.lives.of_mut(of) else { return true };
        life.remembers = start.covers(life.before);
        life.remembers
    }

    /// Whether votes of the member may be counted: it has shown that it remembers the earlier ones
    /// that were heard here.
    #[must_use]
    pub fn may_vote(&self, of: ReplicaId) -> bool {
        let trusted = |life: &Life| life.remembers || life.before == Standing::default();
        self.lives.of(of).is_none_or(trusted)
    }

    /// The latest start that was heard of the member, and what it stood by before that.
    #[must_use]
    pub fn latest(&self, of: ReplicaId) -> (Incarnation, Standing) {
        self.lives.of(of).map(|life| (life.latest, life.before)).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests;
