//! Who takes part: names of replicas, disks and clusters, the Membership, and small sets of
//! replicas.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::fmt;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::quorum::{QuorumError, QuorumSystem, Quorums, Tally};

/// The most members a cluster can have.
pub const MEMBERS_MAX: usize = 9;

/// The name of a replica, unique in its cluster and never used again for another disk.
///
/// ```
/// use synod::ReplicaId;
///
/// let members = [1, 2, 3].map(ReplicaId);
/// assert_eq!(members[2].to_string(), "3");
/// ```
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub struct ReplicaId(pub u32);

impl fmt::Display for ReplicaId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// The name of a disk: random, written when the log directory is made.
///
/// A replica whose disk was wiped shows another DiskId, so it can never vote by accident under the
/// promises that the old disk held.
///
/// ```
/// use synod::membership::DiskId;
///
/// let disk = DiskId([0xa7; 16]);
/// assert_eq!(disk.to_string(), "a7".repeat(16));
/// ```
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct DiskId(pub [u8; 16]);

impl fmt::Debug for DiskId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DiskId({self})")
    }
}

impl fmt::Display for DiskId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// The name of a cluster: up to 16 bytes, zero padded. Frames of another cluster are dropped.
///
/// ```
/// use synod::{ClusterId, MembershipError};
///
/// assert_eq!(ClusterId::named("orders")?.to_string(), "orders");
/// assert_eq!(ClusterId::named(""), Err(MembershipError::ClusterName { bytes: 0 }));
/// # Ok::<(), synod::MembershipError>(())
/// ```
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub struct ClusterId(pub [u8; 16]);

impl ClusterId {
    /// The id that carries this name.
    ///
    /// # Errors
    /// If the name is empty, longer than 16 bytes, or holds a zero byte.
    pub fn named(name: &str) -> Result<Self, MembershipError> {
        let bytes = name.as_bytes();
        if bytes.is_empty() || bytes.len() > 16 || bytes.contains(&0) {
            return Err(MembershipError::ClusterName { bytes: bytes.len() });
        }
        let mut id = [0; 16];
        id[..bytes.len()].copy_from_slice(bytes);
        Ok(Self(id))
    }
}

impl fmt::Display for ClusterId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let end = self.0.iter().position(|byte| *byte == 0).unwrap_or(16);
        write!(f, "{}", self.0[..end].escape_ascii())
    }
}

/// Names a start of a replica on its disk; durable before the first send of that start.
///
/// It counts, in the upper 48 bits, so that a later start is above an earlier one. The lower 16 are
/// random: two starts from copies of one directory have the same count, and are told apart by them.
///
/// ```
/// use synod::membership::Incarnation;
///
/// let first = Incarnation::default().next(0x4a11);
/// assert_eq!((first.count(), first.to_string().as_str()), (1, "1/4a11"));
/// assert!(first.next(0) > first);
/// ```
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub struct Incarnation(pub u64);

impl Incarnation {
    /// How many starts there were, this one included.
    #[must_use]
    pub const fn count(self) -> u64 {
        self.0 >> 16
    }

    /// The name of the next start. Saturates: no disk sees 2^48 starts.
    #[must_use]
    pub const fn next(self, random: u16) -> Self {
        let count = self.count() + 1;
        let count = if count >> 48 == 0 { count } else { self.count() };
        Self((count << 16) | random as u64)
    }
}

impl fmt::Display for Incarnation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{:04x}", self.count(), self.0 & 0xffff)
    }
}

/// Who a frame says it comes from. Made by the wire from a frame that passed its checks.
///
/// ```
/// use synod::membership::DiskId;
/// use synod::record::Recovered;
/// use synod::{ClusterId, ReplicaId};
///
/// let cluster = ClusterId::named("docs")?;
/// let me = Recovered::nothing(cluster, ReplicaId(1), DiskId([7; 16])).me;
/// assert_eq!((me.replica(), me.incarnation().count()), (ReplicaId(1), 1));
/// # Ok::<(), synod::MembershipError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Peer {
    pub(crate) replica: ReplicaId,
    pub(crate) disk: DiskId,
    pub(crate) incarnation: Incarnation,
}

