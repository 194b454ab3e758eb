//! A mapped file: the only `unsafe` code of the crate.
//!
//! No reference into the mapping is ever made. Bytes are copied in through a raw pointer, and are
//! never read through the mapping at all: recovery and serving of old entries read the file.
#![expect(unsafe_code, reason = "copies bytes into a mapped file")]

use std::fs::File;
use std::io::{self, Seek as _, SeekFrom};
use std::sync::{Mutex, PoisonError};

use memmap2::{MmapOptions, MmapRaw};

/// From how many bytes on a write goes through the mapping. Each store to a page that was synced
/// costs a fault, and each such page, when it is synced again, an interrupt of every processor that
/// runs a thread of this process. A call to the file costs less, whose pages are the same ones on
/// Linux, and with groups of some hundred KiB a third less; on other systems nothing says so.
pub(super) const MAPPED_BYTES_MIN: usize = if cfg!(target_os = "linux") { 1 << 20 } else { 0 };

/// A file's bytes, mapped for writing.
pub(super) struct Map {
    raw: Mutex<MmapRaw>,
    bytes: usize,
}

impl Map {
    /// Maps the first `bytes` of the file. All of them must be there, with blocks behind them, and
    /// must stay: the log never changes the length of a file that is mapped, and holds a lock on
    /// the directory.
    ///
    /// # Errors
    /// If the file is shorter, or cannot be mapped.
    pub(super) fn new(file: &File, bytes: usize) -> io::Result<Self> {
        if file.metadata()?.len() < bytes as u64 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let raw = MmapOptions::new().len(bytes).map_raw(file)?;
        Ok(Self { raw: Mutex::new(raw), bytes })
    }

    /// Copies the bytes into the file at `offset`. They are not durable yet.
    ///
    /// `file` is the mapped file; if somebody has cut it short, this is an error instead of the
    /// signal that a store beyond its end would raise.
    ///
    /// # Errors
    /// If the bytes reach beyond the mapping, or the file was cut short.
    pub(super) fn copy_in(&self, file: &File, offset: u64, bytes: &[u8]) -> io::Result<()> {
        let end = usize::try_from(offset).ok().and_then(|at| at.checked_add(bytes.len()));
        if end.is_none_or(|end| end > self.bytes) {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        self.check_length(file)?;
        let raw = self.raw.lock().unwrap_or_else(PoisonError::into_inner);
        let start = offset as usize;
        populate(&raw, start, bytes.len())?;
        // SAFETY:
        // - The target lies in the mapping: offset + length <= self.bytes was checked above, and
        //   the mapping has self.bytes bytes and lives as long as self.
        // - Source and target do not overlap: `bytes` is ordinary memory of this process, and no
        //   reference into the mapping is ever made.
        // - No other thread of this process writes there meanwhile: the mutex is held. Other
        //   processes are kept away by the lock on the directory; nothing here reads the mapping,
        //   so one that came all the same could spoil the file but nothing else.
        unsafe {
            let target = raw.as_mut_ptr().add(start);
            target.copy_from_nonoverlapping(bytes.as_ptr(), bytes.len());
        }
        let_go(&raw, start, bytes.len());
        Ok(())
    }

    /// Checks that nobody has cut the mapped file short.
    ///
    /// It seeks, and does not ask for the file's attributes: whoever does makes Linux give the next
    /// write a time of its own (since 6.13), and that must go to the disk's journal.
    ///
    /// # Errors
    /// If somebody has.
    pub(super) fn check_length(&self, mut file: &File) -> io::Result<()> {
        if file.seek(SeekFrom::End(0))? < self.bytes as u64 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(())
    }

    /// Makes what was copied in known to the file, where a sync of the file alone does not.
    ///
    /// # Errors
    /// If that fails.
    pub(super) fn flush(&self) -> io::Result<()> {
        // On Linux a sync of the file writes the pages that were stored to through a mapping.
        if cfg!(not(target_os = "linux")) {
            self.raw.lock().unwrap_or_else(PoisonError::into_inner).flush()?;
        }
        Ok(())
    }
}

/// Makes the pages writable in one call, instead of a fault for each. Where a store would end the
/// process by a signal, since the disk is full or fails, this is an error.
#[cfg(target_os = "linux")]
fn populate(raw: &MmapRaw, start: usize, bytes: usize) -> io::Result<()> {
    match raw.advise_range(memmap2::Advice::PopulateWrite, start, bytes) {
        // Kernels before 5.14 do not know it; then each page faults.
        Err(error) if error.kind() == io::ErrorKind::InvalidInput => Ok(()),
        done => done,
    }
}

/// Forgets that the pages are mapped, in one call: then no page interrupts the other processors
/// when it is synced. What was stored stays in the file's pages. A failure costs nothing but time.
#[cfg(target_os = "linux")]
fn let_go(raw: &MmapRaw, start: usize, bytes: usize) {
    // SAFETY: the mapping is shared and backed by a file, so that the pages' contents are kept, and
    // no reference into it is ever made.
    let _ = unsafe { raw.unchecked_advise_range(memmap2::UncheckedAdvice::DontNeed, start, bytes) };
}

#[cfg(not(target_os = "linux"))]
fn populate(_: &MmapRaw, _: usize, _: usize) -> io::Result<()> {
    Ok(())
}

#[cfg(not(target_os = "linux"))]
fn let_go(_: &MmapRaw, _: usize, _: usize) {}

#[cfg(test)]
mod tests;
