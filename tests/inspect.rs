//! The example `inspect` on real directories: sound ones, damaged ones, garbage, and logs that a
//! process writes to meanwhile. And that an inspection and a start never disagree.

#[path = "examples/built.rs"]
mod built;
#[path = "log/model.rs"]
mod model;

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, SystemTime};

use built::example;
use model::{CLUSTER, ME, Model, SMALL, accepted, append_at, open, sync_now};
use oorandom::Rand64;
use serde_json::Value;
use synod::checksum;
use synod::slot::Slot;
use synod::wal::inspect::{Inspection, inspect, inspect_medium};
use synod::wal::{DirectoryOptions, FileAccess, HeapMedium, Wal, WalError};

const SUPER: &str = "superblock";
const FIRST: &str = "0000000000000001.log";
const SECOND: &str = "0000000000000002.log";
/// Where the first group lies; well within its entry.
const GROUP: u64 = 8192;
const WITHIN: u64 = GROUP + 300;
/// Its second copy.
const COPY: u64 = 32768 - 512;

/// What a start says. Another test of this process may be starting the program just now, and until
/// that has begun it holds every lock of this process, too.
fn start(path: &Path, access: Option<FileAccess>) -> Result<Wal, WalError> {
    let options = DirectoryOptions { access, wal: SMALL };
    loop {
        match Wal::open_directory_with(path, CLUSTER, ME, options) {
            Err(WalError::InUse { .. }) => thread::yield_now(),
            other => return other.map(|(wal, _)| wal),
        }
    }
}

fn open_at(path: &Path, access: Option<FileAccess>) -> Wal {
    start(path, access).expect("opens")
}

/// Slots 0 to 3 accepted at ballot 1, each synced for itself.
fn four_groups(path: &Path) -> Wal {
    let mut wal = open_at(path, None);
    for slot in 0..4 {
        append_at(&mut wal, &accepted(slot, 1, 600), Slot(0));
        sync_now(&mut wal);
    }
    wal
}

/// A log that was stopped, in a directory that vanishes.
fn stopped() -> tempfile::TempDir {
    let directory = tempfile::tempdir().expect("a directory");
    four_groups(directory.path()).close().expect("closes");
    directory
}

/// Runs the program: its exit code, and what it prints.
fn run(args: &[&str]) -> (i32, String, String) {
    let output = Command::new(example("inspect")).args(args).output().expect("the example runs");
    let text = |bytes| String::from_utf8(bytes).expect("text");
    let code = output.status.code().expect("it was not killed");
    let (out, err) = (text(output.stdout), text(output.stderr));
    assert!(!err.contains("panicked"), "{err}");
    (code, out, err)
}

/// Both forms of the report, of which JSON is parsed; they agree on the exit code.
fn report(path: &Path) -> (i32, String, Value) {
    let path = path.to_str().expect("a path in UTF-8");
    let before = state(Path::new(path));
    let (code, table, err) = run(&[path]);
    assert_eq!(err, "");
    let (again, text, err) = run(&["--json", path]);
    assert_eq!((again, err.as_str()), (code, ""));
    assert_eq!(state(Path::new(path)), before, "an inspection changed something");
    (code, table, serde_json::from_str(&text).expect("JSON"))
}

/// Every file: its bytes, and when they were changed.
fn state(path: &Path) -> BTreeMap<PathBuf, (SystemTime, Vec<u8>)> {
    let entries = fs::read_dir(path).expect("it is a directory").map(|entry| {
        let path = entry.expect("it can be read").path();
        let about = fs::symlink_metadata(&path).expect("it is there");
        let bytes = if about.is_file() { fs::read(&path).expect("it can be read") } else { vec![] };
        (path, (about.modified().expect("a time"), bytes))
    });
    let mut all: BTreeMap<_, _> = entries.collect();
    let own = fs::metadata(path).and_then(|about| about.modified()).expect("a time");
    all.insert(path.into(), (own, vec![]));
    all
}

