//! The frame around each record, and the marker that ends a group.
//!
//! A frame is a head of 40 bytes, a body, and zeros up to a multiple of 8. All integers are
//! little-endian. docs/WAL.md draws it.

use alloc::vec::Vec;

use bytes::Bytes;

use crate::ballot::Ballot;
use crate::checksum;
use crate::entry::{ENTRY_BYTES_MAX, Entry};
use crate::membership::{Membership, ReplicaId};
use crate::record::{Lsn, Record};
use crate::slot::Slot;
use crate::wal::list::{self, MEMBER, QUORUMS, put_members, put_quorums};

/// The unit in which a disk writes: a sector that holds synced bytes is never written again.
pub(super) const SECTOR: usize = 512;
/// What a sector holds that was never written.
pub(super) static UNWRITTEN: [u8; SECTOR] = [0; SECTOR];
/// The head of a frame.
pub(super) const HEAD: usize = 40;
/// What stands before an entry's payload in its frame's body.
pub(super) const ENTRY_HEAD: usize = 24;
/// A marker's whole frame.
pub(super) const MARKER: usize = HEAD + MARKER_BODY;
const MARKER_BODY: usize = 40;
/// The highest number of a record, or of anything else that is counted, that is believed.
const COUNT_MAX: u64 = 1 << 62;
const BODY_MAX: usize = ENTRY_HEAD + ENTRY_BYTES_MAX;

pub(super) fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(core::array::from_fn(|i| bytes[at + i]))
}

pub(super) fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(core::array::from_fn(|i| bytes[at + i]))
}

pub(super) fn array_at<const N: usize>(bytes: &[u8], at: usize) -> [u8; N] {
    core::array::from_fn(|i| bytes[at + i])
}

pub(super) fn put(bytes: &mut [u8], at: usize, value: &[u8]) {
    bytes[at..at + value.len()].copy_from_slice(value);
}

/// The next multiple of `unit`.
pub(super) const fn round_up(bytes: usize, unit: usize) -> usize {
    bytes.div_ceil(unit) * unit
}

/// What every checksum of a segment begins with: bytes of another segment, of another use of this
/// one, or of another place in it never pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Salt {
    pub(super) salt: u64,
    pub(super) segment: u64,
}

impl Salt {
    /// The sum that a checksum of bytes at this offset begins with.
    pub(super) fn at(self, offset: u32) -> u32 {
        let mut bytes = [0; 20];
        put(&mut bytes, 0, &self.salt.to_le_bytes());
        put(&mut bytes, 8, &self.segment.to_le_bytes());
        put(&mut bytes, 16, &offset.to_le_bytes());
        checksum::of(&bytes)
    }
}

/// What a frame holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Kind {
    Promised = 1,
    Accepted = 2,
    Chosen = 3,
    Members = 4,
    Formed = 5,
    /// Stands for a record that is known to be lost.
    Lost = 6,
    /// Ends a group.
    Marker = 7,
}

impl Kind {
    pub(super) fn of(byte: u8) -> Option<Self> {
        [
            Self::Promised,
            Self::Accepted,
            Self::Chosen,
            Self::Members,
            Self::Formed,
            Self::Lost,
            Self::Marker,
        ]
        .into_iter()
        .find(|kind| *kind as u8 == byte)
    }

    /// Whether the body ends with an entry's payload.
    pub(super) fn has_entry(self) -> bool {
        matches!(self, Self::Accepted | Self::Chosen)
    }
}

/// What a record is about, without its entry: the second copy holds this.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Name {
    pub(super) kind: Kind,
    pub(super) slot: Slot,
    pub(super) ballot: Ballot,
}

impl Name {
    pub(super) fn of(record: &Record) -> Self {
        let none = |kind| Self { kind, slot: Slot::ZERO, ballot: Ballot::ZERO };
        match record {
            Record::Promised { ballot } => Self { ballot: *ballot, ..none(Kind::Promised) },
            Record::Accepted { slot, ballot, .. } => {
                Self { kind: Kind::Accepted, slot: *slot, ballot: *ballot }
            }
            Record::Chosen { slot, ballot, .. } => {
                Self { kind: Kind::Chosen, slot: *slot, ballot: *ballot }
            }
            Record::Members { .. } => none(Kind::Members),
            Record::Formed => none(Kind::Formed),
        }
    }
}

/// What can be put into a group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Item {
    Record(Record),
    Lost(Name),
}

/// What a group's marker and its second copy say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Mark {
    pub(super) first: Lsn,
    pub(super) count: u32,
    pub(super) durable: Lsn,
    pub(super) promised: Ballot,
    pub(super) chosen: Slot,
}

