//! One log on three media: mapped, written with pwrite, and in memory; and a model of it.
//!
//! The same calls give the same answers on each, and the same files byte for byte: what the media
//! draw at random is the same row of numbers. What is read, and what a start finds, is what the
//! model says. A power cut happens to the disk in memory, and what it leaves is put into the
//! directories too.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::{env, fs, mem};

use oorandom::Rand64;
use synod::record::{Record, Recovered};
use synod::slot::Slot;
use synod::wal::{
    Directory, FileAccess, HeapMedium, Medium, MediumFile, Sync, Synced, Wal, WalError, WalStatus,
};
use tempfile::TempDir;

use super::choices::Choices;
use super::model::{CLUSTER, ME, Model, SMALL};

/// How many steps one input may take.
const STEPS_MAX: usize = 120;
/// How often one input may start the log anew: each start makes two files.
const STARTS_MAX: usize = 6;
/// The longest entry that is invented, in bytes.
const ENTRY_BYTES: u64 = 6000;
const SEED: u64 = 5;

type Random = Arc<Mutex<Rand64>>;

/// A directory that draws the numbers that the disk in memory draws.
struct Seeded {
    directory: Directory,
    random: Random,
}

impl Medium for Seeded {
    fn place(&self) -> String {
        HeapMedium::new(0).place()
    }

    fn names(&self) -> io::Result<Vec<String>> {
        self.directory.names()
    }

    fn create(&self, name: &str, bytes: u64) -> io::Result<Box<dyn MediumFile>> {
        self.directory.create(name, bytes)
    }

    fn open(&self, name: &str) -> io::Result<Box<dyn MediumFile>> {
        self.directory.open(name)
    }

    fn open_writable(&self, name: &str) -> io::Result<Box<dyn MediumFile>> {
        self.directory.open_writable(name)
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.directory.rename(from, to)
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        self.directory.remove(name)
    }

    fn sync_names(&self) -> io::Result<()> {
        self.directory.sync_names()
    }

    fn random(&self, buffer: &mut [u8]) -> io::Result<()> {
        let mut random = self.random.lock().unwrap_or_else(PoisonError::into_inner);
        for part in buffer.chunks_mut(8) {
            let bytes = random.rand_u64().to_le_bytes();
            part.copy_from_slice(&bytes[..part.len()]);
        }
        Ok(())
    }
}

/// Where a log lies.
enum Place {
    Heap(HeapMedium),
    Files { directory: TempDir, access: FileAccess, random: Random },
}

impl Place {
    fn files(access: FileAccess) -> Self {
        // In memory where that is possible: each step may sync, and the disk is not what is tested.
        let memory = Some("/dev/shm").filter(|_| env::var_os("TMPDIR").is_none());
        let directory = memory.and_then(|memory| TempDir::new_in(memory).ok());
        let directory = directory.or_else(|| TempDir::new().ok()).expect("a directory can be made");
        let random = Arc::new(Mutex::new(Rand64::new(u128::from(SEED))));
        Self::Files { directory, access, random }
    }

    fn open(&self) -> Result<(Wal, Recovered), WalError> {
        let medium: Box<dyn Medium> = match self {
            Self::Heap(disk) => Box::new(disk.clone()),
            Self::Files { directory, access, random } => {
                let directory = Directory::open(directory.path(), Some(*access))?;
                Box::new(Seeded { directory, random: random.clone() })
            }
        };
        Wal::open(medium, CLUSTER, ME, SMALL)
    }

    /// Every file, except the one that only a directory has.
    fn content(&self) -> BTreeMap<String, Vec<u8>> {
        match self {
            Self::Heap(disk) => {
                let names = disk.file_names();
                names.into_iter().map(|name| (name.clone(), disk.file_bytes(&name))).collect()
            }
            Self::Files { directory, .. } => files_in(directory.path()),
        }
    }

    /// Puts exactly these files there.
    fn replace(&self, content: &BTreeMap<String, Vec<u8>>) {
        let Self::Files { directory, .. } = self else { return };
        for name in files_in(directory.path()).into_keys() {
            fs::remove_file(directory.path().join(name)).expect("a file of ours is removed");
        }
        for (name, bytes) in content {
            fs::write(directory.path().join(name), bytes).expect("a file is written");
        }
    }
}

