//! Disks and directories go wrong, by the odds of the weather.

use std::io::ErrorKind;
use std::vec::Vec;

use crate::wal::Fault;

use super::disk_faults::Strike;
use super::driver::{Driver, Happening};
use super::misfit::Misfit;
use super::oracle::Broken;
use super::wal_disk::WalDisk;

/// How many calls of a disk go by at the most before one of them fails.
const CALLS_MAX: u64 = 60;
/// For how long a host is down at the least whose replica stopped by itself.
const RESTART_MICROS: u64 = 1000;
/// How many bytes are left at the most on a disk that is full: some segments.
const ROOM_MAX: u64 = 80 << 10;

impl Driver {
    /// One of the weather's faults strikes some disk.
    pub(super) fn strike_disk(&mut self) -> Result<(), Broken> {
        let at = self.below(self.cluster.hosts.len() as u64) as usize;
        let faults = self.weather.disks.clone();
        let Some(strike) = faults.pick(|below| self.below(below)) else { return Ok(()) };
        let luck = self.luck();
        match strike {
            Strike::SyncFails => {
                self.cluster.faults.failing_syncs += 1;
                let after = self.below(3);
                self.with_wal(at, |wal| wal.inject(Fault::Sync { after }));
            }
            Strike::CallFails => {
                self.cluster.faults.failing_calls += 1;
                // Half of the time the calls are those of a start.
                if luck.is_multiple_of(2) {
                    self.crash(at);
                }
                let kind = [ErrorKind::Other, ErrorKind::StorageFull, ErrorKind::Interrupted];
                let kind = kind[self.below(3) as usize];
                let after = self.below(CALLS_MAX);
                self.with_wal(at, |wal| wal.inject(Fault::Call { after, kind }));
            }
            Strike::Full => {
                self.cluster.faults.crowded_disks += 1;
                let room = self.below(ROOM_MAX);
                self.with_wal(at, |wal| wal.leave_room(Some(room)));
                let lasts = 1 + self.below(faults.full_micros);
                self.at(lasts, Happening::Room { at });
            }
            Strike::Stall => {
                self.cluster.faults.stalls += 1;
                let (least, most) = faults.stall_micros;
                let until = self.cluster.now_micros + least + self.below(most - least + 1);
                self.stalled[at] = self.stalled[at].max(until);
            }
            Strike::Misfit => {
                let misfit = Misfit::ALL[self.below(Misfit::ALL.len() as u64) as usize];
                self.crash(at);
                if !self.cluster.is_up(at) {
                    self.cluster.lay(at, misfit, luck);
                }
            }
            Strike::Wipe if self.cluster.may_lose(at) => {
                self.crash(at);
                self.cluster.wipe(at, luck);
            }
            Strike::RollBack if self.cluster.may_lose(at) => self.roll_back(at)?,
            Strike::Wipe | Strike::RollBack => {}
        }
        Ok(())
    }

    /// An older copy of a directory is put back, if there is one and everybody would notice. Else
    /// a host that has one starts once more, so that they will; or one is made.
    fn roll_back(&mut self, at: usize) -> Result<(), Broken> {
        let mut copied = Vec::new();
        for at in 0..self.cluster.hosts.len() {
            let has_copy = self.with_wal(at, |wal| wal.start_after_backup().is_some());
            if has_copy == Some(true) && self.cluster.may_lose(at) {
                copied.push(at);
            }
        }
        let ready = copied.iter().find(|at| self.cluster.all_know_better(**at));
        if let Some(at) = ready.copied() {
            self.crash(at);
            self.cluster.roll_back(at);
            // At once, before anybody else starts and knows nothing.
            return self.start(at);
        }
        let at = copied.first().copied().unwrap_or(at);
        self.crash(at);
        if copied.is_empty() {
            self.with_wal(at, |wal| wal.back_up());
        }
        Ok(())
    }

    fn with_wal<T>(&mut self, at: usize, act: impl FnOnce(&mut WalDisk) -> T) -> Option<T> {
        self.cluster.hosts[at].disk.wal().map(act)
    }

    /// Somebody starts a host again that has stopped by itself, after a while.
    pub(super) fn plan_start(&mut self, at: usize) {
        if !self.cluster.hosts[at].given_up {
            let down = RESTART_MICROS + self.below(self.weather.down_micros);
            self.at(down, Happening::Start { at });
        }
    }

    /// Ends a host's life, in a way of one's own; nobody starts it again.
    pub(super) fn end_life(&mut self, at: usize, end: impl FnOnce(&mut WalDisk)) {
        self.starts[at] += 1;
        self.forget_frozen(at);
        self.cluster.end_life(at, end);
    }

    /// A disk that was full has room again.
    pub(super) fn make_room(&mut self, at: usize) {
        self.with_wal(at, |wal| wal.leave_room(None));
    }

    /// How long a sync takes that begins now.
    pub(super) fn sync_takes(&mut self, at: usize) -> u64 {
        let takes = self.spread(self.weather.sync_micros);
        if at == 0 { takes * self.weather.disks.slow_times } else { takes }
    }

    /// Every disk works, and every host has its own directory again, if that is not lost.
    pub(super) fn repair_disks(&mut self) {
        for at in 0..self.cluster.hosts.len() {
            self.with_wal(at, |wal| wal.repair());
            self.stalled[at] = 0;
        }
        self.end_syncs_soon();
    }
}
