//! A log of three segments, kept in the repository as it was written, cut at every byte of every
//! file: what each start must say is computed from what the cut leaves, and it must say just that.
//! It is never shorter than what a marker, a second copy, a header or the superblock proves.
//!
//! `cargo test` tries some cuts, and all beside the ends of sectors; `SYNOD_CUTS=all` tries each:
//!
//! ```text
//! SYNOD_CUTS=all cargo test --release --test log_cuts -- --nocapture
//! ```
//!
//! `REWRITE=1 cargo test --test log_cuts` writes the files anew, which a change of the format
//! before the first release may do.

#[path = "log/model.rs"]
mod model;

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;

use model::{Model, accepted, chosen, members, open};
use synod::record::{Lsn, Record};
use synod::slot::Slot;
use synod::wal::{Extent, HeapMedium, Part, Refusal, WalError};

const FILES: [&str; 4] =
    ["superblock", "0000000000000001.log", "0000000000000002.log", "0000000000000003.log"];
const SECTOR: usize = 512;
/// Of so many cuts within sectors one is tried, unless all are.
const STRIDE: usize = 97;

fn directory() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden/log/v1-three")
}

/// Writes the log that is kept: a segment that is full, the one after it, and one of a second
/// start. The last group is synced, but nothing proves it.
fn write(disk: &HeapMedium) -> Model {
    let mut model = Model::default();
    let groups: [&[(Record, u64)]; 9] = [
        &[(members(), 0), (Record::Formed, 0)],
        &[(Record::Promised { ballot: model::ballot(2) }, 0)],
        &[(accepted(0, 2, 9000), 0), (accepted(1, 2, 60), 0)],
        &[(accepted(2, 2, 9000), 1)],
        &[(accepted(3, 2, 9000), 2), (chosen(5, 2, 300), 3)],
        &[(accepted(4, 2, 700), 4), (accepted(6, 2, 5), 4)],
        &[(Record::Promised { ballot: model::ballot(4) }, 4)],
        &[(accepted(7, 4, 1200), 6), (accepted(8, 4, 20), 6)],
        &[(accepted(9, 4, 400), 7)],
    ];
    for start in [&groups[..6], &groups[6..]] {
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
    let disk = HeapMedium::new(98);
    for file in FILES {
        let bytes = fs::read(directory().join(file));
        disk.put_file(file, &bytes.expect("the golden files are in the repository"));
    }
    disk
}

#[test]
fn the_golden_log_is_written_as_ever_and_has_three_segments() {
    let disk = HeapMedium::new(8);
    let mut model = write(&disk);
    if std::env::var_os("REWRITE").is_some() {
        fs::create_dir_all(directory()).expect("a directory");
        for file in FILES {
            fs::write(directory().join(file), disk.file_bytes(file)).expect("written");
        }
    }
    for file in FILES {
        let kept = fs::read(directory().join(file)).expect("the golden files are there");
        assert!(kept == disk.file_bytes(file), "{file} is written differently");
    }
    let golden = golden();
    let holds = |extent: &Extent| matches!(extent.part, Part::Group { .. });
    let with_groups: BTreeSet<String> =
        golden.extents().into_iter().filter(holds).map(|extent| extent.file).collect();
    assert_eq!(with_groups.len(), 3, "{with_groups:?}");
    let (wal, recovered) = open(&golden).expect("opens");
    model.check(&wal, &recovered);
}

/// What a start must say.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Verdict {
    /// The superblock is gone, and with it perhaps a promise.
    NoSuperblock,
    /// A segment that is listed has no header.
    NoHeader,
    /// Something is proven that is not there.
    Lost,
    /// The log goes up to this record.
    UpTo(Lsn),
}

/// Where the last byte of the stretch lies that is not zero: cut after that, it is whole.
fn end(extent: &Extent, bytes: &[u8]) -> usize {
    let (from, to) = (extent.range.start as usize, extent.range.end as usize);
    bytes[from..to].iter().rposition(|byte| *byte != 0).map_or(from, |last| from + last + 1)
}

