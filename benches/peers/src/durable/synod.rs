//! synod: a `Node` for each replica, each with a log in its directory, over the network within a
//! process that the crate has. It hands a frame in on the thread that sends it.
//!
//! Settings: all defaults (heartbeat 20 ms, election timeout 120 ms, 16 slots and 8 MiB in flight,
//! batches of 64 KiB, segments of 16 MiB), but for commands that would not fit the queue of 8 MiB:
//! then the queue has room for twice what is in flight. `synod` writes its log through a mapping,
//! as it does by itself on ext4 and XFS; `synod-pwrite` with `pwrite`. The proposing thread holds a
//! ticket for each command: it waits for the oldest, takes along all that are settled by then, and
//! proposes as many.

use std::collections::VecDeque;
use std::ops::Range;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use synod::config::Config;
use synod::entry::{Commands, Place};
use synod::membership::{ClusterId, ReplicaId};
use synod::node::Applied;
use synod::node::channel::Network;
use synod::slot::Slot;
use synod::wal::{DirectoryOptions, FileAccess, Wal, WalOptions};
use synod::{Consistency, Handle, Node, StateMachine, Ticket};

use super::Setup;
use super::drive::Cluster;
use super::place;
use crate::check;
use crate::workload::Workload;

/// How long anything but a measurement may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// A state machine that notes what it saw.
#[derive(Default)]
pub(crate) struct Seen(pub(crate) check::Applied);

impl StateMachine for Seen {
    type Answer = ();

    fn apply(&mut self, _place: Place, command: &[u8]) {
        self.0.apply(command);
    }

    fn apply_batch(&mut self, _: Slot, commands: Commands<'_>, answer: &mut dyn FnMut(())) {
        for command in commands {
            self.0.apply(command);
            answer(());
        }
    }
}

/// Nodes on one network.
pub(crate) struct Nodes {
    pub(crate) network: Network,
    pub(crate) handles: Vec<Handle<Seen>>,
}

/// What differs from the defaults.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Settings {
    pub(crate) access: FileAccess,
    pub(crate) wal: WalOptions,
    pub(crate) queue_bytes: usize,
    pub(crate) pipeline_bytes: usize,
    pub(crate) pipeline_slots: u64,
    pub(crate) batch_bytes: usize,
    pub(crate) unsynced_bytes: usize,
    /// How long replica 1 believes without an answer that it leads, or that another one does.
    pub(crate) first_election_timeout: Duration,
}

impl Settings {
    /// The defaults of the crate, with room for what is in flight.
    pub(crate) fn new(access: FileAccess, in_flight: usize, value_bytes: usize) -> Self {
        let config = Config::new([]);
        Self {
            access,
            wal: WalOptions::default(),
            queue_bytes: config.queue_bytes.max(2 * in_flight * value_bytes),
            pipeline_bytes: config.pipeline_bytes,
            pipeline_slots: config.pipeline_slots,
            batch_bytes: config.batch_bytes,
            unsynced_bytes: config.unsynced_bytes,
            first_election_timeout: config.election_timeout,
        }
    }
}

/// The names of the replicas.
pub(crate) fn ids(replicas: usize) -> Vec<ReplicaId> {
    (1..=replicas as u32).map(ReplicaId).collect()
}

impl Nodes {
    /// Starts them in new directories, and waits until one of them leads.
    pub(crate) fn start(run: &Path, replicas: usize, settings: Settings) -> Result<Self> {
        let network = Network::new();
        let cluster = ClusterId::named("peers")?;
        let options = DirectoryOptions { access: Some(settings.access), wal: settings.wal };
        let members = ids(replicas);
        let handles = members.iter().map(|id| {
            let directory = place::of_replica(run, id.0.into());
            let log = Wal::open_directory_with(directory, cluster, *id, options)?;
            let defaults = Config::new(members.iter().copied());
            let config = Config {
                seed: id.0.into(),
                election_timeout: match id.0 {
                    1 => settings.first_election_timeout,
                    _ => defaults.election_timeout,
                },
                queue_bytes: settings.queue_bytes,
                pipeline_bytes: settings.pipeline_bytes,
                pipeline_slots: settings.pipeline_slots,
                batch_bytes: settings.batch_bytes,
                unsynced_bytes: settings.unsynced_bytes,
                ..defaults
            };
            Ok(Node::start(config, log, network.transport(*id), Seen::default())?)
        });
        let handles = handles.collect::<Result<Vec<_>>>()?;
        let nodes = Self { network, handles };
        nodes.leader()?;
        Ok(nodes)
    }

