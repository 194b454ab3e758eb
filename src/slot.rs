//! Slots of the log, half-open ranges of them, runs with a ballot, and the ring that holds what is
//! open.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::fmt;
use core::hash::{Hash, Hasher};
use core::ops::Deref;

use serde::{Deserialize, Serialize};

use crate::ballot::Ballot;

/// How many slots may be open: an acceptor accepts slot `s` only if `s < chosen + ALPHA`.
///
/// A constant of the cluster (invariant I9): it bounds what a replica holds in memory, what a
/// Promise speaks of, and from where on a change of the Membership governs.
pub const ALPHA: u64 = 256;

/// A place in the log. One Paxos instance decides each slot.
///
/// ```
/// use synod::Slot;
///
/// let slot = Slot::ZERO.plus(811).next();
/// assert_eq!(slot.to_string(), "s812");
/// assert_eq!((slot.since(Slot(800)), Slot(800).since(slot)), (12, 0));
/// ```
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub struct Slot(pub u64);

impl Slot {
    /// The first slot of every log.
    pub const ZERO: Self = Self(0);

    /// The slot `count` places on. Saturates: no log reaches 2^64 slots.
    #[must_use]
    pub const fn plus(self, count: u64) -> Self {
        Self(self.0.saturating_add(count))
    }

    /// The slot after this one.
    #[must_use]
    pub const fn next(self) -> Self {
        self.plus(1)
    }

    /// How many slots lie from `earlier` up to this one; zero if `earlier` is later.
    #[must_use]
    pub const fn since(self, earlier: Self) -> u64 {
        self.0.saturating_sub(earlier.0)
    }
}

impl fmt::Display for Slot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "s{}", self.0)
    }
}

/// A half-open range of slots: `start` belongs to it, `end` does not.
///
/// ```
/// use synod::Slot;
/// use synod::slot::Slots;
///
/// let slots = Slots::new(Slot(3), Slot(6));
/// assert!(slots.contains(Slot(5)) && !slots.contains(Slot(6)));
/// assert_eq!(slots.intersection(Slots::one(Slot(4))).to_string(), "s4..s5");
/// assert!(slots.iter().eq([3, 4, 5].map(Slot)));
/// ```
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub struct Slots {
    /// The first slot of the range.
    pub start: Slot,
    /// The first slot after the range.
    pub end: Slot,
}

impl Slots {
    /// The range from `start` up to, not with, `end`; empty if `end` is not after `start`.
    #[must_use]
    pub fn new(start: Slot, end: Slot) -> Self {
        Self { start, end: end.max(start) }
    }

    /// The range of this one slot.
    #[must_use]
    pub fn one(slot: Slot) -> Self {
        Self { start: slot, end: slot.next() }
    }

    /// How many slots the range has.
    #[must_use]
    pub fn len(self) -> u64 {
        self.end.since(self.start)
    }

    /// Whether the range has no slot.
    #[must_use]
    pub fn is_empty(self) -> bool {
        self.end <= self.start
    }

    /// Whether the slot lies in the range.
    #[must_use]
    pub fn contains(self, slot: Slot) -> bool {
        self.start <= slot && slot < self.end
    }

    /// The slots that lie in both ranges.
    #[must_use]
    pub fn intersection(self, other: Self) -> Self {
        Self::new(self.start.max(other.start), self.end.min(other.end))
    }

    /// The slots of the range, in order.
    pub fn iter(self) -> impl DoubleEndedIterator<Item = Slot> + Clone {
        (self.start.0..self.end.0).map(Slot)
    }
}

impl fmt::Display for Slots {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}..{}", self.start, self.end)
    }
}

/// Slots that share a ballot: how reports and announcements name proposals without their entries.
///
/// A (ballot, slot) pair names one entry, ever (invariant I2), so this is enough.
///
/// ```
/// use synod::slot::{Run, Slots};
/// use synod::{Ballot, ReplicaId, Slot};
///
/// let ballot = Ballot { round: 1, replica: ReplicaId(2) };
/// let mut runs = Vec::new();
/// [3, 4, 8].map(|slot| Run::push(&mut runs, Slot(slot), ballot));
/// assert_eq!(runs[0], Run { slots: Slots::new(Slot(3), Slot(5)), ballot });
/// assert_eq!(runs[1].to_string(), "s8..s9@1.2");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Run {
    /// The slots.
    pub slots: Slots,
    /// The ballot at each of them.
    pub ballot: Ballot,
}

