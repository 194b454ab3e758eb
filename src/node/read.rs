//! Reads: from the caller's closure to the thread of the state machine.

use std::boxed::Box;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::vec;

use super::panic_message;
use super::queue::Budget;
use super::ticket::{Ticket, TicketError};
use super::turn::{Core, Shared, Work};
use crate::machine::StateMachine;
use crate::replica::Consistency;
use crate::time::Instant;

/// How many reads may be under way in a node, from the call until they have run.
pub(super) const READS_MAX: usize = 65_536;

/// What reads the state machine, or hears why it cannot, and settles its ticket.
pub(super) type Reading<M> = Box<dyn FnOnce(Result<&M, TicketError>) + Send>;

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
        let reading: Reading<M> = Box::new(move |machine| {
            let result = machine.and_then(|machine| {
                // The closure has the machine on loan only: what it leaves half done is its own.
                let ran = catch_unwind(AssertUnwindSafe(|| read(machine)));
                let message = |panic: Box<dyn core::any::Any + Send>| panic_message(panic.as_ref());
                ran.map_err(|panic| TicketError::ReadPanicked { message: message(panic) })
            });
            drop(room);
            settler.settle(result);
        });
        match consistency {
            Consistency::Linearizable => {
                if let Err(full) = self.inputs.reads.0.try_send(reading) {
                    full.into_inner()(Err(TicketError::Full));
                }
                self.poke();
            }
            // A queue that is closed drops it: its ticket says that the node has stopped.
            Consistency::Local => match self.work.push(Work::Read(vec![reading])) {
                Ok(()) => self.work.wake(),
                Err(closed) => drop(closed),
            },
        }
        ticket
    }

    /// Gives the replica the reads that wait.
    pub(super) fn take_reads(&self, core: &mut Core<M>, now: Instant) {
        for _ in 0..self.inputs.reads.1.len() {
            let Ok(reading) = self.inputs.reads.1.try_recv() else { break };
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
