//! The proposer alone: Promises, fetched entries and commands in, Accepts out.

use alloc::vec;

use super::*;
use crate::message::Message;
use crate::outbox::tests::{
    announcement, ballot, drain, entry, id, membership, outbox, run, slots,
};

mod forwarded;

const LIMITS: Limits =
    Limits { pipeline_slots: 16, partial_slots: ALPHA, pipeline_bytes: 1 << 20, batch_bytes: 100 };

/// The ballot of these tests, of replica 1.
fn mine() -> Ballot {
    ballot(5, 1)
}

/// A Promise in one page, from slot 0 on.
fn promise(chosen: u64, accepted: &[(u64, Ballot)]) -> Promise {
    let end = accepted.iter().map(|(slot, _)| slot + 1).max().unwrap_or(0);
    Promise {
        ballot: mine(),
        slots: slots(0, end),
        last: true,
        chosen: Slot(chosen),
        accepted: accepted.iter().map(|(slot, ballot)| run(*slot, slot + 1, *ballot)).collect(),
        faulty: Vec::new(),
    }
}

/// A proposer of three members, what it sent, and how far it knows the log to be chosen.
struct Bench {
    proposer: Proposer,
    out: Outbox,
    chosen: u64,
    held: Vec<(Slot, Held)>,
    /// What the last call of `take_over` gave to be learned.
    found: Vec<(Slot, Held)>,
}

impl Bench {
    fn preparing(limits: Limits) -> Self {
        let (mut proposer, mut out) = (Proposer::new(id(1), Incarnation(1), limits), outbox(1));
        proposer.prepare(mine(), Slot(0), &membership(3), &mut out);
        drain(&mut out);
        Self { proposer, out, chosen: 0, held: Vec::new(), found: Vec::new() }
    }

    /// A leader that has these Promises, of replicas 1, 2, ...
    fn leading(promises: &[Promise]) -> Self {
        Self::leading_within(LIMITS, promises)
    }

    fn leading_within(limits: Limits, promises: &[Promise]) -> Self {
        let mut bench = Self::preparing(limits);
        for (name, promise) in (1..).zip(promises) {
            bench.hear(name, promise);
        }
        assert_eq!(bench.proposer.leading(), Some(mine()));
        bench
    }

    fn hear(&mut self, from: u32, promise: &Promise) -> bool {
        let judged = self.proposer.handle_promise(id(from), promise, &membership(3));
        judged.unwrap()
    }

    fn facts(&self) -> Announcement {
        announcement(self.chosen, Vec::new())
    }

    /// Takes over, and gives what was sent, a message to everybody once.
    fn take_over(&mut self, again: bool) -> Vec<Message> {
        let (facts, held) = (self.facts(), self.held.clone());
        let held = |slot| held.iter().find(|(s, _)| *s == slot).map(|(_, held)| held);
        self.found = self.proposer.take_over(held, &facts, again, &membership(3), &mut self.out);
        drain(&mut self.out).messages()
    }

    fn fetched(&mut self, slot: u64, proposal: Option<(Ballot, Entry)>) {
        let fetched = Fetched { slot: Slot(slot), proposal, chosen: Slot(0) };
        self.proposer.handle_fetched(fetched);
    }

    fn propose_next(&mut self) -> Option<Proposed> {
        let facts = self.facts();
        self.proposer.propose_next(false, &facts, &membership(3), &mut self.out)
    }

    fn send_again(&mut self, voted: &[(u64, u32)], bytes: usize) -> Vec<(Vec<ReplicaId>, Message)> {
        let facts = self.facts();
        let voted = |slot: Slot, of: ReplicaId| voted.contains(&(slot.0, of.0));
        self.proposer.send_again(voted, &facts, bytes, &membership(3), &mut self.out);
        drain(&mut self.out).sent
    }
}

fn accept(slot: u64, entry: Entry) -> Message {
    let announcement = announcement(0, Vec::new());
    Accept { ballot: mine(), slot: Slot(slot), entry, announcement }.into()
}

fn fetch(slot: u64, from: Ballot) -> Message {
    Fetch { slot: Slot(slot), ballot: from }.into()
}