fn files_in(path: &Path) -> BTreeMap<String, Vec<u8>> {
    let entries = fs::read_dir(path).expect("a directory of ours is readable");
    let names = entries.map(|entry| entry.expect("so is its entry").file_name());
    let names = names.filter_map(|name| name.into_string().ok()).filter(|name| name != "LOCK");
    names.map(|name| (name.clone(), fs::read(path.join(name)).expect("a file is read"))).collect()
}

/// A log that is open somewhere, with the syncs that it has under way.
struct Running {
    wal: Wal,
    started: Vec<Sync>,
    done: Vec<Synced>,
}

struct Trio {
    places: [Place; 3],
    running: Vec<Running>,
    model: Model,
    starts: usize,
    incarnation: u64,
}

/// Runs the target.
pub fn run(data: &[u8]) {
    let mut choices = Choices::new(data);
    let places = [
        Place::Heap(HeapMedium::new(SEED)),
        Place::files(FileAccess::Mapped),
        Place::files(FileAccess::Pwrite),
    ];
    let (running, model) = (Vec::new(), Model::default());
    let mut trio = Trio { places, running, model, starts: 0, incarnation: 0 };
    trio.open();
    for _ in 0..STEPS_MAX {
        if choices.is_over() {
            break;
        }
        trio.step(&mut choices);
    }
    trio.end(true);
    trio.open();
    trio.same_files();
}

/// What is equal on all media.
#[track_caller]
fn same<T: PartialEq + std::fmt::Debug>(answers: Vec<T>) -> T {
    let mut answers = answers.into_iter();
    let first = answers.next().expect("there are media");
    for (answer, medium) in answers.zip(["mapped", "pwrite"]) {
        assert_eq!(first, answer, "on the heap, and {medium}");
    }
    first
}

/// An answer without what only one medium can say.
fn plain<T>(answer: Result<T, WalError>) -> Result<T, String> {
    answer.map_err(|error| error.to_string())
}

impl Trio {
    fn step(&mut self, choices: &mut Choices<'_>) {
        match choices.byte() % 16 {
            0..=5 => self.append(choices.byte()),
            6 => self.append_wrongly(choices.byte()),
            7 => self.start_sync(),
            8 => self.run_sync(choices.byte(), false),
            9 => self.run_sync(choices.byte(), true),
            10 => self.finish(choices.byte()),
            11 => self.sync_all(),
            12 => self.prepare(),
            13 => self.same_files(),
            14 => self.locate(choices),
            _ => self.start_anew(choices),
        }
        self.same_status();
    }

    fn on_each<T>(&mut self, work: impl Fn(&mut Running) -> T) -> Vec<T> {
        self.running.iter_mut().map(work).collect()
    }

    fn append(&mut self, seed: u8) {
        let mut random = Rand64::new(u128::from(seed));
        let (lsn, record, mark) = self.model.invent(&mut random, ENTRY_BYTES);
        let answers = self.on_each(|running| plain(running.wal.append(lsn, &record, mark)));
        same(answers).expect("there is room");
    }

    /// A record under a wrong number, or too long, is refused and changes nothing.
    fn append_wrongly(&mut self, style: u8) {
        let next = self.model.last().next();
        let (lsn, record) = if style.is_multiple_of(2) {
            (synod::record::Lsn(next.0.wrapping_add(1 + u64::from(style))), Record::Formed)
        } else {
            (next, super::model::accepted(1, 1, (12 << 10) + usize::from(style)))
        };
        let answers = self.on_each(|running| plain(running.wal.append(lsn, &record, Slot(0))));
        assert!(same(answers).is_err(), "a record that cannot be is taken");
    }

    fn start_sync(&mut self) {
        let answers = self.on_each(|running| {
            let sync = running.wal.start_sync().expect("nothing fails");
            let told = sync.as_ref().map(|sync| (sync.upto(), sync.bytes()));
            running.started.extend(sync);
            told
        });
        same(answers);
    }

