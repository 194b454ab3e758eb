//! A directory as a medium: files written through a mapping or with `pwrite`.

use alloc::boxed::Box;
use alloc::collections::BTreeSet;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, FileExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use crate::membership::{ClusterId, ReplicaId};
use crate::record::Recovered;
use crate::wal::error::WalError;
use crate::wal::map::{MAPPED_BYTES_MIN, Map};
use crate::wal::medium::{Medium, MediumFile};
use crate::wal::sync::io_error;
use crate::wal::{Wal, WalOptions};

const LOCK: &str = "LOCK";
/// A new file is filled with zeros in writes of this size. Larger ones leave large folios in the
/// page cache, and then each small sync writes a whole folio to the device.
static ZEROS: [u8; 64 << 10] = [0; 64 << 10];
/// After how many bytes a file that is made with rests is synced. A sync of the log that comes in
/// between waits for that much at the most: a device takes what it was given in its own order.
const PIECE_BYTES: u64 = 512 << 10;

/// Called between the pieces of a file, with the number of bytes made; says whether to sync them.
type Rest<'a> = &'a mut dyn FnMut(u64) -> bool;

/// The directories that this process has open.
static OPEN: Mutex<BTreeSet<PathBuf>> = Mutex::new(BTreeSet::new());

/// How the segments of a directory are written.
///
/// ```
/// use synod::wal::{DirectoryOptions, FileAccess, Wal};
/// use synod::{ClusterId, ReplicaId};
///
/// let place = tempfile::tempdir()?;
/// let access = Some(FileAccess::Pwrite);
/// let options = DirectoryOptions { access, ..DirectoryOptions::default() };
/// let cluster = ClusterId::named("docs")?;
/// let (wal, _) = Wal::open_directory_with(place.path(), cluster, ReplicaId(1), options)?;
/// wal.close()?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileAccess {
    /// Through a mapping, where many pages are written at once; on Linux, what is shorter than
    /// 1 MiB goes to the same pages with `pwrite`, which is quicker there. Only where overwriting
    /// allocated blocks never needs space: elsewhere a full disk would end the process by a signal.
    Mapped,
    /// With `pwrite` and `fdatasync`.
    Pwrite,
}

/// How a directory is opened.
///
/// ```
/// use synod::wal::{DirectoryOptions, Wal, WalOptions};
/// use synod::{ClusterId, ReplicaId};
///
/// let place = tempfile::tempdir()?;
/// let wal = WalOptions { segment_bytes: 32 << 20, ..WalOptions::default() };
/// let options = DirectoryOptions { wal, ..DirectoryOptions::default() };
/// let cluster = ClusterId::named("docs")?;
/// let (wal, _) = Wal::open_directory_with(place.path(), cluster, ReplicaId(1), options)?;
/// assert_eq!(wal.status().bytes, 32 << 20);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DirectoryOptions {
    /// How segments are written; chosen by the file system if not set: mapped on ext4, XFS and
    /// tmpfs, `pwrite` on all others.
    pub access: Option<FileAccess>,
    /// How the log is laid out.
    pub wal: WalOptions,
}

/// A directory, locked for this log alone.
///
/// ```
/// use synod::wal::{Directory, Wal, WalError, WalOptions};
/// use synod::{ClusterId, ReplicaId};
///
/// let place = tempfile::tempdir()?;
/// let directory = Directory::open(place.path(), None)?;
/// let again = Directory::open(place.path(), None);
/// assert!(matches!(again, Err(WalError::InUse { .. })), "one log, one directory");
/// let cluster = ClusterId::named("docs")?;
/// let (wal, _) =
///     Wal::open(Box::new(directory), cluster, ReplicaId(1), WalOptions::default())?;
/// wal.close()?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Directory {
    path: PathBuf,
    handle: File,
    access: FileAccess,
    // Dropped in this order: the lock goes before the name does.
    _lock: File,
    _name: OpenName,
}

/// The directory's place among those that this process has open.
struct OpenName(PathBuf);

impl Drop for OpenName {
    fn drop(&mut self) {
        OPEN.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.0);
    }
}

