//! How leadership is handed over: on request, to a replica of higher priority, and before a stop.

use thiserror::Error;

use crate::ballot::Ballot;
use crate::hand_over::Extent;
use crate::membership::ReplicaId;
use crate::message::{HandOver, HeartbeatAnswer};
use crate::output::{Event, IgnoreReason};
use crate::replica::Replica;
use crate::time::Instant;

/// Why leadership is not handed over.
///
/// ```
/// use synod::{ReplicaId, TransferError};
///
/// let error = TransferError::NotLeader { leader: Some(ReplicaId(2)) };
/// assert_eq!(error.to_string(), "only the leader hands over, and this replica does not lead");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum TransferError {
    /// This replica does not lead. Ask the one that does.
    #[error("only the leader hands over, and this replica does not lead")]
    NotLeader {
        /// Who may lead.
        leader: Option<ReplicaId>,
    },
    /// The target is no member of the cluster.
    #[error("{replica} is no member of the cluster")]
    NotMember {
        /// The target.
        replica: ReplicaId,
    },
    /// Leadership is being handed over to another replica already.
    #[error("leadership is being handed over to {to} already")]
    UnderWay {
        /// To whom.
        to: ReplicaId,
    },
    /// No other member has been heard within the election timeout.
    #[error("no other member was heard lately")]
    NobodyElse,
    /// The target did not take the lead within the election timeout: it is out of reach, too far
    /// behind, or cannot reach a quorum. If this replica still led by then, it leads on.
    #[error("{to} did not take the lead in time")]
    GivenUp {
        /// The target.
        to: ReplicaId,
    },
    /// The replica, or its node, has stopped.
    #[error("the replica has stopped")]
    Halted,
}

impl Replica {
    /// Hands leadership over to another member, if this replica leads. Nothing is refused
    /// meanwhile: commands wait until the next leader takes them.
    ///
    /// What comes of it is an event: [`Event::HandedOver`] when somebody else leads, or
    /// [`Event::HandOverGivenUp`] after an election timeout. If the member leads already, or is
    /// being handed the lead, this does nothing. While one hand-over is under way, no other one
    /// begins (Ongaro, "Consensus: Bridging Theory and Practice", 3.10).
    ///
    /// # Errors
    /// Why it does not begin.
    pub fn transfer(&mut self, now: Instant, to: ReplicaId) -> Result<(), TransferError> {
        self.now = self.now.max(now);
        if self.halted.is_some() {
            return Err(TransferError::Halted);
        }
        if !self.is_member(to) {
            return Err(TransferError::NotMember { replica: to });
        }
        if self.offers_to().is_some_and(|ballot| ballot.replica == to) {
            return Ok(());
        }
        let Some(ballot) = self.proposer.leading() else {
            return Err(TransferError::NotLeader { leader: self.leader_hint() });
        };
        match self.hand_over.to() {
            Some(other) if other != to => Err(TransferError::UnderWay { to: other }),
            Some(_) => Ok(()),
            None => {
                self.begin_hand_over(ballot, to);
                Ok(())
            }
        }
    }

    /// Hands leadership over to whoever suits best: of the members that were heard within the
    /// election timeout, the one of the highest priority, and of those the one that knows the most
    /// chosen. For a leader that is about to stop.
    ///
    /// Goes on as [`Replica::transfer`]. Says who was picked, or is being handed the lead already.
    ///
    /// # Errors
    /// Why it does not begin.
    pub fn resign(&mut self, now: Instant) -> Result<ReplicaId, TransferError> {
        self.now = self.now.max(now);
        let timeout = self.config.election_timeout;
        let alive = self.heard.iter().filter(|(_, at)| self.now.since(**at) < timeout);
        let rank = |id: ReplicaId| (self.preference.of(id), self.catch_up.mark(id));
        let best = alive.map(|(id, _)| id).max_by_key(|id| rank(*id));
        let to = self.hand_over.to().or(best).ok_or(TransferError::NobodyElse);
        match (self.halted.is_some(), self.proposer.leading()) {
            (true, _) => Err(TransferError::Halted),
            (false, None) => Err(TransferError::NotLeader { leader: self.leader_hint() }),
            (false, Some(_)) => to.and_then(|to| self.transfer(now, to).map(|()| to)),
        }
    }

