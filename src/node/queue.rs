//! Queues between the threads of a node, and budgets in bytes.

use alloc::collections::VecDeque;
use core::sync::atomic::{AtomicUsize, Ordering};
use core::time::Duration;

use parking_lot::{Condvar, Mutex};

/// A queue whose pushing and waking are apart: jobs are pushed under the core's lock, in order, and
/// the thread that works on them is woken after it.
#[derive(Debug)]
pub(crate) struct Queue<T> {
    state: Mutex<QueueState<T>>,
    ready: Condvar,
}

#[derive(Debug)]
struct QueueState<T> {
    jobs: VecDeque<T>,
    closed: bool,
}

impl<T> Default for Queue<T> {
    fn default() -> Self {
        let state = QueueState { jobs: VecDeque::new(), closed: false };
        Self { state: Mutex::new(state), ready: Condvar::new() }
    }
}

impl<T> Queue<T> {
    /// Adds a job, without waking anyone. Gives it back if the queue is closed.
    pub(crate) fn push(&self, job: T) -> Result<(), T> {
        let mut state = self.state.lock();
        if state.closed {
            return Err(job);
        }
        state.jobs.push_back(job);
        Ok(())
    }

    /// Wakes a thread that waits in [`Queue::pop`].
    pub(crate) fn wake(&self) {
        self.ready.notify_one();
    }

    /// The next job; waits for one. `None` once the queue is closed, even if jobs are left.
    pub(crate) fn pop(&self) -> Option<T> {
        let mut state = self.state.lock();
        loop {
            if state.closed {
                return None;
            }
            if let Some(job) = state.jobs.pop_front() {
                return Some(job);
            }
            self.ready.wait(&mut state);
        }
    }

    /// Waits until there is a job, and leaves it there. False once the queue is closed.
    pub(crate) fn wait(&self) -> bool {
        let mut state = self.state.lock();
        while state.jobs.is_empty() && !state.closed {
            self.ready.wait(&mut state);
        }
        !state.closed
    }

    /// The next job, if there is one.
    pub(crate) fn try_pop(&self) -> Option<T> {
        self.state.lock().jobs.pop_front()
    }

    /// The next job, if one comes within this time.
    pub(crate) fn pop_within(&self, time: Duration) -> Option<T> {
        let mut state = self.state.lock();
        if state.jobs.is_empty() && !state.closed {
            let _ = self.ready.wait_for(&mut state, time);
        }
        if state.closed { None } else { state.jobs.pop_front() }
    }

    /// Whether a job waits.
    pub(crate) fn is_empty(&self) -> bool {
        self.state.lock().jobs.is_empty()
    }

    /// How many jobs wait.
    pub(crate) fn len(&self) -> usize {
        self.state.lock().jobs.len()
    }

    /// Ends every wait, drops what is left, and refuses what comes.
    pub(crate) fn close(&self) {
        let mut state = self.state.lock();
        state.closed = true;
        let left = core::mem::take(&mut state.jobs);
        drop(state);
        self.ready.notify_all();
        drop(left);
    }
}

/// A count of bytes that may not grow beyond a limit.
#[derive(Debug)]
pub(crate) struct Budget {
    used: AtomicUsize,
    limit: usize,
}

impl Budget {
    pub(crate) fn new(limit: usize) -> Self {
        Self { used: AtomicUsize::new(0), limit }
    }

    /// Takes `bytes`, if they are left. Something always fits into an untouched budget.
    pub(crate) fn take(&self, bytes: usize) -> bool {
        self.used
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, |used| {
                let sum = used.checked_add(bytes)?;
                (used == 0 || sum <= self.limit).then_some(sum)
            })
            .is_ok()
    }

    /// Gives back `bytes` that were taken.
    pub(crate) fn give(&self, bytes: usize) {
        self.used.fetch_sub(bytes, Ordering::AcqRel);
    }
}
