//! The counters: what was acknowledged is the least, what may have been applied the most.

use synod::sim::Random;

use crate::torture::counters::{Begun, Counters, Fate};

fn random() -> Random {
    Random::from_seed(1)
}

/// So many increments that were answered one after the other, on one counter.
fn counted(counters: &Counters, count: u64) -> u64 {
    let counter = counters.begin(&mut random(), true).counter;
    for number in 1..=count {
        assert_eq!(counters.end(increment(counters), Fate::Answered(number)), Ok(()));
    }
    counter
}

/// An increment of the same counter each time.
fn increment(counters: &Counters) -> Begun {
    counters.begin(&mut random(), false)
}

#[track_caller]
fn finds(judged: Result<(), String>, what: &str) {
    let why = judged.expect_err("there is something wrong");
    assert!(why.contains(what), "{why}");
}

#[test]
fn a_read_finds_what_was_acknowledged_and_no_more_than_may_be() {
    let counters = Counters::new();
    let counter = counted(&counters, 3);
    let read = |found| counters.end(counters.begin_read(counter), Fate::Answered(found));
    assert_eq!(read(3), Ok(()));
    let early = counters.begin_read(counter);
    let unknown = increment(&counters);
    assert_eq!(read(4), Ok(()), "it is in flight");
    assert_eq!(counters.end(unknown, Fate::Unknown), Ok(()));
    assert_eq!(read(4), Ok(()), "it may have been applied");
    assert_eq!(counters.end(early, Fate::Answered(3)), Ok(()), "it began before");
    finds(read(3), "answered 3, it was at least 4 before");
}

#[test]
fn an_increment_that_was_refused_and_applied_is_found() {
    let counters = Counters::new();
    let counter = counted(&counters, 3);
    assert_eq!(counters.end(increment(&counters), Fate::Never), Ok(()));
    finds(counters.end(counters.begin_read(counter), Fate::Answered(4)), "answered 4, too much");
    // What is wrong once is told once.
    assert_eq!(counters.end(counters.begin_read(counter), Fate::Answered(9)), Ok(()));
    assert_ne!(increment(&counters).counter, counter, "it is used no more");
}

#[test]
fn no_two_increments_answer_the_same() {
    let counters = Counters::new();
    counted(&counters, 3);
    let (one, other) = (increment(&counters), increment(&counters));
    assert_eq!(counters.end(one, Fate::Answered(5)), Ok(()));
    finds(counters.end(other, Fate::Answered(5)), "as another did");
}

#[test]
fn an_increment_answers_more_than_was_acknowledged() {
    let counters = Counters::new();
    counted(&counters, 3);
    finds(counters.end(increment(&counters), Fate::Answered(3)), "it was at least 3 before");
}

#[test]
fn counters_do_not_last_and_less_so_with_something_unknown() {
    let counters = Counters::new();
    let counter = counted(&counters, 200);
    assert_eq!(increment(&counters).counter, counter);
    assert_eq!(counters.end(increment(&counters), Fate::Unknown), Ok(()));
    assert_ne!(increment(&counters).counter, counter);
    assert_eq!(counters.numbers().len(), 4);
}
