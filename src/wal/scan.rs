//! Reads one segment and says what holds in it, without judging what does not.

use alloc::vec::Vec;
use std::io;

use crate::ballot::Ballot;
use crate::record::Lsn;
use crate::wal::frame::{Mark, SECTOR, Salt, UNWRITTEN};
use crate::wal::group::{Index, Whole};
use crate::wal::medium::MediumFile;
use crate::wal::segment::{DATA, Header};

/// Records of consecutive numbers in one stretch of a segment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Stretch {
    pub(super) offset: u32,
    pub(super) end: u32,
    pub(super) first: Lsn,
    pub(super) last: Lsn,
    pub(super) state: State,
}

/// What of a stretch holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// Every byte of every group.
    Whole,
    /// Of this one group the second copy, which lies at `index`.
    Named {
        /// Where the second copy lies.
        index: u32,
        /// Whether a sector of the group was never written.
        unwritten: bool,
    },
}

/// What was found in a segment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Found {
    pub(super) stretches: Vec<Stretch>,
    /// The highest mark that what was found proves.
    pub(super) durable: Lsn,
    /// The highest promise that what was found names.
    pub(super) promised: Ballot,
    /// The first sector that holds bytes which nothing that was found covers.
    pub(super) stray: Option<u32>,
    /// The whole groups without a second copy that holds: where each begins, and its last record.
    pub(super) unnamed: Vec<(u32, Lsn)>,
}

/// The bytes of a segment, at most as many as its header says. A file that was cut short gives
/// what it has, its last sector filled up with zeros: the rest holds nothing.
pub(super) fn read_segment(file: &dyn MediumFile, header: &Header) -> io::Result<Vec<u8>> {
    let there = file.bytes()?.min(header.bytes.into()) as usize;
    let mut bytes = alloc::vec![0; there.next_multiple_of(SECTOR)];
    file.read_at(0, &mut bytes[..there])?;
    Ok(bytes)
}

/// Finds every whole group and every second copy, wherever they lie.
pub(super) fn scan(segment: &[u8], salt: Salt) -> Found {
    let mut found = Found::default();
    let mut covered = alloc::vec![false; segment.len() / SECTOR];
    let indexes = find_indexes(segment, salt, &mut found, &mut covered);
    let mut at = DATA as usize;
    while at + SECTOR <= segment.len() {
        let index = indexes.binary_search_by_key(&(at as u32), |(_, index)| index.offset).ok();
        let index = index.map(|i| &indexes[i]);
        let end = if let Some(group) = Whole::read(segment, at, salt) {
            found.note(&group.mark);
            if index.is_none() {
                found.unnamed.push((at as u32, group.mark.last()));
            }
            found.push_whole(at as u32, group.end, &group.mark);
            group.end
        } else if let Some((place, index)) = index {
            let unwritten = index.has_unwritten(segment, *place as usize);
            found.stretches.push(Stretch {
                offset: index.offset,
                end: index.end(),
                first: index.mark.first,
                last: index.mark.last(),
                state: State::Named { index: *place, unwritten },
            });
            index.end()
        } else {
            at += SECTOR;
            continue;
        };
        cover(&mut covered, at, end as usize);
        at = end as usize;
    }
    let stray =
        |sector: &usize| !covered[*sector] && segment[sector * SECTOR..][..SECTOR] != UNWRITTEN;
    let first = DATA as usize / SECTOR;
    found.stray = (first..covered.len()).find(stray).map(|sector| (sector * SECTOR) as u32);
    found
}

/// The second copies, by the offsets of their groups, with their own.
fn find_indexes(
    segment: &[u8],
    salt: Salt,
    found: &mut Found,
    covered: &mut [bool],
) -> Vec<(u32, Index)> {
    let mut indexes = Vec::new();
    let mut at = DATA as usize;
    while at < segment.len() {
        let Some((index, length)) = Index::read(segment, at, salt) else {
            at += SECTOR;
            continue;
        };
        found.note(&index.mark);
        cover(covered, at, at + length);
        indexes.push((at as u32, index));
        at += length;
    }
    indexes.sort_by_key(|(_, index)| index.offset);
    indexes
}

fn cover(covered: &mut [bool], from: usize, to: usize) {
    covered[from / SECTOR..to / SECTOR].fill(true);
}

impl Found {
    fn note(&mut self, mark: &Mark) {
        self.durable = self.durable.max(mark.durable);
        self.promised = self.promised.max(mark.promised);
    }

    fn push_whole(&mut self, offset: u32, end: u32, mark: &Mark) {
        match self.stretches.last_mut() {
            Some(last)
                if last.state == State::Whole
                    && last.end == offset
                    && last.last.next() == mark.first =>
            {
                last.end = end;
                last.last = mark.last();
            }
            _ => self.stretches.push(Stretch {
                offset,
                end,
                first: mark.first,
                last: mark.last(),
                state: State::Whole,
            }),
        }
    }
}

#[cfg(test)]
mod tests;
