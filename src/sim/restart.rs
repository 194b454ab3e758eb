//! The end of every run that came to rest: the power fails everywhere, and what was said before
//! must be true of what the disks give back.

use std::format;
use std::vec::Vec;

use super::driver::Driver;
use super::host::Host;
use super::oracle::{Broken, broken};

/// How many election timeouts a cluster has to apply again what it had applied.
const ROUNDS_MAX: u64 = 20;

impl Driver {
    /// Ends the run: restarts the whole cluster if it rests, and judges the history of its clients.
    pub(crate) fn finish(&mut self) -> Result<(), Broken> {
        if self.rested {
            self.dur_all_restarted()?;
        }
        let sound: Vec<bool> = self.cluster.hosts.iter().map(Host::is_sound).collect();
        self.cluster.service.finish(self.rested.then_some(&sound))
    }

    /// DUR: when the power failed everywhere, all machines become again what they were, from their
    /// logs alone and without a command.
    fn dur_all_restarted(&mut self) -> Result<(), Broken> {
        let n = self.cluster.hosts.len();
        let sound: Vec<usize> = (0..n).filter(|at| self.cluster.hosts[*at].is_sound()).collect();
        let Some(before) = sound.first().map(|at| self.cluster.hosts[*at].machine.clone()) else {
            return Ok(());
        };
        // Every run ends so: that is none of the faults that its weather made.
        let faults = self.cluster.faults;
        (0..n).for_each(|at| self.crash(at));
        self.cluster.faults = faults;
        sound.iter().try_for_each(|at| self.start(*at))?;
        let timeout = self.cluster.election_timeout_micros();
        for _ in 0..ROUNDS_MAX {
            let again = |at: &usize| self.cluster.hosts[*at].machine.len() >= before.len();
            if sound.iter().all(again) {
                break;
            }
            self.run_for(timeout)?;
        }
        for (at, host) in sound.iter().map(|at| (*at, &self.cluster.hosts[*at])) {
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
