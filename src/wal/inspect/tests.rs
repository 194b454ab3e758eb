//! What an inspection tells of sound logs, damaged ones, and ones that change under it.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::string::ToString;
use std::vec;
use std::vec::Vec;

use super::*;
use crate::membership::{DiskId, Member, ReplicaId};
use crate::record::Record;
use crate::wal::tests::{CLUSTER, ME, accepted, ballot, entry, open, sync};
use crate::wal::{Fault, HeapMedium, Wal};

const SUPER: &str = "superblock";
const FIRST: &str = "0000000000000001.log";
const SECOND: &str = "0000000000000002.log";
/// The groups of `three_groups`, of two sectors each, and their second copies.
const GROUPS: [u64; 3] = [8192, 8192 + 1024, 8192 + 2048];
const COPIES: [u64; 3] = [32768 - 512, 32768 - 1024, 32768 - 1536];
/// Well within a group's entry.
const WITHIN: u64 = 300;

fn append(wal: &mut Wal, record: &Record, chosen: u64) {
    let lsn = wal.status().last.next();
    wal.append(lsn, record, Slot(chosen)).unwrap();
}

/// Slots 0, 1 and 2 accepted at ballot 1, each synced for itself. The third is not proven durable.
fn three_groups(disk: &HeapMedium) -> Wal {
    let (mut wal, _) = open(disk).unwrap();
    for slot in 0..3 {
        append(&mut wal, &accepted(slot, 1, 600), 0);
        sync(&mut wal);
    }
    wal
}

fn made() -> HeapMedium {
    let disk = HeapMedium::new(1);
    drop(three_groups(&disk));
    disk
}

fn look(disk: &HeapMedium) -> Inspection {
    let before: Vec<_> = disk.file_names().iter().map(|name| disk.file_bytes(name)).collect();
    let seen = inspect_medium(disk).unwrap();
    let after: Vec<_> = disk.file_names().iter().map(|name| disk.file_bytes(name)).collect();
    assert_eq!(before, after, "an inspection changed something");
    assert!(!seen.changing);
    assert_eq!(seen.refused.is_none(), seen.log.is_some() || !seen.is_log());
    seen
}

/// Where what was found lies, and what it is.
fn found(seen: &Inspection) -> Vec<(&str, u64, &'static str)> {
    seen.findings.iter().map(|one| (one.file.as_str(), one.offset, one.name)).collect()
}

#[test]
fn where_there_is_no_log_none_is_seen() {
    let disk = HeapMedium::new(1);
    let seen = look(&disk);
    assert!(!seen.is_log() && seen.is_sound());
    assert_eq!((seen.segments.len(), seen.superblock.taken), (0, None));
    let missing = tempfile::tempdir().unwrap().path().join("missing");
    let error = inspect(&missing).unwrap_err().to_string();
    assert!(error.contains("missing: cannot list the files: "), "{error}");
}

#[test]
fn a_sound_log_is_told_as_a_start_would_find_it() {
    let disk = HeapMedium::new(1);
    let mut wal = three_groups(&disk);
    let disk_id = DiskId([3; 16]);
    let members = Membership::new(vec![Member { replica: ME, disk: disk_id }]).unwrap();
    append(&mut wal, &Record::Members { members: members.clone() }, 0);
    append(&mut wal, &Record::Formed, 0);
    append(&mut wal, &Record::Promised { ballot: ballot(9) }, 2);
    append(&mut wal, &Record::Chosen { slot: Slot(5), ballot: ballot(4), entry: entry(1, 9) }, 2);
    wal.close().unwrap();
    disk.put_file("0000000000000009-0.tmp", b"x");
    disk.put_file("notes", b"x");
    let seen = look(&disk);
    assert!(seen.is_log() && seen.is_sound(), "{seen:?}");
    assert_eq!(seen.temporary, ["0000000000000009-0.tmp"]);
    let block = seen.superblock.taken.clone().unwrap();
    assert_eq!((block.cluster, block.replica, block.incarnation.count()), (CLUSTER, ME, 1));
    assert!(seen.superblock.copies.contains(&Seen::Holds(block.clone())));
    assert_eq!(seen.superblock.row.unwrap().verdict, Verdict::Take);
    let segment = &seen.segments[0];
    assert_eq!((segment.number, segment.bytes), (1, Some(32 << 10)));
    assert_eq!(segment.headers[0], segment.headers[1]);
    assert_eq!(segment.row.unwrap().verdict, Verdict::Take);
    let records = &segment.records[0];
    assert_eq!((records.first, records.last, records.whole), (Lsn(1), Lsn(7), true));
    assert_eq!((records.offset, records.row.unwrap().name), (8192, "whole"));
    assert_eq!((segment.durable, segment.promised, segment.stray), (Lsn(3), ballot(9), None));
    let end = seen.end.unwrap();
    assert_eq!((end.row.verdict, end.segment, end.offset), (Verdict::End, 1, records.end));
    let log = seen.log.unwrap();
    assert_eq!((log.members, log.formed, log.promised), (Some(members), true, ballot(9)));
    assert_eq!((log.chosen, log.last, log.durable), (Slot(2), Lsn(7), Lsn(7)));
    let run =
        |from, to, round| Run { slots: Slots::new(Slot(from), Slot(to)), ballot: ballot(round) };
    assert_eq!((log.runs, log.accepted), (vec![run(0, 2, 1)], vec![run(2, 3, 1)]));
    assert_eq!((log.learned, log.faulty, log.holes), (vec![run(5, 6, 4)], vec![], vec![]));
    assert_eq!((log.lost, log.torn), (0, false));
}

