//! The checker: against histories of a register with things planted in them, and against trying
//! every order.

use std::time::Duration;

use synod::sim::Random;

use crate::torture::checker::{Action, Operation, Outcome, POINTS_MAX, Verdict, check, smallest};
use crate::torture::history::{Key, describe};

const fn at(time: u64) -> Duration {
    Duration::from_millis(time)
}

/// An operation that was sent and answered at these times.
fn answered(
    connection: u64,
    order: u64,
    times: [u64; 2],
    action: Action,
    found: Option<u64>,
) -> Operation {
    let [sent, returned] = times.map(at);
    Operation {
        connection,
        order,
        action,
        sent,
        outcome: Outcome::Answered { at: returned, found },
    }
}

fn without_answer(connection: u64, sent: u64, action: Action, outcome: Outcome) -> Operation {
    Operation { connection, order: sent, action, sent: at(sent), outcome }
}

#[track_caller]
fn is(operations: &[Operation], verdict: Verdict) {
    assert_eq!(check(operations, POINTS_MAX), verdict, "{operations:#?}");
}

#[test]
fn a_stale_read_is_found() {
    let write = |order, times, value| answered(1, order, times, Action::Write(value), None);
    let read = |times, found| answered(2, 1, times, Action::Read, found);
    let writes = [write(1, [0, 10], 1), write(2, [20, 30], 2)];
    let with = |one| [writes[0], writes[1], one];
    is(&with(read([40, 50], Some(1))), Verdict::Not);
    is(&with(read([40, 50], None)), Verdict::Not);
    is(&with(read([40, 50], Some(2))), Verdict::Linearizable);
    // While the second write is under way, either will do.
    is(&with(read([25, 50], Some(1))), Verdict::Linearizable);
    is(&with(read([25, 50], Some(2))), Verdict::Linearizable);
    // It was over already when the first came back; and not begun yet.
    is(&with(read([12, 19], Some(2))), Verdict::Not);
}

#[test]
fn what_one_read_saw_no_later_one_may_miss() {
    let write = answered(1, 1, [0, 100], Action::Write(1), None);
    let saw = answered(2, 1, [10, 20], Action::Read, Some(1));
    let missed = |times| answered(3, 1, times, Action::Read, None);
    is(&[write, saw, missed([30, 40])], Verdict::Not);
    is(&[write, saw, missed([15, 40])], Verdict::Linearizable);
}

#[test]
fn a_lost_write_is_found() {
    let first = answered(1, 1, [0, 10], Action::Write(1), None);
    let lost = answered(2, 1, [20, 30], Action::Write(2), None);
    let next = |found| answered(1, 2, [40, 50], Action::Exchange(3), found);
    is(&[first, lost, next(Some(1))], Verdict::Not);
    is(&[first, lost, next(Some(2))], Verdict::Linearizable);
    // Two that find the same: one of them was lost.
    let other = answered(2, 2, [40, 50], Action::Exchange(4), Some(2));
    is(&[first, lost, next(Some(2)), other], Verdict::Not);
}

#[test]
fn a_refused_write_must_have_no_effect() {
    let first = answered(1, 1, [0, 10], Action::Write(1), None);
    let read = |found| answered(1, 2, [40, 50], Action::Read, found);
    let refused = without_answer(2, 20, Action::Write(2), Outcome::Never);
    is(&[first, refused, read(Some(2))], Verdict::Not);
    is(&[first, refused, read(Some(1))], Verdict::Linearizable);
}

#[test]
fn an_unknown_write_may_have_an_effect_later_or_never_but_only_one() {
    let first = answered(1, 1, [0, 10], Action::Write(1), None);
    let unknown = |sent| without_answer(2, sent, Action::Exchange(2), Outcome::Unknown);
    let read = |order, sent, found| answered(1, order, [sent, sent + 5], Action::Read, found);
    let all = |sent, founds: [u64; 3]| {
        let read = |i: u64| read(i + 2, 30 + 10 * i, Some(founds[i as usize]));
        [first, unknown(sent), read(0), read(1), read(2)]
    };
    is(&all(20, [1, 1, 1]), Verdict::Linearizable);
    is(&all(20, [1, 1, 2]), Verdict::Linearizable);
    is(&all(20, [1, 2, 2]), Verdict::Linearizable);
    is(&all(20, [1, 2, 1]), Verdict::Not);
    // Not before it was sent.
    is(&all(38, [2, 2, 2]), Verdict::Not);
    is(&all(38, [1, 2, 2]), Verdict::Linearizable);
}

