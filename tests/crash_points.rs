//! A machine dies at every call of its disk, in every scripted situation.
//!
//! `cargo test` plays some of the crash points, spread over all of them; `SYNOD_CRASH_POINTS=all`
//! plays each, in some minutes if optimised:
//!
//! ```text
//! SYNOD_CRASH_POINTS=all cargo test --release --test crash_points -- --nocapture
//! ```

use synod::sim::{CrashPoint, Marks, Scenario, crash_points, play_crash_point};

/// How many crash points of each scenario are played unless all are.
const SOME: usize = 60;

fn all() -> bool {
    match std::env::var("SYNOD_CRASH_POINTS") {
        Ok(text) if text == "all" => true,
        Ok(text) => panic!("SYNOD_CRASH_POINTS={text}: only `all` is known"),
        Err(_) => false,
    }
}

fn play(point: &CrashPoint) -> Marks {
    match play_crash_point(point) {
        Ok(report) => report.marks,
        Err(violation) => panic!("{point:?}\n{violation}"),
    }
}

#[test]
fn every_call_of_a_disk_is_the_last_one_of_its_machine() {
    let (mut played, mut known, mut marks) = (0, 0, Marks::default());
    for scenario in Scenario::ALL {
        let points =
            crash_points(scenario).unwrap_or_else(|broken| panic!("{scenario:?} {broken}"));
        let stride = if all() { 1 } else { points.len().div_ceil(SOME) };
        // Not always the same kind of death.
        let chosen = points.iter().enumerate().filter(|(i, _)| (i * 7 + i / 12) % stride == 0);
        let before = played;
        for (_, point) in chosen {
            marks.add(&play(point));
            played += 1;
        }
        known += points.len();
        println!("{scenario:?}: {} of {} crash points", played - before, points.len());
        assert!(points.len() >= 24, "{scenario:?} has only {} crash points", points.len());
    }
    println!("{played} of {known} crash points are clean\n{marks:#?}");
    assert!(known >= 40_000, "only {known} crash points");
    assert!(marks.torn_tails > 0 && marks.failed_starts > 0 && marks.lost_records > 0);
}

#[test]
fn a_crash_point_plays_the_same_each_time() {
    let point = crash_points(Scenario::SegmentRoll).unwrap()[100];
    assert_eq!(play_crash_point(&point), play_crash_point(&point));
}