    /// To whom this leader hands over, or has just handed over: until somebody else is known to
    /// lead or the hand-over is given up.
    #[must_use]
    pub fn handing_over_to(&self) -> Option<ReplicaId> {
        self.hand_over.to()
    }

    fn begin_hand_over(&mut self, ballot: Ballot, to: ReplicaId) {
        let Some(sequence) = self.send_heartbeat(ballot) else { return };
        self.hand_over.begin(self.now, ballot, to, sequence);
        self.out.event(Event::HandingOver { ballot, to });
    }

    /// Goes on with a hand-over that is under way, as far as it can.
    #[inline(never)]
    pub(super) fn proceed_with_hand_over(&mut self) {
        let (Some(to), Some(ballot)) = (self.hand_over.to(), self.proposer.leading()) else {
            return;
        };
        let extent = Extent {
            known: self.catch_up.mark(to),
            end: self.proposer.end().max(self.learner.chosen()),
            pipeline_slots: self.config.pipeline_slots,
            forwarded: self.proposer.forwarded_bytes() > 0,
        };
        if let Some(to) = self.hand_over.proceed(ballot, extent) {
            self.send_hand_over(ballot, to);
        }
    }

    fn send_hand_over(&mut self, ballot: Ballot, to: ReplicaId) {
        let (sequence, announcement) = (self.election.sequence(), self.learner.announcement());
        self.out.send_one(to, HandOver { ballot, sequence, announcement });
    }

    /// Repeats what may be lost, and gives up what takes too long.
    pub(super) fn on_hand_over(&mut self, now: Instant) {
        if let Some(to) = self.hand_over.on_tick(now) {
            self.preference.on_given_up(to);
            self.out.event(Event::HandOverGivenUp { to });
        }
        if let (Some(ballot), Some(to)) = (self.proposer.leading(), self.hand_over.asked()) {
            self.send_hand_over(ballot, to);
        }
    }

    /// Hears that somebody leads at this ballot: this replica or another one.
    pub(super) fn on_leader(&mut self, now: Instant, leader: Ballot) {
        match self.hand_over.on_leader(leader) {
            Some(to) if leader.replica == self.me.replica => {
                self.preference.on_given_up(to);
                self.out.event(Event::HandOverGivenUp { to });
            }
            Some(to) => {
                if leader.replica != to {
                    self.preference.on_given_up(to);
                }
                self.out.event(Event::HandedOver { leader });
            }
            None => {}
        }
        self.preference.on_leader(now, leader.replica);
    }

    /// Prepares at once, if it is the leader that this replica follows who asks for that, and
    /// nothing later has been heard of it.
    pub(super) fn handle_hand_over(&mut self, now: Instant, from: ReplicaId, asked: &HandOver) {
        if self.ignore_foreign_ballot(from, asked.ballot) {
            return;
        }
        self.learn_announced(from, &asked.announcement);
        if !self.is_member(from) {
            self.ignore(from, IgnoreReason::NoMember);
        } else if self.election.hears_last(asked.ballot, asked.sequence) {
            self.ask_for_proof();
            // It may follow a leader that it has promised nothing.
            self.prepare(now, asked.ballot.round);
        }
    }

    /// Who has started again since it voted is not counted before it has shown that it remembers.
    /// Others show that when they are canvassed; who is handed the lead canvasses nobody.
    fn ask_for_proof(&mut self) {
        let Some(membership) = &self.membership else { return };
        let others = membership.others(self.me.replica);
        let unproven = others.iter().filter(|id| !self.lives.may_vote(*id)).collect();
        self.election.ask(unproven, self.learner.chosen(), &mut self.out);
    }

    /// Hears a member's answer to a Heartbeat of the ballot at which this replica leads. Hands over
    /// to it if that is asked for, or if it should rather lead.
    pub(super) fn prefer(&mut self, now: Instant, from: ReplicaId, answer: &HeartbeatAnswer) {
        self.hand_over.handle_heartbeat_answer(from, answer.sequence);
        let behind = self.learner.chosen().since(answer.chosen);
        let near = behind <= self.config.pipeline_slots;
        let ripe = self.preference.handle_answer(now, from, answer.priority, near);
        if ripe && self.hand_over.to().is_none() {
            self.begin_hand_over(answer.ballot, from);
        }
    }
}
