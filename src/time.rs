//! Time as the core knows it: a count of microseconds that the driver hands in.

use core::fmt;
use core::time::Duration;

/// A point in time: microseconds since a zero that the driver chooses, by a clock that never goes
/// back.
///
/// The core reads no clock. Every input is told the time, so a test can make up its own.
///
/// ```
/// use std::time::Duration;
/// use synod::Instant;
///
/// let start = Instant::from_millis(1500);
/// let later = start.after(Duration::from_micros(250));
/// assert_eq!(later.since(start), Duration::from_micros(250));
/// assert_eq!(later.to_string(), "1.500250s");
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Instant(u64);

impl Instant {
    /// The driver's zero.
    pub const ZERO: Self = Self(0);

    /// The point `micros` microseconds after the zero.
    #[must_use]
    pub const fn from_micros(micros: u64) -> Self {
        Self(micros)
    }

    /// The point `millis` milliseconds after the zero.
    #[must_use]
    pub const fn from_millis(millis: u64) -> Self {
        Self(millis.saturating_mul(1000))
    }

    /// Microseconds since the zero.
    #[must_use]
    pub const fn as_micros(self) -> u64 {
        self.0
    }

    /// The point `duration` later; saturates. Less than a microsecond is rounded down.
    #[must_use]
    pub fn after(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)))
    }

    /// How much later this is than `earlier`; zero if it is not.
    #[must_use]
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_micros(self.0.saturating_sub(earlier.0))
    }
}

impl fmt::Display for Instant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{:06}s", self.0 / 1_000_000, self.0 % 1_000_000)
    }
}
