//! Long messages on their way out: a queue, a window, and what to send again when.

use alloc::collections::VecDeque;
use core::time::Duration;

use bytes::Bytes;

use super::reassembly::REPORT_DELAY;
use super::{
    ACTIVE_MAX, AHEAD_BYTES_MAX, CourierCounters, GIVE_UP, Post, QUEUE_BYTES_MAX,
    QUEUE_MESSAGES_MAX, WINDOW_BYTES, window_pieces,
};
use crate::ballot::Ballot;
use crate::membership::{Peer, ReplicaId};
use crate::message::{Fetched, Message};
use crate::slot::Slot;
use crate::time::Instant;
use crate::wire::{Acknowledgement, Fragment, FrameError};

/// How long to wait for an acknowledgement before anything is known about the way.
const FIRST_WAIT: Duration = Duration::from_millis(200);

/// The bounds of that wait: late acknowledgements of a busy receiver, and a dead one's patience.
const WAIT_MIN: Duration = Duration::from_millis(30);
const WAIT_MAX: Duration = Duration::from_secs(1);

/// What makes two long messages the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Key {
    /// A ballot and a slot name one entry (invariant I2). What else an Accept says, its
    /// announcement, may differ from one sending to the next and comes with Heartbeats too.
    Accept(Ballot, Slot),
    /// A chosen slot's entry.
    Chosen(Ballot, Slot),
    /// A proposal's entry.
    Fetched(Ballot, Slot),
    /// A ballot and a command's number name the commands that are forwarded. The limit of a later
    /// sending may be higher: that of the earlier one does as well.
    Forward(Ballot, u64),
    /// Nothing but their bytes.
    Bytes,
}

impl Key {
    pub(super) fn of(message: &Message) -> Self {
        match message {
            Message::Accept(m) => Self::Accept(m.ballot, m.slot),
            Message::Chosen(m) => Self::Chosen(m.ballot, m.slot),
            Message::Fetched(Fetched { slot, proposal: Some((ballot, _)), .. }) => {
                Self::Fetched(*ballot, *slot)
            }
            Message::Forward(m) => {
                let first = m.batch.origins().next();
                Self::Forward(m.ballot, first.map_or(0, |origin| origin.first.sequence))
            }
            Message::Fetched(Fetched { proposal: None, .. })
            | Message::Prepare(_)
            | Message::Promise(_)
            | Message::Nack(_)
            | Message::Accepted(_)
            | Message::Behind(_)
            | Message::Heartbeat(_)
            | Message::HeartbeatAnswer(_)
            | Message::Canvass(_)
            | Message::CanvassAnswer(_)
            | Message::Fetch(_)
            | Message::CatchUp(_)
            | Message::Forming(_)
            | Message::Refused(_)
            | Message::ForwardAnswer(_)
            | Message::ReadIndex(_)
            | Message::ReadIndexAnswer(_)
            | Message::HandOver(_)
            | Message::Announcement(_) => Self::Bytes,
        }
    }
}

/// The long messages to one replica.
#[derive(Debug)]
pub(super) struct Outbound {
    to: ReplicaId,
    piece_bytes: usize,
    /// The start of the receiver whose acknowledgements count.
    receiver: Option<Peer>,
    /// The number of the first message in the queue; the others follow without a gap.
    first: u64,
    queue: VecDeque<Outgoing>,
    queued_bytes: usize,
    in_flight_bytes: usize,
    /// Counts sendings of pieces.
    sendings: u64,
    /// The latest sending whose piece has arrived.
    arrived_sending: u64,
    round_trip: Option<RoundTrip>,
    /// Waits that ended without an acknowledgement, since the last one.
    expired: u32,
    resend_at: Option<Instant>,
    /// When the last piece was acknowledged, or the queue was last empty.
    progress_at: Instant,
}

