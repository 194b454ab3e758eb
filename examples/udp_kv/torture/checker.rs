//! Whether what clients saw of one key could have come from one register that does one thing at a
//! time: the search of Wing and Gong with Lowe's memory of where it was.
//!
//! Every value is written by one operation only, and a key begins without one. So whoever found a
//! value tells who was before him, which leaves little to search for:
//!
//! - a write that nobody answered and whose value nobody found might as well not have happened;
//! - what found the present value is done at once, and a value that someone still has to find must
//!   not be overwritten by anybody else;
//! - a write that nobody saw is done as soon as it may be;
//! - only among the other writes the search has a choice, and then the present value, which nobody
//!   asks for any more, is no part of where it stands.

use std::collections::{BTreeMap, BTreeSet};

use super::clock::Time;

/// How many operations of a key can be checked, those without effect not counted.
pub(crate) const OPERATIONS_MAX: usize = 128;

/// How many places a search may visit before it gives up.
pub(crate) const POINTS_MAX: usize = 1 << 18;

/// What a client asks of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    /// GET.
    Read,
    /// SET of this value.
    Write(u64),
    /// GETSET: finds the value, and writes this one.
    Exchange(u64),
}

/// What became of an operation, as far as its client knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// It was answered at this time; a read or an exchange found this value, `None` if the key had
    /// none.
    Answered { at: Time, found: Option<u64> },
    /// It took effect never, and never will: the server said so.
    Never,
    /// It may take effect at any time after it was sent, or never.
    Unknown,
}

/// An operation on a key.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Operation {
    /// The connection that it was sent over. No two connections of a run have the same number.
    pub(crate) connection: u64,
    /// Its place among the operations of that connection.
    pub(crate) order: u64,
    pub(crate) action: Action,
    /// When it was sent, or a little earlier.
    pub(crate) sent: Time,
    pub(crate) outcome: Outcome,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Linearizable,
    Not,
    /// The search grew too long, or there are too many operations.
    Open,
}

impl Action {
    fn written(self) -> Option<u64> {
        match self {
            Self::Read => None,
            Self::Write(value) | Self::Exchange(value) => Some(value),
        }
    }
}

impl Operation {
    /// What it found, if it was answered and had to find something.
    fn found(&self) -> Option<Option<u64>> {
        match (self.outcome, self.action) {
            (Outcome::Answered { found, .. }, Action::Read | Action::Exchange(_)) => Some(found),
            _ => None,
        }
    }

    /// Whether this one took effect before the other, if both did.
    fn is_before(&self, other: &Self) -> bool {
        let Outcome::Answered { at, .. } = self.outcome else { return false };
        let in_line = self.connection == other.connection && self.order < other.order;
        at < other.sent || in_line
    }
}

/// A set of operations.
type Set = u128;

struct Search<'a> {
    operations: &'a [Operation],
    /// For each operation those that come before it.
    before: Vec<Set>,
    /// Who found each value, `None` being none.
    finders: BTreeMap<Option<u64>, Set>,
    seen: BTreeSet<Set>,
    points_max: usize,
}

/// Searches for an order of the operations, all of one key, which has no value before them.
pub(crate) fn check(operations: &[Operation], points_max: usize) -> Verdict {
    let found: BTreeSet<u64> = operations.iter().filter_map(|one| one.found()?).collect();
    let matters = |one: &&Operation| match one.outcome {
        Outcome::Answered { .. } => true,
        Outcome::Never => false,
        Outcome::Unknown => one.action.written().is_some_and(|value| found.contains(&value)),
    };
    let mut operations: Vec<Operation> = operations.iter().filter(matters).copied().collect();
    if operations.len() > OPERATIONS_MAX {
        return Verdict::Open;
    }
    // Whoever must be done first is tried first.
    operations.sort_by_key(|one| match one.outcome {
        Outcome::Answered { at, .. } => at,
        Outcome::Never | Outcome::Unknown => Time::MAX,
    });
    let before_one = |one: &Operation| {
        let earlier = (0..operations.len()).filter(|i| operations[*i].is_before(one));
        earlier.fold(0, |set, i| set | 1 << i)
    };
    let mut finders: BTreeMap<Option<u64>, Set> = BTreeMap::new();
    for (i, one) in operations.iter().enumerate() {
        if let Some(value) = one.found() {
            *finders.entry(value).or_default() |= 1 << i;
        }
    }
    let before = operations.iter().map(before_one).collect();
    let mut search =
        Search { operations: &operations, before, finders, seen: BTreeSet::new(), points_max };
    search.from(0, None)
}

