//! Damage to the disk under a real log, of the kinds that the log promises to survive: in one of
//! the two copies of whatever it keeps twice.
//!
//! What docs/WAL.md excludes is never done, since then a violation would say nothing: both copies
//! of one thing, and zeros in a group that nothing proves to have been durable, which are not to be
//! told from a write that never ended.

use std::vec::Vec;

use oorandom::Rand64;

use crate::slot::Slot;
use crate::wal::{Extent, HeapMedium, Part};

const SECTOR: usize = 512;

/// How the bytes of a place change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Rot {
    /// Some bits of a sector flip.
    Flipped,
    /// A sector turns into zeros.
    Zeroed,
    /// A sector turns into noise.
    Garbled,
    /// A sector that was meant for another place lies over this one.
    Misdirected,
    /// The bytes of a record turn into ones.
    Record,
    /// Two records of equal length lie in each other's place.
    Swapped,
}

/// What was damaged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Damage {
    pub(super) rot: Rot,
    /// It was a slot of the superblock.
    pub(super) superblock: bool,
}

/// Damages one place. `luck` chooses; records with entries go bad only where `known` or the log's
/// own mark allow it. `None` if there is nothing that may be damaged.
pub(super) fn damage(medium: &HeapMedium, luck: u64, known: Slot) -> Option<Damage> {
    let mut random = Rand64::new(u128::from(luck));
    let extents = medium.extents();
    let records = extents.iter().filter_map(|extent| match &extent.part {
        Part::Group { records, .. } => Some(records),
        _ => None,
    });
    let own = records.flatten().map(|record| record.chosen).max().unwrap_or_default();
    let proven = extents.iter().map(|extent| extent.durable).max().unwrap_or_default();
    let may: Vec<usize> = (0..extents.len()).filter(|i| has_a_copy(&extents, *i)).collect();
    // The last ones matter most, the superblock comes after all segments.
    let newest = may.len().saturating_sub(12);
    for _ in 0..8 {
        let from = if random.rand_range(0..2) == 0 { newest } else { 0 };
        let count = (may.len() - from) as u64;
        if count == 0 {
            return None;
        }
        let extent = &extents[may[from + random.rand_range(0..count) as usize]];
        let rot = choose(&mut random);
        let Some(changes) = change(medium, &extents, extent, rot, &mut random) else { continue };
        let touches = |range: &core::ops::Range<u64>| {
            let bytes = |change: &Change| change.at..change.at + change.bytes.len() as u64;
            changes.iter().map(bytes).any(|c| c.start < range.end && range.start < c.end)
        };
        let sound = match &extent.part {
            Part::Group { records, .. } => {
                let allowed = |slot: Slot| slot < known || slot >= own;
                let touched = records.iter().filter(|record| touches(&record.range));
                let last = records.last().map(|record| record.lsn).unwrap_or_default();
                let blank = changes.iter().any(|change| leaves_zeros(medium, extent, change));
                touched.filter_map(|record| record.slot).all(allowed) && (!blank || last <= proven)
            }
            _ => true,
        };
        if sound {
            for change in &changes {
                medium.overwrite(&extent.file, change.at, &change.bytes);
            }
            return Some(Damage {
                rot,
                superblock: matches!(extent.part, Part::Superblock { .. }),
            });
        }
    }
    None
}

/// Bytes to be put somewhere.
struct Change {
    at: u64,
    bytes: Vec<u8>,
}

fn choose(random: &mut Rand64) -> Rot {
    match random.rand_range(0..8) {
        0..=2 => Rot::Flipped,
        3 => Rot::Zeroed,
        4 => Rot::Garbled,
        5 => Rot::Misdirected,
        6 => Rot::Record,
        _ => Rot::Swapped,
    }
}

/// Whether what the extent holds is held a second time.
fn has_a_copy(extents: &[Extent], i: usize) -> bool {
    let extent = &extents[i];
    match &extent.part {
        // Where only the later slot names the members, the list lies there and in its record, which
        // may be lost already.
        Part::Superblock { same } => *same,
        Part::Header => {
            let same = |other: &&Extent| other.file == extent.file && other.part == extent.part;
            extents.iter().filter(same).count() == 2
        }
        Part::Group { named, .. } => *named,
        Part::SecondCopy { whole, .. } => *whole,
    }
}

/// A sector of the extent with other bytes, or some records of it; `None` if that cannot be done
/// there.
fn change(
    medium: &HeapMedium,
    extents: &[Extent],
    extent: &Extent,
    rot: Rot,
    random: &mut Rand64,
) -> Option<Vec<Change>> {
    let bytes = medium.file_bytes(&extent.file);
    let mut below = |below: u64| random.rand_range(0..below);
    let sectors = (extent.range.end - extent.range.start) / SECTOR as u64;
    let at = extent.range.start + below(sectors) * SECTOR as u64;
    let mut sector = bytes[at as usize..][..SECTOR].to_vec();
    match rot {
        Rot::Flipped => {
            for _ in 0..1 + below(3) * below(20) {
                sector[below(SECTOR as u64) as usize] ^= 1 << below(8);
            }
        }
        Rot::Zeroed => sector.fill(0),
        Rot::Garbled => sector.iter_mut().for_each(|byte| *byte = below(256) as u8),
        Rot::Misdirected => {
            let other = &extents[below(extents.len() as u64) as usize];
            let is_header = |part: &Part| matches!(part, Part::Header);
            if matches!(other.part, Part::Superblock { .. })
                || (is_header(&other.part) && !is_header(&extent.part))
            {
                return None;
            }
            let from = other.range.start as usize;
            sector.copy_from_slice(medium.file_bytes(&other.file).get(from..from + SECTOR)?);
        }
        Rot::Record | Rot::Swapped => {
            let Part::Group { records, .. } = &extent.part else { return None };
            let one = &records[below(records.len() as u64) as usize].range;
            let of = |range: &core::ops::Range<u64>| {
                bytes[range.start as usize..range.end as usize].to_vec()
            };
            if rot == Rot::Record {
                let ones = of(one).iter().map(|_| 0xff).collect();
                return Some(std::vec![Change { at: one.start, bytes: ones }]);
            }
            let same = |other: &&core::ops::Range<u64>| {
                *other != one && other.end - other.start == one.end - one.start
            };
            let other = records.iter().map(|record| &record.range).find(same)?;
            let swapped = [(one.start, of(other)), (other.start, of(one))];
            return Some(swapped.map(|(at, bytes)| Change { at, bytes }).into());
        }
    }
    (sector != bytes[at as usize..][..SECTOR]).then(|| std::vec![Change { at, bytes: sector }])
}

/// Whether a sector of the extent would hold nothing but zeros after the change.
fn leaves_zeros(medium: &HeapMedium, extent: &Extent, change: &Change) -> bool {
    let mut bytes = medium.file_bytes(&extent.file);
    let at = change.at as usize;
    bytes[at..at + change.bytes.len()].copy_from_slice(&change.bytes);
    let group = &bytes[extent.range.start as usize..extent.range.end as usize];
    group.chunks(SECTOR).any(|sector| sector.iter().all(|byte| *byte == 0))
}
