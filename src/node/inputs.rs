//! What comes in: commands and frames, in bounded queues until somebody turns the core.

use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;
use core::sync::atomic::{Ordering, fence};
use std::boxed::Box;

use bytes::Bytes;
use crossbeam_channel::{Receiver, Sender};

use super::StopReason;
use super::proposals::{Commands, PROPOSALS_MAX, Placed, Proposals};
use super::queue::Budget;
use super::read::{READS_MAX, Reading};
use super::status::{Tallies, reason_of};
use super::ticket::{Applied, Home, Settler, Ticket, TicketError};
use super::turn::{Core, Shared};
use crate::machine::StateMachine;
use crate::membership::Peer;
use crate::message::Message;
use crate::replica::ProposeError;
use crate::time::Instant;
use crate::trace;
use crate::transport::Deliver;
use crate::wire::{self, Body, FrameError};

/// How many commands may wait for their answers. Of a machine that has stopped the core bounds the
/// slots only, and a slot may have a thousand tickets.
const PENDING_MAX: usize = 65_536;
/// How many frames may wait to be taken in, and their bytes.
const INBOX_FRAMES: usize = 4096;
const INBOX_BYTES: usize = 16 << 20;

/// A frame on its way to the replica: decoded, unless it is a piece of a longer message.
enum Inbound {
    Message { from: Peer, message: Message, bytes: usize },
    Piece(Bytes),
}

impl Inbound {
    fn bytes(&self) -> usize {
        match self {
            Self::Message { bytes, .. } => *bytes,
            Self::Piece(frame) => frame.len(),
        }
    }
}

/// The queues in front of the core.
pub(super) struct Inputs<M: StateMachine> {
    pub(super) proposals: Proposals<Settler<Applied<M::Answer>>>,
    command_bytes: usize,
    pub(super) reads: Proposals<Box<dyn Reading<M>>>,
    /// How many reads may be under way.
    pub(super) reads_room: Arc<Budget>,
    inbox: (Sender<Inbound>, Receiver<Inbound>),
    inbox_bytes: Budget,
}

impl<M: StateMachine> Inputs<M> {
    /// Empty queues, for commands of at most `command_bytes`, together at most `queue_bytes`.
    pub(super) fn new(command_bytes: usize, queue_bytes: usize) -> Self {
        Self {
            proposals: Proposals::new(PROPOSALS_MAX, queue_bytes),
            command_bytes,
            reads: Proposals::new(READS_MAX, 0),
            reads_room: Arc::new(Budget::new(READS_MAX)),
            inbox: crossbeam_channel::bounded(INBOX_FRAMES),
            inbox_bytes: Budget::new(INBOX_BYTES),
        }
    }

    /// Whether nothing waits that somebody should turn the core for.
    pub(super) fn are_quiet(&self) -> bool {
        !self.proposals.are_ripe() && !self.reads.are_ripe() && self.inbox.1.is_empty()
    }
}

impl<M: StateMachine> Shared<M> {
    /// Queues a command, and turns the core for it unless somebody soon will.
    pub(super) fn propose(&self, command: &[u8]) -> Ticket<Applied<M::Answer>> {
        if let Some(reason) = self.stopped() {
            return Ticket::refused(TicketError::Stopped { reason: reason.clone() });
        }
        let (bytes, limit) = (command.len(), self.inputs.command_bytes);
        if bytes > limit {
            return Ticket::refused(TicketError::TooLarge { bytes, limit });
        }
        let (ticket, settler) = Ticket::new();
        let mut ticket = ticket.of(Arc::clone(&self.home));
        match self.inputs.proposals.push(command, settler, || self.clock.now()) {
            Placed::Ripe => self.poke_for_proposal(),
            Placed::Unripe { look_at } => self.let_ripen(&mut ticket, look_at),
            Placed::Full => {
                self.hurry();
                return Ticket::refused(TicketError::Full);
            }
        }
        ticket
    }

    /// Lets whoever waits for the ticket ripen what waits here, or the timer thread.
    pub(super) fn let_ripen<T>(&self, ticket: &mut Ticket<T>, look_at: Option<Instant>) {
        ticket.mark_unripe();
        if let Some(look_at) = look_at {
            self.alarm.set_look(look_at);
        }
    }

    /// Refuses what waits for a core that is not turned any more.
    pub(super) fn refuse_waiting(&self, core: &mut Core<M>) {
        self.refuse_asked(core);
        while let Ok(inbound) = self.inputs.inbox.1.try_recv() {
            self.inputs.inbox_bytes.give(inbound.bytes());
        }
    }

    /// Refuses the commands and reads that wait.
    fn refuse_asked(&self, core: &mut Core<M>) {
        let reason = self.stopped().unwrap_or(&StopReason::Asked);
        refuse(&self.inputs.proposals, &mut core.commands, reason, &mut core.effects.settled);
        refuse(&self.inputs.reads, &mut core.asked, reason, &mut core.effects.unread);
    }

