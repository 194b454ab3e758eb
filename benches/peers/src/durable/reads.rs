//! Linearizable reads of synod at its leader: alone, and beside as many of its own writes; and the
//! proof that reads leave the log alone.
//!
//! One thread keeps reads in flight, another one writes. `reads` and `writes` are those that ran
//! side by side, `reads-alone` and `writes-alone` had the cluster to themselves. A read gives the
//! number of commands that the state machine has applied.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use hdrhistogram::Histogram;
use synod::{Consistency, Handle, Ticket};

use super::drive::{Run, cpu_nanos, histogram, micros};
use super::synod::{Nodes, Seen, Settings};
use super::table::{Cell, Table};
use super::{ACCESSES, Length, Options, Setup, Situation, place};

pub(crate) fn measure(options: &Options, table: &mut Table) -> Result<()> {
    let Length::Time(time) = options.length() else {
        bail!("reads are measured for --seconds, not for --commands");
    };
    options.rounds(|_, situation| one(options, table, situation, time))
}

fn one(
    options: &Options,
    table: &mut Table,
    (replicas, in_flight, value_bytes): Situation,
    time: Duration,
) -> Result<()> {
    for (access, name) in ACCESSES {
        let place = place::for_run(&options.directory)?;
        let setup = Setup { directory: place.path(), replicas, in_flight, value_bytes };
        let settings = Settings::new(access, in_flight, value_bytes);
        let nodes = Nodes::start(place.path(), replicas, settings)?;
        let leader = &nodes.handles[nodes.leader()?];
        let mut note = |what: &str, run: &Run| {
            let peer = format!("{name}-{what}");
            let cell = Cell { peer: &peer, replicas, in_flight, value_bytes };
            table.add(cell, "operations_per_second", run.commands, run.commands_per_second());
            table.add(cell, "p50_micros", run.commands, run.p50_micros);
            table.add(cell, "p99_micros", run.commands, run.p99_micros);
        };
        let (writes, mut written) = write(&setup, leader, 0, &AtomicBool::new(true), time)?;
        note("writes-alone", &writes);
        let records = records(&nodes);
        let reads = read(&setup, leader, time)?;
        note("reads-alone", &reads);
        ensure!(records == self::records(&nodes), "{} reads went through a log", reads.commands);
        let go_on = AtomicBool::new(true);
        let (reads, writes) = thread::scope(|scope| {
            let writer = scope.spawn(|| write(&setup, leader, written, &go_on, 4 * time));
            let reads = read(&setup, leader, time);
            go_on.store(false, Ordering::Relaxed);
            (reads, writer.join())
        });
        let writes = writes.ok().context("the writing thread panicked")??;
        written = writes.1;
        note("reads", &reads?);
        note("writes", &writes.0);
        super::check(&setup, &nodes.stop()?, written)?;
    }
    Ok(())
}

/// How many records each replica's log has.
fn records(nodes: &Nodes) -> Vec<u64> {
    nodes.handles.iter().map(|node| node.status().log.records).collect()
}

/// Writes on while it may; gives how it went, and how many commands there are then in all.
fn write(
    setup: &Setup<'_>,
    leader: &Handle<Seen>,
    written: u64,
    go_on: &AtomicBool,
    time: Duration,
) -> Result<(Run, u64)> {
    let mut workload = setup.workload();
    let mut next = written;
    let ask = |_: &Handle<Seen>| {
        next += 1;
        leader.propose(workload.command(next - 1))
    };
    let begin = Instant::now();
    let going_on = || go_on.load(Ordering::Relaxed) && begin.elapsed() < time;
    let run = keep_in_flight(setup.in_flight, leader, ask, going_on)?;
    Ok((run, next))
}

fn read(setup: &Setup<'_>, leader: &Handle<Seen>, time: Duration) -> Result<Run> {
    let ask = |node: &Handle<Seen>| node.read(Consistency::Linearizable, |seen| seen.0.count);
    let begin = Instant::now();
    keep_in_flight(setup.in_flight, leader, ask, || begin.elapsed() < time)
}

/// Keeps that many tickets in flight: waits for the oldest, takes along all that are settled by
/// then, and asks as many again.
fn keep_in_flight<T>(
    in_flight: usize,
    node: &Handle<Seen>,
    mut ask: impl FnMut(&Handle<Seen>) -> Ticket<T>,
    going_on: impl Fn() -> bool,
) -> Result<Run> {
    let mut latencies: Histogram<u64> = histogram()?;
    let (begin, cpu) = (Instant::now(), cpu_nanos());
    let mut tickets = VecDeque::new();
    let (mut missing, mut commands) = (in_flight, 0);
    loop {
        let now = Instant::now();
        if going_on() {
            tickets.extend((0..missing).map(|_| (now, ask(node))));
        }
        let Some((since, ticket)) = tickets.pop_front() else { break };
        ticket.wait()?;
        let now = Instant::now();
        latencies.record(u64::try_from(now.duration_since(since).as_nanos())?)?;
        missing = 1;
        while tickets.front().is_some_and(|(_, ticket)| ticket.is_done()) {
            let Some((since, ticket)) = tickets.pop_front() else { break };
            ticket.wait()?;
            latencies.record(u64::try_from(now.duration_since(since).as_nanos())?)?;
            missing += 1;
        }
        commands += missing as u64;
    }
    Ok(Run {
        commands,
        seconds: begin.elapsed().as_secs_f64(),
        p50_micros: micros(&latencies, 0.5),
        p99_micros: micros(&latencies, 0.99),
        cpu_nanos: cpu_nanos() - cpu,
    })
}
