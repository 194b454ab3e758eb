//! What a seed stands for.
//!
//! Each part of a run is drawn from a stream of its own, so that a new kind of fault leaves those
//! of old seeds as they were.

use core::time::Duration;
use std::string::String;
use std::vec::Vec;

use oorandom::Rand64;

use crate::config::Config;
use crate::membership::ReplicaId;
use crate::quorum::{QuorumSystem, Quorums};
use crate::slot::ALPHA;

use super::disk_faults::DiskFaults;
use super::host::{DiskKind, Settings};
use super::network::{Link, LinkFaults, Links, Tail};
use super::partial::Shape;
use super::senseless::Senseless;
use super::swarm::{Mode, Parts};
use super::weather::Weather;

/// The names of the profiles.
pub(super) const PROFILES: [&str; 7] =
    ["chaos", "network", "disks", "calm", "crowd", "partitions", "clocks"];

/// Sizes of clusters, five at least as often as three.
const SIZES: [usize; 12] = [5, 3, 5, 3, 5, 7, 4, 2, 1, 5, 6, 9];

/// Numbers for one part of what a seed stands for.
struct Draw(Rand64);

impl Draw {
    fn new(seed: u64, part: &str) -> Self {
        let part = part.bytes().fold(0x5eed, |sum, byte| sum * 31 + u128::from(byte));
        Self(Rand64::new(u128::from(seed) << 64 | part))
    }

    fn below(&mut self, below: u64) -> u64 {
        self.0.rand_range(0..below)
    }

    /// In one of so many cases.
    fn one_in(&mut self, cases: u64) -> bool {
        self.below(cases) == 0
    }

    fn one_of<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[self.below(choices.len() as u64) as usize]
    }

    /// Up to `most` in half of the cases, 0 in the others.
    fn up_to(&mut self, most: u64) -> u32 {
        let amount = 1 + self.below(most) as u32;
        if self.one_in(2) { amount } else { 0 }
    }

    /// From `least` on, up to `more` more, in one of so many cases.
    fn every(&mut self, cases: u64, least: u64, more: u64) -> Option<u64> {
        let every = least + self.below(more);
        self.one_in(cases).then_some(every)
    }
}

/// The run of a profile.
pub(super) fn profile(name: &str, seed: u64) -> Result<Parts, Senseless> {
    Ok(match name {
        "chaos" => chaos(seed),
        "network" => network(seed),
        "disks" => disks(seed),
        "calm" => calm(seed),
        "crowd" => {
            let mut parts = base(seed);
            crowd(&mut parts);
            parts
        }
        "partitions" => partitions(seed),
        "clocks" => clocks(seed),
        _ => return Err(Senseless::Profile { name: String::from(name) }),
    })
}

/// Every kind of fault on or off, by the seed.
pub(super) fn chaos(seed: u64) -> Parts {
    let mut parts = base(seed);
    draw_links(&mut parts, 2);
    draw_strangers(&mut parts, 3);
    draw_crashes(&mut parts, 2);
    draw_disks(&mut parts, 2);
    draw_cuts(&mut parts, 2);
    draw_clocks(&mut parts, 3);
    draw_hand_overs(&mut parts, 4);
    if Draw::new(seed, "crowd").one_in(16) {
        crowd(&mut parts);
    }
    draw_mode(&mut parts, true);
    draw_quorums(&mut parts);
    parts
}

/// Nothing goes wrong.
pub(super) fn calm(seed: u64) -> Parts {
    let mut parts = base(seed);
    parts.settings.slow_machines = false;
    parts.weather.sync_micros = Weather::FAIR.sync_micros;
    parts
}

/// Nothing but the network, and who speaks on it, is at fault.
fn network(seed: u64) -> Parts {
    let mut parts = base(seed);
    let bytes = Draw::new(seed, "frames").one_of(&[400, 1200]);
    parts.settings.frame_bytes_max = Some(bytes);
    draw_links(&mut parts, 1);
    draw_strangers(&mut parts, 1);
    draw_quorums(&mut parts);
    parts
}

