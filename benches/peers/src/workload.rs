//! The commands that every peer gets: the same for the same seed, no two of them equal.
//!
//! A command is its number in 8 bytes, little-endian, and then random bytes from a place of a small
//! pool that depends on the number. To make one costs a copy from the first-level cache and no
//! allocation, so that what is measured is the peer.

/// The number of a command.
pub(crate) const NUMBER_BYTES: usize = 8;

/// Where commands may begin in the pool, beside their own length. A power of two.
const POOL_BYTES: usize = 8192;

/// Far from every divisor of the pool, so that neighbours differ everywhere.
const STRIDE: usize = 1021;

/// Makes commands, in order.
pub(crate) struct Workload {
    pool: Vec<u8>,
    command: Vec<u8>,
    next: u64,
}

impl Workload {
    /// Commands of `value_bytes` each, the first of them numbered 0.
    ///
    /// # Panics
    ///
    /// Panics if a command is too short for its number.
    pub(crate) fn new(seed: u64, value_bytes: usize) -> Self {
        assert!(value_bytes >= NUMBER_BYTES, "a command has at least {NUMBER_BYTES} bytes");
        let mut state = seed;
        let words = (POOL_BYTES + value_bytes).div_ceil(8);
        let pool = (0..words).flat_map(|_| split_mix(&mut state).to_le_bytes()).collect();
        Self { pool, command: vec![0; value_bytes], next: 0 }
    }

    /// The next command, and its number.
    #[inline]
    pub(crate) fn next(&mut self) -> (u64, &[u8]) {
        let number = self.next;
        self.next += 1;
        (number, self.command(number))
    }

    /// The last command comes once more.
    pub(crate) fn go_back(&mut self) {
        self.next -= 1;
    }

    /// The command with this number.
    #[inline]
    pub(crate) fn command(&mut self, number: u64) -> &[u8] {
        let from = (number as usize).wrapping_mul(STRIDE) % POOL_BYTES;
        let (head, tail) = self.command.split_at_mut(NUMBER_BYTES);
        head.copy_from_slice(&number.to_le_bytes());
        tail.copy_from_slice(&self.pool[from..from + tail.len()]);
        &self.command
    }
}

/// SplitMix64 (Steele, Lea, Flood: Fast splittable pseudorandom number generators, 2014).
fn split_mix(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut z = *state;
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests;
