//! What a follower sends to its leader, and when it sends it again.

use alloc::vec;
use alloc::vec::Vec;

use super::*;
use crate::entry::{BatchBuilder, CommandId};
use crate::message::Message;
use crate::outbox::tests::{announcement, ballot, drain, id, outbox};

fn leader() -> Ballot {
    ballot(3, 2)
}

struct Bench {
    forwarding: Forwarding,
    out: Outbox,
}

impl Bench {
    fn new() -> Self {
        Self { forwarding: Forwarding::new(Incarnation(1), 1000), out: outbox(1) }
    }

    /// Sends the commands of these numbers; the limit.
    fn send(&mut self, to: Ballot, numbers: Range<u64>, known: (u64, u64)) -> u64 {
        let mut batch = BatchBuilder::default();
        for sequence in numbers.clone() {
            let (replica, incarnation) = (id(1), Incarnation(1));
            batch.push(CommandId { replica, incarnation, sequence }, b"x");
        }
        let known = (Slot(known.0), Slot(known.1));
        let sent = (numbers, batch.build().unwrap());
        self.forwarding.send(to, sent, known, &mut self.out).0
    }

    /// The Forwards that went out: to whom, from which number, after which, below which slot.
    fn sent(&mut self) -> Vec<(u32, u64, u64, u64)> {
        let sent = drain(&mut self.out).sent;
        let shown = sent.into_iter().map(|(to, message)| match message {
            Message::Forward(forward) => {
                let first = forward.batch.origins().next().unwrap().first.sequence;
                (to[0].0, first, forward.after, forward.limit.0)
            }
            other => panic!("{other:?}"),
        });
        shown.collect()
    }

    fn answer(&mut self, from: u32, ballot: Ballot, taken: u64, next: u64) {
        let announcement = announcement(0, Vec::new());
        let incarnation = Incarnation(1);
        let next = Slot(next);
        let answer = ForwardAnswer { ballot, incarnation, taken, next, announcement };
        self.forwarding.handle_answer(id(from), &answer);
    }

    fn tick(&mut self, leader: Option<Ballot>) -> Option<(u64, Slot)> {
        self.forwarding.on_tick(leader, (Slot(7), Slot(0)), &mut self.out)
    }
}

#[test]
fn each_batch_follows_the_one_before_and_has_a_limit_above_all_that_is_known() {
    let mut bench = Bench::new();
    assert_eq!(bench.send(leader(), 0..2, (5, 9)), 9 + WITHIN_SLOTS);
    assert_eq!(bench.send(leader(), 2..3, (10, 9)), 10 + WITHIN_SLOTS);
    let limit = |slot| slot + WITHIN_SLOTS;
    assert_eq!(bench.sent(), [(2, 0, 0, limit(9)), (2, 2, 2, limit(10))]);
    // The leader is further: the next limit counts from there.
    bench.answer(2, leader(), 3, 5000);
    assert_eq!(bench.send(leader(), 3..4, (10, 9)), limit(5000));
    assert_eq!(bench.sent(), [(2, 3, 0, limit(5000))]);
}

#[test]
fn what_has_no_answer_is_sent_again_with_a_higher_limit() {
    let mut bench = Bench::new();
    for n in 0..3 {
        bench.send(leader(), n..n + 1, (0, 0));
    }
    bench.sent();
    bench.answer(2, leader(), 1, 0);
    assert_eq!((bench.tick(Some(leader())), bench.tick(Some(leader()))), (None, None));
    let limit = 7 + WITHIN_SLOTS;
    assert_eq!(bench.tick(Some(leader())), Some((1, Slot(limit))));
    assert_eq!(bench.sent(), [(2, 1, 0, limit), (2, 2, 2, limit)]);
    // Not while nobody, or another one, is followed.
    for other in [None, Some(ballot(4, 3))] {
        (0..5).for_each(|_| assert_eq!(bench.tick(other), None));
    }
    assert_eq!(bench.sent(), vec![]);
}

#[test]
fn answers_of_others_and_of_other_starts_and_ballots_count_nothing() {
    let mut bench = Bench::new();
    bench.send(leader(), 0..1, (0, 0));
    bench.answer(3, leader(), 1, 0);
    bench.answer(2, ballot(2, 2), 1, 0);
    bench.forwarding.incarnation = Incarnation(2);
    bench.answer(2, leader(), 1, 0);
    bench.forwarding.incarnation = Incarnation(1);
    assert!(bench.forwarding.unanswered_bytes() > 0);
    bench.answer(2, leader(), 1, 0);
    assert_eq!(bench.forwarding.unanswered_bytes(), 0);
}

#[test]
fn a_few_are_unanswered_at_a_time() {
    let mut bench = Bench::new();
    for n in 0..UNANSWERED_MAX as u64 {
        assert!(bench.forwarding.has_room(leader(), false));
        bench.send(leader(), n..n + 1, (0, 0));
    }
    assert!(!bench.forwarding.has_room(leader(), false));
    bench.answer(2, leader(), 1, 0);
    assert!(bench.forwarding.has_room(leader(), false));
    // A long one fills the room alone.
    bench.answer(2, leader(), UNANSWERED_MAX as u64, 0);
    bench.send(leader(), 100..300, (0, 0));
    assert!(!bench.forwarding.has_room(leader(), false));
}

#[test]
fn what_is_known_to_be_settled_is_not_sent_again() {
    // Slots up to the limit were passed while the replica stood still: the sender knows that 0 is
    // never chosen, and must not send it again.
    let mut bench = Bench::new();
    for n in 0..2 {
        bench.send(leader(), n..n + 1, (0, 0));
    }
    bench.sent();
    bench.forwarding.settle(1);
    for _ in 0..TICKS_MAX {
        bench.tick(Some(leader()));
    }
    assert_eq!(bench.sent(), [(2, 1, 0, 7 + WITHIN_SLOTS)]);
}

#[test]
fn what_is_given_up_is_not_sent_again_and_nothing_follows_until_all_is_settled() {
    let mut bench = Bench::new();
    bench.send(leader(), 0..1, (0, 0));
    bench.sent();
    bench.forwarding.give_up();
    (0..9).for_each(|_| assert_eq!(bench.tick(Some(leader())), None));
    assert_eq!((bench.sent(), bench.forwarding.unanswered_bytes()), (vec![], 0));
    assert!(!bench.forwarding.has_room(leader(), false));
    assert!(bench.forwarding.has_room(leader(), true));
    bench.send(leader(), 1..2, (0, 0));
    assert_eq!(bench.sent(), [(2, 1, 0, WITHIN_SLOTS)]);
    assert!(bench.forwarding.has_room(leader(), false));
}

#[test]
fn a_new_leader_gets_what_is_new_and_the_old_one_nothing_more() {
    let mut bench = Bench::new();
    bench.send(leader(), 0..1, (0, 0));
    bench.forwarding.follow(leader());
    assert!(bench.forwarding.unanswered_bytes() > 0);
    bench.forwarding.follow(ballot(4, 3));
    assert_eq!(bench.forwarding.unanswered_bytes(), 0);
    bench.send(ballot(4, 3), 1..2, (0, 0));
    assert_eq!(bench.sent().last(), Some(&(3, 1, 0, WITHIN_SLOTS)));
}
