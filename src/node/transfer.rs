//! Handing leadership over: when the program asks for it, and before a node stops.

use core::sync::atomic::Ordering;

use super::ticket::{Settler, Ticket};
use super::turn::{Core, Shared};
use crate::machine::StateMachine;
use crate::membership::ReplicaId;
use crate::output::Event;
use crate::replica::TransferError;

/// What waits for a hand-over to end.
pub(super) type Transferring = Settler<ReplicaId, TransferError>;

impl<M: StateMachine> Shared<M> {
    /// Hands leadership over, if this node leads.
    pub(super) fn transfer(&self, to: ReplicaId) -> Ticket<ReplicaId, TransferError> {
        // If the node has stopped, nobody takes the other end.
        let (ticket, settler) = Ticket::or(|_| TransferError::Halted);
        self.turn(|core, now| {
            match core.replica.transfer(now, to) {
                Ok(()) if core.replica.handing_over_to().is_some() => core.transfers.push(settler),
                Ok(()) => core.effects.transferred.push((settler, Ok(to))),
                Err(error) => core.effects.transferred.push((settler, Err(error))),
            }
            Ok(())
        });
        ticket
    }

    /// Takes no commands and reads in any more; a leader hands over. Waits until somebody else
    /// leads or the replica has given that up, which it does after an election timeout.
    pub(super) fn leave(&self) {
        self.leaving.store(true, Ordering::SeqCst);
        let (ticket, settler) = Ticket::or(|_| TransferError::Halted);
        self.turn(|core, now| {
            match core.replica.resign(now) {
                Ok(_) => core.transfers.push(settler),
                Err(error) => core.effects.transferred.push((settler, Err(error))),
            }
            Ok(())
        });
        // Twice as long as the replica takes: for a host whose timers come late.
        let _ = ticket.wait_timeout(self.election_timeout * 2);
    }
}

impl<M: StateMachine> Core<M> {
    /// Hears what came of a hand-over.
    pub(super) fn note_transferred(&mut self, event: &Event) {
        let result = match event {
            Event::HandedOver { leader } => Ok(leader.replica),
            Event::HandOverGivenUp { to } => Err(TransferError::GivenUp { to: *to }),
            _ => return,
        };
        self.end_transfers(result);
    }

    pub(super) fn end_transfers(&mut self, result: Result<ReplicaId, TransferError>) {
        let ended = self.transfers.drain(..).map(|settler| (settler, result));
        self.effects.transferred.extend(ended);
    }
}
