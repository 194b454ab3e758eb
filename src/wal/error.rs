//! Why the log could not do what it was asked.

use alloc::string::String;
use std::io;

use thiserror::Error;

use crate::membership::{ClusterId, ReplicaId};
use crate::record::Lsn;

/// Why the log could not do what it was asked.
///
/// ```
#[doc = include_str!("example.txt")]
/// let disk = HeapMedium::new(1);
/// let (mut wal, _) = open(&disk)?;
/// disk.inject(Fault::Sync { after: 0 });
/// wal.append(Lsn(1), &Record::Formed, Slot(0))?;
/// let sync = wal.start_sync()?.expect("something was appended");
/// assert!(matches!(wal.finish(sync.run()), Err(WalError::Poisoned { .. })));
/// let next = wal.append(Lsn(2), &Record::Formed, Slot(0));
/// assert!(matches!(next, Err(WalError::Poisoned { .. })), "it stays so");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum WalError {
    /// Another log, of this process or another, has the directory.
    #[error("{place}: in use by another log, in this process or another")]
    InUse {
        /// The directory.
        place: String,
    },
    /// The disk failed.
    #[error("{place}: cannot {what}: {source}")]
    Io {
        /// The directory.
        place: String,
        /// What was tried.
        what: &'static str,
        /// The system's reason.
        source: io::Error,
    },
    /// What lies on the disk may not be used.
    #[error("{place}: {refusal}")]
    Refused {
        /// The directory.
        place: String,
        /// Why.
        refusal: Refusal,
    },
    /// The options contradict each other.
    #[error("segments of {segment_bytes} bytes {what}")]
    Options {
        /// The size of segments that was asked for.
        segment_bytes: u32,
        /// What is wrong with it.
        what: &'static str,
    },
    /// There is no room. Nothing was written; once there is room the same call works.
    #[error("{place}: no room for a record of {bytes} bytes and no space for another segment")]
    Full {
        /// The directory.
        place: String,
        /// What the record would have taken.
        bytes: usize,
    },
    /// The entry is longer than the log takes.
    #[error("an entry of {bytes} bytes is longer than the limit of {limit}")]
    TooLarge {
        /// Its length.
        bytes: usize,
        /// The limit.
        limit: usize,
    },
    /// The record's number is not the next one.
    #[error("the next record is {expected}, not {lsn}")]
    OutOfOrder {
        /// The number of the next record.
        expected: Lsn,
        /// The number that was given.
        lsn: Lsn,
    },
    /// A sync failed before. What is on the disk is unknown: the log does nothing more.
    #[error("{place}: the log stopped for good: {reason}")]
    Poisoned {
        /// The directory.
        place: String,
        /// What failed first.
        reason: String,
    },
    /// A finished sync was handed to a log that did not start it.
    #[error("the sync was started by another log, or was finished already")]
    ForeignSync,
    /// A record that lay in the log does not hold any more.
    #[error("{place}: the record at offset {offset} of segment {segment} does not hold")]
    Rot {
        /// The directory.
        place: String,
        /// The segment's number.
        segment: u64,
        /// The offset in it.
        offset: u32,
    },
}

/// Why what lies on the disk may not be used. The log was not changed.
///
/// ```
#[doc = include_str!("example.txt")]
/// let disk = HeapMedium::new(1);
/// open(&disk)?;
/// let other = ClusterId::named("other")?;
/// let medium = Box::new(disk.clone());
/// let refused = Wal::open(medium, other, ReplicaId(1), WalOptions::default()).map(|_| ());
/// let Err(WalError::Refused { refusal, .. }) = refused else { panic!("it is another's") };
/// assert_eq!(refusal.to_string(), "belongs to cluster docs, not other");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum Refusal {
    /// The directory belongs to another cluster.
    #[error("belongs to cluster {found}, not {expected}")]
    OtherCluster {
        /// Whose it is.
        found: ClusterId,
        /// Whose it should be.
        expected: ClusterId,
    },
    /// The directory belongs to another replica.
    #[error("belongs to replica {found}, not {expected}")]
    OtherReplica {
        /// Whose it is.
        found: ReplicaId,
        /// Whose it should be.
        expected: ReplicaId,
    },
    /// A later version of this crate wrote the file.
    #[error("{file} has format {version}; this version reads up to {ours}")]
    NewerFormat {
        /// The file.
        file: String,
        /// Its format.
        version: u32,
        /// The newest format that can be read.
        ours: u32,
    },
    /// The directory was made with another constant of the cluster.
    #[error("was made with {what} {found}, not {expected}")]
    OtherConstant {
        /// Which one.
        what: &'static str,
        /// Its value on the disk.
        found: u64,
        /// Its value here.
        expected: u64,
    },
    /// There are segments but no superblock: what was promised is unknown.
    #[error("has segments but no superblock: a promise may be lost")]
    SuperblockMissing,
    /// Neither copy of the superblock holds: what was promised is unknown.
    #[error("neither copy of the superblock holds: a promise may be lost")]
    SuperblockRot,
    /// A segment that the superblock lists is not there.
    #[error("segment {segment} is missing; what is lost comes after record {lsn}")]
    SegmentMissing {
        /// Its number.
        segment: u64,
        /// A record that comes before all that it held.
        lsn: Lsn,
    },
    /// Neither copy of the header of a segment that the superblock lists holds.
    #[error(
        "neither copy of the header of segment {segment} holds; what is lost comes after \
             record {lsn}"
    )]
    SegmentRot {
        /// Its number.
        segment: u64,
        /// A record that comes before all that it held.
        lsn: Lsn,
    },
    /// A segment lies under another segment's name.
    #[error("under the name of segment {segment} lies segment {found}")]
    SegmentMisdirected {
        /// The number of its name.
        segment: u64,
        /// The number in it.
        found: u64,
    },
    /// A segment was written by another cluster, replica or disk.
    #[error("segment {segment} was written by another {whose}")]
    SegmentForeign {
        /// Its number.
        segment: u64,
        /// What differs.
        whose: &'static str,
    },
    /// A segment is newer than the superblock: an older copy of it was put back.
    #[error(
        "segment {segment} is of start {incarnation}, the superblock only of {superblock}: \
             an older copy was put back"
    )]
    RolledBack {
        /// The segment's number.
        segment: u64,
        /// The start that made it.
        incarnation: u64,
        /// The last start that the superblock knows.
        superblock: u64,
    },
    /// Records that were durable are lost, and with them which slots they were about.
    #[error(
        "record {lsn}, once durable, is lost, and what it was about is unknown (segment \
             {segment}, from offset {offset} on; the log was durable up to {durable})"
    )]
    RecordsLost {
        /// The segment where they should be.
        segment: u64,
        /// Where in it they should begin.
        offset: u32,
        /// The first of them.
        lsn: Lsn,
        /// Up to where the log was durable.
        durable: Lsn,
    },
    /// One copy of the superblock is rotten, and at the end of the log lie bytes that do not hold:
    /// both may have held a promise.
    #[error(
        "a copy of the superblock and the end of the log (segment {segment}, offset {offset}, \
             after record {lsn}) do not hold: a promise may be lost"
    )]
    PromiseLost {
        /// The segment.
        segment: u64,
        /// The first such byte.
        offset: u32,
        /// The last record that holds.
        lsn: Lsn,
    },
    /// The list of members is lost in both places.
    #[error("the list of members (record {lsn}, segment {segment}, offset {offset}) is lost")]
    MembersLost {
        /// The segment.
        segment: u64,
        /// Where the group of the record begins.
        offset: u32,
        /// The record.
        lsn: Lsn,
    },
}
