//! The settings of a replica.

use alloc::vec::Vec;
use core::time::Duration;

use thiserror::Error;

use crate::entry::{COMMAND_OVERHEAD_BYTES, ENTRY_BYTES_MAX};
use crate::membership::{MEMBERS_MAX, ReplicaId};
use crate::quorum::{QuorumError, QuorumSystem, Quorums};
use crate::slot::ALPHA;

/// The settings of a replica. [`Config::new`] gives defaults that fit a local network.
///
/// ```
/// use std::time::Duration;
/// use synod::{Config, ReplicaId};
///
/// let mut config = Config::new([1, 2, 3].map(ReplicaId));
/// config.patience = Duration::from_secs(10);
/// assert_eq!(config.check(ReplicaId(1)), Ok(()));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// The members that form the cluster, this replica among them. Once it is formed, the durable
    /// list counts, and this one must name the same replicas.
    pub members: Vec<ReplicaId>,
    /// Which sets of the members decide. Every member must be given the same: it is kept with the
    /// list of members when the cluster forms, and counts from then on. Default: every majority.
    pub quorums: QuorumSystem,
    /// Seeds the jitter of election timeouts, together with the replica's name. Default 0.
    pub seed: u64,
    /// How often a leader shows that it lives. Default 20 ms.
    pub heartbeat: Duration,
    /// How long a silent leader is believed to live, at the least; up to half as long again at
    /// random. At least three heartbeats. Default 120 ms.
    pub election_timeout: Duration,
    /// How much this replica should rather lead than others. A leader hands over to a follower of
    /// higher priority that is not behind and has answered it without a pause for four election
    /// timeouts, longer after each attempt that did not last. Among equals nothing is handed over.
    /// With 0 a replica leads only if nobody else does, or if it is asked to
    /// ([`crate::Replica::transfer`]): it waits four election timeouts longer before it canvasses,
    /// and a cluster that only such replicas are left of is without a leader for that long.
    /// Says nothing about safety, and may differ from replica to replica. Default 1.
    pub priority: u8,
    /// How many slots a leader keeps in flight, 1 to [`ALPHA`]. Default 16.
    pub pipeline_slots: u64,
    /// With so many slots in flight a leader begins another one only with a full batch; what is
    /// less waits for one of them to be chosen, and may grow until then. Each slot costs every
    /// replica a sync, and several wake-ups: where disks or processors are the limit, few large
    /// slots carry more commands than many small ones. Where messages take long, a command may
    /// wait for a round trip more. 1 to [`ALPHA`]. Default [`ALPHA`]: nothing waits for company.
    pub partial_slots: u64,
    /// How many bytes of entries a leader keeps in flight. Default 8 MiB. What a peer has no room
    /// for is dropped and sent again later, 1 MiB at a time: a [`crate::Node`] takes in 16 MiB of
    /// frames, and lets `unsynced_bytes` wait for its disk. Heartbeats wait behind what is in
    /// flight, so more than 16 MiB can cost a leader its place. Of what earlier leaders left never
    /// more than 4 MiB are in flight.
    pub pipeline_bytes: usize,
    /// How long a batch may grow, in bytes; a longer command has a batch to itself. Default 64 KiB.
    pub batch_bytes: usize,
    /// The longest command, in bytes. Default 2 MiB; at the most what fits an entry.
    pub command_bytes: usize,
    /// How many bytes of commands may wait for the pipeline before `Full`. Default 8 MiB.
    pub queue_bytes: usize,
    /// How many bytes may wait for the disk before Accepts are dropped. Default 32 MiB.
    pub unsynced_bytes: usize,
    /// How many slots the state machine may be behind before entries are left in the log and read
    /// again later. Default 256.
    pub apply_slots: u64,
    /// How long a command or a read may wait for a leader that takes it, before it is refused with
    /// [`crate::Fate::NotLeader`]. What a leader may have proposed already is awaited for as long
    /// as it takes. It is never less than the election timeout, but with 0 a replica that knows no
    /// leader refuses at once. Default 1 s.
    pub patience: Duration,
}

