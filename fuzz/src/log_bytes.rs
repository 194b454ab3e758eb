//! A log is opened whose files were damaged, mixed up, or made up altogether.
//!
//! Opening never panics and takes memory as the files do. It gives a log, or says with a type why
//! not and then has changed nothing. What opens can be read, takes records, and still has them, and
//! all that was there before, after a power cut. Nothing comes back that was never written, unless
//! the checksums were forged as well.

use std::collections::BTreeMap;

use synod::ballot::Ballot;
use synod::entry::Entry;
use synod::membership::ReplicaId;
use synod::record::{Lsn, Record, Recovered};
use synod::slot::{ALPHA, Slot, Slots};
use synod::wal::{HeapMedium, Wal, WalError};

use super::allocation::peak;
use super::choices::Choices;
use super::log_forgery::{places, seal_copy, seal_group, seal_sector};
use super::log_kept::logs;
use super::model;

/// How many steps one input may take.
const STEPS_MAX: usize = 24;
/// The longest file that is made.
const FILE_BYTES_MAX: usize = 128 << 10;
/// What opening takes for each byte of a file, and beside that.
const BYTES_PER_BYTE: usize = 12;
const BYTES_BESIDE: usize = 2 << 20;

const NAMES: [&str; 12] = [
    "0000000000000001.log",
    "0000000000000002.log",
    "superblock",
    "0000000000000003.log",
    "0000000000000004.log",
    "0000000000000000.log",
    "9999999999999999.log",
    "0000000000000003-0.tmp",
    "superblock.tmp",
    "reserve",
    "LOCK",
    "",
];

struct Case {
    disk: HeapMedium,
    written: &'static [(Record, Slot)],
    forged: bool,
}

/// Runs the target.
pub fn run(data: &[u8]) {
    let mut choices = Choices::new(data);
    let kept = &logs()[choices.below(logs().len())];
    let mut case = Case { disk: kept.disk.copy(), written: &kept.records, forged: false };
    for _ in 0..STEPS_MAX {
        if choices.is_over() {
            break;
        }
        case.step(&mut choices);
    }
    case.judge();
}

fn name(choices: &mut Choices<'_>) -> String {
    match choices.byte() {
        listed @ 0..=239 => NAMES[usize::from(listed) % NAMES.len()].into(),
        _ => String::from_utf8_lossy(choices.bytes()).into_owned(),
    }
}

impl Case {
    fn step(&mut self, choices: &mut Choices<'_>) {
        let file = name(choices);
        match choices.byte() % 12 {
            0 => {
                let mask = choices.byte();
                self.disk.flip(&file, self.place(&file, choices) as u64, mask);
            }
            1 => {
                let sectors = 1 + u64::from(choices.byte() % 16);
                let at = self.place(&file, choices) as u64 / 512 * 512;
                self.disk.zero(&file, at..at + 512 * sectors);
            }
            2 => self.change(&file, choices),
            3 => self.disk.lose_file(&file),
            4 => {
                let length = usize::from(choices.short()) * 8 % FILE_BYTES_MAX;
                let mut bytes = self.disk.file_bytes(&file);
                bytes.resize(length, choices.byte());
                self.disk.put_file(&file, &bytes);
            }
            5 => {
                let other = name(choices);
                let (from, to) = (self.sector(&other, choices), self.sector(&file, choices));
                let bytes = self.disk.file_bytes(&other);
                let sector = bytes[from..].iter().take(512).copied().collect::<Vec<_>>();
                self.rewrite(&file, |bytes| put(bytes, to, &sector));
            }
            6 => {
                let bytes = self.disk.file_bytes(&file);
                self.disk.put_file(&name(choices), &bytes);
            }
            7 => {
                let times = 1 + usize::from(choices.byte());
                let bytes = choices.bytes().repeat(times);
                self.disk.put_file(&file, &bytes[..bytes.len().min(FILE_BYTES_MAX)]);
            }
            8 => self.disk.crash(u64::from(choices.byte())),
            9 => self.forge_sector(&file, choices),
            10 => self.forge_group(&file, choices),
            _ => self.forge_copy(&file, choices),
        }
    }

    /// A place in a file; mostly one in the first sectors of a header, group or second copy.
    fn place(&self, file: &str, choices: &mut Choices<'_>) -> usize {
        let within = usize::from(choices.short());
        match self.disk.file_bytes(file).len() {
            0 => 0,
            length => (self.sector(file, choices) + within % 2048) % length,
        }
    }

