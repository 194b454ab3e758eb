//! Servers on loopback: `udp_kv` beside etcd and ZooKeeper, three members each, and one Redis.
//!
//! `tools/install-peers.sh` installs them. All run with their data on one disk, are idle while
//! another one is measured, and end with this program.

mod client;
mod cluster;
mod fail_over;
mod grpc;
mod jute;
mod kind;
mod ledger;
mod load;
mod process;
mod resp;
mod steady;
mod stream;

use std::future::Future;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use tokio::signal::unix::{SignalKind, signal};

use crate::disk;
use crate::failures::Failures;
use crate::refuse;
use crate::results::{Measurement, Results};
use crate::summary::tables;
use cluster::{Cluster, Setting};
use kind::Kind;
use load::{Figures, Load};

/// What a measurement is called, and where it stands in the figures of a run.
type Metric = (&'static str, fn(&Figures) -> f64);

/// What is measured of a run, in the order of the tables.
const METRICS: [Metric; 6] = [
    ("commands_per_second", |figures| figures.per_second),
    ("p50_micros", |figures| figures.p50_micros),
    ("p99_micros", |figures| figures.p99_micros),
    ("longest_millis", |figures| figures.longest_millis),
    ("client_cpu_micros_per_command", |figures| figures.client_cpu_micros),
    ("server_cpu_micros_per_command", |figures| figures.server_cpu_micros),
];

/// What to measure, and how long.
///
/// Without --fail-over and --steady: requests in each second, by the number of clients.
#[derive(Args)]
pub(crate) struct Options {
    /// Which servers. Those that are not installed are named and left out.
    #[arg(long, value_enum, value_delimiter = ',',
          default_values_t = [Kind::Synod, Kind::Etcd, Kind::Zookeeper, Kind::Redis])]
    peers: Vec<Kind>,
    /// How many clients, each with one write under way over its own connection to the leader.
    #[arg(long, value_delimiter = ',', default_values_t = [1, 64, 256],
          value_parser = clap::value_parser!(u32).range(1..=4096))]
    clients: Vec<u32>,
    /// How long each run is measured, in seconds.
    #[arg(long, default_value_t = 10.0, value_parser = seconds)]
    seconds: f64,
    /// How long clients write before that, in seconds.
    #[arg(long, default_value_t = 2.0, value_parser = seconds)]
    warm_up: f64,
    /// How many runs; those of the peers take turns.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=1000))]
    runs: u32,
    /// How long a value is.
    #[arg(long, default_value_t = 64, value_parser = clap::value_parser!(u64).range(16..=65_536))]
    value_bytes: u64,
    /// How many keys there are.
    #[arg(long, default_value_t = 10_000,
          value_parser = clap::value_parser!(u32).range(1..=10_000_000))]
    keys: u32,
    /// Draws the keys.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Kill the leader so often, and measure for how long nothing is acknowledged.
    #[arg(long, value_name = "TIMES", num_args = 0..=1, default_missing_value = "20",
          conflicts_with = "steady", value_parser = clap::value_parser!(u32).range(1..=10_000))]
    fail_over: Option<u32>,
    /// Count elections for so many seconds at rest, and as many under the load of most clients.
    #[arg(long, value_name = "SECONDS", num_args = 0..=1, default_missing_value = "600",
          value_parser = seconds)]
    steady: Option<f64>,
    /// The program of synod's server.
    #[arg(long, value_name = "FILE", default_value = UDP_KV)]
    udp_kv: PathBuf,
    /// Where the members' directories are made, on the disk that is to be measured.
    #[arg(long, value_name = "DIRECTORY", default_value_os_t = std::env::temp_dir())]
    directory: PathBuf,
    /// Appends the raw results to this file.
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

/// Where cargo puts the server, seen from the package.
const UDP_KV: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../target/release/examples/udp_kv");

fn seconds(text: &str) -> Result<f64, String> {
    let seconds: f64 = text.parse().map_err(|_| "no number of seconds".to_owned())?;
    if (0.0..=86_400.0).contains(&seconds) { Ok(seconds) } else { Err("not 0 to 86400".into()) }
}

