//! The learner alone: votes, announcements and entries in; what is learned and delivered out.

use alloc::vec;

use quickcheck::{Gen, QuickCheck};

use super::*;
use crate::outbox::tests::{
    announcement, ballot, drain, entry, id, membership, outbox, recovered, run, slots,
};

fn held(ballot: Ballot, text: &str) -> Held {
    Held { ballot, entry: entry(text) }
}

/// Learns and passes slots 0 to `count`, each at this ballot, out of what the acceptor holds.
fn learn_all(learner: &mut Learner, count: u64, ballot: Ballot, out: &mut Outbox) {
    for slot in learner.chosen().0..count {
        let held = held(ballot, "x");
        let judged = learner.learn(Slot(slot), ballot, entry("x"), Some(&held), out);
        assert_eq!(judged, Ok(()));
        assert!(learner.pass(out).is_some());
    }
}

/// Learns the slot as catch-up does, with nothing held.
fn learn(learner: &mut Learner, slot: u64, text: &str, out: &mut Outbox) {
    let judged = learner.learn(Slot(slot), ballot(1, 1), entry(text), None, out);
    assert_eq!(judged, Ok(()));
}

/// The slots that an outbox delivers: at once, and out of the log.
fn delivered(outputs: &[Output]) -> Vec<u64> {
    let slots = |output: &Output| match output {
        Output::Chosen { slot, .. } => slots(slot.0, slot.0 + 1),
        Output::ApplyFromLog { slots } => *slots,
        other => panic!("{other:?}"),
    };
    outputs.iter().flat_map(|output| slots(output).iter().map(|slot| slot.0)).collect()
}

#[test]
fn an_accept_quorum_makes_a_proposal_chosen_and_nothing_less() {
    // 2.3: two of three, three of five. It is told once, when the quorum is reached.
    for (members, quorum) in [(1, 1), (3, 2), (5, 3), (9, 5)] {
        let mut learner = Learner::new(10);
        let vote = |learner: &mut Learner, from| {
            learner.handle_accepted(id(from), ballot(1, 1), Slot(0), &membership(members))
        };
        assert!((1..quorum).all(|from| !vote(&mut learner, from)), "{members}");
        assert!(vote(&mut learner, quorum), "{members}");
    }
}

#[test]
fn a_replicas_second_vote_and_a_strangers_vote_count_nothing() {
    // The network doubles messages; a replica that is no member has no vote.
    let mut learner = Learner::new(10);
    for from in [2, 2, 2, 7, 8, 9] {
        assert!(!learner.handle_accepted(id(from), ballot(1, 1), Slot(0), &membership(3)));
    }
}

#[test]
fn votes_of_different_ballots_are_never_added_up() {
    // One vote at 1 and one at 2 choose nothing; a late vote at 1 does not take those of 2 away.
    let (mut learner, members) = (Learner::new(10), membership(3));
    assert!(!learner.handle_accepted(id(1), ballot(1, 1), Slot(0), &members));
    assert!(!learner.handle_accepted(id(2), ballot(2, 2), Slot(0), &members));
    assert!(!learner.handle_accepted(id(3), ballot(1, 1), Slot(0), &members));
    assert!(learner.handle_accepted(id(3), ballot(2, 2), Slot(0), &members));
}

#[test]
fn votes_outside_the_window_and_for_known_slots_are_passed_over() {
    // Slot ALPHA has no place; slot 0 is known already.
    let (mut learner, mut out, members) = (Learner::new(10), outbox(1), membership(1));
    assert!(!learner.handle_accepted(id(1), ballot(1, 1), Slot(ALPHA), &members));
    learn(&mut learner, 0, "x", &mut out);
    assert!(!learner.handle_accepted(id(1), ballot(2, 1), Slot(0), &members));
    learner.pass(&mut out);
    assert!(!learner.handle_accepted(id(1), ballot(2, 1), Slot(0), &members));
}

/// Whether a follower that accepted at `mine` takes slot 0 from an announcement of `named`.
fn takes(mine: Ballot, named: Ballot) -> bool {
    let (mut learner, mut out) = (Learner::new(10), outbox(1));
    let held = held(mine, "x");
    let announcement = announcement(1, vec![run(0, 1, named)]);
    let judged = learner.handle_announcement(&announcement, |_| Some(&held), &mut out);
    assert_eq!(judged, Ok(()));
    learner.learned(Slot(0)).is_some()
}

