//! Frames: how messages look on the wire.
//!
//! A frame is a fixed prefix, a small header in postcard's format, and a raw payload: the bytes of
//! an entry, or of a piece of a larger frame. All integers of the prefix are little-endian:
//!
//! ```text
//!  0 magic    "SYND"
//!  4 version  u8   of the wire format
//!  5 zero     u8
//!  6 header   u16  length of the header in bytes
//!  8 checksum u32  CRC32C of every other byte of the frame
//! 12 cluster  16 bytes
//! 28 disk     16 bytes, the sender's
//! 44 replica  u32, the sender
//! 48 start    u64, the sender's incarnation
//! 56 the header, then the payload up to the end
//! ```
//!
//! The payload is not copied on arrival: it stays a slice of the received buffer. Nothing here
//! trusts a length before it is bounded, and no frame, however made, is more than an error.

mod check;
mod header;
mod lists;

use alloc::vec::Vec;

use bytes::Bytes;
use thiserror::Error;

use crate::checksum;
use crate::entry::{BatchError, ENTRY_BYTES_MAX};
use crate::membership::{ClusterId, DiskId, Incarnation, Peer, ReplicaId};
use crate::message::Message;

use header::Header;

/// The version of the wire format that this crate speaks.
pub const WIRE_VERSION: u8 = 1;

/// The longest header of a frame, in bytes: room for a Promise that names [`crate::slot::ALPHA`]
/// slots one by one, twice.
pub const HEADER_BYTES_MAX: usize = 14 << 10;

/// The most that a frame needs beside its payload, in bytes.
pub const FRAME_OVERHEAD: usize = PREFIX_BYTES + HEADER_BYTES_MAX;

/// The longest frame of a message, in bytes; a longer one is refused unread.
pub const FRAME_BYTES_MAX: usize = FRAME_OVERHEAD + ENTRY_BYTES_MAX;

/// The highest slot that a frame may name. A million slots a second reach it in 146,000 years;
/// with it, sums of slots are far from overflow.
pub const SLOT_MAX: u64 = 1 << 62;

/// The most slots that one CatchUp may ask for. Encoding shortens a longer range: the answer is as
/// many entries as fit a page anyway.
pub const CATCH_UP_SLOTS_MAX: u64 = 1 << 16;

/// The length of the fixed prefix of a frame.
pub(crate) const PREFIX_BYTES: usize = 56;

/// The longest header of a fragment or of its acknowledgement, in bytes; a test holds it.
pub(crate) const SMALL_HEADER_BYTES_MAX: usize = 80;

/// The least that a piece of a longer frame has, in bytes, its last piece aside.
pub(crate) const PIECE_BYTES_MIN: usize = 256;

const MAGIC: [u8; 4] = *b"SYND";

/// What a frame holds.
///
/// ```
#[doc = include_str!("fragment/example.txt")]
/// let cluster = ClusterId::named("docs")?;
/// let message = Message::from(Canvass { sequence: 1, chosen: Slot(0) });
/// let mut frame = Vec::new();
/// wire::encode(cluster, peer(1), &message, &mut frame);
/// let (from, body) = wire::decode(cluster, Bytes::from(frame))?;
/// assert_eq!((from, body), (peer(1), Body::Message(message)));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Body {
    /// A message.
    Message(Message),
    /// A piece of a frame that is too long for the transport.
    Fragment(Fragment),
    /// Which pieces have arrived.
    Acknowledgement(Acknowledgement),
}

impl Body {
    /// The name of what the frame holds, for traces and counters.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Message(message) => message.name(),
            Self::Fragment(_) => "Fragment",
            Self::Acknowledgement(_) => "Acknowledgement",
        }
    }
}

/// A piece of a frame that is too long for the transport.
///
/// ```
#[doc = include_str!("fragment/example.txt")]
/// let frames = long_frames();
/// let (_, body) = wire::decode(ClusterId::named("docs")?, frames[0].clone())?;
/// let Body::Fragment(Fragment { to, index, total_bytes, .. }) = body else { panic!() };
/// assert_eq!((to, index), (ReplicaId(2), 0));
/// assert!(total_bytes as usize > frames[0].len());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fragment {
    /// Whom it is for.
    pub to: ReplicaId,
    /// Counts the long frames of this sender to this receiver.
    pub number: u64,
    /// The lowest number that the sender still sends pieces of; what is below is over.
    pub oldest: u64,
    /// The length of the whole frame, in bytes, up to [`FRAME_BYTES_MAX`].
    pub total_bytes: u32,
    /// The length of every piece but the last, in bytes.
    pub piece_bytes: u32,
    /// Which piece this is, from 0.
    pub index: u32,
    /// The piece.
    pub bytes: Bytes,
}