impl Mark {
    /// The last record of the group.
    pub(super) fn last(&self) -> Lsn {
        Lsn(self.first.0.saturating_add(u64::from(self.count).saturating_sub(1)))
    }
}

/// How long the frame of this body is.
pub(super) const fn frame_bytes(body: usize) -> usize {
    HEAD + round_up(body, 8)
}

/// How long the body of this item's frame is.
pub(super) fn body_bytes(item: &Item) -> usize {
    match item {
        Item::Record(record) => record_body_bytes(record),
        Item::Lost(_) => ENTRY_HEAD,
    }
}

pub(super) fn record_body_bytes(record: &Record) -> usize {
    match record {
        Record::Promised { .. } => 16,
        Record::Accepted { entry, .. } | Record::Chosen { entry, .. } => ENTRY_HEAD + entry.len(),
        Record::Members { members } => members.members().len() * MEMBER + QUORUMS,
        Record::Formed => 0,
    }
}

/// What a frame's head says beside its kind and length.
#[derive(Clone, Copy, Debug)]
pub(super) struct Head {
    pub(super) lsn: Lsn,
    pub(super) chosen: Slot,
    /// The checksum of the frame before it in the group; 0 for the first.
    pub(super) previous: u32,
}

/// Appends the frame of a record. `base` is the offset at which `buffer` begins. Returns the
/// checksum.
pub(super) fn push_record(
    buffer: &mut Vec<u8>,
    base: u32,
    salt: Salt,
    head: Head,
    record: &Record,
) -> u32 {
    let name = Name::of(record);
    push(buffer, base, salt, head, name.kind, |body| match record {
        Record::Promised { ballot } => put_ballot(body, *ballot),
        Record::Accepted { slot, ballot, entry } | Record::Chosen { slot, ballot, entry } => {
            body.extend_from_slice(&slot.0.to_le_bytes());
            put_ballot(body, *ballot);
            body.extend_from_slice(entry.payload());
        }
        Record::Members { members } => {
            put_members(body, members);
            put_quorums(body, members);
        }
        Record::Formed => {}
    })
}

/// Appends the frame that stands for a lost record.
pub(super) fn push_lost(
    buffer: &mut Vec<u8>,
    base: u32,
    salt: Salt,
    head: Head,
    name: &Name,
) -> u32 {
    push(buffer, base, salt, head, Kind::Lost, |body| {
        body.extend_from_slice(&name.slot.0.to_le_bytes());
        body.extend_from_slice(&name.ballot.round.to_le_bytes());
        body.extend_from_slice(&name.ballot.replica.0.to_le_bytes());
        body.extend_from_slice(&u32::from(name.kind as u8).to_le_bytes());
    })
}

/// Appends the marker that ends a group.
pub(super) fn push_marker(
    buffer: &mut Vec<u8>,
    base: u32,
    salt: Salt,
    previous: u32,
    mark: &Mark,
) -> u32 {
    let head = Head { lsn: mark.last(), chosen: mark.chosen, previous };
    push(buffer, base, salt, head, Kind::Marker, |body| {
        body.extend_from_slice(&mark.first.0.to_le_bytes());
        body.extend_from_slice(&mark.durable.0.to_le_bytes());
        put_ballot(body, mark.promised);
        body.extend_from_slice(&mark.count.to_le_bytes());
        body.extend_from_slice(&0u32.to_le_bytes());
    })
}

fn put_ballot(body: &mut Vec<u8>, ballot: Ballot) {
    body.extend_from_slice(&ballot.round.to_le_bytes());
    body.extend_from_slice(&ballot.replica.0.to_le_bytes());
    body.extend_from_slice(&0u32.to_le_bytes());
}

fn push(
    buffer: &mut Vec<u8>,
    base: u32,
    salt: Salt,
    head: Head,
    kind: Kind,
    body: impl FnOnce(&mut Vec<u8>),
) -> u32 {
    let start = buffer.len();
    buffer.resize(start + HEAD, 0);
    body(buffer);
    // A body is at most BODY_MAX bytes, a segment at most 1 GiB: both fit.
    let length = (buffer.len() - start - HEAD) as u32;
    buffer.resize(start + frame_bytes(length as usize), 0);
    let frame = &mut buffer[start..];
    put(frame, 0, &length.to_le_bytes());
    frame[4] = kind as u8;
    put(frame, 8, &head.lsn.0.to_le_bytes());
    put(frame, 16, &head.chosen.0.to_le_bytes());
    put(frame, 24, &head.previous.to_le_bytes());
    let sum = checksum::extend(salt.at(base + start as u32), &frame[..32]);
    put(frame, 32, &sum.to_le_bytes());
    let sum = checksum::extend(sum, &frame[HEAD..]);
    put(frame, 36, &sum.to_le_bytes());
    sum
}

