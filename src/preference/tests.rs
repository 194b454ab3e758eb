//! Preference alone: who leads and who answers in, whether to hand over out.

use super::*;
use crate::outbox::tests::id;

const TIMEOUT: Duration = Duration::from_millis(100);
/// How often the leader is answered.
const EVERY: u64 = 20;

fn at(millis: u64) -> Instant {
    Instant::from_millis(millis)
}

/// Replica 1 of priority 1, which leads since `millis`.
fn leading(preference: &mut Preference, millis: u64) {
    preference.on_leader(at(millis), id(1));
}

/// Replica 2 answers at its priority from a time on. When it is to lead, within ten minutes.
fn answers(preference: &mut Preference, from: u64, priority: u8) -> Option<u64> {
    (from..from + 600_000)
        .step_by(EVERY as usize)
        .find(|now| preference.handle_answer(at(*now), id(2), priority, true))
}

#[test]
fn a_higher_priority_leads_after_it_has_answered_for_a_while() {
    let mut preference = Preference::new(1, TIMEOUT);
    leading(&mut preference, 0);
    assert_eq!(answers(&mut preference, 10, 2), Some(410));
    assert_eq!(preference.of(id(2)), 2);
}

#[test]
fn equal_and_lower_priorities_change_nothing() {
    let mut preference = Preference::new(1, TIMEOUT);
    leading(&mut preference, 0);
    assert_eq!(answers(&mut preference, 0, 1), None);
    assert_eq!(answers(&mut preference, 700_000, 0), None);
}

#[test]
fn a_pause_and_a_lag_begin_the_time_anew() {
    let mut preference = Preference::new(1, TIMEOUT);
    leading(&mut preference, 0);
    assert!(!preference.handle_answer(at(0), id(2), 2, true));
    // As late as a timeout.
    assert!(!preference.handle_answer(at(100), id(2), 2, true));
    assert_eq!(answers(&mut preference, 120, 2), Some(500));
    assert!(!preference.handle_answer(at(520), id(2), 2, false), "it is behind");
    assert_eq!(answers(&mut preference, 540, 2), Some(920));
}

#[test]
fn after_an_attempt_that_does_not_last_the_next_one_waits_far_longer() {
    let mut preference = Preference::new(1, TIMEOUT);
    let (mut now, mut waits) = (0, alloc::vec::Vec::new());
    for _ in 0..4 {
        leading(&mut preference, now);
        let ripe = answers(&mut preference, now, 2).unwrap();
        waits.push(ripe - now);
        // It leads, and loses that soon.
        preference.on_leader(at(ripe), id(2));
        now = ripe + 50;
    }
    assert_eq!(waits, [400, 25_600, 25_600, 25_600]);
    // At last it leads for longer than it had to wait.
    preference.on_leader(at(now + 30_000), id(3));
    leading(&mut preference, now + 40_000);
    assert_eq!(answers(&mut preference, now + 40_000, 2), Some(now + 40_400));
}

#[test]
fn a_place_that_is_not_taken_counts_like_one_that_is_lost() {
    let mut preference = Preference::new(1, TIMEOUT);
    leading(&mut preference, 0);
    assert_eq!(answers(&mut preference, 0, 2), Some(400));
    preference.on_given_up(id(2));
    assert_eq!(answers(&mut preference, 420, 2), Some(26_020));
}

#[test]
fn whoever_follows_keeps_the_account_too() {
    // Replica 1 sees replica 2 lead and lose its place to replica 3, and leads after that.
    let mut preference = Preference::new(1, TIMEOUT);
    preference.on_leader(at(0), id(2));
    preference.on_leader(at(100), id(3));
    leading(&mut preference, 200);
    assert_eq!(answers(&mut preference, 200, 2), Some(25_800));
}

#[test]
fn all_that_are_preferred_share_one_account_and_take_turns() {
    // Each reaches the leader and nobody else.
    let mut preference = Preference::new(1, TIMEOUT);
    leading(&mut preference, 0);
    let (mut since, mut tried) = (0, alloc::vec::Vec::new());
    for now in (0..130_000).step_by(EVERY as usize) {
        for member in [2, 3, 4] {
            if preference.handle_answer(at(now), id(member), member as u8, true) {
                tried.push((member, now - since));
                preference.on_given_up(id(member));
                leading(&mut preference, now);
                since = now;
            }
        }
    }
    let order: alloc::vec::Vec<u32> = tried.iter().map(|(member, _)| *member).collect();
    // The highest priority first, and then whoever has failed more rarely.
    assert_eq!(order, [4, 3, 2, 4, 3, 2]);
    for (nth, (_, waited)) in tried.iter().enumerate() {
        let wait = if nth == 0 { 400 } else { 25_600 };
        assert!((wait..=wait + EVERY).contains(waited), "{tried:?}");
    }
}

#[test]
fn one_that_has_failed_is_not_held_up_by_one_that_does_not_answer_or_is_behind() {
    let mut preference = Preference::new(1, TIMEOUT);
    leading(&mut preference, 0);
    preference.on_given_up(id(2));
    assert!(!preference.handle_answer(at(0), id(3), 2, true));
    assert_eq!(answers(&mut preference, 0, 2), Some(25_600));
    // Since its last answer: a pause.
    let mut preference = Preference::new(1, TIMEOUT);
    preference.on_given_up(id(2));
    let ripe = (0..30_000).step_by(EVERY as usize).find(|now| {
        let behind = preference.handle_answer(at(*now), id(3), 2, false);
        assert!(!behind);
        preference.handle_answer(at(*now), id(2), 2, true)
    });
    assert_eq!(ripe, Some(25_600));
}
