//! Three replicas in one process over channels: commands of 64 bytes, from the proposal at the
//! leader to the answer of its state machine. On a disk, and without one: the difference is what
//! the syncs cost.
//!
//! ```text
//! cargo bench --bench node
//! ```
#![allow(clippy::unwrap_used, reason = "a benchmark fails by panicking")]

mod nodes;

use criterion::{Criterion, criterion_group, criterion_main};

use nodes::{Disk, Nodes, measure};

fn commands(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("node");
    group.sample_size(10);
    for (name, disk) in [("durable", Disk::Directory), ("log in memory", Disk::Heap)] {
        let nodes = Nodes::start(disk);
        // No Forward is measured: who leads is asked.
        measure(&mut group, name, || nodes.leader(), |node| node.propose(&[7; 64]));
    }
    group.finish();
}

criterion_group!(benches, commands);
criterion_main!(benches);
