//! The election: who should try to lead. Liveness only: it may be wrong, and can do no harm, since
//! ballots decide.
//!
//! The rules, each of which was seen to matter under partial connectivity:
//!
//! 1. A follower's timer is reset by a valid Heartbeat and by giving a Promise, by nothing else.
//! 2. A leader that has not heard answers from an accept quorum for a timeout steps down.
//! 3. A replica without a leader for a random time of one to one and a half timeouts *canvasses*:
//!    it asks whether it should try. That changes no state, so an unlucky replica disturbs nobody.
//!    The answer is no from whoever leads or has heard its leader within the timeout.
//! 4. It prepares only with yes from a prepare and an accept quorum, at a round above every promise
//!    that it was told.
//! 5. A Nack with a higher ballot makes a candidate or leader a follower with a fresh random timer.
//!
//! Timeouts are random so that rivals rarely meet ("In Search of an Understandable Consensus
//! Algorithm", 5.2); the random part grows while attempts fail.

use alloc::collections::BTreeMap;
use core::time::Duration;

use crate::ballot::Ballot;
use crate::membership::{Membership, ReplicaId, Replicas, VoteSet};
use crate::message::{Announcement, Canvass, CanvassAnswer, Heartbeat, HeartbeatAnswer, Standing};
use crate::outbox::Outbox;
use crate::output::Timer;
use crate::quorum::Tally;
use crate::slot::Slot;
use crate::time::Instant;

/// How many election timeouts longer a replica waits that leads only if nobody else does.
const LAST_TIMEOUTS: u32 = 4;

/// How far the random part of a timeout grows, in halves of the timeout.
const GROWTH_MAX: u32 = 4;

/// What an answer tells of the replica that gives it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Footing {
    /// What its acceptor stood by when this start began.
    pub(crate) start: Standing,
    /// What it stands by now.
    pub(crate) now: Standing,
    /// The first slot above everything that it has accepted, or in which its commands may be
    /// chosen.
    pub(crate) end: Slot,
    /// The chosen mark.
    pub(crate) chosen: Slot,
    /// How much this replica should rather lead than others.
    pub(crate) priority: u8,
}

/// What a replica does about leading.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Stance {
    /// Waits for a leader, or follows one.
    Following { leader: Option<Ballot> },
    /// Asks whether it should try.
    Canvassing { yes: VoteSet },
    /// Tries: phase 1 runs.
    Preparing,
    /// Leads.
    Leading { answered: BTreeMap<ReplicaId, Instant>, next_heartbeat: Instant },
}

/// What follows from an input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Nothing.
    Stay,
    /// Phase 1 should begin, at a round above this one, or go on if it runs above it already.
    Prepare {
        /// The highest round that was told.
        above: u64,
    },
    /// Stop leading.
    StepDown,
}

/// Timers, and who answered.
#[derive(Clone, Debug)]
pub(crate) struct Election {
    me: ReplicaId,
    heartbeat: Duration,
    timeout: Duration,
    random: oorandom::Rand32,
    stance: Stance,
    /// When to canvass.
    deadline: Instant,
    /// How much longer it waits for a leader than others do.
    longer: Duration,
    /// When the leader was last heard.
    heard: Option<Instant>,
    /// The number of the last Heartbeat of the leader that is followed.
    heard_sequence: u64,
    /// The highest round that was told in answers and refusals.
    round: u64,
    /// Counts canvasses and heartbeats, so that answers can be told apart.
    sequence: u64,
    /// Attempts since a leader was last known.
    failures: u32,
}

impl Election {
    /// A follower without a leader, whose timer starts now.
    #[must_use]
    pub(crate) fn new(
        me: ReplicaId,
        heartbeat: Duration,
        timeout: Duration,
        seed: u64,
        now: Instant,
    ) -> Self {
        let mut election = Self {
            me,
            heartbeat,
            timeout,
            random: oorandom::Rand32::new(seed ^ (u64::from(me.0) << 32)),
            stance: Stance::Following { leader: None },
            deadline: now,
            longer: Duration::ZERO,
            heard: None,
            heard_sequence: 0,
            round: 0,
            sequence: 0,
            failures: 0,
        };
        election.reset(now);
        election
    }

    /// Starts the timer anew: one timeout, and at random up to half of one more, or longer after
    /// failures.
    fn reset(&mut self, now: Instant) {
        let growth = 1 + self.failures.min(GROWTH_MAX - 1);
        self.deadline = now.after(self.timeout).after(self.longer).after(self.part(growth));
    }

    /// Lets others go first, each time that there is no leader, if `last`.
    pub(crate) fn set_last(&mut self, last: bool, now: Instant) {
        if last {
            self.longer = self.timeout * LAST_TIMEOUTS;
            self.reset(now);
        }
    }