/// Why settings make no sense.
///
/// ```
/// use synod::{Config, ConfigError, ReplicaId};
///
/// let mut config = Config::new([1, 2, 3].map(ReplicaId));
/// let error = ConfigError::NotMember { replica: ReplicaId(4) };
/// assert_eq!(config.check(ReplicaId(4)), Err(error));
/// config.pipeline_slots = 0;
/// let error = config.check(ReplicaId(1)).unwrap_err();
/// assert_eq!(error.to_string(), "pipeline_slots is 0, but it must lie in 1..=256");
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// The list of members is empty, too long, or names a replica twice.
    #[error("members: {0}")]
    Members(#[from] crate::membership::MembershipError),
    /// The replica is not in the list of members.
    #[error("replica {replica} is not among the members")]
    NotMember {
        /// The replica.
        replica: ReplicaId,
    },
    /// The members differ from those that the log was formed with.
    #[error("the members differ from those that the log was formed with")]
    OtherMembers,
    /// The quorums do not fit the members, or some prepare quorum misses some accept quorum.
    #[error("quorums: {0}")]
    Quorums(#[from] QuorumError),
    /// The quorums differ from those that the log was formed with.
    #[error("the quorums differ from those that the log was formed with")]
    OtherQuorums,
    /// What the log gave back contradicts itself.
    #[error("what the log gave back contradicts itself: {0}")]
    Recovered(&'static str),
    /// A number is outside its range.
    #[error("{field} is {value}, but it must lie in {min}..={max}")]
    OutOfRange {
        /// The field.
        field: &'static str,
        /// Its value, durations in microseconds.
        value: u64,
        /// The lowest value allowed.
        min: u64,
        /// The highest value allowed.
        max: u64,
    },
}

impl Config {
    /// The defaults, for a cluster of these members.
    #[must_use]
    pub fn new(members: impl IntoIterator<Item = ReplicaId>) -> Self {
        Self {
            members: members.into_iter().collect(),
            quorums: QuorumSystem::Majority,
            seed: 0,
            heartbeat: Duration::from_millis(20),
            election_timeout: Duration::from_millis(120),
            priority: 1,
            pipeline_slots: 16,
            partial_slots: ALPHA,
            pipeline_bytes: 8 << 20,
            batch_bytes: 64 << 10,
            command_bytes: 2 << 20,
            queue_bytes: 8 << 20,
            unsynced_bytes: 32 << 20,
            apply_slots: 256,
            patience: Duration::from_secs(1),
        }
    }

    /// Checks every field for a replica of this name.
    ///
    /// # Errors
    /// The first field that makes no sense.
    pub fn check(&self, replica: ReplicaId) -> Result<(), ConfigError> {
        let mut members = self.members.clone();
        members.sort_unstable();
        if members.is_empty() || members.len() > MEMBERS_MAX {
            return Err(crate::membership::MembershipError::Size { members: members.len() }.into());
        }
        if let Some(pair) = members.windows(2).find(|pair| pair[0] == pair[1]) {
            return Err(crate::membership::MembershipError::Twice { replica: pair[0] }.into());
        }
        if !members.contains(&replica) {
            return Err(ConfigError::NotMember { replica });
        }
        Quorums::new(&self.quorums, &members)?;
        let micros = |time: Duration| u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
        let entry = ENTRY_BYTES_MAX as u64;
        let heartbeat = micros(self.heartbeat);
        let day = 86_400_000_000;
        let ranges = [
            ("heartbeat", heartbeat, 100, day),
            (
                "election_timeout",
                micros(self.election_timeout),
                heartbeat.saturating_mul(3),
                4 * day,
            ),
            ("pipeline_slots", self.pipeline_slots, 1, ALPHA),
            ("partial_slots", self.partial_slots, 1, ALPHA),
            ("pipeline_bytes", self.pipeline_bytes as u64, 1, u64::MAX),
            ("batch_bytes", self.batch_bytes as u64, 1, entry),
            ("command_bytes", self.command_bytes as u64, 1, entry - COMMAND_OVERHEAD_BYTES as u64),
            ("queue_bytes", self.queue_bytes as u64, 1, u64::MAX),
            ("unsynced_bytes", self.unsynced_bytes as u64, entry, u64::MAX),
            ("apply_slots", self.apply_slots, 1, u64::MAX),
            ("patience", micros(self.patience), 0, 4 * day),
        ];
        match ranges.into_iter().find(|(_, value, min, max)| value < min || value > max) {
            Some((field, value, min, max)) => {
                Err(ConfigError::OutOfRange { field, value, min, max })
            }
            None => Ok(()),
        }
    }
}
