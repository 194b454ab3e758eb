//! Crashes by enumeration: in scripted situations, a machine dies at every call of its disk, one
//! after the other, before the call has its effect and after; then it starts again, under the eyes
//! of the oracles, and the cluster must make progress.

use std::format;
use std::vec::Vec;

use crate::wal::{Fault, Kept};

use super::cluster::Cluster;
use super::driver::Driver;
use super::oracle::{Broken, broken};
use super::scenarios::Scenario;
use super::{Report, Violation, watch};

/// How a machine ends at a call of its disk.
///
/// ```
/// use synod::sim::{Scenario, crash_points};
///
/// // Each call of the disk is tried with each way to die, before its effect and after.
/// let points = crash_points(Scenario::Alone)?;
/// let first: Vec<_> = points.iter().filter(|point| point.role == 0 && point.call == 0).collect();
/// let ways: std::collections::BTreeSet<_> = first.iter().map(|point| point.death).collect();
/// assert_eq!(first.len(), 2 * ways.len());
/// # Ok::<(), synod::sim::Violation>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Death {
    /// Only the process dies: what it wrote is still seen, and not on the platter.
    Process,
    /// The power fails, and that much is kept of what was not synced.
    Power(Kept),
}

impl Death {
    /// Every way that is tried at each call.
    const ALL: [Self; 6] = [
        Self::Process,
        Self::Power(Kept::Nothing),
        Self::Power(Kept::Everything),
        Self::Power(Kept::Some { seed: 1 }),
        Self::Power(Kept::Some { seed: 2 }),
        Self::Power(Kept::Some { seed: 3 }),
    ];
}

/// A crash at a call of a disk.
///
/// ```
/// use synod::sim::{CrashPoint, Death, Scenario, play_crash_point};
///
/// let (scenario, death) = (Scenario::Restart, Death::Process);
/// let point = CrashPoint { scenario, role: 0, call: 0, effect: true, death, again: None };
/// assert!(play_crash_point(&point)?.slots > 0, "the cluster lives on");
/// # Ok::<(), synod::sim::Violation>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CrashPoint {
    /// The situation.
    pub scenario: Scenario,
    /// Whose machine dies: the place of its role among [`Scenario::roles`].
    pub role: usize,
    /// At which call of its disk, counted from 0, from the moment on that the scenario is about.
    pub call: u64,
    /// Whether the call still has its effect.
    pub effect: bool,
    /// How it dies.
    pub death: Death,
    /// At which call of the disk it dies again when it starts the next time, if it does.
    pub again: Option<u64>,
}

/// Every crash point of a scenario.
///
/// # Errors
/// If the scenario breaks a claim even without a crash.
pub fn crash_points(scenario: Scenario) -> Result<Vec<CrashPoint>, Violation> {
    let mut points = Vec::new();
    for role in 0..scenario.roles() {
        let calls = calls(scenario, role)?;
        for call in 0..calls {
            let ends = Death::ALL.into_iter().flat_map(|death| [(death, false), (death, true)]);
            points.extend(ends.map(|(death, effect)| CrashPoint {
                scenario,
                role,
                call,
                effect,
                death,
                again: None,
            }));
        }
        if scenario.dies_twice() {
            let once: Vec<CrashPoint> = points.iter().copied().filter(|p| p.role == role).collect();
            // A start after a start that died is about as long.
            for point in once.into_iter().filter(|point| !point.effect) {
                points.extend((0..calls).map(|call| CrashPoint { again: Some(call), ..point }));
            }
        }
    }
    Ok(points)
}

/// Plays a scenario with a crash, and proves that the cluster lives on.
///
/// # Errors
/// The first claim that does not hold, with the last lines of the trace.
pub fn play_crash_point(point: &CrashPoint) -> Result<Report, Violation> {
    watch(|text| driver(point.scenario, text), |driver| run(driver, point))
}

fn driver(scenario: Scenario, text: bool) -> Driver {
    let settings = scenario.settings();
    let mut driver = Driver::new(Cluster::new(&settings, text), settings.seed);
    driver.set_weather(scenario.weather());
    driver
}

/// How many calls the disk of the machine gets in the scenario, if it does not die.
fn calls(scenario: Scenario, role: usize) -> Result<u64, Violation> {
    let calls = core::cell::Cell::new(0);
    watch(
        |text| driver(scenario, text),
        |driver| {
            let victim = scenario.begin(driver, role)?;
            let before = medium_calls(driver, victim);
            scenario.act(driver, victim)?;
            calls.set(medium_calls(driver, victim) - before);
            driver.heal_and_prove_life()
        },
    )?;
    Ok(calls.get())
}

fn medium_calls(driver: &mut Driver, at: usize) -> u64 {
    driver.cluster.hosts[at].disk.wal().map_or(0, |wal| wal.medium().calls())
}

fn run(driver: &mut Driver, point: &CrashPoint) -> Result<(), Broken> {
    let victim = point.scenario.begin(driver, point.role)?;
    // Now and then the others have to do without it.
    driver.weather.down_micros = if point.call.is_multiple_of(2) { 1000 } else { 500_000 };
    let kept = match point.death {
        Death::Process => None,
        Death::Power(kept) => Some(kept),
    };
    let after = point.call;
    let fault = if point.effect { Fault::Last { after } } else { Fault::Halt { after } };
    let again = point.again.map(|after| Fault::Halt { after });
    if let Some(wal) = driver.cluster.hosts[victim].disk.wal() {
        wal.doom(fault, kept, again);
    }
    point.scenario.act(driver, victim)?;
    driver.heal_and_prove_life()?;
    let deaths = driver.cluster.hosts[victim].disk.wal().map_or(0, |wal| wal.deaths());
    // The second start need not be as long as the first.
    let expected = 1..=1 + u64::from(point.again.is_some());
    if !expected.contains(&deaths) {
        return broken("REPRO", format!("{} died {deaths} times", victim + 1));
    }
    Ok(())
}
