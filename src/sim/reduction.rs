//! What a swarm may go without: how a failing run is made smaller, and how a person says so.

use core::fmt;
use core::str::FromStr;
use std::collections::BTreeSet;
use std::format;
use std::string::String;
use std::vec::Vec;

use thiserror::Error;

use crate::membership::ReplicaId;
use crate::quorum::QuorumSystem;

use super::disk_faults::Strike;
use super::host::DiskKind;
use super::network::{LinkFaults, Tail};
use super::senseless::Senseless;
use super::swarm::{Mode, Parts, Swarm};
use super::weather::Weather;

/// Something that makes a run harder, and that it can go without.
///
/// ```
/// use synod::sim::{Hardship, Swarm};
///
/// let swarm = Swarm::from_seed(1).with(|parts| Hardship::Crashes.remove(parts))?;
/// assert!(!Hardship::Crashes.is_in(&swarm));
/// # Ok::<(), synod::sim::Senseless>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Hardship {
    /// Replicas crash, one at a time.
    Crashes,
    /// All replicas crash at once.
    PowerCuts,
    /// Disks rot.
    Rot,
    /// Calls of disks fail.
    FailingDisks,
    /// Disks are full.
    FullDisks,
    /// Disks stand still.
    Stalls,
    /// Other directories lie where a host's own should.
    Misfits,
    /// Directories are wiped, or older copies are put back.
    LostDirectories,
    /// Links are cut.
    Cuts,
    /// Links that are cut come and go.
    Flaps,
    /// Links are cut and mended one by one.
    Swizzles,
    /// Leaders are cut off, one after the other.
    Hunts,
    /// Replicas stand still, and go on.
    Freezes,
    /// Clocks jump.
    Jumps,
    /// Clocks run faster or slower than true.
    Drift,
    /// Messages are lost.
    Loss,
    /// Messages arrive twice.
    Duplicates,
    /// Frames are damaged.
    Damage,
    /// Messages of the past arrive again.
    Replays,
    /// Some messages take far longer than the others.
    Stragglers,
    /// Messages overtake one another.
    Jitter,
    /// Messages take longer than on a quick network.
    Delay,
    /// Links differ from one another.
    OddLinks,
    /// Messages arrive from those who may not speak as members.
    Strangers,
    /// Frames of a second cluster go astray.
    Neighbours,
    /// Something stays broken after the chaos, while progress is demanded.
    Wrecks,
    /// Syncs take longer than on a quick disk.
    SlowDisks,
    /// State machines take their time.
    SlowMachines,
    /// Messages travel as frames of the wire.
    Frames,
    /// The records are kept by the real log.
    Wal,
    /// Leaders are asked to hand over.
    Transfers,
    /// Replicas are stopped cleanly.
    CleanStops,
    /// Some replicas should rather lead than others.
    Priorities,
    /// The cluster is not formed yet when the run begins.
    Forming,
}

impl Hardship {
    /// Every one; what matters most to a reader of a run comes first.
    pub const ALL: [Self; 34] = [
        Self::Crashes,
        Self::PowerCuts,
        Self::Rot,
        Self::FailingDisks,
        Self::FullDisks,
        Self::Stalls,
        Self::Misfits,
        Self::LostDirectories,
        Self::Cuts,
        Self::Flaps,
        Self::Swizzles,
        Self::Hunts,
        Self::Freezes,
        Self::Jumps,
        Self::Drift,
        Self::Loss,
        Self::Duplicates,
        Self::Damage,
        Self::Replays,
        Self::Stragglers,
        Self::Jitter,
        Self::Delay,
        Self::OddLinks,
        Self::Strangers,
        Self::Neighbours,
        Self::Wrecks,
        Self::SlowDisks,
        Self::SlowMachines,
        Self::Frames,
        Self::Wal,
        Self::Transfers,
        Self::CleanStops,
        Self::Priorities,
        Self::Forming,
    ];

