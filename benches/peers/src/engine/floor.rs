//! The floor: what no engine can do without. Each command is copied once into a batch, which is
//! kept as a log would keep it, and every replica reads all bytes of it. There is no protocol.

use super::Engine;
use crate::check::Applied;
use crate::workload::Workload;

pub(super) struct Cluster {
    replicas: Vec<Applied>,
    /// The commands of each window, one after another.
    log: Vec<Vec<u8>>,
}

impl Cluster {
    pub(super) fn new(replicas: u64) -> Self {
        Self { replicas: vec![Applied::default(); replicas as usize], log: Vec::new() }
    }
}

impl Engine for Cluster {
    fn window(&mut self, workload: &mut Workload, window: u64) -> Result<(), String> {
        let mut batch = Vec::new();
        let mut length = 0;
        for _ in 0..window {
            let command = workload.next().1;
            length = command.len();
            batch.extend_from_slice(command);
        }
        for replica in &mut self.replicas {
            replica.apply_all(batch.chunks_exact(length));
        }
        self.log.push(batch);
        Ok(())
    }

    fn applied(&self) -> Vec<Applied> {
        self.replicas.clone()
    }
}
