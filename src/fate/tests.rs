//! What became of the commands that this replica took in.

use alloc::vec;

use super::*;
use crate::entry::BatchBuilder;
use crate::outbox::tests::{Drained, drain, id, outbox};

/// A batch of these commands, named by who took them in, in which start, and the number.
fn batch(commands: &[(u32, u64, u64)]) -> Batch {
    let mut batch = BatchBuilder::default();
    for (replica, incarnation, sequence) in commands {
        let (replica, incarnation) = (id(*replica), Incarnation(*incarnation));
        batch.push(CommandId { replica, incarnation, sequence: *sequence }, b"x");
    }
    batch.build().unwrap()
}

fn fates() -> Fates {
    Fates::new(id(1), Incarnation(1))
}

/// What is told when this entry is chosen at slot 4.
fn told(fates: &mut Fates, entry: &Entry) -> Vec<Output> {
    let mut out = outbox(1);
    fates.pass(Slot(4), entry, &mut out);
    let Drained { other, .. } = drain(&mut out);
    other
}

#[test]
fn a_chosen_batch_tells_each_run_of_commands_its_place() {
    // Numbers 5 and 6, then 9: the third command is at index 2 of the slot.
    let mine = batch(&[(1, 1, 5), (1, 1, 6), (1, 1, 9)]);
    let mut fates = fates();
    fates.propose(Slot(4), mine.clone());
    let chosen =
        |commands, index| Output::Fate { commands, fate: Fate::Chosen { slot: Slot(4), index } };
    assert_eq!(told(&mut fates, &Entry::Batch(mine)), [chosen(5..7, 0), chosen(9..10, 2)]);
    assert_eq!(fates.awaited(), 0);
}

#[test]
fn another_entry_at_the_slot_supersedes_the_batch() {
    // A later leader put a Noop, or another's batch, there: certain, since a command is proposed in
    // one slot only.
    for entry in [Entry::Noop, Entry::Batch(batch(&[(2, 1, 5)]))] {
        let mut fates = fates();
        fates.propose(Slot(4), batch(&[(1, 1, 5)]));
        let superseded = Output::Fate { commands: 5..6, fate: Fate::Superseded };
        assert_eq!(told(&mut fates, &entry), [superseded]);
    }
}

#[test]
fn a_batch_of_an_earlier_start_is_not_taken_for_this_ones() {
    // The same number in start 0 was another command: the one of this start is superseded.
    let mut fates = fates();
    fates.propose(Slot(4), batch(&[(1, 1, 5)]));
    let superseded = Output::Fate { commands: 5..6, fate: Fate::Superseded };
    assert_eq!(told(&mut fates, &Entry::Batch(batch(&[(1, 0, 5)]))), [superseded]);
}

#[test]
fn of_two_batches_proposed_at_one_slot_at_two_ballots_one_at_most_is_chosen() {
    // It led, lost the lead, led again and could propose there anew: the second one was chosen.
    let (first, second) = (batch(&[(1, 1, 5)]), batch(&[(1, 1, 6)]));
    let mut fates = fates();
    fates.propose(Slot(4), first);
    fates.propose(Slot(4), second.clone());
    assert_eq!(fates.awaited(), 2);
    let told = told(&mut fates, &Entry::Batch(second));
    let chosen = Fate::Chosen { slot: Slot(4), index: 0 };
    let expected = [(5..6, Fate::Superseded), (6..7, chosen)];
    assert_eq!(told, expected.map(|(commands, fate)| Output::Fate { commands, fate }));
    assert_eq!(fates.awaited(), 0);
}

#[test]
fn a_slot_where_nothing_was_proposed_has_nothing_to_tell() {
    // Another replica's batch, and its commands, are not ours to tell of; ours still waits.
    let mut fates = fates();
    fates.propose(Slot(3), batch(&[(1, 1, 5)]));
    assert_eq!(told(&mut fates, &Entry::Batch(batch(&[(2, 1, 5)]))), vec![]);
    assert_eq!(fates.awaited(), 1);
}

#[test]
fn only_commands_taken_in_here_are_told_of() {
    // A batch with another replica's commands beside ours: theirs are skipped, ours keep their
    // index.
    let mixed = batch(&[(2, 1, 5), (2, 1, 6), (1, 1, 7)]);
    let mut fates = fates();
    fates.propose(Slot(4), mixed.clone());
    let chosen = Fate::Chosen { slot: Slot(4), index: 2 };
    let expected = [Output::Fate { commands: 7..8, fate: chosen }];
    assert_eq!(told(&mut fates, &Entry::Batch(mixed)), expected);
}
