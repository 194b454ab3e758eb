//! The fate of each command that this replica took in: known, or honestly unknown.
//!
//! A command is proposed in one slot only, and a batch is taken over whole. So when the slot is
//! passed, either that very batch was chosen there, or the command is certain never to be applied.

use alloc::vec::Vec;
use core::ops::Range;

use alloc::collections::BTreeMap;

use crate::entry::{Batch, CommandId, Entry};
use crate::membership::{Incarnation, ReplicaId};
use crate::outbox::Outbox;
use crate::output::{Fate, Output};
use crate::slot::Slot;

/// Batches of this replica whose slots are not passed yet.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Fates {
    me: ReplicaId,
    incarnation: Incarnation,
    /// By slot; more than one if this replica proposed there at several ballots.
    awaited: BTreeMap<Slot, Vec<Batch>>,
    count: usize,
}

impl Fates {
    /// Nothing is awaited.
    #[must_use]
    pub(crate) fn new(me: ReplicaId, incarnation: Incarnation) -> Self {
        Self { me, incarnation, awaited: BTreeMap::new(), count: 0 }
    }

    /// Hears that the batch was proposed at the slot.
    pub(crate) fn propose(&mut self, slot: Slot, batch: Batch) {
        self.awaited.entry(slot).or_default().push(batch);
        self.count += 1;
    }

    /// How many batches are awaited.
    #[must_use]
    pub(crate) fn awaited(&self) -> usize {
        self.count
    }

    /// Hears that the entry was chosen at the slot, and tells what became of the commands.
    pub(crate) fn pass(&mut self, slot: Slot, entry: &Entry, out: &mut Outbox) {
        for batch in self.awaited.remove(&slot).unwrap_or_default() {
            self.count -= 1;
            let chosen = matches!(entry, Entry::Batch(there) if *there == batch);
            let mut index = 0;
            for origin in batch.origins() {
                let fate = if chosen { Fate::Chosen { slot, index } } else { Fate::Superseded };
                index += origin.count;
                if let Some(commands) = self.commands(origin.first, origin.count) {
                    out.push(Output::Fate { commands, fate });
                }
            }
        }
    }

    /// The sequence numbers of these commands, if it was this start of this replica that took them.
    fn commands(&self, first: CommandId, count: u32) -> Option<Range<u64>> {
        (first.replica == self.me && first.incarnation == self.incarnation)
            .then(|| first.sequence..first.sequence + u64::from(count))
    }
}

#[cfg(test)]
mod tests;
