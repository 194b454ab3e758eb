use std::string::ToString;
use std::vec::Vec;

use super::{Hardship, Reduction};
use crate::sim::{Mode, Senseless, Shape, Swarm, simulate};

#[test]
fn each_hardship_comes_up_and_can_be_taken_out() {
    for hardship in Hardship::ALL {
        assert_eq!(hardship.to_string().parse(), Ok(hardship));
        let mut swarms = (0..200).map(Swarm::from_seed);
        let swarm = swarms.find(|swarm| hardship.is_in(swarm)).expect("one in 200 has it");
        let others = |swarm: &Swarm| -> Vec<Hardship> {
            let linked = [Hardship::Frames, Hardship::Neighbours, Hardship::OddLinks];
            // What goes wrong with the real log goes with it.
            let of_wal = [
                Hardship::FailingDisks,
                Hardship::FullDisks,
                Hardship::Misfits,
                Hardship::LostDirectories,
            ];
            let gone = |one: &Hardship| hardship == Hardship::Wal && of_wal.contains(one);
            let other = |one: &Hardship| *one != hardship && !linked.contains(one) && !gone(one);
            Hardship::ALL.into_iter().filter(|one| other(one) && one.is_in(swarm)).collect()
        };
        let without = Reduction { without: [hardship].into(), ..Reduction::default() };
        let easier = without.of(&swarm).expect("what is left makes sense");
        assert!(!hardship.is_in(&easier), "{hardship}");
        if hardship != Hardship::OddLinks {
            assert_eq!(others(&easier), others(&swarm), "{hardship} takes others with it");
        }
    }
}

#[test]
fn a_name_that_is_none_is_refused_with_those_that_there_are() {
    let refused = "comets".parse::<Hardship>().unwrap_err().to_string();
    assert!(refused.contains("\"comets\"") && refused.contains("crashes, power-cuts, rot"));
}

#[test]
fn a_swarm_without_hardships_is_one_in_fair_weather() {
    for seed in 0..64 {
        let without = Reduction { without: Hardship::ALL.into(), ..Reduction::default() };
        let swarm = without.of(&Swarm::from_seed(seed)).expect("nothing is left to be senseless");
        let parts = swarm.parts();
        let weather = &parts.weather;
        let links = &weather.links.usual;
        assert_eq!((links.loss_permille, links.duplicate_permille), (0, 0));
        assert_eq!((weather.crash_every_micros, weather.cut_every_micros), (None, None));
        assert_eq!((weather.crash_all_every_micros, weather.rot_permille), (None, 0));
        assert!(parts.settings.formed && parts.drift_millionths == 0);
        assert!(Hardship::ALL.into_iter().all(|hardship| !hardship.is_in(&swarm)));
    }
}

#[test]
fn no_difference_says_and_does_nothing() {
    let swarm = Swarm::from_seed(3);
    assert_eq!(Reduction::default().of(&swarm), Ok(swarm));
    assert_eq!(Reduction::default().to_string(), "");
}

#[test]
fn a_difference_is_shown_as_options() {
    let reduction = Reduction {
        without: [Hardship::Loss, Hardship::Crashes].into(),
        replicas: Some(3),
        chaos_millis: Some(40),
        commands: Some(2),
        odds_percent: 50,
        luck: 1,
    };
    let options = "--without crashes,loss --replicas 3 --chaos-ms 40 --commands 2 --odds 50 \
                   --luck 1";
    assert_eq!(reduction.to_string(), options);
    let swarm = Swarm::from_seed(3).with(|parts| {
        parts.weather.links.usual.duplicate_permille = 5;
        parts.mode = Mode::HealAll;
    });
    let swarm = swarm.expect("it makes sense");
    let smaller = reduction.of(&swarm).expect("it makes sense");
    let parts = smaller.parts();
    let odds = parts.weather.links.usual.duplicate_permille;
    assert_eq!(odds, 3, "rounded up, so that it stays on");
    assert_eq!((parts.settings.replicas, parts.chaos_micros), (3, 40_000));
    assert_eq!(parts.commands_max, Some(2));
    assert_ne!(parts.settings.seed, swarm.parts().settings.seed);
}

#[test]
fn fewer_replicas_have_fewer_links_and_may_make_no_sense() {
    let odd = |swarm: &Swarm| swarm.parts().weather.links.single.len() > 12;
    let swarm = (0..500).map(Swarm::from_seed).find(odd).expect("links of their own");
    let swarm = swarm.with(|parts| parts.mode = Mode::HealAll).expect("it makes sense");
    let pair = Reduction { replicas: Some(2), ..Reduction::default() };
    assert_eq!(pair.of(&swarm).expect("it makes sense").parts().weather.links.single.len(), 2);
    let mode = Mode::Partial { shape: Shape::Mute, odd: 0 };
    let swarm = swarm.with(|parts| parts.mode = mode).expect("more than two are enough");
    assert_eq!(pair.of(&swarm), Err(Senseless::Shape { shape: Shape::Mute, replicas: 2 }));
}

#[test]
fn no_more_commands_are_sent_than_allowed() {
    for seed in 1..6 {
        let swarm = Swarm::fault_free(seed);
        let none = Reduction { commands: Some(0), ..Reduction::default() };
        let some = Reduction { commands: Some(7), ..Reduction::default() };
        let operations = |reduction: &Reduction| {
            let swarm = reduction.of(&swarm).expect("it makes sense");
            simulate(&swarm).expect("a clean run").operations
        };
        // The proof of life proposes a few of its own.
        let own = operations(&none);
        assert!(own < 30, "seed {seed}: {own}");
        assert!((7..7 + 30).contains(&operations(&some)), "seed {seed}");
        assert!(operations(&Reduction::default()) > 60, "seed {seed}");
    }
}
