//! Where the logs of a run lie: a directory for each run, one in it for each replica, all on the
//! same disk.

use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use anyhow::Result;
use tempfile::TempDir;

/// Files are filled in writes of this size, the one after which later syncs are the fastest:
/// larger writes leave large folios in the page cache.
static FILL: [u8; 64 << 10] = [0; 64 << 10];

/// A directory for one run, removed afterwards. What removing the one before left to be written is
/// written first.
pub(crate) fn for_run(directory: &Path) -> Result<TempDir> {
    rustix::fs::sync();
    let place = tempfile::Builder::new().prefix("peers-").tempdir_in(directory)?;
    Ok(place)
}

/// The directory of a replica; it is not made here.
pub(crate) fn of_replica(run: &Path, replica: u64) -> PathBuf {
    run.join(format!("replica-{replica}"))
}

/// A file of zeros with real blocks behind all of them, synced: overwriting it is the fastest
/// thing that a log can do.
pub(crate) fn zeroed_file(path: &Path, bytes: u64) -> Result<File> {
    let file = File::options().create_new(true).read(true).write(true).open(path)?;
    rustix::fs::fallocate(&file, rustix::fs::FallocateFlags::empty(), 0, bytes)?;
    let mut at = 0;
    while at < bytes {
        let length = FILL.len().min(usize::try_from(bytes - at).unwrap_or(FILL.len()));
        file.write_all_at(&FILL[..length], at)?;
        at += length as u64;
    }
    file.sync_all()?;
    File::open(path.parent().unwrap_or(Path::new(".")))?.sync_all()?;
    Ok(file)
}
