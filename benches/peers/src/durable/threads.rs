//! The threads of a peer that brings none: one for each replica, crossbeam channels between them,
//! and the proposing thread's end of it. For raft and OmniPaxos.
//!
//! What synod does and this does not favours them: a message goes from thread to thread as it is,
//! never encoded, and the proposing thread learns by one number how many commands were applied,
//! not by a ticket each.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use bytes::Bytes;
use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, unbounded};

use super::Setup;
use super::drive::Cluster;
use crate::check::Applied;
use crate::workload::Workload;

/// How long anything but a measurement may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// What a replica's thread waits for.
pub(crate) enum Input<M> {
    /// Another replica sent this.
    Message(M),
    /// The proposing thread wants these replicated.
    Propose(Vec<Bytes>),
    /// Everything handed to the disk up to this number is durable.
    Persisted(u64),
    /// The end.
    Stop,
}

/// What a replica's thread is given.
pub(crate) struct Place<M> {
    /// Its name: 1 and up. Number 1 is to lead.
    pub(crate) me: u64,
    pub(crate) inbox: Receiver<Input<M>>,
    /// How each replica is reached, by its name less one; itself, too.
    pub(crate) peers: Vec<Sender<Input<M>>>,
    pub(crate) report: Report,
}

impl<M> Place<M> {
    /// The next inputs: waits until `deadline` for the first, and takes what is there with it.
    /// Gives false once there are none to come.
    pub(crate) fn inputs(&self, deadline: Instant, into: &mut Vec<Input<M>>) -> bool {
        match self.inbox.recv_deadline(deadline) {
            Ok(first) => into.push(first),
            Err(RecvTimeoutError::Timeout) => return true,
            Err(RecvTimeoutError::Disconnected) => return false,
        }
        into.extend(self.inbox.try_iter());
        true
    }

    /// Sends a message; one for a replica that has ended is lost.
    pub(crate) fn send(&self, to: u64, message: M) {
        let peer = usize::try_from(to).ok().and_then(|to| self.peers.get(to.checked_sub(1)?));
        if let Some(peer) = peer {
            let _ = peer.send(Input::Message(message));
        }
    }
}

/// A replica's state machine, and how it tells what it has applied.
pub(crate) struct Report {
    applied: Applied,
    seen: Arc<AtomicU64>,
    told: u64,
    /// To the proposing thread, for the replica that it proposes at; 0 says that it leads.
    proposer: Option<Sender<u64>>,
}

impl Report {
    /// Applies a command.
    pub(crate) fn apply(&mut self, command: &[u8]) {
        self.applied.apply(command);
    }

    /// Tells what was applied since it told last.
    pub(crate) fn tell(&mut self) {
        let count = self.applied.count - self.told;
        if count > 0 {
            self.told = self.applied.count;
            self.seen.store(self.told, Ordering::Release);
            if let Some(proposer) = &self.proposer {
                let _ = proposer.send(count);
            }
        }
    }

    /// Tells that this replica leads.
    pub(crate) fn leads(&self) {
        if let Some(proposer) = &self.proposer {
            let _ = proposer.send(0);
        }
    }

    /// What was seen in all.
    pub(crate) fn seen(self) -> Applied {
        self.applied
    }
}

struct Threads<M> {
    inboxes: Vec<Sender<Input<M>>>,
    applied: Receiver<u64>,
    seen: Vec<Arc<AtomicU64>>,
    threads: Vec<JoinHandle<Result<Applied>>>,
    workload: Workload,
}

/// Starts a thread for each replica, which runs `replica` until it is told to stop; waits until
/// number 1 says that it leads.
pub(crate) fn start<M: Send + 'static>(
    setup: &Setup<'_>,
    replica: impl Fn(Place<M>) -> Result<Applied> + Clone + Send + 'static,
) -> Result<Box<dyn Cluster>> {
    let (inboxes, ends): (Vec<_>, Vec<_>) = (0..setup.replicas).map(|_| unbounded()).unzip();
    let (proposer, applied) = unbounded();
    let (mut threads, mut seen) = (Vec::new(), Vec::new());
    let mut proposer = Some(proposer);
    for (me, inbox) in (1..).zip(ends) {
        let count = Arc::new(AtomicU64::new(0));
        seen.push(Arc::clone(&count));
        let report =
            Report { applied: Applied::default(), seen: count, told: 0, proposer: proposer.take() };
        let place = Place { me, inbox, peers: inboxes.clone(), report };
        let replica = replica.clone();
        let thread = thread::Builder::new().name(format!("replica-{me}"));
        threads.push(thread.spawn(move || replica(place))?);
    }
    let mut threads = Threads { inboxes, applied, seen, threads, workload: setup.workload() };
    if threads.applied.recv_timeout(PATIENCE).is_err() {
        threads.end()?;
        bail!("no replica leads");
    }
    Ok(Box::new(threads))
}

impl<M> Threads<M> {
    /// Stops all, and gives what they saw or the first failure.
    fn end(&mut self) -> Result<Vec<Applied>> {
        for inbox in &self.inboxes {
            let _ = inbox.send(Input::Stop);
        }
        let ended = self.threads.drain(..).map(|thread| {
            let ended = thread.join().ok().context("a replica panicked")?;
            ended.context("a replica has failed")
        });
        ended.collect()
    }
}

impl<M: Send> Cluster for Threads<M> {
    fn propose(&mut self, commands: Range<u64>) -> Result<()> {
        let commands = commands.map(|it| Bytes::copy_from_slice(self.workload.command(it)));
        let _ = self.inboxes[0].send(Input::Propose(commands.collect()));
        Ok(())
    }

    fn applied(&mut self) -> Result<u64> {
        let Ok(first) = self.applied.recv_timeout(PATIENCE) else {
            self.end()?;
            bail!("nothing is applied any more");
        };
        Ok(first + self.applied.try_iter().sum::<u64>())
    }

    fn stop(mut self: Box<Self>, commands: u64) -> Result<Vec<Applied>> {
        let deadline = Instant::now() + PATIENCE;
        let behind = |seen: &Arc<AtomicU64>| seen.load(Ordering::Acquire) < commands;
        while self.seen.iter().any(behind) && Instant::now() < deadline {
            thread::sleep(Duration::from_millis(1));
        }
        let late = self.seen.iter().any(behind);
        let applied = self.end()?;
        ensure!(!late, "a replica is behind: {applied:?}, not {commands} commands");
        Ok(applied)
    }
}
