//! When the timer thread is to turn the core next.

use parking_lot::{Condvar, Mutex};

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
    /// When the sleeping thread wakes by itself; the outer `None` means that it does not sleep.
    asleep: Option<Option<Instant>>,
    kicked: bool,
    closed: bool,
}

impl Alarm {
    /// Sets when to ring. A later time than before wakes nobody: the thread looks again by itself.
    pub(super) fn set(&self, wake: Option<Instant>) {
        let mut state = self.state.lock();
        state.wake = wake;
        let too_late = match (state.asleep, wake) {
            (Some(Some(until)), Some(wake)) => wake < until,
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
            if state.kicked || state.wake.is_some_and(|wake| wake <= now) {
                state.kicked = false;
                state.wake = None;
                return true;
            }
            state.asleep = Some(state.wake);
            match state.wake {
                Some(wake) => {
                    let _ = self.changed.wait_for(&mut state, wake.since(now));
                }
                None => self.changed.wait(&mut state),
            }
            state.asleep = None;
        }
    }
}
