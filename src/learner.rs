//! The learner: finds out what is chosen, and delivers it in slot order.
//!
//! A proposal is chosen when an accept quorum has accepted it ("Paxos Made Simple", 2.3). Whoever
//! leads counts the Accepted messages of its own ballot, and finds in the Promises what was chosen
//! at earlier ones; the others hear of it by announcements: a mark below which all is chosen, and
//! runs that name the ballots. From a run a learner takes a slot only if what its acceptor holds
//! there has *that very ballot*: with a lower or a higher one the entry may be another. Everything
//! else it fetches.
//!
//! Slots are chosen in any order and passed in order. What is passed goes to the state machine
//! without a gap, each slot once (invariant I7), or is left in the log to be read again when the
//! machine is too far behind: so memory stays bounded.

use alloc::vec::Vec;

use crate::acceptor::Held;
use crate::ballot::Ballot;
use crate::entry::Entry;
use crate::membership::{Membership, ReplicaId, VoteSet};
use crate::message::Announcement;
use crate::outbox::Outbox;
use crate::output::{Misbehaviour, Output};
use crate::quorum::Tally;
use crate::record::{Record, Recovered};
use crate::slot::{ALPHA, Ring, Run, Slot, Slots};

/// How many runs an announcement carries: the last ones below the mark.
const ANNOUNCED_RUNS: usize = 4;

/// The Accepted messages for one slot, all of one ballot.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Votes {
    ballot: Ballot,
    from: VoteSet,
}

/// Counts votes, learns, and delivers.
///
/// ```
/// use synod::membership::{DiskId, Member, Membership};
/// use synod::roles::Learner;
/// use synod::{Ballot, ReplicaId, Slot};
///
/// let member = |id: u32| Member { replica: ReplicaId(id), disk: DiskId([id as u8; 16]) };
/// let membership = Membership::new((1..=3).map(member).collect())?;
/// let ballot = Ballot { round: 1, replica: ReplicaId(1) };
/// let mut learner = Learner::new(256);
/// let mut accepted = |from| learner.handle_accepted(from, ballot, Slot(0), &membership);
/// assert!(!accepted(ReplicaId(1)));
/// assert!(!accepted(ReplicaId(1)), "its second vote counts nothing");
/// assert!(accepted(ReplicaId(2)), "two of three: chosen");
/// # Ok::<(), synod::MembershipError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Learner {
    /// The chosen mark: every slot below it is chosen and passed.
    chosen: Slot,
    votes: Ring<Votes>,
    /// Chosen slots above the mark, with the ballot that is stored with the entry.
    learned: Ring<(Ballot, Entry)>,
    /// The ballots of the last ALPHA slots below the mark.
    runs: Vec<Run>,
    /// Chosen slots below the mark that the log has lost.
    holes: Vec<Slots>,
    /// The first slot that was not yet given to the state machine.
    delivered: Slot,
    /// The first slot that the state machine has not yet applied.
    applied: Slot,
    /// How far `delivered` may run ahead of `applied`.
    apply_slots: u64,
}

impl Learner {
    /// A learner that knows nothing yet, and delivers at most `apply_slots` slots ahead.
    #[must_use]
    pub fn new(apply_slots: u64) -> Self {
        Self {
            chosen: Slot::ZERO,
            votes: Ring::new(Slot::ZERO),
            learned: Ring::new(Slot::ZERO),
            runs: Vec::new(),
            holes: Vec::new(),
            delivered: Slot::ZERO,
            applied: Slot::ZERO,
            apply_slots,
        }
    }

    /// The learner that a log remembers. Everything is delivered anew, from the first slot.
    #[must_use]
    pub fn recover(recovered: &Recovered, apply_slots: u64) -> Self {
        let mut learned = Ring::new(recovered.chosen);
        for (slot, ballot, entry) in &recovered.learned {
            learned.insert(*slot, (*ballot, entry.clone()));
        }
        Self {
            chosen: recovered.chosen,
            votes: Ring::new(recovered.chosen),
            learned,
            runs: recovered.runs.clone(),
            holes: recovered.holes.clone(),
            ..Self::new(apply_slots)
        }
    }

    /// The chosen mark.
    #[must_use]
    pub fn chosen(&self) -> Slot {
        self.chosen
    }

    /// The first slot that is not yet applied.
    #[must_use]
    pub fn applied(&self) -> Slot {
        self.applied
    }

    /// The first slot that was not yet handed out to be applied.
    #[must_use]
    pub fn delivered(&self) -> Slot {
        self.delivered
    }

    /// Chosen slots below the mark that the log has lost.
    #[must_use]
    pub fn holes(&self) -> &[Slots] {
        &self.holes
    }