#[test]
fn phase_1_asks_everybody_oneself_too() {
    // Prepare(5.1) from the first slot that is not known chosen; its own acceptor is asked as well.
    let (mut proposer, mut out) = (Proposer::new(id(1), Incarnation(1), LIMITS), outbox(1));
    proposer.prepare(mine(), Slot(7), &membership(3), &mut out);
    let prepare = Message::from(Prepare { ballot: mine(), first: Slot(7) });
    let drained = drain(&mut out);
    assert_eq!(drained.sent, [(vec![id(2), id(3)], prepare.clone())]);
    assert_eq!(drained.own, [prepare]);
    assert_eq!((proposer.ballot(), proposer.leading()), (Some(mine()), None));
}

#[test]
#[should_panic(expected = "I2")]
fn nobody_prepares_a_ballot_of_another() {
    // Two leaders of one ballot could name two entries by one (ballot, slot) pair (I2).
    let mut proposer = Proposer::new(id(1), Incarnation(1), LIMITS);
    proposer.prepare(ballot(5, 2), Slot(0), &membership(3), &mut outbox(1));
}

#[test]
fn it_leads_when_a_prepare_quorum_has_told_everything() {
    // One Promise, one of another ballot, then the second page-whole one: only that makes a leader.
    let mut bench = Bench::preparing(LIMITS);
    assert!(!bench.hear(1, &promise(0, &[])));
    assert!(!bench.hear(2, &Promise { ballot: ballot(4, 1), ..promise(0, &[]) }));
    let first = Promise { slots: slots(0, 3), last: false, ..promise(0, &[]) };
    assert!(!bench.hear(2, &first));
    assert_eq!((bench.proposer.leading(), bench.proposer.end()), (None, Slot(0)));
    assert!(bench.hear(2, &Promise { slots: slots(3, 3), ..promise(0, &[]) }));
    assert_eq!(bench.proposer.leading(), Some(mine()));
}

#[test]
fn new_commands_go_above_everything_that_was_told() {
    // A report at slot 3, a mark of 2: the first batch goes to slot 4, whatever is open below.
    let mut bench = Bench::leading(&[promise(0, &[(3, ballot(1, 2))]), promise(2, &[])]);
    assert_eq!(bench.proposer.free_from(), Some(Slot(4)));
    bench.proposer.enqueue(b"x");
    assert_eq!(bench.propose_next().map(|proposed| proposed.slot), Some(Slot(4)));
}

#[test]
fn a_hole_is_filled_with_a_noop_and_a_report_is_fetched() {
    // Slot 0: nothing was reported; slot 1: replica 2 reported 2. Noop there, and a question here.
    let mut bench = Bench::leading(&[promise(0, &[]), promise(0, &[(1, ballot(2, 2))])]);
    assert_eq!(bench.take_over(false), [accept(0, Entry::Noop), fetch(1, ballot(2, 2))]);
}

#[test]
fn so_many_entries_are_asked_for_at_a_time_and_the_rest_as_they_come() {
    let reported: Vec<_> = (0..20).map(|slot| (slot, ballot(2, 2))).collect();
    let mut bench = Bench::leading(&[promise(0, &[]), promise(0, &reported)]);
    let asked = bench.take_over(false);
    assert_eq!(asked, (0..16).map(|slot| fetch(slot, ballot(2, 2))).collect::<Vec<_>>());
    // One of them comes, and makes room for one more.
    bench.fetched(5, Some((ballot(2, 2), entry("x"))));
    let next = bench.take_over(false);
    assert_eq!(next, [accept(5, entry("x")), fetch(16, ballot(2, 2))]);
}

