//! The write-ahead log: what a replica may not forget, on a disk that may fail.
//!
//! [`Wal::append`] gathers records in memory. [`Wal::start_sync`] closes what was gathered and
//! hands it out as a [`Sync`], which runs on any thread while the log goes on; [`Wal::finish`]
//! takes it back and says up to which record everything is durable. The log owns no thread.
//!
//! After the first failed sync the log does nothing more: what is on the disk is unknown then, and
//! a later success would prove nothing. What is durable is still found at the next start.
//!
//! The layout on disk, every crash case and the rules for backups are in docs/WAL.md.
//!
//! # Example: append, sync, open again
//! ```
//! use synod::membership::{ClusterId, ReplicaId};
//! use synod::record::{Lsn, Record};
//! use synod::slot::Slot;
//! use synod::wal::{HeapMedium, Wal, WalOptions};
//!
//! let disk = HeapMedium::new(7);
//! let (cluster, replica) = (ClusterId::named("example")?, ReplicaId(1));
//! let options = WalOptions::default();
//! let (mut wal, _) = Wal::open(Box::new(disk.clone()), cluster, replica, options)?;
//! wal.append(Lsn(1), &Record::Formed, Slot::ZERO)?;
//! let sync = wal.start_sync()?.expect("there is something to sync");
//! assert_eq!(wal.finish(sync.run())?, Lsn(1));
//! drop(wal);
//!
//! disk.crash(1);
//! let (_, recovered) = Wal::open(Box::new(disk), cluster, replica, options)?;
//! assert!(recovered.formed);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod chain;
mod directory;
mod error;
mod frame;
mod group;
mod heap;
pub mod inspect;
mod list;
mod map;
mod medium;
mod open;
mod places;
mod plan;
mod read_only;
mod recover;
mod scan;
mod segment;
mod superblock;
mod sync;
pub mod table;

use alloc::collections::{BTreeMap, VecDeque};
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::mem;
use core::sync::atomic::Ordering;

use crate::ballot::Ballot;
use crate::entry::{ENTRY_BYTES_MAX, Entry};
use crate::record::{Lsn, Record};
use crate::slot::Slot;
use crate::wal::frame::{ENTRY_HEAD, Kind, Name, Salt, frame_bytes, record_body_bytes};
use crate::wal::group::{Group, Sealed, group_bytes, index_bytes};
use crate::wal::places::Places;
use crate::wal::recover::Recovery;
use crate::wal::segment::{DATA, Header, Segment};
use crate::wal::sync::{Facts, Piece, Shared, io_error};

pub use crate::wal::directory::{Directory, DirectoryOptions, FileAccess};
pub use crate::wal::error::{Refusal, WalError};
pub use crate::wal::heap::{Extent, Fault, HeapMedium, Kept, Part, Stored};
pub use crate::wal::medium::{Medium, MediumFile};
pub use crate::wal::places::Located;
pub use crate::wal::sync::{Preparation, Sync, Synced};

/// How many syncs may run at once. More would not help: they queue at the disk.
const FLIGHTS_MAX: usize = 2;
const SEGMENT_BYTES_MIN: u32 = 32 << 10;
const SEGMENT_BYTES_MAX: u32 = 1 << 30;
const PAGE: u32 = 4096;

/// Whether a segment may have this length.
fn segment_bytes_fit(bytes: u32) -> bool {
    (SEGMENT_BYTES_MIN..=SEGMENT_BYTES_MAX).contains(&bytes) && bytes.is_multiple_of(PAGE)
}

