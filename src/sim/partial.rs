//! Runs in which the links stay broken, but some replica reaches a quorum in both directions: the
//! cluster must find a leader, keep it, and go on choosing.

use std::format;

use crate::replica::Role;

use super::driver::{Driver, Happening};
use super::oracle::{Broken, broken};
use super::weather::Weather;

/// How many election timeouts a broken cluster has until it chooses again.
const SETTLE_TIMEOUTS: u64 = 20;
/// How many election timeouts it is then watched.
const WATCH_TIMEOUTS: u64 = 40;
/// Within how many election timeouts something is chosen while it is watched.
const PROGRESS_TIMEOUTS: u64 = 4;
/// How many election timeouts longer that takes where only a replica of priority 0 can lead.
const LAST_TIMEOUTS: u64 = 4;
/// How many elections may be won while it is watched.
const ELECTIONS_MAX: u64 = 2;
/// How often a command is proposed meanwhile, somewhere.
const PROPOSE_EVERY_MICROS: u64 = 10_000;

/// Which links stay, of those between some replicas.
///
/// ```
/// use synod::sim::{Mode, Shape, Swarm, simulate};
///
/// assert!(!Shape::Chain.leaves_a_quorum(7), "a replica and two neighbours are three of seven");
/// let mode = Mode::Partial { shape: Shape::Chain, odd: 0 };
/// assert!(simulate(&Swarm::fault_free(1).with(|parts| parts.mode = mode)?)?.slots > 0);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// Only one replica reaches the others ("quorum loss": the leader is not that one).
    Hub,
    /// The same, but that one was cut off before, and has missed what was chosen ("constrained").
    OutdatedHub,
    /// Each replica reaches its neighbours in a row only. Of at most five replicas.
    Chain,
    /// Each replica reaches its neighbours in a ring only. Of at most five replicas.
    Ring,
    /// One replica is heard by nobody, but hears.
    Mute,
    /// One replica hears nobody, but is heard.
    Deaf,
    /// One replica is cut off from just one other.
    OneLink,
    /// One replica hears just one other, and is heard by all.
    HearsOne,
    /// The links of one replica come and go.
    Flapping,
    /// As many replicas as possible are down.
    Minority,
    /// As many replicas as possible stand still.
    Frozen,
}

impl Shape {
    /// Every shape.
    pub const ALL: [Self; 11] = [
        Self::Hub,
        Self::OutdatedHub,
        Self::Chain,
        Self::Ring,
        Self::Mute,
        Self::Deaf,
        Self::OneLink,
        Self::HearsOne,
        Self::Flapping,
        Self::Minority,
        Self::Frozen,
    ];

    /// Whether the shape leaves some replica of a cluster of this size a quorum that it reaches,
    /// and that reaches it.
    #[must_use]
    pub const fn leaves_a_quorum(self, replicas: usize) -> bool {
        match self {
            Self::Hub | Self::OutdatedHub | Self::Minority | Self::Frozen => true,
            // Itself and two neighbours.
            Self::Chain | Self::Ring => replicas / 2 < 3,
            // All but one.
            Self::Mute | Self::Deaf | Self::OneLink | Self::HearsOne | Self::Flapping => {
                replicas > 2
            }
        }
    }
}

/// The links take a shape in which `odd` is the replica that is unlike the others, and progress is
/// demanded.
pub(super) fn live_in_shape(driver: &mut Driver, shape: Shape, odd: usize) -> Result<(), Broken> {
    let odd = odd % driver.cluster.hosts.len();
    driver.repair()?;
    driver.let_it_form()?;
    let propose_every_micros = Some(PROPOSE_EVERY_MICROS);
    driver.set_weather(Weather { propose_every_micros, ..Weather::FAIR });
    break_links(driver, shape, odd)?;
    driver.live_in_part(WATCH_TIMEOUTS, &format!("{shape:?}"))
}

