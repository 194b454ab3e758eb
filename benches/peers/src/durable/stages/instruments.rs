//! What notes when a command passes: round the disk, the transport and the state machine of each
//! replica, through the crate's public traits. Nothing in the crate is changed for it.

use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use bytes::Bytes;
use synod::entry::Place;
use synod::membership::{ClusterId, ReplicaId};
use synod::message::Message;
use synod::wal::{Medium, MediumFile};
use synod::wire::{self, Body};
use synod::{Inbox, StateMachine, Transport};

use crate::check::Applied;

/// What happened at a replica.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mark {
    /// The proposing thread is about to propose.
    Proposed,
    /// The leader hands the transport an Accept for this replica.
    AcceptSent(ReplicaId),
    /// A follower is handed an Accept.
    AcceptReceived,
    SyncBegun,
    SyncEnded,
    /// A follower hands the transport an Accepted.
    AcceptedSent,
    /// The leader is handed an Accepted of this replica.
    AcceptedReceived(ReplicaId),
    /// The state machine has applied the command.
    Applied,
    /// The proposing thread knows.
    Woken,
}

/// A mark, where, and when.
#[derive(Clone, Copy, Debug)]
pub(super) struct Event {
    pub(super) nanos: u64,
    pub(super) replica: ReplicaId,
    pub(super) mark: Mark,
}

/// All marks of one run, from all threads.
#[derive(Clone)]
pub(super) struct Recorder {
    begin: Instant,
    events: Arc<Mutex<Vec<Event>>>,
}

impl Recorder {
    pub(super) fn new() -> Self {
        Self { begin: Instant::now(), events: Arc::default() }
    }

    pub(super) fn note(&self, replica: ReplicaId, mark: Mark) {
        let mut events = self.events.lock().unwrap_or_else(PoisonError::into_inner);
        // Read under the lock, so that the marks are in the order of their times.
        let nanos = u64::try_from(self.begin.elapsed().as_nanos()).unwrap_or(u64::MAX);
        events.push(Event { nanos, replica, mark });
    }

    /// What was noted since this was asked last.
    pub(super) fn take(&self) -> Vec<Event> {
        std::mem::take(&mut self.events.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Notes the syncs of a replica's files.
pub(super) struct NotedMedium<M> {
    pub(super) inner: M,
    pub(super) me: ReplicaId,
    pub(super) recorder: Recorder,
}

impl<M> NotedMedium<M> {
    fn noted(&self, inner: Box<dyn MediumFile>) -> Box<dyn MediumFile> {
        Box::new(NotedFile { inner, me: self.me, recorder: self.recorder.clone() })
    }
}

impl<M: Medium> Medium for NotedMedium<M> {
    fn place(&self) -> String {
        self.inner.place()
    }

    fn names(&self) -> io::Result<Vec<String>> {
        self.inner.names()
    }

    fn create(&self, name: &str, bytes: u64) -> io::Result<Box<dyn MediumFile>> {
        Ok(self.noted(self.inner.create(name, bytes)?))
    }

    fn open(&self, name: &str) -> io::Result<Box<dyn MediumFile>> {
        self.inner.open(name)
    }

    fn open_writable(&self, name: &str) -> io::Result<Box<dyn MediumFile>> {
        Ok(self.noted(self.inner.open_writable(name)?))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.inner.rename(from, to)
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        self.inner.remove(name)
    }

    fn sync_names(&self) -> io::Result<()> {
        self.inner.sync_names()
    }

    fn random(&self, buffer: &mut [u8]) -> io::Result<()> {
        self.inner.random(buffer)
    }
}

struct NotedFile {
    inner: Box<dyn MediumFile>,
    me: ReplicaId,
    recorder: Recorder,
}

impl MediumFile for NotedFile {
    fn bytes(&self) -> io::Result<u64> {
        self.inner.bytes()
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        self.inner.read_at(offset, buffer)
    }

    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.inner.write_at(offset, bytes)
    }

    fn sync(&self) -> io::Result<()> {
        self.recorder.note(self.me, Mark::SyncBegun);
        let synced = self.inner.sync();
        self.recorder.note(self.me, Mark::SyncEnded);
        synced
    }
}

/// Where the frames for each replica go, once it has started.
type Inboxes = Arc<Mutex<Vec<Option<Inbox>>>>;

/// Hands a frame in on the thread that sends it, as the crate's own network in a process does, with
/// marks.
pub(super) struct NotedTransport {
    me: ReplicaId,
    cluster: ClusterId,
    inboxes: Inboxes,
    recorder: Recorder,
}

impl NotedTransport {
    /// One for each of the replicas 1 to `replicas`.
    pub(super) fn all(replicas: u32, cluster: ClusterId, recorder: &Recorder) -> Vec<Self> {
        let inboxes = Arc::new(Mutex::new(vec![None; replicas as usize]));
        let of = |me| Self {
            me: ReplicaId(me),
            cluster,
            inboxes: Arc::clone(&inboxes),
            recorder: recorder.clone(),
        };
        (1..=replicas).map(of).collect()
    }

    /// Where frames for a replica go.
    fn inbox(&self, of: ReplicaId) -> Option<Inbox> {
        let place = (of.0 as usize).checked_sub(1)?;
        self.inboxes.lock().unwrap_or_else(PoisonError::into_inner).get(place)?.clone()
    }
}

/// What marks are made of in a frame, and who sent it.
fn look(cluster: ClusterId, frame: &Bytes) -> Option<(ReplicaId, Message)> {
    match wire::decode(cluster, frame.clone()) {
        Ok((from, Body::Message(message))) => Some((from.replica(), message)),
        _ => None,
    }
}

impl Transport for NotedTransport {
    fn send(&mut self, to: ReplicaId, frame: &[u8]) {
        let Some(inbox) = self.inbox(to) else { return };
        let frame = Bytes::copy_from_slice(frame);
        match look(self.cluster, &frame) {
            Some((_, Message::Accept(_))) => {
                self.recorder.note(self.me, Mark::AcceptSent(to));
                self.recorder.note(to, Mark::AcceptReceived);
            }
            Some((from, Message::Accepted(_))) => {
                self.recorder.note(self.me, Mark::AcceptedSent);
                self.recorder.note(to, Mark::AcceptedReceived(from));
            }
            _ => {}
        }
        inbox.deliver(frame);
    }

    fn max_frame(&self) -> usize {
        wire::FRAME_BYTES_MAX
    }

    fn open(&mut self, inbox: Inbox) {
        let place = self.me.0 as usize - 1;
        self.inboxes.lock().unwrap_or_else(PoisonError::into_inner)[place] = Some(inbox);
    }
}

/// Notes when a command is applied.
pub(super) struct NotedMachine {
    pub(super) seen: Applied,
    pub(super) me: ReplicaId,
    pub(super) recorder: Recorder,
}

impl StateMachine for NotedMachine {
    type Answer = ();

    fn apply(&mut self, _place: Place, command: &[u8]) {
        self.seen.apply(command);
        self.recorder.note(self.me, Mark::Applied);
    }
}
