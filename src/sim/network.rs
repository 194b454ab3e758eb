//! The simulated network: messages under way, links that are cut, and the odds of each link.

use std::vec::Vec;

use bytes::Bytes;

use crate::membership::{Peer, ReplicaId};
use crate::message::Message;

/// A message under way.
#[derive(Clone, Debug)]
pub(crate) struct Envelope {
    /// Who sent it, in which of its starts.
    pub(crate) from: Peer,
    /// To whom.
    pub(crate) to: ReplicaId,
    /// What is under way.
    pub(crate) payload: Payload,
}

/// What is under way.
#[derive(Clone, Debug)]
pub(crate) enum Payload {
    /// The message as it is.
    Message(Message),
    /// A frame of the wire.
    Frame {
        /// Its bytes.
        bytes: Bytes,
        /// Whether they were changed under way.
        damaged: bool,
    },
}

impl Envelope {
    /// Flips a bit of a frame, or cuts it short. A message that is no frame stays whole.
    pub(crate) fn damage(&mut self, luck: u64) {
        if let Payload::Frame { bytes, damaged } = &mut self.payload
            && !bytes.is_empty()
        {
            let at = (luck >> 8) as usize % bytes.len();
            let mut changed = bytes.to_vec();
            if luck & 7 == 0 {
                changed.truncate(at);
            } else {
                changed[at] ^= 1 << (luck >> 3 & 7);
            }
            (*bytes, *damaged) = (changed.into(), true);
        }
    }
}

/// The odds of one directed link. Chances are in thousandths, times in microseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LinkFaults {
    /// How many of a thousand messages are lost.
    pub loss_permille: u32,
    /// How many of a thousand messages arrive twice.
    pub duplicate_permille: u32,
    /// How many of a thousand frames are damaged. Messages that are not framed never are.
    pub damage_permille: u32,
    /// How many of a thousand messages are followed by one that was sent long before, by whoever
    /// and in whichever of its starts.
    pub replay_permille: u32,
    /// The shortest time under way.
    pub delay_micros: u64,
    /// What the time under way varies by: messages overtake one another within it.
    pub jitter_micros: u64,
    /// How many of a thousand messages take twenty times as long.
    pub straggler_permille: u32,
}

impl LinkFaults {
    /// A link that loses nothing and is quick.
    pub const NONE: Self = Self {
        loss_permille: 0,
        duplicate_permille: 0,
        damage_permille: 0,
        replay_permille: 0,
        delay_micros: 200,
        jitter_micros: 100,
        straggler_permille: 0,
    };
}

/// Which directed links are cut.
#[derive(Clone, Debug)]
pub(crate) struct Cuts {
    replicas: usize,
    cut: Vec<bool>,
}

impl Cuts {
    /// No link is cut.
    pub(crate) fn none(replicas: usize) -> Self {
        Self { replicas, cut: std::vec![false; replicas * replicas] }
    }

    /// Whether the link from one place to the other is cut.
    pub(crate) fn is_cut(&self, from: usize, to: usize) -> bool {
        self.cut[from * self.replicas + to]
    }

    /// Cuts one direction.
    pub(crate) fn cut(&mut self, from: usize, to: usize) {
        self.cut[from * self.replicas + to] = true;
    }

    /// Cuts everything between the members of `side` (a bit each) and the others.
    pub(crate) fn split(&mut self, side: u16) {
        for from in 0..self.replicas {
            for to in 0..self.replicas {
                if (side >> from) & 1 != (side >> to) & 1 {
                    self.cut(from, to);
                }
            }
        }
    }

    /// Leaves only the links to and from `hub`.
    pub(crate) fn only_hub(&mut self, hub: usize) {
        for from in 0..self.replicas {
            for to in 0..self.replicas {
                if from != to && from != hub && to != hub {
                    self.cut(from, to);
                }
            }
        }
    }

    /// Leaves only the links between neighbours in a row.
    pub(crate) fn chain(&mut self) {
        for from in 0..self.replicas {
            for to in 0..self.replicas {
                if from.abs_diff(to) > 1 {
                    self.cut(from, to);
                }
            }
        }
    }

    /// Mends every link.
    pub(crate) fn heal(&mut self) {
        self.cut.fill(false);
    }
}
