//! What the state machine has to do, and who does it: the apply thread, or a *helper*.
//!
//! Whoever waits for a ticket has nothing else to do. So one of them, the helper, is woken in the
//! apply thread's place and runs the machine itself, until its own ticket is settled: that is one
//! wake-up for a command instead of two. Then the apply thread is on duty again.
//!
//! The machine lies behind a lock, and a job is taken out with that held, so the order of the jobs
//! is the order of the log whoever runs them.

use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::boxed::Box;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::thread::{self, Thread};
use std::vec::Vec;

use parking_lot::Mutex;

use super::apply::Applier;
use super::lent::Lent;
use super::queue::Queue;
use super::read::Reading;
use super::turn::{Core, Shared};
use super::{StopReason, panic_message};
use crate::entry::Entry;
use crate::machine::StateMachine;
use crate::slot::{Slot, Slots};
use crate::time::Instant;

/// Something for the state machine, in the order of the log.
pub(super) enum Work<M> {
    Entry { slot: Slot, entry: Entry },
    FromLog { slots: Slots },
    Read(Vec<Box<dyn Reading<M>>>),
}

/// How many jobs are done before a replica that waits for them is told.
const TOLD_TOGETHER: u32 = 32;

/// The work that waits, the machine, and who is on duty.
pub(super) struct Duty<M: StateMachine> {
    work: Queue<Work<M>>,
    /// The machine, until the node has stopped.
    applier: Mutex<Option<Applier<M>>>,
    /// The helper, if there is one.
    helper: Mutex<Option<Thread>>,
    /// Every slot below is applied.
    applied: AtomicU64,
    /// Whether the replica has more to deliver, and waits for that mark.
    is_awaited: AtomicBool,
    /// Whether nobody was woken for some of the work.
    is_left: AtomicBool,
}

impl<M: StateMachine> Duty<M> {
    pub(super) fn new(machine: M) -> Self {
        Self {
            work: Queue::default(),
            applier: Mutex::new(Some(Applier::new(machine))),
            helper: Mutex::default(),
            applied: AtomicU64::new(0),
            is_awaited: AtomicBool::new(false),
            is_left: AtomicBool::new(false),
        }
    }

    /// Every slot below has been applied now.
    pub(super) fn mark_applied(&self, upto: Slot) {
        self.applied.store(upto.0, Ordering::SeqCst);
    }

    /// Every slot below is applied.
    pub(super) fn applied(&self) -> Slot {
        Slot(self.applied.load(Ordering::SeqCst))
    }

    /// Adds work, without waking anyone. Gives it back if the node has stopped.
    pub(super) fn push(&self, work: Work<M>) -> Result<(), Work<M>> {
        self.work.push(work)
    }

    /// Leaves what was pushed until somebody hurries, or looks after what is old. Whether somebody
    /// must be found who looks.
    pub(super) fn leave(&self) -> bool {
        !self.is_left.swap(true, Ordering::SeqCst)
    }

    /// Wakes whoever is on duty if nobody was woken for some of the work.
    pub(super) fn wake_for_left(&self) {
        if self.is_left.load(Ordering::SeqCst) && self.is_left.swap(false, Ordering::SeqCst) {
            self.wake();
        }
    }

    /// Wakes whoever is on duty, since there is work.
    pub(super) fn wake(&self) {
        match &*self.helper.lock() {
            Some(helper) => helper.unpark(),
            None => self.work.wake(),
        }
    }

    /// Whether nothing waits.
    pub(super) fn is_empty(&self) -> bool {
        self.work.is_empty()
    }

    /// How much waits.
    pub(super) fn len(&self) -> usize {
        self.work.len()
    }

    /// Drops what waits, and refuses what comes: the node has stopped.
    pub(super) fn close(&self) {
        self.work.close();
    }

    /// Makes this thread the helper, unless there is one.
    pub(super) fn enlist(&self) -> Option<Helper<'_, M>> {
        let mut helper = self.helper.lock();
        if helper.is_some() {
            return None;
        }
        *helper = Some(thread::current());
        Some(Helper { duty: self })
    }
}

