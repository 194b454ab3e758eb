//! How near the log of synod comes to what the disk takes: bytes of commands per second and
//! replica, beside writers that overwrite zeroed files and sync every 4 MiB, all at once.
//!
//! `-prepared`: one segment of 1 GiB, made before the run, which fills less than a quarter of
//! it, so that the log only overwrites. `-fresh`: segments of the default length from an empty
//! directory, each made while the one before it fills.

use anyhow::Result;
use synod::wal::{FileAccess, WalOptions};

use super::drive::{Cluster, Length, Run, drive};
use super::synod::{Settings, start_with};
use super::table::{Cell, Table};
use super::{ACCESSES, Options, Setup, Situation, floor, place};

/// What a prepared segment holds.
const PREPARED_BYTES: u32 = 1 << 30;

/// How many bytes of commands a run takes: below a quarter of a prepared segment with all that a
/// log adds, so that no second one is made.
const RUN_BYTES: u64 = 160 << 20;

pub(crate) fn measure(options: &Options, table: &mut Table) -> Result<()> {
    options.rounds(|_, situation| one(options, table, situation))
}

fn one(
    options: &Options,
    table: &mut Table,
    (replicas, in_flight, value_bytes): Situation,
) -> Result<()> {
    let floor = {
        let place = place::for_run(&options.directory)?;
        let directory = place.path();
        floor::bandwidth(&Setup { directory, replicas, in_flight, value_bytes })?
    };
    let cell = Cell { peer: "floor", replicas, in_flight, value_bytes };
    table.add(cell, "log_bytes_per_second", 0, floor);
    for (access, name) in ACCESSES {
        for (how, segment_bytes) in
            [("prepared", PREPARED_BYTES), ("fresh", WalOptions::default().segment_bytes)]
        {
            let place = place::for_run(&options.directory)?;
            let setup = Setup { directory: place.path(), replicas, in_flight, value_bytes };
            let run = synod(&setup, access, segment_bytes)?;
            let peer = format!("{name}-{how}");
            let cell = Cell { peer: &peer, ..cell };
            let bytes = run.commands_per_second() * value_bytes as f64;
            table.add(cell, "log_bytes_per_second", run.commands, bytes);
            table.add(cell, "share_of_bandwidth", run.commands, bytes / floor);
            table.add(cell, "p99_micros", run.commands, run.p99_micros);
        }
    }
    Ok(())
}

fn synod(setup: &Setup<'_>, access: FileAccess, segment_bytes: u32) -> Result<Run> {
    let mut settings = Settings::new(access, setup.in_flight, setup.value_bytes);
    settings.wal.segment_bytes = segment_bytes;
    let mut cluster: Box<dyn Cluster> = start_with(setup, settings)?;
    let commands = (RUN_BYTES / setup.value_bytes as u64).max(1);
    let (run, commands) =
        drive(cluster.as_mut(), setup.in_flight as u64, Length::Commands(commands))?;
    super::check(setup, &cluster.stop(commands)?, commands)?;
    Ok(run)
}
