//! The proposer's queue: commands of this replica, gathered into batches, and batches that other
//! replicas have forwarded to it while it leads.

use alloc::collections::VecDeque;
use alloc::vec::Vec;
use core::ops::Range;

use crate::entry::{Batch, BatchBuilder, COMMAND_OVERHEAD_BYTES, CommandId, Dropped};
use crate::slot::Slot;

/// Batches that wait to be proposed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Queue {
    /// Full batches of commands that this replica took in, and was never offered to anybody.
    full: VecDeque<Batch>,
    /// The commands after them. Not empty while there are full batches.
    open: BatchBuilder,
    /// What the commands of both need in memory.
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
        if self.open.len_with(command.len()) > batch_bytes {
            self.close();
        }
        self.open.push(id, command);
        self.own_bytes += cost(command.len());
    }

    /// Nothing more is added to the last batch.
    #[cold]
    fn close(&mut self) {
        self.full.extend(self.open.build());
    }

    /// Takes a batch of another replica in, to be proposed below `limit`.
    pub(super) fn push_forwarded(&mut self, batch: Batch, limit: Slot) {
        self.forwarded_bytes += batch.bytes().len();
        self.forwarded.push_back((batch, limit));
    }

    /// Whether something may be proposed. With `hold` this replica's own commands may not.
    pub(super) fn has_work(&self, hold: bool) -> bool {
        (!hold && !self.open.is_empty()) || !self.forwarded.is_empty()
    }

    /// Whether the next batch has room for more commands than wait.
    pub(super) fn may_grow(&self, batch_bytes: usize) -> bool {
        let own = if self.open.is_empty() { 0 } else { self.open.len() };
        self.full.is_empty() && own + self.forwarded_bytes < batch_bytes
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
        let own = self.full.len() + usize::from(!self.open.is_empty());
        (forwarded + own.min(forwarded + 1)) as u64
    }

    /// The next batch of this replica's commands.
    pub(super) fn pop_own(&mut self) -> Option<Batch> {
        let batch = self.full.pop_front().or_else(|| self.open.build())?;
        self.own_bytes -= batch.commands_len() + batch.count() as usize * COMMAND_OVERHEAD_BYTES;
        Some(batch)
    }

    /// How long the next batch of this replica's commands is.
    fn own_len(&self) -> Option<usize> {
        let open = (!self.open.is_empty()).then(|| self.open.len());
        self.full.front().map(|batch| batch.bytes().len()).or(open)
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
        let fits = |own: usize| parts.is_empty() || bytes + own <= batch_bytes;
        if !hold
            && !own_first
            && self.own_len().is_some_and(fits)
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
        while let Some(commands) = self.drop_first_below(end) {
            self.own_bytes -= commands.bytes + commands.count * COMMAND_OVERHEAD_BYTES;
            match dropped.last_mut() {
                Some(last) if last.end == commands.sequences.start => {
                    last.end = commands.sequences.end;
                }
                _ => dropped.push(commands.sequences),
            }
        }
        dropped
    }

    /// Takes the first run of commands out, as far as their numbers are below `end`.
    fn drop_first_below(&mut self, end: u64) -> Option<Dropped> {
        let Some(batch) = self.full.front_mut() else { return self.open.drop_first_below(end) };
        let mut rest = BatchBuilder::default();
        rest.append(batch);
        let dropped = rest.drop_first_below(end)?;
        match rest.build() {
            Some(rest) => *batch = rest,
            None => drop(self.full.pop_front()),
        }
        Some(dropped)
    }
}
