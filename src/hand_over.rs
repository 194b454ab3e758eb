//! Handing over: how a leader gives its place to a replica of its choice, without a pause as long
//! as an election timeout (Ongaro, "Consensus: Bridging Theory and Practice", 3.10).
//!
//! Liveness only: it decides nothing, since ballots decide. The steps:
//!
//! 1. The leader shows itself with a Heartbeat. Until the target has answered that, or a later one,
//!    and is no further behind than the pipeline is long, the leader goes on as ever: a target that
//!    is cut off, or slow, costs nothing.
//! 2. It *closes*: nothing new gets a slot; commands wait. What others had forwarded before still
//!    gets its slot, since nobody else may propose it.
//! 3. When the target has accepted all that was proposed, or knows it to be chosen, the leader asks
//!    it to prepare at once, and repeats that.
//! 4. The target's Prepare ends the reign. Without one for an election timeout since the first step
//!    the hand-over is given up, and the leader goes on.

use alloc::collections::BTreeSet;
use core::time::Duration;

use crate::ballot::Ballot;
use crate::membership::ReplicaId;
use crate::slot::{ALPHA, Slot, Slots};
use crate::time::Instant;

/// How far a hand-over has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Stage {
    /// The target may have to catch up; commands get their slots as ever.
    Asking,
    /// Nothing new gets a slot.
    Closing,
    /// The target was asked to lead.
    Asked,
    /// This replica leads no more, and has not heard who does.
    Over,
}

/// A hand-over that is under way.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct UnderWay {
    to: ReplicaId,
    /// The ballot that is given up.
    ballot: Ballot,
    /// The number of the Heartbeat that it began with.
    sequence: u64,
    until: Instant,
    stage: Stage,
    /// Whether the target has answered since the hand-over began.
    answered: bool,
    /// The target has accepted every slot below at this ballot, or knows it to be chosen.
    has: Slot,
    /// What it has accepted above, and not all below.
    ahead: BTreeSet<Slot>,
}

/// What a leader does about giving its place away: one hand-over at a time.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct HandOvers {
    timeout: Duration,
    under_way: Option<UnderWay>,
}

/// Where a leader's log stands.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Extent {
    /// What the target knows to be chosen, as it told last.
    pub(crate) known: Slot,
    /// The first slot that it has not proposed.
    pub(crate) end: Slot,
    /// How many slots it keeps in flight.
    pub(crate) pipeline_slots: u64,
    /// Whether something that others have forwarded waits for a slot.
    pub(crate) forwarded: bool,
}

impl HandOvers {
    /// None is under way. One is given up after `timeout`.
    #[must_use]
    pub(crate) fn new(timeout: Duration) -> Self {
        Self { timeout, under_way: None }
    }

    /// To whom leadership is being handed over.
    #[must_use]
    pub(crate) fn to(&self) -> Option<ReplicaId> {
        self.under_way.as_ref().map(|one| one.to)
    }

    /// Begins one, with the Heartbeat of this number.
    pub(crate) fn begin(&mut self, now: Instant, ballot: Ballot, to: ReplicaId, sequence: u64) {
        self.under_way = Some(UnderWay {
            to,
            ballot,
            sequence,
            until: now.after(self.timeout),
            stage: Stage::Asking,
            answered: false,
            has: Slot::ZERO,
            ahead: BTreeSet::new(),
        });
    }

    /// Hears the answer to a Heartbeat.
    pub(crate) fn handle_heartbeat_answer(&mut self, from: ReplicaId, sequence: u64) {
        if let Some(one) = &mut self.under_way
            && one.to == from
            && sequence >= one.sequence
        {
            one.answered = true;
        }
    }

    /// Hears what a member has accepted at this leader's ballot.
    pub(crate) fn handle_accepted(&mut self, from: ReplicaId, ballot: Ballot, slots: Slots) {
        if let Some(one) = &mut self.under_way
            && one.to == from
            && one.ballot == ballot
        {
            let near = Slots::new(one.has, one.has.plus(ALPHA));
            one.ahead.extend(slots.intersection(near).iter());
        }
    }

    /// Whether nothing new may get a slot.
    #[must_use]
    pub(crate) fn is_closing(&self) -> bool {
        self.under_way
            .as_ref()
            .is_some_and(|one| matches!(one.stage, Stage::Closing | Stage::Asked))
    }

    /// Goes on with the one of this ballot. Says whom to ask to lead, when that is due.
    pub(crate) fn proceed(&mut self, ballot: Ballot, extent: Extent) -> Option<ReplicaId> {
        let one = self.under_way.as_mut().filter(|one| one.ballot == ballot && one.answered)?;
        let Extent { known, end, pipeline_slots, forwarded } = extent;
        one.pass(known);
        if one.stage == Stage::Asking && end.since(one.has) <= pipeline_slots {
            one.stage = Stage::Closing;
        }
        if one.stage == Stage::Closing && one.has >= end && !forwarded {
            one.stage = Stage::Asked;
            return Some(one.to);
        }
        None
    }

    /// Hears that this replica leads no more.
    pub(crate) fn on_stop(&mut self) {
        if let Some(one) = &mut self.under_way {
            one.stage = Stage::Over;
        }
    }

    /// Hears that somebody leads, at a ballot that is not the one that was given up: whoever it is,
    /// nothing is under way any more. Says to whom it was.
    pub(crate) fn on_leader(&mut self, leader: Ballot) -> Option<ReplicaId> {
        let one = self.under_way.take_if(|one| one.ballot != leader)?;
        Some(one.to)
    }

    /// Who was asked to lead. The question may be lost, and is repeated; nothing at all is proposed
    /// meanwhile, since the target would not know of it.
    #[must_use]
    pub(crate) fn asked(&self) -> Option<ReplicaId> {
        let one = self.under_way.as_ref()?;
        (one.stage == Stage::Asked).then_some(one.to)
    }

    /// Gives up what takes too long. Says to whom it was.
    pub(crate) fn on_tick(&mut self, now: Instant) -> Option<ReplicaId> {
        let one = self.under_way.take_if(|one| one.until <= now)?;
        Some(one.to)
    }
}

impl UnderWay {
    /// Everything below `chosen` is had, and what follows without a gap.
    fn pass(&mut self, chosen: Slot) {
        self.has = self.has.max(chosen);
        self.ahead = self.ahead.split_off(&self.has);
        while self.ahead.remove(&self.has) {
            self.has = self.has.next();
        }
    }
}

#[cfg(test)]
mod tests;
