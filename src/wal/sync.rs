//! The work that may block: syncs, and making the next segment. It runs on whatever thread the
//! driver likes, while the log takes more records.

use alloc::boxed::Box;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::io;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::ballot::Ballot;
use crate::membership::Membership;
use crate::record::Lsn;
use crate::wal::error::WalError;
use crate::wal::group::Sealed;
use crate::wal::medium::{Medium, MediumFile, is_full};
use crate::wal::segment::{self, Header, Segment};
use crate::wal::superblock::Keeper;

/// How many segments' files are kept open for reading.
const READERS_MAX: usize = 16;

/// A file that was made.
type Created = io::Result<Box<dyn MediumFile>>;

/// What the log shares with its syncs and with what was located in it.
pub(super) struct Shared {
    pub(super) place: String,
    poison: Mutex<Option<String>>,
    /// Held over every sync: the failure of a sync is told to one caller only, so no other may
    /// pass for good until that one has poisoned the log.
    keeper: Mutex<Keeper>,
    next: Mutex<Option<Arc<Segment>>>,
    pub(super) preparing: AtomicBool,
    /// How many bytes the segment that takes the next records has left.
    pub(super) room: AtomicU32,
    attempts: AtomicU64,
    readers: Mutex<Vec<(u64, Arc<dyn MediumFile>)>>,
    // Last: the lock on a directory goes only after every file of it is closed.
    pub(super) medium: Box<dyn Medium>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Shared {
    pub(super) fn new(medium: Box<dyn Medium>, keeper: Keeper) -> Self {
        let place = medium.place();
        Self {
            medium,
            place,
            poison: Mutex::new(None),
            keeper: Mutex::new(keeper),
            next: Mutex::new(None),
            preparing: AtomicBool::new(false),
            room: AtomicU32::new(0),
            attempts: AtomicU64::new(0),
            readers: Mutex::new(Vec::new()),
        }
    }

    pub(super) fn keeper(&self) -> MutexGuard<'_, Keeper> {
        lock(&self.keeper)
    }

    /// Why the log stopped for good, if it did.
    pub(super) fn poisoned(&self) -> Option<String> {
        lock(&self.poison).clone()
    }

    /// Fails if the log stopped for good.
    pub(super) fn check(&self) -> Result<(), WalError> {
        match self.poisoned() {
            Some(reason) => Err(WalError::Poisoned { place: self.place.clone(), reason }),
            None => Ok(()),
        }
    }

    /// Stops the log for good; the first reason stays.
    pub(super) fn poison(&self, what: &str, why: &dyn core::fmt::Display) {
        lock(&self.poison).get_or_insert_with(|| format!("cannot {what}: {why}"));
    }

    pub(super) fn next(&self) -> MutexGuard<'_, Option<Arc<Segment>>> {
        lock(&self.next)
    }

    pub(super) fn temporary_name(&self, number: u64) -> String {
        segment::temporary_name(number, self.attempts.fetch_add(1, Ordering::Relaxed))
    }

    /// A file of the segment to read from, opened at most once in a while.
    pub(super) fn reader(&self, number: u64) -> io::Result<Arc<dyn MediumFile>> {
        let mut readers = lock(&self.readers);
        if let Some(at) = readers.iter().position(|(open, _)| *open == number) {
            let reader = readers.remove(at);
            readers.push(reader.clone());
            return Ok(reader.1);
        }
        let file: Arc<dyn MediumFile> = self.medium.open(&segment::name(number))?.into();
        if readers.len() >= READERS_MAX {
            readers.remove(0);
        }
        readers.push((number, file.clone()));
        Ok(file)
    }
}

/// What the superblock is to hold once a sync is done.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Facts {
    pub(super) promised: Ballot,
    pub(super) members: Option<Membership>,
    pub(super) formed: bool,
}

/// One group at its place.
pub(super) struct Piece {
    pub(super) segment: Arc<Segment>,
    pub(super) group: Sealed,
    /// Where its second copy lies.
    pub(super) index: u32,
}

