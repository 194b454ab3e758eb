//! The superblock: who the log belongs to, what was promised, and which segments there are.
//!
//! One small file with two slots, a sector each in a page of its own, written in turn and each time
//! synced. Losing one slot loses nothing that the log does not hold as well.

use alloc::boxed::Box;
use alloc::vec::Vec;
use std::io;

use crate::ballot::Ballot;
use crate::checksum;
use crate::entry::ENTRY_BYTES_MAX;
use crate::membership::{ClusterId, DiskId, Incarnation, MEMBERS_MAX, Membership, ReplicaId};
use crate::record::Lsn;
use crate::slot::ALPHA;
use crate::wal::frame::{SECTOR, array_at, ballot_at, count_at, put, u32_at, u64_at};
use crate::wal::list::{self, LIST_MAX, MEMBER, QUORUMS, put_members, put_quorums};
use crate::wal::medium::{Medium, MediumFile};

/// The format of superblock and segments.
pub(super) const VERSION: u32 = 1;
/// The name of the file.
pub(super) const NAME: &str = "superblock";
const TEMPORARY: &str = "superblock.tmp";
/// The length of the file.
pub(super) const BYTES: u64 = 2 * PAGE;
/// Where the second slot lies.
pub(super) const PAGE: u64 = 4096;
const MAGIC: [u8; 8] = *b"SYNODSUP";
const SUM: usize = SECTOR - 4;
const MEMBERS: usize = 128;
const _: () = assert!(MEMBERS + LIST_MAX <= SUM, "a slot of the superblock has room for a list");

/// What a slot of the superblock says.
///
/// ```
#[doc = include_str!("example.txt")]
/// let seen = inspect_medium(&written()?)?;
/// let block: Superblock = seen.superblock.taken.expect("it is sound");
/// assert_eq!((block.replica, block.promised.round), (ReplicaId(1), 3));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Superblock {
    /// Counts the times that the superblock was written. The higher one counts.
    pub sequence: u64,
    /// Whose log it is.
    pub cluster: ClusterId,
    /// The name of the disk.
    pub disk: DiskId,
    /// Whose log it is.
    pub replica: ReplicaId,
    /// The last start.
    pub incarnation: Incarnation,
    /// How many slots may be open: a constant of the cluster.
    pub alpha: u64,
    /// The longest entry, in bytes: a constant of the cluster.
    pub entry_bytes_max: u64,
    /// The highest ballot promised, at the least.
    pub promised: Ballot,
    /// The members and their quorums, once there is a list.
    pub members: Option<Membership>,
    /// Whether the replica is formed.
    pub formed: bool,
    /// The first segment.
    pub first: u64,
    /// The last segment that is listed; none is if it is below `first`.
    pub last: u64,
    /// The log is durable up to this record, at the least.
    pub durable: Lsn,
}

/// What lies in a slot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Slot {
    Good(Superblock),
    Newer(u32),
    Rot,
}

impl Superblock {
    pub(super) fn new(cluster: ClusterId, replica: ReplicaId, disk: DiskId) -> Self {
        Self {
            sequence: 0,
            cluster,
            disk,
            replica,
            incarnation: Incarnation(0),
            alpha: ALPHA,
            entry_bytes_max: ENTRY_BYTES_MAX as u64,
            promised: Ballot::ZERO,
            members: None,
            formed: false,
            first: 1,
            last: 0,
            durable: Lsn::ZERO,
        }
    }

    pub(super) fn write(&self) -> [u8; SECTOR] {
        let mut bytes = [0; SECTOR];
        put(&mut bytes, 0, &MAGIC);
        put(&mut bytes, 8, &VERSION.to_le_bytes());
        put(&mut bytes, 16, &self.sequence.to_le_bytes());
        put(&mut bytes, 24, &self.cluster.0);
        put(&mut bytes, 40, &self.disk.0);
        put(&mut bytes, 56, &self.replica.0.to_le_bytes());
        if let Some(list) = &self.members {
            let (mut members, mut quorums) = (Vec::new(), Vec::new());
            put_members(&mut members, list);
            put_quorums(&mut quorums, list);
            put(&mut bytes, 60, &(list.members().len() as u32).to_le_bytes());
            put(&mut bytes, MEMBERS, &members);
            put(&mut bytes, MEMBERS + MEMBERS_MAX * MEMBER, &quorums);
        }
        put(&mut bytes, 64, &self.incarnation.0.to_le_bytes());
        put(&mut bytes, 72, &self.alpha.to_le_bytes());
        put(&mut bytes, 80, &self.entry_bytes_max.to_le_bytes());
        put(&mut bytes, 88, &self.promised.round.to_le_bytes());
        put(&mut bytes, 96, &self.promised.replica.0.to_le_bytes());
        put(&mut bytes, 100, &u32::from(self.formed).to_le_bytes());
        put(&mut bytes, 104, &self.first.to_le_bytes());
        put(&mut bytes, 112, &self.last.to_le_bytes());
        put(&mut bytes, 120, &self.durable.0.to_le_bytes());
        let sum = checksum::of(&bytes[..SUM]);
        put(&mut bytes, SUM, &sum.to_le_bytes());
        bytes
    }