/// Nothing but power and disks is at fault.
fn disks(seed: u64) -> Parts {
    let mut parts = base(seed);
    draw_crashes(&mut parts, 1);
    draw_disks(&mut parts, 1);
    draw_mode(&mut parts, false);
    draw_quorums(&mut parts);
    parts
}

/// Nothing but cut links is at fault; some of them stay.
fn partitions(seed: u64) -> Parts {
    let mut parts = base(seed);
    draw_cuts(&mut parts, 1);
    let mut draw = Draw::new(seed, "shape");
    let shape = draw.one_of(&Shape::ALL);
    parts.mode = match draw.below(3) {
        0 => Mode::HealAll,
        1 => Mode::HealCore,
        _ => Mode::Partial { shape, odd: draw.below(9) as usize },
    };
    parts.settings.replicas = draw.one_of(&[5, 3, 4, 5]);
    draw_hand_overs(&mut parts, 2);
    draw_quorums(&mut parts);
    parts
}

/// Nothing but clocks, and replicas that stand still, is at fault.
fn clocks(seed: u64) -> Parts {
    let mut parts = base(seed);
    draw_clocks(&mut parts, 1);
    draw_mode(&mut parts, false);
    draw_quorums(&mut parts);
    parts
}

/// A cluster with some load, and nothing that goes wrong.
fn base(seed: u64) -> Parts {
    let mut draw = Draw::new(seed, "cluster");
    let mut config = Config::new([]);
    config.pipeline_slots = draw.one_of(&[1, 2, 4, 16, 64]);
    config.partial_slots = Draw::new(seed, "partial").one_of(&[1, 2, ALPHA, ALPHA]);
    config.batch_bytes = draw.one_of(&[1, 100, 1000, 8 << 10]);
    config.apply_slots = draw.one_of(&[1, 4, 32, 256]);
    let patience = Draw::new(seed, "patience").one_of(&[0, 50, 300, 1000]);
    config.patience = Duration::from_millis(patience);
    let settings = Settings {
        replicas: draw.one_of(&SIZES),
        config,
        priorities: Vec::new(),
        formed: !draw.one_in(4),
        slow_machines: draw.one_in(2),
        disk: if draw.one_in(3) { DiskKind::Wal } else { DiskKind::Journal },
        frame_bytes_max: draw.one_of(&[None, Some(400), Some(1200), None]),
        seed,
    };
    let weather = Weather {
        sync_micros: draw.one_of(&[(100, 50), (500, 2000), (5000, 20_000)]),
        apply_micros: draw.one_of(&[(1, 1), (500, 1000), (20_000, 60_000)]),
        propose_every_micros: Some(1000 + draw.below(14_000)),
        command_bytes: draw.one_of(&[16, 100, 2000]),
        ..Weather::FAIR
    };
    Parts { settings, weather, ..Parts::calm(seed) }
}

fn draw_link(draw: &mut Draw) -> LinkFaults {
    LinkFaults {
        loss_permille: draw.up_to(300),
        duplicate_permille: draw.up_to(300),
        damage_permille: if draw.one_in(2) { 20 } else { 0 },
        replay_permille: if draw.one_in(2) { 50 } else { 0 },
        delay_micros: draw.one_of(&[50, 200, 2000, 10_000]),
        jitter_micros: draw.one_of(&[0, 100, 3000, 30_000]),
        tail: match draw.below(6) {
            0 => Tail::Halving { micros: 3000 },
            1 => Tail::Doubling { micros: 500 },
            _ => Tail::None,
        },
        straggler_permille: draw.up_to(50),
    }
}

