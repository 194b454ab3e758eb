//! Tests of the frames: round trips, hostile headers, garbage.

use alloc::vec;
use alloc::vec::Vec;

use bytes::Bytes;
use quickcheck::{Arbitrary, Gen, QuickCheck, TestResult, Testable};

use super::*;
use crate::ballot::Ballot;
use crate::entry::{Batch, BatchBuilder, CommandId, Entry};
use crate::membership::{MEMBERS_MAX, Member, Membership};
use crate::message::{
    Accept, Accepted, Announcement, Behind, Canvass, CanvassAnswer, CatchUp, Chosen, Fetch,
    Fetched, Forming, Forward, ForwardAnswer, HandOver, Heartbeat, HeartbeatAnswer, Nack, Prepare,
    Promise, ReadIndex, ReadIndexAnswer, Refused, Standing,
};
use crate::quorum::{QuorumSystem, Quorums};
use crate::slot::{ALPHA, Run, Slot, Slots};

mod refused;

const CLUSTER: ClusterId = ClusterId(*b"tests of frames\0");

fn peer(replica: u32) -> Peer {
    Peer {
        replica: ReplicaId(replica),
        disk: DiskId([replica as u8; 16]),
        incarnation: Incarnation(3),
    }
}

fn frame_of(message: &Message) -> Bytes {
    let mut buffer = Vec::new();
    encode(CLUSTER, peer(1), message, &mut buffer);
    Bytes::from(buffer)
}

/// A frame whose header is these bytes, with a checksum that fits.
fn frame_with(header: &[u8], payload: &[u8]) -> Bytes {
    let mut frame = frame_of(&Message::Canvass(Canvass { sequence: 0, chosen: Slot(0) })).to_vec();
    frame.truncate(PREFIX_BYTES);
    frame[6..8].copy_from_slice(&(header.len() as u16).to_le_bytes());
    frame.extend_from_slice(header);
    frame.extend_from_slice(payload);
    sealed(frame)
}

fn sealed(mut frame: Vec<u8>) -> Bytes {
    let sum = checksum_of(&frame);
    frame[8..12].copy_from_slice(&sum.to_le_bytes());
    Bytes::from(frame)
}

fn slot(g: &mut Gen) -> Slot {
    // Both near zero and near the top: varints of every length.
    Slot((u64::arbitrary(g) >> (u32::arbitrary(g) % 64)) % (SLOT_MAX / 2))
}

fn ballot(g: &mut Gen) -> Ballot {
    let round = u64::arbitrary(g) >> (u32::arbitrary(g) % 64);
    Ballot { round, replica: ReplicaId(u32::arbitrary(g)) }
}

fn runs(g: &mut Gen, start: Slot, many: bool) -> Vec<Run> {
    let mut at = start;
    let mut runs = Vec::new();
    let mut left = if many { ALPHA } else { u64::arbitrary(g) % 8 };
    while left > 0 {
        at = at.plus(u64::arbitrary(g) % 3);
        let length = 1 + u64::arbitrary(g) % if many { 1 } else { left };
        let slots = Slots::new(at, at.plus(length));
        runs.push(Run { slots, ballot: ballot(g) });
        at = slots.end;
        left -= length;
    }
    runs
}

fn announcement(g: &mut Gen) -> Announcement {
    let (start, many) = (slot(g), u8::arbitrary(g).is_multiple_of(16));
    Announcement { chosen: slot(g), runs: runs(g, start, many).into() }
}

fn entry(g: &mut Gen) -> Entry {
    let mut batch = BatchBuilder::default();
    for _ in 0..usize::arbitrary(g) % 4 {
        let id = CommandId {
            replica: ReplicaId(u32::arbitrary(g)),
            incarnation: Incarnation(u64::arbitrary(g)),
            sequence: u64::arbitrary(g) / 2,
        };
        batch.push(id, &Vec::arbitrary(g));
    }
    batch.build().map_or(Entry::Noop, Entry::Batch)
}

fn promise(g: &mut Gen) -> Promise {
    let (start, many) = (slot(g), u8::arbitrary(g).is_multiple_of(8));
    let (accepted, faulty) = (runs(g, start, many), runs(g, start, many));
    let end = |runs: &[Run]| runs.last().map_or(start, |run| run.slots.end);
    Promise {
        ballot: ballot(g),
        slots: Slots::new(start, end(&accepted).max(end(&faulty))),
        last: bool::arbitrary(g),
        chosen: slot(g),
        accepted,
        faulty,
    }
}

