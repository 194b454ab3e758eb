use std::collections::{BTreeMap, BTreeSet};
use std::format;

use super::{Happened, Loss, record, record_fault_free, record_run};
use crate::replica::Role;
use crate::sim::network::Tail;
use crate::sim::oracle::broken;
use crate::sim::{Mode, Parts, Swarm, simulate, simulate_fault_free, swarm};
use crate::slot::Slot;
use crate::time::Instant;

fn short(seed: u64) -> Swarm {
    let short = |parts: &mut Parts| parts.chaos_micros = 600_000;
    Swarm::from_seed(seed).with(short).expect("it makes sense")
}

#[test]
fn a_recorded_run_is_the_same_run() {
    for seed in 1..9 {
        let recording = record(&short(seed));
        assert_eq!(recording.result, simulate(&short(seed)), "seed {seed}");
        assert!(recording.lines.len() > 200, "all lines are kept");
        let calm = Swarm::fault_free(seed).with(|parts| parts.chaos_micros = 400_000);
        let swarm = calm.expect("it makes sense");
        assert_eq!(record_fault_free(&swarm).result, simulate_fault_free(&swarm), "seed {seed}");
    }
}

#[test]
fn what_happened_agrees_with_what_is_reported() {
    for seed in 1..9 {
        let recording = record(&short(seed));
        let report = recording.result.expect("a clean run");
        let count = |wanted: fn(&Happened) -> bool| {
            recording.occurrences.iter().filter(|one| wanted(&one.what)).count() as u64
        };
        let sent = count(|what| matches!(what, Happened::Sent { .. }));
        // What is sent to strangers is not shown.
        let strangers = short(seed).parts().weather.stranger_every_micros.is_some();
        assert!(sent == report.messages || (strangers && sent < report.messages), "seed {seed}");
        let crashes = count(|what| matches!(what, Happened::Crashed { .. }));
        // A run that came to rest ends with a crash of all, which is no fault.
        let ending = crashes - report.faults.crashes;
        let all = short(seed).parts().settings.replicas as u64;
        assert!(ending == 0 || ending == all, "seed {seed}: {crashes}");
        let strangers = count(|what| matches!(what, Happened::Arrived { message: 0, .. }));
        assert_eq!(strangers, report.faults.strangers, "seed {seed}");
        assert_eq!(count(|what| matches!(what, Happened::Froze { .. })), report.faults.freezes);
        assert_eq!(count(|what| matches!(what, Happened::Chosen { .. })), report.slots);
        let led = count(|what| matches!(what, Happened::Stood { role: Role::Leading, .. }));
        assert!(led >= 1 && led <= report.elections, "seed {seed}: {led}");
        if short(seed).parts().mode == Mode::HealAll {
            assert_eq!(count(|what| matches!(what, Happened::Repaired)), 1);
        }
        assert!(count(|what| matches!(what, Happened::SyncBegan { .. })) > 0);
        let sorted = recording.occurrences.is_sorted_by_key(|one| (one.time, one.step));
        assert!(sorted, "seed {seed}: out of order");
    }
}

/// Every message has its end, and every end a message: without frames each one that was sent a
/// second before the end has arrived or is lost.
#[test]
fn messages_are_followed_from_their_senders_to_their_ends() {
    let (mut losses, mut twice) = (BTreeSet::new(), 0);
    for seed in 1..40 {
        let recording = record(&short(seed));
        let end = recording.result.expect("a clean run").time.as_micros();
        let (mut sent, mut ends) = (BTreeMap::new(), BTreeMap::new());
        for one in &recording.occurrences {
            match one.what {
                Happened::Sent { message, from, to, .. } => {
                    assert!(sent.last_key_value().is_none_or(|(last, _)| *last < message));
                    sent.insert(message, (from, to, one.time));
                }
                Happened::Arrived { message, from, to } if message > 0 => {
                    let (sender, receiver, since) = sent[&message];
                    assert_eq!((from, to), (sender, receiver), "seed {seed}");
                    assert!(since <= one.time, "seed {seed}: {message} arrives before it is sent");
                    *ends.entry(message).or_insert(0) += 1;
                }
                Happened::Lost { message, from, to, loss } => {
                    assert_eq!((from, to), (sent[&message].0, sent[&message].1), "seed {seed}");
                    losses.insert(format!("{loss:?}"));
                    *ends.entry(message).or_insert(0) += 1;
                }
                _ => {}
            }
        }
        twice += ends.values().filter(|ends| **ends > 1).count();
        let open = sent.iter().filter(|(message, _)| !ends.contains_key(message));
        let old = |sent: Instant| sent.as_micros() + 1_000_000 < end;
        let overdue = open.filter(|(_, (_, _, time))| old(*time)).count();
        let swarm = short(seed);
        let parts = swarm.parts();
        if parts.mode != Mode::HealAll {
            // Some replicas may stand still for good.
        } else if parts.settings.frame_bytes_max.is_none() {
            // A tail that doubles keeps one of thousands for longer than the run.
            let links = &parts.weather.links;
            let all = links.single.iter().map(|link| &link.faults).chain([&links.usual]);
            let tails = all.filter(|link| matches!(link.tail, Tail::Doubling { .. })).count();
            let excused = if tails > 0 { sent.len() / 500 } else { 0 };
            assert!(overdue <= excused, "seed {seed}: {overdue} messages without an end");
        } else {
            assert!(overdue * 10 <= sent.len(), "seed {seed}: {overdue} of {}", sent.len());
        }
    }
    let all = [Loss::Network, Loss::Cut, Loss::Down, Loss::Damage].map(|loss| format!("{loss:?}"));
    assert_eq!(losses, all.into(), "each way to lose a message came up");
    assert!(twice > 0, "duplicates are seen");
}

#[test]
fn slots_are_applied_in_order_after_they_are_chosen() {
    let mut slots = 0;
    for seed in 3..7 {
        let recording = record(&short(seed));
        let (mut chosen, mut applied) = (BTreeSet::new(), BTreeMap::new());
        for one in &recording.occurrences {
            match one.what {
                Happened::Chosen { slot, .. } => assert!(chosen.insert(slot), "{slot} twice"),
                Happened::Started { replica, .. } => {
                    applied.insert(replica, Slot::ZERO);
                }
                Happened::Applied { replica, slot } => {
                    assert!(chosen.contains(&slot), "{slot} is applied before it is chosen");
                    assert_eq!(applied.insert(replica, slot.next()), Some(slot));
                }
                _ => {}
            }
        }
        slots += chosen.len();
    }
    assert!(slots > 40, "{slots}");
}

#[test]
fn a_claim_that_breaks_ends_the_record() {
    let swarm = short(1);
    let recording = record_run(swarm.driver(true), |driver| {
        swarm::begin(driver, swarm.parts())?;
        broken("AGR", "planted".into())
    });
    let violation = recording.result.expect_err("planted");
    assert_eq!((violation.invariant, violation.trace.len()), ("AGR", 200));
    assert!(recording.lines.ends_with(&violation.trace) && recording.lines.len() > 200);
    let last = recording.occurrences.last().expect("much happened");
    assert_eq!(last.what, Happened::Broken { invariant: "AGR", text: "planted".into() });
    assert_eq!((last.time, last.step), (violation.time, violation.step));
}
