//! Hosts on one table: messages pass as frames, time is a number, and each log is a directory.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use bytes::Bytes;
use synod::membership::{ClusterId, Peer, ReplicaId};
use synod::message::{Chosen, Message};
use synod::record::Recovered;
use synod::slot::{Slot, Slots};
use synod::time::Instant;
use synod::wal::Wal;
use synod::wire::{self, Body};
use tempfile::TempDir;

use crate::full::Full;
use crate::observer::Observer;
use crate::witness::Witness;

/// The full replicas, and what is neither.
pub(crate) const FULL: [ReplicaId; 2] = [ReplicaId(1), ReplicaId(2)];
pub(crate) const WITNESS: ReplicaId = ReplicaId(3);
pub(crate) const OBSERVER: ReplicaId = ReplicaId(9);
pub(crate) const MEMBERS: [ReplicaId; 3] = [FULL[0], FULL[1], WITNESS];

/// How many steps of the clock anything may take: five minutes of the cluster's time.
const STEPS_MAX: u32 = 60_000;
const STEP: Duration = Duration::from_millis(5);

/// What turns a role: as any driver does, it drains before it waits.
pub(crate) trait Host {
    fn me(&self) -> Peer;
    fn handle_message(&mut self, now: Instant, from: Peer, message: Message);
    fn handle_timeout(&mut self, now: Instant);
    /// Appends what is to be written, and gives what is to be sent.
    fn drain(&mut self, now: Instant) -> Vec<(ReplicaId, Message)>;
    /// Brings to the disk what was appended, if there is anything.
    fn sync(&mut self, now: Instant);
}

pub(crate) fn cluster_id() -> ClusterId {
    ClusterId::named("roles alone").expect("a short name")
}

pub(crate) fn open(directory: &Path, id: ReplicaId) -> (Wal, Recovered) {
    Wal::open_directory(directory, cluster_id(), id).expect("the log opens")
}

/// Runs one sync of the log to its end. Gives the durable mark, if there was anything to sync.
pub(crate) fn sync(wal: &mut Wal) -> Option<synod::record::Lsn> {
    let sync = wal.start_sync().expect("a sync starts")?;
    Some(wal.finish(sync.run()).expect("the disk works"))
}

/// Chosen entries out of a log, for whoever has asked for them.
pub(crate) fn page(wal: &Wal, slots: Slots, chosen: Slot) -> Vec<Message> {
    let stored = slots.iter().map_while(|slot| Some((slot, wal.locate(slot)?)));
    let message = |(slot, located): (Slot, synod::wal::Located)| {
        let (ballot, entry) = located.read().expect("the entry can be read");
        Chosen { slot, ballot, entry, chosen }.into()
    };
    stored.map(message).collect()
}

/// Directories, and the network between their hosts.
pub(crate) struct Table {
    directories: BTreeMap<ReplicaId, TempDir>,
    pub(crate) now: Instant,
    /// How many of a thousand frames are lost.
    pub(crate) loss_permille: u32,
    random: oorandom::Rand32,
}

impl Table {
    /// An empty table; the seed says which frames are lost.
    pub(crate) fn new(seed: u64) -> Self {
        let directory = |id| (id, tempfile::tempdir().expect("a temporary directory"));
        let ids = MEMBERS.into_iter().chain([OBSERVER]);
        Self {
            directories: ids.map(directory).collect(),
            now: Instant::from_millis(1000),
            loss_permille: 0,
            random: oorandom::Rand32::new(seed),
        }
    }

    pub(crate) fn directory(&self, id: ReplicaId) -> &Path {
        self.directories[&id].path()
    }

    /// Lets the clock take steps until something holds. What one host sends, another hears in the
    /// same step; what nobody is there to hear is lost.
    pub(crate) fn run(
        &mut self,
        hosts: &mut Cluster,
        what: &str,
        until: impl Fn(&Cluster) -> bool,
    ) {
        for _ in 0..STEPS_MAX {
            if until(hosts) {
                return;
            }
            self.step(hosts);
        }
        let stalled = |host: &Full| host.replica.why_stalled(self.now).map(|why| why.to_string());
        let why: Vec<_> = hosts.full.iter().flatten().map(stalled).collect();
        panic!("waited in vain: {what}; {why:?}");
    }

    fn step(&mut self, hosts: &mut Cluster) {
        self.now = self.now.after(STEP);
        for host in hosts.up() {
            host.handle_timeout(self.now);
        }
        loop {
            let frames = self.settle(hosts);
            if frames.is_empty() {
                return;
            }
            for (to, frame) in frames {
                if self.random.rand_range(0..1000) < self.loss_permille {
                    continue;
                }
                let mut up = hosts.up().into_iter();
                let Some(host) = up.find(|host| host.me().replica() == to) else { continue };
                let Ok((from, Body::Message(message))) = wire::decode(cluster_id(), frame) else {
                    panic!("a host has sent what is no message");
                };
                host.handle_message(self.now, from, message);
            }
        }
    }

