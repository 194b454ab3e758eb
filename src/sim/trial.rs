//! Trials of the election: a chosen replica leads, links break, and it is measured how soon
//! something is chosen again, and how steady that is.

use core::cell::Cell;
use std::format;
use std::string::String;
use std::vec::Vec;

use crate::entry::CommandId;
use crate::slot::Slot;

use super::driver::Driver;
use super::fracture::Fracture;
use super::network::{LinkFaults, Links};
use super::oracle::{Broken, broken};
use super::swarm::{self, Parts, Swarm};
use super::weather::Weather;
use super::{Violation, watch_and_keep};

/// How many election timeouts may pass until something is chosen that was proposed after the links
/// broke, and later between one choice and the next.
const PAUSE_TIMEOUTS_MAX: u64 = 4;
/// How many elections may be won after that.
const ELECTIONS_MAX: u64 = 2;
/// How many election timeouts a run is watched after that.
const WATCH_TIMEOUTS: u64 = 100;
/// How many election timeouts a run waits for the first choice before it gives up.
const PATIENCE_TIMEOUTS: u64 = 40;
/// How many election timeouts those in touch with the leader have to learn everything.
const LEARN_TIMEOUTS: u64 = 10;
/// How many election timeouts the only replica with a quorum was away.
const AWAY_TIMEOUTS: u64 = 2;
/// Time goes by in such parts of an election timeout, so nothing is measured more closely.
const STEPS: u64 = 120;
/// How often something is proposed, in steps.
const PROPOSE_STEPS: u64 = 12;
/// By how much clocks run faster or slower at the most, in millionths.
const DRIFT_MILLIONTHS: u64 = 500;

/// A run in which links break while a chosen replica leads.
///
/// ```
/// use synod::sim::{Fracture, Trial};
///
/// // Only the odd one of five reaches the others, and its neighbour leads.
/// let fracture = Some(Fracture::QuorumLoss);
/// let course = Trial { fracture, replicas: 5, leader: 1, preferred: None, seed: 7 }.run()?;
/// assert_eq!(course.miss(), None);
/// # Ok::<(), synod::sim::Violation>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Trial {
    /// How the links break; `None`: they do not.
    pub fracture: Option<Fracture>,
    /// How many replicas there are, 2 to 9.
    pub replicas: usize,
    /// The place at which the leader stands: one of [`Fracture::places`].
    pub leader: usize,
    /// The place of a replica that should rather lead than the others, if there is one.
    pub preferred: Option<usize>,
    /// Where everything random comes from: timers, delays, and which replica is the odd one.
    pub seed: u64,
}

/// What came of a [`Trial`]. Times in microseconds of the cluster's clock.
///
/// ```
/// use synod::sim::Course;
///
/// let first_choice_micros = Some(480_000);
/// let course = Course { timeout_micros: 120_000, first_choice_micros, ..Course::default() };
/// assert_eq!(course.miss(), None, "four timeouts");
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Course {
    /// The election timeout of the replicas.
    pub timeout_micros: u64,
    /// How long after the links broke somebody first knew a command chosen that was proposed after
    /// that, anywhere; `None`: nobody did within 40 election timeouts.
    pub first_choice_micros: Option<u64>,
    /// The longest time in the 100 election timeouts after that in which nobody learned of a
    /// choice.
    pub pause_micros: u64,
    /// How many elections were won until the first choice.
    pub elections_before: u64,
    /// How many elections were won in the 100 election timeouts after it.
    pub elections_after: u64,
}

impl Course {
    /// The bound that was missed, if one was: something is chosen within four election timeouts,
    /// then and whenever the leader changes, and it changes twice at the most.
    #[must_use]
    pub fn miss(&self) -> Option<String> {
        let most = PAUSE_TIMEOUTS_MAX * self.timeout_micros;
        match self.first_choice_micros {
            None => return Some(String::from("nothing was chosen")),
            Some(first) if first > most => {
                return Some(format!("the first choice took {first} us, more than {most}"));
            }
            Some(_) => {}
        }
        if self.pause_micros > most {
            let pause = self.pause_micros;
            return Some(format!("nothing was chosen for {pause} us, more than {most}"));
        }
        let after = self.elections_after;
        (after > ELECTIONS_MAX)
            .then(|| format!("{after} elections after the first choice, more than {ELECTIONS_MAX}"))
    }
}