fn flip(path: &Path, file: &str, at: u64) {
    let file = fs::File::options().read(true).write(true).open(path.join(file)).expect("is there");
    let mut byte = [0];
    file.read_exact_at(&mut byte, at).expect("reads");
    file.write_all_at(&[byte[0] ^ 1], at).expect("writes");
}

/// What was found: the file, the offset and the name.
type Found = Vec<(String, u64, String)>;

fn findings(json: &Value) -> Found {
    let findings = json["findings"].as_array().expect("a list").iter().map(|one| {
        let text = |key: &str| one[key].as_str().expect("text").to_owned();
        (text("file"), one["offset"].as_u64().expect("a number"), text("name"))
    });
    findings.collect()
}

fn one(file: &str, at: u64, name: &str) -> Found {
    vec![(file.into(), at, name.into())]
}

#[test]
fn a_sound_log_is_shown_and_left_as_it_is() {
    let directory = stopped();
    let (code, table, json) = report(directory.path());
    assert_eq!(code, 0, "{table}");
    assert!(
        table.contains("\nsound\n") && table.contains("accepted          s0..s4@1.1"),
        "{table}"
    );
    assert!(table.contains("End: clean end"), "{table}");
    assert_eq!((&json["verdict"], &json["changing"]), (&Value::from("sound"), &Value::from(false)));
    assert_eq!(findings(&json), []);
    let block = &json["superblock"]["taken"];
    assert_eq!((block["cluster"].as_str(), block["replica"].as_u64()), (Some("test"), Some(2)));
    assert_eq!(json["superblock"]["copies"][1]["state"], "holds");
    let log = &json["log"];
    assert_eq!((log["last"].as_u64(), log["durable"].as_u64()), (Some(4), Some(4)));
    assert_eq!(log["accepted"][0]["slots"]["end"], 4);
    assert_eq!(log["accepted"][0]["ballot"]["round"], 1);
    let segment = &json["segments"][0];
    assert_eq!(
        (&segment["file"], &segment["headers"][1]["state"]),
        (&FIRST.into(), &"holds".into())
    );
    assert_eq!(segment["records"][0]["last"], 4);
}

#[test]
fn a_log_that_is_open_is_shown_too() {
    let directory = tempfile::tempdir().expect("a directory");
    let mut wal = four_groups(directory.path());
    let (code, table, json) = report(directory.path());
    assert_eq!((code, &json["log"]["last"]), (0, &Value::from(4)), "{table}");
    // It goes on as if nothing had been.
    append_at(&mut wal, &accepted(4, 1, 600), Slot(0));
    sync_now(&mut wal);
    assert_eq!(report(directory.path()).2["log"]["last"], 5);
    // Groups that were handed to the system and not finished are no rot.
    append_at(&mut wal, &accepted(5, 1, 600), Slot(0));
    let mut sync = wal.start_sync().expect("starts").expect("something to sync");
    sync.write();
    assert_eq!(report(directory.path()).0, 0);
    wal.finish(sync.run()).expect("syncs");
}

#[test]
fn each_damage_is_named_with_its_place() {
    type Damage = fn(&Path);
    let superblock = "a copy of the superblock does not hold";
    let header = "a copy of the header does not hold";
    let damages: [(Damage, i32, Found); 6] = [
        (|path| flip(path, SUPER, 30), 1, one(SUPER, 0, superblock)),
        (|path| flip(path, SUPER, 4096 + 30), 1, one(SUPER, 4096, superblock)),
        (|path| flip(path, FIRST, 20), 1, one(FIRST, 0, header)),
        (|path| flip(path, FIRST, 4096 + 20), 1, one(FIRST, 4096, header)),
        (
            |path| flip(path, FIRST, COPY + 90),
            1,
            one(FIRST, GROUP, "the second copy does not hold"),
        ),
        // Nobody wrote there: it may be what a crash left.
        (|path| flip(path, FIRST, 20_000), 0, vec![]),
    ];
    for (i, (damage, exit, expected)) in damages.into_iter().enumerate() {
        let directory = stopped();
        damage(directory.path());
        let (code, table, json) = report(directory.path());
        assert_eq!((code, findings(&json)), (exit, expected), "{i}: {table}");
    }
}