    /// A sync that was started runs, or only hands its bytes to the system.
    fn run_sync(&mut self, which: u8, only_write: bool) {
        let answers = self.on_each(|running| {
            let count = running.started.len();
            if count > 0 {
                let at = usize::from(which) % count;
                if only_write {
                    running.started[at].write();
                } else {
                    let sync = running.started.remove(at);
                    running.done.push(sync.run());
                }
            }
            count
        });
        same(answers);
    }

    fn finish(&mut self, which: u8) {
        let answers = self.on_each(|running| {
            let count = running.done.len();
            (count > 0).then(|| {
                let done = running.done.remove(usize::from(which) % count);
                plain(running.wal.finish(done))
            })
        });
        if let Some(durable) = same(answers) {
            self.model.durable = durable.expect("nothing fails");
        }
    }

    fn sync_all(&mut self) {
        for _ in 0..2 {
            while self.running.iter().any(|running| !running.started.is_empty()) {
                self.run_sync(0, false);
            }
            while self.running.iter().any(|running| !running.done.is_empty()) {
                self.finish(0);
            }
            self.start_sync();
        }
        let last = self.model.last();
        assert_eq!(self.model.durable, last, "all was synced");
    }

    fn prepare(&mut self) {
        let answers = self.on_each(|running| {
            let preparation = running.wal.prepare();
            let asked = preparation.is_some();
            if let Some(preparation) = preparation {
                preparation.run();
            }
            asked
        });
        same(answers);
    }

    fn locate(&mut self, choices: &mut Choices<'_>) {
        let slot = Slot(u64::from(choices.byte()));
        let answers = self.on_each(|running| {
            let located = running.wal.locate(slot);
            located.map(|located| plain(located.read()))
        });
        let stored = super::model::stored(&self.model.records, slot);
        assert_eq!(same(answers), stored.map(Ok), "{slot} reads otherwise");
    }

    fn same_status(&mut self) {
        let answers: Vec<WalStatus> = self.on_each(|running| running.wal.status());
        let status = same(answers);
        assert_eq!((status.last, status.durable), (self.model.last(), self.model.durable));
        assert!(status.poisoned.is_none() && status.lost == 0);
    }

    fn same_files(&self) {
        let contents = self.places.iter().map(Place::content);
        let mut contents = contents.collect::<Vec<_>>().into_iter();
        let first = contents.next().expect("there are media");
        for (other, medium) in contents.zip(["mapped", "pwrite"]) {
            assert!(first.keys().eq(other.keys()), "{:?}, {:?}", first.keys(), other.keys());
            let differs = first.iter().find(|(name, bytes)| other.get(*name) != Some(*bytes));
            assert!(differs.is_none(), "{} differs, {medium}", differs.expect("it does").0);
        }
    }

    fn open(&mut self) {
        self.starts += 1;
        let opened = self.places.iter().map(Place::open);
        let mut found = Vec::new();
        for opened in opened.collect::<Vec<_>>() {
            let (wal, recovered) = opened.expect("what was written opens");
            self.running.push(Running { wal, started: Vec::new(), done: Vec::new() });
            found.push(recovered);
        }
        let recovered = same(found);
        let incarnation = recovered.me.incarnation().count();
        assert_eq!(incarnation, self.incarnation + 1, "starts are counted");
        self.incarnation = incarnation;
        let running = self.running.first().expect("there are media");
        self.model.check(&running.wal, &recovered);
    }

    /// Ends all three logs: in good order, or as they are.
    fn end(&mut self, in_order: bool) {
        for running in mem::take(&mut self.running) {
            let Running { wal, started, done } = running;
            if in_order && started.is_empty() && done.is_empty() {
                assert_eq!(wal.close().expect("nothing fails"), self.model.last());
                self.model.durable = self.model.last();
            }
        }
    }

    fn start_anew(&mut self, choices: &mut Choices<'_>) {
        let style = choices.byte();
        if self.starts >= STARTS_MAX {
            return;
        }
        self.end(style.is_multiple_of(3));
        let Place::Heap(disk) = &self.places[0] else { return };
        if style % 3 == 2 {
            disk.crash(u64::from(style));
            let content = self.places[0].content();
            self.places.iter().for_each(|place| place.replace(&content));
        } else {
            disk.kill();
        }
        self.open();
    }
}
