//! Replicas in one process that sync: each with threads of its own and a directory of its own, all
//! on one disk, and nothing is acknowledged before a majority has synced it.
//!
//! Every run begins with new directories and ends with a check that all state machines saw the same
//! commands in the order of their proposals. The peers take turns, round by round, so that what the
//! disk does over minutes hits all of them.

mod commands;
mod drive;
mod fail_over;
mod floor;
#[cfg(feature = "rocksdb")]
mod omnipaxos;
mod opening;
mod openraft;
mod place;
mod raft;
mod reads;
pub(crate) mod stages;
mod stream;
mod synod;
mod table;
mod threads;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use ::synod::wal::FileAccess;
use anyhow::{Result, anyhow, bail};
use clap::{Args, ValueEnum};

use crate::check::{self, Applied};
use crate::disk;
use crate::refuse;
use crate::results::Results;
use crate::workload::{NUMBER_BYTES, Workload};

use drive::{Cluster, Length};
use table::Table;

/// The seed of the commands.
const SEED: u64 = 0x5eed;

/// Options of the suite `durable`.
#[derive(Args, Debug)]
pub(crate) struct Options {
    /// What is measured.
    #[arg(long, value_enum, default_value_t = Suite::Commands)]
    suite: Suite,
    /// Who is measured, by the suite `commands` only; everybody if not given.
    #[arg(long, value_enum, value_delimiter = ',')]
    peers: Vec<Peer>,
    /// How many replicas a cluster has.
    #[arg(long, value_delimiter = ',', default_value = "3", value_parser = at_least::<1, 9>)]
    replicas: Vec<usize>,
    /// How many commands are under way at a time.
    #[arg(long, value_delimiter = ',', default_value = "1,64,1024",
          value_parser = at_least::<1, 1_000_000>)]
    in_flight: Vec<usize>,
    /// The length of a command.
    #[arg(long, value_delimiter = ',', default_value = "64",
          value_parser = at_least::<NUMBER_BYTES, 2_097_152>)]
    value_bytes: Vec<usize>,
    /// How long a run takes, beside starting and stopping.
    #[arg(long, default_value_t = 1.0, value_parser = seconds, conflicts_with = "commands")]
    seconds: f64,
    /// How many commands a run takes instead.
    #[arg(long)]
    commands: Option<u64>,
    /// How often each is measured, in turn with the others.
    #[arg(long, default_value_t = 5, value_parser = at_least::<1, 1000>)]
    runs: usize,
    /// How long the log is that the suite `opening` opens.
    #[arg(long, default_value_t = 1024, value_parser = at_least::<1, 65_536>)]
    log_mebibytes: usize,
    /// How long the suffix is that the suite `fail-over` leaves behind.
    #[arg(long, default_value_t = 100, value_parser = at_least::<1, 120>)]
    suffix_megabytes: usize,
    /// Where the directories of the replicas are made: on a disk.
    #[arg(long, default_value = ".")]
    directory: PathBuf,
    /// Appends raw results to this file.
    #[arg(long)]
    out: Option<PathBuf>,
}

/// What is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Suite {
    /// Commands per second, latencies and processor time of all peers.
    Commands,
    /// Log bytes per second of synod beside the disk's, segments made before and meanwhile.
    Stream,
    /// Linearizable reads of synod beside writes, and a proof that they leave the log alone.
    Reads,
    /// How fast synod opens a long log.
    Opening,
    /// Where the time of one command of synod goes.
    Stages,
    /// How long synod has no leader after one is gone, with and without a long suffix.
    FailOver,
}

/// Who is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Peer {
    /// Writers that sync, and nothing else.
    Floor,
    /// synod, its log written through a mapping.
    Synod,
    /// synod, its log written with pwrite.
    SynodPwrite,
    /// raft and raft-engine; the replica's thread syncs.
    Raft,
    /// raft and raft-engine; a second thread syncs.
    RaftAsync,
    /// openraft with a log in a file.
    Openraft,
    /// OmniPaxos with its RocksDB storage.
    #[cfg(feature = "rocksdb")]
    Omnipaxos,
}

impl Peer {
    fn name(self) -> String {
        self.to_possible_value().map(|it| it.get_name().to_owned()).unwrap_or_default()
    }

