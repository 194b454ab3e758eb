//! Messages that are longer than the transport's frames.
//!
//! A [`Courier`] stands between a replica and its transport. Short messages pass as one frame, best
//! effort. The frame of a long one is cut into pieces; the receiver acknowledges the pieces, the
//! sender sends again what is missing, and a bounded window keeps the pieces on their way few. No
//! thread, clock or socket is touched: time is an argument and frames leave through a closure.
//!
//! What is guaranteed is little, on purpose. A long message arrives whole and unchanged, or not at
//! all; perhaps twice; in any order. It is given up when its receiver is silent, when the queue is
//! full, or when either side restarts: the protocol above says again what matters.
//!
//! What peers can make a courier hold is bounded by [`REASSEMBLY_BYTES_MAX`], and grows only with
//! bytes that have arrived, never with lengths that are claimed.

mod reassembly;
mod sending;

use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use core::time::Duration;

use bytes::Bytes;

use crate::membership::{ClusterId, Peer, ReplicaId, Replicas};
use crate::message::Message;
use crate::time::Instant;
use crate::wire::{
    self, Acknowledgement, Body, FRAME_BYTES_MAX, Fragment, FrameError, PIECE_BYTES_MIN,
    PREFIX_BYTES, SMALL_HEADER_BYTES_MAX,
};

use reassembly::{Arrival, Inbound};
use sending::{Key, Outbound};

/// How many bytes of pieces may be on their way to one receiver. A burst of so many fits the
/// default buffer of a UDP socket, which counts some 2 KiB for each datagram of 1,200 bytes.
pub const WINDOW_BYTES: usize = 64 << 10;

/// How many bytes of long messages may wait for one receiver.
pub const QUEUE_BYTES_MAX: usize = 16 << 20;

/// How many long messages may wait for one receiver.
pub const QUEUE_MESSAGES_MAX: usize = 1024;

/// How many replicas a courier keeps account of, each way: all members of a cluster, and some that
/// are about to come or go.
pub const PEERS_MAX: usize = 16;

/// The most that all unfinished messages together can hold, in bytes.
pub const REASSEMBLY_BYTES_MAX: usize =
    PEERS_MAX * (FRAME_BYTES_MAX + WINDOW_BYTES + 2 * AHEAD_BYTES_MAX);

/// How many long messages to one receiver are under way together.
const ACTIVE_MAX: u64 = 16;

/// How many bytes the messages that are under way behind the oldest one may have. The receiver
/// holds the sender to it, so that one message of the greatest length always finds room.
const AHEAD_BYTES_MAX: usize = 1 << 20;

/// How many pieces an acknowledgement can speak of beyond those that arrived without a gap.
const AHEAD_PIECES_MAX: u32 = 256;

/// How long a sender without any acknowledgement goes on before it drops what waits.
const GIVE_UP: Duration = Duration::from_secs(5);

/// How long a receiver keeps the pieces of a silent sender: longer than the sender tries.
const FORGET: Duration = Duration::from_secs(10);

/// How long a replica keeps its place, at the least, when more of them show up than have room.
const KEEP_PLACE: Duration = Duration::from_secs(1);

/// What a courier has done. All counts start at 0 with the courier.
///
/// ```
/// use bytes::Bytes;
/// use synod::fragment::Courier;
/// use synod::membership::DiskId;
/// use synod::record::Recovered;
/// use synod::{ClusterId, Instant, ReplicaId};
///
/// let cluster = ClusterId::named("docs")?;
/// let me = Recovered::nothing(cluster, ReplicaId(1), DiskId([1; 16])).me;
/// let mut courier = Courier::new(cluster, me, 1200)?;
/// let noise = Bytes::from_static(b"noise");
/// assert!(courier.receive(Instant::ZERO, noise, &mut |_, _| {}).is_err());
/// let counters = courier.counters();
/// assert_eq!((counters.frames_received, counters.refused_damaged), (1, 1));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct CourierCounters {
    /// Frames given to the transport, of every kind, one for each receiver.
    pub frames_sent: u64,
    /// Frames that came in, good or bad.
    pub frames_received: u64,
    /// Fragments sent for the first time.
    pub fragments_sent: u64,
    /// Fragments sent again.
    pub fragments_resent: u64,
    /// Fragments received, repeated ones included.
    pub fragments_received: u64,
    /// Fragments received that had been there before, or whose message is over.
    pub fragments_repeated: u64,
    /// Fragments received that lie beyond the window, and were dropped: their sender believes that
    /// more has arrived than has, as happens after a restart.
    pub fragments_beyond: u64,
    /// Acknowledgements sent.
    pub acknowledgements_sent: u64,
    /// Acknowledgements received.
    pub acknowledgements_received: u64,
    /// Long messages queued, one for each receiver.
    pub messages_queued: u64,
    /// Long messages that were not queued because the same was already under way to the receiver.
    pub messages_merged: u64,
    /// Long messages that were put together from fragments.
    pub messages_reassembled: u64,
    /// Long messages dropped because too much waited for their receiver.
    pub dropped_full: u64,
    /// Long messages dropped because their receiver was silent.
    pub dropped_silent: u64,
    /// Unfinished messages forgotten because their sender was silent, restarted or gave them up.
    pub dropped_unfinished: u64,
    /// Frames refused because they are damaged or no frames at all.
    pub refused_damaged: u64,
    /// Frames refused because they are of another wire version.
    pub refused_version: u64,
    /// Frames refused because they are of another cluster.
    pub refused_cluster: u64,
    /// Frames refused because they say what cannot be.
    pub refused_content: u64,
    /// Fragments and acknowledgements refused because they contradict what is held.
    pub refused_fragments: u64,
    /// Bytes of long messages that wait to be acknowledged, now, for all receivers together.
    pub queued_bytes: usize,
    /// Bytes that unfinished messages hold, now.
    pub reassembly_bytes: usize,
}

