//! Runs in which only a quorum is repaired, while the others stay broken for good: the quorum must
//! find a leader, keep it, go on choosing, and agree.

use std::format;
use std::string::String;
use std::vec::Vec;

use crate::membership::ReplicaId;
use crate::slot::Slot;

use super::driver::Driver;
use super::life::REST_ROUNDS;
use super::network::{Link, Links};
use super::oracle::{Broken, broken};
use super::swarm::Parts;
use super::weather::Weather;

/// How many election timeouts the quorum is watched.
const WATCH_TIMEOUTS: u64 = 12;
/// How often a command is proposed meanwhile, somewhere.
const PROPOSE_EVERY_MICROS: u64 = 10_000;

/// How often a queue that is worked off may put off the end.
const REST_TRIES: u64 = 1000;

/// In which way a replica stays broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wreck {
    Down,
    CutOff,
    Mute,
    Deaf,
    Flapping,
    Frozen,
}

const WRECKS: [Wreck; 6] =
    [Wreck::Down, Wreck::CutOff, Wreck::Mute, Wreck::Deaf, Wreck::Flapping, Wreck::Frozen];

/// Repairs a random quorum, leaves the rest broken, and demands progress.
pub(super) fn live_in_core(driver: &mut Driver, parts: &Parts) -> Result<(), Broken> {
    if !parts.settings.formed {
        driver.repair()?;
        driver.let_it_form()?;
    }
    let core = choose(driver);
    let what = wreck_the_others(driver, &core, parts)?;
    driver.live_in_part(WATCH_TIMEOUTS, &what)?;
    driver.weather.propose_every_micros = None;
    come_to_rest(driver)?;
    conv_core_equal(driver, &core, &what)?;
    driver.prove_neighbour()
}

/// Lets time pass until nothing more is chosen. Somebody may still work off what was queued, and
/// be a replica outside the core that leads while its links work; the queue is finite.
fn come_to_rest(driver: &mut Driver) -> Result<(), Broken> {
    let timeout = driver.cluster.election_timeout_micros();
    for _ in 0..REST_TRIES {
        let before = driver.cluster.oracle.slots_chosen();
        driver.run_for(REST_ROUNDS * timeout)?;
        if driver.cluster.oracle.slots_chosen() == before {
            return Ok(());
        }
    }
    broken("LIVE", format!("no rest in {REST_TRIES} times {REST_ROUNDS} election timeouts"))
}

/// A random quorum, and perhaps some more. A disk that rots has used up one failure of those that a
/// cluster can bear, so the quorum is one without it.
fn choose(driver: &mut Driver) -> Vec<usize> {
    let n = driver.starts.len();
    let mut order: Vec<usize> = (0..n).collect();
    driver.shuffle(&mut order);
    // Whose directory was refused for good is in none.
    order.retain(|at| driver.cluster.hosts[*at].is_sound());
    let rotten = driver.cluster.rotten;
    order.sort_by_key(|at| Some(*at) == rotten);
    let oracle = &driver.cluster.oracle;
    let goes_on = |size: &usize| oracle.can_go_on(order[..*size].iter().copied());
    let (quorum, sound) = ((0..=order.len()).find(goes_on).unwrap_or(order.len()), order.len());
    let size = quorum + driver.below((sound + 1).saturating_sub(quorum) as u64) as usize;
    order.truncate(size);
    order.sort_unstable();
    order
}

/// The core is up and in fair weather; each of the others is broken in some way.
fn wreck_the_others(driver: &mut Driver, core: &[usize], parts: &Parts) -> Result<String, Broken> {
    let n = driver.starts.len();
    let mut single = Vec::new();
    let pairs = (0..n).flat_map(|from| (0..n).map(move |to| (from, to)));
    for (from, to) in pairs.filter(|(from, to)| from != to) {
        if !core.contains(&from) || !core.contains(&to) {
            let faults = driver.links[from * n + to];
            let name = |at: usize| ReplicaId(at as u32 + 1);
            single.push(Link { from: name(from), to: name(to), faults });
        }
    }
    let links = Links { single, ..Links::NONE };
    let propose_every_micros = Some(PROPOSE_EVERY_MICROS);
    driver.set_weather(Weather { links, propose_every_micros, ..Weather::FAIR });
    driver.repair_disks();
    driver.cluster.cuts.heal();
    core.iter().try_for_each(|at| driver.repair_one(*at))?;
    let others: Vec<usize> = (0..n).filter(|at| !core.contains(at)).collect();
    let wrecks: Vec<(usize, Wreck)> =
        others.iter().map(|at| (*at, WRECKS[driver.below(WRECKS.len() as u64) as usize])).collect();
    // What flaps first: whatever is cut by then flaps.
    for (at, _) in wrecks.iter().filter(|(_, wreck)| *wreck == Wreck::Flapping) {
        driver.cluster.cuts.split(1 << at);
    }
    driver.flap_for_good();
    for (at, wreck) in &wrecks {
        if *wreck != Wreck::Down {
            driver.start(*at)?;
        }
        let cuts = &mut driver.cluster.cuts;
        match wreck {
            Wreck::Down => driver.take_down(*at),
            Wreck::CutOff => cuts.split(1 << at),
            Wreck::Mute => cuts.mute(*at),
            Wreck::Deaf => cuts.deafen(*at),
            Wreck::Frozen if driver.cluster.is_up(*at) => driver.freeze(*at),
            Wreck::Flapping | Wreck::Frozen => {}
        }
    }
    let named = |(at, wreck): &(usize, Wreck)| format!("{} {wreck:?}", at + 1);
    let wrecks: Vec<String> = wrecks.iter().map(named).collect();
    Ok(format!("of {} replicas, seed {}: {}", n, parts.settings.seed, wrecks.join(", ")))
}

/// CONV: the machines of the core have applied the same, and everything that was reported chosen.
fn conv_core_equal(driver: &Driver, core: &[usize], what: &str) -> Result<(), Broken> {
    let hosts = &driver.cluster.hosts;
    // A start of the last of them may have been refused: the disk that rots was not needed.
    let core: Vec<usize> = core.iter().copied().filter(|at| hosts[*at].is_sound()).collect();
    let first = &hosts[core[0]].machine;
    for at in &core {
        if hosts[*at].machine != *first {
            let (most, least) = (first.len(), hosts[*at].machine.len());
            return broken(
                "CONV",
                format!("{what}: {} has applied {least} slots, {} {most}", at + 1, core[0] + 1),
            );
        }
    }
    driver.cluster.oracle.dur_acknowledged_below(Slot(first.len() as u64))
}
