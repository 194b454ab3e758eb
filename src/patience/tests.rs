//! What has waited for too long.

use super::*;

fn at(millis: u64) -> Instant {
    Instant::from_millis(millis)
}

#[test]
fn what_waits_is_old_when_the_patience_ends_and_no_earlier_than_a_part_before() {
    // Patience of 160 ms, so parts of 10. Numbers 0 to 9, one each 4 ms.
    for number in 0..10 {
        let mut patience = Patience::new(Duration::from_millis(160));
        (0..10).for_each(|number| patience.start(at(4 * number), number));
        // Number n is 160 ms old at 160 + 4n.
        let early = patience.on_tick(at(160 + 4 * number - 11), 10);
        assert!(early <= number, "{number} is given up too early: {early}");
        assert!(patience.on_tick(at(160 + 4 * number), 10) > number);
        assert!(patience.old() > number);
    }
}

#[test]
fn one_number_after_another_does_not_grow_it() {
    let mut patience = Patience::new(Duration::from_millis(160));
    for number in 0..100_000 {
        let now = Instant::from_micros(10 * number);
        patience.start(now, number);
        patience.on_tick(now, number + 1);
    }
    assert!(patience.since.len() <= PARTS as usize + 1);
    assert_eq!(patience.on_tick(at(5000), 100_000), 100_000);
}

#[test]
fn without_patience_everything_is_old_at_the_next_look() {
    let mut patience = Patience::new(Duration::ZERO);
    patience.start(at(1), 0);
    assert_eq!(patience.on_tick(at(1), 1), 1);
}