impl Trial {
    /// Runs it, under the eyes of all oracles. At the end all whom the leader reaches in both
    /// directions, over others or not, must have learned everything.
    ///
    /// # Errors
    /// The first claim that does not hold: `REPRO` if the leader cannot be made one.
    pub fn run(&self) -> Result<Course, Violation> {
        let course = Cell::new(Course::default());
        self.watch(|driver| {
            self.begin(driver)?;
            course.set(measure(driver)?);
            all_in_touch_learn(driver)
        })?;
        Ok(course.get())
    }

    /// Lets the links break, waits until a leader has settled, and then lets so many seconds pass
    /// in which nobody wants anything. Nobody may try to lead in them.
    ///
    /// # Errors
    /// The first claim that does not hold: `NOFLAP` if somebody tried to lead.
    pub fn rest(&self, seconds: u64) -> Result<(), Violation> {
        self.watch(|driver| {
            self.begin(driver)?;
            for _ in 0..PATIENCE_TIMEOUTS {
                driver.propose_at_leaders()?;
                driver.run_for(driver.cluster.election_timeout_micros())?;
            }
            let (since, won) = (driver.cluster.now_micros, driver.cluster.leading);
            for _ in 0..seconds {
                driver.run_for(1_000_000)?;
                let (begun, now) = (driver.cluster.prepared_micros, driver.cluster.leading);
                if begun > since || now > won {
                    let summary = driver.cluster.summary();
                    return broken("NOFLAP", format!("an election while at rest: {summary}"));
                }
            }
            Ok(())
        })
    }

    fn watch(&self, run: impl Fn(&mut Driver) -> Result<(), Broken>) -> Result<(), Violation> {
        let parts = self.parts();
        let make = |text| match Swarm::new(parts.clone()) {
            Ok(swarm) => swarm.driver(text),
            Err(error) => panic!("{self:?} makes no sense: {error}"),
        };
        watch_and_keep(make, run, |_| ())
    }

    /// A local network, disks that are quick, and clocks that drift a little.
    fn parts(&self) -> Parts {
        let mut parts = Parts::calm(self.seed);
        parts.settings.replicas = self.replicas;
        if let Some(place) = self.preferred {
            let priority = |at| if at == self.at(place) { 2 } else { 1 };
            parts.settings.priorities = (0..self.replicas).map(priority).collect();
        }
        parts.drift_millionths = DRIFT_MILLIONTHS;
        let usual = LinkFaults { delay_micros: 200, jitter_micros: 800, ..LinkFaults::NONE };
        parts.weather = Weather { links: Links::all(usual), ..Weather::FAIR };
        // Nobody may have tried to lead yet.
        parts.chaos_micros = 1;
        parts
    }

    /// The replica at that place of the cluster.
    fn at(&self, place: usize) -> usize {
        (self.odd() + place) % self.replicas
    }

    fn odd(&self) -> usize {
        self.seed as usize % self.replicas
    }

    /// Makes the leader, lets it lead for a while, and breaks the links.
    fn begin(&self, driver: &mut Driver) -> Result<(), Broken> {
        swarm::begin(driver, &self.parts())?;
        let timeout = driver.cluster.election_timeout_micros();
        let leader = self.at(self.leader);
        make_leader(driver, leader)?;
        // Where in its period every timer is, and what is under way, is as chance wants it.
        let while_whole = 2 * timeout + driver.below(timeout);
        run_busy(driver, while_whole)?;
        let Some(fracture) = self.fracture else { return Ok(()) };
        if fracture.has_outdated() {
            driver.cluster.cuts.split(1 << self.odd());
            run_busy(driver, AWAY_TIMEOUTS * timeout)?;
            let (odd, others) = (chosen(driver, self.odd()), chosen(driver, leader));
            if odd >= others {
                return broken("REPRO", format!("the odd one knows {odd}, the leader {others}"));
            }
        }
        leads(driver, leader)?;
        driver.cluster.cuts = fracture.cuts(self.replicas, self.odd(), self.leader, self.seed);
        Ok(())
    }
}

/// The replica's clock runs ahead by so much that it is the first whose timer is due.
fn make_leader(driver: &mut Driver, at: usize) -> Result<(), Broken> {
    let timeout = driver.cluster.election_timeout_micros();
    let soon = driver.below(timeout / 2);
    driver.run_for(soon)?;
    let now = driver.cluster.now_micros;
    driver.cluster.hosts[at].jump(now, 2 * timeout as i64);
    driver.run_for(timeout / 2)?;
    leads(driver, at)
}

