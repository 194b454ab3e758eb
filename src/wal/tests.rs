//! The log as its driver sees it, over the simulated disk.

use std::boxed::Box;
use std::io;
use std::vec;
use std::vec::Vec;

use crate::ballot::Ballot;
use crate::entry::{BatchBuilder, CommandId, Entry};
use crate::membership::{ClusterId, DiskId, Incarnation, ReplicaId};
use crate::record::{Lsn, Record, Recovered};
use crate::slot::{Run, Slot, Slots};
use crate::wal::segment::DATA;
use crate::wal::*;

pub(super) const CLUSTER: ClusterId = ClusterId(*b"test\0\0\0\0\0\0\0\0\0\0\0\0");
pub(super) const ME: ReplicaId = ReplicaId(2);
pub(super) const OPTIONS: WalOptions =
    WalOptions { segment_bytes: 32 << 10, entry_bytes_max: 12 << 10 };
const FIRST: &str = "0000000000000001.log";

pub(super) fn ballot(round: u64) -> Ballot {
    Ballot { round, replica: ReplicaId(1) }
}

pub(super) fn entry(tag: u64, bytes: usize) -> Entry {
    let mut builder = BatchBuilder::default();
    let id = CommandId { replica: ME, incarnation: Incarnation(1), sequence: tag };
    builder.push(id, &vec![tag as u8; bytes]);
    Entry::Batch(builder.build().unwrap())
}

pub(super) fn accepted(slot: u64, round: u64, bytes: usize) -> Record {
    Record::Accepted { slot: Slot(slot), ballot: ballot(round), entry: entry(slot + round, bytes) }
}

pub(super) fn open(disk: &HeapMedium) -> Result<(Wal, Recovered), WalError> {
    Wal::open(Box::new(disk.clone()), CLUSTER, ME, OPTIONS)
}

pub(super) fn sync(wal: &mut Wal) -> Lsn {
    let sync = wal.start_sync().unwrap().unwrap();
    wal.finish(sync.run()).unwrap()
}

#[test]
fn what_was_synced_is_there_after_a_crash() {
    let disk = HeapMedium::new(1);
    let (mut wal, first) = open(&disk).unwrap();
    assert_eq!(first.me.incarnation.count(), 1);
    assert_eq!(first.last, Lsn::ZERO);
    let mut all: Vec<_> = Vec::new();
    for lsn in 1..200 {
        let record = accepted(lsn / 2, lsn, 500);
        wal.append(Lsn(lsn), &record, Slot(0)).unwrap();
        all.push(record);
        if lsn % 3 == 0 {
            sync(&mut wal);
        }
    }
    assert!(wal.status().segments > 3);
    let durable = wal.status().durable;
    assert_eq!(durable, Lsn(198));
    drop(wal);
    disk.crash(5);
    let (wal, second) = open(&disk).unwrap();
    assert_eq!(second.last, Lsn(198));
    assert_eq!(second.me.incarnation.count(), 2);
    assert_eq!(second.me.disk, first.me.disk);
    assert_eq!(second.promised, ballot(198));
    assert_eq!(second.accepted.len(), 99 + 1);
    for (slot, ballot, entry) in &second.accepted {
        assert_eq!(wal.locate(*slot).unwrap().read().unwrap(), (*ballot, entry.clone()));
    }
}

#[test]
fn an_entry_that_rots_while_the_log_runs_is_not_served() {
    let disk = HeapMedium::new(1);
    let (mut wal, _) = open(&disk).unwrap();
    wal.append(Lsn(1), &accepted(0, 1, 600), Slot(0)).unwrap();
    sync(&mut wal);
    let located = wal.locate(Slot(0)).unwrap();
    disk.flip(FIRST, u64::from(DATA) + 300, 1);
    let read = located.read();
    assert!(matches!(read, Err(WalError::Rot { segment: 1, offset: DATA, .. })), "{read:?}");
    disk.flip(FIRST, u64::from(DATA) + 300, 1);
    assert_eq!(located.read().unwrap(), (ballot(1), entry(1, 600)));
}

