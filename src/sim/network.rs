//! The simulated network: messages under way, and the odds of each directed link.

use std::vec::Vec;

use bytes::Bytes;

use crate::membership::{Peer, ReplicaId};
use crate::message::Message;

/// A message under way.
#[derive(Clone, Debug)]
pub(crate) struct Envelope {
    /// The number of the message that it bears, or 0: of none, or of one that is not known.
    pub(crate) number: u64,
    /// Who sent it, in which of its starts.
    pub(crate) from: Peer,
    /// To whom.
    pub(crate) to: ReplicaId,
    /// What is under way.
    pub(crate) payload: Payload,
}

/// What is under way.
#[derive(Clone, Debug)]
pub(crate) enum Payload {
    /// The message as it is.
    Message(Message),
    /// A frame of the wire.
    Frame {
        /// Its bytes.
        bytes: Bytes,
        /// What became of it under way.
        condition: Condition,
    },
}

/// What became of a frame under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Condition {
    /// It is as it was sent.
    Sound,
    /// Its bytes were changed.
    Damaged,
    /// It is as it was sent, but by a replica of another cluster.
    Foreign,
}

/// The odds of one directed link. Chances are in thousandths, times in microseconds.
///
/// ```
/// use synod::sim::{LinkFaults, Links, Swarm, simulate};
///
/// let lossy = LinkFaults { loss_permille: 100, ..LinkFaults::NONE };
/// let swarm = Swarm::fault_free(1).with(|parts| parts.weather.links = Links::all(lossy))?;
/// assert!(simulate(&swarm)?.faults.lost > 0);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LinkFaults {
    /// How many of a thousand messages are lost.
    pub loss_permille: u32,
    /// How many of a thousand messages arrive twice.
    pub duplicate_permille: u32,
    /// How many of a thousand frames are damaged: bits are flipped, they are cut short, two are
    /// joined, or they say what no frame may say. Messages that are not framed never are.
    pub damage_permille: u32,
    /// How many of a thousand messages are followed by one that was sent long before, by whoever
    /// and in whichever of its starts.
    pub replay_permille: u32,
    /// The shortest time under way.
    pub delay_micros: u64,
    /// What the time under way varies by: messages overtake one another within it.
    pub jitter_micros: u64,
    /// How much longer than that some messages take.
    pub tail: Tail,
    /// How many of a thousand messages take twenty times as long.
    pub straggler_permille: u32,
}

impl LinkFaults {
    /// A link that loses nothing and is quick.
    pub const NONE: Self = Self {
        loss_permille: 0,
        duplicate_permille: 0,
        damage_permille: 0,
        replay_permille: 0,
        delay_micros: 200,
        jitter_micros: 100,
        tail: Tail::None,
        straggler_permille: 0,
    };

    /// How long a message is under way, as `luck` decides, and whether it lies in the tail.
    pub(crate) fn under_way(&self, mut below: impl FnMut(u64) -> u64) -> (u64, bool) {
        let usual = self.delay_micros + below(self.jitter_micros + 1);
        let straggles =
            self.straggler_permille > 0 && below(1000) < u64::from(self.straggler_permille);
        let usual = if straggles { usual * 20 } else { usual };
        let tail = self.tail.micros(below);
        (usual + tail, straggles || tail > 0)
    }
}

/// How much longer than usual some messages are under way. Integers only: each further step has
/// half the chance of the one before.
///
/// ```
/// use synod::sim::{LinkFaults, Links, Swarm, Tail, simulate};
///
/// let late = LinkFaults { tail: Tail::Doubling { micros: 500 }, ..LinkFaults::NONE };
/// let swarm = Swarm::fault_free(1).with(|parts| parts.weather.links = Links::all(late))?;
/// assert!(simulate(&swarm)?.faults.late > 0);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tail {
    /// No message takes longer.
    None,
    /// As with an exponential distribution: half of the messages take longer, and half of those
    /// that have waited this long wait as long again.
    Halving {
        /// This long, in microseconds.
        micros: u64,
    },
    /// A heavy tail: of the messages that have waited for any time, half wait for twice that time.
    Doubling {
        /// The shortest such time, in microseconds.
        micros: u64,
    },
}

/// A tail ends after this many steps.
const TAIL_STEPS: u32 = 12;

impl Tail {
    fn micros(self, mut below: impl FnMut(u64) -> u64) -> u64 {
        let (base, doubling) = match self {
            Self::None => return 0,
            Self::Halving { micros } => (micros, false),
            Self::Doubling { micros } => (micros, true),
        };
        let steps = below(1 << TAIL_STEPS).trailing_zeros().min(TAIL_STEPS);
        if steps == 0 {
            return 0;
        }
        let (from, width) = if doubling {
            (base << (steps - 1), base << (steps - 1))
        } else {
            (base * u64::from(steps - 1), base)
        };
        from + 1 + below(width.max(1))
    }
}

/// The odds of all links.
///
/// ```
/// use synod::ReplicaId;
/// use synod::sim::{Link, LinkFaults, Links};
///
/// let (from, to) = (ReplicaId(1), ReplicaId(2));
/// let mut links = Links::all(LinkFaults { loss_permille: 10, ..LinkFaults::NONE });
/// links.single.push(Link { from, to, faults: LinkFaults { loss_permille: 900, ..links.usual } });
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Links {
    /// Of every link that is not named.
    pub usual: LinkFaults,
    /// Of single links. The last one that names a link counts.
    pub single: Vec<Link>,
}

/// One directed link that is unlike the others.
///
/// ```
/// use synod::ReplicaId;
/// use synod::sim::{Link, LinkFaults, Links, Swarm, simulate};
///
/// // Replica 3 hears nothing from 1; back from 3 to 1 all is well.
/// let faults = LinkFaults { loss_permille: 1000, ..LinkFaults::NONE };
/// let link = Link { from: ReplicaId(1), to: ReplicaId(3), faults };
/// let swarm = Swarm::fault_free(1).with(|parts| parts.weather.links.single.push(link))?;
/// assert!(simulate(&swarm)?.slots > 0);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Link {
    /// From whom. Replicas are named from 1 on.
    pub from: ReplicaId,
    /// To whom.
    pub to: ReplicaId,
    /// Its odds.
    pub faults: LinkFaults,
}

impl Links {
    /// Nothing goes wrong anywhere.
    pub const NONE: Self = Self { usual: LinkFaults::NONE, single: Vec::new() };

    /// Every link of the cluster has these odds.
    #[must_use]
    pub const fn all(usual: LinkFaults) -> Self {
        Self { usual, single: Vec::new() }
    }

    /// The odds of every link between so many replicas, by sender and then receiver.
    pub(crate) fn table(&self, replicas: usize) -> Vec<LinkFaults> {
        let mut table = std::vec![self.usual; replicas * replicas];
        for link in &self.single {
            let (from, to) = (link.from.0 as usize, link.to.0 as usize);
            if (1..=replicas).contains(&from) && (1..=replicas).contains(&to) {
                table[(from - 1) * replicas + to - 1] = link.faults;
            }
        }
        table
    }
}
