//! Which disk a directory lies on: a sync in memory is nothing, and so is what it would measure.

use std::path::Path;

/// File systems in memory, by what statfs says of them.
const IN_MEMORY: [(i128, &str); 2] = [(0x0102_1994, "tmpfs"), (0x8584_58f6, "ramfs")];

/// Refuses a directory where a sync does nothing.
///
/// # Errors
///
/// It lies in memory, or nowhere.
pub(crate) fn check(directory: &Path) -> Result<(), String> {
    let place = directory.display();
    let found = rustix::fs::statfs(directory).map_err(|error| format!("{place}: {error}"))?;
    // The type's width differs between architectures.
    let system = i128::from(found.f_type);
    match IN_MEMORY.iter().find(|(magic, _)| *magic == system) {
        None => Ok(()),
        Some((_, name)) => {
            Err(format!("{place} is on {name}, where a sync is nothing: name another --directory"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_and_nowhere_are_no_disks() {
        assert!(check(Path::new("/nonexistent")).is_err());
        // Linux systems have this one in memory as a rule.
        let shared = Path::new("/dev/shm");
        if shared.is_dir() {
            assert!(check(shared).is_err_and(|refusal| refusal.contains("is on tmpfs")));
        }
        assert_eq!(check(Path::new(env!("CARGO_MANIFEST_DIR"))), Ok(()));
    }
}