    /// What is known chosen at an open slot.
    #[must_use]
    pub fn learned(&self, slot: Slot) -> Option<&Entry> {
        self.learned.at(slot).map(|(_, entry)| entry)
    }

    /// What is known chosen at an open slot, and the ballot that is stored with it.
    #[must_use]
    pub fn learned_at(&self, slot: Slot) -> Option<&(Ballot, Entry)> {
        self.learned.at(slot)
    }

    /// Who has accepted at `ballot`, as far as is known.
    #[must_use]
    pub fn voters(&self, slot: Slot, ballot: Ballot) -> VoteSet {
        match self.votes.at(slot) {
            Some(votes) if votes.ballot == ballot => votes.from,
            _ => VoteSet::EMPTY,
        }
    }

    /// Counts one Accepted. True if with it the proposal (ballot, slot) is chosen, and was not
    /// known to be.
    ///
    /// Votes of different ballots are never added up, and a replica's second vote counts nothing.
    #[inline]
    pub fn handle_accepted(
        &mut self,
        from: ReplicaId,
        ballot: Ballot,
        slot: Slot,
        membership: &Membership,
    ) -> bool {
        if !self.votes.has_place(slot) || self.learned.at(slot).is_some() {
            return false;
        }
        if self.votes.at(slot).is_none_or(|votes| votes.ballot < ballot) {
            self.votes.insert(slot, Votes { ballot, from: VoteSet::EMPTY });
        }
        match self.votes.at_mut(slot) {
            Some(votes) if votes.ballot == ballot => {
                membership.vote(&mut votes.from, from)
                    && membership.accept(votes.from, VoteSet::EMPTY) == Tally::Won
            }
            _ => false,
        }
    }

    /// Learns that the entry is chosen at the slot, and that `ballot` is stored with it.
    ///
    /// `held` is what this replica's acceptor holds there, and its log with it: if that is not this
    /// very proposal, the entry is written to the log as learned. A learner without an acceptor
    /// that writes to the same log passes none.
    ///
    /// # Errors
    /// If another entry is known chosen there (invariant I6). What is known stays.
    pub fn learn(
        &mut self,
        slot: Slot,
        ballot: Ballot,
        entry: Entry,
        held: Option<&Held>,
        out: &mut Outbox,
    ) -> Result<(), Misbehaviour> {
        if slot < self.chosen {
            if self.fill_hole(slot) {
                out.persist(Record::Chosen { slot, ballot, entry });
            }
            return Ok(());
        }
        if !self.learned.has_place(slot) {
            return Ok(());
        }
        match self.learned.at(slot) {
            Some((_, known)) if *known != entry => Err(Misbehaviour::ChosenChanged { slot }),
            Some(_) => Ok(()),
            None => {
                if held.is_none_or(|held| held.ballot != ballot) {
                    out.persist(Record::Chosen { slot, ballot, entry: entry.clone() });
                } else if held.is_some_and(|held| held.entry != entry) {
                    return Err(Misbehaviour::TwoEntries { slot, ballot });
                }
                self.set_chosen(slot, ballot, entry);
                Ok(())
            }
        }
    }

    /// The one place where a slot becomes known as chosen.
    fn set_chosen(&mut self, slot: Slot, ballot: Ballot, entry: Entry) {
        let before = self.learned.insert(slot, (ballot, entry));
        assert!(before.is_none(), "I6: {slot} was known to be chosen already");
        self.votes.remove(slot);
    }

