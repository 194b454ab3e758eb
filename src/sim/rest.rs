//! What must hold of a cluster at rest: all agree, nothing waits, one leads, every fate is known.

use std::format;
use std::string::String;

use crate::replica::{Role, Status};
use crate::slot::Slot;

use super::cluster::Cluster;
use super::host::Host;
use super::oracle::{Broken, broken};

impl Cluster {
    /// CONV: all state machines have applied the same, and everything that was reported chosen.
    pub(crate) fn conv_all_equal(&self) -> Result<(), Broken> {
        let mut sound = self.hosts.iter().enumerate().filter(|(_, host)| host.is_sound());
        let Some((one, Host { machine: first, .. })) = sound.next() else { return Ok(()) };
        for (at, host) in sound {
            if host.machine != *first {
                return broken(
                    "CONV",
                    format!(
                        "{} has applied {} slots, {} has applied {}",
                        at + 1,
                        host.machine.len(),
                        one + 1,
                        first.len()
                    ),
                );
            }
        }
        self.oracle.dur_acknowledged_below(Slot(first.len() as u64))
    }

    /// REST: at rest nothing waits: for a pipeline, for a disk, for a state machine, or for
    /// entries that a log has lost.
    pub(crate) fn rest_holds_nothing(&self) -> Result<(), Broken> {
        for (at, status) in self.sound_statuses() {
            let holds = status.queued_bytes > 0
                || status.unanswered_bytes > 0
                || status.awaited_runs > 0
                || status.waiting_reads > 0
                || status.open_slots > 0
                || status.unsynced_bytes > 0
                || status.hole_slots > 0
                || status.applied < status.chosen
                || status.durable < status.appended;
            if holds {
                return broken("REST", format!("{} still holds something: {status:?}", at + 1));
            }
        }
        Ok(())
    }

    /// REST: at rest one replica leads, and all others follow it.
    pub(crate) fn rest_has_one_leader(&self) -> Result<(), Broken> {
        let Some((leader, ballot)) = self.leader() else {
            return broken("REST", String::from("nobody leads"));
        };
        for (at, status) in self.sound_statuses() {
            let role = if at == leader { Role::Leading } else { Role::Following };
            if status.role != role || status.leader != Some(ballot) {
                return broken("REST", format!("{ballot} leads, {} does not: {status:?}", at + 1));
            }
        }
        Ok(())
    }

    /// What the replicas that the cluster can have back say of themselves.
    fn sound_statuses(&self) -> impl Iterator<Item = (usize, Status)> {
        let sound = self.hosts.iter().enumerate().filter(|(_, host)| host.is_sound());
        sound.filter_map(|(at, host)| Some((at, host.replica.as_ref()?.status())))
    }

    /// FATE: at rest, every command that a living replica took in has its fate. READ: every read of
    /// one has its answer.
    pub(crate) fn all_fates_known(&self) -> Result<(), Broken> {
        for host in self.hosts.iter().filter(|host| host.is_sound()) {
            self.oracle.fate_known_at_rest(host.peer.replica, host.peer.incarnation)?;
            self.oracle.reads_done_at_rest(host.peer)?;
        }
        Ok(())
    }
}