/// The replica must lead, and nobody else.
fn leads(driver: &Driver, at: usize) -> Result<(), Broken> {
    match driver.cluster.leader() {
        Some((leader, _)) if leader == at => Ok(()),
        _ => {
            let summary = driver.cluster.summary();
            broken("REPRO", format!("{} does not lead: {summary}", at + 1))
        }
    }
}

fn chosen(driver: &Driver, at: usize) -> Slot {
    driver.cluster.status(at).map_or(Slot::ZERO, |status| status.chosen)
}

/// Every slot below is known to be chosen, by somebody. A leader that hears nobody gets commands
/// chosen, too, but neither it nor anybody else knows.
fn known(driver: &Driver) -> Slot {
    let all = 0..driver.cluster.hosts.len();
    all.map(|at| chosen(driver, at)).max().unwrap_or_default()
}

fn propose_everywhere(driver: &mut Driver) -> Result<Vec<CommandId>, Broken> {
    let mut taken_in = Vec::new();
    for at in 0..driver.cluster.hosts.len() {
        taken_in.extend(driver.cluster.propose(at, 8)?.ok());
    }
    Ok(taken_in)
}

/// Lets time pass in which everybody is asked for something all the time.
fn run_busy(driver: &mut Driver, micros: u64) -> Result<(), Broken> {
    let end = driver.cluster.now_micros + micros;
    let every = PROPOSE_STEPS * driver.cluster.election_timeout_micros() / STEPS;
    while driver.cluster.now_micros < end {
        propose_everywhere(driver)?;
        driver.run_for(every.min(end - driver.cluster.now_micros))?;
    }
    Ok(())
}

/// Measures from now on, when the links have just been broken.
fn measure(driver: &mut Driver) -> Result<Course, Broken> {
    let timeout = driver.cluster.election_timeout_micros();
    let (begun, led) = (driver.cluster.now_micros, driver.cluster.leading);
    let first_choice_micros = until_first_choice(driver)?;
    let leading = driver.cluster.leading;
    let mut course = Course {
        timeout_micros: timeout,
        first_choice_micros: first_choice_micros.map(|at| at - begun),
        pause_micros: 0,
        elections_before: leading - led,
        elections_after: 0,
    };
    if first_choice_micros.is_none() {
        return Ok(course);
    }
    let mut latest = (known(driver), driver.cluster.now_micros);
    let every = PROPOSE_STEPS * timeout / STEPS;
    for _ in 0..WATCH_TIMEOUTS * STEPS / PROPOSE_STEPS {
        driver.propose_at_leaders()?;
        driver.run_for(every)?;
        let (mark, now) = (known(driver), driver.cluster.now_micros);
        course.pause_micros = course.pause_micros.max(now - latest.1);
        if mark > latest.0 {
            latest = (mark, now);
        }
    }
    course.elections_after = driver.cluster.leading - leading;
    Ok(course)
}

/// When somebody first knows a command chosen that is proposed from now on. What was under way is
/// not counted: those who have it already may get it chosen.
fn until_first_choice(driver: &mut Driver) -> Result<Option<u64>, Broken> {
    let step = driver.cluster.election_timeout_micros() / STEPS;
    let mut taken_in = Vec::new();
    for nth in 0..PATIENCE_TIMEOUTS * STEPS {
        if nth % PROPOSE_STEPS == 0 {
            taken_in.extend(propose_everywhere(driver)?);
        }
        driver.run_for(step)?;
        let (mark, oracle) = (known(driver), &driver.cluster.oracle);
        if taken_in.iter().any(|id| oracle.place(*id).is_some_and(|place| place.slot < mark)) {
            return Ok(Some(driver.cluster.now_micros));
        }
    }
    Ok(None)
}

/// Nobody wants anything more: all who can ask for it learn what was chosen.
fn all_in_touch_learn(driver: &mut Driver) -> Result<(), Broken> {
    let timeout = driver.cluster.election_timeout_micros();
    driver.run_for(LEARN_TIMEOUTS * timeout)?;
    let Some((leader, _)) = driver.cluster.leader() else { return Ok(()) };
    let everything = driver.cluster.oracle.prefix();
    for at in driver.cluster.cuts.in_touch_with(leader) {
        let known = chosen(driver, at);
        if known < everything {
            let summary = driver.cluster.summary();
            let text = format!("{} knows {known}, not {everything}: {summary}", at + 1);
            return broken("CONV", text);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
