//! A simulated disk: page cache above, platter below, in sectors of 512 bytes.
//!
//! A crash keeps any part of what was not synced, as a seed says: each sector for itself, and of
//! the changes of names the first so many. A failed sync leaves bytes that are seen but that no
//! later sync will write, as real systems do. Everything is a function of the seeds and the calls.

mod content;
mod layout;

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::string::{String, ToString};
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::ops::Range;
use core::sync::atomic::{AtomicU64, Ordering};
use std::io;
use std::sync::{Mutex, MutexGuard, PoisonError};

use oorandom::Rand64;

use self::content::Content;
pub use self::layout::{Extent, Part, Stored};
use crate::wal::frame::SECTOR;
use crate::wal::medium::{Medium, MediumFile};

/// What goes wrong at a call yet to come. Counts begin at 0, for the next call.
///
/// ```
#[doc = include_str!("example.txt")]
/// let disk = HeapMedium::new(1);
/// disk.inject(Fault::Call { after: 0, kind: std::io::ErrorKind::PermissionDenied });
/// assert!(matches!(open(&disk), Err(WalError::Io { .. })));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// That call fails, once. A sync that fails loses what it was to write.
    Call {
        /// How many calls still succeed.
        after: u64,
        /// How it fails.
        kind: io::ErrorKind,
    },
    /// That sync of a file fails, once, and loses what it was to write.
    Sync {
        /// How many syncs of files still succeed.
        after: u64,
    },
    /// That call and all after it fail without any effect, until the disk is crashed or killed: the
    /// machine stops there.
    Halt {
        /// How many calls still succeed.
        after: u64,
    },
    /// That call still has its effect, but the machine stops before the caller hears of it: it and
    /// all after it fail, the later ones without any effect, until the disk is crashed or killed.
    Last {
        /// How many calls succeed before it.
        after: u64,
    },
}

/// What a power cut leaves of what was not synced.
///
/// ```
#[doc = include_str!("example.txt")]
/// let disk = written()?; // One record, synced.
/// disk.cut_power(Kept::Nothing);
/// assert_eq!(open(&disk)?.1.last, Lsn(1));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kept {
    /// Nothing.
    Nothing,
    /// All of it, but for what a failed sync has given up.
    Everything,
    /// Any part: each sector for itself, and of the changes of names the first so many.
    Some {
        /// Says which part.
        seed: u64,
    },
}

/// A simulated disk. Clones are handles of the same disk.
///
/// [`HeapMedium::crash`] and [`HeapMedium::kill`] end the lives of all other handles and of all
/// open files, as the end of a process does; handles cloned afterwards live.
///
/// ```
#[doc = include_str!("example.txt")]
/// let disk = HeapMedium::new(1);
/// open(&disk)?;
/// disk.flip("superblock", 0, 1); // One of two copies.
/// assert!(open(&disk).is_ok());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct HeapMedium {
    disk: Arc<Mutex<Disk>>,
    life: AtomicU64,
}

#[derive(Clone)]
struct Disk {
    life: u64,
    files: BTreeMap<u64, Content>,
    /// The names as they are seen.
    names: BTreeMap<String, u64>,
    /// The names on the platter, and the changes that are not there yet.
    platter_names: BTreeMap<String, u64>,
    changes: Vec<Change>,
    next_file: u64,
    random: Rand64,
    capacity: Option<u64>,
    faults: Vec<Fault>,
    calls: u64,
    syncs: u64,
    /// How many calls of this life failed by an injected fault, and how many for want of room.
    failures: u64,
    shortages: u64,
    /// Calls are neither counted nor struck.
    undisturbed: bool,
    /// The running call is the last one of the machine; or it was.
    stops: bool,
}

#[derive(Clone)]
enum Change {
    Add(String, u64),
    Move(String, String),
    Remove(String),
}

impl Disk {
    /// Counts the call, and fails it if it is to fail.
    fn call(&mut self, life: u64, is_sync: bool) -> io::Result<()> {
        if life != self.life {
            return Err(io::Error::other("the simulated process has ended"));
        }
        if self.undisturbed {
            return Ok(());
        }
        if self.stops {
            return Err(stopped());
        }
        self.calls += 1;
        self.syncs += u64::from(is_sync);
        if self.faults.is_empty() {
            return Ok(());
        }
        let (mut failed, mut last) = (None, false);
        self.faults.retain_mut(|fault| {
            let (after, counts) = match fault {
                Fault::Call { after, .. } | Fault::Halt { after } | Fault::Last { after } => {
                    (after, true)
                }
                Fault::Sync { after } => (after, is_sync),
            };
            if !counts {
                return true;
            }
            if *after > 0 {
                *after -= 1;
                return true;
            }
            match fault {
                Fault::Call { kind, .. } => failed = Some(*kind),
                Fault::Sync { .. } => failed = Some(io::ErrorKind::Other),
                Fault::Halt { .. } => {
                    self.stops = true;
                    failed = Some(io::ErrorKind::Other);
                }
                Fault::Last { .. } => last = true,
            }
            false
        });
        self.stops |= last;
        self.failures += u64::from(failed.is_some() || last);
        failed.map_or(Ok(()), |kind| Err(io::Error::new(kind, "injected")))
    }

