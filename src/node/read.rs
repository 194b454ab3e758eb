//! Reads: from the caller's closure to the state machine.

use core::time::Duration;
use std::boxed::Box;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::vec;

use super::panic_message;
use super::proposals::Placed;
use super::queue::Budget;
use super::ticket::{Settler, Ticket, TicketError};
use super::turn::{Core, Shared};
use super::work::Work;
use crate::machine::StateMachine;
use crate::replica::Consistency;
use crate::time::Instant;

/// How many reads may be under way in a node, from the call until they have run.
pub(super) const READS_MAX: usize = 65_536;

/// The longest time that a local read waits for its asker to stop.
const LOCAL_LEFT: Duration = Duration::from_millis(1);

/// What reads the state machine, or hears why it cannot, and settles its ticket.
pub(super) trait Reading<M>: Send {
    /// Reads it. The ticket hears of that later.
    fn read(&mut self, machine: &M);

    /// Tells the ticket what was read.
    fn settle(self: Box<Self>);

    /// Tells the ticket why nothing was.
    fn refuse(self: Box<Self>, error: TicketError);
}

/// A read of which `T` is the answer.
struct Read<T, F> {
    read: Option<F>,
    answer: Option<Result<T, TicketError>>,
    settler: Settler<T>,
    room: Room,
}

impl<M, T: Send, F: FnOnce(&M) -> T + Send> Reading<M> for Read<T, F> {
    fn read(&mut self, machine: &M) {
        let Some(read) = self.read.take() else { return };
        // The closure has the machine on loan only: what it leaves half done is its own.
        let ran = catch_unwind(AssertUnwindSafe(|| read(machine)));
        let message = |panic: Box<dyn core::any::Any + Send>| panic_message(panic.as_ref());
        let ran = ran.map_err(|panic| TicketError::ReadPanicked { message: message(panic) });
        self.answer = Some(ran);
    }

    fn settle(self: Box<Self>) {
        let Self { answer, settler, room, .. } = *self;
        drop(room);
        // Without an answer the settler tells its ticket so by itself.
        if let Some(answer) = answer {
            settler.settle(answer);
        }
    }

    fn refuse(self: Box<Self>, error: TicketError) {
        let Self { settler, room, .. } = *self;
        drop(room);
        settler.settle(Err(error));
    }
}

impl<M: StateMachine> Shared<M> {
    /// Takes a read in, and turns the core for it if it needs an index.
    pub(super) fn read<T: Send + 'static>(
        &self,
        consistency: Consistency,
        read: impl FnOnce(&M) -> T + Send + 'static,
    ) -> Ticket<T> {
        if let Some(reason) = self.stopped() {
            return Ticket::refused(TicketError::Stopped { reason: reason.clone() });
        }
        let Some(room) = Room::take(&self.inputs.reads_room) else {
            return Ticket::refused(TicketError::Full);
        };
        let (ticket, settler) = Ticket::of_read();
        let mut ticket = ticket.of(Arc::clone(&self.home));
        let reading: Box<dyn Reading<M>> =
            Box::new(Read { read: Some(read), answer: None, settler, room });
        match consistency {
            Consistency::Linearizable => {
                match self.inputs.reads.push(&[], reading, || self.clock.now()) {
                    Placed::Ripe => self.poke(),
                    Placed::Unripe { look_at } => self.let_ripen(&mut ticket, look_at),
                    Placed::Full => {
                        self.hurry();
                        return Ticket::refused(TicketError::Full);
                    }
                }
            }
            // Whoever waits for it runs it. A queue that is closed drops it: its ticket says that
            // the node has stopped.
            Consistency::Local => match self.duty.push(Work::Read(vec![reading])) {
                Ok(()) => {
                    let old = || self.clock.now().after(LOCAL_LEFT);
                    let look_at = self.duty.leave().then(old);
                    self.let_ripen(&mut ticket, look_at);
                }
                Err(closed) => drop(closed),
            },
        }
        ticket
    }

    /// Gives the replica the reads that wait.
    pub(super) fn take_reads(&self, core: &mut Core<M>, now: Instant) {
        if !self.inputs.reads.are_ripe() {
            return;
        }
        self.inputs.reads.take(&mut core.asked);
        while let Some((_, reading)) = core.asked.pop() {
            match core.replica.read(now, Consistency::Linearizable) {
                Ok(number) => core.reads.push(number, reading),
                Err(error) => {
                    let error = TicketError::unread(error, self.stopped());
                    core.effects.unread.push((reading, error));
                }
            }
        }
    }
}

/// One read's share of what may be under way. It comes back when this is dropped, whether the read
/// has run or not.
struct Room(Arc<Budget>);

impl Room {
    fn take(of: &Arc<Budget>) -> Option<Self> {
        of.take(1).then(|| Self(Arc::clone(of)))
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        self.0.give(1);
    }
}