/// Tells the sender of fragments which pieces of a frame have arrived.
///
/// ```
#[doc = include_str!("fragment/example.txt")]
/// let cluster = ClusterId::named("docs")?;
/// let mut receiver = Courier::new(cluster, peer(2), 1200)?;
/// let mut answers = Vec::new();
/// for frame in long_frames() {
///     let emit = &mut |_, answer: &[u8]| answers.push(Bytes::copy_from_slice(answer));
///     receiver.receive(Instant::ZERO, frame, emit)?;
/// }
/// let last = answers.pop().expect("the receiver tells what has arrived");
/// let (_, body) = wire::decode(cluster, last)?;
/// let Body::Acknowledgement(Acknowledgement { to, arrived, .. }) = body else { panic!() };
/// assert_eq!((to, arrived as usize), (ReplicaId(1), long_frames().len()));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Acknowledgement {
    /// Whom it is for: the sender of the fragments.
    pub to: ReplicaId,
    /// The start of that replica in which it sent them.
    pub incarnation: Incarnation,
    /// The number of the frame.
    pub number: u64,
    /// Every piece below this index has arrived.
    pub arrived: u32,
    /// Bit `i` of this row of 256 bits, lowest first: piece `arrived + i` has arrived.
    pub ahead: [u64; 4],
}

/// Why bytes are no frame for this replica.
///
/// ```
#[doc = include_str!("fragment/example.txt")]
/// let cluster = ClusterId::named("docs")?;
/// let mut frame = Vec::new();
/// let message = Message::from(Canvass { sequence: 1, chosen: Slot(0) });
/// wire::encode(cluster, peer(1), &message, &mut frame);
/// let other = ClusterId::named("other")?;
/// let error = wire::decode(other, Bytes::from(frame.clone())).unwrap_err();
/// assert_eq!(error, FrameError::Cluster { found: cluster });
/// *frame.last_mut().expect("it has bytes") ^= 1;
/// assert_eq!(wire::decode(cluster, Bytes::from(frame)), Err(FrameError::Checksum));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum FrameError {
    /// Shorter than a frame can be.
    #[error("{bytes} bytes are too few for a frame")]
    TooShort {
        /// The length.
        bytes: usize,
    },
    /// Longer than [`FRAME_BYTES_MAX`].
    #[error("{bytes} bytes are too many for a frame")]
    TooLong {
        /// The length.
        bytes: usize,
    },
    /// Not a frame at all.
    #[error("this is no frame: it begins otherwise")]
    Magic,
    /// A frame of another version of the wire format.
    #[error("a frame of wire version {found}; this replica speaks {WIRE_VERSION}")]
    Version {
        /// The version.
        found: u8,
    },
    /// Damaged: the checksum does not fit the bytes.
    #[error("the frame is damaged: its checksum does not fit")]
    Checksum,
    /// A frame of another cluster.
    #[error("a frame of another cluster, {found}")]
    Cluster {
        /// The cluster.
        found: ClusterId,
    },
    /// The header does not decode, or its lists are longer than they may be.
    #[error("a header of {bytes} bytes does not decode")]
    Header {
        /// The length of the header.
        bytes: usize,
    },
    /// A value in the header is outside its bounds.
    #[error("out of bounds: {what}")]
    Bounds {
        /// What is out of bounds.
        what: &'static str,
    },
    /// The payload is no entry.
    #[error("the payload is no entry: {0}")]
    Payload(#[from] BatchError),
    /// Bytes behind a message that has no payload.
    #[error("{bytes} bytes behind a message that has no payload")]
    Trailing {
        /// How many.
        bytes: usize,
    },
    /// A fragment that contradicts the fragments before it, or what may be sent.
    #[error("a fragment is refused: {what}")]
    Fragment {
        /// What is wrong with it.
        what: &'static str,
    },
    /// The transport's frames are too short to carry anything.
    #[error("frames of {bytes} bytes are too short: the least is {least}")]
    Transport {
        /// The longest frame that the transport takes, in bytes.
        bytes: usize,
        /// The least that it must take, in bytes.
        least: usize,
    },
}

/// Writes the frame of a message into `buffer`, in place of what it held.
///
/// # Panics
/// If the message breaks the bounds that every receiver checks: more than
/// [`crate::slot::ALPHA`] slots in its runs, runs out of order, an Accepted of no slots, or more
/// than [`crate::membership::MEMBERS_MAX`] members. No peer would take it, so it would be sent for
/// ever in vain.
pub fn encode(cluster: ClusterId, from: Peer, message: &Message, buffer: &mut Vec<u8>) {
    if let Err(what) = check::check(message) {
        panic!("a {} that no peer would take: {what}", message.name());
    }
    write(cluster, from, &Header::of(message), header::payload(message), buffer);
}

