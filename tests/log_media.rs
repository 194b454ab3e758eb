//! One storage suite over all three media, and what a directory adds: its lock, its errors, and
//! that both ways of writing it give the same bytes.

#[path = "log/model.rs"]
mod model;

use std::path::Path;
use std::sync::Mutex;
use std::{fs, io, thread};

use model::{CLUSTER, ME, Model, SMALL, accepted};
use oorandom::Rand64;
use synod::membership::{ClusterId, ReplicaId};
use synod::record::{Lsn, Record, Recovered};
use synod::slot::Slot;
use synod::wal::{
    Directory, DirectoryOptions, FileAccess, HeapMedium, Medium, MediumFile, Refusal, Wal,
    WalError, WalOptions,
};

type Opened = Result<(Wal, Recovered), WalError>;

/// Runs the case on the simulated disk and on a directory, written in both ways.
fn on_all_media(case: impl Fn(&dyn Fn() -> Opened)) {
    let disk = HeapMedium::new(3);
    case(&|| model::open(&disk));
    for access in [FileAccess::Mapped, FileAccess::Pwrite] {
        let directory = tempfile::tempdir().expect("a directory");
        case(&|| open(directory.path(), access));
    }
}

fn open(path: &Path, access: FileAccess) -> Opened {
    let options = DirectoryOptions { access: Some(access), wal: SMALL };
    Wal::open_directory_with(path, CLUSTER, ME, options)
}

fn append(wal: &mut Wal, record: &Record) -> Result<(), WalError> {
    wal.append(wal.status().last.next(), record, Slot(0))
}

fn sync(wal: &mut Wal) -> Lsn {
    let sync = wal.start_sync().expect("starts").expect("something to sync");
    wal.finish(sync.run()).expect("syncs")
}

#[test]
fn a_log_is_found_again_after_each_of_many_starts() {
    on_all_media(|open| {
        let mut random = Rand64::new(9);
        let mut model = Model::default();
        for start in 0..6 {
            let (mut wal, recovered) = open().expect("opens");
            assert_eq!(recovered.me.incarnation().count(), start + 1);
            model.check(&wal, &recovered);
            for step in 0..60 {
                let (lsn, record, chosen) = model.invent(&mut random, 5000);
                wal.append(lsn, &record, chosen).expect("appends");
                if step % 7 == 0 {
                    model::sync(&mut wal, &mut model).expect("syncs");
                }
                if let Some(preparation) = wal.prepare() {
                    preparation.run();
                }
            }
            // The last records are dropped now and then.
            if start % 2 == 0 {
                model.durable = wal.close().expect("closes");
                assert_eq!(model.durable, model.last());
            }
        }
        let status = open().expect("opens").0.status();
        assert!(status.segments > 6 && status.bytes == status.segments * (32 << 10), "{status:?}");
    });
}

#[test]
fn entries_are_located_before_and_after_their_sync() {
    on_all_media(|open| {
        let (mut wal, _) = open().expect("opens");
        let read = |wal: &Wal, slot| {
            let located = wal.locate(Slot(slot)).expect("it is there");
            let (ballot, entry) = located.read().expect("readable");
            (ballot.round, entry)
        };
        append(&mut wal, &accepted(1, 1, 30)).expect("appends");
        assert_eq!(read(&wal, 1), (1, model::entry(1001, 30)));
        let first = wal.start_sync().expect("starts").expect("something");
        append(&mut wal, &accepted(1, 2, 10)).expect("appends");
        assert_eq!(read(&wal, 1), (2, model::entry(1002, 10)));
        wal.finish(first.run()).expect("syncs");
        assert_eq!(read(&wal, 1), (2, model::entry(1002, 10)));
        append(&mut wal, &model::chosen(1, 1, 30)).expect("appends");
        append(&mut wal, &accepted(1, 3, 9)).expect("appends");
        assert_eq!(read(&wal, 1), (1, model::entry(1001, 30)), "a learned entry outranks");
        sync(&mut wal);
        assert_eq!(read(&wal, 1), (1, model::entry(1001, 30)));
        assert!(wal.locate(Slot(2)).is_none());
        // What was located stays readable on another thread while the log goes on.
        let located = wal.locate(Slot(1)).expect("it is there");
        let reader = thread::spawn(move || located.read().expect("readable").0.round);
        append(&mut wal, &accepted(2, 3, 9)).expect("appends");
        assert_eq!(reader.join().expect("no panic"), 1);
    });
}

