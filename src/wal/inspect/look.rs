//! One reading of a log, from the superblock to the last record.

use alloc::string::{String, ToString};
use alloc::vec::Vec;
use alloc::{format, vec};
use std::io;

use super::{
    EndSeen, Finding, Header, Inspection, LogSeen, RecordsSeen, Seen, SegmentSeen, Superblock,
    SuperblockSeen,
};
use crate::ballot::Ballot;
use crate::entry::Entry;
use crate::membership::Peer;
use crate::record::Lsn;
use crate::slot::{Run, Slot};
use crate::wal::chain::{Chain, Walk, read_superblock};
use crate::wal::error::WalError;
use crate::wal::medium::Medium;
use crate::wal::recover::{Judged, Pass, Purpose};
use crate::wal::scan::{Found, State, read_segment, scan};
use crate::wal::segment::{self, Copy, read_header};
use crate::wal::segment_bytes_fit;
use crate::wal::superblock;
use crate::wal::sync::io_error;
use crate::wal::table::Verdict;

impl From<superblock::Slot> for Seen<Superblock> {
    fn from(slot: superblock::Slot) -> Self {
        match slot {
            superblock::Slot::Good(block) => Self::Holds(block),
            superblock::Slot::Newer(version) => Self::Newer { version },
            superblock::Slot::Rot => Self::Rotten,
        }
    }
}

impl From<Copy> for Seen<Header> {
    fn from(copy: Copy) -> Self {
        match copy {
            Copy::Good(header) => Self::Holds(header),
            Copy::Newer(version) => Self::Newer { version },
            Copy::Rot => Self::Rotten,
        }
    }
}

/// Reads the log once.
pub(super) fn look(medium: &dyn Medium) -> Result<Inspection, WalError> {
    let place = medium.place();
    let names = medium.names().map_err(|error| io_error(&place, "list the files", error))?;
    let mut look = Look { medium, names: &names, findings: Vec::new(), refused: None };
    let (superblock, one_rotten) = look.superblock();
    let walk = superblock.taken.as_ref().map(|block| look.walk(block, one_rotten));
    let (mut segments, found) = look.segments(walk.as_ref());
    let (mut end, mut log) = (None, None);
    if let (Some(block), Some(walk), Some(found)) = (&superblock.taken, &walk, &found)
        && walk.refused.is_none()
    {
        let pass = Pass::new(medium, block, &walk.chain, found, Purpose::Inspect);
        let judged = pass.judge();
        look.records(&pass, &judged, &walk.chain, found, &mut segments);
        let judged_end = &judged.end;
        let (row, segment, offset) = (judged_end.row, judged_end.segment, judged_end.offset);
        end = Some(EndSeen { row, segment, offset });
        log = look.log(&pass, &judged, block);
    }
    let is_temporary = |name: &&String| segment::is_temporary(name);
    let temporary = names.iter().filter(is_temporary).cloned().collect();
    let Look { findings, refused, .. } = look;
    let changing = false;
    Ok(Inspection { place, superblock, segments, temporary, end, log, refused, findings, changing })
}

/// The reading so far.
struct Look<'a> {
    medium: &'a dyn Medium,
    names: &'a [String],
    findings: Vec<Finding>,
    refused: Option<String>,
}

