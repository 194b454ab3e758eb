//! Hand-overs alone: answers, votes and the extent of a log in, whom to ask out.

use super::*;
use crate::outbox::tests::{ballot, id, slots};

const TIMEOUT: Duration = Duration::from_millis(120);

fn at(millis: u64) -> Instant {
    Instant::from_millis(millis)
}

/// Nothing is under way but one hand-over to replica 2, from ballot 3.1, since time 0, with
/// Heartbeat 7.
fn begun() -> HandOvers {
    let mut hand_overs = HandOvers::new(TIMEOUT);
    hand_overs.begin(at(0), ballot(3, 1), id(2), 7);
    hand_overs
}

/// A leader that has proposed below the second slot, with a pipeline of four, and a target that
/// knows what lies below the first to be chosen.
fn extent(known: u64, end: u64) -> Extent {
    Extent { known: Slot(known), end: Slot(end), pipeline_slots: 4, forwarded: false }
}

#[test]
fn a_target_that_has_everything_is_asked_at_once() {
    let mut hand_overs = begun();
    assert_eq!(hand_overs.proceed(ballot(3, 1), extent(9, 9)), None);
    assert!(!hand_overs.is_closing(), "nothing waits before the target has answered");
    hand_overs.handle_heartbeat_answer(id(2), 7);
    assert_eq!(hand_overs.proceed(ballot(3, 1), extent(9, 9)), Some(id(2)));
    assert!(hand_overs.is_closing());
    // Once; what may be lost is repeated by the tick.
    assert_eq!(hand_overs.proceed(ballot(3, 1), extent(9, 9)), None);
    assert_eq!(hand_overs.asked(), Some(id(2)));
}

#[test]
fn only_the_targets_answers_since_it_began_count() {
    let mut hand_overs = begun();
    hand_overs.handle_heartbeat_answer(id(3), 8);
    hand_overs.handle_heartbeat_answer(id(2), 6);
    assert_eq!(hand_overs.proceed(ballot(3, 1), extent(9, 9)), None);
    assert!(!hand_overs.is_closing());
    hand_overs.handle_heartbeat_answer(id(2), 8);
    assert_eq!(hand_overs.proceed(ballot(3, 1), extent(9, 9)), Some(id(2)));
}

#[test]
fn a_target_that_is_far_behind_catches_up_before_anything_waits() {
    let mut hand_overs = begun();
    hand_overs.handle_heartbeat_answer(id(2), 7);
    assert_eq!(hand_overs.proceed(ballot(3, 1), extent(4, 9)), None);
    assert!(!hand_overs.is_closing());
    assert_eq!(hand_overs.proceed(ballot(3, 1), extent(5, 9)), None);
    assert!(hand_overs.is_closing());
}

#[test]
fn votes_in_any_order_count_and_a_gap_does_not() {
    let mut hand_overs = begun();
    hand_overs.handle_heartbeat_answer(id(2), 7);
    hand_overs.handle_accepted(id(2), ballot(3, 1), slots(7, 9));
    hand_overs.handle_accepted(id(3), ballot(3, 1), slots(5, 9));
    hand_overs.handle_accepted(id(2), ballot(2, 1), slots(5, 9));
    assert_eq!(hand_overs.proceed(ballot(3, 1), extent(5, 9)), None);
    hand_overs.handle_accepted(id(2), ballot(3, 1), slots(5, 6));
    assert_eq!(hand_overs.proceed(ballot(3, 1), extent(5, 9)), None);
    hand_overs.handle_accepted(id(2), ballot(3, 1), slots(6, 7));
    assert_eq!(hand_overs.proceed(ballot(3, 1), extent(5, 9)), Some(id(2)));
}

#[test]
fn a_vote_far_ahead_is_not_kept() {
    let mut hand_overs = begun();
    hand_overs.handle_accepted(id(2), ballot(3, 1), slots(ALPHA, 2 * ALPHA));
    assert!(hand_overs.under_way.as_ref().is_some_and(|one| one.ahead.is_empty()));
}

#[test]
fn what_others_have_forwarded_gets_its_slot_first() {
    let mut hand_overs = begun();
    hand_overs.handle_heartbeat_answer(id(2), 7);
    let waits = Extent { forwarded: true, ..extent(9, 9) };
    assert_eq!(hand_overs.proceed(ballot(3, 1), waits), None);
    assert!(hand_overs.is_closing());
    assert_eq!(hand_overs.proceed(ballot(3, 1), extent(9, 9)), Some(id(2)));
}

#[test]
fn it_is_given_up_after_a_timeout_and_the_leader_goes_on() {
    let mut hand_overs = begun();
    hand_overs.handle_heartbeat_answer(id(2), 7);
    hand_overs.proceed(ballot(3, 1), extent(9, 9));
    assert_eq!(hand_overs.on_tick(at(119)), None);
    assert_eq!(hand_overs.on_tick(at(120)), Some(id(2)));
    assert!(!hand_overs.is_closing() && hand_overs.to().is_none() && hand_overs.asked().is_none());
    assert_eq!(hand_overs.on_tick(at(500)), None);
}

#[test]
fn it_is_over_when_somebody_leads_at_another_ballot() {
    let mut hand_overs = begun();
    hand_overs.handle_heartbeat_answer(id(2), 7);
    hand_overs.proceed(ballot(3, 1), extent(9, 9));
    hand_overs.on_stop();
    assert!(!hand_overs.is_closing() && hand_overs.asked().is_none());
    assert_eq!(hand_overs.to(), Some(id(2)), "nobody is known to lead yet");
    // Of a leader at a later ballot none of this is true any more.
    assert_eq!(hand_overs.proceed(ballot(5, 1), extent(9, 9)), None);
    assert_eq!(hand_overs.on_leader(ballot(3, 1)), None);
    assert_eq!(hand_overs.on_leader(ballot(4, 2)), Some(id(2)));
    assert_eq!(hand_overs.on_leader(ballot(4, 2)), None);
}