#[test]
fn a_sync_runs_on_another_thread_while_appends_go_on() {
    on_all_media(|open| {
        let (mut wal, _) = open().expect("opens");
        let mut slot = 0;
        for _ in 0..20 {
            append(&mut wal, &accepted(slot, 1, 100)).expect("appends");
            let sync = wal.start_sync().expect("starts").expect("something");
            let upto = sync.upto();
            let running = thread::spawn(move || sync.run());
            for _ in 0..5 {
                slot += 1;
                append(&mut wal, &accepted(slot, 1, 700)).expect("appends");
            }
            slot += 1;
            let durable = wal.finish(running.join().expect("no panic")).expect("syncs");
            assert_eq!(durable, upto);
        }
        let last = wal.close().expect("closes");
        assert_eq!(last, Lsn(120));
        assert_eq!(open().expect("opens").1.last, last);
    });
}

#[test]
fn two_syncs_count_in_their_order_only() {
    on_all_media(|open| {
        let (mut wal, _) = open().expect("opens");
        append(&mut wal, &accepted(0, 1, 10)).expect("appends");
        let first = wal.start_sync().expect("starts").expect("something");
        assert!(wal.start_sync().expect("starts").is_none(), "nothing is left to sync");
        append(&mut wal, &accepted(1, 1, 10)).expect("appends");
        let second = wal.start_sync().expect("starts").expect("something");
        append(&mut wal, &accepted(2, 1, 10)).expect("appends");
        assert!(wal.start_sync().expect("starts").is_none(), "two are under way");
        assert_eq!(wal.finish(second.run()).expect("syncs"), Lsn(0));
        assert_eq!(wal.finish(first.run()).expect("syncs"), Lsn(2));
        assert_eq!(sync(&mut wal), Lsn(3));
        assert_eq!(wal.status().syncs, 3);
    });
}

#[test]
fn calls_that_cannot_be_are_refused_and_change_nothing() {
    on_all_media(|open| {
        let (mut wal, _) = open().expect("opens");
        let formed = Record::Formed;
        let gap = wal.append(Lsn(2), &formed, Slot(0));
        assert!(matches!(gap, Err(WalError::OutOfOrder { expected: Lsn(1), lsn: Lsn(2) })));
        let long = accepted(0, 1, 12 << 10);
        let refused = append(&mut wal, &long);
        assert!(matches!(refused, Err(WalError::TooLarge { bytes: 12324, limit: 12288 })));
        append(&mut wal, &accepted(0, 1, (12 << 10) - 36)).expect("the limit itself fits");
        assert_eq!(sync(&mut wal), Lsn(1));
    });
    let (one, two) = (HeapMedium::new(1), HeapMedium::new(2));
    let (mut wal, mut other) =
        (model::open(&one).expect("opens").0, model::open(&two).expect("opens").0);
    append(&mut wal, &Record::Formed).expect("appends");
    append(&mut other, &Record::Formed).expect("appends");
    let foreign = other.start_sync().expect("starts").expect("something").run();
    assert!(matches!(wal.finish(foreign), Err(WalError::ForeignSync)));
    for (segment_bytes, entry_bytes_max) in
        [(16 << 10, 100), (33 << 10, 100), (1 << 31, 100), (32 << 10, 20 << 10), (4 << 20, 4 << 20)]
    {
        let options = WalOptions { segment_bytes, entry_bytes_max };
        let refused = Wal::open(Box::new(one.clone()), CLUSTER, ME, options);
        assert!(matches!(refused, Err(WalError::Options { .. })));
    }
    assert!(one.file_names().contains(&"superblock".into()));
}

#[test]
fn the_longest_entry_fits_a_segment_of_the_usual_size() {
    let directory = tempfile::tempdir().expect("a directory");
    let opened = Wal::open_directory(directory.path(), CLUSTER, ME);
    let (mut wal, _) = opened.expect("opens");
    let bytes = synod::entry::ENTRY_BYTES_MAX - synod::entry::COMMAND_OVERHEAD_BYTES;
    for slot in 0..5 {
        append(&mut wal, &accepted(slot, 1, bytes)).expect("appends");
    }
    sync(&mut wal);
    assert_eq!(wal.status().segments, 2);
    drop(wal);
    let (wal, recovered) = Wal::open_directory(directory.path(), CLUSTER, ME).expect("opens again");
    assert_eq!(recovered.accepted.len(), 5);
    let (_, entry) = wal.locate(Slot(4)).expect("there").read().expect("readable");
    assert!(entry == model::entry(4001, bytes));
}

