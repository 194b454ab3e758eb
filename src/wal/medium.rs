//! What a disk can do, as the log needs it.
//!
//! Everything that the log does to a disk goes through these two traits, so that the very same code
//! runs over a mapped directory, a directory written with `pwrite`, and a simulated disk that loses
//! what was not synced.

use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;
use std::io;

/// A place with named files: a directory, or the simulation of one.
///
/// Nothing is durable before it was synced: the bytes of a file by [`MediumFile::sync`], the names
/// by [`Medium::sync_names`]. What was written and not synced may survive a crash in any part.
///
/// ```
/// use synod::wal::{HeapMedium, Medium};
///
/// let disk = HeapMedium::new(1);
/// let file = disk.create("notes.tmp", 512)?;
/// file.write_at(0, b"once")?;
/// file.sync()?;
/// disk.rename("notes.tmp", "notes")?;
/// disk.sync_names()?;
/// disk.crash(7);
/// let mut bytes = [0; 4];
/// disk.open("notes")?.read_at(0, &mut bytes)?;
/// assert_eq!(&bytes, b"once");
/// # Ok::<(), std::io::Error>(())
/// ```
pub trait Medium: Send + Sync {
    /// Where this is, for messages: a path.
    fn place(&self) -> String;

    /// The names of all files.
    ///
    /// # Errors
    /// If the names cannot be read.
    fn names(&self) -> io::Result<Vec<String>>;

    /// Makes a file of that many zero bytes for writing, with real blocks behind every one of them,
    /// so that no later write to it needs space. A file of that name is replaced.
    ///
    /// # Errors
    /// If it cannot be made: [`io::ErrorKind::StorageFull`] if there is no room. What was made of
    /// it is removed then.
    fn create(&self, name: &str, bytes: u64) -> io::Result<Box<dyn MediumFile>>;

    /// Makes a file as [`Medium::create`] does, but piece by piece: calls `rest` after each with
    /// the number of bytes made so far, and takes the piece to the disk if that says so. Then
    /// whoever syncs something else meanwhile does not wait for all of the file. The default makes
    /// it at once, and does not rest.
    ///
    /// # Errors
    /// As [`Medium::create`].
    fn create_with_rests(
        &self,
        name: &str,
        bytes: u64,
        rest: &mut dyn FnMut(u64) -> bool,
    ) -> io::Result<Box<dyn MediumFile>> {
        let _ = rest;
        self.create(name, bytes)
    }

    /// Opens a file for reading.
    ///
    /// # Errors
    /// If it is not there or may not be read.
    fn open(&self, name: &str) -> io::Result<Box<dyn MediumFile>>;

    /// Opens a file for reading and for writing within its length.
    ///
    /// # Errors
    /// If it is not there or may not be written.
    fn open_writable(&self, name: &str) -> io::Result<Box<dyn MediumFile>>;

    /// Gives a file another name, in one step that a crash cannot halve.
    ///
    /// # Errors
    /// If that fails.
    fn rename(&self, from: &str, to: &str) -> io::Result<()>;

    /// Removes a file.
    ///
    /// # Errors
    /// If that fails.
    fn remove(&self, name: &str) -> io::Result<()>;

    /// Makes every change of names so far durable.
    ///
    /// # Errors
    /// If that fails: nothing is known about the names then.
    fn sync_names(&self) -> io::Result<()>;

    /// Fills the buffer with random bytes.
    ///
    /// # Errors
    /// If the source of randomness fails.
    fn random(&self, buffer: &mut [u8]) -> io::Result<()>;
}

/// A file of a fixed length.
///
/// ```
/// use std::io::ErrorKind;
/// use synod::wal::{HeapMedium, Medium, MediumFile};
///
/// let disk = HeapMedium::new(1);
/// let file: Box<dyn MediumFile> = disk.create("notes", 512)?;
/// file.write_at(508, b"last")?;
/// assert_eq!(file.bytes()?, 512);
/// let beyond = file.read_at(510, &mut [0; 4]);
/// assert_eq!(beyond.unwrap_err().kind(), ErrorKind::UnexpectedEof);
/// # Ok::<(), std::io::Error>(())
/// ```
pub trait MediumFile: Send + Sync {
    /// How long the file is, in bytes.
    ///
    /// # Errors
    /// If that cannot be found out.
    fn bytes(&self) -> io::Result<u64>;

    /// Reads exactly the buffer's length from `offset` on.
    ///
    /// # Errors
    /// If that fails, or the file ends before: [`io::ErrorKind::UnexpectedEof`].
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()>;

    /// Writes all the bytes at `offset`, within the file's length. They are not durable yet.
    ///
    /// # Errors
    /// If that fails, reaches beyond the end, or the file was opened for reading.
    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()>;

    /// Makes every byte durable that was written before.
    ///
    /// # Errors
    /// If that fails. What was written since the last success may be lost then, and a later success
    /// proves nothing about it.
    fn sync(&self) -> io::Result<()>;
}

/// Whether the error says that there is no room.
pub(super) fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}
