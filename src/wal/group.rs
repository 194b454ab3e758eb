//! A group: the records of one sync, the marker that ends them, and their second copy.
//!
//! The second copy names every record of the group (kind, slot, ballot, length, checksum) and has
//! the checksum of every sector of it. Groups fill a segment from its front, second copies from its
//! back; both begin and end on sector boundaries.

use alloc::vec::Vec;

use crate::ballot::Ballot;
use crate::checksum;
use crate::record::{Lsn, Record};
use crate::slot::Slot;
use crate::wal::frame::{
    self, Frame, Head, Item, Kind, MARKER, Mark, Name, SECTOR, Salt, UNWRITTEN, put, round_up,
    u32_at, u64_at,
};

const MAGIC: [u8; 8] = *b"SYNODIDX";
const INDEX_HEAD: usize = 80;
const NAME: usize = 32;
const SUM: usize = 4;

/// How many bytes a group of that many bytes of frames takes, its marker and padding included.
pub(super) const fn group_bytes(frames: usize) -> usize {
    round_up(frames + MARKER, SECTOR)
}

/// How many bytes the second copy of a group takes.
pub(super) const fn index_bytes(records: usize, group: usize) -> usize {
    round_up(INDEX_HEAD + records * NAME + group / SECTOR * SUM, SECTOR)
}

/// What the second copy says about one record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) name: Name,
    /// The length of the frame's body.
    pub(super) body: u32,
    pub(super) crc: u32,
}

/// A group that is being gathered.
pub(super) struct Group {
    /// Where in the segment it begins.
    pub(super) offset: u32,
    salt: Salt,
    frames: Vec<u8>,
    entries: Vec<Entry>,
    first: Lsn,
    previous: u32,
    chosen: Slot,
}

/// A group as it lies on the disk.
pub(super) struct Sealed {
    pub(super) offset: u32,
    pub(super) data: Vec<u8>,
    pub(super) index: Vec<u8>,
}

impl Group {
    pub(super) fn new(offset: u32, salt: Salt, first: Lsn) -> Self {
        Self {
            offset,
            salt,
            frames: Vec::new(),
            entries: Vec::new(),
            first,
            previous: 0,
            chosen: Slot::ZERO,
        }
    }

    /// How many bytes group and second copy take with one more record whose body has that length.
    pub(super) fn bytes_with(&self, body: usize) -> usize {
        let group = group_bytes(self.frames.len() + frame::frame_bytes(body));
        group + index_bytes(self.entries.len() + 1, group)
    }

    pub(super) fn push_record(&mut self, lsn: Lsn, record: &Record, chosen: Slot) -> u32 {
        let head = Head { lsn, chosen, previous: self.previous };
        let at = self.frames.len();
        let crc = frame::push_record(&mut self.frames, self.offset, self.salt, head, record);
        self.note(Name::of(record), at, crc, chosen)
    }

    pub(super) fn push(&mut self, lsn: Lsn, item: &Item, chosen: Slot) -> u32 {
        match item {
            Item::Record(record) => self.push_record(lsn, record, chosen),
            Item::Lost(name) => {
                let head = Head { lsn, chosen, previous: self.previous };
                let at = self.frames.len();
                let crc = frame::push_lost(&mut self.frames, self.offset, self.salt, head, name);
                self.note(*name, at, crc, chosen)
            }
        }
    }

    /// Returns the offset of the frame in the segment.
    fn note(&mut self, name: Name, at: usize, crc: u32, chosen: Slot) -> u32 {
        let body = u32_at(&self.frames, at);
        self.entries.push(Entry { name, body, crc });
        self.previous = crc;
        self.chosen = chosen;
        self.offset + at as u32
    }

