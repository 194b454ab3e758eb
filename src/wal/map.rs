//! A mapped file: the only `unsafe` code of the crate.
//!
//! No reference into the mapping is ever made. Bytes are copied in through a raw pointer, and are
//! never read through the mapping at all: recovery and serving of old entries read the file.
#![expect(unsafe_code, reason = "copies bytes into a mapped file")]

use std::fs::File;
use std::io;
use std::sync::{Mutex, PoisonError};

use memmap2::{MmapOptions, MmapRaw};

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
        if file.metadata()?.len() < self.bytes as u64 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let raw = self.raw.lock().unwrap_or_else(PoisonError::into_inner);
        // SAFETY:
        // - The target lies in the mapping: offset + length <= self.bytes was checked above, and
        //   the mapping has self.bytes bytes and lives as long as self.
        // - Source and target do not overlap: `bytes` is ordinary memory of this process, and no
        //   reference into the mapping is ever made.
        // - No other thread of this process writes there meanwhile: the mutex is held. Other
        //   processes are kept away by the lock on the directory; nothing here reads the mapping,
        //   so one that came all the same could spoil the file but nothing else.
        unsafe {
            let target = raw.as_mut_ptr().add(offset as usize);
            target.copy_from_nonoverlapping(bytes.as_ptr(), bytes.len());
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

#[cfg(test)]
mod tests;