/// Carries the messages of one replica over frames of a bounded length.
///
/// ```
#[doc = include_str!("fragment/example.txt")]
/// let (cluster, message) = (ClusterId::named("docs")?, long_message());
/// let mut sender = Courier::new(cluster, peer(1), 1200)?;
/// let mut frames = Vec::new();
/// let to = Replicas::one(ReplicaId(2));
/// sender.send(Instant::ZERO, &to, &message, &mut |_, frame| frames.push(frame.to_vec()));
/// assert!(frames.len() > 1 && frames.iter().all(|frame| frame.len() <= 1200));
///
/// let mut receiver = Courier::new(cluster, peer(2), 1200)?;
/// let mut whole = None;
/// for frame in frames {
///     // What `emit` is given goes back to the sender: acknowledgements.
///     whole = receiver.receive(Instant::ZERO, frame.into(), &mut |_, _| {})?;
/// }
/// assert_eq!(whole, Some((peer(1), message)));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Courier {
    cluster: ClusterId,
    me: Peer,
    frame_bytes_max: usize,
    /// The next number of a long frame that no receiver has seen.
    numbers: u64,
    outbound: BTreeMap<ReplicaId, Outbound>,
    inbound: BTreeMap<Peer, Inbound>,
    buffer: Vec<u8>,
    counters: CourierCounters,
}

impl Courier {
    /// A courier for the replica `me`, over a transport whose frames have at most
    /// `frame_bytes_max` bytes.
    ///
    /// # Errors
    /// If the transport's frames are shorter than 392 bytes.
    pub fn new(cluster: ClusterId, me: Peer, frame_bytes_max: usize) -> Result<Self, FrameError> {
        let least = PREFIX_BYTES + SMALL_HEADER_BYTES_MAX + PIECE_BYTES_MIN;
        if frame_bytes_max < least {
            return Err(FrameError::Transport { bytes: frame_bytes_max, least });
        }
        Ok(Self {
            cluster,
            me,
            frame_bytes_max,
            numbers: 0,
            outbound: BTreeMap::new(),
            inbound: BTreeMap::new(),
            buffer: Vec::new(),
            counters: CourierCounters::default(),
        })
    }

    /// Sends a message: at once if its frame fits the transport, in pieces otherwise.
    ///
    /// A long message that is already under way to a receiver is not sent to it twice.
    ///
    /// # Panics
    /// If no receiver would take the message: see [`wire::encode`].
    pub fn send(
        &mut self,
        now: Instant,
        to: &Replicas,
        message: &Message,
        emit: &mut dyn FnMut(ReplicaId, &[u8]),
    ) {
        wire::encode(self.cluster, self.me, message, &mut self.buffer);
        if self.buffer.len() <= self.frame_bytes_max {
            for replica in to.iter() {
                self.counters.frames_sent += 1;
                emit(replica, &self.buffer);
            }
            return;
        }
        let frame = Bytes::copy_from_slice(&self.buffer);
        let key = Key::of(message);
        for replica in to.iter() {
            if !self.make_room_for_receiver(now, replica) {
                self.counters.dropped_full += 1;
                continue;
            }
            let Some(outbound) = self.outbound.get_mut(&replica) else { continue };
            if outbound.queue(now, key, &frame, &mut self.counters) {
                self.numbers = self.numbers.max(outbound.end());
            }
            let mut post =
                Post::new((self.cluster, self.me), &mut self.buffer, &mut self.counters, emit);
            outbound.pump(now, &mut post);
        }
    }

