//! Recovery: reads a log, changes nothing, and says what its replica may not forget.
//!
//! Two passes. The first reads every segment and finds what holds; only then is it known up to
//! which record the log was once durable. The second replays the records in the order of their
//! numbers, each from its best source. What is found is judged by the tables of [`super::table`].

use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;

use crate::ballot::Ballot;
use crate::record::{Lsn, Record};
use crate::replay::Replay;
use crate::slot::Slot;
use crate::wal::chain::{Chain, Link};
use crate::wal::error::{Refusal, WalError};
use crate::wal::frame::{Item, Kind, Name, Salt};
use crate::wal::group::{Index, Whole};
use crate::wal::medium::Medium;
use crate::wal::places::Places;
use crate::wal::plan::{Plan, Span};
use crate::wal::scan::{Found, State, read_segment, scan};
use crate::wal::segment::{DATA, name};
use crate::wal::superblock::Superblock;
use crate::wal::sync::io_error;
use crate::wal::table::{RECORDS, Row, Verdict};

/// A record that is not proven durable where it was read, to be written again.
pub(super) struct Again {
    pub(super) lsn: Lsn,
    pub(super) item: Item,
    pub(super) chosen: Slot,
}

/// What recovery found.
pub(super) struct Recovery {
    pub(super) replay: Replay,
    /// The last record of the log.
    pub(super) last: Lsn,
    /// The highest record that is proven durable.
    pub(super) proven: Lsn,
    /// The highest record up to which each is proven durable in the segment that it was read from.
    pub(super) settled: Lsn,
    /// Every record above that, in order.
    pub(super) again: Vec<Again>,
    pub(super) places: Places,
    pub(super) salts: BTreeMap<u64, u64>,
    /// The last segment that is kept; those above it hold nothing.
    pub(super) kept: u64,
    /// How long the kept segments are together.
    pub(super) bytes: u64,
    /// How many records are named but lost.
    pub(super) lost: u64,
    /// Whether the log ends before something that was being written.
    pub(super) torn: bool,
}

/// What a recovery is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Purpose {
    /// The log goes on: it needs to know where each record lies, and which to write again.
    Open,
    /// Only to tell what is there.
    Inspect,
}

/// Reads the log of these segments.
pub(super) fn recover(
    medium: &dyn Medium,
    superblock: &Superblock,
    chain: &Chain,
) -> Result<Recovery, WalError> {
    let mut found = Vec::new();
    for link in &chain.links {
        let bytes = read_link(medium, link)?;
        found.push(scan(&bytes, link.header.salt()));
    }
    let pass = Pass::new(medium, superblock, chain, &found, Purpose::Open);
    pass.recover(&pass.judge())
}

fn read_link(medium: &dyn Medium, link: &Link) -> Result<Vec<u8>, WalError> {
    medium
        .open(&name(link.header.number))
        .and_then(|file| read_segment(&*file, &link.header))
        .map_err(|error| io_error(&medium.place(), "read a segment", error))
}

/// Which records the log has.
pub(super) struct Judged {
    /// Each record once, without a gap, up to the log's end.
    spans: Vec<Span>,
    /// The same, with the row of the table that fits each, and after them what is torn.
    pub(super) rows: Vec<(Span, &'static Row)>,
    pub(super) torn: bool,
    pub(super) end: End,
}

/// What follows the last record.
pub(super) struct End {
    pub(super) row: &'static Row,
    /// The segment and the offset in it where that lies.
    pub(super) segment: u64,
    pub(super) offset: u32,
    /// Why the log may not end there.
    pub(super) refusal: Option<Refusal>,
}

/// The second pass, over what the first one found.
pub(super) struct Pass<'a> {
    medium: &'a dyn Medium,
    superblock: &'a Superblock,
    chain: &'a Chain,
    found: &'a [Found],
    pub(super) proven: Lsn,
    purpose: Purpose,
}

impl<'a> Pass<'a> {
    /// `found` is what the first pass found in each segment of the chain.
    pub(super) fn new(
        medium: &'a dyn Medium,
        superblock: &'a Superblock,
        chain: &'a Chain,
        found: &'a [Found],
        purpose: Purpose,
    ) -> Self {
        let proofs = chain.links.iter().map(|link| link.header.durable);
        let proven = proofs
            .chain(found.iter().map(|found| found.durable))
            .fold(superblock.durable, Lsn::max);
        Self { medium, superblock, chain, found, proven, purpose }
    }