#[test]
fn a_preparation_that_comes_too_late_does_nothing() {
    on_all_media(|open| {
        let (mut wal, _) = open().expect("opens");
        let mut slot = 0;
        let mut append_some = |wal: &mut Wal, count: u64| {
            for _ in 0..count {
                append(wal, &accepted(slot, 1, 3000)).expect("appends");
                sync(wal);
                slot += 1;
            }
        };
        append_some(&mut wal, 4);
        let late = wal.prepare().expect("more than a quarter of the segment is full");
        assert!(wal.prepare().is_none(), "one is under way");
        append_some(&mut wal, 4);
        assert_eq!(wal.status().segments, 2, "the log has made the segment itself");
        thread::spawn(move || late.run()).join().expect("no panic");
        append_some(&mut wal, 1);
        let early = wal.prepare().expect("it may be prepared again");
        thread::spawn(move || early.run()).join().expect("no panic");
        append_some(&mut wal, 9);
        assert!(wal.status().segments >= 3);
        assert_eq!(wal.close().expect("closes"), Lsn(18));
        let (_, recovered) = open().expect("opens");
        assert_eq!(recovered.accepted.len(), 18);
    });
}

/// On a full disk entries are refused before anything is written, promises go on, a start is
/// possible, and once there is space everything is as before.
#[test]
fn a_full_disk_refuses_entries_keeps_promises_and_recovers() {
    let disk = HeapMedium::new(8);
    let mut model = Model::default();
    let (mut wal, _) = model::open(&disk).expect("opens");
    let (mut slot, mut round) = (0, 1);
    let fill = |wal: &mut Wal, model: &mut Model, slot: &mut u64| {
        for _ in 0..200 {
            let record = accepted(*slot, 1, 1500);
            match append(wal, &record) {
                Ok(()) => {
                    model.push(record, Slot(0));
                    *slot += 1;
                }
                Err(WalError::Full { .. }) => return true,
                Err(error) => panic!("{error}"),
            }
        }
        false
    };
    // A segment may still be made, and none after it.
    disk.set_capacity(Some(4 * (32 << 10)));
    assert!(fill(&mut wal, &mut model, &mut slot));
    assert!(!wal.has_room(1500));
    for _ in 0..4 {
        round += 1;
        let promise = Record::Promised { ballot: model::ballot(round) };
        append(&mut wal, &promise).expect("promises go on");
        model.push(promise, Slot(0));
        model::sync(&mut wal, &mut model).expect("syncs");
    }
    assert!(matches!(append(&mut wal, &accepted(slot, 9, 1500)), Err(WalError::Full { .. })));
    assert_eq!(model.durable, model.last());
    drop(wal);
    disk.crash(1);
    // A start on the full disk takes the reserve.
    let (mut wal, recovered) = model::open(&disk).expect("opens on a full disk");
    model.check(&wal, &recovered);
    assert_eq!(recovered.promised.round, round);
    assert!(!disk.file_names().contains(&"reserve".into()));
    round += 1;
    let promise = Record::Promised { ballot: model::ballot(round) };
    append(&mut wal, &promise).expect("promises go on");
    model.push(promise, Slot(0));
    model::sync(&mut wal, &mut model).expect("syncs");
    // Space returns.
    fill(&mut wal, &mut model, &mut slot);
    disk.set_capacity(None);
    assert!(!fill(&mut wal, &mut model, &mut slot));
    model.durable = wal.close().expect("closes");
    disk.crash(2);
    let (wal, recovered) = model::open(&disk).expect("opens");
    model.check(&wal, &recovered);
    assert!(disk.file_names().contains(&"reserve".into()));
}

/// Not even the reserve is there: then a start is refused, and says that it is the space.
#[test]
fn a_start_on_a_full_disk_without_the_reserve_says_so() {
    let disk = HeapMedium::new(8);
    let mut model = Model::default();
    let (mut wal, _) = model::open(&disk).expect("opens");
    append(&mut wal, &accepted(0, 1, 1500)).expect("there is room");
    model.push(accepted(0, 1, 1500), Slot(0));
    model::sync(&mut wal, &mut model).expect("syncs");
    drop(wal);
    Medium::remove(&disk, "reserve").expect("there is one");
    disk.set_capacity(Some(0));
    assert!(matches!(model::open(&disk), Err(WalError::Full { .. })));
    disk.set_capacity(None);
    let (wal, recovered) = model::open(&disk).expect("opens when there is space again");
    model.check(&wal, &recovered);
}