/// Measures.
///
/// # Errors
///
/// Says what went wrong.
pub(crate) fn run(options: &Options) -> Result<ExitCode, String> {
    if let Err(refusal) = disk::check(&options.directory) {
        return Ok(refuse(&refusal));
    }
    let peers = installed(options)?;
    let mut measured = Kept::new(Results::open(options.out.as_deref())?);
    // The thread that starts the servers is this one: they end when it does.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let done = runtime.map_err(|error| error.to_string())?.block_on(until_interrupted(async {
        match (options.fail_over, options.steady) {
            (Some(times), _) => fail_over(options, &peers, times, &mut measured).await,
            (None, Some(seconds)) => steady(options, &peers, seconds, &mut measured).await,
            (None, None) => throughput(options, &peers, &mut measured).await,
        }
    }));
    // What was measured before a failure counts all the same.
    print!("{}", tables(&measured.measurements));
    done.map(|()| ExitCode::SUCCESS)
}

/// What was measured so far: in the file at once, and in the tables at the end.
struct Kept {
    results: Results,
    measurements: Vec<Measurement>,
}

impl Kept {
    fn new(results: Results) -> Self {
        Self { results, measurements: Vec::new() }
    }

    fn push(&mut self, measurement: Measurement) -> Result<(), String> {
        self.results.append(&measurement)?;
        self.measurements.push(measurement);
        Ok(())
    }
}

/// Those of the peers that are there; tells of the others.
fn installed(options: &Options) -> Result<Vec<Kind>, String> {
    let mut there = Vec::new();
    for kind in &options.peers {
        match kind.installed(&options.udp_kv) {
            Ok(()) => there.push(*kind),
            Err(missing) => eprintln!("peers: left out: {missing}"),
        }
    }
    if there.is_empty() { Err("none of the servers is there".into()) } else { Ok(there) }
}

/// Does the work, unless a signal comes before it is done. Then everything that it holds is
/// dropped, and so every process ended.
async fn until_interrupted<T>(work: impl Future<Output = Result<T, String>>) -> Result<T, String> {
    let open = |kind| signal(kind).map_err(|error: std::io::Error| error.to_string());
    let mut interrupt = open(SignalKind::interrupt())?;
    let mut terminate = open(SignalKind::terminate())?;
    tokio::select! {
        done = work => done,
        _ = interrupt.recv() => Err("interrupted".into()),
        _ = terminate.recv() => Err("terminated".into()),
    }
}

fn setting(options: &Options) -> Setting {
    Setting {
        udp_kv: options.udp_kv.clone(),
        directory: Path::to_owned(&options.directory),
        keys: options.keys,
        value_bytes: usize::try_from(options.value_bytes).unwrap_or(usize::MAX),
    }
}

fn measurement(
    options: &Options,
    cluster: &Cluster,
    metric: &str,
    (in_flight, commands): (u32, u64),
    runs: Vec<f64>,
) -> Measurement {
    Measurement {
        suite: "servers".into(),
        peer: cluster.kind.name().into(),
        metric: metric.into(),
        replicas: cluster.members() as u64,
        in_flight: in_flight.into(),
        value_bytes: options.value_bytes,
        commands,
        runs,
    }
}

/// Requests in each second, by the number of clients. All clusters run all the time; one works.
async fn throughput(options: &Options, peers: &[Kind], measured: &mut Kept) -> Result<(), String> {
    let mut failures = Failures::default();
    let mut clusters = Vec::new();
    for kind in peers {
        eprintln!("starting {}", kind.name());
        match Cluster::start(*kind, &setting(options)).await {
            Ok(cluster) => clusters.push(cluster),
            Err(failure) => failures.note(kind.name(), failure),
        }
    }
    for clients in &options.clients {
        let mut figures = vec![Vec::new(); clusters.len()];
        for round in 1..=options.runs {
            for (cluster, figures) in clusters.iter_mut().zip(&mut figures) {
                if failures.has(cluster.kind.name()) {
                    continue;
                }
                match one(options, cluster, *clients, round).await {
                    Ok(run) => figures.push(run),
                    Err(failure) => failures.note(cluster.kind.name(), failure),
                }
            }
        }
        for (metric, of) in METRICS {
            for (cluster, figures) in clusters.iter().zip(&figures) {
                if figures.is_empty() {
                    continue;
                }
                // By time, not by count: the mean of all runs.
                let commands: u64 = figures.iter().map(|run| run.requests).sum();
                let size = (*clients, commands / figures.len() as u64);
                let runs = figures.iter().map(of).collect();
                measured.push(measurement(options, cluster, metric, size, runs))?;
            }
        }
    }
    failures.done()
}

