//! Frames made byte by byte: the only way to speak as whoever one likes.

use bytes::Bytes;
use synod::checksum;
use synod::membership::{ClusterId, Peer};
use synod::wire::{self, Fragment, WIRE_VERSION};

/// The cluster of all targets.
pub const CLUSTER: ClusterId = ClusterId(*b"golden frames\0\0\0");

/// The length of what stands before a frame's header.
pub const PREFIX_BYTES: usize = 56;

/// Whom a frame names as its sender.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Name {
    /// The replica.
    pub replica: u32,
    /// Every byte of its disk's name.
    pub disk: u8,
    /// Its start.
    pub incarnation: u64,
}

impl Name {
    /// A replica in its first start, on a disk of its own.
    #[must_use]
    pub fn of(replica: u32) -> Self {
        Self { replica, disk: replica as u8, incarnation: 1 << 16 }
    }

    /// The same replica, so many starts later.
    #[must_use]
    pub fn start(self, count: u64) -> Self {
        Self { incarnation: count << 16, ..self }
    }

    /// The peer that the wire makes of that name.
    #[must_use]
    pub fn peer(self) -> Peer {
        // A Canvass with the number 1 and the chosen mark 0.
        let read = wire::decode(CLUSTER, sealed(self, &[8, 1, 0], &[]));
        read.expect("the frame of a Canvass is read").0
    }
}

/// The frame with this header and payload.
#[must_use]
pub fn sealed(from: Name, header: &[u8], payload: &[u8]) -> Bytes {
    let mut frame = vec![0; PREFIX_BYTES];
    frame[6..8].copy_from_slice(&(header.len() as u16).to_le_bytes());
    frame[28..44].fill(from.disk);
    frame[44..48].copy_from_slice(&from.replica.to_le_bytes());
    frame[48..56].copy_from_slice(&from.incarnation.to_le_bytes());
    frame.extend_from_slice(header);
    frame.extend_from_slice(payload);
    mend(&mut frame);
    Bytes::from(frame)
}

/// The frame of a fragment.
#[must_use]
pub fn fragment(from: Name, fragment: &Fragment) -> Bytes {
    let mut header = vec![16];
    let Fragment { to, number, oldest, total_bytes, piece_bytes, index, .. } = *fragment;
    for value in [to.0.into(), number, oldest, total_bytes.into(), piece_bytes.into(), index.into()]
    {
        varint(value, &mut header);
    }
    sealed(from, &header, &fragment.bytes)
}

fn varint(mut value: u64, header: &mut Vec<u8>) {
    while value >= 0x80 {
        header.push(value as u8 | 0x80);
        value >>= 7;
    }
    header.push(value as u8);
}

/// Makes magic, version, cluster, the header's length and the checksum what they should be, so that
/// the rest is looked at. Does nothing to what is too short for a frame.
pub fn mend(frame: &mut [u8]) {
    if frame.len() < PREFIX_BYTES {
        return;
    }
    frame[..4].copy_from_slice(b"SYND");
    frame[4..6].copy_from_slice(&[WIRE_VERSION, 0]);
    let room = frame.len() - PREFIX_BYTES;
    let header = usize::from(u16::from_le_bytes([frame[6], frame[7]]));
    if header > room {
        frame[6..8].copy_from_slice(&((header % (room + 1)) as u16).to_le_bytes());
    }
    frame[12..28].copy_from_slice(&CLUSTER.0);
    let sum = checksum::extend(checksum::of(&frame[..8]), &frame[12..]);
    frame[8..12].copy_from_slice(&sum.to_le_bytes());
}
