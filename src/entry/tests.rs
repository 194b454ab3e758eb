//! Tests of what only the proposer's queue does with a builder; tests/batches has the rest.

use super::*;

#[test]
fn a_run_that_is_dropped_whole_leaves_the_next_one() {
    let id = |sequence| CommandId {
        replica: ReplicaId(1),
        incarnation: Incarnation::default(),
        sequence,
    };
    let mut builder = BatchBuilder::default();
    for (sequence, command) in [(3, &b"one"[..]), (4, b"four"), (9, b"nine")] {
        builder.push(id(sequence), command);
    }
    let dropped = builder.drop_first_below(9).expect("the first run");
    assert_eq!((dropped.sequences, dropped.count, dropped.bytes), (3..5, 2, 7));
    assert!(builder.drop_first_below(9).is_none());
    let mut alone = BatchBuilder::default();
    alone.push(id(9), b"nine");
    assert_eq!((builder.len(), builder.build()), (alone.len(), alone.build()));
    assert!(builder.is_empty() && builder.drop_first_below(u64::MAX).is_none());
}
