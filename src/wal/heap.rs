//! A simulated disk: page cache above, platter below, in sectors of 512 bytes.
//!
//! A crash keeps any part of what was not synced, as a seed says: each sector for itself, and of
//! the changes of names the first so many. A failed sync leaves bytes that are seen but that no
//! later sync will write, as real systems do. Everything is a function of the seeds and the calls.

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

use crate::wal::frame::SECTOR;
use crate::wal::medium::{Medium, MediumFile};

type Sector = [u8; SECTOR];

/// What goes wrong at a call yet to come. Counts begin at 0, for the next call.
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
}

/// A simulated disk. Clones are handles of the same disk.
///
/// [`HeapMedium::crash`] and [`HeapMedium::kill`] end the lives of all other handles and of all
/// open files, as the end of a process does; handles cloned afterwards live.
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
}

#[derive(Clone)]
enum Change {
    Add(String, u64),
    Move(String, String),
    Remove(String),
}

#[derive(Clone, Default)]
struct Content {
    bytes: u64,
    /// As it is seen; sectors that are not here are zero.
    now: BTreeMap<u64, Box<Sector>>,
    /// What lies on the platter of sectors that wait for a sync.
    waiting: BTreeMap<u64, Option<Box<Sector>>>,
    /// What lies on the platter of sectors that a failed sync has given up.
    given_up: BTreeMap<u64, Option<Box<Sector>>>,
}

impl Content {
    fn sector(&self, number: u64) -> Option<&Sector> {
        self.now.get(&number).map(|sector| &**sector)
    }

    fn write(&mut self, offset: u64, mut bytes: &[u8]) {
        let mut at = offset;
        while !bytes.is_empty() {
            let (number, within) = (at / SECTOR as u64, (at % SECTOR as u64) as usize);
            let (part, rest) = bytes.split_at(bytes.len().min(SECTOR - within));
            if !self.waiting.contains_key(&number) {
                let old = match self.given_up.remove(&number) {
                    Some(old) => old,
                    None => self.now.get(&number).cloned(),
                };
                self.waiting.insert(number, old);
            }
            let sector = self.now.entry(number).or_insert_with(|| Box::new([0; SECTOR]));
            sector[within..within + part.len()].copy_from_slice(part);
            at += part.len() as u64;
            bytes = rest;
        }
    }

    fn read(&self, offset: u64, buffer: &mut [u8]) {
        let (mut at, mut rest) = (offset, buffer);
        while !rest.is_empty() {
            let (number, within) = (at / SECTOR as u64, (at % SECTOR as u64) as usize);
            let length = rest.len().min(SECTOR - within);
            let (part, after) = rest.split_at_mut(length);
            match self.sector(number) {
                Some(sector) => part.copy_from_slice(&sector[within..within + length]),
                None => part.fill(0),
            }
            at += length as u64;
            rest = after;
        }
    }

    /// Changes bytes both as they are seen and on the platter. Only sectors that were ever written
    /// are looked at, unless `everywhere`.
    fn spoil(&mut self, range: Range<u64>, everywhere: bool, change: impl Fn(&mut [u8])) {
        let sectors = range.start / SECTOR as u64..range.end.div_ceil(SECTOR as u64);
        if everywhere {
            for number in sectors.clone() {
                self.now.entry(number).or_insert_with(|| Box::new([0; SECTOR]));
            }
        }
        let within = |number: u64| {
            let start = number * SECTOR as u64;
            let from = range.start.saturating_sub(start).min(SECTOR as u64) as usize;
            from..range.end.saturating_sub(start).min(SECTOR as u64) as usize
        };
        for (number, sector) in self.now.range_mut(sectors.clone()) {
            change(&mut sector[within(*number)]);
        }
        for olds in [&mut self.waiting, &mut self.given_up] {
            for (number, old) in olds.range_mut(sectors.clone()) {
                let old = old.get_or_insert_with(|| Box::new([0; SECTOR]));
                change(&mut old[within(*number)]);
            }
        }
    }

    fn put_back(&mut self, number: u64, old: Option<Box<Sector>>) {
        match old {
            Some(old) => self.now.insert(number, old),
            None => self.now.remove(&number),
        };
    }

