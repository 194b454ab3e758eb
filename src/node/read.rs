//! Reads: from the caller's closure to the thread of the state machine.

use std::boxed::Box;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::vec;

use super::panic_message;
use super::ticket::{Ticket, TicketError};
use super::turn::{Core, Shared, Work};
use crate::machine::StateMachine;
use crate::replica::Consistency;
use crate::time::Instant;

/// How much may wait for the state machine before it takes no more local reads.
const WORK_MAX: usize = 65_536;

/// What reads the state machine, or hears why it cannot, and settles its ticket.
pub(super) type Reading<M> = Box<dyn FnOnce(Result<&M, TicketError>) + Send>;

impl<M: StateMachine> Shared<M> {
    /// Takes a read in, and turns the core for it if it needs an index.
    pub(super) fn read<T: Send + 'static>(
        &self,
        consistency: Consistency,
        read: impl FnOnce(&M) -> T + Send + 'static,
    ) -> Ticket<T> {
        let (ticket, settler) = Ticket::of_read();
        let reading: Reading<M> = Box::new(move |machine| {
            let result = machine.and_then(|machine| {
                // The closure has the machine on loan only: what it leaves half done is its own.
                let ran = catch_unwind(AssertUnwindSafe(|| read(machine)));
                let message = |panic: Box<dyn core::any::Any + Send>| panic_message(panic.as_ref());
                ran.map_err(|panic| TicketError::ReadPanicked { message: message(panic) })
            });
            settler.settle(result);
        });
        match consistency {
            Consistency::Linearizable => self.read_linearizable(reading),
            Consistency::Local => self.read_local(reading),
        }
        ticket
    }

    fn read_linearizable(&self, reading: Reading<M>) {
        if let Some(reason) = self.stopped() {
            return reading(Err(TicketError::Stopped { reason: reason.clone() }));
        }
        if let Err(full) = self.inputs.reads.0.try_send(reading) {
            full.into_inner()(Err(TicketError::Full));
        }
        self.poke();
    }

    fn read_local(&self, reading: Reading<M>) {
        if self.work.len() >= WORK_MAX {
            return reading(Err(TicketError::Full));
        }
        match self.work.push(Work::Read(vec![reading])) {
            Ok(()) => self.work.wake(),
            Err(Work::Read(readings)) => {
                for reading in readings {
                    let reason = self.stopped().cloned().unwrap_or(super::StopReason::Asked);
                    reading(Err(TicketError::Stopped { reason }));
                }
            }
            Err(Work::Entry { .. } | Work::FromLog { .. }) => {}
        }
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