/// A frame whose checksums hold.
#[derive(Clone, Copy, Debug)]
pub(super) struct Frame<'a> {
    pub(super) kind: Kind,
    pub(super) head: Head,
    pub(super) crc: u32,
    pub(super) body: &'a [u8],
}

impl<'a> Frame<'a> {
    /// The frame at the start of `bytes`, which lie at `offset`; `None` if there is none that
    /// holds. The length is believed only after the head's own checksum held, and then bounded.
    pub(super) fn read(bytes: &'a [u8], offset: u32, salt: Salt) -> Option<Self> {
        let head = bytes.get(..HEAD)?;
        let kind = Kind::of(head[4])?;
        let sum = checksum::extend(salt.at(offset), &head[..32]);
        if u32_at(head, 32) != sum {
            return None;
        }
        let length = u32_at(head, 0) as usize;
        if length > BODY_MAX {
            return None;
        }
        let padded = bytes.get(HEAD..frame_bytes(length))?;
        let crc = checksum::extend(sum, padded);
        if u32_at(head, 36) != crc {
            return None;
        }
        let head = Head {
            lsn: lsn_at(head, 8)?,
            chosen: Slot(u64_at(head, 16)),
            previous: u32_at(head, 24),
        };
        Some(Self { kind, head, crc, body: &padded[..length] })
    }

    /// How long the frame is.
    pub(super) fn bytes(&self) -> usize {
        frame_bytes(self.body.len())
    }

    /// The slot and ballot of a frame that has them.
    fn place(&self) -> Option<(Slot, Ballot)> {
        let body = self.body.get(..ENTRY_HEAD)?;
        Some((Slot(u64_at(body, 0)), ballot_at(body, 8)))
    }

    /// The entry of a frame that has one, copied.
    pub(super) fn entry(&self) -> Option<(Slot, Ballot, Entry)> {
        let (slot, ballot) = self.place()?;
        let payload = Bytes::copy_from_slice(self.body.get(ENTRY_HEAD..)?);
        Some((slot, ballot, Entry::from_payload(payload).ok()?))
    }

    /// What the frame holds; `None` for a marker and for a body that its kind cannot have.
    pub(super) fn item(&self) -> Option<Item> {
        Some(match self.kind {
            Kind::Promised => {
                let body = self.body.get(..16)?;
                Item::Record(Record::Promised { ballot: ballot_at(body, 0) })
            }
            Kind::Accepted => {
                let (slot, ballot, entry) = self.entry()?;
                Item::Record(Record::Accepted { slot, ballot, entry })
            }
            Kind::Chosen => {
                let (slot, ballot, entry) = self.entry()?;
                Item::Record(Record::Chosen { slot, ballot, entry })
            }
            Kind::Members => Item::Record(Record::Members { members: self.members()? }),
            Kind::Formed => Item::Record(Record::Formed),
            Kind::Lost => {
                let (slot, ballot) = self.place()?;
                let kind = Kind::of(u8::try_from(u32_at(self.body, 20)).ok()?)?;
                Item::Lost(Name { kind, slot, ballot })
            }
            Kind::Marker => return None,
        })
    }

    fn members(&self) -> Option<Membership> {
        let members = self.body.len().checked_sub(QUORUMS)?;
        list::read(&self.body[..members], &self.body[members..])
    }

    /// What a marker says.
    pub(super) fn mark(&self) -> Option<Mark> {
        if self.kind != Kind::Marker || self.body.len() != MARKER_BODY {
            return None;
        }
        Some(Mark {
            first: lsn_at(self.body, 0)?,
            count: u32_at(self.body, 32),
            durable: lsn_at(self.body, 8)?,
            promised: ballot_at(self.body, 16),
            chosen: self.head.chosen,
        })
    }
}

/// Something that is counted; `None` above what any log comes to, so that no sum with it overflows.
pub(super) fn count_at(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u64_at(bytes, at)).filter(|count| *count <= COUNT_MAX)
}

/// The number of a record, likewise.
pub(super) fn lsn_at(bytes: &[u8], at: usize) -> Option<Lsn> {
    count_at(bytes, at).map(Lsn)
}

pub(super) fn ballot_at(bytes: &[u8], at: usize) -> Ballot {
    Ballot { round: u64_at(bytes, at), replica: ReplicaId(u32_at(bytes, at + 8)) }
}

#[cfg(test)]
mod tests;