/// A directory whose randomness comes from a seed.
struct Seeded(Directory, Mutex<Rand64>);

impl Medium for Seeded {
    fn place(&self) -> String {
        self.0.place()
    }
    fn names(&self) -> io::Result<Vec<String>> {
        self.0.names()
    }
    fn create(&self, name: &str, bytes: u64) -> io::Result<Box<dyn MediumFile>> {
        self.0.create(name, bytes)
    }
    fn open(&self, name: &str) -> io::Result<Box<dyn MediumFile>> {
        self.0.open(name)
    }
    fn open_writable(&self, name: &str) -> io::Result<Box<dyn MediumFile>> {
        self.0.open_writable(name)
    }
    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.0.rename(from, to)
    }
    fn remove(&self, name: &str) -> io::Result<()> {
        self.0.remove(name)
    }
    fn sync_names(&self) -> io::Result<()> {
        self.0.sync_names()
    }
    fn random(&self, buffer: &mut [u8]) -> io::Result<()> {
        let mut random = self.1.lock().expect("no panic");
        for chunk in buffer.chunks_mut(8) {
            chunk.copy_from_slice(&random.rand_u64().to_le_bytes()[..chunk.len()]);
        }
        Ok(())
    }
}

#[test]
fn all_media_hold_the_same_bytes_after_the_same_calls() {
    let workload = |open: &dyn Fn() -> Opened| {
        let mut random = Rand64::new(4);
        let mut model = Model::default();
        for _ in 0..3 {
            let (mut wal, recovered) = open().expect("opens");
            model.check(&wal, &recovered);
            for step in 0..50 {
                let (lsn, record, chosen) = model.invent(&mut random, 8000);
                wal.append(lsn, &record, chosen).expect("appends");
                if step % 5 == 0 {
                    model::sync(&mut wal, &mut model).expect("syncs");
                }
            }
        }
    };
    let directories = [FileAccess::Mapped, FileAccess::Pwrite].map(|access| {
        let directory = tempfile::tempdir().expect("a directory");
        let source = std::cell::RefCell::new(Rand64::new(u128::from(77u64)));
        workload(&|| {
            let opened = Directory::open(directory.path(), Some(access))?;
            assert_eq!(opened.access(), access);
            // Each start goes on where the one before it stopped.
            let seed = source.borrow_mut().rand_u64();
            let medium = Seeded(opened, Mutex::new(Rand64::new(seed.into())));
            Wal::open(Box::new(medium), CLUSTER, ME, SMALL)
        });
        directory
    });
    let names = |directory: &tempfile::TempDir| {
        let entries = fs::read_dir(directory.path()).expect("a directory");
        let mut names: Vec<_> = entries.map(|entry| entry.expect("an entry").file_name()).collect();
        names.sort();
        names
    };
    let files = names(&directories[0]);
    assert_eq!(files, names(&directories[1]));
    assert!(files.len() > 6, "{files:?}");
    for file in files {
        let [one, two] =
            [0, 1].map(|i: usize| fs::read(directories[i].path().join(&file)).expect("readable"));
        assert!(one == two, "{file:?} differs");
    }
}

#[test]
fn a_directory_is_locked() {
    let directory = tempfile::tempdir().expect("a directory");
    let (wal, _) = open(directory.path(), FileAccess::Pwrite).expect("opens");
    let second = open(directory.path(), FileAccess::Mapped);
    assert!(matches!(second, Err(WalError::InUse { .. })));
    // By another name it is the same directory.
    let link = directory.path().with_extension("link");
    std::os::unix::fs::symlink(directory.path(), &link).expect("a link");
    assert!(matches!(open(&link, FileAccess::Pwrite), Err(WalError::InUse { .. })));
    fs::remove_file(&link).expect("removed");
    drop(wal);
    open(directory.path(), FileAccess::Pwrite).expect("opens once the first is gone");
    // A process that this one knows nothing of holds the lock by the file alone.
    let file = fs::File::open(directory.path().join("LOCK")).expect("the lock file");
    file.try_lock().expect("free");
    let held = open(directory.path(), FileAccess::Pwrite);
    assert!(matches!(held, Err(WalError::InUse { .. })));
    drop(file);
    open(directory.path(), FileAccess::Pwrite).expect("opens");
}

