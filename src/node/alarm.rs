//! When the timer thread is to turn the core next.

use parking_lot::{Condvar, Mutex, MutexGuard};

use super::clock::Clock;
use crate::time::Instant;

/// What the timer thread sleeps on.
#[derive(Debug, Default)]
pub(super) struct Alarm {
    state: Mutex<AlarmState>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct AlarmState {
    /// When to ring.
    wake: Option<Instant>,
    /// When to ring for commands and reads that nobody hurries.
    look: Option<Instant>,
    /// When the sleeping thread wakes by itself; the outer `None` means that it does not sleep.
    asleep: Option<Option<Instant>>,
    kicked: bool,
    closed: bool,
}

impl AlarmState {
    fn due(&self) -> Option<Instant> {
        [self.wake, self.look].into_iter().flatten().min()
    }
}

impl Alarm {
    /// Sets when to ring. A later time than before wakes nobody: the thread looks again by itself.
    pub(super) fn set(&self, wake: Option<Instant>) {
        let mut state = self.state.lock();
        state.wake = wake;
        self.see_to(state);
    }

    /// Rings at this time at the latest for commands and reads that nobody hurries, whatever else
    /// is set.
    pub(super) fn set_look(&self, look: Instant) {
        let mut state = self.state.lock();
        state.look = Some(state.look.map_or(look, |before| before.min(look)));
        self.see_to(state);
    }

    /// Wakes the thread if it sleeps for too long.
    fn see_to(&self, state: MutexGuard<'_, AlarmState>) {
        let too_late = match (state.asleep, state.due()) {
            (Some(Some(until)), Some(due)) => due < until,
            (Some(None), Some(_)) => true,
            (None, _) | (Some(_), None) => false,
        };
        drop(state);
        if too_late {
            self.changed.notify_one();
        }
    }

    /// Rings now.
    pub(super) fn kick(&self) {
        self.state.lock().kicked = true;
        self.changed.notify_one();
    }

    /// Ends every wait.
    pub(super) fn close(&self) {
        self.state.lock().closed = true;
        self.changed.notify_all();
    }

    /// Waits until it rings; false once it is closed.
    pub(super) fn wait(&self, clock: &Clock) -> bool {
        let mut state = self.state.lock();
        loop {
            if state.closed {
                return false;
            }
            let now = clock.now();
            let due = state.due();
            if state.kicked || due.is_some_and(|due| due <= now) {
                state.kicked = false;
                state.wake = None;
                state.look = None;
                return true;
            }
            state.asleep = Some(due);
            match due {
                Some(due) => {
                    let _ = self.changed.wait_for(&mut state, due.since(now));
                }
                None => self.changed.wait(&mut state),
            }
            state.asleep = None;
        }
    }
}
