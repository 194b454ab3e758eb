//! Which faults there are, and when: from the seed alone. Whom a fault hits is known when it
//! begins, since nobody knows beforehand who will lead.

use std::fmt;
use std::time::Duration;

use synod::sim::Random;

use super::proxy::Weather;
use super::random::{Stream, between, place, stream};

/// How long a round lasts.
pub(crate) const ROUND: Duration = Duration::from_secs(3);

/// By when in its round each fault is over, so that a quorum has time to go on.
pub(crate) const OVER: Duration = Duration::from_millis(2200);

/// Whom a fault hits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Target {
    Leader,
    /// A replica, numbered from 0.
    Replica(usize),
}

/// What a fault does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// SIGKILL, and another start.
    Kill(Target),
    /// SIGKILL for all of them at once.
    KillAll,
    /// SIGSTOP, and SIGCONT.
    Stop(Target),
    /// Nothing gets to it or from it.
    Isolate(Target),
    /// Nothing gets to it.
    Deafen(Target),
    /// Nothing gets from it.
    Mute(Target),
    /// Nothing gets from it to one other.
    Cut(Target, usize),
    /// Datagrams are lost, doubled, delayed and reordered everywhere.
    Weather(Weather),
}

/// A fault of a round.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Fault {
    pub(crate) kind: Kind,
    /// When it begins and when it is over, since the beginning of its round.
    pub(crate) begin: Duration,
    pub(crate) end: Duration,
}

/// The faults of all rounds, one round after the other.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    random: Random,
    replicas: usize,
}

impl Plan {
    pub(crate) fn new(seed: u64, replicas: usize) -> Self {
        Self { random: stream(seed, Stream::Plan), replicas }
    }

    /// The faults of the next round: one, or two at once.
    pub(crate) fn next_round(&mut self) -> Vec<Fault> {
        let count = if self.random.chance(300) { 2 } else { 1 };
        (0..count).map(|_| self.fault()).collect()
    }

    fn fault(&mut self) -> Fault {
        let begin = Duration::from_millis(between(&mut self.random, 0, 500));
        let kind = self.kind();
        let longest = match kind {
            // Down for longer shows nothing more: the others have another leader long before.
            Kind::Kill(_) | Kind::KillAll => 1200,
            _ => 1700,
        };
        let lasts = Duration::from_millis(between(&mut self.random, 100, longest));
        Fault { kind, begin, end: (begin + lasts).min(OVER) }
    }

    fn kind(&mut self) -> Kind {
        match self.random.below(100) {
            0..24 => Kind::Kill(Target::Leader),
            24..30 => Kind::Kill(self.replica()),
            30..34 => Kind::KillAll,
            34..48 => Kind::Stop(self.target()),
            48..60 => Kind::Isolate(self.target()),
            60..66 => Kind::Deafen(self.target()),
            66..72 => Kind::Mute(self.target()),
            72..78 => Kind::Cut(self.target(), place(&mut self.random, self.replicas)),
            _ => Kind::Weather(self.weather()),
        }
    }

    /// The leader more often than the others, since more depends on it.
    fn target(&mut self) -> Target {
        if self.random.chance(500) { Target::Leader } else { self.replica() }
    }

    fn replica(&mut self) -> Target {
        Target::Replica(place(&mut self.random, self.replicas))
    }

    fn weather(&mut self) -> Weather {
        let random = &mut self.random;
        let mut permille = |most: u64| {
            let some = between(random, 0, most);
            // Not everything at once: then a run would only ever see the worst of them.
            if random.chance(600) { u32::try_from(some).unwrap_or(0) } else { 0 }
        };
        let (loss_permille, twice_permille, late_permille) =
            (20 + permille(280), permille(500), permille(500));
        let delay = if random.chance(400) { between(random, 0, 20_000) } else { 0 };
        let late = between(random, 1_000, 60_000);
        Weather {
            cut: false,
            loss_permille,
            twice_permille,
            delay: Duration::from_micros(delay),
            late_permille,
            late: Duration::from_micros(late),
        }
    }
}

impl Kind {
    /// Whom it hits, if it is one replica.
    pub(crate) fn target(&self) -> Option<Target> {
        match self {
            Self::Kill(target)
            | Self::Stop(target)
            | Self::Isolate(target)
            | Self::Deafen(target)
            | Self::Mute(target)
            | Self::Cut(target, _) => Some(*target),
            Self::KillAll | Self::Weather(_) => None,
        }
    }

    /// Whether it lets nothing through from one replica to another, when it hits this one.
    pub(crate) fn cuts(&self, hit: usize, from: usize, to: usize) -> bool {
        match self {
            Self::Isolate(_) => from == hit || to == hit,
            Self::Deafen(_) => to == hit,
            Self::Mute(_) => from == hit,
            // There is no way to itself: then nothing gets from it to anyone.
            Self::Cut(_, other) => from == hit && (to == *other || *other == hit),
            Self::Kill(_) | Self::KillAll | Self::Stop(_) | Self::Weather(_) => false,
        }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Leader => write!(f, "leader"),
            Self::Replica(replica) => write!(f, "replica {}", replica + 1),
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Kill(target) => write!(f, "kill {target}"),
            Self::KillAll => write!(f, "kill all"),
            Self::Stop(target) => write!(f, "stop {target}"),
            Self::Isolate(target) => write!(f, "isolate {target}"),
            Self::Deafen(target) => write!(f, "deafen {target}"),
            Self::Mute(target) => write!(f, "mute {target}"),
            Self::Cut(target, other) => write!(f, "cut {target} from replica {}", other + 1),
            Self::Weather(weather) => write!(
                f,
                "weather: {} permille lost, {} twice, {} late by up to {:?}, all by {:?}",
                weather.loss_permille,
                weather.twice_permille,
                weather.late_permille,
                weather.late,
                weather.delay
            ),
        }
    }
}