#[test]
fn a_rotten_record_is_named_and_its_slot_faulty() {
    let directory = stopped();
    flip(directory.path(), FIRST, WITHIN);
    let (code, table, json) = report(directory.path());
    assert_eq!((code, json["verdict"].as_str()), (1, Some("rot")), "{table}");
    assert!(table.contains("ROT: ") && table.contains("faulty            s0..s1@1.1"), "{table}");
    assert_eq!(findings(&json)[0].2, "rot below a durable mark, slots named");
    assert_eq!(json["log"]["lost"], 1);
}

#[test]
fn a_log_that_a_start_refuses_is_refused_for_its_reason() {
    let both = stopped();
    flip(both.path(), FIRST, WITHIN);
    flip(both.path(), FIRST, COPY + 90);
    let missing = stopped();
    fs::remove_file(missing.path().join(FIRST)).expect("removed");
    let headless = stopped();
    fs::remove_file(headless.path().join(SUPER)).expect("removed");
    let empty = stopped();
    fs::write(empty.path().join(SUPER), b"").expect("written");
    let short = stopped();
    let segment = fs::File::options().write(true).open(short.path().join(FIRST)).expect("opens");
    segment.set_len(GROUP + 600).expect("cut");
    let newer = stopped();
    let mut bytes = fs::read(newer.path().join(SUPER)).expect("read");
    bytes[8] = 9;
    let sum = checksum::of(&bytes[..508]);
    bytes[508..512].copy_from_slice(&sum.to_le_bytes());
    fs::write(newer.path().join(SUPER), bytes).expect("written");
    let blocked = stopped();
    fs::remove_file(blocked.path().join(SUPER)).expect("removed");
    fs::create_dir(blocked.path().join(SUPER)).expect("made");
    let all = [both, missing, headless, empty, short, newer, blocked];
    for (i, directory) in all.iter().enumerate() {
        let (code, table, json) = report(directory.path());
        assert_eq!((code, json["verdict"].as_str()), (1, Some("refused")), "{i}: {table}");
        let error = start(directory.path(), None).err();
        let error = error.expect("a start refuses it as well").to_string();
        let reason = json["refused"].as_str().expect("a reason");
        // What cannot be opened is worded by whoever tried.
        assert!(i == 6 || error.ends_with(reason), "{i}: {error}: {reason}");
        assert!(table.contains(reason), "{i}: {table}");
    }
}

#[test]
fn where_there_is_no_log_the_exit_code_is_two() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = |name: &str| directory.path().join(name).to_str().expect("UTF-8").to_owned();
    fs::write(path("file"), b"a file").expect("written");
    fs::create_dir(path("empty")).expect("made");
    fs::create_dir(path("other")).expect("made");
    fs::write(path("other/notes.log"), b"no segment").expect("written");
    for (args, says) in [
        (vec![path("empty")], "no log"),
        (vec![path("other"), "--json".into()], "no log"),
        (vec![path("file")], "cannot list the files"),
        (vec![path("missing")], "cannot list the files"),
        (vec![], "required"),
        (vec![path("empty"), "--yaml".into()], "unexpected argument"),
    ] {
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        let (code, out, err) = run(&args);
        assert_eq!((code, out.as_str(), err.lines().count()), (2, "", 1), "{err}");
        assert!(err.contains(says), "{err}");
    }
    let (code, out, _) = run(&["--help"]);
    assert!(code == 0 && out.contains("Exit code: 0"), "{out}");
}

