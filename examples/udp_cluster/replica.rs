//! One replica's process: the state machine, the node over UDP, and what becomes of each line.

use std::collections::BTreeMap;
use std::fmt;
use std::io::{self, BufReader};
use std::net::SocketAddr;
use std::process;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{self, Receiver};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use sha2::{Digest, Sha256};
use synod::config::Config;
use synod::entry::{Commands, Place};
use synod::membership::{ClusterId, ReplicaId};
use synod::slot::Slot;
use synod::udp::{ClusterKey, DATAGRAM_BYTES_MAX, UdpOptions, UdpTransport};
use synod::wal::Wal;
use synod::{Handle, Node, StateMachine, Ticket};

use crate::options::ReplicaOptions;
use crate::protocol::{self, Report, Request, Standing, Summary};
use crate::report;
use crate::run::Failure;

/// How often the replica looks at itself, and tells the parent what has changed.
const LOOK: Duration = Duration::from_millis(10);

/// How long a batch may grow, so that the Accept with it still fits one datagram.
const BATCH_BYTES: usize = 60 << 10;

/// The lines that were applied. The state machine is the only one that changes it.
#[derive(Default)]
struct Applied {
    lines: u64,
    digest: Sha256,
}

impl Applied {
    /// Takes the command's line if it is the next one; returns how many lines are taken then.
    fn take(&mut self, command: &[u8]) -> u64 {
        if let Some((number, line)) = command.split_first_chunk()
            && u64::from_le_bytes(*number) == self.lines
        {
            self.digest.update(line);
            self.lines += 1;
        }
        self.lines
    }
}

/// What is shared with the state machine. A panic of the state machine stops the node for good, and
/// with it this process: until then a lock that was held meanwhile is as good as any.
type Shared = Arc<Mutex<Applied>>;

fn lock(applied: &Shared) -> MutexGuard<'_, Applied> {
    applied.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The state machine. A command is a line's number (eight bytes, little-endian, from 0) and the
/// line; line n is taken only as the n-th, so whatever is proposed twice or too early does nothing.
struct LineMachine(Shared);

impl StateMachine for LineMachine {
    /// How many lines are taken, after the command.
    type Answer = u64;

    fn apply(&mut self, _: Place, command: &[u8]) -> u64 {
        lock(&self.0).take(command)
    }

    fn apply_batch(&mut self, _: Slot, commands: Commands<'_>, answer: &mut dyn FnMut(u64)) {
        let mut applied = lock(&self.0);
        commands.for_each(|command| answer(applied.take(command)));
    }
}

/// The lines of one frame, proposed.
struct Proposed {
    attempt: u64,
    first: u64,
    tickets: Vec<Ticket<synod::Applied<u64>>>,
}

/// Runs a replica until standard input closes.
pub(crate) fn run(options: &ReplicaOptions) -> Result<(), Failure> {
    let applied = Shared::default();
    let node = start(options, LineMachine(Arc::clone(&applied)))?;
    // Every attempt below this one is broken: its lines are not worth proposing.
    let broken = Arc::new(AtomicU64::new(0));
    let (proposed, frames) = mpsc::channel();
    {
        let broken = Arc::clone(&broken);
        spawn("settle", move || settle(&frames, &broken))?;
        let (node, applied) = (node.clone(), Arc::clone(&applied));
        spawn("look", move || look(&node, &applied))?;
    }
    let mut stdin = BufReader::with_capacity(256 << 10, io::stdin());
    let (mut body, mut command) = (Vec::new(), Vec::new());
    while protocol::read(&mut stdin, &mut body)? {
        match protocol::decode(&body)? {
            Request::Lines { attempt, .. } if attempt < broken.load(Ordering::Acquire) => {}
            Request::Lines { attempt, first, lengths, bytes } => {
                let mut rest = bytes;
                let mut tickets = Vec::with_capacity(lengths.len());
                for (number, length) in (first..).zip(lengths) {
                    let line = rest.split_off(..length as usize);
                    let line = line.ok_or_else(|| io::Error::other("lengths beyond the bytes"))?;
                    command.clear();
                    command.extend_from_slice(&number.to_le_bytes());
                    command.extend_from_slice(line);
                    tickets.push(node.propose(&command));
                }
                let sent = proposed.send(Proposed { attempt, first, tickets });
                sent.map_err(|_| io::Error::other("the thread that settles has ended"))?;
            }
            Request::Digest => {
                let log_bytes = node.status().log.bytes;
                let applied = lock(&applied);
                let (lines, sha256) = (applied.lines, applied.digest.clone().finalize().into());
                tell(&Report::Digest(Summary { lines, sha256, log_bytes }));
            }
        }
    }
    node.stop().map_err(|reason| Failure::Failed(reason.to_string()))
}

