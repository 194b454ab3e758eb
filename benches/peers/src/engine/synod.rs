//! synod: the core's `Replica`, with its default settings; messages are passed as values.
//!
//! The driver does what a host does: it drains before it waits, and only replicas that have had an
//! input; keeps each record in its log, in memory; and says that what it has kept is on disk when
//! nothing else is left to do. When nobody has anything to do it lets time jump to the first moment
//! that a replica waits for.

use synod::config::Config;
use synod::entry::Entry;
use synod::membership::{ClusterId, DiskId, Peer, ReplicaId};
use synod::message::Message;
use synod::output::Output;
use synod::record::{Lsn, Record, Recovered};
use synod::replica::{ProposeError, Replica, Role};
use synod::time::Instant;

use super::{Engine, TICKS_MAX};
use crate::check::Applied;
use crate::workload::Workload;

struct Seat {
    replica: Replica,
    me: Peer,
    /// What a disk would hold.
    log: Vec<Record>,
    appended: Lsn,
    durable: Lsn,
    until: Option<Instant>,
    /// It has had an input since it was drained.
    turned: bool,
    applied: Applied,
}

pub(super) struct Cluster {
    seats: Vec<Seat>,
    leader: usize,
    now: Instant,
    /// Messages under way: from, to, what.
    wire: Vec<(Peer, ReplicaId, Message)>,
    /// The wire of the turn before: the two take turns, and none is allocated.
    arriving: Vec<(Peer, ReplicaId, Message)>,
}

impl Cluster {
    /// Forms the cluster, and waits until one leads.
    pub(super) fn new(replicas: u64) -> Result<Self, String> {
        let name = ClusterId::named("bench").map_err(|e| e.to_string())?;
        let ids: Vec<ReplicaId> = (1..=replicas as u32).map(ReplicaId).collect();
        let mut seats = Vec::new();
        for id in &ids {
            let recovered = Recovered::nothing(name, *id, DiskId([id.0 as u8; 16]));
            let me = recovered.me;
            let config = Config { seed: id.0.into(), ..Config::new(ids.clone()) };
            let replica =
                Replica::new(config, recovered, Instant::ZERO).map_err(|e| e.to_string())?;
            seats.push(Seat {
                replica,
                me,
                log: Vec::new(),
                appended: Lsn::ZERO,
                durable: Lsn::ZERO,
                until: None,
                turned: true,
                applied: Applied::default(),
            });
        }
        let (wire, arriving) = (Vec::new(), Vec::new());
        let mut cluster = Self { seats, leader: 0, now: Instant::ZERO, wire, arriving };
        cluster.settle();
        for _ in 0..TICKS_MAX {
            let leads = |seat: &Seat| seat.replica.status().role == Role::Leading;
            if let Some(leader) = cluster.seats.iter().position(leads) {
                cluster.leader = leader;
                return Ok(cluster);
            }
            cluster.pass_time()?;
        }
        Err("nobody leads".into())
    }

    /// Carries messages until none is under way.
    fn settle(&mut self) {
        loop {
            for seat in self.seats.iter_mut().filter(|seat| seat.turned) {
                seat.turned = false;
                seat.drain(self.now, &mut self.wire);
            }
            if self.wire.is_empty() {
                return;
            }
            std::mem::swap(&mut self.wire, &mut self.arriving);
            for (from, to, message) in self.arriving.drain(..) {
                let seat = &mut self.seats[to.0 as usize - 1];
                seat.replica.handle_message(self.now, from, message);
                seat.turned = true;
            }
        }
    }

    /// Time jumps to the first moment that somebody waits for.
    fn pass_time(&mut self) -> Result<(), String> {
        let until = self.seats.iter().filter_map(|seat| seat.until).min();
        self.now = until.ok_or("nobody waits for anything")?.max(self.now);
        for seat in &mut self.seats {
            if seat.until.is_some_and(|until| until <= self.now) {
                seat.replica.handle_timeout(self.now);
                seat.turned = true;
            }
        }
        self.settle();
        Ok(())
    }
}

impl Engine for Cluster {
    fn window(&mut self, workload: &mut Workload, window: u64) -> Result<(), String> {
        let goal = self.seats[self.leader].applied.count + window;
        let mut left = window;
        while left > 0 {
            let seat = &mut self.seats[self.leader];
            seat.turned = true;
            left = propose(&mut seat.replica, self.now, workload, left)?;
            self.settle();
        }
        for _ in 0..TICKS_MAX {
            if self.seats.iter().all(|seat| seat.applied.count >= goal) {
                return Ok(());
            }
            self.pass_time()?;
        }
        Err("a replica never applied its commands".into())
    }

    fn applied(&self) -> Vec<Applied> {
        self.seats.iter().map(|seat| seat.applied).collect()
    }
}

/// Proposes so many commands, as far as there is room; says how many are left.
fn propose(
    replica: &mut Replica,
    now: Instant,
    workload: &mut Workload,
    commands: u64,
) -> Result<u64, String> {
    let mut intake = replica.intake(now);
    for left in (0..commands).rev() {
        match intake.propose(workload.next().1) {
            Ok(_) => {}
            Err(ProposeError::Full) => {
                workload.go_back();
                return Ok(left + 1);
            }
            Err(e) => return Err(e.to_string()),
        }
    }
    Ok(0)
}

impl Seat {
    /// Drain before you wait.
    fn drain(&mut self, now: Instant, wire: &mut Vec<(Peer, ReplicaId, Message)>) {
        loop {
            match self.replica.poll_output() {
                Output::Persist { lsn, record, .. } => {
                    self.log.push(record);
                    self.appended = lsn;
                }
                Output::Send { to, message } => {
                    let (mut to, others) = (to.iter(), to.len().saturating_sub(1));
                    wire.extend(to.by_ref().take(others).map(|id| (self.me, id, message.clone())));
                    wire.extend(to.next().map(|id| (self.me, id, message)));
                }
                Output::Chosen { slot, entry } => {
                    if let Entry::Batch(batch) = &entry {
                        self.applied.apply_all(batch.commands());
                    }
                    self.replica.handle_applied(now, slot.next());
                }
                Output::Wait { until } => {
                    self.until = until.map(|(at, _)| at);
                    if self.durable == self.appended {
                        return;
                    }
                    self.durable = self.appended;
                    self.replica.handle_persisted(now, self.durable);
                }
                Output::Fate { .. } | Output::Event(_) => {}
                Output::ReadReady { .. } | Output::ReadRefused { .. } => {
                    unreachable!("nobody reads")
                }
                Output::SendEntries { .. } | Output::ApplyFromLog { .. } => {
                    unreachable!("nobody is behind, and every entry is applied at once")
                }
            }
        }
    }
}
