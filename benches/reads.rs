//! Three durable replicas in one process over channels: reads, from the question to the answer.
//! Linearizable ones at the leader, which hears a quorum for each round of them, and at a follower,
//! which asks the leader; local ones, which ask nobody.
//!
//! ```text
//! cargo bench --bench reads
//! ```
#![allow(clippy::unwrap_used, reason = "a benchmark fails by panicking")]

mod nodes;

use criterion::{Criterion, criterion_group, criterion_main};
use synod::{Consistency, Handle, Ticket};

use nodes::{Disk, Nodes, Sum, measure};

fn reads(criterion: &mut Criterion) {
    let nodes = Nodes::start(Disk::Directory);
    nodes.leader().propose(&[7; 64]).wait().unwrap();
    let ask = |consistency| {
        move |node: &Handle<Sum>| -> Ticket<u64> { node.read(consistency, |sum| sum.0) }
    };
    let mut group = criterion.benchmark_group("reads");
    group.sample_size(10);
    let linearizable = ask(Consistency::Linearizable);
    measure(&mut group, "linearizable at the leader", || nodes.leader(), linearizable);
    measure(&mut group, "linearizable at a follower", || nodes.follower(), linearizable);
    measure(&mut group, "local", || nodes.follower(), ask(Consistency::Local));
    group.finish();
}

criterion_group!(benches, reads);
criterion_main!(benches);
