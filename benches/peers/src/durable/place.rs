//! Where the logs of a run lie: a directory for each run, one in it for each replica, all on the
//! same disk.

use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use tempfile::TempDir;

/// File systems in memory: a sync there is nothing.
const IN_MEMORY: [(i128, &str); 2] = [(0x0102_1994, "tmpfs"), (0x8584_58f6, "ramfs")];

/// Files are filled in writes of this size, the one after which later syncs are the fastest:
/// larger writes leave large folios in the page cache.
static FILL: [u8; 64 << 10] = [0; 64 << 10];

/// Refuses a directory where a sync does nothing.
pub(crate) fn check(directory: &Path) -> Result<()> {
    let handle =
        File::open(directory).with_context(|| format!("cannot open {}", directory.display()))?;
    let system = i128::from(rustix::fs::fstatfs(&handle)?.f_type);
    if let Some((_, name)) = IN_MEMORY.iter().find(|(magic, _)| *magic == system) {
        bail!(
            "{} is on {name}, where a sync is nothing: name a directory on a disk",
            directory.display()
        );
    }
    Ok(())
}

/// A directory for one run, removed afterwards.
pub(crate) fn for_run(directory: &Path) -> Result<TempDir> {
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