#[test]
fn a_directory_of_another_or_no_directory_is_refused_by_name() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("deep/er");
    let (mut wal, _) = open(&path, FileAccess::Pwrite).expect("it is made");
    append(&mut wal, &Record::Formed).expect("appends");
    drop(wal);
    let other = ClusterId::named("other").expect("a name");
    for (cluster, replica) in [(other, ME), (CLUSTER, ReplicaId(7))] {
        let Err(error) = Wal::open_directory(&path, cluster, replica) else { panic!("opened") };
        assert!(matches!(
            error,
            WalError::Refused {
                refusal: Refusal::OtherCluster { .. } | Refusal::OtherReplica { .. },
                ..
            }
        ));
        assert!(error.to_string().contains("deep/er"), "{error}");
    }
    let file = directory.path().join("file");
    fs::write(&file, "x").expect("written");
    let Err(error) = open(&file, FileAccess::Pwrite) else { panic!("opened") };
    assert!(matches!(error, WalError::Io { .. }));
    assert!(error.to_string().contains("/file: cannot make the directory"), "{error}");
    // Where the superblock should be lies something that cannot be read as a file.
    let path = directory.path().join("spoilt");
    fs::create_dir_all(path.join("superblock")).expect("made");
    let Err(error) = open(&path, FileAccess::Pwrite) else { panic!("opened") };
    assert!(error.to_string().contains("superblock"), "{error}");
}

#[test]
fn the_default_access_suits_the_file_system() {
    let directory = tempfile::tempdir().expect("a directory");
    let access = Directory::open(directory.path(), None).expect("opens").access();
    let mounts = fs::read_to_string("/proc/mounts").unwrap_or_default();
    let path = directory.path().canonicalize().expect("a path");
    let system = mounts
        .lines()
        .filter_map(|line| {
            let mut fields = line.split(' ').skip(1);
            Some((Path::new(fields.next()?), fields.next()?))
        })
        .filter(|(mount, _)| path.starts_with(mount))
        .max_by_key(|(mount, _)| mount.as_os_str().len())
        .map(|(_, system)| system);
    let mapped = matches!(system, Some("ext2" | "ext3" | "ext4" | "xfs" | "tmpfs"));
    assert_eq!(access == FileAccess::Mapped, mapped, "{system:?}");
}

#[test]
fn a_segment_that_somebody_cuts_short_is_an_error_not_a_signal() {
    // Short writes are calls to the file, long ones go through the mapping.
    for bytes in [100, 100_000] {
        let directory = tempfile::tempdir().expect("a directory");
        let (mut wal, _) = open_mapped(directory.path()).expect("opens");
        append(&mut wal, &accepted(0, 1, bytes)).expect("appends");
        let segment = directory.path().join("0000000000000001.log");
        let file = fs::OpenOptions::new().write(true).open(segment).expect("the segment");
        file.set_len(4096).expect("cut");
        let sync = wal.start_sync().expect("starts").expect("something");
        assert!(matches!(wal.finish(sync.run()), Err(WalError::Poisoned { .. })), "{bytes}");
    }
}

/// With segments that take long entries.
fn open_mapped(path: &Path) -> Opened {
    let access = Some(FileAccess::Mapped);
    let options = DirectoryOptions { access, ..DirectoryOptions::default() };
    Wal::open_directory_with(path, CLUSTER, ME, options)
}

#[test]
fn what_long_and_short_writes_bring_to_the_same_pages_is_found_again() {
    let directory = tempfile::tempdir().expect("a directory");
    let (mut wal, _) = open_mapped(directory.path()).expect("opens");
    let lengths = [100, 1_100_000, 1, 70_000, 65_000, 2_300_000, 64];
    let records = (0..).zip(lengths).map(|(slot, bytes)| accepted(slot, 1, bytes));
    let records = records.collect::<Vec<_>>();
    for record in &records {
        append(&mut wal, record).expect("appends");
        let sync = wal.start_sync().expect("starts").expect("something");
        wal.finish(sync.run()).expect("syncs");
    }
    drop(wal);
    let (wal, recovered) = open_mapped(directory.path()).expect("opens again");
    assert_eq!((recovered.last.0, wal.status().lost), (lengths.len() as u64, 0));
    for record in &records {
        let Record::Accepted { slot, ballot, entry } = record else { unreachable!() };
        let found = wal.locate(*slot).expect("it is there").read().expect("it is readable");
        assert_eq!(found, (*ballot, entry.clone()));
    }
}