    fn crash(&mut self, random: &mut Rand64, keep_of_8: u64) {
        for (number, old) in core::mem::take(&mut self.waiting) {
            if random.rand_range(0..8) >= keep_of_8 {
                self.put_back(number, old);
            }
        }
        for (number, old) in core::mem::take(&mut self.given_up) {
            self.put_back(number, old);
        }
    }
}

impl Disk {
    /// Counts the call, and fails it if it is to fail.
    fn call(&mut self, life: u64, is_sync: bool) -> io::Result<()> {
        if life != self.life {
            return Err(io::Error::other("the simulated process has ended"));
        }
        self.calls += 1;
        self.syncs += u64::from(is_sync);
        let mut failed = None;
        self.faults.retain_mut(|fault| {
            let (after, counts, kind) = match fault {
                Fault::Call { after, kind } => (after, true, *kind),
                Fault::Sync { after } => (after, is_sync, io::ErrorKind::Other),
                Fault::Halt { after } => (after, true, io::ErrorKind::Other),
            };
            if !counts {
                return true;
            }
            if *after > 0 {
                *after -= 1;
                return true;
            }
            failed = Some(kind);
            matches!(fault, Fault::Halt { .. })
        });
        failed.map_or(Ok(()), |kind| Err(io::Error::new(kind, "injected")))
    }

    fn is_halted(&self) -> bool {
        self.faults.contains(&Fault::Halt { after: 0 })
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
        let life = AtomicU64::new(disk.life);
        Self { disk: Arc::new(Mutex::new(disk)), life }
    }

    /// Cuts the power. Of what was not synced any part survives, as the seed says.
    pub fn crash(&self, seed: u64) {
        let mut disk = self.disk();
        let disk = &mut *disk;
        let mut random = Rand64::new(u128::from(seed));
        // Nothing, all, and what lies between are all likely.
        let keep_of_8 = random.rand_range(0..9);
        let kept = random.rand_range(0..disk.changes.len() as u64 + 1) as usize;
        for change in disk.changes.drain(..).take(kept) {
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
        let mut content = Content { bytes: bytes.len() as u64, ..Content::default() };
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
        Ok(self.called()?.names.keys().cloned().collect())
    }

    fn create(&self, name: &str, bytes: u64) -> io::Result<Box<dyn MediumFile>> {
        let mut disk = self.called()?;
        if disk.capacity.is_some_and(|capacity| disk.used() + bytes > capacity) {
            return Err(io::ErrorKind::StorageFull.into());
        }
        let file = disk.next_file;
        disk.next_file += 1;
        disk.files.insert(file, Content { bytes, ..Content::default() });
        disk.change(Change::Add(name.to_string(), file));
        drop(disk);
        Ok(self.handle(file, true))
    }

    fn open(&self, name: &str) -> io::Result<Box<dyn MediumFile>> {
        let file = self.called()?.file(name)?;
        Ok(self.handle(file, false))
    }

    fn open_writable(&self, name: &str) -> io::Result<Box<dyn MediumFile>> {
        let file = self.called()?.file(name)?;
        Ok(self.handle(file, true))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        let mut disk = self.called()?;
        disk.file(from)?;
        disk.change(Change::Move(from.to_string(), to.to_string()));
        Ok(())
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        let mut disk = self.called()?;
        disk.file(name)?;
        disk.change(Change::Remove(name.to_string()));
        Ok(())
    }

    fn sync_names(&self) -> io::Result<()> {
        let mut disk = self.called()?;
        disk.changes.clear();
        let names = disk.names.clone();
        disk.platter_names = names;
        Ok(())
    }

    fn random(&self, buffer: &mut [u8]) -> io::Result<()> {
        let mut disk = self.called()?;
        for part in buffer.chunks_mut(8) {
            let bytes = disk.random.rand_u64().to_le_bytes();
            part.copy_from_slice(&bytes[..part.len()]);
        }
        Ok(())
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
        if self.life != disk.life || (called.is_err() && disk.is_halted()) {
            return Err(io::Error::other("the simulated machine has stopped"));
        }
        let content = disk.files.get_mut(&self.file).ok_or(io::ErrorKind::NotFound)?;
        work(content, called)
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