/// What must be said of the log whose file was cut, by what holds then.
fn verdict(extents: &[(Extent, usize)], file: &str, cut: usize) -> Verdict {
    let left = |(extent, end): &&(Extent, usize)| extent.file != file || *end <= cut;
    let left: Vec<&Extent> = extents.iter().filter(left).map(|(extent, _)| extent).collect();
    let headers =
        |name: &str| left.iter().any(|extent| extent.file == name && extent.part == Part::Header);
    if !left.iter().any(|extent| matches!(extent.part, Part::Superblock { .. })) {
        return Verdict::NoSuperblock;
    }
    if !FILES[1..].iter().all(|name| headers(name)) {
        return Verdict::NoHeader;
    }
    let proven = left.iter().map(|extent| extent.durable).max().unwrap_or_default();
    let mut there = BTreeSet::new();
    for extent in &left {
        if let Part::Group { records, .. } = &extent.part {
            there.extend(records.iter().map(|record| record.lsn));
        }
    }
    let mut last = Lsn::ZERO;
    while there.contains(&last.next()) {
        last = last.next();
    }
    if last < proven { Verdict::Lost } else { Verdict::UpTo(last) }
}

/// What a start says.
fn said(disk: &HeapMedium, model: &Model) -> Verdict {
    match open(disk) {
        Ok((wal, recovered)) => {
            let mut model = model.clone();
            model.durable = Lsn::ZERO;
            assert_eq!(wal.status().lost, 0);
            model.check(&wal, &recovered);
            Verdict::UpTo(recovered.last)
        }
        Err(WalError::Refused { refusal, .. }) => match refusal {
            Refusal::SuperblockRot => Verdict::NoSuperblock,
            Refusal::SegmentRot { .. } => Verdict::NoHeader,
            Refusal::RecordsLost { .. } => Verdict::Lost,
            other => panic!("{other}"),
        },
        Err(error) => panic!("{error}"),
    }
}

fn cuts(length: usize) -> Vec<usize> {
    match std::env::var("SYNOD_CUTS") {
        Ok(text) if text == "all" => (0..=length).collect(),
        Ok(text) => panic!("SYNOD_CUTS={text}: only `all` is known"),
        Err(_) => {
            let beside =
                |cut: &usize| matches!(cut % SECTOR, 0 | 1 | 511) || cut.is_multiple_of(STRIDE);
            (0..=length).filter(beside).collect()
        }
    }
}

#[test]
fn every_cut_is_judged_as_what_it_leaves_demands() {
    let (disk, model) = (golden(), write(&HeapMedium::new(8)));
    let mut verdicts = std::collections::BTreeMap::new();
    let mut opened = 0;
    for file in FILES {
        let bytes = disk.file_bytes(file);
        let with_end = |extent: Extent| {
            let bytes = disk.file_bytes(&extent.file);
            let end = end(&extent, &bytes);
            (extent, end)
        };
        let extents: Vec<(Extent, usize)> = disk.extents().into_iter().map(with_end).collect();
        for cut in cuts(bytes.len()) {
            let expected = verdict(&extents, file, cut);
            let (short, zeroed) = (disk.copy(), disk.copy());
            short.put_file(file, &bytes[..cut]);
            zeroed.zero(file, cut as u64..bytes.len() as u64);
            for disk in [short, zeroed] {
                assert_eq!(said(&disk, &model), expected, "{file} cut at {cut}");
                opened += 1;
            }
            *verdicts.entry(expected).or_insert(0) += 1;
        }
    }
    println!("{opened} logs opened, each cut short or zeroed from there on:");
    verdicts.iter().for_each(|(verdict, cuts)| println!("{cuts:>8} cuts: {verdict:?}"));
    assert!(verdicts.len() >= 5, "{verdicts:?}");
}
