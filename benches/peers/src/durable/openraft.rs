//! openraft 0.10.0-alpha.37 over a plain log in a file.
//!
//! Why not 0.9: there the core waits for the callback of each append before it does anything else,
//! so every proposal has a sync of its own, whatever the log does; since 0.10 it goes on.
//!
//! Settings: elections after 1 s and more (nothing fails here), `max_payload_entries` 4096, no
//! snapshots; the rest are defaults. A tokio runtime of one worker for each replica. Messages go by
//! calls from runtime to runtime, nothing encoded; appends as a stream, so that the next goes out
//! before the last one was answered. Proposals that come together go in by one
//! `client_write_many`; that they were applied is told by the leader's state machine.

mod log;

use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::io;
use std::ops::Range;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use bytes::Bytes;
use crossbeam_channel::{Receiver, Sender, unbounded};
use futures_util::{Stream, StreamExt as _, TryStreamExt as _};
use openraft_next::base::{BoxFuture, BoxStream};
use openraft_next::errors::{RPCError, ReplicationClosed, StreamingError, Unreachable};
use openraft_next::network::RPCOption;
use openraft_next::raft::{
    AppendEntriesRequest, AppendEntriesResponse, SnapshotResponse, StreamAppendResult, VoteRequest,
    VoteResponse,
};
use openraft_next::storage::{EntryResponder, RaftStateMachine};
use openraft_next::type_config::alias::{
    LogIdOf, SnapshotMetaOf, SnapshotOf, StoredMembershipOf, VoteOf,
};
use openraft_next::{
    Config, EntryPayload, OptionalSend, Raft, RaftNetworkFactory, RaftNetworkV2,
    RaftSnapshotBuilder, ServerState, SnapshotPolicy,
};
use tokio::runtime::{Builder, Runtime};

use super::drive::Cluster;
use super::{Setup, place};
use crate::check::Applied;
use crate::workload::Workload;

/// How long anything but a measurement may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// A command.
#[derive(Clone, Debug)]
pub(crate) struct Command(pub(crate) Bytes);

impl std::fmt::Display for Command {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} bytes", self.0.len())
    }
}

openraft_next::declare_raft_types!(
    pub(crate) Types:
        D = Command,
        R = (),
        Node = openraft_next::EmptyNode,
);

type Core = Raft<Types, Machine>;

/// What a state machine saw, and how it tells.
struct Machine {
    applied: Arc<Mutex<Applied>>,
    seen: Arc<AtomicU64>,
    proposer: Option<Sender<u64>>,
    last: Option<LogIdOf<Types>>,
    membership: StoredMembershipOf<Types>,
}

/// There are no snapshots.
struct NoSnapshot;

fn no_snapshot() -> io::Error {
    io::Error::other("no snapshots are made here")
}

impl RaftSnapshotBuilder<Types> for NoSnapshot {
    type SnapshotData = ();

    async fn build_snapshot(&mut self) -> Result<SnapshotOf<Types, ()>, io::Error> {
        Err(no_snapshot())
    }
}

impl RaftStateMachine<Types> for Machine {
    type SnapshotData = ();
    type SnapshotBuilder = NoSnapshot;

    async fn applied_state(
        &mut self,
    ) -> Result<(Option<LogIdOf<Types>>, StoredMembershipOf<Types>), io::Error> {
        Ok((self.last, self.membership.clone()))
    }

    async fn apply<S>(&mut self, mut entries: S) -> Result<(), io::Error>
    where
        S: Stream<Item = Result<EntryResponder<Types>, io::Error>> + Unpin + OptionalSend,
    {
        let mut count = 0;
        while let Some((entry, responder)) = entries.try_next().await? {
            self.last = Some(entry.log_id);
            match entry.payload {
                EntryPayload::Blank => {}
                EntryPayload::Normal(command) => {
                    let mut applied = self.applied.lock().unwrap_or_else(PoisonError::into_inner);
                    applied.apply(&command.0);
                    count += 1;
                }
                EntryPayload::Membership(members) => {
                    self.membership = StoredMembershipOf::<Types>::new(self.last, members);
                }
            }
            if let Some(responder) = responder {
                responder.send(());
            }
        }
        self.seen.fetch_add(count, Ordering::Release);
        if let Some(proposer) = &self.proposer {
            let _ = proposer.send(count);
        }
        Ok(())
    }