    /// Where a sector of a file begins that holds something.
    fn sector(&self, file: &str, choices: &mut Choices<'_>) -> usize {
        let bytes = self.disk.file_bytes(file);
        let used = |at: &usize| bytes[*at..].iter().take(512).any(|byte| *byte != 0);
        let sectors: Vec<usize> = (0..bytes.len()).step_by(512).filter(used).collect();
        if sectors.is_empty() { 0 } else { choices.one_of(&sectors) }
    }

    fn rewrite(&mut self, file: &str, change: impl FnOnce(&mut [u8])) {
        if !self.disk.file_names().iter().any(|name| name == file) {
            return;
        }
        let mut bytes = self.disk.file_bytes(file);
        change(&mut bytes);
        self.disk.put_file(file, &bytes);
    }

    fn change(&mut self, file: &str, choices: &mut Choices<'_>) {
        let at = self.place(file, choices);
        let new = value(choices);
        self.rewrite(file, |bytes| put(bytes, at, &new));
    }

    /// A slot of the superblock, or both headers of a segment, say something else.
    fn forge_sector(&mut self, file: &str, choices: &mut Choices<'_>) {
        self.forged = true;
        let both = choices.flag();
        let field = usize::from(choices.byte()) * 4 % 508;
        let new = value(choices);
        self.rewrite(file, |bytes| {
            for at in [0, 4096].into_iter().take(1 + usize::from(both)) {
                put(bytes, at + field, &new);
                seal_sector(bytes, at);
            }
        });
    }

    /// A field of a frame says something else, and the checksums of its group hold.
    fn forge_group(&mut self, file: &str, choices: &mut Choices<'_>) {
        self.forged = true;
        let (which, field) = (choices.byte(), usize::from(choices.short()) % 1024);
        let new = value(choices);
        self.rewrite(file, |bytes| {
            let (groups, _) = places(bytes);
            if !groups.is_empty() {
                let at = groups[usize::from(which) % groups.len()];
                put(bytes, at + field, &new);
                seal_group(bytes, at);
            }
        });
    }

    /// The same of a second copy.
    fn forge_copy(&mut self, file: &str, choices: &mut Choices<'_>) {
        self.forged = true;
        let (which, field) = (choices.byte(), usize::from(choices.byte()));
        let new = value(choices);
        self.rewrite(file, |bytes| {
            let (_, copies) = places(bytes);
            if !copies.is_empty() {
                let at = copies[usize::from(which) % copies.len()];
                put(bytes, at + 8 + field, &new);
                seal_copy(bytes, at);
            }
        });
    }

    fn files(&self) -> BTreeMap<String, Vec<u8>> {
        let names = self.disk.file_names();
        names.into_iter().map(|name| (name.clone(), self.disk.file_bytes(&name))).collect()
    }

    fn open(&self) -> Result<(Wal, Recovered), WalError> {
        model::open(&self.disk)
    }

    fn judge(&mut self) {
        let before = self.files();
        let (opened, used) = peak(|| self.open());
        let bytes: usize = before.values().map(Vec::len).sum();
        assert!(used <= BYTES_PER_BYTE * bytes + BYTES_BESIDE, "{used} bytes for {bytes}");
        let (wal, recovered) = match opened {
            Ok(opened) => opened,
            Err(error) => {
                assert!(!error.to_string().is_empty());
                match error {
                    WalError::Refused { .. } => {
                        assert!(before == self.files(), "a refused log was changed: {error}");
                    }
                    // Checksums hold, but no record says that, or it is longer than these
                    // segments take: it can only be made up.
                    WalError::Rot { .. } if self.forged => assert!(before == self.files()),
                    WalError::Options { .. } if self.forged => {}
                    error => panic!("no verdict: {error}"),
                }
                return;
            }
        };
        if !self.forged {
            // The lists of members of these logs are made up, as their disks' names are drawn.
            let whose = Recovered { members: None, formed: false, ..recovered.clone() };
            assert_eq!(whose.check(), Ok(()));
            self.nothing_is_made_up(&recovered);
        }
        self.readable(&wal, &recovered);
        self.live(wal, recovered);
    }

