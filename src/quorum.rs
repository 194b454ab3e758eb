//! Quorums: which sets of members decide.
//!
//! A [`QuorumSystem`] says how they are formed, in terms that a person thinks in. [`Quorums`] are
//! what follows from it for the members of one cluster: two families of sets, held whole, one bit
//! for each set. So every system is judged in the same way, and the one property that safety rests
//! on, that each prepare quorum meets each accept quorum, is not trusted to a proof for each kind:
//! it is checked set by set when they are built, also when they come from a disk or a peer.

use alloc::vec::Vec;
use core::fmt;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::membership::{MEMBERS_MAX, ReplicaId, Replicas, VoteSet};

/// What a set of votes amounts to.
///
/// ```
/// use synod::ReplicaId;
/// use synod::membership::{DiskId, Member, Membership, VoteSet};
/// use synod::quorum::Tally;
///
/// let member = |id: u32| Member { replica: ReplicaId(id), disk: DiskId([id as u8; 16]) };
/// let membership = Membership::new((1..=3).map(member).collect())?;
/// let (mut yes, mut no) = (VoteSet::EMPTY, VoteSet::EMPTY);
/// yes.insert(0);
/// assert_eq!(membership.prepare(yes, no), Tally::Waiting);
/// no.insert(1);
/// no.insert(2);
/// assert_eq!(membership.prepare(yes, no), Tally::Lost);
/// # Ok::<(), synod::MembershipError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Tally {
    /// The votes are a quorum.
    Won,
    /// They can no longer become one. This never proves that nothing was chosen.
    Lost,
    /// More votes can make them one.
    Waiting,
}

/// How the quorums of a cluster are formed: a constant of the cluster, which every member is given
/// alike, and which is kept with the list of members when it forms.
///
/// Phase 1 needs a prepare quorum: so does whoever takes over the lead. Phase 2 needs an accept
/// quorum: so does every command. The smaller the one, the larger the other must be ("Flexible
/// Paxos: Quorum intersection revisited", section 4).
///
/// ```
/// use synod::quorum::{QuorumSystem, Quorums};
/// use synod::ReplicaId;
///
/// let five: Vec<ReplicaId> = (1..=5).map(ReplicaId).collect();
/// // Commands need two disks of five. When the leader is lost, the other four must be up.
/// assert!(Quorums::new(&QuorumSystem::Sizes { prepare: 4, accept: 2 }, &five).is_ok());
/// // Here the three who promise could miss the two who have accepted.
/// let refused = Quorums::new(&"sizes/3/2".parse()?, &five).unwrap_err();
/// assert_eq!(refused.to_string(), "prepare quorum 3,4,5 misses accept quorum 1,2");
/// # Ok::<(), synod::quorum::QuorumTextError>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum QuorumSystem {
    /// Every majority of the members is a quorum of both kinds. The default.
    #[default]
    Majority,
    /// So many members, whichever they are.
    Sizes {
        /// How many make a prepare quorum.
        prepare: u8,
        /// How many make an accept quorum.
        accept: u8,
    },
    /// Members with enough weight together (Gifford, "Weighted Voting for Replicated Data").
    Weighted {
        /// The weight of each member. One without weight keeps the log, but decides nothing.
        weights: Vec<(ReplicaId, u16)>,
        /// The weight that makes a prepare quorum.
        prepare: u32,
        /// The weight that makes an accept quorum.
        accept: u32,
    },
    /// Majorities of enough zones: racks, rooms or regions (Kumar, "Hierarchical Quorum
    /// Consensus"; "WPaxos: Wide Area Network Flexible Consensus", section 3).
    Zones {
        /// The members of each zone.
        zones: Vec<Vec<ReplicaId>>,
        /// In how many zones a prepare quorum has a majority.
        prepare: u8,
        /// In how many zones an accept quorum has a majority.
        accept: u8,
    },
}