#[test]
fn a_run_is_taken_only_with_the_very_ballot_that_it_names() {
    // Accepted w at 2. Named 1: v may have been chosen there, and w only tried. Named 3: v may have
    // been chosen at 3. Neither <= nor >= will do; only 2 is w for certain (I2, I6).
    assert!(takes(ballot(2, 2), ballot(2, 2)));
    assert!(!takes(ballot(2, 2), ballot(3, 2)));
    assert!(!takes(ballot(2, 2), ballot(1, 2)));
    assert!(!takes(ballot(2, 2), ballot(2, 1)));
}

#[test]
fn a_chosen_mark_alone_teaches_no_entry() {
    // All below 5 is chosen, and something is held: but what was chosen there? (I6)
    let (mut learner, mut out) = (Learner::new(10), outbox(1));
    let held = held(ballot(2, 2), "w");
    let judged = learner.handle_announcement(&announcement(5, vec![]), |_| Some(&held), &mut out);
    assert_eq!((judged, learner.pass(&mut out)), (Ok(()), None));
    assert_eq!(learner.missing(Slot(5)), Some(slots(0, 5)));
}

#[test]
fn a_run_teaches_slots_above_the_mark_out_of_order() {
    // Slot 0 is not held: slots 1 and 2 are learned, and passed only after it (I7).
    let (mut learner, mut out) = (Learner::new(10), outbox(1));
    let mine = held(ballot(1, 1), "x");
    let at = |slot: Slot| (slot > Slot(0)).then_some(&mine);
    let announcement = announcement(3, vec![run(0, 3, ballot(1, 1))]);
    assert_eq!(learner.handle_announcement(&announcement, at, &mut out), Ok(()));
    assert_eq!(learner.pass(&mut out), None);
    assert_eq!(learner.missing(Slot(3)), Some(slots(0, 1)));
    learn(&mut learner, 0, "y", &mut out);
    assert_eq!(core::iter::from_fn(|| learner.pass(&mut out)).count(), 3);
}

#[test]
fn catch_up_keeps_the_ballot_that_came_with_the_entry() {
    // Five replicas: this one accepted x at 1; y was chosen at 2, and comes by catch-up with its
    // ballot. If it announced its own 1 from then on, another that holds x at 1 would deliver x
    // (I6).
    let (mut learner, mut out) = (Learner::new(10), outbox(1));
    let mine = held(ballot(1, 1), "x");
    let judged = learner.learn(Slot(0), ballot(2, 2), entry("y"), Some(&mine), &mut out);
    assert_eq!(judged, Ok(()));
    assert_eq!(learner.pass(&mut out), Some((Slot(0), entry("y"))));
    assert_eq!(learner.announcement(), announcement(1, vec![run(0, 1, ballot(2, 2))]));
    let record = Record::Chosen { slot: Slot(0), ballot: ballot(2, 2), entry: entry("y") };
    assert_eq!(drain(&mut out).records, [record]);
}

#[test]
fn what_was_learned_and_not_accepted_is_written_what_was_accepted_is_not() {
    // The log must name the right proposal of the slot: a Chosen record where the last Accepted
    // record is another ballot's, or missing; none where it is this very proposal.
    let cases = [
        (None, true),
        (Some(held(ballot(1, 1), "x")), true),
        (Some(held(ballot(2, 1), "x")), false),
        (Some(held(ballot(3, 1), "x")), true),
    ];
    for (held, written) in cases {
        let (mut learner, mut out) = (Learner::new(10), outbox(1));
        let judged = learner.learn(Slot(0), ballot(2, 1), entry("x"), held.as_ref(), &mut out);
        assert_eq!(judged, Ok(()));
        assert_eq!(drain(&mut out).records.len(), usize::from(written), "{held:?}");
    }
}

#[test]
fn a_chosen_slot_never_changes() {
    // Another entry for a known slot is a contradiction: refused, and the first one stays (I6).
    let (mut learner, mut out) = (Learner::new(10), outbox(1));
    learn(&mut learner, 0, "x", &mut out);
    drain(&mut out);
    let judged = learner.learn(Slot(0), ballot(2, 2), entry("y"), None, &mut out);
    assert_eq!(judged, Err(Misbehaviour::ChosenChanged { slot: Slot(0) }));
    assert_eq!(learner.learned(Slot(0)), Some(&entry("x")));
    assert_eq!(drain(&mut out), Default::default());
}

