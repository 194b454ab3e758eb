//! What is really chosen, by the durable records of all disks; agreement, validity, order.

use std::format;

use crate::ballot::Ballot;
use crate::entry::{CommandId, Entry, Place};
use crate::membership::VoteSet;
use crate::output::Fate;
use crate::slot::Slot;

use super::{Broken, Oracle, Proposal, Truth, broken};
use crate::sim::trace::{fingerprint, fingerprint_bytes};

/// The names of an entry's commands, in order.
pub(crate) fn command_ids(entry: &Entry) -> impl Iterator<Item = CommandId> + '_ {
    let batch = match entry {
        Entry::Noop => None,
        Entry::Batch(batch) => Some(batch),
    };
    let origins = batch.into_iter().flat_map(|batch| batch.origins());
    origins.flat_map(|origin| {
        (0..u64::from(origin.count))
            .map(move |i| CommandId { sequence: origin.first.sequence + i, ..origin.first })
    })
}

impl Oracle {
    /// I2: a (ballot, slot) pair names one entry, ever. True if the proposal is new.
    pub(super) fn note_proposal(
        &mut self,
        slot: Slot,
        ballot: Ballot,
        entry: &Entry,
    ) -> Result<bool, Broken> {
        let print = fingerprint(entry);
        if let Some(held) = self.proposals.get(&(slot, ballot)) {
            if held.print == print {
                return Ok(false);
            }
            return broken(
                "I2",
                format!("{slot} at {ballot} is {entry}, and was {} before", held.entry),
            );
        }
        let proposal = Proposal { print, entry: entry.clone(), votes: VoteSet::EMPTY };
        self.proposals.insert((slot, ballot), proposal);
        self.p2c_new_proposal(slot, ballot, print)?;
        Ok(true)
    }

    /// Every entry that was proposed, once for each slot and ballot.
    pub(crate) fn entries(&self) -> impl Iterator<Item = &Entry> {
        self.proposals.values().map(|proposal| &proposal.entry)
    }

    /// The fingerprint of what is really chosen at the slot.
    pub(crate) fn chosen_print(&self, slot: Slot) -> Option<u64> {
        self.chosen.get(&slot).map(|truth| truth.print)
    }

    /// Where a command is really chosen.
    pub(crate) fn place(&self, id: CommandId) -> Option<Place> {
        self.places.get(&id).copied()
    }

    /// Whether nobody has proposed at the slot and ballot yet.
    pub(crate) fn is_new(&self, slot: Slot, ballot: Ballot) -> bool {
        !self.proposals.contains_key(&(slot, ballot))
    }

    /// Whether a lower ballot has proposed the entry at the slot.
    pub(crate) fn is_adopted(&self, slot: Slot, ballot: Ballot, entry: &Entry) -> bool {
        let mut lower = self.proposals.range((slot, Ballot::ZERO)..(slot, ballot));
        lower.any(|(_, proposal)| proposal.print == fingerprint(entry))
    }

    /// P2c: once an entry is chosen, every proposal of its slot at a higher ballot carries it.
    fn p2c_new_proposal(&self, slot: Slot, ballot: Ballot, print: u64) -> Result<(), Broken> {
        match self.chosen.get(&slot) {
            Some(truth) if truth.ballot < ballot && truth.print != print => broken(
                "P2c",
                format!("{slot} was chosen at {}, and {ballot} proposes another", truth.ballot),
            ),
            _ => Ok(()),
        }
    }

    /// One more disk holds an acceptance of the proposal.
    pub(super) fn count_vote(
        &mut self,
        at: usize,
        slot: Slot,
        ballot: Ballot,
    ) -> Result<(), Broken> {
        let Some(proposal) = self.proposals.get_mut(&(slot, ballot)) else {
            return broken("I2", format!("{} accepted {slot} at {ballot}: never proposed", at + 1));
        };
        let before = proposal.votes;
        proposal.votes.insert(at);
        let after = proposal.votes;
        if !self.is_accept_quorum(before) && self.is_accept_quorum(after) {
            let proposal = &self.proposals[&(slot, ballot)];
            let (print, entry) = (proposal.print, proposal.entry.clone());
            self.chosen_by_few += u64::from(2 * after.len() <= self.replicas);
            self.become_chosen(slot, ballot, print, &entry)?;
        }
        Ok(())
    }

