//! What was found to be wrong, and the figures of the run: what the workloads tell, and what is
//! shown of it.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::clock::{Clock, Time};

/// How many violations are kept. One is enough, and each may be long.
const VIOLATIONS_MAX: usize = 10;

/// What was found to be wrong.
#[derive(Debug, Default)]
pub(crate) struct Findings {
    violations: Mutex<Vec<String>>,
    found: AtomicU64,
}

impl Findings {
    /// Notes a violation.
    pub(crate) fn report(&self, violation: String) {
        self.found.fetch_add(1, Ordering::Relaxed);
        let Ok(mut violations) = self.violations.lock() else { return };
        if violations.len() < VIOLATIONS_MAX {
            violations.push(violation);
        }
    }

    /// How many there are.
    pub(crate) fn count(&self) -> u64 {
        self.found.load(Ordering::Relaxed)
    }

    /// The first of them.
    pub(crate) fn first(&self) -> Vec<String> {
        self.violations.lock().map(|violations| violations.clone()).unwrap_or_default()
    }
}

/// What the workloads have done so far.
#[derive(Debug)]
pub(crate) struct Figures {
    clock: Clock,
    /// Writes and reads that were answered.
    pub(crate) writes: AtomicU64,
    pub(crate) reads: AtomicU64,
    /// Operations whose fate nobody knows.
    pub(crate) unknown: AtomicU64,
    /// Operations that were refused, with no effect.
    pub(crate) refused: AtomicU64,
    /// Connections that were made.
    pub(crate) connections: AtomicU64,
    /// When the last write was answered, in microseconds; 0 before the first.
    last: AtomicU64,
    /// The longest time between two, in microseconds.
    gap: AtomicU64,
}

impl Figures {
    pub(crate) fn new(clock: Clock) -> Self {
        let zero = || AtomicU64::new(0);
        Self {
            clock,
            writes: zero(),
            reads: zero(),
            unknown: zero(),
            refused: zero(),
            connections: zero(),
            last: zero(),
            gap: zero(),
        }
    }

    /// A write was answered at this time.
    pub(crate) fn count_write(&self, at: Time) {
        count(&self.writes);
        let at = microseconds(at);
        let before = self.last.fetch_max(at, Ordering::Relaxed);
        if before > 0 {
            self.gap.fetch_max(at.saturating_sub(before), Ordering::Relaxed);
        }
    }

    /// The longest time without an answered write that is over.
    pub(crate) fn gap_over(&self) -> Duration {
        Duration::from_micros(self.gap.load(Ordering::Relaxed))
    }

    /// The longest time without an answered write so far, one that still lasts included.
    pub(crate) fn gap(&self) -> Duration {
        let last = self.last.load(Ordering::Relaxed);
        let lasts = if last > 0 { microseconds(self.clock.now()).saturating_sub(last) } else { 0 };
        Duration::from_micros(self.gap.load(Ordering::Relaxed).max(lasts))
    }

    /// Whatever was answered.
    pub(crate) fn answered(&self) -> u64 {
        read(&self.writes) + read(&self.reads)
    }
}

/// Counts one more.
pub(crate) fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}

/// What was counted.
pub(crate) fn read(counter: &AtomicU64) -> u64 {
    counter.load(Ordering::Relaxed)
}

fn microseconds(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}
