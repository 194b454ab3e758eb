//! omnipaxos 0.2.4, with the memory storage of its own crate.
//!
//! Settings: `batch_size` 1, its default, or as many as are proposed at once, under which it is
//! fastest; flexible quorums off; leader election ticked only when nothing else is under way. An
//! entry is an `Arc<[u8]>`: the storage gives entries by cloning them and lends none, so a
//! `Vec<u8>` would be copied for each replica, each message and each reading. Entries that were
//! read are not trimmed: trimming needs every replica's word and moves the rest of the log.

use std::sync::Arc;

use omnipaxos::messages::Message;
use omnipaxos::storage::{Entry, NoSnapshot};
use omnipaxos::util::LogEntry;
use omnipaxos::{ClusterConfig, OmniPaxos, ServerConfig};
use omnipaxos_storage::memory_storage::MemoryStorage;

use super::{Engine, TICKS_MAX};
use crate::check::Applied;
use crate::workload::Workload;

#[derive(Clone, Debug)]
struct Command(Arc<[u8]>);

impl Entry for Command {
    type Snapshot = NoSnapshot;
}

struct Seat {
    node: OmniPaxos<Command, MemoryStorage<Command>>,
    applied: Applied,
}

pub(super) struct Cluster {
    seats: Vec<Seat>,
    leader: usize,
    wire: Vec<Message<Command>>,
    arriving: Vec<Message<Command>>,
}

impl Cluster {
    /// Ticks until all know who leads.
    pub(super) fn new(replicas: u64, batch: u64) -> Result<Self, String> {
        let mut seats = Vec::new();
        for pid in 1..=replicas {
            let cluster = ClusterConfig {
                configuration_id: 1,
                nodes: (1..=replicas).collect(),
                flexible_quorum: None,
            };
            let server = ServerConfig { pid, batch_size: batch as usize, ..Default::default() };
            let node = cluster.build_for_server(server, MemoryStorage::default());
            let node = node.map_err(|e| e.to_string())?;
            seats.push(Seat { node, applied: Applied::default() });
        }
        let mut cluster = Self { seats, leader: 0, wire: Vec::new(), arriving: Vec::new() };
        for _ in 0..TICKS_MAX {
            cluster.tick();
            let leaders: Vec<Option<(u64, bool)>> =
                cluster.seats.iter().map(|seat| seat.node.get_current_leader()).collect();
            if let Some((leader, true)) = leaders[0]
                && leaders.iter().all(|it| *it == leaders[0])
            {
                cluster.leader = leader as usize - 1;
                return Ok(cluster);
            }
        }
        Err("nobody leads".into())
    }

    fn tick(&mut self) {
        self.seats.iter_mut().for_each(|seat| seat.node.tick());
        self.settle();
    }

    /// Carries messages until none is under way, then reads what there is to apply.
    fn settle(&mut self) {
        loop {
            for seat in &mut self.seats {
                seat.node.take_outgoing_messages(&mut self.wire);
            }
            if self.wire.is_empty() {
                break;
            }
            std::mem::swap(&mut self.wire, &mut self.arriving);
            for message in self.arriving.drain(..) {
                let to = message.get_receiver() as usize - 1;
                self.seats[to].node.handle_incoming(message);
            }
        }
        for seat in &mut self.seats {
            let from = seat.applied.count as usize;
            let entries = seat.node.read_decided_suffix(from).unwrap_or_default();
            seat.applied.apply_all(entries.iter().filter_map(|entry| match entry {
                LogEntry::Decided(Command(command)) => Some(&command[..]),
                _ => None,
            }));
        }
    }
}

impl Engine for Cluster {
    fn window(&mut self, workload: &mut Workload, window: u64) -> Result<(), String> {
        let goal = self.seats[self.leader].applied.count + window;
        for _ in 0..window {
            let command = Command(workload.next().1.into());
            let taken = self.seats[self.leader].node.append(command);
            taken.map_err(|e| format!("{e:?}"))?;
        }
        self.settle();
        for _ in 0..TICKS_MAX {
            if self.seats.iter().all(|seat| seat.applied.count >= goal) {
                return Ok(());
            }
            self.tick();
        }
        Err("a replica never applied its commands".into())
    }

    fn applied(&self) -> Vec<Applied> {
        self.seats.iter().map(|seat| seat.applied).collect()
    }
}
