//! Hand-overs, clean stops and priorities, in simulated time.

use std::vec;
use std::vec::Vec;

use super::*;
use crate::replica::Role;
use crate::sim::clients::{Clients, Crowd};
use crate::sim::weather::Weather;

/// How often a command is proposed, somewhere.
const EVERY_MICROS: u64 = 300;
/// How often the cluster is looked at.
const LOOK_MICROS: u64 = 50;

fn with_priorities(priorities: &[u8]) -> Driver {
    let replicas = priorities.len();
    let settings = Settings { replicas, priorities: priorities.to_vec(), ..settings() };
    Driver::new(Cluster::new(&settings, false), 1)
}

/// A cluster of so many that has a leader, and a command to choose every now and then.
fn busy(replicas: usize) -> Result<Driver, Broken> {
    let mut driver = with_priorities(&vec![1; replicas]);
    let habits = Clients {
        count: 4,
        outstanding: 64,
        patience_micros: (1_000_000, 0),
        retries: 3,
        roam_permille: 1000,
        read_permille: 0,
    };
    driver.clients = Crowd::new(&habits, 1);
    (0..replicas).try_for_each(|at| driver.start(at))?;
    driver.set_weather(Weather { propose_every_micros: Some(EVERY_MICROS), ..Weather::FAIR });
    driver.run_for(500_000)?;
    Ok(driver)
}

fn leader(driver: &Driver) -> usize {
    driver.cluster.leader().expect("somebody leads").0
}

/// The longest time in which nothing is chosen, of so much, in microseconds.
fn longest_pause(driver: &mut Driver, micros: u64) -> Result<u64, Broken> {
    let (mut longest, mut since) = (0, 0);
    for _ in 0..micros / LOOK_MICROS {
        let before = driver.cluster.oracle.slots_chosen();
        driver.run_for(LOOK_MICROS)?;
        since =
            if driver.cluster.oracle.slots_chosen() == before { since + LOOK_MICROS } else { 0 };
        longest = longest.max(since);
    }
    Ok(longest)
}

/// For how long nothing may be chosen because the leader changes at its own wish: seven messages of
/// up to 300 us, which are the last Accept and its Accepted, HandOver, Prepare, Promise, and the
/// next Accept and Accepted; and a sync for four of them, of up to 500 us, each of which may have
/// to wait for one that runs. Before that, up to 600 us may pass without a command. Nobody waits
/// for a timeout, which is 120 ms.
const PAUSE_MICROS: u64 = 7 * 300 + 4 * 2 * 500 + 2 * EVERY_MICROS + 2 * LOOK_MICROS;

#[test]
fn a_hand_over_pauses_a_busy_cluster_for_no_timeout() {
    for replicas in [2, 3, 5] {
        let mut driver = busy(replicas).unwrap();
        for _ in 0..5 {
            let from = leader(&driver);
            let to = (from + 1) % replicas;
            assert_eq!(driver.cluster.transfer(from, to).unwrap(), Ok(()));
            let pause = longest_pause(&mut driver, 100_000).unwrap();
            assert_eq!(leader(&driver), to);
            assert!(pause <= PAUSE_MICROS, "{replicas} replicas: {pause} us");
        }
        assert_eq!(driver.cluster.marks.handed_over, 5);
        driver.heal_and_prove_life().unwrap();
    }
}

/// The same for a leader that is stopped cleanly; one that only loses its power costs a timeout.
#[test]
fn a_clean_stop_of_the_leader_pauses_the_others_for_no_timeout() {
    let mut driver = busy(3).unwrap();
    let first = leader(&driver);
    let next = driver.cluster.resign(first).unwrap().expect("somebody else lives");
    let handed = longest_pause(&mut driver, 20_000).unwrap();
    driver.take_down(first);
    let stopped = longest_pause(&mut driver, 500_000).unwrap();
    assert_eq!(leader(&driver), index_of(next));
    assert!(handed.max(stopped) <= PAUSE_MICROS, "{handed} and {stopped} us");
    driver.start(first).unwrap();
    driver.run_for(200_000).unwrap();
    let second = leader(&driver);
    driver.take_down(second);
    assert!(longest_pause(&mut driver, 500_000).unwrap() >= 100_000);
}

