//! Reads: linearizable ones by read index, at any replica, without a record in the log.
//!
//! Whoever wants to read asks the leader for an index: the chosen mark, at a time after the read
//! arrived. It then reads from a state machine that has applied every slot below it. The leader may
//! name its mark only
//!
//! 1. once the mark has passed everything that phase 1 reported: a slot below may have been chosen,
//!    and acknowledged, at an earlier ballot. That some entry of its own ballot is chosen is not
//!    enough, since slots are chosen in any order;
//! 2. after a quorum, of either kind, has answered a Heartbeat *that was sent after the mark was
//!    taken*: then nothing was chosen at a higher ballot when the read arrived, and what was chosen
//!    at this one was counted by this leader, who alone counts the votes of its ballot.
//!
//! Questions that come while a round of answers is awaited share the next round, so reads cost a
//! round trip, however many they are.

use alloc::collections::VecDeque;
use alloc::vec::Vec;
use core::ops::Range;

use crate::ballot::Ballot;
use crate::membership::{Incarnation, Membership, ReplicaId, VoteSet};
use crate::message::{Announcement, ReadIndex, ReadIndexAnswer};
use crate::outbox::Outbox;
use crate::output::Output;
use crate::quorum::Tally;
use crate::slot::Slot;

/// After how many ticks without an answer the leader is asked again.
const TICKS_MAX: u32 = 3;

/// Who asks for an index: a start of a replica, for its reads below a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Question {
    from: ReplicaId,
    incarnation: Incarnation,
    reads: u64,
}

/// Questions that wait for a quorum's answers to a Heartbeat.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Round {
    /// The chosen mark before the Heartbeat was sent.
    index: Slot,
    /// The Heartbeat's sequence number. Answers to later ones count as well.
    sequence: u64,
    votes: VoteSet,
    questions: Vec<Question>,
}

/// The leader's side: gives indexes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Indexes {
    /// Questions that no round covers yet, at most one of each replica.
    waiting: Vec<Question>,
    round: Option<Round>,
}

impl Indexes {
    /// Takes a question of a member, while this replica leads.
    pub(crate) fn ask(&mut self, from: ReplicaId, incarnation: Incarnation, reads: u64) {
        let question = Question { from, incarnation, reads };
        match self.waiting.iter_mut().find(|waiting| waiting.from == from) {
            Some(waiting) if waiting.incarnation == incarnation => {
                waiting.reads = waiting.reads.max(reads);
            }
            Some(waiting) => *waiting = question,
            None => self.waiting.push(question),
        }
    }

    /// Whether somebody waits for a round to begin.
    #[must_use]
    pub(crate) fn is_asked(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// Whether a round of answers should begin, given the leader's chosen mark and the first slot
    /// above everything that phase 1 reported.
    #[must_use]
    pub(crate) fn is_due(&self, chosen: Slot, free_from: Slot) -> bool {
        !self.waiting.is_empty() && self.round.is_none() && chosen >= free_from
    }

    /// Begins a round: the Heartbeat with this sequence number is sent next.
    pub(crate) fn begin(&mut self, index: Slot, sequence: u64) {
        let questions = core::mem::take(&mut self.waiting);
        self.round = Some(Round { index, sequence, votes: VoteSet::EMPTY, questions });
    }

    /// Hears that a member has answered the Heartbeat with this sequence number: its promise is not
    /// above this leader's ballot. Answers the questions if that makes a quorum.
    pub(crate) fn handle_heartbeat_answer(
        &mut self,
        from: ReplicaId,
        sequence: u64,
        announcement: impl Fn() -> Announcement,
        membership: &Membership,
        out: &mut Outbox,
    ) {
        let Some(round) = &mut self.round else { return };
        if sequence < round.sequence || !membership.vote(&mut round.votes, from) {
            return;
        }
        let votes = round.votes;
        let won = membership.accept(votes, VoteSet::EMPTY) == Tally::Won
            || membership.prepare(votes, VoteSet::EMPTY) == Tally::Won;
        if !won {
            return;
        }
        let index = round.index;
        for Question { from, incarnation, reads } in round.questions.drain(..) {
            let announcement = announcement();
            out.send_one(from, ReadIndexAnswer { incarnation, reads, index, announcement });
        }
        self.round = None;
    }

    /// Forgets every question: this replica leads no more. Whoever asked asks the next leader.
    pub(crate) fn stop(&mut self) {
        *self = Self::default();
    }
}

/// The question that is under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Asked {
    ballot: Ballot,
    reads: u64,
    ticks: u32,
}