#[test]
fn what_is_taken_over_is_bounded_in_bytes_and_goes_on_as_slots_are_passed() {
    // Five slots of 90 bytes lie here, and 200 may be in flight: one more goes each time that a
    // slot is passed, and none before. Commands above, of as many bytes, hold up none of them.
    let limits = Limits { pipeline_bytes: 200, ..LIMITS };
    let reported: Vec<_> = (0..5).map(|slot| (slot, ballot(2, 1))).collect();
    let mut bench = Bench::leading_within(limits, &[promise(0, &reported), promise(0, &[])]);
    let long = "x".repeat(90);
    let held = Held { ballot: ballot(2, 1), entry: entry(&long) };
    bench.held = (0..5).map(|slot| (Slot(slot), held.clone())).collect();
    for _ in 0..4 {
        bench.proposer.enqueue(&[0; 90]);
    }
    while bench.propose_next().is_some() {}
    drain(&mut bench.out);
    let taken_over = |bench: &mut Bench, again| {
        let messages = bench.take_over(again);
        messages
            .iter()
            .map(|message| match message {
                Message::Accept(accept) => accept.slot.0,
                other => panic!("{other:?}"),
            })
            .collect::<Vec<_>>()
    };
    let first = taken_over(&mut bench, false);
    let next = first.len() as u64;
    assert!((1..5).contains(&next), "{first:?}");
    assert_eq!(first, (0..next).collect::<Vec<_>>());
    assert_eq!(taken_over(&mut bench, true), [0; 0]);
    for passed in 1..=5 {
        bench.chosen = passed;
        let more = taken_over(&mut bench, false);
        assert_eq!(more, (next + passed - 1..(next + passed).min(5)).collect::<Vec<_>>());
    }
}

#[test]
fn a_slot_whose_entry_came_late_waits_for_nothing_above_it() {
    // Slot 0 is fetched; the slots above fill what may be in flight meanwhile. When its entry
    // comes, it is proposed: no other slot can be passed before it.
    let limits = Limits { pipeline_bytes: 100, ..LIMITS };
    let reported: Vec<_> = (1..5).map(|slot| (slot, ballot(2, 1))).collect();
    let reports = [promise(0, &reported), promise(0, &[(0, ballot(2, 2))])];
    let mut bench = Bench::leading_within(limits, &reports);
    let held = Held { ballot: ballot(2, 1), entry: entry(&"x".repeat(90)) };
    bench.held = (1..5).map(|slot| (Slot(slot), held.clone())).collect();
    let before = bench.take_over(false);
    assert_eq!(before[0], fetch(0, ballot(2, 2)));
    assert!(before.len() < 5, "some wait");
    bench.fetched(0, Some((ballot(2, 2), entry("y"))));
    assert_eq!(bench.take_over(false), [accept(0, entry("y"))]);
}

#[test]
fn a_fetched_entry_is_proposed_once() {
    // It comes twice, and a later Promise says that the slot was free: the first proposal stays
    // (I2).
    let mut bench = Bench::leading(&[promise(0, &[]), promise(0, &[(0, ballot(2, 2))])]);
    assert_eq!(bench.take_over(false), [fetch(0, ballot(2, 2))]);
    bench.fetched(0, Some((ballot(2, 2), entry("x"))));
    assert_eq!(bench.take_over(false), [accept(0, entry("x"))]);
    bench.fetched(0, Some((ballot(3, 2), entry("y"))));
    assert!(!bench.hear(3, &promise(0, &[])));
    assert_eq!(bench.take_over(true), []);
    assert_eq!(bench.proposer.proposed(Slot(0), mine()), Some(&entry("x")));
}

#[test]
fn what_is_held_oneself_need_not_be_fetched() {
    // Reported at 2 by another; held here at 3, below the own ballot: that one will do (I5).
    let mut bench = Bench::leading(&[promise(0, &[]), promise(0, &[(0, ballot(2, 2))])]);
    bench.held.push((Slot(0), Held { ballot: ballot(3, 3), entry: entry("x") }));
    assert_eq!(bench.take_over(false), [accept(0, entry("x"))]);
}

#[test]
fn what_is_chosen_already_is_given_back_once_it_is_at_hand() {
    // 2 and 3 accepted slot 0 at 2.2: chosen. Its entry is asked for, and then learned, not
    // proposed.
    let report = promise(0, &[(0, ballot(2, 2))]);
    let mut bench = Bench::leading(&[promise(0, &[]), report.clone()]);
    bench.hear(3, &report);
    assert_eq!(bench.take_over(false), [fetch(0, ballot(2, 2))]);
    assert_eq!(bench.found, []);
    bench.fetched(0, Some((ballot(2, 2), entry("x"))));
    let chosen = [(Slot(0), Held { ballot: ballot(2, 2), entry: entry("x") })];
    for again in [false, true] {
        assert_eq!(bench.take_over(again), []);
        assert_eq!(bench.found, chosen);
    }
}

