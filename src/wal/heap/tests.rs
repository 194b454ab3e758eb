//! The simulated disk loses what it should, and nothing else.

use std::collections::BTreeSet;

use super::*;

fn file(disk: &HeapMedium) -> Box<dyn MediumFile> {
    let file = disk.create("a", 4096).unwrap();
    file.sync().unwrap();
    disk.sync_names().unwrap();
    file
}

#[test]
fn a_crash_keeps_what_was_synced_and_any_part_of_the_rest() {
    let mut kept = BTreeSet::new();
    for seed in 0..200 {
        let disk = HeapMedium::new(1);
        let file = file(&disk);
        file.write_at(0, &[1; 1024]).unwrap();
        file.sync().unwrap();
        file.write_at(512, &[2; 1024]).unwrap();
        disk.crash(seed);
        let bytes = disk.file_bytes("a");
        assert!(bytes[..512].iter().all(|byte| *byte == 1));
        assert!(bytes[1536..].iter().all(|byte| *byte == 0));
        // A sector is kept or lost as a whole.
        let sectors = [(512, [1, 2]), (1024, [0, 2])].map(|(at, may)| {
            let sector = &bytes[at..at + 512];
            assert!(may.contains(&sector[0]) && sector.iter().all(|byte| *byte == sector[0]));
            sector[0]
        });
        kept.insert(sectors);
        assert!(file.sync().is_err(), "open files end with the process");
    }
    assert_eq!(kept.len(), 4, "every subset comes up");
}

#[test]
fn names_survive_a_crash_in_their_order() {
    let mut seen = BTreeSet::new();
    for seed in 0..100 {
        let disk = HeapMedium::new(1);
        file(&disk);
        disk.create("b", 512).unwrap();
        disk.rename("b", "c").unwrap();
        disk.remove("a").unwrap();
        disk.crash(seed);
        seen.insert(disk.file_names());
    }
    let named = |names: &[&str]| names.iter().map(|name| name.to_string()).collect::<Vec<_>>();
    let every = [named(&["a"]), named(&["a", "b"]), named(&["a", "c"]), named(&["c"])];
    assert_eq!(seen, BTreeSet::from(every));
}

#[test]
fn a_failed_sync_gives_up_what_a_later_one_does_not_write() {
    let disk = HeapMedium::new(1);
    let file = file(&disk);
    file.write_at(0, &[1; 512]).unwrap();
    disk.inject(Fault::Sync { after: 0 });
    assert!(file.sync().is_err());
    file.write_at(512, &[2; 512]).unwrap();
    file.sync().unwrap();
    assert_eq!(disk.file_bytes("a")[0], 1, "it is still seen");
    disk.kill();
    assert_eq!(disk.file_bytes("a")[0], 1, "even by the next process");
    disk.crash(0);
    assert_eq!(disk.file_bytes("a")[0], 0);
    assert_eq!(disk.file_bytes("a")[512], 2);
}

#[test]
fn what_overwrites_bytes_that_were_given_up_is_lost_to_what_lies_on_the_platter() {
    let disk = HeapMedium::new(1);
    let file = file(&disk);
    file.write_at(0, &[1; 512]).unwrap();
    file.sync().unwrap();
    file.write_at(0, &[2; 512]).unwrap();
    disk.inject(Fault::Sync { after: 0 });
    assert!(file.sync().is_err());
    file.write_at(0, &[3; 512]).unwrap();
    disk.cut_power(Kept::Nothing);
    assert_eq!(disk.file_bytes("a")[..512], [1; 512]);
}

#[test]
fn files_are_written_within_their_length_and_not_if_opened_for_reading() {
    let disk = HeapMedium::new(1);
    let kind = |done: io::Result<()>| done.map_err(|error| error.kind());
    assert_eq!(kind(file(&disk).write_at(4095, &[1; 1])), Ok(()));
    assert_eq!(kind(file(&disk).write_at(4095, &[1; 2])), Err(io::ErrorKind::InvalidInput));
    assert_eq!(kind(file(&disk).write_at(u64::MAX, &[1])), Err(io::ErrorKind::InvalidInput));
    let reader = disk.open("a").unwrap();
    assert_eq!(kind(reader.write_at(0, &[1])), Err(io::ErrorKind::PermissionDenied));
}

