//! The log and the state machine of openraft, in memory.

use std::collections::VecDeque;
use std::fmt::Debug;
use std::io::Cursor;
use std::ops::{Bound, RangeBounds};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use openraft::storage::{LogFlushed, LogState, RaftLogStorage, RaftStateMachine};
use openraft::{
    Entry, EntryPayload, LogId, OptionalSend, RaftLogReader, RaftSnapshotBuilder, Snapshot,
    SnapshotMeta, StorageError, StorageIOError, StoredMembership, Vote,
};
use tokio::sync::Notify;

use super::Types;
use crate::check::Applied;

type Stored<T> = Result<T, StorageError<u64>>;

/// A poisoned lock means that a replica panicked, which fails the run anyway.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What a replica has applied, for whoever waits for it.
#[derive(Default)]
pub(super) struct State {
    applied: Mutex<Applied>,
    more: Notify,
}

impl State {
    pub(super) fn applied(&self) -> Applied {
        *locked(&self.applied)
    }

    pub(super) async fn reached(&self, goal: u64) {
        while self.applied().count < goal {
            self.more.notified().await;
        }
    }
}

#[derive(Default)]
struct Kept {
    entries: VecDeque<Entry<Types>>,
    purged: Option<LogId<u64>>,
    vote: Option<Vote<u64>>,
}

impl Kept {
    /// The index of the first entry.
    fn first(&self) -> u64 {
        self.purged.map_or(0, |it| it.index + 1)
    }
}

/// The log; clones read the same.
#[derive(Clone, Default)]
pub(super) struct Log(Arc<Mutex<Kept>>);

impl RaftLogReader<Types> for Log {
    async fn try_get_log_entries<R: RangeBounds<u64> + Clone + Debug + OptionalSend>(
        &mut self,
        range: R,
    ) -> Stored<Vec<Entry<Types>>> {
        let kept = locked(&self.0);
        let first = kept.first();
        let from = match range.start_bound() {
            Bound::Included(at) => *at,
            Bound::Excluded(at) => at + 1,
            Bound::Unbounded => first,
        };
        let end = match range.end_bound() {
            Bound::Included(at) => at + 1,
            Bound::Excluded(at) => *at,
            Bound::Unbounded => u64::MAX,
        };
        let place = |at: u64| (at.saturating_sub(first) as usize).min(kept.entries.len());
        let (from, end) = (place(from), place(end));
        Ok(kept.entries.range(from..end.max(from)).cloned().collect())
    }
}

impl RaftLogStorage<Types> for Log {
    type LogReader = Self;

    async fn get_log_state(&mut self) -> Stored<LogState<Types>> {
        let kept = locked(&self.0);
        let last_log_id = kept.entries.back().map(|entry| entry.log_id).or(kept.purged);
        Ok(LogState { last_purged_log_id: kept.purged, last_log_id })
    }

    async fn get_log_reader(&mut self) -> Self {
        self.clone()
    }

    async fn save_vote(&mut self, vote: &Vote<u64>) -> Stored<()> {
        locked(&self.0).vote = Some(*vote);
        Ok(())
    }

    async fn read_vote(&mut self) -> Stored<Option<Vote<u64>>> {
        Ok(locked(&self.0).vote)
    }

    async fn append<I>(&mut self, entries: I, callback: LogFlushed<Types>) -> Stored<()>
    where
        I: IntoIterator<Item = Entry<Types>> + OptionalSend,
        I::IntoIter: OptionalSend,
    {
        locked(&self.0).entries.extend(entries);
        callback.log_io_completed(Ok(()));
        Ok(())
    }

    async fn truncate(&mut self, from: LogId<u64>) -> Stored<()> {
        let mut kept = locked(&self.0);
        let length = from.index.saturating_sub(kept.first());
        kept.entries.truncate(length as usize);
        Ok(())
    }

    async fn purge(&mut self, upto: LogId<u64>) -> Stored<()> {
        let mut kept = locked(&self.0);
        let gone = ((upto.index + 1).saturating_sub(kept.first()) as usize).min(kept.entries.len());
        kept.entries.drain(..gone);
        kept.purged = Some(upto);
        Ok(())
    }
}

/// The state machine: it has no snapshots, for none is ever asked for.
pub(super) struct Machine {
    state: Arc<State>,
    last: Option<LogId<u64>>,
    membership: StoredMembership<u64, openraft::BasicNode>,
}

impl Machine {
    pub(super) fn new(state: Arc<State>) -> Self {
        Self { state, last: None, membership: StoredMembership::default() }
    }
}

fn none() -> StorageError<u64> {
    let why = std::io::Error::other("there are no snapshots");
    StorageIOError::read_snapshot(None, &why).into()
}

impl RaftStateMachine<Types> for Machine {
    type SnapshotBuilder = NoSnapshots;

    async fn applied_state(
        &mut self,
    ) -> Stored<(Option<LogId<u64>>, StoredMembership<u64, openraft::BasicNode>)> {
        Ok((self.last, self.membership.clone()))
    }

    async fn apply<I>(&mut self, entries: I) -> Stored<Vec<()>>
    where
        I: IntoIterator<Item = Entry<Types>> + OptionalSend,
        I::IntoIter: OptionalSend,
    {
        let mut count = 0;
        let mut applied = locked(&self.state.applied);
        for entry in entries {
            count += 1;
            self.last = Some(entry.log_id);
            match entry.payload {
                EntryPayload::Blank => {}
                EntryPayload::Normal(command) => applied.apply(&command),
                EntryPayload::Membership(it) => {
                    self.membership = StoredMembership::new(self.last, it);
                }
            }
        }
        drop(applied);
        self.state.more.notify_one();
        Ok(vec![(); count])
    }

    async fn get_snapshot_builder(&mut self) -> NoSnapshots {
        NoSnapshots
    }

    async fn begin_receiving_snapshot(&mut self) -> Stored<Box<Cursor<Vec<u8>>>> {
        Err(none())
    }

    async fn install_snapshot(
        &mut self,
        _: &SnapshotMeta<u64, openraft::BasicNode>,
        _: Box<Cursor<Vec<u8>>>,
    ) -> Stored<()> {
        Err(none())
    }

    async fn get_current_snapshot(&mut self) -> Stored<Option<Snapshot<Types>>> {
        Ok(None)
    }
}

pub(super) struct NoSnapshots;

impl RaftSnapshotBuilder<Types> for NoSnapshots {
    async fn build_snapshot(&mut self) -> Stored<Snapshot<Types>> {
        Err(none())
    }
}
