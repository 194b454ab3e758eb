//! The wire format, held by frames kept in the repository: one of every kind of message and of
//! every other kind of frame. `REWRITE=1 cargo test --test wire_golden` writes them anew; until the
//! first release a change may do so, and says why.

#![expect(clippy::unwrap_used, reason = "a test stops where something is wrong")]

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Once;
use std::{env, fs};

use bytes::Bytes;
use synod::ballot::Ballot;
use synod::checksum;
use synod::entry::{BatchBuilder, CommandId, Entry};
use synod::fragment::Courier;
use synod::membership::{
    ClusterId, DiskId, Incarnation, Member, Membership, Peer, ReplicaId, Replicas,
};
use synod::message::{
    Accept, Accepted, Announcement, Behind, Canvass, CanvassAnswer, CatchUp, Chosen, Fetch,
    Fetched, Forming, Forward, ForwardAnswer, HandOver, Heartbeat, HeartbeatAnswer, Message, Nack,
    Prepare, Promise, ReadIndex, ReadIndexAnswer, Refused, Standing,
};
use synod::quorum::{QuorumSystem, Quorums};
use synod::slot::{Run, Slot, Slots};
use synod::time::Instant;
use synod::wire::{self, Body, FrameError, WIRE_VERSION};

const CLUSTER: ClusterId = ClusterId(*b"golden frames\0\0\0");

/// The sender of the frames, by way of a frame that is written here byte by byte: a Behind.
fn peer(replica: u32) -> Peer {
    let mut frame = Vec::new();
    frame.extend_from_slice(b"SYND");
    frame.extend_from_slice(&[WIRE_VERSION, 0]);
    let header = [5, 2, 1, 3]; // Behind; ballot 2.1; chosen mark 3.
    frame.extend_from_slice(&(header.len() as u16).to_le_bytes());
    frame.extend_from_slice(&[0; 4]); // The checksum, below.
    frame.extend_from_slice(&CLUSTER.0);
    frame.extend_from_slice(&[0xd0 + replica as u8; 16]);
    frame.extend_from_slice(&replica.to_le_bytes());
    frame.extend_from_slice(&0x0102_0304_0506_0708u64.to_le_bytes());
    frame.extend_from_slice(&header);
    let sum = checksum::extend(checksum::of(&frame[..8]), &frame[12..]);
    frame[8..12].copy_from_slice(&sum.to_le_bytes());
    let (peer, body) = wire::decode(CLUSTER, Bytes::from(frame)).unwrap();
    let ballot = Ballot { round: 2, replica: ReplicaId(1) };
    assert_eq!(body, Body::Message(Message::Behind(Behind { ballot, chosen: Slot(3) })));
    assert_eq!(peer.replica(), ReplicaId(replica));
    assert_eq!(peer.disk(), DiskId([0xd0 + replica as u8; 16]));
    assert_eq!(peer.incarnation(), Incarnation(0x0102_0304_0506_0708));
    peer
}

fn entry() -> Entry {
    let mut batch = BatchBuilder::default();
    let id = |replica, sequence| CommandId {
        replica: ReplicaId(replica),
        incarnation: Incarnation(4),
        sequence,
    };
    batch.push(id(1, 10), b"first");
    batch.push(id(1, 11), b"");
    batch.push(id(2, 900), b"third, of another replica");
    batch.build().map_or(Entry::Noop, Entry::Batch)
}

fn ballot(round: u64, replica: u32) -> Ballot {
    Ballot { round, replica: ReplicaId(replica) }
}

fn run(start: u64, end: u64, ballot: Ballot) -> Run {
    Run { slots: Slots::new(Slot(start), Slot(end)), ballot }
}

fn promises() -> Vec<(&'static str, Message)> {
    let promise = Promise {
        ballot: ballot(9, 2),
        slots: Slots::new(Slot(300), Slot(310)),
        last: false,
        chosen: Slot(299),
        accepted: vec![run(300, 302, ballot(7, 1)), run(304, 305, ballot(8, 3))],
        faulty: vec![run(302, 303, ballot(8, 3))],
    };
    let (accepted, faulty) = (Vec::new(), Vec::new());
    let slots = Slots::new(Slot(300), Slot(300));
    let empty = Promise { slots, last: true, accepted, faulty, ..promise.clone() };
    vec![("promise", promise.into()), ("promise_of_nothing", empty.into())]
}