    /// Takes in what waits, at most as much as waited when the turn began.
    pub(super) fn take_inputs(&self, core: &mut Core<M>, now: Instant) {
        fence(Ordering::SeqCst);
        if self.stopping.load(Ordering::SeqCst) {
            self.refuse_waiting(core);
            return;
        }
        for _ in 0..self.inputs.inbox.1.len() {
            let Ok(inbound) = self.inputs.inbox.1.try_recv() else { break };
            self.inputs.inbox_bytes.give(inbound.bytes());
            match inbound {
                Inbound::Message { from, message, .. } => {
                    core.replica.handle_message(now, from, message);
                }
                Inbound::Piece(frame) => self.take_piece(core, now, frame),
            }
        }
        if self.leaving.load(Ordering::SeqCst) {
            self.refuse_asked(core);
            return;
        }
        self.take_reads(core, now);
        self.take_proposals(core, now);
    }

    fn take_proposals(&self, core: &mut Core<M>, now: Instant) {
        if !self.inputs.proposals.are_ripe() {
            return;
        }
        self.inputs.proposals.take(&mut core.commands);
        let mut pending = self.pending.lock();
        let mut intake = core.replica.intake(now);
        while let Some((command, settler)) = core.commands.pop() {
            let has_room = pending.places() < PENDING_MAX;
            let taken = has_room.then(|| intake.propose(command));
            match taken.unwrap_or(Err(ProposeError::Full)) {
                Ok(id) => {
                    core.groups.proposed += 1;
                    pending.push(id.sequence, settler);
                }
                Err(error) => {
                    let error = TicketError::refused(error, self.stopped());
                    core.effects.settled.push((settler, error));
                }
            }
        }
    }

    fn take_piece(&self, core: &mut Core<M>, now: Instant, frame: Bytes) {
        let frames = &mut core.effects.frames;
        match core.courier.receive(now, frame, &mut |to, frame| frames.push(to, frame)) {
            Ok(Some((from, message))) => {
                Tallies::add(&self.tallies.received, 1);
                core.replica.handle_message(now, from, message);
            }
            Ok(None) => {}
            Err(error) => self.refuse_frame(&error),
        }
    }

    fn refuse_frame(&self, error: &FrameError) {
        self.tallies.refuse(reason_of(error));
        trace::refused(self.me.replica(), error);
    }
}

/// Takes out what waits, with the reason for which it is refused.
fn refuse<T>(
    waiting: &Proposals<T>,
    taken: &mut Commands<T>,
    reason: &StopReason,
    refused: &mut Vec<(T, TicketError)>,
) {
    let mut drain = |taken: &mut Commands<T>| {
        while let Some((_, what)) = taken.pop() {
            refused.push((what, TicketError::Stopped { reason: reason.clone() }));
        }
    };
    // If the core panicked, it had taken some out and not in.
    drain(taken);
    waiting.take(taken);
    drain(taken);
}

/// A node, for tickets: they count who holds it, and not beside what its threads write.
pub(super) struct HomeOf<M: StateMachine>(pub(super) Weak<Shared<M>>);

impl<M: StateMachine> Home for HomeOf<M> {
    fn hurry(&self) {
        // Once the node is gone, every ticket is settled.
        if let Some(shared) = self.0.upgrade() {
            shared.hurry();
        }
    }

    fn wait(&self, unripe: bool, is_settled: &dyn Fn() -> bool) {
        if let Some(shared) = self.0.upgrade() {
            shared.wait_as_helper(unripe, is_settled);
        }
    }
}

impl<M: StateMachine> Shared<M> {
    /// A proposer or an asker has stopped, and waits.
    pub(super) fn hurry(&self) {
        let (commands, reads) = (self.inputs.proposals.ripen(), self.inputs.reads.ripen());
        if reads {
            self.poke();
        } else if commands {
            self.poke_for_proposal();
        }
        self.duty.wake_for_left();
    }
}

impl<M: StateMachine> Deliver for Shared<M> {
    fn deliver(&self, frame: Bytes) {
        if self.stopped().is_some() {
            return;
        }
        let bytes = frame.len();
        // Decoded here, where no lock is held. A piece of a longer message goes to the courier,
        // which looks at it again.
        let inbound = match wire::decode(self.cluster, frame.clone()) {
            Ok((from, Body::Message(message))) => Inbound::Message { from, message, bytes },
            Ok(_) => Inbound::Piece(frame),
            Err(error) => return self.refuse_frame(&error),
        };
        let whole = matches!(inbound, Inbound::Message { .. });
        if !self.inputs.inbox_bytes.take(bytes) {
            Tallies::add(&self.tallies.inbox_full, 1);
        } else if self.inputs.inbox.0.try_send(inbound).is_err() {
            self.inputs.inbox_bytes.give(bytes);
            Tallies::add(&self.tallies.inbox_full, 1);
        } else if whole {
            Tallies::add(&self.tallies.received, 1);
        }
        self.poke();
    }
}