impl Peer {
    /// The sender's name.
    #[must_use]
    pub fn replica(&self) -> ReplicaId {
        self.replica
    }

    /// The sender's disk.
    #[must_use]
    pub fn disk(&self) -> DiskId {
        self.disk
    }

    /// Which of its starts the sender is in.
    #[must_use]
    pub fn incarnation(&self) -> Incarnation {
        self.incarnation
    }
}

/// A member: a replica on a disk.
///
/// ```
/// use synod::ReplicaId;
/// use synod::membership::{DiskId, Member};
///
/// let member = Member { replica: ReplicaId(1), disk: DiskId([7; 16]) };
/// let wiped = Member { disk: DiskId([8; 16]), ..member };
/// assert_ne!(member, wiped, "the same name on another disk is another member");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Member {
    /// The replica's name.
    pub replica: ReplicaId,
    /// The disk that it was formed with.
    pub disk: DiskId,
}

/// Why a set of members cannot be.
///
/// ```
/// use synod::membership::{Membership, MembershipError};
///
/// let error = Membership::new(Vec::new()).unwrap_err();
/// assert_eq!(error, MembershipError::Size { members: 0 });
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum MembershipError {
    /// No members, or more than [`MEMBERS_MAX`].
    #[error("a cluster has 1 to {MEMBERS_MAX} members, not {members}")]
    Size {
        /// How many were given.
        members: usize,
    },
    /// A replica is named twice.
    #[error("replica {replica} is named twice")]
    Twice {
        /// The replica.
        replica: ReplicaId,
    },
    /// The quorums are those of another number of members, or cannot be.
    #[error("quorums: {0}")]
    Quorums(#[from] QuorumError),
    /// A cluster name is empty, too long, or holds a zero byte.
    #[error("a cluster's name has 1 to 16 bytes and no zero byte, not {bytes} bytes")]
    ClusterName {
        /// The length that was given.
        bytes: usize,
    },
}

/// The members that decide a slot, and which sets of them are quorums. One list: it is made
/// durable, told and compared whole, and cannot be built wrong.
///
/// ```
/// use synod::ReplicaId;
/// use synod::membership::{DiskId, Member, Membership, VoteSet};
/// use synod::quorum::Tally;
///
/// let member = |id: u32| Member { replica: ReplicaId(id), disk: DiskId([id as u8; 16]) };
/// let membership = Membership::new((1..=3).map(member).collect())?;
/// let mut votes = VoteSet::EMPTY;
/// assert!(membership.vote(&mut votes, ReplicaId(1)));
/// assert!(!membership.vote(&mut votes, ReplicaId(9)), "no member: not counted");
/// assert_eq!(membership.accept(votes, VoteSet::EMPTY), Tally::Waiting);
/// membership.vote(&mut votes, ReplicaId(3));
/// assert_eq!(membership.accept(votes, VoteSet::EMPTY), Tally::Won);
/// # Ok::<(), synod::MembershipError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Membership {
    members: Vec<Member>,
    /// Elsewhere: messages and errors carry a Membership, and are moved about.
    quorums: Box<Quorums>,
}

impl Membership {
    /// The Membership of these members, with majority quorums.
    ///
    /// # Errors
    /// If there are none, more than [`MEMBERS_MAX`], or one is named twice.
    pub fn new(members: Vec<Member>) -> Result<Self, MembershipError> {
        let names: Vec<ReplicaId> = members.iter().map(|member| member.replica).collect();
        if names.is_empty() || names.len() > MEMBERS_MAX {
            return Err(MembershipError::Size { members: names.len() });
        }
        Self::with_quorums(members, Quorums::new(&QuorumSystem::Majority, &names)?)
    }

