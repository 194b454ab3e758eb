//! The cluster's key, and the file that holds it.

use core::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use thiserror::Error;

/// The length of a cluster's key, in bytes.
pub const KEY_BYTES: usize = 32;

/// The secret that all members of a cluster share. Whoever has it can speak for any member.
///
/// ```
/// use synod::udp::{ClusterKey, KEY_BYTES};
///
/// let key = ClusterKey::from_bytes([7; KEY_BYTES]); // Random, in earnest: from a file.
/// assert_eq!(format!("{key:?}"), "ClusterKey(..)", "it is never shown");
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct ClusterKey([u8; KEY_BYTES]);

/// Why a key file was refused.
///
/// ```
/// use std::fs;
/// use std::os::unix::fs::PermissionsExt;
/// use synod::udp::{ClusterKey, KEY_BYTES, KeyError};
///
/// let directory = tempfile::tempdir()?;
/// let path = directory.path().join("key");
/// fs::write(&path, [7; KEY_BYTES])?;
/// fs::set_permissions(&path, fs::Permissions::from_mode(0o644))?;
/// assert!(matches!(ClusterKey::read(&path), Err(KeyError::Exposed { mode: 0o644, .. })));
/// fs::set_permissions(&path, fs::Permissions::from_mode(0o600))?;
/// assert!(ClusterKey::read(&path).is_ok());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum KeyError {
    /// The file cannot be read.
    #[error("key file {}: {error}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        error: io::Error,
    },
    /// The file has another length than a key.
    #[error("key file {}: a key has {KEY_BYTES} bytes, not {}", path.display(), length(*bytes))]
    Length {
        /// The file.
        path: PathBuf,
        /// How many bytes were read: at most one more than a key has.
        bytes: usize,
    },
    /// Others than the owner may read or write the file.
    #[error("key file {}: others may use it (mode {mode:03o}): chmod 600", path.display())]
    Exposed {
        /// The file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// The file is no regular file.
    #[error("key file {}: no regular file", path.display())]
    NoFile {
        /// The path.
        path: PathBuf,
    },
}

fn length(bytes: usize) -> &'static str {
    if bytes > KEY_BYTES { "more" } else { "fewer" }
}

impl ClusterKey {
    /// The key of these bytes. They must be random: nothing is made of a password here.
    #[must_use]
    pub fn from_bytes(bytes: [u8; KEY_BYTES]) -> Self {
        Self(bytes)
    }

    /// Reads a key file: 32 random bytes, such as `head -c 32 /dev/urandom` gives, that nobody but
    /// its owner may read or write.
    ///
    /// # Errors
    /// If the file cannot be read, has another length, or can be used by others.
    pub fn read(path: impl AsRef<Path>) -> Result<Self, KeyError> {
        let path = path.as_ref();
        let unreadable = |error| KeyError::Unreadable { path: path.to_path_buf(), error };
        // Looked at before it is opened: opening a pipe would wait for its writer.
        if !std::fs::metadata(path).map_err(unreadable)?.is_file() {
            return Err(KeyError::NoFile { path: path.to_path_buf() });
        }
        let file = File::open(path).map_err(unreadable)?;
        let mode = file.metadata().map_err(unreadable)?.permissions().mode() & 0o777;
        if mode & 0o077 != 0 {
            return Err(KeyError::Exposed { path: path.to_path_buf(), mode });
        }
        let mut bytes = std::vec::Vec::with_capacity(KEY_BYTES + 1);
        file.take(KEY_BYTES as u64 + 1).read_to_end(&mut bytes).map_err(unreadable)?;
        let length = bytes.len();
        let key = <[u8; KEY_BYTES]>::try_from(bytes)
            .map_err(|_| KeyError::Length { path: path.to_path_buf(), bytes: length })?;
        Ok(Self(key))
    }

    pub(super) fn bytes(&self) -> &[u8; KEY_BYTES] {
        &self.0
    }
}

impl fmt::Debug for ClusterKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ClusterKey(..)")
    }
}
