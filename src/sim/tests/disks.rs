//! Disks that go wrong: what the damage is like, that each wrong directory is refused for its own
//! reason, that settings must make sense, and that a false refusal would be found.

use std::boxed::Box;
use std::collections::BTreeSet;
use std::format;
use std::string::ToString;

use super::super::cluster::Cluster;
use super::super::disk::Disk;
use super::super::disk_faults::{DiskFaults, DiskFaultsError};
use super::super::host::{DiskKind, Identity, Settings};
use super::super::misfit::Misfit;
use super::super::wal_disk::WalDisk;
use super::super::{Mode, Senseless};
use super::{Driver, Swarm, accepted, settings, simulate};
use crate::membership::{ClusterId, ReplicaId};
use crate::record::{Lsn, Record};
use crate::slot::Slot;
use crate::wal::{Fault, HeapMedium, Kept, WalError};

const RECORDS: u64 = 40;

fn wal_disk(replica: u32) -> Box<dyn Disk> {
    WalDisk::boxed(ClusterId::default(), ReplicaId(replica), 3, true)
}

/// A log with some groups in two starts, ended by a power cut.
fn log(replica: u32) -> Box<dyn Disk> {
    let mut log = wal_disk(replica);
    for lsn in 1..=RECORDS {
        let record = if lsn % 10 == 5 {
            let ballot = crate::ballot::Ballot { round: lsn, replica: ReplicaId(1) };
            Record::Promised { ballot }
        } else {
            accepted(lsn, 40)
        };
        log.append(Lsn(lsn), &record, Slot::ZERO).unwrap();
        if lsn % 3 == 0 || lsn % (RECORDS / 2) == 0 {
            log.start_sync().unwrap();
            log.finish_sync(None).unwrap();
        }
        if lsn == RECORDS / 2 {
            log.wal().unwrap().cut_power(Kept::Nothing);
            log.open().unwrap();
        }
    }
    log.wal().unwrap().cut_power(Kept::Nothing);
    log
}

#[test]
fn damage_is_survived_or_named_and_never_makes_a_log_shorter() {
    let (mut named, mut mended, mut refused) = (0, 0, 0);
    for luck in 0..400 {
        let mut log = log(1);
        assert!(log.rot(luck, Slot::ZERO));
        for again in 0..luck % 3 {
            log.rot(luck * 1000 + again, Slot::ZERO);
        }
        match log.open() {
            Ok(recovered) => {
                assert_eq!(recovered.last, Lsn(RECORDS), "luck {luck}");
                assert_eq!(recovered.promised.round, 40, "luck {luck}");
                let open = recovered.accepted.len() as u64
                    + recovered.faulty.iter().map(|run| run.slots.len()).sum::<u64>();
                assert_eq!(open, RECORDS - 4, "luck {luck}");
                let found = log.wal().unwrap().findings().unwrap();
                named += u64::from(found.lost);
                mended += u64::from(found.mended);
            }
            Err(error) => {
                // Only where a copy of the superblock is spoilt, and something else too.
                assert!(luck % 3 > 0, "luck {luck}: {error}");
                assert!(log.wal().unwrap().explains(&error), "luck {luck}: {error}");
                refused += 1;
            }
        }
    }
    assert!(named > 50 && mended > 10 && refused < 40, "{named} {mended} {refused}");
}

#[test]
fn each_wrong_directory_is_refused_for_its_own_reason_and_stays_as_it_is() {
    let mut texts = BTreeSet::new();
    for misfit in Misfit::ALL {
        let (mut log, mut other) = (log(1), log(2));
        let neighbour = other.wal().unwrap().medium().clone();
        assert!(log.wal().unwrap().lay(misfit, &neighbour, 1), "{misfit:?}");
        assert!(!log.wal().unwrap().lay(misfit, &neighbour, 1), "only one lies there");
        let error = log.open().unwrap_err();
        assert!(log.wal().unwrap().explains(&error), "{misfit:?}: {error}");
        texts.insert(error.to_string());
        assert_eq!(log.wal().unwrap().put_back(), Some(misfit));
        assert_eq!(log.open().unwrap().last, Lsn(RECORDS));
    }
    assert_eq!(texts.len(), Misfit::ALL.len(), "{texts:#?}");
}

