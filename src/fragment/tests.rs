//! Long messages over a bad network, by a clock of their own.

mod hostile;

use alloc::vec;
use alloc::vec::Vec;

use oorandom::Rand32;

use super::*;
use crate::ballot::Ballot;
use crate::entry::{BatchBuilder, CommandId, ENTRY_BYTES_MAX, Entry};
use crate::membership::{DiskId, Incarnation};
use crate::message::{Accept, Announcement, Canvass, Chosen, Fetched, Forward, Prepare};
use crate::slot::{Run, Slot, Slots};

const CLUSTER: ClusterId = ClusterId(*b"couriers\0\0\0\0\0\0\0\0");
const FRAME: usize = 1200;
const MIB: usize = 1 << 20;

fn peer(replica: u32, incarnation: u64) -> Peer {
    let disk = DiskId([replica as u8; 16]);
    Peer { replica: ReplicaId(replica), disk, incarnation: Incarnation(incarnation) }
}

fn courier(replica: u32, incarnation: u64) -> Courier {
    Courier::new(CLUSTER, peer(replica, incarnation), FRAME).unwrap()
}

/// An entry of one command of that many bytes, each of them made from `seed`.
fn entry(seed: u32, command_bytes: usize) -> Entry {
    let mut random = Rand32::new(u64::from(seed));
    let command: Vec<u8> = (0..command_bytes.div_ceil(4))
        .flat_map(|_| random.rand_u32().to_le_bytes())
        .take(command_bytes)
        .collect();
    let mut batch = BatchBuilder::default();
    let id = CommandId { replica: ReplicaId(1), incarnation: Incarnation(1), sequence: 0 };
    batch.push(id, &command);
    Entry::Batch(batch.build().unwrap())
}

fn accept(slot: u64, command_bytes: usize) -> Message {
    Message::Accept(Accept {
        ballot: Ballot { round: 1, replica: ReplicaId(1) },
        slot: Slot(slot),
        entry: entry(slot as u32, command_bytes),
        announcement: Announcement::default(),
    })
}

/// What a network does to frames.
#[derive(Clone, Copy)]
struct Weather {
    loss_percent: u32,
    twice_percent: u32,
    delay_millis: u64,
    /// Up to so many milliseconds more, at random: frames overtake one another.
    jitter_millis: u32,
}

const CALM: Weather =
    Weather { loss_percent: 0, twice_percent: 0, delay_millis: 10, jitter_millis: 0 };
const ROUGH: Weather =
    Weather { loss_percent: 5, twice_percent: 5, delay_millis: 10, jitter_millis: 10 };

/// Two couriers, replicas 1 and 2, and the network between them.
struct Link {
    now: Instant,
    weather: Weather,
    random: Rand32,
    couriers: [Courier; 2],
    /// Frames on their way: when they arrive and their number, then at which courier.
    flying: BTreeMap<(Instant, u64), (usize, Vec<u8>)>,
    flown: u64,
    received: Vec<(Instant, usize, Peer, Message)>,
    refused: Vec<FrameError>,
    frame_bytes_max: usize,
    sent_frames: u64,
}

impl Link {
    fn new(seed: u64, weather: Weather) -> Self {
        Self {
            now: Instant::from_millis(1000),
            weather,
            random: Rand32::new(seed),
            couriers: [courier(1, 1), courier(2, 1)],
            flying: BTreeMap::new(),
            flown: 0,
            received: Vec::new(),
            refused: Vec::new(),
            frame_bytes_max: FRAME,
            sent_frames: 0,
        }
    }

    fn post(&mut self, frames: Vec<(ReplicaId, Vec<u8>)>) {
        for (to, frame) in frames {
            assert!(frame.len() <= self.frame_bytes_max, "a frame of {} bytes", frame.len());
            self.sent_frames += 1;
            let copies = 1 + u32::from(self.random.rand_range(0..100) < self.weather.twice_percent);
            for _ in 0..copies {
                if self.random.rand_range(0..100) < self.weather.loss_percent {
                    continue;
                }
                let jitter = self.random.rand_range(0..self.weather.jitter_millis * 1000 + 1);
                let delay = self.weather.delay_millis * 1000 + u64::from(jitter);
                let at = self.now.after(Duration::from_micros(delay));
                self.flown += 1;
                self.flying.insert((at, self.flown), (to.0 as usize - 1, frame.clone()));
            }
        }
    }

