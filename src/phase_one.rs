//! What a candidate was told in phase 1, and what follows from it for each slot.
//!
//! A Promise carries ballots, not values: since a ballot and a slot name one entry (invariant I2),
//! that is enough to decide, and the candidate fetches only entries that it does not hold.
//!
//! Phase 1 is judged slot by slot over *any* set of Promises of the ballot that is a prepare quorum
//! and covers the slot. It need not be the first such set, nor the same for two slots: whoever
//! reports an entry that cannot be had any more is left out once others make a quorum without it.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use crate::ballot::Ballot;
use crate::membership::{Membership, ReplicaId, Replicas, VoteSet};
use crate::message::Promise;
use crate::output::Misbehaviour;
use crate::quorum::Tally;
use crate::roster::Roster;
use crate::slot::{ALPHA, Run, Slot, Slots};

/// What phase 1 says of a slot.
///
/// ```
#[doc = include_str!("proposer/example.txt")]
/// let mut phase_one = PhaseOne::new(ballot(5), Slot(0));
/// assert_eq!(phase_one.finding(Slot(0), &three()), Finding::Open);
/// let held = Run { slots: Slots::one(Slot(0)), ballot: ballot(2) };
/// phase_one.handle_promise(ReplicaId(1), &promise(ballot(5), &[])).expect("sound");
/// phase_one.handle_promise(ReplicaId(2), &promise(ballot(5), &[held])).expect("sound");
/// assert_eq!(phase_one.finding(Slot(0), &three()), Finding::Adopt { from: ballot(2) });
/// assert_eq!(phase_one.finding(Slot(1), &three()), Finding::Free);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Finding {
    /// Not enough Promises cover the slot.
    Open,
    /// Some prepare quorum accepted nothing there: any entry may be proposed.
    Free,
    /// The entry of any ballot from this one on, below the candidate's own, may be proposed; no
    /// other.
    Adopt {
        /// The lowest ballot that will do.
        from: Ballot,
    },
    /// It is chosen: it must be learned, and nothing may be proposed.
    Chosen,
}

/// What one acceptor's Promise says, its pages put together.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
struct Report {
    /// The pages' ranges that have come, by their start. They may overlap.
    covered: BTreeMap<Slot, Slot>,
    /// From here on nothing was accepted: the last page has come.
    last: Option<Slot>,
    chosen: Slot,
    accepted: BTreeMap<Slot, Ballot>,
    faulty: BTreeMap<Slot, Ballot>,
    /// Once every page has come: the first slot above all that they report.
    whole: Option<Slot>,
}

/// The rank of one report of a slot: what must be adopted if it is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Rank {
    Nothing,
    Ballot(Ballot),
    Chosen,
}

impl Report {
    fn covers(&self, slot: Slot) -> bool {
        slot < self.chosen
            || self.last.is_some_and(|last| slot >= last)
            || self.covered_to(slot).is_some_and(|end| slot < end)
    }

    /// How far the pages that begin at or below the slot reach. All of them count: pages made at
    /// different chosen marks have different borders, and one may lie within another.
    fn covered_to(&self, slot: Slot) -> Option<Slot> {
        self.covered.range(..=slot).map(|(_, end)| *end).max()
    }

    /// Whether every slot from `first` on is covered.
    fn is_complete(&self, first: Slot) -> bool {
        let Some(last) = self.last else { return false };
        let mut next = first.max(self.chosen.min(last));
        while next < last {
            match self.covered_to(next) {
                Some(end) if next < end => next = end,
                _ => return false,
            }
        }
        true
    }

    /// The first slot above everything that is reported.
    fn end(&self) -> Slot {
        let highest = self.accepted.keys().chain(self.faulty.keys()).max();
        self.chosen.max(highest.map_or(Slot::ZERO, |slot| slot.next()))
    }

    /// Whether the report covers the slot and nothing was lost there.
    fn knows(&self, slot: Slot) -> bool {
        self.covers(slot) && !self.faulty.contains_key(&slot)
    }

    fn rank(&self, slot: Slot) -> Rank {
        if slot < self.chosen {
            Rank::Chosen
        } else {
            self.accepted.get(&slot).map_or(Rank::Nothing, |ballot| Rank::Ballot(*ballot))
        }
    }
}

