use super::*;

/// The value that is written next.
fn next(ledger: &mut Ledger, key: u32) -> Vec<u8> {
    let mut value = Vec::new();
    ledger.next(key, &mut value);
    value
}

#[test]
fn only_the_last_acknowledged_value_is_right() {
    let mut ledger = Ledger::new(2, 64);
    let first = next(&mut ledger, 1);
    ledger.acknowledge(1);
    ledger.check(1, &first).expect("it was acknowledged");
    let second = next(&mut ledger, 1);
    assert_eq!((first.len(), second.len()), (64, 64));
    ledger.check(1, &first).expect("the second is under way");
    ledger.check(1, &second).expect("the second may be applied");
    ledger.acknowledge(1);
    ledger.check(1, &second).expect("it was acknowledged");
    ledger.check(1, &first).expect_err("it is lost, or stale");
    ledger.check(1, &second[..63]).expect_err("it is cut off");
    ledger.check(1, &[&second[..63], b"x"].concat()).expect_err("it was never sent");
    ledger.check(0, &second).expect_err("nothing was written there");
}

#[test]
fn what_nothing_is_known_of_may_come_later() {
    let mut ledger = Ledger::new(1, 16);
    let values: Vec<_> = (0..4)
        .map(|i| {
            let value = next(&mut ledger, 0);
            if i == 1 || i == 2 {
                ledger.give_up(0)
            } else {
                ledger.acknowledge(0)
            }
            value
        })
        .collect();
    ledger.check(0, &values[0]).expect_err("the fourth was acknowledged");
    for value in &values[1..] {
        ledger.check(0, value).expect("it is unknown when it is applied");
    }
}