    fn send(&mut self, from: usize, message: &Message) {
        let to = Replicas::one(ReplicaId(2 - from as u32));
        let mut frames = Vec::new();
        let mut emit = |to: ReplicaId, frame: &[u8]| frames.push((to, frame.to_vec()));
        self.couriers[from].send(self.now, &to, message, &mut emit);
        self.post(frames);
    }

    /// When something happens next.
    fn next(&self) -> Option<Instant> {
        let wakes = self.couriers.iter().filter_map(Courier::wake);
        wakes.chain(self.flying.keys().next().map(|(at, _)| *at)).min()
    }

    /// Does the next thing that happens. False if nothing is left to happen.
    fn step(&mut self) -> bool {
        let arrival = self.flying.keys().next().map(|(at, _)| *at);
        let Some(next) = self.next() else { return false };
        self.now = self.now.max(next);
        let mut frames = Vec::new();
        let mut emit = |to: ReplicaId, frame: &[u8]| frames.push((to, frame.to_vec()));
        if arrival == Some(next) {
            let (_, (at, frame)) = self.flying.pop_first().unwrap();
            match self.couriers[at].receive(self.now, Bytes::from(frame), &mut emit) {
                Ok(Some((from, message))) => self.received.push((self.now, at, from, message)),
                Ok(None) => {}
                Err(error) => self.refused.push(error),
            }
        } else {
            for courier in &mut self.couriers {
                courier.handle_timeout(self.now, &mut emit);
                let wake = courier.wake();
                assert!(wake.is_none_or(|at| at > self.now), "a busy loop at {}", self.now);
            }
        }
        self.post(frames);
        true
    }

    /// Runs until so many messages were received, or for so long. Tells how long it took.
    fn run(&mut self, messages: usize, most: Duration) -> Duration {
        let start = self.now;
        let in_time = |next: Option<Instant>| next.is_some_and(|at| at.since(start) <= most);
        while self.received.len() < messages && in_time(self.next()) {
            self.step();
        }
        self.now.since(start)
    }

    fn messages(&self) -> Vec<&Message> {
        self.received.iter().map(|(.., message)| message).collect()
    }
}

#[test]
fn a_short_message_is_one_frame_to_each() {
    let message = Message::Canvass(Canvass { sequence: 1, chosen: Slot(2) });
    let to = [2, 3].into_iter().map(ReplicaId).collect();
    let mut frames = Vec::new();
    let mut sender = courier(1, 1);
    sender.send(Instant::ZERO, &to, &message, &mut |to, frame| frames.push((to, frame.to_vec())));
    assert_eq!(frames.iter().map(|(to, _)| to.0).collect::<Vec<_>>(), [2, 3]);
    assert_eq!(frames[0].1, frames[1].1);
    let frame = Bytes::from(frames.remove(0).1);
    let received = courier(2, 1).receive(Instant::ZERO, frame, &mut |_, _| panic!("no answer"));
    assert_eq!(received, Ok(Some((peer(1, 1), message))));
    assert_eq!((sender.wake(), sender.counters().frames_sent), (None, 2));
}

#[test]
fn a_mebibyte_arrives_within_five_seconds_at_five_percent_loss() {
    let message = accept(7, MIB);
    let mut longest = Duration::ZERO;
    for seed in 0..200 {
        let mut link = Link::new(seed, ROUGH);
        link.send(0, &message);
        let took = link.run(1, Duration::from_secs(5));
        longest = longest.max(took);
        assert_eq!(link.messages(), [&message], "seed {seed} after {took:?}");
        assert_eq!(link.received[0].2, peer(1, 1));
        assert_eq!(link.refused, [], "seed {seed}");
    }
    std::println!("the slowest of 200 took {longest:?}");
}

#[test]
fn a_mebibyte_arrives_in_the_end_at_twenty_percent_loss() {
    let message = accept(7, MIB);
    for seed in 0..20 {
        let mut link = Link::new(seed, Weather { loss_percent: 20, ..ROUGH });
        link.send(0, &message);
        link.run(1, Duration::from_secs(60));
        assert_eq!(link.messages(), [&message], "seed {seed}");
    }
}