/// The asker's side: the reads of this replica, from their arrival until they may be served.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Reads {
    incarnation: Incarnation,
    /// The number of the next read.
    next: u64,
    /// Reads without an index.
    waiting: VecDeque<Range<u64>>,
    asked: Option<Asked>,
    /// Reads that have an index which was not delivered yet.
    indexed: VecDeque<(Range<u64>, Slot)>,
}

/// Adds the range to the last one, if they touch.
fn push(ranges: &mut VecDeque<Range<u64>>, range: Range<u64>) {
    match ranges.back_mut() {
        Some(last) if last.end == range.start => last.end = range.end,
        _ => ranges.push_back(range),
    }
}

/// Takes out what lies below `end`.
fn take_below(ranges: &mut VecDeque<Range<u64>>, end: u64) -> Vec<Range<u64>> {
    let mut taken = Vec::new();
    while let Some(first) = ranges.front_mut()
        && first.start < end
    {
        let below = first.start..first.end.min(end);
        first.start = below.end;
        if first.is_empty() {
            ranges.pop_front();
        }
        taken.push(below);
    }
    taken
}

impl Reads {
    /// Nothing is read yet in this start.
    #[must_use]
    pub(crate) fn new(incarnation: Incarnation) -> Self {
        let (waiting, indexed) = (VecDeque::new(), VecDeque::new());
        Self { incarnation, next: 0, waiting, asked: None, indexed }
    }

    /// The number of the next read.
    #[must_use]
    pub(crate) fn next(&self) -> u64 {
        self.next
    }

    /// Takes in a read that needs an index, or, if not `linearizable`, one that needs none and is
    /// served at once.
    pub(crate) fn take_in(&mut self, linearizable: bool) -> u64 {
        let read = self.next;
        self.next += 1;
        if linearizable {
            push(&mut self.waiting, read..self.next);
        }
        read
    }

    /// Whether some reads wait for an index.
    #[must_use]
    pub(crate) fn is_asking(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// Asks the leader at this ballot for an index, unless it was asked, or nobody waits.
    pub(crate) fn ask(&mut self, ballot: Ballot, chosen: Slot, out: &mut Outbox) -> bool {
        if self.waiting.is_empty() || self.asked.is_some_and(|asked| asked.ballot == ballot) {
            return false;
        }
        let reads = self.next;
        self.asked = Some(Asked { ballot, reads, ticks: 0 });
        out.send_one(ballot.replica, ReadIndex { ballot, reads, chosen });
        true
    }

    /// Asks again if there was no answer for long enough.
    pub(crate) fn on_tick(&mut self) {
        if let Some(asked) = &mut self.asked {
            asked.ticks += 1;
            if asked.ticks >= TICKS_MAX {
                self.asked = None;
            }
        }
    }

    /// Hears the index for the reads below a number. Whichever leader found it, and whenever: it
    /// was after those reads arrived.
    pub(crate) fn handle_answer(&mut self, answer: &ReadIndexAnswer) {
        if answer.incarnation != self.incarnation || answer.reads > self.next {
            return;
        }
        for reads in take_below(&mut self.waiting, answer.reads) {
            self.indexed.push_back((reads, answer.index));
        }
        if self.asked.is_some_and(|asked| asked.reads <= answer.reads) {
            self.asked = None;
        }
    }

    /// Lets go the reads whose index is delivered: every slot below was handed to the state
    /// machine.
    #[inline]
    pub(crate) fn deliver(&mut self, delivered: Slot, out: &mut Outbox) {
        // Asked after every input.
        if !self.indexed.is_empty() {
            self.deliver_indexed(delivered, out);
        }
    }

    #[inline(never)]
    fn deliver_indexed(&mut self, delivered: Slot, out: &mut Outbox) {
        while let Some((_, index)) = self.indexed.front()
            && *index <= delivered
        {
            if let Some((reads, upto)) = self.indexed.pop_front() {
                out.push(Output::ReadReady { reads, upto });
            }
        }
    }

    /// Gives up the reads below this number that have no index.
    pub(crate) fn drop_below(&mut self, end: u64) -> Vec<Range<u64>> {
        take_below(&mut self.waiting, end)
    }

    /// How many reads wait for an index, or for what lies below it.
    #[must_use]
    pub(crate) fn waiting(&self) -> u64 {
        let indexed = self.indexed.iter().map(|(reads, _)| reads);
        self.waiting.iter().chain(indexed).map(|reads| reads.end - reads.start).sum()
    }
}

#[cfg(test)]
mod tests;