    /// Reads a slot. The places of magic, version and checksum are the same in every version.
    pub(super) fn read(bytes: &[u8; SECTOR]) -> Slot {
        if bytes[..8] != MAGIC || checksum::of(&bytes[..SUM]) != u32_at(bytes, SUM) {
            return Slot::Rot;
        }
        let version = u32_at(bytes, 8);
        if version != VERSION {
            return Slot::Newer(version);
        }
        let Ok(members) = read_list(bytes) else { return Slot::Rot };
        let counts = [16, 104, 112, 120].map(|at| count_at(bytes, at));
        let [Some(sequence), Some(first), Some(last), Some(durable)] = counts else {
            return Slot::Rot;
        };
        Slot::Good(Self {
            sequence,
            cluster: ClusterId(array_at(bytes, 24)),
            disk: DiskId(array_at(bytes, 40)),
            replica: ReplicaId(u32_at(bytes, 56)),
            incarnation: Incarnation(u64_at(bytes, 64)),
            alpha: u64_at(bytes, 72),
            entry_bytes_max: u64_at(bytes, 80),
            promised: ballot_at(bytes, 88),
            members,
            formed: u32_at(bytes, 100) != 0,
            first,
            last,
            durable: Lsn(durable),
        })
    }
}

/// The list in a slot, if there is one; an error if it cannot be one.
fn read_list(bytes: &[u8; SECTOR]) -> Result<Option<Membership>, ()> {
    let members = u32_at(bytes, 60) as usize;
    if members == 0 {
        return Ok(None);
    }
    if members > MEMBERS_MAX {
        return Err(());
    }
    let quorums = MEMBERS + MEMBERS_MAX * MEMBER;
    let members = &bytes[MEMBERS..MEMBERS + members * MEMBER];
    list::read(members, &bytes[quorums..quorums + QUORUMS]).map(Some).ok_or(())
}

/// Both slots as they lie; a slot that cannot be read counts as rot.
pub(super) fn read_slots(file: &dyn MediumFile) -> io::Result<[Slot; 2]> {
    let slot = |offset| {
        let mut bytes = [0; SECTOR];
        match file.read_at(offset, &mut bytes) {
            Ok(()) => Ok(Superblock::read(&bytes)),
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(Slot::Rot),
            Err(error) => Err(error),
        }
    };
    Ok([slot(0)?, slot(PAGE)?])
}

/// The superblock's file, and what it says now.
pub(super) struct Keeper {
    file: Box<dyn MediumFile>,
    now: Superblock,
}

impl Keeper {
    pub(super) fn new(file: Box<dyn MediumFile>, now: Superblock) -> Self {
        Self { file, now }
    }

    pub(super) fn now(&self) -> &Superblock {
        &self.now
    }

    /// Makes the file anew if it was cut short: a slot could not be written any more.
    pub(super) fn mend(&mut self, medium: &dyn Medium) -> io::Result<()> {
        if self.file.bytes()? >= BYTES {
            return Ok(());
        }
        // The first slot takes the even sequences.
        let sequence = self.now.sequence.next_multiple_of(2);
        let first = Superblock { sequence, ..self.now.clone() };
        self.file = Self::create(medium, &first)?;
        self.now = Superblock { sequence: sequence + 1, ..first };
        Ok(())
    }

    /// Makes the file, with both its slots, durably and in one step.
    pub(super) fn create(
        medium: &dyn Medium,
        first: &Superblock,
    ) -> io::Result<Box<dyn MediumFile>> {
        let file = medium.create(TEMPORARY, BYTES)?;
        file.write_at(PAGE, &Superblock { sequence: first.sequence + 1, ..first.clone() }.write())?;
        file.write_at(0, &first.write())?;
        file.sync()?;
        medium.rename(TEMPORARY, NAME)?;
        medium.sync_names()?;
        Ok(file)
    }

    /// Changes the superblock and makes that durable, in the slot that holds the older state. Does
    /// nothing if nothing changes but the durable mark, which is only taken along.
    pub(super) fn update(&mut self, change: impl FnOnce(&mut Superblock)) -> io::Result<()> {
        let mut next = self.now.clone();
        change(&mut next);
        let durable = core::mem::replace(&mut next.durable, self.now.durable);
        if next == self.now {
            return Ok(());
        }
        next.durable = durable.max(self.now.durable);
        self.put(next)
    }

    /// Makes durable that the log was durable up to `lsn`.
    pub(super) fn prove(&mut self, lsn: Lsn) -> io::Result<()> {
        if lsn <= self.now.durable {
            return Ok(());
        }
        self.put(Superblock { durable: lsn, ..self.now.clone() })
    }

    fn put(&mut self, mut next: Superblock) -> io::Result<()> {
        next.sequence = self.now.sequence + 1;
        self.file.write_at(next.sequence % 2 * PAGE, &next.write())?;
        self.file.sync()?;
        self.now = next;
        Ok(())
    }
}

#[cfg(test)]
mod tests;
