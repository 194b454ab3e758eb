//! What became of the commands that this replica took in.

use alloc::vec;
use alloc::vec::Vec;

use super::*;
use crate::entry::BatchBuilder;
use crate::outbox::tests::{Drained, ballot, drain, id, outbox};

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

/// What is told when this entry is chosen at the slot.
fn told_at(fates: &mut Fates, slot: u64, entry: &Entry) -> Vec<Output> {
    let mut out = outbox(1);
    fates.pass(Slot(slot), entry, &mut out);
    let Drained { other, .. } = drain(&mut out);
    other
}

fn told(fates: &mut Fates, entry: &Entry) -> Vec<Output> {
    told_at(fates, 4, entry)
}

fn chosen(commands: Range<u64>, index: u32) -> Output {
    Output::Fate { commands, fate: Fate::Chosen { slot: Slot(4), index } }
}

fn superseded(commands: Range<u64>) -> Output {
    Output::Fate { commands, fate: Fate::Superseded }
}

#[test]
fn a_chosen_batch_tells_each_run_of_commands_its_place() {
    // Numbers 5 and 6, then 9: the third command is at index 2 of the slot.
    let mine = batch(&[(1, 1, 5), (1, 1, 6), (1, 1, 9)]);
    let mut fates = fates();
    fates.propose(ballot(1, 1), Slot(4), &mine);
    assert_eq!(told(&mut fates, &Entry::Batch(mine)), [chosen(5..7, 0), chosen(9..10, 2)]);
    assert_eq!((fates.awaited(), fates.oldest(), fates.limit()), (0, None, None));
}

#[test]
fn another_entry_at_the_slot_supersedes_the_batch() {
    // A later leader put a Noop, or another's batch, there: certain, since a command is proposed in
    // one slot only.
    for entry in [Entry::Noop, Entry::Batch(batch(&[(2, 1, 5)]))] {
        let mut fates = fates();
        fates.propose(ballot(1, 1), Slot(4), &batch(&[(1, 1, 5)]));
        assert_eq!(told(&mut fates, &entry), [superseded(5..6)]);
    }
}

#[test]
fn a_batch_of_an_earlier_start_is_not_taken_for_this_ones() {
    // The same number in start 0 was another command: the one of this start is superseded.
    let mut fates = fates();
    fates.propose(ballot(1, 1), Slot(4), &batch(&[(1, 1, 5)]));
    assert_eq!(told(&mut fates, &Entry::Batch(batch(&[(1, 0, 5)]))), [superseded(5..6)]);
}

#[test]
fn a_slot_where_nothing_was_proposed_has_nothing_to_tell() {
    // Another replica's batch, and its commands, are not ours to tell of; ours still waits.
    let mut fates = fates();
    fates.propose(ballot(1, 1), Slot(5), &batch(&[(1, 1, 5)]));
    assert_eq!(told(&mut fates, &Entry::Batch(batch(&[(2, 1, 5)]))), vec![]);
    assert_eq!((fates.awaited(), fates.limit()), (1, Some(Slot(6))));
}

#[test]
fn only_commands_taken_in_here_are_told_of() {
    // A batch with another replica's commands beside ours: theirs are skipped, ours keep their
    // index.
    let mixed = batch(&[(2, 1, 5), (2, 1, 6), (1, 1, 7)]);
    let mut fates = fates();
    fates.propose(ballot(1, 1), Slot(4), &mixed);
    assert_eq!(told(&mut fates, &Entry::Batch(mixed)), [chosen(7..8, 2)]);
}

#[test]
fn forwarded_commands_are_found_in_whichever_slot_below_their_limit() {
    // 0 to 3 went out with a limit of 6. Slot 4 holds 1 and 2, in the middle; 0 and 3 still wait.
    let mut fates = fates();
    fates.offer(ballot(1, 2), 0..4, Slot(6));
    let middle = Entry::Batch(batch(&[(3, 1, 9), (1, 1, 1), (1, 1, 2)]));
    assert_eq!(told(&mut fates, &middle), [chosen(1..3, 1)]);
    assert_eq!((fates.awaited(), fates.oldest()), (2, Some(0)));
    // Slot 5 is the last that could hold them.
    assert_eq!(told_at(&mut fates, 5, &Entry::Noop), [superseded(0..1), superseded(3..4)]);
}

#[test]
fn a_higher_limit_keeps_those_waiting_that_were_sent_again() {
    // 0 was answered, 1 and 2 were sent again with a limit of 9: only 0 is settled after slot 4.
    let mut fates = fates();
    (0..3).for_each(|number| fates.offer(ballot(1, 2), number..number + 1, Slot(5)));
    fates.raise(1, Slot(9));
    assert_eq!(fates.limit(), Some(Slot(9)));
    assert_eq!(told(&mut fates, &Entry::Noop), [superseded(0..1)]);
    assert_eq!((fates.awaited(), fates.oldest()), (2, Some(1)));
    // A limit never falls, nor from one to the next.
    fates.raise(1, Slot(6));
    fates.offer(ballot(1, 2), 3..4, Slot(7));
    assert_eq!(told_at(&mut fates, 7, &Entry::Noop), vec![]);
    assert_eq!(fates.limit(), Some(Slot(9)));
}

#[test]
fn nothing_is_offered_to_a_new_leader_while_a_fate_is_open() {
    // What the earlier leader took in may be chosen yet, above what the new one would be given.
    let mut fates = fates();
    fates.offer(ballot(1, 2), 0..1, Slot(5));
    assert!(fates.may_offer(ballot(1, 2)) && !fates.may_offer(ballot(2, 1)));
    assert_eq!(told(&mut fates, &Entry::Noop), [superseded(0..1)]);
    assert!(fates.may_offer(ballot(2, 1)));
    fates.propose(ballot(2, 1), Slot(5), &batch(&[(1, 1, 1)]));
}

#[test]
#[should_panic(expected = "are open")]
fn offering_to_two_leaders_at_once_is_a_fault_of_ours() {
    let mut fates = fates();
    fates.offer(ballot(1, 2), 0..1, Slot(5));
    fates.offer(ballot(2, 3), 1..2, Slot(5));
}

#[test]
fn what_is_chosen_first_leaves_the_earlier_ones_waiting() {
    // 0 went out with a higher limit than the slot of 5 and 6, and is in no slot yet.
    let mut fates = fates();
    fates.offer(ballot(1, 2), 0..1, Slot(9));
    fates.offer(ballot(1, 2), 5..7, Slot(9));
    assert_eq!(told(&mut fates, &Entry::Batch(batch(&[(1, 1, 6)]))), [chosen(6..7, 0)]);
    assert_eq!((fates.awaited(), fates.oldest()), (2, Some(0)));
}