/// One long message on its way out.
#[derive(Debug)]
struct Outgoing {
    key: Key,
    /// The whole frame; empty once all of it has arrived.
    frame: Bytes,
    pieces: u32,
    /// Every piece below this index has arrived.
    arrived: u32,
    /// What is known of the pieces from there on that were sent.
    sent: VecDeque<Piece>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Piece {
    InFlight { sending: u64, at: Instant, again: bool },
    Lost,
    Arrived,
}

impl Outbound {
    pub(super) fn new(now: Instant, to: ReplicaId, first: u64, piece_bytes: usize) -> Self {
        Self {
            to,
            piece_bytes,
            receiver: None,
            first,
            queue: VecDeque::new(),
            queued_bytes: 0,
            in_flight_bytes: 0,
            sendings: 0,
            arrived_sending: 0,
            round_trip: None,
            expired: 0,
            resend_at: None,
            progress_at: now,
        }
    }

    /// Queues a frame. False if it was not: it is under way already, or there is no room.
    pub(super) fn queue(
        &mut self,
        now: Instant,
        key: Key,
        frame: &Bytes,
        counters: &mut CourierCounters,
    ) -> bool {
        let same = |held: &Outgoing| held.key == key && (key != Key::Bytes || held.frame == frame);
        if self.queue.iter().any(|held| !held.is_done() && same(held)) {
            counters.messages_merged += 1;
            return false;
        }
        if self.queued_bytes + frame.len() > QUEUE_BYTES_MAX
            || self.queue.len() >= QUEUE_MESSAGES_MAX
        {
            counters.dropped_full += 1;
            return false;
        }
        if self.queue.is_empty() {
            self.progress_at = now;
        }
        counters.messages_queued += 1;
        self.queued_bytes += frame.len();
        self.queue.push_back(Outgoing {
            key,
            frame: frame.clone(),
            // The wire bounds frames far below u32::MAX bytes.
            pieces: frame.len().div_ceil(self.piece_bytes) as u32,
            arrived: 0,
            sent: VecDeque::new(),
        });
        true
    }

    /// The number that the next message gets.
    pub(super) fn end(&self) -> u64 {
        self.first + self.queue.len() as u64
    }

    pub(super) fn queued_bytes(&self) -> usize {
        self.queued_bytes
    }

    pub(super) fn is_idle(&self) -> bool {
        self.queue.is_empty()
    }

    /// Notes in which start the receiver is. True if it is another than before: then everything
    /// that it had is lost, and begins anew.
    pub(super) fn meet(&mut self, now: Instant, receiver: Peer) -> bool {
        match self.receiver {
            Some(known) if known == receiver || is_earlier(receiver, known) => false,
            None => {
                self.receiver = Some(receiver);
                false
            }
            Some(_) => {
                self.receiver = Some(receiver);
                self.queue.iter_mut().filter(|held| !held.is_done()).for_each(|held| {
                    held.arrived = 0;
                    held.sent.clear();
                });
                self.in_flight_bytes = 0;
                self.expired = 0;
                self.resend_at = None;
                self.progress_at = now;
                true
            }
        }
    }

    /// Takes in what the receiver has.
    pub(super) fn handle_acknowledgement(
        &mut self,
        now: Instant,
        from: Peer,
        acknowledgement: &Acknowledgement,
    ) -> Result<(), FrameError> {
        if self.receiver != Some(from) {
            return Err(FrameError::Fragment { what: "it is of an earlier start of its sender" });
        }
        let index = acknowledgement.number.checked_sub(self.first);
        let index = index.and_then(|index| usize::try_from(index).ok());
        let Some(held) = index.and_then(|index| self.queue.get_mut(index)) else { return Ok(()) };
        if held.is_done() {
            return Ok(());
        }
        // What it says of pieces that were not sent in this start of the receiver is passed over.
        let mut progress = false;
        for i in 0..held.sent.len() {
            let piece = held.arrived + i as u32;
            if !has_arrived(acknowledgement, piece) || held.sent[i] == Piece::Arrived {
                continue;
            }
            progress = true;
            if let Piece::InFlight { sending, at, again } = held.sent[i] {
                self.in_flight_bytes -= held.piece(self.piece_bytes, piece).len();
                self.arrived_sending = self.arrived_sending.max(sending);
                // Of a piece that was sent twice nobody knows which sending arrived.
                if !again {
                    self.round_trip = Some(RoundTrip::of(self.round_trip, now.since(at)));
                }
            }
            held.sent[i] = Piece::Arrived;
        }
        while held.sent.front() == Some(&Piece::Arrived) {
            held.sent.pop_front();
            held.arrived += 1;
        }
        if held.is_done() {
            self.queued_bytes -= held.frame.len();
            held.frame = Bytes::new();
        }
        if progress {
            self.on_progress(now);
        }
        Ok(())
    }

