//! The real write-ahead log over a simulated medium: a crash loses any part of what was not synced,
//! sector by sector, and whatever a disk can do wrong is done to it.

use std::boxed::Box;
use std::collections::VecDeque;
use std::string::String;
use std::vec::Vec;

use oorandom::Rand64;

use crate::ballot::Ballot;
use crate::entry::Entry;
use crate::membership::{ClusterId, DiskId, Incarnation, ReplicaId};
use crate::record::{Lsn, Record, Recovered};
use crate::slot::Slot;
use crate::wal::{Fault, HeapMedium, Kept, Preparation, Refusal, Sync, Wal, WalError, WalOptions};

use super::disk::Disk;
use super::misfit::{Misfit, Parts};
use super::rot::{self, Damage};

/// Small segments, so that short runs roll them.
const OPTIONS: WalOptions = WalOptions { segment_bytes: 64 << 10, entry_bytes_max: 16 << 10 };

/// What a start found of what had been done to the disk.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Findings {
    /// Something that was being written was sealed off.
    pub(crate) torn: bool,
    /// Records were named as lost.
    pub(crate) lost: bool,
    /// A slot of the superblock had been damaged, and both are sound again.
    pub(crate) mended: bool,
}

/// A copy of the directory that may be put back.
struct Backup {
    medium: HeapMedium,
    incarnation: Incarnation,
}

/// A log on a simulated medium.
pub(crate) struct WalDisk {
    cluster: ClusterId,
    replica: ReplicaId,
    disk: DiskId,
    incarnation: Incarnation,
    medium: HeapMedium,
    wal: Option<Wal>,
    /// The syncs that run, by their numbers.
    syncs: VecDeque<(u64, Sync)>,
    next_sync: u64,
    /// A next segment that somebody is about to make.
    preparation: Option<Preparation>,
    /// Decides what a scheduler of threads would.
    random: Rand64,
    /// How often a segment was begun while a sync ran.
    rolls: u64,
    segments: u64,
    /// Whether the last failed start met an injected fault.
    start_was_struck: bool,
    /// What lies here by mistake, and the own directory meanwhile.
    misfit: Option<(Misfit, HeapMedium)>,
    /// The superblock as the start before the present one left it, and as the present one did.
    superblocks: [Vec<u8>; 2],
    backup: Option<Backup>,
    /// The directory is the copy, put back.
    rolled_back: bool,
    /// What is kept if the machine dies at a call that was chosen, and what strikes it then.
    doom: Option<Option<Kept>>,
    again: Option<Fault>,
    deaths: u64,
    /// Something was damaged, ever.
    damaged: bool,
    /// A slot of the superblock was damaged since the last start.
    superblock_damaged: bool,
}

impl WalDisk {
    /// An empty log; it has been opened once if it is to be part of a formed cluster.
    pub(crate) fn boxed(
        cluster: ClusterId,
        replica: ReplicaId,
        seed: u64,
        formed: bool,
    ) -> Box<dyn Disk> {
        let seed = seed ^ u64::from(replica.0) << 56;
        let mut log = Self {
            cluster,
            replica,
            disk: DiskId::default(),
            incarnation: Incarnation::default(),
            medium: HeapMedium::new(seed),
            wal: None,
            syncs: VecDeque::new(),
            next_sync: 0,
            preparation: None,
            random: Rand64::new(u128::from(seed) << 1),
            rolls: 0,
            segments: 0,
            start_was_struck: false,
            misfit: None,
            superblocks: [Vec::new(), Vec::new()],
            backup: None,
            rolled_back: false,
            doom: None,
            again: None,
            deaths: 0,
            damaged: false,
            superblock_damaged: false,
        };
        if formed {
            log.open().expect("an empty medium opens");
        }
        Box::new(log)
    }

    fn one_in(&mut self, cases: u64) -> bool {
        self.random.rand_range(0..cases) == 0
    }

    fn forget_life(&mut self) {
        self.syncs.clear();
        self.preparation = None;
        self.wal = None;
    }

    /// The power fails, and that much is kept of what was not synced.
    pub(crate) fn cut_power(&mut self, kept: Kept) {
        self.forget_life();
        self.medium.cut_power(kept);
    }

    /// Closes the log, as a host does that stops on purpose.
    pub(crate) fn close(&mut self) -> Result<(), WalError> {
        let Some(wal) = self.wal.take() else { return Ok(()) };
        self.forget_life();
        wal.close().map(|_| ())
    }

    /// The machine dies at a call to come: `kept` says how much is kept of what was not synced,
    /// unless only the process dies. At the start after that `again` strikes.
    pub(crate) fn doom(&mut self, fault: Fault, kept: Option<Kept>, again: Option<Fault>) {
        self.medium.inject(fault);
        (self.doom, self.again) = (Some(kept), again);
    }

    /// How often the machine died at a call of its disk.
    pub(crate) fn deaths(&self) -> u64 {
        self.deaths
    }

