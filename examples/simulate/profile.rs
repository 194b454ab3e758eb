//! The runs that there are. All that ties this program to the simulator.

use synod::sim::{
    Course, Recording, Reduction, Report, Senseless, Swarm, Trial, Violation, record,
    record_fault_free, simulate, simulate_fault_free,
};

/// What a seed stands for: one of [`Swarm::PROFILES`].
pub(crate) type Profile = &'static str;

/// The profile that is meant if none is named.
pub(crate) const USUAL: Profile = Swarm::PROFILES[0];
/// The profile in which nothing goes wrong, of which more is demanded.
const CALM: Profile = "calm";

/// What a seed stands for in a profile, with a difference.
///
/// # Errors
/// Why it makes no sense.
pub(crate) fn swarm(profile: Profile, seed: u64, other: &Reduction) -> Result<Swarm, Senseless> {
    other.of(&Swarm::profile(profile, seed)?)
}

/// How a run is judged. Tests plant a claim that does not hold.
pub(crate) struct Judge {
    /// Runs a swarm of the profile.
    pub(crate) run: fn(Profile, &Swarm) -> Result<Report, Violation>,
    /// The same, with everything that happened.
    pub(crate) record: fn(Profile, &Swarm) -> Recording,
    /// Measures an election while links break.
    pub(crate) measure: fn(&Trial) -> Result<Course, Violation>,
    /// Lets so many seconds of rest pass after that.
    pub(crate) rest: fn(&Trial, u64) -> Result<(), Violation>,
}

impl Judge {
    /// By the oracles.
    pub(crate) const REAL: Self = Self {
        run: |profile, swarm| match profile {
            CALM => simulate_fault_free(swarm),
            _ => simulate(swarm),
        },
        record: |profile, swarm| match profile {
            CALM => record_fault_free(swarm),
            _ => record(swarm),
        },
        measure: Trial::run,
        rest: Trial::rest,
    };
}
