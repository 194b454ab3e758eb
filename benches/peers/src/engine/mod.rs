//! Protocol engines: all replicas in one thread, memory only, no wire and no clock but the peer's.
//!
//! A window of commands is proposed at the leader, then messages are carried until every replica
//! has applied them all; what a peer needs for that (a heartbeat, a tick) is part of its cost. A
//! run is as many whole clusters, one after another, as it takes for a figure: the processor time
//! of the thread, over the commands. Each peer has the settings under which it was fastest, which
//! its file names; synod has its defaults. Every peer keeps its log in memory.

mod floor;
mod instructions;
mod omnipaxos;
mod openraft;
mod raft;
mod synod;

use std::hint::black_box;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, ValueEnum};
use rustix::time::{ClockId, clock_gettime};

use crate::check::{self, Applied};
use crate::failures::Failures;
use crate::results::{Measurement, Results};
use crate::summary;
use crate::workload::Workload;

/// After so many heartbeats without a word a peer is given up.
const TICKS_MAX: u32 = 10_000;

/// What to measure.
#[derive(Args)]
pub(crate) struct Options {
    /// The peers; all, if none is named.
    #[arg(long, value_delimiter = ',', value_name = "PEER")]
    peers: Vec<Peer>,
    /// How many replicas.
    #[arg(long, value_delimiter = ',', default_value = "3",
        value_parser = clap::value_parser!(u64).range(2..=9))]
    replicas: Vec<u64>,
    /// How many commands are proposed before messages are carried.
    #[arg(long, value_delimiter = ',', default_value = "1,16,256,4096",
        value_parser = clap::value_parser!(u64).range(1..=65_536))]
    windows: Vec<u64>,
    /// How long a command is, in bytes.
    #[arg(long, default_value_t = 64, value_parser = clap::value_parser!(u64).range(8..=1_048_576))]
    value_bytes: u64,
    /// How many commands a cluster gets, rounded up to whole windows; 20,000 in windows of 1, else
    /// 200,000. Several show the growth with the log.
    #[arg(long, visible_alias = "total", value_delimiter = ',',
        value_parser = clap::value_parser!(u64).range(1..=100_000_000))]
    commands: Vec<u64>,
    /// How many runs of each; the peers take turns.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u64).range(1..=1000))]
    runs: u64,
    /// A run repeats with new clusters until it took so much processor time.
    #[arg(long, default_value_t = 200)]
    least_millis: u64,
    /// Which commands.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Appends the raw results to this file.
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Counts instructions per command with valgrind instead, from logs of two lengths.
    #[arg(long)]
    instructions: bool,
    /// One cluster of each kind and no figures: for a program that counts from outside.
    #[arg(long, hide = true)]
    once: bool,
}

/// Who is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Peer {
    Floor,
    Synod,
    Omnipaxos,
    OmnipaxosBatched,
    Raft,
    RaftBatched,
    Openraft,
}

impl Peer {
    fn name(self) -> String {
        self.to_possible_value().map(|it| it.get_name().to_owned()).unwrap_or_default()
    }

    /// A new cluster, with a leader.
    fn cluster(self, case: &Case) -> Result<Box<dyn Engine>, String> {
        Ok(match self {
            Self::Floor => Box::new(floor::Cluster::new(case.replicas)),
            Self::Synod => Box::new(synod::Cluster::new(case.replicas)?),
            Self::Omnipaxos => Box::new(omnipaxos::Cluster::new(case.replicas, 1)?),
            Self::OmnipaxosBatched => {
                Box::new(omnipaxos::Cluster::new(case.replicas, case.window)?)
            }
            Self::Raft => Box::new(raft::Cluster::new(case.replicas, false)?),
            Self::RaftBatched => Box::new(raft::Cluster::new(case.replicas, true)?),
            Self::Openraft => Box::new(openraft::Cluster::new(case.replicas)?),
        })
    }
}

/// A cluster that has a leader.
trait Engine {
    /// Proposes so many commands at once, and ends when every replica has applied them.
    fn window(&mut self, workload: &mut Workload, window: u64) -> Result<(), String>;

    /// What each replica applied.
    fn applied(&self) -> Vec<Applied>;
}

