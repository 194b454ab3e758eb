//! How fast synod opens a log, out of a warm page cache.
//!
//! The log has batches of commands, 64 KiB each, accepted and synced every 4 MiB, and was closed.
//! Opening it reads and checks every record twice, and begins a new segment of 16 MiB, as every
//! start does; nothing is applied.

use std::path::Path;
use std::time::Instant;

use anyhow::{Context as _, Result, ensure};
use synod::ballot::Ballot;
use synod::entry::{BatchBuilder, CommandId, Entry};
use synod::membership::{ClusterId, Incarnation, ReplicaId};
use synod::record::{Lsn, Record};
use synod::slot::Slot;
use synod::wal::Wal;

use super::table::{Cell, Table};
use super::{Options, SEED, place};
use crate::workload::Workload;

const ME: ReplicaId = ReplicaId(1);

/// How long an entry is, about.
const ENTRY_BYTES: usize = 64 << 10;

/// How many entries one sync serves.
const ENTRIES_A_SYNC: u64 = 64;

pub(crate) fn measure(options: &Options, table: &mut Table) -> Result<()> {
    let place = place::for_run(&options.directory)?;
    let directory = place::of_replica(place.path(), ME.0.into());
    for &value_bytes in &options.value_bytes {
        let directory = directory.join(value_bytes.to_string());
        let entries = write(&directory, value_bytes, options.log_mebibytes as u64 * 1024 / 64)?;
        for round in 1..=options.runs {
            let begin = Instant::now();
            let (log, recovered) = open(&directory)?;
            let seconds = begin.elapsed().as_secs_f64();
            ensure!(
                recovered.last == Lsn(entries) && log.status().lost == 0,
                "the log had {entries} records, not {:?}",
                recovered.last
            );
            // What was there, without the segment that this start has begun.
            let bytes = log.status().bytes - (16 << 20);
            let cell = Cell { peer: "synod", replicas: 1, in_flight: 0, value_bytes };
            table.add(cell, "opened_bytes_per_second", entries, bytes as f64 / seconds);
            table.add(cell, "opening_millis", entries, seconds * 1000.0);
            log.close()?;
            eprintln!("round {round} of {}", options.runs);
        }
    }
    Ok(())
}

fn open(directory: &Path) -> Result<(Wal, synod::record::Recovered)> {
    Ok(Wal::open_directory(directory, ClusterId::named("peers")?, ME)?)
}

/// Writes a log of that many entries; gives how many records it has.
fn write(directory: &Path, value_bytes: usize, entries: u64) -> Result<u64> {
    let (mut log, _) = open(directory)?;
    let mut workload = Workload::new(SEED, value_bytes);
    let mut batch = BatchBuilder::default();
    let ballot = Ballot { round: 1, replica: ME };
    for number in 0..entries {
        while batch.is_empty() || batch.len_with(value_bytes) <= ENTRY_BYTES {
            let (sequence, command) = workload.next();
            batch.push(CommandId { replica: ME, incarnation: Incarnation(1), sequence }, command);
        }
        let entry = Entry::Batch(batch.build().context("a batch has commands")?);
        let record = Record::Accepted { slot: Slot(number), ballot, entry };
        log.append(Lsn(number + 1), &record, Slot(number))?;
        if (number + 1) % ENTRIES_A_SYNC == 0 {
            let sync = log.start_sync()?.context("there is something to sync")?;
            log.finish(sync.run())?;
        }
    }
    log.close()?;
    Ok(entries)
}