#[test]
fn one_proposal_with_two_entries_is_refused() {
    // Told chosen at the very ballot that was accepted, with another entry (I2).
    let (mut learner, mut out) = (Learner::new(10), outbox(1));
    let mine = held(ballot(1, 1), "x");
    let judged = learner.learn(Slot(0), ballot(1, 1), entry("y"), Some(&mine), &mut out);
    assert_eq!(judged, Err(Misbehaviour::TwoEntries { slot: Slot(0), ballot: ballot(1, 1) }));
    assert_eq!(learner.learned(Slot(0)), None);
}

#[test]
fn the_same_news_twice_is_no_news() {
    // Learned again at another ballot, the same entry: nothing is written, the first ballot stays.
    let (mut learner, mut out) = (Learner::new(10), outbox(1));
    learn(&mut learner, 0, "x", &mut out);
    drain(&mut out);
    let again = learner.learn(Slot(0), ballot(7, 2), entry("x"), None, &mut out);
    assert_eq!((again, drain(&mut out).records), (Ok(()), vec![]));
    learner.pass(&mut out);
    assert_eq!(*learner.announcement().runs, [run(0, 1, ballot(1, 1))]);
    let passed = learner.learn(Slot(0), ballot(7, 2), entry("x"), None, &mut out);
    assert_eq!((passed, drain(&mut out).records), (Ok(()), vec![]));
}

#[test]
fn slots_beyond_the_window_are_not_held() {
    // A peer may send any slot; what is held stays bounded.
    let (mut learner, mut out) = (Learner::new(10), outbox(1));
    for slot in [ALPHA, u64::MAX] {
        learn(&mut learner, slot, "x", &mut out);
        assert_eq!(learner.learned(Slot(slot)), None);
    }
    assert_eq!(drain(&mut out), Default::default());
}

#[test]
fn slots_are_chosen_in_any_order_and_delivered_in_slot_order() {
    // 2, 0, 1 are learned: 0 passes with its news, then 1 and 2 (I7). The mark follows.
    let (mut learner, mut out) = (Learner::new(10), outbox(1));
    let mut marks = Vec::new();
    for slot in [2, 0, 1] {
        learn(&mut learner, slot, "x", &mut out);
        while learner.pass(&mut out).is_some() {}
        marks.push(learner.chosen().0);
    }
    assert_eq!(marks, [0, 1, 3]);
    assert_eq!(delivered(&drain(&mut out).other), [0, 1, 2]);
}

#[test]
fn what_the_machine_has_no_room_for_is_left_in_the_log() {
    // Two at once, no more: 0 and 1 are delivered, 2 to 5 are read from the log as the machine goes
    // on (I7, I8). Not slot by slot: at least half of the room.
    let (mut learner, mut out) = (Learner::new(2), outbox(1));
    learn_all(&mut learner, 6, ballot(1, 1), &mut out);
    learner.deliver_from_log(&mut out);
    assert_eq!(delivered(&drain(&mut out).other), [0, 1]);
    learner.handle_applied(Slot(2));
    learner.deliver_from_log(&mut out);
    assert_eq!(drain(&mut out).other, [Output::ApplyFromLog { slots: slots(2, 4) }]);
    learner.handle_applied(Slot(4));
    learner.deliver_from_log(&mut out);
    assert_eq!(delivered(&drain(&mut out).other), [4, 5]);
    learner.handle_applied(Slot(6));
    learn_all(&mut learner, 7, ballot(1, 1), &mut out);
    assert_eq!(delivered(&drain(&mut out).other), [6]);
}

#[test]
fn no_more_is_applied_than_was_delivered() {
    // A driver that tells too high a mark is cut to what it was given; an old mark does nothing
    // (I8).
    let (mut learner, mut out) = (Learner::new(10), outbox(1));
    learn_all(&mut learner, 3, ballot(1, 1), &mut out);
    learner.handle_applied(Slot(90));
    assert_eq!(learner.applied(), Slot(3));
    learner.handle_applied(Slot(1));
    assert_eq!(learner.applied(), Slot(3));
}

#[test]
fn deliveries_have_no_gap_and_no_double_whatever_the_order() {
    // Slots are learned in any order, and again; the machine applies when it likes (I7).
    fn property(steps: Vec<(u8, bool)>, room: u8) -> bool {
        let (mut learner, mut out) = (Learner::new(1 + u64::from(room) % 5), outbox(1));
        let mut got = Vec::new();
        for (slot, apply) in steps {
            learn(&mut learner, u64::from(slot) % 24, "x", &mut out);
            while learner.pass(&mut out).is_some() {}
            learner.deliver_from_log(&mut out);
            got.extend(delivered(&drain(&mut out).other));
            if apply {
                learner.handle_applied(Slot(got.len() as u64));
            }
        }
        // When the machine has applied everything it was given, the rest follows.
        for _ in 0..24 {
            learner.handle_applied(Slot(got.len() as u64));
            learner.deliver_from_log(&mut out);
            got.extend(delivered(&drain(&mut out).other));
        }
        got.iter().copied().eq(0..learner.chosen().0)
    }
    QuickCheck::new()
        .rng(Gen::from_size_and_seed(100, 0x5eed))
        .tests(2_000)
        .quickcheck(property as fn(Vec<(u8, bool)>, u8) -> bool);
}

