//! How links break while somebody leads: the situations in which an election is tried.
//!
//! `Shape` says what links look like, and leaves to chance who leads. Here it is said, too, where
//! the leader stands: one rule may save a cluster whose hub leads, and lose one whose hub follows.

use std::vec::Vec;

use super::cuts::Cuts;
use super::random::Random;

/// How links break while a replica leads. One replica is unlike the others: the *odd* one. Places
/// are counted from it: it stands at place 0.
///
/// ```
/// use synod::sim::Fracture;
///
/// // In a row of five those in the middle reach three, themselves counted; of seven nobody does.
/// assert_eq!(Fracture::Chained.places(5), [0, 1, 2, 3, 4]);
/// assert_eq!(Fracture::Chained.places(7), [0; 0]);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Fracture {
    /// Only the odd one reaches the others, which reach it alone (Ng, Haridi and Carbone,
    /// "Omni-Paxos", EuroSys 2023, section 2).
    QuorumLoss,
    /// The same; the odd one has missed what was chosen last, and the leader is cut off ("the
    /// constrained election" of that paper).
    Constrained,
    /// The same, but the odd one reaches the leader, too.
    ConstrainedInTouch,
    /// Each reaches its neighbours in a row, at whose end the odd one stands ("the chained
    /// scenario" of that paper, which has three replicas).
    Chained,
    /// Each reaches its neighbours in a ring.
    Ring,
    /// The odd one is heard by nobody, but hears.
    Mute,
    /// The odd one hears nobody, but is heard.
    Deaf,
    /// The odd one is cut off from its neighbour.
    OneLinkLess,
    /// The odd one is not heard by its neighbour.
    OneDirectionLess,
    /// The odd one is cut off from two others.
    TwoLinksLess,
    /// The odd one hears only its neighbour, and is heard by all.
    HearsOne,
    /// The odd one is heard only by its neighbour, and hears all.
    HeardByOne,
    /// The odd one is cut off.
    CutOff,
    /// Each link is cut in one of two cases, as the seed says, but somebody reaches a quorum.
    RandomLinks,
    /// Each direction is cut in three of ten cases, as the seed says, but somebody reaches a quorum
    /// in both directions.
    RandomDirections,
}

impl Fracture {
    /// Every one, those of the paper first.
    pub const ALL: [Self; 15] = [
        Self::QuorumLoss,
        Self::Constrained,
        Self::Chained,
        Self::ConstrainedInTouch,
        Self::Ring,
        Self::Mute,
        Self::Deaf,
        Self::OneLinkLess,
        Self::OneDirectionLess,
        Self::TwoLinksLess,
        Self::HearsOne,
        Self::HeardByOne,
        Self::CutOff,
        Self::RandomLinks,
        Self::RandomDirections,
    ];

    /// What it is called in tables.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::QuorumLoss => "quorum-loss",
            Self::Constrained => "constrained election",
            Self::ConstrainedInTouch => "constrained, leader in touch",
            Self::Chained => "chained",
            Self::Ring => "ring",
            Self::Mute => "mute",
            Self::Deaf => "deaf",
            Self::OneLinkLess => "one link less",
            Self::OneDirectionLess => "one direction less",
            Self::TwoLinksLess => "two links less",
            Self::HearsOne => "hears one",
            Self::HeardByOne => "heard by one",
            Self::CutOff => "cut off",
            Self::RandomLinks => "random links",
            Self::RandomDirections => "random directions",
        }
    }

    /// The places at which the leader can stand in a cluster of so many replicas: none if the links
    /// that are left give no replica a majority, so that nobody can lead.
    #[must_use]
    pub fn places(self, replicas: usize) -> Vec<usize> {
        // Who has missed what was chosen last does not lead.
        let first = usize::from(self.has_outdated());
        let leaves = |leader: &usize| self.cuts(replicas, 0, *leader, 0).leave_a_majority();
        (first..replicas).filter(leaves).collect()
    }

    /// Whether the odd one has missed what was chosen last.
    pub(super) const fn has_outdated(self) -> bool {
        matches!(self, Self::Constrained | Self::ConstrainedInTouch)
    }

    /// The links that are cut, if the odd replica is the one at `odd` of the cluster, and the
    /// leader stands at place `leader` counted from it.
    pub(super) fn cuts(self, replicas: usize, odd: usize, leader: usize, luck: u64) -> Cuts {
        let place = |at: usize| (at + replicas - odd) % replicas;
        let permille = match self {
            Self::RandomLinks => 500,
            Self::RandomDirections => 300,
            _ => {
                let mut cuts = Cuts::none(replicas);
                cuts.cut_if(|from, to| self.is_cut(place(from), place(to), replicas, leader));
                return cuts;
            }
        };
        let mut random = Random::from_seed(luck ^ 0x0f7a_c7e5);
        loop {
            let mut cuts = Cuts::none(replicas);
            for (from, to) in (0..replicas).flat_map(|from| (0..from).map(move |to| (from, to))) {
                let there = random.chance(permille);
                let back = if self == Self::RandomLinks { there } else { random.chance(permille) };
                cuts.cut_if(|one, other| {
                    (there && (one, other) == (from, to)) || (back && (one, other) == (to, from))
                });
            }
            if cuts.leave_a_majority() {
                return cuts;
            }
        }
    }

    /// Whether the direction between two different places is cut.
    fn is_cut(self, from: usize, to: usize, replicas: usize, leader: usize) -> bool {
        let (near, far) = (from.min(to), from.max(to));
        let distance = far - near;
        match self {
            Self::QuorumLoss | Self::ConstrainedInTouch => near > 0,
            Self::Constrained => near > 0 || far == leader,
            Self::Chained => distance > 1,
            Self::Ring => distance > 1 && distance < replicas - 1,
            Self::Mute => from == 0,
            Self::Deaf => to == 0,
            Self::OneLinkLess => (near, far) == (0, 1),
            Self::OneDirectionLess => (from, to) == (0, 1),
            Self::TwoLinksLess => near == 0 && far <= 2,
            Self::HearsOne => to == 0 && from != 1,
            Self::HeardByOne => from == 0 && to != 1,
            Self::CutOff => near == 0,
            Self::RandomLinks | Self::RandomDirections => false,
        }
    }
}

#[cfg(test)]
mod tests;