#[test]
fn faults_come_when_they_should() {
    let disk = HeapMedium::new(1);
    let file = file(&disk);
    disk.inject(Fault::Call { after: 1, kind: io::ErrorKind::StorageFull });
    assert!(file.bytes().is_ok());
    assert_eq!(file.bytes().unwrap_err().kind(), io::ErrorKind::StorageFull);
    assert!(file.bytes().is_ok());
    disk.inject(Fault::Halt { after: 1 });
    assert!(file.write_at(0, &[1]).is_ok());
    assert!(file.write_at(0, &[2]).is_err() && disk.names().is_err());
    assert_eq!(disk.file_bytes("a")[0], 1);
    disk.kill();
    assert!(disk.names().is_ok());
    disk.set_capacity(Some(5000));
    assert_eq!(disk.create("b", 905).err().unwrap().kind(), io::ErrorKind::StorageFull);
    assert!(disk.create("b", 904).is_ok());
}

#[test]
fn equal_seeds_give_equal_disks() {
    let [one, two] = [0, 1].map(|_| {
        let disk = HeapMedium::new(5);
        let mut bytes = [0; 20];
        disk.random(&mut bytes).unwrap();
        bytes
    });
    assert_eq!(one, two);
}

#[test]
fn the_last_call_has_its_effect_and_is_not_heard_of() {
    let disk = HeapMedium::new(1);
    let file = file(&disk);
    disk.inject(Fault::Last { after: 1 });
    file.write_at(0, &[1]).unwrap();
    assert!(file.write_at(1, &[2]).is_err());
    assert!(file.write_at(2, &[3]).is_err() && disk.names().is_err());
    assert_eq!(disk.file_bytes("a")[..3], [1, 2, 0]);
    assert_eq!(disk.failures(), 1, "the machine stops once");
    disk.cut_power(Kept::Everything);
    assert_eq!((&disk.file_bytes("a")[..3], disk.failures()), (&[1, 2, 0][..], 0));
    disk.inject(Fault::Last { after: 0 });
    assert!(disk.rename("a", "b").is_err());
    disk.cut_power(Kept::Nothing);
    assert_eq!(disk.file_names(), ["a"]);
    disk.inject(Fault::Last { after: 1 });
    disk.rename("a", "b").unwrap();
    assert!(disk.sync_names().is_err());
    disk.cut_power(Kept::Nothing);
    assert_eq!(disk.file_names(), ["b"]);
}

#[test]
fn a_power_cut_keeps_what_it_is_told_to() {
    for (kept, expected) in [(Kept::Nothing, 0), (Kept::Everything, 7)] {
        let disk = HeapMedium::new(1);
        let file = file(&disk);
        file.write_at(100, &[7; 1000]).unwrap();
        disk.cut_power(kept);
        assert!(disk.file_bytes("a")[100..1100].iter().all(|byte| *byte == expected));
    }
}

#[test]
fn what_is_overwritten_outlives_a_crash() {
    let disk = HeapMedium::new(1);
    let file = file(&disk);
    file.write_at(0, &[1; 512]).unwrap();
    disk.overwrite("a", 500, &[9; 40]);
    disk.cut_power(Kept::Nothing);
    let bytes = disk.file_bytes("a");
    assert!(bytes[500..540].iter().all(|byte| *byte == 9), "it is not to be taken back");
    assert!(bytes[..500].iter().chain(&bytes[540..]).all(|byte| *byte == 0));
}

#[test]
fn calls_and_what_became_of_them_are_counted() {
    let disk = HeapMedium::new(1);
    let counts = |disk: &HeapMedium| {
        (disk.calls(), disk.syncs(), disk.failures(), disk.shortages(), disk.used())
    };
    assert_eq!(counts(&disk), (0, 0, 0, 0, 0));
    let file = file(&disk);
    let made = disk.calls();
    assert_eq!(counts(&disk), (made, disk.syncs(), 0, 0, 4096));
    file.write_at(0, &[1]).unwrap();
    file.sync().unwrap();
    disk.set_capacity(Some(5000));
    assert!(disk.create("b", 905).is_err());
    assert!(disk.create("b", 905).is_err());
    disk.inject(Fault::Call { after: 0, kind: io::ErrorKind::Other });
    assert!(file.bytes().is_err());
    let before = counts(&disk);
    assert_eq!((before.0, before.2, before.3, before.4), (made + 5, 1, 2, 4096));
    assert!(disk.undisturbed(|| file.sync().is_ok() && file.bytes().is_ok()));
    assert_eq!(counts(&disk), before, "eyes are not counted");
    let copy = counts(&disk.copy());
    assert_eq!((copy.0, copy.1, copy.2, copy.3), (before.0, before.1, 0, 0));
    disk.kill();
    assert_eq!((disk.calls(), disk.failures(), disk.shortages()), (before.0, 0, 0));
}