/// The Promises of one ballot.
///
/// ```
#[doc = include_str!("proposer/example.txt")]
/// let mut phase_one = PhaseOne::new(ballot(5), Slot(0));
/// phase_one.handle_promise(ReplicaId(1), &promise(ballot(5), &[])).expect("sound");
/// assert_eq!(phase_one.free_from(&three()), None, "one of three");
/// let held = Run { slots: Slots::one(Slot(0)), ballot: ballot(2) };
/// phase_one.handle_promise(ReplicaId(3), &promise(ballot(5), &[held])).expect("sound");
/// assert_eq!(phase_one.free_from(&three()), Some(Slot(1)));
/// assert_eq!(phase_one.reporters(Slot(0), ballot(2)).to_string(), "3");
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct PhaseOne {
    ballot: Ballot,
    first: Slot,
    reports: Roster<Report>,
}

impl PhaseOne {
    /// Phase 1 at this ballot, over the slots from `first` on.
    #[must_use]
    pub fn new(ballot: Ballot, first: Slot) -> Self {
        Self { ballot, first, reports: Roster::new() }
    }

    /// The ballot.
    #[must_use]
    pub fn ballot(&self) -> Ballot {
        self.ballot
    }

    /// The first slot that was asked about.
    #[must_use]
    pub fn first(&self) -> Slot {
        self.first
    }

    /// Takes one page of a Promise. Pages may come in any order, and again.
    ///
    /// # Errors
    /// If it reports what its sender cannot know.
    pub fn handle_promise(
        &mut self,
        from: ReplicaId,
        promise: &Promise,
    ) -> Result<(), Misbehaviour> {
        let impossible = Misbehaviour::ImpossibleReport { ballot: promise.ballot };
        let window = Slots::new(promise.chosen, promise.chosen.plus(ALPHA));
        let page = promise.slots;
        let starts_well = page.start == self.first
            || (page.start >= self.first.max(window.start) && page.start <= window.end);
        if !starts_well || page.end < page.start || page.end > window.end.max(self.first) {
            return Err(impossible);
        }
        let fits = |run: &Run| {
            let inside = run.slots.intersection(promise.slots).intersection(window);
            inside == run.slots && run.ballot <= self.ballot
        };
        if !promise.accepted.iter().chain(&promise.faulty).all(fits) {
            return Err(impossible);
        }
        let report = self.reports.of_or_default(from);
        // Reports at the candidate's own ballot are its own proposals and say nothing.
        for run in promise.accepted.iter().filter(|run| run.ballot < self.ballot) {
            for slot in run.slots.iter() {
                report.accepted.entry(slot).or_insert(run.ballot);
            }
        }
        for run in &promise.faulty {
            for slot in run.slots.iter() {
                report.faulty.entry(slot).or_insert(run.ballot);
            }
        }
        if !promise.slots.is_empty() {
            let end = report.covered.entry(promise.slots.start).or_default();
            *end = promise.slots.end.max(*end);
        }
        if promise.last {
            report.last = Some(report.last.map_or(promise.slots.end, |l| l.min(promise.slots.end)));
        }
        report.chosen = report.chosen.max(promise.chosen);
        report.accepted = report.accepted.split_off(&report.chosen);
        report.faulty = report.faulty.split_off(&report.chosen);
        // All that is left lies within ALPHA of a mark that only rises; ranges below it go too.
        let chosen = report.chosen;
        report.covered.retain(|_, end| *end > chosen);
        report.whole = report.is_complete(self.first).then(|| report.end());
        Ok(())
    }

    /// Whether a prepare quorum has told everything: then the slots from the answer on are free.
    #[must_use]
    pub fn free_from(&self, membership: &Membership) -> Option<Slot> {
        let mut votes = VoteSet::EMPTY;
        let mut end = self.first;
        for (from, report) in self.reports.iter() {
            if let Some(whole) = report.whole
                && membership.vote(&mut votes, from)
            {
                end = end.max(whole);
            }
        }
        (membership.prepare(votes, VoteSet::EMPTY) == Tally::Won).then_some(end)
    }

    /// The members whose Promise has not come whole.
    #[must_use]
    pub fn silent(&self, membership: &Membership) -> Replicas {
        let told = |id| self.reports.of(id).is_some_and(|report| report.whole.is_some());
        membership.members().iter().map(|m| m.replica).filter(|id| !told(*id)).collect()
    }

    /// Who reported an entry of `from` or a higher ballot for the slot.
    #[must_use]
    pub fn reporters(&self, slot: Slot, from: Ballot) -> Replicas {
        let has = |report: &Report| report.accepted.get(&slot).is_some_and(|held| *held >= from);
        self.reports
            .iter()
            .filter(|(_, report)| has(report))
            .map(|(id, _)| id)
            .take(crate::membership::MEMBERS_MAX)
            .collect()
    }

