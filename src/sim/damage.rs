//! Frames that are changed under way, in every way in which a frame can be refused.

use bytes::Bytes;

use crate::checksum;
use crate::wire::FRAME_BYTES_MAX;

use super::network::{Condition, Envelope, Payload};

/// What stands behind every frame that is too long. Never written, so it takes no memory.
static TOO_LONG: [u8; FRAME_BYTES_MAX + 1] = [0; FRAME_BYTES_MAX + 1];

/// Where a frame's reserved byte, the length of its header and its checksum stand.
const RESERVED_AT: usize = 5;
const HEADER_BYTES_AT: usize = 6;
const CHECKSUM_AT: usize = 8;
/// The least that has a checksum.
const PREFIX_BYTES: usize = 56;
/// The most bits that are flipped in one frame.
const FLIPS_MAX: u64 = 64;

impl Envelope {
    /// Damages a frame. A message that is no frame stays whole: then this is false.
    pub(crate) fn damage(&mut self, below: impl FnMut(u64) -> u64) -> bool {
        match &mut self.payload {
            Payload::Frame { bytes, condition } if !bytes.is_empty() => {
                *bytes = damaged(bytes, below);
                *condition = Condition::Damaged;
                true
            }
            Payload::Frame { .. } | Payload::Message(_) => false,
        }
    }
}

/// The frame with something wrong about it.
fn damaged(frame: &Bytes, mut below: impl FnMut(u64) -> u64) -> Bytes {
    let mut changed = frame.to_vec();
    let bits = 8 * frame.len() as u64;
    match below(16) {
        0..=3 => flip(&mut changed, below(bits)),
        4..=6 => (0..2 + below(FLIPS_MAX - 1)).for_each(|_| flip(&mut changed, below(bits))),
        // Where every frame says what it is: seldom hit by chance, as it is short.
        7 => flip(&mut changed, below(bits.min(8 * CHECKSUM_AT as u64))),
        8 | 9 => changed.truncate(below(frame.len() as u64) as usize),
        10 | 11 => changed.extend_from_slice(frame),
        12 => return Bytes::from_static(&TOO_LONG),
        // From here on the checksum fits: the sender was wrong before it made it.
        13 if changed.len() >= PREFIX_BYTES => {
            changed[RESERVED_AT] = 1 + below(255) as u8;
            seal(&mut changed);
        }
        14 if changed.len() >= PREFIX_BYTES => {
            changed[HEADER_BYTES_AT..CHECKSUM_AT].fill(0);
            seal(&mut changed);
        }
        _ => {
            changed.extend_from_slice(frame);
            seal(&mut changed);
        }
    }
    Bytes::from(changed)
}

fn flip(bytes: &mut [u8], bit: u64) {
    bytes[(bit / 8) as usize] ^= 1 << (bit % 8);
}

/// Makes the checksum fit.
fn seal(frame: &mut [u8]) {
    if frame.len() >= PREFIX_BYTES {
        let head = checksum::of(&frame[..CHECKSUM_AT]);
        let sum = checksum::extend(head, &frame[CHECKSUM_AT + 4..]);
        frame[CHECKSUM_AT..CHECKSUM_AT + 4].copy_from_slice(&sum.to_le_bytes());
    }
}
