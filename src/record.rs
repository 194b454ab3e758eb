//! What must survive a crash: the records that a replica asks its driver to write, and what is
//! given back to it at the next start.

use alloc::vec::Vec;
use core::fmt;

use serde::{Deserialize, Serialize};

use crate::ballot::Ballot;
use crate::entry::Entry;
use crate::membership::{ClusterId, DiskId, Incarnation, Membership, Peer, ReplicaId};
use crate::replay::Replay;
use crate::slot::{ALPHA, Run, Slot, Slots};

/// The number of a record in its log: the first is 1, each next one higher.
///
/// ```
/// use synod::record::Lsn;
///
/// assert_eq!(Lsn::ZERO.next(), Lsn(1));
/// assert_eq!(Lsn(7).to_string(), "#7");
/// ```
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub struct Lsn(pub u64);

impl Lsn {
    /// Below the first record.
    pub const ZERO: Self = Self(0);

    /// The number of the next record.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

impl fmt::Display for Lsn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "#{}", self.0)
    }
}

/// A fact that must survive a crash.
///
/// ```
/// use synod::record::{Lsn, Record};
/// use synod::replay::Replay;
/// use synod::{Ballot, ReplicaId, Slot};
///
/// let ballot = Ballot { round: 3, replica: ReplicaId(2) };
/// let mut replay = Replay::default();
/// replay.apply(Lsn(1), Record::Promised { ballot }, Slot(0));
/// assert_eq!(replay.promised(), ballot);
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Record {
    /// The acceptor promised the ballot.
    Promised {
        /// The ballot.
        ballot: Ballot,
    },
    /// The acceptor accepted the entry, and with that promised the ballot.
    Accepted {
        /// The slot.
        slot: Slot,
        /// The ballot.
        ballot: Ballot,
        /// The entry.
        entry: Entry,
    },
    /// The entry was learned, not accepted. Outranks every Accepted of its slot.
    Chosen {
        /// The slot.
        slot: Slot,
        /// The ballot that came with the entry.
        ballot: Ballot,
        /// The entry.
        entry: Entry,
    },
    /// The list of members that a forming replica made. Written once, never replaced.
    Members {
        /// The members, and their quorums.
        members: Membership,
    },
    /// Every member told the same list: the replica may promise and accept.
    Formed,
}

/// What a log held when it was opened: everything that its replica may not forget.
///
/// ```
/// use synod::membership::DiskId;
/// use synod::record::Recovered;
/// use synod::{ClusterId, Config, Instant, Replica, ReplicaId};
///
/// let (cluster, me) = (ClusterId::named("docs")?, ReplicaId(1));
/// let recovered = Recovered::nothing(cluster, me, DiskId([7; 16])); // Random, in earnest.
/// assert_eq!(recovered.check(), Ok(()));
/// let replica = Replica::new(Config::new([me]), recovered, Instant::ZERO)?;
/// assert_eq!(replica.status().me.replica(), me);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recovered {
    /// The cluster that the directory belongs to.
    pub cluster: ClusterId,
    /// The replica, its disk, and the incarnation that begins with this start.
    pub me: Peer,
    /// The first Membership; none as long as none was made durable.
    pub members: Option<Membership>,
    /// Whether the replica is formed.
    pub formed: bool,
    /// The highest ballot promised (invariant I1).
    pub promised: Ballot,
    /// The chosen mark: every slot below it is chosen.
    pub chosen: Slot,
    /// The ballots of chosen slots just below the mark, ending at it: at most ALPHA slots of them.
    pub runs: Vec<Run>,
    /// Chosen slots below the mark whose entries the log has lost. They are fetched from peers.
    pub holes: Vec<Slots>,
    /// What was accepted at or above the mark: for each slot the highest ballot.
    pub accepted: Vec<(Slot, Ballot, Entry)>,
    /// What was learned at or above the mark, ahead of the unbroken prefix.
    pub learned: Vec<(Slot, Ballot, Entry)>,
    /// Slots at or above the mark whose acceptance may be lost, with the highest ballot in which
    /// they can have been accepted (invariant I10).
    pub faulty: Vec<Run>,
    /// The number of the last record in the log. All up to it are durable.
    pub last: Lsn,
}

impl Recovered {
    /// What an empty log gives: `replica` on a fresh `disk`, in its first start. For hosts that
    /// keep a log of their own; `synod::wal` makes this from a directory.
    ///
    /// The name of the disk must be random and kept with the log: whoever starts with an empty log
    /// under the name of an old disk breaks the promises that the old log held.
    #[must_use]
    pub fn nothing(cluster: ClusterId, replica: ReplicaId, disk: DiskId) -> Self {
        let me = Peer { replica, disk, incarnation: Incarnation::default().next(0) };
        Replay::default().finish(cluster, me)
    }

    /// Checks what every log that keeps its word gives back.
    ///
    /// # Errors
    /// What contradicts what.
    pub fn check(&self) -> Result<(), &'static str> {
        let window = Slots::new(self.chosen, self.chosen.plus(ALPHA));
        let open = self.accepted.iter().chain(&self.learned);
        if !open.clone().all(|(slot, _, _)| window.contains(*slot)) {
            return Err("an open slot lies outside the window above the chosen mark");
        }
        if !self.faulty.iter().all(|run| run.slots.intersection(window) == run.slots) {
            return Err("a lost slot lies outside the window above the chosen mark");
        }
        let ballots = self.accepted.iter().map(|(_, ballot, _)| *ballot);
        if ballots.chain(self.faulty.iter().map(|run| run.ballot)).any(|b| b > self.promised) {
            return Err("a slot was accepted above the promise");
        }
        if !self.holes.iter().all(|hole| hole.end <= self.chosen) {
            return Err("a hole lies above the chosen mark");
        }
        let mine = self.members.as_ref().map(|members| members.member(self.me.replica));
        let listed = mine.map(|mine| mine.is_some_and(|member| member.disk == self.me.disk));
        if listed == Some(false) || (listed.is_none() && self.formed) {
            return Err("the list of members lacks this replica on this disk");
        }
        Ok(())
    }
}
