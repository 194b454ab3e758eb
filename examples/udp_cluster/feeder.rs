//! Which lines are on their way, which are acknowledged, and where to start again.
//!
//! The feeder keeps many lines in flight, at the leader. The commands of one replica keep their
//! order, but an earlier one may fail while a later one is applied, and those of two replicas have
//! none. So after a change of leader it starts again from the first line that is not acknowledged:
//! it begins a new *attempt*. A line that was taken in an earlier attempt is not taken twice,
//! because the state machine takes line n only as its n-th. The feeder touches no clock and no
//! process.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;

use crate::protocol::Request;

/// How many lines may be in flight: enough to keep the log busy while a batch is synced, few enough
/// that a line does not wait long behind others.
pub(crate) const WINDOW_LINES: u64 = 4096;

/// How many bytes of lines may be in flight. One line is always let through.
pub(crate) const WINDOW_BYTES: usize = 4 << 20;

/// How many lines go into one frame to a replica.
pub(crate) const CHUNK_LINES: usize = 256;

/// From how many bytes on a chunk is full.
pub(crate) const CHUNK_BYTES: usize = 64 << 10;

/// Lines one after the other, sent in one frame.
#[derive(Debug, Default)]
pub(crate) struct Chunk {
    /// Each line's length in bytes.
    pub(crate) lengths: Vec<u32>,
    /// The lines' bytes.
    pub(crate) bytes: Vec<u8>,
}

/// A chunk on its way.
#[derive(Debug)]
struct InFlight {
    first: u64,
    chunk: Chunk,
    /// When it was sent for the first time.
    sent: Option<Instant>,
}

/// See the file's head.
#[derive(Debug)]
pub(crate) struct Feeder {
    /// What is not acknowledged, oldest first. The first chunk may be acknowledged in part.
    chunks: VecDeque<InFlight>,
    /// How many of the chunks were sent in this attempt.
    sent: usize,
    attempt: u64,
    acknowledged: u64,
    read: u64,
    bytes: usize,
    latency: Histogram<u64>,
}

impl Feeder {
    pub(crate) fn new() -> Self {
        Self {
            chunks: VecDeque::new(),
            sent: 0,
            attempt: 0,
            acknowledged: 0,
            read: 0,
            bytes: 0,
            latency: Histogram::new_with_bounds(1, 3_600_000_000, 3)
                .expect("1 us to an hour with three digits is a fair range"),
        }
    }

    /// How many lines may be read now.
    pub(crate) fn room(&self) -> u64 {
        let lines = WINDOW_LINES.saturating_sub(self.read - self.acknowledged);
        if self.bytes < WINDOW_BYTES { lines } else { 0 }
    }

    /// Adds the lines that come next in the input.
    pub(crate) fn push(&mut self, chunk: Chunk) {
        self.bytes += chunk.bytes.len();
        let first = self.read;
        self.read += chunk.lengths.len() as u64;
        self.chunks.push_back(InFlight { first, chunk, sent: None });
    }

    /// What to send next in this attempt.
    pub(crate) fn next(&mut self, now: Instant) -> Option<Request<'_>> {
        let next = self.chunks.get_mut(self.sent)?;
        self.sent += 1;
        next.sent.get_or_insert(now);
        Some(Request::Lines {
            attempt: self.attempt,
            first: next.first,
            lengths: next.chunk.lengths.clone(),
            bytes: &next.chunk.bytes,
        })
    }

    /// Begins a new attempt, from the first line that is not acknowledged.
    pub(crate) fn start_again(&mut self) {
        self.attempt += 1;
        self.sent = 0;
    }

    /// Notes that every line before `lines` is applied; returns how many of them are news.
    pub(crate) fn acknowledge(&mut self, lines: u64, now: Instant) -> u64 {
        let before = self.acknowledged;
        while let Some(oldest) = self.chunks.front() {
            // What was never sent cannot be applied.
            let Some(sent) = oldest.sent else { break };
            let end = oldest.first + oldest.chunk.lengths.len() as u64;
            let upto = end.min(lines);
            if upto > self.acknowledged {
                let micros = now.saturating_duration_since(sent).as_micros();
                let micros = u64::try_from(micros).unwrap_or(u64::MAX);
                self.latency.saturating_record_n(micros.max(1), upto - self.acknowledged);
                self.acknowledged = upto;
            }
            if lines < end {
                break;
            }
            self.bytes -= oldest.chunk.bytes.len();
            self.chunks.pop_front();
            // What an earlier attempt had on its way may be acknowledged before it is sent again.
            self.sent = self.sent.saturating_sub(1);
        }
        self.acknowledged - before
    }

    /// The number of this attempt.
    pub(crate) fn attempt(&self) -> u64 {
        self.attempt
    }

    /// How many lines are acknowledged.
    pub(crate) fn acknowledged(&self) -> u64 {
        self.acknowledged
    }

    /// How many lines were read from the input.
    pub(crate) fn read(&self) -> u64 {
        self.read
    }

    /// The time from a line's first sending to its acknowledgement that this share of the lines
    /// (0 to 1) did not exceed.
    pub(crate) fn latency(&self, share: f64) -> Duration {
        Duration::from_micros(self.latency.value_at_quantile(share))
    }
}
