//! The one place of the torture that reads the clock: when operations began and ended, and when the
//! next fault is due.

use std::time::{Duration, Instant};

/// A point in time: since the start of the run.
pub(crate) type Time = Duration;

/// Tells the time since the start of the run, the same to every thread.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock {
    zero: Instant,
}

impl Clock {
    /// A clock that starts now.
    #[allow(clippy::disallowed_methods, reason = "the core is told the time; this is a host")]
    pub(crate) fn start() -> Self {
        Self { zero: Instant::now() }
    }

    /// The time now.
    pub(crate) fn now(&self) -> Time {
        self.zero.elapsed()
    }
}
