//! The queue of outputs, and the one place that decides what waits for the disk.
//!
//! Nothing that speaks for an acceptor leaves before its disk has it (invariant I4). The roles do
//! not think of that: they ask for a record to be written, then send, and the outbox holds the
//! message back where its kind must wait. What waits, waits for *every* record appended before the
//! message was made: one number, no bookkeeping per message, and so the answer to a repeated Accept
//! waits like the first.

use alloc::collections::VecDeque;

use crate::ballot::Ballot;
use crate::membership::{ReplicaId, Replicas};
use crate::message::{Accepted, Message};
use crate::output::{Event, Output};
use crate::record::{Lsn, Record};
use crate::slot::{ALPHA, Slot};

/// Whether this message tells others what the sender's disk must remember.
///
/// Exhaustive on purpose: whoever adds a message must decide.
fn waits_for_disk(message: &Message) -> bool {
    match message {
        // A ballot, once shown, must not be used again after a restart; promises and votes.
        Message::Prepare(_) | Message::Promise(_) | Message::Accepted(_) => true,
        // A list of members, once told, is never replaced.
        Message::Forming(_) => true,
        // The leader's own vote is the Accepted that it sends to itself: an Accept may overtake
        // the leader's disk, so that its disk and its peers' work in parallel.
        Message::Accept(_) => false,
        // Nothing that a crash could make a lie: facts about chosen slots, or plain questions.
        Message::Nack(_)
        | Message::Behind(_)
        | Message::Heartbeat(_)
        | Message::HeartbeatAnswer(_)
        | Message::Canvass(_)
        | Message::CanvassAnswer(_)
        | Message::Fetch(_)
        | Message::Fetched(_)
        | Message::CatchUp(_)
        | Message::Chosen(_)
        | Message::Refused(_)
        | Message::ReadIndex(_)
        | Message::ReadIndexAnswer(_)
        | Message::HandOver(_)
        | Message::Announcement(_) => false,
        // Commands are nobody's vote, and a leader that forgets them with its ballot lost them in
        // no slot.
        Message::Forward(_) | Message::ForwardAnswer(_) => false,
    }
}

/// How many messages may wait for the disk. Above that they are dropped, as if the network had lost
/// them: whoever needs them asks again, and what a timer sends it sends again.
const WITHHELD_MAX: usize = 4096;

/// Outputs in their order, messages that wait for the disk, and messages to oneself.
///
/// ```
/// use synod::message::Accepted;
/// use synod::record::{Lsn, Record};
/// use synod::roles::Outbox;
/// use synod::slot::Slots;
/// use synod::{Ballot, Entry, Output, ReplicaId, Slot};
///
/// let mut out = Outbox::new(ReplicaId(1), Lsn::ZERO, Slot::ZERO);
/// let (slot, ballot) = (Slot(0), Ballot { round: 1, replica: ReplicaId(2) });
/// out.persist(Record::Accepted { slot, ballot, entry: Entry::Noop });
/// out.send_one(ReplicaId(2), Accepted { ballot, slots: Slots::one(slot), chosen: slot });
/// assert!(matches!(out.poll(), Some(Output::Persist { .. })));
/// assert_eq!(out.poll(), None, "the vote waits for the disk");
/// assert!(out.handle_persisted(Lsn(1), ballot));
/// assert!(matches!(out.poll(), Some(Output::Send { .. })));
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Outbox {
    me: ReplicaId,
    /// The last record that was asked for.
    appended: Lsn,
    /// The last record that is known to be on disk, and all before it.
    durable: Lsn,
    /// The chosen mark that goes with each record.
    chosen: Slot,
    ready: VecDeque<Output>,
    /// Messages that wait, each for the record that was the last when it was made.
    withheld: VecDeque<(Lsn, Replicas, Message)>,
    /// Messages from this replica to itself.
    loopback: VecDeque<Message>,
    /// The sizes of the records that are not durable yet.
    unsynced: VecDeque<(Lsn, usize)>,
    unsynced_bytes: usize,
}

impl Outbox {
    /// An empty outbox of this replica, whose log ends with the durable record `last`.
    #[must_use]
    pub fn new(me: ReplicaId, last: Lsn, chosen: Slot) -> Self {
        Self {
            me,
            appended: last,
            durable: last,
            chosen,
            ready: VecDeque::new(),
            withheld: VecDeque::new(),
            loopback: VecDeque::new(),
            unsynced: VecDeque::new(),
            unsynced_bytes: 0,
        }
    }

    /// Asks for the record to be written.
    pub fn persist(&mut self, record: Record) {
        let bytes = record_bytes(&record);
        self.appended = self.appended.next();
        self.unsynced.push_back((self.appended, bytes));
        self.unsynced_bytes += bytes;
        let (lsn, chosen) = (self.appended, self.chosen);
        self.ready.push_back(Output::Persist { lsn, record, chosen });
    }

    /// Sends the message, now or when the disk has every record that was asked for so far.
    pub fn send(&mut self, to: Replicas, message: impl Into<Message>) {
        let message = message.into();
        if waits_for_disk(&message) && self.durable < self.appended {
            if self.withheld.len() >= WITHHELD_MAX {
                return;
            }
            self.withheld.push_back((self.appended, to, message));
        } else {
            // It may overtake what is withheld. The network reorders anyway.
            self.deliver(self.appended, to, message);
        }
    }

