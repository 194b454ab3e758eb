//! The core alone: three replicas in one thread, a disk that is always done, no wire between them.
//!
//! What is measured is a round of commands from `propose` at the leader until all three replicas
//! have handed every one of them to the state machine.

use std::hint::black_box;
use std::time::Duration;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use synod::config::Config;
use synod::entry::Entry;
use synod::membership::{ClusterId, DiskId, Peer, ReplicaId};
use synod::message::Message;
use synod::output::Output;
use synod::record::{Lsn, Recovered};
use synod::replica::Replica;
use synod::time::Instant;

const REPLICAS: [ReplicaId; 3] = [ReplicaId(1), ReplicaId(2), ReplicaId(3)];

struct Seat {
    replica: Replica,
    me: Peer,
    last: Lsn,
    /// Commands that were handed to the state machine.
    applied: u64,
}

struct Cluster {
    seats: Vec<Seat>,
    now: Instant,
    /// Messages under way: from, to, what.
    wire: Vec<(Peer, ReplicaId, Message)>,
}

impl Cluster {
    /// Three replicas, formed, and one of them leading.
    fn new() -> Self {
        let cluster = ClusterId::named("bench").expect("a name of 5 bytes");
        let seat = |id: ReplicaId| {
            let recovered = Recovered::nothing(cluster, id, DiskId([id.0 as u8; 16]));
            let me = recovered.me;
            let config = Config { seed: u64::from(id.0), ..Config::new(REPLICAS) };
            let replica = Replica::new(config, recovered, Instant::ZERO).expect("valid settings");
            Seat { replica, me, last: Lsn::ZERO, applied: 0 }
        };
        let mut cluster =
            Self { seats: REPLICAS.map(seat).into(), now: Instant::ZERO, wire: Vec::new() };
        while cluster.leader().is_none() {
            cluster.pass_time();
        }
        cluster
    }

    /// The place of the replica that takes commands.
    fn leader(&mut self) -> Option<usize> {
        let now = self.now;
        let leader =
            self.seats.iter_mut().position(|s| s.replica.propose(now, b"first").is_ok())?;
        self.settle();
        Some(leader)
    }

    /// A heartbeat's time goes by.
    fn pass_time(&mut self) {
        self.now = self.now.after(Duration::from_millis(20));
        let now = self.now;
        self.seats.iter_mut().for_each(|seat| seat.replica.handle_timeout(now));
        self.settle();
    }

    /// Carries messages until none is under way.
    fn settle(&mut self) {
        loop {
            for seat in &mut self.seats {
                drain(seat, self.now, &mut self.wire);
            }
            if self.wire.is_empty() {
                return;
            }
            for (from, to, message) in std::mem::take(&mut self.wire) {
                let seat = self.seats.iter_mut().find(|seat| seat.me.replica() == to);
                let seat = seat.expect("messages go to members");
                seat.replica.handle_message(self.now, from, message);
            }
        }
    }

    /// One round: all are proposed at once, and must be applied everywhere.
    fn round(&mut self, leader: usize, commands: u64, command: &[u8]) {
        let goal = self.seats[leader].applied + commands;
        for _ in 0..commands {
            let taken = self.seats[leader].replica.propose(self.now, command);
            black_box(taken.expect("a leader with an empty queue takes commands"));
        }
        self.settle();
        // The others hear of the last slots with the next heartbeat.
        while self.seats.iter().any(|seat| seat.applied < goal) {
            self.pass_time();
        }
    }
}

/// Drain before you wait.
fn drain(seat: &mut Seat, now: Instant, wire: &mut Vec<(Peer, ReplicaId, Message)>) {
    loop {
        match seat.replica.poll_output() {
            Output::Persist { lsn, record, .. } => {
                black_box(record);
                seat.last = lsn;
            }
            Output::Send { to, message } => {
                wire.extend(to.iter().map(|id| (seat.me, id, message.clone())));
            }
            Output::Chosen { slot, entry } => {
                if let Entry::Batch(batch) = &entry {
                    seat.applied += black_box(batch.commands()).count() as u64;
                }
                seat.replica.handle_applied(now, slot.next());
            }
            Output::Wait { .. } => {
                if seat.replica.status().durable == seat.last {
                    return;
                }
                seat.replica.handle_persisted(now, seat.last);
            }
            Output::Fate { .. } | Output::Event(_) => {}
            Output::ReadReady { .. } | Output::ReadRefused { .. } => unreachable!("nobody reads"),
            Output::SendEntries { .. } | Output::ApplyFromLog { .. } => {
                unreachable!("nobody is behind, and every entry is applied at once")
            }
        }
    }
}

fn rounds(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("round");
    for (commands, bytes) in [(1, 16), (64, 16), (1024, 16), (64, 1024)] {
        group.throughput(Throughput::Elements(commands));
        let name = BenchmarkId::new(format!("commands_of_{bytes}_bytes"), commands);
        group.bench_function(name, |bencher| {
            let mut cluster = Cluster::new();
            let leader = cluster.leader().expect("it leads");
            let command = vec![b'x'; bytes];
            bencher.iter(|| cluster.round(leader, commands, &command));
        });
    }
    group.finish();
}

criterion_group!(benches, rounds);
criterion_main!(benches);
