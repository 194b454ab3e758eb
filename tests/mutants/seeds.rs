//! Runs the simulator from one seed after the other, in several modes, until a claim breaks.
//!
//! This is the first check that a planted bug meets: `tools/mutants` builds it for each of them and
//! reads its last line. `seeds 200` runs the seeds 1 to 200.
//!
//! Exit code 0: all seeds are clean. 1: a claim is broken. 2: the arguments make no sense.

use std::process::ExitCode;

use synod::quorum::QuorumSystem;
use synod::sim::{
    DiskFaults, Mode, Report, Senseless, Shape, Swarm, Violation, simulate, simulate_fault_free,
};

/// Without faults one second of work tells as much as three, and in fewer runs.
const FAULT_FREE_EVERY: u64 = 4;
const FAULT_FREE_MICROS: u64 = 1_000_000;

type Outcome = Result<Report, Violation>;

/// Chaos; at every other seed with limits that are soon reached.
fn chaos(seed: u64) -> Result<Outcome, Senseless> {
    let swarm = Swarm::from_seed(seed).with(|parts| {
        if seed.is_multiple_of(2) {
            let config = &mut parts.settings.config;
            config.pipeline_bytes = [1, 300, 4000][seed as usize / 2 % 3];
            config.queue_bytes = 2000;
        }
    })?;
    Ok(simulate(&swarm))
}

/// Links that stay broken, in one shape for each seed.
fn broken_links(seed: u64) -> Result<Outcome, Senseless> {
    let swarm = Swarm::from_seed(seed).with(|parts| {
        parts.settings.replicas = if seed % 4 == 3 { 3 } else { 5 };
        parts.settings.config.quorums = QuorumSystem::Majority;
        parts.weather.links.single.clear();
        parts.chaos_micros = 500_000;
        // A slot or a directory that is lost uses up a failure that these shapes need.
        parts.weather.rot_permille = 0;
        let disks = &mut parts.weather.disks;
        if disks.wipes + disks.roll_backs > 0 {
            *disks = DiskFaults { slow_times: disks.slow_times, ..DiskFaults::NONE };
        }
        let shape = Shape::ALL[seed as usize % Shape::ALL.len()];
        parts.mode = Mode::Partial { shape, odd: seed as usize };
    })?;
    Ok(simulate(&swarm))
}

fn no_faults(seed: u64) -> Result<Outcome, Senseless> {
    let swarm = Swarm::fault_free(seed).with(|parts| parts.chaos_micros = FAULT_FREE_MICROS)?;
    Ok(simulate_fault_free(&swarm))
}

/// Every mode at this seed: the first violation, with the name of the mode.
fn run(seed: u64) -> Result<Option<(&'static str, Violation)>, Senseless> {
    if let Err(violation) = chaos(seed)? {
        return Ok(Some(("chaos", violation)));
    }
    if let Err(violation) = broken_links(seed)? {
        return Ok(Some(("broken links", violation)));
    }
    if seed.is_multiple_of(FAULT_FREE_EVERY)
        && let Err(violation) = no_faults(seed)?
    {
        return Ok(Some(("no faults", violation)));
    }
    Ok(None)
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let seeds = match arguments.as_slice() {
        [seeds] => seeds.parse::<u64>().ok(),
        _ => None,
    };
    let Some(seeds) = seeds.filter(|seeds| *seeds > 0) else {
        eprintln!("seeds takes one number: how many seeds to run, at least 1");
        return ExitCode::from(2);
    };
    // A panic in a replica is a finding like others; its words are in the violation.
    std::panic::set_hook(Box::new(|_| {}));
    for seed in 1..=seeds {
        match run(seed) {
            Ok(None) => {}
            Ok(Some((mode, violation))) => {
                println!("{violation}");
                println!("broken: {} | {mode} | {seed}", violation.invariant);
                return ExitCode::FAILURE;
            }
            Err(senseless) => {
                eprintln!("seed {seed} makes no sense: {senseless}");
                return ExitCode::from(2);
            }
        }
    }
    println!("clean: {seeds}");
    ExitCode::SUCCESS
}
