//! Patience: what has waited for too long. Numbers are given out as time goes on; this remembers
//! when, as exactly as it takes to give up what is old.

use alloc::collections::VecDeque;
use core::time::Duration;

use crate::time::Instant;

/// Into how many parts the patience is divided: whoever waits is refused at most one part early.
const PARTS: u32 = 16;

/// When numbers were given out.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Patience {
    limit: Duration,
    /// As exactly as it remembers.
    part: Duration,
    /// From each of these points on, the numbers from there on.
    since: VecDeque<(Instant, u64)>,
    /// When the next point may follow; at once if there is none.
    next_at: Instant,
    /// Numbers below this one have waited for too long.
    old: u64,
}

impl Patience {
    /// Nothing was given out, and whatever is may wait for `limit`.
    #[must_use]
    pub(crate) fn new(limit: Duration) -> Self {
        Self { limit, part: limit / PARTS, since: VecDeque::new(), next_at: Instant::ZERO, old: 0 }
    }

    /// Hears that the number is given out now. Numbers rise.
    pub(crate) fn start(&mut self, now: Instant, number: u64) {
        // Asked with every command.
        if now >= self.next_at {
            self.begin_part(now, number);
        }
    }

    #[inline(never)]
    fn begin_part(&mut self, now: Instant, number: u64) {
        self.since.push_back((now, number));
        self.next_at = now.after(self.part.max(Duration::from_micros(1)));
    }

    /// Looks at the time, if `next` is the next number. Returns [`Patience::old`].
    pub(crate) fn on_tick(&mut self, now: Instant, next: u64) -> u64 {
        while let Some((at, _)) = self.since.front()
            && now.since(*at) >= self.limit
        {
            self.since.pop_front();
            // What was given out up to the next point is at most one part younger.
            self.old = self.since.front().map_or(next, |(_, number)| *number);
        }
        if self.since.is_empty() {
            self.next_at = Instant::ZERO;
        }
        self.old
    }

    /// The end of the numbers that have waited for too long, as of the last look.
    #[must_use]
    pub(crate) fn old(&self) -> u64 {
        self.old
    }
}

#[cfg(test)]
mod tests;
