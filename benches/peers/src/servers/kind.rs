//! The servers that are compared: how each is started, and how it tells who leads.
//!
//! Each gets the settings that are best for it here, as far as every acknowledged write stays
//! synced at a majority. What differs from its defaults:
//!
//! - `udp_kv`: nothing.
//! - etcd: the quota is raised so that long runs do not reach it; no metrics of its gRPC calls; it
//!   logs errors only. `etcd-quick` has heartbeats of 20 ms and election timeouts of 200 ms, the
//!   shortest that its documentation allows for them, where the defaults are 100 ms and 1 s: to be
//!   compared in how fast it fails over.
//! - ZooKeeper: no snapshots within a run, which fork work beside it; nothing is logged; a tick of
//!   500 ms, so that a leader that hangs is missed after 5 s, while one that is killed is missed at
//!   once, by its connections; a peer that finds nobody leading yet tries again after 10 ms instead
//!   of 100; 512 MB of heap, which never fill here, and the collector for throughput. `forceSync`
//!   and `preAllocSize` (64 MB) keep their defaults: each write is synced, into blocks that are
//!   there.
//! - Redis: one server, no copies: a bound from above for what a server over TCP with one synced
//!   log does on this machine. Its log is not rewritten within a run.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::Command;

use clap::ValueEnum;
use tokio::net::TcpStream;

use super::client::Client;
use super::process::find;
use super::stream::{receive, send};

/// Where Debian keeps ZooKeeper, with all that it needs named in its manifest.
const ZOOKEEPER: &str = "/usr/share/java/zookeeper.jar";

/// A server that can be measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Kind {
    /// The example `udp_kv`.
    Synod,
    /// etcd.
    Etcd,
    /// etcd with short timeouts.
    EtcdQuick,
    /// ZooKeeper.
    Zookeeper,
    /// One Redis that syncs every write: no copies.
    Redis,
}

/// Where one member lives.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    /// From 1.
    pub(crate) number: usize,
    pub(crate) directory: PathBuf,
    /// For clients, for peers, and for the elections of ZooKeeper.
    pub(crate) ports: [u16; 3],
}

/// What a member says of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Look {
    pub(crate) leads: bool,
    /// Grows with each election: the round of the ballot, the term, the epoch.
    pub(crate) term: u64,
}

impl Place {
    /// Where clients connect.
    pub(crate) fn address(&self) -> SocketAddr {
        SocketAddr::from((Ipv4Addr::LOCALHOST, self.ports[0]))
    }
}

impl Kind {
    /// As results name it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Synod => "synod",
            Self::Etcd => "etcd",
            Self::EtcdQuick => "etcd-quick",
            Self::Zookeeper => "zookeeper",
            Self::Redis => "redis",
        }
    }

    /// How many members there are.
    pub(crate) fn members(self) -> usize {
        if self == Self::Redis { 1 } else { 3 }
    }

    /// Holds that the server is installed.
    ///
    /// # Errors
    ///
    /// Says what brings it.
    pub(crate) fn installed(self, udp_kv: &Path) -> Result<(), String> {
        let (there, what, package) = match self {
            Self::Synod => {
                let build = "`cargo build --release --example udp_kv`";
                (udp_kv.is_file(), udp_kv.display().to_string(), build)
            }
            Self::Etcd | Self::EtcdQuick => {
                (find("etcd").is_some(), "etcd".into(), "the package etcd-server")
            }
            Self::Zookeeper => {
                let there = Path::new(ZOOKEEPER).is_file() && find("java").is_some();
                (there, "ZooKeeper".into(), "the package zookeeper")
            }
            Self::Redis => {
                (find("redis-server").is_some(), "redis-server".into(), "the package redis-server")
            }
        };
        let missing = || format!("{what} is not there; {package} brings it");
        if there { Ok(()) } else { Err(missing()) }
    }

    /// What starts a member. Makes its directory, and what it wants to find there.
    ///
    /// # Errors
    ///
    /// The directory cannot be made.
    pub(crate) fn command(
        self,
        me: &Place,
        all: &[Place],
        udp_kv: &Path,
    ) -> Result<Command, String> {
        fs::create_dir_all(&me.directory).map_err(|error| error.to_string())?;
        match self {
            Self::Synod => Ok(synod(me, all, udp_kv)),
            Self::Etcd => Ok(etcd(me, all, 100, 1000)),
            Self::EtcdQuick => Ok(etcd(me, all, 20, 200)),
            Self::Zookeeper => zookeeper(me, all),
            Self::Redis => Ok(redis(me)),
        }
    }

    /// Asks a member what it is.
    ///
    /// # Errors
    ///
    /// It does not answer, or not so that it can be understood.
    pub(crate) async fn look(self, address: SocketAddr) -> Result<Look, String> {
        match self {
            Self::Synod => {
                let Client::Resp(mut client) = Client::connect(self, address).await? else {
                    return Err("not RESP".into());
                };
                read_info(&client.info().await?).ok_or_else(|| "INFO has no role".into())
            }
            Self::Etcd | Self::EtcdQuick => {
                let Client::Grpc(mut client) = Client::connect(self, address).await? else {
                    return Err("not gRPC".into());
                };
                let (leads, term) = client.status().await?;
                Ok(Look { leads, term })
            }
            Self::Zookeeper => {
                let mut stream = TcpStream::connect(address).await.map_err(|e| e.to_string())?;
                send(&stream, b"srvr").await?;
                let mut text = Vec::new();
                while receive(&mut stream, &mut text, 1 << 16).await.is_ok() {}
                let text = String::from_utf8_lossy(&text);
                read_srvr(&text).ok_or_else(|| format!("srvr says {:?}", text.trim()))
            }
            Self::Redis => {
                Client::connect(self, address).await?;
                Ok(Look { leads: true, term: 0 })
            }
        }
    }
}