/// Closed groups on their way to the disk. [`Sync::run`] takes them there, on any thread.
///
/// ```
#[doc = include_str!("example.txt")]
/// let (mut wal, _) = open(&HeapMedium::new(1))?;
/// wal.append(Lsn(1), &Record::Formed, Slot(0))?;
/// let sync = wal.start_sync()?.expect("something was appended");
/// assert_eq!(sync.upto(), Lsn(1));
/// let disk = std::thread::spawn(|| sync.run());
/// wal.append(Lsn(2), &Record::Formed, Slot(0))?; // Meanwhile, for the next one.
/// let synced = disk.join().expect("it does not panic");
/// assert_eq!(wal.finish(synced)?, Lsn(1));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use = "nothing is durable before it was run and finished"]
pub struct Sync {
    // Before `shared`, so that its segments are closed before the directory is unlocked.
    pub(super) pieces: Vec<Piece>,
    pub(super) shared: Arc<Shared>,
    pub(super) number: u64,
    pub(super) upto: Lsn,
    pub(super) durable: Lsn,
    /// Given where the superblock must change with these groups.
    pub(super) facts: Option<Facts>,
    pub(super) written: bool,
}

/// A [`Sync`] that was run: hand it to [`crate::wal::Wal::finish`].
///
/// ```
#[doc = include_str!("example.txt")]
/// let (mut one, _) = open(&HeapMedium::new(1))?;
/// let (mut other, _) = open(&HeapMedium::new(2))?;
/// one.append(Lsn(1), &Record::Formed, Slot(0))?;
/// let synced: Synced = one.start_sync()?.expect("something was appended").run();
/// assert!(matches!(other.finish(synced), Err(WalError::ForeignSync)));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use = "the log learns what is durable by Wal::finish"]
pub struct Synced {
    pub(super) shared: Arc<Shared>,
    pub(super) number: u64,
    pub(super) failed: bool,
}

impl Sync {
    /// The last record that is durable once this sync, and those before it, are finished.
    #[must_use]
    pub fn upto(&self) -> Lsn {
        self.upto
    }

    /// How many bytes it takes to the disk.
    #[must_use]
    pub fn bytes(&self) -> usize {
        let piece = |piece: &Piece| piece.group.data.len() + piece.group.index.len();
        self.pieces.iter().map(piece).sum()
    }

    /// Hands the bytes to the operating system without waiting for the disk; [`Sync::run`] does it
    /// itself where it was not done. A simulation calls it when the sync starts and `run` when it
    /// ends: a crash in between leaves any part of the bytes on the disk.
    ///
    /// A failure stops the log for good; `run` then reports it.
    pub fn write(&mut self) {
        if core::mem::replace(&mut self.written, true) {
            return;
        }
        for piece in &self.pieces {
            let file = &piece.segment.file;
            let done = file
                .write_at(piece.group.offset.into(), &piece.group.data)
                .and_then(|()| file.write_at(piece.index.into(), &piece.group.index));
            if let Err(error) = done {
                self.shared.poison("write to a segment", &error);
            }
        }
    }

    /// Takes the groups to the disk and waits until they are there. Blocks for as long as the disk
    /// takes. Any thread may do it, while the log goes on.
    pub fn run(mut self) -> Synced {
        self.write();
        let mut keeper = self.shared.keeper();
        let failed = self.shared.poisoned().is_some() || !self.sync_all(&mut keeper);
        drop(keeper);
        Synced { shared: self.shared, number: self.number, failed }
    }

    fn sync_all(&self, keeper: &mut Keeper) -> bool {
        // A group of each segment: no segment is synced twice.
        for piece in &self.pieces {
            if let Err(error) = piece.segment.file.sync() {
                self.shared.poison("sync a segment", &error);
                return false;
            }
        }
        // After the groups: when a slot of the superblock is being written, the log holds what it
        // is written for. Where this sync overtook an earlier one the superblock may know of a
        // promise or list whose record a crash then takes; to know too much of those does no harm.
        let Some(facts) = &self.facts else { return true };
        let done = keeper.update(|block| {
            block.promised = block.promised.max(facts.promised);
            block.members.clone_from(&facts.members);
            block.formed |= facts.formed;
            block.durable = self.durable;
        });
        if let Err(error) = done {
            self.shared.poison("write the superblock", &error);
            return false;
        }
        true
    }
}