    /// Ends the group with its marker and makes its second copy, which is to lie just below
    /// `index_end`.
    pub(super) fn seal(mut self, durable: Lsn, promised: Ballot, index_end: u32) -> Sealed {
        let mark = Mark {
            first: self.first,
            count: self.entries.len() as u32,
            durable,
            promised,
            chosen: self.chosen,
        };
        frame::push_marker(&mut self.frames, self.offset, self.salt, self.previous, &mark);
        let padded = round_up(self.frames.len(), SECTOR);
        self.frames.resize(padded, 0);
        let length = index_bytes(self.entries.len(), padded);
        let index = Index { offset: self.offset, mark, entries: self.entries };
        let index = index.write(self.salt, index_end - length as u32, &self.frames);
        Sealed { offset: self.offset, data: self.frames, index }
    }
}

/// The second copy of a group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Index {
    /// Where the group begins.
    pub(super) offset: u32,
    pub(super) mark: Mark,
    pub(super) entries: Vec<Entry>,
}

impl Index {
    /// How many bytes of frames the group has, its marker included.
    fn frames_bytes(&self) -> usize {
        self.entries.iter().map(|entry| frame::frame_bytes(entry.body as usize)).sum::<usize>()
            + MARKER
    }

    /// Where the group ends.
    pub(super) fn end(&self) -> u32 {
        self.offset + round_up(self.frames_bytes(), SECTOR) as u32
    }

    fn write(&self, salt: Salt, at: u32, group: &[u8]) -> Vec<u8> {
        let mut bytes = alloc::vec![0; index_bytes(self.entries.len(), group.len())];
        put(&mut bytes, 0, &MAGIC);
        put(&mut bytes, 8, &self.offset.to_le_bytes());
        put(&mut bytes, 12, &(group.len() as u32).to_le_bytes());
        put(&mut bytes, 16, &self.mark.first.0.to_le_bytes());
        put(&mut bytes, 24, &self.mark.durable.0.to_le_bytes());
        put(&mut bytes, 32, &self.mark.promised.round.to_le_bytes());
        put(&mut bytes, 40, &self.mark.promised.replica.0.to_le_bytes());
        put(&mut bytes, 44, &self.mark.count.to_le_bytes());
        put(&mut bytes, 48, &self.mark.chosen.0.to_le_bytes());
        for (i, entry) in self.entries.iter().enumerate() {
            let name = &mut bytes[INDEX_HEAD + i * NAME..][..NAME];
            name[0] = entry.name.kind as u8;
            put(name, 4, &entry.body.to_le_bytes());
            put(name, 8, &entry.name.slot.0.to_le_bytes());
            put(name, 16, &entry.name.ballot.round.to_le_bytes());
            put(name, 24, &entry.name.ballot.replica.0.to_le_bytes());
            put(name, 28, &entry.crc.to_le_bytes());
        }
        let sums = INDEX_HEAD + self.entries.len() * NAME;
        for (i, sector) in group.chunks(SECTOR).enumerate() {
            put(&mut bytes, sums + i * SUM, &checksum::of(sector).to_le_bytes());
        }
        let sum = checksum::extend(salt.at(at), &bytes[..56]);
        put(&mut bytes, 60, &sum.to_le_bytes());
        let sum = checksum::extend(sum, &bytes[60..]);
        put(&mut bytes, 56, &sum.to_le_bytes());
        bytes
    }

    /// The second copy that lies at this offset of the segment, and its length; `None` if none
    /// that holds does. Counts and lengths are believed only after the head's own checksum held,
    /// and then bounded.
    pub(super) fn read(segment: &[u8], at: usize, salt: Salt) -> Option<(Self, usize)> {
        let head = segment.get(at..)?.get(..INDEX_HEAD)?;
        if head[..8] != MAGIC {
            return None;
        }
        let sum = checksum::extend(salt.at(at as u32), &head[..56]);
        if u32_at(head, 60) != sum {
            return None;
        }
        let (offset, group) = (u32_at(head, 8), u32_at(head, 12) as usize);
        let count = u32_at(head, 44) as usize;
        if count == 0
            || count > segment.len() / frame::HEAD
            || !group.is_multiple_of(SECTOR)
            || (offset as usize).checked_add(group)? > at
        {
            return None;
        }
        let length = index_bytes(count, group);
        let bytes = segment.get(at..)?.get(..length)?;
        if checksum::extend(sum, &bytes[60..]) != u32_at(bytes, 56) {
            return None;
        }
        let mark = Mark {
            first: frame::lsn_at(bytes, 16)?,
            count: count as u32,
            durable: frame::lsn_at(bytes, 24)?,
            promised: frame::ballot_at(bytes, 32),
            chosen: Slot(u64_at(bytes, 48)),
        };
        let entries = (0..count).map(|i| Entry::read(&bytes[INDEX_HEAD + i * NAME..][..NAME]));
        let index = Self { offset, mark, entries: entries.collect::<Option<_>>()? };
        (round_up(index.frames_bytes(), SECTOR) == group).then_some((index, length))
    }

