//! Golden hashes: what some seeds do, to the last input and output, must be the same on every
//! machine and in every build.
//!
//! A change of what replicas say, or of what the simulator draws, changes them. When that is meant,
//! `REWRITE=1 cargo test --test trace_golden` writes them anew.

use std::fmt::Write;
use std::fs;
use std::path::PathBuf;

use synod::sim::{Swarm, simulate, simulate_fault_free};

/// So many seeds of everything, and some of each profile.
const SEEDS: u64 = 20;
const SEEDS_OF_PROFILE: u64 = 2;

fn path() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden/traces.txt")
}

fn line(profile: &str, seed: u64) -> String {
    let swarm = Swarm::profile(profile, seed).expect("a profile");
    let run = if profile == "calm" { simulate_fault_free } else { simulate };
    let report = run(&swarm).unwrap_or_else(|error| panic!("{profile}, seed {seed}: {error}"));
    format!("{profile} {seed} {} {:016x}", report.steps, report.trace_hash)
}

#[test]
fn seeds_do_what_they_did_when_their_hashes_were_taken() {
    let mut text = String::from("# profile, seed, steps, hash of every input and output\n");
    for profile in Swarm::PROFILES {
        let usual = profile == Swarm::PROFILES[0];
        for seed in 1..=if usual { SEEDS } else { SEEDS_OF_PROFILE } {
            writeln!(text, "{}", line(profile, seed)).expect("a string takes all");
        }
    }
    if std::env::var("REWRITE").is_ok() {
        fs::write(path(), &text).expect("written");
    }
    let golden = fs::read_to_string(path()).expect("the golden hashes");
    for (now, then) in text.lines().zip(golden.lines()) {
        assert_eq!(now, then, "tests/golden/traces.txt says otherwise");
    }
    assert_eq!(text.lines().count(), golden.lines().count());
}
