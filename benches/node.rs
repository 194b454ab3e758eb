//! Three durable replicas in one process over channels: commands of 64 bytes, from the proposal to
//! the answer of the state machine.
//!
//! ```text
//! cargo bench --bench node
//! ```
#![allow(clippy::unwrap_used, reason = "a benchmark fails by panicking")]

use std::collections::VecDeque;
use std::hint::black_box;
use std::thread;
use std::time::Duration;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use synod::config::Config;
use synod::entry::Place;
use synod::membership::{ClusterId, ReplicaId};
use synod::node::channel::Network;
use synod::wal::Wal;
use synod::{Handle, Node, StateMachine};
use tempfile::TempDir;

/// Adds up what it sees.
struct Sum(u64);

impl StateMachine for Sum {
    type Answer = u64;

    fn apply(&mut self, _place: Place, command: &[u8]) -> u64 {
        self.0 = self.0.wrapping_add(command.iter().map(|byte| u64::from(*byte)).sum());
        self.0
    }
}

fn start() -> Vec<(TempDir, Handle<Sum>)> {
    let network = Network::new();
    let ids = [1, 2, 3].map(ReplicaId);
    ids.map(|id| {
        let directory = tempfile::tempdir().unwrap();
        let cluster = ClusterId::named("bench").unwrap();
        let log = Wal::open_directory(directory.path(), cluster, id).unwrap();
        let config = Config { seed: id.0.into(), ..Config::new(ids) };
        let node = Node::start(config, log, network.transport(id), Sum(0)).unwrap();
        (directory, node)
    })
    .into()
}

/// Proposes `count` commands at whoever leads, with at most `window` of them in flight: no Forward
/// is measured. What fails, because the leader changes or too much waits, is proposed again.
fn run(nodes: &[(TempDir, Handle<Sum>)], window: usize, count: usize) {
    let mut left = count;
    let mut tickets = VecDeque::new();
    while left > 0 || !tickets.is_empty() {
        let Some((_, leader)) = nodes.iter().find(|(_, node)| node.status().leads()) else {
            thread::sleep(Duration::from_millis(5));
            continue;
        };
        for _ in 0..1024 {
            while left > 0 && tickets.len() < window {
                tickets.push_back(leader.propose(&[7; 64]));
                left -= 1;
            }
            let Some(ticket) = tickets.pop_front() else { break };
            match ticket.wait() {
                Ok(applied) => drop(black_box(applied)),
                Err(_) => left += 1,
            }
        }
    }
}

fn durable(criterion: &mut Criterion) {
    let nodes = start();
    let mut group = criterion.benchmark_group("three durable replicas, 64 B");
    group.sample_size(10);
    for window in [1, 64, 1024] {
        let count = window * 16;
        group.throughput(Throughput::Elements(count as u64));
        group.bench_function(format!("{window} in flight"), |bencher| {
            bencher.iter(|| run(&nodes, window, count));
        });
    }
    group.finish();
}

criterion_group!(benches, durable);
criterion_main!(benches);