#[test]
fn an_entry_of_another_ballot_than_that_of_the_choice_is_proposed() {
    // Chosen at 2.2, and what is held is of 3.3: it is the same entry, but whoever learned it at
    // that ballot would name a ballot at which nothing was chosen.
    let report = promise(0, &[(0, ballot(2, 2))]);
    let mut bench = Bench::leading(&[report.clone(), report]);
    bench.held.push((Slot(0), Held { ballot: ballot(3, 3), entry: entry("x") }));
    assert_eq!(bench.take_over(false), [accept(0, entry("x"))]);
    assert_eq!(bench.found, []);
    // An entry of a lower ballot may be another one.
    let report = promise(0, &[(0, ballot(2, 2))]);
    let mut bench = Bench::leading(&[report.clone(), report]);
    bench.held.push((Slot(0), Held { ballot: ballot(1, 3), entry: entry("y") }));
    assert_eq!(bench.take_over(false), [fetch(0, ballot(2, 2))]);
    assert_eq!(bench.found, []);
}

#[test]
fn a_failed_fetch_frees_no_slot() {
    // "Gone" is no "nothing": no Noop, no command; it is asked again (I5).
    let mut bench = Bench::leading(&[promise(0, &[]), promise(0, &[(0, ballot(2, 2))])]);
    assert_eq!(bench.take_over(false), [fetch(0, ballot(2, 2))]);
    bench.fetched(0, None);
    assert_eq!(bench.take_over(false), []);
    assert_eq!(bench.take_over(true), [fetch(0, ballot(2, 2))]);
}

#[test]
fn a_failed_fetch_takes_no_lower_ballots_entry() {
    // v at 1 is held here and fetched from elsewhere too; 2 was reported, so v may be another entry
    // than the chosen one (I5).
    let reports = [promise(0, &[(0, ballot(1, 2))]), promise(0, &[(0, ballot(2, 3))])];
    let mut bench = Bench::leading(&reports);
    bench.held.push((Slot(0), Held { ballot: ballot(1, 2), entry: entry("v") }));
    bench.fetched(0, Some((ballot(1, 2), entry("v"))));
    bench.fetched(0, None);
    assert_eq!(bench.take_over(true), [fetch(0, ballot(2, 3))]);
}

#[test]
fn a_fetched_entry_of_ones_own_ballot_or_above_is_not_used() {
    // The reporter has accepted at 6 meanwhile: that is another leader's business (I5).
    let mut bench = Bench::leading(&[promise(0, &[]), promise(0, &[(0, ballot(2, 2))])]);
    for late in [mine(), ballot(6, 2)] {
        bench.fetched(0, Some((late, entry("z"))));
    }
    assert_eq!(bench.take_over(true), [fetch(0, ballot(2, 2))]);
}

#[test]
fn of_fetched_entries_the_one_of_the_highest_ballot_is_kept() {
    // A late answer with 1 does not push out the one with 3, which will do.
    let mut bench = Bench::leading(&[promise(0, &[]), promise(0, &[(0, ballot(2, 2))])]);
    bench.fetched(0, Some((ballot(3, 3), entry("w"))));
    bench.fetched(0, Some((ballot(1, 2), entry("v"))));
    assert_eq!(bench.take_over(false), [accept(0, entry("w"))]);
}

#[test]
fn a_slot_that_a_late_promise_closes_is_asked_about_again() {
    // Everything is settled, when a doubled Prepare finds that replica 2's disk has lost slot 0
    // (I10). The leader may not use the slot, and asks replica 3, which frees it.
    let mut bench = Bench::leading(&[promise(0, &[]), promise(0, &[])]);
    let faulty = vec![run(0, 1, ballot(2, 2))];
    bench.hear(2, &Promise { faulty, slots: slots(0, 1), ..promise(0, &[]) });
    bench.proposer.enqueue(b"x");
    assert_eq!(bench.propose_next(), None);
    let prepare = Message::from(Prepare { ballot: mine(), first: Slot(0) });
    assert_eq!(bench.send_again(&[], 1000), [(vec![id(3)], prepare)]);
    bench.hear(3, &promise(0, &[]));
    assert_eq!(bench.propose_next().map(|proposed| proposed.slot), Some(Slot(0)));
    drain(&mut bench.out);
    assert_eq!(bench.send_again(&[(0, 1), (0, 2), (0, 3)], 1000), []);
}

