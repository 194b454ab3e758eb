//! Damage anywhere, at random: one damaged place is healed, named or refused and never silently
//! lost; any amount of it never panics and never makes anything up.

#[path = "log/model.rs"]
mod model;

use model::{Model, open};
use oorandom::Rand64;
use synod::record::Lsn;
use synod::wal::{HeapMedium, WalError};

/// A log of a few starts, the last of them stopped cleanly.
fn log(seed: u64, random: &mut Rand64) -> (HeapMedium, Model) {
    let disk = HeapMedium::new(seed);
    let mut model = Model::default();
    for start in 0..3 {
        let (mut wal, recovered) = open(&disk).expect("opens");
        model.check(&wal, &recovered);
        for _ in 0..random.rand_range(1..40) {
            let (lsn, record, chosen) = model.invent(random, 4000);
            wal.append(lsn, &record, chosen).expect("appends");
            if random.rand_range(0..3) == 0 {
                model::sync(&mut wal, &mut model).expect("syncs");
            }
        }
        if start == 2 || random.rand_range(0..2) == 0 {
            model.durable = wal.close().expect("closes");
        } else {
            drop(wal);
            disk.crash(random.rand_u64());
        }
    }
    (disk, model)
}

fn spoil(disk: &HeapMedium, random: &mut Rand64) -> String {
    let files: Vec<_> = disk.file_names().into_iter().filter(|name| name != "reserve").collect();
    let file = &files[random.rand_range(0..files.len() as u64) as usize];
    let bytes = disk.file_bytes(file);
    // Half of the time where something lies, and not in the zeros between.
    let used = |sector: &[u8]| sector != [0; 512];
    let used: Vec<_> =
        bytes.chunks(512).enumerate().filter(|(_, sector)| used(sector)).map(|(i, _)| i).collect();
    let at = match random.rand_range(0..2) {
        0 if !used.is_empty() => {
            let sector = used[random.rand_range(0..used.len() as u64) as usize];
            sector as u64 * 512 + random.rand_range(0..512)
        }
        _ => random.rand_range(0..bytes.len() as u64),
    };
    let sector = at / 512 * 512;
    match random.rand_range(0..4) {
        0 => disk.zero(file, sector..sector + 512),
        1 => (sector..sector + 512).for_each(|at| disk.flip(file, at, random.rand_u64() as u8)),
        2 => disk.zero(file, sector / 4096 * 4096..sector / 4096 * 4096 + 4096),
        _ => disk.flip(file, at, 1 << random.rand_range(0..8)),
    }
    format!("{file} at {at}")
}

#[test]
fn one_damaged_place_is_never_silently_lost() {
    let (mut intact, mut named, mut refused) = (0, 0, 0);
    for seed in 0..800 {
        let mut random = Rand64::new(seed);
        let (disk, mut model) = log(u64::try_from(seed).expect("small"), &mut random);
        let place = spoil(&disk, &mut random);
        match open(&disk) {
            Ok((wal, recovered)) => {
                let lost = wal.status().lost > 0;
                assert_eq!(recovered.last, model.last(), "seed {seed}, {place}");
                model.check_recovered(&recovered, lost);
                if lost {
                    named += 1
                } else {
                    intact += 1
                }
                // What it found it finds again.
                drop(wal);
                disk.crash(1);
                let (_, again) = open(&disk).expect("opens again");
                model.check_recovered(&again, lost);
                assert_eq!(again.faulty, recovered.faulty, "seed {seed}, {place}");
                assert_eq!(again.holes, recovered.holes, "seed {seed}, {place}");
            }
            // A page may hold a group together with the copies that name it.
            Err(WalError::Refused { .. }) => refused += 1,
            Err(error) => panic!("seed {seed}, {place}: {error}"),
        }
    }
    println!("one damaged place: {intact} intact, {named} named, {refused} refused");
    assert!(intact > 100 && named > 50, "{intact} {named} {refused}");
    assert!(refused < 80, "{refused}");
}

#[test]
fn any_damage_never_panics_and_makes_nothing_up() {
    let (mut started, mut refused) = (0, 0);
    for seed in 0..800 {
        let mut random = Rand64::new(seed + 10_000);
        let (disk, mut model) = log(u64::try_from(seed).expect("small"), &mut random);
        for _ in 0..random.rand_range(2..40) {
            spoil(&disk, &mut random);
        }
        match open(&disk) {
            Ok((wal, recovered)) => {
                started += 1;
                let lost = wal.status().lost > 0;
                assert!(recovered.last <= model.last());
                for (slot, ballot, entry) in &recovered.accepted {
                    assert!(model.records.iter().any(|(record, _)| matches!(record,
                        synod::record::Record::Accepted { slot: s, ballot: b, entry: e }
                            if s == slot && b == ballot && e == entry)));
                }
                if !lost {
                    model.durable = Lsn::ZERO;
                    model.check_recovered(&recovered, false);
                }
            }
            Err(WalError::Refused { .. }) => refused += 1,
            Err(error) => panic!("seed {seed}: {error}"),
        }
    }
    println!("much damage: {started} started, {refused} refused");
    assert!(started > 20 && refused > 100, "{started} {refused}");
}

#[test]
fn garbage_is_refused_or_ignored() {
    for seed in 0..500 {
        let mut random = Rand64::new(seed);
        let disk = HeapMedium::new(1);
        drop(open(&disk).expect("opens"));
        for file in disk.file_names() {
            let length = random.rand_range(0..40_000) as usize;
            let bytes: Vec<u8> = (0..length).map(|_| random.rand_u64() as u8).collect();
            if random.rand_range(0..3) > 0 {
                disk.put_file(&file, &bytes);
            }
        }
        match open(&disk) {
            Ok((_, recovered)) => assert_eq!(recovered.last, Lsn::ZERO),
            Err(WalError::Refused { .. }) => {}
            Err(error) => panic!("seed {seed}: {error}"),
        }
    }
}
