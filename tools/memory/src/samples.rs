//! Samples of memory over a run, and whether they are flat.

use crate::allocation;
use crate::process::{self, Resident};

/// How much the last quarter's mean may be above the second quarter's: the larger of the two. The
/// first quarter is where caches and queues find their size.
const GROWTH_PERCENT_MAX: f64 = 5.0;
const GROWTH_BYTES_MAX: f64 = (8 << 20) as f64;

/// One look at the memory.
#[derive(Clone, Copy)]
pub(crate) struct Sample {
    pub(crate) resident: Resident,
    /// Bytes that are allocated.
    pub(crate) held: u64,
}

impl Sample {
    pub(crate) fn take() -> Result<Self, String> {
        Ok(Self { resident: process::resident()?, held: allocation::held_bytes() })
    }
}

/// The means of the second and of the last quarter.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Quarters {
    pub(crate) second: f64,
    pub(crate) last: f64,
}

impl Quarters {
    /// Of at least four values.
    pub(crate) fn of(values: impl IntoIterator<Item = u64>) -> Self {
        let values: Vec<f64> = values.into_iter().map(|value| value as f64).collect();
        assert!(values.len() >= 4, "{} samples are too few to judge", values.len());
        let quarter = values.len() / 4;
        let mean = |some: &[f64]| some.iter().sum::<f64>() / some.len() as f64;
        let last = mean(&values[values.len() - quarter..]);
        Self { second: mean(&values[quarter..2 * quarter]), last }
    }

    /// Whether nothing grew, but for a little.
    pub(crate) fn is_flat(self) -> bool {
        let room = (self.second * GROWTH_PERCENT_MAX / 100.0).max(GROWTH_BYTES_MAX);
        self.last <= self.second + room
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: u64 = 1 << 20;

    #[test]
    fn what_settles_in_the_first_quarter_is_flat() {
        let values = (0..25).map(|i| i * 40 * MIB).chain((25..100).map(|_| 1000 * MIB));
        let quarters = Quarters::of(values);
        assert_eq!(quarters.second, quarters.last);
        assert!(quarters.is_flat());
    }

    #[test]
    fn what_grows_with_the_run_is_not() {
        assert!(!Quarters::of((0..100).map(|i| 1000 * MIB + i * 2 * MIB)).is_flat());
        assert!(!Quarters::of((0..100).map(|i| i * MIB / 4)).is_flat());
    }

    #[test]
    fn five_percent_or_eight_mebibytes_are_room() {
        let step = |from: u64, to: u64| Quarters::of([0, from * MIB, from * MIB, to * MIB]);
        assert!(step(10, 18).is_flat() && !step(10, 19).is_flat());
        assert!(step(1000, 1050).is_flat() && !step(1000, 1051).is_flat());
    }
}
