//! Looks at a log without opening it: what lies there, what holds of it, and what a start would
//! make of it.
//!
//! Nothing is written and no lock is taken, so a log may be looked at while its process runs. The
//! judgement is recovery's own: the same code reads the bytes, and the same tables say what they
//! are. What was being written while it was read looks torn, or even rotten; so what does not hold
//! is read again, and only what does not hold twice in a row is told.
//!
//! # Example
//! ```
//! use synod::membership::{ClusterId, ReplicaId};
//! use synod::wal::{Wal, inspect};
//!
//! let directory = tempfile::tempdir()?;
//! let cluster = ClusterId::named("example")?;
//! let (_open, _) = Wal::open_directory(directory.path(), cluster, ReplicaId(1))?;
//! let seen = inspect::inspect(directory.path())?;
//! assert!(seen.is_log() && seen.is_sound());
//! assert_eq!(seen.segments.len(), 1);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod look;

use alloc::string::String;
use alloc::vec::Vec;
use core::time::Duration;
use std::path::Path;
use std::thread;

use crate::ballot::Ballot;
use crate::membership::Membership;
use crate::record::Lsn;
use crate::slot::{Run, Slot, Slots};
use crate::wal::error::WalError;
use crate::wal::medium::Medium;
use crate::wal::read_only::ReadOnlyDirectory;
use crate::wal::table::{Row, Verdict};

pub use crate::wal::segment::Header;
pub use crate::wal::superblock::Superblock;

/// How often a log is read that does not look the same twice.
const READINGS_MAX: u32 = 8;
/// How long to wait before the second reading; doubled before each further one.
const PAUSE: Duration = Duration::from_millis(2);

/// What lies in one of the two places of something that is kept twice.
///
/// ```
#[doc = include_str!("example.txt")]
/// let seen = inspect_medium(&written()?)?;
/// for copy in &seen.superblock.copies {
///     match copy {
///         Seen::Holds(block) => println!("written {} times", block.sequence),
///         Seen::Newer { version } => println!("of format {version}"),
///         _ => println!("rotten"),
///     }
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Seen<T> {
    /// It holds.
    Holds(T),
    /// Its checksum holds, but it is of another format.
    Newer {
        /// Which one.
        version: u32,
    },
    /// It does not hold, or is cut off.
    Rotten,
}

/// The superblock.
///
/// ```
#[doc = include_str!("example.txt")]
/// let disk = written()?;
/// disk.flip("superblock", 0, 1);
/// let seen: SuperblockSeen = inspect_medium(&disk)?.superblock;
/// assert_eq!(seen.copies[0], Seen::Rotten);
/// assert_eq!(seen.row.map(|row| row.name), Some("one copy rotten"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SuperblockSeen {
    /// Its two copies. The one with the higher sequence counts.
    pub copies: [Seen<Superblock>; 2],
    /// The copy that counts, unless the log is refused because of it, or there is none.
    pub taken: Option<Superblock>,
    /// How it was judged; `None` if it could not be read.
    pub row: Option<&'static Row>,
}

/// A segment.
///
/// ```
#[doc = include_str!("example.txt")]
/// let segments: Vec<SegmentSeen> = inspect_medium(&written()?)?.segments;
/// assert_eq!((segments[0].number, segments[0].stray), (1, None));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SegmentSeen {
    /// Its number, by the name of its file.
    pub number: u64,
    /// The name of its file.
    pub file: String,
    /// How long the file is; `None` if that cannot be told, as where there is none.
    pub bytes: Option<u64>,
    /// The two copies of its header.
    pub headers: [Seen<Header>; 2],
    /// How it was judged; `None` if it was not: it lies before the first one of the log, or after
    /// the last, or after one that is refused.
    pub row: Option<&'static Row>,
    /// The records in it, in the order of their places. Nothing is found without a header.
    pub records: Vec<RecordsSeen>,
    /// The highest record that something in it says was durable.
    pub durable: Lsn,
    /// The highest ballot that something in it says was promised.
    pub promised: Ballot,
    /// Where bytes begin that are no part of anything that holds.
    pub stray: Option<u32>,
}

/// Records of consecutive numbers in one stretch of a segment.
///
/// ```
#[doc = include_str!("example.txt")]
/// let seen = inspect_medium(&written()?)?;
/// let records: &RecordsSeen = &seen.segments[0].records[0];
/// assert_eq!((records.first, records.last, records.whole), (Lsn(1), Lsn(1), true));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RecordsSeen {
    /// Where the stretch begins.
    pub offset: u32,
    /// Where it ends.
    pub end: u32,
    /// The first record.
    pub first: Lsn,
    /// The last record.
    pub last: Lsn,
    /// Whether every byte of it holds. If not, its second copy still names the records.
    pub whole: bool,
    /// How it was judged; `None` if it was not: a later copy of the same records counts, or they do
    /// not follow what comes before, or the log was refused earlier.
    pub row: Option<&'static Row>,
}

/// What follows the last record.
///
/// ```
#[doc = include_str!("example.txt")]
/// let end: EndSeen = inspect_medium(&written()?)?.end.expect("the log is taken");
/// assert_eq!((end.segment, end.row.name), (1, "clean end"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct EndSeen {
    /// How it was judged.
    pub row: &'static Row,
    /// The segment in which it lies.
    pub segment: u64,
    /// Where in the segment it begins.
    pub offset: u32,
}