    /// What the log holds, if it may be used.
    pub(super) fn recover(&self, judged: &Judged) -> Result<Recovery, WalError> {
        if let Some(refusal) = &judged.end.refusal {
            return Err(self.refuse(refusal.clone()));
        }
        let (spans, links) = (&judged.spans, &self.chain.links);
        let settled = self.settled(spans);
        let mut recovery = self.replay(spans, settled)?;
        recovery.torn = judged.torn;
        let holding = spans.iter().map(|span| span.segment + 1).max().unwrap_or(0);
        // A damaged copy still proves that there was a record, until that is written again.
        let needed = if settled < self.proven { links.len() } else { holding };
        let kept = &links[..needed];
        recovery.kept = (self.superblock.first + needed as u64).saturating_sub(1);
        recovery.bytes = kept.iter().map(|link| u64::from(link.header.bytes)).sum();
        recovery.salts = kept.iter().map(|link| (link.header.number, link.header.salt)).collect();
        Ok(recovery)
    }

    /// Which records the log has, each once, without a gap, up to its end; and what is there.
    pub(super) fn judge(&self) -> Judged {
        let plan = self.plan();
        let (mut spans, mut rows, mut last, mut torn) = (Vec::new(), Vec::new(), Lsn::ZERO, false);
        for span in plan.spans() {
            if span.first != last.next() {
                break;
            }
            let stretch = &self.found[span.segment].stretches[span.stretch];
            let (whole, unwritten) = match stretch.state {
                State::Whole => (true, false),
                State::Named { unwritten, .. } => (false, unwritten),
            };
            let durable = span.last <= self.proven;
            let row = RECORDS.judge(&[false, whole, true, durable, unwritten, false, false]);
            rows.push((*span, row));
            if row.verdict == Verdict::Torn {
                torn = true;
                break;
            }
            last = span.last;
            spans.push(*span);
        }
        let end = self.judge_end(&spans, last);
        torn |= end.row.verdict == Verdict::Torn;
        Judged { spans, rows, torn, end }
    }

