//! Crashes: append anything, cut the power anywhere, open again. Nothing that was finished may be
//! missing, nothing may be made up, and a power cut alone never stops a start.

#[path = "log/model.rs"]
mod model;

use std::io;

use model::{Model, open, sync};
use oorandom::Rand64;
use quickcheck::{Gen, QuickCheck, TestResult};
use synod::wal::{Fault, HeapMedium, Sync, Synced, Wal, WalError};

/// What one life of a process does to its log: random appends and syncs, two of them at once, until
/// the disk or the number of steps says stop. Returns the model's view.
fn live(wal: &mut Wal, model: &mut Model, random: &mut Rand64, steps: u64) -> Result<(), WalError> {
    let mut running: Vec<Sync> = Vec::new();
    let mut done: Vec<Synced> = Vec::new();
    for _ in 0..steps {
        match random.rand_range(0..10) {
            0..=5 => {
                let (lsn, record, chosen) = model.invent(random, 6000);
                if let Err(error) = wal.append(lsn, &record, chosen) {
                    model.take_back();
                    return Err(error);
                }
            }
            6 => running.extend(wal.start_sync()?),
            7 => {
                if let Some(sync) = running.last_mut() {
                    sync.write();
                }
            }
            8 if !running.is_empty() => {
                let at = random.rand_range(0..running.len() as u64) as usize;
                done.push(running.remove(at).run());
            }
            8 => {
                if let Some(preparation) = wal.prepare() {
                    preparation.run();
                }
            }
            _ => {
                if let Some(synced) = done.pop() {
                    model.durable = wal.finish(synced)?;
                }
            }
        }
    }
    Ok(())
}

fn lives(seed: u64, kill: bool) {
    let mut random = Rand64::new(seed.into());
    let disk = HeapMedium::new(seed);
    let mut model = Model::default();
    for life in 0..5 {
        let (mut wal, recovered) =
            open(&disk).unwrap_or_else(|error| panic!("seed {seed}, life {life}: {error}"));
        assert_eq!(recovered.me.incarnation().count(), life + 1);
        model.check(&wal, &recovered);
        let steps = random.rand_range(0..150);
        live(&mut wal, &mut model, &mut random, steps).expect("the disk does not fail");
        drop(wal);
        if kill && random.rand_range(0..2) == 0 {
            disk.kill();
        } else {
            disk.crash(random.rand_u64());
        }
    }
}

#[test]
fn append_anything_crash_anywhere_reopen() {
    fn property(seed: u64) -> TestResult {
        lives(seed, seed.is_multiple_of(2));
        TestResult::passed()
    }
    QuickCheck::new()
        .rng(Gen::from_size_and_seed(100, 0x5eed))
        .tests(300)
        .quickcheck(property as fn(u64) -> TestResult);
}

/// One log with two syncs under way, a segment's end among them; then every kind of subset of what
/// was not synced.
#[test]
fn a_thousand_subsets_of_unsynced_sectors_all_start() {
    let disk = HeapMedium::new(11);
    let mut random = Rand64::new(11);
    let mut model = Model::default();
    let (mut wal, _) = open(&disk).expect("opens");
    for _ in 0..40 {
        let (lsn, record, chosen) = model.invent(&mut random, 3000);
        wal.append(lsn, &record, chosen).expect("appends");
    }
    sync(&mut wal, &mut model).expect("syncs");
    let mut running = Vec::new();
    for _ in 0..2 {
        for _ in 0..30 {
            let (lsn, record, chosen) = model.invent(&mut random, 3000);
            wal.append(lsn, &record, chosen).expect("appends");
        }
        let mut sync = wal.start_sync().expect("starts").expect("something to sync");
        sync.write();
        running.push(sync);
    }
    let (mut ends, mut starts) = (std::collections::BTreeSet::new(), 0);
    for seed in 0..1000 {
        let disk = disk.copy();
        disk.crash(seed);
        let (wal, recovered) = open(&disk).unwrap_or_else(|error| panic!("{seed}: {error}"));
        let mut model = model.clone();
        model.check(&wal, &recovered);
        ends.insert(recovered.last);
        starts += 1;
    }
    println!("{starts} starts after 1000 power cuts; ends: {ends:?}; durable: {}", model.durable);
    assert_eq!(starts, 1000);
    assert!(ends.len() >= 3, "the cuts must fall in different places: {ends:?}");
}