    /// The Membership of these members, with the quorums that were made for them.
    ///
    /// # Errors
    /// If there are none, more than [`MEMBERS_MAX`], one is named twice, or the quorums are those
    /// of another number of members.
    pub fn with_quorums(
        mut members: Vec<Member>,
        quorums: Quorums,
    ) -> Result<Self, MembershipError> {
        members.sort_unstable();
        if let Some(pair) = members.windows(2).find(|pair| pair[0].replica == pair[1].replica) {
            return Err(MembershipError::Twice { replica: pair[0].replica });
        }
        if quorums.members() != members.len() {
            return Err(QuorumError::Size { members: quorums.members() }.into());
        }
        Ok(Self { members, quorums: Box::new(quorums) })
    }

    /// Which sets of members are quorums.
    #[must_use]
    pub fn quorums(&self) -> &Quorums {
        &self.quorums
    }

    /// Whether these, and nobody else, are the members.
    #[must_use]
    pub fn names(&self, replicas: &[ReplicaId]) -> bool {
        self.members.len() == replicas.len()
            && self.members.iter().all(|member| replicas.contains(&member.replica))
    }

    /// The members, ordered by their names.
    #[must_use]
    pub fn members(&self) -> &[Member] {
        &self.members
    }

    /// The member of that name.
    #[must_use]
    pub fn member(&self, replica: ReplicaId) -> Option<&Member> {
        self.members.iter().find(|member| member.replica == replica)
    }

    /// The members other than `replica`.
    #[must_use]
    pub fn others(&self, replica: ReplicaId) -> Replicas {
        self.everyone().without(replica)
    }

    /// The members' names.
    #[must_use]
    pub(crate) fn everyone(&self) -> Replicas {
        let mut all = Replicas::default();
        // Their names differ and there are at most MEMBERS_MAX: no need to look for each.
        self.members.iter().for_each(|member| all.push(member.replica));
        all
    }

    /// Adds the replica's vote to `votes`. False if it is no member: such a vote never counts.
    pub fn vote(&self, votes: &mut VoteSet, replica: ReplicaId) -> bool {
        match self.members.iter().position(|member| member.replica == replica) {
            Some(index) => {
                votes.insert(index);
                true
            }
            None => false,
        }
    }

    /// Whether the replica's vote is in `votes`.
    #[must_use]
    pub fn has_voted(&self, votes: VoteSet, replica: ReplicaId) -> bool {
        self.members
            .iter()
            .position(|member| member.replica == replica)
            .is_some_and(|index| votes.contains(index))
    }

    /// Whether `yes` is a prepare quorum, or can still become one without those in `no`.
    #[must_use]
    pub fn prepare(&self, yes: VoteSet, no: VoteSet) -> Tally {
        self.quorums.prepare(yes, no)
    }

    /// Whether `yes` is an accept quorum, or can still become one without those in `no`.
    #[must_use]
    pub fn accept(&self, yes: VoteSet, no: VoteSet) -> Tally {
        self.quorums.accept(yes, no)
    }
}

/// Votes of members, one bit each, by their place in the Membership.
///
/// ```
/// use synod::membership::VoteSet;
///
/// let mut votes = VoteSet::EMPTY;
/// votes.insert(2);
/// votes.insert(2);
/// assert!(votes.contains(2) && !votes.contains(0));
/// assert_eq!(votes.len(), 1, "voters are counted, not votes");
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct VoteSet(u16);

impl VoteSet {
    /// No votes.
    pub const EMPTY: Self = Self(0);

    /// Adds the member with this place.
    pub fn insert(&mut self, index: usize) {
        assert!(index < MEMBERS_MAX, "a Membership has at most {MEMBERS_MAX} places, not {index}");
        self.0 |= 1 << index;
    }

    /// The votes of the first so many places.
    #[must_use]
    pub(crate) fn all(members: usize) -> Self {
        assert!(members <= MEMBERS_MAX, "a Membership has at most {MEMBERS_MAX} places");
        Self((1 << members) - 1)
    }

