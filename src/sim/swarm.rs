//! Runs in simulated time from one seed: chaos with some kinds of faults on and others off, then
//! proof that the cluster, or what is left of it, still works.

use crate::config::Config;

use super::clients::{Clients, Crowd};
use super::cluster::Cluster;
use super::draw;
use super::driver::Driver;
use super::host::Settings;
use super::oracle::Broken;
use super::partial::{Shape, live_in_shape};
use super::quorum_core::live_in_core;
use super::senseless::{Senseless, check};
use super::weather::Weather;
use super::{Report, Violation, watch};

/// What a run is made of. A [`Swarm`] is made of parts that make sense together.
///
/// ```
/// use synod::sim::{Parts, Swarm, simulate};
///
/// let mut parts = Parts::calm(1);
/// parts.settings.replicas = 3;
/// parts.weather.propose_every_micros = Some(10_000);
/// assert!(simulate(&Swarm::new(parts)?)?.acknowledged > 0);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parts {
    /// The cluster.
    pub settings: Settings,
    /// The weather of the chaos.
    pub weather: Weather,
    /// How long the chaos lasts, in microseconds: at most an hour.
    pub chaos_micros: u64,
    /// By how much clocks run faster or slower at the most, in millionths: below a million.
    pub drift_millionths: u64,
    /// The habits of the clients.
    pub clients: Clients,
    /// After how many commands that a replica took in clients send no more in the chaos, if it is
    /// to be so.
    pub commands_max: Option<u64>,
    /// What is asked of the cluster after the chaos.
    pub mode: Mode,
}

/// What is asked of the cluster after the chaos. Safety is asked for in every mode, all the time.
///
/// ```
/// use synod::sim::{Mode, Swarm, simulate};
///
/// let storm = Swarm::from_seed(1).with(|parts| parts.mode = Mode::SafetyOnly)?;
/// simulate(&storm)?; // It ends in the middle of the chaos; safety was watched all the time.
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// All is repaired: the cluster makes progress, and everybody agrees.
    HealAll,
    /// Just a quorum is repaired, chosen by the seed; the others are down, cut off, hear nobody or
    /// are heard by nobody, come and go, or stand still, for good: the quorum makes progress.
    HealCore,
    /// Everybody is up, but the links have a shape in which some replica reaches a quorum: the
    /// cluster makes progress. Then all is repaired.
    Partial {
        /// The shape.
        shape: Shape,
        /// The place of the replica that is unlike the others, modulo their number.
        odd: usize,
    },
    /// Nothing: the run ends in the middle of the chaos.
    SafetyOnly,
}

/// A run that can be made: what a seed stands for, or parts of one's own.
///
/// ```
/// use synod::sim::{Swarm, simulate};
///
/// for seed in 1..=3 {
///     simulate(&Swarm::from_seed(seed))?;
/// }
/// assert!(Swarm::PROFILES.contains(&"disks"));
/// simulate(&Swarm::profile("disks", 1)?)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Swarm(Parts);

impl Swarm {
    /// The names of the profiles that [`Swarm::profile`] knows.
    pub const PROFILES: [&str; draw::PROFILES.len()] = draw::PROFILES;

    /// A run of these parts.
    ///
    /// # Errors
    /// The first part that makes no sense.
    pub fn new(parts: Parts) -> Result<Self, Senseless> {
        check(&parts)?;
        Ok(Self(parts))
    }

    /// The run that the seed stands for: some kinds of faults on and others off.
    #[must_use]
    pub fn from_seed(seed: u64) -> Self {
        Self(draw::chaos(seed))
    }

    /// The run that the seed stands for in a profile: one of [`Swarm::PROFILES`].
    ///
    /// # Errors
    /// If there is no profile of that name.
    pub fn profile(name: &str, seed: u64) -> Result<Self, Senseless> {
        draw::profile(name, seed).map(Self)
    }

    /// A run of this seed in which nothing goes wrong.
    #[must_use]
    pub fn fault_free(seed: u64) -> Self {
        Self(draw::calm(seed))
    }