    /// An accept quorum holds the proposal durably: it is chosen, whoever knows.
    fn become_chosen(
        &mut self,
        slot: Slot,
        ballot: Ballot,
        print: u64,
        entry: &Entry,
    ) -> Result<(), Broken> {
        if let Some(truth) = self.chosen.get_mut(&slot) {
            if truth.print != print {
                return broken(
                    "AGR",
                    format!("{slot} is chosen at {} and, another, at {ballot}", truth.ballot),
                );
            }
            truth.ballot = truth.ballot.min(ballot);
        } else {
            self.chosen.insert(slot, Truth { ballot, print });
            self.val_commands_were_proposed(slot, entry)?;
        }
        while self.chosen.contains_key(&self.prefix) {
            self.prefix = self.prefix.next();
        }
        let above = (core::ops::Bound::Excluded((slot, ballot)), core::ops::Bound::Unbounded);
        for ((at_slot, higher), proposal) in self.proposals.range(above) {
            if *at_slot != slot {
                break;
            }
            if proposal.print != print {
                return broken(
                    "P2c",
                    format!("{slot} is chosen at {ballot}, but {higher} proposes another"),
                );
            }
        }
        Ok(())
    }

    /// VAL: every command of a chosen entry was taken in, byte for byte, is in no other slot, and
    /// was not reported as never applied.
    fn val_commands_were_proposed(&mut self, slot: Slot, entry: &Entry) -> Result<(), Broken> {
        let Entry::Batch(batch) = entry else { return Ok(()) };
        for (index, (id, bytes)) in command_ids(entry).zip(batch.commands()).enumerate() {
            let place = Place { slot, index: index as u32 };
            let Some(command) = self.commands.get(&id) else {
                return broken("VAL", format!("{place} holds {id:?}, which nobody took in"));
            };
            if command.print != fingerprint_bytes(bytes) {
                return broken("VAL", format!("{place} holds other bytes for {id:?}"));
            }
            if let Some(Fate::Superseded | Fate::NotLeader { .. }) = command.fate {
                return broken("FATE", format!("{place} holds {id:?}: {:?}", command.fate));
            }
            if let Some(other) = self.places.insert(id, place) {
                return broken("VAL", format!("{id:?} is chosen at {other} and at {place}"));
            }
        }
        Ok(())
    }

    /// A replica hands an entry to its state machine.
    pub(crate) fn on_apply(&mut self, at: usize, slot: Slot, entry: &Entry) -> Result<(), Broken> {
        let print = fingerprint(entry);
        self.i7_in_order(at, slot)?;
        if !self.applied.contains_key(&slot) {
            self.order_of_taking_in(slot, entry)?;
        }
        self.agr_one_entry(at, slot, print)?;
        self.i6_really_chosen(at, slot, print)
    }

    /// I7: slots are applied in order, without a gap, each once in a life.
    fn i7_in_order(&mut self, at: usize, slot: Slot) -> Result<(), Broken> {
        let next = self.images[at].next_apply;
        if slot != next {
            return broken("I7", format!("{} applies {slot}, but {next} is next", at + 1));
        }
        self.images[at].next_apply = slot.next();
        Ok(())
    }

    /// AGR: nobody, in any life, ever applies another entry at the slot.
    fn agr_one_entry(&mut self, at: usize, slot: Slot, print: u64) -> Result<(), Broken> {
        let (first, by) = *self.applied.entry(slot).or_insert((print, at));
        if first != print {
            return broken(
                "AGR",
                format!("{} applies another entry at {slot} than {} did", at + 1, by + 1),
            );
        }
        Ok(())
    }

    /// I6: only what an accept quorum holds durably is applied.
    fn i6_really_chosen(&self, at: usize, slot: Slot, print: u64) -> Result<(), Broken> {
        match self.chosen.get(&slot) {
            Some(truth) if truth.print == print => Ok(()),
            Some(_) => {
                broken("I6", format!("{} applies at {slot} what is not chosen there", at + 1))
            }
            None => broken("I6", format!("{} applies {slot} before it is chosen", at + 1)),
        }
    }
}