#[test]
fn any_replica_may_answer_a_fetch_with_any_ballot_in_between() {
    // Asked for 2 or higher; somebody who never promised holds 4: nothing was chosen in between
    // (I5).
    let mut bench = Bench::leading(&[promise(0, &[]), promise(0, &[(0, ballot(2, 2))])]);
    bench.fetched(0, Some((ballot(4, 3), entry("w"))));
    assert_eq!(bench.take_over(false), [accept(0, entry("w"))]);
}

#[test]
fn a_reporter_whose_entry_cannot_be_had_is_left_out() {
    // Replica 2 reported x and died. With the first quorum alone this leader is stuck; the Promise
    // of replica 3, asked again at the same ballot, makes a quorum without it.
    let mut bench = Bench::leading(&[promise(0, &[]), promise(0, &[(0, ballot(2, 2))])]);
    assert_eq!(bench.take_over(false), [fetch(0, ballot(2, 2))]);
    let asked = bench.send_again(&[], 1000);
    assert_eq!(asked, [(vec![id(3)], Prepare { ballot: mine(), first: Slot(0) }.into())]);
    assert!(!bench.hear(3, &promise(0, &[])));
    assert_eq!(bench.take_over(false), [accept(0, Entry::Noop)]);
}

#[test]
fn an_entry_is_asked_of_those_who_have_one_that_will_do() {
    // 2 has ballot 2, 3 has ballot 3, and both will do; the leader does not ask itself.
    let reports = [(0, ballot(2, 2)), (0, ballot(3, 3))];
    let mut bench = Bench::leading(&[promise(0, &reports[..1]), promise(0, &reports[..1])]);
    bench.hear(3, &promise(0, &reports[1..]));
    let facts = bench.facts();
    let found = bench.proposer.take_over(|_| None, &facts, false, &membership(3), &mut bench.out);
    assert_eq!(found, []);
    assert_eq!(drain(&mut bench.out).sent, [(vec![id(2), id(3)], fetch(0, ballot(2, 2)))]);
}

#[test]
fn nothing_is_proposed_where_the_quorum_says_chosen() {
    // Slots 0 and 1 are settled at replica 2: they are learned, not proposed, however often (I5).
    let mut bench = Bench::leading(&[promise(0, &[]), promise(2, &[])]);
    assert_eq!(bench.take_over(false), []);
    assert_eq!(bench.take_over(true), []);
}

#[test]
fn without_the_one_that_said_chosen_the_others_decide() {
    // It died before its entry could be learned; the other two lead to the same one. First it is
    // waited for, then not.
    let mut bench = Bench::leading(&[promise(0, &[]), promise(1, &[])]);
    assert!(!bench.hear(3, &promise(0, &[(0, ballot(2, 2))])));
    assert_eq!(bench.take_over(false), []);
    assert_eq!(bench.take_over(true), [fetch(0, ballot(2, 2))]);
}

#[test]
fn what_is_sent_again_is_the_same_to_the_byte_and_only_to_the_silent() {
    // Replica 2 has voted for slot 0, nobody for slot 1. The entries are those of the first time
    // (I2).
    let mut bench = Bench::leading(&[promise(0, &[]), promise(0, &[])]);
    for command in [b"a", b"b"] {
        bench.proposer.enqueue(command);
        bench.propose_next().unwrap();
    }
    let first = drain(&mut bench.out).messages();
    let voted = [(0, 1), (0, 2), (1, 1)];
    assert_eq!(bench.send_again(&voted, 1000), [], "not at the first look");
    let again = bench.send_again(&voted, 1000);
    let expected = [(vec![id(3)], first[0].clone()), (vec![id(2), id(3)], first[1].clone())];
    assert_eq!(again, expected);
}

