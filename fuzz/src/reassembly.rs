//! Long messages cut into fragments by real senders, and everything that a network, a stranger and
//! a restart can do to the pieces on their way.
//!
//! What comes out is, byte for byte, what the sender that it names has sent in that start; from one
//! row of pieces it comes out once. Memory grows only with bytes that came, and stays below the
//! documented limits; whoever is woken has nothing to do afterwards; and in the end all couriers
//! come to rest and hold nothing.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use bytes::Bytes;
use synod::ballot::Ballot;
use synod::entry::{BatchBuilder, CommandId, Entry};
use synod::fragment::{Courier, QUEUE_BYTES_MAX, REASSEMBLY_BYTES_MAX};
use synod::membership::{Peer, ReplicaId, Replicas};
use synod::message::{Chosen, Message};
use synod::slot::Slot;
use synod::time::Instant;
use synod::wire::{self, Body, Fragment};

use super::choices::Choices;
use super::frames::{self, CLUSTER, Name};

/// How many frames may be under way; the oldest are lost above that.
const UNDER_WAY_MAX: usize = 512;
/// How many steps one input may take.
const STEPS_MAX: usize = 300;
/// Lengths of commands.
const SIZES: [usize; 7] = [10, 1200, 1500, 3000, 9000, 33_000, 70_000];
/// The longest frames of the couriers' transports.
const FRAME_BYTES: [usize; 4] = [392, 600, 1200, 9000];
/// A courier forgets a sender that is silent for longer than this, or lets another have its place.
const REMEMBERED: Duration = Duration::from_secs(1);

struct Sender {
    name: Name,
    courier: Courier,
}

/// A frame under way.
struct Post {
    to: ReplicaId,
    frame: Bytes,
}

struct World {
    now: Instant,
    frame_bytes: usize,
    senders: Vec<Sender>,
    me: Name,
    receiver: Courier,
    under_way: VecDeque<Post>,
    /// What each start of each sender has sent.
    sent: BTreeMap<Peer, Vec<Message>>,
    /// Which rows of pieces came out, of whom, and when that sender was last heard.
    whole: BTreeMap<Peer, (Instant, BTreeSet<u64>)>,
    arrived_bytes: usize,
    slots: u64,
}

/// Runs the target.
pub fn run(data: &[u8]) {
    let mut choices = Choices::new(data);
    let frame_bytes = choices.one_of(&FRAME_BYTES);
    let mut world = World::new(frame_bytes);
    for _ in 0..STEPS_MAX {
        if choices.is_over() {
            break;
        }
        world.step(&mut choices);
        world.check();
    }
    world.rest();
}

fn courier(name: Name, frame_bytes: usize) -> Courier {
    Courier::new(CLUSTER, name.peer(), frame_bytes).expect("frames of that length will do")
}

fn message(slot: u64, bytes: usize) -> Message {
    let ballot = Ballot { round: 1, replica: ReplicaId(1) };
    let mut batch = BatchBuilder::default();
    let incarnation = synod::membership::Incarnation(1);
    let id = CommandId { replica: ReplicaId(1), incarnation, sequence: slot };
    let command: Vec<u8> =
        (0..bytes).map(|i| (i as u64 * 7 + i as u64 / 251 + slot) as u8).collect();
    batch.push(id, &command);
    let entry = batch.build().map_or(Entry::Noop, Entry::Batch);
    Message::Chosen(Chosen { slot: Slot(slot), ballot, entry, chosen: Slot(slot + 1) })
}

impl World {
    fn new(frame_bytes: usize) -> Self {
        let me = Name::of(9);
        let sender = |replica| {
            let name = Name::of(replica);
            Sender { name, courier: courier(name, frame_bytes) }
        };
        Self {
            now: Instant::from_millis(1),
            frame_bytes,
            senders: [1, 2, 3].map(sender).into(),
            me,
            receiver: courier(me, frame_bytes),
            under_way: VecDeque::new(),
            sent: BTreeMap::new(),
            whole: BTreeMap::new(),
            arrived_bytes: 0,
            slots: 0,
        }
    }

    fn step(&mut self, choices: &mut Choices<'_>) {
        match choices.byte() % 16 {
            0 | 1 => {
                let at = choices.below(self.senders.len());
                let bytes = choices.one_of(&SIZES);
                self.send(at, bytes);
            }
            2 => self.deliver_first(usize::from(choices.byte())),
            3 | 4 => {
                if let Some(at) = self.pick(choices) {
                    let post = self.under_way.remove(at);
                    self.deliver(post.expect("it was picked"), true);
                }
            }
            5 => {
                if let Some(at) = self.pick(choices) {
                    let Post { to, frame } = &self.under_way[at];
                    let post = Post { to: *to, frame: frame.clone() };
                    self.deliver(post, true);
                }
            }
            6 => {
                if let Some(at) = self.pick(choices) {
                    self.under_way.remove(at);
                }
            }
            7 | 8 => self.damage(choices),
            9 => self.forge(choices),
            10 => {
                let at = self.pick(choices).unwrap_or(0);
                self.under_way.rotate_left(at);
            }
            11 => self.under_way.make_contiguous().reverse(),
            12 => {
                let micros = [1000, 5000, 30_000, 200_000, 1_000_000, 5_000_000, 20_000_000];
                self.pass(Duration::from_micros(choices.one_of(&micros)));
            }
            13 => self.restart(choices),
            14 => self.strangers(choices),
            _ => self.lose(choices),
        }
    }

