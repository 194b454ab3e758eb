//! How long frames take to make and to read, by the length of an Accept's entry. No I/O.

use std::hint::black_box;

use bytes::Bytes;
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use synod::ballot::Ballot;
use synod::checksum;
use synod::entry::{BatchBuilder, CommandId, Entry};
use synod::membership::{ClusterId, Incarnation, Peer, ReplicaId};
use synod::message::{Accept, Announcement, Message};
use synod::slot::{Run, Slot, Slots};
use synod::wire;

const CLUSTER: ClusterId = ClusterId(*b"bench\0\0\0\0\0\0\0\0\0\0\0");

fn accept(command_bytes: usize) -> Message {
    let (replica, incarnation) = (ReplicaId(1), Incarnation(1));
    let mut batch = BatchBuilder::default();
    batch.push(CommandId { replica, incarnation, sequence: 1 }, &vec![7; command_bytes]);
    let ballot = Ballot { round: 3, replica };
    let slots = Slots::new(Slot(990), Slot(1000));
    Message::Accept(Accept {
        ballot,
        slot: Slot(1003),
        entry: batch.build().map_or(Entry::Noop, Entry::Batch),
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

fn frames(c: &mut Criterion) {
    let (peer, mut group) = (peer(), c.benchmark_group("wire"));
    for command_bytes in [64, 4 << 10, 64 << 10] {
        let (message, mut buffer) = (accept(command_bytes), Vec::new());
        wire::encode(CLUSTER, peer, &message, &mut buffer);
        group.throughput(Throughput::Bytes(buffer.len() as u64));
        let frame = Bytes::copy_from_slice(&buffer);
        group.bench_function(BenchmarkId::new("encode", command_bytes), |b| {
            b.iter(|| wire::encode(CLUSTER, peer, black_box(&message), &mut buffer));
        });
        group.bench_function(BenchmarkId::new("decode", command_bytes), |b| {
            b.iter(|| wire::decode(CLUSTER, black_box(frame.clone())));
        });
    }
    group.finish();
}

criterion_group!(benches, frames);
criterion_main!(benches);
