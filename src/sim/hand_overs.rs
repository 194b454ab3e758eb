//! What operators do: hand leadership over, and stop replicas cleanly, which begins with that; and
//! what priorities must come to.
//!
//! All of it is drawn from a stream of its own: whatever else a seed stands for stays as it is.

use std::format;

use crate::membership::ReplicaId;
use crate::output::Event;
use crate::replica::{Replica, TransferError};
use crate::time::Instant;

use super::cluster::Cluster;
use super::driver::{Driver, Happening};
use super::oracle::{Broken, broken};
use super::random::Random;

/// For how long a replica that was stopped cleanly stays down, at the most.
const AWAY_MICROS: u64 = 300_000;
/// How often a stop looks whether it may go on.
const LOOK_MICROS: u64 = 2000;
/// How many election timeouts at rest one replica has to hand over to the next of a higher
/// priority: more than the longest wait after attempts that did not last. Whoever has failed more
/// rarely goes first, so that all others may lead before the preferred one does.
const PREFER_TIMEOUTS: u64 = 300;

impl Cluster {
    /// Asks a replica to hand leadership over.
    pub(crate) fn transfer(
        &mut self,
        at: usize,
        to: usize,
    ) -> Result<Result<(), TransferError>, Broken> {
        let target = ReplicaId(to as u32 + 1);
        self.ask(at, |replica, now| replica.transfer(now, target))
    }

    /// Asks a replica to hand leadership over to whoever suits best.
    pub(crate) fn resign(&mut self, at: usize) -> Result<Result<ReplicaId, TransferError>, Broken> {
        self.ask(at, Replica::resign)
    }

    fn ask<T: core::fmt::Debug>(
        &mut self,
        at: usize,
        ask: impl FnOnce(&mut Replica, Instant) -> Result<T, TransferError>,
    ) -> Result<Result<T, TransferError>, Broken> {
        let now = self.local(at);
        let host = &mut self.hosts[at];
        let able = !host.frozen;
        let Some(replica) = host.replica.as_mut().filter(|_| able) else {
            return Ok(Err(TransferError::Halted));
        };
        let asked = ask(replica, now);
        self.begin(8, at);
        self.line(at, || format!("is asked to hand over: {asked:?}"));
        self.hosts[at].asked = true;
        self.drain(at)?;
        self.hosts[at].asked = false;
        Ok(asked)
    }

    /// Counts what came of hand-overs.
    pub(super) fn mark_hand_over(&mut self, at: usize, event: &Event) {
        let host = &mut self.hosts[at];
        match event {
            Event::HandingOver { to, .. } => host.prefers = (!host.asked).then_some(*to),
            Event::HandedOver { leader } => {
                self.marks.handed_over += 1;
                let preferred = host.prefers.take() == Some(leader.replica);
                self.marks.preferred_led += u64::from(preferred);
            }
            Event::HandOverGivenUp { .. } => self.marks.hand_overs_given_up += 1,
            _ => {}
        }
    }

    /// Whether nobody who is up should rather lead than whoever leads.
    fn leads_by_preference(&self) -> bool {
        let able = self.hosts.iter().filter(|host| host.is_sound() && host.replica.is_some());
        let highest = able.map(|host| host.config.priority).max();
        self.leader().is_some_and(|(at, _)| Some(self.hosts[at].config.priority) == highest)
    }

    fn has_priorities(&self) -> bool {
        self.hosts.iter().any(|host| host.config.priority != self.hosts[0].config.priority)
    }
}

impl Driver {
    /// Plans what operators do, if they do anything.
    pub(super) fn plan_hand_overs(&mut self) {
        let plans = [
            (self.weather.transfer_every_micros, Happening::Transfer),
            (self.weather.leave_every_micros, Happening::Leave),
        ];
        for (every, what) in plans {
            if let Some(every) = every {
                let first = self.operators.below(2 * every);
                self.at(first, what);
            }
        }
    }

    /// An operator asks for a hand-over, or stops a replica; or a stop goes on.
    pub(super) fn operate(&mut self, what: Happening) -> Result<(), Broken> {
        let n = self.starts.len() as u64;
        match what {
            Happening::Transfer => {
                self.operate_again(self.weather.transfer_every_micros, Happening::Transfer);
                let (any, to) = (self.operators.below(n), self.operators.below(n));
                // Mostly one that leads: others say who does.
                let leader = self.cluster.leader().filter(|_| !self.operators.chance(100));
                let at = leader.map_or(any as usize, |(at, _)| at);
                let _ = self.cluster.transfer(at, to as usize)?;
            }
            Happening::Leave => {
                self.operate_again(self.weather.leave_every_micros, Happening::Leave);
                let any = self.operators.below(n) as usize;
                let leader = self.cluster.leader().filter(|_| self.operators.chance(700));
                let at = leader.map_or(any, |(at, _)| at);
                let _ = self.cluster.resign(at)?;
                self.leave(at, self.cluster.now_micros)?;
            }
            // Who is up when everything is repaired stays up.
            Happening::Left { at, starts, since_micros }
                if starts == self.starts[at] && self.weather.leave_every_micros.is_some() =>
            {
                self.leave(at, since_micros)?;
            }
            _ => {}
        }
        Ok(())
    }

    fn operate_again(&mut self, every_micros: Option<u64>, what: Happening) {
        if let Some(every) = every_micros {
            let micros = self.operators.below(2 * every);
            self.at(micros, what);
        }
    }

    /// The replica stops cleanly as soon as its hand-over is over: everything is durable then.
    fn leave(&mut self, at: usize, since_micros: u64) -> Result<(), Broken> {
        if !self.cluster.is_up(at) || self.cluster.hosts[at].frozen {
            return Ok(());
        }
        let handing = self.cluster.status(at).and_then(|status| status.handing_over_to);
        let late = since_micros + 2 * self.cluster.election_timeout_micros();
        if handing.is_some() && self.cluster.now_micros < late {
            let starts = self.starts[at];
            self.at(LOOK_MICROS, Happening::Left { at, starts, since_micros });
            return Ok(());
        }
        self.cluster.sync(at)?;
        if self.cluster.is_up(at) {
            self.cluster.faults.clean_stops += 1;
            self.cluster.crash(at, u64::MAX);
            self.starts[at] += 1;
            self.forget_frozen(at);
            let away = self.operators.below(AWAY_MICROS);
            self.at(away, Happening::Start { at });
        }
        Ok(())
    }

    /// PREFER: at rest the replica that should rather lead than the others does so, at last. Until
    /// then the cluster is not at rest.
    pub(super) fn let_the_preferred_lead(&mut self) -> Result<(), Broken> {
        if !self.cluster.has_priorities() {
            return Ok(());
        }
        let timeout = self.cluster.election_timeout_micros();
        for _ in 0..PREFER_TIMEOUTS * (self.starts.len() as u64 - 1).max(1) {
            if self.cluster.leads_by_preference() {
                // Whoever was asked for it may hear of it last.
                return self.run_for(timeout);
            }
            self.run_for(timeout)?;
        }
        broken("PREFER", format!("whoever should does not lead: {}", self.cluster.summary()))
    }
}

/// The numbers that operators use.
pub(super) fn operators(seed: u64) -> Random {
    Random::from_seed(seed ^ 0x0b5e_55ed)
}
