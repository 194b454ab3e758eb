//! Which settings of a run make no sense.

use std::string::String;
use std::vec::Vec;

use thiserror::Error;

use crate::config::ConfigError;
use crate::membership::{MEMBERS_MAX, ReplicaId};

use super::disk_faults::DiskFaultsError;
use super::draw::PROFILES;
use super::host::Settings;
use super::network::{LinkFaults, Links, Tail};
use super::partial::Shape;
use super::swarm::{Mode, Parts};
use super::weather::Weather;

/// No time of a run is longer than an hour, in microseconds.
const HOUR_MICROS: u64 = 3_600_000_000;
/// A run has no more clients.
const CLIENTS_MAX: u64 = 10_000;
/// The shortest frames that the wire can use, in bytes.
const FRAME_BYTES_MIN: u64 = 392;

/// Why the settings of a run make no sense.
///
/// ```
/// use synod::sim::{Senseless, Swarm};
///
/// let profile = Swarm::profile("earthquakes", 1);
/// assert!(matches!(profile, Err(Senseless::Profile { .. })));
/// let none = Swarm::fault_free(1).with(|parts| parts.settings.replicas = 0);
/// assert!(matches!(none, Err(Senseless::OutOfRange { .. })));
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum Senseless {
    /// A number is outside its range.
    #[error("{part} is {value}, but it must lie in {least}..={most}")]
    OutOfRange {
        /// Which part of the settings.
        part: &'static str,
        /// Its value.
        value: u64,
        /// The lowest value allowed.
        least: u64,
        /// The highest value allowed.
        most: u64,
    },
    /// The replicas' own settings make no sense.
    #[error("the settings of the replicas: {0}")]
    Config(#[from] ConfigError),
    /// A link has odds of its own that no cluster of this size has.
    #[error("there is no link from {from} to {to} among {replicas} replicas")]
    Link {
        /// From whom.
        from: ReplicaId,
        /// To whom.
        to: ReplicaId,
        /// How many replicas there are.
        replicas: usize,
    },
    /// The faults of the disks make no sense.
    #[error("the faults of the disks: {0}")]
    Disks(#[from] DiskFaultsError),
    /// A directory may be lost for good where every replica is needed.
    #[error("with links of the shape {shape:?} no directory may be lost: wipes, roll_backs")]
    Lost {
        /// The shape.
        shape: Shape,
    },
    /// Frames of another cluster go astray, but messages do not travel as frames.
    #[error("frames of another cluster arrive only where frame_bytes_max is set")]
    Unframed,
    /// Links of this shape leave no replica of a cluster of this size a quorum.
    #[error("with links of the shape {shape:?}, {replicas} replicas cannot make progress")]
    Shape {
        /// The shape.
        shape: Shape,
        /// How many replicas there are.
        replicas: usize,
    },
    /// There is no profile of that name.
    #[error("there is no profile {name:?}; there are: {}", PROFILES.join(", "))]
    Profile {
        /// The name.
        name: String,
    },
}

fn within(part: &'static str, value: u64, least: u64, most: u64) -> Result<(), Senseless> {
    if (least..=most).contains(&value) {
        return Ok(());
    }
    Err(Senseless::OutOfRange { part, value, least, most })
}

/// Checks everything.
pub(super) fn check(parts: &Parts) -> Result<(), Senseless> {
    check_settings(&parts.settings)?;
    check_weather(&parts.weather)?;
    parts.weather.disks.clone().checked(parts.settings.disk)?;
    check_links(&parts.weather.links, parts.settings.replicas)?;
    within("chaos_micros", parts.chaos_micros, 1, HOUR_MICROS)?;
    within("drift_millionths", parts.drift_millionths, 0, 999_999)?;
    within("clients", parts.clients.count as u64, 1, CLIENTS_MAX)?;
    within("outstanding", parts.clients.outstanding as u64, 1, u64::MAX)?;
    within("roam_permille", u64::from(parts.clients.roam_permille), 0, 1000)?;
    within("patience_micros", parts.clients.patience_micros.0, 0, HOUR_MICROS)?;
    within("patience_micros", parts.clients.patience_micros.1, 0, HOUR_MICROS)?;
    if parts.weather.foreign_every_micros.is_some() && parts.settings.frame_bytes_max.is_none() {
        return Err(Senseless::Unframed);
    }
    match parts.mode {
        Mode::Partial { shape, .. } if !shape.leaves_a_quorum(parts.settings.replicas) => {
            Err(Senseless::Shape { shape, replicas: parts.settings.replicas })
        }
        Mode::Partial { shape, .. } if parts.weather.disks.lose_directories() => {
            Err(Senseless::Lost { shape })
        }
        _ => Ok(()),
    }
}

fn check_settings(settings: &Settings) -> Result<(), Senseless> {
    within("replicas", settings.replicas as u64, 1, MEMBERS_MAX as u64)?;
    let frame_bytes_max = settings.frame_bytes_max.map_or(FRAME_BYTES_MIN, |most| most as u64);
    within("frame_bytes_max", frame_bytes_max, FRAME_BYTES_MIN, u64::MAX)?;
    let mut config = settings.config.clone();
    config.members = (1..=settings.replicas as u32).map(ReplicaId).collect::<Vec<_>>();
    Ok(config.check(ReplicaId(1))?)
}

fn check_weather(weather: &Weather) -> Result<(), Senseless> {
    let periods = [
        ("crash_every_micros", weather.crash_every_micros),
        ("crash_all_every_micros", weather.crash_all_every_micros),
        ("cut_every_micros", weather.cut_every_micros),
        ("stranger_every_micros", weather.stranger_every_micros),
        ("foreign_every_micros", weather.foreign_every_micros),
        ("jump_every_micros", weather.jump_every_micros),
        ("freeze_every_micros", weather.freeze_every_micros),
        ("transfer_every_micros", weather.transfer_every_micros),
        ("leave_every_micros", weather.leave_every_micros),
        ("propose_every_micros", weather.propose_every_micros),
    ];
    for (part, every) in periods {
        within(part, every.unwrap_or(1), 1, HOUR_MICROS)?;
    }
    // What lasts no time at all does not happen.
    let lasting = [
        ("cut_micros", weather.cut_every_micros, weather.cut_micros),
        ("jump_micros", weather.jump_every_micros, weather.jump_micros),
        ("freeze_micros", weather.freeze_every_micros, weather.freeze_micros),
    ];
    for (part, every, lasts) in lasting {
        within(part, lasts, u64::from(every.is_some()), HOUR_MICROS)?;
    }
    let times = [
        ("sync_micros", weather.sync_micros.0),
        ("sync_micros", weather.sync_micros.1),
        ("apply_micros", weather.apply_micros.0),
        ("apply_micros", weather.apply_micros.1),
        ("down_micros", weather.down_micros),
    ];
    for (part, micros) in times {
        within(part, micros, 0, HOUR_MICROS)?;
    }
    let chances = [
        ("rot_permille", weather.rot_permille),
        ("flap_permille", weather.flap_permille),
        ("swizzle_permille", weather.swizzle_permille),
        ("hunt_permille", weather.hunt_permille),
        ("jump_back_permille", weather.jump_back_permille),
    ];
    for (part, permille) in chances {
        within(part, u64::from(permille), 0, 1000)?;
    }
    within("command_bytes", weather.command_bytes, 0, 1 << 20)
}

fn check_links(links: &Links, replicas: usize) -> Result<(), Senseless> {
    check_link(&links.usual)?;
    for link in &links.single {
        let known = |replica: ReplicaId| (1..=replicas).contains(&(replica.0 as usize));
        if !known(link.from) || !known(link.to) || link.from == link.to {
            return Err(Senseless::Link { from: link.from, to: link.to, replicas });
        }
        check_link(&link.faults)?;
    }
    Ok(())
}

fn check_link(link: &LinkFaults) -> Result<(), Senseless> {
    let chances = [
        ("loss_permille", link.loss_permille),
        ("duplicate_permille", link.duplicate_permille),
        ("damage_permille", link.damage_permille),
        ("replay_permille", link.replay_permille),
        ("straggler_permille", link.straggler_permille),
    ];
    for (part, permille) in chances {
        within(part, u64::from(permille), 0, 1000)?;
    }
    within("delay_micros", link.delay_micros, 0, HOUR_MICROS)?;
    within("jitter_micros", link.jitter_micros, 0, HOUR_MICROS)?;
    match link.tail {
        Tail::None => Ok(()),
        Tail::Halving { micros } | Tail::Doubling { micros } => {
            within("tail", micros, 1, HOUR_MICROS)
        }
    }
}