#[test]
fn an_error_is_excused_by_what_was_injected_and_by_nothing_else() {
    let poisoned = || WalError::Poisoned { place: "heap".into(), reason: "why".into() };
    let full = || WalError::Full { place: "heap".into(), bytes: 1 };
    let mut log = wal_disk(1);
    assert!(!log.wal().unwrap().explains(&poisoned()));
    assert!(!log.wal().unwrap().explains(&full()));
    log.wal().unwrap().inject(Fault::Sync { after: 0 });
    assert!(!log.wal().unwrap().explains(&poisoned()), "nothing has failed yet");
    log.append(Lsn(1), &Record::Formed, Slot::ZERO).unwrap();
    log.start_sync().unwrap();
    let error = log.finish_sync(None).unwrap_err();
    assert!(log.wal().unwrap().explains(&error), "{error}");
    log.kill();
    assert!(!log.wal().unwrap().explains(&poisoned()), "that was in an earlier life");
    assert!(!log.wal().unwrap().explains(&WalError::ForeignSync));
}

#[test]
fn two_syncs_run_and_may_end_in_any_order() {
    let mut log = wal_disk(1);
    let start = |log: &mut Box<dyn Disk>, lsn| {
        log.append(Lsn(lsn), &accepted(lsn, 1), Slot::ZERO).unwrap();
        log.start_sync().unwrap()
    };
    let (first, second) = (start(&mut log, 1), start(&mut log, 2));
    assert!(first.is_some() && second.is_some() && first != second);
    assert_eq!(start(&mut log, 3), None, "two at a time");
    assert_eq!(log.finish_sync(second).unwrap(), Some(Lsn(0)), "the first still runs");
    assert_eq!(log.finish_sync(second).unwrap(), None);
    assert_eq!(log.finish_sync(first).unwrap(), Some(Lsn(2)));
}

#[test]
fn a_start_that_is_refused_for_no_reason_is_a_violation() {
    let mut settings = Settings { disk: DiskKind::Wal, ..settings() };
    settings.seed = 5;
    let mut cluster = Cluster::new(&settings, false);
    let medium = cluster.hosts[0].disk.wal().unwrap().medium().clone();
    medium.kill();
    medium.lose_file("superblock");
    let broken = cluster.start(0).unwrap_err();
    assert_eq!(broken.invariant, "START");
    assert!(broken.text.contains("no superblock"), "{}", broken.text);
}

#[test]
fn a_wiped_replica_is_refused_and_does_not_vote() {
    let settings = Settings { disk: DiskKind::Wal, ..settings() };
    let mut driver = Driver::new(Cluster::new(&settings, true), 1);
    (0..3).for_each(|at| driver.start(at).unwrap());
    driver.run_for(400_000).unwrap();
    assert!(driver.cluster.may_lose(1));
    driver.cluster.crash(1, 0);
    driver.cluster.wipe(1, 99);
    assert!(!driver.cluster.may_lose(2), "two of three would be no minority");
    driver.start(1).unwrap();
    driver.run_for(400_000).unwrap();
    assert_eq!(driver.cluster.marks.wiped_refused, 1, "{}", driver.cluster.summary());
    assert!(driver.cluster.hosts[1].given_up && !driver.cluster.is_up(1));
    driver.heal_and_prove_life().unwrap();
    assert_eq!(driver.cluster.hosts[1].identity, Identity::Wiped);
}

#[test]
fn a_copy_that_is_put_back_is_refused_only_where_everybody_knows_better() {
    let settings = Settings { disk: DiskKind::Wal, ..settings() };
    let mut driver = Driver::new(Cluster::new(&settings, true), 1);
    let restart = |driver: &mut Driver, copy: bool| {
        driver.end_life(1, |wal| wal.cut_power(Kept::Everything));
        if copy {
            driver.cluster.hosts[1].disk.wal().unwrap().back_up();
        }
        driver.start(1).unwrap();
        driver.run_for(400_000).unwrap();
        // A follower speaks to its leader, and to whoever asks whether he should lead.
        for asks in [0, 2] {
            driver.cluster.hosts[asks].ahead_micros += 400_000;
            driver.run_for(400_000).unwrap();
        }
    };
    (0..3).for_each(|at| driver.start(at).unwrap());
    driver.run_for(400_000).unwrap();
    assert!(!driver.cluster.all_know_better(1), "there is no copy");
    restart(&mut driver, true);
    // A start of the copy could be taken for this one, or for a later one.
    assert!(!driver.cluster.all_know_better(1));
    restart(&mut driver, false);
    assert!(driver.cluster.all_know_better(1));
    driver.cluster.crash(1, 0);
    driver.cluster.roll_back(1);
    driver.start(1).unwrap();
    driver.run_for(400_000).unwrap();
    assert_eq!(driver.cluster.marks.rolled_back_refused, 1, "{}", driver.cluster.summary());
    driver.heal_and_prove_life().unwrap();
}