    /// Ends a call that had its effect: if the machine stops here, nobody hears of it.
    fn end_call(&self) -> io::Result<()> {
        if self.stops && !self.undisturbed { Err(stopped()) } else { Ok(()) }
    }

    fn used(&self) -> u64 {
        self.names.values().filter_map(|file| self.files.get(file)).map(|file| file.bytes).sum()
    }

    fn file(&self, name: &str) -> io::Result<u64> {
        self.names.get(name).copied().ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn change(&mut self, change: Change) {
        change.apply(&mut self.names);
        self.changes.push(change);
    }

    fn forget_unnamed(&mut self) {
        let names = &self.names;
        self.files.retain(|file, _| names.values().any(|named| named == file));
    }
}

fn stopped() -> io::Error {
    io::Error::other("the simulated machine has stopped")
}

impl Change {
    fn apply(&self, names: &mut BTreeMap<String, u64>) {
        match self {
            Self::Add(name, file) => {
                names.insert(name.clone(), *file);
            }
            Self::Move(from, to) => {
                if let Some(file) = names.remove(from) {
                    names.insert(to.clone(), file);
                }
            }
            Self::Remove(name) => {
                names.remove(name);
            }
        }
    }
}

impl Clone for HeapMedium {
    fn clone(&self) -> Self {
        let life = self.disk().life;
        Self { disk: self.disk.clone(), life: AtomicU64::new(life) }
    }
}

impl HeapMedium {
    /// An empty disk. The seed fixes its DiskId and the salts of its segments: give every disk of a
    /// cluster another one.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        let disk = Disk {
            life: 0,
            files: BTreeMap::new(),
            names: BTreeMap::new(),
            platter_names: BTreeMap::new(),
            changes: Vec::new(),
            next_file: 0,
            random: Rand64::new(u128::from(seed)),
            capacity: None,
            faults: Vec::new(),
            calls: 0,
            syncs: 0,
            failures: 0,
            shortages: 0,
            undisturbed: false,
            stops: false,
        };
        Self { disk: Arc::new(Mutex::new(disk)), life: AtomicU64::new(0) }
    }

    fn disk(&self) -> MutexGuard<'_, Disk> {
        self.disk.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Another disk with the same content, synced or not. It has no faults.
    #[must_use]
    pub fn copy(&self) -> Self {
        let mut disk = self.disk().clone();
        disk.faults.clear();
        (disk.failures, disk.shortages, disk.stops) = (0, 0, false);
        let life = AtomicU64::new(disk.life);
        Self { disk: Arc::new(Mutex::new(disk)), life }
    }

    /// Cuts the power. Of what was not synced any part survives, as the seed says.
    pub fn crash(&self, seed: u64) {
        self.cut_power(Kept::Some { seed });
    }

    /// Cuts the power, and says what survives of what was not synced.
    pub fn cut_power(&self, kept: Kept) {
        let mut disk = self.disk();
        let disk = &mut *disk;
        let changes = disk.changes.len() as u64;
        let mut random = Rand64::new(0);
        let (keep_of_8, kept) = match kept {
            Kept::Nothing => (0, 0),
            Kept::Everything => (8, changes),
            Kept::Some { seed } => {
                random = Rand64::new(u128::from(seed));
                // Nothing, all, and what lies between are all likely.
                (random.rand_range(0..9), random.rand_range(0..changes + 1))
            }
        };
        for change in disk.changes.drain(..).take(kept as usize) {
            change.apply(&mut disk.platter_names);
        }
        disk.names.clone_from(&disk.platter_names);
        for file in disk.files.values_mut() {
            file.crash(&mut random, keep_of_8);
        }
        disk.forget_unnamed();
        self.begin_life(disk);
    }

    /// Ends the process that uses the disk. What it wrote is still seen, synced or not.
    pub fn kill(&self) {
        let mut disk = self.disk();
        self.begin_life(&mut disk);
    }

    fn begin_life(&self, disk: &mut Disk) {
        disk.faults.clear();
        (disk.failures, disk.shortages, disk.stops) = (0, 0, false);
        disk.life += 1;
        self.life.store(disk.life, Ordering::Relaxed);
    }

    /// Makes a call to come go wrong.
    pub fn inject(&self, fault: Fault) {
        self.disk().faults.push(fault);
    }

    /// Sets how many bytes all files together may have; `None` for no limit.
    pub fn set_capacity(&self, bytes: Option<u64>) {
        self.disk().capacity = bytes;
    }

    /// How many calls the disk has had.
    #[must_use]
    pub fn calls(&self) -> u64 {
        self.disk().calls
    }

    /// How many of them were syncs of files.
    #[must_use]
    pub fn syncs(&self) -> u64 {
        self.disk().syncs
    }

    /// How many calls an injected fault has failed, or stopped the machine at, since the disk was
    /// last crashed or killed.
    #[must_use]
    pub fn failures(&self) -> u64 {
        self.disk().failures
    }

    /// For how many files there was no room since then.
    #[must_use]
    pub fn shortages(&self) -> u64 {
        self.disk().shortages
    }

    /// Runs `look` while no fault strikes and no call is counted: for the eyes of a test.
    pub fn undisturbed<T>(&self, look: impl FnOnce() -> T) -> T {
        self.disk().undisturbed = true;
        let seen = look();
        self.disk().undisturbed = false;
        seen
    }

    /// How many bytes all files together have.
    #[must_use]
    pub fn used(&self) -> u64 {
        self.disk().used()
    }

    /// The names of all files.
    #[must_use]
    pub fn file_names(&self) -> Vec<String> {
        self.disk().names.keys().cloned().collect()
    }

    /// The bytes of a file as they are seen; empty if there is none of that name.
    #[must_use]
    pub fn file_bytes(&self, name: &str) -> Vec<u8> {
        let disk = self.disk();
        let content = disk.file(name).ok().and_then(|file| disk.files.get(&file));
        let mut bytes = alloc::vec![0; content.map_or(0, |content| content.bytes as usize)];
        if let Some(content) = content {
            content.read(0, &mut bytes);
        }
        bytes
    }

    /// Puts a file there, or another in its place, on the platter.
    pub fn put_file(&self, name: &str, bytes: &[u8]) {
        let mut disk = self.disk();
        let mut content = Content::zeros(bytes.len() as u64);
        content.write(0, bytes);
        content.waiting.clear();
        let file = disk.next_file;
        disk.next_file += 1;
        disk.files.insert(file, content);
        disk.names.insert(name.to_string(), file);
        disk.platter_names.insert(name.to_string(), file);
    }

    /// Takes a file away, from the platter too.
    pub fn lose_file(&self, name: &str) {
        let mut disk = self.disk();
        disk.names.remove(name);
        disk.platter_names.remove(name);
    }

    /// Flips the bits of `mask` in a byte of a file, if there is such a byte.
    pub fn flip(&self, name: &str, offset: u64, mask: u8) {
        self.spoil(name, offset..offset + 1, true, |bytes| {
            bytes.iter_mut().for_each(|byte| *byte ^= mask);
        });
    }

    /// Makes bytes of a file zero.
    pub fn zero(&self, name: &str, range: Range<u64>) {
        self.spoil(name, range, false, |bytes| bytes.fill(0));
    }

    /// Puts other bytes over those of a file, as far as the file goes.
    pub fn overwrite(&self, name: &str, offset: u64, bytes: &[u8]) {
        let (mut at, mut rest) = (offset, bytes);
        while !rest.is_empty() {
            let within = SECTOR - (at % SECTOR as u64) as usize;
            let (part, after) = rest.split_at(rest.len().min(within));
            self.spoil(name, at..at + part.len() as u64, true, |bytes| {
                bytes.copy_from_slice(&part[..bytes.len()]);
            });
            at += part.len() as u64;
            rest = after;
        }
    }

    fn spoil(&self, name: &str, range: Range<u64>, everywhere: bool, change: impl Fn(&mut [u8])) {
        let mut disk = self.disk();
        let Ok(file) = disk.file(name) else { return };
        let Some(content) = disk.files.get_mut(&file) else { return };
        let end = range.end.min(content.bytes);
        if range.start < end {
            content.spoil(range.start..end, everywhere, change);
        }
    }

    fn called(&self) -> io::Result<MutexGuard<'_, Disk>> {
        let mut disk = self.disk();
        disk.call(self.life.load(Ordering::Relaxed), false)?;
        Ok(disk)
    }

    fn handle(&self, file: u64, writable: bool) -> Box<dyn MediumFile> {
        let life = self.life.load(Ordering::Relaxed);
        Box::new(HeapFile { disk: self.disk.clone(), life, file, writable })
    }
}