/// Opens the socket and the log, and starts the node.
fn start(options: &ReplicaOptions, machine: LineMachine) -> Result<Handle<LineMachine>, Failure> {
    let me = ReplicaId(options.id);
    let members = (1..).map(ReplicaId).take(options.addresses.len());
    let peers: BTreeMap<ReplicaId, SocketAddr> =
        members.clone().zip(options.addresses.iter().copied()).collect();
    let listen = *peers.get(&me).ok_or_else(|| {
        Failure::Usage(format!("--id {me} is not the number of one of {} addresses", peers.len()))
    })?;
    let usage = |error: &dyn fmt::Display| Failure::Usage(error.to_string());
    let udp = UdpOptions {
        key: Some(ClusterKey::read(&options.key).map_err(|error| usage(&error))?),
        // Loopback carries the longest datagrams whole, so a batch below that is one datagram.
        datagram_bytes: DATAGRAM_BYTES_MAX,
        ..UdpOptions::new(listen, peers)
    };
    let transport = UdpTransport::bind(udp).map_err(|error| usage(&error))?;
    let cluster = ClusterId::named("udp_cluster").map_err(|error| usage(&error))?;
    let failed = |error: &dyn fmt::Display| Failure::Failed(error.to_string());
    let log = Wal::open_directory(&options.log, cluster, me).map_err(|error| failed(&error))?;
    let quorums = options.quorums.clone();
    let config = Config { batch_bytes: BATCH_BYTES, quorums, ..Config::new(members) };
    Node::start(config, log, transport, machine).map_err(|error| failed(&error))
}

/// Waits for the fate of the proposed lines, frame by frame, and tells the parent.
fn settle(frames: &Receiver<Proposed>, broken: &AtomicU64) {
    let mut taken = 0;
    for Proposed { attempt, first, mut tickets } in frames {
        let before = taken;
        let mut why = None;
        // As a rule the last one is settled last: waiting for it first saves waking up for each of
        // the others.
        let last = tickets.pop().map(Ticket::wait);
        let results = tickets.into_iter().map(Ticket::wait).chain(last);
        for (line, result) in (first..).zip(results) {
            match result {
                Ok(applied) => {
                    taken = taken.max(applied.answer);
                    if applied.answer <= line {
                        why.get_or_insert(format!("not taken, expected line {}", applied.answer));
                    }
                }
                Err(error) => {
                    why.get_or_insert(error.to_string());
                }
            }
        }
        if taken > before {
            tell(&Report::Taken { lines: taken });
        }
        if let Some(why) = why.filter(|_| attempt >= broken.load(Ordering::Acquire)) {
            broken.store(attempt + 1, Ordering::Release);
            tell(&Report::Broken { attempt, why });
        }
    }
}

/// Looks at the node again and again: tells the parent what has changed, and ends the process if
/// the node has failed.
fn look(node: &Handle<LineMachine>, applied: &Shared) {
    let mut told = None;
    loop {
        let status = node.status();
        if let Some(reason) = status.poisoned() {
            report::tell(&format!("error: {reason}"));
            process::exit(1);
        }
        let leads = status.replica.leader.filter(|_| status.leads()).map(|ballot| ballot.round);
        let standing = Standing { leads, lines: lock(applied).lines };
        if told != Some(standing) {
            tell(&Report::Status(standing));
            told = Some(standing);
        }
        thread::sleep(LOOK);
    }
}

fn tell(report: &Report) {
    // If the parent is gone, standard input closes too, and that ends the process.
    let _ = protocol::write(&mut io::stdout().lock(), report);
}

fn spawn(name: &str, run: impl FnOnce() + Send + 'static) -> io::Result<()> {
    thread::Builder::new().name(name.to_owned()).spawn(run).map(drop)
}