/// How a log is laid out. May differ from start to start.
///
/// ```
#[doc = include_str!("example.txt")]
/// let small = WalOptions { segment_bytes: 64 << 10, entry_bytes_max: 4096 };
/// let disk = Box::new(HeapMedium::new(1));
/// let (wal, _) = Wal::open(disk, ClusterId::named("docs")?, ReplicaId(1), small)?;
/// assert_eq!(wal.status().bytes, 64 << 10);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WalOptions {
    /// The length of new segments, 16 MiB unless set: a multiple of 4096 from 32 KiB to 1 GiB.
    ///
    /// Two are preallocated at any time, and each start begins a new one. 16 MiB takes four of the
    /// longest entries and keeps the making of a segment below some 50 ms.
    pub segment_bytes: u32,
    /// The longest entry that the log must take, [`ENTRY_BYTES_MAX`] unless set. A replica needs
    /// all of that; tests that use small segments set less.
    pub entry_bytes_max: usize,
}

impl Default for WalOptions {
    fn default() -> Self {
        Self { segment_bytes: 16 << 20, entry_bytes_max: ENTRY_BYTES_MAX }
    }
}

impl WalOptions {
    /// The part at the end of a segment that only records without an entry may use while there is
    /// no next segment: promises go on while the disk is full.
    fn reserve(self) -> u32 {
        reserve(self.segment_bytes)
    }

    fn check(self) -> Result<(), WalError> {
        let segment_bytes = self.segment_bytes;
        if !segment_bytes_fit(segment_bytes) {
            let what = "are no multiple of 4096 from 32 KiB to 1 GiB";
            return Err(WalError::Options { segment_bytes, what });
        }
        let room = (segment_bytes - DATA - self.reserve()) as usize;
        let fits = self.entry_bytes_max <= ENTRY_BYTES_MAX && {
            let group = group_bytes(frame_bytes(ENTRY_HEAD + self.entry_bytes_max));
            group + index_bytes(1, group) <= room
        };
        if !fits {
            let what = "are too small for the longest entry";
            return Err(WalError::Options { segment_bytes, what });
        }
        Ok(())
    }
}

fn reserve(segment_bytes: u32) -> u32 {
    (segment_bytes / 16).max(PAGE)
}

/// The segment that takes the next records.
struct Tail {
    segment: Arc<Segment>,
    /// Where the next group begins.
    data_at: u32,
    /// Where the second copies begin.
    index_at: u32,
    group: Option<Group>,
}

impl Tail {
    fn new(segment: impl Into<Arc<Segment>>, data_at: u32, index_at: u32) -> Self {
        Self { segment: segment.into(), data_at, index_at, group: None }
    }

    /// Whether one more record whose body has that length fits, with so much left over.
    fn fits(&self, body: usize, left: u32) -> bool {
        let bytes = match &self.group {
            Some(group) => group.bytes_with(body),
            None => {
                let group = group_bytes(frame_bytes(body));
                group + index_bytes(1, group)
            }
        };
        bytes + left as usize <= self.room() as usize
    }

    /// How many bytes are left between groups and second copies.
    fn room(&self) -> u32 {
        self.index_at - self.data_at
    }

    /// Closes the group; also says where its second copy lies.
    fn seal(&mut self, durable: Lsn, promised: Ballot) -> Option<(Sealed, u32)> {
        let sealed = self.group.take()?.seal(durable, promised, self.index_at);
        self.data_at += sealed.data.len() as u32;
        self.index_at -= sealed.index.len() as u32;
        Some((sealed, self.index_at))
    }
}

/// A sync that was started and not finished.
struct Flight {
    number: u64,
    upto: Lsn,
    done: bool,
}

/// An entry that is not durable yet.
struct Held {
    lsn: Lsn,
    ballot: Ballot,
    entry: Entry,
}

/// Plain data about a log.
///
/// ```
#[doc = include_str!("example.txt")]
/// let (wal, _) = open(&written()?)?;
/// let status = wal.status();
/// assert_eq!((status.last, status.durable, status.lost), (Lsn(1), Lsn(1), 0));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct WalStatus {
    /// The length of all its segments together, in bytes.
    pub bytes: u64,
    /// How many segments it has, the prepared one not counted.
    pub segments: u64,
    /// How many syncs were finished since it was opened.
    pub syncs: u64,
    /// How many records were appended since it was opened.
    pub records: u64,
    /// The last record that was appended.
    pub last: Lsn,
    /// The last record that is known to be durable, with all before it.
    pub durable: Lsn,
    /// How many bytes of records and their frames still fit without another segment, roughly.
    pub room_bytes: u64,
    /// How many records were found lost at the start; their slots are Faulty or holes.
    pub lost: u64,
    /// Whether the start found that something was being written when the last one ended, and
    /// sealed it off.
    pub torn: bool,
    /// Why the log stopped for good, if it did.
    pub poisoned: Option<String>,
}

