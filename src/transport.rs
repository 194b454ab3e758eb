//! How frames leave a node and come in: the one thing that a program must give it besides a
//! directory and a state machine.

use core::fmt;
use std::sync::{Arc, Weak};

use bytes::Bytes;

use crate::membership::{ClusterId, Peer, ReplicaId};

/// Carries frames to other replicas: best effort. It may drop, repeat and reorder them, but it must
/// not block, and it need not tell what became of them.
///
/// A frame is opaque, checked by its receiver, and at most [`Transport::max_frame`] bytes long.
///
/// ```
/// use synod::{ReplicaId, Transport};
///
/// /// Keeps what would be sent, for a test to look at.
/// struct Kept(Vec<(ReplicaId, Vec<u8>)>);
///
/// impl Transport for Kept {
///     fn send(&mut self, to: ReplicaId, frame: &[u8]) {
///         self.0.push((to, frame.to_vec()));
///     }
///
///     fn max_frame(&self) -> usize {
///         1200
///     }
/// }
///
/// let mut transport = Kept(Vec::new());
/// transport.send(ReplicaId(2), b"frame");
/// assert_eq!(transport.0, [(ReplicaId(2), b"frame".to_vec())]);
/// ```
pub trait Transport: Send + 'static {
    /// Sends the frame to the replica, or drops it. Must not wait: the caller holds up the node. It
    /// may hand the frame to another node at once, by [`Inbox::deliver`], which does not wait
    /// either: what that node answers meanwhile is sent when this call has returned.
    fn send(&mut self, to: ReplicaId, frame: &[u8]);

    /// The longest frame that [`Transport::send`] takes, in bytes. Must not change. What does not
    /// fit is cut into fragments.
    fn max_frame(&self) -> usize;

    /// Called once, when the node is ready to be given frames. A transport with a receiving thread
    /// of its own starts it here, and ends it when it is dropped. The default does nothing: then
    /// the program calls [`crate::node::Handle::deliver`].
    fn open(&mut self, inbox: Inbox) {
        drop(inbox);
    }
}

/// Where a transport puts the frames that come in.
///
/// It does not keep the node alive: once the node has stopped, frames are dropped.
///
/// ```
#[doc = include_str!("node/example.txt")]
/// let (node, _) = start_alone()?;
/// let inbox = node.inbox();
/// inbox.deliver(Bytes::from_static(b"noise")); // As a receiving thread would.
/// assert_eq!(inbox.me().replica(), ReplicaId(1));
/// assert_eq!(node.status().counters.refused.values().sum::<u64>(), 1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct Inbox {
    node: Weak<dyn Deliver>,
    cluster: ClusterId,
    me: Peer,
}

impl Inbox {
    /// The inbox of this node.
    pub(crate) fn new(node: &Arc<impl Deliver + 'static>, cluster: ClusterId, me: Peer) -> Self {
        let node: Weak<dyn Deliver> = Arc::downgrade(&(Arc::clone(node) as Arc<dyn Deliver>));
        Self { node, cluster, me }
    }

    /// Hands in a frame, as it came. Never waits: what finds no room is dropped and counted, and
    /// so is what is no frame of the cluster.
    pub fn deliver(&self, frame: Bytes) {
        if let Some(node) = self.node.upgrade() {
            node.deliver(frame);
        }
    }

    /// The cluster whose frames are taken.
    #[must_use]
    pub fn cluster(&self) -> ClusterId {
        self.cluster
    }

    /// Who takes them: the replica, its disk, and which of its starts it is in.
    #[must_use]
    pub fn me(&self) -> Peer {
        self.me
    }
}

impl fmt::Debug for Inbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Inbox")
            .field("cluster", &self.cluster)
            .field("me", &self.me)
            .finish_non_exhaustive()
    }
}

/// What an [`Inbox`] leads to.
pub(crate) trait Deliver: Send + Sync {
    /// Takes a frame, or drops and counts it.
    fn deliver(&self, frame: Bytes);
}