fn forming(g: &mut Gen) -> Forming {
    let members = (0..u32::arbitrary(g) % (MEMBERS_MAX as u32 + 1)).map(|replica| Member {
        replica: ReplicaId(replica),
        disk: DiskId(core::array::from_fn(|_| u8::arbitrary(g))),
    });
    let members: Vec<Member> = members.collect();
    let names: Vec<ReplicaId> = members.iter().map(|member| member.replica).collect();
    let (n, accept) = (names.len() as u8, 1 + u8::arbitrary(g) % names.len().max(1) as u8);
    let system = QuorumSystem::Sizes { prepare: (n + 1).saturating_sub(accept), accept };
    let quorums = Quorums::new(&system, &names).ok();
    let members = quorums.map(|quorums| Membership::with_quorums(members, quorums).unwrap());
    Forming { members, formed: bool::arbitrary(g) }
}

const KINDS: usize = 22;

fn message(g: &mut Gen, kind: usize) -> Message {
    let (ballot_a, ballot_b, slot_a, chosen) = (ballot(g), ballot(g), slot(g), slot(g));
    let sequence = u64::arbitrary(g);
    match kind {
        0 => Message::Prepare(Prepare { ballot: ballot_a, first: slot_a }),
        1 => promise(g).into(),
        2 => Message::Nack(Nack { ballot: ballot_a, promised: ballot_b, chosen }),
        3 => Message::Accept(Accept {
            ballot: ballot_a,
            slot: slot_a,
            entry: entry(g),
            announcement: announcement(g),
        }),
        4 => {
            let slots = Slots::new(slot_a, slot_a.plus(1 + sequence % ALPHA));
            Message::Accepted(Accepted { ballot: ballot_a, slots, chosen })
        }
        5 => Message::Behind(Behind { ballot: ballot_a, chosen }),
        6 => Message::Heartbeat(Heartbeat {
            ballot: ballot_a,
            sequence,
            announcement: announcement(g),
        }),
        7 => Message::HeartbeatAnswer(HeartbeatAnswer {
            ballot: ballot_a,
            sequence,
            end: slot_a,
            start: Standing { promised: ballot_b, end: slot(g) },
            chosen,
            priority: u8::arbitrary(g),
        }),
        8 => Message::Canvass(Canvass { sequence, chosen }),
        9 => Message::from(CanvassAnswer {
            sequence,
            yes: bool::arbitrary(g),
            promised: ballot_a,
            leader: bool::arbitrary(g).then_some(ballot_b),
            start: Standing { promised: ballot_b, end: slot_a },
            chosen,
        }),
        10 => Message::Fetch(Fetch { slot: slot_a, ballot: ballot_a }),
        11 => {
            let proposal = bool::arbitrary(g).then(|| (ballot_a, entry(g)));
            Message::Fetched(Fetched { slot: slot_a, proposal, chosen })
        }
        12 => {
            let slots = Slots::new(slot_a, slot_a.plus(sequence % (CATCH_UP_SLOTS_MAX + 1)));
            Message::CatchUp(CatchUp { slots, chosen })
        }
        13 => Message::Chosen(Chosen { slot: slot_a, ballot: ballot_a, entry: entry(g), chosen }),
        14 => Message::Forming(forming(g)),
        15 => Message::Refused(Refused {
            incarnation: Incarnation(sequence),
            before: Standing { promised: ballot_a, end: slot_a },
        }),
        _ => service(g, kind),
    }
}

/// What clients are served by.
fn service(g: &mut Gen, kind: usize) -> Message {
    let (ballot, incarnation) = (ballot(g), Incarnation(u64::arbitrary(g)));
    let (number, slot_a, chosen) = (u64::arbitrary(g), slot(g), slot(g));
    match kind {
        16 => {
            let batch = loop {
                if let Entry::Batch(batch) = entry(g) {
                    break batch;
                }
            };
            Forward { ballot, after: number, limit: slot_a, batch, chosen }.into()
        }
        17 => {
            let announcement = announcement(g);
            let (taken, next) = (number, slot_a);
            ForwardAnswer { ballot, incarnation, taken, next, announcement }.into()
        }
        18 => ReadIndex { ballot, reads: number, chosen }.into(),
        19 => HandOver { ballot, sequence: number, announcement: announcement(g) }.into(),
        20 => announcement(g).into(),
        _ => {
            let (reads, index, announcement) = (number, slot_a, announcement(g));
            ReadIndexAnswer { incarnation, reads, index, announcement }.into()
        }
    }
}

