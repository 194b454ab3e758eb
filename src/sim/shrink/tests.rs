use core::cell::Cell;
use std::string::String;
use std::vec::Vec;

use super::{Shrunk, shrink};
use crate::sim::oracle::broken;
use crate::sim::{
    DiskKind, Hardship, Mode, Parts, Reduction, Report, Swarm, Violation, simulate, swarm, watch,
};
use crate::time::Instant;

fn violation(invariant: &'static str, millis: u64) -> Violation {
    let time = Instant::from_millis(millis);
    Violation { step: 1, time, invariant, text: String::from("planted"), trace: Vec::new() }
}

fn changed(swarm: Swarm, change: impl FnOnce(&mut Parts)) -> Swarm {
    swarm.with(change).expect("it makes sense")
}

fn clean() -> Report {
    let swarm = changed(Swarm::fault_free(1), |parts| {
        (parts.settings.replicas, parts.chaos_micros) = (1, 1000);
    });
    simulate(&swarm).expect("nothing goes wrong")
}

/// A swarm with many hardships in it.
fn hard() -> Swarm {
    changed(Swarm::from_seed(1), |parts| {
        let weather = &mut parts.weather;
        weather.crash_every_micros = Some(100_000);
        weather.cut_every_micros = Some(100_000);
        weather.cut_micros = 1000;
        weather.links.usual.loss_permille = 100;
        weather.links.usual.duplicate_permille = 100;
        weather.rot_permille = 500;
        (parts.settings.replicas, parts.settings.disk) = (5, DiskKind::Wal);
        parts.settings.formed = false;
        parts.mode = Mode::HealCore;
    })
}

fn loses(swarm: &Swarm) -> bool {
    swarm.parts().weather.links.usual.loss_permille > 0
}

#[test]
fn what_a_failure_needs_is_kept_and_the_rest_is_dropped() {
    let report = clean();
    let run = |swarm: &Swarm| {
        let parts = swarm.parts();
        let needs = loses(swarm)
            && parts.weather.crash_every_micros.is_some()
            && parts.settings.replicas >= 3
            && parts.chaos_micros >= 100_000
            && parts.commands_max.is_none_or(|commands| commands >= 5);
        if needs { Err(violation("AGR", 700)) } else { Ok(report) }
    };
    let swarm = hard();
    let Shrunk { reduction, swarm: small, violation, .. } =
        shrink(&swarm, &Reduction::default(), 1000, run).expect("it fails");
    let needed = [Hardship::Crashes, Hardship::Loss];
    let left: Vec<Hardship> =
        Hardship::ALL.into_iter().filter(|hardship| hardship.is_in(&small)).collect();
    assert_eq!(left, needed);
    assert_eq!((reduction.replicas, reduction.commands), (Some(3), Some(5)));
    assert_eq!((reduction.odds_percent, reduction.luck), (10, 0));
    assert!((100..134).contains(&reduction.chaos_millis.expect("a shorter chaos")));
    assert_eq!(violation.invariant, "AGR");
    assert_eq!(reduction.of(&swarm).as_ref(), Ok(&small));
    assert_eq!(run(&small).unwrap_err(), violation);
}

#[test]
fn only_what_breaks_the_same_claim_counts() {
    let run = |swarm: &Swarm| Err(violation(if loses(swarm) { "AGR" } else { "LIVE" }, 5000));
    let shrunk = shrink(&hard(), &Reduction::default(), 1000, run).expect("it fails");
    assert_eq!(shrunk.violation.invariant, "AGR");
    assert!(!shrunk.reduction.without.contains(&Hardship::Loss), "{:?}", shrunk.reduction);
    assert_eq!((shrunk.reduction.replicas, shrunk.reduction.chaos_millis), (Some(1), Some(1)));
}

#[test]
fn another_course_of_a_smaller_swarm_may_be_the_one_that_fails() {
    let report = clean();
    let seed = hard().parts().settings.seed;
    let run = |swarm: &Swarm| {
        let settings = &swarm.parts().settings;
        let lucky = settings.replicas < 5 && settings.seed == seed;
        if lucky { Ok(report) } else { Err(violation("AGR", 5000)) }
    };
    let shrunk = shrink(&hard(), &Reduction::default(), 1000, run).expect("it fails");
    assert_eq!((shrunk.reduction.replicas, shrunk.reduction.luck), (Some(1), 1));
}

#[test]
fn a_clean_run_has_nothing_to_shrink() {
    let report = clean();
    assert!(shrink(&hard(), &Reduction::default(), 9, |_| Ok(report)).is_none());
}

#[test]
fn the_tries_are_bounded_and_counted() {
    for tries_max in [1, 2, 7, 40] {
        let runs = Cell::new(0);
        let run = |swarm: &Swarm| {
            runs.set(runs.get() + 1);
            if loses(swarm) { Err(violation("AGR", 700)) } else { Ok(clean()) }
        };
        let shrunk = shrink(&hard(), &Reduction::default(), tries_max, run).expect("it fails");
        assert_eq!((shrunk.tries, runs.get()), (tries_max, tries_max));
    }
}

/// A real run with a claim that does not hold: that no leader ever loses its place.
fn planted(swarm: &Swarm) -> Result<Report, Violation> {
    watch(
        |text| swarm.driver(text),
        |driver| {
            swarm::run(driver, swarm.parts())?;
            match driver.cluster.marks.deposed {
                0 => Ok(()),
                _ => broken("NOFLAP", String::from("planted: a leader lost its place")),
            }
        },
    )
}

#[test]
fn a_real_run_shrinks_to_one_that_fails_alike_and_each_time_the_same() {
    let failing = |seed: &u64| planted(&short(*seed)).is_err();
    let seed = (0..40).find(failing).expect("leaders lose their places");
    let swarm = short(seed);
    let shrunk = shrink(&swarm, &Reduction::default(), 60, planted).expect("it fails");
    let again = shrink(&swarm, &Reduction::default(), 60, planted).expect("it fails");
    assert_eq!((&shrunk.reduction, &shrunk.violation), (&again.reduction, &again.violation));
    assert_ne!(shrunk.reduction, Reduction::default(), "nothing became smaller");
    let small = shrunk.reduction.of(&swarm).expect("it ran");
    assert_eq!(planted(&small).unwrap_err(), shrunk.violation);
    assert_eq!(shrunk.violation.invariant, "NOFLAP");
    assert!(shrunk.tries <= 60);
}

fn short(seed: u64) -> Swarm {
    changed(Swarm::from_seed(seed), |parts| parts.chaos_micros = 500_000)
}
