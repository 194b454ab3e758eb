//! What a simulated cluster is made of, and one host of it.

use std::boxed::Box;
use std::collections::VecDeque;
use std::vec::Vec;

use crate::config::Config;
use crate::fragment::Courier;
use crate::membership::{Incarnation, Peer, ReplicaId};
use crate::record::{Lsn, Record};
use crate::replica::Replica;
use crate::slot::Slot;
use crate::time::Instant;

use super::disk::Disk;
use super::oracle::index_of;

/// What keeps the records of a replica.
///
/// ```
/// use synod::sim::{DiskKind, Swarm, simulate};
///
/// let swarm = Swarm::fault_free(1).with(|parts| parts.settings.disk = DiskKind::Wal)?;
/// assert!(simulate(&swarm)?.slots > 0, "the real log kept them");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DiskKind {
    /// A plain list, of which a crash keeps a prefix: quick.
    Journal,
    /// The real log over a simulated medium, of which a crash keeps any sectors.
    Wal,
}

/// What a cluster is made of.
///
/// ```
/// use synod::sim::{Parts, Settings};
///
/// let Settings { replicas, formed, .. } = Parts::calm(1).settings;
/// assert_eq!((replicas, formed), (5, true));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// How many replicas, 1 to 9.
    pub replicas: usize,
    /// The settings of each replica; `members` and `seed` are filled in.
    pub config: Config,
    /// The priority of each replica, in the order of their names; those that are not named have
    /// that of `config`.
    pub priorities: Vec<u8>,
    /// Whether the cluster is formed from the start.
    pub formed: bool,
    /// Whether state machines take their time: then an entry counts as applied only when the run
    /// says so.
    pub slow_machines: bool,
    /// What keeps the records.
    pub disk: DiskKind,
    /// The longest frame, if messages travel as frames of the wire: at least 392 bytes. `None`:
    /// they travel as they are, which is quicker.
    pub frame_bytes_max: Option<usize>,
    /// Where everything random comes from.
    pub seed: u64,
}

impl Settings {
    /// The settings of one replica of these.
    pub(crate) fn config_of(&self, id: ReplicaId, members: &[ReplicaId]) -> Config {
        let mut config = self.config.clone();
        config.members = members.to_vec();
        if let Some(priority) = self.priorities.get(index_of(id)) {
            config.priority = *priority;
        }
        config.seed = self.seed.wrapping_mul(0x9e37_79b9).wrapping_add(u64::from(id.0));
        config
    }
}

/// Whose a host's directory is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Identity {
    /// The replica's own, with everything that it must not forget.
    #[default]
    Own,
    /// A new one under the old name: it must never vote.
    Wiped,
    /// An older copy: it must never vote.
    RolledBack,
}

/// One replica with its disk, its clock and its state machine.
pub(crate) struct Host {
    pub(crate) replica: Option<Replica>,
    pub(crate) peer: Peer,
    pub(crate) disk: Box<dyn Disk>,
    pub(crate) courier: Option<Courier>,
    pub(crate) config: Config,
    /// What the host's clock is ahead of the cluster's, in microseconds.
    pub(crate) ahead_micros: u64,
    /// How much faster or slower than the cluster's the host's clock runs, in millionths.
    pub(crate) drift_millionths: i64,
    /// How far the host's clock has jumped, in microseconds.
    pub(crate) jumped_micros: i64,
    /// The time that the replica was told before the clock jumped last.
    pub(crate) latest: Instant,
    /// Whether it stands still: it is told nothing, and answers nobody.
    pub(crate) frozen: bool,
    /// When the replica wants to be woken, by the host's clock.
    pub(crate) wake: Option<Instant>,
    /// When the replica began to try to lead last in this life, by the host's clock.
    pub(crate) prepared: Option<Instant>,
    /// Whether it is being asked to hand leadership over.
    pub(crate) asked: bool,
    /// To whom it hands over without having been asked.
    pub(crate) prefers: Option<ReplicaId>,
    /// Whether it was asked to lead, since its replica was drained last.
    pub(crate) urged: bool,
    /// Fingerprints of what was handed to the state machine in this life.
    pub(crate) machine: Vec<u64>,
    /// Every slot below is reported applied.
    pub(crate) told_applied: Slot,
    /// Appended, and not known durable.
    pub(crate) unsynced: VecDeque<(Lsn, Record, Slot)>,
    /// The chosen mark that the replica showed last.
    pub(crate) chosen: Slot,
    /// Whose its directory is.
    pub(crate) identity: Identity,
    /// It is not started any more: its directory was refused for good.
    pub(crate) given_up: bool,
    /// The latest start of each replica that the replica has heard in this life.
    pub(crate) heard: Vec<Incarnation>,
}

impl Host {
    /// Whether the host counts among those that the cluster can have back.
    pub(crate) fn is_sound(&self) -> bool {
        self.identity == Identity::Own && !self.given_up
    }
}
