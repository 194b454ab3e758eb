//! What the command line can say.

use std::collections::BTreeMap;
use std::net::{SocketAddr, ToSocketAddrs};
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};
use synod::membership::MEMBERS_MAX;
use synod::wal::FileAccess;
use synod::{ClusterId, ReplicaId};

use crate::torture;

/// A replicated key-value server that Redis clients speak to.
///
/// Start it once for each replica. The replicas keep one log over UDP; clients speak RESP2 to any
/// of them, and every reply, to a GET too, is linearizable. Where no majority of the replicas can
/// be reached, a command is refused: TRYAGAIN says that it is certainly not applied, TIMEOUT that
/// this is unknown.
///
/// Whoever reaches the address of --client may read and write everything.
///
/// Exit code: 0 after SIGTERM or ctrl-c; 1 if the replica failed; 2 for a bad option, file or
/// address.
#[derive(Debug, Parser)]
#[command(name = "udp_kv", args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub(crate) struct Options {
    #[command(flatten)]
    pub(crate) server: Option<ServerOptions>,
    #[command(subcommand)]
    pub(crate) part: Option<Part>,
}

/// What the program can do beside serving.
#[derive(Debug, Subcommand)]
pub(crate) enum Part {
    Torture(torture::Options),
}

/// The options of a replica.
#[derive(Debug, Args)]
pub(crate) struct ServerOptions {
    /// The replica's number.
    #[arg(long, value_name = "N")]
    pub(crate) id: u32,
    /// Where the replica listens for the datagrams of its peers.
    #[arg(long, value_name = "HOST:PORT", value_parser = resolve)]
    pub(crate) listen: SocketAddr,
    /// Another member and where it listens; once for each. Every replica is told of all others.
    #[arg(long = "peer", value_name = "ID=HOST:PORT", value_parser = parse_peer)]
    pub(crate) peers: Vec<(ReplicaId, SocketAddr)>,
    /// The directory of the replica's log, made if it is missing.
    #[arg(long, value_name = "DIR")]
    pub(crate) data: PathBuf,
    /// Where clients are served.
    #[arg(long, value_name = "HOST:PORT", value_parser = resolve)]
    pub(crate) client: SocketAddr,
    /// The cluster's name: datagrams of another cluster are refused.
    #[arg(long, value_name = "NAME", default_value = "udp_kv", value_parser = ClusterId::named)]
    pub(crate) cluster: ClusterId,
    /// A file of 32 random bytes that all members have; it authenticates and encrypts datagrams.
    #[arg(long, value_name = "FILE")]
    pub(crate) key_file: Option<PathBuf>,
    /// Allow other addresses than loopback without a key.
    #[arg(long)]
    pub(crate) insecure: bool,
    /// How long a command may take before it is answered TRYAGAIN or TIMEOUT, 100 to 600000.
    #[arg(long, value_name = "MS", default_value_t = 2000,
          value_parser = clap::value_parser!(u64).range(100..=600_000))]
    pub(crate) client_timeout_ms: u64,
    /// How the log is written. [default: as suits the file system]
    #[arg(long, value_name = "MEDIUM")]
    pub(crate) medium: Option<Medium>,
}

/// How the log is written.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum Medium {
    /// Through a mapping.
    Mapped,
    /// With pwrite.
    Pwrite,
}

impl Medium {
    pub(crate) fn access(self) -> FileAccess {
        match self {
            Self::Mapped => FileAccess::Mapped,
            Self::Pwrite => FileAccess::Pwrite,
        }
    }
}

impl ServerOptions {
    pub(crate) fn client_timeout(&self) -> Duration {
        Duration::from_millis(self.client_timeout_ms)
    }

    /// Every member's address, this replica's among them.
    pub(crate) fn members(&self) -> Result<BTreeMap<ReplicaId, SocketAddr>, String> {
        let mut members = BTreeMap::from([(ReplicaId(self.id), self.listen)]);
        for (peer, address) in &self.peers {
            if *peer == ReplicaId(self.id) {
                return Err(format!("--peer {peer} has the number of this replica, --id {peer}"));
            }
            if members.insert(*peer, *address).is_some() {
                return Err(format!("--peer {peer} is given twice"));
            }
        }
        if members.len() > MEMBERS_MAX {
            let count = members.len();
            return Err(format!("{count} members are more than the limit of {MEMBERS_MAX}"));
        }
        Ok(members)
    }
}

fn resolve(text: &str) -> Result<SocketAddr, String> {
    let mut addresses = text.to_socket_addrs().map_err(|error| error.to_string())?;
    addresses.next().ok_or_else(|| "the name has no address".to_owned())
}

fn parse_peer(text: &str) -> Result<(ReplicaId, SocketAddr), String> {
    let (id, address) = text.split_once('=').ok_or("a peer is written ID=HOST:PORT")?;
    let id = id.parse().map_err(|_| format!("{id:?} is no number of a replica"))?;
    Ok((ReplicaId(id), resolve(address)?))
}