fn elections() -> Vec<(&'static str, Message)> {
    let (low, high, chosen) = (ballot(7, 1), ballot(u64::MAX, u32::MAX), Slot(400));
    let (sequence, start) = (1 << 40, Standing { promised: low, end: Slot(401) });
    let answer =
        CanvassAnswer { sequence, yes: false, promised: high, leader: Some(low), start, chosen };
    let yes = CanvassAnswer { yes: true, leader: None, ..answer.clone() };
    let members = (1..=9).map(|replica| Member {
        replica: ReplicaId(replica),
        disk: DiskId(std::array::from_fn(|i| replica as u8 * 16 + i as u8)),
    });
    let members: Vec<Member> = members.collect();
    let names: Vec<ReplicaId> = members.iter().map(|member| member.replica).collect();
    let flexible = Quorums::new(&QuorumSystem::Sizes { prepare: 7, accept: 3 }, &names).unwrap();
    let flexible = Membership::with_quorums(members.clone(), flexible).ok();
    let members = Membership::new(members).ok();
    let runs = vec![run(390, 398, low), run(398, 400, ballot(8, 2))];
    let announcement = Announcement { chosen, runs: runs.into() };
    vec![
        ("prepare", Message::Prepare(Prepare { ballot: high, first: Slot(300) })),
        ("nack", Message::Nack(Nack { ballot: low, promised: high, chosen })),
        ("heartbeat", Message::Heartbeat(Heartbeat { ballot: low, sequence, announcement })),
        (
            "heartbeat_answer",
            Message::HeartbeatAnswer(HeartbeatAnswer {
                ballot: low,
                sequence,
                end: chosen,
                start,
                chosen,
                priority: 2,
            }),
        ),
        ("canvass", Message::Canvass(Canvass { sequence, chosen })),
        ("canvass_answer", answer.into()),
        ("canvass_answer_yes", yes.into()),
        ("forming", Message::Forming(Forming { members, formed: true })),
        ("refused", Message::Refused(Refused { incarnation: Incarnation(7), before: start })),
        ("forming_without_a_list", Message::Forming(Forming { members: None, formed: false })),
        ("forming_flexible", Message::Forming(Forming { members: flexible, formed: false })),
    ]
}

fn entries() -> Vec<(&'static str, Message)> {
    let (ballot, slot, chosen) = (ballot(7, 1), Slot(1 << 33), Slot(400));
    let announcement = Announcement { chosen, runs: vec![run(399, 400, ballot)].into() };
    let accept = Accept { ballot, slot, entry: entry(), announcement };
    let noop =
        Accept { entry: Entry::Noop, announcement: Announcement::default(), ..accept.clone() };
    let slots = Slots::new(Slot(300), Slot(320));
    let fetched = |proposal| Message::Fetched(Fetched { slot, proposal, chosen });
    vec![
        ("accept", Message::Accept(accept)),
        ("accept_noop", Message::Accept(noop)),
        ("accepted", Message::Accepted(Accepted { ballot, slots, chosen })),
        ("behind", Message::Behind(Behind { ballot, chosen })),
        ("fetch", Message::Fetch(Fetch { slot, ballot })),
        ("fetched", fetched(Some((ballot, entry())))),
        ("fetched_noop", fetched(Some((ballot, Entry::Noop)))),
        ("fetched_nothing", fetched(None)),
        ("catch_up", Message::CatchUp(CatchUp { slots, chosen })),
        ("chosen", Message::Chosen(Chosen { slot, ballot, entry: entry(), chosen })),
    ]
}

/// A fragment and its acknowledgement, as two couriers exchange them.
fn courier_frames() -> Vec<(&'static str, Vec<u8>)> {
    let mut batch = BatchBuilder::default();
    let (replica, incarnation) = (ReplicaId(1), Incarnation(4));
    batch.push(CommandId { replica, incarnation, sequence: 1 }, &[0xab; 600]);
    let entry = batch.build().map_or(Entry::Noop, Entry::Batch);
    let (ballot, chosen) = (ballot(7, 1), Slot(400));
    let message = Message::Chosen(Chosen { slot: Slot(17), ballot, entry, chosen });

    let mut sender = Courier::new(CLUSTER, peer(1), 392).unwrap();
    let mut receiver = Courier::new(CLUSTER, peer(2), 392).unwrap();
    let (now, mut fragments, mut answers) = (Instant::ZERO, Vec::new(), Vec::new());
    let to = Replicas::one(ReplicaId(2));
    sender.send(now, &to, &message, &mut |_, frame| fragments.push(frame.to_vec()));
    // Out of order, it is acknowledged at once, with a piece ahead of the gap.
    let second = Bytes::copy_from_slice(&fragments[1]);
    let taken = receiver.receive(now, second, &mut |_, frame| answers.push(frame.to_vec()));
    assert_eq!(taken, Ok(None));
    vec![("fragment", fragments.swap_remove(1)), ("acknowledgement", answers.swap_remove(0))]
}

/// What clients are served by.
fn clients() -> Vec<(&'static str, Message)> {
    let Entry::Batch(batch) = entry() else { panic!("a batch") };
    let run = Run { slots: Slots::new(Slot(300), Slot(400)), ballot: ballot(7, 1) };
    let announcement = || Announcement { chosen: Slot(400), runs: vec![run].into() };
    let (ballot, incarnation) = (ballot(7, 1), Incarnation(4));
    let forward = Forward { ballot, after: 17, limit: Slot(656), batch, chosen: Slot(399) };
    let (taken, next) = (19, Slot(401));
    let answer = ForwardAnswer { ballot, incarnation, taken, next, announcement: announcement() };
    let (reads, index) = (65_000, Slot(400));
    let question = ReadIndex { ballot, reads, chosen: Slot(399) };
    let asked = HandOver { ballot, sequence: 77, announcement: announcement() };
    let told = ReadIndexAnswer { incarnation, reads, index, announcement: announcement() };
    vec![
        ("forward", forward.into()),
        ("forward_answer", answer.into()),
        ("read_index", question.into()),
        ("read_index_answer", told.into()),
        ("hand_over", asked.into()),
        ("announcement", announcement().into()),
    ]
}