impl Run {
    /// Adds a slot at the end of `runs`, lengthening the last run where it fits.
    pub fn push(runs: &mut Vec<Self>, slot: Slot, ballot: Ballot) {
        match runs.last_mut() {
            Some(last) if last.ballot == ballot && last.slots.end == slot => {
                last.slots.end = slot.next();
            }
            _ => runs.push(Self { slots: Slots::one(slot), ballot }),
        }
    }
}

impl fmt::Display for Run {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.slots, self.ballot)
    }
}

/// Runs in the order of their slots. A single one, as is the rule, takes no memory of its own.
///
/// ```
/// use synod::slot::{Run, RunList, Slots};
/// use synod::{Ballot, ReplicaId, Slot};
///
/// let ballot = Ballot { round: 1, replica: ReplicaId(2) };
/// let run = |slot| Run { slots: Slots::one(Slot(slot)), ballot };
/// let runs: RunList = vec![run(3), run(8)].into();
/// assert_eq!((runs.len(), runs[1]), (2, run(8)));
/// assert!(RunList::default().is_empty());
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct RunList(Listed);

#[derive(Clone, PartialEq, Eq)]
enum Listed {
    One(Run),
    /// Any number but one, so that equal lists are equal.
    Other(Box<[Run]>),
}

impl Deref for RunList {
    type Target = [Run];

    fn deref(&self) -> &[Run] {
        match &self.0 {
            Listed::One(run) => core::slice::from_ref(run),
            Listed::Other(runs) => runs,
        }
    }
}

impl From<&[Run]> for RunList {
    fn from(runs: &[Run]) -> Self {
        match runs {
            [run] => Self(Listed::One(*run)),
            other => Self(Listed::Other(other.into())),
        }
    }
}

impl From<Vec<Run>> for RunList {
    fn from(runs: Vec<Run>) -> Self {
        match &runs[..] {
            [run] => Self(Listed::One(*run)),
            _ => Self(Listed::Other(runs.into())),
        }
    }
}

impl Hash for RunList {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self[..].hash(state);
    }
}

impl Default for RunList {
    fn default() -> Self {
        Self(Listed::Other(Box::default()))
    }
}

impl fmt::Debug for RunList {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

/// Places for the open slots: at most [`ALPHA`] of them, from `first` on.
///
/// ```
/// use synod::Slot;
/// use synod::slot::{ALPHA, Ring};
///
/// let mut ring = Ring::new(Slot(10));
/// ring.insert(Slot(12), "a");
/// assert_eq!((ring.at(Slot(11)), ring.at(Slot(12))), (None, Some(&"a")));
/// assert!(!ring.has_place(Slot(10 + ALPHA)), "too far ahead");
/// ring.advance(Slot(13));
/// assert!(ring.is_empty() && !ring.has_place(Slot(12)));
/// ```
#[derive(Clone, Debug)]
pub struct Ring<T> {
    first: Slot,
    /// The first slot above every slot that is held; not below `first`.
    end: Slot,
    /// A power of two of places, at least as many as lie between the two marks, or none yet: a
    /// slot's place is its number, the high bits left out. All others are empty.
    places: Vec<Option<T>>,
}

impl<T> Ring<T> {
    /// An empty ring whose first place is for `first`.
    #[must_use]
    pub fn new(first: Slot) -> Self {
        Self { first, end: first, places: Vec::new() }
    }

    /// The lowest slot that has a place.
    #[must_use]
    pub fn first(&self) -> Slot {
        self.first
    }

    /// The first slot above every slot that is held.
    #[must_use]
    pub fn end(&self) -> Slot {
        self.end
    }

    /// Whether the slot has a place: not passed yet, and less than [`ALPHA`] on.
    #[must_use]
    pub fn has_place(&self, slot: Slot) -> bool {
        slot >= self.first && slot.since(self.first) < ALPHA
    }

    /// Where the slot's place is, if something may be held there.
    fn index(&self, slot: Slot) -> Option<usize> {
        let open = self.first <= slot && slot < self.end;
        open.then(|| place(slot, self.places.len()))
    }