#[test]
fn a_segment_that_cannot_be_made_is_asked_for_again() {
    let disk = HeapMedium::new(1);
    let (mut wal, _) = open(&disk).unwrap();
    let mut last = 0;
    while wal.has_room(11 << 10) {
        wal.append(Lsn(last + 1), &accepted(last, 1, 100), Slot(0)).unwrap();
        last += 1;
    }
    let kind = std::io::ErrorKind::PermissionDenied;
    disk.inject(Fault::Call { after: 0, kind });
    let record = accepted(last, 1, 11 << 10);
    let failed = wal.append(Lsn(last + 1), &record, Slot(0));
    assert!(
        matches!(&failed, Err(WalError::Io { what: "make a segment", source, .. })
            if source.kind() == kind),
        "{failed:?}"
    );
    assert_eq!(wal.status().last, Lsn(last), "nothing was taken");
    wal.append(Lsn(last + 1), &record, Slot(0)).unwrap();
    assert_eq!(sync(&mut wal), Lsn(last + 1));
}

#[test]
fn a_log_with_a_longer_record_is_not_opened_with_shorter_segments() {
    let disk = HeapMedium::new(1);
    let long = WalOptions { segment_bytes: 128 << 10, entry_bytes_max: 60 << 10 };
    let open_long = || Wal::open(Box::new(disk.clone()), CLUSTER, ME, long);
    let (mut wal, _) = open_long().unwrap();
    wal.append(Lsn(1), &accepted(0, 1, 40 << 10), Slot(0)).unwrap();
    sync(&mut wal);
    drop(wal);
    let refused = open(&disk).map(|_| ());
    assert!(
        matches!(refused, Err(WalError::Options { segment_bytes: 32768, what })
            if what.contains("a record that is in the log")),
        "{refused:?}"
    );
    let (_, recovered) = open_long().unwrap();
    assert_eq!(recovered.accepted, [(Slot(0), ballot(1), entry(1, 40 << 10))]);
}

#[test]
fn a_log_that_is_closed_over_a_sync_proves_no_more_than_was_synced() {
    let disk = HeapMedium::new(1);
    let (mut wal, _) = open(&disk).unwrap();
    wal.append(Lsn(1), &accepted(0, 1, 100), Slot(0)).unwrap();
    sync(&mut wal);
    wal.append(Lsn(2), &accepted(1, 1, 100), Slot(0)).unwrap();
    let under_way = wal.start_sync().unwrap();
    wal.append(Lsn(3), &accepted(2, 1, 100), Slot(0)).unwrap();
    assert_eq!(wal.close().unwrap(), Lsn(1), "the third counts only after the second");
    drop(under_way);
    disk.cut_power(Kept::Nothing);
    let (_, recovered) = open(&disk).unwrap();
    assert_eq!((recovered.last, recovered.accepted.len()), (Lsn(1), 1));
}

/// A record that nothing proves durable rots, and only its name is left: each start names it again.
#[test]
fn a_lost_promise_is_carried_from_start_to_start() {
    let disk = HeapMedium::new(1);
    let (mut wal, _) = open(&disk).unwrap();
    wal.append(Lsn(1), &Record::Promised { ballot: ballot(7) }, Slot(0)).unwrap();
    wal.append(Lsn(2), &accepted(0, 7, 600), Slot(0)).unwrap();
    sync(&mut wal);
    drop(wal);
    disk.flip(FIRST, u64::from(DATA) + 44, 1);
    for start in 0..3 {
        let (wal, recovered) = open(&disk).unwrap();
        assert_eq!((recovered.last, recovered.promised), (Lsn(2), ballot(7)), "start {start}");
        assert_eq!(recovered.accepted, [(Slot(0), ballot(7), entry(7, 600))]);
        assert_eq!(wal.status().lost, 1);
    }
    let stored: Vec<_> = disk
        .extents()
        .into_iter()
        .filter_map(|extent| match extent.part {
            Part::Group { records, .. } => Some(records),
            _ => None,
        })
        .flatten()
        .map(|record| (record.lsn, record.slot))
        .collect();
    assert_eq!(stored, [(Lsn(1), None), (Lsn(2), Some(Slot(0)))]);
}

