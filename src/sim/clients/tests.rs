use super::{Clients, Crowd};
use crate::config::Config;
use crate::sim::cluster::Cluster;
use crate::sim::driver::Driver;
use crate::sim::host::{DiskKind, Settings};
use crate::sim::service::Standing;

const ONE: Clients = Clients {
    count: 1,
    outstanding: 1,
    patience_micros: (50_000, 0),
    retries: 0,
    roam_permille: 0,
    read_permille: 0,
};

/// Three replicas with a leader, in fair weather.
fn led() -> Driver {
    let settings = Settings {
        replicas: 3,
        config: Config::new([]),
        priorities: std::vec![],
        formed: true,
        slow_machines: false,
        disk: DiskKind::Journal,
        frame_bytes_max: None,
        seed: 1,
    };
    let mut driver = Driver::new(Cluster::new(&settings, false), 1);
    (0..3).for_each(|at| driver.start(at).unwrap());
    driver.run_for(500_000).unwrap();
    driver
}

fn turn(crowd: &mut Crowd, driver: &mut Driver) {
    crowd.turn(&mut driver.cluster, 8).unwrap();
}

fn sent(driver: &Driver) -> u64 {
    driver.cluster.service.operations().0
}

#[test]
fn a_client_stays_with_a_follower_that_forwards_its_commands() {
    let (mut driver, mut crowd) = (led(), Crowd::new(&ONE, 1));
    let follower = (driver.cluster.leader().unwrap().0 + 1) % 3;
    crowd.clients[0].favourite = Some(follower);
    for nth in 1..=5 {
        turn(&mut crowd, &mut driver);
        assert_eq!((sent(&driver), driver.cluster.marks.forwards), (nth, nth));
        assert_eq!(crowd.clients[0].favourite, Some(follower));
        driver.run_for(20_000).unwrap();
    }
    turn(&mut crowd, &mut driver);
    assert_eq!(driver.cluster.service.operations(), (6, 5));
}

#[test]
fn a_client_sends_no_more_than_it_may_wait_for() {
    let (mut driver, mut crowd) = (led(), Crowd::new(&Clients { outstanding: 3, ..ONE }, 1));
    (0..5).for_each(|_| turn(&mut crowd, &mut driver));
    assert_eq!(sent(&driver), 3);
    driver.run_for(20_000).unwrap();
    turn(&mut crowd, &mut driver);
    assert_eq!(sent(&driver), 4);
}

#[test]
fn a_client_gives_up_and_sends_a_new_command_which_may_be_applied_as_well() {
    let (mut driver, mut crowd) = (led(), Crowd::new(&Clients { retries: 1, ..ONE }, 1));
    let leader = driver.cluster.leader().unwrap().0;
    driver.cluster.cuts.split(1 << leader);
    crowd.clients[0].favourite = Some(leader);
    turn(&mut crowd, &mut driver);
    driver.run_for(40_000).unwrap();
    turn(&mut crowd, &mut driver);
    assert_eq!(driver.cluster.marks.given_up, 0, "it is patient for 50 ms");
    driver.run_for(15_000).unwrap();
    crowd.clients[0].favourite = None;
    turn(&mut crowd, &mut driver);
    assert_eq!((driver.cluster.marks.given_up, driver.cluster.marks.retried), (1, 1));
    driver.heal_and_prove_life().unwrap();
    assert_ne!(driver.cluster.service.standing(0), Standing::Waiting, "the oracle knows its fate");
    driver.finish().unwrap();
}

#[test]
fn what_a_crashed_replica_took_in_stays_unknown_to_its_client() {
    let (mut driver, mut crowd) = (led(), Crowd::new(&ONE, 1));
    let leader = driver.cluster.leader().unwrap().0;
    crowd.clients[0].favourite = Some(leader);
    turn(&mut crowd, &mut driver);
    driver.cluster.crash(leader, 1);
    assert_eq!(driver.cluster.service.standing(0), Standing::Stopped);
    assert_eq!(driver.cluster.marks.stopped, 1);
    turn(&mut crowd, &mut driver);
    assert_eq!(driver.cluster.service.operations().1, 0);
    driver.heal_and_prove_life().unwrap();
    assert_eq!(driver.cluster.service.standing(0), Standing::Stopped, "for good");
    driver.finish().unwrap();
}

#[test]
fn seeds_choose_habits_of_every_kind() {
    let habits = |seed| Clients::from_seed(seed);
    assert_eq!(habits(3), habits(3));
    assert!((0..50).any(|seed| habits(seed).retries == 0 && habits(seed).count > 1));
    assert!((0..50).any(|seed| habits(seed).retries > 0 && habits(seed).outstanding == 1));
}
