//! The numbers that a workload may use: from the run's seed, and from nothing else.

use oorandom::Rand64;

/// Random numbers that are the same in every run of a seed, on every machine.
///
/// ```
/// use synod::sim::Random;
///
/// let (mut one, mut same) = (Random::from_seed(7), Random::from_seed(7));
/// assert!((0..100).all(|_| one.below(6) == same.below(6)));
/// assert!(!one.chance(0) && one.chance(1000));
/// ```
#[derive(Clone, Debug)]
pub struct Random(Rand64);

impl Random {
    /// The numbers that belong to the seed.
    #[must_use]
    pub fn from_seed(seed: u64) -> Self {
        Self(Rand64::new(u128::from(seed)))
    }

    /// A number below `below`; 0 if that is 0.
    pub fn below(&mut self, below: u64) -> u64 {
        self.0.rand_range(0..below.max(1))
    }

    /// Whether something happens that happens in so many of a thousand cases.
    pub fn chance(&mut self, permille: u32) -> bool {
        permille > 0 && self.below(1000) < u64::from(permille)
    }
}
