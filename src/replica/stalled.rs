//! Why a replica does not get on, in words that somebody can act on.

use alloc::vec::Vec;
use core::fmt;
use core::time::Duration;

use crate::ballot::Ballot;
use crate::membership::{Membership, ReplicaId, VoteSet};
use crate::output::HaltReason;
use crate::quorum::Phases;
use crate::replica::Replica;
use crate::slot::Slot;
use crate::time::Instant;

/// After how many heartbeats without a word a member counts as silent.
const SILENT_HEARTBEATS: u32 = 4;

/// What a replica waits for, and since when nothing has moved.
///
/// Shown as a sentence, such as "slot 812 needs 1 more Accepted; replica 3 was last heard 4.1 s
/// ago; replica 2 has promised 7.2".
///
/// ```
#[doc = include_str!("example.txt")]
/// let replica = fresh([1, 2, 3]);
/// let stalled = replica.why_stalled(Instant::from_millis(500)).expect("it is alone");
/// assert!(stalled.since >= Duration::from_millis(400));
/// assert_eq!(stalled.silent, [(ReplicaId(2), None), (ReplicaId(3), None)]);
/// println!("{stalled}");
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stalled {
    /// What it waits for.
    pub cause: Cause,
    /// How long nothing has been chosen or applied here, to a heartbeat or so.
    pub since: Duration,
    /// Members that are waited for and were not heard lately: how long ago each was heard, if it
    /// was in this start.
    pub silent: Vec<(ReplicaId, Option<Duration>)>,
    /// Members that are waited for and have promised a higher ballot than this replica has, as they
    /// last told.
    pub promised: Vec<(ReplicaId, Ballot)>,
}

/// What a replica waits for.
///
/// ```
#[doc = include_str!("example.txt")]
/// let replica = fresh([1, 2, 3]);
/// let stalled = replica.why_stalled(Instant::from_millis(500)).expect("it is alone");
/// assert_eq!(stalled.cause, Cause::Forming);
/// let (replica, now) = leading_alone();
/// assert_eq!(replica.why_stalled(now), None, "it waits for nothing");
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Cause {
    /// Nothing any more: it has stopped for good.
    Halted {
        /// Why.
        reason: HaltReason,
    },
    /// The cluster is not formed: not every member was heard to tell the same list.
    Forming,
    /// No leader was found, and not enough members say that this replica should try.
    NoLeader {
        /// How many more would have to say so, if it asks.
        needs: usize,
    },
    /// Phase 1: not enough Promises.
    Preparing {
        /// The ballot.
        ballot: Ballot,
        /// How many more are needed.
        needs: usize,
    },
    /// Phase 2: the lowest open slot was not accepted by enough.
    Accepting {
        /// The slot.
        slot: Slot,
        /// How many more Accepted are needed.
        needs: usize,
        /// Whether this replica's own disk is one of those that lack it.
        own_disk: bool,
    },
    /// What an earlier leader left in the slot is not at hand: more Promises, or its entry.
    TakingOver {
        /// The slot.
        slot: Slot,
    },
    /// Too much waits for this replica's own disk.
    Disk {
        /// How many bytes.
        bytes: usize,
    },
    /// Reads wait for a quorum to confirm who leads.
    Confirming {
        /// How many.
        reads: u64,
    },
    /// The leader has not taken commands in, or not told what became of them, or not given an index
    /// to reads.
    Leader {
        /// Its ballot.
        ballot: Ballot,
        /// How many runs of commands wait, and how many reads.
        waiting: (usize, u64),
    },
    /// Entries that others know to be chosen are missing here.
    Learning {
        /// The first slot that is missing.
        slot: Slot,
        /// How far others say that the log is chosen.
        chosen: Slot,
    },
    /// The state machine is behind.
    Machine {
        /// How many chosen slots it has not applied.
        slots: u64,
    },
}

impl Replica {
    /// What the replica waits for; `None` if there is nothing. A fresh cause is not yet a stall:
    /// [`Stalled::since`] tells how long nothing has moved.
    #[must_use]
    pub fn why_stalled(&self, now: Instant) -> Option<Stalled> {
        let (cause, waits_for) = self.cause()?;
        let limit = self.config.heartbeat * SILENT_HEARTBEATS;
        let ago = |member| self.heard.of(member).map(|at| now.since(*at));
        let silent = waits_for.iter().map(|member| (*member, ago(*member)));
        let silent = silent.filter(|(_, ago)| ago.is_none_or(|ago| ago > limit)).collect();
        let own = self.acceptor.promised();
        let told = |member| Some((member, *self.told.get(&member)?));
        let promised = waits_for.iter().copied().filter_map(told);
        let promised = promised.filter(|(_, promised)| *promised > own).collect();
        Some(Stalled { cause, since: now.since(self.progress.1), silent, promised })
    }

    /// Notes when something moved last.
    pub(super) fn note_progress(&mut self, now: Instant) {
        let marks = (self.learner.chosen(), self.learner.applied());
        if marks != self.progress.0 || self.cause().is_none() {
            self.progress = (marks, now);
        }
    }