/// If nobody takes over, the leader goes on after a timeout, and has refused nothing.
#[test]
fn a_hand_over_that_comes_to_nothing_costs_a_timeout_at_the_most() {
    let mut driver = busy(3).unwrap();
    let from = leader(&driver);
    let to = (from + 1) % 3;
    // It can be reached, and answers; but its Prepares reach nobody.
    let elections = driver.cluster.leading;
    driver.cluster.cuts.mute(to);
    assert_eq!(driver.cluster.transfer(from, to).unwrap(), Ok(()));
    let pause = longest_pause(&mut driver, 400_000).unwrap();
    assert!(pause <= 10_000, "a target that does not answer costs nothing, not {pause} us");
    assert_eq!((leader(&driver), driver.cluster.leading), (from, elections));
    assert_eq!(driver.cluster.marks.hand_overs_given_up, 1);
    driver.heal_and_prove_life().unwrap();
}

#[test]
fn the_preferred_replica_leads_again_after_it_returns() {
    let mut driver = with_priorities(&[1, 1, 7, 1, 0]);
    (0..5).try_for_each(|at| driver.start(at)).unwrap();
    driver.run_for(2_000_000).unwrap();
    assert_eq!(leader(&driver), 2);
    driver.take_down(2);
    driver.run_for(2_000_000).unwrap();
    assert!([0, 1, 3].contains(&leader(&driver)), "the last resort does not lead");
    driver.start(2).unwrap();
    driver.run_for(3_000_000).unwrap();
    assert_eq!(leader(&driver), 2);
    assert!(driver.cluster.marks.preferred_led >= 1);
    let led = driver.cluster.leading;
    driver.run_for(60_000_000).unwrap();
    assert_eq!(driver.cluster.leading, led, "no elections at rest");
    assert!(led <= 5, "{led} elections");
}

#[test]
fn the_last_resort_leads_when_nobody_else_can() {
    let mut driver = with_priorities(&[0, 0, 0]);
    (0..3).try_for_each(|at| driver.start(at)).unwrap();
    driver.run_for(1_000_000).unwrap();
    driver.cluster.leader().expect("one of them");
    assert_eq!(driver.cluster.leading, 1);
}

/// With each link cut alone, in one direction or both, the leader settles and stays.
#[test]
fn no_single_link_that_is_cut_makes_the_preferred_replica_come_and_go() {
    let pairs = (0..3).flat_map(|from| (0..3).map(move |to| (from, to)));
    for (from, to) in pairs.filter(|(from, to)| from != to) {
        for both in [false, true] {
            let mut driver = with_priorities(&[3, 2, 1]);
            (0..3).try_for_each(|at| driver.start(at)).unwrap();
            driver.run_for(2_000_000).unwrap();
            let led = driver.cluster.leading;
            driver.cluster.cuts.cut(from, to);
            if both {
                driver.cluster.cuts.cut(to, from);
            }
            driver.run_for(60_000_000).unwrap();
            let changes = driver.cluster.leading - led;
            assert!(changes <= 4, "{changes} changes with {from}->{to} cut, both: {both}");
            let led = driver.cluster.leading;
            driver.run_for(60_000_000).unwrap();
            assert_eq!(driver.cluster.leading, led, "{from}->{to} cut, both: {both}");
        }
    }
}

/// The preferred one reaches whoever leads, and nobody else. The wait doubles each time, from 4
/// timeouts to 256: in 1,000 of them that is ten attempts, each of which may cost two elections.
#[test]
fn a_preferred_replica_that_cannot_lead_is_tried_ever_more_rarely() {
    let mut driver = with_priorities(&[1, 1, 1, 1, 7]);
    (0..4).try_for_each(|at| driver.start(at)).unwrap();
    driver.run_for(1_000_000).unwrap();
    let leader = leader(&driver);
    for at in (0..4).filter(|at| *at != leader) {
        driver.cluster.cuts.cut(at, 4);
        driver.cluster.cuts.cut(4, at);
    }
    driver.start(4).unwrap();
    let timeout = driver.cluster.election_timeout_micros();
    let mut windows = Vec::new();
    for _ in 0..2 {
        let led = driver.cluster.leading;
        driver.run_for(500 * timeout).unwrap();
        windows.push(driver.cluster.leading - led);
    }
    assert!(windows[0] + windows[1] <= 20 && windows[1] <= 8, "{windows:?} elections");
    driver.heal_and_prove_life().unwrap();
    let status = driver.cluster.status(4).expect("it is up");
    assert_eq!(status.role, Role::Leading);
}
