//! The harness itself: what it reports, that it repeats, and that its disk and network do what they
//! say.

mod claims;
mod disks;
mod hand_overs;
mod network;
mod strangers;
mod swarm;

use core::cell::Cell;
use std::string::String;
use std::vec::Vec;

use super::cluster::Cluster;
use super::cuts::Cuts;
use super::disk::{Disk, Journal};
use super::driver::Driver;
use super::host::{DiskKind, Settings};
use super::oracle::{Broken, broken, index_of};
use super::{Ending, Schedule, Step, Swarm, play, simulate, watch};
use crate::ballot::Ballot;
use crate::config::Config;
use crate::entry::Entry;
use crate::membership::{ClusterId, ReplicaId};
use crate::record::{Lsn, Record};
use crate::slot::Slot;

fn settings() -> Settings {
    Settings {
        replicas: 3,
        config: Config::new([]),
        priorities: Vec::new(),
        formed: true,
        slow_machines: false,
        disk: DiskKind::Journal,
        frame_bytes_max: None,
        seed: 1,
    }
}

fn driver(text: bool) -> Driver {
    Driver::new(Cluster::new(&settings(), text), 1)
}

fn start(driver: &mut Driver) -> Result<(), Broken> {
    (0..3).try_for_each(|at| driver.start(at))?;
    driver.run_for(500_000)
}

#[test]
fn a_panic_in_a_run_is_a_violation_with_a_trace() {
    let violation = watch(driver, |driver| {
        start(driver)?;
        panic!("an assertion inside the core");
    })
    .unwrap_err();
    assert_eq!(
        (violation.invariant, violation.text.as_str()),
        ("PANIC", "an assertion inside the core")
    );
    assert!(violation.step > 0 && violation.time.as_micros() == 500_000);
    assert!(violation.trace.iter().any(|line| line.contains("Heartbeat")), "{violation}");
    assert!(violation.trace.len() <= 200);
}

#[test]
fn a_run_that_fails_only_once_is_reported_as_such() {
    let first = Cell::new(true);
    let violation = watch(driver, |_| {
        if first.replace(false) { broken("AGR", String::from("once")) } else { Ok(()) }
    })
    .unwrap_err();
    assert_eq!(violation.invariant, "REPRO");
}

#[test]
fn a_cluster_in_fair_weather_elects_one_leader_and_chooses() {
    let report = watch(driver, |driver| {
        start(driver)?;
        let (leader, ballot) = driver.cluster.leader().unwrap();
        assert_eq!(ballot.round, 1);
        for _ in 0..10 {
            driver.cluster.propose(leader, 100)?.unwrap();
        }
        driver.run_for(100_000)?;
        driver.cluster.conv_all_equal()
    })
    .unwrap();
    assert_eq!((report.elections, report.acknowledged), (1, 10));
    assert!(report.slots >= 1);
}

#[test]
fn an_acknowledged_command_survives_a_loss_of_power_and_is_counted() {
    let steps = std::vec![
        Step::Pass { micros: 200_000 },
        Step::Settle { rounds: 8 },
        Step::Propose { replica: 1, bytes: 8 },
        Step::Settle { rounds: 3 },
    ];
    let schedule = Schedule { replicas: 5, seed: 0, formed: true, steps };
    let report = play(&schedule, Ending::Stop).unwrap();
    assert_eq!(report.acknowledged, 1);
    let report = play(&schedule, Ending::LosePower).unwrap();
    assert!(report.acknowledged >= 2, "the heal proposes too: {report:?}");
}

#[test]
fn seeds_differ_and_repeat() {
    let hash = |seed| {
        let swarm = Swarm::from_seed(seed).with(|parts| parts.chaos_micros = 300_000).unwrap();
        simulate(&swarm).unwrap().trace_hash
    };
    let hashes: Vec<u64> = (0..5).map(hash).collect();
    assert_eq!(hashes, (0..5).map(hash).collect::<Vec<u64>>());
    for (i, hash) in hashes.iter().enumerate() {
        assert!(!hashes[..i].contains(hash));
    }
}

fn journal() -> std::boxed::Box<dyn Disk> {
    Journal::boxed(ClusterId::default(), ReplicaId(1), 1)
}

fn accepted(slot: u64, round: u64) -> Record {
    let ballot = Ballot { round, replica: ReplicaId(1) };
    Record::Accepted { slot: Slot(slot), ballot, entry: Entry::Noop }
}

#[test]
fn a_crash_keeps_what_is_durable_and_a_prefix_of_the_rest() {
    for luck in 0..6 {
        let mut journal = journal();
        (1..=2).for_each(|n| journal.append(Lsn(n), &accepted(n, 1), Slot::ZERO).unwrap());
        let number = journal.start_sync().unwrap();
        assert!(number.is_some());
        assert_eq!(journal.start_sync().unwrap(), None, "one sync at a time");
        journal.append(Lsn(3), &accepted(3, 1), Slot::ZERO).unwrap();
        assert_eq!(journal.finish_sync(number).unwrap(), Some(Lsn(2)));
        journal.append(Lsn(4), &accepted(4, 1), Slot::ZERO).unwrap();
        journal.crash(luck);
        assert_eq!(journal.finish_sync(None).unwrap(), None);
        let recovered = journal.open().unwrap();
        assert_eq!(recovered.last, Lsn(2 + luck % 3));
        assert_eq!(recovered.accepted.len() as u64, 2 + luck % 3);
        assert_eq!(recovered.me.incarnation.count(), 1);
        assert_eq!(journal.look(Slot(4)).is_some(), luck % 3 == 2);
    }
}

#[test]
fn a_learned_record_outranks_accepted_ones() {
    let mut journal = journal();
    let learned = Ballot { round: 3, replica: ReplicaId(1) };
    journal.append(Lsn(1), &accepted(0, 1), Slot::ZERO).unwrap();
    let record = Record::Chosen { slot: Slot(0), ballot: learned, entry: Entry::Noop };
    journal.append(Lsn(2), &record, Slot::ZERO).unwrap();
    journal.append(Lsn(3), &accepted(0, 9), Slot(1)).unwrap();
    assert_eq!(journal.look(Slot(0)), Some((learned, Entry::Noop)));
    assert_eq!(journal.look(Slot(1)), None);
}

#[test]
fn cuts_have_the_shapes_that_their_names_say() {
    let cut = |shape: fn(&mut Cuts)| {
        let mut cuts = Cuts::none(4);
        shape(&mut cuts);
        let pairs = (0..4).flat_map(|from| (0..4).map(move |to| (from, to)));
        pairs.filter(|(from, to)| cuts.is_cut(*from, *to)).collect::<Vec<_>>()
    };
    assert_eq!(cut(|cuts| cuts.cut(1, 2)), [(1, 2)]);
    assert_eq!(cut(|cuts| cuts.only_hub(0)), [(1, 2), (1, 3), (2, 1), (2, 3), (3, 1), (3, 2)]);
    assert_eq!(cut(Cuts::chain), [(0, 2), (0, 3), (1, 3), (2, 0), (3, 0), (3, 1)]);
    let side = [(0, 2), (0, 3), (1, 2), (1, 3), (2, 0), (2, 1), (3, 0), (3, 1)];
    assert_eq!(cut(|cuts| cuts.split(0b0011)), side);
    assert_eq!(
        cut(|cuts| {
            cuts.split(0b0011);
            cuts.heal();
        }),
        []
    );
}