/// A replica's log. See the module for how it is used.
///
/// ```
#[doc = include_str!("example.txt")]
/// let disk = HeapMedium::new(1);
/// let (mut wal, recovered) = open(&disk)?;
/// assert_eq!(recovered.last, Lsn::ZERO);
/// wal.append(Lsn(1), &Record::Formed, Slot(0))?;
/// let sync = wal.start_sync()?.expect("something was appended");
/// assert_eq!(wal.finish(sync.run())?, Lsn(1), "now it is on the disk");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Wal {
    options: WalOptions,
    tail: Tail,
    closed: Vec<Piece>,
    flights: VecDeque<Flight>,
    /// The number of the next sync.
    flight: u64,
    last: Lsn,
    durable: Lsn,
    facts: Facts,
    facts_changed: bool,
    places: Places,
    held: BTreeMap<Slot, Held>,
    /// The slots of `held`, by their records.
    held_order: VecDeque<(Lsn, Slot)>,
    salts: BTreeMap<u64, u64>,
    bytes: u64,
    syncs: u64,
    records: u64,
    lost: u64,
    torn: bool,
    // Last, so that the segments are closed before the directory is unlocked.
    shared: Arc<Shared>,
}

impl Wal {
    fn assemble(
        shared: Arc<Shared>,
        options: WalOptions,
        tail: Tail,
        facts: Facts,
        recovery: Recovery,
    ) -> Self {
        Self {
            shared,
            options,
            tail,
            closed: Vec::new(),
            flights: VecDeque::new(),
            flight: 0,
            last: recovery.last,
            durable: recovery.last,
            facts,
            facts_changed: false,
            places: recovery.places,
            held: BTreeMap::new(),
            held_order: VecDeque::new(),
            salts: recovery.salts,
            bytes: recovery.bytes,
            syncs: 0,
            records: 0,
            lost: recovery.lost,
            torn: recovery.torn,
        }
    }

    /// Takes the record into the group that is being gathered. Nothing is written yet.
    ///
    /// # Errors
    /// If `lsn` is not the number after the last, the entry is too long, there is no room
    /// ([`WalError::Full`]: nothing was taken, the same call works once there is room), or the log
    /// has stopped for good.
    pub fn append(&mut self, lsn: Lsn, record: &Record, chosen: Slot) -> Result<(), WalError> {
        self.shared.check()?;
        if lsn != self.last.next() {
            return Err(WalError::OutOfOrder { expected: self.last.next(), lsn });
        }
        let name = Name::of(record);
        let (body, limit) = (record_body_bytes(record), self.options.entry_bytes_max);
        if name.kind.has_entry() && body - ENTRY_HEAD > limit {
            return Err(WalError::TooLarge { bytes: body - ENTRY_HEAD, limit });
        }
        self.make_room(name.kind, body)?;
        let salt = self.tail.segment.header.salt();
        let group = self.tail.group.get_or_insert_with(|| Group::new(self.tail.data_at, salt, lsn));
        let offset = group.push_record(lsn, record, chosen);
        self.last = lsn;
        self.records += 1;
        self.note(lsn, record, salt.segment, offset);
        Ok(())
    }

