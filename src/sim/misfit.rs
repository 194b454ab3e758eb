//! Directories that do not belong where they lie: another replica's, another cluster's, and own
//! ones with a file missing, exchanged or put back. A start must refuse each of them by its own
//! reason, and change nothing.

use std::boxed::Box;
use std::string::String;
use std::vec::Vec;

use crate::checksum;
use crate::membership::{ClusterId, ReplicaId};
use crate::wal::{HeapMedium, Refusal, Wal, WalOptions};

const SUPERBLOCK: &str = "superblock";
const SECTOR: usize = 512;
const PAGE: usize = 4096;

/// What is wrong with a directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Misfit {
    OtherReplica,
    OtherCluster,
    NewerFormat,
    NoSuperblock,
    SuperblockRot,
    SuperblockOfEarlierStart,
    SegmentMissing,
    SegmentRot,
    SegmentMisdirected,
    SegmentForeign,
}

/// What a wrong directory is made from.
pub(super) struct Parts<'a> {
    pub(super) own: &'a HeapMedium,
    pub(super) cluster: ClusterId,
    pub(super) replica: ReplicaId,
    /// The directory of another replica of the cluster.
    pub(super) neighbour: &'a HeapMedium,
    /// The own superblock as an earlier start left it.
    pub(super) earlier_superblock: Option<&'a [u8]>,
    pub(super) options: WalOptions,
}

impl Misfit {
    pub(super) const ALL: [Self; 10] = [
        Self::OtherReplica,
        Self::OtherCluster,
        Self::NewerFormat,
        Self::NoSuperblock,
        Self::SuperblockRot,
        Self::SuperblockOfEarlierStart,
        Self::SegmentMissing,
        Self::SegmentRot,
        Self::SegmentMisdirected,
        Self::SegmentForeign,
    ];

    /// Whether that is what the start was refused for.
    pub(super) fn explains(self, refusal: &Refusal) -> bool {
        match self {
            Self::OtherReplica => matches!(refusal, Refusal::OtherReplica { .. }),
            Self::OtherCluster => matches!(refusal, Refusal::OtherCluster { .. }),
            Self::NewerFormat => matches!(refusal, Refusal::NewerFormat { .. }),
            Self::NoSuperblock => matches!(refusal, Refusal::SuperblockMissing),
            Self::SuperblockRot => matches!(refusal, Refusal::SuperblockRot),
            Self::SuperblockOfEarlierStart => matches!(refusal, Refusal::RolledBack { .. }),
            Self::SegmentMissing => matches!(refusal, Refusal::SegmentMissing { .. }),
            Self::SegmentRot => matches!(refusal, Refusal::SegmentRot { .. }),
            Self::SegmentMisdirected => matches!(refusal, Refusal::SegmentMisdirected { .. }),
            Self::SegmentForeign => matches!(refusal, Refusal::SegmentForeign { .. }),
        }
    }

    /// Such a directory; `None` if it cannot be made from these parts. `luck` chooses a segment.
    pub(super) fn make(self, parts: &Parts<'_>, luck: u64) -> Option<HeapMedium> {
        let made = match self {
            Self::OtherReplica => return Some(parts.neighbour.copy()),
            Self::OtherCluster => return other_cluster(parts, luck),
            _ => parts.own.copy(),
        };
        let segments = segments(&made);
        // Every number below the highest was given, so its segment belongs to the log.
        let count = segments.len().saturating_sub(1).max(1) as u64;
        let segment = segments.get((luck % count) as usize)?;
        match self {
            Self::OtherReplica | Self::OtherCluster => {}
            Self::NewerFormat => made.put_file(SUPERBLOCK, &newer(made.file_bytes(SUPERBLOCK))?),
            Self::NoSuperblock => made.lose_file(SUPERBLOCK),
            Self::SuperblockRot => spoil_both(&made, SUPERBLOCK),
            Self::SuperblockOfEarlierStart => {
                made.put_file(SUPERBLOCK, parts.earlier_superblock?);
            }
            Self::SegmentMissing => made.lose_file(segment),
            Self::SegmentRot => spoil_both(&made, segment),
            Self::SegmentMisdirected => {
                let other = segments.iter().find(|other| *other != segment)?;
                made.put_file(segment, &made.file_bytes(other));
            }
            Self::SegmentForeign => {
                let foreign = parts.neighbour.file_bytes(segment);
                made.put_file(segment, (!foreign.is_empty()).then_some(&foreign)?);
            }
        }
        Some(made)
    }
}

fn segments(medium: &HeapMedium) -> Vec<String> {
    let mut names = medium.file_names();
    names.retain(|name| name.ends_with(".log"));
    names
}

/// A directory of the replica of that name in another cluster.
fn other_cluster(parts: &Parts<'_>, luck: u64) -> Option<HeapMedium> {
    let medium = HeapMedium::new(luck);
    let other = ClusterId(parts.cluster.0.map(|byte| byte ^ 1));
    drop(Wal::open(Box::new(medium.clone()), other, parts.replica, parts.options).ok()?);
    medium.kill();
    Some(medium)
}

/// A superblock whose slots are of the next version, and otherwise sound.
fn newer(mut bytes: Vec<u8>) -> Option<Vec<u8>> {
    for at in [0, PAGE] {
        let slot = bytes.get_mut(at..at + SECTOR)?;
        slot[8] += 1;
        let sum = checksum::of(&slot[..SECTOR - 4]).to_le_bytes();
        slot[SECTOR - 4..].copy_from_slice(&sum);
    }
    Some(bytes)
}

/// Spoils the first sectors of the first two pages, where a file says what it is.
fn spoil_both(medium: &HeapMedium, file: &str) {
    [0, PAGE as u64].into_iter().for_each(|at| medium.flip(file, at + 20, 0x5a));
}