#[derive(Clone, Debug)]
struct AnyMessage(Message);

impl Arbitrary for AnyMessage {
    fn arbitrary(g: &mut Gen) -> Self {
        let kind = usize::arbitrary(g) % KINDS;
        Self(message(g, kind))
    }
}

fn check(property: impl Testable) {
    QuickCheck::new().rng(generator()).quickcheck(property);
}

fn generator() -> Gen {
    Gen::from_size_and_seed(100, 0x5eed)
}

#[test]
fn every_message_comes_back_as_it_was() {
    fn property(any: AnyMessage, mut buffer: Vec<u8>) -> bool {
        encode(CLUSTER, peer(7), &any.0, &mut buffer);
        let frame = Bytes::from(buffer);
        claimed_sender(&frame) == Some(ReplicaId(7))
            && decode(CLUSTER, frame) == Ok((peer(7), Body::Message(any.0)))
    }
    check(property as fn(AnyMessage, Vec<u8>) -> bool);
}

#[test]
fn bytes_behind_a_message_are_refused() {
    fn property(any: AnyMessage) -> bool {
        let mut frame = frame_of(&any.0).to_vec();
        frame.push(0);
        decode(CLUSTER, sealed(frame)).is_err()
    }
    check(property as fn(AnyMessage) -> bool);
}

#[test]
fn garbage_is_refused() {
    fn property(garbage: Vec<u8>) -> bool {
        decode(CLUSTER, Bytes::from(garbage)).is_err()
    }
    check(property as fn(Vec<u8>) -> bool);
}

/// What a header decodes to, whatever its bytes, can be said again, and then means the same.
#[test]
fn any_header_is_refused_or_can_be_said_again() {
    fn property(header: Vec<u8>, payload: Vec<u8>) -> TestResult {
        match decode(CLUSTER, frame_with(&header, &payload)) {
            Ok((_, Body::Message(message))) => {
                let again = decode(CLUSTER, frame_of(&message));
                TestResult::from_bool(again == Ok((peer(1), Body::Message(message))))
            }
            Ok(_) => TestResult::passed(),
            Err(_) => TestResult::discard(),
        }
    }
    check(property as fn(Vec<u8>, Vec<u8>) -> TestResult);
}

#[test]
fn a_damaged_header_with_a_fitting_checksum_never_panics() {
    let mut g = generator();
    let mut taken = 0;
    for round in 0..20_000 {
        let mut frame = frame_of(&message(&mut g, round % KINDS)).to_vec();
        let at = PREFIX_BYTES + usize::arbitrary(&mut g) % (frame.len() - PREFIX_BYTES);
        frame[at] = u8::arbitrary(&mut g);
        if let Ok((_, Body::Message(message))) = decode(CLUSTER, sealed(frame)) {
            taken += 1;
            frame_of(&message);
        }
    }
    assert!(taken > 100, "the damage is too coarse to test anything: {taken} were taken");
}

#[test]
fn the_generators_make_every_kind() {
    let mut g = generator();
    let names: alloc::collections::BTreeSet<_> =
        (0..KINDS).map(|kind| message(&mut g, kind).name()).collect();
    assert_eq!(names.len(), KINDS);
}

#[test]
fn the_payload_is_a_slice_of_the_frame() {
    let mut batch = BatchBuilder::default();
    let id = CommandId { replica: ReplicaId(1), incarnation: Incarnation(1), sequence: 0 };
    batch.push(id, &[7; 5000]);
    let entry = batch.build().map_or(Entry::Noop, Entry::Batch);
    let sent = Chosen { slot: Slot(4), ballot: Ballot::ZERO, entry, chosen: Slot(5) };
    let frame = frame_of(&Message::Chosen(sent));
    let within = frame.as_ptr_range();
    let Ok((_, Body::Message(Message::Chosen(chosen)))) = decode(CLUSTER, frame) else {
        panic!("a frame of our own is refused")
    };
    assert!(within.contains(&chosen.entry.payload().as_ptr()), "the payload was copied");
}

