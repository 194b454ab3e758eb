//! The core alone: a cluster in one thread, a disk that is always done, messages passed as values.
//!
//! What is measured is a window of commands, from `propose` at the leader until no message is under
//! way any more: then the leader has handed all of them to its state machine, and the others all of
//! the windows before. They hear that the last one is chosen by the next Accept, or by a Heartbeat;
//! no time is spent on that here, since a busy leader spends none. At the end time goes on until
//! all replicas have applied everything, and all must have applied the same.

use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use synod::config::Config;
use synod::entry::Entry;
use synod::membership::{ClusterId, DiskId, Peer, ReplicaId};
use synod::message::Message;
use synod::output::Output;
use synod::record::{Lsn, Recovered};
use synod::replica::{Replica, Role};
use synod::time::Instant;

/// Messages under way: from, to, what.
type Wire = Vec<(Peer, ReplicaId, Message)>;

struct Seat {
    replica: Replica,
    me: Peer,
    appended: Lsn,
    durable: Lsn,
    /// When it wants to be woken.
    until: Instant,
    /// Whether it had an input since it was drained.
    is_due: bool,
    /// Commands that were handed to the state machine, and a digest of them in their order.
    applied: (u64, u64),
}

struct Cluster {
    seats: Vec<Seat>,
    now: Instant,
    wire: Wire,
}

impl Cluster {
    /// Replicas 1 to `size`, formed, and one of them leading.
    fn new(size: u32) -> Self {
        let cluster = ClusterId::named("bench").expect("a name of 5 bytes");
        let seat = |id: u32| {
            let (name, disk) = (ReplicaId(id), DiskId([id as u8; 16]));
            let recovered = Recovered::nothing(cluster, name, disk);
            let me = recovered.me;
            let config = Config { seed: u64::from(id), ..Config::new((1..=size).map(ReplicaId)) };
            let replica = Replica::new(config, recovered, Instant::ZERO).expect("valid settings");
            let (appended, durable) = (Lsn::ZERO, Lsn::ZERO);
            Seat {
                replica,
                me,
                appended,
                durable,
                until: Instant::ZERO,
                is_due: true,
                applied: (0, 0),
            }
        };
        let mut cluster =
            Self { seats: (1..=size).map(seat).collect(), now: Instant::ZERO, wire: Vec::new() };
        cluster.settle();
        while cluster.leader().is_none() {
            cluster.pass_time();
        }
        cluster
    }

    /// The place of the replica that leads.
    fn leader(&self) -> Option<usize> {
        self.seats.iter().position(|seat| seat.replica.status().role == Role::Leading)
    }

    /// Time jumps to when the next replica wants to be woken.
    fn pass_time(&mut self) {
        let until = self.seats.iter().map(|seat| seat.until).min();
        self.now = self.now.max(until.expect("it has replicas"));
        for seat in self.seats.iter_mut().filter(|seat| seat.until <= self.now) {
            seat.replica.handle_timeout(self.now);
            seat.is_due = true;
        }
        self.settle();
    }

    /// Carries messages until none is under way.
    fn settle(&mut self) {
        loop {
            for seat in self.seats.iter_mut().filter(|seat| seat.is_due) {
                drain(seat, self.now, &mut self.wire);
            }
            if self.wire.is_empty() {
                return;
            }
            for (from, to, message) in self.wire.drain(..) {
                // Replicas are named by their places, from 1 on.
                let seat = &mut self.seats[to.0 as usize - 1];
                seat.replica.handle_message(self.now, from, message);
                seat.is_due = true;
            }
        }
    }

    /// One window: all are proposed at once.
    fn window(&mut self, leader: usize, commands: u64, command: &[u8]) {
        let mut intake = self.seats[leader].replica.intake(self.now);
        for _ in 0..commands {
            let taken = intake.propose(command);
            black_box(taken.expect("a leader with an empty queue takes commands"));
        }
        self.seats[leader].is_due = true;
        self.settle();
    }

    /// The last window is applied everywhere, too.
    fn finish(&mut self, leader: usize) {
        let applied = self.seats[leader].applied;
        while self.seats.iter().any(|seat| seat.applied.0 < applied.0) {
            self.pass_time();
        }
        assert!(self.seats.iter().all(|seat| seat.applied == applied), "the logs differ");
    }
}

/// Drain before you wait.
fn drain(seat: &mut Seat, now: Instant, wire: &mut Wire) {
    seat.is_due = false;
    loop {
        match seat.replica.poll_output() {
            Output::Persist { lsn, record, .. } => {
                black_box(&record);
                seat.appended = lsn;
            }
            Output::Send { to, message } => {
                wire.extend(to.iter().map(|id| (seat.me, id, message.clone())));
            }
            Output::Chosen { slot, entry } => {
                if let Entry::Batch(batch) = &entry {
                    batch.commands().for_each(|command| apply(&mut seat.applied, command));
                }
                seat.replica.handle_applied(now, slot.next());
            }
            Output::Wait { until } => {
                if seat.durable == seat.appended {
                    seat.until = until.map_or(seat.until, |(at, _)| at);
                    return;
                }
                seat.durable = seat.appended;
                seat.replica.handle_persisted(now, seat.appended);
            }
            Output::Fate { .. } | Output::Event(_) => {}
            Output::ReadReady { .. } | Output::ReadRefused { .. } => unreachable!("nobody reads"),
            Output::SendEntries { .. } | Output::ApplyFromLog { .. } => {
                unreachable!("nobody is behind, and every entry is applied at once")
            }
        }
    }
}

/// The state machine: counts, and adds up what is at the command's two ends.
fn apply((count, digest): &mut (u64, u64), command: &[u8]) {
    *count += 1;
    let ends = command.first_chunk().zip(command.last_chunk());
    let (first, last) = ends.expect("commands of 8 bytes or more");
    let sum = u64::from_le_bytes(*first).wrapping_add(u64::from_le_bytes(*last));
    *digest = digest.rotate_left(5).wrapping_add(black_box(sum));
}

fn windows(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("window");
    let of_three = [(1, 64), (16, 64), (256, 64), (4096, 64), (64, 1024)];
    let all = of_three.map(|(commands, bytes)| (3, commands, bytes));
    for (size, commands, bytes) in all.into_iter().chain([(9, 256, 64)]) {
        group.throughput(Throughput::Elements(commands));
        let name = BenchmarkId::new(format!("{size}_replicas/{bytes}_bytes"), commands);
        group.bench_function(name, |bencher| {
            let mut cluster = Cluster::new(size);
            let leader = cluster.leader().expect("it leads");
            let command = vec![b'x'; bytes];
            bencher.iter(|| cluster.window(leader, commands, &command));
            cluster.finish(leader);
        });
    }
    group.finish();
}

criterion_group!(benches, windows);
criterion_main!(benches);
