//! What a log must give back: a model of it, and the workload that is run against both.
#![allow(dead_code, reason = "each test uses its part")]

use oorandom::Rand64;
use synod::ballot::Ballot;
use synod::entry::{BatchBuilder, CommandId, Entry};
use synod::membership::{ClusterId, DiskId, Incarnation, Member, Membership, ReplicaId};
use synod::record::{Lsn, Record, Recovered};
use synod::replay::Replay;
use synod::slot::{ALPHA, Slot};
use synod::wal::{HeapMedium, Wal, WalError, WalOptions};

pub(crate) const CLUSTER: ClusterId = ClusterId(*b"test\0\0\0\0\0\0\0\0\0\0\0\0");
pub(crate) const ME: ReplicaId = ReplicaId(2);
pub(crate) const SMALL: WalOptions =
    WalOptions { segment_bytes: 32 << 10, entry_bytes_max: 12 << 10 };

pub(crate) fn open(disk: &HeapMedium) -> Result<(Wal, Recovered), WalError> {
    Wal::open(Box::new(disk.clone()), CLUSTER, ME, SMALL)
}

pub(crate) fn ballot(round: u64) -> Ballot {
    Ballot { round, replica: ReplicaId(1) }
}

pub(crate) fn entry(tag: u64, bytes: usize) -> Entry {
    let mut builder = BatchBuilder::default();
    let id = CommandId { replica: ME, incarnation: Incarnation(1), sequence: tag };
    let command: Vec<u8> = (0..bytes).map(|i| (tag as usize * 31 + i % 251) as u8 | 1).collect();
    builder.push(id, &command);
    Entry::Batch(builder.build().expect("a command was pushed"))
}

pub(crate) fn accepted(slot: u64, round: u64, bytes: usize) -> Record {
    let tag = slot * 1000 + round;
    Record::Accepted { slot: Slot(slot), ballot: ballot(round), entry: entry(tag, bytes) }
}

pub(crate) fn chosen(slot: u64, round: u64, bytes: usize) -> Record {
    let tag = slot * 1000 + round;
    Record::Chosen { slot: Slot(slot), ballot: ballot(round), entry: entry(tag, bytes) }
}

pub(crate) fn members() -> Record {
    let member = |id| Member { replica: ReplicaId(id), disk: DiskId([id as u8; 16]) };
    let members = Membership::new(vec![member(1), member(2), member(3)]);
    Record::Members { members: members.expect("each is named once") }
}

/// Appends the next record, with its chosen mark.
pub(crate) fn append_at(wal: &mut Wal, record: &Record, chosen: Slot) {
    wal.append(wal.status().last.next(), record, chosen).expect("appends");
}

/// Syncs everything that was appended.
pub(crate) fn sync_now(wal: &mut Wal) {
    let sync = wal.start_sync().expect("starts").expect("something to sync");
    wal.finish(sync.run()).expect("syncs");
}

/// Every record that was appended, with its chosen mark, and which of them must not be lost.
#[derive(Clone, Default)]
pub(crate) struct Model {
    pub(crate) records: Vec<(Record, Slot)>,
    pub(crate) durable: Lsn,
    round: u64,
    slot: u64,
    chosen: u64,
    /// What a start has shown once stays, even where a crash took the record: the superblock may
    /// know more than the log.
    known: Option<(Ballot, Option<Membership>, bool)>,
}

impl Model {
    pub(crate) fn last(&self) -> Lsn {
        Lsn(self.records.len() as u64)
    }

    /// A next record, as a replica could write it.
    pub(crate) fn invent(&mut self, random: &mut Rand64, bytes_max: u64) -> (Lsn, Record, Slot) {
        let bytes = if random.rand_range(0..8) == 0 {
            random.rand_range(0..bytes_max)
        } else {
            random.rand_range(0..200)
        };
        let bytes = bytes as usize;
        let record = match random.rand_range(0..16) {
            0 => {
                self.round += 1;
                Record::Promised { ballot: ballot(self.round) }
            }
            1 if !self.records.iter().any(|(record, _)| *record == members()) => members(),
            2 => Record::Formed,
            3 => {
                // Learned ahead of the prefix.
                let slot = self.chosen + random.rand_range(0..8);
                self.slot = self.slot.max(slot + 1);
                chosen(slot, self.round, bytes)
            }
            4..=6 if self.slot > self.chosen => {
                let slot = self.chosen + random.rand_range(0..self.slot - self.chosen);
                self.round += random.rand_range(0..2);
                accepted(slot, self.round, bytes)
            }
            _ if self.slot - self.chosen < ALPHA => {
                self.slot += 1;
                accepted(self.slot - 1, self.round, bytes)
            }
            _ => Record::Promised { ballot: ballot(self.round) },
        };
        if random.rand_range(0..4) == 0 && self.slot > self.chosen {
            // The slots that the mark passes are held: each has a record in the log.
            self.chosen += random.rand_range(0..self.slot - self.chosen + 1);
            let held = |slot: &u64| self.records.iter().any(|(record, _)| of(record, Slot(*slot)));
            let new = match &record {
                Record::Accepted { slot, .. } | Record::Chosen { slot, .. } => Some(slot.0),
                Record::Promised { .. } | Record::Members { .. } | Record::Formed => None,
            };
            let mark = self.records.last().map_or(0, |(_, chosen)| chosen.0);
            self.chosen = (mark..self.chosen)
                .find(|slot| !held(slot) && new != Some(*slot))
                .unwrap_or(self.chosen);
        }
        let mark = Slot(self.chosen);
        self.records.push((record.clone(), mark));
        (self.last(), record, mark)
    }

    /// Takes back the last record: it could not be appended.
    pub(crate) fn take_back(&mut self) {
        self.records.pop();
        self.forget();
    }