    fn nothing_is_made_up(&self, recovered: &Recovered) {
        let promised = |(record, _): &(Record, Slot)| match record {
            Record::Promised { ballot } | Record::Accepted { ballot, .. } => *ballot,
            _ => Ballot::ZERO,
        };
        let highest = self.written.iter().map(promised).max().unwrap_or_default();
        assert!(recovered.promised <= highest, "a promise of {} is made up", recovered.promised);
        for (slot, ballot, entry) in &recovered.accepted {
            let (slot, ballot, entry) = (*slot, *ballot, entry.clone());
            let record = Record::Accepted { slot, ballot, entry };
            assert!(self.written.iter().any(|(there, _)| *there == record), "{slot} is made up");
        }
        for (slot, ballot, entry) in &recovered.learned {
            let (slot, ballot, entry) = (*slot, *ballot, entry.clone());
            let record = Record::Chosen { slot, ballot, entry };
            assert!(self.written.iter().any(|(there, _)| *there == record), "{slot} is made up");
        }
        let mark = self.written.last().map_or(Slot::ZERO, |(_, chosen)| *chosen);
        assert!(recovered.chosen <= mark, "the mark {} is made up", recovered.chosen);
    }

    /// What the log gives back can be read from it.
    fn readable(&self, wal: &Wal, recovered: &Recovered) {
        let learned = |slot| recovered.learned.iter().find(|(at, ..)| *at == slot);
        for held in recovered.learned.iter().chain(&recovered.accepted) {
            let (slot, ballot, entry) = learned(held.0).unwrap_or(held);
            self.reads(wal, *slot, |read| read == Some((*ballot, entry.clone())));
        }
        for run in &recovered.runs {
            for slot in run.slots.iter() {
                self.reads(wal, slot, |read| read.is_some_and(|(ballot, _)| ballot == run.ballot));
            }
        }
    }

    /// What is found for the slot is as it should be. Where records are made up, one of a lower
    /// ballot may come last, or one of a slot that was chosen before.
    fn reads(&self, wal: &Wal, slot: Slot, sound: impl Fn(Option<(Ballot, Entry)>) -> bool) {
        let read = wal.locate(slot).and_then(|located| located.read().ok());
        assert!(self.forged || sound(read), "{slot} reads otherwise");
    }

    /// What opened takes records, and has them after a power cut.
    fn live(&mut self, mut wal: Wal, before: Recovered) {
        let Some(ballot) = before.promised.next(ReplicaId(1)) else { return };
        let top = Slot(u64::MAX - 2 * ALPHA);
        if before.last >= Lsn(u64::MAX - 8) || before.chosen >= top {
            return;
        }
        let slot = before.chosen.plus(3);
        let entry = model::entry(77, 100);
        let records =
            [Record::Promised { ballot }, Record::Accepted { slot, ballot, entry: entry.clone() }];
        let mut last = before.last;
        for record in records {
            last = last.next();
            wal.append(last, &record, before.chosen).expect("what opens takes records");
        }
        let sync = wal.start_sync().expect("nothing fails").expect("there is something to sync");
        assert_eq!(wal.finish(sync.run()).expect("nothing fails"), last);
        drop(wal);
        self.disk.crash(last.0);
        let (wal, after) = self.open().expect("what opened once opens again");
        let want = |kept: bool, what: &str| assert!(kept, "{what}: {before:?}, then {after:?}");
        want(after.last == last && after.promised >= ballot, "a record is lost");
        want(after.chosen == before.chosen, "the mark is lost");
        // A mark that is made up may stand before records with a lower one, and those are then
        // missing until the next start has the mark behind them.
        want(self.forged || after.runs == before.runs, "the runs below the mark differ");
        let still =
            |hole: &Slots| before.holes.iter().any(|held| held.intersection(*hole) == *hole);
        let same = after.holes == before.holes || self.forged && after.holes.iter().all(still);
        want(same, "holes differ");
        want(after.members == before.members && after.formed == before.formed, "members differ");
        want(after.accepted.contains(&(slot, ballot, entry)), "an acceptance is lost");
        let others = |list: &[(Slot, Ballot, Entry)]| {
            list.iter().filter(|(at, ..)| *at != slot).cloned().collect::<Vec<_>>()
        };
        want(others(&after.accepted) == others(&before.accepted), "an acceptance is lost");
        want(after.learned == before.learned, "a learned entry is lost");
        self.readable(&wal, &after);
    }
}

fn put(bytes: &mut [u8], at: usize, new: &[u8]) {
    for (i, byte) in new.iter().enumerate() {
        if let Some(there) = bytes.get_mut(at + i) {
            *there = *byte;
        }
    }
}

/// A number of a few bytes, or bytes.
fn value(choices: &mut Choices<'_>) -> Vec<u8> {
    match choices.byte() % 4 {
        0 => vec![choices.byte()],
        1 => (choices.number() as u32).to_le_bytes().to_vec(),
        2 => choices.number().to_le_bytes().to_vec(),
        _ => choices.bytes().to_vec(),
    }
}