/// INFO of `udp_kv`: `role:leading`, `ballot:7.2`.
fn read_info(text: &str) -> Option<Look> {
    let field = |name: &str| {
        let mut lines = text.lines().filter_map(|line| line.split_once(':'));
        lines.find(|(found, _)| *found == name).map(|(_, value)| value.trim())
    };
    let ballot = field("ballot")?;
    let digits = ballot.trim_start_matches(|c: char| !c.is_ascii_digit());
    let end = digits.find(|c: char| !c.is_ascii_digit()).unwrap_or(digits.len());
    // Before the first election there is none.
    let term = digits[..end].parse().unwrap_or_default();
    Some(Look { leads: field("role")? == "leading", term })
}

/// What ZooKeeper answers to `srvr`: the upper half of a transaction's number is the epoch.
fn read_srvr(text: &str) -> Option<Look> {
    let field = |name| text.lines().find_map(|line| line.strip_prefix(name)).map(str::trim);
    let last = u64::from_str_radix(field("Zxid: 0x")?, 16).ok()?;
    Some(Look { leads: field("Mode:")? == "leader", term: last >> 32 })
}

fn synod(me: &Place, all: &[Place], udp_kv: &Path) -> Command {
    let mut command = Command::new(udp_kv);
    let at = |place: &Place| format!("127.0.0.1:{}", place.ports[1]);
    command.args(["--id", &me.number.to_string(), "--listen", &at(me)]);
    for peer in all.iter().filter(|peer| peer.number != me.number) {
        command.args(["--peer", &format!("{}={}", peer.number, at(peer))]);
    }
    command.args(["--client", &me.address().to_string()]).arg("--data").arg(&me.directory);
    command
}

fn etcd(me: &Place, all: &[Place], heartbeat_millis: u64, election_millis: u64) -> Command {
    let mut command = Command::new("etcd");
    let peer = |place: &Place| format!("http://127.0.0.1:{}", place.ports[1]);
    let members: Vec<String> =
        all.iter().map(|place| format!("m{}={}", place.number, peer(place))).collect();
    let client = format!("http://{}", me.address());
    let quota = (8_u64 << 30).to_string();
    for (option, value) in [
        ("--name", &*format!("m{}", me.number)),
        ("--listen-client-urls", &client),
        ("--advertise-client-urls", &client),
        ("--listen-peer-urls", &peer(me)),
        ("--initial-advertise-peer-urls", &peer(me)),
        ("--initial-cluster", &members.join(",")),
        ("--heartbeat-interval", &heartbeat_millis.to_string()),
        ("--election-timeout", &election_millis.to_string()),
        ("--quota-backend-bytes", &quota),
        ("--metrics", "basic"),
        ("--log-level", "error"),
        ("--logger", "zap"),
    ] {
        command.args([option, value]);
    }
    command.arg("--data-dir").arg(me.directory.join("data"));
    command
}

fn zookeeper(me: &Place, all: &[Place]) -> Result<Command, String> {
    let write = |name: &str, text: String| {
        let path = me.directory.join(name);
        fs::write(&path, text).map_err(|error| format!("{}: {error}", path.display()))
    };
    let mut lines = vec![
        "tickTime=500".to_owned(),
        "initLimit=40".to_owned(),
        "syncLimit=10".to_owned(),
        format!("dataDir={}", me.directory.display()),
        format!("clientPort={}", me.ports[0]),
        "clientPortAddress=127.0.0.1".to_owned(),
        "maxClientCnxns=0".to_owned(),
        "snapCount=100000000".to_owned(),
        "forceSync=yes".to_owned(),
        "preAllocSize=65536".to_owned(),
        "admin.enableServer=false".to_owned(),
        "4lw.commands.whitelist=srvr".to_owned(),
    ];
    for Place { number, ports: [_, peer, election], .. } in all {
        lines.push(format!("server.{number}=127.0.0.1:{peer}:{election}"));
    }
    write("zoo.cfg", lines.join("\n") + "\n")?;
    write("myid", format!("{}\n", me.number))?;
    let mut command = Command::new("java");
    command.args([
        "-Xms512m",
        "-Xmx512m",
        "-XX:+UseParallelGC",
        "-Dzookeeper.leaderConnectDelayDuringRetryMs=10",
        "-Dzookeeper.jmx.log4j.disable=true",
        "-cp",
        ZOOKEEPER,
        "org.apache.zookeeper.server.quorum.QuorumPeerMain",
    ]);
    command.arg(me.directory.join("zoo.cfg"));
    Ok(command)
}

fn redis(me: &Place) -> Command {
    let mut command = Command::new("redis-server");
    let port = me.ports[0].to_string();
    for (option, value) in [
        ("--port", &*port),
        ("--bind", "127.0.0.1"),
        ("--appendonly", "yes"),
        ("--appendfsync", "always"),
        ("--auto-aof-rewrite-percentage", "0"),
        ("--save", ""),
    ] {
        command.args([option, value]);
    }
    command.arg("--dir").arg(&me.directory);
    command
}

#[cfg(test)]
mod tests;
