//! The one place that looks at a clock.

use core::time::Duration;
use std::thread;
use std::time::Instant as Wall;

use crate::time::Instant;

/// Counts microseconds from the node's start, by the system's monotonic clock.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock {
    zero: Wall,
}

impl Clock {
    /// A clock whose zero is now.
    pub(crate) fn start() -> Self {
        Self { zero: wall() }
    }

    /// The time. Starts at one second, so that no time looks like "never".
    pub(crate) fn now(&self) -> Instant {
        Instant::from_millis(1000).after(wall().duration_since(self.zero))
    }
}

/// The point `timeout` from now; `None` if it is too far away to come.
pub(crate) fn deadline(timeout: Duration) -> Option<Wall> {
    wall().checked_add(timeout)
}

/// Parks this thread until somebody unparks it, at most until then. Whether it is as late as that.
pub(crate) fn park_until(deadline: Option<Wall>) -> bool {
    let Some(deadline) = deadline else {
        thread::park();
        return false;
    };
    let left = deadline.saturating_duration_since(wall());
    if left.is_zero() {
        return true;
    }
    thread::park_timeout(left);
    false
}

#[expect(clippy::disallowed_methods, reason = "the driver hands time to everything else")]
fn wall() -> Wall {
    Wall::now()
}