impl Directory {
    /// Opens the directory and locks it; makes it, for its owner alone, if it is not there.
    ///
    /// # Errors
    /// If it cannot be made or written, or another log has it.
    pub fn open(path: impl AsRef<Path>, access: Option<FileAccess>) -> Result<Self, WalError> {
        let path = path.as_ref();
        let place = path.display().to_string();
        let fail = |what| {
            let place = place.clone();
            move |error| io_error(&place, what, error)
        };
        make_directory(path).map_err(fail("make the directory"))?;
        let path = path.canonicalize().map_err(fail("find the directory"))?;
        let open = OPEN.lock().unwrap_or_else(PoisonError::into_inner).insert(path.clone());
        if !open {
            return Err(WalError::InUse { place });
        }
        let name = OpenName(path.clone());
        let lock = options().create(true).truncate(false).open(path.join(LOCK));
        let lock = lock.map_err(fail("open the lock file"))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(WalError::InUse { place }),
            Err(TryLockError::Error(error)) => return Err(fail("lock the directory")(error)),
        }
        let handle = File::open(&path).map_err(fail("open the directory"))?;
        let access = match access {
            Some(access) => access,
            None => default_access(&handle).map_err(fail("ask for the file system"))?,
        };
        Ok(Self { path, handle, access, _lock: lock, _name: name })
    }

    /// How segments are written.
    #[must_use]
    pub fn access(&self) -> FileAccess {
        self.access
    }

    /// Fills the file with zeros; with `rest`, a piece at a time.
    fn fill(&self, file: &File, bytes: u64, mut rest: Option<Rest<'_>>) -> io::Result<()> {
        // Blocks first, in one piece where the file system can; then zeros, so that no block is
        // left unwritten: converting those would cost every sync.
        match rustix::fs::fallocate(file, rustix::fs::FallocateFlags::empty(), 0, bytes) {
            Ok(()) | Err(rustix::io::Errno::OPNOTSUPP | rustix::io::Errno::NOSYS) => {}
            Err(error) => return Err(error.into()),
        }
        let mut at = 0;
        while at < bytes {
            let length = ZEROS.len().min((bytes - at) as usize);
            file.write_all_at(&ZEROS[..length], at)?;
            at += length as u64;
            if let Some(rest) = &mut rest
                && at.is_multiple_of(PIECE_BYTES)
                && at < bytes
                && rest(at)
            {
                file.sync_data()?;
            }
        }
        Ok(())
    }

    fn try_create(
        &self,
        path: &Path,
        bytes: u64,
        rest: Option<Rest<'_>>,
    ) -> io::Result<DirectoryFile> {
        let file = options().create(true).truncate(true).open(path)?;
        self.fill(&file, bytes, rest)?;
        let map = match self.access {
            FileAccess::Mapped => Some(Map::new(&file, bytes as usize)?),
            FileAccess::Pwrite => None,
        };
        Ok(DirectoryFile { map, file })
    }

    fn create_file(
        &self,
        name: &str,
        bytes: u64,
        rest: Option<Rest<'_>>,
    ) -> io::Result<Box<dyn MediumFile>> {
        let path = self.path.join(name);
        match self.try_create(&path, bytes, rest) {
            Ok(file) => Ok(Box::new(file)),
            Err(error) => {
                // What is left of it would only take space; the first error is the one to tell.
                let _ = fs::remove_file(&path);
                Err(error)
            }
        }
    }
}

impl Wal {
    /// Opens the log in this directory, or makes it, as [`Wal::open`] does, written in the way that
    /// suits its file system.
    ///
    /// # Errors
    /// As [`Directory::open`] and [`Wal::open`].
    pub fn open_directory(
        path: impl AsRef<Path>,
        cluster: ClusterId,
        replica: ReplicaId,
    ) -> Result<(Self, Recovered), WalError> {
        Self::open_directory_with(path, cluster, replica, DirectoryOptions::default())
    }

    /// [`Wal::open_directory`] with options.
    ///
    /// # Errors
    /// As [`Directory::open`] and [`Wal::open`].
    pub fn open_directory_with(
        path: impl AsRef<Path>,
        cluster: ClusterId,
        replica: ReplicaId,
        options: DirectoryOptions,
    ) -> Result<(Self, Recovered), WalError> {
        let directory = Directory::open(path, options.access)?;
        Self::open(Box::new(directory), cluster, replica, options.wal)
    }
}

fn options() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.read(true).write(true).mode(0o600);
    options
}

