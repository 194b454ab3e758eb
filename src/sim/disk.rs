//! The simulated disk behind a replica: a log whose newest records a crash may lose.

use std::boxed::Box;
use std::collections::{BTreeMap, BTreeSet};
use std::string::String;
use std::vec::Vec;

use crate::ballot::Ballot;
use crate::entry::Entry;
use crate::membership::{ClusterId, DiskId, Incarnation, Peer, ReplicaId};
use crate::record::{Lsn, Record, Recovered};
use crate::replay::Replay;
use crate::slot::Slot;

/// What a simulated host asks of its log.
pub(crate) trait Disk {
    /// The disk's name.
    fn id(&self) -> DiskId;
    /// Writes and syncs these records into an empty log that no replica uses yet.
    fn install(&mut self, records: &[Record]);
    /// Appends the next record.
    fn append(&mut self, lsn: Lsn, record: &Record, chosen: Slot);
    /// Begins to sync everything that was appended; false if all of it is synced, or if a sync
    /// runs already.
    fn start_sync(&mut self) -> bool;
    /// Ends the sync that runs, if one does: the durable low-water mark.
    fn finish_sync(&mut self) -> Option<Lsn>;
    /// The power fails. `luck` decides how much of what was not synced is kept.
    fn crash(&mut self, luck: u64);
    /// A durable record goes bad, in the one of its copies that holds the entry: the next start
    /// knows that a slot was lost, but not what it held. `luck` chooses one of the newest records
    /// that hold an entry, of a slot below `known` or not below the log's own chosen mark. Does
    /// nothing if there is none.
    fn rot(&mut self, luck: u64, known: Slot);
    /// Opens the log again: the next incarnation begins.
    ///
    /// # Errors
    /// Why the log refuses to start.
    fn open(&mut self) -> Result<Recovered, String>;
    /// The entry of a slot below the chosen mark, with the ballot that is stored with it.
    fn read(&self, slot: Slot) -> Option<(Ballot, Entry)>;
    /// A copy of the log as it is, if this kind of log can be copied.
    fn copy(&self) -> Option<Box<dyn Disk>> {
        None
    }
}

/// The simplest log: records in memory, of which a prefix is durable. A crash keeps any longer
/// prefix.
#[derive(Clone)]
pub(crate) struct Journal {
    cluster: ClusterId,
    me: Peer,
    records: Vec<(Record, Slot)>,
    /// Which records are rotten, by their place.
    rotten: BTreeSet<usize>,
    /// How many records are durable.
    durable: usize,
    /// How many records the running sync covers.
    syncing: Option<usize>,
    chosen: BTreeMap<Slot, usize>,
    accepted: BTreeMap<Slot, usize>,
}

impl Journal {
    /// An empty log.
    pub(crate) fn boxed(cluster: ClusterId, replica: ReplicaId, seed: u64) -> Box<dyn Disk> {
        let mut disk = [0xd1; 16];
        disk[..4].copy_from_slice(&replica.0.to_le_bytes());
        disk[4..12].copy_from_slice(&seed.to_le_bytes());
        let me = Peer { replica, disk: DiskId(disk), incarnation: Incarnation(0) };
        Box::new(Self {
            cluster,
            me,
            records: Vec::new(),
            rotten: BTreeSet::new(),
            durable: 0,
            syncing: None,
            chosen: BTreeMap::new(),
            accepted: BTreeMap::new(),
        })
    }

    fn push(&mut self, record: Record, chosen: Slot) {
        let index = self.records.len();
        match &record {
            Record::Accepted { slot, .. } => {
                self.accepted.insert(*slot, index);
            }
            Record::Chosen { slot, .. } => {
                self.chosen.insert(*slot, index);
            }
            Record::Promised { .. } | Record::Members { .. } | Record::Formed => {}
        }
        self.records.push((record, chosen));
    }
}

/// The slot whose entry the record holds.
fn slot_of(record: &Record) -> Option<Slot> {
    match record {
        Record::Accepted { slot, .. } | Record::Chosen { slot, .. } => Some(*slot),
        Record::Promised { .. } | Record::Members { .. } | Record::Formed => None,
    }
}

impl Disk for Journal {
    fn id(&self) -> DiskId {
        self.me.disk
    }

    fn install(&mut self, records: &[Record]) {
        records.iter().for_each(|record| self.push(record.clone(), Slot::ZERO));
        self.durable = self.records.len();
    }

    fn append(&mut self, lsn: Lsn, record: &Record, chosen: Slot) {
        assert_eq!(lsn.0, self.records.len() as u64 + 1, "records come in order, without a gap");
        self.push(record.clone(), chosen);
    }

    fn start_sync(&mut self) -> bool {
        let starts = self.syncing.is_none() && self.durable < self.records.len();
        if starts {
            self.syncing = Some(self.records.len());
        }
        starts
    }

    fn finish_sync(&mut self) -> Option<Lsn> {
        self.durable = self.syncing.take()?;
        Some(Lsn(self.durable as u64))
    }

    fn crash(&mut self, luck: u64) {
        let unsynced = (self.records.len() - self.durable) as u64;
        self.durable += (luck % (unsynced + 1)) as usize;
        self.syncing = None;
        self.chosen.clear();
        self.accepted.clear();
        let mut kept = core::mem::take(&mut self.records);
        kept.truncate(self.durable);
        for (record, chosen) in kept {
            self.push(record, chosen);
        }
    }

    fn rot(&mut self, luck: u64, known: Slot) {
        let kept = &self.records[..self.durable];
        let own = kept.iter().map(|(_, chosen)| *chosen).max().unwrap_or_default();
        let may = |slot| slot < known || slot >= own;
        let held = |index: &usize| slot_of(&kept[*index].0).is_some_and(may);
        let held: Vec<usize> = (0..self.durable).filter(held).collect();
        // The newest ones matter most.
        let count = held.len().min(8) as u64;
        if count > 0 {
            self.rotten.insert(held[held.len() - 1 - (luck % count) as usize]);
        }
    }

    fn open(&mut self) -> Result<Recovered, String> {
        self.me.incarnation = self.me.incarnation.next(0);
        let mut replay = Replay::default();
        for (index, (record, chosen)) in self.records.iter().enumerate() {
            if self.rotten.contains(&index) {
                // What the second copy and the group's marker tell of a lost record.
                if let Record::Accepted { ballot, .. } = record {
                    replay.raise_promise(*ballot);
                }
                if let Some(slot) = slot_of(record) {
                    replay.lose(slot, None);
                }
                replay.raise_chosen(*chosen);
            } else {
                replay.apply(Lsn(index as u64 + 1), record.clone(), *chosen);
            }
        }
        // A rotten record still has its number.
        let last = Lsn(self.records.len() as u64);
        Ok(Recovered { last, ..replay.finish(self.cluster, self.me) })
    }

    fn read(&self, slot: Slot) -> Option<(Ballot, Entry)> {
        let whole = |index: &&usize| !self.rotten.contains(*index);
        let chosen = self.chosen.get(&slot).filter(whole);
        let index = chosen.or_else(|| self.accepted.get(&slot).filter(whole))?;
        match &self.records[*index].0 {
            Record::Accepted { ballot, entry, .. } | Record::Chosen { ballot, entry, .. } => {
                Some((*ballot, entry.clone()))
            }
            Record::Promised { .. } | Record::Members { .. } | Record::Formed => None,
        }
    }

    fn copy(&self) -> Option<Box<dyn Disk>> {
        Some(Box::new(self.clone()))
    }
}
