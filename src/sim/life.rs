//! The proof of life: once all is repaired, the cluster must make progress and agree.

use std::format;
use std::vec::Vec;

use crate::output::Fate;
use crate::slot::Slot;

use super::driver::Driver;
use super::oracle::{Broken, broken};
use super::record::Happened;
use super::weather::Weather;

/// How many election timeouts a healed cluster has to find a leader and to choose a command.
const ROUNDS_MAX: u64 = 20;
/// A round in which so many slots were chosen is not counted among them.
const BACKLOG_SLOTS: u64 = 8;
/// How many election timeouts of rest everybody has to learn everything.
pub(super) const REST_ROUNDS: u64 = 5;

impl Driver {
    /// Repairs everything.
    pub(super) fn repair(&mut self) -> Result<(), Broken> {
        self.set_weather(Weather::FAIR);
        self.cluster.happens(|| Happened::Repaired);
        self.repair_disks();
        self.cluster.cuts.heal();
        // Whoever has lost its directory must be refused, and is, if it starts: after the others,
        // who may have to know better than it does.
        let mut order: Vec<usize> = (0..self.starts.len()).collect();
        order.sort_by_key(|at| !self.cluster.hosts[*at].is_sound());
        order.into_iter().try_for_each(|at| self.repair_one(at))
    }

    /// One replica is up, goes on, and has a clock that does so, too.
    pub(super) fn repair_one(&mut self, at: usize) -> Result<(), Broken> {
        let now = self.cluster.now_micros;
        self.thaw(at);
        self.cluster.hosts[at].set_right(now);
        self.start(at)
    }

    /// Everything is repaired: within a bound a leader is found, a fresh command is chosen, and all
    /// have applied the same.
    pub(crate) fn heal_and_prove_life(&mut self) -> Result<(), Broken> {
        self.repair()?;
        let timeout = self.cluster.election_timeout_micros();
        let mut proposed = Vec::new();
        let mut rounds = 0;
        while rounds < ROUNDS_MAX {
            let before = self.cluster.oracle.slots_chosen();
            // A fresh one each time: what a deposed leader took in may be superseded, or waits for
            // somebody to fill the slots below its limit.
            if let Some((leader, _)) = self.cluster.leader() {
                proposed.extend(self.cluster.propose(leader, 8)?.ok());
            }
            self.run_for(timeout)?;
            let chosen_at = |id| match self.cluster.oracle.fate(id) {
                Some(Fate::Chosen { slot, .. }) => Some(slot),
                Some(Fate::NotLeader { .. } | Fate::Superseded) | None => None,
            };
            let newest = proposed.iter().copied().filter_map(chosen_at).max();
            // A leader whose log was hurt before the repair may have stopped since.
            let led = self.cluster.leader().is_some();
            if led && newest.is_some_and(|slot| self.all_applied(slot.next())) {
                self.prove_rest()?;
                return self.prove_neighbour();
            }
            // While a leader works off what was queued before, one slot at a time where its
            // pipeline has just one, that is progress. The queue is finite.
            if self.cluster.oracle.slots_chosen() < before + BACKLOG_SLOTS {
                rounds += 1;
            }
        }
        broken(
            "LIVE",
            format!(
                "no progress in {ROUNDS_MAX} election timeouts after healing: {}",
                self.cluster.summary()
            ),
        )
    }

    fn all_applied(&self, upto: Slot) -> bool {
        let mut sound = self.cluster.hosts.iter().filter(|host| host.is_sound());
        sound.all(|host| host.machine.len() as u64 >= upto.0)
    }

    /// After a while of rest all state machines are equal, and every command has its fate.
    fn prove_rest(&mut self) -> Result<(), Broken> {
        let timeout = self.cluster.election_timeout_micros();
        self.let_the_preferred_lead()?;
        let mut led = self.cluster.leading;
        // What a disk did before the repair may show only now, when its log is written to: then the
        // replica starts again, once, and the rest begins anew.
        for _ in 0..=self.starts.len() {
            let failed = self.cluster.marks.logs_failed();
            led = self.cluster.leading;
            self.run_for(REST_ROUNDS * timeout)?;
            if self.cluster.marks.logs_failed() == failed {
                break;
            }
        }
        self.econ_at_rest()?;
        if self.cluster.leading > led {
            return broken("LIVE", format!("{} elections at rest", self.cluster.leading - led));
        }
        self.cluster.lost_are_refused()?;
        self.cluster.conv_all_equal()?;
        self.cluster.rest_holds_nothing()?;
        self.cluster.rest_has_one_leader()?;
        self.rested = true;
        self.cluster.all_fates_known()
    }
}