    fn on_progress(&mut self, now: Instant) {
        while self.queue.front().is_some_and(Outgoing::is_done) {
            self.queue.pop_front();
            self.first += 1;
        }
        self.progress_at = now;
        self.expired = 0;
        self.lose_overtaken(now);
        self.set_timer(now.after(self.wait()));
    }

    /// Takes for lost what was sent before something that has arrived, and is late besides: on
    /// most ways frames overtake one another a little.
    fn lose_overtaken(&mut self, now: Instant) -> usize {
        let (overtaking, patience) = (self.arrived_sending, self.patience());
        self.lose(|sending, at| sending < overtaking && now >= at.after(patience))
    }

    /// Sets the timer for the first overtaken piece that will be late, or else for `latest`.
    fn set_timer(&mut self, latest: Instant) {
        let (overtaking, patience) = (self.arrived_sending, self.patience());
        let late = self.in_flight().filter(|(sending, _)| *sending < overtaking);
        let late = late.map(|(_, at)| at.after(patience)).min();
        self.resend_at =
            (self.in_flight_bytes > 0).then(|| late.map_or(latest, |late| late.min(latest)));
    }

    /// The sendings of the pieces in flight, with their times.
    fn in_flight(&self) -> impl Iterator<Item = (u64, Instant)> + '_ {
        let active = self.queue.iter().take(ACTIVE_MAX as usize);
        active.flat_map(|held| &held.sent).filter_map(|piece| match piece {
            Piece::InFlight { sending, at, .. } => Some((*sending, *at)),
            Piece::Lost | Piece::Arrived => None,
        })
    }

    /// Takes those pieces in flight for lost of which `lost` says so. Tells how many there were.
    fn lose(&mut self, lost: impl Fn(u64, Instant) -> bool) -> usize {
        let mut count = 0;
        for held in self.queue.iter_mut().take(ACTIVE_MAX as usize) {
            for i in 0..held.sent.len() {
                if let Piece::InFlight { sending, at, again: _ } = held.sent[i]
                    && lost(sending, at)
                {
                    self.in_flight_bytes -=
                        held.piece(self.piece_bytes, held.arrived + i as u32).len();
                    held.sent[i] = Piece::Lost;
                    count += 1;
                }
            }
        }
        count
    }

    /// Does what is due. True if there may be something to send; false also if it has given up.
    pub(super) fn on_timeout(&mut self, now: Instant, counters: &mut CourierCounters) -> bool {
        if self.queue.is_empty() {
            return false;
        }
        if now >= self.progress_at.after(GIVE_UP) {
            self.give_up(counters);
            return false;
        }
        if self.resend_at.is_none_or(|at| now < at) {
            return false;
        }
        self.lose_overtaken(now);
        let wait = self.wait();
        if self.lose(|_, at| now >= at.after(wait)) > 0 {
            self.expired = self.expired.saturating_add(1);
        }
        // What is still in flight was sent after the timer was set.
        let earliest = self.in_flight().map(|(_, at)| at).min();
        let wait = self.wait();
        self.set_timer(earliest.map_or(now, |at| at.after(wait)));
        true
    }

    fn give_up(&mut self, counters: &mut CourierCounters) {
        let unfinished = self.queue.iter().filter(|held| !held.is_done()).count();
        counters.dropped_silent += unfinished as u64;
        self.first = self.end();
        self.queue.clear();
        self.queued_bytes = 0;
        self.in_flight_bytes = 0;
        self.expired = 0;
        self.resend_at = None;
    }

    pub(super) fn wake(&self) -> Option<Instant> {
        if self.queue.is_empty() {
            return None;
        }
        let give_up = self.progress_at.after(GIVE_UP);
        Some(self.resend_at.map_or(give_up, |at| at.min(give_up)))
    }

