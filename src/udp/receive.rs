//! The receiving thread of a UDP transport.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::sync::Arc;
use alloc::vec;
use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use core::time::Duration;
use std::io::ErrorKind;
use std::net::{SocketAddr, UdpSocket};
use std::thread;

use bytes::Bytes;
use parking_lot::Mutex;

use super::seal::{Refusal, Seal, Sender};
use super::{STRANGERS_MAX, Strangers, UdpMeter};
use crate::membership::{Incarnation, ReplicaId};
use crate::trace;
use crate::transport::Inbox;

/// How often the thread looks up from the socket to see whether it is to end.
pub(super) const LOOK_UP: Duration = Duration::from_millis(50);

/// How long the thread leaves a socket alone that gives errors.
const AFTER_ERROR: Duration = Duration::from_millis(10);

/// Of datagrams that seem to be of an earlier start, one in so many is handed in all the same. The
/// node takes it for what it is, and tells its sender: a wiped directory begins to count its starts
/// anew, and an older copy of one goes on below what was seen. Neither would ever hear why nobody
/// answers.
const OLD_HANDED_IN: u64 = 16;

/// Room for the longest datagram that there is.
const BUFFER_BYTES: usize = 64 << 10;

/// What the receiving thread works with.
pub(super) struct Receiver {
    pub(super) socket: Arc<UdpSocket>,
    pub(super) seal: Seal,
    pub(super) me: ReplicaId,
    /// Whether senders are certain.
    pub(super) sealed: bool,
    pub(super) peers: BTreeSet<ReplicaId>,
    pub(super) strangers: Arc<Mutex<Strangers>>,
    pub(super) meter: UdpMeter,
    pub(super) ending: Arc<AtomicBool>,
    pub(super) inbox: Inbox,
}

impl Receiver {
    /// Hands in datagrams until the transport is dropped.
    pub(super) fn run(self) {
        let mut buffer = vec![0; BUFFER_BYTES];
        let mut starts = BTreeMap::new();
        while !self.ending.load(Ordering::Acquire) {
            match self.socket.recv_from(&mut buffer) {
                Ok((bytes, source)) => self.take(&buffer[..bytes], source, &mut starts),
                Err(error) => self.take_error(error.kind()),
            }
        }
    }

    fn take(
        &self,
        datagram: &[u8],
        source: SocketAddr,
        starts: &mut BTreeMap<ReplicaId, Incarnation>,
    ) {
        let tallies = &self.meter.tallies;
        let (sender, frame) = match self.seal.unwrap(datagram) {
            Ok(opened) => opened,
            Err(refusal) => return self.refuse(refusal),
        };
        if sender.replica == self.me {
            trace::datagram("sent back");
            return self.count(&tallies.own);
        }
        if !self.is_current(sender, starts) {
            trace::datagram("an earlier start of its sender");
            let before = tallies.old_incarnation.fetch_add(1, Ordering::Relaxed);
            if (before + 1).is_multiple_of(OLD_HANDED_IN) {
                self.inbox.deliver(Bytes::from(frame));
            }
            return;
        }
        if !self.peers.contains(&sender.replica) {
            self.strangers.lock().note(sender.replica, source);
        }
        self.count(&tallies.received);
        self.inbox.deliver(Bytes::from(frame));
    }

    fn take_error(&self, kind: ErrorKind) {
        let nothing = [ErrorKind::WouldBlock, ErrorKind::TimedOut, ErrorKind::Interrupted];
        if !nothing.contains(&kind) {
            self.count(&self.meter.tallies.failed);
            // ConnectionRefused is a peer that is down, told by its system; others may last.
            if kind != ErrorKind::ConnectionRefused {
                thread::park_timeout(AFTER_ERROR);
            }
        }
    }

    fn refuse(&self, refusal: Refusal) {
        let tallies = &self.meter.tallies;
        let (counter, reason) = match refusal {
            Refusal::Malformed => (&tallies.malformed, "malformed"),
            Refusal::Version => (&tallies.version, "another version"),
            Refusal::Foreign => (&tallies.foreign, "another cluster"),
            Refusal::Forged => (&tallies.forged, "not authenticated"),
        };
        trace::datagram(reason);
        self.count(counter);
    }

    /// Whether the sender is in the latest of its starts that was seen. Only a sender that is
    /// certain is remembered: otherwise one forged datagram would lock a member out.
    fn is_current(&self, sender: Sender, starts: &mut BTreeMap<ReplicaId, Incarnation>) -> bool {
        if !self.sealed {
            return true;
        }
        match starts.get_mut(&sender.replica) {
            Some(latest) => {
                *latest = sender.incarnation.max(*latest);
                *latest == sender.incarnation
            }
            None => {
                if starts.len() < self.peers.len() + STRANGERS_MAX {
                    starts.insert(sender.replica, sender.incarnation);
                }
                true
            }
        }
    }

    fn count(&self, counter: &AtomicU64) {
        counter.fetch_add(1, Ordering::Relaxed);
    }
}