    /// Its name, as options spell it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Crashes => "crashes",
            Self::PowerCuts => "power-cuts",
            Self::Rot => "rot",
            Self::FailingDisks => "failing-disks",
            Self::FullDisks => "full-disks",
            Self::Stalls => "stalls",
            Self::Misfits => "misfits",
            Self::LostDirectories => "lost-directories",
            Self::Cuts => "cuts",
            Self::Flaps => "flaps",
            Self::Swizzles => "swizzles",
            Self::Hunts => "hunts",
            Self::Freezes => "freezes",
            Self::Jumps => "jumps",
            Self::Drift => "drift",
            Self::Loss => "loss",
            Self::Duplicates => "duplicates",
            Self::Damage => "damage",
            Self::Replays => "replays",
            Self::Stragglers => "stragglers",
            Self::Jitter => "jitter",
            Self::Delay => "delay",
            Self::OddLinks => "odd-links",
            Self::Strangers => "strangers",
            Self::Neighbours => "neighbours",
            Self::Wrecks => "wrecks",
            Self::SlowDisks => "slow-disks",
            Self::SlowMachines => "slow-machines",
            Self::Frames => "frames",
            Self::Wal => "wal",
            Self::Transfers => "transfers",
            Self::CleanStops => "clean-stops",
            Self::Priorities => "priorities",
            Self::Forming => "forming",
        }
    }

    /// Takes it out of a run.
    pub fn remove(self, parts: &mut Parts) {
        let (settings, weather) = (&mut parts.settings, &mut parts.weather);
        match self {
            Self::Crashes => weather.crash_every_micros = None,
            Self::PowerCuts => weather.crash_all_every_micros = None,
            Self::Rot => weather.rot_permille = 0,
            Self::FailingDisks => {
                weather.disks.spare(&[Strike::SyncFails, Strike::CallFails]);
            }
            Self::FullDisks => weather.disks.spare(&[Strike::Full]),
            Self::Stalls => weather.disks.spare(&[Strike::Stall]),
            Self::Misfits => weather.disks.spare(&[Strike::Misfit]),
            Self::LostDirectories => weather.disks.spare(&[Strike::Wipe, Strike::RollBack]),
            Self::Cuts => weather.cut_every_micros = None,
            Self::Flaps => weather.flap_permille = 0,
            Self::Swizzles => weather.swizzle_permille = 0,
            Self::Hunts => weather.hunt_permille = 0,
            Self::Freezes => weather.freeze_every_micros = None,
            Self::Jumps => weather.jump_every_micros = None,
            Self::Drift => parts.drift_millionths = 0,
            Self::OddLinks => weather.links.single.clear(),
            Self::Strangers => weather.stranger_every_micros = None,
            Self::Neighbours => weather.foreign_every_micros = None,
            Self::Wrecks => {
                if parts.mode != Mode::SafetyOnly {
                    parts.mode = Mode::HealAll;
                }
            }
            Self::SlowDisks => {
                weather.sync_micros = weather.sync_micros.min(Weather::FAIR.sync_micros);
                weather.disks.slow_times = 1;
            }
            Self::SlowMachines => settings.slow_machines = false,
            Self::Frames => {
                settings.frame_bytes_max = None;
                // Nothing else reaches another cluster.
                weather.foreign_every_micros = None;
            }
            Self::Wal => {
                settings.disk = DiskKind::Journal;
                weather.disks.spare(&Strike::OF_WAL);
            }
            Self::Transfers => weather.transfer_every_micros = None,
            Self::CleanStops => weather.leave_every_micros = None,
            Self::Priorities => settings.priorities.clear(),
            Self::Forming => settings.formed = true,
            Self::Loss
            | Self::Duplicates
            | Self::Damage
            | Self::Replays
            | Self::Stragglers
            | Self::Jitter
            | Self::Delay => each_link(parts, |link| self.remove_from_link(link)),
        }
    }

    fn remove_from_link(self, link: &mut LinkFaults) {
        match self {
            Self::Loss => link.loss_permille = 0,
            Self::Duplicates => link.duplicate_permille = 0,
            Self::Damage => link.damage_permille = 0,
            Self::Replays => link.replay_permille = 0,
            Self::Stragglers => (link.straggler_permille, link.tail) = (0, Tail::None),
            Self::Jitter => link.jitter_micros = 0,
            Self::Delay => {
                link.delay_micros = link.delay_micros.min(LinkFaults::NONE.delay_micros);
            }
            _ => {}
        }
    }

    /// Whether the swarm has it.
    #[must_use]
    pub fn is_in(self, swarm: &Swarm) -> bool {
        let mut without = swarm.parts().clone();
        self.remove(&mut without);
        without != *swarm.parts()
    }
}

fn each_link(parts: &mut Parts, change: impl Fn(&mut LinkFaults)) {
    let links = &mut parts.weather.links;
    change(&mut links.usual);
    links.single.iter_mut().for_each(|link| change(&mut link.faults));
}

