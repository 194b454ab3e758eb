//! The decision table of recovery, one test for each row. `cargo test --test log_recovery --
//! --nocapture` prints it.

#[path = "log/model.rs"]
mod model;

use model::{CLUSTER, ME, SMALL, accepted, append_at, ballot, chosen, entry, open, sync_now};
use synod::checksum;
use synod::membership::{ClusterId, ReplicaId};
use synod::record::{Lsn, Record, Recovered};
use synod::slot::{Run, Slot, Slots};
use synod::wal::table::{RECORDS, SEGMENT, SUPERBLOCK, Table};
use synod::wal::{HeapMedium, Refusal, Wal, WalError};

const SUPER: &str = "superblock";
const FIRST: &str = "0000000000000001.log";
const SECOND: &str = "0000000000000002.log";
const PAGE: u64 = 4096;
const SECTOR: u64 = 512;
/// The groups of `three_groups`, of two sectors each, and their second copies.
const GROUPS: [u64; 3] = [8192, 8192 + 1024, 8192 + 2048];
const COPIES: [u64; 3] = [32768 - 512, 32768 - 1024, 32768 - 1536];
/// Well within a group's entry.
const WITHIN: u64 = 300;

/// One test per row: makes the tests and the list of the rows that have one.
macro_rules! rows {
    ($($name:ident: $table:ident $row:literal $body:block)*) => {
        $(#[test] fn $name() $body)*
        const TESTED: &[(&str, &str)] = &[$((stringify!($table), $row)),*];
    };
}

#[test]
fn every_row_has_its_test_and_the_tables_are_printed() {
    let tables: [(&str, &Table); 3] =
        [("SUPERBLOCK", &SUPERBLOCK), ("SEGMENT", &SEGMENT), ("RECORDS", &RECORDS)];
    for (name, table) in tables {
        println!("{table}");
        for row in table.rows {
            let tests = TESTED.iter().filter(|test| **test == (name, row.name)).count();
            assert_eq!(tests, 1, "{name}: {}", row.name);
        }
    }
    let page = include_str!("../docs/WAL.md");
    for (name, table) in tables {
        assert!(page.contains(&table.to_string()), "docs/WAL.md has another table of {name}");
    }
    let rows: usize = tables.iter().map(|(_, table)| table.rows.len()).sum();
    assert_eq!(TESTED.len(), rows);
}

fn append(wal: &mut Wal, record: &Record) {
    append_at(wal, record, Slot(0));
}

/// Slots 0, 1 and 2 accepted at ballot 1, each synced for itself. The third is not proven durable.
fn three_groups(disk: &HeapMedium) -> Wal {
    let (mut wal, _) = open(disk).expect("opens");
    for slot in 0..3 {
        append(&mut wal, &accepted(slot, 1, 600));
        sync_now(&mut wal);
    }
    wal
}

/// The same, but the third was only handed to the operating system.
fn two_groups_and_one_written(disk: &HeapMedium) {
    let (mut wal, _) = open(disk).expect("opens");
    for slot in 0..3 {
        append(&mut wal, &accepted(slot, 1, 600));
        if slot < 2 {
            sync_now(&mut wal);
        }
    }
    wal.start_sync().expect("starts").expect("something to sync").write();
    drop(wal);
    disk.kill();
}

/// Opens, and opens once more: what was found must not change by that.
fn recovered(disk: &HeapMedium) -> Recovered {
    let (wal, first) = open(disk).expect("opens");
    drop(wal);
    let (_, second) = open(disk).expect("opens again");
    assert_eq!(Recovered { me: first.me, ..second }, first);
    first
}

fn is_torn(disk: &HeapMedium) -> bool {
    open(&disk.copy()).expect("opens").0.status().torn
}

fn refusal(disk: &HeapMedium) -> Refusal {
    match open(disk) {
        Err(WalError::Refused { refusal, .. }) => refusal,
        Err(error) => panic!("{error}"),
        Ok((_, recovered)) => panic!("opened: {recovered:?}"),
    }
}

fn slots(recovered: &Recovered) -> Vec<u64> {
    recovered.accepted.iter().map(|(slot, ..)| slot.0).collect()
}

fn faulty(slot: u64, round: u64) -> Vec<Run> {
    vec![Run { slots: Slots::one(Slot(slot)), ballot: ballot(round) }]
}

/// Changes a field of a sector and makes its checksum right again.
fn rewrite(disk: &HeapMedium, file: &str, at: u64, field: usize, value: &[u8]) {
    let mut bytes = disk.file_bytes(file);
    let sector = &mut bytes[at as usize..][..SECTOR as usize];
    sector[field..field + value.len()].copy_from_slice(value);
    let sum = checksum::of(&sector[..508]);
    sector[508..].copy_from_slice(&sum.to_le_bytes());
    disk.put_file(file, &bytes);
}

rows! {
    nothing: SUPERBLOCK "nothing: a new disk, or a wiped one (peers refuse its DiskId)" {
        let disk = HeapMedium::new(1);
        let before = three_groups(&disk);
        drop(before);
        let (_, old) = open(&disk).expect("opens");
        for file in disk.file_names() {
            disk.lose_file(&file);
        }
        let (_, new) = open(&disk).expect("opens");
        assert_ne!(old.me.disk(), new.me.disk());
        assert_eq!((new.last, new.me.incarnation().count()), (Lsn::ZERO, 1));
    }

    no_superblock: SUPERBLOCK "segments without a superblock" {
        let disk = HeapMedium::new(1);
        three_groups(&disk);
        disk.lose_file(SUPER);
        assert_eq!(refusal(&disk), Refusal::SuperblockMissing);
    }

    newer_superblock: SUPERBLOCK "newer format" {
        let disk = HeapMedium::new(1);
        three_groups(&disk);
        rewrite(&disk, SUPER, PAGE, 8, &9u32.to_le_bytes());
        let newer = Refusal::NewerFormat { file: SUPER.into(), version: 9, ours: 1 };
        assert_eq!(refusal(&disk), newer);
    }

    both_superblocks_rotten: SUPERBLOCK "both copies rotten: the promise may be lost" {
        let disk = HeapMedium::new(1);
        three_groups(&disk);
        disk.flip(SUPER, 90, 1);
        disk.zero(SUPER, PAGE..PAGE + SECTOR);
        assert_eq!(refusal(&disk), Refusal::SuperblockRot);
    }

    foreign_superblock: SUPERBLOCK "another cluster, replica or constant" {
        let disk = HeapMedium::new(1);
        three_groups(&disk);
        let open = |cluster, replica| {
            match Wal::open(Box::new(disk.clone()), cluster, replica, SMALL) {
                Err(WalError::Refused { refusal, .. }) => refusal,
                _ => panic!("opened"),
            }
        };
        let other = ClusterId::named("other").expect("a name");
        let found = Refusal::OtherCluster { found: CLUSTER, expected: other };
        assert_eq!(open(other, ME), found);
        let found = Refusal::OtherReplica { found: ME, expected: ReplicaId(9) };
        assert_eq!(open(CLUSTER, ReplicaId(9)), found);
        for at in [0, PAGE] {
            rewrite(&disk, SUPER, at, 72, &64u64.to_le_bytes());
        }
        let found = Refusal::OtherConstant { what: "alpha", found: 64, expected: 256 };
        assert_eq!(open(CLUSTER, ME), found);
    }

    both_superblocks: SUPERBLOCK "both copies hold" {
        let disk = HeapMedium::new(1);
        three_groups(&disk);
        assert_eq!(slots(&recovered(&disk)), [0, 1, 2]);
    }

    one_superblock: SUPERBLOCK "one copy rotten" {
        for (at, zero) in [(0, true), (PAGE, true), (0, false), (PAGE, false)] {
            let disk = HeapMedium::new(1);
            three_groups(&disk);
            if zero {
                disk.zero(SUPER, at..at + SECTOR);
            } else {
                disk.flip(SUPER, at + 100, 4);
            }
            let found = recovered(&disk);
            assert_eq!(slots(&found), [0, 1, 2]);
            assert_eq!(found.promised, ballot(1), "the log knows the promise as well");
            assert!(open(&disk).expect("opens").1.me.incarnation().count() >= 4);
            // The start has written both copies anew: the other one may go now.
            disk.flip(SUPER, PAGE - at + 100, 4);
            assert_eq!(slots(&recovered(&disk)), [0, 1, 2]);
        }
    }

    end_of_segments: SEGMENT "after the last segment" {
        let disk = HeapMedium::new(1);
        drop(three_groups(&disk));
        recovered(&disk);
        // Starts without new records do not add up.
        let files = disk.file_names();
        for start in 4..10 {
            let (_, found) = open(&disk).expect("opens");
            assert_eq!(found.me.incarnation().count(), start);
            assert_eq!(disk.file_names(), files);
        }
    }

    segment_missing: SEGMENT "a listed segment is missing" {
        let disk = HeapMedium::new(1);
        drop(three_groups(&disk));
        recovered(&disk);
        disk.lose_file(FIRST);
        assert_eq!(refusal(&disk), Refusal::SegmentMissing { segment: 1, lsn: Lsn::ZERO });
    }

    newer_segment: SEGMENT "newer format of a segment" {
        let disk = HeapMedium::new(1);
        three_groups(&disk);
        rewrite(&disk, FIRST, 0, 8, &2u32.to_le_bytes());
        let newer = Refusal::NewerFormat { file: FIRST.into(), version: 2, ours: 1 };
        assert_eq!(refusal(&disk), newer);
    }

    segment_headers_rotten: SEGMENT "both headers of a listed segment rotten" {
        let disk = HeapMedium::new(1);
        three_groups(&disk);
        disk.flip(FIRST, 20, 1);
        disk.flip(FIRST, PAGE + 20, 1);
        assert_eq!(refusal(&disk), Refusal::SegmentRot { segment: 1, lsn: Lsn::ZERO });
    }

    unlisted_segment: SEGMENT "both headers rotten, never listed" {
        let disk = HeapMedium::new(1);
        three_groups(&disk);
        disk.put_file(SECOND, &[7; 32 << 10]);
        assert_eq!(slots(&recovered(&disk)), [0, 1, 2]);
        assert_ne!(disk.file_bytes(SECOND)[..8], [7; 8]);
    }

    misdirected_segment: SEGMENT "misdirected: another segment's number" {
        let disk = HeapMedium::new(1);
        drop(three_groups(&disk));
        recovered(&disk);
        disk.put_file(SECOND, &disk.file_bytes(FIRST));
        assert_eq!(refusal(&disk), Refusal::SegmentMisdirected { segment: 2, found: 1 });
    }

    foreign_segment: SEGMENT "foreign: another cluster, replica or disk" {
        let (disk, other) = (HeapMedium::new(1), HeapMedium::new(2));
        drop((three_groups(&disk), three_groups(&other)));
        disk.put_file(FIRST, &other.file_bytes(FIRST));
        assert_eq!(refusal(&disk), Refusal::SegmentForeign { segment: 1, whose: "disk" });
    }

    rolled_back: SEGMENT "rolled back: the superblock is of an earlier start" {
        let disk = HeapMedium::new(1);
        drop(three_groups(&disk));
        let old = disk.file_bytes(SUPER);
        let (mut wal, _) = open(&disk).expect("opens");
        append(&mut wal, &accepted(3, 4, 600));
        sync_now(&mut wal);
        drop(wal);
        disk.put_file(SUPER, &old);
        let back = Refusal::RolledBack { segment: 2, incarnation: 2, superblock: 1 };
        assert_eq!(refusal(&disk), back);
    }

    good_header: SEGMENT "a good header (one copy is enough)" {
        for at in [0, PAGE] {
            let disk = HeapMedium::new(1);
            three_groups(&disk);
            disk.zero(FIRST, at..at + SECTOR);
            assert_eq!(slots(&recovered(&disk)), [0, 1, 2]);
            // The header of another segment lies where one copy was.
            let stray = disk.file_bytes(SECOND)[..SECTOR as usize].to_vec();
            let mut bytes = disk.file_bytes(FIRST);
            bytes[at as usize..][..SECTOR as usize].copy_from_slice(&stray);
            disk.put_file(FIRST, &bytes);
            assert_eq!(slots(&recovered(&disk)), [0, 1, 2]);
        }
    }

    stale: RECORDS "stale: above the end that a later start has sealed" {
        let disk = HeapMedium::new(1);
        let (mut wal, _) = open(&disk).expect("opens");
        append(&mut wal, &accepted(0, 1, 600));
        sync_now(&mut wal);
        // Two groups under way; of the first nothing arrives, the second does.
        append(&mut wal, &accepted(1, 1, 600));
        let first = wal.start_sync().expect("starts");
        append(&mut wal, &accepted(2, 1, 600));
        let second = wal.start_sync().expect("starts");
        for mut sync in [first, second].into_iter().flatten() {
            sync.write();
        }
        drop(wal);
        disk.kill();
        disk.zero(FIRST, GROUPS[1]..GROUPS[2]);
        disk.zero(FIRST, COPIES[1]..COPIES[0]);
        let (mut wal, found) = open(&disk).expect("opens");
        assert_eq!((found.last, slots(&found)), (Lsn(1), vec![0]));
        // Another record gets the number of the one that never arrived.
        append(&mut wal, &accepted(7, 2, 600));
        sync_now(&mut wal);
        drop(wal);
        let found = recovered(&disk);
        assert_eq!((found.last, slots(&found)), (Lsn(2), vec![0, 7]));
    }

    whole: RECORDS "whole" {
        let disk = HeapMedium::new(1);
        three_groups(&disk);
        // The second copies are not needed.
        disk.zero(FIRST, COPIES[2]..32 << 10);
        assert_eq!(slots(&recovered(&disk)), [0, 1, 2]);
    }

    named_rot: RECORDS "rot below a durable mark, slots named" {
        for zero in [false, true] {
            let disk = HeapMedium::new(1);
            three_groups(&disk);
            if zero {
                disk.zero(FIRST, GROUPS[1]..GROUPS[2]);
            } else {
                disk.flip(FIRST, GROUPS[1] + WITHIN, 1);
            }
            let found = recovered(&disk);
            assert_eq!((found.last, slots(&found)), (Lsn(3), vec![0, 2]));
            assert_eq!(found.faulty, faulty(1, 1));
            // Accepted again it is whole again; below the mark it is a hole.
            let (mut wal, _) = open(&disk).expect("opens");
            assert!(wal.locate(Slot(1)).is_none());
            assert_eq!(wal.status().lost, 1);
            append(&mut wal, &accepted(1, 2, 50));
            sync_now(&mut wal);
            drop(wal);
            assert_eq!(recovered(&disk).faulty, []);
        }
        let disk = HeapMedium::new(1);
        let mut wal = three_groups(&disk);
        append_at(&mut wal, &chosen(3, 1, 10), Slot(2));
        sync_now(&mut wal);
        drop(wal);
        disk.flip(FIRST, GROUPS[1] + WITHIN, 1);
        let found = recovered(&disk);
        assert_eq!(found.holes, [Slots::one(Slot(1))]);
        assert_eq!((found.chosen, found.faulty), (Slot(2), vec![]));
    }

    torn_named: RECORDS "torn tail, named: a sector was never written" {
        for sector in [0, 1] {
            let disk = HeapMedium::new(1);
            two_groups_and_one_written(&disk);
            let at = GROUPS[2] + sector * SECTOR;
            disk.zero(FIRST, at..at + SECTOR);
            assert!(is_torn(&disk));
            let found = recovered(&disk);
            assert_eq!((found.last, slots(&found)), (Lsn(2), vec![0, 1]));
            assert_eq!(found.faulty, []);
        }
    }

    rot_in_the_last_group: RECORDS "rot in the last group: every bad sector was written" {
        let disk = HeapMedium::new(1);
        three_groups(&disk);
        disk.flip(FIRST, GROUPS[2] + WITHIN, 0x80);
        let found = recovered(&disk);
        assert_eq!((found.last, slots(&found)), (Lsn(3), vec![0, 1]));
        assert_eq!(found.faulty, faulty(2, 1));
    }

    unnamed_rot: RECORDS "rot or gap below a durable mark, slots not named" {
        for (from, to) in [(GROUPS[1], GROUPS[1] + SECTOR), (GROUPS[1], GROUPS[2])] {
            let disk = HeapMedium::new(1);
            three_groups(&disk);
            disk.zero(FIRST, from..to);
            disk.flip(FIRST, COPIES[1] + 10, 1);
            let (lsn, durable) = (Lsn(2), Lsn(2));
            let offset = GROUPS[1] as u32;
            let lost = Refusal::RecordsLost { segment: 1, offset, lsn, durable };
            assert_eq!(refusal(&disk), lost);
        }
        // The second copy of a rotten group proves what was durable before it just as well.
        let disk = HeapMedium::new(1);
        three_groups(&disk);
        disk.zero(FIRST, GROUPS[1]..GROUPS[2]);
        disk.zero(FIRST, COPIES[1]..COPIES[0]);
        disk.flip(FIRST, GROUPS[2] + WITHIN, 1);
        assert!(matches!(refusal(&disk), Refusal::RecordsLost { lsn: Lsn(2), .. }));
        // After a clean stop the last group is proven too, and its loss no torn tail.
        let disk = HeapMedium::new(1);
        three_groups(&disk).close().expect("closes");
        disk.zero(FIRST, GROUPS[2]..GROUPS[2] + 1024);
        disk.zero(FIRST, COPIES[2]..COPIES[1]);
        let (lsn, durable) = (Lsn(3), Lsn(3));
        let offset = GROUPS[2] as u32;
        assert_eq!(refusal(&disk), Refusal::RecordsLost { segment: 1, offset, lsn, durable });
    }

    clean_end: RECORDS "clean end" {
        let disk = HeapMedium::new(1);
        let wal = three_groups(&disk);
        drop(wal);
        disk.crash(1);
        assert_eq!((is_torn(&disk), recovered(&disk).last), (false, Lsn(3)));
    }

    torn_unnamed: RECORDS "torn tail, not named" {
        let disk = HeapMedium::new(1);
        two_groups_and_one_written(&disk);
        disk.zero(FIRST, GROUPS[2]..GROUPS[2] + SECTOR);
        disk.zero(FIRST, COPIES[2]..COPIES[1]);
        assert!(is_torn(&disk));
        let found = recovered(&disk);
        assert_eq!((found.last, slots(&found)), (Lsn(2), vec![0, 1]));
    }

    promise_lost: RECORDS
        "torn tail, a superblock copy rotten for no reason: a promise may be lost" {
        let disk = HeapMedium::new(1);
        two_groups_and_one_written(&disk);
        disk.zero(FIRST, GROUPS[2]..GROUPS[2] + SECTOR);
        disk.zero(FIRST, COPIES[2]..COPIES[1]);
        let spoilt = disk.copy();
        spoilt.flip(SUPER, PAGE + 100, 1);
        let offset = (GROUPS[2] + SECTOR) as u32;
        let lost = Refusal::PromiseLost { segment: 1, offset, lsn: Lsn(2) };
        assert_eq!(refusal(&spoilt), lost);
        // The copy that was written for the promise of ballot 1, which the log tells, is no doubt:
        // a power cut may have spoilt it while it was written.
        let explained = disk.copy();
        explained.flip(SUPER, 100, 1);
        assert_eq!(recovered(&explained).promised, ballot(1));
    }
}

#[test]
fn a_lost_list_of_members_is_told_by_the_superblock() {
    let disk = HeapMedium::new(1);
    let (mut wal, _) = open(&disk).expect("opens");
    append(&mut wal, &model::members());
    append(&mut wal, &Record::Formed);
    sync_now(&mut wal);
    wal.close().expect("closes");
    disk.flip(FIRST, GROUPS[0] + 60, 1);
    let found = recovered(&disk);
    assert_eq!(found.members.map_or(0, |list| list.members().len()), 3);
    assert!(found.formed);
}

/// Whether promised in so many words or by accepting: the superblock has it too.
#[test]
fn a_promise_outlives_its_record() {
    for last in [Record::Promised { ballot: ballot(7) }, accepted(3, 7, 10)] {
        let disk = HeapMedium::new(1);
        let mut wal = three_groups(&disk);
        append(&mut wal, &last);
        sync_now(&mut wal);
        drop(wal);
        disk.zero(FIRST, GROUPS[2] + 1024..GROUPS[2] + 2048);
        disk.zero(FIRST, COPIES[2] - SECTOR..COPIES[2]);
        let found = recovered(&disk);
        assert_eq!((found.last, found.promised), (Lsn(3), ballot(7)));
        assert_eq!(found.me.disk(), open(&disk).expect("opens").1.me.disk());
    }
}

#[test]
fn a_list_of_members_that_is_lost_in_both_places_is_refused() {
    let disk = HeapMedium::new(1);
    let (mut wal, _) = open(&disk).expect("opens");
    append(&mut wal, &model::members());
    sync_now(&mut wal);
    append(&mut wal, &chosen(0, 1, 10));
    sync_now(&mut wal);
    drop(wal);
    disk.flip(FIRST, GROUPS[0] + 60, 1);
    // The slot that was written with the list.
    disk.flip(SUPER, 100, 1);
    let lost = Refusal::MembersLost { segment: 1, offset: GROUPS[0] as u32, lsn: Lsn(1) };
    assert_eq!(refusal(&disk), lost);
}

#[test]
fn an_older_copy_of_a_segment_is_a_loss_not_a_shorter_log() {
    let disk = HeapMedium::new(1);
    let (mut wal, _) = open(&disk).expect("opens");
    append(&mut wal, &accepted(0, 1, 600));
    sync_now(&mut wal);
    let old = disk.file_bytes(FIRST);
    for slot in 1..4 {
        append(&mut wal, &accepted(slot, 1, 600));
        sync_now(&mut wal);
    }
    wal.close().expect("closes");
    disk.put_file(FIRST, &old);
    let lost =
        Refusal::RecordsLost { segment: 1, offset: GROUPS[1] as u32, lsn: Lsn(2), durable: Lsn(4) };
    assert_eq!(refusal(&disk), lost);
}

#[test]
fn swapped_entries_of_the_same_size_are_no_longer_whole() {
    let disk = HeapMedium::new(1);
    three_groups(&disk).close().expect("closes");
    let mut bytes = disk.file_bytes(FIRST);
    let (front, back) = bytes.split_at_mut(GROUPS[1] as usize);
    front[GROUPS[0] as usize..].swap_with_slice(&mut back[..1024]);
    disk.put_file(FIRST, &bytes);
    let found = recovered(&disk);
    assert_eq!(slots(&found), [2]);
    let both = vec![Run { slots: Slots::new(Slot(0), Slot(2)), ballot: ballot(1) }];
    assert_eq!(found.faulty, both);
}

#[test]
fn unknown_files_are_left_alone_and_temporary_ones_removed() {
    let disk = HeapMedium::new(1);
    drop(three_groups(&disk));
    disk.put_file(".DS_Store", b"junk");
    disk.put_file("notes.log", b"junk");
    disk.put_file("0000000000000009-3.tmp", b"junk");
    assert_eq!(slots(&recovered(&disk)), [0, 1, 2]);
    let names = disk.file_names();
    assert!(names.contains(&".DS_Store".into()) && names.contains(&"notes.log".into()));
    assert!(!names.iter().any(|name| name.ends_with(".tmp")));
}

#[test]
fn a_learned_entry_stays_and_what_was_accepted_beside_it_is_told_as_lost() {
    let disk = HeapMedium::new(1);
    let (mut wal, _) = open(&disk).expect("opens");
    append(&mut wal, &chosen(4, 1, 600));
    sync_now(&mut wal);
    append(&mut wal, &accepted(4, 3, 600));
    sync_now(&mut wal);
    append(&mut wal, &accepted(5, 3, 600));
    sync_now(&mut wal);
    drop(wal);
    disk.flip(FIRST, GROUPS[1] + WITHIN, 1);
    let found = recovered(&disk);
    assert_eq!(found.learned, [(Slot(4), ballot(1), entry(4001, 600))]);
    // Until the mark passes the slot a Promise speaks of what was accepted there, which is lost.
    assert_eq!(found.faulty, [Run { slots: Slots::one(Slot(4)), ballot: ballot(3) }]);
    // The lost acceptance is a promise all the same.
    assert_eq!(found.promised, ballot(3));
}

#[test]
fn a_lost_learned_entry_is_faulty_up_to_the_promise() {
    let disk = HeapMedium::new(1);
    let (mut wal, _) = open(&disk).expect("opens");
    append(&mut wal, &accepted(4, 1, 600));
    sync_now(&mut wal);
    append(&mut wal, &chosen(4, 1, 600));
    sync_now(&mut wal);
    append(&mut wal, &Record::Promised { ballot: ballot(9) });
    sync_now(&mut wal);
    drop(wal);
    disk.flip(FIRST, GROUPS[1] + WITHIN, 1);
    let found = recovered(&disk);
    assert_eq!(found.faulty, faulty(4, 9));
    assert!(open(&disk).expect("opens").0.locate(Slot(4)).is_none());
}

/// A lost learned entry, then another entry accepted at the same slot, then the mark passes: what
/// was accepted must not be taken for what was chosen.
#[test]
fn what_was_accepted_after_a_lost_learned_entry_is_not_taken_for_chosen() {
    let disk = HeapMedium::new(1);
    let (mut wal, _) = open(&disk).expect("opens");
    append(&mut wal, &chosen(0, 5, 600));
    sync_now(&mut wal);
    append(&mut wal, &accepted(0, 3, 600));
    sync_now(&mut wal);
    append_at(&mut wal, &accepted(1, 3, 600), Slot(1));
    sync_now(&mut wal);
    drop(wal);
    disk.flip(FIRST, GROUPS[0] + WITHIN, 1);
    let found = recovered(&disk);
    assert_eq!((found.chosen, found.holes), (Slot(1), vec![Slots::one(Slot(0))]));
    assert!(open(&disk).expect("opens").0.locate(Slot(0)).is_none());
}
