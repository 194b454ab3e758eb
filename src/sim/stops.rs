//! What a host does when its log fails, when its directory is refused, and when its peers refuse
//! it: what `Node` does. Nothing of it may happen that the run did not cause.

use std::format;
use std::string::String;

use crate::membership::Peer;
use crate::output::HaltReason;
use crate::record::Recovered;
use crate::wal::{Refusal, WalError};

use super::cluster::Cluster;
use super::host::Identity;
use super::misfit::Misfit;
use super::oracle::{Broken, broken, index_of};
use super::wal_disk::WalDisk;

impl Cluster {
    /// The log of a running replica failed: the replica is never turned again, and its process
    /// ends. It may be started again.
    pub(crate) fn on_log_failed(&mut self, at: usize, error: &WalError) -> Result<(), Broken> {
        self.begin(20, at);
        self.line(at, || format!("stops: {error}"));
        self.excuse(at, error)?;
        match error {
            WalError::Full { .. } => self.marks.full_disks += 1,
            WalError::Poisoned { .. } => self.marks.poisoned_logs += 1,
            _ => self.marks.failed_calls += 1,
        }
        self.put_down(at);
        self.hosts[at].disk.kill();
        self.stopped.push(at);
        Ok(())
    }

    /// DISK: an error of the log is the consequence of something that was done to its disk.
    pub(crate) fn excuse(&mut self, at: usize, error: &WalError) -> Result<(), Broken> {
        if self.hosts[at].disk.wal().is_some_and(|wal| wal.explains(error)) {
            return Ok(());
        }
        broken("DISK", format!("the log of {} fails for no reason: {error}", at + 1))
    }

    /// START: the log of a host refuses to start, for a reason that the run has injected.
    pub(crate) fn on_start_refused(&mut self, at: usize, error: &WalError) -> Result<(), Broken> {
        self.line(at, || format!("does not start: {error}"));
        if !self.hosts[at].disk.wal().is_some_and(|wal| wal.explains(error)) {
            return broken("START", format!("the log of {} fails: {error}", at + 1));
        }
        let marks = &mut self.marks;
        let WalError::Refused { refusal, .. } = error else {
            marks.failed_starts += 1;
            self.stopped.push(at);
            return Ok(());
        };
        let mark = match refusal {
            Refusal::OtherReplica { .. } => &mut marks.refused_other_replica,
            Refusal::OtherCluster { .. } => &mut marks.refused_other_cluster,
            Refusal::NewerFormat { .. } => &mut marks.refused_newer_format,
            Refusal::SuperblockMissing => &mut marks.refused_no_superblock,
            Refusal::SuperblockRot => &mut marks.refused_superblock_rot,
            Refusal::RolledBack { .. } => &mut marks.refused_rolled_back,
            Refusal::SegmentMissing { .. } => &mut marks.refused_segment_missing,
            Refusal::SegmentRot { .. } => &mut marks.refused_segment_rot,
            Refusal::SegmentMisdirected { .. } => &mut marks.refused_misdirected,
            Refusal::SegmentForeign { .. } => &mut marks.refused_foreign_segment,
            _ => &mut marks.refused_promise_lost,
        };
        *mark += 1;
        let host = &mut self.hosts[at];
        let returned = host.disk.wal().and_then(|wal| wal.put_back());
        // Whoever laid a wrong directory there takes it away again; damage stays.
        host.given_up = returned.is_none();
        self.line(at, || format!("has its own directory again: {returned:?}"));
        self.stopped.push(at);
        Ok(())
    }