/// One run of one of them.
async fn one(
    options: &Options,
    cluster: &mut Cluster,
    clients: u32,
    round: u32,
) -> Result<Figures, String> {
    let load = Load {
        clients,
        warm_up: Duration::from_secs_f64(options.warm_up),
        time: Duration::from_secs_f64(options.seconds),
        seed: options.seed.wrapping_add(round.into()),
    };
    let run = load::run(cluster, load).await?;
    let name = cluster.kind.name();
    eprintln!(
        "{clients} clients, run {round}: {name} {:.0}/s, p50 {} us, p99 {} us, CPU {:.1} us of \
         clients and {:.1} of servers for each",
        run.per_second,
        run.p50_micros,
        run.p99_micros,
        run.client_cpu_micros,
        run.server_cpu_micros,
    );
    Ok(run)
}

/// The longest gap between acknowledged writes, for each time that the leader is killed.
async fn fail_over(
    options: &Options,
    peers: &[Kind],
    times: u32,
    measured: &mut Kept,
) -> Result<(), String> {
    let mut failures = Failures::default();
    for kind in peers.iter().filter(|kind| **kind != Kind::Redis) {
        eprintln!("starting {}", kind.name());
        let mut cluster = match Cluster::start(*kind, &setting(options)).await {
            Ok(cluster) => cluster,
            Err(failure) => {
                failures.note(kind.name(), failure);
                continue;
            }
        };
        let mut gaps = Vec::new();
        for round in 1..=times {
            let seed = options.seed.wrapping_add(round.into());
            let gap = match fail_over::round(&mut cluster, seed).await {
                Ok(gap) => gap.as_secs_f64() * 1000.0,
                Err(failure) => {
                    failures.note(kind.name(), failure);
                    break;
                }
            };
            eprintln!("kill {round} of the leader: {} had a gap of {gap:.0} ms", kind.name());
            gaps.push(gap);
        }
        if !gaps.is_empty() {
            let size = (fail_over::CLIENTS, 0);
            measured.push(measurement(options, &cluster, "gap_millis", size, gaps))?;
        }
    }
    failures.done()
}

/// Elections while nothing is wrong, at rest and under load.
async fn steady(
    options: &Options,
    peers: &[Kind],
    seconds: f64,
    measured: &mut Kept,
) -> Result<(), String> {
    let mut failures = Failures::default();
    for kind in peers.iter().filter(|kind| **kind != Kind::Redis) {
        if let Err(failure) = watched(options, *kind, seconds, measured).await {
            failures.note(kind.name(), failure);
        }
    }
    failures.done()
}

/// Those of one of them.
async fn watched(
    options: &Options,
    kind: Kind,
    seconds: f64,
    measured: &mut Kept,
) -> Result<(), String> {
    let clients = options.clients.iter().copied().max().unwrap_or(1);
    eprintln!("starting {}", kind.name());
    let mut cluster = Cluster::start(kind, &setting(options)).await?;
    let time = Duration::from_secs_f64(seconds);
    let load = Load { clients, warm_up: Duration::ZERO, time, seed: options.seed };
    let seen = steady::watch(&mut cluster, load).await?;
    let loaded = seen.loaded;
    eprintln!(
        "{}: {} elections in {seconds} s at rest, {} in {seconds} s at {:.0}/s; the longest wait \
         was {:.0} ms",
        kind.name(),
        seen.elections_idle,
        seen.elections_loaded,
        loaded.per_second,
        loaded.longest_millis,
    );
    let mut push = |metric: &str, in_flight, figure| {
        let size = (in_flight, loaded.requests);
        measured.push(measurement(options, &cluster, metric, size, vec![figure]))
    };
    push("elections", 0, seen.elections_idle as f64)?;
    push("elections", clients, seen.elections_loaded as f64)?;
    push("steady_longest_millis", clients, loaded.longest_millis)?;
    push("steady_commands_per_second", clients, loaded.per_second)
}