/// Two groups that a start copied as one; then the second rots there and here.
#[test]
fn of_a_copy_that_rots_only_what_is_damaged_here_too_is_lost() {
    let disk = HeapMedium::new(1);
    let (mut wal, _) = open(&disk).unwrap();
    for slot in 0..2 {
        wal.append(Lsn(slot + 1), &accepted(slot, 1, 600), Slot(0)).unwrap();
        // Not taken back: nothing proves that it is durable.
        let _ = wal.start_sync().unwrap().unwrap().run();
    }
    drop(wal);
    let (wal, recovered) = open(&disk).unwrap();
    assert_eq!((recovered.accepted.len(), wal.status().lost), (2, 0));
    drop(wal);
    let mut damaged = 0;
    for extent in disk.extents() {
        let Part::Group { records, .. } = extent.part else { continue };
        for record in records.iter().filter(|record| record.lsn == Lsn(2)) {
            disk.flip(&extent.file, record.range.start + 100, 1);
            damaged += 1;
        }
    }
    assert_eq!(damaged, 2, "the record and its copy");
    let (wal, recovered) = open(&disk).unwrap();
    assert_eq!((recovered.last, wal.status().lost), (Lsn(2), 1));
    assert_eq!(recovered.accepted, [(Slot(0), ballot(1), entry(1, 600))]);
    assert_eq!(recovered.faulty, [Run { slots: Slots::one(Slot(1)), ballot: ballot(1) }]);
}

#[test]
fn a_sync_counts_both_copies_of_its_groups() {
    let (mut wal, _) = open(&HeapMedium::new(1)).unwrap();
    for lsn in 1..10 {
        wal.append(Lsn(lsn), &accepted(lsn, 1, 5000), Slot(0)).unwrap();
    }
    let sync = wal.start_sync().unwrap().unwrap();
    let copies = sync.pieces.iter().flat_map(|piece| [&piece.group.data, &piece.group.index]);
    let lengths: Vec<usize> = copies.map(Vec::len).collect();
    assert!(lengths.len() > 2 && lengths.iter().all(|length| *length > 0));
    assert_eq!(sync.bytes(), lengths.iter().sum::<usize>());
    wal.finish(sync.run()).unwrap();
}

/// The log says that there is room exactly as long as an append needs no new segment.
#[test]
fn there_is_room_as_long_as_no_segment_must_be_made() {
    let record = |bytes: usize| accepted(9, 9, bytes);
    let entry_bytes = |bytes: usize| entry(9 + 9, bytes).len();
    for filled in [0, 1, 2] {
        let appended = |bytes: usize| {
            let disk = HeapMedium::new(1);
            let (mut wal, _) = open(&disk).unwrap();
            for lsn in 1..=filled {
                wal.append(Lsn(lsn), &accepted(lsn, 1, 9000), Slot(0)).unwrap();
            }
            disk.set_capacity(Some(0));
            let said = wal.has_room(entry_bytes(bytes));
            let done = wal.append(Lsn(filled + 1), &record(bytes), Slot(0));
            assert!(done.is_ok() || matches!(done, Err(WalError::Full { .. })));
            (said, done.is_ok())
        };
        let most = OPTIONS.entry_bytes_max - (entry_bytes(1) - 1);
        let mut refused = 0;
        for bytes in (0..=most).step_by(7) {
            let (said, done) = appended(bytes);
            assert_eq!(said, done, "{bytes} bytes after {filled} records");
            refused += usize::from(!done);
        }
        assert_eq!(refused > 0, filled > 0, "a segment has room for about 20,000 bytes");
    }
}