#[test]
fn nothing_is_left_once_a_message_has_arrived() {
    let mut link = Link::new(5, ROUGH);
    link.send(0, &accept(7, MIB));
    while link.step() {}
    assert_eq!(link.received.len(), 1);
    let (sender, receiver) = (link.couriers[0].counters(), link.couriers[1].counters());
    assert_eq!((sender.queued_bytes, receiver.reassembly_bytes), (0, 0));
    assert_eq!((sender.messages_queued, receiver.messages_reassembled), (1, 1));
    assert_eq!((sender.dropped_silent, receiver.dropped_unfinished), (0, 0));
    assert!(sender.fragments_resent > 0 && receiver.fragments_repeated > 0, "{sender:?}");
    // Few pieces travel in vain, although frames overtake one another all the time.
    assert!(sender.fragments_resent < sender.fragments_sent / 5, "{sender:?}");
    let answers = receiver.acknowledgements_sent;
    assert!(answers <= receiver.fragments_received, "{receiver:?}");
}

#[test]
fn in_calm_weather_nothing_is_sent_twice() {
    let mut link = Link::new(1, CALM);
    link.send(0, &accept(7, MIB));
    while link.step() {}
    let (sender, receiver) = (link.couriers[0].counters(), link.couriers[1].counters());
    assert_eq!((sender.fragments_resent, receiver.fragments_repeated), (0, 0));
    assert!(receiver.acknowledgements_sent <= sender.fragments_sent / 4, "{receiver:?}");
}

#[test]
fn an_overtaken_piece_is_sent_again_before_the_others_are_late() {
    let (mut sender, mut receiver) = (courier(1, 1), courier(2, 1));
    let millis = |millis: u64| Instant::ZERO.after(Duration::from_millis(millis));
    let (mut pieces, mut answers) = (Vec::new(), Vec::new());
    let to = Replicas::one(ReplicaId(2));
    sender.send(millis(0), &to, &accept(1, 20_000), &mut |_, frame| {
        pieces.push(Bytes::copy_from_slice(frame));
    });
    assert!(pieces.len() > 10);
    pieces.remove(2);
    for piece in pieces {
        let mut answer = |_, frame: &[u8]| answers.push(Bytes::copy_from_slice(frame));
        assert_eq!(receiver.receive(millis(50), piece, &mut answer), Ok(None));
    }
    // What the receiver owes yet.
    receiver.handle_timeout(millis(60), &mut |_, frame| {
        answers.push(Bytes::copy_from_slice(frame));
    });
    let mut again = 0;
    for answer in answers {
        assert_eq!(sender.receive(millis(100), answer, &mut |_, _| again += 1), Ok(None));
    }
    // The path takes 100 ms both ways. A piece that is not overtaken has 200 ms more.
    let wake = sender.wake().unwrap();
    assert!(again == 0 && wake > millis(100) && wake < millis(200), "{again} at {wake}");
    sender.handle_timeout(wake, &mut |_, _| again += 1);
    assert_eq!((again, sender.counters().fragments_resent), (1, 1));
}

/// As TCP does: the usual round trip, and four times what it may deviate.
#[test]
fn a_piece_is_late_after_the_usual_round_trip_and_four_deviations() {
    let (mut sender, mut receiver) = (courier(1, 1), courier(2, 1));
    let millis = |millis: u64| Instant::ZERO.after(Duration::from_millis(millis));
    let to = Replicas::one(ReplicaId(2));
    let (mut pieces, mut answers) = (Vec::new(), Vec::new());
    sender.send(millis(0), &to, &accept(1, 2000), &mut |_, frame| {
        pieces.push(Bytes::copy_from_slice(frame));
    });
    assert_eq!(pieces.len(), 2);
    for piece in pieces {
        let mut answer = |_, frame: &[u8]| answers.push(Bytes::copy_from_slice(frame));
        receiver.receive(millis(50), piece, &mut answer).unwrap();
    }
    assert_eq!(answers.len(), 1);
    sender.receive(millis(100), answers.remove(0), &mut |_, _| {}).unwrap();
    // The first round trip, of 100 ms, may deviate by its half; the next one is alike.
    sender.send(millis(1000), &to, &accept(2, 2000), &mut |_, _| {});
    let wake = sender.wake().unwrap();
    assert!(
        wake > millis(1000 + 100 + 4 * 45) && wake <= millis(1000 + 100 + 4 * 50 + 5),
        "{wake}"
    );
}