/// This thread is the helper, until this is dropped.
pub(super) struct Helper<'a, M: StateMachine> {
    duty: &'a Duty<M>,
}

impl<M: StateMachine> Drop for Helper<'_, M> {
    fn drop(&mut self) {
        *self.duty.helper.lock() = None;
        // Whoever pushed this has woken the helper, or will find that there is none any more.
        if !self.duty.work.is_empty() {
            self.duty.work.wake();
        }
    }
}

/// The machine is dropped with this, also if a waker panics.
struct End<'a, M: StateMachine> {
    duty: &'a Duty<M>,
}

impl<M: StateMachine> Drop for End<'_, M> {
    fn drop(&mut self) {
        let applier = self.duty.applier.lock().take();
        drop(applier);
    }
}

impl<M: StateMachine> Shared<M> {
    /// Turns the core if the replica waits for what has been applied. Otherwise whoever turns it
    /// next looks at the mark.
    pub(super) fn tell_if_awaited(&self) {
        if self.duty.is_awaited.load(Ordering::SeqCst) {
            self.turn(|_, _| Ok(()));
        }
    }

    /// Tells the replica what is applied. Whether that is more than it knew.
    pub(super) fn note_applied(&self, core: &mut Core<M>, now: Instant) -> bool {
        let (applied, known) = (self.duty.applied(), core.replica.applied());
        if applied > known {
            core.replica.handle_applied(now, applied);
        }
        applied > known
    }

    /// Says whether the replica waits for the mark. Whether it had moved before that could be seen.
    pub(super) fn await_applied(&self, core: &mut Core<M>, now: Instant) -> bool {
        let awaits = core.replica.awaits_applied();
        let before = self.duty.is_awaited.swap(awaits, Ordering::SeqCst);
        awaits && !before && self.note_applied(core, now)
    }

    /// The apply thread: works until the node stops, and drops the machine then.
    pub(super) fn run_machine(&self) {
        let _end = End { duty: &self.duty };
        while self.duty.work.wait() {
            self.work_off(self.duty.applier.lock().as_mut(), &|| false);
        }
    }

    /// Waits until a ticket of this node is settled, as the helper if there is none. Whoever
    /// settles it unparks this thread.
    pub(super) fn wait_as_helper(&self, unripe: bool, is_settled: &dyn Fn() -> bool) {
        let helper = self.duty.enlist();
        if unripe {
            self.hurry();
        }
        loop {
            if helper.is_some() {
                self.help(is_settled);
            }
            if is_settled() {
                return;
            }
            thread::park();
        }
    }

    /// Works until the ticket is settled or nothing waits. If the apply thread is at it, it looks
    /// for work once more after it has let go of the machine.
    fn help(&self, is_settled: &dyn Fn() -> bool) {
        if self.duty.is_empty() {
            return;
        }
        let Some(mut applier) = self.duty.applier.try_lock() else { return };
        let _lent = Lent::begin();
        let worked = catch_unwind(AssertUnwindSafe(|| self.work_off(applier.as_mut(), is_settled)));
        if let Err(panic) = worked {
            // A waker's, since the machine's own are caught. On the apply thread it does the same.
            let message = panic_message(panic.as_ref());
            self.fail(StopReason::CorePanicked { message });
        }
    }

    fn work_off(&self, applier: Option<&mut Applier<M>>, is_settled: &dyn Fn() -> bool) {
        let Some(applier) = applier else { return };
        let mut done = 0u32;
        while !is_settled()
            && let Some(work) = self.duty.work.try_pop()
        {
            if let Err(reason) = applier.take(self, work) {
                self.fail(reason);
            }
            done = done.wrapping_add(1);
            // While more waits, a replica is told about some of it at once.
            if done.is_multiple_of(TOLD_TOGETHER) {
                self.tell_if_awaited();
            }
        }
        self.tell_if_awaited();
    }
}