    /// What the run is made of.
    #[must_use]
    pub fn parts(&self) -> &Parts {
        &self.0
    }

    /// The same run with some parts changed.
    ///
    /// # Errors
    /// The first part that makes no sense after the change.
    pub fn with(self, change: impl FnOnce(&mut Parts)) -> Result<Self, Senseless> {
        let mut parts = self.0;
        change(&mut parts);
        Self::new(parts)
    }

    /// The cluster at its beginning; with its last lines as text if `text`.
    pub(super) fn driver(&self, text: bool) -> Driver {
        let settings = &self.0.settings;
        Driver::new(Cluster::new(settings, text), settings.seed)
    }
}

impl Parts {
    /// A cluster of five replicas with default settings, formed, in which nothing goes wrong and
    /// nothing is proposed for three seconds: what one's own parts begin with.
    #[must_use]
    pub fn calm(seed: u64) -> Self {
        let settings = Settings {
            replicas: 5,
            config: Config::new([]),
            priorities: std::vec![],
            formed: true,
            slow_machines: false,
            disk: super::host::DiskKind::Journal,
            frame_bytes_max: None,
            seed,
        };
        let (chaos_micros, drift_millionths) = (3_000_000, 0);
        Self {
            settings,
            weather: Weather::FAIR,
            chaos_micros,
            drift_millionths,
            clients: Clients::from_seed(seed),
            commands_max: None,
            mode: Mode::HealAll,
        }
    }
}

/// Runs a swarm under the eyes of the oracles: chaos, then what its mode asks for.
///
/// # Errors
/// The first claim that does not hold, with the last lines of the trace.
pub fn simulate(swarm: &Swarm) -> Result<Report, Violation> {
    let parts = swarm.parts();
    watch(|text| swarm.driver(text), |driver| run(driver, parts))
}

/// Runs a swarm that is to be free of faults: one election, and a bounded number of messages.
///
/// # Errors
/// The first claim that does not hold, with the last lines of the trace.
pub fn simulate_fault_free(swarm: &Swarm) -> Result<Report, Violation> {
    let parts = swarm.parts();
    watch(|text| swarm.driver(text), |driver| run_fault_free(driver, parts))
}

/// The swarm's chaos, and what its mode asks for.
pub(super) fn run(driver: &mut Driver, parts: &Parts) -> Result<(), Broken> {
    begin(driver, parts)?;
    match parts.mode {
        Mode::HealAll => driver.heal_and_prove_life(),
        Mode::HealCore => live_in_core(driver, parts),
        Mode::Partial { shape, odd } => {
            live_in_shape(driver, shape, odd)?;
            driver.heal_and_prove_life()
        }
        Mode::SafetyOnly => Ok(()),
    }
}

/// The same, and all of it without a fault.
pub(super) fn run_fault_free(driver: &mut Driver, parts: &Parts) -> Result<(), Broken> {
    run(driver, parts)?;
    driver.cluster.econ_without_a_fault()
}

/// The swarm's chaos.
pub(super) fn begin(driver: &mut Driver, parts: &Parts) -> Result<(), Broken> {
    let n = driver.cluster.hosts.len();
    for at in 0..n {
        let drift = driver.below(2 * parts.drift_millionths + 1) as i64;
        driver.cluster.hosts[at].drift_millionths = drift - parts.drift_millionths as i64;
        driver.cluster.hosts[at].ahead_micros += driver.below(10_000_000);
    }
    if parts.weather.foreign_every_micros.is_some() {
        let text = driver.cluster.trace.is_text();
        driver.begin_neighbour(&parts.settings, text)?;
    }
    driver.clients = Crowd::new(&parts.clients, parts.settings.seed);
    driver.clients.left = parts.commands_max;
    driver.set_weather(parts.weather.clone());
    (0..n).try_for_each(|at| driver.start(at))?;
    driver.run_for(parts.chaos_micros)?;
    driver.clients.left = None;
    Ok(())
}
