//! Commands per second, latencies from the proposal to the application at the proposer's replica,
//! and processor time, of every peer in every situation, in turn.

use anyhow::{Context as _, Result, anyhow};

use super::drive::{Run, drive};
use super::table::{Cell, Table};
use super::{Options, Peer, Setup, Situation, floor, place};
use crate::check::Applied;
use crate::failures::Failures;

/// A run that something outside disturbed (a stall of the disk beyond an election timeout changes
/// the leader) is done again, this often at the most, and said so. What the replicas of a run that
/// ended applied is judged once: what is wrong there is wrong.
const TRIES: usize = 3;

pub(crate) fn measure(options: &Options, table: &mut Table) -> Result<()> {
    let mut failures = Failures::default();
    options.rounds(|round, situation| {
        for peer in options.turn(round) {
            let name = peer.name();
            if failures.has(&name) {
                continue;
            }
            if let Err(failure) = one(options, table, peer, situation) {
                failures.note(&name, format!("{failure:#}"));
            }
        }
        Ok(())
    })?;
    failures.done().map_err(|failure| anyhow!(failure))
}

fn one(
    options: &Options,
    table: &mut Table,
    peer: Peer,
    (replicas, in_flight, value_bytes): Situation,
) -> Result<()> {
    let name = peer.name();
    let cell = Cell { peer: &name, replicas, in_flight, value_bytes };
    let mut tries = 0;
    let run = loop {
        tries += 1;
        let place = place::for_run(&options.directory)?;
        let setup = Setup { directory: place.path(), replicas, in_flight, value_bytes };
        let run = if peer == Peer::Floor {
            floor::measure(&setup, options.length()).map(|floor| {
                table.add(cell, "all_p50_micros", floor.run.commands, floor.all_p50_micros);
                (floor.run, None)
            })
        } else {
            cluster(options, peer, &setup).map(|(run, seen)| (run, Some(seen)))
        };
        match run.with_context(|| format!("{name}, {in_flight} in flight")) {
            Ok((run, seen)) => {
                if let Some((applied, commands)) = seen {
                    super::check(&setup, &applied, commands)?;
                }
                break run;
            }
            Err(failure) if tries < TRIES => eprintln!("again, for it failed: {failure:#}"),
            Err(failure) => return Err(failure),
        }
    };
    table.add(cell, "commands_per_second", run.commands, run.commands_per_second());
    table.add(cell, "p50_micros", run.commands, run.p50_micros);
    table.add(cell, "p99_micros", run.commands, run.p99_micros);
    table.add(cell, "cpu_nanos_per_command", run.commands, run.cpu_nanos_per_command());
    Ok(())
}

/// A run of a peer with replicas; what each of them applied, and how many commands there were.
fn cluster(options: &Options, peer: Peer, setup: &Setup<'_>) -> Result<(Run, (Vec<Applied>, u64))> {
    let mut cluster = peer.start(setup)?;
    let (run, commands) = drive(cluster.as_mut(), setup.in_flight as u64, options.length())?;
    Ok((run, (cluster.stop(commands)?, commands)))
}