    /// What may be proposed at the slot (invariant I5).
    ///
    /// Of all prepare quorums whose reports cover the slot it takes one whose highest report is the
    /// lowest: `m`. Nothing was or can be chosen there between `m` and this ballot, so the entry of
    /// every ballot from `m` on will do. An acceptor whose disk may have lost what it accepted at
    /// up to `u` counts only beside another one that reports `u` or higher (invariant I10).
    #[must_use]
    pub fn finding(&self, slot: Slot, membership: &Membership) -> Finding {
        // What is asked for each new command; every report that is whole covers the slot.
        if self.free_from(membership).is_some_and(|free| slot >= free) {
            return Finding::Free;
        }
        let mut ranks: Vec<Rank> = self
            .of_members(membership)
            .filter(|(_, report)| report.covers(slot))
            .map(|(_, report)| report.rank(slot))
            .collect();
        ranks.sort_unstable();
        ranks.dedup();
        let lowest =
            ranks.into_iter().find(|bound| self.is_quorum_within(slot, *bound, membership));
        match lowest {
            None => Finding::Open,
            Some(Rank::Nothing) => Finding::Free,
            Some(Rank::Ballot(from)) => Finding::Adopt { from },
            Some(Rank::Chosen) => Finding::Chosen,
        }
    }

    /// Whether those whose report of the slot is at most `bound` are a prepare quorum.
    fn is_quorum_within(&self, slot: Slot, bound: Rank, membership: &Membership) -> bool {
        let mut votes = VoteSet::EMPTY;
        // Somebody who has lost nothing here reports the bound itself.
        let witnessed = self
            .of_members(membership)
            .any(|(_, report)| report.knows(slot) && report.rank(slot) == bound);
        for (from, report) in self.of_members(membership) {
            // A lost acceptance at no more than a witnessed bound changes nothing (I10).
            let counts = match report.faulty.get(&slot) {
                Some(upper) => witnessed && Rank::Ballot(*upper) <= bound,
                None => report.rank(slot) <= bound,
            };
            if report.covers(slot) && counts {
                membership.vote(&mut votes, from);
            }
        }
        membership.prepare(votes, VoteSet::EMPTY) == Tally::Won
    }

    /// The ballot at which the slot is chosen, if the Promises prove it: an accept quorum reports
    /// that it accepted at that very ballot, and what is reported is durable. Then there is nothing
    /// left to propose there, whoever proposed it.
    ///
    /// Only once a prepare quorum has promised, too. Otherwise an accept quorum could still confirm
    /// a read of the ballot's owner that does not know the slot as chosen.
    #[must_use]
    pub fn chosen_at(&self, slot: Slot, membership: &Membership) -> Option<Ballot> {
        self.free_from(membership)?;
        let reported = |report: &Report| report.accepted.get(&slot).copied();
        let is_chosen = |ballot: &Ballot| {
            let mut votes = VoteSet::EMPTY;
            for (from, report) in self.of_members(membership) {
                if reported(report) == Some(*ballot) {
                    membership.vote(&mut votes, from);
                }
            }
            membership.accept(votes, VoteSet::EMPTY) == Tally::Won
        };
        self.of_members(membership).filter_map(|(_, report)| reported(report)).find(is_chosen)
    }

    fn of_members<'a>(
        &'a self,
        membership: &'a Membership,
    ) -> impl Iterator<Item = (ReplicaId, &'a Report)> {
        self.reports.iter().filter(|(from, _)| membership.member(*from).is_some())
    }

    /// Whether some Promise says that the slot is chosen, whatever the others make of it.
    #[must_use]
    pub fn told_chosen(&self, slot: Slot) -> bool {
        self.reports.iter().any(|(_, report)| slot < report.chosen)
    }

    /// Asserts that the entry of `ballot`, or a free one, may be proposed at the slot.
    ///
    /// # Panics
    /// If it may not (invariant I5).
    pub fn assert_allowed(&self, slot: Slot, ballot: Option<Ballot>, membership: &Membership) {
        let finding = self.finding(slot, membership);
        let allowed = match (finding, ballot) {
            (Finding::Free, _) => ballot.is_none_or(|ballot| ballot < self.ballot),
            (Finding::Adopt { from }, Some(ballot)) => from <= ballot && ballot < self.ballot,
            _ => false,
        };
        assert!(
            allowed,
            "I5: {slot} at {} with {ballot:?}: phase 1 found {finding:?}",
            self.ballot
        );
    }
}

#[cfg(test)]
mod tests;