#[test]
fn what_is_sent_again_is_bounded_in_bytes() {
    // Ten batches wait; a few bytes' worth go out again at once, the lowest slots first.
    let mut bench = Bench::leading(&[promise(0, &[]), promise(0, &[])]);
    for _ in 0..10 {
        bench.proposer.enqueue(&[0; 90]);
        bench.propose_next().unwrap();
    }
    drain(&mut bench.out);
    bench.send_again(&[], 200);
    let again = bench.send_again(&[], 200);
    let lowest: Vec<_> = again.iter().map(|(_, message)| message.name()).collect();
    assert_eq!(lowest, ["Accept"]);
}

#[test]
fn prepare_is_sent_again_to_those_who_have_not_told_all() {
    // One page of replica 2 is missing, and replica 3 said nothing.
    let mut bench = Bench::preparing(LIMITS);
    bench.hear(1, &promise(0, &[]));
    bench.hear(2, &Promise { last: false, slots: slots(0, 3), ..promise(0, &[]) });
    let prepare = Prepare { ballot: mine(), first: Slot(0) };
    assert_eq!(bench.send_again(&[], 0), [(vec![id(2), id(3)], prepare.into())]);
}

#[test]
fn the_pipeline_is_bounded_in_slots_and_counts_from_the_mark() {
    // Four slots in flight; when the mark moves by one, one more goes out.
    let limits = Limits { pipeline_slots: 4, ..LIMITS };
    let mut bench = Bench::leading_within(limits, &[promise(0, &[]), promise(0, &[])]);
    for _ in 0..10 {
        bench.proposer.enqueue(&[0; 90]);
    }
    let sent = |bench: &mut Bench| core::iter::from_fn(|| bench.propose_next()).count();
    assert_eq!((sent(&mut bench), bench.proposer.open_slots()), (4, 4));
    bench.chosen = 1;
    assert_eq!((sent(&mut bench), bench.proposer.open_slots()), (1, 4));
}

#[test]
fn the_pipeline_is_bounded_in_bytes() {
    // 200 bytes in flight stop the next batch; as soon as one is passed, it goes.
    let limits = Limits { pipeline_bytes: 200, ..LIMITS };
    let mut bench = Bench::leading_within(limits, &[promise(0, &[]), promise(0, &[])]);
    for _ in 0..4 {
        bench.proposer.enqueue(&[0; 90]);
    }
    let sent = |bench: &mut Bench| core::iter::from_fn(|| bench.propose_next()).count();
    assert_eq!(sent(&mut bench), 2);
    bench.chosen = 1;
    assert_eq!(sent(&mut bench), 1);
}

#[test]
fn no_slot_is_proposed_beyond_the_window_of_the_cluster() {
    // What is taken over counts as well: with slot 299 reported, 300 is too far from the mark of 0.
    let limits = Limits { pipeline_slots: ALPHA, ..LIMITS };
    let far =
        Promise { slots: slots(0, 100 + ALPHA), ..promise(100, &[(99 + ALPHA, ballot(1, 2))]) };
    let mut bench = Bench::leading_within(limits, &[promise(0, &[]), far]);
    bench.proposer.enqueue(b"x");
    assert_eq!(bench.propose_next(), None);
    bench.chosen = 101;
    assert_eq!(bench.propose_next().map(|proposed| proposed.slot), Some(Slot(100 + ALPHA)));
}

#[test]
fn commands_gather_to_batches_and_a_long_one_has_its_own() {
    // Small ones share a batch, up to 100 bytes; one of 500 bytes is a batch by itself.
    let mut bench = Bench::leading(&[promise(0, &[]), promise(0, &[])]);
    let first = bench.proposer.enqueue(b"a");
    let second = bench.proposer.enqueue(b"b");
    bench.proposer.enqueue(&[7; 500]);
    assert_eq!((first.sequence, second.sequence), (0, 1));
    let batches: Vec<_> = core::iter::from_fn(|| bench.propose_next()).collect();
    let counts: Vec<_> =
        batches.iter().map(|proposed| proposed.batch.as_ref().map_or(0, Batch::count)).collect();
    assert_eq!((counts, bench.proposer.queued_bytes()), (vec![2, 1], 0));
}