    /// The process ends; and the machine, if it has stopped by then.
    fn end_process(&mut self) {
        self.forget_life();
        let kept = self.doom.filter(|_| self.medium.failures() > 0);
        self.deaths += u64::from(kept.is_some());
        match kept.flatten() {
            Some(kept) => self.medium.cut_power(kept),
            None => self.medium.kill(),
        }
        if kept.is_some() && self.again.is_none() {
            self.doom = None;
        } else if kept.is_some()
            && let Some(again) = self.again.take()
        {
            self.medium.inject(again);
        }
    }

    /// The medium, to do something to it.
    pub(crate) fn medium(&self) -> &HeapMedium {
        &self.medium
    }

    /// Lets a call to come go wrong.
    pub(crate) fn inject(&self, fault: Fault) {
        self.medium.inject(fault);
    }

    /// Leaves so many bytes of room on the disk; `None`: as much as anybody wants.
    pub(crate) fn leave_room(&self, bytes: Option<u64>) {
        self.medium.set_capacity(bytes.map(|bytes| self.medium.used() + bytes));
        if bytes.is_none() {
            self.own_medium().set_capacity(None);
        }
    }

    /// The disk works as it should from now on, and the own directory lies in its place.
    pub(crate) fn repair(&mut self) {
        self.put_back();
        self.medium.set_capacity(None);
    }

    /// Lays another directory in the place of the own one, while the host is down. False if that
    /// cannot be done now.
    pub(crate) fn lay(&mut self, misfit: Misfit, neighbour: &HeapMedium, luck: u64) -> bool {
        if self.misfit.is_some() || self.wal.is_some() {
            return false;
        }
        // A copy of a header that lies in the wrong place would make the other file look right.
        if misfit == Misfit::SegmentMisdirected && self.damaged {
            return false;
        }
        let earlier = Some(&self.superblocks[0][..]).filter(|bytes| !bytes.is_empty());
        let parts = Parts {
            own: &self.medium,
            cluster: self.cluster,
            replica: self.replica,
            neighbour,
            earlier_superblock: earlier,
            options: OPTIONS,
        };
        let Some(made) = misfit.make(&parts, luck) else { return false };
        self.misfit = Some((misfit, core::mem::replace(&mut self.medium, made)));
        true
    }

    /// The own directory, wherever it lies.
    pub(crate) fn own_medium(&self) -> &HeapMedium {
        self.misfit.as_ref().map_or(&self.medium, |(_, own)| own)
    }

    /// Puts the own directory back in its place, if another lies there; says which.
    pub(crate) fn put_back(&mut self) -> Option<Misfit> {
        let (misfit, own) = self.misfit.take()?;
        self.medium = own;
        Some(misfit)
    }

    /// Makes a new directory in the place of the old one, while the host is down.
    pub(crate) fn wipe(&mut self, luck: u64) {
        // Whatever directory lies there is lost, not only its own.
        self.misfit = None;
        self.medium = HeapMedium::new(luck);
        (self.damaged, self.superblock_damaged) = (false, false);
        (self.superblocks, self.backup) = (Default::default(), None);
    }

    /// Copies the directory, while the host is down.
    pub(crate) fn back_up(&mut self) {
        let incarnation = self.incarnation;
        self.backup = Some(Backup { medium: self.own_medium().copy(), incarnation });
    }

    /// The first start that the copied directory could make, if it was put back.
    pub(crate) fn start_after_backup(&self) -> Option<Incarnation> {
        let backup = self.backup.as_ref()?;
        // The copy counts its own starts. Whatever its random part: nobody takes it for this one.
        let latest = if self.rolled_back { self.incarnation } else { backup.incarnation };
        Some(latest.next(u16::MAX))
    }

    /// Puts the copied directory back, while the host is down.
    pub(crate) fn roll_back(&mut self) {
        if let Some(backup) = &self.backup {
            self.misfit = None;
            self.medium = backup.medium.copy();
            (self.incarnation, self.rolled_back) = (backup.incarnation, true);
        }
    }

    /// How often a segment was begun while a sync ran, since this was last asked.
    pub(crate) fn take_rolls(&mut self) -> u64 {
        core::mem::take(&mut self.rolls)
    }

    /// Whether what was done to this disk explains the error.
    pub(crate) fn explains(&self, error: &WalError) -> bool {
        let struck = self.medium.failures() > 0 || self.start_was_struck;
        match error {
            WalError::Io { .. } | WalError::Poisoned { .. } => struck,
            WalError::Full { .. } => struck || self.medium.shortages() > 0,
            WalError::Refused { refusal, .. } => match &self.misfit {
                Some((misfit, _)) => misfit.explains(refusal),
                None => {
                    let doubt = matches!(refusal, Refusal::PromiseLost { .. });
                    doubt && self.superblock_damaged
                }
            },
            _ => false,
        }
    }

    /// What the start that just succeeded has found; an error if it found what was never done.
    pub(crate) fn findings(&mut self) -> Result<Findings, String> {
        let Some(status) = self.wal.as_ref().map(Wal::status) else {
            return Ok(Findings::default());
        };
        if let Some((misfit, _)) = &self.misfit {
            return Err(std::format!("it took a wrong directory: {misfit:?}"));
        }
        if status.lost > 0 && !self.damaged {
            return Err(std::format!("{} records are lost, but none was damaged", status.lost));
        }
        let mended = core::mem::take(&mut self.superblock_damaged);
        Ok(Findings { torn: status.torn, lost: status.lost > 0, mended })
    }

