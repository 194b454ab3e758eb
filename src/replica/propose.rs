//! How commands come into a replica: what is taken in, and when it is proposed.

use thiserror::Error;

use crate::entry::CommandId;
use crate::membership::ReplicaId;
use crate::replica::Replica;
use crate::time::Instant;

/// How many batches may wait for their fate.
const AWAITED_BATCHES_MAX: usize = 4096;

/// How many times `apply_slots` the state machine may be behind before a leader takes no more.
const APPLY_LAG_FACTOR: u64 = 16;

/// Why a command was not taken in. It is certain that it is never applied.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ProposeError {
    /// This replica does not lead.
    #[error("this replica does not lead{}", leader_hint(.leader))]
    NotLeader {
        /// Who may.
        leader: Option<ReplicaId>,
    },
    /// Too much waits already: for the pipeline, the disk or the state machine.
    #[error("too much is waiting already; try again later")]
    Full,
    /// The command is longer than the settings allow.
    #[error("a command of {bytes} bytes is longer than the limit of {limit}")]
    TooLarge {
        /// Its length.
        bytes: usize,
        /// The limit.
        limit: usize,
    },
    /// The replica has stopped for good.
    #[error("the replica has stopped for good")]
    Halted,
}

fn leader_hint(leader: &Option<ReplicaId>) -> alloc::string::String {
    leader.map_or_else(Default::default, |id| alloc::format!("; replica {id} may"))
}

impl Replica {
    /// Takes a command in, to be proposed at the next drain.
    ///
    /// # Errors
    /// Why not. It is then certain that the command is never applied.
    pub fn propose(&mut self, now: Instant, command: &[u8]) -> Result<CommandId, ProposeError> {
        self.now = self.now.max(now);
        if self.halted.is_some() {
            return Err(ProposeError::Halted);
        }
        let (bytes, limit) = (command.len(), self.config.command_bytes);
        if bytes > limit {
            return Err(ProposeError::TooLarge { bytes, limit });
        }
        if self.proposer.leading().is_none() {
            return Err(ProposeError::NotLeader { leader: self.leader_hint() });
        }
        let lag = self.learner.chosen().since(self.learner.applied());
        let queued = self.proposer.queued_bytes();
        if (queued > 0 && queued.saturating_add(bytes) > self.config.queue_bytes)
            || self.fates.awaited() >= AWAITED_BATCHES_MAX
            || lag > self.config.apply_slots.saturating_mul(APPLY_LAG_FACTOR)
        {
            return Err(ProposeError::Full);
        }
        Ok(self.proposer.enqueue(command))
    }

    /// Proposes the next batch, if there is one and the pipeline and the disk have room.
    pub(super) fn propose_next(&mut self) -> bool {
        let Some(membership) = &self.membership else { return false };
        if !self.proposer.has_work(self.learner.chosen()) || self.is_disk_busy() {
            return false;
        }
        let announcement = self.learner.announcement();
        let Some(proposed) = self.proposer.propose_next(&announcement, membership, &mut self.out)
        else {
            return false;
        };
        if let Some(batch) = proposed.batch {
            self.fates.propose(proposed.slot, batch);
        }
        self.settle(self.now);
        true
    }
}