    /// Every set of votes of the first so many places.
    pub(crate) fn subsets(members: usize) -> impl Iterator<Item = Self> {
        (0..=Self::all(members).0).map(Self)
    }

    /// The votes as a number, below 2^[`MEMBERS_MAX`].
    #[must_use]
    pub(crate) fn bits(self) -> usize {
        usize::from(self.0)
    }

    /// With the vote of this place.
    #[must_use]
    pub(crate) fn with(mut self, index: usize) -> Self {
        self.insert(index);
        self
    }

    /// Without the vote of this place.
    #[must_use]
    pub(crate) fn without(self, index: usize) -> Self {
        self.minus(Self::EMPTY.with(index))
    }

    /// Without those votes.
    #[must_use]
    pub(crate) fn minus(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// Those of so many places that are not here.
    #[must_use]
    pub(crate) fn others(self, members: usize) -> Self {
        Self::all(members).minus(self)
    }

    /// Whether the member with this place has voted.
    #[must_use]
    pub fn contains(self, index: usize) -> bool {
        index < MEMBERS_MAX && self.0 & (1 << index) != 0
    }

    /// How many have voted.
    #[must_use]
    pub fn len(self) -> usize {
        self.0.count_ones() as usize
    }

    /// Whether nobody has voted.
    #[must_use]
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }
}

/// A small set of replicas, in place: whom to send a message to.
///
/// ```
/// use synod::ReplicaId;
/// use synod::membership::Replicas;
///
/// let others: Replicas = [2, 3, 2].map(ReplicaId).into_iter().collect();
/// assert_eq!((others.len(), others.to_string().as_str()), (2, "2,3"));
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Replicas {
    ids: [ReplicaId; MEMBERS_MAX],
    count: u8,
}

impl Replicas {
    /// The set of this one replica.
    #[must_use]
    pub fn one(replica: ReplicaId) -> Self {
        let mut set = Self::default();
        set.push(replica);
        set
    }

    /// The set without this replica, in the same order.
    #[must_use]
    pub(crate) fn without(&self, replica: ReplicaId) -> Self {
        let mut set = *self;
        if let Some(at) = self.iter().position(|id| id == replica) {
            let last = set.len() - 1;
            set.ids.copy_within(at + 1..=last, at);
            // Sets are compared with what lies behind their ends.
            set.ids[last] = ReplicaId::default();
            set.count -= 1;
        }
        set
    }

    fn push(&mut self, replica: ReplicaId) {
        self.ids[usize::from(self.count)] = replica;
        self.count += 1;
    }

    /// Adds a replica.
    ///
    /// # Panics
    /// If the set would grow beyond [`MEMBERS_MAX`].
    pub fn insert(&mut self, replica: ReplicaId) {
        if !self.contains(replica) {
            self.push(replica);
        }
    }

    /// Whether the replica is in the set.
    #[must_use]
    pub fn contains(&self, replica: ReplicaId) -> bool {
        self.iter().any(|id| id == replica)
    }

    /// The replicas, in the order in which they were added.
    pub fn iter(&self) -> impl Iterator<Item = ReplicaId> + '_ {
        self.ids[..usize::from(self.count)].iter().copied()
    }

    /// How many replicas are in the set.
    #[must_use]
    pub fn len(&self) -> usize {
        usize::from(self.count)
    }

    /// Whether the set is empty.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }
}

impl FromIterator<ReplicaId> for Replicas {
    fn from_iter<I: IntoIterator<Item = ReplicaId>>(ids: I) -> Self {
        let mut set = Self::default();
        ids.into_iter().for_each(|id| set.insert(id));
        set
    }
}

impl fmt::Display for Replicas {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, id) in self.iter().enumerate() {
            write!(f, "{}{id}", if i == 0 { "" } else { "," })?;
        }
        Ok(())
    }
}