/// The making of the next segment, to be run on any thread before the current one is full.
///
/// ```
#[doc = include_str!("example.txt")]
/// let small = WalOptions { segment_bytes: 64 << 10, entry_bytes_max: 4096 };
/// let disk = Box::new(HeapMedium::new(1));
/// let (mut wal, _) = Wal::open(disk, ClusterId::named("docs")?, ReplicaId(1), small)?;
/// let mut lsn = Lsn::ZERO;
/// let preparation: Preparation = loop {
///     lsn = lsn.next();
///     wal.append(lsn, &Record::Promised { ballot: Ballot::ZERO }, Slot(0))?;
///     let sync = wal.start_sync()?.expect("something was appended");
///     wal.finish(sync.run())?;
///     if let Some(preparation) = wal.prepare() {
///         break preparation; // A quarter of the segment is full.
///     }
/// };
/// std::thread::spawn(|| preparation.run()).join().expect("it does not panic");
/// assert!(wal.prepare().is_none(), "the next one is ready");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use = "run it, beside the core"]
pub struct Preparation {
    pub(super) shared: Arc<Shared>,
    pub(super) header: Header,
    /// How many bytes the current segment had left when this was given out.
    pub(super) room: u32,
}

impl Preparation {
    /// Makes the segment: allocates it, fills it with zeros, names it, lists it. Blocks for some
    /// tens of milliseconds. That there is no space for it is no failure of the log; it is seen
    /// when [`crate::wal::Wal::append`] finds no room.
    pub fn run(self) {
        // Its only failures that matter stop the log, and say so there.
        let _ = self.make();
    }

    /// The same, for a thread that has time: syncs that run meanwhile wait less for it. A
    /// directory makes the segment in pieces of half a MiB, calls `pause` after each, to wait for a
    /// millisecond or do something else, and syncs it; but it hurries on while the log fills the
    /// current segment so fast that the next one would hardly be ready in time.
    pub fn run_with_pauses(self, mut pause: impl FnMut()) {
        let (room, bytes) = (u128::from(self.room), u128::from(self.header.bytes));
        let shared = Arc::clone(&self.shared);
        let mut rest = |made: u64| {
            let used = room.saturating_sub(shared.room.load(Ordering::Relaxed).into());
            // Ready when half of the room that there was is left.
            let early = u128::from(made) * room >= 2 * used * bytes;
            if early {
                pause();
            }
            early
        };
        let _ =
            self.make_by(|medium, name, bytes| medium.create_with_rests(name, bytes, &mut rest));
    }

    pub(super) fn make(&self) -> Result<(), io::Error> {
        self.make_by(|medium, name, bytes| medium.create(name, bytes))
    }

    fn make_by(&self, create: impl FnOnce(&dyn Medium, &str, u64) -> Created) -> io::Result<()> {
        let made = self.try_make(create);
        self.shared.preparing.store(false, Ordering::Release);
        made
    }

    fn try_make(&self, create: impl FnOnce(&dyn Medium, &str, u64) -> Created) -> io::Result<()> {
        let (medium, number) = (&*self.shared.medium, self.header.number);
        let temporary = self.shared.temporary_name(number);
        let file = create(medium, &temporary, self.header.bytes.into())?;
        let mut segment = Segment { header: self.header.clone(), file };
        let written = segment::random_salt(medium).and_then(|salt| {
            segment.header.salt = salt;
            segment.write_header()
        });
        if let Err(error) = written {
            let _ = medium.remove(&temporary);
            return Err(error);
        }
        if let Err(error) = segment.file.sync() {
            if !is_full(&error) {
                self.shared.poison("sync a new segment", &error);
            }
            let _ = medium.remove(&temporary);
            return Err(error);
        }
        let mut keeper = self.shared.keeper();
        if self.shared.poisoned().is_some() || keeper.now().last >= number {
            // Another preparation was quicker.
            drop(keeper);
            return medium.remove(&temporary);
        }
        if let Err(error) = segment.publish(medium, &temporary) {
            self.shared.poison("name a new segment", &error);
            return Err(error);
        }
        if let Err(error) = keeper.update(|block| block.last = number) {
            self.shared.poison("list a new segment in the superblock", &error);
            return Err(error);
        }
        *self.shared.next() = Some(Arc::new(segment));
        Ok(())
    }
}

/// The error of a disk call at this place.
pub(super) fn io_error(place: &str, what: &'static str, source: io::Error) -> WalError {
    WalError::Io { place: place.to_string(), what, source }
}

/// The error of a disk call that may have found the disk full.
pub(super) fn space_error(place: &str, what: &'static str, source: io::Error) -> WalError {
    if is_full(&source) {
        WalError::Full { place: place.to_string(), bytes: 0 }
    } else {
        io_error(place, what, source)
    }
}
