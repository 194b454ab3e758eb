//! What a replica says of itself: its marks never fall, keep their order, and stay bounded.

use std::format;

use crate::ballot::Ballot;
use crate::config::Config;
use crate::entry::ENTRY_BYTES_MAX;
use crate::record::Lsn;
use crate::replica::Status;
use crate::slot::{ALPHA, Slot};

use super::{Broken, Oracle, broken};

/// The marks of a replica's status when it was last looked at.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Marks {
    pub(super) promised: Ballot,
    chosen: Slot,
    applied: Slot,
    appended: Lsn,
    durable: Lsn,
}

impl Oracle {
    /// A replica was turned, and says this of itself now.
    pub(crate) fn on_status(
        &mut self,
        at: usize,
        status: &Status,
        config: &Config,
    ) -> Result<(), Broken> {
        if self.images[at].lost {
            return self.bounded(at, status, config);
        }
        self.i1_promise_never_falls(at, status)?;
        self.i8_marks_in_order(at, status)?;
        self.i8_marks_never_fall(at, status)?;
        self.true_mark("its status", at, status.chosen)?;
        self.bounded(at, status, config)?;
        self.lead_by_its_own_promise(at, status)?;
        self.lead_before_slots_open(at, status)?;
        self.images[at].seen = Marks {
            promised: status.promised,
            chosen: status.chosen,
            applied: status.applied,
            appended: status.appended,
            durable: status.durable,
        };
        Ok(())
    }

    /// I1: the promise never falls.
    fn i1_promise_never_falls(&self, at: usize, status: &Status) -> Result<(), Broken> {
        let before = self.images[at].seen.promised.max(self.images[at].promised);
        if status.promised < before {
            return broken(
                "I1",
                format!("{} had promised {before}, now {}", at + 1, status.promised),
            );
        }
        Ok(())
    }

    /// I8: applied <= chosen, durable <= appended, and durable is what the disk has.
    fn i8_marks_in_order(&self, at: usize, status: &Status) -> Result<(), Broken> {
        let disk = self.images[at].durable;
        if status.applied > status.chosen || status.durable > status.appended {
            return broken("I8", format!("the marks of {} are out of order: {status:?}", at + 1));
        }
        if status.durable > disk {
            return broken(
                "I8",
                format!("{} counts on {}, its disk has {disk}", at + 1, status.durable),
            );
        }
        Ok(())
    }

    /// I8: no mark falls within a life.
    fn i8_marks_never_fall(&self, at: usize, status: &Status) -> Result<(), Broken> {
        let seen = &self.images[at].seen;
        if status.chosen < seen.chosen
            || status.applied < seen.applied
            || status.appended < seen.appended
            || status.durable < seen.durable
        {
            return broken("I8", format!("a mark of {} fell from {seen:?}: {status:?}", at + 1));
        }
        Ok(())
    }

    /// BOUND: nothing that a replica holds grows beyond its settings.
    fn bounded(&self, at: usize, status: &Status, config: &Config) -> Result<(), Broken> {
        // One command or entry may be above the limit when it is the first.
        let slack = ENTRY_BYTES_MAX;
        let sound = status.open_slots <= ALPHA
            && status.queued_bytes <= config.queue_bytes + slack
            && status.unsynced_bytes <= config.unsynced_bytes + slack
            && status.peers.len() <= self.replicas;
        if !sound {
            return broken("BOUND", format!("{} holds too much: {status:?}", at + 1));
        }
        Ok(())
    }
}
