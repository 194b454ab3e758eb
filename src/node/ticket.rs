//! Tickets: what a proposer holds until it is known what became of its command.

use alloc::collections::VecDeque;
use core::fmt;
use core::future::Future;
use core::pin::Pin;
use core::task::{Context, Poll, Waker};
use core::time::Duration;
use std::sync::Arc;
use std::thread::{self, Thread};

use parking_lot::Mutex;
use thiserror::Error;

use super::StopReason;
use super::clock;
use crate::entry::{Batch, CommandId, Place};
use crate::membership::{Peer, ReplicaId};
use crate::replica::{ProposeError, ReadError};

/// A command was chosen, and this replica has applied it.
///
/// ```
#[doc = include_str!("example.txt")]
/// let (node, _) = start_alone()?;
/// let Applied { place, answer } = node.propose(b"four").wait()?;
/// assert_eq!((place.index, answer), (0, 4));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Applied<A> {
    /// Where the command stands in the log.
    pub place: Place,
    /// What the state machine answered.
    pub answer: A,
}

/// Why a command has no answer. [`TicketError::is_certain`] tells whether it can still be applied.
///
/// ```
#[doc = include_str!("example.txt")]
/// let (node, _) = start_alone()?;
/// let error = node.propose(&vec![0; 3 << 20]).wait().unwrap_err();
/// assert!(matches!(error, TicketError::TooLarge { .. }));
/// assert!(error.is_certain(), "it is never applied, and may be tried in pieces");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Error)]
#[non_exhaustive]
pub enum TicketError {
    /// No leader took it in time. The command is never applied.
    #[error("no leader was found in time")]
    NotLeader {
        /// Who may lead.
        leader: Option<ReplicaId>,
    },
    /// Too much waits already. The command is never applied; propose it again later.
    #[error("too much waits already")]
    Full,
    /// The command is longer than the limit. It is never applied.
    #[error("a command of {bytes} bytes is longer than the limit of {limit}")]
    TooLarge {
        /// Its length.
        bytes: usize,
        /// The limit.
        limit: usize,
    },
    /// Other entries were chosen in every slot in which the command could be. It is never applied.
    #[error("other entries were chosen wherever the command could be")]
    Superseded,
    /// The node stopped before it learned what became of the command. It may be applied, once, or
    /// never.
    #[error("what became of the command is unknown: {reason}")]
    Unknown {
        /// Why the node stopped.
        reason: StopReason,
    },
    /// The node had stopped before it took the command in. The command is never applied.
    #[error("the node has stopped: {reason}")]
    Stopped {
        /// Why it stopped.
        reason: StopReason,
    },
    /// What was to read the state machine panicked. The node goes on: it lent the machine, and
    /// nothing of it was changed.
    #[error("the read panicked: {message}")]
    ReadPanicked {
        /// What the panic said.
        message: Arc<str>,
    },
}

impl TicketError {
    /// Whether it is certain that the command is never applied.
    #[must_use]
    pub fn is_certain(&self) -> bool {
        !matches!(self, Self::Unknown { .. })
    }

    /// The replica's refusal of a read; `reason` is why the node stopped, if it did.
    pub(super) fn unread(error: ReadError, reason: Option<&StopReason>) -> Self {
        Self::refused(
            match error {
                ReadError::NotLeader => ProposeError::NotLeader,
                ReadError::Full => ProposeError::Full,
                ReadError::Halted => ProposeError::Halted,
            },
            reason,
        )
    }

    /// The replica's refusal; `reason` is why the node stopped, if it did.
    pub(super) fn refused(error: ProposeError, reason: Option<&StopReason>) -> Self {
        match error {
            ProposeError::NotLeader => Self::NotLeader { leader: None },
            ProposeError::Full => Self::Full,
            ProposeError::TooLarge { bytes, limit } => Self::TooLarge { bytes, limit },
            ProposeError::Halted => {
                Self::Stopped { reason: reason.cloned().unwrap_or(StopReason::Asked) }
            }
        }
    }
}

/// What became of a command or a read, as soon as it is known: a [`Future`] for any executor, or
/// none, with [`Ticket::wait`].
///
/// Dropping a ticket gives up the answer, not the command.
///
/// ```
#[doc = include_str!("example.txt")]
/// let (node, _) = start_alone()?;
/// let tickets = [b"one", b"two"].map(|command| node.propose(command));
/// for (ticket, expected) in tickets.into_iter().zip([3, 6]) {
///     // Under a runtime: `ticket.await`.
///     assert_eq!(ticket.wait()?.answer, expected);
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use = "the answer comes here"]
pub struct Ticket<T, E = TicketError> {
    cell: Arc<Cell<T, E>>,
    /// The node that it is a ticket of.
    home: Option<Arc<dyn Home>>,
    /// Whether the command or read may still wait there for its proposer to stop.
    unripe: bool,
}

/// A node, as tickets see it.
pub(super) trait Home: Send + Sync {
    /// A proposer has stopped.
    fn hurry(&self);

