//! The transport between replicas of one process: for tests, examples and embedders who try things
//! out.
//!
//! ```text
//! Network ── transport(1) ──> Node::start(.., transport, ..)
//!         ── transport(2) ──> Node::start(.., transport, ..)
//! ```
//!
//! A frame is handed in by the thread that sends it: [`Inbox::deliver`] never waits, and a node
//! never waits for its transport, so no two can wait for each other. That spares a thread for each
//! replica, and its being woken for each message.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::sync::Arc;
use alloc::vec::Vec;
use std::panic::{AssertUnwindSafe, catch_unwind};

use bytes::Bytes;
use parking_lot::RwLock;

use crate::membership::ReplicaId;
use crate::transport::{Inbox, Transport};
use crate::wire::FRAME_BYTES_MAX;

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
    links: Arc<RwLock<Links>>,
}

#[derive(Debug, Default)]
struct Links {
    /// Where frames for a replica go, and which attachment that is.
    inboxes: BTreeMap<ReplicaId, (u64, Inbox)>,
    /// How many replicas were ever attached.
    attached: u64,
    /// Links that carry nothing, each as (from, to).
    cut: BTreeSet<(ReplicaId, ReplicaId)>,
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
        ChannelTransport { network: self.clone(), me: replica, max_frame, attachment: None }
    }

    /// Cuts the link from one replica to another, in this direction only.
    pub fn cut(&self, from: ReplicaId, to: ReplicaId) {
        self.links.write().cut.insert((from, to));
    }

    /// Cuts every link of the replica, in both directions.
    pub fn isolate(&self, replica: ReplicaId, others: impl IntoIterator<Item = ReplicaId>) {
        // Asked for before the lock is taken: it is the caller's code.
        let others: Vec<ReplicaId> = others.into_iter().collect();
        let cut = &mut self.links.write().cut;
        for other in others {
            cut.insert((replica, other));
            cut.insert((other, replica));
        }
    }

    /// Mends every link.
    pub fn heal(&self) {
        self.links.write().cut.clear();
    }

    fn send(&self, from: ReplicaId, to: ReplicaId, frame: &[u8]) {
        let links = self.links.read();
        if links.cut.contains(&(from, to)) {
            return;
        }
        let Some((_, inbox)) = links.inboxes.get(&to).cloned() else { return };
        drop(links);
        let frame = Bytes::copy_from_slice(frame);
        // The other node may run wakers. If one panics, that is nothing that the sender did: it has
        // been told on standard error, and the frame has arrived.
        let _ = catch_unwind(AssertUnwindSafe(|| inbox.deliver(frame)));
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
    attachment: Option<u64>,
}

impl Transport for ChannelTransport {
    fn send(&mut self, to: ReplicaId, frame: &[u8]) {
        self.network.send(self.me, to, frame);
    }

    fn max_frame(&self) -> usize {
        self.max_frame
    }

    fn open(&mut self, inbox: Inbox) {
        let mut links = self.network.links.write();
        links.attached += 1;
        let attachment = links.attached;
        // A replica that is attached twice is reached at its latest place.
        links.inboxes.insert(self.me, (attachment, inbox));
        self.attachment = Some(attachment);
    }
}

impl Drop for ChannelTransport {
    fn drop(&mut self) {
        let Some(mine) = self.attachment else { return };
        let mut links = self.network.links.write();
        if links.inboxes.get(&self.me).is_some_and(|(latest, _)| *latest == mine) {
            links.inboxes.remove(&self.me);
        }
    }
}
