//! Runs in simulated time from one seed: chaos with some kinds of faults on and others off, then
//! repair and proof of life.

use crate::config::Config;
use crate::slot::ALPHA;
use oorandom::Rand64;

use super::clients::{Clients, Crowd};
use super::cluster::Cluster;
use super::driver::{Driver, Weather};
use super::host::{DiskKind, Settings};
use super::network::LinkFaults;
use super::oracle::{Broken, broken};
use super::{Report, Violation, watch};

/// What a seed stands for. Fields may be changed before the run.
#[derive(Clone, Debug)]
pub struct Swarm {
    /// The cluster.
    pub settings: Settings,
    /// The weather of the chaos.
    pub weather: Weather,
    /// How long the chaos lasts, in microseconds.
    pub chaos_micros: u64,
    /// By how much clocks run faster or slower at the most, in millionths.
    pub drift_millionths: u64,
    /// The habits of the clients.
    pub clients: Clients,
}

/// Sizes of clusters, five at least as often as three.
const SIZES: [usize; 12] = [5, 3, 5, 3, 5, 7, 4, 2, 1, 5, 6, 9];

impl Swarm {
    /// The run that the seed stands for.
    #[must_use]
    pub fn from_seed(seed: u64) -> Self {
        let mut random = Rand64::new(u128::from(seed) << 64 | 0x5eed);
        let mut below = |below: u64| random.rand_range(0..below);
        let mut config = Config::new([]);
        config.pipeline_slots = [1, 2, 4, 16, 64][below(5) as usize];
        config.batch_bytes = [1, 100, 1000, 8 << 10][below(4) as usize];
        config.apply_slots = [1, 4, 32, 256][below(4) as usize];
        let replicas = SIZES[below(SIZES.len() as u64) as usize];
        let on = |chance: u64| chance < 2;
        let links = LinkFaults {
            loss_permille: if on(below(4)) { 1 + below(300) as u32 } else { 0 },
            duplicate_permille: if on(below(4)) { 1 + below(300) as u32 } else { 0 },
            damage_permille: if on(below(4)) { 20 } else { 0 },
            replay_permille: if on(below(4)) { 50 } else { 0 },
            delay_micros: [50, 200, 2000, 10_000][below(4) as usize],
            jitter_micros: [0, 100, 3000, 30_000][below(4) as usize],
            straggler_permille: if on(below(4)) { 1 + below(50) as u32 } else { 0 },
        };
        let weather = Weather {
            links,
            sync_micros: [(100, 50), (500, 2000), (5000, 20_000)][below(3) as usize],
            apply_micros: [(1, 1), (500, 1000), (20_000, 60_000)][below(3) as usize],
            crash_every_micros: on(below(4)).then(|| 20_000 + below(600_000)),
            crash_all_every_micros: on(below(8)).then(|| 300_000 + below(1_500_000)),
            down_micros: [1000, 50_000, 500_000][below(3) as usize],
            rot_permille: if on(below(6)) { 500 } else { 0 },
            cut_every_micros: on(below(4)).then(|| 50_000 + below(500_000)),
            cut_micros: [20_000, 200_000, 1_000_000][below(3) as usize],
            propose_every_micros: Some(1000 + below(14_000)),
            command_bytes: [16, 100, 2000][below(3) as usize],
        };
        let mut swarm = Self {
            settings: Settings {
                replicas,
                config,
                formed: below(4) > 0,
                slow_machines: on(below(4)),
                disk: if below(3) == 0 { DiskKind::Wal } else { DiskKind::Journal },
                frame_bytes_max: [None, Some(400), Some(1200), None][below(4) as usize],
                seed,
            },
            weather,
            chaos_micros: 3_000_000,
            drift_millionths: if on(below(4)) { 50_000 } else { 0 },
            clients: Clients::from_seed(seed),
        };
        if below(16) == 0 {
            swarm.crowd();
        }
        swarm
    }

