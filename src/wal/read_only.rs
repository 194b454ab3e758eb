//! A directory that is looked at while another process may write to it: no lock is taken, and
//! nothing can be changed.

use alloc::boxed::Box;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::PathBuf;

use crate::wal::directory::names_in;
use crate::wal::medium::{Medium, MediumFile};

/// The unit in which files are read.
const PAGE: usize = 4096;

/// A directory that is only read.
pub(super) struct ReadOnlyDirectory {
    path: PathBuf,
}

/// A file of it.
struct ReadOnlyFile {
    file: File,
}

fn refused<T>() -> io::Result<T> {
    Err(io::Error::new(io::ErrorKind::ReadOnlyFilesystem, "it is only looked at"))
}

impl ReadOnlyDirectory {
    pub(super) fn new(path: PathBuf) -> Self {
        Self { path }
    }
}

impl Medium for ReadOnlyDirectory {
    fn place(&self) -> String {
        self.path.display().to_string()
    }

    fn names(&self) -> io::Result<Vec<String>> {
        names_in(&self.path)
    }

    fn create(&self, _name: &str, _bytes: u64) -> io::Result<Box<dyn MediumFile>> {
        refused()
    }

    fn open(&self, name: &str) -> io::Result<Box<dyn MediumFile>> {
        let path = self.path.join(name);
        // Opening a pipe would wait for whoever writes to it.
        if !fs::metadata(&path)?.is_file() {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is no regular file"));
        }
        Ok(Box::new(ReadOnlyFile { file: File::open(path)? }))
    }

    fn open_writable(&self, _name: &str) -> io::Result<Box<dyn MediumFile>> {
        refused()
    }

    fn rename(&self, _from: &str, _to: &str) -> io::Result<()> {
        refused()
    }

    fn remove(&self, _name: &str) -> io::Result<()> {
        refused()
    }

    fn sync_names(&self) -> io::Result<()> {
        refused()
    }

    fn random(&self, _buffer: &mut [u8]) -> io::Result<()> {
        refused()
    }
}

impl MediumFile for ReadOnlyFile {
    fn bytes(&self) -> io::Result<u64> {
        Ok(self.file.metadata()?.len())
    }

    /// From the back to the front. Whatever tells of a group (its second copy, later groups and
    /// theirs) lies behind it and is written after it: so where one of those is seen, the group,
    /// which is read later, is seen as well, and a log that is being written looks like one whose
    /// process died in the middle of it, not like one with holes.
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        for (at, page) in buffer.chunks_mut(PAGE).enumerate().rev() {
            self.file.read_exact_at(page, offset + (at * PAGE) as u64)?;
        }
        Ok(())
    }

    fn write_at(&self, _offset: u64, _bytes: &[u8]) -> io::Result<()> {
        refused()
    }

    fn sync(&self) -> io::Result<()> {
        refused()
    }
}

#[cfg(test)]
mod tests;
