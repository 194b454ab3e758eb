//! The proposer's queue: commands of this replica, gathered into batches, and batches that other
//! replicas have forwarded to it while it leads.

use alloc::collections::VecDeque;
use alloc::vec::Vec;
use core::ops::Range;

use crate::entry::{Batch, BatchBuilder, COMMAND_OVERHEAD_BYTES, CommandId};
use crate::slot::Slot;

/// Batches that wait to be proposed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Queue {
    /// Commands that this replica took in, and was never offered to anybody.
    own: VecDeque<BatchBuilder>,
    /// An empty one, for the memory that it has.
    spare: BatchBuilder,
    own_bytes: usize,
    /// Batches of other replicas, each with the first slot in which it may not be proposed.
    forwarded: VecDeque<(Batch, Slot)>,
    forwarded_bytes: usize,
    /// Whether the next slot begins with a forwarded batch, if both kinds wait.
    forwarded_first: bool,
}

/// What a command needs in memory.
fn cost(command_bytes: usize) -> usize {
    command_bytes + COMMAND_OVERHEAD_BYTES
}

impl Queue {
    /// Takes a command of this replica in, into the last batch if it fits there.
    #[inline]
    pub(super) fn push(&mut self, id: CommandId, command: &[u8], batch_bytes: usize) {
        let fits = |batch: &&mut BatchBuilder| batch.len_with(command.len()) <= batch_bytes;
        match self.own.back_mut().filter(fits) {
            Some(batch) => batch.push(id, command),
            None => {
                let mut batch = core::mem::take(&mut self.spare);
                batch.push(id, command);
                self.own.push_back(batch);
            }
        }
        self.own_bytes += cost(command.len());
    }

    /// Takes a batch of another replica in, to be proposed below `limit`.
    pub(super) fn push_forwarded(&mut self, batch: Batch, limit: Slot) {
        self.forwarded_bytes += batch.bytes().len();
        self.forwarded.push_back((batch, limit));
    }

    /// Whether something may be proposed. With `hold` this replica's own commands may not.
    pub(super) fn has_work(&self, hold: bool) -> bool {
        (!hold && !self.own.is_empty()) || !self.forwarded.is_empty()
    }

    /// Whether the next batch has room for more commands than wait.
    pub(super) fn may_grow(&self, batch_bytes: usize) -> bool {
        let own = self.own.front().map_or(0, BatchBuilder::len);
        self.own.len() <= 1 && own + self.forwarded_bytes < batch_bytes
    }

    /// How many bytes wait, with what each command needs beside its own.
    pub(super) fn bytes(&self) -> usize {
        self.own_bytes + self.forwarded_bytes
    }

    /// How many bytes of forwarded batches wait.
    pub(super) fn forwarded_bytes(&self) -> usize {
        self.forwarded_bytes
    }

    /// How many slots come before that of one more forwarded batch, at the most: both kinds take
    /// turns.
    pub(super) fn slots_before_forwarded(&self) -> u64 {
        let forwarded = self.forwarded.len();
        (forwarded + self.own.len().min(forwarded + 1)) as u64
    }

    /// The next batch of this replica's commands.
    pub(super) fn pop_own(&mut self) -> Option<Batch> {
        let mut builder = self.own.pop_front()?;
        self.own_bytes -= builder.data_len() + builder.count() * COMMAND_OVERHEAD_BYTES;
        let batch = builder.build();
        self.spare = builder;
        batch
    }

    /// What is proposed in this slot: as many waiting batches as fit one. Forwarded ones that came
    /// too late for the slot are dropped: whoever sent them learns that as the slot is passed.
    pub(super) fn pop(&mut self, slot: Slot, hold: bool, batch_bytes: usize) -> Option<Batch> {
        let own_first = !hold && !self.forwarded_first;
        self.forwarded_first = own_first;
        if self.forwarded.is_empty() {
            return if hold { None } else { self.pop_own() };
        }
        let mut parts: Vec<Batch> = Vec::new();
        let mut bytes = 0;
        if own_first && let Some(own) = self.pop_own() {
            bytes += own.bytes().len();
            parts.push(own);
        }
        while let Some((batch, limit)) = self.forwarded.front() {
            let fits = parts.is_empty() || bytes + batch.bytes().len() <= batch_bytes;
            let late = *limit <= slot;
            if !fits && !late {
                break;
            }
            let Some((batch, _)) = self.forwarded.pop_front() else { break };
            self.forwarded_bytes -= batch.bytes().len();
            if !late {
                bytes += batch.bytes().len();
                parts.push(batch);
            }
        }
        let fits = |own: &BatchBuilder| parts.is_empty() || bytes + own.len() <= batch_bytes;
        if !hold
            && !own_first
            && self.own.front().is_some_and(fits)
            && let Some(own) = self.pop_own()
        {
            parts.push(own);
        }
        match &parts[..] {
            [] => None,
            [only] => Some(only.clone()),
            several => {
                let mut builder = BatchBuilder::default();
                several.iter().for_each(|batch| builder.append(batch));
                builder.build()
            }
        }
    }

    /// Forgets what others have forwarded: this replica leads no more.
    pub(super) fn drop_forwarded(&mut self) {
        self.forwarded.clear();
        self.forwarded_bytes = 0;
    }

    /// Gives up this replica's commands with numbers below `end`. They were never offered to
    /// anybody.
    pub(super) fn drop_own_below(&mut self, end: u64) -> Vec<Range<u64>> {
        let mut dropped: Vec<Range<u64>> = Vec::new();
        while let Some(batch) = self.own.front_mut()
            && let Some(commands) = batch.drop_first_below(end)
        {
            self.own_bytes -= commands.bytes + commands.count * COMMAND_OVERHEAD_BYTES;
            if batch.is_empty() {
                self.own.pop_front();
            }
            match dropped.last_mut() {
                Some(last) if last.end == commands.sequences.start => {
                    last.end = commands.sequences.end;
                }
                _ => dropped.push(commands.sequences),
            }
        }
        dropped
    }
}
