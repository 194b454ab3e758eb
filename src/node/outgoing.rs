//! Frames on their way out: gathered under the core's lock, sent after it.
//!
//! Nobody waits for the transport. Whoever finds it in use leaves its frames, and the holder looks
//! at what was left after it has let go. So a transport may hand frames in at once, on the thread
//! that sends them: that node may send in turn, even to this one, and nobody waits for anybody.

use alloc::collections::VecDeque;
use alloc::vec::Vec;
use core::ops::Range;
use core::sync::atomic::{Ordering, fence};
use std::boxed::Box;

use parking_lot::Mutex;

use super::lent::Lent;
use super::status::Tallies;
use crate::membership::ReplicaId;
use crate::transport::{Inbox, Transport};

/// Buffers that grew beyond this many bytes are not kept, and no more buffers than this.
const SPARE_BYTES: usize = 4 << 20;
const SPARES_MAX: usize = 4;
/// How many bytes of frames may be left for the transport's holder before more are dropped.
const LEFT_BYTES: usize = 64 << 20;
/// How often one caller sends for others before the timer thread takes over.
const ROUNDS_MAX: u32 = 8;

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

    fn is_empty(&self) -> bool {
        self.sends.is_empty()
    }

    /// Forgets the frames.
    pub(super) fn clear(&mut self) {
        self.bytes.clear();
        self.sends.clear();
    }
}

/// What was left for the transport's holder, oldest first.
#[derive(Debug, Default)]
struct Left {
    frames: VecDeque<Frames>,
    bytes: usize,
}

/// The transport under its own lock, and buffers for the turns to come.
pub(super) struct Outgoing {
    transport: Mutex<Option<Box<dyn Transport>>>,
    left: Mutex<Left>,
    spares: Mutex<Vec<Frames>>,
}

impl Outgoing {
    pub(super) fn new(transport: Box<dyn Transport>) -> Self {
        Self {
            transport: Mutex::new(Some(transport)),
            left: Mutex::default(),
            spares: Mutex::default(),
        }
    }

    /// Tells the transport where frames that come in go.
    pub(super) fn open(&self, inbox: Inbox) {
        if let Some(transport) = self.transport.lock().as_mut() {
            transport.open(inbox);
        }
    }

    /// Drops the transport. Its receiving thread may be turning the core, so that no lock may be
    /// held while it is joined. Waits for whoever is sending: not to be called by such a thread.
    pub(super) fn close(&self) {
        let transport = self.transport.lock().take();
        drop(transport);
    }

    /// A buffer without frames.
    pub(super) fn spare(&self) -> Frames {
        self.spares.lock().pop().unwrap_or_default()
    }

    /// Sends the frames and what others have left, or leaves the frames to whoever is sending. The
    /// core's lock must not be held. Returns whether something may be left that nobody sends.
    pub(super) fn send(&self, frames: Frames, tallies: &Tallies) -> bool {
        let mut mine = Some(frames);
        if mine.as_ref().is_some_and(Frames::is_empty) {
            mine.take().into_iter().for_each(|frames| self.keep(frames));
        }
        for _ in 0..ROUNDS_MAX {
            if mine.is_none() && self.left.lock().frames.is_empty() {
                return false;
            }
            if let Some(mut transport) = self.transport.try_lock() {
                // What was left came before.
                for frames in self.take_left().into_iter().chain(mine.take()) {
                    self.send_all(transport.as_mut(), frames, tallies);
                }
            } else if let Some(frames) = mine.take() {
                self.leave(frames, tallies);
            } else {
                return false;
            }
            // Pairs with the same fence of whoever has left something and then finds the lock
            // taken: one of the two sees what the other did.
            fence(Ordering::SeqCst);
        }
        true
    }

    fn take_left(&self) -> VecDeque<Frames> {
        let left = core::mem::take(&mut *self.left.lock());
        left.frames
    }

    fn leave(&self, mut frames: Frames, tallies: &Tallies) {
        let mut left = self.left.lock();
        let bytes = left.bytes + frames.bytes.len();
        if left.frames.is_empty() || bytes <= LEFT_BYTES {
            left.bytes = bytes;
            left.frames.push_back(frames);
            return;
        }
        drop(left);
        Tallies::add(&tallies.outgoing_full, frames.sends.len() as u64);
        frames.clear();
        self.keep(frames);
    }

    fn send_all(
        &self,
        transport: Option<&mut Box<dyn Transport>>,
        mut frames: Frames,
        tallies: &Tallies,
    ) {
        let mut bytes = 0;
        if let Some(transport) = transport {
            let _sending = Lent::begin();
            for (to, range) in &frames.sends {
                bytes += range.len() as u64;
                transport.send(*to, &frames.bytes[range.clone()]);
            }
        }
        Tallies::add(&tallies.sent, frames.sends.len() as u64);
        Tallies::add(&tallies.sent_bytes, bytes);
        frames.clear();
        self.keep(frames);
    }

    /// Keeps a buffer for later.
    fn keep(&self, frames: Frames) {
        if frames.bytes.capacity() <= SPARE_BYTES {
            let mut spares = self.spares.lock();
            if spares.len() < SPARES_MAX {
                spares.push(frames);
            }
        }
    }
}
