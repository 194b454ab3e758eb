//! What a cluster may spend: on elections, and on messages.
//!
//! A protocol that elects or repeats itself without need stays correct and becomes useless, and no
//! check of agreement sees it.

use std::format;

use crate::time::Instant;

use super::cluster::Cluster;
use super::driver::Driver;
use super::oracle::{Broken, broken};

/// How many election timeouts the first leader has to show itself.
const SETTLED_TIMEOUTS: u64 = 3;
/// How many messages each pair of leader and follower may exchange beside heartbeats and votes:
/// forming, one election or two, and the pages of a follower that started late.
const EXTRA_MESSAGES: u64 = 120;

impl Cluster {
    /// ECON: without faults nobody tries to lead once the first leader had time to show itself. Two
    /// may try at once before that. Each command costs at most an Accept and an Accepted for each
    /// follower, a Forward, its answer, and one more as it is chosen; each read a question with its
    /// answer, and a Heartbeat with its answer for each follower. An Announcement costs a message
    /// for each follower, and there are no more of them than chosen slots. Beside them only
    /// heartbeats and their answers are sent.
    pub(super) fn econ_without_a_fault(&self) -> Result<(), Broken> {
        let settled_micros = SETTLED_TIMEOUTS * self.election_timeout_micros();
        if self.prepared_micros > settled_micros || self.leading > 2 {
            return broken(
                "ECON",
                format!(
                    "without a fault, {} elections were won, the last begun after {} us",
                    self.leading, self.prepared_micros
                ),
            );
        }
        let slots = self.oracle.slots_chosen();
        let reads = self.marks.reads_served + self.marks.reads_refused;
        let forwards = self.service.operations().0;
        let (announced, followers) = (self.marks.announcements, self.hosts.len() as u64 - 1);
        if announced > followers * slots {
            return broken("ECON", format!("{announced} Announcements for {slots} slots"));
        }
        let budget = self.messages_in(self.now_micros, slots + reads + EXTRA_MESSAGES)
            + 3 * forwards
            + 2 * reads
            + announced;
        if self.sent > budget {
            return broken(
                "ECON",
                format!("{} messages for {slots} slots; {budget} would do", self.sent),
            );
        }
        Ok(())
    }

    /// How many messages a leader and its followers need: in so much time, for so many slots.
    fn messages_in(&self, micros: u64, slots: u64) -> u64 {
        let followers = self.hosts.len() as u64 - 1;
        let heartbeat = self.hosts[0].config.heartbeat.as_micros() as u64;
        2 * followers * (micros / heartbeat + 1 + slots)
    }

    /// STORM: no replica tries to lead twice within an election timeout of its own clock, however
    /// often it fails. One that is alone waits for nobody, and one that a leader asked to lead does
    /// it at once.
    pub(super) fn on_preparing(&mut self, at: usize) -> Result<(), Broken> {
        self.prepared_micros = self.now_micros;
        let now = self.local(at);
        let alone = self.hosts.len() == 1;
        let host = &mut self.hosts[at];
        let alone = alone || host.urged;
        let timeout = host.config.election_timeout;
        let before: Option<Instant> = host.prepared.replace(now);
        match before {
            Some(before) if !alone && now < before.after(timeout) => broken(
                "STORM",
                format!("{} tries to lead at {now}, and did at {before} before", at + 1),
            ),
            _ => Ok(()),
        }
    }
}

impl Driver {
    /// ECON: a cluster at rest exchanges heartbeats and their answers, and nothing else.
    pub(super) fn econ_at_rest(&mut self) -> Result<(), Broken> {
        let timeout = self.cluster.election_timeout_micros();
        let before = self.cluster.sent;
        self.run_for(timeout)?;
        let sent = self.cluster.sent - before;
        let budget = self.cluster.messages_in(timeout, 1);
        if sent > budget {
            return broken(
                "ECON",
                format!("{sent} messages in a timeout of rest; {budget} would do"),
            );
        }
        Ok(())
    }
}
