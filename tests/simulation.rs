//! Seeded runs of the simulated cluster: seconds of chaos, then repair and proof of life.
//!
//! `SYNOD_SEEDS` says how many seeds, `SYNOD_SEED` the first:
//!
//! ```text
//! SYNOD_SEEDS=20000 cargo test --release --test simulation
//! SYNOD_SEED=4711 SYNOD_SEEDS=1 cargo test --test simulation
//! ```

use std::time::Duration;

use synod::sim::{
    Marks, Report, Shape, Swarm, Violation, simulate, simulate_fault_free, simulate_partial,
};

fn number(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |text| {
        text.parse().unwrap_or_else(|_| panic!("{name}={text} is no number"))
    })
}

/// Runs the seeds and adds up what they did.
fn run_seeds(
    count: u64,
    swarm: fn(u64) -> Swarm,
    run: fn(&Swarm) -> Result<Report, Violation>,
) -> (Duration, u64, Marks) {
    let first = number("SYNOD_SEED", 1);
    let (mut time, mut slots, mut marks) = (Duration::ZERO, 0, Marks::default());
    for seed in first..first + number("SYNOD_SEEDS", count) {
        let swarm = swarm(seed);
        match run(&swarm) {
            Ok(report) => {
                time += Duration::from_micros(report.time.as_micros());
                slots += report.slots;
                marks.add(&report.marks);
            }
            Err(violation) => panic!("SYNOD_SEED={seed} SYNOD_SEEDS=1: {swarm:?}\n{violation}"),
        }
    }
    (time, slots, marks)
}

#[test]
fn chaos_then_repair() {
    let seeds = number("SYNOD_SEEDS", 40);
    let (time, slots, marks) = run_seeds(40, Swarm::from_seed, simulate);
    assert!(time >= Duration::from_secs(2) * seeds as u32);
    println!("{seeds} seeds, {time:?} simulated, {slots} slots chosen\n{marks:#?}");
    if seeds >= 100 {
        assert!(slots >= 100 * seeds, "too little happens in these runs: {slots} slots");
        for (name, count) in marks.fields() {
            assert!(count > 0, "{name}: never in {seeds} seeds");
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
            let mut swarm = Swarm::from_seed(seed);
            // A chain of more has no replica that reaches a quorum.
            swarm.settings.replicas = if shape == Shape::Chain { 3 } else { 5 };
            swarm.chaos_micros = 500_000;
            // A slot that one disk has lost uses up a failure that these shapes need.
            swarm.weather.rot_permille = 0;
            let odd = seed as usize + nth;
            if let Err(violation) = simulate_partial(&swarm, shape, odd) {
                panic!("SYNOD_SEED={seed} SYNOD_SEEDS=1: {shape:?} {odd} {swarm:?}\n{violation}");
            }
        }
    }
}
