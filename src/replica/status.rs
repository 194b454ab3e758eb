//! Plain data about a replica, for eyes and tests.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use crate::ballot::Ballot;
use crate::membership::{Peer, ReplicaId};
use crate::output::{HaltReason, IgnoreReason};
use crate::record::Lsn;
use crate::replica::Replica;
use crate::slot::Slot;
use crate::time::Instant;

/// What a replica is doing.
///
/// ```
#[doc = include_str!("example.txt")]
/// assert_eq!(fresh([1, 2, 3]).status().role, Role::Forming);
/// let (replica, _) = leading_alone();
/// assert_eq!(replica.status().role, Role::Leading);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Role {
    /// It waits until the cluster is formed.
    Forming,
    /// It follows a leader, or waits for one.
    Following,
    /// It asks whether it should try to lead.
    Canvassing,
    /// It tries to lead.
    Preparing,
    /// It leads.
    Leading,
    /// It has stopped for good.
    Halted,
}

/// The state of a replica, as far as anybody may want to see it.
///
/// ```
#[doc = include_str!("example.txt")]
/// let (mut replica, now) = leading_alone();
/// let before = replica.status().chosen;
/// replica.propose(now, b"hello").expect("there is room");
/// drain(&mut replica, now);
/// let status = replica.status();
/// assert_eq!((status.chosen, status.applied), (before.next(), before.next()));
/// assert_eq!(status.appended, status.durable);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Status {
    /// The replica, its disk, and its start.
    pub me: Peer,
    /// What it is doing.
    pub role: Role,
    /// The highest ballot that it promised.
    pub promised: Ballot,
    /// The ballot of the leader that it follows, or leads at itself.
    pub leader: Option<Ballot>,
    /// To whom this leader hands over, or has just handed over.
    pub handing_over_to: Option<ReplicaId>,
    /// The chosen mark: the first slot that is not known chosen, with all below it.
    pub chosen: Slot,
    /// The first slot that is not applied.
    pub applied: Slot,
    /// The last record that was asked for.
    pub appended: Lsn,
    /// The last record that is on disk.
    pub durable: Lsn,
    /// Slots that this leader has in flight.
    pub open_slots: u64,
    /// Bytes of commands that wait for a leader, or for its pipeline.
    pub queued_bytes: usize,
    /// Bytes of those that others have forwarded to this leader.
    pub forwarded_bytes: usize,
    /// Bytes of commands that were forwarded to a leader, and have no answer.
    pub unanswered_bytes: usize,
    /// Runs of commands that were offered to a leader, and whose fate is not known.
    pub awaited_runs: usize,
    /// Linearizable reads that wait.
    pub waiting_reads: u64,
    /// Bytes of records that wait for the disk.
    pub unsynced_bytes: usize,
    /// Open slots whose acceptance the disk may have lost.
    pub faulty_slots: u64,
    /// Chosen slots whose entries the log has lost and that were not fetched yet.
    pub hole_slots: u64,
    /// The other members.
    pub peers: Vec<PeerStatus>,
    /// Messages that were dropped before they were judged, by reason.
    pub ignored: BTreeMap<IgnoreReason, u64>,
    /// Messages that contradicted what is held and were refused.
    pub misbehaved: u64,
    /// Why it has stopped for good, if it has.
    pub halted: Option<HaltReason>,
}

/// What is known of another member.
///
/// ```
#[doc = include_str!("example.txt")]
/// let status = fresh([1, 2, 3]).status();
/// let [two, _] = &status.peers[..] else { panic!("it has two peers") };
/// assert_eq!((two.replica, two.heard), (ReplicaId(2), None));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct PeerStatus {
    /// The member.
    pub replica: ReplicaId,
    /// Its chosen mark, as last heard.
    pub chosen: Slot,
    /// When it was last heard in this start.
    pub heard: Option<Instant>,
}

impl Replica {
    /// The replica's state, for eyes and tests.
    #[must_use]
    pub fn status(&self) -> Status {
        let peer = |replica| PeerStatus {
            replica,
            chosen: self.catch_up.mark(replica),
            heard: self.heard.of(replica).copied(),
        };
        let others = self.config.members.iter().copied().filter(|id| *id != self.me.replica);
        Status {
            me: self.me,
            role: self.role(),
            promised: self.acceptor.promised(),
            leader: self.proposer.leading().or(self.election.leader()),
            handing_over_to: self.hand_over.to(),
            chosen: self.learner.chosen(),
            applied: self.learner.applied(),
            appended: self.out.appended(),
            durable: self.out.durable(),
            open_slots: self.proposer.open_slots(),
            queued_bytes: self.proposer.queued_bytes(),
            forwarded_bytes: self.proposer.forwarded_bytes(),
            unanswered_bytes: self.forwarding.unanswered_bytes(),
            awaited_runs: self.fates.awaited(),
            waiting_reads: self.reads.waiting(),
            unsynced_bytes: self.out.unsynced_bytes(),
            faulty_slots: self.acceptor.faulty(),
            hole_slots: self.learner.holes().iter().map(|hole| hole.len()).sum(),
            peers: others.map(peer).collect(),
            ignored: self.ignored.clone(),
            misbehaved: self.misbehaved,
            halted: self.halted.clone(),
        }
    }

    fn role(&self) -> Role {
        if self.halted.is_some() {
            Role::Halted
        } else if self.membership.is_none() {
            Role::Forming
        } else if self.proposer.leading().is_some() {
            Role::Leading
        } else if self.election.is_canvassing() {
            Role::Canvassing
        } else if self.proposer.ballot().is_some() {
            Role::Preparing
        } else {
            Role::Following
        }
    }
}
