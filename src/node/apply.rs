//! Runs the state machine, and hands its answers to the tickets.

use alloc::vec::Vec;
use std::boxed::Box;
use std::panic::{AssertUnwindSafe, catch_unwind};

use super::read::Reading;
use super::status::Tallies;
use super::ticket::{Applied, Settler};
use super::turn::{Shared, log_failed};
use super::work::Work;
use super::{StopReason, panic_message};
use crate::entry::{Entry, Place};
use crate::machine::StateMachine;
use crate::slot::{Slot, Slots};

/// How many entries are looked up in the log under one hold of the core's lock.
const LOOK_UP_SLOTS: u64 = 32;

/// How many reads run before the first of them is answered.
const READS_TOGETHER: usize = 64;

/// The state machine, and what is at hand.
pub(super) struct Applier<M: StateMachine> {
    machine: M,
    /// The tickets of the batch at hand, by the index of their commands.
    tickets: Vec<(u32, Settler<Applied<M::Answer>>)>,
    /// The answers that belong to tickets, in their order.
    answered: Vec<(u32, M::Answer)>,
    /// The reads at hand.
    readings: Vec<Box<dyn Reading<M>>>,
}

impl<M: StateMachine> Applier<M> {
    pub(super) fn new(machine: M) -> Self {
        Self { machine, tickets: Vec::new(), answered: Vec::new(), readings: Vec::new() }
    }

    /// Does this work, and tells the tickets.
    pub(super) fn take(&mut self, shared: &Shared<M>, work: Work<M>) -> Result<(), StopReason> {
        match work {
            Work::Entry { slot, entry } => {
                self.apply(shared, slot, &entry)?;
                shared.duty.mark_applied(slot.next());
                Ok(())
            }
            Work::FromLog { slots } => self.apply_from_log(shared, slots),
            Work::Read(readings) => {
                self.read(readings);
                Ok(())
            }
        }
    }

    fn read(&mut self, readings: Vec<Box<dyn Reading<M>>>) {
        let mut readings = readings.into_iter();
        while readings.len() > 0 {
            self.readings.extend(readings.by_ref().take(READS_TOGETHER));
            self.readings.iter_mut().for_each(|reading| reading.read(&self.machine));
            // The last one first, as of the commands of a batch.
            self.readings.drain(..).rev().for_each(|reading| reading.settle());
        }
    }

    fn apply_from_log(&mut self, shared: &Shared<M>, slots: Slots) -> Result<(), StopReason> {
        let mut next = slots.start;
        while next < slots.end && shared.stopped().is_none() {
            let some = Slots::new(next, slots.end.min(next.plus(LOOK_UP_SLOTS)));
            let located = shared.look(|core| {
                let wal = core.wal.as_ref();
                some.iter().map(|slot| (slot, wal.and_then(|wal| wal.locate(slot)))).collect()
            });
            let located: Vec<_> = located;
            for (slot, located) in located {
                let located = located.ok_or(StopReason::EntryLost { slot })?;
                let (_, entry) = located.read().map_err(log_failed)?;
                self.apply(shared, slot, &entry)?;
            }
            next = some.end;
            shared.duty.mark_applied(next);
            shared.tell_if_awaited();
        }
        Ok(())
    }

    fn apply(&mut self, shared: &Shared<M>, slot: Slot, entry: &Entry) -> Result<(), StopReason> {
        let Entry::Batch(batch) = entry else { return Ok(()) };
        let tickets = &mut self.tickets;
        shared.pending.lock().take_batch(shared.me, batch, |index, settler| {
            tickets.push((index, settler));
        });
        self.answered.clear();
        let (machine, answered, tickets) = (&mut self.machine, &mut self.answered, &self.tickets);
        let ran = catch_unwind(AssertUnwindSafe(|| {
            let (mut index, mut next) = (0, 0);
            machine.apply_batch(slot, batch.commands(), &mut |answer| {
                if tickets.get(next).is_some_and(|(wanted, _)| *wanted == index) {
                    answered.push((index, answer));
                    next += 1;
                }
                index += 1;
            });
            let count = batch.count();
            assert!(index == count, "the machine gave {index} answers to {count} commands");
        }));
        match ran {
            Ok(()) => {
                Tallies::add(&shared.tallies.applied, u64::from(batch.count()));
                // The last one first: whoever waits for the first wakes up when all are there.
                for ((_, settler), (index, answer)) in
                    self.tickets.drain(..).zip(self.answered.drain(..)).rev()
                {
                    settler.settle(Ok(Applied { place: Place { slot, index }, answer }));
                }
                Ok(())
            }
            Err(panic) => {
                let message = panic_message(panic.as_ref());
                let reason = StopReason::MachinePanicked { slot, message };
                for (_, settler) in self.tickets.drain(..) {
                    settler.settle(Err(super::TicketError::Unknown { reason: reason.clone() }));
                }
                Err(reason)
            }
        }
    }
}
