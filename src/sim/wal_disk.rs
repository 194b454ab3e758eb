//! The real write-ahead log over a simulated medium: a crash loses any part of what was not synced,
//! sector by sector.

use std::boxed::Box;
use std::string::{String, ToString};

use crate::ballot::Ballot;
use crate::entry::Entry;
use crate::membership::{ClusterId, DiskId, ReplicaId};
use crate::record::{Lsn, Record, Recovered};
use crate::slot::Slot;
use crate::wal::{HeapMedium, Sync, Wal, WalOptions};

use super::disk::Disk;

/// Small segments, so that short runs roll them.
const OPTIONS: WalOptions = WalOptions { segment_bytes: 64 << 10, entry_bytes_max: 16 << 10 };

/// A log on a simulated medium.
pub(crate) struct WalDisk {
    cluster: ClusterId,
    replica: ReplicaId,
    disk: DiskId,
    medium: HeapMedium,
    wal: Option<Wal>,
    sync: Option<Sync>,
}

impl WalDisk {
    /// An empty log.
    pub(crate) fn boxed(cluster: ClusterId, replica: ReplicaId, seed: u64) -> Box<dyn Disk> {
        let medium = HeapMedium::new(seed ^ u64::from(replica.0) << 56);
        let disk = DiskId::default();
        let mut log = Self { cluster, replica, disk, medium, wal: None, sync: None };
        let recovered = log.open().expect("an empty medium opens");
        log.disk = recovered.me.disk;
        Box::new(log)
    }

    fn wal(&mut self) -> &mut Wal {
        self.wal.as_mut().expect("only a log that is open is used")
    }
}

impl Disk for WalDisk {
    fn id(&self) -> DiskId {
        self.disk
    }

    fn install(&mut self, records: &[Record]) {
        for (index, record) in records.iter().enumerate() {
            self.append(Lsn(index as u64 + 1), record, Slot::ZERO);
        }
        self.start_sync();
        self.finish_sync();
    }

    fn append(&mut self, lsn: Lsn, record: &Record, chosen: Slot) {
        self.wal().append(lsn, record, chosen).expect("a medium without limits takes every record");
    }

    fn start_sync(&mut self) -> bool {
        if self.sync.is_some() {
            return false;
        }
        let mut sync = self.wal().start_sync().expect("a medium without faults syncs");
        if let Some(sync) = &mut sync {
            // What is written now is partly on the platter if the power fails before the end.
            sync.write();
        }
        self.sync = sync;
        self.sync.is_some()
    }

    fn finish_sync(&mut self) -> Option<Lsn> {
        let done = self.sync.take()?.run();
        Some(self.wal().finish(done).expect("a medium without faults syncs"))
    }

    fn crash(&mut self, luck: u64) {
        self.wal = None;
        self.sync = None;
        // A process that dies alone leaves the page cache as it was.
        if luck % 4 == 3 { self.medium.kill() } else { self.medium.crash(luck) }
    }

    /// Does nothing yet: what damage does to this log is tested with the log.
    fn rot(&mut self, _luck: u64, _known: Slot) {}

    fn open(&mut self) -> Result<Recovered, String> {
        if self.wal.take().is_some() {
            self.medium.kill();
        }
        let medium = Box::new(self.medium.clone());
        let opened = Wal::open(medium, self.cluster, self.replica, OPTIONS);
        let (wal, recovered) = opened.map_err(|error| error.to_string())?;
        self.wal = Some(wal);
        Ok(recovered)
    }

    fn read(&self, slot: Slot) -> Option<(Ballot, Entry)> {
        self.wal.as_ref()?.locate(slot)?.read().ok()
    }
}
