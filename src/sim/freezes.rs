//! Replicas that stand still, as a process that is stopped, or a machine that is suspended: nothing
//! is told to them for a while, and then everything at once.

use std::string::String;
use std::vec::Vec;

use crate::membership::ReplicaId;

use super::driver::{Driver, Happening};
use super::oracle::index_of;
use super::record::{Happened, Loss};

/// How many messages wait for a replica that stands still; more are lost, as by a full socket.
const WAITING_MAX: usize = 2000;

/// What waits for those that stand still.
pub(super) struct Freezer {
    /// How often each was frozen: the end of an earlier time is void.
    times: Vec<u64>,
    waiting: Vec<Vec<Happening>>,
}

impl Freezer {
    /// Nothing waits.
    pub(super) fn new(replicas: usize) -> Self {
        Self { times: std::vec![0; replicas], waiting: (0..replicas).map(|_| Vec::new()).collect() }
    }
}

impl Driver {
    /// One of the replicas stands still for some time.
    pub(super) fn freeze_one(&mut self) {
        let at = self.below(self.starts.len() as u64) as usize;
        if self.cluster.is_up(at) && !self.cluster.hosts[at].frozen {
            self.freeze(at);
            let freeze = self.freezer.times[at];
            let micros = self.below(self.weather.freeze_micros);
            self.at(micros, Happening::Thaw { at, freeze });
        }
    }

    /// The replica stands still until it is thawed.
    pub(super) fn freeze(&mut self, at: usize) {
        self.cluster.faults.freezes += 1;
        self.cluster.begin(8, at);
        self.cluster.line(at, || String::from("stands still"));
        self.cluster.happens(|| Happened::Froze { replica: ReplicaId(at as u32 + 1) });
        self.cluster.hosts[at].frozen = true;
        self.freezer.times[at] += 1;
    }

    /// Ends the time of that number.
    pub(super) fn thaw_if(&mut self, at: usize, freeze: u64) {
        if self.freezer.times[at] == freeze {
            self.thaw(at);
        }
    }

    /// The replica goes on: what waited for it happens now, in its order.
    pub(super) fn thaw(&mut self, at: usize) {
        if core::mem::take(&mut self.cluster.hosts[at].frozen) {
            self.cluster.begin(9, at);
            self.cluster.line(at, || String::from("goes on"));
            self.cluster.happens(|| Happened::Thawed { replica: ReplicaId(at as u32 + 1) });
            for what in core::mem::take(&mut self.freezer.waiting[at]) {
                self.at(0, what);
            }
        }
    }

    /// A replica that loses its power does not go on.
    pub(super) fn forget_frozen(&mut self, at: usize) {
        self.cluster.hosts[at].frozen = false;
        for what in core::mem::take(&mut self.freezer.waiting[at]) {
            if let Happening::Arrives(envelope) = what {
                self.cluster.happens_lost(&envelope, Loss::Down);
            }
        }
    }

    /// Keeps what would happen to a replica that stands still.
    pub(super) fn keep_for_thaw(&mut self, what: Happening) -> Option<Happening> {
        let at = match &what {
            Happening::Arrives(envelope) => index_of(envelope.to),
            Happening::SyncEnds { at, .. } | Happening::Applies { at } => *at,
            _ => return Some(what),
        };
        if !self.cluster.hosts[at].frozen {
            return Some(what);
        }
        let full = self.freezer.waiting[at].len() >= WAITING_MAX;
        match what {
            Happening::Arrives(envelope) if full => {
                self.cluster.faults.unreachable += 1;
                self.cluster.happens_lost(&envelope, Loss::Down);
            }
            what => self.freezer.waiting[at].push(what),
        }
        None
    }
}
