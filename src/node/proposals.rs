//! Commands that wait to be taken in, and when they are *ripe*: when somebody should turn the core
//! for them. Linearizable reads wait in the same way, as commands without bytes, in a queue of
//! their own.
//!
//! One command at a time must not wait for anything. But whoever proposes many, one after the
//! other, is best served by one turn and one sync for all of them, and the moment for that is when
//! the proposer stops: it waits for a ticket, polls one, or drops it. So while commands come one at
//! a time each is ripe at once; when a turn has found several, those that follow ripen together,
//! at that moment, when there are many of them, or at the latest after two milliseconds.

use alloc::collections::VecDeque;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicBool, Ordering};
use core::time::Duration;

use parking_lot::Mutex;

use crate::time::Instant;

/// How many commands may wait to be taken in.
pub(super) const PROPOSALS_MAX: usize = 16_384;
/// So many, or so many bytes, need not wait for more.
const RIPE_COMMANDS: usize = 512;
const RIPE_BYTES: usize = 64 << 10;
/// The longest time that a command waits for its proposer to stop: between one and two of these.
const RIPENS_MICROS: u64 = 1000;
/// A buffer that grew beyond this is not kept.
const KEPT_BYTES: usize = 4 << 20;

/// Commands, one after the other, and what belongs to each.
#[derive(Debug)]
pub(super) struct Commands<T> {
    bytes: Vec<u8>,
    /// Where each ends.
    ends: VecDeque<(usize, T)>,
    /// Where the first one begins.
    start: usize,
}

impl<T> Default for Commands<T> {
    fn default() -> Self {
        Self { bytes: Vec::new(), ends: VecDeque::new(), start: 0 }
    }
}

impl<T> Commands<T> {
    /// The next one.
    pub(super) fn pop(&mut self) -> Option<(&[u8], T)> {
        let (end, what) = self.ends.pop_front()?;
        let start = core::mem::replace(&mut self.start, end);
        Some((&self.bytes[start..end], what))
    }

    /// Makes room for others, none of which is there any more.
    fn clear(&mut self) {
        assert!(self.ends.is_empty(), "{} commands were not taken in", self.ends.len());
        self.start = 0;
        self.bytes.clear();
        if self.bytes.capacity() > KEPT_BYTES {
            self.bytes = Vec::new();
        }
    }
}

/// What becomes of a command that was put here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Placed {
    /// It is ripe: turn the core.
    Ripe,
    /// It waits for its proposer to stop. If a time is given, somebody must look at
    /// [`Proposals::ripen_old`] then, since nobody else will.
    Unripe {
        /// When to look.
        look_at: Option<Instant>,
    },
    /// There is no room for it.
    Full,
}

#[derive(Debug)]
struct Waiting<T> {
    commands: Commands<T>,
    /// The last turn took several at once.
    bursts: bool,
    /// How often they were taken.
    takes: u64,
    /// The count of takes at the time from which somebody looks after what is old.
    watched: Option<u64>,
}

/// The commands that wait.
#[derive(Debug)]
pub(super) struct Proposals<T> {
    waiting: Mutex<Waiting<T>>,
    /// Changed with `waiting` locked. Never set while nothing waits.
    ripe: AtomicBool,
    count_max: usize,
    bytes_max: usize,
}

impl<T> Proposals<T> {
    /// None, and room for so many, and so many bytes; one command always finds room.
    pub(super) fn new(count_max: usize, bytes_max: usize) -> Self {
        let commands = Commands::default();
        let waiting = Waiting { commands, bursts: false, takes: 0, watched: None };
        let ripe = AtomicBool::new(false);
        Self { waiting: Mutex::new(waiting), ripe, count_max, bytes_max }
    }

    /// Adds a command, unless there is no room. The clock is read only where it is needed.
    pub(super) fn push(&self, command: &[u8], what: T, now: impl FnOnce() -> Instant) -> Placed {
        let mut waiting = self.waiting.lock();
        let (count, bytes) = (waiting.commands.ends.len(), waiting.commands.bytes.len());
        if count >= self.count_max || (count > 0 && bytes + command.len() > self.bytes_max) {
            return Placed::Full;
        }
        waiting.commands.bytes.extend_from_slice(command);
        let end = bytes + command.len();
        waiting.commands.ends.push_back((end, what));
        if !waiting.bursts || count + 1 >= RIPE_COMMANDS || end >= RIPE_BYTES {
            self.ripe.store(true, Ordering::SeqCst);
            return Placed::Ripe;
        }
        let look_at = waiting.watched.is_none().then(|| {
            waiting.watched = Some(waiting.takes);
            now().after(Duration::from_micros(RIPENS_MICROS))
        });
        Placed::Unripe { look_at }
    }

    /// Whether something waits that somebody should turn the core for.
    pub(super) fn are_ripe(&self) -> bool {
        self.ripe.load(Ordering::SeqCst)
    }

    /// A proposer has stopped, and waits. Whether there is something to turn the core for.
    pub(super) fn ripen(&self) -> bool {
        let waiting = self.waiting.lock();
        let some = !waiting.commands.ends.is_empty();
        self.ripe.store(some, Ordering::SeqCst);
        some
    }

    /// Ripens what has waited since it was asked to be looked at. Says when to look again, if
    /// something younger waits.
    pub(super) fn ripen_old(&self, now: Instant) -> Option<Instant> {
        let mut waiting = self.waiting.lock();
        let watched = waiting.watched.take()?;
        if waiting.commands.ends.is_empty() {
            return None;
        }
        if watched == waiting.takes {
            self.ripe.store(true, Ordering::SeqCst);
            return None;
        }
        waiting.watched = Some(waiting.takes);
        Some(now.after(Duration::from_micros(RIPENS_MICROS)))
    }

    /// Takes out all that wait, ripe or not, into a buffer without commands.
    ///
    /// # Panics
    /// If the buffer has commands.
    pub(super) fn take(&self, into: &mut Commands<T>) {
        into.clear();
        let mut waiting = self.waiting.lock();
        self.ripe.store(false, Ordering::SeqCst);
        core::mem::swap(&mut waiting.commands, into);
        waiting.bursts = into.ends.len() > 1;
        waiting.takes += 1;
    }
}

#[cfg(test)]
mod tests;