#[test]
fn commands_of_full_batches_are_given_up_one_by_one() {
    // Two of them fit a batch.
    let mut bench = Bench::preparing(LIMITS);
    for _ in 0..5 {
        bench.proposer.enqueue(&[7; 20]);
    }
    let each = bench.proposer.queued_bytes() / 5;
    assert_eq!(bench.proposer.drop_below(3), core::slice::from_ref(&(0..3)));
    assert_eq!(bench.proposer.queued_bytes(), 2 * each);
    let numbers = |batch: Batch| batch.taken_in_by(id(1), Incarnation(1)).unwrap();
    let rest: Vec<_> = core::iter::from_fn(|| bench.proposer.take_batch()).map(numbers).collect();
    assert_eq!((rest, bench.proposer.queued_bytes()), (vec![3..4, 4..5], 0));
}

#[test]
fn what_a_deposed_leader_never_proposed_waits_on_or_is_given_up() {
    // Command 0 is proposed: its fate is open. 1 and 2 never were: they wait for the next leader,
    // or are given up, and are certain then not to be applied.
    let mut bench = Bench::leading(&[promise(0, &[]), promise(0, &[])]);
    bench.proposer.enqueue(b"a");
    bench.propose_next().unwrap();
    bench.proposer.enqueue(b"b");
    bench.proposer.enqueue(&[0; 90]);
    drain(&mut bench.out);
    bench.proposer.stop();
    assert_eq!(bench.proposer.ballot(), None);
    assert_eq!(bench.propose_next(), None);
    assert_eq!(bench.proposer.drop_below(2), core::slice::from_ref(&(1..2)));
    let rest = bench.proposer.take_batch().unwrap();
    assert_eq!(rest.taken_in_by(id(1), Incarnation(1)), Some(2..3));
    assert_eq!((bench.proposer.queued_bytes(), bench.proposer.drop_below(u64::MAX)), (0, vec![]));
    assert_eq!(bench.take_over(true), []);
    assert_eq!(bench.send_again(&[], 1000), []);
}

#[test]
fn an_idle_leader_fills_what_a_follower_has_accepted_above_what_phase_1_found() {
    // A follower holds something in slots 0 and 1 that no prepare quorum spoke of. Whoever proposed
    // it waits for its fate, so Noops go there; a command comes first, and none follows beyond.
    let mut bench = Bench::leading(&[promise(0, &[]), promise(0, &[])]);
    assert_eq!(bench.propose_next(), None);
    bench.proposer.fill_to(Slot(2), Slot(0));
    bench.proposer.enqueue(b"a");
    let proposed: Vec<_> = core::iter::from_fn(|| bench.propose_next())
        .map(|proposed| (proposed.slot, proposed.batch.is_some()))
        .collect();
    assert_eq!(proposed, [(Slot(0), true), (Slot(1), false)]);
    // However far somebody says that it has accepted, the window is the cluster's.
    bench.proposer.fill_to(Slot(u64::MAX), Slot(0));
    assert!(core::iter::from_fn(|| bench.propose_next()).count() < ALPHA as usize);
}

#[test]
fn numbers_of_commands_are_never_used_again() {
    // It leads, stops, leads again: the next command has the next number.
    let mut bench = Bench::leading(&[promise(0, &[]), promise(0, &[])]);
    assert_eq!(bench.proposer.enqueue(b"a").sequence, 0);
    bench.proposer.stop();
    assert_eq!(bench.proposer.enqueue(b"b").sequence, 1);
}

#[test]
fn what_is_proposed_belongs_to_its_ballot() {
    // Votes of another ballot must not find this one's entry.
    let mut bench = Bench::leading(&[promise(0, &[]), promise(0, &[])]);
    bench.proposer.enqueue(b"a");
    bench.propose_next().unwrap();
    assert!(bench.proposer.proposed(Slot(0), mine()).is_some());
    assert_eq!(bench.proposer.proposed(Slot(0), ballot(4, 1)), None);
}