impl fmt::Display for Hardship {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// There is no hardship of this name.
///
/// ```
/// use synod::sim::{Hardship, NoHardship};
///
/// assert_eq!("crashes".parse(), Ok(Hardship::Crashes));
/// let name = String::from("earthquakes");
/// assert_eq!("earthquakes".parse::<Hardship>(), Err(NoHardship { name }));
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("there is no {name:?} to go without; there are {}", names())]
pub struct NoHardship {
    /// The name.
    pub name: String,
}

fn names() -> String {
    Hardship::ALL.map(Hardship::name).join(", ")
}

impl FromStr for Hardship {
    type Err = NoHardship;
    fn from_str(name: &str) -> Result<Self, NoHardship> {
        let found = Self::ALL.into_iter().find(|one| one.name() == name);
        found.ok_or_else(|| NoHardship { name: String::from(name) })
    }
}

/// How a swarm differs from the one that its seed stands for. Shown, it is the options of the
/// example `simulate` that make it so.
///
/// ```
/// use synod::sim::{Hardship, Reduction, Swarm};
///
/// let without = [Hardship::Loss].into();
/// let reduction = Reduction { without, replicas: Some(3), ..Reduction::default() };
/// assert_eq!(reduction.to_string(), "--without loss --replicas 3");
/// assert_eq!(reduction.of(&Swarm::fault_free(1))?.parts().settings.replicas, 3);
/// # Ok::<(), synod::sim::Senseless>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reduction {
    /// What it goes without.
    pub without: BTreeSet<Hardship>,
    /// How many replicas it has instead, 1 to 9.
    pub replicas: Option<usize>,
    /// How long the chaos lasts instead, in milliseconds.
    pub chaos_millis: Option<u64>,
    /// After how many commands no more are proposed in the chaos.
    pub commands: Option<u64>,
    /// What is left of every chance of a fault, in hundredths.
    pub odds_percent: u32,
    /// Another number gives another course of the same swarm; 0 is the one that the seed gives.
    pub luck: u64,
}

impl Default for Reduction {
    /// No difference.
    fn default() -> Self {
        Self {
            without: BTreeSet::new(),
            replicas: None,
            chaos_millis: None,
            commands: None,
            odds_percent: 100,
            luck: 0,
        }
    }
}

impl Reduction {
    /// The swarm with this difference.
    ///
    /// # Errors
    /// What makes no sense with it.
    pub fn of(&self, swarm: &Swarm) -> Result<Swarm, Senseless> {
        swarm.clone().with(|parts| self.change(parts))
    }

    fn change(&self, parts: &mut Parts) {
        self.without.iter().for_each(|hardship| hardship.remove(parts));
        if let Some(replicas) = self.replicas {
            parts.settings.replicas = replicas;
            // Those of other members mean nothing here.
            parts.settings.config.quorums = QuorumSystem::Majority;
            let known = |replica: ReplicaId| replica.0 as usize <= replicas;
            parts.weather.links.single.retain(|link| known(link.from) && known(link.to));
        }
        if let Some(millis) = self.chaos_millis {
            parts.chaos_micros = millis.saturating_mul(1000);
        }
        parts.commands_max = self.commands.or(parts.commands_max);
        let milder = |odds: &mut u32| *odds = odds.saturating_mul(self.odds_percent).div_ceil(100);
        each_link(parts, |link| {
            milder(&mut link.loss_permille);
            milder(&mut link.duplicate_permille);
            milder(&mut link.damage_permille);
            milder(&mut link.replay_permille);
            milder(&mut link.straggler_permille);
        });
        milder(&mut parts.weather.rot_permille);
        // Any fixed odd number: neighbouring seeds must not share their courses.
        let step = 0x9e37_79b9_7f4a_7c15_u64.wrapping_mul(self.luck);
        parts.settings.seed = parts.settings.seed.wrapping_add(step);
    }
}

impl fmt::Display for Reduction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut options = Vec::new();
        if !self.without.is_empty() {
            let names: Vec<&str> = self.without.iter().map(|hardship| hardship.name()).collect();
            options.push(format!("--without {}", names.join(",")));
        }
        let replicas = self.replicas.map(|replicas| replicas as u64);
        let numbers = [
            ("--replicas", replicas),
            ("--chaos-ms", self.chaos_millis),
            ("--commands", self.commands),
            ("--odds", Some(u64::from(self.odds_percent)).filter(|percent| *percent != 100)),
            ("--luck", Some(self.luck).filter(|luck| *luck != 0)),
        ];
        let numbers = numbers.into_iter().filter_map(|(name, number)| Some((name, number?)));
        options.extend(numbers.map(|(name, number)| format!("{name} {number}")));
        f.write_str(&options.join(" "))
    }
}

#[cfg(test)]
mod tests;