/// Why quorums cannot be.
///
/// ```
/// use synod::ReplicaId;
/// use synod::quorum::{QuorumError, QuorumSystem, Quorums};
///
/// let system: QuorumSystem = "weights:1=2,2=1/2/2".parse()?;
/// let refused = Quorums::new(&system, &[1, 2, 3].map(ReplicaId));
/// assert_eq!(refused, Err(QuorumError::Left { replica: ReplicaId(3) }));
/// # Ok::<(), synod::quorum::QuorumTextError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum QuorumError {
    /// There are none, or too many members for a cluster.
    #[error("a cluster has 1 to {MEMBERS_MAX} members, not {members}")]
    Size {
        /// How many there are.
        members: usize,
    },
    /// A weight or a zone is given to somebody who is no member, or to a member twice.
    #[error("replica {replica} has a weight or a zone, and is no member or has another already")]
    Stray {
        /// Who.
        replica: ReplicaId,
    },
    /// A member has no weight, or lies in no zone.
    #[error("replica {replica} has no weight or lies in no zone")]
    Left {
        /// Who.
        replica: ReplicaId,
    },
    /// Not even all members together are a quorum.
    #[error("all members together are no {kind} quorum")]
    Never {
        /// Of which kind.
        kind: &'static str,
    },
    /// Some prepare quorum misses some accept quorum: two entries could be chosen in one slot.
    #[error("prepare quorum {} misses accept quorum {}", listed(.prepare), listed(.accept))]
    Missed {
        /// The prepare quorum; it may be empty.
        prepare: Replicas,
        /// The accept quorum; it may be empty.
        accept: Replicas,
    },
    /// A set is a quorum, and with one more member is none: no vote may hurt.
    #[error("a quorum ceases to be one with another member")]
    Shrinking,
}

fn listed(set: &Replicas) -> alloc::string::String {
    if set.is_empty() { "of nobody".into() } else { alloc::format!("{set}") }
}

const WORDS: usize = (1 << MEMBERS_MAX) / 64;

/// A family of sets of members: a bit for each set, at the place that the members' bits make.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(crate) struct Family(pub(crate) [u64; WORDS]);

impl Family {
    fn of(members: usize, is_quorum: impl Fn(VoteSet) -> bool) -> Self {
        let mut family = Self::default();
        for set in VoteSet::subsets(members).filter(|set| is_quorum(*set)) {
            family.0[set.bits() / 64] |= 1 << (set.bits() % 64);
        }
        family
    }

    fn contains(&self, set: VoteSet) -> bool {
        self.0[set.bits() / 64] >> (set.bits() % 64) & 1 == 1
    }
}

/// A system of prepare and accept quorums in which every prepare quorum meets every accept quorum
/// ("Paxos Made Simple", 2.2; "Flexible Paxos", section 4).
///
/// There is no way to build one in which they do not. Two are equal if the same sets are quorums,
/// however they were described.
///
/// ```
/// use synod::quorum::{QuorumSystem, Quorums, Tally};
/// use synod::membership::VoteSet;
/// use synod::ReplicaId;
///
/// let four = [1, 2, 3, 4].map(ReplicaId);
/// let quorums = Quorums::new(&QuorumSystem::Sizes { prepare: 3, accept: 2 }, &four)?;
/// let mut votes = VoteSet::EMPTY;
/// votes.insert(0);
/// assert_eq!(quorums.accept(votes, VoteSet::EMPTY), Tally::Waiting);
/// votes.insert(3);
/// assert_eq!(quorums.accept(votes, VoteSet::EMPTY), Tally::Won);
/// # Ok::<(), synod::quorum::QuorumError>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Quorums {
    members: u8,
    prepare: Family,
    accept: Family,
}

