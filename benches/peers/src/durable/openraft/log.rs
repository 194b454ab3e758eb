//! A plain log for openraft: a file that is only written forwards, a thread that syncs.
//!
//! Settings: a file of 128 MiB, zeroed beforehand, written with `pwrite` and `fdatasync` by a
//! thread that takes all that has queued up in one write and one sync, and calls back afterwards;
//! no checksums. All entries stay in memory, for openraft reads each of them to send and to apply
//! it.

use std::collections::VecDeque;
use std::fmt::Debug;
use std::fs::{self, File};
use std::io;
use std::ops::{Bound, RangeBounds};
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;

use anyhow::Result;
use crossbeam_channel::{Receiver, Sender, unbounded};
use openraft_next::entry::RaftEntry as _;
use openraft_next::storage::{IOFlushed, LogState, RaftLogReader, RaftLogStorage};
use openraft_next::type_config::alias::{EntryOf, LogIdOf, VoteOf};
use openraft_next::{EntryPayload, OptionalSend};
use tokio::sync::oneshot;

use super::Types;
use crate::durable::place;

const FILE_BYTES: u64 = 128 << 20;

/// A log: what openraft reads lies in memory, what must survive goes to the thread.
#[derive(Clone)]
pub(crate) struct Log {
    kept: Arc<Mutex<Kept>>,
    writes: Sender<Write>,
}

#[derive(Default)]
struct Kept {
    vote: Option<VoteOf<Types>>,
    purged: Option<LogIdOf<Types>>,
    /// The index of the first entry.
    first: u64,
    entries: VecDeque<EntryOf<Types>>,
}

/// Bytes for the file, and who waits for them.
struct Write {
    bytes: Vec<u8>,
    waits: Waits,
}

enum Waits {
    Entries(IOFlushed<Types>),
    Vote(oneshot::Sender<io::Result<()>>),
}

impl Log {
    /// Makes a log in this directory, and starts its thread, which ends with the last clone.
    pub(crate) fn open(directory: &Path) -> Result<Self> {
        fs::create_dir(directory)?;
        let file = place::zeroed_file(&directory.join("log"), FILE_BYTES)?;
        let (writes, queue) = unbounded();
        thread::Builder::new().name("openraft-log".into()).spawn(move || write(&file, &queue))?;
        Ok(Self { kept: Arc::default(), writes })
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn queue(&self, write: Write) -> io::Result<()> {
        self.writes.send(write).map_err(|_| io::Error::other("the log's thread has ended"))
    }
}

/// Writes and syncs until the log is gone or the disk fails.
fn write(file: &File, queue: &Receiver<Write>) {
    let mut at = 0;
    while let Ok(Write { mut bytes, waits }) = queue.recv() {
        let mut waiting = vec![waits];
        for more in queue.try_iter() {
            bytes.extend_from_slice(&more.bytes);
            waiting.push(more.waits);
        }
        let done = file.write_all_at(&bytes, at).and_then(|()| file.sync_data());
        at += bytes.len() as u64;
        for waits in waiting {
            let done = match &done {
                Ok(()) => Ok(()),
                Err(error) => Err(io::Error::new(error.kind(), error.to_string())),
            };
            match waits {
                Waits::Entries(callback) => callback.io_completed(done),
                Waits::Vote(waiter) => drop(waiter.send(done)),
            }
        }
        if done.is_err() {
            return;
        }
    }
}

fn encode(entry: &EntryOf<Types>, bytes: &mut Vec<u8>) {
    let leader = &entry.log_id.leader_id;
    for number in [entry.log_id.index, leader.term, leader.node_id] {
        bytes.extend_from_slice(&number.to_le_bytes());
    }
    let text;
    let payload: &[u8] = match &entry.payload {
        EntryPayload::Blank => &[],
        EntryPayload::Normal(command) => &command.0,
        EntryPayload::Membership(members) => {
            text = format!("{members:?}");
            text.as_bytes()
        }
    };
    bytes.extend_from_slice(&(payload.len() as u64).to_le_bytes());
    bytes.extend_from_slice(payload);
}

impl RaftLogReader<Types> for Log {
    async fn try_get_log_entries<R: RangeBounds<u64> + Clone + Debug + OptionalSend>(
        &mut self,
        range: R,
    ) -> Result<Vec<EntryOf<Types>>, io::Error> {
        let kept = self.kept();
        let end = kept.first + kept.entries.len() as u64;
        let from = match range.start_bound() {
            Bound::Included(from) => *from,
            Bound::Excluded(before) => before + 1,
            Bound::Unbounded => 0,
        };
        let upto = match range.end_bound() {
            Bound::Included(last) => last + 1,
            Bound::Excluded(upto) => *upto,
            Bound::Unbounded => u64::MAX,
        };
        let place = |index: u64| usize::try_from(index.clamp(kept.first, end) - kept.first);
        let from = place(from).map_err(io::Error::other)?;
        let upto = place(upto).map_err(io::Error::other)?;
        Ok(kept.entries.range(from..upto.max(from)).cloned().collect())
    }

    async fn read_vote(&mut self) -> Result<Option<VoteOf<Types>>, io::Error> {
        Ok(self.kept().vote)
    }
}

impl RaftLogStorage<Types> for Log {
    type LogReader = Self;

    async fn get_log_state(&mut self) -> Result<LogState<Types>, io::Error> {
        let kept = self.kept();
        let last_log_id = kept.entries.back().map(|entry| entry.log_id).or(kept.purged);
        Ok(LogState { last_purged_log_id: kept.purged, last_log_id })
    }

    async fn get_log_reader(&mut self) -> Self {
        self.clone()
    }

    async fn save_vote(&mut self, vote: &VoteOf<Types>) -> Result<(), io::Error> {
        let (waiter, done) = oneshot::channel();
        self.queue(Write { bytes: vote.to_string().into_bytes(), waits: Waits::Vote(waiter) })?;
        done.await.map_err(io::Error::other)??;
        self.kept().vote = Some(*vote);
        Ok(())
    }

    async fn append<I>(&mut self, entries: I, callback: IOFlushed<Types>) -> Result<(), io::Error>
    where
        I: IntoIterator<Item = EntryOf<Types>> + OptionalSend,
        I::IntoIter: OptionalSend,
    {
        let mut bytes = Vec::new();
        {
            let mut kept = self.kept();
            for entry in entries {
                if kept.entries.is_empty() {
                    kept.first = entry.index();
                }
                encode(&entry, &mut bytes);
                kept.entries.push_back(entry);
            }
        }
        self.queue(Write { bytes, waits: Waits::Entries(callback) })
    }

    async fn truncate_after(&mut self, last: Option<LogIdOf<Types>>) -> Result<(), io::Error> {
        let mut kept = self.kept();
        let upto = last.map_or(0, |last| last.index + 1);
        let keep = usize::try_from(upto.saturating_sub(kept.first)).map_err(io::Error::other)?;
        kept.entries.truncate(keep);
        Ok(())
    }

    async fn purge(&mut self, upto: LogIdOf<Types>) -> Result<(), io::Error> {
        let mut kept = self.kept();
        while kept.entries.front().is_some_and(|entry| entry.index() <= upto.index) {
            kept.entries.pop_front();
            kept.first += 1;
        }
        kept.purged = Some(upto);
        Ok(())
    }
}
