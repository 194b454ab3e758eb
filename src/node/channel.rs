//! The transport between replicas of one process: for tests, examples and embedders who try things
//! out.
//!
//! ```text
//! Network ── transport(1) ──> Node::start(.., transport, ..)
//!         ── transport(2) ──> Node::start(.., transport, ..)
//! ```
//!
//! Each replica has a bounded queue of frames and a thread that hands them in: a replica never
//! turns another one's core, so no two can wait for each other.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::sync::Arc;
use std::thread::{self, JoinHandle};

use bytes::Bytes;
use parking_lot::Mutex;

use super::queue::{Budget, Queue};
use crate::membership::ReplicaId;
use crate::transport::{Inbox, Transport};
use crate::wire::FRAME_BYTES_MAX;

/// How many bytes of frames may wait for a replica before more are dropped.
const PORT_BYTES: usize = 64 << 20;

/// What a frame costs beside its bytes.
const FRAME_COST: usize = 64;

/// A network within a process. Clones are the same network.
///
/// ```
/// use synod::node::channel::Network;
/// use synod::{ReplicaId, Transport};
///
/// let network = Network::new();
/// let transport = network.transport_with(ReplicaId(1), 1200);
/// assert_eq!(transport.max_frame(), 1200);
/// // What replica 1 sends to 2 gets lost, but not what 2 sends to 1.
/// network.cut(ReplicaId(1), ReplicaId(2));
/// network.heal();
/// ```
#[derive(Clone, Debug, Default)]
pub struct Network {
    inner: Arc<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    ports: Mutex<BTreeMap<ReplicaId, Arc<Port>>>,
    /// Links that carry nothing, each as (from, to).
    cut: Mutex<BTreeSet<(ReplicaId, ReplicaId)>>,
}

/// Where the frames for one replica wait.
#[derive(Debug)]
struct Port {
    frames: Queue<Bytes>,
    room: Budget,
}

impl Network {
    /// A network that nobody is attached to.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The transport of this replica. The replica is attached when its node starts, and detached
    /// when it stops; frames for a replica that is not attached are dropped.
    #[must_use]
    pub fn transport(&self, replica: ReplicaId) -> ChannelTransport {
        self.transport_with(replica, FRAME_BYTES_MAX)
    }

    /// The same, for frames of at most `max_frame` bytes: what is longer is cut into fragments.
    #[must_use]
    pub fn transport_with(&self, replica: ReplicaId, max_frame: usize) -> ChannelTransport {
        ChannelTransport { network: self.clone(), me: replica, max_frame, attached: None }
    }

    /// Cuts the link from one replica to another, in this direction only.
    pub fn cut(&self, from: ReplicaId, to: ReplicaId) {
        self.inner.cut.lock().insert((from, to));
    }

    /// Cuts every link of the replica, in both directions.
    pub fn isolate(&self, replica: ReplicaId, others: impl IntoIterator<Item = ReplicaId>) {
        let mut cut = self.inner.cut.lock();
        for other in others {
            cut.insert((replica, other));
            cut.insert((other, replica));
        }
    }

    /// Mends every link.
    pub fn heal(&self) {
        self.inner.cut.lock().clear();
    }

    fn send(&self, from: ReplicaId, to: ReplicaId, frame: &[u8]) {
        if self.inner.cut.lock().contains(&(from, to)) {
            return;
        }
        let Some(port) = self.inner.ports.lock().get(&to).cloned() else { return };
        let cost = frame.len() + FRAME_COST;
        if port.room.take(cost) {
            if port.frames.push(Bytes::copy_from_slice(frame)).is_ok() {
                port.frames.wake();
            } else {
                port.room.give(cost);
            }
        }
    }
}

/// The transport of one replica of a [`Network`].
///
/// ```
#[doc = include_str!("example.txt")]
/// let network = Network::new();
/// let transport: ChannelTransport = network.transport(ReplicaId(1));
/// let node = Node::start(Config::new([ReplicaId(1)]), open_log()?, transport, Sum(0))?;
/// node.stop()?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct ChannelTransport {
    network: Network,
    me: ReplicaId,
    max_frame: usize,
    attached: Option<(Arc<Port>, JoinHandle<()>)>,
}

impl Transport for ChannelTransport {
    fn send(&mut self, to: ReplicaId, frame: &[u8]) {
        self.network.send(self.me, to, frame);
    }

    fn max_frame(&self) -> usize {
        self.max_frame
    }

    /// # Panics
    /// If the system has no thread left.
    fn open(&mut self, inbox: Inbox) {
        let port = Arc::new(Port { frames: Queue::default(), room: Budget::new(PORT_BYTES) });
        let pumped = Arc::clone(&port);
        let pump = thread::Builder::new()
            .name("synod-channel".into())
            .spawn(move || {
                while let Some(frame) = pumped.frames.pop() {
                    pumped.room.give(frame.len() + FRAME_COST);
                    inbox.deliver(frame);
                }
            })
            .expect("a system with a thread left");
        // A replica that is attached twice is reached at its latest place.
        self.network.inner.ports.lock().insert(self.me, Arc::clone(&port));
        self.attached = Some((port, pump));
    }
}

impl Drop for ChannelTransport {
    fn drop(&mut self) {
        let Some((port, pump)) = self.attached.take() else { return };
        let mut ports = self.network.inner.ports.lock();
        if ports.get(&self.me).is_some_and(|latest| Arc::ptr_eq(latest, &port)) {
            ports.remove(&self.me);
        }
        drop(ports);
        port.frames.close();
        // The pump itself may drop the transport, through a waker that drops the last handle.
        if pump.thread().id() != thread::current().id() {
            let _ = pump.join();
        }
    }
}