/// One situation of one peer.
#[derive(Clone, Copy, Debug)]
struct Case {
    peer: Peer,
    replicas: u64,
    window: u64,
    commands: u64,
}

/// Measures.
///
/// # Errors
///
/// Says which peers failed; the others were measured.
pub(crate) fn run(options: &Options) -> Result<ExitCode, String> {
    let cases = cases(options);
    if options.once {
        for case in &cases {
            cluster(case, options)?;
        }
        return Ok(ExitCode::SUCCESS);
    }
    keep_memory();
    let results = Results::open(options.out.as_deref())?;
    let metric =
        if options.instructions { "instructions_per_command" } else { "cpu_nanos_per_command" };
    let mut measurements: Vec<Measurement> =
        cases.iter().map(|case| measurement(case, metric, options)).collect();
    let mut failures = Failures::default();
    for round in 1..=options.runs {
        eprintln!("round {round} of {}", options.runs);
        for (case, measurement) in cases.iter().zip(&mut measurements) {
            if failures.has(&case.peer.name()) {
                continue;
            }
            let figure = if options.instructions {
                instructions::per_command(case, options)
            } else {
                nanos(case, options)
            };
            match figure {
                Ok(figure) => measurement.runs.push(figure),
                Err(failure) => failures.note(&case.peer.name(), format!("{failure} ({case:?})")),
            }
        }
    }
    measurements.retain(|it| !it.runs.is_empty());
    measurements.iter().try_for_each(|it| results.append(it))?;
    print!("{}", summary::tables(&measurements));
    failures.done().map(|()| ExitCode::SUCCESS)
}

fn cases(options: &Options) -> Vec<Case> {
    let peers: &[Peer] =
        if options.peers.is_empty() { Peer::value_variants() } else { &options.peers };
    let mut cases = Vec::new();
    for &replicas in &options.replicas {
        for &window in &options.windows {
            let default = [if window == 1 { 20_000 } else { 200_000 }];
            let totals: &[u64] =
                if options.commands.is_empty() { &default } else { &options.commands };
            for total in totals {
                let commands = total.next_multiple_of(window);
                cases.extend(peers.iter().map(|&peer| Case { peer, replicas, window, commands }));
            }
        }
    }
    cases
}

fn measurement(case: &Case, metric: &str, options: &Options) -> Measurement {
    Measurement {
        suite: "engine".into(),
        peer: case.peer.name(),
        metric: metric.into(),
        replicas: case.replicas,
        in_flight: case.window,
        value_bytes: options.value_bytes,
        commands: case.commands,
        runs: Vec::new(),
    }
}

/// Lets the C library's allocator keep the memory that a run gives back, for the next one.
///
/// It does so up to twice the longest piece that was ever mapped for itself and given back. Without
/// this the first peer that happens to give back a long one decides how much of the time of all
/// that run after it is the system's, which fills the same pages with zeros again and again.
fn keep_memory() {
    // glibc learns from no longer ones than 32 MiB.
    drop(black_box(Vec::<u8>::with_capacity(31 << 20)));
}

/// One run: the processor time per command, of whole clusters.
fn nanos(case: &Case, options: &Options) -> Result<f64, String> {
    let (mut nanos, mut commands) = (0, 0);
    loop {
        nanos += cluster(case, options)?;
        commands += case.commands;
        if nanos >= options.least_millis * 1_000_000 {
            return Ok(nanos as f64 / commands as f64);
        }
    }
}

/// One cluster from its first command to its last, checked: its processor time in nanoseconds.
/// What it costs to make it, to check it and to take it down does not count.
fn cluster(case: &Case, options: &Options) -> Result<u64, String> {
    let mut workload = Workload::new(options.seed, options.value_bytes as usize);
    let mut engine = case.peer.cluster(case)?;
    // Under valgrind, which counts instead, the library that asks the system for the time crashes.
    let now = || if options.once { 0 } else { thread_nanos() };
    let from = now();
    for _ in 0..case.commands / case.window {
        engine.window(&mut workload, case.window)?;
    }
    let nanos = now() - from;
    check::in_order(&engine.applied(), &mut workload, case.commands)?;
    Ok(nanos)
}

/// How much processor time this thread has had.
fn thread_nanos() -> u64 {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    // Neither is ever negative.
    time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
}

#[cfg(test)]
mod tests;
