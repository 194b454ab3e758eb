//! What the disk lets nobody beat: three writers, each with a file, that sync at once.
//!
//! Settings: a thread and a zeroed, preallocated file for each replica. For each round every writer
//! writes all that is in flight as one record, without head or checksum, from the next sector on,
//! by one `pwrite`, and calls `fdatasync`. Nothing is sent, delivered or checked but an empty
//! message through a crossbeam channel there and back. The latency is until a majority of them has
//! synced, as for a choice; the next round begins when all have.

use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::thread::{self, JoinHandle};
use std::time::Instant;

use anyhow::{Context as _, Result};
use crossbeam_channel::{Receiver, Sender, unbounded};

use super::drive::{Length, Run, cpu_nanos, histogram, micros};
use super::{Setup, place};

const SECTOR: u64 = 512;

/// How long each file is, unless a record is longer.
const FILE_BYTES: u64 = 64 << 20;

/// A writer: told to write by the one channel, tells that it is done by the other.
struct Writer {
    begin: Sender<()>,
    thread: JoinHandle<Result<()>>,
}

/// What a round writes and how.
#[derive(Clone, Copy)]
struct Record {
    bytes: usize,
    file_bytes: u64,
    /// How many rounds go by without a sync: 0 unless only bandwidth counts.
    unsynced: u64,
}

fn start(run: &Path, name: u64, record: Record, done: Sender<()>) -> Result<Writer> {
    let file = place::zeroed_file(&place::of_replica(run, name), record.file_bytes)?;
    let (begin, rounds) = unbounded();
    let thread = thread::Builder::new()
        .name(format!("floor-{name}"))
        .spawn(move || write(&file, record, &rounds, &done))?;
    Ok(Writer { begin, thread })
}

fn write(file: &File, record: Record, rounds: &Receiver<()>, done: &Sender<()>) -> Result<()> {
    let bytes = vec![0x5a; record.bytes];
    let step = (record.bytes as u64).next_multiple_of(SECTOR);
    let mut at = 0;
    let mut unsynced = 0;
    while rounds.recv().is_ok() {
        if at + step > record.file_bytes {
            at = 0;
        }
        file.write_all_at(&bytes, at)?;
        at += step;
        if unsynced == record.unsynced {
            file.sync_data()?;
            unsynced = 0;
        } else {
            unsynced += 1;
        }
        if done.send(()).is_err() {
            break;
        }
    }
    Ok(())
}

/// A run of the floor, and how long the median round took until all had synced.
pub(crate) struct FloorRun {
    pub(crate) run: Run,
    pub(crate) all_p50_micros: f64,
}

/// Lets the writers write for as long as a run takes.
pub(crate) fn measure(setup: &Setup<'_>, length: Length) -> Result<FloorRun> {
    let bytes = setup.in_flight * setup.value_bytes;
    let file_bytes = FILE_BYTES.max((bytes as u64).next_multiple_of(SECTOR) * 2);
    let record = Record { bytes, file_bytes, unsynced: 0 };
    rounds(setup, record, length)
}

/// Overwrites 256 MiB per replica with a sync every 4 MiB; gives the bytes per second of one of
/// the writers, all of them at it.
pub(crate) fn bandwidth(setup: &Setup<'_>) -> Result<f64> {
    const TOTAL: u64 = 256 << 20;
    const CHUNK: u64 = 1 << 20;
    let record = Record { bytes: CHUNK as usize, file_bytes: TOTAL, unsynced: 3 };
    let setup = Setup { in_flight: 1, ..*setup };
    let run = rounds(&setup, record, Length::Commands(TOTAL / CHUNK))?.run;
    Ok((run.commands * CHUNK) as f64 / run.seconds)
}

fn rounds(setup: &Setup<'_>, record: Record, length: Length) -> Result<FloorRun> {
    let (done, ends) = unbounded();
    let writers = (1..=setup.replicas as u64)
        .map(|name| start(setup.directory, name, record, done.clone()))
        .collect::<Result<Vec<_>>>()?;
    drop(done);
    let (mut quorum, mut all) = (histogram()?, histogram()?);
    let (begin, cpu) = (Instant::now(), cpu_nanos());
    let mut commands = 0;
    while length.goes_on(begin, commands) {
        let round = Instant::now();
        for writer in &writers {
            writer.begin.send(()).context("a writer of the floor has failed")?;
        }
        for ended in 1..=writers.len() {
            ends.recv().context("the writers of the floor have failed")?;
            let nanos = u64::try_from(round.elapsed().as_nanos())?;
            if ended == writers.len() / 2 + 1 {
                quorum.record(nanos)?;
            }
            if ended == writers.len() {
                all.record(nanos)?;
            }
        }
        commands += setup.in_flight as u64;
    }
    let (seconds, cpu_nanos) = (begin.elapsed().as_secs_f64(), cpu_nanos() - cpu);
    for Writer { begin, thread } in writers {
        drop(begin);
        thread.join().ok().context("a writer of the floor panicked")??;
    }
    let (p50_micros, p99_micros) = (micros(&quorum, 0.5), micros(&quorum, 0.99));
    let run = Run { commands, seconds, p50_micros, p99_micros, cpu_nanos };
    Ok(FloorRun { run, all_p50_micros: micros(&all, 0.5) })
}
