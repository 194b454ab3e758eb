//! The log on the simulated disk, in memory: a record appended and synced.

use std::hint::black_box;

use synod::ballot::Ballot;
use synod::entry::{BatchBuilder, CommandId, Entry};
use synod::membership::{ClusterId, Incarnation, ReplicaId};
use synod::record::{Lsn, Record};
use synod::slot::Slot;
use synod::wal::{HeapMedium, Wal, WalOptions};

const ME: ReplicaId = ReplicaId(1);
const COMMAND: [u8; 64] = [7; 64];

/// Appends records of so many commands, each synced before the next.
pub(super) fn run(commands: u64, turns: u64) {
    let cluster = ClusterId::named("counted").expect("a name of 7 bytes");
    let disk = HeapMedium::new(1);
    let open = || {
        let medium = Box::new(disk.clone());
        Wal::open(medium, cluster, ME, WalOptions::default()).expect("a sound disk")
    };
    let mut wal = open().0;
    let ballot = Ballot { round: 1, replica: ME };
    let entry = entry(commands);
    for number in 0..turns {
        let slot = Slot(number);
        let record = Record::Accepted { slot, ballot, entry: black_box(&entry).clone() };
        wal.append(Lsn(number + 1), &record, slot).expect("a disk with room");
        let sync = wal.start_sync().expect("a sound log").expect("something to sync");
        let durable = wal.finish(sync.run()).expect("a sound disk");
        assert!(durable == Lsn(number + 1), "{durable:?} after record {number}");
    }
    let last = wal.locate(Slot(turns - 1)).expect("it was appended");
    assert!(
        last.read().expect("a sound disk") == (ballot, entry),
        "the log holds what it was given"
    );
}

fn entry(commands: u64) -> Entry {
    let mut batch = BatchBuilder::default();
    for sequence in 0..commands {
        batch.push(CommandId { replica: ME, incarnation: Incarnation(1), sequence }, &COMMAND);
    }
    Entry::Batch(batch.build().expect("it holds commands"))
}