#[test]
fn garbage_is_called_what_it_is() {
    for seed in 0..12 {
        let mut random = Rand64::new(seed);
        let directory = stopped();
        drop(open_at(directory.path(), None));
        for file in [SUPER, FIRST, SECOND, "0000000000000099.log", "0000000000000003-7.tmp"] {
            let length = random.rand_range(0..40_000) as usize;
            let bytes: Vec<u8> = (0..length).map(|_| random.rand_u64() as u8).collect();
            if random.rand_range(0..3) > 0 {
                fs::write(directory.path().join(file), &bytes).expect("written");
            }
        }
        let (code, table, json) = report(directory.path());
        assert!(code == 1 || json["verdict"] == "sound", "{table}");
    }
    // A pipe nobody writes to, and a directory, under the names of segments.
    let directory = stopped();
    let made = Command::new("mkfifo").arg(directory.path().join(SECOND)).status();
    assert!(made.expect("mkfifo runs").success());
    fs::create_dir(directory.path().join("0000000000000003.log")).expect("made");
    let (code, table, _) = report(directory.path());
    assert!(code == 1 && table.contains("no regular file"), "{table}");
}

/// Lets the writer end, however the test does.
struct Stop<'a>(&'a AtomicBool);

impl Drop for Stop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// How many records are appended during one inspection, at the most. A quick disk takes whole
/// segments faster than they are read, and then no two readings would agree.
const LIVE_RECORDS: u64 = 40;

/// Inspects while another thread appends and syncs, as often as it takes for the log to grow by
/// several segments.
fn inspect_live(access: FileAccess, seen: impl Fn(&Inspection)) {
    let directory = tempfile::tempdir().expect("a directory");
    let mut wal = open_at(directory.path(), Some(access));
    append_at(&mut wal, &accepted(0, 1, 600), Slot(0));
    sync_now(&mut wal);
    append_at(&mut wal, &accepted(1, 1, 600), Slot(0));
    sync_now(&mut wal);
    let (stop, path) = (&AtomicBool::new(false), directory.path());
    let readings = &AtomicU64::new(0);
    thread::scope(|scope| {
        let writer = scope.spawn(move || {
            let mut random = Rand64::new(7);
            while !stop.load(Ordering::Relaxed) {
                let inspections = 1 + readings.load(Ordering::Relaxed);
                if wal.status().last.0 > LIVE_RECORDS * inspections {
                    thread::sleep(Duration::from_micros(100));
                    continue;
                }
                let slot = 2 + random.rand_range(0..100);
                for _ in 0..random.rand_range(1..4) {
                    let record = accepted(slot, 1, random.rand_range(0..9000) as usize);
                    append_at(&mut wal, &record, Slot(0));
                }
                sync_now(&mut wal);
            }
            wal.status().last
        });
        let stopping = Stop(stop);
        let (mut last, mut changing) = (0, 0);
        while readings.load(Ordering::Relaxed) < 60 || last < 300 {
            let inspection = inspect(path).expect("it can be read");
            seen(&inspection);
            last = inspection.log.map_or(last, |log| log.last.0);
            readings.fetch_add(1, Ordering::Relaxed);
            changing += u64::from(inspection.changing);
        }
        println!("{access:?}: {readings:?} inspections, {changing} saw it being written");
        drop(stopping);
        assert!(writer.join().expect("it appends").0 >= last);
    });
}

#[test]
fn what_is_being_written_is_no_rot() {
    for access in [FileAccess::Mapped, FileAccess::Pwrite] {
        inspect_live(access, |seen| {
            assert!(seen.is_sound() && seen.refused.is_none(), "{access:?}: {seen:?}");
        });
    }
}

#[test]
fn rot_in_a_log_that_is_being_written_is_found() {
    let first = AtomicBool::new(true);
    inspect_live(FileAccess::Pwrite, |seen| {
        if first.swap(false, Ordering::Relaxed) {
            flip(Path::new(&seen.place), FIRST, WITHIN);
            return;
        }
        let names: Vec<_> = seen.findings.iter().map(|one| (one.offset, one.name)).collect();
        assert!(names.contains(&(GROUP, "rot below a durable mark, slots named")), "{names:?}");
        assert!(names.iter().all(|(at, _)| [0, GROUP].contains(at)), "{names:?}");
    });
}