    async fn get_snapshot_builder(&mut self) -> NoSnapshot {
        NoSnapshot
    }

    async fn install_snapshot(
        &mut self,
        _meta: &SnapshotMetaOf<Types>,
        _snapshot: (),
    ) -> Result<(), io::Error> {
        Err(no_snapshot())
    }

    async fn get_current_snapshot(&mut self) -> Result<Option<SnapshotOf<Types, ()>>, io::Error> {
        Ok(None)
    }
}

/// Every replica, by its name.
#[derive(Clone, Default)]
struct Router(Arc<Mutex<BTreeMap<u64, Core>>>);

struct Link {
    router: Router,
    to: u64,
    known: Option<Core>,
}

impl Link {
    fn core(&mut self) -> Result<Core, RPCError<Types>> {
        if self.known.is_none() {
            let cores = self.router.0.lock().unwrap_or_else(PoisonError::into_inner);
            self.known = cores.get(&self.to).cloned();
        }
        self.known.clone().ok_or_else(|| unreachable(&io::Error::other("not there yet")))
    }
}

fn unreachable(error: &(impl std::error::Error + 'static)) -> RPCError<Types> {
    RPCError::Unreachable(Unreachable::new(error))
}

impl RaftNetworkFactory<Types> for Router {
    type Network = Link;

    async fn new_client(&mut self, to: u64, _node: &openraft_next::EmptyNode) -> Link {
        Link { router: self.clone(), to, known: None }
    }
}

impl RaftNetworkV2<Types> for Link {
    type SnapshotData = ();

    async fn append_entries(
        &mut self,
        request: AppendEntriesRequest<Types>,
        _option: RPCOption,
    ) -> Result<AppendEntriesResponse<Types>, RPCError<Types>> {
        self.core()?.append_entries(request).await.map_err(|error| unreachable(&error))
    }

    fn stream_append<'s, S>(
        &'s mut self,
        input: S,
        _option: RPCOption,
    ) -> BoxFuture<
        's,
        Result<BoxStream<'s, Result<StreamAppendResult<Types>, RPCError<Types>>>, RPCError<Types>>,
    >
    where
        S: Stream<Item = AppendEntriesRequest<Types>> + OptionalSend + Unpin + 'static,
    {
        Box::pin(async move {
            let answers = self.core()?.stream_append(input);
            let answers = answers.map(|answer| answer.map_err(|error| unreachable(&error)));
            Ok(Box::pin(answers) as BoxStream<'s, _>)
        })
    }

    async fn vote(
        &mut self,
        request: VoteRequest<Types>,
        _option: RPCOption,
    ) -> Result<VoteResponse<Types>, RPCError<Types>> {
        self.core()?.vote(request).await.map_err(|error| unreachable(&error))
    }

    async fn full_snapshot(
        &mut self,
        _vote: VoteOf<Types>,
        _snapshot: SnapshotOf<Types, ()>,
        _cancel: impl Future<Output = ReplicationClosed> + OptionalSend + 'static,
        _option: RPCOption,
    ) -> Result<SnapshotResponse<Types>, StreamingError<Types>> {
        Err(StreamingError::Unreachable(Unreachable::new(&no_snapshot())))
    }
}

/// A replica, on a runtime of its own.
struct Replica {
    core: Core,
    applied: Arc<Mutex<Applied>>,
    seen: Arc<AtomicU64>,
    runtime: Runtime,
}

struct Openraft {
    replicas: Vec<Replica>,
    router: Router,
    applied: Receiver<u64>,
    workload: Workload,
}

fn start_replica(
    run: &Path,
    name: u64,
    router: &Router,
    proposer: Option<Sender<u64>>,
) -> Result<Replica> {
    let config = Config {
        election_timeout_min: 1000,
        election_timeout_max: 2000,
        heartbeat_interval: 50,
        max_payload_entries: 4096,
        snapshot_policy: SnapshotPolicy::Never,
        ..Config::default()
    };
    let config = Arc::new(config.validate()?);
    let runtime = Builder::new_multi_thread()
        .worker_threads(1)
        .thread_name(format!("openraft-{name}"))
        .enable_all()
        .build()?;
    let log = log::Log::open(&place::of_replica(run, name))?;
    let (applied, seen) = (Arc::default(), Arc::default());
    let machine = Machine {
        applied: Arc::clone(&applied),
        seen: Arc::clone(&seen),
        proposer,
        last: None,
        membership: StoredMembershipOf::<Types>::default(),
    };
    let core = runtime.block_on(Raft::new(name, config, router.clone(), log, machine))?;
    router.0.lock().unwrap_or_else(PoisonError::into_inner).insert(name, core.clone());
    Ok(Replica { core, applied, seen, runtime })
}

/// Starts the replicas; number 1 leads.
pub(crate) fn start(setup: &Setup<'_>) -> Result<Box<dyn Cluster>> {
    let router = Router::default();
    let (proposer, applied) = unbounded();
    let mut proposer = Some(proposer);
    let names = 1..=setup.replicas as u64;
    let replicas = names
        .clone()
        .map(|name| start_replica(setup.directory, name, &router, proposer.take()))
        .collect::<Result<Vec<_>>>()?;
    let Some(first) = replicas.first() else { bail!("no replicas") };
    first.runtime.block_on(async {
        first.core.initialize(names.collect::<BTreeSet<_>>()).await?;
        first.core.wait(Some(PATIENCE)).state(ServerState::Leader, "a leader").await?;
        // The list of members, and the leader's first entry: before, it takes no commands.
        for replica in &replicas {
            let applied = replica.core.wait(Some(PATIENCE));
            applied.applied_index_at_least(Some(1), "a leader that takes commands").await?;
        }
        anyhow::Ok(())
    })?;
    Ok(Box::new(Openraft { replicas, router, applied, workload: setup.workload() }))
}

impl Cluster for Openraft {
    fn propose(&mut self, commands: Range<u64>) -> Result<()> {
        let commands =
            commands.map(|it| Command(Bytes::copy_from_slice(self.workload.command(it))));
        let commands = commands.collect::<Vec<_>>();
        let leader = &self.replicas[0];
        let write = leader.core.client_write_many(commands);
        drop(leader.runtime.block_on(write)?);
        Ok(())
    }

    fn applied(&mut self) -> Result<u64> {
        loop {
            let first = self.applied.recv_timeout(PATIENCE).context("nothing is applied")?;
            let count = first + self.applied.try_iter().sum::<u64>();
            if count > 0 {
                return Ok(count);
            }
        }
    }

    fn stop(self: Box<Self>, commands: u64) -> Result<Vec<Applied>> {
        let deadline = Instant::now() + PATIENCE;
        let behind = |replica: &Replica| replica.seen.load(Ordering::Acquire) < commands;
        while self.replicas.iter().any(behind) {
            if Instant::now() > deadline {
                bail!("a replica of openraft is behind");
            }
            thread::sleep(Duration::from_millis(1));
        }
        self.router.0.lock().unwrap_or_else(PoisonError::into_inner).clear();
        let mut seen = Vec::new();
        for Replica { core, applied, runtime, .. } in self.replicas {
            runtime.block_on(core.shutdown()).ok().context("a replica of openraft has failed")?;
            runtime.shutdown_timeout(PATIENCE);
            seen.push(*applied.lock().unwrap_or_else(PoisonError::into_inner));
        }
        Ok(seen)
    }
}
