//! What the command line can say.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use synod::ReplicaId;
use synod::quorum::{QuorumError, QuorumSystem, Quorums};

/// The most replicas that a cluster can have.
const REPLICAS_MAX: u32 = 9;

/// Keeps one log on several replica processes over UDP, through a SIGKILL of their leader.
///
/// Every line of the input goes through the log in order: a line is its bytes with its newline, any
/// bytes, empty lines count, up to 1 MiB each. The replicas are processes of this same program on
/// loopback, each with a log directory of its own. Half way the leader's process is killed with
/// SIGKILL; it is started again after the next acknowledged line, or after 2 s if none can be
/// acknowledged. At the end each replica tells the SHA-256 of the lines that it applied.
///
/// Exit code: 0 if every replica applied exactly the input; 1 if not, or if the cluster failed;
/// 2 for a bad option, file or address.
#[derive(Debug, Parser)]
#[command(name = "udp_cluster", args_conflicts_with_subcommands = true)]
pub(crate) struct Options {
    #[command(flatten)]
    pub(crate) run: RunOptions,
    #[command(subcommand)]
    pub(crate) part: Option<Part>,
}

/// The options of a whole run.
#[derive(Debug, Args)]
pub(crate) struct RunOptions {
    /// The file whose lines are replicated; `-` reads standard input, to its end, before the start.
    /// [default: the README's text, repeated to 100000 lines]
    #[arg(long, value_name = "FILE")]
    pub(crate) input: Option<PathBuf>,
    /// How many replicas, 1 to 9. With 1 or 2 nothing moves while the leader is down.
    #[arg(long, value_name = "N", default_value_t = 3,
          value_parser = clap::value_parser!(u32).range(1..=i64::from(REPLICAS_MAX)))]
    pub(crate) replicas: u32,
    /// Which sets of replicas decide: majority, sizes/PREPARE/ACCEPT, weights:1=3,2=1,3=1/4/2 or
    /// zones:1+2+3,4+5+6/2/1. Lines need an accept quorum; a new leader needs a prepare quorum.
    #[arg(long, value_name = "SYSTEM", default_value = "majority")]
    pub(crate) quorums: QuorumSystem,
    /// Leave the leader alone.
    #[arg(long)]
    pub(crate) no_kill: bool,
    /// Where the logs go: a directory that is empty or absent, and that is kept.
    /// [default: a temporary directory, removed on success, kept and named on failure]
    #[arg(long, value_name = "DIR")]
    pub(crate) data: Option<PathBuf>,
}

impl RunOptions {
    /// The quorums of these replicas.
    pub(crate) fn judged_quorums(&self) -> Result<Quorums, QuorumError> {
        let names: Vec<ReplicaId> = (1..=self.replicas).map(ReplicaId).collect();
        Quorums::new(&self.quorums, &names)
    }
}

/// The parts that are not for people.
#[derive(Debug, Subcommand)]
pub(crate) enum Part {
    /// One replica of the cluster: what the program starts of itself. It speaks frames over its
    /// standard input and output, and ends when its standard input closes.
    #[command(hide = true)]
    Replica(ReplicaOptions),
}

/// The options of one replica's process.
#[derive(Debug, Args)]
pub(crate) struct ReplicaOptions {
    /// The replica's number, from 1.
    #[arg(long)]
    pub(crate) id: u32,
    /// The UDP address of every replica, in the order of their numbers, this one's among them.
    #[arg(long, value_name = "ADDRESS", required = true, value_delimiter = ',')]
    pub(crate) addresses: Vec<SocketAddr>,
    /// Which sets of replicas decide.
    #[arg(long, value_name = "SYSTEM", default_value = "majority")]
    pub(crate) quorums: QuorumSystem,
    /// The file with the cluster's key: 32 random bytes.
    #[arg(long, value_name = "FILE")]
    pub(crate) key: PathBuf,
    /// The directory of the replica's log.
    #[arg(long, value_name = "DIR")]
    pub(crate) log: PathBuf,
}