/// All links alike, each one different, or one of them terrible.
fn draw_links(parts: &mut Parts, cases: u64) {
    let mut draw = Draw::new(parts.settings.seed, "links");
    if !draw.one_in(cases) {
        return;
    }
    let ids = 1..=parts.settings.replicas as u32;
    let pairs = ids.clone().flat_map(|from| ids.clone().map(move |to| (from, to)));
    let pairs: Vec<(u32, u32)> = pairs.filter(|(from, to)| from != to).collect();
    let link = |(from, to), faults| Link { from: ReplicaId(from), to: ReplicaId(to), faults };
    let mut links = Links::all(draw_link(&mut draw));
    match draw.below(4) {
        0 => links.single.extend(pairs.into_iter().map(|pair| link(pair, draw_link(&mut draw)))),
        1 if !pairs.is_empty() => {
            let terrible = LinkFaults {
                loss_permille: 500 + draw.below(500) as u32,
                jitter_micros: 100_000,
                tail: Tail::Doubling { micros: 5000 },
                ..draw_link(&mut draw)
            };
            links.single.push(link(draw.one_of(&pairs), terrible));
        }
        _ => {}
    }
    parts.weather.links = links;
}

fn draw_strangers(parts: &mut Parts, cases: u64) {
    let mut draw = Draw::new(parts.settings.seed, "strangers");
    parts.weather.stranger_every_micros = draw.every(cases, 2000, 50_000);
    let foreign = draw.every(cases, 2000, 50_000);
    parts.weather.foreign_every_micros =
        foreign.filter(|_| parts.settings.frame_bytes_max.is_some());
}

fn draw_crashes(parts: &mut Parts, cases: u64) {
    let mut draw = Draw::new(parts.settings.seed, "crashes");
    let weather = &mut parts.weather;
    weather.crash_every_micros = draw.every(cases, 20_000, 600_000);
    weather.crash_all_every_micros = draw.every(4, 300_000, 1_500_000);
    weather.down_micros = draw.one_of(&[1000, 50_000, 500_000]);
    weather.rot_permille = if draw.one_in(3) { 500 } else { 0 };
}

fn draw_disks(parts: &mut Parts, cases: u64) {
    let mut draw = Draw::new(parts.settings.seed, "disks");
    if draw.one_in(cases) {
        parts.weather.disks = DiskFaults::from_random(parts.settings.disk, |n| draw.below(n));
    }
}

fn draw_cuts(parts: &mut Parts, cases: u64) {
    let mut draw = Draw::new(parts.settings.seed, "cuts");
    let weather = &mut parts.weather;
    weather.cut_every_micros = draw.every(cases, 50_000, 500_000);
    weather.cut_micros = draw.one_of(&[20_000, 200_000, 1_000_000]);
    weather.flap_permille = draw.one_of(&[0, 200, 1000]);
    weather.swizzle_permille = draw.one_of(&[0, 200, 1000]);
    let seed = parts.settings.seed;
    weather.hunt_permille = Draw::new(seed, "hunts").one_of(&[0, 0, 100, 500]);
}

/// Quorums of every kind, for whoever must make do with them. Where links stay broken, the shapes
/// are drawn for majorities.
fn draw_quorums(parts: &mut Parts) {
    let mut draw = Draw::new(parts.settings.seed, "quorums");
    let n = parts.settings.replicas as u32;
    if !draw.one_in(4) || matches!(parts.mode, Mode::Partial { .. }) {
        return;
    }
    let kind = draw.below(3);
    let weights: Vec<(ReplicaId, u16)> =
        (1..=n).map(|id| (ReplicaId(id), draw.below(4) as u16)).collect();
    // The rest of the whole and one more: each of the one kind meets each of the other.
    let mut split = |whole: u64| {
        let accept = 1 + draw.below(whole.max(1));
        (whole + 1 - accept.min(whole), accept)
    };
    let system = match kind {
        0 => {
            let (prepare, accept) = split(n.into());
            QuorumSystem::Sizes { prepare: prepare as u8, accept: accept as u8 }
        }
        1 => {
            let (prepare, accept) = split(weights.iter().map(|(_, w)| u64::from(*w)).sum());
            QuorumSystem::Weighted { weights, prepare: prepare as u32, accept: accept as u32 }
        }
        _ => {
            let count = if n < 6 { 2 } else { 3 };
            let zone = |nth| (1..=n).filter(|id| id % count == nth).map(ReplicaId).collect();
            let zones: Vec<Vec<ReplicaId>> = (0..count).map(zone).collect();
            let (prepare, accept) = split(count.into());
            QuorumSystem::Zones { zones, prepare: prepare as u8, accept: accept as u8 }
        }
    };
    let names: Vec<ReplicaId> = (1..=n).map(ReplicaId).collect();
    // Members without any weight have no quorum, for instance.
    if Quorums::new(&system, &names).is_ok() {
        parts.settings.config.quorums = system;
    }
}

