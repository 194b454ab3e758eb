//! The one place of this example that reads the clock.

use std::time::Instant;

/// The time now.
#[allow(clippy::disallowed_methods, reason = "the crate's core is told the time; this is a host")]
pub(crate) fn now() -> Instant {
    Instant::now()
}