    /// Every file as it lies.
    fn files(&self) -> Vec<(String, Vec<u8>)> {
        let names = self.medium.file_names().into_iter();
        names.map(|name| (name.clone(), self.medium.file_bytes(&name))).collect()
    }
}

impl Disk for WalDisk {
    fn id(&self) -> DiskId {
        self.disk
    }

    fn install(&mut self, records: &[Record]) {
        for (index, record) in records.iter().enumerate() {
            let appended = self.append(Lsn(index as u64 + 1), record, Slot::ZERO);
            appended.expect("a medium without faults takes every record");
        }
        let synced = self.start_sync().and_then(|_| self.finish_sync(None));
        synced.expect("a medium without faults syncs");
    }

    fn append(&mut self, lsn: Lsn, record: &Record, chosen: Slot) -> Result<(), WalError> {
        let wal = self.wal.as_mut().expect("only a log that is open is used");
        wal.append(lsn, record, chosen)?;
        let segments = wal.status().segments;
        self.rolls += u64::from(segments > self.segments && !self.syncs.is_empty());
        self.segments = segments;
        Ok(())
    }

    fn start_sync(&mut self) -> Result<Option<u64>, WalError> {
        let wal = self.wal.as_mut().expect("only a log that is open is used");
        let Some(mut sync) = wal.start_sync()? else { return Ok(None) };
        // What is written now is partly on the platter if the power fails before the end. The
        // second of two may be written only when the first has ended.
        if self.syncs.is_empty() || self.one_in(2) {
            sync.write();
        }
        let wal = self.wal.as_mut().expect("only a log that is open is used");
        // Somebody makes it, now, later or never.
        if self.preparation.is_none() {
            self.preparation = wal.prepare();
        }
        if self.one_in(2)
            && let Some(preparation) = self.preparation.take()
        {
            preparation.run();
        }
        let number = self.next_sync;
        self.next_sync += 1;
        self.syncs.push_back((number, sync));
        Ok(Some(number))
    }

    fn finish_sync(&mut self, number: Option<u64>) -> Result<Option<Lsn>, WalError> {
        let place = match number {
            Some(number) => self.syncs.iter().position(|(running, _)| *running == number),
            None => (!self.syncs.is_empty()).then_some(0),
        };
        let Some((_, sync)) = place.and_then(|place| self.syncs.remove(place)) else {
            return Ok(None);
        };
        if self.one_in(2)
            && let Some(preparation) = self.preparation.take()
        {
            preparation.run();
        }
        let done = sync.run();
        let wal = self.wal.as_mut().expect("only a log that is open is used");
        wal.finish(done).map(Some)
    }

    fn crash(&mut self, luck: u64) {
        // A process that dies alone leaves the page cache as it was.
        if luck % 4 == 3 { self.kill() } else { self.cut_power(Kept::Some { seed: luck }) }
    }

    fn kill(&mut self) {
        self.end_process();
    }

    fn rot(&mut self, luck: u64, known: Slot) -> bool {
        if self.misfit.is_some() {
            return false;
        }
        let Some(Damage { superblock, .. }) = rot::damage(&self.medium, luck, known) else {
            return false;
        };
        self.damaged = true;
        self.superblock_damaged |= superblock;
        true
    }

    fn open(&mut self) -> Result<Recovered, WalError> {
        if self.wal.is_some() {
            self.kill();
        }
        // A refusal changes nothing; nobody else would see a wrong directory change.
        let before = self.misfit.as_ref().map(|_| self.files());
        self.start_was_struck = false;
        let medium = Box::new(self.medium.clone());
        let opened = Wal::open(medium, self.cluster, self.replica, OPTIONS);
        let (wal, recovered) = match opened {
            Ok(opened) => opened,
            Err(error) => {
                let medium = &self.medium;
                self.start_was_struck = medium.failures() + medium.shortages() > 0;
                self.end_process();
                // It may have removed the empty segment that made the superblock before it old.
                self.superblocks[0].clear();
                let changed = before.is_some_and(|before| before != self.files());
                assert!(!changed, "a refusal must change nothing: {error}");
                return Err(error);
            }
        };
        self.segments = wal.status().segments;
        self.wal = Some(wal);
        (self.disk, self.incarnation) = (recovered.me.disk, recovered.me.incarnation);
        self.superblocks.swap(0, 1);
        self.superblocks[1] = self.medium.file_bytes("superblock");
        Ok(recovered)
    }

    fn read(&self, slot: Slot) -> Result<Option<(Ballot, Entry)>, WalError> {
        let located = self.wal.as_ref().and_then(|wal| wal.locate(slot));
        located.map(|located| located.read()).transpose()
    }

    fn look(&self, slot: Slot) -> Option<(Ballot, Entry)> {
        self.medium.undisturbed(|| self.read(slot)).ok().flatten()
    }

    fn wal(&mut self) -> Option<&mut WalDisk> {
        Some(self)
    }
}