#[test]
fn settings_of_disks_must_make_sense() {
    let fails = DiskFaults { sync_fails: 1, ..DiskFaults::NONE };
    let strikes = DiskFaults { strike_every_micros: Some(1000), ..fails.clone() };
    let check = |faults: &DiskFaults| faults.clone().checked(DiskKind::Wal).map(|_| ());
    assert_eq!(check(&DiskFaults::NONE), Ok(()));
    assert_eq!(check(&strikes), Ok(()));
    assert_eq!(check(&fails), Err(DiskFaultsError::Never));
    let idle = DiskFaults { sync_fails: 0, ..strikes.clone() };
    assert_eq!(check(&idle), Err(DiskFaultsError::Nothing));
    let journal = strikes.clone().checked(DiskKind::Journal);
    assert_eq!(journal, Err(DiskFaultsError::Journal { field: "sync_fails" }));
    let field = |faults: DiskFaults| match check(&faults) {
        Err(DiskFaultsError::OutOfRange { field, .. }) => field,
        other => panic!("{other:?}"),
    };
    assert_eq!(field(DiskFaults { wipes: 1001, ..strikes.clone() }), "wipes");
    assert_eq!(field(DiskFaults { full: 1, ..strikes.clone() }), "full_micros");
    assert_eq!(field(DiskFaults { stalls: 1, ..strikes.clone() }), "stall_micros");
    assert_eq!(field(DiskFaults { slow_times: 0, ..strikes.clone() }), "slow_times");
    let never = DiskFaults { strike_every_micros: Some(0), ..strikes.clone() };
    assert_eq!(field(never), "strike_every_micros");
    let stalls = DiskFaults { stalls: 1, stall_micros: (2, 1), ..strikes };
    assert_eq!(check(&stalls), Err(DiskFaultsError::Stall { least: 2, most: 1 }));
    assert_eq!(
        check(&stalls).unwrap_err().to_string(),
        "stalls last at least 2 and at most 1 microseconds"
    );
}

#[test]
fn a_run_whose_disks_make_no_sense_is_refused() {
    let disks = DiskFaults { wipes: 1, strike_every_micros: Some(1), ..DiskFaults::NONE };
    let swarm = |mode| {
        Swarm::from_seed(1).with(|parts| {
            parts.settings.disk = DiskKind::Wal;
            parts.settings.replicas = 5;
            parts.weather.disks = disks.clone();
            parts.mode = mode;
        })
    };
    assert!(swarm(Mode::HealAll).is_ok());
    let shape = super::super::Shape::Hub;
    let partial = swarm(Mode::Partial { shape, odd: 0 });
    assert_eq!(partial.unwrap_err(), Senseless::Lost { shape });
    let journal = swarm(Mode::HealAll).unwrap().with(|parts| {
        parts.settings.disk = DiskKind::Journal;
    });
    assert_eq!(
        journal.unwrap_err().to_string(),
        "the faults of the disks: wipes takes the real log, not a journal"
    );
}

#[test]
fn random_settings_of_disks_make_sense_and_every_kind_comes_up() {
    let mut seen = BTreeSet::new();
    for seed in 0..300 {
        let mut random = oorandom::Rand64::new(seed);
        for disk in [DiskKind::Wal, DiskKind::Journal] {
            let drawn = DiskFaults::from_random(disk, |below| random.rand_range(0..below));
            let checked = drawn.clone().checked(disk);
            assert_eq!(checked.as_ref(), Ok(&drawn), "seed {seed}");
            for _ in 0..20 {
                let strike = drawn.pick(|below| random.rand_range(0..below));
                seen.extend(strike.map(|strike| format!("{disk:?} {strike:?}")));
            }
        }
    }
    assert_eq!(seen.len(), 8, "{seen:?}");
}

#[test]
fn a_stall_of_every_disk_ends_with_the_repair() {
    let swarm = Swarm::from_seed(11).with(|parts| {
        parts.settings.disk = DiskKind::Wal;
        parts.mode = Mode::HealAll;
        parts.weather.disks = DiskFaults {
            strike_every_micros: Some(50_000),
            stalls: 1,
            stall_micros: (20_000_000, 30_000_000),
            ..DiskFaults::NONE
        };
    });
    assert!(simulate(&swarm.unwrap()).unwrap().faults.stalls > 0);
}

#[test]
fn what_holds_on_a_disk_is_told_with_its_places() {
    let mut log = log(1);
    let medium: HeapMedium = log.wal().unwrap().medium().clone();
    let extents = medium.extents();
    let count = |part: fn(&crate::wal::Part) -> bool| {
        extents.iter().filter(|extent| part(&extent.part)).count()
    };
    use crate::wal::Part;
    assert_eq!(count(|part| matches!(part, Part::Superblock { .. })), 2);
    assert!(count(|part| *part == Part::Header) >= 4);
    let groups = count(|part| matches!(part, Part::Group { named: true, .. }));
    assert_eq!(groups, count(|part| matches!(part, Part::SecondCopy { whole: true, .. })));
    assert!(groups >= 14, "{groups}");
}
