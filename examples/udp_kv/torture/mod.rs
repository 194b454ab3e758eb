//! Tortures a cluster of `udp_kv` and judges it: servers are killed, stopped and cut off from one
//! another by a seeded plan, while clients write and read through all of them. What the clients saw
//! must be what a single store would have shown them.
//!
//! Read the files in this order:
//!
//! - `plan.rs`: which faults there are; `faults.rs`: how they are done, to `servers.rs`, the
//!   processes, and to `proxy.rs`, the network between them.
//! - `workload.rs`: what the clients do, over `session.rs` and `resp.rs`; `finale.rs`: the last
//!   reads.
//! - `counters.rs`, `history.rs`, `checker.rs`: what they may see.
//! - `findings.rs`, `report.rs`, `random.rs`, `clock.rs`: the rest.

pub(crate) mod checker;
pub(crate) mod clock;
pub(crate) mod counters;
mod faults;
mod finale;
mod findings;
pub(crate) mod history;
pub(crate) mod plan;
pub(crate) mod proxy;
pub(crate) mod random;
mod report;
pub(crate) mod resp;
pub(crate) mod servers;
mod session;
mod workload;

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::atomic::Ordering;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use clap::Args;

use clock::Clock;
use counters::Counters;
use faults::Faults;
use history::{Checked, Histories};
use plan::{Plan, ROUND};
use proxy::Proxy;
use report::{Progress, tell};
use servers::{Servers, Setting};
use session::Run;
use workload::Workload;

/// How long a client waits for a reply. A server that answers at all has done so by then.
const REPLY_TIMEOUT: Duration = Duration::from_millis(3500);

/// How long the clients go on when all is well again.
const AFTERWARDS: Duration = Duration::from_secs(1);

/// The least time without an acknowledged write that is written down.
const LONG_GAP: Duration = Duration::from_secs(1);

/// How many finished keys may wait for the checker.
const WAITING_MAX: usize = 1024;

/// Starts servers of its own on loopback and tortures them: every 3 s one is killed, stopped or cut
/// off, or all datagrams fare badly, while clients count, write and read through every one.
///
/// Exit code: 0 if there was no violation; 1 if there was, and then the servers' data is kept and
/// named; 2 if the torture could not be done.
#[derive(Clone, Debug, Args)]
pub(crate) struct Options {
    /// How many replicas.
    #[arg(long, value_name = "N", default_value_t = 3,
          value_parser = clap::value_parser!(u8).range(3..=5))]
    pub(crate) replicas: u8,
    /// How long, in seconds.
    #[arg(long, value_name = "N", default_value_t = 60,
          value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
    pub(crate) seconds: u64,
    /// Which faults there are and what becomes of each datagram follows from this number.
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub(crate) seed: u64,
    /// How many clients.
    #[arg(long, value_name = "N", default_value_t = 12,
          value_parser = clap::value_parser!(u32).range(3..=100))]
    pub(crate) clients: u32,
    /// How many operations all clients ask for in a second at the most; 0 for no limit. The log
    /// keeps all of them, and a server that starts applies them all again.
    #[arg(long, value_name = "N", default_value_t = 2000)]
    pub(crate) rate: u32,
    /// Keep the servers' data and the list of faults, whatever comes of it.
    #[arg(long)]
    pub(crate) keep: bool,
    /// The server. [default: this program]
    #[arg(long, value_name = "PATH")]
    pub(crate) server: Option<PathBuf>,
    /// How the servers write their logs: passed on to them.
    #[arg(long, value_name = "MEDIUM")]
    pub(crate) medium: Option<String>,
}

/// Runs the torture, and tells what came of it.
pub(crate) fn run(options: &Options) -> ExitCode {
    match torture(options) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(1),
        Err(error) => {
            tell(&format!("error: {error}"));
            ExitCode::from(2)
        }
    }
}

/// What was done, and what was seen.
#[derive(Clone, Copy, Debug, Default)]
struct Done {
    rounds: u64,
    faults: u64,
    checked: Checked,
    gap: Duration,
}

fn torture(options: &Options) -> io::Result<bool> {
    let temporary = tempfile::Builder::new().prefix("udp_kv-torture-").tempdir()?;
    let clock = Clock::start();
    let replicas = usize::from(options.replicas);
    let addresses = servers::free_addresses(2 * replicas)?;
    let (listen, client) = addresses.split_at(replicas);
    let pace = match options.rate {
        0 => Duration::ZERO,
        rate => Duration::from_secs(1) * options.clients / rate,
    };
    let run = Run::new(clock, client.to_vec(), REPLY_TIMEOUT, pace);
    let done = start(options, temporary.path(), listen, &run)
        .and_then(|faults| with_checker(options, &run, faults));
    let done = done.map_err(|error| {
        // It may be the servers' doing, so what they said is of interest.
        io::Error::new(error.kind(), format!("{error}; see {}", kept(&temporary)))
    });
    let violations = run.findings.count();
    let done = match done {
        Ok(done) => done,
        Err(error) => {
            let _ = temporary.keep();
            return Err(error);
        }
    };
    let mut text = String::new();
    for violation in run.findings.first() {
        text += &format!("violation: {violation}\n");
    }
    if violations > 0 || options.keep {
        text += &format!("data, faults.txt and what the servers said: {}\n", kept(&temporary));
        let _ = temporary.keep();
    }
    let Done { rounds, faults, checked, gap } = done;
    text += &report::verdict(violations, rounds, faults, &run.figures, gap, checked);
    // Whoever reads may have read enough; the exit code still tells.
    let _ = writeln!(io::stdout(), "{text}");
    Ok(violations == 0)
}