#[test]
fn what_a_later_start_copies_or_seals_off_is_told() {
    let disk = made();
    // The third group is torn: its second sector never arrived. A start writes another one.
    disk.zero(FIRST, GROUPS[2] + 512..GROUPS[2] + 1024);
    let seen = look(&disk);
    assert!(seen.is_sound());
    assert_eq!(seen.end.unwrap().row.verdict, Verdict::Torn);
    assert!(seen.log.unwrap().torn);
    let (mut wal, _) = open(&disk).unwrap();
    append(&mut wal, &accepted(2, 2, 600), 0);
    sync(&mut wal);
    drop(wal);
    let seen = look(&disk);
    assert!(seen.is_sound(), "{seen:?}");
    let names = |at: usize| {
        let records = seen.segments[at].records.iter();
        let names = records.map(|one| (one.first.0, one.last.0, one.row.map(|row| row.name)));
        names.collect::<Vec<_>>()
    };
    let stale = "stale: above the end that a later start has sealed";
    assert_eq!(names(0), [(1, 2, Some("whole")), (3, 3, Some(stale))]);
    assert_eq!(names(1), [(3, 3, Some("whole"))]);
    assert_eq!(seen.log.unwrap().promised, ballot(2));
}

#[test]
fn each_damage_is_told_with_its_place() {
    let told = |damage: &dyn Fn(&HeapMedium)| {
        let disk = made();
        damage(&disk);
        let seen = look(&disk);
        let found = found(&seen).into_iter().map(|(file, at, name)| (file.to_string(), at, name));
        let found: Vec<_> = found.collect();
        (found, seen)
    };
    let one = |file: &str, at, name| vec![(file.to_string(), at, name)];
    for at in [0, 4096] {
        let superblock = told(&|disk| disk.flip(SUPER, at + 9, 1)).0;
        assert_eq!(superblock, one(SUPER, at, "a copy of the superblock does not hold"));
        let header = told(&|disk| disk.flip(FIRST, at + 9, 1)).0;
        assert_eq!(header, one(FIRST, at, "a copy of the header does not hold"));
    }
    let (rot, seen) = told(&|disk| disk.flip(FIRST, GROUPS[0] + WITHIN, 1));
    let lost = "rot below a durable mark, slots named";
    assert_eq!(rot[0], (FIRST.to_string(), GROUPS[0], lost));
    assert_eq!(rot[1..], one("", 0, "slots are faulty"));
    assert_eq!(seen.findings[0].details, "records #1 to #1");
    assert_eq!(seen.findings[1].details, "s0..s1@1.1");
    assert_eq!(seen.log.unwrap().lost, 1);
    let (rot, _) = told(&|disk| disk.flip(FIRST, GROUPS[2] + WITHIN, 1));
    assert_eq!(rot[0].2, "rot in the last group: every bad sector was written");
    let (rot, seen) = told(&|disk| disk.flip(FIRST, COPIES[0] + 90, 1));
    assert_eq!(rot, one(FIRST, GROUPS[0], "the second copy does not hold"));
    assert_eq!(seen.segments[0].stray, Some(COPIES[0] as u32));
    // It may be that the last one never arrived.
    assert_eq!(told(&|disk| disk.zero(FIRST, COPIES[2]..COPIES[2] + 512)).0, vec![]);
    let (rot, _) = told(&|disk| {
        let bytes = disk.file_bytes(FIRST);
        disk.put_file(FIRST, &bytes[..bytes.len() - 2048]);
    });
    assert_eq!(rot[0], (FIRST.to_string(), 32768 - 2048, "the segment is cut short"));
}

#[test]
fn a_chosen_entry_that_rots_is_a_hole() {
    let disk = HeapMedium::new(1);
    let mut wal = three_groups(&disk);
    append(&mut wal, &Record::Promised { ballot: ballot(2) }, 2);
    wal.close().unwrap();
    disk.flip(FIRST, GROUPS[1] + WITHIN, 1);
    let seen = look(&disk);
    let lost = "rot below a durable mark, slots named";
    assert_eq!(found(&seen), [(FIRST, GROUPS[1], lost), ("", 1, "the log has a hole")]);
    assert_eq!(seen.log.unwrap().holes, [Slots::one(Slot(1))]);
}

