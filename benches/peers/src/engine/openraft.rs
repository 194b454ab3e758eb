//! openraft 0.9.25, the newest that is released, on a tokio runtime of one thread.
//!
//! Settings: as many entries in a message as there are, no snapshots, and no elections once one
//! leads. Requests are calls of the other replica, responses their results; the log and the state
//! machine are in memory. Commands go in with `client_write_ff`, which waits for nothing, and the
//! answers to a whole window are awaited together.

mod storage;

use std::collections::BTreeMap;
use std::future::Future;
use std::io::Cursor;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use bytes::Bytes;
use openraft::error::{InstallSnapshotError, NetworkError, RPCError, RaftError};
use openraft::network::{RPCOption, RaftNetwork, RaftNetworkFactory};
use openraft::raft::{
    AppendEntriesRequest, AppendEntriesResponse, InstallSnapshotRequest, InstallSnapshotResponse,
    VoteRequest, VoteResponse,
};
use openraft::{BasicNode, Config, Raft, SnapshotPolicy};
use tokio::runtime::Runtime;

use super::Engine;
use crate::check::Applied;
use crate::workload::Workload;
use storage::{Log, Machine, State};

openraft::declare_raft_types!(
    pub(super) Types:
        D = Bytes,
        R = (),
);

type Rpc<E> = RPCError<u64, BasicNode, E>;

/// What takes longer has come to a standstill.
const PATIENCE: Duration = Duration::from_secs(30);

/// How many entries a message may have: more than any window. openraft adds it to an index, so the
/// largest number overflows there.
const ENTRIES_MAX: u64 = 1 << 20;

/// The replicas, as they find one another.
type Members = Arc<OnceLock<Vec<Raft<Types>>>>;

pub(super) struct Cluster {
    runtime: Runtime,
    members: Members,
    states: Vec<Arc<State>>,
}

impl Cluster {
    /// Forms the cluster from its first replica, which then leads.
    pub(super) fn new(replicas: u64) -> Result<Self, String> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build();
        let runtime = runtime.map_err(|e| e.to_string())?;
        let members = Members::default();
        let states: Vec<Arc<State>> = (0..replicas).map(|_| Arc::default()).collect();
        runtime.block_on(started(&members, &states))?;
        Ok(Self { runtime, members, states })
    }
}

async fn started(members: &Members, states: &[Arc<State>]) -> Result<(), String> {
    let config = Config {
        max_payload_entries: ENTRIES_MAX,
        snapshot_policy: SnapshotPolicy::Never,
        ..Config::default()
    };
    let config = Arc::new(config.validate().map_err(|e| e.to_string())?);
    let mut rafts = Vec::new();
    for (id, state) in (1..).zip(states) {
        let network = Network(members.clone());
        let machine = Machine::new(state.clone());
        let raft = Raft::new(id, config.clone(), network, Log::default(), machine).await;
        rafts.push(raft.map_err(|e| e.to_string())?);
    }
    let first = rafts[0].clone();
    let all = rafts.clone();
    let nodes: BTreeMap<u64, BasicNode> =
        (1..=states.len() as u64).map(|id| (id, BasicNode::default())).collect();
    members.set(rafts).map_err(|_| "the members are known already")?;
    first.initialize(nodes).await.map_err(|e| e.to_string())?;
    let leads = first.wait(Some(PATIENCE)).current_leader(1, "the first leads").await;
    leads.map_err(|e| e.to_string())?;
    all.iter().for_each(|raft| raft.runtime_config().elect(false));
    Ok(())
}

impl Engine for Cluster {
    fn window(&mut self, workload: &mut Workload, window: u64) -> Result<(), String> {
        let leader = &self.members.get().ok_or("no members")?[0];
        let goal = self.states[0].applied().count + window;
        self.runtime.block_on(async {
            let mut answers = Vec::with_capacity(window as usize);
            for _ in 0..window {
                let command = Bytes::copy_from_slice(workload.next().1);
                let taken = leader.client_write_ff(command).await;
                answers.push(taken.map_err(|e| e.to_string())?);
            }
            in_time(async {
                for answer in answers {
                    answer.await.map_err(|e| e.to_string())?.map_err(|e| e.to_string())?;
                }
                for state in &self.states {
                    state.reached(goal).await;
                }
                Ok(())
            })
            .await
        })
    }

    fn applied(&self) -> Vec<Applied> {
        self.states.iter().map(|state| state.applied()).collect()
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        if let Some(members) = self.members.get() {
            self.runtime.block_on(async {
                for raft in members {
                    // It is gone either way.
                    let _ = raft.shutdown().await;
                }
            });
        }
    }
}

async fn in_time(done: impl Future<Output = Result<(), String>>) -> Result<(), String> {
    let done = tokio::time::timeout(PATIENCE, done).await;
    done.unwrap_or_else(|_| Err("a replica never applied its commands".into()))
}

struct Network(Members);

impl RaftNetworkFactory<Types> for Network {
    type Network = Link;

    async fn new_client(&mut self, target: u64, _: &BasicNode) -> Link {
        Link { members: self.0.clone(), target }
    }
}

struct Link {
    members: Members,
    target: u64,
}

impl Link {
    fn far(&self) -> Result<&Raft<Types>, NetworkError> {
        let members = self.members.get().and_then(|all| all.get(self.target as usize - 1));
        members.ok_or_else(|| NetworkError::new(&std::io::Error::other("not started")))
    }
}

impl RaftNetwork<Types> for Link {
    async fn append_entries(
        &mut self,
        request: AppendEntriesRequest<Types>,
        _: RPCOption,
    ) -> Result<AppendEntriesResponse<u64>, Rpc<RaftError<u64>>> {
        self.far()?.append_entries(request).await.map_err(|e| NetworkError::new(&e).into())
    }

    async fn install_snapshot(
        &mut self,
        request: InstallSnapshotRequest<Types>,
        _: RPCOption,
    ) -> Result<InstallSnapshotResponse<u64>, Rpc<RaftError<u64, InstallSnapshotError>>> {
        self.far()?.install_snapshot(request).await.map_err(|e| NetworkError::new(&e).into())
    }

    async fn vote(
        &mut self,
        request: VoteRequest<u64>,
        _: RPCOption,
    ) -> Result<VoteResponse<u64>, Rpc<RaftError<u64>>> {
        self.far()?.vote(request).await.map_err(|e| NetworkError::new(&e).into())
    }
}
