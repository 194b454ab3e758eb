//! Read indexes: asked, confirmed, and served.

use alloc::vec;

use super::*;
use crate::message::Message;
use crate::outbox::tests::{Drained, announcement, ballot, drain, id, membership, outbox};

const ME: Incarnation = Incarnation(1);

fn answer_of(reads: u64, index: u64) -> ReadIndexAnswer {
    let announcement = announcement(index, Vec::new());
    ReadIndexAnswer { incarnation: ME, reads, index: Slot(index), announcement }
}

/// The leader 1 of three members.
struct Leader {
    indexes: Indexes,
    out: Outbox,
}

impl Leader {
    fn new() -> Self {
        Self { indexes: Indexes::default(), out: outbox(1) }
    }

    /// A member answers a Heartbeat; who is told which index then, for reads below which number.
    fn hears(&mut self, from: u32, sequence: u64) -> Vec<(u32, u64, u64)> {
        let facts = || announcement(9, Vec::new());
        let (members, out) = (membership(3), &mut self.out);
        self.indexes.handle_heartbeat_answer(id(from), sequence, facts, &members, out);
        let Drained { sent, own, .. } = drain(&mut self.out);
        let sent = sent.into_iter().map(|(to, message)| (to[0].0, message));
        let all = sent.chain(own.into_iter().map(|message| (1, message)));
        all.map(|(to, message)| match message {
            Message::ReadIndexAnswer(answer) => (to, answer.reads, answer.index.0),
            other => panic!("{other:?}"),
        })
        .collect()
    }
}

#[test]
fn an_index_is_given_when_a_quorum_has_answered_a_later_heartbeat() {
    // The mark is 5. The leader itself and one more make a quorum of three; what answers Heartbeat
    // 6 says nothing, since it was sent before the question came.
    let mut leader = Leader::new();
    leader.indexes.ask(id(2), ME, 3);
    assert!(leader.indexes.is_due(Slot(5), Slot(5)));
    leader.indexes.begin(Slot(5), 7);
    assert_eq!(leader.hears(1, 7), []);
    assert_eq!(leader.hears(3, 6), []);
    assert_eq!(leader.hears(9, 7), [], "no member");
    assert_eq!(leader.hears(3, 8), [(2, 3, 5)]);
    assert_eq!(leader.hears(2, 8), [], "it was answered");
}

#[test]
fn no_index_before_the_mark_has_passed_what_phase_1_reported() {
    // Slot 4 was reported: whoever proposed it may have been told that it is chosen.
    let mut leader = Leader::new();
    leader.indexes.ask(id(2), ME, 3);
    assert!(!leader.indexes.is_due(Slot(4), Slot(5)));
    assert!(leader.indexes.is_due(Slot(5), Slot(5)));
}

#[test]
fn questions_that_come_during_a_round_wait_for_the_next_one() {
    let mut leader = Leader::new();
    leader.indexes.ask(id(2), ME, 3);
    leader.indexes.begin(Slot(5), 7);
    leader.hears(1, 7);
    leader.indexes.ask(id(2), ME, 4);
    leader.indexes.ask(id(3), ME, 8);
    leader.indexes.ask(id(2), ME, 6);
    leader.indexes.ask(id(2), ME, 5);
    assert!(!leader.indexes.is_due(Slot(6), Slot(5)), "one round at a time");
    assert_eq!(leader.hears(2, 7), [(2, 3, 5)]);
    assert!(leader.indexes.is_due(Slot(6), Slot(5)));
    leader.indexes.begin(Slot(6), 8);
    leader.hears(1, 8);
    assert_eq!(leader.hears(3, 8), [(2, 6, 6), (3, 8, 6)]);
}

#[test]
fn the_question_of_a_later_start_takes_the_place_of_an_earlier_ones() {
    let mut leader = Leader::new();
    leader.indexes.ask(id(2), ME, 30);
    leader.indexes.ask(id(2), Incarnation(2), 1);
    leader.indexes.begin(Slot(5), 7);
    leader.hears(1, 7);
    assert_eq!(leader.hears(3, 7), [(2, 1, 5)]);
}

