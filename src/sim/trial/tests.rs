use super::{Course, Trial, leads, make_leader};
use crate::sim::Fracture;
use crate::sim::driver::Driver;
use crate::sim::oracle::Broken;
use crate::sim::swarm::{self, Swarm};

fn driver(trial: &Trial) -> Driver {
    Swarm::new(trial.parts()).unwrap().driver(false)
}

#[test]
fn whoever_is_to_lead_does() -> Result<(), Broken> {
    for leader in 0..5 {
        for seed in 0..5 {
            let trial = Trial { fracture: None, replicas: 5, leader, preferred: None, seed };
            let mut driver = driver(&trial);
            swarm::begin(&mut driver, &trial.parts())?;
            make_leader(&mut driver, leader)?;
            assert_eq!(driver.cluster.leading, 1, "nobody led before");
            leads(&driver, leader)?;
            let other = leads(&driver, (leader + 1) % 5);
            assert_eq!(other.unwrap_err().invariant, "REPRO");
        }
    }
    Ok(())
}

#[test]
fn the_odd_one_has_missed_something_where_that_is_the_point() -> Result<(), Broken> {
    let fracture = Some(Fracture::Constrained);
    let trial = Trial { fracture, replicas: 5, leader: 3, preferred: None, seed: 9 };
    let mut driver = driver(&trial);
    trial.begin(&mut driver)?;
    let odd = trial.odd();
    assert_eq!((odd, trial.at(trial.leader)), (4, 2));
    for at in 0..4 {
        assert!(super::chosen(&driver, odd) < super::chosen(&driver, at));
    }
    // Nobody reaches the leader, and of the others only the odd one reaches a majority.
    assert_eq!(driver.cluster.cuts.in_touch_with(2), [2]);
    assert_eq!(driver.cluster.cuts.in_touch_with(0), [0, 4, 1, 3]);
    Ok(())
}

/// A chain of seven: each reaches three at the most.
#[test]
fn nothing_is_chosen_where_nobody_reaches_a_majority() {
    let fracture = Some(Fracture::Chained);
    let course =
        Trial { fracture, replicas: 7, leader: 3, preferred: None, seed: 1 }.run().unwrap();
    assert_eq!(course.first_choice_micros, None);
    assert_eq!(course.miss().unwrap(), "nothing was chosen");
}

#[test]
fn a_course_is_judged_at_its_limits() {
    let good = Course {
        timeout_micros: 1000,
        first_choice_micros: Some(4000),
        pause_micros: 4000,
        elections_before: 9,
        elections_after: 2,
    };
    assert_eq!(good.miss(), None);
    let misses = [
        (Course { first_choice_micros: Some(4001), ..good }, "first choice took 4001"),
        (Course { pause_micros: 4001, ..good }, "chosen for 4001"),
        (Course { elections_after: 3, ..good }, "3 elections after"),
        (Course { first_choice_micros: None, ..good }, "nothing was chosen"),
    ];
    for (course, expected) in misses {
        assert!(course.miss().unwrap().contains(expected), "{course:?}");
    }
}
