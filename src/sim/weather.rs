//! How the world around the replicas behaves.

use super::disk_faults::DiskFaults;
use super::network::Links;

/// How the world around the replicas behaves. Times in microseconds, chances in thousandths.
///
/// ```
/// use synod::sim::{Swarm, Weather, simulate};
///
/// let crash_every_micros = Some(500_000);
/// let weather = Weather { crash_every_micros, down_micros: 200_000, ..Weather::FAIR };
/// let swarm = Swarm::fault_free(1).with(|parts| parts.weather = weather)?;
/// assert!(simulate(&swarm)?.slots > 0);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Weather {
    /// Every link's odds.
    pub links: Links,
    /// How long a sync takes, and up to how much longer.
    pub sync_micros: (u64, u64),
    /// How long a state machine takes, and up to how much longer.
    pub apply_micros: (u64, u64),
    /// How often a replica crashes, if any does.
    pub crash_every_micros: Option<u64>,
    /// How often all crash at once, if ever.
    pub crash_all_every_micros: Option<u64>,
    /// For how long a crashed replica stays down, at the most.
    pub down_micros: u64,
    /// How many of a thousand crashes make something on the one rotting disk go bad.
    pub rot_permille: u32,
    /// How disks and directories go wrong.
    pub disks: DiskFaults,
    /// How often links are cut, if ever: between two sides, in one direction, around a hub, in a
    /// chain or a ring, or so that the only replica with a quorum is one that was away.
    pub cut_every_micros: Option<u64>,
    /// For how long links stay cut, at the most.
    pub cut_micros: u64,
    /// How many of a thousand cuts come and go, with a period of one to three election timeouts.
    pub flap_permille: u32,
    /// How many of a thousand cuts are made of single links, cut one by one and mended one by one
    /// in another order.
    pub swizzle_permille: u32,
    /// How many of a thousand cuts cut off whoever leads, as soon as it has something under way,
    /// and then the next one: each keeps what only it has accepted. They last some election
    /// timeouts longer.
    pub hunt_permille: u32,
    /// How often a message arrives from somebody who may not speak as a member, if ever: from a
    /// name that is no member's, from a member's name on another disk, or in the receiver's own
    /// name. What it says is true; its votes must not count.
    pub stranger_every_micros: Option<u64>,
    /// How often a frame of a second cluster on the same network arrives at this one, and the other
    /// way round, if there is one. Its replicas have the same names. Only where messages travel as
    /// frames.
    pub foreign_every_micros: Option<u64>,
    /// How often a replica's clock jumps, if ever.
    pub jump_every_micros: Option<u64>,
    /// How far a clock jumps, at the most. The core is promised a clock that never goes back, so
    /// after a jump back its time stands still until the clock has caught up, or it starts again.
    pub jump_micros: u64,
    /// How many of a thousand jumps go back.
    pub jump_back_permille: u32,
    /// How often a replica stands still, if ever: it is told nothing, and then everything at once.
    pub freeze_every_micros: Option<u64>,
    /// For how long a replica stands still, at the most.
    pub freeze_micros: u64,
    /// How often whoever leads is asked to hand over to some replica, if ever.
    pub transfer_every_micros: Option<u64>,
    /// How often a replica is stopped cleanly, most often the leader, which hands over first; and
    /// starts again after a while.
    pub leave_every_micros: Option<u64>,
    /// How often a command is proposed, if ever.
    pub propose_every_micros: Option<u64>,
    /// The longest command, in bytes.
    pub command_bytes: u64,
}

impl Weather {
    /// Nothing goes wrong, nothing is proposed.
    pub const FAIR: Self = Self {
        links: Links::NONE,
        sync_micros: (300, 200),
        apply_micros: (10, 10),
        crash_every_micros: None,
        crash_all_every_micros: None,
        down_micros: 0,
        rot_permille: 0,
        disks: DiskFaults::NONE,
        cut_every_micros: None,
        cut_micros: 0,
        flap_permille: 0,
        swizzle_permille: 0,
        hunt_permille: 0,
        stranger_every_micros: None,
        foreign_every_micros: None,
        jump_every_micros: None,
        jump_micros: 0,
        jump_back_permille: 0,
        freeze_every_micros: None,
        freeze_micros: 0,
        transfer_every_micros: None,
        leave_every_micros: None,
        propose_every_micros: None,
        command_bytes: 32,
    };
}