#[test]
fn many_messages_are_under_way_together() {
    let messages: Vec<_> = (0..100).map(|slot| accept(slot, 4000)).collect();
    let mut link = Link::new(3, CALM);
    messages.iter().for_each(|message| link.send(0, message));
    // One after the other they would take 100 round trips of 20 ms.
    let took = link.run(100, Duration::from_secs(5));
    assert_eq!(link.received.len(), 100);
    assert!(took < Duration::from_millis(400), "{took:?}");

    for seed in 0..20 {
        let mut link = Link::new(seed, ROUGH);
        messages.iter().for_each(|message| link.send(0, message));
        while link.step() {}
        let mut slots = link.messages();
        slots.sort_by_key(|message| {
            let Message::Accept(accept) = message else { panic!("{message:?}") };
            accept.slot
        });
        assert_eq!(slots, messages.iter().collect::<Vec<_>>(), "seed {seed}");
    }
}

#[test]
fn both_ways_at_once_and_the_longest_entry() {
    let mut link = Link::new(9, ROUGH);
    let overhead = crate::entry::COMMAND_OVERHEAD_BYTES;
    let longest = accept(1, ENTRY_BYTES_MAX - overhead);
    let others = [accept(2, 30_000), accept(3, 2_000_000), accept(4, 5_000)];
    link.send(0, &longest);
    others.iter().for_each(|message| link.send(0, message));
    link.send(1, &longest);
    link.run(5, Duration::from_secs(60));
    assert_eq!(link.received.iter().filter(|(_, at, ..)| *at == 1).count(), 4);
    assert!(link.received.iter().any(|(_, at, _, message)| *at == 0 && *message == longest));
}

#[test]
fn no_more_than_a_window_is_on_its_way() {
    let (mut sender, mut bytes) = (courier(1, 1), 0);
    let to = Replicas::one(ReplicaId(2));
    for slot in 0..4 {
        sender.send(Instant::ZERO, &to, &accept(slot, 100_000), &mut |_, f| bytes += f.len());
    }
    assert!(bytes > WINDOW_BYTES / 2, "{bytes}");
    assert!(bytes < WINDOW_BYTES * 9 / 8, "{bytes}");
}

#[test]
fn a_restarted_receiver_gets_the_message_from_the_start() {
    for seed in 0..50 {
        let message = accept(7, 400_000);
        let mut link = Link::new(seed, ROUGH);
        link.send(0, &message);
        link.run(1, Duration::from_millis(20 + seed * 4));
        assert!(link.received.is_empty());
        link.couriers[1] = courier(2, 2);
        link.run(1, Duration::from_secs(5));
        assert_eq!(link.messages(), [&message], "seed {seed}");
    }
}

#[test]
fn a_restarted_sender_does_not_mix_messages() {
    for seed in 0..50 {
        let (before, after) = (accept(7, 300_000), accept(8, 300_000));
        let mut link = Link::new(seed, ROUGH);
        link.send(0, &before);
        link.run(1, Duration::from_millis(20 + seed * 2));
        assert!(link.received.is_empty());
        // Both lives number from 0, and both messages have the same length.
        link.couriers[0] = courier(1, 2);
        link.send(0, &after);
        link.run(1, Duration::from_secs(5));
        assert_eq!(link.messages(), [&after], "seed {seed}");
        assert_eq!(link.received[0].2, peer(1, 2));
        assert_eq!(link.couriers[1].counters().dropped_unfinished, 1);
    }
}

#[test]
fn the_same_message_is_not_under_way_twice() {
    let mut link = Link::new(1, CALM);
    link.send(0, &accept(7, MIB));
    link.send(0, &accept(7, MIB));
    // A resend that announces more is the same message: ballot and slot name the entry.
    let mut later = accept(7, MIB);
    if let Message::Accept(accept) = &mut later {
        let slots = Slots::one(Slot(6));
        accept.announcement = Announcement {
            chosen: Slot(7),
            runs: vec![Run { slots, ballot: accept.ballot }].into(),
        };
    }
    link.send(0, &later);
    let counters = link.couriers[0].counters();
    assert_eq!((counters.messages_queued, counters.messages_merged), (1, 2));
    assert!(counters.queued_bytes < 2 * MIB);
    while link.step() {}
    assert_eq!(link.received.len(), 1);
    // Once it has arrived, a resend is sent: the answer may have been lost.
    link.send(0, &accept(7, MIB));
    while link.step() {}
    assert_eq!(link.received.len(), 2);
}

