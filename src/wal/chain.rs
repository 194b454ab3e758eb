//! Which segments make up a log, and whether they and the superblock are its own.

use alloc::boxed::Box;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use crate::entry::ENTRY_BYTES_MAX;
use crate::membership::{ClusterId, ReplicaId};
use crate::record::Lsn;
use crate::slot::ALPHA;
use crate::wal::error::{Refusal, WalError};
use crate::wal::medium::Medium;
use crate::wal::segment::{self, Copy, Header, read_header};
use crate::wal::superblock::{self, Slot, Superblock, VERSION, read_slots};
use crate::wal::sync::io_error;
use crate::wal::table::{Row, SEGMENT, SUPERBLOCK, Verdict};

/// A segment of the log.
pub(super) struct Link {
    pub(super) header: Header,
}

/// The segments of a log, in their order.
pub(super) struct Chain {
    pub(super) links: Vec<Link>,
    /// Whether one copy of the superblock does not hold.
    pub(super) one_rotten: bool,
}

/// The superblock as it lies, and what the table says of it.
pub(super) struct Judged {
    pub(super) slots: [Slot; 2],
    pub(super) row: &'static Row,
    /// The copy that counts, and whether the other one does not hold. `None`: there is nothing yet.
    pub(super) taken: Result<Option<(Superblock, bool)>, WalError>,
}

/// Reads and judges the superblock. Without an owner it may be anybody's.
pub(super) fn read_superblock(
    medium: &dyn Medium,
    names: &[String],
    owner: Option<(ClusterId, ReplicaId)>,
) -> Result<Judged, WalError> {
    let place = medium.place();
    let there = names.iter().any(|name| name == superblock::NAME);
    let segments = names.iter().any(|name| segment::number(name).is_some());
    let slots = if there {
        let read = medium.open(superblock::NAME).and_then(|file| read_slots(&*file));
        read.map_err(|error| io_error(&place, "read the superblock", error))?
    } else {
        [Slot::Rot, Slot::Rot]
    };
    let (mut good, mut newer) = (Vec::new(), None);
    for slot in &slots {
        match slot {
            Slot::Good(block) => good.push(block.clone()),
            Slot::Newer(version) => newer = Some(*version),
            Slot::Rot => {}
        }
    }
    let both = good.len() == 2;
    let block = good.into_iter().max_by_key(|block| block.sequence);
    let foreign = block.as_ref().and_then(|block| foreign(block, owner));
    let row = SUPERBLOCK.judge(&[
        there,
        segments,
        newer.is_some(),
        block.is_some(),
        both,
        foreign.is_none(),
    ]);
    let taken = match (row.verdict, block, newer) {
        (Verdict::Form, ..) => Ok(None),
        (Verdict::Take | Verdict::TakeOther, Some(block), _) => Ok(Some((block, !both))),
        (_, _, Some(version)) => {
            let file = superblock::NAME.to_string();
            Err(Refusal::NewerFormat { file, version, ours: VERSION })
        }
        (..) if !there => Err(Refusal::SuperblockMissing),
        (..) => Err(foreign.unwrap_or(Refusal::SuperblockRot)),
    };
    let taken = taken.map_err(|refusal| WalError::Refused { place, refusal });
    Ok(Judged { slots, row, taken })
}

/// Why the superblock is not ours.
fn foreign(block: &Superblock, owner: Option<(ClusterId, ReplicaId)>) -> Option<Refusal> {
    let (cluster, replica) = owner.unwrap_or((block.cluster, block.replica));
    if block.cluster != cluster {
        return Some(Refusal::OtherCluster { found: block.cluster, expected: cluster });
    }
    if block.replica != replica {
        return Some(Refusal::OtherReplica { found: block.replica, expected: replica });
    }
    let constants = [
        ("alpha", block.alpha, ALPHA),
        ("an entry limit of", block.entry_bytes_max, ENTRY_BYTES_MAX as u64),
    ];
    constants
        .into_iter()
        .find(|(_, found, expected)| found != expected)
        .map(|(what, found, expected)| Refusal::OtherConstant { what, found, expected })
}

/// A chain, and how it was judged.
pub(super) struct Walk {
    /// The segments up to the log's end, or up to the one that is refused.
    pub(super) chain: Chain,
    /// The number of each segment that was judged, and the row of the table that fits it.
    pub(super) rows: Vec<(u64, &'static Row)>,
    /// Why the log may not be used, and the number of the segment at which that was seen.
    pub(super) refused: Option<(u64, WalError)>,
}

impl Chain {
    /// Finds and judges the segments, from the first that the superblock lists on.
    pub(super) fn find(
        medium: &dyn Medium,
        names: &[String],
        superblock: &Superblock,
        one_rotten: bool,
    ) -> Result<Self, WalError> {
        let walk = Self::walk(medium, names, superblock, one_rotten);
        walk.refused.map_or(Ok(walk.chain), |(_, error)| Err(error))
    }