    fn pick(&self, choices: &mut Choices<'_>) -> Option<usize> {
        let count = self.under_way.len();
        (count > 0).then(|| choices.below(count))
    }

    fn send(&mut self, at: usize, bytes: usize) {
        self.slots += 1;
        let message = message(self.slots, bytes);
        let (to, now) = (Replicas::one(ReplicaId(self.me.replica)), self.now);
        let sender = &mut self.senders[at];
        self.sent.entry(sender.name.peer()).or_default().push(message.clone());
        let under_way = &mut self.under_way;
        let limit = self.frame_bytes;
        let mut emit = |to, frame: &[u8]| post(under_way, limit, to, frame);
        sender.courier.send(now, &to, &message, &mut emit);
    }

    fn deliver_first(&mut self, count: usize) {
        for _ in 0..count {
            let Some(post) = self.under_way.pop_front() else { return };
            self.deliver(post, true);
        }
    }

    /// A frame arrives. One that was made by a courier, and not spoilt, is taken for what it is.
    fn deliver(&mut self, post: Post, sound: bool) {
        let Post { to, frame } = post;
        if to.0 != self.me.replica {
            self.deliver_back(to, frame, sound);
            return;
        }
        self.arrived_bytes += frame.len();
        let number = match wire::decode(CLUSTER, frame.clone()) {
            Ok((from, Body::Fragment(fragment))) => Some((from, fragment.number)),
            _ => None,
        };
        let (under_way, limit) = (&mut self.under_way, self.frame_bytes);
        let mut emit = |to, frame: &[u8]| self::post(under_way, limit, to, frame);
        let taken = self.receiver.receive(self.now, frame, &mut emit);
        assert!(sound || taken.is_err(), "a spoilt frame passes: {taken:?}");
        if let Some((from, _)) = number.filter(|_| taken.is_ok()) {
            self.hear(from);
        }
        let Ok(Some((from, message))) = taken else { return };
        let sent = self.sent.get(&from).is_some_and(|sent| sent.contains(&message));
        assert!(sent, "{from:?} has never sent a {}", message.name());
        if let Some((sender, number)) = number {
            assert_eq!(sender, from, "one sends the pieces, another the whole");
            let first = self.hear(from).insert(number);
            assert!(first, "the message of row {number} comes out twice");
        }
    }

    /// Which rows of this sender came out since the receiver may last have forgotten it.
    fn hear(&mut self, from: Peer) -> &mut BTreeSet<u64> {
        let (heard, rows) = self.whole.entry(from).or_default();
        if self.now.since(*heard) >= REMEMBERED {
            rows.clear();
        }
        *heard = self.now;
        rows
    }

    fn deliver_back(&mut self, to: ReplicaId, frame: Bytes, sound: bool) {
        let (under_way, limit) = (&mut self.under_way, self.frame_bytes);
        let mut emit = |to, frame: &[u8]| post(under_way, limit, to, frame);
        for sender in self.senders.iter_mut().filter(|sender| sender.name.replica == to.0) {
            let taken = sender.courier.receive(self.now, frame.clone(), &mut emit);
            assert!(sound || taken.is_err(), "a spoilt frame passes: {taken:?}");
        }
    }

    /// A frame arrives cut short, or with a bit flipped. No checksum of 32 bits misses that.
    fn damage(&mut self, choices: &mut Choices<'_>) {
        let Some(at) = self.pick(choices) else { return };
        let to = self.under_way[at].to;
        let mut bytes = self.under_way[at].frame.to_vec();
        let place = usize::from(choices.short()) % bytes.len();
        if choices.flag() {
            bytes.truncate(place);
        } else {
            bytes[place] ^= 1 << choices.below(8);
        }
        self.deliver(Post { to, frame: Bytes::from(bytes) }, false);
    }

    /// A fragment arrives with another head than it was sent with, under a right checksum.
    fn forge(&mut self, choices: &mut Choices<'_>) {
        let Some(at) = self.pick(choices) else { return };
        let read = wire::decode(CLUSTER, self.under_way[at].frame.clone());
        let Ok((from, Body::Fragment(fragment))) = read else { return };
        let mut name = Name { replica: from.replica().0, ..Name::of(from.replica().0) };
        name.incarnation = from.incarnation().0;
        let mut forged: Fragment = fragment.clone();
        let small = |number: u64| u32::try_from(number).unwrap_or(u32::MAX);
        match choices.byte() % 8 {
            0 => forged.number = choices.near(fragment.number),
            1 => forged.oldest = choices.near(fragment.oldest),
            2 => forged.index = small(choices.near(fragment.index.into())),
            3 => forged.total_bytes = small(choices.near(fragment.total_bytes.into())),
            4 => forged.piece_bytes = small(choices.near(fragment.piece_bytes.into())),
            5 => name = Name::of(1 + u32::from(choices.byte() % 4)),
            6 => name.incarnation = choices.near(name.incarnation),
            _ => {
                forged.index = small(choices.near(fragment.index.into()));
                let at = forged.index as usize * forged.piece_bytes as usize;
                let left = (forged.total_bytes as usize).saturating_sub(at);
                let bytes = left.min(forged.piece_bytes as usize).min(1 << 16);
                forged.bytes = Bytes::from(vec![choices.byte(); bytes]);
            }
        }
        let (to, frame) = (self.under_way[at].to, frames::fragment(name, &forged));
        self.deliver(Post { to, frame }, true);
    }