impl Look<'_> {
    fn find(&mut self, file: &str, offset: u64, name: &'static str, details: String) {
        let finding = Finding { file: file.to_string(), offset, name, details };
        if !self.findings.iter().any(|other| finding.is_same(other)) {
            self.findings.push(finding);
        }
    }

    /// A start would refuse the log. The first reason is the one that it would give.
    fn refuse(&mut self, file: &str, offset: u64, name: &'static str, error: &WalError) {
        let (reason, place) = (error.to_string(), format!("{}: ", self.medium.place()));
        let reason = reason.strip_prefix(&place).unwrap_or(&reason).to_string();
        self.find(file, offset, name, reason.clone());
        self.refused.get_or_insert(reason);
    }

    /// The superblock, and whether one of its copies does not hold.
    fn superblock(&mut self) -> (SuperblockSeen, bool) {
        let file = superblock::NAME;
        let judged = match read_superblock(self.medium, self.names, None) {
            Ok(judged) => judged,
            Err(error) => {
                self.refuse(file, 0, UNREADABLE, &error);
                let copies = [Seen::Rotten, Seen::Rotten];
                return (SuperblockSeen { copies, taken: None, row: None }, true);
            }
        };
        let copies = judged.slots.map(Seen::from);
        if self.names.iter().any(|name| name == file) {
            for (at, copy) in [0, superblock::PAGE].into_iter().zip(&copies) {
                if *copy == Seen::Rotten {
                    self.find(file, at, "a copy of the superblock does not hold", String::new());
                }
            }
        }
        let taken = match judged.taken {
            Ok(taken) => taken,
            Err(error) => {
                self.refuse(file, 0, judged.row.name, &error);
                None
            }
        };
        let one_rotten = taken.as_ref().is_some_and(|(_, rotten)| *rotten);
        let taken = taken.map(|(block, _)| block);
        (SuperblockSeen { copies, taken, row: Some(judged.row) }, one_rotten)
    }

    /// Judges the segments of the log.
    fn walk(&mut self, block: &Superblock, one_rotten: bool) -> Walk {
        let walk = Chain::walk(self.medium, self.names, block, one_rotten);
        if let Some((number, error)) = &walk.refused {
            let row = walk.rows.iter().find(|(judged, _)| judged == number);
            let name = row.map_or(UNREADABLE, |(_, row)| row.name);
            self.refuse(&segment::name(*number), 0, name, error);
        }
        walk
    }

    /// Every segment that is there, or should be; and what is found in those of the log, unless one
    /// cannot be read.
    ///
    /// The last one is read first: what a segment says of the ones before it is then seen before
    /// them, as within a segment.
    fn segments(&mut self, walk: Option<&Walk>) -> (Vec<SegmentSeen>, Option<Vec<Found>>) {
        let rows = walk.map_or(&[][..], |walk| &walk.rows);
        let links = walk.map_or(&[][..], |walk| &walk.chain.links);
        let mut numbers: Vec<u64> =
            self.names.iter().filter_map(|name| segment::number(name)).collect();
        // The number after the last is judged too, but there is nothing to be told of it.
        let missing = rows.iter().filter(|(_, row)| row.verdict == Verdict::Refuse);
        numbers.extend(missing.map(|(number, _)| *number));
        numbers.sort_unstable();
        numbers.dedup();
        let (mut segments, mut found) = (Vec::new(), Vec::new());
        for number in numbers.into_iter().rev() {
            let link = links.iter().find(|link| link.header.number == number);
            let (mut segment, scanned) = self.segment(number, link.map(|link| &link.header));
            segment.row = rows.iter().find(|(judged, _)| *judged == number).map(|(_, row)| *row);
            segments.push(segment);
            if link.is_some() {
                found.extend(scanned);
            }
        }
        segments.reverse();
        found.reverse();
        let is_all = found.len() == links.len();
        (segments, is_all.then_some(found))
    }

    /// The segment of that number; its header, where recovery has taken one.
    fn segment(&mut self, number: u64, taken: Option<&Header>) -> (SegmentSeen, Option<Found>) {
        let file = segment::name(number);
        let mut seen = SegmentSeen {
            number,
            file: file.clone(),
            bytes: None,
            headers: [Seen::Rotten, Seen::Rotten],
            row: None,
            records: Vec::new(),
            durable: Lsn::ZERO,
            promised: Ballot::ZERO,
            stray: None,
        };
        if !self.names.contains(&file) {
            return (seen, None);
        }
        match self.read(&mut seen, taken) {
            Ok(found) => (seen, found),
            Err(error) => {
                let error = io_error(&self.medium.place(), "read a segment", error);
                self.refuse(&file, 0, UNREADABLE, &error);
                (seen, None)
            }
        }
    }

    fn read(
        &mut self,
        seen: &mut SegmentSeen,
        taken: Option<&Header>,
    ) -> io::Result<Option<Found>> {
        let file = self.medium.open(&seen.file)?;
        let bytes = file.bytes()?;
        seen.bytes = Some(bytes);
        seen.headers = read_header(&*file)?.map(Seen::from);
        let good = seen.headers.iter().filter_map(|copy| match copy {
            Seen::Holds(header) => Some(header),
            _ => None,
        });
        // Where recovery has not come to it, what a header says of itself is all there is.
        let own = |header: &&Header| header.number == seen.number;
        let fits = |header: &&Header| own(header) && segment_bytes_fit(header.bytes);
        let header = taken.or_else(|| good.clone().find(fits)).cloned();
        for (at, copy) in [0, segment::PAGE].into_iter().zip(seen.headers.clone()) {
            match (copy, &header) {
                (Seen::Rotten, _) => {
                    let name = "a copy of the header does not hold";
                    self.find(&seen.file, at, name, String::new());
                }
                (Seen::Holds(copy), Some(header)) if copy != *header => {
                    let name = "a copy of the header is of another segment";
                    self.find(&seen.file, at, name, format!("of segment {}", copy.number));
                }
                (Seen::Holds(_) | Seen::Newer { .. }, _) => {}
            }
        }
        let Some(header) = header else { return Ok(None) };
        if bytes < header.bytes.into() {
            let details = format!("to {bytes} of {} bytes", header.bytes);
            self.find(&seen.file, bytes, "the segment is cut short", details);
        }
        let found = scan(&read_segment(&*file, &header)?, header.salt());
        seen.records = found
            .stretches
            .iter()
            .map(|stretch| RecordsSeen {
                offset: stretch.offset,
                end: stretch.end,
                first: stretch.first,
                last: stretch.last,
                whole: stretch.state == State::Whole,
                row: None,
            })
            .collect();
        (seen.durable, seen.promised) = (found.durable, found.promised);
        seen.stray = found.stray;
        Ok(Some(found))
    }

    /// What recovery says of the records.
    fn records(
        &mut self,
        pass: &Pass<'_>,
        judged: &Judged,
        chain: &Chain,
        found: &[Found],
        segments: &mut [SegmentSeen],
    ) {
        let mut rows = vec![Vec::new(); chain.links.len()];
        for (span, row) in &judged.rows {
            rows[span.segment].push((span.stretch, *row, span.first, span.last));
        }
        let is_linked = |segment: &&mut SegmentSeen| {
            chain.links.iter().any(|link| link.header.number == segment.number)
        };
        let linked = segments.iter_mut().filter(is_linked);
        for (at, (segment, rows)) in linked.zip(rows).enumerate() {
            let file = segment.file.clone();
            for records in &mut segment.records {
                records.row = pass.sealed_off(at, records.first);
            }
            for (stretch, row, first, last) in rows {
                let records = &mut segment.records[stretch];
                records.row = Some(row);
                if row.verdict == Verdict::Lost {
                    let details = format!("records {first} to {last}");
                    self.find(&file, records.offset.into(), row.name, details);
                }
            }
            for (offset, last) in &found[at].unnamed {
                // A second copy is synced with its group: it may lack only where neither is proven
                // to have been, or where the group was written again.
                let is_read = segment.records.iter().any(|records| {
                    let is_taken = records.row.is_some_and(|row| row.verdict == Verdict::Take);
                    is_taken && (records.offset..records.end).contains(offset)
                });
                if is_read && *last <= pass.proven {
                    let details = format!("up to record {last}");
                    self.find(&file, (*offset).into(), "the second copy does not hold", details);
                }
            }
        }
    }

    /// What a start would make of it.
    fn log(&mut self, pass: &Pass<'_>, judged: &Judged, block: &Superblock) -> Option<LogSeen> {
        let recovery = match pass.recover(judged) {
            Ok(recovery) => recovery,
            Err(error) => {
                let end = &judged.end;
                match end.refusal {
                    Some(_) => {
                        let file = segment::name(end.segment);
                        self.refuse(&file, end.offset.into(), end.row.name, &error);
                    }
                    None => self.refuse("", 0, "the records cannot be replayed", &error),
                }
                return None;
            }
        };
        let me = Peer { replica: block.replica, disk: block.disk, incarnation: block.incarnation };
        let held = recovery.replay.finish(block.cluster, me);
        let log = LogSeen {
            members: held.members,
            formed: held.formed,
            promised: held.promised,
            chosen: held.chosen,
            runs: held.runs,
            accepted: runs(&held.accepted),
            learned: runs(&held.learned),
            faulty: held.faulty,
            holes: held.holes,
            last: held.last,
            durable: pass.proven.min(held.last),
            lost: recovery.lost,
            torn: recovery.torn,
        };
        for run in &log.faulty {
            self.find("", run.slots.start.0, "slots are faulty", run.to_string());
        }
        for slots in &log.holes {
            self.find("", slots.start.0, "the log has a hole", slots.to_string());
        }
        Some(log)
    }
}

/// What there is to say of a file that gives no bytes.
const UNREADABLE: &str = "cannot be read";

/// The slots and ballots, without their entries.
fn runs(open: &[(Slot, Ballot, Entry)]) -> Vec<Run> {
    let mut runs = Vec::new();
    for (slot, ballot, _) in open {
        Run::push(&mut runs, *slot, *ballot);
    }
    runs
}