    /// Starts its replicas. The floor has none.
    fn start(self, setup: &Setup<'_>) -> Result<Box<dyn Cluster>> {
        match self {
            Self::Floor => bail!("the floor has no replicas"),
            Self::Synod => synod::start(setup, FileAccess::Mapped),
            Self::SynodPwrite => synod::start(setup, FileAccess::Pwrite),
            Self::Raft => raft::start(setup, raft::Writer::Own),
            Self::RaftAsync => raft::start(setup, raft::Writer::Second),
            Self::Openraft => openraft::start(setup),
            #[cfg(feature = "rocksdb")]
            Self::Omnipaxos => omnipaxos::start(setup),
        }
    }
}

/// The two ways in which synod writes its log.
const ACCESSES: [(FileAccess, &str); 2] =
    [(FileAccess::Mapped, "synod"), (FileAccess::Pwrite, "synod-pwrite")];

/// The situation of a run.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Setup<'a> {
    /// Empty, and gone after the run.
    pub(crate) directory: &'a Path,
    pub(crate) replicas: usize,
    pub(crate) in_flight: usize,
    pub(crate) value_bytes: usize,
}

impl Setup<'_> {
    pub(crate) fn workload(&self) -> Workload {
        Workload::new(SEED, self.value_bytes)
    }
}

/// Holds that every state machine saw all commands in the order of their proposals.
fn check(setup: &Setup<'_>, applied: &[Applied], commands: u64) -> Result<()> {
    check::in_order(applied, &mut setup.workload(), commands).map_err(|failure| anyhow!(failure))
}

/// How many replicas, how many commands in flight, and how many bytes each has.
type Situation = (usize, usize, usize);

impl Options {
    /// Measures every situation, round by round.
    fn rounds(&self, mut one: impl FnMut(usize, Situation) -> Result<()>) -> Result<()> {
        for round in 1..=self.runs {
            for &replicas in &self.replicas {
                for &value_bytes in &self.value_bytes {
                    for &in_flight in &self.in_flight {
                        one(round, (replicas, in_flight, value_bytes))?;
                    }
                }
            }
            eprintln!("round {round} of {}", self.runs);
        }
        Ok(())
    }

    fn length(&self) -> Length {
        match self.commands {
            Some(commands) => Length::Commands(commands),
            None => Length::Time(Duration::from_secs_f64(self.seconds)),
        }
    }

    fn peers(&self) -> &[Peer] {
        if self.peers.is_empty() { Peer::value_variants() } else { &self.peers }
    }

    /// The peers in the order of a round: each begins one, so that none always follows the same
    /// other one, whose files are removed meanwhile.
    fn turn(&self, round: usize) -> Vec<Peer> {
        let mut peers = self.peers().to_vec();
        let first = (round - 1) % peers.len().max(1);
        peers.rotate_left(first);
        peers
    }
}

fn at_least<const LEAST: usize, const MOST: usize>(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(number) if (LEAST..=MOST).contains(&number) => Ok(number),
        _ => Err(format!("it must be a number from {LEAST} to {MOST}")),
    }
}

fn seconds(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(seconds) if (0.001..=3600.0).contains(&seconds) => Ok(seconds),
        _ => Err(String::from("it must be a number from 0.001 to 3600")),
    }
}

/// Measures what was asked for, and prints tables.
///
/// # Errors
///
/// Says what failed.
pub(crate) fn run(options: &Options) -> Result<ExitCode, String> {
    if options.suite != Suite::Commands && !options.peers.is_empty() {
        return Ok(refuse("--peers is for the suite `commands`: the others measure synod"));
    }
    if let Err(refusal) = disk::check(&options.directory) {
        return Ok(refuse(&refusal));
    }
    let results = Results::open(options.out.as_deref())?;
    let mut table = Table::default();
    let done = match options.suite {
        Suite::Commands => commands::measure(options, &mut table),
        Suite::Stream => stream::measure(options, &mut table),
        Suite::Reads => reads::measure(options, &mut table),
        Suite::Opening => opening::measure(options, &mut table),
        Suite::Stages => stages::measure(options, &mut table),
        Suite::FailOver => fail_over::measure(options, &mut table),
    };
    // What was measured before a failure counts all the same.
    table.finish(&results)?;
    done.map(|()| ExitCode::SUCCESS).map_err(|failure| format!("{failure:#}"))
}

#[cfg(test)]
mod tests;