#[test]
fn errors_tell_a_newer_version_a_foreign_cluster_and_damage_apart() {
    let frame = frame_of(&Message::Canvass(Canvass { sequence: 1, chosen: Slot(2) })).to_vec();
    let decoded = |frame: Vec<u8>| decode(CLUSTER, Bytes::from(frame)).map(|_| ());

    let mut newer = frame.clone();
    newer[4] = WIRE_VERSION + 1;
    assert_eq!(decoded(newer[..5].to_vec()), Err(FrameError::Version { found: WIRE_VERSION + 1 }));
    assert_eq!(decoded(newer), Err(FrameError::Version { found: WIRE_VERSION + 1 }));

    let mut other = frame.clone();
    other[0] ^= 1;
    assert_eq!(decoded(other), Err(FrameError::Magic));

    let mut damaged = frame.clone();
    damaged[20] ^= 1;
    assert_eq!(decoded(damaged.clone()), Err(FrameError::Checksum));
    let foreign = decode(CLUSTER, sealed(damaged));
    assert!(matches!(foreign, Err(FrameError::Cluster { found }) if found != CLUSTER));

    assert_eq!(decoded(vec![]), Err(FrameError::TooShort { bytes: 0 }));
    assert_eq!(decoded(frame[..40].to_vec()), Err(FrameError::TooShort { bytes: 40 }));
    let long = FRAME_BYTES_MAX + 1;
    assert_eq!(decoded(vec![0; long]), Err(FrameError::TooLong { bytes: long }));

    let mut reserved = frame;
    reserved[5] = 1;
    let refused = decode(CLUSTER, sealed(reserved));
    assert_eq!(refused, Err(FrameError::Bounds { what: "a reserved byte is not zero" }));
}

#[test]
fn the_longest_headers_fit() {
    let high = Slot(SLOT_MAX - 2 * ALPHA);
    let ballot = Ballot { round: u64::MAX, replica: ReplicaId(u32::MAX) };
    let runs: Vec<Run> =
        (0..ALPHA).map(|i| Run { slots: Slots::one(high.plus(2 * i)), ballot }).collect();
    let promise = Promise {
        ballot,
        slots: Slots::new(high, high.plus(2 * ALPHA)),
        last: true,
        chosen: high,
        accepted: runs.clone(),
        faulty: runs,
    };
    // Gaps of any length would make the header longer, but the slots end at SLOT_MAX.
    let frame = frame_of(&Message::from(promise));
    assert!(decode(CLUSTER, frame.clone()).is_ok());
    let gaps = 2 * ALPHA as usize * 9;
    assert!(frame.len() + gaps <= FRAME_OVERHEAD, "{} is too little", FRAME_OVERHEAD);

    let mut buffer = Vec::new();
    let fragment = Fragment {
        to: ReplicaId(u32::MAX),
        number: u64::MAX,
        oldest: u64::MAX,
        total_bytes: u32::MAX,
        piece_bytes: u32::MAX,
        index: u32::MAX,
        bytes: Bytes::new(),
    };
    encode_fragment(CLUSTER, peer(1), &fragment, &mut buffer);
    assert!(buffer.len() - PREFIX_BYTES <= SMALL_HEADER_BYTES_MAX);
    let acknowledgement = Acknowledgement {
        to: ReplicaId(u32::MAX),
        incarnation: Incarnation(u64::MAX),
        number: u64::MAX,
        arrived: u32::MAX,
        ahead: [u64::MAX; 4],
    };
    encode_acknowledgement(CLUSTER, peer(1), &acknowledgement, &mut buffer);
    assert!(buffer.len() - PREFIX_BYTES <= SMALL_HEADER_BYTES_MAX);
    let back = decode(CLUSTER, Bytes::from(buffer));
    assert_eq!(back, Ok((peer(1), Body::Acknowledgement(acknowledgement))));
}

#[test]
fn a_batch_stays_a_batch_and_a_noop_a_noop() {
    let bytes = {
        let mut batch = BatchBuilder::default();
        let id = CommandId { replica: ReplicaId(1), incarnation: Incarnation(1), sequence: 0 };
        batch.push(id, b"");
        batch.build().map(|batch: Batch| batch.bytes().clone()).unwrap_or_default()
    };
    for payload in [Bytes::new(), bytes] {
        let entry = Entry::from_payload(payload.clone()).unwrap();
        let proposal = Some((Ballot::ZERO, entry));
        let sent = Message::Fetched(Fetched { slot: Slot(1), proposal, chosen: Slot(0) });
        assert_eq!(decode(CLUSTER, frame_of(&sent)), Ok((peer(1), Body::Message(sent))));
    }
}