impl Search<'_> {
    /// Searches on from where these are done and the key has this value.
    fn from(&mut self, done: Set, value: Option<u64>) -> Verdict {
        let Some(done) = self.forced(done, value) else { return Verdict::Not };
        let all = Set::MAX.checked_shr(128 - self.operations.len() as u32).unwrap_or(0);
        if done == all {
            return Verdict::Linearizable;
        }
        if !self.seen.insert(done) {
            return Verdict::Not;
        }
        if self.seen.len() > self.points_max {
            return Verdict::Open;
        }
        for i in 0..self.operations.len() {
            let one = &self.operations[i];
            if !self.is_next(done, i) || one.found().is_some() {
                continue;
            }
            match self.from(done | 1 << i, one.action.written()) {
                Verdict::Not => {}
                end @ (Verdict::Linearizable | Verdict::Open) => return end,
            }
        }
        Verdict::Not
    }

    /// Does what must be done, or may as well be done now; nothing if that leads nowhere.
    fn forced(&self, mut done: Set, mut value: Option<u64>) -> Option<Set> {
        loop {
            let finders = self.finders_of(value) & !done;
            if finders == 0 {
                let Some(unseen) = self.unseen(done) else { return Some(done) };
                done |= 1 << unseen;
                value = self.operations[unseen].action.written();
                continue;
            }
            let mut all = (0..self.operations.len()).filter(|i| finders >> i & 1 == 1);
            let is_read = |i: &usize| self.operations[*i].action == Action::Read;
            if let Some(read) = all.clone().find(|i| is_read(i) && self.is_next(done, *i)) {
                done |= 1 << read;
                continue;
            }
            // The last one who finds it overwrites it. More than one cannot be the last.
            let last = all.next().filter(|i| !is_read(i) && self.is_next(done, *i));
            let (Some(last), None) = (last, all.next()) else { return None };
            done |= 1 << last;
            value = self.operations[last].action.written();
        }
    }

    /// A write that nobody saw and that may be done next.
    fn unseen(&self, done: Set) -> Option<usize> {
        let mut all = 0..self.operations.len();
        all.find(|i| {
            let one = &self.operations[*i];
            let blind = one.found().is_none() && self.finders_of(one.action.written()) == 0;
            blind && self.is_next(done, *i)
        })
    }

    fn is_next(&self, done: Set, i: usize) -> bool {
        done >> i & 1 == 0 && self.before[i] & !done == 0
    }

    fn finders_of(&self, value: Option<u64>) -> Set {
        self.finders.get(&value).copied().unwrap_or(0)
    }
}

/// A history that is not linearizable, without what does not matter: no read and no unseen write
/// can be taken from it.
pub(crate) fn smallest(operations: &[Operation]) -> Vec<Operation> {
    let mut kept = operations.to_vec();
    let mut i = 0;
    while i < kept.len() {
        let found: BTreeSet<u64> = kept.iter().filter_map(|one| one.found()?).collect();
        // Without a write that someone found, the rest would be wrong for another reason.
        let seen = kept[i].action.written().is_some_and(|value| found.contains(&value));
        let mut fewer = kept.clone();
        fewer.remove(i);
        if !seen && check(&fewer, POINTS_MAX) == Verdict::Not {
            kept = fewer;
            // What could not go before may go now.
            i = 0;
        } else {
            i += 1;
        }
    }
    kept
}