/// A fixed life, whose every disk call is then made to go wrong. Returns what must be durable.
fn fixed_life(disk: &HeapMedium, model: &mut Model) -> Result<(), WalError> {
    let (mut wal, recovered) = open(disk)?;
    model.check_recovered(&recovered, false);
    let mut random = Rand64::new(5);
    for step in 0..30 {
        let (lsn, record, chosen) = model.invent(&mut random, 4000);
        if let Err(error) = wal.append(lsn, &record, chosen) {
            model.take_back();
            return Err(error);
        }
        if step % 4 == 3 {
            sync(&mut wal, model)?;
        }
        if let Some(preparation) = wal.prepare() {
            preparation.run();
        }
    }
    model.durable = wal.close()?;
    Ok(())
}

/// How many disk calls the fixed life makes on a copy of this disk.
fn calls_of(disk: &HeapMedium, model: &Model) -> u64 {
    let disk = disk.copy();
    let before = disk.calls();
    fixed_life(&disk, &mut model.clone()).expect("nothing fails");
    disk.calls() - before
}

#[test]
fn every_disk_call_is_the_last_before_a_crash_or_a_kill() {
    let disk = HeapMedium::new(21);
    let mut model = Model::default();
    for round in 0..2 {
        let calls = calls_of(&disk, &model);
        assert!(calls > 60, "{calls}");
        for call in 0..calls {
            for (kill, seed) in [(true, 0), (false, call), (false, call + 7000)] {
                let (disk, mut model) = (disk.copy(), model.clone());
                disk.inject(Fault::Halt { after: call });
                assert!(fixed_life(&disk, &mut model).is_err(), "round {round}, call {call}");
                if kill {
                    disk.kill();
                } else {
                    disk.crash(seed);
                }
                let (wal, recovered) =
                    open(&disk).unwrap_or_else(|error| panic!("{round} {call} {kill}: {error}"));
                model.check(&wal, &recovered);
            }
        }
        fixed_life(&disk, &mut model).expect("nothing fails");
    }
}

/// Crashes at every call of a recovery that itself follows a crash, and again at every call of the
/// one after it; kills among them, so that what was seen need not be on the platter.
#[test]
fn every_disk_call_of_recovery_is_the_last_before_a_crash_twice() {
    let disk = HeapMedium::new(31);
    let mut model = Model::default();
    let (mut wal, _) = open(&disk).expect("opens");
    let mut random = Rand64::new(31);
    for step in 0..25 {
        let (lsn, record, chosen) = model.invent(&mut random, 2500);
        wal.append(lsn, &record, chosen).expect("appends");
        if step % 6 == 5 {
            sync(&mut wal, &mut model).expect("syncs");
        }
    }
    wal.start_sync().expect("starts").expect("something to sync").write();
    drop(wal);
    disk.kill();
    let calls = |disk: &HeapMedium| {
        let disk = disk.copy();
        let before = disk.calls();
        drop(open(&disk).expect("opens"));
        disk.calls() - before
    };
    // Each time a kill, and two power cuts.
    let end = |disk: &HeapMedium, seed: u64| {
        if seed.is_multiple_of(3) { disk.kill() } else { disk.crash(seed) }
    };
    for (first, one) in (0..calls(&disk)).flat_map(|first| [(first, 0), (first, 1), (first, 2)]) {
        let disk = disk.copy();
        disk.inject(Fault::Halt { after: first });
        assert!(open(&disk).is_err());
        end(&disk, first * 3 + one);
        for second in 0..calls(&disk) {
            let halted = disk.copy();
            halted.inject(Fault::Halt { after: second });
            assert!(open(&halted).is_err());
            for two in 0..3 {
                let disk = halted.copy();
                end(&disk, (first * 100 + second) * 3 + two);
                let mut model = model.clone();
                let (wal, recovered) = open(&disk)
                    .unwrap_or_else(|error| panic!("{first} {one} {second} {two}: {error}"));
                model.check(&wal, &recovered);
                // What was recovered is durable, whatever comes.
                drop(wal);
                disk.crash(second);
                let (_, recovered) = open(&disk).expect("opens again");
                model.check_recovered(&recovered, false);
            }
        }
    }
}

