//! What a scan finds in a segment whose groups are whole, damaged, apart, or none.

use std::vec;
use std::vec::Vec;

use super::*;
use crate::record::Record;
use crate::slot::Slot;
use crate::wal::frame::put;
use crate::wal::group::{Group, Sealed};
use crate::wal::tests::ballot;

const SALT: Salt = Salt { salt: 0x1234_5678_9abc_def0, segment: 7 };
const SEGMENT: usize = 32 << 10;

/// A segment that is being written: where the next group and its second copy go.
struct Writer {
    bytes: Vec<u8>,
    next: u32,
    index_at: u32,
}

impl Writer {
    fn new() -> Self {
        Self { bytes: vec![0; SEGMENT], next: DATA, index_at: SEGMENT as u32 }
    }

    /// Writes a group of `count` promises. Tells where it lies, and where its second copy does.
    fn group(&mut self, first: u64, count: u64) -> (u32, u32) {
        let mut group = Group::new(self.next, SALT, Lsn(first));
        for lsn in first..first + count {
            group.push_record(Lsn(lsn), &Record::Promised { ballot: ballot(lsn) }, Slot(0));
        }
        let last = first + count - 1;
        let Sealed { data, index, .. } = group.seal(Lsn(first - 1), ballot(last), self.index_at);
        self.index_at -= index.len() as u32;
        put(&mut self.bytes, self.next as usize, &data);
        put(&mut self.bytes, self.index_at as usize, &index);
        let at = self.next;
        self.next += data.len() as u32;
        (at, self.index_at)
    }

    fn scan(&self) -> Found {
        scan(&self.bytes, SALT)
    }
}

/// First and last record of each stretch, and whether it is whole.
fn shown(found: &Found) -> Vec<(u64, u64, bool)> {
    let shown = |stretch: &Stretch| {
        (stretch.first.0, stretch.last.0, matches!(stretch.state, State::Whole))
    };
    found.stretches.iter().map(shown).collect()
}

#[test]
fn an_empty_segment_has_nothing() {
    assert_eq!(Writer::new().scan(), Found::default());
}

#[test]
fn neighbours_whose_numbers_follow_are_one_stretch() {
    let mut segment = Writer::new();
    segment.group(1, 3);
    segment.group(4, 30);
    segment.group(34, 1);
    let found = segment.scan();
    let whole = Stretch {
        offset: DATA,
        end: segment.next,
        first: Lsn(1),
        last: Lsn(34),
        state: State::Whole,
    };
    assert_eq!(found.stretches, [whole]);
    assert_eq!((found.durable, found.promised), (Lsn(33), ballot(34)));
    assert_eq!((found.stray, found.unnamed), (None, Vec::new()));
}

#[test]
fn neighbours_whose_numbers_do_not_follow_are_two_stretches() {
    for second in [3, 5] {
        let mut segment = Writer::new();
        segment.group(1, 3);
        segment.group(second, 2);
        assert_eq!(shown(&segment.scan()), [(1, 3, true), (second, second + 1, true)]);
    }
}

#[test]
fn groups_that_lie_apart_are_two_stretches() {
    let mut segment = Writer::new();
    segment.group(1, 3);
    segment.next += SECTOR as u32;
    let (at, _) = segment.group(4, 2);
    let found = segment.scan();
    assert_eq!(shown(&found), [(1, 3, true), (4, 5, true)]);
    assert_eq!((found.stretches[1].offset, found.stretches[1].end), (at, segment.next));
}

#[test]
fn a_damaged_group_is_named_by_its_second_copy() {
    for unwritten in [false, true] {
        let mut segment = Writer::new();
        segment.group(1, 3);
        let (at, index) = segment.group(4, 2);
        segment.group(6, 2);
        let sector = &mut segment.bytes[at as usize..][..SECTOR];
        if unwritten {
            sector.fill(0)
        } else {
            sector[60] ^= 1
        }
        let found = segment.scan();
        assert_eq!(shown(&found), [(1, 3, true), (4, 5, false), (6, 7, true)]);
        assert_eq!(found.stretches[1].state, State::Named { index, unwritten });
        assert_eq!((found.stretches[1].offset, found.stray), (at, None));
        assert_eq!(found.stretches[1].end, found.stretches[2].offset);
    }
}

#[test]
fn what_nothing_covers_is_stray() {
    let mut segment = Writer::new();
    let (_, first) = segment.group(1, 3);
    let (second, index) = segment.group(4, 2);
    // Without its second copy a whole group is there, and unnamed.
    segment.bytes[index as usize] ^= 1;
    let found = segment.scan();
    assert_eq!(shown(&found), [(1, 5, true)]);
    assert_eq!((found.unnamed, found.stray), (vec![(second, Lsn(5))], Some(index)));
    // Without either it is stray too. The first sector counts.
    segment.bytes[second as usize] ^= 1;
    let found = segment.scan();
    assert_eq!(shown(&found), [(1, 3, true)]);
    assert_eq!((found.unnamed, found.stray), (Vec::new(), Some(second)));
    assert_eq!((found.durable, found.promised), (Lsn(0), ballot(3)));
    // A mark that only a second copy holds counts.
    segment.bytes[index as usize] ^= 1;
    assert_eq!(segment.scan().durable, Lsn(3));
    // What lies before the data is no group's.
    segment.bytes[..DATA as usize].fill(1);
    segment.bytes[second as usize..first as usize].fill(0);
    assert_eq!(segment.scan().stray, None);
}
