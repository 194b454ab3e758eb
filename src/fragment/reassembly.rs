//! Long messages on their way in: pieces are put together, in bounded memory.

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use core::time::Duration;

use super::{ACTIVE_MAX, AHEAD_BYTES_MAX, CourierCounters, FORGET, window_pieces};
use crate::time::Instant;
use crate::wire::{Fragment, FrameError};

/// How many pieces may arrive in order before they are acknowledged.
const REPORT_PIECES: u32 = 8;

/// How long pieces that arrived in order may go unacknowledged.
pub(super) const REPORT_DELAY: Duration = Duration::from_millis(5);

/// What the arrival of a piece leads to.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Arrival {
    /// Nothing for now.
    Noted,
    /// An acknowledgement, at once.
    Report,
    /// This whole frame, and an acknowledgement.
    Whole(Vec<u8>),
}

/// The long messages that come from one start of one replica.
#[derive(Debug)]
pub(super) struct Inbound {
    /// The messages below this number are over.
    oldest: u64,
    /// The messages of which pieces have come, all in `oldest..oldest + ACTIVE_MAX`.
    frames: BTreeMap<u64, Incoming>,
    heard: Instant,
}

impl Inbound {
    pub(super) fn new(now: Instant) -> Self {
        Self { oldest: 0, frames: BTreeMap::new(), heard: now }
    }

    /// Takes in a piece, which has passed the checks of the wire.
    pub(super) fn handle_fragment(
        &mut self,
        now: Instant,
        fragment: &Fragment,
        counters: &mut CourierCounters,
    ) -> Result<Arrival, FrameError> {
        let refuse = |what| Err(FrameError::Fragment { what });
        if fragment.number - fragment.oldest >= ACTIVE_MAX {
            return refuse("it is too far ahead of the oldest message");
        }
        self.heard = now;
        if fragment.oldest > self.oldest {
            let kept = self.frames.split_off(&fragment.oldest);
            counters.dropped_unfinished += self.unfinished();
            self.frames = kept;
            self.oldest = fragment.oldest;
        }
        if fragment.number < self.oldest {
            counters.fragments_repeated += 1;
            return Ok(Arrival::Noted);
        }
        // The oldest message may always grow to its end, so that it gets there; what comes ahead
        // of it shares a budget, which an honest sender keeps.
        if fragment.number != self.oldest {
            let ahead = self.frames.iter().filter(|(number, _)| **number != self.oldest);
            let held: usize = ahead.map(|(_, incoming)| incoming.stored_bytes()).sum();
            if held + fragment.bytes.len() > AHEAD_BYTES_MAX {
                return refuse("too many bytes ahead of the oldest message");
            }
        }
        let incoming =
            self.frames.entry(fragment.number).or_insert_with(|| Incoming::new(fragment));
        incoming.handle_fragment(now, fragment, counters)
    }

    /// What to acknowledge of a message: how many pieces arrived without a gap, and which beyond.
    pub(super) fn report(&mut self, number: u64) -> Option<(u32, [u64; 4])> {
        self.frames.get_mut(&number).map(Incoming::report)
    }

    /// A message whose acknowledgement is due.
    pub(super) fn due(&self, now: Instant) -> Option<u64> {
        let due = |incoming: &Incoming| incoming.report_at.is_some_and(|at| at <= now);
        self.frames.iter().find(|(_, incoming)| due(incoming)).map(|(number, _)| *number)
    }

    pub(super) fn wake(&self) -> Instant {
        let reports = self.frames.values().filter_map(|incoming| incoming.report_at);
        reports.fold(self.forget_at(), Instant::min)
    }

    pub(super) fn forget_at(&self) -> Instant {
        self.heard.after(FORGET)
    }

    /// When the sender's last fragment came.
    pub(super) fn heard(&self) -> Instant {
        self.heard
    }

    /// How many messages are unfinished.
    pub(super) fn unfinished(&self) -> u64 {
        self.frames.values().filter(|incoming| !incoming.is_done()).count() as u64
    }

    /// How many bytes of memory the pieces take.
    pub(super) fn held_bytes(&self) -> usize {
        self.frames.values().map(Incoming::held_bytes).sum()
    }
}

