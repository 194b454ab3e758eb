//! The simulated disk behind a replica: a log whose newest records a crash may lose.

use std::boxed::Box;
use std::collections::{BTreeMap, BTreeSet};
use std::vec::Vec;

use crate::ballot::Ballot;
use crate::entry::Entry;
use crate::membership::{ClusterId, DiskId, Incarnation, Peer, ReplicaId};
use crate::record::{Lsn, Record, Recovered};
use crate::replay::Replay;
use crate::slot::Slot;
use crate::wal::WalError;

use super::wal_disk::WalDisk;

/// What a simulated host asks of its log. Errors are those of the real log; the simplest one has
/// none.
pub(crate) trait Disk {
    /// The disk's name.
    fn id(&self) -> DiskId;
    /// Writes and syncs these records into an empty log that no replica uses yet.
    fn install(&mut self, records: &[Record]);
    /// Appends the next record.
    fn append(&mut self, lsn: Lsn, record: &Record, chosen: Slot) -> Result<(), WalError>;
    /// Begins to sync everything that was appended, and says by which number the sync ends; `None`
    /// if all of it is synced, or if as many syncs run as may.
    fn start_sync(&mut self) -> Result<Option<u64>, WalError>;
    /// Ends the sync of that number, or the one that began first: the durable low-water mark.
    /// `None` if there is no such sync.
    fn finish_sync(&mut self, number: Option<u64>) -> Result<Option<Lsn>, WalError>;
    /// The power fails. `luck` decides how much of what was not synced is kept.
    fn crash(&mut self, luck: u64);
    /// The process ends; the machine goes on.
    fn kill(&mut self);
    /// Something on the disk goes bad that the log promises to survive: at the most, the next start
    /// knows that a slot was lost, but not what it held. `luck` chooses. What is lost is about
    /// slots below `known`, or not below the log's own chosen mark. False if nothing was found.
    fn rot(&mut self, luck: u64, known: Slot) -> bool;
    /// Opens the log again: the next incarnation begins.
    fn open(&mut self) -> Result<Recovered, WalError>;
    /// The entry of a slot below the chosen mark, with the ballot that is stored with it.
    fn read(&self, slot: Slot) -> Result<Option<(Ballot, Entry)>, WalError>;
    /// The same for the eyes of an oracle: no fault strikes it.
    fn look(&self, slot: Slot) -> Option<(Ballot, Entry)>;
    /// The real log, if it is one.
    fn wal(&mut self) -> Option<&mut WalDisk>;
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

    fn append(&mut self, lsn: Lsn, record: &Record, chosen: Slot) -> Result<(), WalError> {
        assert_eq!(lsn.0, self.records.len() as u64 + 1, "records come in order, without a gap");
        self.push(record.clone(), chosen);
        Ok(())
    }

    fn start_sync(&mut self) -> Result<Option<u64>, WalError> {
        if self.syncing.is_some() || self.durable >= self.records.len() {
            return Ok(None);
        }
        self.syncing = Some(self.records.len());
        Ok(Some(self.records.len() as u64))
    }

    fn finish_sync(&mut self, number: Option<u64>) -> Result<Option<Lsn>, WalError> {
        let ends = self.syncing.take_if(|upto| number.is_none_or(|number| number == *upto as u64));
        self.durable = ends.unwrap_or(self.durable);
        Ok(ends.map(|upto| Lsn(upto as u64)))
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

    /// Everything that was written is lost but what was synced, as if the power had failed.
    fn kill(&mut self) {
        self.crash(0);
    }

    fn rot(&mut self, luck: u64, known: Slot) -> bool {
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
        count > 0
    }

    fn open(&mut self) -> Result<Recovered, WalError> {
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

    fn read(&self, slot: Slot) -> Result<Option<(Ballot, Entry)>, WalError> {
        Ok(self.look(slot))
    }

    fn look(&self, slot: Slot) -> Option<(Ballot, Entry)> {
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

    fn wal(&mut self) -> Option<&mut WalDisk> {
        None
    }
}
