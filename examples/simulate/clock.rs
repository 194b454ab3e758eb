//! The one place of this example that reads clocks: for figures, never for a decision.

use std::time::{Duration, Instant};

use rustix::time::{ClockId, clock_gettime};

/// The time now.
#[allow(clippy::disallowed_methods, reason = "figures for people; the simulator is told the time")]
pub(crate) fn now() -> Instant {
    Instant::now()
}

/// How long this thread has had a processor.
pub(crate) fn busy() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
    Duration::new(seconds, u32::try_from(time.tv_nsec).unwrap_or(0))
}
