//! Elections under partial connectivity: links break while a chosen replica leads, and something
//! must be chosen within four election timeouts, with hardly a change of leader after that.
//!
//! `SYNOD_SEEDS` says how many seeds for each place of the leader, `SYNOD_SEED` the first. The
//! example `simulate` has an option, `--partial`, that does the same for many, and prints a table.

use synod::sim::{Fracture, Trial};

fn number(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |text| {
        text.parse().unwrap_or_else(|_| panic!("{name}={text} is no number"))
    })
}

/// Measures at every place of the leader.
fn every_place(replicas: usize, fractures: &[Fracture]) {
    let first = number("SYNOD_SEED", 1);
    for fracture in fractures {
        for leader in fracture.places(replicas) {
            for seed in first..first + number("SYNOD_SEEDS", 1) {
                let trial =
                    Trial { fracture: Some(*fracture), replicas, leader, preferred: None, seed };
                match trial.run() {
                    Ok(course) => assert_eq!(course.miss(), None, "{trial:?}: {course:?}"),
                    Err(violation) => panic!("{trial:?}\n{violation}"),
                }
            }
        }
    }
}

#[test]
fn three_replicas_go_on_wherever_the_leader_stands() {
    every_place(3, &Fracture::ALL);
}

#[test]
fn five_replicas_go_on_wherever_the_leader_stands() {
    every_place(5, &Fracture::ALL);
}

/// The situations of the paper, and those in which a leader is heard or hears alone.
#[test]
fn seven_replicas_go_on_wherever_the_leader_stands() {
    let fractures = [
        Fracture::QuorumLoss,
        Fracture::Constrained,
        Fracture::Chained,
        Fracture::Mute,
        Fracture::Deaf,
        Fracture::RandomDirections,
    ];
    every_place(7, &fractures);
}

/// A replica that should rather lead may reach the leader and too few others. Giving it the lead
/// again and again would be a change of leader each time.
#[test]
fn five_replicas_go_on_when_one_that_cannot_should_rather_lead() {
    let fractures = [
        Fracture::QuorumLoss,
        Fracture::Chained,
        Fracture::OneLinkLess,
        Fracture::RandomLinks,
        Fracture::RandomDirections,
    ];
    let first = number("SYNOD_SEED", 1);
    for fracture in fractures {
        for leader in fracture.places(5) {
            for preferred in (0..5).filter(|place| *place != leader) {
                for seed in first..first + number("SYNOD_SEEDS", 1) {
                    let (fracture, preferred) = (Some(fracture), Some(preferred));
                    let trial = Trial { fracture, replicas: 5, leader, preferred, seed };
                    match trial.run() {
                        Ok(course) => assert_eq!(course.miss(), None, "{trial:?}: {course:?}"),
                        Err(violation) => panic!("{trial:?}\n{violation}"),
                    }
                }
            }
        }
    }
}

/// With whole links, and with links that stay broken, nobody tries to lead once a leader is found.
#[test]
fn there_is_no_election_at_rest() {
    let rest = |fracture, replicas, leader, seconds| {
        let trial =
            Trial { fracture, replicas, leader, preferred: None, seed: number("SYNOD_SEED", 1) };
        trial.rest(seconds).unwrap_or_else(|violation| panic!("{trial:?}\n{violation}"));
    };
    for replicas in [3, 5, 7] {
        rest(None, replicas, 0, 600);
    }
    for fracture in Fracture::ALL {
        for leader in fracture.places(5) {
            rest(Some(fracture), 5, leader, 20);
        }
    }
}