    /// The replica that leads, once all the others know it.
    pub(crate) fn leader(&self) -> Result<usize> {
        let deadline = Instant::now() + PATIENCE;
        while Instant::now() < deadline {
            if let Some(leader) = self.handles.iter().position(|node| node.status().leads()) {
                let name = Some(ReplicaId(leader as u32 + 1));
                if self.handles.iter().all(|node| node.status().leader() == name) {
                    return Ok(leader);
                }
            }
            thread::sleep(Duration::from_millis(2));
        }
        bail!("no replica of synod leads after {PATIENCE:?}")
    }

    /// Lets replica 1 lead.
    pub(crate) fn let_first_lead(&self) -> Result<()> {
        let deadline = Instant::now() + PATIENCE;
        while self.leader()? != 0 {
            ensure!(Instant::now() < deadline, "replica 1 does not take over");
            // Refused while it is behind, or another hand-over goes on: then it is asked again.
            let _ = self.handles[self.leader()?].transfer(ReplicaId(1)).wait();
        }
        Ok(())
    }

    /// What each replica saw, once it has seen all that was acknowledged; then they stop.
    pub(crate) fn stop(self) -> Result<Vec<check::Applied>> {
        let logs = self.handles.iter().map(|node| {
            let seen = node.read(Consistency::Linearizable, |seen| seen.0);
            Ok(seen.wait()?)
        });
        let logs = logs.collect::<Result<Vec<_>>>()?;
        for node in &self.handles {
            node.stop().context("a replica of synod had failed")?;
        }
        Ok(logs)
    }
}

/// Replicas with a proposer at their leader.
struct Synod {
    nodes: Nodes,
    leader: usize,
    tickets: VecDeque<Ticket<Applied<()>>>,
    workload: Workload,
}

/// Starts synod with this access to its files.
pub(crate) fn start(setup: &Setup<'_>, access: FileAccess) -> Result<Box<dyn Cluster>> {
    let settings = Settings::new(access, setup.in_flight, setup.value_bytes);
    start_with(setup, settings)
}

/// Starts synod with these settings.
pub(crate) fn start_with(setup: &Setup<'_>, settings: Settings) -> Result<Box<dyn Cluster>> {
    let nodes = Nodes::start(setup.directory, setup.replicas, settings)?;
    let leader = nodes.leader()?;
    let workload = setup.workload();
    Ok(Box::new(Synod { nodes, leader, tickets: VecDeque::new(), workload }))
}

impl Cluster for Synod {
    fn propose(&mut self, commands: Range<u64>) -> Result<()> {
        let leader = &self.nodes.handles[self.leader];
        for number in commands {
            self.tickets.push_back(leader.propose(self.workload.command(number)));
        }
        Ok(())
    }

    fn applied(&mut self) -> Result<u64> {
        let Some(oldest) = self.tickets.pop_front() else { bail!("nothing is in flight") };
        oldest.wait()?;
        let mut count = 1;
        while self.tickets.front().is_some_and(Ticket::is_done) {
            self.tickets.pop_front().map(Ticket::wait).transpose()?;
            count += 1;
        }
        Ok(count)
    }

    fn stop(self: Box<Self>, commands: u64) -> Result<Vec<check::Applied>> {
        let logs = self.nodes.stop()?;
        ensure!(logs.iter().all(|log| log.count == commands), "a replica of synod is behind");
        Ok(logs)
    }
}
