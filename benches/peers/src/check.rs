//! What a replica applied, and whether all applied the same.
//!
//! The state machine of every peer is this one: it reads each byte of each command and folds it
//! into a digest that depends on their order. So no peer is measured with commands that it never
//! touched, and none passes whose replicas differ, or that lost, doubled or swapped a command.

use crate::workload::Workload;

/// An odd constant with bits everywhere: the golden ratio's.
const FACTOR: u64 = 0x9e37_79b9_7f4a_7c15;

/// The state machine: a count and a digest.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Applied {
    /// How many commands were applied.
    pub(crate) count: u64,
    digest: u64,
}

impl Applied {
    /// Reads the command and folds it in.
    #[inline]
    pub(crate) fn apply(&mut self, command: &[u8]) {
        self.count += 1;
        self.digest = (self.digest.rotate_left(29) ^ digest(command)).wrapping_mul(FACTOR);
    }

    /// Applies commands, one after the other. Apart from whatever calls it, so that the count and
    /// the digest stay in registers.
    #[inline(never)]
    pub(crate) fn apply_all<'a>(&mut self, commands: impl Iterator<Item = &'a [u8]>) {
        let mut applied = *self;
        commands.for_each(|command| applied.apply(command));
        *self = applied;
    }
}

/// A digest of all bytes: a polynomial over words of 8 bytes, little-endian. What it does for one
/// command depends on no other, so a processor works on several at a time.
#[inline]
fn digest(command: &[u8]) -> u64 {
    let (words, rest) = command.as_chunks::<8>();
    let fold = |digest: u64, word: [u8; 8]| {
        digest.wrapping_add(u64::from_le_bytes(word)).wrapping_mul(FACTOR)
    };
    let digest = words.iter().fold(command.len() as u64, |digest, word| fold(digest, *word));
    let mut last = [0; 8];
    last[..rest.len()].copy_from_slice(rest);
    let digest = if rest.is_empty() { digest } else { fold(digest, last) };
    digest ^ (digest >> 32)
}

/// Holds that every replica applied the first `commands` of the workload, each once, in order.
///
/// # Errors
///
/// Says which replica did not.
pub(crate) fn in_order(
    replicas: &[Applied],
    workload: &mut Workload,
    commands: u64,
) -> Result<(), String> {
    let mut right = Applied::default();
    (0..commands).for_each(|number| right.apply(workload.command(number)));
    match replicas.iter().position(|applied| *applied != right) {
        None => Ok(()),
        Some(i) => Err(format!("replica {} applied {:?}, not {right:?}", i + 1, replicas[i])),
    }
}

#[cfg(test)]
mod tests;
