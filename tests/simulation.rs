//! Seeded runs of the simulated cluster: seconds of chaos, then repair and proof of life.
//!
//! `SYNOD_SEEDS` says how many seeds, `SYNOD_SEED` the first:
//!
//! ```text
//! SYNOD_SEEDS=20000 cargo test --release --test simulation
//! SYNOD_SEED=4711 SYNOD_SEEDS=1 cargo test --test simulation
//! ```

use std::time::Duration;

use synod::quorum::QuorumSystem;
use synod::sim::{
    DiskFaults, Faults, Marks, Mode, Report, Shape, Swarm, Violation, simulate, simulate_fault_free,
};

fn number(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |text| {
        text.parse().unwrap_or_else(|_| panic!("{name}={text} is no number"))
    })
}

/// What the runs of some seeds did, together.
#[derive(Debug, Default)]
struct Sum {
    time: Duration,
    slots: u64,
    marks: Marks,
    faults: Faults,
}

/// Runs the seeds and adds up what they did.
fn run_seeds(
    count: u64,
    swarm: fn(u64) -> Swarm,
    run: fn(&Swarm) -> Result<Report, Violation>,
) -> Sum {
    let first = number("SYNOD_SEED", 1);
    let mut sum = Sum::default();
    for seed in first..first + number("SYNOD_SEEDS", count) {
        let swarm = swarm(seed);
        match run(&swarm) {
            Ok(report) => {
                sum.time += Duration::from_micros(report.time.as_micros());
                sum.slots += report.slots;
                sum.marks.add(&report.marks);
                sum.faults.add(&report.faults);
            }
            Err(violation) => panic!("SYNOD_SEED={seed} SYNOD_SEEDS=1: {swarm:?}\n{violation}"),
        }
    }
    sum
}

/// From so many seeds on, everything that can come up must have come up in them.
const SEEDS_FOR_ALL: u64 = 200;

/// For these several things must come together, as for each single reason to refuse a start, so
/// they may need more seeds.
const RARE: [&str; 6] = [
    "failed_calls",
    "full_disks",
    "superblocks_mended",
    "rolled_back_refused",
    "roll_backs",
    "refused_",
];
const SEEDS_FOR_RARE: u64 = 2000;

#[test]
fn chaos_then_repair() {
    let seeds = number("SYNOD_SEEDS", 40);
    let sum = run_seeds(40, Swarm::from_seed, simulate);
    assert!(sum.time >= Duration::from_secs(2) * seeds as u32);
    println!("{seeds} seeds: {sum:#?}");
    if seeds >= SEEDS_FOR_ALL {
        assert!(sum.slots >= 100 * seeds, "too little happens in these runs");
        for (name, count) in sum.marks.fields().into_iter().chain(sum.faults.fields()) {
            let expected =
                seeds >= SEEDS_FOR_RARE || !RARE.iter().any(|rare| name.starts_with(rare));
            assert!(count > 0 || !expected, "{name}: never in {seeds} seeds");
        }
    }
}

/// Each profile makes its own kind of trouble, and no other.
#[test]
fn every_profile_makes_the_trouble_that_its_name_says() {
    let sum = |name: &'static str| {
        let first = number("SYNOD_SEED", 1);
        let mut faults = Faults::default();
        for seed in first..first + number("SYNOD_SEEDS", 4) {
            let swarm = Swarm::profile(name, seed).unwrap();
            match simulate(&swarm) {
                Ok(report) => faults.add(&report.faults),
                Err(violation) => panic!("profile {name}, seed {seed}: {swarm:?}\n{violation}"),
            }
        }
        faults
    };
    for name in Swarm::PROFILES {
        let faults = sum(name);
        let network = faults.lost + faults.damaged + faults.strangers;
        let clocks = faults.jumps_forward + faults.jumps_back + faults.freezes;
        let kinds = [network, faults.crashes, faults.cuts, clocks].map(|count| count > 0);
        let wanted = match name {
            "chaos" => [true; 4],
            "calm" => [false; 4],
            "network" => [true, false, false, false],
            "disks" => [false, true, false, false],
            "crowd" => [true, true, false, false],
            "partitions" => [false, false, true, false],
            "clocks" => [false, false, false, true],
            other => panic!("what should profile {other} do?"),
        };
        // What stays broken in a part of the runs may be down or stand still.
        let may = ["disks", "partitions", "clocks"].contains(&name);
        for (kind, wanted) in kinds.into_iter().zip(wanted) {
            assert!(kind == wanted || (may && kind), "profile {name}: {faults:?}");
        }
    }
}

#[test]
fn without_faults_there_is_one_election() {
    run_seeds(10, Swarm::fault_free, simulate_fault_free);
}

#[test]
fn a_seed_gives_the_same_run_each_time() {
    for seed in 1..4 {
        let swarm = Swarm::from_seed(seed);
        assert_eq!(simulate(&swarm), simulate(&swarm), "seed {seed}");
    }
}

/// With links that stay broken in every shape in which some replica reaches a quorum, a leader is
/// found and kept.
#[test]
fn progress_while_links_stay_broken() {
    let first = number("SYNOD_SEED", 1);
    for seed in first..first + number("SYNOD_SEEDS", 2) {
        for (nth, shape) in Shape::ALL.into_iter().enumerate() {
            let odd = seed as usize + nth;
            let swarm = Swarm::from_seed(seed).with(|parts| {
                parts.settings.replicas = if nth as u64 % 4 == seed % 4 { 3 } else { 5 };
                parts.settings.config.quorums = QuorumSystem::Majority;
                parts.weather.links.single.clear();
                parts.chaos_micros = 500_000;
                // A slot that one disk has lost uses up a failure that these shapes need.
                parts.weather.rot_permille = 0;
                parts.weather.disks = DiskFaults::NONE;
                parts.mode = Mode::Partial { shape, odd };
            });
            if let Err(violation) = simulate(swarm.as_ref().expect("the parts make sense")) {
                panic!("SYNOD_SEED={seed} SYNOD_SEEDS=1: {shape:?} {odd} {swarm:?}\n{violation}");
            }
        }
    }
}
