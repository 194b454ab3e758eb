//! Where in the log the record of each slot lies.

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::sync::Arc;

use crate::ballot::Ballot;
use crate::entry::Entry;
use crate::slot::{Slot, Slots};
use crate::wal::error::WalError;
use crate::wal::frame::{Frame, Kind, Salt, frame_bytes};
use crate::wal::sync::{Shared, io_error};

const BLOCK: usize = 256;
const CHOSEN: u32 = 1 << 31;

/// A record's place: 12 bytes for each slot.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Place {
    /// The segment's number; 0 for none.
    segment: u32,
    offset: u32,
    /// The length of the frame's body; the top bit says that it is a Chosen record.
    body: u32,
}

/// The places of all slots, in blocks, so that slots far apart cost no more.
#[derive(Clone, Debug, Default)]
pub(super) struct Places {
    blocks: BTreeMap<u64, Box<[Place; BLOCK]>>,
}

impl Places {
    /// Notes where a record with an entry lies. A Chosen record outranks every Accepted one.
    pub(super) fn insert(&mut self, slot: Slot, kind: Kind, segment: u64, offset: u32, body: u32) {
        // 2^32 segments of the smallest size are 128 TiB, of the usual size 64 PiB.
        let Ok(segment) = u32::try_from(segment) else { return };
        let block = self.blocks.entry(slot.0 / BLOCK as u64);
        let block = block.or_insert_with(|| Box::new([Place::default(); BLOCK]));
        let place = &mut block[(slot.0 % BLOCK as u64) as usize];
        let chosen = if kind == Kind::Chosen { CHOSEN } else { 0 };
        if place.segment == 0 || place.body & CHOSEN == 0 || chosen != 0 {
            *place = Place { segment, offset, body: body | chosen };
        }
    }

    /// Forgets the records of these slots altogether. Only blocks that are there are looked at.
    pub(super) fn remove(&mut self, slots: Slots) {
        let Some(last) = slots.end.0.checked_sub(1).filter(|_| !slots.is_empty()) else { return };
        let numbers = slots.start.0 / BLOCK as u64..=last / BLOCK as u64;
        for (number, block) in self.blocks.range_mut(numbers) {
            for (i, place) in block.iter_mut().enumerate() {
                if slots.contains(Slot(number * BLOCK as u64 + i as u64)) {
                    *place = Place::default();
                }
            }
        }
    }

    /// Forgets the slot's Accepted record: its newest is lost.
    pub(super) fn lose(&mut self, slot: Slot) {
        if let Some(block) = self.blocks.get_mut(&(slot.0 / BLOCK as u64)) {
            let place = &mut block[(slot.0 % BLOCK as u64) as usize];
            if place.body & CHOSEN == 0 {
                *place = Place::default();
            }
        }
    }

    pub(super) fn at(&self, slot: Slot) -> Option<Place> {
        let block = self.blocks.get(&(slot.0 / BLOCK as u64))?;
        let place = block[(slot.0 % BLOCK as u64) as usize];
        (place.segment != 0).then_some(place)
    }
}

impl Place {
    pub(super) fn segment(self) -> u64 {
        self.segment.into()
    }

    pub(super) fn is_chosen(self) -> bool {
        self.body & CHOSEN != 0
    }
}

/// Where a slot's entry can be read, at any time and on any thread.
///
/// ```
#[doc = include_str!("example.txt")]
/// let (mut wal, _) = open(&HeapMedium::new(1))?;
/// let (slot, ballot) = (Slot(0), Ballot { round: 1, replica: ReplicaId(1) });
/// wal.append(Lsn(1), &Record::Accepted { slot, ballot, entry: Entry::Noop }, slot)?;
/// let located: Located = wal.locate(slot).expect("it was appended");
/// assert_eq!(located.read()?, (ballot, Entry::Noop));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct Located {
    source: Source,
}

#[derive(Clone)]
enum Source {
    /// Not durable yet: still held.
    Held {
        ballot: Ballot,
        entry: Entry,
    },
    Disk {
        shared: Arc<Shared>,
        salt: Salt,
        slot: Slot,
        place: Place,
    },
}

impl Located {
    pub(super) fn held(ballot: Ballot, entry: Entry) -> Self {
        Self { source: Source::Held { ballot, entry } }
    }

    pub(super) fn on_disk(shared: Arc<Shared>, salt: Salt, slot: Slot, place: Place) -> Self {
        Self { source: Source::Disk { shared, salt, slot, place } }
    }

    /// Reads the ballot and the entry that are stored for the slot. May block for the disk.
    ///
    /// # Errors
    /// If the disk cannot be read, or what it gives does not hold.
    pub fn read(&self) -> Result<(Ballot, Entry), WalError> {
        let (shared, salt, slot, place) = match &self.source {
            Source::Held { ballot, entry } => return Ok((*ballot, entry.clone())),
            Source::Disk { shared, salt, slot, place } => (shared, *salt, *slot, *place),
        };
        let mut bytes = alloc::vec![0; frame_bytes((place.body & !CHOSEN) as usize)];
        shared
            .reader(place.segment())
            .and_then(|file| file.read_at(place.offset.into(), &mut bytes))
            .map_err(|error| io_error(&shared.place, "read a record", error))?;
        Frame::read(&bytes, place.offset, salt)
            .filter(|frame| frame.kind.has_entry())
            .and_then(|frame| frame.entry())
            .filter(|(found, ..)| *found == slot)
            .map(|(_, ballot, entry)| (ballot, entry))
            .ok_or_else(|| WalError::Rot {
                place: shared.place.clone(),
                segment: place.segment(),
                offset: place.offset,
            })
    }
}