/// What was not synced takes more than one opening segment, and the start dies at every call.
#[test]
fn a_long_unsynced_tail_is_copied_over_several_segments() {
    let disk = HeapMedium::new(61);
    let mut model = Model::default();
    let (mut wal, _) = open(&disk).expect("opens");
    for slot in 0..12 {
        let record = model::accepted(slot, 1, 9000);
        let lsn = model.push(record.clone(), synod::slot::Slot(0));
        wal.append(lsn, &record, synod::slot::Slot(0)).expect("appends");
    }
    wal.start_sync().expect("starts").expect("something to sync").write();
    drop(wal);
    disk.kill();
    let before = disk.calls();
    let (wal, recovered) = open(&disk.copy()).expect("opens");
    assert_eq!((recovered.last.0, wal.status().segments), (12, 12));
    drop(wal);
    let copy = disk.copy();
    drop(open(&copy).expect("opens"));
    for call in 0..copy.calls() - before {
        for seed in 0..8 {
            let disk = disk.copy();
            disk.inject(Fault::Halt { after: call });
            assert!(open(&disk).is_err());
            disk.kill();
            let seen = {
                let disk = disk.copy();
                open(&disk).expect("opens after a kill").1.last
            };
            assert_eq!(seen.0, 12, "the page cache still shows everything");
            disk.crash(seed * 100 + call);
            let (wal, recovered) =
                open(&disk).unwrap_or_else(|error| panic!("{call} {seed}: {error}"));
            let mut model = model.clone();
            model.check(&wal, &recovered);
            drop(wal);
            disk.crash(seed);
            let (wal, recovered) = open(&disk).expect("opens again");
            model.check(&wal, &recovered);
        }
    }
}

#[test]
fn every_disk_call_fails_once() {
    let disk = HeapMedium::new(41);
    let mut model = Model::default();
    for kind in [io::ErrorKind::Other, io::ErrorKind::StorageFull] {
        let calls = calls_of(&disk, &model);
        let (mut survived, mut stopped) = (0, 0);
        for call in 0..calls {
            let (disk, mut model) = (disk.copy(), model.clone());
            disk.inject(Fault::Call { after: call, kind });
            match fixed_life(&disk, &mut model) {
                Ok(()) => survived += 1,
                Err(_) => stopped += 1,
            }
            // The process ends, and its machine with it.
            if call % 2 == 0 {
                disk.kill();
            }
            disk.crash(call);
            let (wal, recovered) =
                open(&disk).unwrap_or_else(|error| panic!("{kind} at {call}: {error}"));
            model.check(&wal, &recovered);
        }
        println!("{kind}: of {calls} failing calls {stopped} stopped the log");
        assert!(stopped > calls / 2, "{stopped} of {calls}");
        assert!(survived < calls / 4, "{survived} of {calls}");
        fixed_life(&disk, &mut model).expect("nothing fails");
    }
}

/// The system tells a failure to whoever asks first, even if it concerns the bytes of another.
#[test]
fn a_sync_does_not_count_once_another_has_failed() {
    let disk = HeapMedium::new(71);
    let (mut wal, _) = open(&disk).expect("opens");
    let mut started = [1, 2].map(|lsn| {
        let record = model::accepted(lsn, 1, 100);
        let lsn = synod::record::Lsn(lsn);
        wal.append(lsn, &record, synod::slot::Slot(0)).expect("appends");
        wal.start_sync().expect("starts").expect("something to sync")
    });
    started.iter_mut().for_each(Sync::write);
    disk.inject(Fault::Sync { after: 0 });
    let [first, second] = started;
    let syncs = disk.syncs();
    drop(second.run());
    let first = first.run();
    assert_eq!(disk.syncs(), syncs + 1, "after a failure nothing is synced any more");
    assert!(matches!(wal.finish(first), Err(WalError::Poisoned { .. })));
}

#[test]
fn a_failed_sync_poisons_for_good_and_the_next_start_writes_again_what_was_seen() {
    let disk = HeapMedium::new(51);
    let mut model = Model::default();
    let (mut wal, _) = open(&disk).expect("opens");
    model.push(model::accepted(0, 1, 100), synod::slot::Slot(0));
    wal.append(model.last(), &model.records[0].0.clone(), synod::slot::Slot(0)).expect("appends");
    disk.inject(Fault::Sync { after: 0 });
    let failed = wal.start_sync().expect("starts").expect("something").run();
    assert!(matches!(wal.finish(failed), Err(WalError::Poisoned { .. })));
    // The disk works again, but a later success would prove nothing.
    let record = model::accepted(1, 1, 100);
    let again = wal.append(synod::record::Lsn(2), &record, synod::slot::Slot(0));
    assert!(matches!(again, Err(WalError::Poisoned { .. })));
    assert!(matches!(wal.start_sync(), Err(WalError::Poisoned { .. })));
    assert!(wal.status().poisoned.is_some_and(|reason| reason.contains("sync a segment")));
    drop(wal);
    // Only the process ends: the page cache still shows what never reached the platter.
    disk.kill();
    let (wal, recovered) = open(&disk).expect("opens");
    assert_eq!(recovered.last.0, 1);
    model.check(&wal, &recovered);
    drop(wal);
    disk.crash(3);
    let (wal, recovered) = open(&disk).expect("opens");
    assert_eq!(recovered.last.0, 1, "it was written again before the log opened");
    model.check(&wal, &recovered);
}