fn kept(directory: &tempfile::TempDir) -> String {
    directory.path().display().to_string()
}

/// Starts the network and the servers, and waits until each answers.
fn start(
    options: &Options,
    directory: &Path,
    listen: &[std::net::SocketAddr],
    run: &Run,
) -> io::Result<Faults> {
    let proxy = Proxy::start(options.seed, run.clock, listen)?;
    let setting = Setting {
        binary: match &options.server {
            Some(path) => path.clone(),
            None => std::env::current_exe()?,
        },
        directory: directory.to_owned(),
        medium: options.medium.clone(),
    };
    let mut servers = Servers::new(setting, options.seed, listen, &run.replicas, &proxy)?;
    (0..servers.len()).try_for_each(|replica| servers.start(replica))?;
    if let Err(why) = finale::wait_for_all(run) {
        let ended = servers.ended()?.unwrap_or(why);
        return Err(io::Error::other(format!("the cluster does not begin: {ended}")));
    }
    tell(&format!("{} replicas; data in {}", servers.len(), directory.display()));
    Faults::new(servers, proxy, run.clock, directory)
}

/// The run, with the checker beside it.
fn with_checker(options: &Options, run: &Run, mut faults: Faults) -> io::Result<Done> {
    let (sender, receiver) = mpsc::sync_channel(WAITING_MAX);
    let workload = Workload::new(Histories::new(sender), Counters::new());
    thread::scope(|scope| {
        let checker = scope.spawn(move || history::check_all(&receiver, &run.findings));
        let done = with_clients(options, run, &workload, &mut faults);
        // Nothing more comes after this, so the checker ends.
        workload.histories.finish();
        let checked = checker.join().map_err(|_| io::Error::other("the checker panicked"))?;
        Ok(Done { checked, ..done? })
    })
}

/// The clients work while the faults happen; then all is well, and everything is read once more.
fn with_clients(
    options: &Options,
    run: &Run,
    workload: &Workload,
    faults: &mut Faults,
) -> io::Result<Done> {
    let seed = options.seed;
    let done = thread::scope(|scope| {
        let clients: Vec<_> = (0..options.clients as usize)
            .map(|number| scope.spawn(move || workload::work(run, workload, seed, number)))
            .collect();
        let done = drive(options, run, faults);
        run.stop.store(true, Ordering::Relaxed);
        let panicked = clients.into_iter().filter_map(|client| client.join().err()).count();
        if panicked > 0 { Err(io::Error::other("a client panicked")) } else { done }
    })?;
    if run.findings.count() == 0 {
        let last = finale::wait_for_all(run);
        if let Err(why) = last.and_then(|()| finale::read_all(run, workload, seed)) {
            run.findings.report(why);
        }
    }
    if let Some(ended) = faults.servers.ended()? {
        run.findings.report(ended);
    }
    Ok(done)
}

/// Round after round of faults, until the time is over or there is a violation.
fn drive(options: &Options, run: &Run, faults: &mut Faults) -> io::Result<Done> {
    let mut plan = Plan::new(options.seed, faults.servers.len());
    let mut progress = Progress::new(options.seconds);
    let begun = run.clock.now();
    let (mut rounds, of) = (0_u32, options.seconds.div_ceil(ROUND.as_secs()));
    let end = begun + Duration::from_secs(options.seconds);
    let mut gap = LONG_GAP;
    while run.clock.now() < end && run.findings.count() == 0 {
        let next = begun + ROUND * rounds;
        if run.clock.now() >= next && u64::from(rounds) < of {
            faults.add(next, plan.next_round());
            rounds += 1;
        }
        faults.turn()?;
        if let Some(ended) = faults.servers.ended()? {
            run.findings.report(ended);
        }
        if run.figures.gap_over() > gap {
            gap = run.figures.gap_over();
            faults.tell(&format!("no write was acknowledged for {} ms", gap.as_millis()))?;
        }
        let state = || format!("round {rounds}/{of}, fault: {}", faults.describe());
        progress.advance(run.clock.now().saturating_sub(begun), &run.figures, state);
        thread::sleep(faults::TURN);
    }
    faults.heal()?;
    thread::sleep(AFTERWARDS);
    progress.finish();
    let gap = run.figures.gap();
    Ok(Done { rounds: u64::from(rounds), faults: faults.count, gap, ..Done::default() })
}