    /// Makes the timer due: there is nobody to wait for.
    pub(crate) fn hurry(&mut self, now: Instant) {
        self.deadline = now;
    }

    /// A random part of `halves` halves of the timeout.
    fn part(&mut self, halves: u32) -> Duration {
        let share = u64::from(self.random.rand_u32());
        let span = u64::try_from(self.timeout.as_micros()).unwrap_or(u64::MAX) / 2;
        let span = span.saturating_mul(u64::from(halves)).min(u64::from(u32::MAX) << 10);
        Duration::from_micros(((u128::from(span) * u128::from(share)) >> 32) as u64)
    }

    /// When to send again what has no answer: after half a timeout, and at random up to half as
    /// long again. At a steady pace it could meet a link that comes and goes as often always when
    /// that is gone.
    pub(crate) fn repeat_after(&mut self) -> Duration {
        self.timeout / 2 + self.part(1) / 2
    }

    /// The ballot of the leader that is followed.
    #[must_use]
    pub(crate) fn leader(&self) -> Option<Ballot> {
        match &self.stance {
            Stance::Following { leader } => *leader,
            Stance::Canvassing { .. } | Stance::Preparing | Stance::Leading { .. } => None,
        }
    }

    /// Whether it follows the leader at this ballot, and has heard no later Heartbeat than that of
    /// this number.
    #[must_use]
    pub(crate) fn hears_last(&self, ballot: Ballot, sequence: u64) -> bool {
        self.leader() == Some(ballot) && sequence >= self.heard_sequence
    }

    /// The number of the last canvass or Heartbeat.
    #[must_use]
    pub(crate) fn sequence(&self) -> u64 {
        self.sequence
    }

    /// Whether it is asking whether to try.
    #[must_use]
    pub(crate) fn is_canvassing(&self) -> bool {
        matches!(self.stance, Stance::Canvassing { .. })
    }

    /// Hears a heartbeat that the acceptor did not refuse, and answers it.
    pub(crate) fn handle_heartbeat(
        &mut self,
        now: Instant,
        from: ReplicaId,
        heartbeat: &Heartbeat,
        footing: Footing,
        out: &mut Outbox,
    ) {
        self.heard = Some(now);
        self.failures = 0;
        let Heartbeat { ballot, sequence, .. } = *heartbeat;
        let earlier = if self.leader() == Some(ballot) { self.heard_sequence } else { 0 };
        self.heard_sequence = sequence.max(earlier);
        self.stance = Stance::Following { leader: Some(ballot) };
        self.reset(now);
        let Footing { start, end, chosen, priority, .. } = footing;
        out.send_one(from, HeartbeatAnswer { ballot, sequence, end, start, chosen, priority });
    }

    /// Hears that somebody follows. Only members, who were noted when this replica began to lead,
    /// are counted.
    pub(crate) fn handle_heartbeat_answer(&mut self, now: Instant, from: ReplicaId) {
        if let Stance::Leading { answered, .. } = &mut self.stance
            && let Some(at) = answered.get_mut(&from)
        {
            *at = now;
        }
    }

    /// Hears that the acceptor has promised somebody else's ballot.
    pub(crate) fn on_promise(&mut self, now: Instant) {
        self.stance = Stance::Following { leader: None };
        self.reset(now);
    }

    /// Hears a refusal that makes this replica give up its ballot.
    pub(crate) fn on_nack(&mut self, now: Instant, promised: Ballot) {
        self.note_promise(promised);
        self.failures = self.failures.saturating_add(1);
        self.stance = Stance::Following { leader: None };
        self.reset(now);
    }

    /// Hears that this replica led without getting anything chosen. Another one goes first.
    pub(crate) fn on_stuck(&mut self, now: Instant) {
        self.stance = Stance::Following { leader: None };
        self.reset(now.after(self.timeout * 2));
    }

    /// Hears what somebody has promised.
    pub(crate) fn note_promise(&mut self, promised: Ballot) {
        self.round = self.round.max(promised.round);
    }

    /// Answers whether the asker should try to lead.
    pub(crate) fn handle_canvass(
        &mut self,
        now: Instant,
        from: ReplicaId,
        canvass: &Canvass,
        footing: Footing,
        out: &mut Outbox,
    ) {
        let follows = self.leader().is_some()
            && self.heard.is_some_and(|heard| now.since(heard) < self.timeout);
        let leads = matches!(self.stance, Stance::Leading { .. });
        let sequence = canvass.sequence;
        let Footing { start, now: Standing { promised, .. }, chosen, .. } = footing;
        let leader = if leads { Some(promised) } else { self.leader().filter(|_| follows) };
        let yes = !leads && !follows;
        let answer = CanvassAnswer { sequence, yes, promised, leader, start, chosen };
        out.send_one(from, answer);
    }

