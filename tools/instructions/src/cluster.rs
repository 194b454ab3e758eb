//! Three replicas in one thread, a disk that is always done, no wire between them.
//!
//! `tools/memory` uses this file, too.
#![allow(dead_code, reason = "each of the two programs uses its part")]

use std::hint::black_box;
use std::mem;
use std::time::Duration;

use synod::config::Config;
use synod::entry::Entry;
use synod::membership::{ClusterId, DiskId, Peer, ReplicaId};
use synod::message::Message;
use synod::output::Output;
use synod::record::{Lsn, Recovered};
use synod::replica::Replica;
use synod::time::Instant;

const REPLICAS: [ReplicaId; 3] = [ReplicaId(1), ReplicaId(2), ReplicaId(3)];
const COMMAND: [u8; 64] = [7; 64];

struct Seat {
    replica: Replica,
    me: Peer,
    /// The last record that was handed out, and the last that was told durable.
    last: Lsn,
    durable: Lsn,
    /// Commands that were handed to the state machine.
    applied: u64,
}

/// The replicas, formed, and one of them leading.
pub(crate) struct Cluster {
    seats: Vec<Seat>,
    /// The place of the one that leads.
    leader: usize,
    now: Instant,
    /// Messages under way: from, to, what.
    network: Vec<(Peer, ReplicaId, Message)>,
}

impl Cluster {
    /// Forms the cluster, and lets time go by until one leads and the others follow it.
    pub(crate) fn new() -> Self {
        let cluster = ClusterId::named("counted").expect("a name of 7 bytes");
        let seat = |id: ReplicaId| {
            let recovered = Recovered::nothing(cluster, id, DiskId([id.0 as u8; 16]));
            let me = recovered.me;
            let config = Config { seed: u64::from(id.0), ..Config::new(REPLICAS) };
            let replica = Replica::new(config, recovered, Instant::ZERO).expect("valid settings");
            Seat { replica, me, last: Lsn::ZERO, durable: Lsn::ZERO, applied: 0 }
        };
        let seats = REPLICAS.map(seat).into();
        let mut cluster = Self { seats, leader: 0, now: Instant::ZERO, network: Vec::new() };
        cluster.leader = cluster.elect();
        cluster
    }

    /// Proposes so many commands of 64 bytes at the leader.
    pub(crate) fn propose(&mut self, commands: u64) {
        let mut intake = self.seats[self.leader].replica.intake(self.now);
        for _ in 0..commands {
            let taken = intake.propose(black_box(&COMMAND));
            black_box(taken.expect("a leader with an empty queue takes commands"));
        }
    }

    /// How many commands each replica has handed to its state machine, the leader's first.
    pub(crate) fn applied(&self) -> [u64; 3] {
        let [a, b, c] = [0, 1, 2].map(|i| self.seats[(self.leader + i) % 3].applied);
        [a, b, c]
    }

    fn elect(&mut self) -> usize {
        loop {
            self.pass_time();
            let leads = |seat: &Seat| seat.replica.status().leader.map(|ballot| ballot.replica);
            let Some(leader) = leads(&self.seats[0]) else { continue };
            if self.seats.iter().all(|seat| leads(seat) == Some(leader)) {
                self.pass_time();
                let place = self.seats.iter().position(|seat| seat.me.replica() == leader);
                return place.expect("a member leads");
            }
        }
    }

    /// A heartbeat's time goes by: it tells the others of the last slots.
    pub(crate) fn pass_time(&mut self) {
        self.now = self.now.after(Duration::from_millis(20));
        let now = self.now;
        self.seats.iter_mut().for_each(|seat| seat.replica.handle_timeout(now));
        self.settle();
    }

    /// Lets the leader hand its messages out; they stay under way.
    pub(crate) fn drain_leader(&mut self) {
        drain(&mut self.seats[self.leader], self.now, &mut self.network);
    }

    /// Carries messages until none is under way.
    pub(crate) fn settle(&mut self) {
        loop {
            for seat in &mut self.seats {
                drain(seat, self.now, &mut self.network);
            }
            if self.network.is_empty() {
                return;
            }
            for (from, to, message) in mem::take(&mut self.network) {
                let seat = self.seats.iter_mut().find(|seat| seat.me.replica() == to);
                let seat = seat.expect("messages go to members");
                seat.replica.handle_message(self.now, from, message);
            }
        }
    }
}

/// Drain before you wait.
fn drain(seat: &mut Seat, now: Instant, network: &mut Vec<(Peer, ReplicaId, Message)>) {
    loop {
        match seat.replica.poll_output() {
            Output::Persist { lsn, record, .. } => {
                black_box(record);
                seat.last = lsn;
            }
            Output::Send { to, message } => {
                network.extend(to.iter().map(|id| (seat.me, id, message.clone())));
            }
            Output::Chosen { slot, entry } => {
                if let Entry::Batch(batch) = &entry {
                    let commands = batch.commands().inspect(|command| {
                        black_box(command);
                    });
                    seat.applied += commands.count() as u64;
                }
                seat.replica.handle_applied(now, slot.next());
            }
            Output::Wait { .. } => {
                if seat.durable == seat.last {
                    return;
                }
                seat.durable = seat.last;
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