/// Writes the frame of a fragment into `buffer`, in place of what it held.
pub(crate) fn encode_fragment(
    cluster: ClusterId,
    from: Peer,
    fragment: &Fragment,
    buffer: &mut Vec<u8>,
) {
    write(cluster, from, &Header::of_fragment(fragment), &fragment.bytes, buffer);
}

/// Writes the frame of an acknowledgement into `buffer`, in place of what it held.
pub(crate) fn encode_acknowledgement(
    cluster: ClusterId,
    from: Peer,
    acknowledgement: &Acknowledgement,
    buffer: &mut Vec<u8>,
) {
    write(cluster, from, &Header::of_acknowledgement(acknowledgement), &[], buffer);
}

fn write(
    cluster: ClusterId,
    from: Peer,
    header: &Header<'_>,
    payload: &[u8],
    buffer: &mut Vec<u8>,
) {
    buffer.clear();
    buffer.extend_from_slice(&MAGIC);
    buffer.extend_from_slice(&[WIRE_VERSION, 0, 0, 0, 0, 0, 0, 0]);
    buffer.extend_from_slice(&cluster.0);
    buffer.extend_from_slice(&from.disk.0);
    buffer.extend_from_slice(&from.replica.0.to_le_bytes());
    buffer.extend_from_slice(&from.incarnation.0.to_le_bytes());
    header.write(buffer);
    let header_bytes = buffer.len() - PREFIX_BYTES;
    assert!(header_bytes <= HEADER_BYTES_MAX, "a header of {header_bytes} bytes is too long");
    buffer[6..8].copy_from_slice(&(header_bytes as u16).to_le_bytes());
    buffer.extend_from_slice(payload);
    let sum = checksum_of(buffer);
    buffer[8..12].copy_from_slice(&sum.to_le_bytes());
}

/// Takes a frame apart, after every check that needs no state. The payload stays in `frame`.
///
/// # Errors
/// Why it is no frame for a replica of this cluster. A damaged frame is told from a foreign one,
/// and both from one of another wire version.
pub fn decode(cluster: ClusterId, frame: Bytes) -> Result<(Peer, Body), FrameError> {
    let bytes = frame.len();
    if bytes > FRAME_BYTES_MAX {
        return Err(FrameError::TooLong { bytes });
    }
    // A newer version may change everything behind its number.
    match frame.get(..4) {
        None => return Err(FrameError::TooShort { bytes }),
        Some(magic) if magic != MAGIC => return Err(FrameError::Magic),
        Some(_) => {}
    }
    match frame.get(4) {
        Some(version) if *version != WIRE_VERSION => {
            return Err(FrameError::Version { found: *version });
        }
        _ if bytes < PREFIX_BYTES => return Err(FrameError::TooShort { bytes }),
        _ => {}
    }
    let header_bytes = usize::from(u16::from_le_bytes(array(&frame, 6)));
    if header_bytes > HEADER_BYTES_MAX || header_bytes > bytes - PREFIX_BYTES {
        return Err(FrameError::Header { bytes: header_bytes });
    }
    if checksum_of(&frame) != u32::from_le_bytes(array(&frame, 8)) {
        return Err(FrameError::Checksum);
    }
    if frame[5] != 0 {
        return Err(FrameError::Bounds { what: "a reserved byte is not zero" });
    }
    let found = ClusterId(array(&frame, 12));
    if found != cluster {
        return Err(FrameError::Cluster { found });
    }
    let from = Peer {
        disk: DiskId(array(&frame, 28)),
        replica: ReplicaId(u32::from_le_bytes(array(&frame, 44))),
        incarnation: Incarnation(u64::from_le_bytes(array(&frame, 48))),
    };
    let payload_at = PREFIX_BYTES + header_bytes;
    let header = Header::read(&frame[PREFIX_BYTES..payload_at])?;
    Ok((from, header.into_body(frame.slice(payload_at..))?))
}

/// Who a frame claims to come from, at a glance: nothing but its first bytes is checked.
///
/// For traces, and for transports that learn addresses; only [`decode`] makes it a fact.
#[must_use]
pub fn claimed_sender(frame: &[u8]) -> Option<ReplicaId> {
    (frame.len() >= PREFIX_BYTES && frame[..4] == MAGIC && frame[4] == WIRE_VERSION)
        .then(|| ReplicaId(u32::from_le_bytes(array(frame, 44))))
}

/// The checksum of a frame: of all its bytes but those that hold the checksum.
fn checksum_of(frame: &[u8]) -> u32 {
    checksum::extend(checksum::of(&frame[..8]), &frame[12..])
}

fn array<const N: usize>(bytes: &[u8], at: usize) -> [u8; N] {
    core::array::from_fn(|i| bytes[at + i])
}

#[cfg(test)]
mod tests;
