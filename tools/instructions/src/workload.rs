//! What is counted: each workload does the same thing a number of times.

mod core;
mod log;
mod wire;

/// One thing that the library does, and how often it is done to be counted.
#[derive(Clone, Copy)]
pub(crate) struct Workload {
    /// Its name, in the budget and on the command line.
    pub(crate) name: &'static str,
    /// What one of its units is.
    pub(crate) unit: &'static str,
    /// How many units a turn has.
    pub(crate) units: u64,
    /// How many turns the shorter of the two runs makes, and the longer: the difference has no
    /// set-up in it.
    pub(crate) turns: [u64; 2],
    run: fn(&Self, u64),
}

impl Workload {
    /// Sets up, and makes so many turns. Panics if what they did is not what they had to do.
    pub(crate) fn run(&self, turns: u64) {
        (self.run)(self, turns);
    }
}

/// Three replicas in one thread, this many commands at a time.
const fn core(name: &'static str, commands: u64, turns: [u64; 2]) -> Workload {
    Workload { name, unit: "command", units: commands, turns, run: core::run }
}

const fn wire(name: &'static str, run: fn(&Workload, u64)) -> Workload {
    Workload { name, unit: "frame", units: 1, turns: [100, 2100], run }
}

/// Records of this many commands, each synced.
const fn log(name: &'static str, run: fn(&Workload, u64)) -> Workload {
    Workload { name, unit: "record", units: 1, turns: [100, 1100], run }
}

/// All of them. Commands have 64 bytes where nothing else is said.
pub(crate) static ALL: [Workload; 12] = [
    core("core/1", 1, [200, 1700]),
    core("core/16", 16, [100, 500]),
    core("core/256", 256, [10, 50]),
    core("core/4096", 4096, [1, 4]),
    wire("wire/encode/1", |_, turns| wire::encode(1, 64, turns)),
    wire("wire/encode/64", |_, turns| wire::encode(64, 64, turns)),
    wire("wire/encode/16KiB", |_, turns| wire::encode(1, 16 << 10, turns)),
    wire("wire/decode/1", |_, turns| wire::decode(1, 64, turns)),
    wire("wire/decode/64", |_, turns| wire::decode(64, 64, turns)),
    wire("wire/decode/16KiB", |_, turns| wire::decode(1, 16 << 10, turns)),
    log("log/1", |_, turns| log::run(1, turns)),
    log("log/64", |_, turns| log::run(64, turns)),
];

/// The workload of that name, or which there are.
pub(crate) fn named(name: &str) -> Result<&'static Workload, String> {
    ALL.iter().find(|workload| workload.name == name).ok_or_else(|| {
        let names: Vec<_> = ALL.iter().map(|workload| workload.name).collect();
        format!("there are {}", names.join(", "))
    })
}