fn draw_clocks(parts: &mut Parts, cases: u64) {
    let mut draw = Draw::new(parts.settings.seed, "clocks");
    parts.drift_millionths = if draw.one_in(2) { 50_000 } else { 0 };
    let weather = &mut parts.weather;
    weather.jump_every_micros = draw.every(cases, 20_000, 500_000);
    weather.jump_micros = draw.one_of(&[1000, 100_000, 5_000_000]);
    weather.jump_back_permille = draw.one_of(&[0, 300, 1000]);
    weather.freeze_every_micros = draw.every(cases, 50_000, 500_000);
    weather.freeze_micros = draw.one_of(&[20_000, 200_000, 1_000_000]);
}

/// Operators hand over and stop replicas, and some replicas should rather lead than others.
fn draw_hand_overs(parts: &mut Parts, cases: u64) {
    let seed = parts.settings.seed;
    let mut draw = Draw::new(seed, "hand-overs");
    parts.weather.transfer_every_micros = draw.every(cases, 20_000, 500_000);
    parts.weather.leave_every_micros = draw.every(cases, 100_000, 1_000_000);
    if Draw::new(seed, "preferred").one_in(cases) {
        let mut draw = Draw::new(seed, "priorities");
        parts.settings.priorities = (0..9).map(|_| draw.below(4) as u8).collect();
    }
}

fn draw_mode(parts: &mut Parts, storms: bool) {
    let mut draw = Draw::new(parts.settings.seed, "mode");
    let (shape, odd) = (draw.one_of(&Shape::ALL), draw.below(9) as usize);
    parts.mode = match draw.below(16) {
        0..=3 => Mode::HealCore,
        // A slot that one disk has lost uses up a failure that these shapes need.
        4 if shape.leaves_a_quorum(parts.settings.replicas)
            && parts.weather.rot_permille == 0
            && !parts.weather.disks.lose_directories() =>
        {
            Mode::Partial { shape, odd }
        }
        5 if storms => {
            storm(parts, &mut draw);
            Mode::SafetyOnly
        }
        _ => Mode::HealAll,
    };
}

/// Faults at rates at which no cluster can be asked for progress.
fn storm(parts: &mut Parts, draw: &mut Draw) {
    let weather = &mut parts.weather;
    let usual = &mut weather.links.usual;
    usual.loss_permille = 300 + draw.below(400) as u32;
    usual.duplicate_permille = 500;
    usual.damage_permille = 200;
    usual.replay_permille = 300;
    usual.tail = Tail::Doubling { micros: 2000 };
    weather.crash_every_micros = Some(3000 + draw.below(50_000));
    weather.down_micros = 20_000;
    weather.cut_every_micros = Some(10_000 + draw.below(100_000));
    weather.jump_every_micros = Some(10_000 + draw.below(100_000));
    weather.freeze_every_micros = Some(10_000 + draw.below(100_000));
}

/// Fills the window: many slots open at once, with gaps, so that Promises need pages.
fn crowd(parts: &mut Parts) {
    let config = &mut parts.settings.config;
    (config.pipeline_slots, config.batch_bytes, config.apply_slots) = (ALPHA, 1, 64);
    let weather = &mut parts.weather;
    weather.links.single.clear();
    weather.disks = DiskFaults::NONE;
    weather.links.usual.loss_permille = 300;
    (weather.links.usual.delay_micros, weather.links.usual.jitter_micros) = (10_000, 20_000);
    weather.propose_every_micros = Some(150);
    weather.command_bytes = 16;
    weather.sync_micros = (500, 2000);
    weather.crash_every_micros = Some(300_000);
    weather.down_micros = weather.down_micros.max(1000);
    (parts.clients.count, parts.clients.outstanding) = (8, 1000);
    parts.settings.slow_machines = false;
    parts.chaos_micros = 1_000_000;
}
