//! What a node tells about itself: plain data, for eyes and tests.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;

use super::StopReason;
use crate::fragment::CourierCounters;
use crate::membership::ReplicaId;
use crate::replica::{Role, Status};
use crate::wal::WalStatus;
use crate::wire::FrameError;

/// What a node tells about itself.
///
/// ```
#[doc = include_str!("example.txt")]
/// let (node, _) = start_alone()?;
/// node.propose(b"four").wait()?;
/// let status = node.status();
/// assert!(status.leads() && status.poisoned().is_none());
/// assert_eq!((status.leader(), status.counters.proposed), (Some(ReplicaId(1)), 1));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct NodeStatus {
    /// The replica's own account.
    pub replica: Status,
    /// The log's account: bytes, segments, syncs.
    pub log: WalStatus,
    /// Why the node has stopped; `None` while it runs.
    pub stopped: Option<StopReason>,
    /// How far each peer is behind this replica's chosen mark, in slots, as last heard.
    pub lag: Vec<Lag>,
    /// Commands of this start of which it is not known yet what became of them.
    pub pending: usize,
    /// Slots and runs of slots that wait for the state machine.
    pub apply_queue: usize,
    /// What was counted since the start.
    pub counters: Counters,
}

impl NodeStatus {
    /// Whether this replica leads.
    #[must_use]
    pub fn leads(&self) -> bool {
        self.stopped.is_none() && self.replica.role == Role::Leading
    }

    /// Who leads, as far as this replica knows.
    #[must_use]
    pub fn leader(&self) -> Option<ReplicaId> {
        self.replica.leader.map(|ballot| ballot.replica)
    }

    /// Why the node has failed; `None` while it runs, and after a stop that was asked for.
    #[must_use]
    pub fn poisoned(&self) -> Option<&StopReason> {
        self.stopped.as_ref().filter(|reason| !matches!(reason, StopReason::Asked))
    }
}

/// How far a peer is behind.
///
/// ```
#[doc = include_str!("example.txt")]
/// // One of three, and the others are not there.
/// let config = Config::new([1, 2, 3].map(ReplicaId));
/// let node = Node::start(config, open_log()?, Network::new().transport(ReplicaId(1)), Sum(0))?;
/// let lag = node.status().lag;
/// assert_eq!((lag[0].replica, lag[0].slots), (ReplicaId(2), 0));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Lag {
    /// The peer.
    pub replica: ReplicaId,
    /// How many slots this replica knows chosen and the peer, as last heard, did not.
    pub slots: u64,
}

/// What a node has counted since its start.
///
/// ```
#[doc = include_str!("example.txt")]
/// let (node, _) = start_alone()?;
/// node.deliver(Bytes::from_static(b"noise"));
/// node.propose(b"four").wait()?;
/// let counters = node.status().counters;
/// assert_eq!((counters.proposed, counters.applied), (1, 1));
/// assert_eq!(counters.refused.values().sum::<u64>(), 1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Counters {
    /// Messages taken in.
    pub received: u64,
    /// Frames sent, fragments and repeats included; one for each receiver.
    pub sent: u64,
    /// Bytes of frames sent.
    pub sent_bytes: u64,
    /// Frames dropped because they were no frames of the cluster, by reason.
    pub refused: BTreeMap<&'static str, u64>,
    /// Frames dropped because too many waited already.
    pub inbox_full: u64,
    /// Frames dropped because too many waited already for the transport, which was in use.
    pub outgoing_full: u64,
    /// Pages of entries that were not read for a peer because too many waited already.
    pub reader_full: u64,
    /// Entries that could not be read out of the log for a peer.
    pub unreadable: u64,
    /// Syncs that ended.
    pub syncs: u64,
    /// Records in them.
    pub synced_records: u64,
    /// Commands in those records: over the syncs, the size of a group commit.
    pub synced_commands: u64,
    /// The most records that one sync served.
    pub sync_records_max: u64,
    /// Commands that this replica took in.
    pub proposed: u64,
    /// Commands that this replica's state machine has applied.
    pub applied: u64,
    /// What the courier counts: frames, and the fragments of messages longer than a frame.
    pub fragments: CourierCounters,
}

/// Counts what happens outside the core's lock.
#[derive(Debug, Default)]
pub(super) struct Tallies {
    pub(super) received: AtomicU64,
    pub(super) sent: AtomicU64,
    pub(super) sent_bytes: AtomicU64,
    pub(super) inbox_full: AtomicU64,
    pub(super) outgoing_full: AtomicU64,
    pub(super) reader_full: AtomicU64,
    pub(super) unreadable: AtomicU64,
    pub(super) applied: AtomicU64,
    refused: Mutex<BTreeMap<&'static str, u64>>,
}

impl Tallies {
    /// Counts one more.
    pub(super) fn add(counter: &AtomicU64, count: u64) {
        counter.fetch_add(count, Ordering::Relaxed);
    }

    /// Counts a refused frame.
    pub(super) fn refuse(&self, reason: &'static str) {
        *self.refused.lock().entry(reason).or_default() += 1;
    }

    /// The counts so far; what the core counts is left at zero.
    pub(super) fn read(&self) -> Counters {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Counters {
            received: read(&self.received),
            sent: read(&self.sent),
            sent_bytes: read(&self.sent_bytes),
            refused: self.refused.lock().clone(),
            inbox_full: read(&self.inbox_full),
            outgoing_full: read(&self.outgoing_full),
            reader_full: read(&self.reader_full),
            unreadable: read(&self.unreadable),
            applied: read(&self.applied),
            ..Counters::default()
        }
    }
}

/// What the core counts under its lock.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Groups {
    pub(super) syncs: u64,
    pub(super) records: u64,
    pub(super) commands: u64,
    pub(super) records_max: u64,
    pub(super) proposed: u64,
}

/// The name under which a refused frame is counted.
pub(super) fn reason_of(error: &FrameError) -> &'static str {
    match error {
        FrameError::TooShort { .. } => "too short",
        FrameError::TooLong { .. } => "too long",
        FrameError::Magic => "no frame",
        FrameError::Version { .. } => "other version",
        FrameError::Checksum => "damaged",
        FrameError::Cluster { .. } => "other cluster",
        FrameError::Header { .. } => "header",
        FrameError::Bounds { .. } => "out of bounds",
        FrameError::Payload(_) => "payload",
        FrameError::Trailing { .. } => "trailing bytes",
        FrameError::Fragment { .. } => "fragment",
        FrameError::Transport { .. } => "transport",
    }
}