    /// Whether the host may be started: not if its directory was refused for good.
    ///
    /// Nor if it is an older copy and somebody does not know better. Only who has heard of a later
    /// start in his present life is sure to notice; that a copy goes unnoticed where nobody up has
    /// heard what it lacks is what docs/PROTOCOL.md, Recovery, step 6 excludes, so it is not
    /// brought about: when somebody starts, and so knows nothing yet, the copy is taken away.
    pub(crate) fn may_start(&mut self, at: usize) -> bool {
        for by in (0..self.hosts.len()).filter(|by| *by != at) {
            let host = &mut self.hosts[by];
            if host.identity == Identity::RolledBack && !host.given_up {
                self.line(by, || String::from("is taken away: not everybody knows better"));
                self.retire(by);
            }
        }
        let host = &mut self.hosts[at];
        if host.identity == Identity::RolledBack && !self.all_know_better(at) {
            self.hosts[at].given_up = true;
        }
        !self.hosts[at].given_up
    }

    /// Whether every other replica is up, and has in its present life heard of a later start of
    /// this one than the copy of its directory could make.
    pub(crate) fn all_know_better(&mut self, at: usize) -> bool {
        let Some(next) = self.hosts[at].disk.wal().and_then(|wal| wal.start_after_backup()) else {
            return false;
        };
        let mut others = self.hosts.iter().enumerate().filter(|(by, _)| *by != at);
        others.all(|(_, host)| host.replica.is_some() && host.heard[at] > next)
    }

    /// The host is never started again.
    fn retire(&mut self, at: usize) {
        self.put_down(at);
        let host = &mut self.hosts[at];
        (host.given_up, host.frozen) = (true, false);
        host.disk.kill();
    }

    /// A start gave back what the disk holds.
    pub(crate) fn on_recovered(&mut self, at: usize, recovered: &Recovered) -> Result<(), Broken> {
        let host = &mut self.hosts[at];
        host.peer = recovered.me;
        host.heard.fill(crate::membership::Incarnation(0));
        let unsynced = host.unsynced.len();
        let kept: std::vec::Vec<_> =
            host.unsynced.drain(..).filter(|r| r.0 <= recovered.last).collect();
        match host.disk.wal().map(|wal| wal.findings()) {
            Some(Ok(found)) => {
                self.marks.torn_tails += u64::from(found.torn);
                self.marks.rot_found += u64::from(found.lost);
                self.marks.superblocks_mended += u64::from(found.mended);
            }
            Some(Err(what)) => return broken("START", format!("{} starts: {what}", at + 1)),
            None => {}
        }
        if self.hosts[at].identity != Identity::Own {
            self.oracle.on_lost_start(at, recovered.me, recovered.last);
            return Ok(());
        }
        let lost = &recovered.faulty;
        self.marks.faulty += lost.iter().map(|run| run.slots.len()).sum::<u64>();
        self.marks.holes += recovered.holes.iter().map(|hole| hole.len()).sum::<u64>();
        self.marks.lost_records += (unsynced - kept.len()) as u64;
        for (lsn, record, chosen) in kept {
            self.durable(at, lsn, &record, chosen)?;
        }
        self.oracle.on_crash(at, recovered.last);
        self.oracle.on_recovered(at, recovered)
    }

    /// A replica has heard a message of another.
    pub(crate) fn hear(&mut self, to: usize, from: Peer) {
        let by = index_of(from.replica);
        if self.hosts.get(by).is_some_and(|host| host.peer.disk == from.disk) {
            let heard = &mut self.hosts[to].heard[by];
            *heard = (*heard).max(from.incarnation);
        }
    }

    /// HALT: a replica stops for good only if its directory is not what its peers know.
    pub(crate) fn on_halted(&mut self, at: usize, reason: &HaltReason) -> Result<(), Broken> {
        let (expected, mark) = match self.hosts[at].identity {
            Identity::Own => return broken("HALT", format!("{} stops: {reason:?}", at + 1)),
            // What a peer says of the name's later start may be about the directory that was there.
            Identity::Wiped => (
                matches!(reason, HaltReason::OtherDisk { .. } | HaltReason::RolledBack { .. }),
                &mut self.marks.wiped_refused,
            ),
            Identity::RolledBack => (
                matches!(reason, HaltReason::RolledBack { .. } | HaltReason::ListLost { .. }),
                &mut self.marks.rolled_back_refused,
            ),
        };
        if !expected {
            return broken("HALT", format!("{} stops for another reason: {reason:?}", at + 1));
        }
        *mark += 1;
        self.retire(at);
        Ok(())
    }