    /// Whether a sector of the group that does not hold what was written to it holds nothing at
    /// all: it was never written, so the sync never ended. `at` is where this second copy lies.
    pub(super) fn has_unwritten(&self, segment: &[u8], at: usize) -> bool {
        let sums = at + INDEX_HEAD + self.entries.len() * NAME;
        let group = &segment[self.offset as usize..self.end() as usize];
        group.chunks(SECTOR).enumerate().any(|(i, sector)| {
            checksum::of(sector) != u32_at(segment, sums + i * SUM) && *sector == UNWRITTEN
        })
    }

    /// The records of the group, each with its number and, where it still holds, its frame and the
    /// frame's offset.
    pub(super) fn frames<'a>(
        &'a self,
        segment: &'a [u8],
        salt: Salt,
    ) -> impl Iterator<Item = (Lsn, &'a Entry, Option<(u32, Frame<'a>)>)> {
        let mut at = self.offset;
        self.entries.iter().enumerate().map(move |(i, entry)| {
            let lsn = Lsn(self.mark.first.0.saturating_add(i as u64));
            let frame = segment
                .get(at as usize..)
                .and_then(|bytes| Frame::read(bytes, at, salt))
                .filter(|frame| frame.crc == entry.crc && frame.head.lsn == lsn)
                .map(|frame| (at, frame));
            at += frame::frame_bytes(entry.body as usize) as u32;
            (lsn, entry, frame)
        })
    }
}

impl Entry {
    fn read(bytes: &[u8]) -> Option<Self> {
        let name = Name {
            kind: Kind::of(bytes[0])?,
            slot: Slot(u64_at(bytes, 8)),
            ballot: frame::ballot_at(bytes, 16),
        };
        Some(Self { name, body: u32_at(bytes, 4), crc: u32_at(bytes, 28) })
    }
}

/// A group whose every byte holds.
pub(super) struct Whole<'a> {
    pub(super) mark: Mark,
    /// Each record's frame and its offset.
    pub(super) frames: Vec<(u32, Frame<'a>)>,
    /// Where the next group begins.
    pub(super) end: u32,
}

impl<'a> Whole<'a> {
    /// The group that begins at this offset; `None` unless all its frames and its marker hold.
    pub(super) fn read(segment: &'a [u8], at: usize, salt: Salt) -> Option<Self> {
        let (mut frames, mut previous, mut next) = (Vec::<(u32, Frame<'a>)>::new(), 0, at);
        loop {
            let frame = Frame::read(segment.get(next..)?, next as u32, salt)?;
            if frame.head.previous != previous {
                return None;
            }
            next += frame.bytes();
            if let Some(mark) = frame.mark() {
                let first = frames.first()?.1.head.lsn;
                let fits = mark.first == first && mark.count as usize == frames.len();
                let end = round_up(next, SECTOR);
                let whole = Self { mark, frames, end: end as u32 };
                return (fits && end <= segment.len()).then_some(whole);
            }
            if frames.last().is_some_and(|(_, last)| last.head.lsn.next() != frame.head.lsn) {
                return None;
            }
            previous = frame.crc;
            frames.push(((next - frame.bytes()) as u32, frame));
        }
    }
}

#[cfg(test)]
mod tests;