    /// The row of what a later start has sealed off; `None` for what none has.
    pub(super) fn sealed_off(&self, segment: usize, first: Lsn) -> Option<&'static Row> {
        let links = &self.chain.links[segment..];
        let sealed = |pair: &[Link]| {
            let (before, header) = (&pair[0].header, &pair[1].header);
            before.incarnation != header.incarnation && header.sealed < first
        };
        let is_sealed_off = links.windows(2).any(sealed);
        is_sealed_off.then(|| RECORDS.judge(&[true, false, false, false, false, false, false]))
    }

    /// The spans of all segments. What a later start has sealed off is not among them.
    fn plan(&self) -> Plan {
        let (mut plan, mut incarnation) = (Plan::default(), None);
        for (segment, (link, found)) in self.chain.links.iter().zip(self.found).enumerate() {
            if incarnation.replace(link.header.incarnation) != Some(link.header.incarnation) {
                plan.seal(link.header.sealed);
            }
            for (i, stretch) in found.stretches.iter().enumerate() {
                plan.add(Span {
                    first: stretch.first,
                    last: stretch.last,
                    segment,
                    stretch: i,
                    whole: stretch.state == State::Whole,
                });
            }
        }
        plan
    }

    /// Up to which record each is proven durable where it is read.
    ///
    /// A start copies what is not proven into its own segment, and that copy becomes the proof.
    /// Where it is damaged and the record is read where it was before, nothing says that it is more
    /// there than what the page cache shows.
    fn settled(&self, spans: &[Span]) -> Lsn {
        let mut settled = self.proven;
        for (segment, pair) in (1..).zip(self.chain.links.windows(2)) {
            let (before, header) = (&pair[0].header, &pair[1].header);
            let begins_a_start = before.incarnation != header.incarnation;
            let copied = |span: &Span| span.segment < segment && header.first <= span.last;
            if begins_a_start && spans.iter().any(copied) {
                settled = settled.min(Lsn(header.first.0.saturating_sub(1)));
            }
        }
        settled
    }

    /// What follows `last`, and whether the log may end there.
    fn judge_end(&self, spans: &[Span], last: Lsn) -> End {
        let (number, offset, segment) = match spans.last() {
            Some(span) => {
                let end = self.found[span.segment].stretches[span.stretch].end;
                (self.chain.links[span.segment].header.number, end, span.segment)
            }
            None => (self.superblock.first, DATA, 0),
        };
        // Bytes that nothing covers, or groups that do not follow.
        let newest = self.chain.links.last().map(|link| link.header.incarnation);
        let stray = self.found.iter().enumerate().skip(segment).find_map(|(at, found)| {
            // What earlier starts left over is sealed off.
            if Some(self.chain.links[at].header.incarnation) != newest {
                return None;
            }
            let beyond = found.stretches.iter().find(|stretch| stretch.last > last);
            let first =
                beyond.map(|stretch| stretch.offset).into_iter().chain(found.stray).min()?;
            Some((self.chain.links[at].header.number, first))
        });
        let durable = last < self.proven;
        let doubt = self.chain.one_rotten && !self.explains_rot();
        let unnamed = stray.is_some();
        let row = RECORDS.judge(&[false, false, false, durable, false, unnamed, doubt]);
        let (segment, offset) = stray.filter(|_| !durable).unwrap_or((number, offset));
        let refusal = (row.verdict == Verdict::Refuse).then(|| {
            if durable {
                let (lsn, durable) = (last.next(), self.proven);
                Refusal::RecordsLost { segment, offset, lsn, durable }
            } else {
                Refusal::PromiseLost { segment, offset, lsn: last }
            }
        });
        End { row, segment, offset, refusal }
    }

    /// Whether the log tells what the superblock was being written for when one of its copies was
    /// spoilt: something that the copy which holds does not know yet.
    fn explains_rot(&self) -> bool {
        let promised =
            self.found.iter().map(|found| found.promised).fold(Ballot::ZERO, Ballot::max);
        let last = self.chain.links.last().map(|link| &link.header);
        promised > self.superblock.promised
            || last.is_some_and(|header| {
                header.number > self.superblock.last
                    || header.incarnation > self.superblock.incarnation
            })
    }

    fn refuse(&self, refusal: Refusal) -> WalError {
        WalError::Refused { place: self.medium.place(), refusal }
    }

    /// Folds the records of the spans.
    fn replay(&self, spans: &[Span], settled: Lsn) -> Result<Recovery, WalError> {
        let mut reader = Reader {
            pass: self,
            recovery: Recovery {
                replay: Replay::default(),
                last: Lsn::ZERO,
                proven: self.proven,
                settled,
                again: Vec::new(),
                places: Places::default(),
                salts: BTreeMap::new(),
                kept: 0,
                bytes: 0,
                lost: 0,
                torn: false,
            },
        };
        let mut loaded: Option<(usize, Vec<u8>)> = None;
        for span in spans {
            if loaded.as_ref().is_none_or(|(segment, _)| *segment != span.segment) {
                let link = &self.chain.links[span.segment];
                loaded = Some((span.segment, read_link(self.medium, link)?));
            }
            let bytes = loaded.as_ref().map_or(&[][..], |(_, bytes)| bytes);
            reader.span(span, bytes)?;
        }
        let mut recovery = reader.recovery;
        let replay = &mut recovery.replay;
        replay.raise_promise(self.superblock.promised);
        for found in self.found {
            replay.raise_promise(found.promised);
        }
        if let Some(members) =
            self.superblock.members.clone().filter(|_| replay.members().is_none())
        {
            replay.apply(Lsn::ZERO, Record::Members { members }, Slot::ZERO);
        }
        if self.superblock.formed {
            replay.apply(Lsn::ZERO, Record::Formed, Slot::ZERO);
        }
        recovery.last = recovery.replay.last();
        Ok(recovery)
    }
}

struct Reader<'a> {
    pass: &'a Pass<'a>,
    recovery: Recovery,
}

