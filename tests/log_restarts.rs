//! What one start knew, the next ones know: damage, kills and power cuts between several starts.

#[path = "log/model.rs"]
mod model;

use model::{accepted, append_at, ballot, open, sync_now};
use synod::record::Recovered;
use synod::slot::{Run, Slot, Slots};
use synod::wal::{HeapMedium, Kept};

const FIRST: &str = "0000000000000001.log";
const SECOND: &str = "0000000000000002.log";
/// Where the groups of a segment begin, how long one of a record is, and a place in its entry.
const DATA: u64 = 8192;
const GROUP: u64 = 1024;
const WITHIN: u64 = 300;

fn restart(disk: &HeapMedium) -> Recovered {
    disk.kill();
    open(disk).expect("opens").1
}

/// I8: the last record was lost with the mark that it carried; the second copy names both.
/// Found by the simulator, seed 6570.
#[test]
fn a_mark_that_went_with_a_lost_record_never_falls() {
    let disk = HeapMedium::new(1);
    let (mut wal, _) = open(&disk).expect("opens");
    for slot in 0..3 {
        append_at(&mut wal, &accepted(slot, 1, 600), Slot(slot));
        sync_now(&mut wal);
    }
    drop(wal);
    disk.flip(FIRST, DATA + 2 * GROUP + WITHIN, 1);
    for start in 2..6 {
        let found = restart(&disk);
        assert_eq!(found.chosen, Slot(2), "start {start}");
        let lost = [Run { slots: Slots::one(Slot(2)), ballot: ballot(1) }];
        assert_eq!(found.faulty, lost, "start {start}");
    }
}

/// The copy that a start made of an unproven record is its proof. When it is damaged, the record is
/// read where it lay before, which may be the page cache alone. Found by the simulator, seed 13753.
#[test]
fn a_record_whose_proof_is_damaged_is_written_again() {
    let disk = HeapMedium::new(1);
    let (mut wal, _) = open(&disk).expect("opens");
    append_at(&mut wal, &accepted(0, 1, 600), Slot(0));
    sync_now(&mut wal);
    append_at(&mut wal, &accepted(1, 1, 600), Slot(0));
    // It reaches the page cache, and no further.
    wal.start_sync().expect("starts").expect("something to sync").write();
    drop(wal);
    let slots = |found: &Recovered| found.accepted.iter().map(|(s, ..)| s.0).collect::<Vec<_>>();
    assert_eq!(slots(&restart(&disk)), [0, 1], "copied, and so proven");
    disk.flip(SECOND, DATA + WITHIN, 1);
    assert_eq!(slots(&restart(&disk)), [0, 1], "read where it lay before");
    disk.cut_power(Kept::Nothing);
    assert_eq!(slots(&restart(&disk)), [0, 1], "written again by the start before");
}

/// I1: the record that raised the promise is lost, and so is a slot of the superblock; the second
/// copy of the record's group tells of it.
#[test]
fn a_promise_outlives_its_record_and_a_slot_of_the_superblock() {
    for slot in [0, 4096] {
        let disk = HeapMedium::new(1);
        let (mut wal, _) = open(&disk).expect("opens");
        append_at(&mut wal, &accepted(0, 1, 600), Slot(0));
        sync_now(&mut wal);
        append_at(&mut wal, &accepted(1, 7, 600), Slot(0));
        sync_now(&mut wal);
        drop(wal);
        disk.flip(FIRST, DATA + GROUP + WITHIN, 1);
        disk.flip("superblock", slot + 100, 1);
        for start in 2..5 {
            assert_eq!(restart(&disk).promised, ballot(7), "slot at {slot}, start {start}");
        }
    }
}
