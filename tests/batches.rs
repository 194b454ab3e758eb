//! Batches as they are gathered: what one builder makes after another.

use synod::entry::{Batch, BatchBuilder};
use synod::membership::Incarnation;
use synod::{CommandId, ReplicaId};

fn id(replica: u32, sequence: u64) -> CommandId {
    CommandId { replica: ReplicaId(replica), incarnation: Incarnation(1), sequence }
}

/// What it built before is memory, and says nothing of what it holds.
#[test]
fn builders_that_hold_the_same_are_equal() {
    let (mut used, mut fresh) = (BatchBuilder::default(), BatchBuilder::default());
    used.push(id(3, 7), &[1; 500]);
    used.build().unwrap();
    assert_eq!(used, fresh);
    used.push(id(1, 0), b"x");
    assert_ne!(used, fresh);
    fresh.push(id(1, 0), b"x");
    assert_eq!(used, fresh);
    assert_eq!(used.build(), fresh.build());
}

/// Short batches after long ones, and batches of several runs: none is written over another.
#[test]
fn batches_of_every_size_follow_one_another() {
    let mut builder = BatchBuilder::default();
    for round in 0..200_u64 {
        let commands: Vec<(CommandId, Vec<u8>)> = (0..1 + round * 7 % 50)
            .map(|i| (id(1 + (i * round % 3) as u32, i), vec![i as u8; (i * round % 90) as usize]))
            .collect();
        commands.iter().for_each(|(id, command)| builder.push(*id, command));
        let batch = builder.build().unwrap();
        let parsed = Batch::parse(batch.bytes().clone()).unwrap();
        assert!(parsed.commands().eq(commands.iter().map(|(_, command)| &command[..])));
        let named = parsed.origins().flat_map(|run| {
            let next = move |i: u32| id(run.first.replica.0, run.first.sequence + u64::from(i));
            (0..run.count).map(next)
        });
        assert!(named.eq(commands.iter().map(|(id, _)| *id)));
    }
}
