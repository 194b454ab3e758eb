//! The log on a disk: records appended and synced together, by how many and how long they are, with
//! mapped segments and with plain writes. Beside them the floor: the same bytes by one bare write
//! and fdatasync, into a file whose blocks are all written before. The log's time over the floor's
//! is what the log costs. An iteration is one sync: one over its time is syncs for each second.
//!
//! The directory is where the system keeps what is temporary: `TMPDIR` chooses the disk.
//!
//! ```text
//! TMPDIR=/mnt/disk cargo bench --bench log
//! ```
#![allow(clippy::unwrap_used, reason = "a benchmark fails by panicking")]

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::time::Duration;

use criterion::measurement::{Measurement, WallTime};
use criterion::{BenchmarkGroup, Criterion, Throughput, criterion_group, criterion_main};
use synod::ballot::Ballot;
use synod::entry::{BatchBuilder, CommandId, Entry};
use synod::membership::{ClusterId, Incarnation, ReplicaId};
use synod::record::Record;
use synod::slot::Slot;
use synod::wal::{DirectoryOptions, FileAccess, Wal, WalOptions};
use tempfile::TempDir;

const ME: ReplicaId = ReplicaId(1);

/// Records of one sync, and the length of the command in each, in bytes.
const BATCHES: [(u64, usize); 4] = [(1, 64), (64, 64), (1024, 64), (16, 64 << 10)];

/// A log that is longer is dropped for a new one, between two measured syncs.
const LOG_BYTES_MAX: u64 = 256 << 20;

/// The floor's file: as long as two segments of the log, written round and round.
const FLOOR_BYTES: u64 = 32 << 20;

fn record(slot: u64, command_bytes: usize) -> Record {
    let mut batch = BatchBuilder::default();
    let id = CommandId { replica: ME, incarnation: Incarnation(1), sequence: slot };
    batch.push(id, &vec![7; command_bytes]);
    let entry = batch.build().map_or(Entry::Noop, Entry::Batch);
    Record::Accepted { slot: Slot(slot), ballot: Ballot { round: 1, replica: ME }, entry }
}

/// A log, and what is appended next.
struct Log {
    wal: Wal,
    slot: u64,
    _directory: TempDir,
}

impl Log {
    fn new(access: FileAccess) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let cluster = ClusterId::named("bench").unwrap();
        let options = DirectoryOptions { access: Some(access), wal: WalOptions::default() };
        let opened = Wal::open_directory_with(directory.path(), cluster, ME, options);
        Self { wal: opened.unwrap().0, slot: 0, _directory: directory }
    }

    fn records(&mut self, count: u64, command_bytes: usize) -> Vec<Record> {
        let first = self.slot;
        self.slot += count;
        (first..self.slot).map(|slot| record(slot, command_bytes)).collect()
    }

    /// Appends the records and waits for the disk. Returns how many bytes it took.
    fn sync(&mut self, records: &[Record]) -> usize {
        for record in records {
            let lsn = self.wal.status().last.next();
            self.wal.append(lsn, record, Slot(0)).unwrap();
        }
        let sync = self.wal.start_sync().unwrap().unwrap();
        let bytes = sync.bytes();
        self.wal.finish(sync.run()).unwrap();
        bytes
    }

    /// Makes the next segment, as a driver does beside the core. Not measured.
    fn prepare(&mut self, access: FileAccess) {
        if let Some(preparation) = self.wal.prepare() {
            preparation.run();
        }
        if self.wal.status().bytes > LOG_BYTES_MAX {
            *self = Self::new(access);
        }
    }
}

fn name(count: u64, command_bytes: usize) -> String {
    format!("{count} of {command_bytes} bytes")
}

fn logs(group: &mut BenchmarkGroup<'_, WallTime>, count: u64, command_bytes: usize) {
    for (name_of_access, access) in [("mapped", FileAccess::Mapped), ("pwrite", FileAccess::Pwrite)]
    {
        let id = format!("{name_of_access}/{}", name(count, command_bytes));
        group.bench_function(id, |bencher| {
            let mut log = Log::new(access);
            bencher.iter_custom(|iterations| {
                let mut spent = Duration::ZERO;
                for _ in 0..iterations {
                    let records = log.records(count, command_bytes);
                    let begun = WallTime.start();
                    log.sync(&records);
                    spent += WallTime.end(begun);
                    log.prepare(access);
                }
                spent
            });
        });
    }
}

/// A file whose blocks are written and durable: nothing but the data changes afterwards.
fn floor_file() -> File {
    let file = tempfile::tempfile().unwrap();
    let zeros = vec![0; 64 << 10];
    for at in (0..FLOOR_BYTES).step_by(zeros.len()) {
        file.write_all_at(&zeros, at).unwrap();
    }
    file.sync_all().unwrap();
    file
}

fn floor(group: &mut BenchmarkGroup<'_, WallTime>, bytes: usize, name: &str) {
    group.bench_function(format!("floor/{name}"), |bencher| {
        let (file, data, mut at) = (floor_file(), vec![7; bytes], 0);
        bencher.iter(|| {
            if at + bytes as u64 > FLOOR_BYTES {
                at = 0;
            }
            file.write_all_at(&data, at).unwrap();
            file.sync_data().unwrap();
            at += bytes as u64;
        });
    });
}

fn syncs(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("log");
    group.sample_size(10);
    for (count, command_bytes) in BATCHES {
        let mut log = Log::new(FileAccess::Pwrite);
        let records = log.records(count, command_bytes);
        let bytes = log.sync(&records);
        group.throughput(Throughput::Bytes(bytes as u64));
        floor(&mut group, bytes, &name(count, command_bytes));
        logs(&mut group, count, command_bytes);
    }
    group.finish();
}

criterion_group!(benches, syncs);
criterion_main!(benches);
