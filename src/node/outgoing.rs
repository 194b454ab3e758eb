//! Frames on their way out: gathered under the core's lock, sent after it.

use alloc::vec::Vec;
use core::ops::Range;
use std::boxed::Box;

use parking_lot::Mutex;

use super::status::Tallies;
use crate::membership::ReplicaId;
use crate::transport::{Inbox, Transport};

/// Buffers that grew beyond this many bytes are not kept, and no more buffers than this.
const SPARE_BYTES: usize = 4 << 20;
const SPARES_MAX: usize = 4;

/// The frames of one turn. A frame for several replicas lies here once.
#[derive(Debug, Default)]
pub(super) struct Frames {
    bytes: Vec<u8>,
    sends: Vec<(ReplicaId, Range<usize>)>,
}

impl Frames {
    /// Adds a frame for a replica.
    pub(super) fn push(&mut self, to: ReplicaId, frame: &[u8]) {
        let range = match self.sends.last() {
            Some((_, last)) if self.bytes[last.clone()] == *frame => last.clone(),
            _ => {
                let start = self.bytes.len();
                self.bytes.extend_from_slice(frame);
                start..self.bytes.len()
            }
        };
        self.sends.push((to, range));
    }

    /// How many bytes lie here, and for how many sends.
    #[cfg(test)]
    pub(super) fn len(&self) -> (usize, usize) {
        (self.bytes.len(), self.sends.len())
    }

    /// Forgets the frames.
    pub(super) fn clear(&mut self) {
        self.bytes.clear();
        self.sends.clear();
    }
}

/// The transport under its own lock, and buffers for the turns to come.
pub(super) struct Outgoing {
    transport: Mutex<Option<Box<dyn Transport>>>,
    spares: Mutex<Vec<Frames>>,
}

impl Outgoing {
    pub(super) fn new(transport: Box<dyn Transport>) -> Self {
        Self { transport: Mutex::new(Some(transport)), spares: Mutex::default() }
    }

    /// Tells the transport where frames that come in go.
    pub(super) fn open(&self, inbox: Inbox) {
        if let Some(transport) = self.transport.lock().as_mut() {
            transport.open(inbox);
        }
    }

    /// Drops the transport. Its receiving thread may be turning the core, so that no lock may be
    /// held while it is joined.
    pub(super) fn close(&self) {
        let transport = self.transport.lock().take();
        drop(transport);
    }

    /// A buffer without frames.
    pub(super) fn spare(&self) -> Frames {
        self.spares.lock().pop().unwrap_or_default()
    }

    /// Sends the frames, and keeps their buffer. The core's lock must not be held.
    pub(super) fn send(&self, mut frames: Frames, tallies: &Tallies) {
        if !frames.sends.is_empty() {
            let mut bytes = 0;
            if let Some(transport) = self.transport.lock().as_mut() {
                for (to, range) in &frames.sends {
                    bytes += range.len() as u64;
                    transport.send(*to, &frames.bytes[range.clone()]);
                }
            }
            Tallies::add(&tallies.sent, frames.sends.len() as u64);
            Tallies::add(&tallies.sent_bytes, bytes);
            frames.clear();
        }
        if frames.bytes.capacity() <= SPARE_BYTES {
            let mut spares = self.spares.lock();
            if spares.len() < SPARES_MAX {
                spares.push(frames);
            }
        }
    }
}