    /// Sends the message to one replica.
    pub fn send_one(&mut self, to: ReplicaId, message: impl Into<Message>) {
        self.send(Replicas::one(to), message);
    }

    /// Hears that every record up to `upto` is on disk, and lets go what waited for that.
    ///
    /// A Promise below `promised` is dropped: the acceptor has moved on.
    ///
    /// False, and nothing changes, if `upto` is above the last record that was asked for.
    #[must_use]
    #[inline]
    pub fn handle_persisted(&mut self, upto: Lsn, promised: Ballot) -> bool {
        if upto > self.appended {
            return false;
        }
        self.durable = self.durable.max(upto);
        while let Some((lsn, bytes)) = self.unsynced.front().copied()
            && lsn <= self.durable
        {
            self.unsynced.pop_front();
            self.unsynced_bytes -= bytes;
        }
        while let Some((lsn, _, _)) = self.withheld.front()
            && *lsn <= self.durable
        {
            if let Some((made_at, to, message)) = self.withheld.pop_front() {
                self.release(made_at, to, message, promised);
            }
        }
        true
    }

    /// Sends what had to wait. Accepted messages of neighbouring slots become one.
    fn release(&mut self, made_at: Lsn, to: Replicas, message: Message, promised: Ballot) {
        match message {
            Message::Promise(promise) if promise.ballot < promised => {}
            Message::Accepted(accepted) => {
                if !self.join_accepted(to, &accepted) {
                    self.deliver(made_at, to, Message::Accepted(accepted));
                }
            }
            other => self.deliver(made_at, to, other),
        }
    }

    /// Whether the slots were added to the Accepted that was released just before.
    fn join_accepted(&mut self, to: Replicas, accepted: &Accepted) -> bool {
        let before = if to == Replicas::one(self.me) {
            self.loopback.back_mut()
        } else {
            match self.ready.back_mut() {
                Some(Output::Send { to: last, message }) if *last == to => Some(message),
                _ => None,
            }
        };
        match before {
            Some(Message::Accepted(last))
                if last.ballot == accepted.ballot
                    && last.slots.end == accepted.slots.start
                    && last.slots.len() + accepted.slots.len() <= ALPHA =>
            {
                last.slots.end = accepted.slots.end;
                last.chosen = last.chosen.max(accepted.chosen);
                true
            }
            _ => false,
        }
    }

    /// Puts the message where it goes: to the driver, to oneself, or both. `made_at` is the last
    /// record that was asked for when the message was made.
    fn deliver(&mut self, made_at: Lsn, to: Replicas, message: Message) {
        assert!(
            made_at <= self.durable || !waits_for_disk(&message),
            "I4: {} leaves before {made_at} is on disk; {} is",
            message.name(),
            self.durable
        );
        if !to.contains(self.me) {
            if !to.is_empty() {
                self.ready.push_back(Output::Send { to, message });
            }
        } else if to.len() == 1 {
            self.loopback.push_back(message);
        } else {
            self.loopback.push_back(message.clone());
            self.ready.push_back(Output::Send { to: to.without(self.me), message });
        }
    }

    /// Queues an output that waits for nothing.
    pub fn push(&mut self, output: Output) {
        self.ready.push_back(output);
    }

    /// Queues an event.
    pub fn event(&mut self, event: Event) {
        self.push(Output::Event(event));
    }

    /// Hears how far the log is chosen; goes with each record from now on.
    pub fn note_chosen(&mut self, chosen: Slot) {
        self.chosen = self.chosen.max(chosen);
    }

    /// The next thing for the driver to do.
    pub fn poll(&mut self) -> Option<Output> {
        self.ready.pop_front()
    }

    /// Whether this replica has sent itself a message.
    #[inline]
    pub(crate) fn has_for_me(&self) -> bool {
        !self.loopback.is_empty()
    }

    /// The next message from this replica to itself.
    pub fn next_for_me(&mut self) -> Option<Message> {
        self.loopback.pop_front()
    }

    /// How many bytes of entries wait for the disk.
    #[must_use]
    pub fn unsynced_bytes(&self) -> usize {
        self.unsynced_bytes
    }

    /// The last record that was asked for.
    #[must_use]
    pub fn appended(&self) -> Lsn {
        self.appended
    }

    /// The last record that is on disk, as far as the driver has told.
    #[must_use]
    pub fn durable(&self) -> Lsn {
        self.durable
    }

    /// The replica whose outbox this is.
    #[must_use]
    pub fn me(&self) -> ReplicaId {
        self.me
    }
}

/// About how many bytes the record has in memory and on disk.
fn record_bytes(record: &Record) -> usize {
    const FIXED: usize = 64;
    FIXED
        + match record {
            Record::Accepted { entry, .. } | Record::Chosen { entry, .. } => entry.len(),
            Record::Members { members } => members.members().len() * 20 + 128,
            Record::Promised { .. } | Record::Formed => 0,
        }
}

#[cfg(test)]
pub(crate) mod tests;