impl Quorums {
    /// The quorums of this system for these members, in any order.
    ///
    /// # Errors
    /// If the system does not fit the members, if not even all of them are a quorum, or if some
    /// prepare quorum misses some accept quorum.
    pub fn new(system: &QuorumSystem, members: &[ReplicaId]) -> Result<Self, QuorumError> {
        let mut members = members.to_vec();
        members.sort_unstable();
        let n = members.len();
        if n == 0 || n > MEMBERS_MAX {
            return Err(QuorumError::Size { members: n });
        }
        let (prepare, accept) = match system {
            QuorumSystem::Majority => {
                let majority = Family::of(n, |set| set.len() > n / 2);
                (majority, majority)
            }
            QuorumSystem::Sizes { prepare, accept } => {
                let sized = |size: u8| Family::of(n, |set| set.len() >= usize::from(size));
                (sized(*prepare), sized(*accept))
            }
            QuorumSystem::Weighted { weights, prepare, accept } => {
                let weights = one_each(&members, weights.iter().copied())?;
                let heavy = |least: u32| Family::of(n, |set| weight(&weights, set) >= least);
                (heavy(*prepare), heavy(*accept))
            }
            QuorumSystem::Zones { zones, prepare, accept } => {
                let numbered = zones.iter().zip(0u16..);
                let each = numbered.flat_map(|(zone, nth)| zone.iter().map(move |id| (*id, nth)));
                let zone_of = one_each(&members, each)?;
                let wide =
                    |least: u8| Family::of(n, |set| won(&zone_of, set) >= usize::from(least));
                (wide(*prepare), wide(*accept))
            }
        };
        let members = &members;
        let named = |set: VoteSet| (0..n).filter(move |i| set.contains(*i)).map(|i| members[i]);
        let checked = Self::check(n, prepare, accept);
        checked.map_err(|wrong| wrong.named(|set| named(set).collect()))
    }

    /// The quorums that a disk or a peer tells.
    ///
    /// # Errors
    /// If they cannot be.
    pub(crate) fn told(
        members: usize,
        prepare: Family,
        accept: Family,
    ) -> Result<Self, QuorumError> {
        if members == 0 || members > MEMBERS_MAX {
            return Err(QuorumError::Size { members });
        }
        // Whoever they are: this is no mistake of a person.
        let checked = Self::check(members, prepare, accept);
        checked.map_err(|wrong| wrong.named(|_| Replicas::default()))
    }

    /// The only way to build one.
    fn check(members: usize, prepare: Family, accept: Family) -> Result<Self, Wrong> {
        let all = VoteSet::all(members);
        for (family, kind) in [(&prepare, "prepare"), (&accept, "accept")] {
            if !family.contains(all) {
                return Err(Wrong::Never { kind });
            }
            let grows = |set: VoteSet| {
                !family.contains(set) || (0..members).all(|i| family.contains(set.with(i)))
            };
            let stray = Family::of(members, |set| family.contains(set)) != *family;
            if stray || !VoteSet::subsets(members).all(grows) {
                return Err(Wrong::Shrinking);
            }
        }
        // A prepare quorum misses an accept quorum exactly if all the others are one, since with
        // more members it remains one.
        let misses = |set: &VoteSet| prepare.contains(*set) && accept.contains(set.others(members));
        // The largest accept quorum that is missed names the least.
        match VoteSet::subsets(members).filter(misses).max_by_key(|set| set.len()) {
            Some(set) => Err(Wrong::Missed {
                prepare: least(&prepare, set, members),
                accept: least(&accept, set.others(members), members),
            }),
            None => Ok(Self { members: members as u8, prepare, accept }),
        }
    }

    /// How many members there are.
    #[must_use]
    pub fn members(&self) -> usize {
        usize::from(self.members)
    }

    pub(crate) fn families(&self) -> (&Family, &Family) {
        (&self.prepare, &self.accept)
    }

    /// Judges votes of a prepare phase.
    #[must_use]
    pub fn prepare(&self, yes: VoteSet, no: VoteSet) -> Tally {
        self.judge(&self.prepare, yes, no)
    }

    /// Judges votes of an accept phase.
    #[must_use]
    pub fn accept(&self, yes: VoteSet, no: VoteSet) -> Tally {
        self.judge(&self.accept, yes, no)
    }

    fn judge(&self, family: &Family, yes: VoteSet, no: VoteSet) -> Tally {
        if family.contains(yes) {
            Tally::Won
        } else if family.contains(no.others(self.members())) {
            Tally::Waiting
        } else {
            Tally::Lost
        }
    }

    /// How few more votes than `yes` can be a quorum of these phases.
    pub(crate) fn fewest_more(&self, yes: VoteSet, phases: Phases) -> usize {
        let enough = |set: &VoteSet| match phases {
            Phases::Prepare => self.prepare.contains(*set),
            Phases::Accept => self.accept.contains(*set),
            Phases::Both => self.prepare.contains(*set) && self.accept.contains(*set),
        };
        let more = |set: VoteSet| set.minus(yes).len();
        VoteSet::subsets(self.members()).filter(enough).map(more).min().unwrap_or(0)
    }