/// Damages a used place, or any.
fn spoil(disk: &HeapMedium, random: &mut Rand64) {
    let files: Vec<_> = disk.file_names().into_iter().filter(|name| name != "reserve").collect();
    let file = &files[random.rand_range(0..files.len() as u64) as usize];
    let bytes = disk.file_bytes(file);
    let used: Vec<_> = (0..bytes.len()).filter(|at| bytes[*at] != 0).collect();
    match random.rand_range(0..8) {
        0 => disk.put_file(file, &bytes[..random.rand_range(0..bytes.len() as u64) as usize]),
        1 => disk.lose_file(file),
        _ if !used.is_empty() => {
            let at = used[random.rand_range(0..used.len() as u64) as usize] as u64;
            disk.flip(file, at, 1 << random.rand_range(0..8));
        }
        _ => disk.flip(file, random.rand_range(0..bytes.len() as u64), 1),
    }
}

#[test]
fn an_inspection_and_a_start_never_disagree() {
    let (mut sound, mut rotten, mut refused) = (0, 0, 0);
    for seed in 0..600 {
        let mut random = Rand64::new(seed);
        let disk = HeapMedium::new(u64::try_from(seed).expect("small"));
        let mut model = Model::default();
        for _ in 0..random.rand_range(1..4) {
            let (mut wal, _) = open(&disk).expect("opens");
            for _ in 0..random.rand_range(1..30) {
                let (lsn, record, chosen) = model.invent(&mut random, 4000);
                wal.append(lsn, &record, chosen).expect("appends");
                if random.rand_range(0..3) == 0 {
                    model::sync(&mut wal, &mut model).expect("syncs");
                }
            }
            model.durable = wal.close().expect("closes");
        }
        for _ in 0..random.rand_range(0..4) {
            spoil(&disk, &mut random);
        }
        let seen = inspect_medium(&disk).expect("it can be read");
        match open(&disk) {
            Ok((wal, recovered)) => {
                let log = seen.log.as_ref();
                if !seen.is_log() {
                    continue;
                }
                let log = log.unwrap_or_else(|| panic!("seed {seed}: {:?}", seen.refused));
                let facts = (log.promised, log.chosen, log.last, log.formed, log.lost, log.torn);
                let status = wal.status();
                assert_eq!(
                    facts,
                    (
                        recovered.promised,
                        recovered.chosen,
                        recovered.last,
                        recovered.formed,
                        status.lost,
                        status.torn
                    ),
                    "seed {seed}"
                );
                assert_eq!(log.members, recovered.members, "seed {seed}");
                assert_eq!((&log.runs, &log.holes), (&recovered.runs, &recovered.holes));
                assert_eq!(log.faulty, recovered.faulty, "seed {seed}");
                let accepted: Vec<_> = recovered.accepted.iter().map(|one| one.0).collect();
                let told = log.accepted.iter().flat_map(|run| run.slots.iter());
                assert_eq!(told.collect::<Vec<_>>(), accepted, "seed {seed}");
                assert!(!seen.is_sound() || status.lost == 0, "seed {seed}");
                sound += u64::from(seen.is_sound());
                rotten += u64::from(!seen.is_sound());
            }
            Err(WalError::Refused { refusal, .. }) => {
                assert_eq!(seen.refused, Some(refusal.to_string()), "seed {seed}");
                assert!(!seen.is_sound(), "seed {seed}");
                refused += 1;
            }
            Err(error) => panic!("seed {seed}: {error}"),
        }
    }
    println!("{sound} sound, {rotten} rotten, {refused} refused");
    assert!(sound > 50 && rotten > 100 && refused > 50, "{sound} {rotten} {refused}");
}
