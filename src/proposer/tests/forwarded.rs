//! What other replicas forward to a leader: each command is proposed once, in order, in time.

use super::*;
use crate::entry::{BatchBuilder, CommandId};
use crate::message::Forward;

/// A Forward of replica 2, in its first start, with the commands of these numbers.
fn forward(numbers: core::ops::Range<u64>, after: u64, limit: u64) -> Forward {
    let mut batch = BatchBuilder::default();
    for sequence in numbers {
        batch.push(CommandId { replica: id(2), incarnation: Incarnation(1), sequence }, b"y");
    }
    let batch = batch.build().unwrap();
    Forward { ballot: mine(), after, limit: Slot(limit), batch, chosen: Slot(0) }
}

impl Bench {
    /// How far the commands of replica 2 are taken in after this Forward.
    fn forwarded(&mut self, forward: Forward) -> Option<u64> {
        let facts = self.facts();
        let from = (id(2), Incarnation(1));
        self.proposer.handle_forward(from, forward, &facts, false).unwrap().map(|told| told.taken)
    }

    /// What is proposed next: its slot, and how many commands of whom.
    fn proposes(&mut self) -> Option<(u64, Vec<(u32, u32)>)> {
        let Proposed { slot, batch } = self.propose_next()?;
        let origins = batch.iter().flat_map(|batch| batch.origins());
        Some((slot.0, origins.map(|origin| (origin.first.replica.0, origin.count)).collect()))
    }
}

#[test]
fn what_is_forwarded_twice_is_proposed_once() {
    // The network repeats a Forward, before and after its commands are proposed.
    let mut bench = Bench::leading(&[promise(0, &[]), promise(0, &[])]);
    assert_eq!(bench.forwarded(forward(0..2, 0, 9)), Some(2));
    assert_eq!(bench.forwarded(forward(0..2, 0, 9)), Some(2));
    assert_eq!(bench.proposes(), Some((0, vec![(2, 2)])));
    assert_eq!(bench.forwarded(forward(0..2, 0, 9)), Some(2));
    assert_eq!(bench.proposes(), None);
}

#[test]
fn forwards_that_overtake_one_another_are_taken_in_in_order() {
    // The third comes first, then the second: they wait for the first. One that was given up by its
    // sender, who waits for nothing before it any more, does not hold up what follows.
    let mut bench = Bench::leading(&[promise(0, &[]), promise(0, &[])]);
    assert_eq!(bench.forwarded(forward(4..5, 4, 9)), Some(0));
    assert_eq!(bench.forwarded(forward(2..4, 2, 9)), Some(0));
    assert_eq!(bench.forwarded(forward(0..2, 0, 9)), Some(5));
    let mut numbers = Vec::new();
    while let Some(Proposed { batch: Some(batch), .. }) = bench.propose_next() {
        numbers.extend(batch.taken_in_by(id(2), Incarnation(1)));
    }
    assert_eq!(numbers, [0..4, 4..5], "a slot holds what fits it");
    assert_eq!(bench.forwarded(forward(7..8, 6, 9)), Some(5));
    assert_eq!(bench.forwarded(forward(9..10, 0, 9)), Some(10));
    assert_eq!(bench.forwarded(forward(7..8, 0, 9)), Some(10), "it is too late for that one");
}

#[test]
fn nothing_forwarded_is_proposed_at_its_limit_or_above() {
    // Slot 0 is the next one. A limit of 0 is too low; one of 1 is just enough, but then the slot
    // is given to this replica's own command, which came first, and the forwarded one is dropped.
    let mut bench = Bench::leading_within(
        Limits { batch_bytes: 1, ..LIMITS },
        &[promise(0, &[]), promise(0, &[])],
    );
    assert_eq!(bench.forwarded(forward(0..1, 0, 0)), Some(0));
    assert_eq!(bench.forwarded(forward(0..1, 0, 1)), Some(1));
    bench.proposer.fill_to(Slot(3), Slot(0));
    bench.chosen = 1;
    bench.proposer.settle(Slot(1));
    bench.proposer.enqueue(b"x");
    assert_eq!(bench.proposes(), Some((1, vec![(1, 1)])));
    assert_eq!((bench.proposes(), bench.proposes()), (Some((2, vec![])), None));
    assert_eq!(bench.proposer.forwarded_bytes(), 0);
}