#[test]
fn a_connection_keeps_its_order() {
    // All in flight at once: in another order over different connections, in theirs over one.
    let write = |connection, order, value| {
        answered(connection, order, [0, 100], Action::Write(value), None)
    };
    let read = |found| answered(9, 1, [200, 210], Action::Read, Some(found));
    is(&[write(1, 1, 1), write(2, 1, 2), read(1)], Verdict::Linearizable);
    is(&[write(1, 1, 1), write(1, 2, 2), read(1)], Verdict::Not);
    is(&[write(1, 1, 1), write(1, 2, 2), read(2)], Verdict::Linearizable);
    // A read before a write of its own connection.
    let own = answered(1, 1, [0, 100], Action::Read, Some(2));
    is(&[own, write(1, 2, 2)], Verdict::Not);
    is(&[own, write(2, 2, 2)], Verdict::Linearizable);
    // What was sent before and is unknown may come later, for example when it was forwarded twice.
    let unknown = Operation { outcome: Outcome::Unknown, ..write(1, 1, 1) };
    is(&[unknown, write(1, 2, 2), read(1)], Verdict::Linearizable);
}

#[test]
fn too_many_operations_stay_open() {
    let writes = |count: u64| -> Vec<Operation> {
        let write = |i| answered(i, 1, [0, 100], Action::Write(i), None);
        (1..=count).map(write).collect()
    };
    is(&writes(128), Verdict::Linearizable);
    is(&writes(129), Verdict::Open);
    is(&[], Verdict::Linearizable);
}

/// A history of a register: clients in many connections, some in a row, some without an answer.
fn good(random: &mut Random, count: u64) -> Vec<Operation> {
    let (mut operations, mut now, mut next) = (Vec::new(), 0, 0);
    // Sent and not applied, in the order of their connection; and applied but not answered.
    let mut waiting: Vec<usize> = Vec::new();
    let mut applied: Vec<(usize, Option<u64>)> = Vec::new();
    let mut register = None;
    while next < count || !waiting.is_empty() || !applied.is_empty() {
        now += 1;
        match random.below(5) {
            0 | 1 if next < count && waiting.len() < 12 => {
                next += 1;
                let action = match random.below(3) {
                    0 => Action::Read,
                    1 => Action::Write(next),
                    _ => Action::Exchange(next),
                };
                waiting.push(operations.len());
                let connection = random.below(6);
                let (order, outcome) = (next, Outcome::Unknown);
                operations.push(Operation { connection, order, action, sent: at(now), outcome });
            }
            2 | 3 if !waiting.is_empty() => {
                let nth = random.below(waiting.len() as u64) as usize;
                let connection = operations[waiting[nth]].connection;
                let is_first = |i: &&usize| operations[**i].connection == connection;
                let first = *waiting.iter().find(is_first).expect("it is one itself");
                waiting.retain(|i| *i != first);
                let fate = random.below(20);
                if fate == 0 {
                    operations[first].outcome = Outcome::Never;
                    continue;
                }
                let found = register;
                if let Action::Write(value) | Action::Exchange(value) = operations[first].action {
                    // Of unknown fate: with an effect or without.
                    register = if fate == 1 { register } else { Some(value) };
                }
                if fate > 2 {
                    applied.push((first, found));
                }
            }
            _ if !applied.is_empty() => {
                let nth = random.below(applied.len() as u64) as usize;
                let (one, found) = applied.swap_remove(nth);
                let found = found.filter(|_| !matches!(operations[one].action, Action::Write(_)));
                operations[one].outcome = Outcome::Answered { at: at(now), found };
            }
            _ => {}
        }
    }
    operations
}

#[test]
fn what_a_register_did_is_always_linearizable() {
    for seed in 0..400 {
        is(&good(&mut Random::from_seed(seed), 100), Verdict::Linearizable);
    }
}

/// The history as it would be if a read had found what was overwritten before it began.
fn with_stale_read(operations: &[Operation], random: &mut Random) -> Option<Vec<Operation>> {
    let answers = |one: &Operation| match one.outcome {
        Outcome::Answered { at, .. } => Some(at),
        Outcome::Never | Outcome::Unknown => None,
    };
    let reads: Vec<usize> = (0..operations.len())
        .filter(|i| operations[*i].action == Action::Read && answers(&operations[*i]).is_some())
        .collect();
    let read = *reads.get(random.below(reads.len() as u64) as usize)?;
    // A write that was over before another one began that was over before the read began.
    let over = |one: &Operation, before: Duration| answers(one).is_some_and(|at| at < before);
    let last = operations
        .iter()
        .find(|one| matches!(one.action, Action::Write(_)) && over(one, operations[read].sent))?;
    let stale = operations.iter().find_map(|one| match one.action {
        Action::Write(value) if over(one, last.sent) => Some(value),
        _ => None,
    });
    let mut spoiled = operations.to_vec();
    let at = answers(&operations[read])?;
    spoiled[read].outcome = Outcome::Answered { at, found: stale };
    Some(spoiled)
}