impl Medium for HeapMedium {
    fn place(&self) -> String {
        "heap".to_string()
    }

    fn names(&self) -> io::Result<Vec<String>> {
        let disk = self.called()?;
        disk.end_call()?;
        Ok(disk.names.keys().cloned().collect())
    }

    fn create(&self, name: &str, bytes: u64) -> io::Result<Box<dyn MediumFile>> {
        let mut disk = self.called()?;
        if disk.capacity.is_some_and(|capacity| disk.used() + bytes > capacity) {
            disk.shortages += 1;
            return Err(io::ErrorKind::StorageFull.into());
        }
        let file = disk.next_file;
        disk.next_file += 1;
        disk.files.insert(file, Content::zeros(bytes));
        disk.change(Change::Add(name.to_string(), file));
        disk.end_call()?;
        drop(disk);
        Ok(self.handle(file, true))
    }

    fn open(&self, name: &str) -> io::Result<Box<dyn MediumFile>> {
        let disk = self.called()?;
        let file = disk.file(name)?;
        disk.end_call()?;
        Ok(self.handle(file, false))
    }

    fn open_writable(&self, name: &str) -> io::Result<Box<dyn MediumFile>> {
        let disk = self.called()?;
        let file = disk.file(name)?;
        disk.end_call()?;
        Ok(self.handle(file, true))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        let mut disk = self.called()?;
        disk.file(from)?;
        disk.change(Change::Move(from.to_string(), to.to_string()));
        disk.end_call()
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        let mut disk = self.called()?;
        disk.file(name)?;
        disk.change(Change::Remove(name.to_string()));
        disk.end_call()
    }