#[test]
fn a_file_that_is_no_part_of_the_log_is_told_beside_it() {
    let disk = made();
    disk.put_file(SECOND, b"anything");
    let seen = look(&disk);
    let name = "a copy of the header does not hold";
    assert_eq!(found(&seen), [(SECOND, 0, name), (SECOND, 4096, name)]);
    assert_eq!(seen.segments[1].row.unwrap().verdict, Verdict::Ignore);
    assert_eq!(seen.log.unwrap().last, Lsn(3));
}

#[test]
fn each_refusal_is_told_and_what_there_is_beside_it() {
    let disk = made();
    disk.flip(FIRST, GROUPS[0] + WITHIN, 1);
    disk.flip(FIRST, COPIES[0] + 9, 1);
    let seen = look(&disk);
    let name = "rot or gap below a durable mark, slots not named";
    assert_eq!(found(&seen), [(FIRST, 8192, name)]);
    assert!(seen.refused.unwrap().starts_with("record #1, once durable, is lost"));
    assert_eq!(seen.end.unwrap().row.name, name);

    let disk = made();
    disk.lose_file(SUPER);
    let seen = look(&disk);
    assert!(seen.is_log() && seen.end.is_none());
    assert_eq!(found(&seen), [(SUPER, 0, "segments without a superblock")]);
    assert_eq!((seen.segments[0].records[0].last, seen.segments[0].row), (Lsn(3), None));

    let disk = made();
    disk.put_file(SUPER, b"");
    let seen = look(&disk);
    assert_eq!(seen.superblock.copies, [Seen::Rotten, Seen::Rotten]);
    assert_eq!(seen.findings.len(), 3);
    assert!(seen.refused.unwrap().contains("neither copy of the superblock holds"));

    let disk = made();
    disk.lose_file(FIRST);
    let seen = look(&disk);
    assert_eq!(found(&seen), [(FIRST, 0, "a listed segment is missing")]);
    assert_eq!((seen.segments[0].number, seen.segments[0].bytes), (1, None));

    let disk = made();
    for at in [0, 4096] {
        disk.zero(FIRST, at..at + 512);
    }
    let seen = look(&disk);
    assert_eq!(found(&seen)[0], (FIRST, 0, "both headers of a listed segment rotten"));
    assert_eq!((seen.segments[0].records.len(), seen.segments[0].bytes), (0, Some(32 << 10)));
}

#[test]
fn a_lost_list_of_members_is_a_refusal() {
    let disk = HeapMedium::new(1);
    let (mut wal, _) = open(&disk).unwrap();
    let members = vec![Member { replica: ReplicaId(1), disk: DiskId([1; 16]) }];
    let members = Membership::new(members).unwrap();
    append(&mut wal, &Record::Members { members }, 0);
    // Written, and not finished: the superblock does not have it.
    wal.start_sync().unwrap().unwrap().write();
    drop(wal);
    disk.kill();
    disk.flip(FIRST, GROUPS[0] + 41, 1);
    let seen = look(&disk);
    assert_eq!(found(&seen)[1], ("", 0, "the records cannot be replayed"));
    assert!(seen.refused.unwrap().starts_with("the list of members"));
}

/// Changes a sector and makes its checksum right again.
fn forge(disk: &HeapMedium, file: &str, at: u64, change: impl Fn(&mut [u8])) {
    let mut sector = disk.file_bytes(file)[at as usize..][..512].to_vec();
    change(&mut sector);
    let sum = crate::checksum::of(&sector[..508]);
    sector[508..].copy_from_slice(&sum.to_le_bytes());
    disk.overwrite(file, at, &sector);
}

#[test]
fn numbers_that_no_log_has_are_no_panic() {
    let disk = HeapMedium::new(1);
    drop(open(&disk).unwrap());
    let zero = "0000000000000000.log";
    disk.put_file(zero, &disk.file_bytes(FIRST));
    disk.lose_file(FIRST);
    for at in [0, 4096] {
        forge(&disk, SUPER, at, |sector| sector[104..120].fill(0));
        forge(&disk, zero, at, |sector| sector[56..64].fill(0));
    }
    let seen = look(&disk);
    assert!(seen.is_sound(), "{:?}", seen.findings);
    assert_eq!(seen.segments[0].number, 0);
}

