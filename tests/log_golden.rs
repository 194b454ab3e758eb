//! A small log, kept in the repository as it was written: later versions must read it, and this
//! one must write it again byte for byte. Then the same log with every bit flipped, every sector
//! zeroed and every length cut: what was durable is there, or named as lost, or the start is
//! refused. It is never silently shorter.
//!
//! `REWRITE=1 cargo test --test log_golden` writes the files anew, which a change of the format
//! before the first release may do.

#[path = "log/model.rs"]
mod model;

use std::fs;
use std::path::PathBuf;

use model::{Model, accepted, chosen, members, open};
use synod::record::{Lsn, Record, Recovered};
use synod::slot::Slot;
use synod::wal::{HeapMedium, WalError};

const FILES: [&str; 3] = ["superblock", "0000000000000001.log", "0000000000000002.log"];
/// The last record that the golden log proves to be durable; one more group follows, which was
/// synced but which nothing proves.
const PROVEN: Lsn = Lsn(9);

fn directory() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden/log/v1")
}

/// Writes the log that is kept: two starts, every kind of record, groups of one record and of more.
fn write(disk: &HeapMedium) -> Model {
    let mut model = Model::default();
    let groups: [&[(Record, u64)]; 6] = [
        &[(members(), 0)],
        &[(Record::Formed, 0)],
        &[(Record::Promised { ballot: model::ballot(3) }, 0)],
        &[(accepted(0, 3, 40), 0), (accepted(1, 3, 700), 0), (accepted(2, 3, 5), 1)],
        &[(chosen(4, 3, 30), 1), (accepted(3, 4, 64), 2), (accepted(5, 4, 300), 2)],
        &[(accepted(6, 5, 90), 3)],
    ];
    for start in groups.chunks(4) {
        let (mut wal, recovered) = open(disk).expect("opens");
        model.check(&wal, &recovered);
        for group in start {
            for (record, chosen) in *group {
                let lsn = model.push(record.clone(), Slot(*chosen));
                wal.append(lsn, record, Slot(*chosen)).expect("appends");
            }
            model::sync(&mut wal, &mut model).expect("syncs");
        }
    }
    model
}

fn golden() -> HeapMedium {
    let disk = HeapMedium::new(99);
    for file in FILES {
        let bytes = fs::read(directory().join(file));
        disk.put_file(file, &bytes.expect("the golden files are in the repository"));
    }
    disk
}

fn text(recovered: &Recovered) -> String {
    format!("{recovered:#?}\n")
}

#[test]
fn the_golden_log_is_read_and_written_as_ever() {
    let disk = HeapMedium::new(7);
    let mut model = write(&disk);
    if std::env::var_os("REWRITE").is_some() {
        fs::create_dir_all(directory()).expect("a directory");
        for file in FILES {
            fs::write(directory().join(file), disk.file_bytes(file)).expect("written");
        }
        let (_, recovered) = open(&golden()).expect("opens");
        fs::write(directory().join("recovered.txt"), text(&recovered)).expect("written");
    }
    for file in FILES {
        let kept = fs::read(directory().join(file)).expect("the golden files are there");
        assert!(kept == disk.file_bytes(file), "{file} is written differently");
    }
    let (wal, recovered) = open(&golden()).expect("opens");
    let kept = fs::read_to_string(directory().join("recovered.txt")).expect("it is there");
    assert_eq!(kept, text(&recovered));
    model.check(&wal, &recovered);
}

/// What came of a start on a damaged log.
#[derive(Clone, Copy, Debug, Default)]
struct Outcomes {
    intact: u64,
    named: u64,
    refused: u64,
    shorter: u64,
}

impl Outcomes {
    /// Opens the disk and holds the result against what was written.
    fn judge(&mut self, disk: &HeapMedium, model: &Model, durable: Lsn) {
        let mut model = model.clone();
        model.durable = durable;
        let last = model.last();
        match open(disk) {
            Ok((wal, recovered)) => {
                let lost = wal.status().lost > 0;
                model.check_recovered(&recovered, lost);
                match lost {
                    true => self.named += 1,
                    false if recovered.last == last => self.intact += 1,
                    false => self.shorter += 1,
                }
            }
            Err(WalError::Refused { .. }) => self.refused += 1,
            Err(error) => panic!("{error}"),
        }
    }
}