/// What a replica that starts with this log would be given, without the entries.
///
/// ```
#[doc = include_str!("example.txt")]
/// let log: LogSeen = inspect_medium(&written()?)?.log.expect("the log is taken");
/// assert_eq!((log.last, log.promised.round, log.lost), (Lsn(1), 3, 0));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct LogSeen {
    /// The members and their quorums, once there is a list.
    pub members: Option<Membership>,
    /// Whether the replica is formed.
    pub formed: bool,
    /// The highest ballot promised.
    pub promised: Ballot,
    /// The chosen mark: every slot below it is chosen.
    pub chosen: Slot,
    /// The ballots stored with the chosen slots just below the mark.
    pub runs: Vec<Run>,
    /// What was accepted at or above the mark.
    pub accepted: Vec<Run>,
    /// What was learned at or above the mark.
    pub learned: Vec<Run>,
    /// Slots at or above the mark whose acceptance may be lost.
    pub faulty: Vec<Run>,
    /// Slots below the mark whose entries are lost. They are fetched from peers.
    pub holes: Vec<Slots>,
    /// The last record.
    pub last: Lsn,
    /// The last record that is proven durable. A start makes the others durable.
    pub durable: Lsn,
    /// How many records are lost, and named.
    pub lost: u64,
    /// Whether something follows the last record that was never finished.
    pub torn: bool,
}

/// Something that is not as it was written.
///
/// ```
#[doc = include_str!("example.txt")]
/// let disk = written()?;
/// disk.flip("superblock", 0, 1);
/// let findings: Vec<Finding> = inspect_medium(&disk)?.findings;
/// assert_eq!(findings[0].file, "superblock");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Finding {
    /// The file; empty for the log as a whole.
    pub file: String,
    /// Where in the file.
    pub offset: u64,
    /// What it is.
    pub name: &'static str,
    /// More about it; may be empty.
    pub details: String,
}

impl Finding {
    /// Whether both tell of the same thing. Details change while a log goes on.
    fn is_same(&self, other: &Self) -> bool {
        (&self.file, self.offset, self.name) == (&other.file, other.offset, other.name)
    }
}

/// What was seen of a log.
///
/// ```
#[doc = include_str!("example.txt")]
/// let disk = written()?;
/// let seen: Inspection = inspect_medium(&disk)?;
/// assert!(seen.is_log() && seen.is_sound());
/// disk.lose_file("superblock");
/// let seen = inspect_medium(&disk)?;
/// assert!(!seen.is_sound() && seen.refused.is_some());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Inspection {
    /// Where it lies.
    pub place: String,
    /// The superblock.
    pub superblock: SuperblockSeen,
    /// The segments that are there or should be, by their numbers.
    pub segments: Vec<SegmentSeen>,
    /// Files that were being made; the next start removes them.
    pub temporary: Vec<String>,
    /// What follows the last record; `None` if the log was refused before that.
    pub end: Option<EndSeen>,
    /// What the log holds; `None` if it is refused.
    pub log: Option<LogSeen>,
    /// Why a start would refuse the log.
    pub refused: Option<String>,
    /// What is not as it was written, twice in a row.
    pub findings: Vec<Finding>,
    /// Whether it changed while it was read: a process writes to it. What is sound is read once:
    /// then nothing is known of that.
    pub changing: bool,
}

impl Inspection {
    /// Whether there is a log at all.
    #[must_use]
    pub fn is_log(&self) -> bool {
        self.superblock.row.is_none_or(|row| row.verdict != Verdict::Form)
    }

    /// Whether a start would take the log and nothing in it is rotten or lost. What was being
    /// written when a process died is neither.
    #[must_use]
    pub fn is_sound(&self) -> bool {
        self.findings.is_empty()
    }

    fn is_torn(&self) -> bool {
        self.log.as_ref().is_some_and(|log| log.torn)
    }

    /// Whether both look alike, all in all.
    fn agrees(&self, other: &Self) -> bool {
        let mut pairs = self.findings.iter().zip(&other.findings);
        self.findings.len() == other.findings.len() && pairs.all(|(a, b)| a.is_same(b))
    }
}

/// Looks at the log in this directory, whether or not a process has it open. Reads each segment
/// twice, one at a time; what is not as it should be is read again, up to eight times in all.
///
/// # Errors
/// If the names of the directory's files cannot be read. Whatever is wrong with the files is no
/// error, but a finding.
pub fn inspect(path: impl AsRef<Path>) -> Result<Inspection, WalError> {
    let directory = ReadOnlyDirectory::new(path.as_ref().into());
    settle(|| look::look(&directory), |reading| thread::sleep(PAUSE * (1 << reading)))
}

/// Looks at the log on this medium, as [`inspect`] does. Only names and bytes are read.
///
/// # Errors
/// If the names of the files cannot be read.
pub fn inspect_medium(medium: &dyn Medium) -> Result<Inspection, WalError> {
    settle(|| look::look(medium), |_| {})
}

/// Looks until what is not as it should be is the same twice in a row. If it never is, what was
/// found both of the last times counts.
fn settle(
    mut look: impl FnMut() -> Result<Inspection, WalError>,
    pause: impl Fn(u32),
) -> Result<Inspection, WalError> {
    let mut before = look()?;
    if before.is_sound() && !before.is_torn() {
        return Ok(before);
    }
    let mut reading = 0;
    loop {
        pause(reading);
        reading += 1;
        let mut now = look()?;
        now.changing = before.superblock != now.superblock || before.segments != now.segments;
        // A reading without a finding is proof enough: rot does not go away.
        if now.is_sound() || before.agrees(&now) {
            return Ok(now);
        }
        if reading + 1 == READINGS_MAX {
            now.changing = true;
            now.findings.retain(|one| before.findings.iter().any(|other| one.is_same(other)));
            now.refused = now.refused.filter(|_| !now.findings.is_empty());
            return Ok(now);
        }
        before = now;
    }
}

#[cfg(test)]
mod tests;
