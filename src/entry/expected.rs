//! How much room a batch is given at its begin, so that it is not moved while it grows.

use core::hash::{Hash, Hasher};

/// After how many shorter batches no long one is expected any more.
const SHORTER_MAX: u32 = 16;

/// How long the next batch may become. Says nothing of what a builder holds.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Expected {
    bytes: usize,
    /// How many batches in a row were shorter.
    shorter: u32,
}

impl Expected {
    /// What to make room for.
    pub(super) fn bytes(self) -> usize {
        self.bytes
    }

    /// Hears how long a batch became. A short one now and then makes the long ones no dearer.
    pub(super) fn note(&mut self, bytes: usize) {
        self.shorter += 1;
        if bytes >= self.bytes {
            *self = Self { bytes, shorter: 0 };
        } else if self.shorter >= SHORTER_MAX {
            *self = Self { bytes: self.bytes / 2, shorter: 0 };
        }
    }
}

impl PartialEq for Expected {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for Expected {}

impl Hash for Expected {
    fn hash<H: Hasher>(&self, _: &mut H) {}
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_batch_is_expected_until_many_in_a_row_were_shorter() {
        let mut expected = Expected::default();
        expected.note(64);
        for _ in 0..10 {
            (1..SHORTER_MAX).for_each(|_| expected.note(9));
            assert_eq!(expected.bytes(), 64);
            expected.note(64);
        }
        (0..SHORTER_MAX).for_each(|_| expected.note(9));
        assert_eq!(expected.bytes(), 32);
        expected.note(33);
        assert_eq!(expected.bytes(), 33);
    }
}
