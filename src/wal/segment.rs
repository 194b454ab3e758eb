//! A segment: a file of fixed size whose header says whose it is.
//!
//! The header lies in two copies, in the first sectors of the first two pages. Groups follow from
//! [`DATA`] on upwards, their second copies lie at the end, downwards.

use alloc::boxed::Box;
use alloc::format;
use alloc::string::String;
use std::io;

use crate::checksum;
use crate::membership::{ClusterId, DiskId, Incarnation, ReplicaId};
use crate::record::Lsn;
use crate::wal::frame::{SECTOR, Salt, array_at, lsn_at, put, u32_at, u64_at};
use crate::wal::medium::{Medium, MediumFile};
use crate::wal::superblock::VERSION;

/// Where the groups begin.
pub(super) const DATA: u32 = 2 * PAGE as u32;
/// Where the second copy of the header lies.
pub(super) const PAGE: u64 = 4096;
const MAGIC: [u8; 8] = *b"SYNODSEG";
const SUM: usize = SECTOR - 4;
const SUFFIX: &str = ".log";
const TEMPORARY: &str = ".tmp";

/// The file name of a segment.
pub(super) fn name(number: u64) -> String {
    format!("{number:016}{SUFFIX}")
}

/// The number of the segment with that file name; `None` if it is no segment's name.
pub(super) fn number(file: &str) -> Option<u64> {
    let digits = file.strip_suffix(SUFFIX)?;
    (digits.len() == 16 && digits.bytes().all(|digit| digit.is_ascii_digit()))
        .then(|| digits.parse().ok())?
}

/// The name of a segment that is being made.
pub(super) fn temporary_name(number: u64, attempt: u64) -> String {
    format!("{number:016}-{attempt}{TEMPORARY}")
}

/// Whether a file was being made when its process died.
pub(super) fn is_temporary(file: &str) -> bool {
    file.ends_with(TEMPORARY)
}

/// What a segment says about itself.
///
/// ```
#[doc = include_str!("example.txt")]
/// let seen = inspect_medium(&written()?)?;
/// let Seen::Holds(header) = &seen.segments[0].headers[0] else { panic!("it is sound") };
/// assert_eq!((header.number, header.replica), (1, ReplicaId(1)));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Header {
    /// Whose log it is.
    pub cluster: ClusterId,
    /// The name of the disk.
    pub disk: DiskId,
    /// Whose log it is.
    pub replica: ReplicaId,
    /// The number of the segment.
    pub number: u64,
    /// The start that made it.
    pub incarnation: Incarnation,
    /// Random for each use of a file: all checksums in the segment begin with it.
    pub salt: u64,
    /// How long the segment is.
    pub bytes: u32,
    /// No record in the segment has a lower number.
    pub first: Lsn,
    /// In segments before the first of this incarnation, everything above this record is void.
    pub sealed: Lsn,
    /// That the segment is there proves that the log is durable up to this record; 0 proves
    /// nothing.
    pub durable: Lsn,
}

/// What a copy of a header says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Copy {
    Good(Header),
    Newer(u32),
    Rot,
}

impl Header {
    pub(super) fn salt(&self) -> Salt {
        Salt { salt: self.salt, segment: self.number }
    }

    fn write(&self) -> [u8; SECTOR] {
        let mut bytes = [0; SECTOR];
        put(&mut bytes, 0, &MAGIC);
        put(&mut bytes, 8, &VERSION.to_le_bytes());
        put(&mut bytes, 12, &(SECTOR as u32).to_le_bytes());
        put(&mut bytes, 16, &self.cluster.0);
        put(&mut bytes, 32, &self.disk.0);
        put(&mut bytes, 48, &self.replica.0.to_le_bytes());
        put(&mut bytes, 52, &self.bytes.to_le_bytes());
        put(&mut bytes, 56, &self.number.to_le_bytes());
        put(&mut bytes, 64, &self.incarnation.0.to_le_bytes());
        put(&mut bytes, 72, &self.salt.to_le_bytes());
        put(&mut bytes, 80, &self.first.0.to_le_bytes());
        put(&mut bytes, 88, &self.sealed.0.to_le_bytes());
        put(&mut bytes, 96, &self.durable.0.to_le_bytes());
        let sum = checksum::of(&bytes[..SUM]);
        put(&mut bytes, SUM, &sum.to_le_bytes());
        bytes
    }

    /// Reads a copy. The places of magic, version and checksum are the same in every version.
    pub(super) fn read(bytes: &[u8; SECTOR]) -> Copy {
        if bytes[..8] != MAGIC || checksum::of(&bytes[..SUM]) != u32_at(bytes, SUM) {
            return Copy::Rot;
        }
        let version = u32_at(bytes, 8);
        if version != VERSION || u32_at(bytes, 12) != SECTOR as u32 {
            return Copy::Newer(version);
        }
        let lsns = [80, 88, 96].map(|at| lsn_at(bytes, at));
        let [Some(first), Some(sealed), Some(durable)] = lsns else { return Copy::Rot };
        Copy::Good(Self {
            cluster: ClusterId(array_at(bytes, 16)),
            disk: DiskId(array_at(bytes, 32)),
            replica: ReplicaId(u32_at(bytes, 48)),
            bytes: u32_at(bytes, 52),
            number: u64_at(bytes, 56),
            incarnation: Incarnation(u64_at(bytes, 64)),
            salt: u64_at(bytes, 72),
            first,
            sealed,
            durable,
        })
    }
}

/// Both copies of a segment's header as they lie; a copy that is cut off counts as rot.
pub(super) fn read_header(file: &dyn MediumFile) -> io::Result<[Copy; 2]> {
    let copy = |offset| {
        let mut bytes = [0; SECTOR];
        match file.read_at(offset, &mut bytes) {
            Ok(()) => Ok(Header::read(&bytes)),
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(Copy::Rot),
            Err(error) => Err(error),
        }
    };
    Ok([copy(0)?, copy(PAGE)?])
}

/// A segment that is written, or will be.
pub(super) struct Segment {
    pub(super) header: Header,
    pub(super) file: Box<dyn MediumFile>,
}

impl Segment {
    /// Writes both copies of the header, unsynced.
    pub(super) fn write_header(&self) -> io::Result<()> {
        let bytes = self.header.write();
        self.file.write_at(PAGE, &bytes)?;
        self.file.write_at(0, &bytes)
    }

    /// Gives the file, which is durable, its name, durably.
    pub(super) fn publish(&self, medium: &dyn Medium, temporary: &str) -> io::Result<()> {
        medium.rename(temporary, &name(self.header.number))?;
        medium.sync_names()
    }
}

/// A salt: random for each use of a file.
pub(super) fn random_salt(medium: &dyn Medium) -> io::Result<u64> {
    let mut bytes = [0; 8];
    medium.random(&mut bytes)?;
    Ok(u64::from_le_bytes(bytes))
}

#[cfg(test)]
mod tests;