#[test]
fn a_leader_takes_in_only_what_is_addressed_to_its_ballot() {
    // To another ballot of it, to one that deposed it, after it stopped: it says nothing.
    let mut bench = Bench::leading(&[promise(0, &[]), promise(0, &[])]);
    let other = Forward { ballot: ballot(4, 1), ..forward(0..1, 0, 9) };
    assert_eq!(bench.forwarded(other), None);
    bench.proposer.stop();
    assert_eq!(bench.forwarded(forward(0..1, 0, 9)), None);
    assert!(!bench.proposer.has_work(false, Slot(0)));
}

#[test]
fn a_replica_forwards_its_own_commands_only() {
    // In the name of replica 3, of an earlier start, or in falling order.
    let mut bench = Bench::leading(&[promise(0, &[]), promise(0, &[])]);
    let facts = bench.facts();
    for from in [(id(3), Incarnation(1)), (id(2), Incarnation(2))] {
        let judged = bench.proposer.handle_forward(from, forward(0..1, 0, 9), &facts, false);
        assert_eq!(judged, Err(Misbehaviour::ForeignCommands { ballot: mine() }));
    }
}

#[test]
fn a_later_start_of_a_replica_counts_anew_and_an_earlier_one_is_over() {
    let mut bench = Bench::leading(&[promise(0, &[]), promise(0, &[])]);
    assert_eq!(bench.forwarded(forward(0..2, 0, 9)), Some(2));
    let facts = bench.facts();
    let later = |incarnation, sequence| {
        let mut batch = BatchBuilder::default();
        batch.push(CommandId { replica: id(2), incarnation, sequence }, b"z");
        Forward { batch: batch.build().unwrap(), ..forward(0..1, 0, 9) }
    };
    let from = (id(2), Incarnation(7));
    let told = bench.proposer.handle_forward(from, later(Incarnation(7), 0), &facts, false);
    let told = told.unwrap().unwrap();
    assert_eq!((told.incarnation, told.taken), (Incarnation(7), 1));
    assert_eq!(bench.forwarded(forward(2..3, 0, 9)), None);
}

#[test]
fn a_full_leader_takes_nothing_in_and_says_so() {
    let mut bench = Bench::leading(&[promise(0, &[]), promise(0, &[])]);
    let (facts, from) = (bench.facts(), (id(2), Incarnation(1)));
    let told = bench.proposer.handle_forward(from, forward(0..1, 0, 9), &facts, true);
    assert_eq!(told.unwrap().map(|told| told.taken), Some(0));
    assert_eq!(bench.forwarded(forward(0..1, 0, 9)), Some(1));
}

#[test]
fn own_and_forwarded_commands_share_a_slot_and_take_turns() {
    // One slot holds what fits it; of two full queues each goes first every other time. While the
    // own ones must wait, only the others go.
    let mut bench = Bench::leading(&[promise(0, &[]), promise(0, &[])]);
    bench.proposer.enqueue(b"x");
    bench.forwarded(forward(0..1, 0, 99));
    assert_eq!(bench.proposes(), Some((0, vec![(1, 1), (2, 1)])));
    for round in 0..3 {
        bench.proposer.enqueue(&[7; 90]);
        bench.forwarded(forward(2 * round + 2..2 * round + 4, 0, 99));
    }
    let rounds: Vec<_> = core::iter::from_fn(|| bench.proposes()).map(|(_, of)| of[0].0).collect();
    assert_eq!(rounds, [2, 1, 2, 1, 1]);
    bench.proposer.enqueue(b"x");
    let facts = bench.facts();
    assert!(!bench.proposer.has_work(true, Slot(0)));
    assert_eq!(bench.proposer.propose_next(true, &facts, &membership(3), &mut bench.out), None);
    assert!(bench.proposer.has_work(false, Slot(0)));
}

#[test]
fn one_that_comes_too_late_does_not_hold_up_the_next() {
    // The first has a limit of 0, and its sender gave it up: what follows waits for nothing.
    let mut bench = Bench::leading(&[promise(0, &[]), promise(0, &[])]);
    assert_eq!(bench.forwarded(forward(2..3, 1, 9)), Some(0));
    assert_eq!(bench.forwarded(forward(0..1, 0, 0)), Some(0));
    assert_eq!(bench.forwarded(forward(2..3, 0, 9)), Some(3));
}