/// The sectors of a file that hold anything.
fn sectors(disk: &HeapMedium, file: &str) -> Vec<u64> {
    let bytes = disk.file_bytes(file);
    let used = |sector: &[u8]| sector.iter().any(|byte| *byte != 0);
    let all = bytes.chunks(512).enumerate().filter(|(_, sector)| used(sector));
    all.map(|(i, _)| i as u64 * 512).collect()
}

/// Flips every bit of every used sector of these files, one at a time.
fn flip_every_bit(files: &[&str]) {
    let (disk, model) = (golden(), write(&HeapMedium::new(7)));
    let mut outcomes = Outcomes::default();
    for file in files {
        for sector in sectors(&disk, file) {
            for bit in 0..512 * 8 {
                let (offset, mask) = (sector + bit / 8, 1 << (bit % 8));
                let disk = disk.copy();
                disk.flip(file, offset, mask);
                // Even the last group, which no later mark proves, is never lost.
                outcomes.judge(&disk, &model, model.last());
            }
        }
    }
    println!("every bit of every used sector of {files:?} flipped: {outcomes:?}");
    assert_eq!((outcomes.shorter, outcomes.refused), (0, 0));
    assert!(outcomes.intact > 0 && outcomes.named > 0);
}

// Two tests, so that they run beside each other.
#[test]
fn no_flipped_bit_makes_the_log_silently_shorter() {
    flip_every_bit(&FILES[..2]);
}

#[test]
fn no_flipped_bit_of_the_last_segment_makes_the_log_silently_shorter() {
    flip_every_bit(&FILES[2..]);
}

#[test]
fn no_byte_beside_the_log_matters() {
    let (disk, model) = (golden(), write(&HeapMedium::new(7)));
    let mut outcomes = Outcomes::default();
    for file in FILES {
        let used = sectors(&disk, file);
        let free = (0..disk.file_bytes(file).len() as u64).step_by(512);
        for sector in free.filter(|sector| !used.contains(sector)) {
            let disk = disk.copy();
            disk.flip(file, sector + 17, 0xff);
            outcomes.judge(&disk, &model, model.last());
        }
    }
    println!("every unused sector spoilt: {outcomes:?}");
    assert_eq!((outcomes.shorter, outcomes.refused, outcomes.named), (0, 0, 0));
}

#[test]
fn a_zeroed_sector_loses_at_most_what_nothing_proves() {
    let (disk, model) = (golden(), write(&HeapMedium::new(7)));
    let mut outcomes = Outcomes::default();
    for file in FILES {
        for sector in sectors(&disk, file) {
            let disk = disk.copy();
            disk.zero(file, sector..sector + 512);
            outcomes.judge(&disk, &model, PROVEN);
        }
    }
    println!("every used sector zeroed: {outcomes:?}");
    assert_eq!(outcomes.refused, 0);
    // Only the one sector of the last group: zeros are what a sector holds that was never written.
    assert_eq!(outcomes.shorter, 1);
}

/// Cut off at any byte, the end of a file is lost, second copies included. Only what is proven
/// can be told to be missing; what is recovered is always the beginning of what was written.
#[test]
fn every_cut_gives_a_beginning_or_a_refusal() {
    let (disk, model) = (golden(), write(&HeapMedium::new(7)));
    let mut outcomes = Outcomes::default();
    for file in FILES {
        let bytes = disk.file_bytes(file);
        let used = sectors(&disk, file);
        let cuts = used.iter().flat_map(|sector| *sector..sector + 512);
        for cut in cuts.map(|cut| cut as usize) {
            let (short, zeroed) = (disk.copy(), disk.copy());
            short.put_file(file, &bytes[..cut]);
            zeroed.zero(file, cut as u64..bytes.len() as u64);
            let mut both = [Outcomes::default(); 2];
            both[0].judge(&short, &model, Lsn::ZERO);
            both[1].judge(&zeroed, &model, Lsn::ZERO);
            // A file that was cut short is judged like one whose end is gone.
            assert_eq!(format!("{:?}", both[0]), format!("{:?}", both[1]), "{file} cut at {cut}");
            outcomes.intact += both[0].intact;
            outcomes.named += both[0].named;
            outcomes.refused += both[0].refused;
            outcomes.shorter += both[0].shorter;
        }
    }
    println!("every cut: {outcomes:?}");
    assert!(outcomes.refused > 0 && outcomes.shorter > 0 && outcomes.intact > 0);
}
