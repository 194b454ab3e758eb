//! Runs in which the links stay broken, but some replica reaches a quorum in both directions: the
//! cluster must find a leader, keep it, and go on choosing.

use std::format;

use super::cluster::Cluster;
use super::driver::{Driver, Weather};
use super::oracle::{Broken, broken};
use super::swarm::{Swarm, begin};
use super::{Report, Violation, watch};

/// How many election timeouts a broken cluster has until it chooses again.
const SETTLE_TIMEOUTS: u64 = 20;
/// How many election timeouts it is then watched.
const WATCH_TIMEOUTS: u64 = 40;
/// How many elections may be won while it is watched.
const ELECTIONS_MAX: u64 = 2;

/// Which links stay, of those between some replicas.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// Only one replica reaches the others ("quorum loss": the leader is not that one).
    Hub,
    /// Each replica reaches its neighbours in a row only. Of three replicas.
    Chain,
    /// One replica is heard by nobody, but hears.
    Mute,
    /// One replica hears nobody, but is heard.
    Deaf,
    /// One replica is cut off from just one other.
    OneLink,
    /// As many replicas as possible are down.
    Minority,
}

impl Shape {
    /// Every shape.
    pub const ALL: [Self; 6] =
        [Self::Hub, Self::Chain, Self::Mute, Self::Deaf, Self::OneLink, Self::Minority];
}

/// Runs a swarm's chaos; then the links take a shape in which `odd` is the replica that is unlike
/// the others, and progress is demanded; then all is repaired.
///
/// # Errors
/// The first claim that does not hold, with the last lines of the trace.
pub fn simulate_partial(swarm: &Swarm, shape: Shape, odd: usize) -> Result<Report, Violation> {
    watch(
        |text| Driver::new(Cluster::new(&swarm.settings, text), swarm.settings.seed),
        |driver| run(driver, swarm, shape, odd),
    )
}

/// The swarm's chaos, then progress with broken links, then repair and proof of life.
pub(crate) fn run(
    driver: &mut Driver,
    swarm: &Swarm,
    shape: Shape,
    odd: usize,
) -> Result<(), Broken> {
    begin(driver, swarm)?;
    let odd = odd % driver.cluster.hosts.len();
    break_links(driver, shape, odd)?;
    live_in_part(driver, shape)?;
    driver.heal_and_prove_life()
}

/// Everybody is up and in fair weather, but the links have the shape.
fn break_links(driver: &mut Driver, shape: Shape, odd: usize) -> Result<(), Broken> {
    let n = driver.cluster.hosts.len();
    driver.set_weather(Weather::FAIR);
    driver.cluster.cuts.heal();
    (0..n).try_for_each(|at| driver.start(at))?;
    if !driver.cluster.is_formed() {
        // Forming takes everybody.
        driver.run_for(SETTLE_TIMEOUTS * driver.cluster.election_timeout_micros())?;
    }
    let cuts = &mut driver.cluster.cuts;
    match shape {
        Shape::Hub => cuts.only_hub(odd),
        Shape::Chain => cuts.chain(),
        Shape::Mute => (0..n).filter(|to| *to != odd).for_each(|to| cuts.cut(odd, to)),
        Shape::Deaf => (0..n).filter(|from| *from != odd).for_each(|from| cuts.cut(from, odd)),
        Shape::OneLink => {
            cuts.cut(odd, (odd + 1) % n);
            cuts.cut((odd + 1) % n, odd);
        }
        Shape::Minority => {
            for nth in 0..(n - 1) / 2 {
                driver.cluster.crash((odd + nth) % n, 1);
            }
        }
    }
    Ok(())
}

/// LIVE: within a bound something is chosen, and then something in every few timeouts; NOFLAP: the
/// leader hardly changes.
fn live_in_part(driver: &mut Driver, shape: Shape) -> Result<(), Broken> {
    driver.set_weather(Weather { propose_every_micros: Some(10_000), ..Weather::FAIR });
    let timeout = driver.cluster.election_timeout_micros();
    driver.run_for(SETTLE_TIMEOUTS * timeout)?;
    let (mut slots, led) = (driver.cluster.oracle.slots_chosen(), driver.cluster.leading);
    for _ in 0..WATCH_TIMEOUTS / 4 {
        driver.run_for(4 * timeout)?;
        let now = driver.cluster.oracle.slots_chosen();
        if now == slots {
            let summary = driver.cluster.summary();
            return broken("LIVE", format!("{shape:?}: nothing is chosen: {summary}"));
        }
        slots = now;
    }
    let elections = driver.cluster.leading - led;
    if elections > ELECTIONS_MAX {
        return broken(
            "NOFLAP",
            format!("{shape:?}: {elections} elections in {WATCH_TIMEOUTS} timeouts"),
        );
    }
    Ok(())
}