    /// Moves on to the next segment if the record does not fit into this one.
    fn make_room(&mut self, kind: Kind, body: usize) -> Result<(), WalError> {
        let full = || WalError::Full { place: self.shared.place.clone(), bytes: body };
        let reserve = if kind.has_entry() { reserve(self.tail.segment.header.bytes) } else { 0 };
        if self.tail.fits(body, reserve) {
            return Ok(());
        }
        if self.shared.next().is_none() {
            // Nobody prepared it in time.
            let made = self.preparation().make();
            self.shared.check()?;
            if self.shared.next().is_none() {
                return match made {
                    Err(error) if !medium::is_full(&error) => {
                        Err(io_error(&self.shared.place, "make a segment", error))
                    }
                    Err(_) | Ok(()) => Err(full()),
                };
            }
        }
        if self.tail.fits(body, 0) {
            return Ok(());
        }
        let next = self.shared.next().take().ok_or_else(full)?;
        self.close_group();
        self.salts.insert(next.header.number, next.header.salt);
        self.bytes += u64::from(next.header.bytes);
        let end = next.header.bytes;
        self.tail = Tail::new(next, DATA, end);
        Ok(())
    }

    fn note(&mut self, lsn: Lsn, record: &Record, segment: u64, offset: u32) {
        let name = Name::of(record);
        if name.ballot > self.facts.promised && name.kind != Kind::Chosen {
            self.facts.promised = name.ballot;
            self.facts_changed = true;
        }
        match record {
            Record::Members { members } => {
                self.facts.members = Some(members.clone());
                self.facts_changed = true;
            }
            Record::Formed => {
                self.facts.formed = true;
                self.facts_changed = true;
            }
            Record::Accepted { slot, ballot, entry } | Record::Chosen { slot, ballot, entry } => {
                let body = record_body_bytes(record) as u32;
                self.places.insert(*slot, name.kind, segment, offset, body);
                let chosen = name.kind == Kind::Chosen;
                let outranked = self.places.at(*slot).is_some_and(|place| place.is_chosen());
                if chosen || !outranked {
                    let (ballot, entry) = (*ballot, entry.clone());
                    self.held.insert(*slot, Held { lsn, ballot, entry });
                    self.held_order.push_back((lsn, *slot));
                }
            }
            Record::Promised { .. } => {}
        }
    }

    fn close_group(&mut self) {
        if let Some((group, index)) = self.tail.seal(self.durable, self.facts.promised) {
            self.closed.push(Piece { segment: self.tail.segment.clone(), group, index });
            self.shared.room.store(self.tail.room(), Ordering::Relaxed);
        }
    }

    /// Closes what was appended and hands it out to be made durable; `None` if there is nothing, or
    /// if two syncs are under way already. What is appended from now on belongs to the next one.
    ///
    /// # Errors
    /// If the log has stopped for good.
    pub fn start_sync(&mut self) -> Result<Option<Sync>, WalError> {
        self.shared.check()?;
        if self.flights.len() >= FLIGHTS_MAX {
            return Ok(None);
        }
        self.close_group();
        if self.closed.is_empty() {
            return Ok(None);
        }
        let number = self.flight;
        self.flight += 1;
        self.flights.push_back(Flight { number, upto: self.last, done: false });
        Ok(Some(Sync {
            shared: self.shared.clone(),
            number,
            upto: self.last,
            durable: self.durable,
            pieces: mem::take(&mut self.closed),
            facts: mem::take(&mut self.facts_changed).then(|| self.facts.clone()),
            written: false,
        }))
    }

    /// Takes back a sync that was run, and returns the new durable mark: every record up to it is
    /// on the disk. A sync that ends before an earlier one does not move the mark yet.
    ///
    /// # Errors
    /// If this sync or an earlier one failed: the log has stopped for good. Or if it is not of this
    /// log.
    pub fn finish(&mut self, done: Synced) -> Result<Lsn, WalError> {
        if !Arc::ptr_eq(&done.shared, &self.shared) {
            return Err(WalError::ForeignSync);
        }
        self.shared.check()?;
        let flight = self.flights.iter_mut().find(|flight| flight.number == done.number);
        let flight = flight.ok_or(WalError::ForeignSync)?;
        debug_assert!(!done.failed, "a failed sync has poisoned the log");
        flight.done = true;
        self.syncs += 1;
        while self.flights.front().is_some_and(|flight| flight.done) {
            self.durable = self.flights.pop_front().map_or(self.durable, |flight| flight.upto);
        }
        while let Some((lsn, slot)) = self.held_order.front().copied() {
            if lsn > self.durable {
                break;
            }
            self.held_order.pop_front();
            if self.held.get(&slot).is_some_and(|held| held.lsn == lsn) {
                self.held.remove(&slot);
            }
        }
        Ok(self.durable)
    }

