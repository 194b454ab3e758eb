//! Groups and their second copies: what is written is read, and nothing else is.

use std::vec;
use std::vec::Vec;

use super::*;
use crate::wal::tests::{accepted, ballot};

const SALT: Salt = Salt { salt: 0x1234_5678_9abc_def0, segment: 7 };
const SEGMENT: usize = 32 << 10;
const AT: u32 = 8192;

/// A segment with one group of three records, and where its second copy lies.
fn written() -> (Vec<u8>, Sealed, u32) {
    let mut group = Group::new(AT, SALT, Lsn(5));
    group.push_record(Lsn(5), &accepted(3, 2, 100), Slot(1));
    group.push_record(Lsn(6), &Record::Promised { ballot: ballot(4) }, Slot(1));
    let lost = Name { kind: Kind::Accepted, slot: Slot(9), ballot: ballot(3) };
    group.push(Lsn(7), &Item::Lost(lost), Slot(2));
    let predicted = group.bytes_with(1000);
    group.push_record(Lsn(8), &accepted(4, 4, 1000 - 24 - 36), Slot(2));
    let sealed = group.seal(Lsn(4), ballot(4), SEGMENT as u32);
    assert_eq!(sealed.data.len() + sealed.index.len(), predicted);
    let index_at = SEGMENT - sealed.index.len();
    let mut segment = vec![0; SEGMENT];
    put(&mut segment, AT as usize, &sealed.data);
    put(&mut segment, index_at, &sealed.index);
    (segment, sealed, index_at as u32)
}

#[test]
fn a_group_and_its_second_copy_are_read_as_written() {
    let (segment, sealed, at) = written();
    let group = Whole::read(&segment, AT as usize, SALT).unwrap();
    let mark =
        Mark { first: Lsn(5), count: 4, durable: Lsn(4), promised: ballot(4), chosen: Slot(2) };
    assert_eq!((group.mark, group.mark.last()), (mark, Lsn(8)));
    assert_eq!(group.end as usize, AT as usize + sealed.data.len());
    let items: Vec<_> = group.frames.iter().map(|(_, frame)| frame.item().unwrap()).collect();
    assert_eq!(items[0], Item::Record(accepted(3, 2, 100)));
    assert_eq!(items[1], Item::Record(Record::Promised { ballot: ballot(4) }));
    assert!(matches!(items[2], Item::Lost(Name { slot: Slot(9), .. })));
    let (index, length) = Index::read(&segment, at as usize, SALT).unwrap();
    assert_eq!((index.mark, index.offset, index.end()), (mark, AT, group.end));
    assert_eq!(length, sealed.index.len());
    for (i, (lsn, entry, frame)) in index.frames(&segment, SALT).enumerate() {
        assert_eq!(lsn, Lsn(5 + i as u64));
        let (offset, frame) = frame.unwrap();
        assert_eq!((offset, frame.crc), (group.frames[i].0, entry.crc));
    }
    assert!(!index.has_unwritten(&segment, at as usize));
}

#[test]
fn no_flipped_bit_passes() {
    let (segment, sealed, at) = written();
    let frames_end = sealed.data.iter().rposition(|byte| *byte != 0).unwrap();
    for bit in 0..(frames_end + 1) * 8 {
        let mut spoilt = segment.clone();
        spoilt[AT as usize + bit / 8] ^= 1 << (bit % 8);
        assert!(Whole::read(&spoilt, AT as usize, SALT).is_none(), "bit {bit}");
        let (index, _) = Index::read(&spoilt, at as usize, SALT).unwrap();
        let held = index.frames(&spoilt, SALT).filter(|(.., frame)| frame.is_some()).count();
        assert!(held >= 3, "one frame at the most is lost, not {}", 4 - held);
        assert!(!index.has_unwritten(&spoilt, at as usize));
    }
    for bit in 0..sealed.index.len() * 8 {
        let mut spoilt = segment.clone();
        spoilt[at as usize + bit / 8] ^= 1 << (bit % 8);
        assert!(Index::read(&spoilt, at as usize, SALT).is_none(), "bit {bit}");
    }
}

#[test]
fn bytes_of_another_use_segment_or_place_do_not_pass() {
    let (segment, sealed, at) = written();
    for salt in [Salt { salt: 1, ..SALT }, Salt { segment: 8, ..SALT }] {
        assert!(Whole::read(&segment, AT as usize, salt).is_none());
        assert!(Index::read(&segment, at as usize, salt).is_none());
    }
    let mut moved = vec![0; SEGMENT];
    put(&mut moved, AT as usize + SECTOR, &sealed.data);
    put(&mut moved, at as usize - SECTOR, &sealed.index);
    assert!(Whole::read(&moved, AT as usize + SECTOR, SALT).is_none());
    assert!(Index::read(&moved, at as usize - SECTOR, SALT).is_none());
}

#[test]
fn a_sector_that_was_never_written_is_told_from_rot() {
    let (mut segment, sealed, at) = written();
    for sector in 0..sealed.data.len() / SECTOR {
        let mut torn = segment.clone();
        torn[AT as usize + sector * SECTOR..][..SECTOR].fill(0);
        let (index, _) = Index::read(&torn, at as usize, SALT).unwrap();
        assert!(index.has_unwritten(&torn, at as usize));
    }
    segment[AT as usize..AT as usize + SECTOR].fill(0xff);
    let (index, _) = Index::read(&segment, at as usize, SALT).unwrap();
    assert!(!index.has_unwritten(&segment, at as usize));
}

#[test]
fn a_cut_segment_reads_as_nothing() {
    let (segment, _, at) = written();
    for cut in 0..SEGMENT {
        let _ = Whole::read(&segment[..cut], AT as usize, SALT);
        assert!(Index::read(&segment[..cut], at as usize, SALT).is_none());
    }
}

#[test]
fn a_group_of_many_small_records_is_read() {
    let mut group = Group::new(AT, SALT, Lsn(1));
    for lsn in 1..=200 {
        group.push_record(Lsn(lsn), &Record::Promised { ballot: ballot(lsn) }, Slot(0));
    }
    let sealed = group.seal(Lsn(0), ballot(200), SEGMENT as u32);
    let at = SEGMENT - sealed.index.len();
    let mut segment = vec![0; SEGMENT];
    put(&mut segment, AT as usize, &sealed.data);
    put(&mut segment, at, &sealed.index);
    let group = Whole::read(&segment, AT as usize, SALT).unwrap();
    let (index, _) = Index::read(&segment, at, SALT).unwrap();
    assert_eq!((group.mark.count, index.mark), (200, group.mark));
    assert!(index.frames(&segment, SALT).all(|(.., frame)| frame.is_some()));
}