    fn forget(&mut self) {
        self.chosen = self.records.last().map_or(0, |(_, chosen)| chosen.0);
        let slots = self.records.iter().filter_map(|(record, _)| match record {
            Record::Accepted { slot, .. } | Record::Chosen { slot, .. } => Some(slot.0 + 1),
            Record::Promised { .. } | Record::Members { .. } | Record::Formed => None,
        });
        self.slot = slots.max().unwrap_or(0).max(self.chosen);
    }

    pub(crate) fn push(&mut self, record: Record, chosen: Slot) -> Lsn {
        self.records.push((record, chosen));
        self.last()
    }

    /// Whether what was recovered is the log up to a record that may be its last one after a
    /// crash: nothing durable is missing, nothing was made up, and every entry can be read.
    ///
    /// Panics with what differs. Forgets what the crash has taken.
    pub(crate) fn check(&mut self, wal: &Wal, recovered: &Recovered) {
        self.check_recovered(recovered, false);
        self.check_located(wal);
    }

    /// The same without reading entries; with `rot`, records may be named as lost.
    pub(crate) fn check_recovered(&mut self, recovered: &Recovered, rot: bool) {
        assert!(recovered.last >= self.durable, "{} of {}", recovered.last, self.durable);
        assert!(recovered.last <= self.last(), "{} of {}", recovered.last, self.last());
        let most = fold(&self.records);
        let (promised, members, formed) = self.known.take().unwrap_or_default();
        assert!(recovered.promised >= promised, "a promise was forgotten");
        assert!(recovered.promised <= promised.max(most.promised()), "a promise was made up");
        assert!(recovered.formed || !formed);
        assert!(!recovered.formed || formed || most.formed());
        assert!(recovered.members == members || recovered.members.as_ref() == most.members());
        self.records.truncate(recovered.last.0 as usize);
        self.durable = recovered.last;
        self.forget();
        let expected = fold(&self.records).finish(recovered.cluster, recovered.me);
        assert!(recovered.promised >= expected.promised, "a promise was forgotten");
        assert!(recovered.formed || !expected.formed);
        assert!(recovered.members == expected.members || expected.members.is_none());
        let known = (recovered.promised, recovered.members.clone(), recovered.formed);
        if rot {
            self.check_rotten(&expected, recovered);
        } else {
            let (promised, members, formed) = known.clone();
            assert_eq!(Recovered { promised, members, formed, ..expected }, *recovered);
        }
        self.known = Some(known);
    }

    /// With rot, every entry is either what it was or named as lost.
    fn check_rotten(&self, expected: &Recovered, recovered: &Recovered) {
        assert_eq!(expected.chosen, recovered.chosen);
        let faulty = |slot: &Slot| recovered.faulty.iter().find(|run| run.slots.contains(*slot));
        for (slot, ballot, entry) in &expected.accepted {
            match faulty(slot) {
                Some(run) => assert!(run.ballot >= *ballot, "faulty below what was accepted"),
                None if recovered.learned.iter().any(|learned| learned.0 == *slot) => {}
                None => assert!(recovered.accepted.contains(&(*slot, *ballot, entry.clone()))),
            }
        }
        for learned in &expected.learned {
            // Accepted again later than it was learned, the slot is known again.
            let again = recovered.accepted.iter().any(|accepted| accepted.0 == learned.0);
            assert!(recovered.learned.contains(learned) || faulty(&learned.0).is_some() || again);
        }
        let held = |slot| recovered.runs.iter().find(|run| run.slots.contains(slot));
        for run in &expected.runs {
            for slot in run.slots.iter() {
                let hole = recovered.holes.iter().any(|holes| holes.contains(slot));
                assert!(hole || held(slot).is_some_and(|held| held.ballot == run.ballot));
            }
        }
    }

    fn check_located(&self, wal: &Wal) {
        for slot in (0..self.slot + 2).map(Slot) {
            let stored = stored(&self.records, slot);
            match (wal.locate(slot), stored) {
                (Some(located), Some((ballot, entry))) => {
                    assert_eq!(located.read().expect("readable"), (ballot, entry));
                }
                (None, None) => {}
                (located, stored) => panic!("{slot}: {} {stored:?}", located.is_some()),
            }
        }
    }
}

/// What the log is to give for a slot.
pub(crate) fn stored(records: &[(Record, Slot)], slot: Slot) -> Option<(Ballot, Entry)> {
    let mut found: Option<(bool, Ballot, Entry)> = None;
    for (record, _) in records.iter().filter(|(record, _)| of(record, slot)) {
        match record {
            Record::Accepted { ballot, entry, .. } => match &found {
                Some((true, ..)) => {}
                _ => found = Some((false, *ballot, entry.clone())),
            },
            Record::Chosen { ballot, entry, .. } => found = Some((true, *ballot, entry.clone())),
            Record::Promised { .. } | Record::Members { .. } | Record::Formed => {}
        }
    }
    found.map(|(_, ballot, entry)| (ballot, entry))
}

fn of(record: &Record, at: Slot) -> bool {
    matches!(record, Record::Accepted { slot, .. } | Record::Chosen { slot, .. } if *slot == at)
}

pub(crate) fn fold(records: &[(Record, Slot)]) -> Replay {
    let mut replay = Replay::default();
    for (i, (record, chosen)) in records.iter().enumerate() {
        replay.apply(Lsn(i as u64 + 1), record.clone(), *chosen);
    }
    replay
}

/// Appends, syncs, and tells the model what became durable.
pub(crate) fn sync(wal: &mut Wal, model: &mut Model) -> Result<(), WalError> {
    if let Some(sync) = wal.start_sync()? {
        model.durable = wal.finish(sync.run())?;
    }
    Ok(())
}
