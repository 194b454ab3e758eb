//! The acceptor: the memory of the cluster.
//!
//! It answers two kinds of message and never goes back on an answer ("Paxos Made Simple", 2.2):
//!
//! - Prepare(b): *promise* to accept nothing below b, and tell what was accepted already;
//! - Accept(b, slot, entry): *accept*, unless a higher ballot was promised.
//!
//! It is the only role whose state must survive a crash. It asks the outbox to write a record
//! before it answers; the outbox keeps the answer back until that record is on disk (invariant I4).
//!
//! It keeps only open slots: those at or above the chosen mark. Below the mark every slot is
//! chosen, which is all that anybody needs to hear from an acceptor.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use crate::ballot::Ballot;
use crate::entry::Entry;
use crate::membership::ReplicaId;
use crate::message::{Accept, Accepted, Behind, Fetch, Fetched, Nack, Prepare, Promise, Standing};
use crate::outbox::Outbox;
use crate::output::{Event, Misbehaviour};
use crate::record::{Record, Recovered};
use crate::slot::{Ring, Run, Slot, Slots};

/// How many runs one page of a Promise holds.
const PAGE_RUNS: usize = 32;

/// What was accepted for a slot: of the proposals there the one with the highest ballot.
///
/// ```
/// use synod::message::{Accept, Announcement};
/// use synod::record::Lsn;
/// use synod::roles::{Acceptor, Held, Outbox};
/// use synod::{Ballot, Entry, ReplicaId, Slot};
///
/// let mut out = Outbox::new(ReplicaId(1), Lsn::ZERO, Slot::ZERO);
/// let mut acceptor = Acceptor::default();
/// let (slot, ballot) = (Slot(0), Ballot { round: 1, replica: ReplicaId(2) });
/// let announcement = Announcement::default();
/// let accept = Accept { ballot, slot, entry: Entry::Noop, announcement };
/// assert_eq!(acceptor.handle_accept(ReplicaId(2), accept, &mut out), Ok(()));
/// assert_eq!(acceptor.held(slot), Some(&Held { ballot, entry: Entry::Noop }));
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Held {
    /// The ballot.
    pub ballot: Ballot,
    /// The entry.
    pub entry: Entry,
}

/// Promises and accepts.
///
/// ```
/// use synod::message::Prepare;
/// use synod::record::Lsn;
/// use synod::roles::{Acceptor, Outbox};
/// use synod::{Ballot, Output, ReplicaId, Slot};
///
/// let mut out = Outbox::new(ReplicaId(1), Lsn::ZERO, Slot::ZERO);
/// let mut acceptor = Acceptor::default();
/// let ballot = Ballot { round: 3, replica: ReplicaId(2) };
/// acceptor.handle_prepare(ReplicaId(2), &Prepare { ballot, first: Slot::ZERO }, &mut out);
/// assert_eq!(acceptor.promised(), ballot);
/// assert!(matches!(out.poll(), Some(Output::Persist { .. })), "the record goes first");
/// assert_eq!(out.poll(), None, "the Promise waits until that is on disk");
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Acceptor {
    /// The highest ballot promised. Never falls (invariant I1).
    promised: Ballot,
    /// What was accepted, from the chosen mark on.
    accepted: Ring<Held>,
    /// Slots whose acceptance the disk may have lost, with the highest ballot in which they can
    /// have been accepted (invariant I10).
    faulty: BTreeMap<Slot, Ballot>,
}

impl Default for Acceptor {
    fn default() -> Self {
        Self { promised: Ballot::ZERO, accepted: Ring::new(Slot::ZERO), faulty: BTreeMap::new() }
    }
}

impl Acceptor {
    /// The acceptor that a log remembers.
    #[must_use]
    pub fn new(recovered: &Recovered) -> Self {
        let mut accepted = Ring::new(recovered.chosen);
        for (slot, ballot, entry) in &recovered.accepted {
            accepted.insert(*slot, Held { ballot: *ballot, entry: entry.clone() });
        }
        let faulty = recovered
            .faulty
            .iter()
            .flat_map(|run| run.slots.iter().map(|slot| (slot, run.ballot)))
            .filter(|(slot, _)| *slot >= recovered.chosen)
            .collect();
        Self { promised: recovered.promised, accepted, faulty }
    }

    /// The highest ballot promised.
    #[must_use]
    pub fn promised(&self) -> Ballot {
        self.promised
    }

    /// What is held for an open slot.
    #[must_use]
    pub fn held(&self, slot: Slot) -> Option<&Held> {
        self.accepted.at(slot)
    }

    /// How many slots may have been lost by the disk and are not known again yet.
    #[must_use]
    pub fn faulty(&self) -> u64 {
        self.faulty.len() as u64
    }

    /// Answers phase 1(a): promises the ballot and tells what was accepted, or refuses.
    pub fn handle_prepare(&mut self, from: ReplicaId, prepare: &Prepare, out: &mut Outbox) {
        if prepare.ballot < self.promised {
            self.send_nack(from, prepare.ballot, out);
            return;
        }
        self.promise(prepare.ballot, out);
        for page in self.pages(prepare) {
            out.send_one(from, page);
        }
    }

