//! Three nodes in one process over channels, and what the benchmarks of nodes do with them.
#![allow(dead_code, reason = "each benchmark uses its part")]

use std::collections::VecDeque;
use std::hint::black_box;
use std::thread;
use std::time::Duration;

use criterion::measurement::WallTime;
use criterion::{BenchmarkGroup, Throughput};
use synod::config::Config;
use synod::entry::Place;
use synod::membership::{ClusterId, ReplicaId};
use synod::node::channel::Network;
use synod::wal::{HeapMedium, Wal, WalOptions};
use synod::{Handle, Node, StateMachine, Ticket};
use tempfile::TempDir;

/// How many are in flight: one shows how long it takes, many how much is done.
pub(crate) const WINDOWS: [usize; 3] = [1, 64, 1024];

/// How many an iteration has of each that is in flight.
const ROUNDS: usize = 16;

/// Adds up what it sees.
pub(crate) struct Sum(pub(crate) u64);

impl StateMachine for Sum {
    type Answer = u64;

    fn apply(&mut self, _place: Place, command: &[u8]) -> u64 {
        self.0 = self.0.wrapping_add(command.iter().map(|byte| u64::from(*byte)).sum());
        self.0
    }
}

/// What the logs are written to.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Disk {
    /// Directories where the system keeps what is temporary (`TMPDIR`), as the file system has it.
    Directory,
    /// The simulated disk, in memory: a sync costs nothing but the work of the log.
    Heap,
}

/// Three replicas.
pub(crate) struct Nodes {
    nodes: Vec<Handle<Sum>>,
    // Dropped after the nodes.
    _directories: Vec<TempDir>,
}

impl Nodes {
    /// Starts them, and waits until one of them leads.
    pub(crate) fn start(disk: Disk) -> Self {
        let network = Network::new();
        let cluster = ClusterId::named("bench").unwrap();
        let ids = [1, 2, 3].map(ReplicaId);
        let mut directories = Vec::new();
        let nodes = ids.map(|id| {
            let log = match disk {
                Disk::Directory => {
                    let directory = tempfile::tempdir().unwrap();
                    let log = Wal::open_directory(directory.path(), cluster, id).unwrap();
                    directories.push(directory);
                    log
                }
                Disk::Heap => {
                    let medium = Box::new(HeapMedium::new(id.0.into()));
                    Wal::open(medium, cluster, id, WalOptions::default()).unwrap()
                }
            };
            let config = Config { seed: id.0.into(), ..Config::new(ids) };
            Node::start(config, log, network.transport(id), Sum(0)).unwrap()
        });
        let nodes = Self { nodes: nodes.into(), _directories: directories };
        nodes.leader();
        nodes
    }

    /// The replica that leads.
    pub(crate) fn leader(&self) -> &Handle<Sum> {
        self.which(true)
    }

    /// A replica that follows one that leads.
    pub(crate) fn follower(&self) -> &Handle<Sum> {
        self.leader();
        self.which(false)
    }

    fn which(&self, leads: bool) -> &Handle<Sum> {
        loop {
            match self.nodes.iter().find(|node| node.status().leads() == leads) {
                Some(node) => return node,
                None => thread::sleep(Duration::from_millis(5)),
            }
        }
    }
}

/// Asks `count` times, with at most `window` of it in flight. What fails, because the leader
/// changes or too much waits, is asked again: `node` then says of whom.
pub(crate) fn run<'a, T>(
    window: usize,
    count: usize,
    node: impl Fn() -> &'a Handle<Sum>,
    ask: impl Fn(&Handle<Sum>) -> Ticket<T>,
) {
    let (mut left, mut asked, mut tickets) = (count, node(), VecDeque::with_capacity(window));
    while left > 0 || !tickets.is_empty() {
        while left > 0 && tickets.len() < window {
            tickets.push_back(ask(asked));
            left -= 1;
        }
        let Some(ticket) = tickets.pop_front() else { return };
        match ticket.wait() {
            Ok(answer) => drop(black_box(answer)),
            Err(_) => (left, asked) = (left + 1, node()),
        }
    }
}

/// Measures `ask` with each number of them in flight.
pub(crate) fn measure<'a, T>(
    group: &mut BenchmarkGroup<'_, WallTime>,
    name: &str,
    node: impl Fn() -> &'a Handle<Sum>,
    ask: impl Fn(&Handle<Sum>) -> Ticket<T>,
) {
    for window in WINDOWS {
        let count = window * ROUNDS;
        group.throughput(Throughput::Elements(count as u64));
        group.bench_function(format!("{name}/{window} in flight"), |bencher| {
            bencher.iter(|| run(window, count, &node, &ask));
        });
    }
}