#[test]
fn a_prepared_segment_is_room_and_no_part_of_the_log_yet() {
    let disk = HeapMedium::new(1);
    let (mut wal, _) = open(&disk).unwrap();
    let mut lsn = 0;
    let preparation = loop {
        assert_eq!(wal.status().segments, 1);
        match wal.prepare() {
            Some(preparation) => break preparation,
            None => lsn += 1,
        }
        wal.append(Lsn(lsn), &accepted(lsn, 1, 1000), Slot(0)).unwrap();
        sync(&mut wal);
    };
    let bytes = u64::from(OPTIONS.segment_bytes);
    let left = bytes / 4 * 3;
    let before = wal.status();
    assert!(before.room_bytes <= left && before.room_bytes > left - 2000, "{before:?}");
    assert!(wal.prepare().is_none(), "one is being made");
    preparation.run_with_pauses(|| panic!("this disk makes it at once"));
    let after = wal.status();
    assert_eq!((after.segments, after.bytes), (1, before.bytes));
    assert!(after.room_bytes > before.room_bytes + bytes / 2);
    assert!(wal.prepare().is_none(), "one is there");
    disk.set_capacity(Some(0));
    assert!(wal.has_room(OPTIONS.entry_bytes_max));
}

#[test]
fn a_segment_is_made_with_pauses_unless_the_log_soon_needs_it() {
    const BYTES: u32 = 4 << 20;
    let place = tempfile::tempdir().unwrap();
    let small = WalOptions { segment_bytes: BYTES, entry_bytes_max: 64 << 10 };
    let options = DirectoryOptions { access: None, wal: small };
    let (mut wal, _) =
        Wal::open_directory_with(place.path(), CLUSTER, ReplicaId(1), options).unwrap();
    let mut lsn = 0;
    let mut append = |wal: &mut Wal| {
        lsn += 1;
        wal.append(Lsn(lsn), &accepted(lsn, 1, 60_000), Slot(0)).unwrap();
        sync(wal);
    };
    // Whether the log fills half of the room that is left while the first piece is made.
    for busy in [false, true] {
        let preparation = loop {
            append(&mut wal);
            if let Some(preparation) = wal.prepare() {
                break preparation;
            }
        };
        let room = wal.status().room_bytes;
        let mut pauses = 0;
        preparation.run_with_pauses(|| {
            pauses += 1;
            while busy && wal.status().room_bytes > room / 2 {
                append(&mut wal);
            }
        });
        assert_eq!(pauses, if busy { 1 } else { 7 });
        assert_eq!(wal.status().segments, 1 + u64::from(busy));
        // On to that segment, with nothing to be made in between.
        while wal.status().segments == 1 + u64::from(busy) {
            append(&mut wal);
        }
    }
    wal.close().unwrap();
}

#[test]
fn the_status_counts_the_bytes_of_all_segments() {
    let disk = HeapMedium::new(1);
    let bytes = |segments: u64| segments * u64::from(OPTIONS.segment_bytes);
    let (mut wal, _) = open(&disk).unwrap();
    for lsn in 1..30 {
        wal.append(Lsn(lsn), &accepted(lsn, 1, 5000), Slot(0)).unwrap();
        sync(&mut wal);
        let status = wal.status();
        assert_eq!(status.bytes, bytes(status.segments));
        assert_eq!((status.records, status.syncs), (lsn, lsn));
    }
    let before = wal.status();
    assert!(before.segments > 4);
    wal.close().unwrap();
    let (wal, _) = open(&disk).unwrap();
    let status = wal.status();
    assert_eq!(status.bytes, bytes(status.segments));
    assert!(status.segments >= before.segments);
    assert_eq!((status.records, status.syncs), (0, 0));
}

