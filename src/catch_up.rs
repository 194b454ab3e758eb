//! Catching up: what is chosen elsewhere and not known here is asked for in pages, from whoever has
//! it, out of that replica's log.
//!
//! A short lag is normal, since messages overtake one another, so a page is asked for only when the
//! lag outlives a tick, or is long. Each peer's pages grow while they come whole and shrink when
//! they do not, and whose pages are longest is asked: so a peer that is ahead but gives nothing,
//! dead or deaf, costs little time.

use alloc::collections::BTreeMap;

use crate::membership::{MEMBERS_MAX, ReplicaId, Replicas};
use crate::message::CatchUp as Request;
use crate::outbox::Outbox;
use crate::roster::Roster;
use crate::slot::{Slot, Slots};

const PAGE_SLOTS_MIN: u64 = 4;
const PAGE_SLOTS_MAX: u64 = 128;

/// A lag of this many slots does not wait for the tick.
const LONG_LAG_SLOTS: u64 = 64;

/// How many replicas that are no members may teach marks at a time.
const STRANGERS_MAX: usize = MEMBERS_MAX;

/// Who is ahead, and what was asked of whom.
///
/// ```
/// use synod::record::Lsn;
/// use synod::roles::{CatchUp, Outbox};
/// use synod::slot::Slots;
/// use synod::{Output, ReplicaId, Slot};
///
/// let mut out = Outbox::new(ReplicaId(1), Lsn::ZERO, Slot::ZERO);
/// let mut catch_up = CatchUp::default();
/// // Replica 2 knows the first hundred slots to be chosen, and this one none.
/// catch_up.note(ReplicaId(2), Slot(100), true);
/// let missing = Slots::new(Slot(0), catch_up.highest());
/// catch_up.proceed(Slot(0), Some(missing), &mut out);
/// assert!(matches!(out.poll(), Some(Output::Send { .. })), "the slots are asked for");
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct CatchUp {
    /// The highest chosen mark heard from each member.
    marks: Roster<Slot>,
    /// The same of strangers: they may teach, but they are bounded apart from the members.
    strangers: Roster<Slot>,
    /// The highest of both.
    highest: Slot,
    /// The page that is under way, and from whom.
    asked: Option<(ReplicaId, Slots)>,
    /// How long a page of each peer may be that was ever asked for one.
    pages: BTreeMap<ReplicaId, u64>,
    /// The chosen mark at the last tick, if something was missing there.
    stuck_at: Option<Slot>,
    /// The peer that was asked last, so that the next question goes to another.
    last: Option<ReplicaId>,
    /// Counts questions, to alternate between holes and the open end.
    questions: u64,
}

impl CatchUp {
    /// Hears a peer's chosen mark. Marks are facts: the highest counts.
    #[inline]
    pub fn note(&mut self, from: ReplicaId, chosen: Slot, is_member: bool) {
        let marks = if is_member { &mut self.marks } else { &mut self.strangers };
        if is_member || marks.len() < STRANGERS_MAX || marks.of(from).is_some() {
            let mark = marks.of_or_default(from);
            *mark = chosen.max(*mark);
            self.highest = chosen.max(self.highest);
        }
    }

    fn all(&self) -> impl Iterator<Item = (ReplicaId, Slot)> {
        self.marks.iter().chain(self.strangers.iter()).map(|(id, mark)| (id, *mark))
    }

    /// The highest chosen mark heard from this peer.
    #[must_use]
    pub fn mark(&self, of: ReplicaId) -> Slot {
        self.marks.of(of).copied().unwrap_or_default()
    }

    /// The highest chosen mark heard from anybody.
    #[must_use]
    pub fn highest(&self) -> Slot {
        self.highest
    }

    /// Whether somebody knows more than this replica, whose mark this is, or was asked for a page:
    /// only then [`CatchUp::proceed`] does anything.
    #[inline]
    pub(crate) fn is_behind(&self, chosen: Slot) -> bool {
        self.highest > chosen || self.asked.is_some()
    }