#[test]
fn an_announcement_names_the_last_runs_below_the_mark() {
    // Six changes of leader: the last four runs, each with its own ballot, up to the mark.
    let (mut learner, mut out) = (Learner::new(10), outbox(1));
    for round in 1..=6 {
        learn_all(&mut learner, round * 2, ballot(round, 1), &mut out);
    }
    let runs = (3..=6).map(|round| run(round * 2 - 2, round * 2, ballot(round, 1)));
    assert_eq!(learner.announcement(), announcement(12, runs.collect()));
}

#[test]
fn the_runs_that_are_remembered_are_bounded() {
    // A thousand slots at alternating ballots: only those of the last ALPHA slots are kept.
    let (mut learner, mut out) = (Learner::new(10), outbox(1));
    for slot in 0..1000 {
        learn_all(&mut learner, slot + 1, ballot(1 + slot % 2, 1), &mut out);
        drain(&mut out);
    }
    assert_eq!(learner.runs.len() as u64, ALPHA);
    assert_eq!(learner.runs[0].slots.start, Slot(1000 - ALPHA));
}

#[test]
fn after_a_restart_everything_is_delivered_anew_out_of_the_log() {
    // The mark, the runs and what was learned ahead are remembered; the machine starts from
    // nothing.
    let mut log = recovered(1);
    log.chosen = Slot(3);
    log.runs = vec![run(0, 3, ballot(2, 2))];
    log.learned = vec![(Slot(4), ballot(2, 2), entry("x"))];
    let (mut learner, mut out) = (Learner::recover(&log, 10), outbox(1));
    learner.deliver_from_log(&mut out);
    assert_eq!(drain(&mut out).other, [Output::ApplyFromLog { slots: slots(0, 3) }]);
    assert_eq!(learner.announcement(), announcement(3, vec![run(0, 3, ballot(2, 2))]));
    assert_eq!(learner.missing(Slot(9)), Some(slots(3, 4)));
    learn(&mut learner, 3, "y", &mut out);
    assert_eq!(core::iter::from_fn(|| learner.pass(&mut out)).count(), 2);
}

#[test]
fn delivery_stops_at_a_hole_until_it_is_filled() {
    // The log has lost slots 2 to 4 below the mark. Nothing above is applied before them (I7); what
    // comes is written as learned, once.
    let mut log = recovered(1);
    (log.chosen, log.holes) = (Slot(6), vec![slots(2, 5)]);
    let (mut learner, mut out) = (Learner::recover(&log, 10), outbox(1));
    learner.deliver_from_log(&mut out);
    assert_eq!(delivered(&drain(&mut out).other), [0, 1]);
    for slot in [3, 3, 2] {
        learn(&mut learner, slot, "x", &mut out);
    }
    assert_eq!(learner.holes(), [slots(4, 5)]);
    learner.deliver_from_log(&mut out);
    let drained = drain(&mut out);
    assert_eq!((drained.records.len(), delivered(&drained.other)), (2, vec![2, 3]));
    learn(&mut learner, 4, "x", &mut out);
    learner.deliver_from_log(&mut out);
    assert_eq!((learner.holes(), delivered(&drain(&mut out).other)), (&[][..], vec![4, 5]));
}

#[test]
fn what_is_missing_ends_at_what_is_known_and_at_the_window() {
    // Known: 2. Missing up to 9: 0 and 1. With nothing known: up to the window's end. Behind
    // nobody: nothing.
    let (mut learner, mut out) = (Learner::new(10), outbox(1));
    assert_eq!(learner.missing(Slot(0)), None);
    assert_eq!(learner.missing(Slot(9000)), Some(slots(0, ALPHA)));
    learn(&mut learner, 2, "x", &mut out);
    assert_eq!(learner.missing(Slot(9)), Some(slots(0, 2)));
    assert_eq!(learner.missing(Slot(1)), Some(slots(0, 1)));
}
