//! Forwarding: how commands that this replica took in reach the leader, when that is another one.
//!
//! Batches go out in the order of their commands, a few at a time, and again until the leader has
//! answered that it took them in. It takes each command in at most once: only in that order, only
//! above what it took in before, only at the ballot that the Forward names, and only as long as the
//! slot is below the Forward's limit. Sending again raises the limit, which lets the sender know
//! later what became of the commands, and never wrongly.

use alloc::collections::VecDeque;
use core::ops::Range;

use crate::ballot::Ballot;
use crate::entry::Batch;
use crate::membership::{Incarnation, ReplicaId};
use crate::message::{Forward, ForwardAnswer};
use crate::outbox::Outbox;
use crate::slot::Slot;

/// How many Forwards may be unanswered. More commands gather in the meantime, to longer batches.
const UNANSWERED_MAX: usize = 8;

/// After how many ticks without an answer everything unanswered is sent again.
const TICKS_MAX: u32 = 3;

/// How far above everything that is known of the log the leader may propose what is forwarded. Few,
/// since after a change of leader so many slots may have to be filled before new commands go on.
const WITHIN_SLOTS: u64 = 64;

/// The Forwards to one leader.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Stream {
    ballot: Ballot,
    unanswered: VecDeque<(Range<u64>, Batch)>,
    bytes: usize,
    /// The highest slot that the leader has told of.
    next: Slot,
    /// Ticks since the last answer that took something in, or since the last repetition.
    ticks: u32,
    /// Nothing is sent any more: what was not taken in for too long is given up.
    over: bool,
}

/// What this replica forwards.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Forwarding {
    incarnation: Incarnation,
    /// How many bytes may be unanswered, as long as there is more than one batch.
    bytes_max: usize,
    stream: Option<Stream>,
}

impl Forwarding {
    /// Nothing was forwarded by this start.
    #[must_use]
    pub(crate) fn new(incarnation: Incarnation, bytes_max: usize) -> Self {
        Self { incarnation, bytes_max, stream: None }
    }

    /// Whether one more batch may go out to the leader at this ballot. `settled` says that the fate
    /// of everything that was offered to anybody is known.
    #[must_use]
    pub(crate) fn has_room(&self, ballot: Ballot, settled: bool) -> bool {
        match &self.stream {
            Some(stream) if stream.ballot == ballot && !(stream.over && settled) => {
                !stream.over
                    && stream.unanswered.len() < UNANSWERED_MAX
                    && stream.bytes < self.bytes_max
            }
            Some(_) | None => true,
        }
    }

    /// Sends a batch to the leader at the ballot; a batch is handed in once. Returns the batch's
    /// numbers and their limit: if no slot below it holds the commands, none ever does.
    pub(crate) fn send(
        &mut self,
        ballot: Ballot,
        (numbers, batch): (Range<u64>, Batch),
        (chosen, end): (Slot, Slot),
        out: &mut Outbox,
    ) -> Slot {
        if self.stream.as_ref().is_none_or(|stream| stream.ballot != ballot || stream.over) {
            let (unanswered, next) = (VecDeque::new(), Slot::ZERO);
            self.stream =
                Some(Stream { ballot, unanswered, bytes: 0, next, ticks: 0, over: false });
        }
        let Some(stream) = &mut self.stream else { return chosen };
        let after = stream.unanswered.back().map_or(0, |(last, _)| last.end);
        let limit = stream.limit(chosen, end);
        stream.bytes += batch.bytes().len();
        stream.unanswered.push_back((numbers, batch.clone()));
        out.send_one(ballot.replica, Forward { ballot, after, limit, batch, chosen });
        limit
    }

    /// Hears how far the leader has taken in what was sent.
    pub(crate) fn handle_answer(&mut self, from: ReplicaId, answer: &ForwardAnswer) {
        let Some(stream) = &mut self.stream else { return };
        if stream.ballot != answer.ballot
            || from != answer.ballot.replica
            || answer.incarnation != self.incarnation
        {
            return;
        }
        stream.next = stream.next.max(answer.next);
        if stream.unanswered.front().is_some_and(|(numbers, _)| numbers.end <= answer.taken) {
            stream.ticks = 0;
            self.settle(answer.taken);
        }
    }

    /// Hears that the fate of every command below this number is known: none is ever sent again.
    pub(crate) fn settle(&mut self, below: u64) {
        let Some(stream) = &mut self.stream else { return };
        while let Some((numbers, batch)) = stream.unanswered.front()
            && numbers.end <= below
        {
            stream.bytes -= batch.bytes().len();
            stream.unanswered.pop_front();
        }
    }

    /// Sends again what has no answer, if it is time and the leader is still followed. Returns from
    /// which number on, and the new limit.
    pub(crate) fn on_tick(
        &mut self,
        leader: Option<Ballot>,
        (chosen, end): (Slot, Slot),
        out: &mut Outbox,
    ) -> Option<(u64, Slot)> {
        let stream = self.stream.as_mut()?;
        if stream.unanswered.is_empty() || Some(stream.ballot) != leader {
            return None;
        }
        stream.ticks += 1;
        if stream.ticks < TICKS_MAX {
            return None;
        }
        stream.ticks = 0;
        let (ballot, limit) = (stream.ballot, stream.limit(chosen, end));
        let mut after = 0;
        for (numbers, batch) in &stream.unanswered {
            let batch = batch.clone();
            out.send_one(ballot.replica, Forward { ballot, after, limit, batch, chosen });
            after = numbers.end;
        }
        let (first, _) = stream.unanswered.front()?;
        Some((first.start, limit))
    }

    /// Gives up what has no answer: it is not sent again, and nothing after it either until the
    /// fate of all of it is known.
    pub(crate) fn give_up(&mut self) {
        if let Some(stream) = &mut self.stream {
            stream.over = true;
            stream.unanswered.clear();
            stream.bytes = 0;
        }
    }

    /// Whether what has no answer was given up.
    #[must_use]
    pub(crate) fn is_over(&self) -> bool {
        self.stream.as_ref().is_some_and(|stream| stream.over)
    }

    /// Hears that this replica follows the leader at this ballot, or is it. What earlier ones have
    /// not answered is not sent again.
    pub(crate) fn follow(&mut self, ballot: Ballot) {
        if self.stream.as_ref().is_some_and(|stream| stream.ballot != ballot) {
            self.stream = None;
        }
    }

    /// How many bytes of Forwards have no answer.
    #[must_use]
    pub(crate) fn unanswered_bytes(&self) -> usize {
        self.stream.as_ref().map_or(0, |stream| stream.bytes)
    }
}

impl Stream {
    fn limit(&self, chosen: Slot, end: Slot) -> Slot {
        chosen.max(end).max(self.next).plus(WITHIN_SLOTS)
    }
}

#[cfg(test)]
mod tests;