    /// This thread waits for a ticket, and is unparked when that is settled. Hurries if the
    /// ticket's command or read is unripe.
    fn wait(&self, unripe: bool, is_settled: &dyn Fn() -> bool);
}

impl<T> Ticket<T> {
    /// A ticket, and what settles it.
    pub(super) fn new() -> (Self, Settler<T>) {
        Self::or(|reason| TicketError::Unknown { reason })
    }

    /// The same for a read, of which nothing can stay unknown.
    pub(super) fn of_read() -> (Self, Settler<T>) {
        let (ticket, mut settler) = Self::new();
        settler.lost = |reason| TicketError::Stopped { reason };
        (ticket, settler)
    }
}

impl<T, E> Ticket<T, E> {
    /// A ticket that says `lost` if nothing settles it, and what settles it.
    pub(super) fn or(lost: fn(StopReason) -> E) -> (Self, Settler<T, E>) {
        let cell = Arc::new(Cell { state: Mutex::new(State::Waiting(None)) });
        let ticket = Self { cell: Arc::clone(&cell), home: None, unripe: false };
        (ticket, Settler { cell: Some(cell), lost })
    }

    /// The same ticket, of this node.
    pub(super) fn of(mut self, home: Arc<dyn Home>) -> Self {
        self.home = Some(home);
        self
    }

    /// Its node is told as soon as somebody waits for this ticket, or gives it up.
    pub(super) fn mark_unripe(&mut self) {
        self.unripe = true;
    }

    /// Its holder has stopped to look at it, and there was nothing yet.
    fn hurry(&mut self) {
        if core::mem::take(&mut self.unripe)
            && let Some(home) = &self.home
        {
            home.hurry();
        }
    }

    fn try_take(&mut self) -> Option<Result<T, E>> {
        let result = self.cell.state.lock().take();
        if result.is_some() {
            self.unripe = false;
        }
        result
    }

    /// A ticket that is settled already.
    pub(super) fn refused(error: E) -> Self {
        let state = Mutex::new(State::Done(Err(error)));
        Self { cell: Arc::new(Cell { state }), home: None, unripe: false }
    }

    /// Waits until it is known what became of the command. Meanwhile this thread may run the node's
    /// state machine, and with that the wakers of other tickets, which saves waking another thread.
    ///
    /// # Errors
    /// Why the command has no answer.
    ///
    /// # Panics
    /// If the ticket was polled as a future before, and that gave the answer.
    pub fn wait(mut self) -> Result<T, E> {
        if let Some(result) = self.try_take() {
            return result;
        }
        self.cell.wakes_this_thread();
        if let Some(home) = self.home.take() {
            home.wait(core::mem::take(&mut self.unripe), &|| self.cell.is_done());
        }
        // Without a node that lives, whoever holds the other end settles it.
        loop {
            if let Some(result) = self.try_take() {
                return result;
            }
            thread::park();
        }
    }

    /// Waits at most `timeout`. Gives the ticket back if nothing is known by then. This thread does
    /// nothing else meanwhile.
    ///
    /// # Errors
    /// The ticket itself, to wait on. Whoever drops it instead does not learn whether the command
    /// is applied.
    ///
    /// # Panics
    /// If the ticket was polled as a future before, and that gave the answer.
    pub fn wait_timeout(mut self, timeout: Duration) -> Result<Result<T, E>, Self> {
        if let Some(result) = self.try_take() {
            return Ok(result);
        }
        self.hurry();
        self.cell.wakes_this_thread();
        let deadline = clock::deadline(timeout);
        loop {
            let late = clock::park_until(deadline);
            match self.try_take() {
                Some(result) => return Ok(result),
                None if late => return Err(self),
                None => {}
            }
        }
    }

    /// Whether it is known what became of the command: [`Ticket::wait`] would not wait.
    #[must_use]
    pub fn is_done(&self) -> bool {
        let done = self.cell.is_done();
        if !done
            && self.unripe
            && let Some(home) = &self.home
        {
            home.hurry();
        }
        done
    }
}

impl<T, E> Drop for Ticket<T, E> {
    fn drop(&mut self) {
        if self.unripe && !self.cell.is_done() {
            self.hurry();
        }
    }
}

impl<T: fmt::Debug, E: fmt::Debug> fmt::Debug for Ticket<T, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ticket").field("cell", &self.cell).finish_non_exhaustive()
    }
}

impl<T, E> Future for Ticket<T, E> {
    type Output = Result<T, E>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let mut state = self.cell.state.lock();
        if let Some(result) = state.take() {
            drop(state);
            self.unripe = false;
            return Poll::Ready(result);
        }
        if let State::Waiting(waiter) = &mut *state {
            match waiter {
                Some(Waiter::Task(known)) => known.clone_from(context.waker()),
                _ => *waiter = Some(Waiter::Task(context.waker().clone())),
            }
        }
        drop(state);
        // Wakers may run in here, this one too: no lock is held.
        self.hurry();
        Poll::Pending
    }
}

#[derive(Debug)]
struct Cell<T, E> {
    state: Mutex<State<T, E>>,
}