    /// What is held for the slot.
    #[must_use]
    pub fn at(&self, slot: Slot) -> Option<&T> {
        self.places[self.index(slot)?].as_ref()
    }

    /// What is held for the slot, to change it.
    #[must_use]
    pub fn at_mut(&mut self, slot: Slot) -> Option<&mut T> {
        let index = self.index(slot)?;
        self.places[index].as_mut()
    }

    /// Holds `value` for the slot.
    ///
    /// # Panics
    /// If the slot has no place: the caller asks [`Ring::has_place`] before it takes a peer's word.
    #[inline]
    pub fn insert(&mut self, slot: Slot, value: T) -> Option<T> {
        assert!(
            self.has_place(slot),
            "{slot} has no place in a ring that begins at {}",
            self.first
        );
        // Below ALPHA.
        let needed = slot.since(self.first) as usize + 1;
        if needed > self.places.len() {
            self.grow(needed.next_power_of_two());
        }
        self.end = self.end.max(slot.next());
        let index = place(slot, self.places.len());
        self.places[index].replace(value)
    }

    #[inline(never)]
    fn grow(&mut self, places: usize) {
        let mut wider = Vec::new();
        wider.resize_with(places, || None);
        let before = self.places.len();
        for slot in Slots::new(self.first, self.end).iter() {
            wider[place(slot, places)] = self.places[place(slot, before)].take();
        }
        self.places = wider;
    }

    /// Takes out what is held for the slot.
    pub fn remove(&mut self, slot: Slot) -> Option<T> {
        let index = self.index(slot)?;
        let taken = self.places[index].take();
        while self.first < self.end && self.places[self.last()].is_none() {
            self.end = Slot(self.end.0 - 1);
        }
        taken
    }

    fn last(&self) -> usize {
        place(Slot(self.end.0 - 1), self.places.len())
    }

    /// Takes out what is held for the first slot, and drops its place. Does nothing if that is
    /// nothing.
    #[inline]
    pub(crate) fn pop_first(&mut self) -> Option<T> {
        let index = self.index(self.first)?;
        let taken = self.places[index].take()?;
        self.first = self.first.next();
        Some(taken)
    }

    /// Drops every place below `first`. A lower `first` does nothing.
    #[inline]
    pub fn advance(&mut self, first: Slot) {
        if first <= self.first {
            return;
        }
        if !self.is_empty() {
            self.clear(Slots::new(self.first, first.min(self.end)));
        }
        self.first = first;
        self.end = self.end.max(first);
    }

    fn clear(&mut self, slots: Slots) {
        for slot in slots.iter() {
            let index = place(slot, self.places.len());
            self.places[index] = None;
        }
    }

    /// What is held, in slot order.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = (Slot, &T)> {
        let open = Slots::new(self.first, self.end);
        open.iter().filter_map(|slot| self.at(slot).map(|held| (slot, held)))
    }

    /// What is held, in slot order, to change it.
    pub fn iter_mut(&mut self) -> impl DoubleEndedIterator<Item = (Slot, &mut T)> {
        let first = self.first;
        let split = if self.places.is_empty() { 0 } else { place(first, self.places.len()) };
        let (later, sooner) = self.places.split_at_mut(split);
        let wrap = first.plus(sooner.len() as u64);
        let sooner = sooner.iter_mut().enumerate().map(move |(i, held)| (first, i, held));
        let later = later.iter_mut().enumerate().map(move |(i, held)| (wrap, i, held));
        sooner
            .chain(later)
            .filter_map(|(from, i, held)| held.as_mut().map(|held| (from.plus(i as u64), held)))
    }

    /// Whether nothing is held.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.first == self.end
    }
}

/// The place of the slot among so many, a power of two.
fn place(slot: Slot, places: usize) -> usize {
    // Only the low bits matter.
    slot.0 as usize & (places - 1)
}

/// Rings are equal if they hold the same for the same slots, however many places they have.
impl<T: PartialEq> PartialEq for Ring<T> {
    fn eq(&self, other: &Self) -> bool {
        (self.first, self.end) == (other.first, other.end) && self.iter().eq(other.iter())
    }
}

impl<T: Eq> Eq for Ring<T> {}

impl<T: Hash> Hash for Ring<T> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.first.hash(state);
        self.iter().for_each(|held| held.hash(state));
        self.end.hash(state);
    }
}

#[cfg(test)]
mod tests;