    /// Asks for the next page as soon as the last one has come, or if the lag is long.
    pub fn proceed(&mut self, chosen: Slot, missing: Option<Slots>, out: &mut Outbox) {
        let came = self.asked.filter(|(_, slots)| chosen >= slots.end);
        let whole = came.is_some();
        if let Some((from, _)) = came {
            self.pages.insert(from, (self.page_slots(from) * 2).min(PAGE_SLOTS_MAX));
            self.asked = None;
        }
        let long = self.highest().since(chosen) >= LONG_LAG_SLOTS;
        if let Some(slots) = missing
            && self.asked.is_none()
            && (whole || long)
        {
            self.send_catch_up(slots, chosen, None, Replicas::default(), out);
        }
    }

    /// Asks, or asks somebody else, for what was missing at the last tick already; or for a hole.
    /// `others` are the members, without whoever asks.
    pub fn on_tick(
        &mut self,
        chosen: Slot,
        missing: Option<Slots>,
        hole: Option<Slots>,
        others: Replicas,
        out: &mut Outbox,
    ) {
        let stuck = missing.is_some() && self.stuck_at == Some(chosen);
        self.stuck_at = missing.map(|_| chosen);
        let missing = missing.filter(|_| stuck);
        let failed = if stuck { self.asked.take().map(|(from, _)| from) } else { None };
        if let Some(from) = failed {
            self.pages.insert(from, (self.page_slots(from) / 2).max(PAGE_SLOTS_MIN));
        }
        self.questions += 1;
        let first =
            if self.questions.is_multiple_of(2) { missing.or(hole) } else { hole.or(missing) };
        if let Some(slots) = first {
            self.send_catch_up(slots, chosen, failed, others, out);
        }
    }

    /// How long a page of this peer may be.
    fn page_slots(&self, of: ReplicaId) -> u64 {
        self.pages.get(&of).copied().unwrap_or(PAGE_SLOTS_MIN)
    }

    /// Whom to ask for what is missing, with its mark: of those who have it the one whose pages are
    /// longest, by turns where they are equally long; not who has just failed if there is another.
    ///
    /// If the one that has failed is the only one known to have it, one of the others, in turn, who
    /// may: whoever follows the same leader tells this replica no mark, and the leader may not hear
    /// it.
    fn source(
        &self,
        missing: Slots,
        by_turns: bool,
        failed: Option<ReplicaId>,
        others: Replicas,
    ) -> Option<(ReplicaId, Slot)> {
        let ahead = self.all().filter(|(_, mark)| *mark > missing.start);
        let best = ahead.max_by_key(|(id, _)| {
            let page_slots = if by_turns { 0 } else { self.page_slots(*id) };
            let next = self.last.is_none_or(|last| *id > last);
            (failed != Some(*id), page_slots, next, core::cmp::Reverse(*id))
        })?;
        if failed != Some(best.0) {
            return Some(best);
        }
        let may = || others.iter().filter(|id| *id != best.0);
        let nth = self.questions / 2 % may().count().max(1) as u64;
        may().nth(nth as usize).map(|id| (id, missing.end)).or(Some(best))
    }

    fn send_catch_up(
        &mut self,
        missing: Slots,
        chosen: Slot,
        failed: Option<ReplicaId>,
        others: Replicas,
        out: &mut Outbox,
    ) {
        // A hole is filled beside the pages of the open end. What comes of it stays filled, so its
        // pages need not come whole.
        let is_hole = missing.start < chosen;
        let Some((to, mark)) = self.source(missing, is_hole, failed, others) else { return };
        let page_slots = if is_hole { PAGE_SLOTS_MAX } else { self.page_slots(to) };
        let end = missing.end.min(mark).min(missing.start.plus(page_slots));
        let slots = Slots::new(missing.start, end);
        self.last = Some(to);
        if !is_hole {
            self.asked = Some((to, slots));
        }
        out.send_one(to, Request { slots, chosen });
    }
}

#[cfg(test)]
mod tests;