    fn sync_names(&self) -> io::Result<()> {
        let mut disk = self.called()?;
        disk.changes.clear();
        let names = disk.names.clone();
        disk.platter_names = names;
        disk.end_call()
    }

    fn random(&self, buffer: &mut [u8]) -> io::Result<()> {
        let mut disk = self.called()?;
        for part in buffer.chunks_mut(8) {
            let bytes = disk.random.rand_u64().to_le_bytes();
            part.copy_from_slice(&bytes[..part.len()]);
        }
        disk.end_call()
    }
}

struct HeapFile {
    disk: Arc<Mutex<Disk>>,
    life: u64,
    file: u64,
    writable: bool,
}

impl HeapFile {
    fn with<T>(
        &self,
        is_sync: bool,
        work: impl FnOnce(&mut Content, io::Result<()>) -> io::Result<T>,
    ) -> io::Result<T> {
        let mut disk = self.disk.lock().unwrap_or_else(PoisonError::into_inner);
        let called = disk.call(self.life, is_sync);
        // Neither a dead process nor a stopped machine has any effect.
        if called.is_err() && (self.life != disk.life || disk.stops) {
            return Err(stopped());
        }
        let content = disk.files.get_mut(&self.file).ok_or(io::ErrorKind::NotFound)?;
        let done = work(content, called)?;
        disk.end_call()?;
        Ok(done)
    }
}

impl MediumFile for HeapFile {
    fn bytes(&self) -> io::Result<u64> {
        self.with(false, |content, called| called.map(|()| content.bytes))
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        self.with(false, |content, called| {
            called?;
            if offset.checked_add(buffer.len() as u64).is_none_or(|end| end > content.bytes) {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            content.read(offset, buffer);
            Ok(())
        })
    }

    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        if !self.writable {
            return Err(io::ErrorKind::PermissionDenied.into());
        }
        self.with(false, |content, called| {
            called?;
            if offset.checked_add(bytes.len() as u64).is_none_or(|end| end > content.bytes) {
                return Err(io::ErrorKind::InvalidInput.into());
            }
            content.write(offset, bytes);
            Ok(())
        })
    }

    fn sync(&self) -> io::Result<()> {
        self.with(true, |content, called| {
            let waiting = core::mem::take(&mut content.waiting);
            if called.is_err() {
                // The first old content is the one that lies on the platter.
                for (number, old) in waiting {
                    content.given_up.entry(number).or_insert(old);
                }
            }
            called
        })
    }
}

#[cfg(test)]
mod tests;
