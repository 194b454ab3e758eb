//! Commands of this replica that wait at its proposer, for it to lead or for another one to propose
//! them.

use alloc::vec::Vec;
use core::ops::Range;

use super::Proposer;
use crate::entry::{Batch, CommandId};

impl Proposer {
    /// Takes a command into the queue.
    #[inline]
    pub fn enqueue(&mut self, command: &[u8]) -> CommandId {
        let id =
            CommandId { replica: self.me, incarnation: self.incarnation, sequence: self.sequence };
        self.sequence += 1;
        self.queue.push(id, command, self.limits.batch_bytes);
        id
    }

    /// The next batch of this replica's own commands, for another one to propose. It is given out
    /// once.
    pub fn take_batch(&mut self) -> Option<Batch> {
        self.queue.pop_own()
    }

    /// Gives up the commands of this replica with numbers below `end` that still wait. They were
    /// never proposed, nor given out.
    pub fn drop_below(&mut self, end: u64) -> Vec<Range<u64>> {
        self.queue.drop_own_below(end)
    }

    /// The number of the next command.
    #[must_use]
    pub fn sequence(&self) -> u64 {
        self.sequence
    }

    /// Bytes of commands that wait for the pipeline, with what each needs beside its own.
    #[must_use]
    pub fn queued_bytes(&self) -> usize {
        self.queue.bytes()
    }

    /// Bytes of those that other replicas have forwarded.
    #[must_use]
    pub fn forwarded_bytes(&self) -> usize {
        self.queue.forwarded_bytes()
    }
}