impl Reader<'_> {
    fn span(&mut self, span: &Span, bytes: &[u8]) -> Result<(), WalError> {
        let stretch = &self.pass.found[span.segment].stretches[span.stretch];
        let salt = self.pass.chain.links[span.segment].header.salt();
        match stretch.state {
            State::Whole => self.whole(span, bytes, stretch.offset, stretch.end, salt),
            State::Named { index, .. } => self.named(span, bytes, index, salt),
        }
    }

    fn whole(
        &mut self,
        span: &Span,
        bytes: &[u8],
        mut at: u32,
        end: u32,
        salt: Salt,
    ) -> Result<(), WalError> {
        while at < end {
            let group = Whole::read(bytes, at as usize, salt);
            let group = group.ok_or_else(|| self.changed(salt, at))?;
            for (offset, frame) in &group.frames {
                if (span.first..=span.last).contains(&frame.head.lsn) {
                    let item = frame.item().ok_or_else(|| self.changed(salt, *offset))?;
                    let place = (salt.segment, *offset, frame.body.len() as u32);
                    self.item(frame.head.lsn, item, frame.head.chosen, place);
                }
            }
            at = group.end;
        }
        Ok(())
    }

    fn named(&mut self, span: &Span, bytes: &[u8], at: u32, salt: Salt) -> Result<(), WalError> {
        let index = Index::read(bytes, at as usize, salt);
        let (index, _) = index.ok_or_else(|| self.changed(salt, at))?;
        for (lsn, entry, frame) in index.frames(bytes, salt) {
            if !(span.first..=span.last).contains(&lsn) {
                continue;
            }
            let held = frame.and_then(|(at, frame)| Some((at, frame, frame.item()?)));
            match held {
                Some((offset, frame, item)) => {
                    let place = (salt.segment, offset, frame.body.len() as u32);
                    self.item(lsn, item, frame.head.chosen, place);
                }
                None => {
                    self.lost_members(&entry.name, lsn, salt, index.offset)?;
                    // The mark that goes with the last record is known, and is copied with it.
                    let is_last = lsn == index.mark.last();
                    let known = self.recovery.replay.chosen();
                    let chosen = if is_last { index.mark.chosen.max(known) } else { known };
                    self.item(lsn, Item::Lost(entry.name), chosen, (0, 0, 0));
                }
            }
        }
        if span.last == index.mark.last() {
            self.recovery.replay.raise_chosen(index.mark.chosen);
        }
        Ok(())
    }

    /// A lost list of members is no loss if the superblock has it.
    fn lost_members(&self, name: &Name, lsn: Lsn, salt: Salt, offset: u32) -> Result<(), WalError> {
        if name.kind == Kind::Members && self.pass.superblock.members.is_none() {
            let refusal = Refusal::MembersLost { segment: salt.segment, offset, lsn };
            return Err(self.pass.refuse(refusal));
        }
        Ok(())
    }

    fn item(&mut self, lsn: Lsn, item: Item, chosen: Slot, place: (u64, u32, u32)) {
        let recovery = &mut self.recovery;
        let opens = self.pass.purpose == Purpose::Open;
        if lsn > recovery.settled && opens {
            recovery.again.push(Again { lsn, item: item.clone(), chosen });
        }
        match item {
            Item::Record(record) => {
                let name = Name::of(&record);
                if name.kind.has_entry() && opens {
                    recovery.places.insert(name.slot, name.kind, place.0, place.1, place.2);
                }
                recovery.replay.apply(lsn, record, chosen);
            }
            Item::Lost(name) => {
                recovery.lost += 1;
                lose(&mut recovery.replay, &mut recovery.places, &name);
                recovery.replay.raise_chosen(chosen);
                recovery.replay.raise_last(lsn);
            }
        }
    }

    /// The second reading of a segment differs from the first.
    fn changed(&self, salt: Salt, offset: u32) -> WalError {
        let place = self.pass.medium.place();
        WalError::Rot { place, segment: salt.segment, offset }
    }
}

/// What becomes of a record that is known only by name.
fn lose(replay: &mut Replay, places: &mut Places, name: &Name) {
    match name.kind {
        Kind::Promised => replay.raise_promise(name.ballot),
        // Every record of the log is accounted for, so a later acceptance of the slot would be
        // found: this one is the newest.
        Kind::Accepted => {
            replay.raise_promise(name.ballot);
            replay.lose(name.slot, Some(name.ballot));
            places.lose(name.slot);
        }
        // What the replica accepted after it had learned the slot needs no record of its own, so
        // only the promise bounds it.
        Kind::Chosen => {
            replay.lose(name.slot, None);
            places.lose(name.slot);
        }
        Kind::Formed => replay.apply(Lsn::ZERO, Record::Formed, Slot::ZERO),
        Kind::Members | Kind::Lost | Kind::Marker => {}
    }
}

/// The names of files that are no part of the log any more, the last segment first.
pub(super) fn leftovers(names: &[String], kept: u64) -> Vec<&String> {
    let mut files: Vec<_> = names
        .iter()
        .filter(|file| {
            crate::wal::segment::is_temporary(file)
                || crate::wal::segment::number(file).is_some_and(|number| number > kept)
        })
        .collect();
    files.sort_unstable_by(|a, b| b.cmp(a));
    files
}
