//! Frames: an Accept made into bytes, and read again.

use std::hint::black_box;

use bytes::Bytes;
use synod::ballot::Ballot;
use synod::checksum;
use synod::entry::{BatchBuilder, CommandId, Entry};
use synod::membership::{ClusterId, Incarnation, Peer, ReplicaId};
use synod::message::{Accept, Announcement, Message};
use synod::slot::{Run, Slot, Slots};
use synod::wire::{self, Body};

const CLUSTER: ClusterId = ClusterId(*b"counted\0\0\0\0\0\0\0\0\0");

/// Makes the frame of an Accept of so many commands so often.
pub(super) fn encode(commands: u64, command_bytes: usize, turns: u64) {
    let (peer, message, mut buffer) = (peer(), accept(commands, command_bytes), Vec::new());
    for _ in 0..turns {
        wire::encode(CLUSTER, peer, black_box(&message), &mut buffer);
        black_box(&buffer);
    }
    let read = wire::decode(CLUSTER, Bytes::from(buffer)).expect("a frame that was just made");
    assert!(read == (peer, Body::Message(message)), "the frame holds what was put into it");
}

/// Reads such a frame so often.
pub(super) fn decode(commands: u64, command_bytes: usize, turns: u64) {
    let (peer, message, mut buffer) = (peer(), accept(commands, command_bytes), Vec::new());
    wire::encode(CLUSTER, peer, &message, &mut buffer);
    let frame = Bytes::from(buffer);
    let wanted = (peer, Body::Message(message));
    let mut last = None;
    for _ in 0..turns {
        last = wire::decode(CLUSTER, black_box(&frame).clone()).ok();
        black_box(&last);
    }
    assert!(last == Some(wanted), "the frame holds what was put into it");
}

fn accept(commands: u64, command_bytes: usize) -> Message {
    let (replica, incarnation) = (ReplicaId(1), Incarnation(1));
    let mut batch = BatchBuilder::default();
    for sequence in 0..commands {
        batch.push(CommandId { replica, incarnation, sequence }, &vec![7; command_bytes]);
    }
    let ballot = Ballot { round: 3, replica };
    let slots = Slots::new(Slot(990), Slot(1000));
    Message::Accept(Accept {
        ballot,
        slot: Slot(1003),
        entry: Entry::Batch(batch.build().expect("it holds commands")),
        announcement: Announcement { chosen: Slot(1000), runs: vec![Run { slots, ballot }].into() },
    })
}

/// Some sender: a peer is only ever made from a frame. This one is a Canvass.
fn peer() -> Peer {
    let mut frame = b"SYND\x01\0\x03\0\0\0\0\0".to_vec();
    frame.extend_from_slice(&CLUSTER.0);
    frame.extend_from_slice(&[1; 28]);
    frame.extend_from_slice(&[8, 1, 0]);
    let sum = checksum::extend(checksum::of(&frame[..8]), &frame[12..]);
    frame[8..12].copy_from_slice(&sum.to_le_bytes());
    wire::decode(CLUSTER, Bytes::from(frame)).expect("a frame made by hand").0
}