    /// Takes in a frame. Gives the message that it holds or completes, if there is one, with its
    /// sender.
    ///
    /// # Errors
    /// Why the frame was dropped. Counted here already.
    pub fn receive(
        &mut self,
        now: Instant,
        frame: Bytes,
        emit: &mut dyn FnMut(ReplicaId, &[u8]),
    ) -> Result<Option<(Peer, Message)>, FrameError> {
        self.counters.frames_received += 1;
        let taken = self.take(now, frame, emit);
        if let Err(error) = &taken {
            *self.refused(error) += 1;
        }
        taken
    }

    fn take(
        &mut self,
        now: Instant,
        frame: Bytes,
        emit: &mut dyn FnMut(ReplicaId, &[u8]),
    ) -> Result<Option<(Peer, Message)>, FrameError> {
        let (from, body) = wire::decode(self.cluster, frame)?;
        let mut post =
            Post::new((self.cluster, self.me), &mut self.buffer, &mut self.counters, emit);
        // Every frame shows in which start its sender is: a restarted one has lost all pieces.
        if let Some(outbound) = self.outbound.get_mut(&from.replica)
            && outbound.meet(now, from)
        {
            outbound.pump(now, &mut post);
        }
        match body {
            Body::Message(message) => Ok(Some((from, message))),
            Body::Fragment(fragment) => self.handle_fragment(now, from, &fragment, emit),
            Body::Acknowledgement(acknowledgement) => {
                post.counters.acknowledgements_received += 1;
                if acknowledgement.to != self.me.replica
                    || acknowledgement.incarnation != self.me.incarnation
                {
                    return Err(FrameError::Fragment {
                        what: "it is for another replica or start",
                    });
                }
                if let Some(outbound) = self.outbound.get_mut(&from.replica) {
                    outbound.handle_acknowledgement(now, from, &acknowledgement)?;
                    outbound.pump(now, &mut post);
                }
                Ok(None)
            }
        }
    }

    fn handle_fragment(
        &mut self,
        now: Instant,
        from: Peer,
        fragment: &Fragment,
        emit: &mut dyn FnMut(ReplicaId, &[u8]),
    ) -> Result<Option<(Peer, Message)>, FrameError> {
        self.counters.fragments_received += 1;
        if fragment.to != self.me.replica {
            return Err(FrameError::Fragment { what: "it is for another replica" });
        }
        self.make_room_for_sender(now, from)?;
        let inbound = self.inbound.entry(from).or_insert_with(|| Inbound::new(now));
        let arrival = inbound.handle_fragment(now, fragment, &mut self.counters)?;
        if arrival != Arrival::Noted {
            let mut post =
                Post::new((self.cluster, self.me), &mut self.buffer, &mut self.counters, emit);
            post.acknowledge(from, fragment.number, inbound);
        }
        let Arrival::Whole(frame) = arrival else { return Ok(None) };
        // The pieces passed one by one; only the checksum of the whole says that they belong
        // together.
        match wire::decode(self.cluster, Bytes::from(frame))? {
            (sender, _) if sender != from => {
                Err(FrameError::Fragment { what: "the whole names another sender" })
            }
            (_, Body::Message(message)) => {
                self.counters.messages_reassembled += 1;
                Ok(Some((from, message)))
            }
            (_, Body::Fragment(_) | Body::Acknowledgement(_)) => {
                Err(FrameError::Fragment { what: "the whole is no message" })
            }
        }
    }

    /// Does what is due: sends again, acknowledges, gives up. Early calls do nothing.
    pub fn handle_timeout(&mut self, now: Instant, emit: &mut dyn FnMut(ReplicaId, &[u8])) {
        let counters = &mut self.counters;
        self.inbound.retain(|_, inbound| {
            let silent = now >= inbound.forget_at();
            if silent {
                counters.dropped_unfinished += inbound.unfinished();
            }
            !silent
        });
        let mut post =
            Post::new((self.cluster, self.me), &mut self.buffer, &mut self.counters, emit);
        for (from, inbound) in &mut self.inbound {
            while let Some(number) = inbound.due(now) {
                post.acknowledge(*from, number, inbound);
            }
        }
        for outbound in self.outbound.values_mut() {
            if outbound.on_timeout(now, post.counters) {
                outbound.pump(now, &mut post);
            }
        }
    }

    /// When to call [`Courier::handle_timeout`] next, if nothing else happens before.
    #[must_use]
    pub fn wake(&self) -> Option<Instant> {
        let sending = self.outbound.values().filter_map(Outbound::wake);
        sending.chain(self.inbound.values().map(Inbound::wake)).min()
    }

    /// What the courier has done, and holds now.
    #[must_use]
    pub fn counters(&self) -> CourierCounters {
        CourierCounters {
            queued_bytes: self.outbound.values().map(Outbound::queued_bytes).sum(),
            reassembly_bytes: self.inbound.values().map(Inbound::held_bytes).sum(),
            ..self.counters
        }
    }