    /// First pieces of many senders that nobody knows.
    fn strangers(&mut self, choices: &mut Choices<'_>) {
        let (first, count) = (100 + u32::from(choices.byte()), choices.below(20) as u32);
        let fragment = Fragment {
            to: ReplicaId(self.me.replica),
            number: choices.below(16) as u64,
            oldest: 0,
            total_bytes: 1 << 20,
            piece_bytes: 300,
            index: choices.below(40) as u32,
            bytes: Bytes::from_static(&[5; 300]),
        };
        for replica in first..first + count {
            let frame = frames::fragment(Name::of(replica), &fragment);
            self.deliver(Post { to: fragment.to, frame }, true);
        }
    }

    fn lose(&mut self, choices: &mut Choices<'_>) {
        let every = 1 + choices.below(8);
        let mut index = 0;
        self.under_way.retain(|_| {
            index += 1;
            index % every != 0
        });
    }

    fn restart(&mut self, choices: &mut Choices<'_>) {
        let at = choices.below(self.senders.len() + 1);
        let later = |name: Name| name.start((name.incarnation >> 16) + 1);
        match self.senders.get_mut(at) {
            Some(sender) => {
                sender.name = later(sender.name);
                sender.courier = courier(sender.name, self.frame_bytes);
            }
            None => {
                self.me = later(self.me);
                self.receiver = courier(self.me, self.frame_bytes);
                self.whole.clear();
                self.arrived_bytes = 0;
            }
        }
    }

    /// Time passes, and everybody does what is due on the way.
    fn pass(&mut self, time: Duration) {
        let end = self.now.after(time);
        for _ in 0..10_000 {
            let wakes = self.senders.iter().map(|sender| &sender.courier).chain([&self.receiver]);
            let next = wakes.filter_map(Courier::wake).min().filter(|next| *next <= end);
            let Some(next) = next else {
                self.now = end;
                return;
            };
            self.now = self.now.max(next);
            self.wake();
        }
        panic!("couriers are woken all the time");
    }

    fn wake(&mut self) {
        let (now, under_way, limit) = (self.now, &mut self.under_way, self.frame_bytes);
        let mut emit = |to, frame: &[u8]| post(under_way, limit, to, frame);
        let couriers = self.senders.iter_mut().map(|sender| &mut sender.courier);
        for courier in couriers.chain([&mut self.receiver]) {
            courier.handle_timeout(now, &mut emit);
            assert!(courier.wake().is_none_or(|next| next > now), "it is woken for nothing");
        }
    }

    fn check(&self) {
        let held = self.receiver.counters().reassembly_bytes;
        // Room for what was put in order grows twofold.
        let limit = REASSEMBLY_BYTES_MAX.min(2 * self.arrived_bytes);
        assert!(held <= limit, "{held} bytes are held of {} that came", self.arrived_bytes);
        for sender in &self.senders {
            let queued = sender.courier.counters().queued_bytes;
            assert!(queued <= QUEUE_BYTES_MAX, "{queued} bytes wait for one receiver");
        }
    }

    /// From now on nothing is lost or spoilt, and nothing new is sent.
    fn rest(&mut self) {
        for _ in 0..20_000 {
            while let Some(post) = self.under_way.pop_front() {
                self.deliver(post, true);
            }
            let wakes = self.senders.iter().map(|sender| &sender.courier).chain([&self.receiver]);
            let Some(next) = wakes.filter_map(Courier::wake).min() else {
                let queued: usize =
                    self.senders.iter().map(|s| s.courier.counters().queued_bytes).sum();
                let held = self.receiver.counters().reassembly_bytes;
                assert_eq!((queued, held), (0, 0), "couriers rest and hold something");
                return;
            };
            self.now = self.now.max(next);
            self.wake();
            self.check();
        }
        panic!("couriers never rest");
    }
}

/// Puts a frame under way.
fn post(under_way: &mut VecDeque<Post>, limit: usize, to: ReplicaId, frame: &[u8]) {
    assert!(frame.len() <= limit, "a frame of {} bytes leaves", frame.len());
    if under_way.len() >= UNDER_WAY_MAX {
        under_way.pop_front();
    }
    under_way.push_back(Post { to, frame: Bytes::copy_from_slice(frame) });
}