    /// The host dies, in a way of the caller's.
    pub(crate) fn end_life(&mut self, at: usize, end: impl FnOnce(&mut WalDisk)) {
        self.begin(1, at);
        self.line(at, || String::from("dies"));
        self.put_down(at);
        if let Some(wal) = self.hosts[at].disk.wal() {
            end(wal);
        }
    }

    /// The host stops as it should: everything appended becomes durable, with a proof of that.
    pub(crate) fn close(&mut self, at: usize) -> Result<(), Broken> {
        self.begin(24, at);
        self.line(at, || String::from("is closed"));
        self.put_down(at);
        match self.hosts[at].disk.wal().map(|wal| wal.close()) {
            Some(Err(error)) => self.on_log_failed(at, &error),
            Some(Ok(())) | None => Ok(()),
        }
    }

    /// LOST: who came up on a directory that was lost, and could be told so, is refused.
    pub(crate) fn lost_are_refused(&self) -> Result<(), Broken> {
        let mut lost = self.hosts.iter().filter(|host| host.identity != Identity::Own);
        match lost.find(|host| !host.given_up) {
            Some(host) => broken("LOST", format!("{} is not refused", host.peer.replica)),
            None => Ok(()),
        }
    }

    /// Whether the directory of one more host may be lost: enough must be left, and only where
    /// the others know the one that it had. Where a disk rots none may: what two have lost can be
    /// lost for good.
    pub(crate) fn may_lose(&self, at: usize) -> bool {
        let own = |other: &usize| self.hosts[*other].identity == Identity::Own;
        let kept = (0..self.hosts.len()).filter(|other| *other != at && own(other));
        self.rotten.is_none()
            && own(&at)
            && self.oracle.can_go_on(kept)
            && self.oracle.others_are_formed(at)
    }

    /// The directory of a host that is down is made anew, with nothing in it.
    pub(crate) fn wipe(&mut self, at: usize, luck: u64) {
        self.begin(21, at);
        self.trace.add(luck);
        self.line(at, || String::from("finds its directory empty"));
        self.faults.wipes += 1;
        let host = &mut self.hosts[at];
        host.identity = Identity::Wiped;
        host.unsynced.clear();
        if let Some(wal) = host.disk.wal() {
            wal.wipe(luck);
        }
    }

    /// An older copy of the directory of a host that is down is put back.
    pub(crate) fn roll_back(&mut self, at: usize) {
        self.begin(22, at);
        self.line(at, || String::from("finds an older copy of its directory"));
        self.faults.roll_backs += 1;
        let host = &mut self.hosts[at];
        host.identity = Identity::RolledBack;
        host.unsynced.clear();
        if let Some(wal) = host.disk.wal() {
            wal.roll_back();
        }
    }

    /// Another directory is laid in the place of the own one of a host that is down. False if it
    /// cannot be made.
    pub(crate) fn lay(&mut self, at: usize, misfit: Misfit, luck: u64) -> bool {
        let other = (at + 1 + luck as usize % (self.hosts.len() - 1).max(1)) % self.hosts.len();
        let neighbour = self.hosts[other].disk.wal().map(|wal| wal.own_medium().clone());
        // A directory that was lost may be empty, and would be begun anew under any name.
        let whole = other != at && self.hosts[other].identity == Identity::Own;
        let Some(neighbour) = neighbour.filter(|_| whole) else { return false };
        let laid = self.hosts[at].disk.wal().is_some_and(|wal| wal.lay(misfit, &neighbour, luck));
        if laid {
            self.faults.misfits += 1;
            self.begin(23, at);
            self.trace.add(luck);
            self.line(at, || format!("finds another directory: {misfit:?}"));
        }
        laid
    }
}
