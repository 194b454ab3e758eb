//! The end of every run that came to rest: the power fails everywhere, and what was said before
//! must be true of what the disks give back.

use std::format;

use super::driver::Driver;
use super::oracle::{Broken, broken};

/// How many election timeouts a cluster has to apply again what it had applied.
const ROUNDS_MAX: u64 = 20;

impl Driver {
    /// Ends the run: restarts the whole cluster if it rests, and judges the history of its clients.
    pub(crate) fn finish(&mut self) -> Result<(), Broken> {
        let rested = self.rested;
        if rested {
            self.dur_all_restarted()?;
        }
        self.cluster.service.finish(rested)
    }

    /// DUR: when the power failed everywhere, all machines become again what they were, from their
    /// logs alone and without a command.
    fn dur_all_restarted(&mut self) -> Result<(), Broken> {
        let n = self.cluster.hosts.len();
        let before = self.cluster.hosts[0].machine.clone();
        // Every run ends so: that is none of the faults that its weather made.
        let faults = self.cluster.faults;
        (0..n).for_each(|at| self.crash(at));
        self.cluster.faults = faults;
        (0..n).try_for_each(|at| self.start(at))?;
        let timeout = self.cluster.election_timeout_micros();
        for _ in 0..ROUNDS_MAX {
            if self.cluster.hosts.iter().all(|host| host.machine.len() >= before.len()) {
                break;
            }
            self.run_for(timeout)?;
        }
        for (at, host) in self.cluster.hosts.iter().enumerate() {
            if host.machine != before {
                let (now, then) = (host.machine.len(), before.len());
                let summary = self.cluster.summary();
                return broken(
                    "DUR",
                    format!("{} had applied {then} slots, now {now}: {summary}", at + 1),
                );
            }
        }
        Ok(())
    }
}