#[test]
fn other_messages_about_the_same_slot_are_not_the_same() {
    let mut link = Link::new(1, CALM);
    let (ballot, higher) =
        (Ballot { round: 1, replica: ReplicaId(1) }, Ballot { round: 2, replica: ReplicaId(1) });
    let (slot, chosen, entry) = (Slot(7), Slot(8), entry(7, 5000));
    let accept = |ballot, slot| {
        let (entry, announcement) = (entry.clone(), Announcement::default());
        Message::Accept(Accept { ballot, slot, entry, announcement })
    };
    let fetched = Fetched { slot, proposal: Some((ballot, entry.clone())), chosen };
    let messages = [
        accept(ballot, slot),
        accept(higher, slot),
        accept(ballot, Slot(8)),
        Message::Fetched(fetched),
        Message::Chosen(Chosen { slot, ballot, entry: entry.clone(), chosen }),
    ];
    messages.iter().for_each(|message| link.send(0, message));
    assert_eq!(link.couriers[0].counters().messages_merged, 0);
    while link.step() {}
    assert_eq!(link.received.len(), messages.len());
}

#[test]
fn a_full_queue_drops_and_counts() {
    let mut link = Link::new(1, CALM);
    (0..20).for_each(|slot| link.send(0, &accept(slot, MIB)));
    let counters = link.couriers[0].counters();
    assert!(counters.queued_bytes <= QUEUE_BYTES_MAX);
    assert_eq!((counters.messages_queued, counters.dropped_full), (15, 5));
    while link.step() {}
    assert_eq!(link.received.len(), 15);
    // Small messages are bounded by their number.
    let mut link = Link::new(1, CALM);
    (0..1200).for_each(|slot| link.send(0, &accept(slot, 1400)));
    assert_eq!(link.couriers[0].counters().dropped_full, 1200 - QUEUE_MESSAGES_MAX as u64);
    while link.step() {}
    assert_eq!(link.received.len(), QUEUE_MESSAGES_MAX);
}

#[test]
fn a_silent_receiver_is_given_up_and_heard_again() {
    let mut link = Link::new(1, Weather { loss_percent: 100, ..CALM });
    let start = link.now;
    link.send(0, &accept(1, MIB));
    link.send(0, &accept(2, MIB));
    while link.step() {}
    let counters = link.couriers[0].counters();
    assert_eq!((counters.dropped_silent, counters.queued_bytes), (2, 0));
    assert_eq!(link.now.since(start), GIVE_UP);
    // A window at first, and again some eight times, ever more slowly.
    assert!(link.sent_frames < 12 * 64, "{}", link.sent_frames);
    link.weather = CALM;
    let message = accept(3, MIB);
    link.send(0, &message);
    while link.step() {}
    assert_eq!(link.messages(), [&message]);
}

#[test]
fn the_pieces_of_a_silent_sender_are_forgotten() {
    let mut link = Link::new(1, CALM);
    link.send(0, &accept(1, MIB));
    link.run(1, Duration::from_millis(100));
    assert!(link.couriers[1].counters().reassembly_bytes > 0);
    link.weather.loss_percent = 100;
    while link.step() {}
    let counters = link.couriers[1].counters();
    assert_eq!((counters.reassembly_bytes, counters.dropped_unfinished), (0, 1));
}

#[test]
fn a_message_that_was_given_up_makes_room_for_the_next() {
    let mut link = Link::new(1, CALM);
    link.send(0, &accept(1, MIB));
    link.run(1, Duration::from_millis(100));
    link.weather.loss_percent = 100;
    link.run(1, Duration::from_millis(5200));
    assert_eq!(link.couriers[0].counters().dropped_silent, 1);
    assert!(link.couriers[1].counters().reassembly_bytes > 0);
    link.weather = CALM;
    let message = accept(2, 10_000);
    link.send(0, &message);
    link.run(1, Duration::from_secs(1));
    assert_eq!(link.messages(), [&message]);
    let counters = link.couriers[1].counters();
    assert_eq!((counters.reassembly_bytes, counters.dropped_unfinished), (0, 1));
}

#[test]
fn more_receivers_than_have_room_are_refused_until_others_are_idle() {
    let mut sender = courier(1, 1);
    let mut send = |now, replica| {
        let to = Replicas::one(ReplicaId(replica));
        sender.send(now, &to, &accept(1, 5000), &mut |_, _| {});
        sender.handle_timeout(now, &mut |_, _| {});
        sender.counters()
    };
    let full = (2..30).map(|replica| send(Instant::ZERO, replica)).last().unwrap();
    assert_eq!((full.messages_queued, full.dropped_full), (PEERS_MAX as u64, 12));
    // All are silent, and given up after a while.
    send(Instant::from_millis(6000), 2);
    assert_eq!(send(Instant::from_millis(6000), 30).dropped_full, 12);
}

