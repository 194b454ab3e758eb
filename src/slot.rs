//! Slots of the log, half-open ranges of them, runs with a ballot, and the ring that holds what is
//! open.

use alloc::collections::VecDeque;
use core::fmt;

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
    pub fn push(runs: &mut alloc::vec::Vec<Self>, slot: Slot, ballot: Ballot) {
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
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Ring<T> {
    first: Slot,
    places: VecDeque<Option<T>>,
}

impl<T> Ring<T> {
    /// An empty ring whose first place is for `first`.
    #[must_use]
    pub fn new(first: Slot) -> Self {
        Self { first, places: VecDeque::new() }
    }

    /// The lowest slot that has a place.
    #[must_use]
    pub fn first(&self) -> Slot {
        self.first
    }

    /// The first slot above every slot that is held.
    #[must_use]
    pub fn end(&self) -> Slot {
        self.first.plus(self.places.len() as u64)
    }

    /// Whether the slot has a place: not passed yet, and less than [`ALPHA`] on.
    #[must_use]
    pub fn has_place(&self, slot: Slot) -> bool {
        slot >= self.first && slot.since(self.first) < ALPHA
    }

    /// What is held for the slot.
    #[must_use]
    pub fn at(&self, slot: Slot) -> Option<&T> {
        if slot < self.first {
            return None;
        }
        self.places.get(usize::try_from(slot.since(self.first)).ok()?)?.as_ref()
    }

    /// What is held for the slot, to change it.
    #[must_use]
    pub fn at_mut(&mut self, slot: Slot) -> Option<&mut T> {
        if slot < self.first {
            return None;
        }
        self.places.get_mut(usize::try_from(slot.since(self.first)).ok()?)?.as_mut()
    }

    /// Holds `value` for the slot.
    ///
    /// # Panics
    /// If the slot has no place: the caller asks [`Ring::has_place`] before it takes a peer's word.
    pub fn insert(&mut self, slot: Slot, value: T) -> Option<T> {
        assert!(
            self.has_place(slot),
            "{slot} has no place in a ring that begins at {}",
            self.first
        );
        let index = slot.since(self.first) as usize;
        while self.places.len() <= index {
            self.places.push_back(None);
        }
        self.places[index].replace(value)
    }

    /// Takes out what is held for the slot.
    pub fn remove(&mut self, slot: Slot) -> Option<T> {
        if slot < self.first {
            return None;
        }
        let index = usize::try_from(slot.since(self.first)).ok()?;
        let taken = self.places.get_mut(index)?.take();
        while matches!(self.places.back(), Some(None)) {
            self.places.pop_back();
        }
        taken
    }

    /// Drops every place below `first`. A lower `first` does nothing.
    pub fn advance(&mut self, first: Slot) {
        let passed = usize::try_from(first.since(self.first)).unwrap_or(usize::MAX);
        if passed >= self.places.len() {
            self.places.clear();
        } else {
            self.places.drain(..passed);
        }
        self.first = self.first.max(first);
    }

    /// What is held, in slot order.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = (Slot, &T)> {
        let first = self.first;
        self.places
            .iter()
            .enumerate()
            .filter_map(move |(i, place)| place.as_ref().map(|held| (first.plus(i as u64), held)))
    }

    /// What is held, in slot order, to change it.
    pub fn iter_mut(&mut self) -> impl DoubleEndedIterator<Item = (Slot, &mut T)> {
        let first = self.first;
        self.places
            .iter_mut()
            .enumerate()
            .filter_map(move |(i, place)| place.as_mut().map(|held| (first.plus(i as u64), held)))
    }

    /// Whether nothing is held.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.places.iter().all(Option::is_none)
    }
}
