//! Reads: what each must see, and sees.

use core::ops::Range;
use std::format;

use crate::entry::Entry;
use crate::membership::Peer;
use crate::slot::Slot;

use super::chosen::command_ids;
use super::{Broken, Oracle, broken};

impl Oracle {
    /// A replica took a linearizable read in: it must see whatever anybody has seen by now.
    pub(crate) fn on_read_asked(&mut self, peer: Peer, read: u64) -> Result<(), Broken> {
        let name = (peer.replica, peer.incarnation, read);
        if self.reads.insert(name, self.seen).is_some() {
            return broken("READ", format!("{name:?} names two reads"));
        }
        Ok(())
    }

    /// Reads may be served now, by a machine that has applied every slot below `applied`.
    pub(crate) fn on_reads_ready(
        &mut self,
        peer: Peer,
        reads: Range<u64>,
        upto: Slot,
        applied: Slot,
    ) -> Result<(), Broken> {
        if applied < upto {
            return broken("READ", format!("{peer:?} may read at {applied}, not below {upto}"));
        }
        for read in reads {
            let name = (peer.replica, peer.incarnation, read);
            let Some(floor) = self.reads.remove(&name) else {
                return broken("READ", format!("{name:?} was not asked, or was served before"));
            };
            if applied < floor {
                return broken(
                    "LIN",
                    format!("{name:?} reads what is below {applied}; {floor} was seen before"),
                );
            }
        }
        self.seen = self.seen.max(applied);
        Ok(())
    }

    /// Reads are refused.
    pub(crate) fn on_reads_refused(&mut self, peer: Peer, reads: Range<u64>) -> Result<(), Broken> {
        for read in reads {
            let name = (peer.replica, peer.incarnation, read);
            if self.reads.remove(&name).is_none() {
                return broken("READ", format!("{name:?} was not asked, or was served before"));
            }
        }
        Ok(())
    }

    /// A machine has applied an entry: whoever waits for one of its commands at that replica sees
    /// that.
    pub(crate) fn note_answers(&mut self, peer: Peer, slot: Slot, entry: &Entry) {
        let own = |replica, incarnation| (replica, incarnation) == (peer.replica, peer.incarnation);
        if command_ids(entry).any(|id| own(id.replica, id.incarnation)) {
            self.seen = self.seen.max(slot.next());
        }
    }

    /// READ: at rest every read of this start of the replica was served or refused.
    pub(crate) fn reads_done_at_rest(&self, peer: Peer) -> Result<(), Broken> {
        let from = (peer.replica, peer.incarnation, 0);
        let upto = (peer.replica, peer.incarnation, u64::MAX);
        match self.reads.range(from..=upto).next() {
            Some((name, _)) => broken("READ", format!("{name:?} was never answered")),
            None => Ok(()),
        }
    }
}
