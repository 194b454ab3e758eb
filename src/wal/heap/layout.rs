//! What lies where on a simulated disk, for tests that damage it on purpose: they must know which
//! damage the log promises to survive.

use alloc::string::String;
use alloc::vec::Vec;
use core::ops::Range;

use super::HeapMedium;
use crate::record::Lsn;
use crate::slot::Slot;
use crate::wal::frame::{Kind, Name, SECTOR};
use crate::wal::group::{Index, Whole};
use crate::wal::segment::{self, Copy, DATA, Header};
use crate::wal::superblock::{self, Superblock};

/// A stretch of a file that holds, and what it is.
///
/// ```
#[doc = include_str!("../example.txt")]
/// let disk = written()?;
/// let Extent { file, range, .. } = disk.extents().remove(0);
/// assert!(range.end <= disk.file_bytes(&file).len() as u64);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Extent {
    /// The file.
    pub file: String,
    /// Its bytes there: whole sectors.
    pub range: Range<u64>,
    /// What they are.
    pub part: Part,
    /// Up to which record they prove that the log was durable.
    pub durable: Lsn,
}

/// What a stretch of a file is.
///
/// ```
#[doc = include_str!("../example.txt")]
/// let disk = written()?;
/// // Spoil one copy of each segment's header; a start needs but one.
/// let headers = disk.extents().into_iter().filter(|extent| extent.part == Part::Header);
/// let first = headers.into_iter().next().expect("there is a segment");
/// disk.flip(&first.file, first.range.start, 0xff);
/// assert_eq!(open(&disk)?.1.last, Lsn(1));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Part {
    /// A slot of the superblock.
    Superblock {
        /// Whether the other slot holds, too, and tells the same of the members and the forming.
        same: bool,
    },
    /// A copy of a segment's header.
    Header,
    /// A group, every byte of which holds.
    Group {
        /// Its records.
        records: Vec<Stored>,
        /// Whether its second copy holds, and with the superblock names all that is in it.
        named: bool,
    },
    /// The second copy of a group.
    SecondCopy {
        /// The group's last record.
        last: Lsn,
        /// Whether every byte of the group holds.
        whole: bool,
    },
}

/// A record in a group.
///
/// ```
#[doc = include_str!("../example.txt")]
/// let groups = written()?.extents().into_iter().filter_map(|extent| match extent.part {
///     Part::Group { records, .. } => Some(records),
///     _ => None,
/// });
/// let stored: Vec<Stored> = groups.flatten().collect();
/// assert_eq!((stored[0].lsn, stored[0].slot), (Lsn(1), None));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stored {
    /// Its number.
    pub lsn: Lsn,
    /// The slot whose entry it holds, if it holds one.
    pub slot: Option<Slot>,
    /// The chosen mark that was written with it.
    pub chosen: Slot,
    /// The bytes of its frame.
    pub range: Range<u64>,
}

/// Where the slots of a superblock lie.
const SLOTS: [usize; 2] = [0, superblock::BYTES as usize / 2];

impl HeapMedium {
    /// Everything on the disk that holds: what a start would believe, as it is seen now.
    #[must_use]
    pub fn extents(&self) -> Vec<Extent> {
        let mut extents = Vec::new();
        let mut listed = slots(&self.file_bytes(superblock::NAME)).into_iter().flatten();
        let listed = listed.any(|block| block.members.is_some());
        for file in self.file_names() {
            let bytes = self.file_bytes(&file);
            if file == superblock::NAME {
                read_superblock(&file, &bytes, &mut extents);
            } else if segment::number(&file).is_some() {
                read_segment(&file, &bytes, listed, &mut extents);
            }
        }
        extents
    }
}

/// The sector at that offset, if the file has it.
fn sector(bytes: &[u8], at: usize) -> Option<&[u8; SECTOR]> {
    bytes.get(at..at + SECTOR)?.try_into().ok()
}

fn extent(file: &str, from: usize, bytes: usize, part: Part, durable: Lsn) -> Extent {
    Extent { file: file.into(), range: from as u64..(from + bytes) as u64, part, durable }
}

/// What the slots of a superblock hold, where they do.
fn slots(bytes: &[u8]) -> [Option<Superblock>; 2] {
    SLOTS.map(|at| match sector(bytes, at).map(Superblock::read) {
        Some(superblock::Slot::Good(block)) => Some(block),
        _ => None,
    })
}

fn read_superblock(file: &str, bytes: &[u8], extents: &mut Vec<Extent>) {
    let slots = slots(bytes);
    let list = |block: &Superblock| (block.members.clone(), block.formed);
    let [first, second] = slots.each_ref().map(|slot| slot.as_ref().map(list));
    let same = first.is_some() && first == second;
    for (at, block) in SLOTS.into_iter().zip(slots) {
        if let Some(block) = block {
            extents.push(extent(file, at, SECTOR, Part::Superblock { same }, block.durable));
        }
    }
}

/// `listed`: the superblock has the list of members.
fn read_segment(file: &str, bytes: &[u8], listed: bool, extents: &mut Vec<Extent>) {
    let mut found = None;
    for at in [0, DATA as usize / 2] {
        // One that was written in the wrong place is none.
        if let Some(Copy::Good(header)) = sector(bytes, at).map(Header::read)
            && segment::number(file) == Some(header.number)
        {
            extents.push(extent(file, at, SECTOR, Part::Header, header.durable));
            found = Some(header);
        }
    }
    let Some(header) = found else { return };
    let salt = header.salt();
    let sectors = || (DATA as usize..bytes.len()).step_by(SECTOR);
    let indexes = sectors().filter_map(|at| Some((at, Index::read(bytes, at, salt)?)));
    let indexes: Vec<_> = indexes.collect();
    let mut wholes = Vec::new();
    for at in sectors() {
        let Some(group) = Whole::read(bytes, at, salt) else { continue };
        let records = group.frames.iter().map(|(offset, frame)| Stored {
            lsn: frame.head.lsn,
            slot: frame.item().as_ref().and_then(slot_of),
            chosen: frame.head.chosen,
            range: u64::from(*offset)..u64::from(*offset) + frame.bytes() as u64,
        });
        let has_list = group.frames.iter().any(|(_, frame)| frame.kind == Kind::Members);
        let copied = listed || !has_list;
        let named = copied && indexes.iter().any(|(_, (index, _))| index.offset as usize == at);
        let part = Part::Group { records: records.collect(), named };
        extents.push(extent(file, at, group.end as usize - at, part, group.mark.durable));
        wholes.push(at as u32);
    }
    for (at, (index, length)) in &indexes {
        let (last, whole) = (index.mark.last(), wholes.contains(&index.offset));
        let part = Part::SecondCopy { last, whole };
        extents.push(extent(file, *at, *length, part, index.mark.durable));
    }
}

fn slot_of(item: &crate::wal::frame::Item) -> Option<Slot> {
    match item {
        crate::wal::frame::Item::Record(record) => {
            let name = Name::of(record);
            name.kind.has_entry().then_some(name.slot)
        }
        crate::wal::frame::Item::Lost(_) => None,
    }
}
