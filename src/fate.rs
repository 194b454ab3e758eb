//! The fate of each command that this replica took in: known, or honestly unknown.
//!
//! A command is offered to one leader, this replica or another one, together with a limit: that
//! leader proposes it in one slot below the limit, or never. Later leaders take a batch over whole,
//! in the same slot. So once every slot below the limit is passed, either the command was chosen in
//! one of them, or it is certain never to be applied.
//!
//! Commands are offered in the order of their numbers, and to a new leader only when the fate of
//! everything that was offered to earlier ones is known: so they are chosen in that order too.

use alloc::collections::VecDeque;
use core::ops::Range;

use crate::ballot::Ballot;
use crate::entry::{Batch, CommandId, Entry};
use crate::membership::{Incarnation, ReplicaId};
use crate::outbox::Outbox;
use crate::output::{Fate, Output};
use crate::slot::Slot;

/// Commands that were offered together.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Awaited {
    commands: Range<u64>,
    /// The first slot in which they cannot be chosen any more.
    limit: Slot,
}

/// Commands of this replica that were offered to a leader, and whose fate is not known.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Fates {
    me: ReplicaId,
    incarnation: Incarnation,
    /// The ballot of the leader that they were offered to.
    ballot: Ballot,
    /// In the order of their numbers. Limits do not fall from one to the next.
    awaited: VecDeque<Awaited>,
}

impl Fates {
    /// Nothing is awaited.
    #[must_use]
    pub(crate) fn new(me: ReplicaId, incarnation: Incarnation) -> Self {
        Self { me, incarnation, ballot: Ballot::default(), awaited: VecDeque::new() }
    }

    /// Whether commands may be offered to the leader at this ballot: nothing that was offered to
    /// another one is open.
    #[must_use]
    pub(crate) fn may_offer(&self, ballot: Ballot) -> bool {
        self.awaited.is_empty() || self.ballot == ballot
    }

    /// Hears that these commands were offered to the leader at the ballot.
    pub(crate) fn offer(&mut self, ballot: Ballot, commands: Range<u64>, limit: Slot) {
        assert!(
            self.may_offer(ballot),
            "fates at {} are open, {ballot} is offered more",
            self.ballot
        );
        self.ballot = ballot;
        let limit = self.awaited.back().map_or(limit, |last| last.limit.max(limit));
        self.awaited.push_back(Awaited { commands, limit });
    }

    /// Hears that this replica proposed the batch at the slot, at its own ballot.
    pub(crate) fn propose(&mut self, ballot: Ballot, slot: Slot, batch: &Batch) {
        for origin in batch.origins() {
            if let Some(commands) = self.own(origin.first, origin.count) {
                self.offer(ballot, commands, slot.next());
            }
        }
    }

    /// Hears that the commands from this number on were offered again, with a higher limit.
    pub(crate) fn raise(&mut self, from: u64, limit: Slot) {
        let later = self.awaited.iter_mut().rev().take_while(|one| one.commands.end > from);
        later.for_each(|one| one.limit = one.limit.max(limit));
    }

    /// How many runs of commands are awaited.
    #[must_use]
    pub(crate) fn awaited(&self) -> usize {
        self.awaited.len()
    }

    /// The lowest number that is awaited.
    #[must_use]
    pub(crate) fn oldest(&self) -> Option<u64> {
        Some(self.awaited.front()?.commands.start)
    }

    /// When every slot below this one is passed, every fate is known.
    #[must_use]
    pub(crate) fn limit(&self) -> Option<Slot> {
        Some(self.awaited.back()?.limit)
    }

    /// Hears that the entry was chosen at the slot, and tells what became of the commands.
    pub(crate) fn pass(&mut self, slot: Slot, entry: &Entry, out: &mut Outbox) {
        if self.awaited.is_empty() {
            return;
        }
        if let Entry::Batch(batch) = entry {
            let mut index = 0;
            for origin in batch.origins() {
                if let Some(commands) = self.own(origin.first, origin.count) {
                    self.choose(commands, slot, index, out);
                }
                index += origin.count;
            }
        }
        while let Some(first) = self.awaited.front()
            && first.limit <= slot.next()
        {
            if let Some(Awaited { commands, .. }) = self.awaited.pop_front() {
                out.push(Output::Fate { commands, fate: Fate::Superseded });
            }
        }
    }

    /// These commands, the first of them at the index, are chosen at the slot.
    fn choose(&mut self, commands: Range<u64>, slot: Slot, index: u32, out: &mut Outbox) {
        let mut at = 0;
        while let Some(one) = self.awaited.get(at)
            && one.commands.start < commands.end
        {
            let (held, limit) = (one.commands.clone(), one.limit);
            let both = held.start.max(commands.start)..held.end.min(commands.end);
            if both.is_empty() {
                at += 1;
                continue;
            }
            self.awaited.remove(at);
            // Mostly the whole run is chosen, and nothing of it is left.
            if both != held {
                for rest in [held.start..both.start, both.end..held.end] {
                    if !rest.is_empty() {
                        self.awaited.insert(at, Awaited { commands: rest, limit });
                        at += 1;
                    }
                }
            }
            // Within the run, whose count has 32 bits.
            let index = index + (both.start - commands.start) as u32;
            out.push(Output::Fate { commands: both, fate: Fate::Chosen { slot, index } });
        }
    }

    /// The numbers of these commands, if it was this start of this replica that took them in.
    fn own(&self, first: CommandId, count: u32) -> Option<Range<u64>> {
        (first.replica == self.me && first.incarnation == self.incarnation)
            .then(|| first.sequence..first.sequence + u64::from(count))
    }
}

#[cfg(test)]
mod tests;