/// Every golden frame: its name, its bytes as this crate makes them now, and what it holds.
fn cases() -> Vec<(&'static str, Vec<u8>, Body)> {
    let messages = promises().into_iter().chain(elections()).chain(entries()).chain(clients());
    let framed = messages.map(|(name, message)| {
        let mut frame = Vec::new();
        wire::encode(CLUSTER, peer(1), &message, &mut frame);
        (name, frame, Body::Message(message))
    });
    let others = courier_frames().into_iter().map(|(name, frame)| {
        let (_, body) = wire::decode(CLUSTER, Bytes::copy_from_slice(&frame)).unwrap();
        (name, frame, body)
    });
    framed.chain(others).collect()
}

fn directory() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/wire")
}

fn to_hex(frame: &[u8], body: &Body) -> String {
    let mut text = format!("# {}\n", body.name());
    for line in frame.chunks(32) {
        line.iter().for_each(|byte| write!(text, "{byte:02x}").unwrap());
        text.push('\n');
    }
    text
}

fn from_hex(text: &str) -> Vec<u8> {
    let digits: String = text.lines().filter(|line| !line.starts_with('#')).collect();
    (0..digits.len())
        .step_by(2)
        .map(|i| u8::from_str_radix(&digits[i..i + 2], 16).unwrap())
        .collect()
}

/// Writes the files anew if that is asked for: once, before any test reads them.
fn rewrite() {
    static WRITTEN: Once = Once::new();
    if env::var_os("REWRITE").is_some() {
        WRITTEN.call_once(|| {
            for (name, frame, body) in cases() {
                let path = directory().join(name).with_extension("hex");
                fs::write(path, to_hex(&frame, &body)).unwrap();
            }
        });
    }
}

/// The kept frames, with their names and what they hold.
fn golden() -> Vec<(&'static str, Vec<u8>, Body)> {
    rewrite();
    let read = |name| {
        let path = directory().join(name).with_extension("hex");
        fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    };
    cases().into_iter().map(|(name, _, body)| (name, from_hex(&read(name)), body)).collect()
}

#[test]
fn frames_look_as_kept() {
    for ((name, made, _), (_, kept, body)) in cases().into_iter().zip(golden()) {
        assert_eq!(to_hex(&made, &body), to_hex(&kept, &body), "{name} has changed");
    }
}

#[test]
fn kept_frames_are_read_as_they_were_meant() {
    for (name, frame, body) in golden() {
        let from = if name == "acknowledgement" { peer(2) } else { peer(1) };
        let claimed = wire::claimed_sender(&frame);
        assert_eq!(claimed, Some(from.replica()), "{name}");
        assert_eq!(wire::decode(CLUSTER, Bytes::from(frame)), Ok((from, body)), "{name}");
    }
}

#[test]
fn every_kind_of_frame_is_kept_and_nothing_else() {
    rewrite();
    let kinds: BTreeSet<_> = cases().iter().map(|(_, _, body)| body.name()).collect();
    assert_eq!(kinds.len(), 24, "{kinds:?}");
    let names: BTreeSet<_> = cases().iter().map(|(name, ..)| format!("{name}.hex")).collect();
    let files = fs::read_dir(directory()).unwrap();
    let files = files.map(|file| file.unwrap().file_name().into_string().unwrap());
    assert_eq!(files.collect::<BTreeSet<_>>(), names);
}

#[test]
fn every_truncation_and_every_longer_frame_is_refused() {
    for (name, frame, _) in golden() {
        let frame = Bytes::from(frame);
        for length in 0..frame.len() {
            let short = wire::decode(CLUSTER, frame.slice(..length));
            assert!(short.is_err(), "{name} cut to {length} bytes");
        }
        for more in 0..=255u8 {
            let mut long = frame.to_vec();
            long.push(more);
            let long = wire::decode(CLUSTER, Bytes::from(long));
            assert_eq!(long, Err(FrameError::Checksum), "{name} with one more byte");
        }
    }
}

#[test]
fn every_single_flipped_bit_is_refused() {
    let mut flips = 0;
    for (name, frame, _) in golden() {
        for bit in 0..frame.len() * 8 {
            let mut flipped = frame.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            let decoded = wire::decode(CLUSTER, Bytes::from(flipped));
            assert!(decoded.is_err(), "{name} with bit {bit} flipped");
            flips += 1;
        }
    }
    assert!(flips > 10_000, "{flips}");
}

#[test]
fn a_frame_of_another_cluster_is_refused() {
    let other = ClusterId::named("other").unwrap();
    for (name, frame, _) in golden() {
        let decoded = wire::decode(other, Bytes::from(frame));
        assert_eq!(decoded, Err(FrameError::Cluster { found: CLUSTER }), "{name}");
    }
}