#[test]
fn a_stale_read_in_a_long_history_is_found_and_told_in_few_lines() {
    let mut found = 0;
    for seed in 0..200 {
        let mut random = Random::from_seed(seed);
        let history = good(&mut random, 80);
        let Some(spoiled) = with_stale_read(&history, &mut random) else { continue };
        found += 1;
        is(&spoiled, Verdict::Not);
        let few = smallest(&spoiled);
        is(&few, Verdict::Not);
        assert!(few.len() < 40, "{few:#?}");
    }
    assert!(found > 100, "only {found} seeds had something to spoil");
}

#[test]
fn a_violation_names_the_key_the_operations_and_the_times() {
    let write = |order, times, value| answered(1, order, times, Action::Write(value), None);
    let read = answered(2, 1, [40, 50], Action::Read, Some(1));
    let mut key = Key::new(7);
    key.operations = vec![write(1, [0, 10], 1), write(2, [20, 30], 2), read];
    let text = describe(&key);
    assert!(text.starts_with("key:7: "), "{text}");
    assert!(text.contains("0.020000 s ..   0.030000 s  connection 1 "), "{text}");
    assert!(text.contains("SET key:7 2 -> OK") && text.contains("GET key:7 -> 1"), "{text}");
}

/// Whether some order of these, with or without those that are unknown, explains what was found.
fn explains(operations: &[Operation], done: u32, value: Option<u64>) -> bool {
    let all = 0..operations.len();
    let is_left = |i: &usize| done >> i & 1 == 0;
    let is_due = |i: &usize| matches!(operations[*i].outcome, Outcome::Answered { .. });
    if !all.clone().any(|i| is_left(&i) && is_due(&i)) {
        return true;
    }
    let comes_before = |i: usize, j: usize| match operations[i].outcome {
        Outcome::Answered { at, .. } => {
            let (one, other) = (&operations[i], &operations[j]);
            at < other.sent || one.connection == other.connection && one.order < other.order
        }
        Outcome::Never | Outcome::Unknown => false,
    };
    all.clone().filter(is_left).any(|j| {
        if all.clone().any(|i| is_left(&i) && comes_before(i, j)) {
            return false;
        }
        let one = &operations[j];
        let right = match (one.outcome, one.action) {
            (Outcome::Never, _) => false,
            (Outcome::Unknown, _) | (Outcome::Answered { .. }, Action::Write(_)) => true,
            (Outcome::Answered { found, .. }, _) => found == value,
        };
        let after = match one.action {
            Action::Read => value,
            Action::Write(value) | Action::Exchange(value) => Some(value),
        };
        right && explains(operations, done | 1 << j, after)
    })
}

#[test]
fn it_agrees_with_trying_every_order() {
    let (mut linearizable, mut not) = (0, 0);
    for seed in 0..30_000 {
        let mut random = Random::from_seed(seed);
        let count = 2 + random.below(6);
        let mut one = |order: u64| {
            let action = match random.below(3) {
                0 => Action::Read,
                1 => Action::Write(order),
                _ => Action::Exchange(order),
            };
            let sent = random.below(30);
            let found = Some(random.below(count + 1)).filter(|found| *found > 0);
            let found = found.filter(|_| !matches!(action, Action::Write(_)));
            let outcome = match random.below(8) {
                0 => Outcome::Never,
                1 => Outcome::Unknown,
                _ => Outcome::Answered { at: at(sent + 1 + random.below(20)), found },
            };
            Operation { connection: random.below(4), order, action, sent: at(sent), outcome }
        };
        let operations: Vec<Operation> = (1..=count).map(&mut one).collect();
        if explains(&operations, 0, None) {
            linearizable += 1;
            is(&operations, Verdict::Linearizable);
        } else {
            not += 1;
            is(&operations, Verdict::Not);
        }
    }
    assert!(linearizable > 1000 && not > 1000, "{linearizable} and {not}");
}