    /// Takes what an announcement says of open slots, where `held` has the very ballot it names.
    /// `held` is what the acceptor of the same log holds; see [`Learner::learn`].
    ///
    /// # Errors
    /// As [`Learner::learn`]. What came before the contradiction is learned.
    pub fn handle_announcement<'a>(
        &mut self,
        announcement: &Announcement,
        held: impl Fn(Slot) -> Option<&'a Held>,
        out: &mut Outbox,
    ) -> Result<(), Misbehaviour> {
        let open = Slots::new(self.chosen, self.chosen.plus(ALPHA));
        for run in announcement.runs.iter() {
            for slot in run.slots.intersection(open).iter() {
                match held(slot) {
                    Some(mine) if mine.ballot == run.ballot => {
                        self.learn(slot, run.ballot, mine.entry.clone(), Some(mine), out)?;
                    }
                    _ => {}
                }
            }
        }
        Ok(())
    }

    /// What this learner can announce: its mark, and the ballots just below it.
    #[must_use]
    pub fn announcement(&self) -> Announcement {
        let from = self.runs.len().saturating_sub(ANNOUNCED_RUNS);
        Announcement { chosen: self.chosen, runs: self.runs[from..].into() }
    }

    /// Whether the next slot is known, so that it can be passed.
    #[inline]
    pub(crate) fn can_pass(&self) -> bool {
        self.learned.at(self.chosen).is_some()
    }

    /// Passes the next slot, if it is known, and delivers it if the state machine keeps up.
    ///
    /// Its entry is given back for whoever waits to hear of it.
    pub fn pass(&mut self, out: &mut Outbox) -> Option<(Slot, Entry)> {
        let (slot, kept) = self.pass_and_keep(true, out)?;
        Some((slot, kept?))
    }

    /// The same; but the entry is given back only with `keep`, since for that it is copied.
    pub(crate) fn pass_and_keep(
        &mut self,
        keep: bool,
        out: &mut Outbox,
    ) -> Option<(Slot, Option<Entry>)> {
        let slot = self.chosen;
        let (ballot, entry) = self.learned.pop_first()?;
        assert!(self.learned.first() == slot.next(), "{slot} is not the first that is open");
        Run::push(&mut self.runs, slot, ballot);
        self.chosen = slot.next();
        self.votes.advance(self.chosen);
        self.forget_runs();
        out.note_chosen(self.chosen);
        let kept = keep.then(|| entry.clone());
        if self.delivered == slot && self.room() > 0 {
            self.set_delivered(slot.next());
            out.push(Output::Chosen { slot, entry });
        }
        Some((slot, kept))
    }

    /// Keeps the runs of the last ALPHA slots below the mark.
    fn forget_runs(&mut self) {
        let oldest = Slot(self.chosen.0.saturating_sub(ALPHA));
        if let Some(first) = self.runs.first_mut()
            && first.slots.start < oldest
        {
            first.slots.start = oldest;
            if first.slots.is_empty() {
                self.runs.remove(0);
            }
        }
    }

    /// Asks the driver to apply from its log what was not delivered when it was passed.
    #[inline]
    pub fn deliver_from_log(&mut self, out: &mut Outbox) {
        // Asked after every input.
        if self.delivered < self.chosen {
            self.deliver_what_is_behind(out);
        }
    }

    #[inline(never)]
    fn deliver_what_is_behind(&mut self, out: &mut Outbox) {
        let end = self.holes.first().map_or(self.chosen, |hole| hole.start.min(self.chosen));
        let behind = Slots::new(self.delivered, end).len();
        // Not slot by slot: wait until half of the room is free, or all that is missing fits.
        let room = self.room();
        if behind == 0 || room < behind.min(self.apply_slots.div_ceil(2)) {
            return;
        }
        let slots = Slots::new(self.delivered, end.min(self.delivered.plus(room)));
        self.set_delivered(slots.end);
        out.push(Output::ApplyFromLog { slots });
    }

    /// The one place where the delivered mark moves.
    fn set_delivered(&mut self, upto: Slot) {
        assert!(
            self.delivered < upto && upto <= self.chosen,
            "I7: delivery goes from {} to {upto}, and {} is chosen",
            self.delivered,
            self.chosen
        );
        self.delivered = upto;
    }

    fn room(&self) -> u64 {
        self.apply_slots.saturating_sub(self.delivered.since(self.applied))
    }

    /// Hears that the state machine has applied every slot below `upto`. A mark beyond what was
    /// delivered is cut to that.
    pub fn handle_applied(&mut self, upto: Slot) {
        self.applied = self.applied.max(upto.min(self.delivered));
        assert!(
            self.applied <= self.delivered && self.delivered <= self.chosen,
            "I8: applied {}, delivered {}, chosen {}",
            self.applied,
            self.delivered,
            self.chosen
        );
    }

    /// The lowest slots from the mark on that are chosen below `upto` and not known here.
    #[must_use]
    pub fn missing(&self, upto: Slot) -> Option<Slots> {
        if upto <= self.chosen {
            return None;
        }
        let end = upto.min(self.chosen.plus(ALPHA));
        let known = self.learned.iter().map(|(slot, _)| slot).find(|slot| *slot >= self.chosen);
        let missing = Slots::new(self.chosen, known.map_or(end, |slot| slot.min(end)));
        (!missing.is_empty()).then_some(missing)
    }

    fn fill_hole(&mut self, slot: Slot) -> bool {
        let Some(at) = self.holes.iter().position(|hole| hole.contains(slot)) else {
            return false;
        };
        let hole = self.holes.remove(at);
        let parts = [Slots::new(hole.start, slot), Slots::new(slot.next(), hole.end)];
        for part in parts.into_iter().rev().filter(|part| !part.is_empty()) {
            self.holes.insert(at, part);
        }
        true
    }
}

#[cfg(test)]
mod tests;
