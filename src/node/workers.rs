//! The threads that wait on a node's behalf, so that the core never does: for the disk, for the
//! clock, and for files beside the log's own writes. The one that runs the state machine is in
//! `apply`.

use alloc::vec::Vec;
use core::time::Duration;
use std::sync::Arc;

use super::status::Tallies;
use super::turn::{Errand, Shared};
use crate::machine::StateMachine;
use crate::membership::ReplicaId;
use crate::message::{Chosen, Message};
use crate::slot::Slot;
use crate::wal::Located;

/// How many bytes of entries are read for a peer's question; it asks again for the rest.
const PAGE_BYTES: usize = 4 << 20;
/// How long the disk is left to the syncs between two pieces of a segment.
const PAUSE: Duration = Duration::from_millis(1);

/// Runs syncs, one after the other.
pub(super) fn run_disk<M: StateMachine>(shared: &Arc<Shared<M>>) {
    while let Some(sync) = shared.syncs.pop() {
        shared.on_synced(sync.run());
    }
}

/// Turns the core when a timer is due.
pub(super) fn run_timer<M: StateMachine>(shared: &Arc<Shared<M>>) {
    while shared.alarm.wait(&shared.clock) {
        shared.on_timeout();
    }
}

/// Reads chosen entries out of the log for peers that lack them, and makes the log's segments.
pub(super) fn run_errands<M: StateMachine>(shared: &Arc<Shared<M>>) {
    while let Some(errand) = shared.errands.pop() {
        run_errand(shared, errand);
    }
}

fn run_errand<M: StateMachine>(shared: &Shared<M>, errand: Errand) {
    match errand {
        Errand::Page { to, entries } => send_page(shared, to, entries),
        // A peer's page need not wait for a whole segment.
        Errand::Prepare(preparation) => preparation.run_with_pauses(|| {
            if let Some(errand) = shared.errands.pop_within(PAUSE) {
                run_errand(shared, errand);
            }
        }),
    }
}

fn send_page<M: StateMachine>(shared: &Shared<M>, to: ReplicaId, entries: Vec<(Slot, Located)>) {
    let mut bytes = 0;
    for (slot, located) in entries {
        let Ok((ballot, entry)) = located.read() else {
            // The peer asks somebody else. Whoever needs the entry here reads it itself, and stops.
            Tallies::add(&shared.tallies.unreadable, 1);
            return;
        };
        bytes += entry.len();
        shared.turn(|core, now| {
            let chosen = core.chosen;
            let message = Message::Chosen(Chosen { slot, ballot, entry, chosen });
            shared.send_message(core, now, to, &message);
            Ok(())
        });
        if bytes >= PAGE_BYTES || shared.stopped().is_some() {
            return;
        }
    }
}