#[test]
fn entries_leave_a_sixteenth_of_a_segment_for_promises() {
    let disk = HeapMedium::new(1);
    let options = WalOptions { segment_bytes: 1 << 20, ..OPTIONS };
    let (mut wal, _) = Wal::open(Box::new(disk.clone()), CLUSTER, ME, options).unwrap();
    disk.set_capacity(Some(0));
    let mut lsn = 0;
    let full = loop {
        lsn += 1;
        let done = wal.append(Lsn(lsn), &accepted(lsn, 1, 5000), Slot(0));
        if let Err(error) = done {
            break error;
        }
        sync(&mut wal);
    };
    assert!(matches!(full, WalError::Full { .. }));
    let room = wal.status().room_bytes;
    assert!((64 << 10..80 << 10).contains(&room), "{room}");
    wal.append(Lsn(lsn), &Record::Promised { ballot: ballot(9) }, Slot(0)).unwrap();
}

/// The sequences of the superblock's slots.
fn sequences(disk: &HeapMedium) -> [u64; 2] {
    let file = disk.open(superblock::NAME).unwrap();
    [0, superblock::BYTES / 2].map(|at| {
        let mut slot = [0; frame::SECTOR];
        file.read_at(at, &mut slot).unwrap();
        match superblock::Superblock::read(&slot) {
            superblock::Slot::Good(block) => block.sequence,
            other => panic!("{other:?}"),
        }
    })
}

#[test]
fn the_slots_of_the_superblock_take_turns() {
    let disk = HeapMedium::new(1);
    let first = superblock::Superblock::new(CLUSTER, ME, DiskId([1; 16]));
    superblock::Keeper::create(&disk, &first).unwrap();
    assert_eq!(sequences(&disk), [first.sequence, first.sequence + 1]);
    for start in 1..6 {
        let (wal, _) = open(&disk).unwrap();
        let [even, odd] = sequences(&disk);
        assert_eq!((even % 2, odd % 2, even.abs_diff(odd)), (0, 1, 1), "start {start}");
        drop(wal);
        disk.crash(start);
    }
}

/// A start may do without what it makes for later, but not leave a file that it should remove.
#[test]
fn no_start_succeeds_and_leaves_a_file_over() {
    let disk = HeapMedium::new(1);
    let (wal, _) = open(&disk).unwrap();
    drop(wal);
    let name = segment::temporary_name(9, 1);
    disk.put_file(&name, b"left over");
    let mut failed = 0;
    for after in 0.. {
        let disk = disk.copy();
        let calls = disk.calls();
        disk.inject(Fault::Call { after, kind: io::ErrorKind::PermissionDenied });
        match open(&disk) {
            Ok(_) => assert!(!disk.file_names().contains(&name), "after {after} calls"),
            Err(_) => failed += 1,
        }
        if disk.calls() - calls <= after {
            break;
        }
    }
    assert!(failed > 10, "{failed} calls matter");
}

#[test]
fn a_start_that_copies_into_several_segments_says_where_each_begins() {
    let disk = HeapMedium::new(1);
    let (mut wal, _) = open(&disk).unwrap();
    for lsn in 1..8 {
        wal.append(Lsn(lsn), &accepted(lsn, 1, 9000), Slot(0)).unwrap();
    }
    sync(&mut wal);
    drop(wal);
    disk.kill();
    let (_, recovered) = open(&disk).unwrap();
    let mut firsts = Vec::new();
    for name in disk.file_names().iter().filter(|name| segment::number(name).is_some()) {
        let file = disk.open(name).unwrap();
        match segment::read_header(&*file).unwrap() {
            [segment::Copy::Good(one), segment::Copy::Good(two)] => {
                assert_eq!(one, two);
                if one.incarnation == recovered.me.incarnation {
                    firsts.push(one.first.0);
                }
            }
            other => panic!("{name}: {other:?}"),
        }
    }
    assert_eq!(firsts.first(), Some(&1), "nothing proves that any of them was durable");
    assert!(firsts.len() > 2 && firsts.is_sorted_by(|a, b| a < b), "{firsts:?}");
}