    /// The same, with every judgement, up to the first segment that is refused.
    pub(super) fn walk(
        medium: &dyn Medium,
        names: &[String],
        superblock: &Superblock,
        one_rotten: bool,
    ) -> Walk {
        let (mut links, mut rows) = (Vec::<Link>::new(), Vec::new());
        let highest = names.iter().filter_map(|name| segment::number(name)).max().unwrap_or(0);
        let mut number = superblock.first;
        loop {
            // A later file proves that this number was given, a rotten copy that it may have been.
            let listed = number <= superblock.last
                || number < highest
                || (one_rotten && number == superblock.last + 1 && number == highest);
            let there = names.contains(&segment::name(number));
            let lsn = links.last().map_or(Lsn::ZERO, |link| {
                // No record of the segment before it has a lower number than its first.
                Lsn(link.header.first.0.saturating_sub(1))
            });
            let judged = judge(medium, superblock, one_rotten, number, listed, there, lsn);
            let refused = match judged {
                Ok((row, header)) => {
                    rows.push((number, row));
                    match header {
                        Ok(Some(header)) => {
                            links.push(Link { header });
                            number += 1;
                            continue;
                        }
                        Ok(None) => None,
                        Err(error) => Some((number, error)),
                    }
                }
                Err(error) => Some((number, error)),
            };
            return Walk { chain: Self { links, one_rotten }, rows, refused };
        }
    }
}

/// The row that fits the segment, and its header; `None` if the log ends before it.
fn judge(
    medium: &dyn Medium,
    superblock: &Superblock,
    one_rotten: bool,
    number: u64,
    listed: bool,
    there: bool,
    lsn: Lsn,
) -> Result<(&'static Row, Result<Option<Header>, WalError>), WalError> {
    let place = medium.place();
    let copies = if there {
        let file = medium.open(&segment::name(number));
        let copies = file.and_then(|file: Box<_>| read_header(&*file));
        copies.map_err(|error| io_error(&place, "read a segment's header", error))?
    } else {
        [Copy::Rot, Copy::Rot]
    };
    let (mut good, mut newer) = (Vec::new(), None);
    for copy in copies {
        match copy {
            Copy::Good(header) => good.push(header),
            Copy::Newer(version) => newer = Some(version),
            Copy::Rot => {}
        }
    }
    // A sector of another segment may have been written over one copy: then the other one counts.
    let is_its_own =
        |header: &Header| header.number == number && foreign_segment(header, superblock).is_none();
    let own = good.iter().position(is_its_own).unwrap_or(0);
    let good = good.into_iter().nth(own);
    let whose = good.as_ref().and_then(|header| foreign_segment(header, superblock));
    let fits = good.as_ref().is_some_and(|header| header.number == number);
    let known = good
        .as_ref()
        .is_some_and(|header| one_rotten || header.incarnation <= superblock.incarnation);
    let row = SEGMENT.judge(&[
        listed,
        there,
        newer.is_some(),
        good.is_some(),
        fits,
        whose.is_none(),
        known,
    ]);
    if row.verdict != Verdict::Refuse {
        return Ok((row, Ok(good.filter(|_| row.verdict == Verdict::Take))));
    }
    let refusal = match (newer, good, whose) {
        (Some(version), ..) => {
            Refusal::NewerFormat { file: segment::name(number), version, ours: VERSION }
        }
        (None, None, _) if there => Refusal::SegmentRot { segment: number, lsn },
        (None, None, _) => Refusal::SegmentMissing { segment: number, lsn },
        (None, Some(header), _) if !fits => {
            Refusal::SegmentMisdirected { segment: number, found: header.number }
        }
        (None, Some(_), Some(whose)) => Refusal::SegmentForeign { segment: number, whose },
        (None, Some(header), None) => Refusal::RolledBack {
            segment: number,
            incarnation: header.incarnation.count(),
            superblock: superblock.incarnation.count(),
        },
    };
    Ok((row, Err(WalError::Refused { place, refusal })))
}

/// What in the header names another owner, or cannot be.
fn foreign_segment(header: &Header, superblock: &Superblock) -> Option<&'static str> {
    if header.cluster != superblock.cluster {
        Some("cluster")
    } else if header.replica != superblock.replica {
        Some("replica")
    } else if header.disk != superblock.disk {
        Some("disk")
    } else if !super::segment_bytes_fit(header.bytes) {
        Some("format")
    } else {
        None
    }
}
