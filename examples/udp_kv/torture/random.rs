//! Where all that is random comes from: the seed of the run, and the number of a stream.

use synod::sim::Random;

/// What has a stream of its own, so that what one draws changes nothing for another.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Stream {
    /// Which faults there are.
    Plan,
    /// The cluster's key.
    Key,
    /// What becomes of the datagrams from one replica to another.
    Link { from: usize, to: usize },
    /// What one connection asks for.
    Worker(usize),
    /// Which connections the last reads through a replica leave.
    Last(usize),
}

/// The stream that belongs to the seed.
pub(crate) fn stream(seed: u64, stream: Stream) -> Random {
    let number = match stream {
        Stream::Plan => 1,
        Stream::Key => 2,
        Stream::Link { from, to } => 0x1_0000 + from * 0x100 + to,
        Stream::Worker(number) => 0x2_0000 + number,
        Stream::Last(replica) => 0x3_0000 + replica,
    };
    Random::from_seed(mix(mix(seed) ^ number as u64))
}

/// Spreads seeds that lie side by side (the last step of SplitMix64).
fn mix(seed: u64) -> u64 {
    let mut word = seed.wrapping_add(0x9E37_79B9_7F4A_7C15);
    word = (word ^ word >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    word = (word ^ word >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
    word ^ word >> 31
}

/// A number from `from` to `to`, that one not included.
pub(crate) fn between(random: &mut Random, from: u64, to: u64) -> u64 {
    from + random.below(to.saturating_sub(from))
}

/// A place in a list of so many.
pub(crate) fn place(random: &mut Random, count: usize) -> usize {
    usize::try_from(random.below(count as u64)).unwrap_or(0)
}
