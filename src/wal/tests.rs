//! The log as its driver sees it, over the simulated disk.

use std::boxed::Box;
use std::vec;
use std::vec::Vec;

use crate::ballot::Ballot;
use crate::entry::{BatchBuilder, CommandId, Entry};
use crate::membership::{ClusterId, Incarnation, ReplicaId};
use crate::record::{Lsn, Record, Recovered};
use crate::slot::Slot;
use crate::wal::*;

pub(super) const CLUSTER: ClusterId = ClusterId(*b"test\0\0\0\0\0\0\0\0\0\0\0\0");
pub(super) const ME: ReplicaId = ReplicaId(2);
pub(super) const OPTIONS: WalOptions =
    WalOptions { segment_bytes: 32 << 10, entry_bytes_max: 12 << 10 };

pub(super) fn ballot(round: u64) -> Ballot {
    Ballot { round, replica: ReplicaId(1) }
}

pub(super) fn entry(tag: u64, bytes: usize) -> Entry {
    let mut builder = BatchBuilder::default();
    let id = CommandId { replica: ME, incarnation: Incarnation(1), sequence: tag };
    builder.push(id, &vec![tag as u8; bytes]);
    Entry::Batch(builder.build().unwrap())
}

pub(super) fn accepted(slot: u64, round: u64, bytes: usize) -> Record {
    Record::Accepted { slot: Slot(slot), ballot: ballot(round), entry: entry(slot + round, bytes) }
}

pub(super) fn open(disk: &HeapMedium) -> Result<(Wal, Recovered), WalError> {
    Wal::open(Box::new(disk.clone()), CLUSTER, ME, OPTIONS)
}

pub(super) fn sync(wal: &mut Wal) -> Lsn {
    let sync = wal.start_sync().unwrap().unwrap();
    wal.finish(sync.run()).unwrap()
}

#[test]
fn what_was_synced_is_there_after_a_crash() {
    let disk = HeapMedium::new(1);
    let (mut wal, first) = open(&disk).unwrap();
    assert_eq!(first.me.incarnation.count(), 1);
    assert_eq!(first.last, Lsn::ZERO);
    let mut all: Vec<_> = Vec::new();
    for lsn in 1..200 {
        let record = accepted(lsn / 2, lsn, 500);
        wal.append(Lsn(lsn), &record, Slot(0)).unwrap();
        all.push(record);
        if lsn % 3 == 0 {
            sync(&mut wal);
        }
    }
    assert!(wal.status().segments > 3);
    let durable = wal.status().durable;
    assert_eq!(durable, Lsn(198));
    drop(wal);
    disk.crash(5);
    let (wal, second) = open(&disk).unwrap();
    assert_eq!(second.last, Lsn(198));
    assert_eq!(second.me.incarnation.count(), 2);
    assert_eq!(second.me.disk, first.me.disk);
    assert_eq!(second.promised, ballot(198));
    assert_eq!(second.accepted.len(), 99 + 1);
    for (slot, ballot, entry) in &second.accepted {
        assert_eq!(wal.locate(*slot).unwrap().read().unwrap(), (*ballot, entry.clone()));
    }
}