    /// Makes sure that the receiver has an account. False if there is no room for one.
    fn make_room_for_receiver(&mut self, now: Instant, replica: ReplicaId) -> bool {
        if self.outbound.contains_key(&replica) {
            return true;
        }
        if self.outbound.len() >= PEERS_MAX {
            let idle = self.outbound.iter().find(|(_, outbound)| outbound.is_idle());
            let Some(idle) = idle.map(|(replica, _)| *replica) else { return false };
            self.outbound.remove(&idle);
        }
        let piece_bytes = (self.frame_bytes_max - PREFIX_BYTES - SMALL_HEADER_BYTES_MAX)
            // At least two pieces on their way, so that a loss shows before the timer.
            .min(WINDOW_BYTES / 2);
        // Numbers never repeat within a start, even if this receiver had an account before.
        self.outbound.insert(replica, Outbound::new(now, replica, self.numbers, piece_bytes));
        true
    }

    /// Makes sure that there is room for pieces of this sender.
    fn make_room_for_sender(&mut self, now: Instant, from: Peer) -> Result<(), FrameError> {
        if self.inbound.contains_key(&from) {
            return Ok(());
        }
        let same_disk = |peer: &Peer| (peer.replica, peer.disk) == (from.replica, from.disk);
        if self.inbound.keys().any(|peer| same_disk(peer) && *peer > from) {
            return Err(FrameError::Fragment { what: "it is of an earlier start of its sender" });
        }
        let counters = &mut self.counters;
        self.inbound.retain(|peer, inbound| {
            let over = same_disk(peer);
            if over {
                counters.dropped_unfinished += inbound.unfinished();
            }
            !over
        });
        if self.inbound.len() < PEERS_MAX {
            return Ok(());
        }
        let quietest = self.inbound.iter().min_by_key(|(_, inbound)| inbound.heard());
        match quietest.map(|(peer, inbound)| (*peer, inbound.heard(), inbound.unfinished())) {
            Some((peer, heard, unfinished)) if now.since(heard) >= KEEP_PLACE => {
                self.counters.dropped_unfinished += unfinished;
                self.inbound.remove(&peer);
                Ok(())
            }
            _ => Err(FrameError::Fragment { what: "too many senders" }),
        }
    }

    fn refused(&mut self, error: &FrameError) -> &mut u64 {
        match error {
            FrameError::TooShort { .. }
            | FrameError::TooLong { .. }
            | FrameError::Magic
            | FrameError::Checksum => &mut self.counters.refused_damaged,
            FrameError::Version { .. } => &mut self.counters.refused_version,
            FrameError::Cluster { .. } => &mut self.counters.refused_cluster,
            FrameError::Fragment { .. } => &mut self.counters.refused_fragments,
            FrameError::Header { .. }
            | FrameError::Bounds { .. }
            | FrameError::Payload(_)
            | FrameError::Trailing { .. }
            | FrameError::Transport { .. } => &mut self.counters.refused_content,
        }
    }
}

/// How many pieces of one message may be on their way beyond the first that has not arrived.
fn window_pieces(piece_bytes: usize) -> u32 {
    let pieces = u32::try_from(WINDOW_BYTES / piece_bytes).unwrap_or(u32::MAX);
    pieces.clamp(1, AHEAD_PIECES_MAX)
}

/// What it takes to send frames about fragments.
struct Post<'a> {
    cluster: ClusterId,
    me: Peer,
    buffer: &'a mut Vec<u8>,
    counters: &'a mut CourierCounters,
    emit: &'a mut dyn FnMut(ReplicaId, &[u8]),
}

impl<'a> Post<'a> {
    fn new(
        (cluster, me): (ClusterId, Peer),
        buffer: &'a mut Vec<u8>,
        counters: &'a mut CourierCounters,
        emit: &'a mut dyn FnMut(ReplicaId, &[u8]),
    ) -> Self {
        Self { cluster, me, buffer, counters, emit }
    }

    fn send_fragment(&mut self, fragment: &Fragment, again: bool) {
        self.counters.frames_sent += 1;
        if again {
            self.counters.fragments_resent += 1;
        } else {
            self.counters.fragments_sent += 1;
        }
        wire::encode_fragment(self.cluster, self.me, fragment, self.buffer);
        (self.emit)(fragment.to, self.buffer);
    }

    fn acknowledge(&mut self, from: Peer, number: u64, inbound: &mut Inbound) {
        let Some((arrived, ahead)) = inbound.report(number) else { return };
        self.counters.frames_sent += 1;
        self.counters.acknowledgements_sent += 1;
        let (to, incarnation) = (from.replica, from.incarnation);
        let acknowledgement = Acknowledgement { to, incarnation, number, arrived, ahead };
        wire::encode_acknowledgement(self.cluster, self.me, &acknowledgement, self.buffer);
        (self.emit)(to, self.buffer);
    }
}

#[cfg(test)]
mod tests;
