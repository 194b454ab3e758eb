//! Logs to be damaged: the golden one, and others that are written once.

use std::sync::OnceLock;

use oorandom::Rand64;
use synod::record::Record;
use synod::slot::Slot;
use synod::wal::HeapMedium;

use super::model::{self, Model, accepted, ballot, chosen, members};

/// A disk, and every record that was ever written to it.
pub struct Kept {
    /// The disk.
    pub disk: HeapMedium,
    /// The records, with their chosen marks.
    pub records: Vec<(Record, Slot)>,
}

/// All logs; each is copied before it is damaged.
pub fn logs() -> &'static [Kept] {
    static LOGS: OnceLock<Vec<Kept>> = OnceLock::new();
    LOGS.get_or_init(|| {
        let empty = Kept { disk: HeapMedium::new(1), records: Vec::new() };
        vec![golden(), three_groups(false), three_groups(true), many_starts(), empty]
    })
}

/// The log in `tests/golden/log`, and what `tests/log_golden.rs` writes there.
fn golden() -> Kept {
    let disk = HeapMedium::new(99);
    disk.put_file("superblock", include_bytes!("../../tests/golden/log/v1/superblock"));
    let first = include_bytes!("../../tests/golden/log/v1/0000000000000001.log");
    disk.put_file("0000000000000001.log", first);
    let second = include_bytes!("../../tests/golden/log/v1/0000000000000002.log");
    disk.put_file("0000000000000002.log", second);
    let records = vec![
        (members(), 0),
        (Record::Formed, 0),
        (Record::Promised { ballot: ballot(3) }, 0),
        (accepted(0, 3, 40), 0),
        (accepted(1, 3, 700), 0),
        (accepted(2, 3, 5), 1),
        (chosen(4, 3, 30), 1),
        (accepted(3, 4, 64), 2),
        (accepted(5, 4, 300), 2),
        (accepted(6, 5, 90), 3),
    ];
    Kept { disk, records: records.into_iter().map(|(record, mark)| (record, Slot(mark))).collect() }
}

/// Three groups of one acceptance each; the last was only handed to the system if it is `torn`.
fn three_groups(torn: bool) -> Kept {
    let (disk, mut model) = (HeapMedium::new(3), Model::default());
    let (mut wal, _) = model::open(&disk).expect("an empty disk opens");
    for slot in 0..3 {
        let record = accepted(slot, 1, 600);
        let lsn = model.push(record.clone(), Slot(0));
        wal.append(lsn, &record, Slot(0)).expect("there is room");
        let sync = wal.start_sync().expect("nothing fails");
        let mut sync = sync.expect("there is something to sync");
        sync.write();
        if slot < 2 || !torn {
            wal.finish(sync.run()).expect("nothing fails");
        }
    }
    drop(wal);
    disk.kill();
    Kept { disk, records: model.records }
}

/// Four starts, several segments, every kind of record.
fn many_starts() -> Kept {
    let (disk, mut model) = (HeapMedium::new(4), Model::default());
    let mut random = Rand64::new(12);
    for start in 0..4 {
        let (mut wal, recovered) = model::open(&disk).expect("what was written opens");
        model.check(&wal, &recovered);
        for step in 0..25 {
            let (lsn, record, mark) = model.invent(&mut random, 4000);
            wal.append(lsn, &record, mark).expect("there is room");
            if step % 4 == 0 {
                model::sync(&mut wal, &mut model).expect("nothing fails");
            }
        }
        if start == 1 {
            model.durable = wal.close().expect("nothing fails");
        }
    }
    disk.kill();
    Kept { disk, records: model.records }
}