    /// Fills the window: many slots open at once, with gaps, so that Promises need pages.
    fn crowd(&mut self) {
        let config = &mut self.settings.config;
        (config.pipeline_slots, config.batch_bytes, config.apply_slots) = (ALPHA, 1, 64);
        let weather = &mut self.weather;
        weather.links.loss_permille = 300;
        (weather.links.delay_micros, weather.links.jitter_micros) = (10_000, 20_000);
        weather.propose_every_micros = Some(150);
        (self.clients.count, self.clients.outstanding) = (8, 1000);
        weather.command_bytes = 16;
        weather.sync_micros = (500, 2000);
        weather.crash_every_micros = Some(300_000);
        self.settings.slow_machines = false;
        self.chaos_micros = 1_000_000;
    }

    /// A run of this seed in which nothing goes wrong.
    #[must_use]
    pub fn fault_free(seed: u64) -> Self {
        let mut swarm = Self::from_seed(seed);
        swarm.settings.slow_machines = false;
        let propose_every_micros = swarm.weather.propose_every_micros;
        let command_bytes = swarm.weather.command_bytes;
        swarm.weather = Weather { propose_every_micros, command_bytes, ..Weather::FAIR };
        swarm.drift_millionths = 0;
        swarm
    }
}

/// Runs a swarm under the eyes of the oracles: chaos, then repair, then progress.
///
/// # Errors
/// The first claim that does not hold, with the last lines of the trace.
pub fn simulate(swarm: &Swarm) -> Result<Report, Violation> {
    watch(
        |text| Driver::new(Cluster::new(&swarm.settings, text), swarm.settings.seed),
        |driver| run(driver, swarm),
    )
}

/// Runs a swarm that is to be free of faults: one election, and a bounded number of messages.
///
/// # Errors
/// The first claim that does not hold, with the last lines of the trace.
pub fn simulate_fault_free(swarm: &Swarm) -> Result<Report, Violation> {
    watch(
        |text| Driver::new(Cluster::new(&swarm.settings, text), swarm.settings.seed),
        |driver| run_fault_free(driver, swarm),
    )
}

/// The swarm's chaos, then repair and proof of life.
pub(crate) fn run(driver: &mut Driver, swarm: &Swarm) -> Result<(), Broken> {
    begin(driver, swarm)?;
    driver.heal_and_prove_life()
}

/// The same, and all of it without a fault.
pub(crate) fn run_fault_free(driver: &mut Driver, swarm: &Swarm) -> Result<(), Broken> {
    run(driver, swarm)?;
    econ_one_election(&driver.cluster)
}

/// The swarm's chaos.
pub(crate) fn begin(driver: &mut Driver, swarm: &Swarm) -> Result<(), Broken> {
    let n = driver.cluster.hosts.len();
    for at in 0..n {
        let drift = driver.below(2 * swarm.drift_millionths + 1) as i64;
        driver.cluster.hosts[at].drift_millionths = drift - swarm.drift_millionths as i64;
        driver.cluster.hosts[at].ahead_micros += driver.below(10_000_000);
    }
    driver.clients = Crowd::new(&swarm.clients, swarm.settings.seed);
    driver.set_weather(swarm.weather.clone());
    (0..n).try_for_each(|at| driver.start(at))?;
    driver.run_for(swarm.chaos_micros)
}

/// ECON: without faults nobody tries to lead once the first leader had time to show itself. Two may
/// try at once before that.
fn econ_one_election(cluster: &Cluster) -> Result<(), Broken> {
    let settled_micros = 3 * cluster.election_timeout_micros();
    if cluster.prepared_micros > settled_micros || cluster.leading > 2 {
        return broken(
            "ECON",
            std::format!(
                "without a fault, {} elections were won, the last begun after {} us",
                cluster.leading,
                cluster.prepared_micros
            ),
        );
    }
    Ok(())
}