#[derive(Debug)]
enum State<T, E> {
    Waiting(Option<Waiter>),
    Done(Result<T, E>),
    Taken,
}

/// Who waits for a ticket.
#[derive(Debug)]
enum Waiter {
    Task(Waker),
    Thread(Thread),
}

impl<T, E> State<T, E> {
    /// The result, if it is there; it can be taken once.
    fn take(&mut self) -> Option<Result<T, E>> {
        match core::mem::replace(self, Self::Taken) {
            Self::Done(result) => Some(result),
            waiting @ Self::Waiting(_) => {
                *self = waiting;
                None
            }
            Self::Taken => panic!("a ticket gives its answer once"),
        }
    }
}

/// The other end of a ticket. If it is dropped without a result, the ticket says Unknown, or of a
/// read that the node has stopped: whatever goes wrong, nobody waits for ever.
#[derive(Debug)]
pub(super) struct Settler<T, E = TicketError> {
    /// None once the ticket has its result.
    cell: Option<Arc<Cell<T, E>>>,
    /// What the ticket says if the settler is dropped.
    lost: fn(StopReason) -> E,
}

impl<T, E> Settler<T, E> {
    /// Gives the ticket its result. Wakers run here, so no lock may be held.
    pub(super) fn settle(mut self, result: Result<T, E>) {
        if let Some(cell) = self.cell.take() {
            cell.settle(result);
        }
    }
}

impl<T, E> Drop for Settler<T, E> {
    fn drop(&mut self) {
        if let Some(cell) = self.cell.take() {
            cell.settle(Err((self.lost)(StopReason::Asked)));
        }
    }
}

impl<T, E> Cell<T, E> {
    fn is_done(&self) -> bool {
        !matches!(*self.state.lock(), State::Waiting(_))
    }

    /// Has this thread unparked when the ticket is settled.
    fn wakes_this_thread(&self) {
        if let State::Waiting(waiter) = &mut *self.state.lock() {
            *waiter = Some(Waiter::Thread(thread::current()));
        }
    }

    fn settle(&self, result: Result<T, E>) {
        let mut state = self.state.lock();
        if let State::Waiting(waiter) = &mut *state {
            let waiter = waiter.take();
            *state = State::Done(result);
            drop(state);
            match waiter {
                Some(Waiter::Task(waker)) => waker.wake(),
                Some(Waiter::Thread(thread)) => thread.unpark(),
                None => {}
            }
        }
    }
}

/// What waits for the commands or reads that the replica took in, by their numbers.
#[derive(Debug)]
pub(super) struct Pending<T> {
    /// The number of the first place.
    first: u64,
    places: VecDeque<Option<T>>,
}

impl<T> Default for Pending<T> {
    fn default() -> Self {
        Self { first: 0, places: VecDeque::new() }
    }
}

impl<T> Pending<T> {
    /// Adds what waits for the next one. Numbers count up by one.
    pub(super) fn push(&mut self, sequence: u64, settler: T) {
        if self.places.is_empty() {
            self.first = sequence;
        }
        let expected = self.first + self.places.len() as u64;
        assert!(sequence == expected, "number {sequence} was taken in, not {expected}");
        self.places.push_back(Some(settler));
    }

    /// Takes out the tickets of those commands of the batch that `me` took in, in this start, with
    /// their indexes. A batch names its commands' origins in runs, so this costs little where there
    /// are none.
    pub(super) fn take_batch(&mut self, me: Peer, batch: &Batch, mut each: impl FnMut(u32, T)) {
        let mut index = 0u32;
        for origin in batch.origins() {
            let CommandId { replica, incarnation, sequence: first } = origin.first;
            if (replica, incarnation) == (me.replica, me.incarnation) {
                self.take(first, origin.count.into(), |sequence, settler| {
                    // Below the run's count, which has 32 bits.
                    each(index + (sequence - first) as u32, settler);
                });
            }
            index += origin.count;
        }
    }

    /// Takes out what waits for these numbers, and tells each with its number. Numbers that are not
    /// held, whoever names them, cost nothing.
    pub(super) fn take(&mut self, first: u64, count: u64, mut each: impl FnMut(u64, T)) {
        let end = first.saturating_add(count).min(self.first + self.places.len() as u64);
        for sequence in first.max(self.first)..end {
            let place = usize::try_from(sequence - self.first).ok();
            let held = place.and_then(|place| self.places.get_mut(place)).and_then(Option::take);
            if let Some(settler) = held {
                each(sequence, settler);
            }
        }
        while let Some(None) = self.places.front() {
            self.places.pop_front();
            self.first += 1;
        }
    }

    /// Takes out everything.
    pub(super) fn take_all(&mut self) -> VecDeque<Option<T>> {
        self.first += self.places.len() as u64;
        core::mem::take(&mut self.places)
    }

    /// How many places are held: one for each number from the first that waits to the last.
    pub(super) fn places(&self) -> usize {
        self.places.len()
    }

    /// How many wait.
    pub(super) fn len(&self) -> usize {
        self.places.iter().flatten().count()
    }
}