/// Everybody is up and in fair weather, but the links take the shape.
fn break_links(driver: &mut Driver, shape: Shape, odd: usize) -> Result<(), Broken> {
    let n = driver.cluster.hosts.len();
    let timeout = driver.cluster.election_timeout_micros();
    if shape == Shape::OutdatedHub {
        driver.cluster.cuts.split(1 << odd);
        driver.run_for(4 * timeout)?;
        driver.cluster.cuts.heal();
    }
    let next = (odd + 1) % n;
    let cuts = &mut driver.cluster.cuts;
    match shape {
        Shape::Hub | Shape::OutdatedHub => cuts.only_hub(odd),
        Shape::Chain => cuts.chain(),
        Shape::Ring => cuts.ring(),
        Shape::Mute => cuts.mute(odd),
        Shape::Deaf => cuts.deafen(odd),
        Shape::OneLink => {
            cuts.cut(odd, next);
            cuts.cut(next, odd);
        }
        Shape::HearsOne => {
            cuts.deafen(odd);
            cuts.mend(next, odd);
        }
        Shape::Flapping => {
            cuts.split(1 << odd);
            driver.flap_for_good();
        }
        Shape::Minority => (0..(n - 1) / 2).for_each(|nth| driver.take_down((odd + nth) % n)),
        Shape::Frozen => (0..(n - 1) / 2).for_each(|nth| driver.freeze((odd + nth) % n)),
    }
    Ok(())
}

impl Driver {
    /// Forming takes everybody: gives a cluster that is in fair weather and whole some time for it.
    pub(super) fn let_it_form(&mut self) -> Result<(), Broken> {
        if !self.cluster.is_formed() {
            self.run_for(SETTLE_TIMEOUTS * self.cluster.election_timeout_micros())?;
        }
        Ok(())
    }

    /// What is cut comes and goes from now on.
    pub(super) fn flap_for_good(&mut self) {
        let timeout = self.cluster.election_timeout_micros();
        self.cluster.cuts.begin_flapping();
        let period_micros = timeout + self.below(2 * timeout + 1);
        self.at(period_micros / 2, Happening::Flap { cut: self.cuts, period_micros });
    }

    /// Proposes to each replica that leads by its own word. Refused or not: what counts is whether
    /// something is chosen.
    pub(super) fn propose_at_leaders(&mut self) -> Result<(), Broken> {
        for at in 0..self.starts.len() {
            if self.cluster.status(at).is_some_and(|status| status.role == Role::Leading) {
                let _ = self.cluster.propose(at, 8)?;
            }
        }
        Ok(())
    }

    /// Lets so many election timeouts pass. Clients may wait for whoever is out of reach, so the
    /// run itself proposes something, again and again, to each replica that leads by its own word.
    fn run_and_probe(&mut self, timeouts: u64) -> Result<(), Broken> {
        let timeout = self.cluster.election_timeout_micros();
        for _ in 0..timeouts {
            self.propose_at_leaders()?;
            self.run_for(timeout)?;
        }
        Ok(())
    }

    /// LIVE: within a bound something is chosen, and then something in every few timeouts; NOFLAP:
    /// the leader hardly changes.
    pub(super) fn live_in_part(&mut self, watched: u64, what: &str) -> Result<(), Broken> {
        self.run_and_probe(SETTLE_TIMEOUTS)?;
        let (mut slots, led) = (self.cluster.oracle.slots_chosen(), self.cluster.leading);
        // Only a replica of priority 0 may be left, and that waits longer for the others.
        let last = self.cluster.hosts.iter().any(|host| host.config.priority == 0);
        let within = if last { PROGRESS_TIMEOUTS + LAST_TIMEOUTS } else { PROGRESS_TIMEOUTS };
        for _ in 0..watched / within {
            self.run_and_probe(within)?;
            let now = self.cluster.oracle.slots_chosen();
            if now == slots {
                let summary = self.cluster.summary();
                return broken("LIVE", format!("{what}: nothing is chosen: {summary}"));
            }
            slots = now;
        }
        let elections = self.cluster.leading - led;
        if elections > ELECTIONS_MAX {
            return broken(
                "NOFLAP",
                format!("{what}: {elections} elections in {watched} timeouts"),
            );
        }
        Ok(())
    }
}