    /// The prepare quorums of which no member can be left out.
    #[must_use]
    pub fn least_prepare(&self) -> Vec<VoteSet> {
        self.least(&self.prepare)
    }

    /// The accept quorums of which no member can be left out.
    #[must_use]
    pub fn least_accept(&self) -> Vec<VoteSet> {
        self.least(&self.accept)
    }

    fn least(&self, family: &Family) -> Vec<VoteSet> {
        let n = self.members();
        let all = VoteSet::subsets(n).filter(|set| family.contains(*set));
        all.filter(|set| least(family, *set, n) == *set).collect()
    }
}

/// Which phases votes are for.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Phases {
    Prepare,
    Accept,
    /// An election: whoever tries wants to lead, and then to get something chosen.
    Both,
}

/// What can be wrong with two families.
enum Wrong {
    Never { kind: &'static str },
    Missed { prepare: VoteSet, accept: VoteSet },
    Shrinking,
}

impl Wrong {
    fn named(self, named: impl Fn(VoteSet) -> Replicas) -> QuorumError {
        match self {
            Self::Missed { prepare, accept } => {
                QuorumError::Missed { prepare: named(prepare), accept: named(accept) }
            }
            Self::Never { kind } => QuorumError::Never { kind },
            Self::Shrinking => QuorumError::Shrinking,
        }
    }
}

/// A quorum within this one of which no member can be left out.
fn least(family: &Family, mut set: VoteSet, members: usize) -> VoteSet {
    for i in (0..members).rev() {
        if set.contains(i) && family.contains(set.without(i)) {
            set = set.without(i);
        }
    }
    set
}

/// The number of each member, in their order. Each has one.
fn one_each(
    members: &[ReplicaId],
    given: impl Iterator<Item = (ReplicaId, u16)>,
) -> Result<Vec<u16>, QuorumError> {
    let mut found = alloc::vec![None; members.len()];
    for (replica, number) in given {
        match members.iter().position(|id| *id == replica) {
            Some(place) if found[place].is_none() => found[place] = Some(number),
            _ => return Err(QuorumError::Stray { replica }),
        }
    }
    let number = |(found, replica): (Option<u16>, &ReplicaId)| {
        found.ok_or(QuorumError::Left { replica: *replica })
    };
    found.into_iter().zip(members).map(number).collect()
}

/// What the members of the set weigh together.
fn weight(weights: &[u16], set: VoteSet) -> u32 {
    let inside = weights.iter().enumerate().filter(|(i, _)| set.contains(*i));
    inside.map(|(_, weight)| u32::from(*weight)).sum()
}

/// In how many zones the set has a majority.
fn won(zone_of: &[u16], set: VoteSet) -> usize {
    let majority = |zone: u16| {
        let inside = || (0..zone_of.len()).filter(|i| zone_of[*i] == zone);
        inside().filter(|i| set.contains(*i)).count() > inside().count() / 2
    };
    let last = zone_of.iter().max().copied().unwrap_or(0);
    (0..=last).filter(|zone| zone_of.contains(zone) && majority(*zone)).count()
}

impl fmt::Debug for Quorums {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Quorums({self})")
    }
}

/// How many members are enough, such as "2 of 3"; where not every set of that size is a quorum,
/// that of the smallest and of the largest least one, such as "4 to 6 of 9".
impl fmt::Display for Quorums {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let enough = |f: &mut fmt::Formatter<'_>, family: &Family| {
            let sizes = || self.least(family).into_iter().map(VoteSet::len);
            let (low, high) = (sizes().min().unwrap_or(0), sizes().max().unwrap_or(0));
            let any = |set: VoteSet| set.len() < low || family.contains(set);
            match VoteSet::subsets(self.members()).all(any) {
                true => write!(f, "{low} of {}", self.members),
                false if low == high => write!(f, "certain {low} of {}", self.members),
                false => write!(f, "certain {low} to {high} of {}", self.members),
            }
        };
        write!(f, "prepare: ")?;
        enough(f, &self.prepare)?;
        write!(f, ", accept: ")?;
        enough(f, &self.accept)
    }
}

mod text;

pub use self::text::QuorumTextError;

#[cfg(test)]
mod tests;