    /// How long to wait for an acknowledgement; longer with every wait in vain.
    fn wait(&self) -> Duration {
        let wait = self.round_trip.map_or(FIRST_WAIT, |time| time.usual + time.deviation * 4);
        ((wait + REPORT_DELAY).max(WAIT_MIN) * (1 << self.expired.min(5))).min(WAIT_MAX)
    }

    /// How long an overtaken piece may take.
    fn patience(&self) -> Duration {
        self.round_trip
            .map_or(FIRST_WAIT, |time| time.usual + (time.deviation * 3).max(time.usual / 8))
    }

    /// Sends what the window has room for: the oldest message first, and of each message first
    /// what was lost.
    pub(super) fn pump(&mut self, now: Instant, post: &mut Post<'_>) {
        let window = window_pieces(self.piece_bytes) as usize;
        let mut behind_bytes = 0;
        for index in 0..self.queue.len().min(ACTIVE_MAX as usize) {
            let held = &self.queue[index];
            if index > 0 {
                behind_bytes += held.frame.len();
                if behind_bytes > AHEAD_BYTES_MAX {
                    return;
                }
            }
            let known = held.sent.len();
            let unsent = (held.pieces - held.arrived) as usize - known;
            let end = known + unsent.min(window.saturating_sub(known));
            for i in 0..end {
                if i < known && self.queue[index].sent[i] != Piece::Lost {
                    continue;
                }
                if !self.send_piece(now, index, i, post) {
                    return;
                }
            }
        }
    }

    /// Sends the piece `i` places beyond those that have arrived of a message. False if the window
    /// is full.
    fn send_piece(&mut self, now: Instant, index: usize, i: usize, post: &mut Post<'_>) -> bool {
        let (oldest, number) = (self.first, self.first + index as u64);
        let held = &mut self.queue[index];
        let piece = held.arrived + i as u32;
        let bytes = held.piece(self.piece_bytes, piece);
        if self.in_flight_bytes > 0 && self.in_flight_bytes + bytes.len() > WINDOW_BYTES {
            return false;
        }
        self.in_flight_bytes += bytes.len();
        self.sendings += 1;
        let again = i < held.sent.len();
        let state = Piece::InFlight { sending: self.sendings, at: now, again };
        match held.sent.get_mut(i) {
            Some(known) => *known = state,
            None => held.sent.push_back(state),
        }
        let fragment = Fragment {
            to: self.to,
            number,
            oldest,
            // The wire bounds frames far below u32::MAX bytes.
            total_bytes: held.frame.len() as u32,
            piece_bytes: self.piece_bytes as u32,
            index: piece,
            bytes,
        };
        post.send_fragment(&fragment, again);
        if self.resend_at.is_none() {
            self.resend_at = Some(now.after(self.wait()));
        }
        true
    }
}

/// How long acknowledgements take.
#[derive(Clone, Copy, Debug)]
struct RoundTrip {
    usual: Duration,
    deviation: Duration,
}

impl RoundTrip {
    /// What is known after one more measurement: the means of RFC 6298, over about as many pieces
    /// as a window has.
    fn of(known: Option<Self>, time: Duration) -> Self {
        match known {
            None => Self { usual: time, deviation: time / 2 },
            Some(Self { usual, deviation }) => Self {
                deviation: (deviation * 15 + usual.abs_diff(time)) / 16,
                usual: (usual * 31 + time) / 32,
            },
        }
    }
}

impl Outgoing {
    fn is_done(&self) -> bool {
        self.arrived == self.pieces
    }

    fn piece(&self, piece_bytes: usize, piece: u32) -> Bytes {
        let at = piece as usize * piece_bytes;
        self.frame.slice(at..(at + piece_bytes).min(self.frame.len()))
    }
}

/// Whether `peer` is an earlier start of the same replica on the same disk as `known`.
fn is_earlier(peer: Peer, known: Peer) -> bool {
    (peer.replica, peer.disk) == (known.replica, known.disk) && peer.incarnation < known.incarnation
}

fn has_arrived(acknowledgement: &Acknowledgement, piece: u32) -> bool {
    match piece.checked_sub(acknowledgement.arrived) {
        None => true,
        Some(bit) => {
            let bit = bit as usize;
            acknowledgement.ahead.get(bit / 64).is_some_and(|row| row & (1u64 << (bit % 64)) != 0)
        }
    }
}