    /// The making of the next segment, to be run on a thread that may block for some tens of
    /// milliseconds; `None` while there is nothing to prepare. A driver that never asks loses no
    /// record: [`Wal::append`] makes the segment itself when it needs one, and blocks for it.
    pub fn prepare(&mut self) -> Option<Preparation> {
        let bytes = self.tail.segment.header.bytes;
        let used = bytes - self.tail.room();
        // The earlier, the more time it has, and the less it holds up what is synced meanwhile.
        if used < bytes / 4
            || self.shared.next().is_some()
            || self.shared.poisoned().is_some()
            || self.shared.preparing.swap(true, Ordering::AcqRel)
        {
            return None;
        }
        self.shared.room.store(self.tail.room(), Ordering::Relaxed);
        Some(self.preparation())
    }

    fn preparation(&self) -> Preparation {
        let now = &self.tail.segment.header;
        let header = Header {
            number: now.number + 1,
            salt: 0,
            bytes: self.options.segment_bytes,
            first: self.last.next(),
            durable: Lsn::ZERO,
            ..now.clone()
        };
        Preparation { shared: self.shared.clone(), header, room: self.tail.room() }
    }

    /// Where the entry stored for the slot lies: its Chosen record, else its last Accepted record.
    /// Not yet synced records are found as well. Cheap: no disk is touched.
    #[must_use]
    pub fn locate(&self, slot: Slot) -> Option<Located> {
        if let Some(held) = self.held.get(&slot) {
            return Some(Located::held(held.ballot, held.entry.clone()));
        }
        let place = self.places.at(slot)?;
        let segment = place.segment();
        let salt = Salt { salt: *self.salts.get(&segment)?, segment };
        Some(Located::on_disk(self.shared.clone(), salt, slot, place))
    }

    /// Whether an entry of that many bytes can be appended for certain, without making a segment:
    /// a driver asks before it lets its replica accept one while the disk is full.
    #[must_use]
    pub fn has_room(&self, entry_bytes: usize) -> bool {
        let reserve = reserve(self.tail.segment.header.bytes);
        self.tail.fits(ENTRY_HEAD + entry_bytes, reserve) || self.shared.next().is_some()
    }

    /// Plain data about the log.
    #[must_use]
    pub fn status(&self) -> WalStatus {
        let group = self.tail.group.as_ref().map_or(0, |group| group.bytes_with(0));
        let tail = self.tail.room() as usize;
        let next = self.shared.next().as_ref().map_or(0, |next| next.header.bytes - DATA);
        WalStatus {
            bytes: self.bytes,
            segments: self.salts.len() as u64,
            syncs: self.syncs,
            records: self.records,
            last: self.last,
            durable: self.durable,
            room_bytes: tail.saturating_sub(group) as u64 + u64::from(next),
            lost: self.lost,
            torn: self.torn,
            poisoned: self.shared.poisoned(),
        }
    }

    /// Syncs what is left and ends the log with a proof that all of it was durable: damage that
    /// comes later is then never taken for a torn write. A log that is dropped instead loses
    /// nothing that was finished.
    ///
    /// # Errors
    /// If the disk fails, or the log has stopped for good.
    pub fn close(mut self) -> Result<Lsn, WalError> {
        while let Some(sync) = self.start_sync()? {
            self.finish(sync.run())?;
        }
        if self.durable == self.last {
            let proved = self.shared.keeper().prove(self.durable);
            proved.map_err(|error| io_error(&self.shared.place, "write the superblock", error))?;
        }
        Ok(self.durable)
    }
}

#[cfg(test)]
mod tests;