    /// What it waits for, and for whom.
    fn cause(&self) -> Option<(Cause, Vec<ReplicaId>)> {
        if let Some(reason) = self.halted.clone() {
            return Some((Cause::Halted { reason }, Vec::new()));
        }
        let Some(membership) = &self.membership else {
            let others = self.config.members.iter().copied().filter(|id| *id != self.me.replica);
            return Some((Cause::Forming, others.collect()));
        };
        let all: Vec<ReplicaId> = membership.others(self.me.replica).iter().collect();
        if let Some(ballot) = self.proposer.leading() {
            return self.cause_of_leader(ballot, membership).or_else(|| self.cause_of_learner());
        }
        if let Some(ballot) = self.proposer.ballot() {
            let silent: Vec<ReplicaId> = self.proposer.silent(membership).iter().collect();
            let votes = votes_without(membership, &silent);
            let needs = membership.quorums().fewest_more(votes, Phases::Prepare);
            return Some((Cause::Preparing { ballot, needs }, silent));
        }
        match self.election.leader() {
            Some(ballot) => {
                let waiting = (
                    self.fates.awaited() + usize::from(self.proposer.queued_bytes() > 0),
                    self.reads.waiting(),
                );
                if waiting == (0, 0) {
                    return self.cause_of_learner();
                }
                Some((Cause::Leader { ballot, waiting }, Vec::from([ballot.replica])))
            }
            None => {
                let votes = votes_without(membership, &all);
                let needs = membership.quorums().fewest_more(votes, Phases::Both);
                Some((Cause::NoLeader { needs }, all))
            }
        }
    }

    fn cause_of_leader(
        &self,
        ballot: Ballot,
        membership: &Membership,
    ) -> Option<(Cause, Vec<ReplicaId>)> {
        let slot = self.learner.chosen();
        if self.proposer.proposed(slot, ballot).is_some() && self.learner.learned(slot).is_none() {
            let votes = self.learner.voters(slot, ballot);
            let members = membership.members().iter().map(|member| member.replica);
            let lacking: Vec<ReplicaId> =
                members.filter(|id| !membership.has_voted(votes, *id)).collect();
            let votes = votes_without(membership, &lacking);
            let needs = membership.quorums().fewest_more(votes, Phases::Accept);
            let own_disk = lacking.contains(&self.me.replica);
            let others = lacking.into_iter().filter(|id| *id != self.me.replica).collect();
            return Some((Cause::Accepting { slot, needs, own_disk }, others));
        }
        let others = membership.others(self.me.replica).iter().collect();
        if self.proposer.free_from().is_some_and(|free| slot < free) {
            return Some((Cause::TakingOver { slot }, others));
        }
        if self.is_disk_busy() {
            let bytes = self.out.unsynced_bytes();
            return Some((Cause::Disk { bytes }, Vec::new()));
        }
        let reads = self.reads.waiting();
        (reads > 0).then_some((Cause::Confirming { reads }, others))
    }

    fn cause_of_learner(&self) -> Option<(Cause, Vec<ReplicaId>)> {
        let (chosen, highest) = (self.learner.chosen(), self.catch_up.highest());
        if let Some(hole) = self.learner.holes().first() {
            return Some((Cause::Learning { slot: hole.start, chosen }, Vec::new()));
        }
        if chosen < highest {
            return Some((Cause::Learning { slot: chosen, chosen: highest }, Vec::new()));
        }
        let slots = chosen.since(self.learner.applied());
        (slots > 0).then_some((Cause::Machine { slots }, Vec::new()))
    }
}

/// The votes of the members that are not in this list.
fn votes_without(membership: &Membership, lacking: &[ReplicaId]) -> VoteSet {
    let mut votes = VoteSet::EMPTY;
    let members = membership.members().iter().map(|member| member.replica);
    members.filter(|id| !lacking.contains(id)).for_each(|id| {
        membership.vote(&mut votes, id);
    });
    votes
}

/// A time in seconds, to a tenth.
struct Seconds(Duration);

impl fmt::Display for Seconds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{} s", self.0.as_secs(), self.0.subsec_millis() / 100)
    }
}

impl fmt::Display for Stalled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.cause)?;
        for (member, ago) in &self.silent {
            match ago {
                Some(ago) => write!(f, "; replica {member} was last heard {} ago", Seconds(*ago))?,
                None => write!(f, "; replica {member} was not heard yet")?,
            }
        }
        for (member, promised) in &self.promised {
            write!(f, "; replica {member} has promised {promised}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Halted { reason } => write!(f, "it has stopped for good: {reason}"),
            Self::Forming => write!(f, "the cluster is not formed: every member must be heard"),
            Self::NoLeader { needs } => {
                write!(f, "nobody leads, and {needs} more must agree that this replica tries")
            }
            Self::Preparing { ballot, needs } => {
                write!(f, "ballot {ballot} needs {needs} more Promise{}", plural(*needs == 1))
            }
            Self::Accepting { slot, needs, own_disk } => {
                write!(f, "slot {} needs {needs} more Accepted", slot.0)?;
                if *own_disk { write!(f, "; its own disk has not synced it") } else { Ok(()) }
            }
            Self::TakingOver { slot } => write!(
                f,
                "what an earlier leader left in slot {} is not at hand: it needs more Promises, or \
                 its entry",
                slot.0
            ),
            Self::Disk { bytes } => write!(f, "{bytes} bytes wait for its own disk"),
            Self::Confirming { reads } => {
                write!(
                    f,
                    "{reads} read{} wait for a quorum to confirm who leads",
                    plural(*reads == 1)
                )
            }
            Self::Leader { ballot, waiting: (runs, reads) } => write!(
                f,
                "{runs} run{} of commands and {reads} read{} wait for replica {}, which leads at \
                 {ballot}",
                plural(*runs == 1),
                plural(*reads == 1),
                ballot.replica
            ),
            Self::Learning { slot, chosen } => write!(
                f,
                "slot {} is missing here, and the log is chosen up to {}",
                slot.0, chosen.0
            ),
            Self::Machine { slots } => {
                write!(f, "the state machine has to apply {slots} slot{}", plural(*slots == 1))
            }
        }
    }
}

fn plural(is_one: bool) -> &'static str {
    if is_one { "" } else { "s" }
}
