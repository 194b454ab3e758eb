//! What clients may see of counters that only grow: no less than was acknowledged, no more than
//! may have been applied, and no number twice.
//!
//! An increment of unknown fate leaves room for one too many. So that what was applied twice finds
//! no room to hide in, a counter is used only for a while, and not for long once it has one.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard};

use synod::sim::Random;

use super::random;

/// How many counters are in use at a time: a few, so that clients meet on them.
const IN_USE: usize = 3;

/// After how many increments a counter has had enough; and one with an unknown one.
const ENOUGH: u64 = 1000;
const ENOUGH_UNKNOWN: u64 = 100;

/// The counters.
#[derive(Debug)]
pub(crate) struct Counters {
    all: Mutex<All>,
}

#[derive(Debug, Default)]
struct All {
    in_use: Vec<u64>,
    next: u64,
    counters: BTreeMap<u64, Counter>,
}

#[derive(Clone, Debug, Default)]
struct Counter {
    acknowledged: u64,
    unknown: u64,
    /// Sent, and without an outcome.
    in_flight: u64,
    /// The highest number that anyone was answered.
    highest: u64,
    /// A bit for each number that an increment was answered.
    answered: Vec<u64>,
    /// It was wrong once. It would be again and again, which tells nothing new.
    broken: bool,
}

/// A read or an increment that has begun.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Begun {
    pub(crate) counter: u64,
    pub(crate) is_read: bool,
    /// What the counter was at least when it began.
    pub(crate) least: u64,
}

/// What became of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    Answered(u64),
    Never,
    Unknown,
}

/// The counter's name for the servers.
pub(crate) fn counter_name(counter: u64) -> String {
    format!("counter:{counter}")
}

impl Counters {
    pub(crate) fn new() -> Self {
        let mut all = All::default();
        all.in_use = (0..IN_USE).map(|_| all.open()).collect();
        Self { all: Mutex::new(all) }
    }

    /// A read or an increment of one of the counters in use begins: it is about to be sent.
    pub(crate) fn begin(&self, random: &mut Random, is_read: bool) -> Begun {
        let mut all = self.all();
        let place = random::place(random, IN_USE);
        if all.counters.get(&all.in_use[place]).is_none_or(Counter::has_had_enough) {
            all.in_use[place] = all.open();
        }
        let counter = all.in_use[place];
        all.begin(counter, is_read)
    }

    /// One of the last reads begins.
    pub(crate) fn begin_read(&self, counter: u64) -> Begun {
        self.all().begin(counter, true)
    }

    /// What became of what has begun.
    ///
    /// # Errors
    ///
    /// What is wrong with that.
    pub(crate) fn end(&self, begun: Begun, fate: Fate) -> Result<(), String> {
        let Begun { counter: number, is_read, least } = begun;
        let mut all = self.all();
        let in_use = all.in_use.contains(&number);
        let counter = all.counters.entry(number).or_default();
        if !is_read {
            counter.in_flight -= 1;
            match fate {
                Fate::Answered(_) => counter.acknowledged += 1,
                Fate::Never => {}
                Fate::Unknown => counter.unknown += 1,
            }
        }
        let judged = match fate {
            Fate::Answered(found) if !counter.broken => counter.judge(is_read, least, found),
            Fate::Answered(_) | Fate::Never | Fate::Unknown => Ok(()),
        };
        counter.broken |= judged.is_err();
        if !in_use && counter.in_flight == 0 {
            // Nobody will be answered another number.
            counter.answered = Vec::new();
        }
        judged.map_err(|why| {
            let what = if is_read { "a read" } else { "an increment" };
            let Counter { acknowledged, unknown, in_flight, .. } = counter;
            format!(
                "{}: {what} answered {why}, with {acknowledged} increments acknowledged, \
                 {unknown} unknown, {in_flight} in flight",
                counter_name(number)
            )
        })
    }

    /// The numbers of all counters there were.
    pub(crate) fn numbers(&self) -> Vec<u64> {
        self.all().counters.keys().copied().collect()
    }

    fn all(&self) -> MutexGuard<'_, All> {
        self.all.lock().expect("nobody panics with the counters")
    }
}

impl All {
    /// A new counter.
    fn open(&mut self) -> u64 {
        self.next += 1;
        self.counters.insert(self.next, Counter::default());
        self.next
    }

    fn begin(&mut self, number: u64, is_read: bool) -> Begun {
        let counter = self.counters.entry(number).or_default();
        let least = counter.acknowledged.max(counter.highest);
        counter.in_flight += u64::from(!is_read);
        Begun { counter: number, is_read, least }
    }
}

impl Counter {
    fn has_had_enough(&self) -> bool {
        let Self { acknowledged, unknown, .. } = self;
        self.broken
            || *acknowledged >= ENOUGH
            || (*unknown > 0 && acknowledged + unknown >= ENOUGH_UNKNOWN)
    }

    /// Whether this number can be the answer: what is wrong, if not.
    fn judge(&mut self, is_read: bool, least: u64, found: u64) -> Result<(), String> {
        let more = u64::from(!is_read);
        if found < least + more {
            return Err(format!("{found}, it was at least {least} before"));
        }
        if found > self.acknowledged + self.unknown + self.in_flight {
            return Err(format!("{found}, too much"));
        }
        self.highest = self.highest.max(found);
        if !is_read && !self.note(found) {
            return Err(format!("{found}, as another did"));
        }
        Ok(())
    }

    /// Notes that an increment was answered this number; whether it is the first.
    fn note(&mut self, number: u64) -> bool {
        let (word, bit) = (usize::try_from(number / 64).unwrap_or(0), 1 << (number % 64));
        if self.answered.len() <= word {
            self.answered.resize(word + 1, 0);
        }
        let first = self.answered[word] & bit == 0;
        self.answered[word] |= bit;
        first
    }
}