#[test]
fn another_format_and_another_segments_header_are_told() {
    let newer = |disk: &HeapMedium, file: &str, at| forge(disk, file, at, |sector| sector[8] = 7);
    let disk = made();
    newer(&disk, SUPER, 0);
    let seen = look(&disk);
    assert_eq!(seen.superblock.copies[0], Seen::Newer { version: 7 });
    assert_eq!(found(&seen), [(SUPER, 0, "newer format")]);
    let disk = made();
    newer(&disk, FIRST, 4096);
    let seen = look(&disk);
    assert_eq!(seen.segments[0].headers[1], Seen::Newer { version: 7 });
    assert_eq!(found(&seen), [(FIRST, 0, "newer format of a segment")]);

    let disk = made();
    drop(open(&disk).unwrap());
    disk.overwrite(FIRST, 0, &disk.file_bytes(SECOND)[..512]);
    let seen = look(&disk);
    assert_eq!(found(&seen), [(FIRST, 0, "a copy of the header is of another segment")]);
    assert_eq!(seen.findings[0].details, "of segment 2");
}

#[test]
fn what_cannot_be_read_is_told() {
    let disk = made();
    let calls = |disk: &HeapMedium| {
        let before = disk.calls();
        inspect_medium(disk).unwrap();
        disk.calls() - before
    };
    let all = calls(&disk);
    let (mut superblock, mut segment) = (0, 0);
    for after in 0..all {
        let broken = disk.copy();
        broken.inject(Fault::Halt { after });
        let Ok(seen) = look::look(&broken) else {
            assert_eq!(after, 0, "only the names are needed");
            continue;
        };
        assert!(!seen.is_sound() && seen.refused.is_some() && seen.log.is_none());
        let is_unreadable = |file| {
            let found = found(&seen);
            found.contains(&(file, 0, "cannot be read"))
        };
        superblock += u64::from(is_unreadable(SUPER));
        segment += u64::from(is_unreadable(FIRST));
    }
    assert!(superblock > 0 && segment > 0, "{superblock} {segment}");
    // What fails once is read again.
    let broken = disk.copy();
    broken.inject(Fault::Call { after: 1, kind: std::io::ErrorKind::Other });
    assert!(inspect_medium(&broken).unwrap().is_sound());
}

/// Settles over readings that are given; says how many were made.
fn settled(readings: Vec<Inspection>) -> (Inspection, usize) {
    let (readings, made) = (RefCell::new(VecDeque::from(readings)), RefCell::new(0));
    let look = || {
        *made.borrow_mut() += 1;
        Ok(readings.borrow_mut().pop_front().expect("no more readings than that"))
    };
    let seen = settle(look, |_| {}).unwrap();
    (seen, made.into_inner())
}

#[test]
fn only_what_is_found_twice_in_a_row_is_told() {
    let sound = look(&made());
    let with = |offsets: &[u64]| {
        let finding = |offset: &u64| Finding {
            file: FIRST.into(),
            offset: *offset,
            name: "rot",
            details: "".into(),
        };
        let mut seen = sound.clone();
        seen.findings = offsets.iter().map(finding).collect();
        seen.refused = seen.findings.first().map(|_| "rot".into());
        // A writer moves on.
        seen.segments[0].stray = offsets.first().map(|at| *at as u32);
        seen
    };
    let offsets = |seen: &Inspection| found(seen).iter().map(|one| one.1).collect::<Vec<_>>();
    let (seen, made) = settled(vec![sound.clone()]);
    assert_eq!((made, seen.changing), (1, false));
    let (seen, made) = settled(vec![with(&[1]), with(&[1])]);
    assert_eq!((made, seen.changing, offsets(&seen)), (2, false, vec![1]));
    // Without a finding it is sound, whatever was seen before.
    let (seen, made) = settled(vec![with(&[1]), with(&[2]), with(&[])]);
    assert_eq!((made, seen.is_sound(), seen.changing), (3, true, true));
    // What is torn is read again, to see whether it is being written.
    let torn = |stray: u32| {
        let mut seen = with(&[]);
        seen.log.as_mut().unwrap().torn = true;
        seen.segments[0].stray = Some(stray);
        seen
    };
    for (second, changing) in [(1, false), (2, true)] {
        let (seen, made) = settled(vec![torn(1), torn(second)]);
        assert_eq!((made, seen.is_sound(), seen.changing), (2, true, changing));
    }
    // It never holds still: what was there each time is told, and no more.
    let moving = (0..8).map(|reading| with(&[5, 100 + reading])).collect();
    let (seen, made) = settled(moving);
    assert_eq!((made, seen.changing, offsets(&seen)), (8, true, vec![5]));
    assert_eq!(seen.refused.as_deref(), Some("rot"));
    let moving = (0..8).map(|reading| with(&[100 + reading])).collect();
    let (seen, made) = settled(moving);
    assert_eq!((made, seen.changing, seen.is_sound(), seen.refused), (8, true, true, None));
}