/// One long message on its way in.
#[derive(Debug)]
struct Incoming {
    total_bytes: usize,
    piece_bytes: usize,
    pieces: u32,
    /// Every piece below this index has arrived.
    arrived: u32,
    /// The bytes of those pieces; none any more once the message is done.
    bytes: Vec<u8>,
    /// Pieces that arrived beyond a gap.
    ahead: BTreeMap<u32, Box<[u8]>>,
    ahead_bytes: usize,
    /// Pieces that arrived in order since the last acknowledgement.
    unreported: u32,
    report_at: Option<Instant>,
}

impl Incoming {
    /// A message of which nothing has arrived. Allocates nothing: `fragment` only claims a length.
    fn new(fragment: &Fragment) -> Self {
        let (total_bytes, piece_bytes) =
            (fragment.total_bytes as usize, fragment.piece_bytes as usize);
        Self {
            total_bytes,
            piece_bytes,
            pieces: fragment.total_bytes.div_ceil(fragment.piece_bytes),
            arrived: 0,
            bytes: Vec::new(),
            ahead: BTreeMap::new(),
            ahead_bytes: 0,
            unreported: 0,
            report_at: None,
        }
    }

    fn handle_fragment(
        &mut self,
        now: Instant,
        fragment: &Fragment,
        counters: &mut CourierCounters,
    ) -> Result<Arrival, FrameError> {
        if (fragment.total_bytes as usize, fragment.piece_bytes as usize)
            != (self.total_bytes, self.piece_bytes)
        {
            return Err(FrameError::Fragment { what: "it contradicts the pieces before it" });
        }
        let index = fragment.index;
        if index < self.arrived || self.ahead.contains_key(&index) {
            counters.fragments_repeated += 1;
            // The acknowledgement may have been lost.
            return Ok(Arrival::Report);
        }
        if index - self.arrived >= window_pieces(self.piece_bytes) {
            // The sender believes that we have more than we have: it sent that to an earlier start
            // of ours. The acknowledgement shows it the new one.
            counters.fragments_beyond += 1;
            return Ok(Arrival::Report);
        }
        if index > self.arrived {
            self.ahead.insert(index, Box::from(&fragment.bytes[..]));
            self.ahead_bytes += fragment.bytes.len();
            return Ok(Arrival::Report);
        }
        self.append(&fragment.bytes);
        while let Some(piece) = self.ahead.remove(&self.arrived) {
            self.ahead_bytes -= piece.len();
            self.append(&piece);
        }
        if self.is_done() {
            return Ok(Arrival::Whole(core::mem::take(&mut self.bytes)));
        }
        self.unreported += 1;
        // Where pieces are long, half a window of them must not wait for more.
        let enough = REPORT_PIECES.min(window_pieces(self.piece_bytes) / 2).max(1);
        if self.unreported >= enough || !self.ahead.is_empty() {
            return Ok(Arrival::Report);
        }
        self.report_at.get_or_insert(now.after(REPORT_DELAY));
        Ok(Arrival::Noted)
    }

    /// Adds the next piece. Room grows with what has arrived, at most twofold.
    fn append(&mut self, piece: &[u8]) {
        let needed = self.bytes.len() + piece.len();
        if needed > self.bytes.capacity() {
            let room = (2 * self.bytes.len()).max(needed).min(self.total_bytes);
            self.bytes.reserve_exact(room - self.bytes.len());
        }
        self.bytes.extend_from_slice(piece);
        self.arrived += 1;
    }

    fn report(&mut self) -> (u32, [u64; 4]) {
        self.unreported = 0;
        self.report_at = None;
        let mut ahead = [0; 4];
        for index in self.ahead.keys() {
            // Within the window, which is no longer than the row of bits.
            let bit = (index - self.arrived) as usize;
            ahead[bit / 64] |= 1u64 << (bit % 64);
        }
        (self.arrived, ahead)
    }

    fn is_done(&self) -> bool {
        self.arrived == self.pieces
    }

    /// How many bytes have arrived and are held.
    fn stored_bytes(&self) -> usize {
        self.bytes.len() + self.ahead_bytes
    }

    /// How many bytes of memory they take.
    fn held_bytes(&self) -> usize {
        self.bytes.capacity() + self.ahead_bytes
    }
}