#[test]
fn a_deposed_leader_answers_nobody() {
    let mut leader = Leader::new();
    leader.indexes.ask(id(2), ME, 3);
    leader.indexes.begin(Slot(5), 7);
    leader.indexes.ask(id(3), ME, 3);
    leader.indexes.stop();
    assert_eq!((leader.hears(1, 7), leader.hears(3, 7)), (vec![], vec![]));
    assert!(!leader.indexes.is_due(Slot(9), Slot(0)));
}

/// What is asked of whom.
fn asked(reads: &mut Reads, leader: Ballot) -> Option<(u32, u64)> {
    let mut out = outbox(1);
    reads.ask(leader, Slot(0), &mut out);
    drain(&mut out).sent.pop().map(|(to, message)| match message {
        Message::ReadIndex(question) => (to[0].0, question.reads),
        other => panic!("{other:?}"),
    })
}

/// What is served when every slot below this one was handed out.
fn served(reads: &mut Reads, delivered: u64) -> Vec<(Range<u64>, u64)> {
    let mut out = outbox(1);
    reads.deliver(Slot(delivered), &mut out);
    let ready = drain(&mut out).other.into_iter().map(|output| match output {
        Output::ReadReady { reads, upto } => (reads, upto.0),
        other => panic!("{other:?}"),
    });
    ready.collect()
}

#[test]
fn one_question_serves_every_read_that_waits() {
    let mut reads = Reads::new(ME);
    assert_eq!(asked(&mut reads, ballot(1, 2)), None, "nobody waits");
    (0..5).for_each(|number| assert_eq!(reads.take_in(true), number));
    assert_eq!(asked(&mut reads, ballot(1, 2)), Some((2, 5)));
    reads.take_in(true);
    assert_eq!(asked(&mut reads, ballot(1, 2)), None, "one question at a time");
    reads.handle_answer(&answer_of(5, 7));
    assert_eq!(served(&mut reads, 6), []);
    assert_eq!(served(&mut reads, 7), [(0..5, 7)]);
    assert_eq!((asked(&mut reads, ballot(1, 2)), reads.waiting()), (Some((2, 6)), 1));
}

#[test]
fn a_new_leader_is_asked_at_once_and_a_silent_one_again() {
    let mut reads = Reads::new(ME);
    reads.take_in(true);
    assert_eq!(asked(&mut reads, ballot(1, 2)), Some((2, 1)));
    assert_eq!(asked(&mut reads, ballot(2, 3)), Some((3, 1)));
    (0..TICKS_MAX - 1).for_each(|_| reads.on_tick());
    assert_eq!(asked(&mut reads, ballot(2, 3)), None);
    reads.on_tick();
    assert_eq!(asked(&mut reads, ballot(2, 3)), Some((3, 1)));
}

#[test]
fn an_answer_is_for_the_reads_that_came_before_its_question_and_no_others() {
    // A late answer to the question of an earlier start, one for reads that were never asked, and
    // one that comes twice.
    let mut reads = Reads::new(ME);
    for _ in 0..2 {
        reads.take_in(true);
    }
    reads.handle_answer(&ReadIndexAnswer { incarnation: Incarnation(0), ..answer_of(2, 0) });
    reads.handle_answer(&answer_of(3, 0));
    assert_eq!(served(&mut reads, 9), []);
    reads.handle_answer(&answer_of(1, 4));
    reads.handle_answer(&answer_of(1, 3));
    assert_eq!(served(&mut reads, 9), [(0..1, 4)]);
    assert_eq!(reads.waiting(), 1);
}

#[test]
fn local_reads_ask_nobody_and_leave_the_others_alone() {
    let mut reads = Reads::new(ME);
    reads.take_in(true);
    reads.take_in(false);
    reads.take_in(true);
    assert_eq!((reads.waiting(), reads.next()), (2, 3));
    reads.handle_answer(&answer_of(3, 4));
    assert_eq!(served(&mut reads, 4), [(0..1, 4), (2..3, 4)]);
}

#[test]
fn reads_without_an_index_are_given_up_and_others_are_not() {
    let mut reads = Reads::new(ME);
    for _ in 0..4 {
        reads.take_in(true);
    }
    reads.handle_answer(&answer_of(2, 9));
    assert_eq!(reads.drop_below(3), core::slice::from_ref(&(2..3)));
    assert_eq!(served(&mut reads, 9), [(0..2, 9)]);
    assert_eq!(reads.drop_below(u64::MAX), core::slice::from_ref(&(3..4)));
    assert_eq!(reads.waiting(), 0);
}