/// The directory that holds this one's name.
fn holder(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

fn make_directory(path: &Path) -> io::Result<()> {
    let existed = path.is_dir();
    // The names of all that is made here must be durable too. So must the directory's own be if
    // somebody else has just made it; but then the one above need not be ours to open.
    let made: Vec<&Path> = path.ancestors().take_while(|path| !path.is_dir()).collect();
    DirBuilder::new().recursive(true).mode(0o700).create(path)?;
    if existed {
        let _ = File::open(holder(path)).and_then(|holder| holder.sync_all());
    }
    made.into_iter()
        .filter(|made| !made.as_os_str().is_empty())
        .try_for_each(|made| File::open(holder(made))?.sync_all())
}

#[cfg(target_os = "linux")]
const EXT4: i128 = 0xef53;
#[cfg(target_os = "linux")]
const XFS: i128 = 0x5846_5342;
#[cfg(target_os = "linux")]
const TMPFS: i128 = 0x0102_1994;

#[cfg(target_os = "linux")]
fn default_access(directory: &File) -> io::Result<FileAccess> {
    // The type's width differs between architectures.
    Ok(access_on(i128::from(rustix::fs::fstatfs(directory)?.f_type)))
}

/// Mapped where overwriting a written block never allocates. A segment is mapped only in the start
/// that made it, so its blocks are not shared yet; docs/WAL.md forbids sharing them while it runs.
#[cfg(target_os = "linux")]
fn access_on(system: i128) -> FileAccess {
    match system {
        EXT4 | XFS | TMPFS => FileAccess::Mapped,
        _ => FileAccess::Pwrite,
    }
}

#[cfg(not(target_os = "linux"))]
fn default_access(_directory: &File) -> io::Result<FileAccess> {
    Ok(FileAccess::Pwrite)
}

/// The names of the files in a directory, in order.
pub(super) fn names_in(path: &Path) -> io::Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(path)? {
        // A name that is no text is none of ours.
        names.extend(entry?.file_name().into_string());
    }
    names.sort_unstable();
    Ok(names)
}

impl Medium for Directory {
    fn place(&self) -> String {
        self.path.display().to_string()
    }

    fn names(&self) -> io::Result<Vec<String>> {
        names_in(&self.path)
    }

    fn create(&self, name: &str, bytes: u64) -> io::Result<Box<dyn MediumFile>> {
        self.create_file(name, bytes, None)
    }

    fn create_with_rests(
        &self,
        name: &str,
        bytes: u64,
        rest: Rest<'_>,
    ) -> io::Result<Box<dyn MediumFile>> {
        self.create_file(name, bytes, Some(rest))
    }

    fn open(&self, name: &str) -> io::Result<Box<dyn MediumFile>> {
        let file = File::open(self.path.join(name))?;
        Ok(Box::new(DirectoryFile { map: None, file }))
    }

    fn open_writable(&self, name: &str) -> io::Result<Box<dyn MediumFile>> {
        let file = options().open(self.path.join(name))?;
        Ok(Box::new(DirectoryFile { map: None, file }))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        fs::rename(self.path.join(from), self.path.join(to))
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        fs::remove_file(self.path.join(name))
    }

    fn sync_names(&self) -> io::Result<()> {
        self.handle.sync_all()
    }

    fn random(&self, buffer: &mut [u8]) -> io::Result<()> {
        getrandom::fill(buffer).map_err(|error| io::Error::other(error.to_string()))
    }
}

/// A file, with its mapping where it is written through one. The mapping goes first.
struct DirectoryFile {
    map: Option<Map>,
    file: File,
}

impl MediumFile for DirectoryFile {
    fn bytes(&self) -> io::Result<u64> {
        Ok(self.file.metadata()?.len())
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        self.file.read_exact_at(buffer, offset)
    }

    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        match &self.map {
            Some(map) if bytes.len() >= MAPPED_BYTES_MIN => map.copy_in(&self.file, offset, bytes),
            Some(map) => {
                map.check_length(&self.file)?;
                self.file.write_all_at(bytes, offset)
            }
            None => self.file.write_all_at(bytes, offset),
        }
    }

    fn sync(&self) -> io::Result<()> {
        if let Some(map) = &self.map {
            map.flush()?;
        }
        // Length and blocks do not change after a file was made; the first sync takes them along.
        self.file.sync_data()
    }
}

#[cfg(test)]
mod tests;