    /// Drains every host, syncs its log, and drains it again: then it has said all that it may.
    fn settle(&self, hosts: &mut Cluster) -> Vec<(ReplicaId, Bytes)> {
        let mut frames = Vec::new();
        for host in hosts.up() {
            let mut said = host.drain(self.now);
            host.sync(self.now);
            said.extend(host.drain(self.now));
            for (to, message) in said {
                let mut frame = Vec::new();
                wire::encode(cluster_id(), host.me(), &message, &mut frame);
                frames.push((to, frame.into()));
            }
        }
        frames
    }
}

/// Two replicas, a witness, and an observer; each may be down.
pub(crate) struct Cluster {
    pub(crate) full: [Option<Full>; 2],
    pub(crate) witness: Option<Witness>,
    pub(crate) observer: Option<Observer>,
}

impl Cluster {
    /// Whoever is up.
    fn up(&mut self) -> Vec<&mut dyn Host> {
        let full = self.full.iter_mut().flatten().map(|host| host as &mut dyn Host);
        let witness = self.witness.as_mut().map(|host| host as &mut dyn Host);
        full.chain(witness)
            .chain(self.observer.as_mut().map(|host| host as &mut dyn Host))
            .collect()
    }

    /// The three members, on fresh disks, as soon as one of them leads.
    pub(crate) fn start(table: &mut Table) -> Self {
        let mut cluster = Self { full: [None, None], witness: None, observer: None };
        cluster.start_full(table, 0);
        cluster.start_full(table, 1);
        cluster.start_witness(table);
        table.run(&mut cluster, "a leader", |cluster| cluster.leader().is_some());
        cluster
    }

    pub(crate) fn start_full(&mut self, table: &Table, index: usize) {
        let id = FULL[index];
        self.full[index] = None; // Its log must be closed before it is opened.
        self.full[index] = Some(Full::start(table.directory(id), id, table.now));
    }

    pub(crate) fn start_witness(&mut self, table: &Table) {
        self.witness = None;
        self.witness = Some(Witness::start(table.directory(WITNESS), WITNESS, table.now));
    }

    pub(crate) fn start_observer(&mut self, table: &Table) {
        self.observer = None;
        self.observer = Some(Observer::start(table.directory(OBSERVER), OBSERVER, table.now));
    }

    pub(crate) fn leader(&self) -> Option<usize> {
        self.full.iter().position(|host| host.as_ref().is_some_and(Full::leads))
    }

    pub(crate) fn full(&mut self, index: usize) -> &mut Full {
        self.full[index].as_mut().expect("the replica is up")
    }

    pub(crate) fn witness(&mut self) -> &mut Witness {
        self.witness.as_mut().expect("the witness is up")
    }

    pub(crate) fn observer(&mut self) -> &mut Observer {
        self.observer.as_mut().expect("the observer is up")
    }

    /// Stops the replica that leads; gives the other one, as soon as that leads.
    pub(crate) fn fail_over(&mut self, table: &mut Table) -> usize {
        let down = self.leader().expect("somebody leads");
        self.full[down] = None;
        let up = 1 - down;
        table.run(self, "another leader", |cluster| cluster.leader() == Some(up));
        up
    }

    /// Proposes so many commands at a replica, and waits until every replica that is up has applied
    /// `total` commands.
    pub(crate) fn propose(&mut self, table: &mut Table, at: usize, count: usize, total: usize) {
        for number in total - count..total {
            let command = format!("command {number}").into_bytes();
            self.full(at).propose(table.now, command);
        }
        table.run(self, "the commands are applied", |cluster| {
            cluster.full.iter().flatten().all(|host| host.applied.len() >= total)
        });
        let mut applied = self.full.iter().flatten().map(|host| &host.applied);
        let first = applied.next().expect("a replica is up");
        assert!(applied.all(|other| other == first), "all have applied the same");
        if table.loss_permille == 0 {
            assert_eq!(*first, commands(total), "in the order in which they were proposed");
        }
        let mut sorted = first.clone();
        sorted.sort_unstable();
        let mut wanted = commands(total);
        wanted.sort_unstable();
        assert_eq!(sorted, wanted, "each command is applied, once");
    }
}

/// The first commands that [`Cluster::propose`] proposes.
pub(crate) fn commands(total: usize) -> Vec<Vec<u8>> {
    (0..total).map(|number| format!("command {number}").into_bytes()).collect()
}