    /// Counts an answer. With enough of them phase 1 may begin.
    pub(crate) fn handle_canvass_answer(
        &mut self,
        from: ReplicaId,
        answer: &CanvassAnswer,
        membership: &Membership,
    ) -> Verdict {
        self.note_promise(answer.promised);
        match &mut self.stance {
            Stance::Canvassing { yes } if answer.sequence == self.sequence && answer.yes => {
                membership.vote(yes, from);
            }
            _ => return Verdict::Stay,
        }
        self.judge_canvass(membership)
    }

    fn judge_canvass(&self, membership: &Membership) -> Verdict {
        match &self.stance {
            Stance::Canvassing { yes }
                if membership.prepare(*yes, VoteSet::EMPTY) == Tally::Won
                    && membership.accept(*yes, VoteSet::EMPTY) == Tally::Won =>
            {
                Verdict::Prepare { above: self.round }
            }
            _ => Verdict::Stay,
        }
    }

    /// Hears that phase 1 runs. If it does not end in time, this replica canvasses again.
    pub(crate) fn on_prepare(&mut self, now: Instant) {
        self.stance = Stance::Preparing;
        self.failures = self.failures.saturating_add(1);
        self.reset(now);
    }

    /// Hears that this replica leads. The first heartbeat is due at once.
    pub(crate) fn on_lead(&mut self, now: Instant, membership: &Membership) {
        self.failures = 0;
        // Everybody has a whole timeout for the first answer.
        let answered = membership.members().iter().map(|m| (m.replica, now)).collect();
        self.stance = Stance::Leading { answered, next_heartbeat: now };
    }

    /// Does what is due: canvass, heartbeat, or step down.
    pub(crate) fn on_tick(
        &mut self,
        now: Instant,
        ballot: Option<Ballot>,
        announcement: impl FnOnce() -> Announcement,
        membership: &Membership,
        out: &mut Outbox,
    ) -> Verdict {
        if let (Stance::Leading { answered, next_heartbeat }, Some(ballot)) =
            (&mut self.stance, ballot)
        {
            if now < *next_heartbeat {
                return Verdict::Stay;
            }
            let mut heard = VoteSet::EMPTY;
            membership.vote(&mut heard, self.me);
            for (from, at) in answered.iter() {
                if now.since(*at) < self.timeout {
                    membership.vote(&mut heard, *from);
                }
            }
            if membership.accept(heard, VoteSet::EMPTY) != Tally::Won {
                self.stance = Stance::Following { leader: None };
                self.reset(now);
                return Verdict::StepDown;
            }
            self.send_heartbeat(now, ballot, announcement(), membership, out);
            return Verdict::Stay;
        }
        if now < self.deadline {
            return Verdict::Stay;
        }
        self.canvass(now, announcement().chosen, membership, out)
    }

    /// Shows the others that this replica leads, and returns the sign's number.
    pub(crate) fn send_heartbeat(
        &mut self,
        now: Instant,
        ballot: Ballot,
        announcement: Announcement,
        membership: &Membership,
        out: &mut Outbox,
    ) -> u64 {
        if let Stance::Leading { next_heartbeat, .. } = &mut self.stance {
            *next_heartbeat = now.after(self.heartbeat);
        }
        self.sequence += 1;
        let sequence = self.sequence;
        out.send(membership.others(self.me), Heartbeat { ballot, sequence, announcement });
        sequence
    }

    /// Asks whether to try; whoever does not canvass hears from the answers how others stand.
    pub(crate) fn ask(&mut self, whom: Replicas, chosen: Slot, out: &mut Outbox) {
        if !whom.is_empty() {
            self.sequence += 1;
            out.send(whom, Canvass { sequence: self.sequence, chosen });
        }
    }

    fn canvass(
        &mut self,
        now: Instant,
        chosen: Slot,
        membership: &Membership,
        out: &mut Outbox,
    ) -> Verdict {
        let mut yes = VoteSet::EMPTY;
        membership.vote(&mut yes, self.me);
        self.stance = Stance::Canvassing { yes };
        // Asking disturbs nobody, so it is repeated soon; what grows is the random part.
        let growth = 1 + self.failures.min(GROWTH_MAX - 1);
        self.deadline = now.after(self.timeout / 2).after(self.part(growth));
        self.ask(membership.others(self.me), chosen, out);
        self.judge_canvass(membership)
    }

    /// When something is due next.
    #[must_use]
    pub(crate) fn wake(&self) -> (Instant, Timer) {
        match &self.stance {
            Stance::Leading { next_heartbeat, .. } => (*next_heartbeat, Timer::Heartbeat),
            Stance::Following { .. } | Stance::Canvassing { .. } | Stance::Preparing => {
                (self.deadline, Timer::Election)
            }
        }
    }
}

#[cfg(test)]
mod tests;