#[test]
fn a_receiver_that_gets_its_place_back_is_sent_no_number_twice() {
    // Other receivers take its place meanwhile. It remembers what it had under every number, and
    // would take the next message for one that it has.
    let mut link = Link::new(1, CALM);
    link.send(0, &accept(1, 10_000));
    link.run(2, Duration::from_secs(1));
    for replica in 3..3 + PEERS_MAX as u32 {
        let to = Replicas::one(ReplicaId(replica));
        link.couriers[0].send(link.now, &to, &accept(1, 10_000), &mut |_, _| {});
    }
    assert_eq!(link.couriers[0].counters().dropped_full, 0);
    // The others are silent, and given up.
    link.now = link.now.after(Duration::from_secs(6));
    link.couriers[0].handle_timeout(link.now, &mut |_, _| {});
    link.send(0, &accept(2, 10_000));
    link.run(2, Duration::from_secs(1));
    let both = [&accept(1, 10_000), &accept(2, 10_000)];
    assert!(link.messages() == both, "{} messages came", link.messages().len());
}

#[test]
fn a_transport_of_tiny_frames_is_refused() {
    let new = |bytes| Courier::new(CLUSTER, peer(1, 1), bytes).map(|_| ());
    assert_eq!(new(391), Err(FrameError::Transport { bytes: 391, least: 392 }));
    assert_eq!(new(392), Ok(()));
    assert_eq!(new(usize::MAX), Ok(()));
    // The shortest frames carry long messages too.
    let mut link = Link::new(4, ROUGH);
    link.couriers[0] = Courier::new(CLUSTER, peer(1, 1), 392).unwrap();
    let message = accept(1, 200_000);
    link.send(0, &message);
    while link.step() {}
    assert_eq!(link.messages(), [&message]);
}

#[test]
fn long_frames_carry_long_messages_too() {
    let mut link = Link::new(4, ROUGH);
    link.frame_bytes_max = 60_000;
    link.couriers = [1, 2]
        .map(|replica| Courier::new(CLUSTER, peer(replica, 1), link.frame_bytes_max).unwrap());
    let messages = [accept(1, MIB), accept(2, 60_000)];
    messages.iter().for_each(|message| link.send(0, message));
    while link.step() {}
    assert_eq!(link.received.len(), 2);
    assert!(link.messages().contains(&&messages[0]) && link.messages().contains(&&messages[1]));
}

#[test]
fn the_same_seed_gives_the_same_frames() {
    let trace = |seed| {
        let mut link = Link::new(seed, ROUGH);
        (0..5).for_each(|slot| link.send(slot as usize % 2, &accept(slot, 50_000)));
        while link.step() {}
        (link.now, link.sent_frames, link.couriers[0].counters(), link.couriers[1].counters())
    };
    assert_eq!(trace(1), trace(1));
    assert_ne!(trace(1), trace(2));
}

#[test]
fn a_prepare_is_short() {
    // What elections say never waits behind long messages.
    let ballot = Ballot { round: u64::MAX, replica: ReplicaId(u32::MAX) };
    let mut buffer = Vec::new();
    let message = Message::Prepare(Prepare { ballot, first: Slot(u64::MAX / 8) });
    wire::encode(CLUSTER, peer(1, 1), &message, &mut buffer);
    assert!(buffer.len() <= 128, "{}", buffer.len());
}

#[test]
fn the_same_commands_forwarded_again_are_the_same_message() {
    // With a higher limit: the pieces of the first sending do as well.
    let Entry::Batch(batch) = entry(1, 10) else { panic!("a batch") };
    let (ballot, after) = (Ballot { round: 1, replica: ReplicaId(1) }, 0);
    let forward = |limit| Forward { ballot, after, limit, batch: batch.clone(), chosen: Slot(0) };
    let keys = [9, 99].map(|limit| sending::Key::of(&forward(Slot(limit)).into()));
    assert_eq!(keys, [sending::Key::Forward(ballot, 0); 2]);
    let asked = Message::from(Canvass { sequence: 1, chosen: Slot(0) });
    assert_eq!(sending::Key::of(&asked), sending::Key::Bytes);
}