    /// Answers phase 2(a): accepts the entry, or refuses.
    ///
    /// # Errors
    /// If another entry is held for the same ballot and slot (invariant I2). What is held stays.
    #[inline]
    pub fn handle_accept(
        &mut self,
        from: ReplicaId,
        accept: Accept,
        out: &mut Outbox,
    ) -> Result<(), Misbehaviour> {
        let Accept { ballot, slot, entry, .. } = accept;
        if ballot < self.promised {
            self.send_nack(from, ballot, out);
            return Ok(());
        }
        if !self.accepted.has_place(slot) {
            // Chosen long ago, or too far ahead: no vote, but our mark says who must catch up.
            out.send_one(from, Behind { ballot, chosen: self.chosen() });
            return Ok(());
        }
        match self.accepted.at(slot) {
            Some(held) if held.ballot == ballot && held.entry != entry => {
                return Err(Misbehaviour::TwoEntries { slot, ballot });
            }
            Some(held) if held.ballot == ballot => {}
            _ => self.accept(slot, ballot, entry, out),
        }
        out.send_one(from, Accepted { ballot, slots: Slots::one(slot), chosen: self.chosen() });
        Ok(())
    }

    /// Answers a question for an entry that a Promise named.
    pub fn handle_fetch(&self, from: ReplicaId, fetch: &Fetch, out: &mut Outbox) {
        let proposal = self
            .held(fetch.slot)
            .filter(|held| held.ballot >= fetch.ballot)
            .map(|held| (held.ballot, held.entry.clone()));
        out.send_one(from, Fetched { slot: fetch.slot, proposal, chosen: self.chosen() });
    }

    /// Promises the ballot; also how a replica opens its own campaign.
    ///
    /// # Panics
    /// If the promise would fall (invariant I1).
    pub fn promise(&mut self, ballot: Ballot, out: &mut Outbox) {
        if ballot != self.promised {
            self.raise_promise(ballot);
            out.persist(Record::Promised { ballot });
        }
    }

    /// The one place where the promise changes.
    fn raise_promise(&mut self, ballot: Ballot) {
        assert!(ballot >= self.promised, "I1: promise falls from {} to {ballot}", self.promised);
        self.promised = ballot;
    }

    fn accept(&mut self, slot: Slot, ballot: Ballot, entry: Entry, out: &mut Outbox) {
        assert!(ballot >= self.promised, "I3: {slot} accepted at {ballot} below {}", self.promised);
        // To accept at a ballot is to promise it; the record says both.
        self.raise_promise(ballot);
        if let Some(held) = self.accepted.insert(slot, Held { ballot, entry: entry.clone() }) {
            assert!(held.ballot < ballot, "I3: {slot} was accepted at {} already", held.ballot);
        }
        out.persist(Record::Accepted { slot, ballot, entry });
        // Mostly no slot is.
        if !self.faulty.is_empty() {
            let upper = self.faulty.get(&slot).copied().unwrap_or_default();
            assert!(ballot >= upper, "I10: {slot} healed at {ballot}, but lost at up to {upper}");
            self.heal(slot, out);
        }
    }

    fn heal(&mut self, slot: Slot, out: &mut Outbox) {
        if self.faulty.remove(&slot).is_some() {
            out.event(Event::Healed { slot });
        }
    }

    /// Hears that every slot below `chosen` is chosen and in the log, and forgets them.
    ///
    /// What the disk may have lost there no longer matters. It did until now, also where the entry
    /// was learned: a Promise tells of acceptances, not of what was learned (invariant I10).
    pub fn settle(&mut self, chosen: Slot, out: &mut Outbox) {
        self.accepted.advance(chosen);
        while let Some(slot) = self.faulty.keys().next().copied().filter(|slot| *slot < chosen) {
            self.heal(slot, out);
        }
    }

    /// The chosen mark, as this acceptor was told.
    #[must_use]
    pub fn chosen(&self) -> Slot {
        self.accepted.first()
    }

    /// The first slot above everything that is accepted, or may have been and is lost.
    #[must_use]
    pub fn end(&self) -> Slot {
        let lost = self.faulty.keys().next_back().map_or(Slot::ZERO, |slot| slot.next());
        self.accepted.end().max(lost)
    }

    /// What this acceptor stands by.
    #[must_use]
    pub fn standing(&self) -> Standing {
        Standing { promised: self.promised, end: self.end() }
    }

    /// Refuses a ballot below the promise.
    pub fn send_nack(&self, to: ReplicaId, ballot: Ballot, out: &mut Outbox) {
        out.send_one(to, Nack { ballot, promised: self.promised, chosen: self.chosen() });
    }

    /// The Promise, in as many pages as its runs need. All are made now, at this promise.
    fn pages(&self, prepare: &Prepare) -> Vec<Promise> {
        let chosen = self.chosen();
        let page = |start: Slot| Promise {
            ballot: prepare.ballot,
            slots: Slots::new(start, start),
            last: false,
            chosen,
            accepted: Vec::new(),
            faulty: Vec::new(),
        };
        let mut pages = Vec::new();
        let mut current = page(prepare.first);
        let end = self.end();
        for slot in Slots::new(prepare.first.max(chosen), end).iter() {
            if current.accepted.len() + current.faulty.len() >= PAGE_RUNS {
                pages.push(core::mem::replace(&mut current, page(slot)));
            }
            // A lost acceptance outranks an older one that is still held: I10 wants the bound.
            if let Some(upper) = self.faulty.get(&slot) {
                Run::push(&mut current.faulty, slot, *upper);
            } else if let Some(held) = self.accepted.at(slot) {
                Run::push(&mut current.accepted, slot, held.ballot);
            }
            current.slots.end = slot.next();
        }
        current.last = true;
        pages.push(current);
        pages
    }
}

#[cfg(test)]
mod tests;
