//! The core: a command from `propose` at the leader until all three replicas have handed it to the
//! state machine.

use super::Workload;
use crate::cluster::Cluster;

/// Proposes as many commands at a time as the workload says, so often.
pub(super) fn run(workload: &Workload, turns: u64) {
    let mut cluster = Cluster::new();
    for turn in 1..=turns {
        cluster.propose(workload.units);
        cluster.settle();
        let applied = cluster.applied()[0];
        assert!(applied == turn * workload.units, "{applied} applied after {turn} turns");
    }
    // In runs of every length.
    cluster.pass_time();
    assert!(cluster.applied() == [turns * workload.units; 3], "{:?} applied", cluster.applied());
}
