//! raft 0.7.0, with its own `MemStorage` and the protobuf codec; messages are passed as values.
//!
//! Settings: `batch_append`, messages of any size, and a window either proposed one by one or,
//! under which it is fastest, as one MsgPropose with all its entries. No pre-vote, no check of the
//! quorum: its defaults, and the cheapest. Ticks only when nothing else is under way.

use bytes::Bytes;
use raft::eraftpb::{Entry, EntryType, Message, MessageType};
use raft::storage::MemStorage;
use raft::{Config, RawNode, StateRole};
use slog::{Discard, Logger, o};

use super::{Engine, TICKS_MAX};
use crate::check::Applied;
use crate::workload::Workload;

struct Seat {
    node: RawNode<MemStorage>,
    applied: Applied,
}

pub(super) struct Cluster {
    seats: Vec<Seat>,
    /// Whether a window is one proposal.
    together: bool,
    leader: usize,
    wire: Vec<Message>,
    arriving: Vec<Message>,
}

impl Cluster {
    /// The first replica campaigns, and must lead.
    pub(super) fn new(replicas: u64, together: bool) -> Result<Self, String> {
        let logger = Logger::root(Discard, o!());
        let voters: Vec<u64> = (1..=replicas).collect();
        let mut seats = Vec::new();
        for id in 1..=replicas {
            let config =
                Config { batch_append: true, max_size_per_msg: u64::MAX, ..Config::new(id) };
            let storage = MemStorage::new_with_conf_state((voters.clone(), vec![]));
            let node = RawNode::new(&config, storage, &logger).map_err(|e| e.to_string())?;
            seats.push(Seat { node, applied: Applied::default() });
        }
        let (wire, arriving) = (Vec::new(), Vec::new());
        let mut cluster = Self { seats, together, leader: 0, wire, arriving };
        cluster.seats[0].node.campaign().map_err(|e| e.to_string())?;
        cluster.settle()?;
        let leads = cluster.seats[0].node.raft.state == StateRole::Leader;
        leads.then_some(cluster).ok_or_else(|| "nobody leads".into())
    }

    /// Carries messages until none is under way.
    fn settle(&mut self) -> Result<(), String> {
        loop {
            for seat in &mut self.seats {
                while seat.node.has_ready() {
                    seat.turn(&mut self.wire).map_err(|e| e.to_string())?;
                }
            }
            if self.wire.is_empty() {
                return Ok(());
            }
            std::mem::swap(&mut self.wire, &mut self.arriving);
            for message in self.arriving.drain(..) {
                let to = message.to as usize - 1;
                self.seats[to].node.step(message).map_err(|e| e.to_string())?;
            }
        }
    }
}

impl Engine for Cluster {
    fn window(&mut self, workload: &mut Workload, window: u64) -> Result<(), String> {
        let goal = self.seats[self.leader].applied.count + window;
        let mut entry = || {
            let data = Bytes::copy_from_slice(workload.next().1);
            Entry { data, ..Entry::default() }
        };
        let node = &mut self.seats[self.leader].node;
        let mut propose = |entries: Vec<Entry>| {
            let mut message = Message::default();
            message.set_msg_type(MessageType::MsgPropose);
            message.from = node.raft.id;
            message.entries = entries.into();
            node.step(message).map_err(|e| e.to_string())
        };
        if self.together {
            propose((0..window).map(|_| entry()).collect())?;
        } else {
            (0..window).try_for_each(|_| propose(vec![entry()]))?;
        }
        self.settle()?;
        for _ in 0..TICKS_MAX {
            if self.seats.iter().all(|seat| seat.applied.count >= goal) {
                return Ok(());
            }
            for seat in &mut self.seats {
                seat.node.tick();
            }
            self.settle()?;
        }
        Err("a replica never applied its commands".into())
    }

    fn applied(&self) -> Vec<Applied> {
        self.seats.iter().map(|seat| seat.applied).collect()
    }
}

impl Seat {
    /// One `Ready`, done as its documentation says.
    fn turn(&mut self, wire: &mut Vec<Message>) -> raft::Result<()> {
        let mut ready = self.node.ready();
        wire.extend(ready.take_messages());
        self.apply(&ready.take_committed_entries());
        let storage = self.node.mut_store();
        storage.wl().append(ready.entries())?;
        if let Some(state) = ready.hs() {
            storage.wl().set_hardstate(state.clone());
        }
        wire.extend(ready.take_persisted_messages());
        let mut rest = self.node.advance(ready);
        if let Some(index) = rest.commit_index() {
            self.node.mut_store().wl().mut_hard_state().commit = index;
        }
        wire.extend(rest.take_messages());
        self.apply(&rest.take_committed_entries());
        self.node.advance_apply();
        Ok(())
    }

    fn apply(&mut self, entries: &[Entry]) {
        // A new leader begins with an empty one.
        let is_command = |entry: &&Entry| {
            entry.get_entry_type() == EntryType::EntryNormal && !entry.data.is_empty()
        };
        self.applied.apply_all(entries.iter().filter(is_command).map(|entry| &entry.data[..]));
    }
}
