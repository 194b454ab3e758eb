//! The acceptor alone: messages in, outbox out.

use alloc::vec;

use super::*;
use crate::message::{Announcement, Message};
use crate::outbox::tests::{ballot, drain, entry, id, outbox, recovered, run, slots, sync};
use crate::slot::ALPHA;

fn prepare(acceptor: &mut Acceptor, ballot: Ballot, first: u64, out: &mut Outbox) {
    acceptor.handle_prepare(ballot.replica, &Prepare { ballot, first: Slot(first) }, out);
}

fn accept(
    acceptor: &mut Acceptor,
    ballot: Ballot,
    slot: u64,
    text: &str,
    out: &mut Outbox,
) -> Result<(), Misbehaviour> {
    let accept = Accept {
        ballot,
        slot: Slot(slot),
        entry: entry(text),
        announcement: Announcement::default(),
    };
    acceptor.handle_accept(ballot.replica, accept, out)
}

/// An acceptor that has accepted these proposals, and its synced, empty outbox.
fn with(accepted: &[(u64, Ballot, &str)]) -> (Acceptor, Outbox) {
    let (mut acceptor, mut out) = (Acceptor::default(), outbox(3));
    for (slot, ballot, text) in accepted {
        assert_eq!(accept(&mut acceptor, *ballot, *slot, text, &mut out), Ok(()));
    }
    let promised = acceptor.promised();
    sync(&mut out, promised);
    (acceptor, out)
}

/// The pages that the acceptor answers to a Prepare with.
fn pages_for(
    acceptor: &mut Acceptor,
    ballot: Ballot,
    first: u64,
    out: &mut Outbox,
) -> Vec<Promise> {
    prepare(acceptor, ballot, first, out);
    let drained = sync(out, ballot).messages();
    drained.into_iter().map(as_promise).collect()
}

fn as_promise(message: Message) -> Promise {
    match message {
        Message::Promise(promise) => *promise,
        other => panic!("a {} instead of a Promise", other.name()),
    }
}

fn as_nack(message: &Message) -> Nack {
    match message {
        Message::Nack(nack) => nack.clone(),
        other => panic!("a {} instead of a Nack", other.name()),
    }
}

#[test]
fn a_higher_ballot_is_promised_and_written_before_the_promise_leaves() {
    // Phase 1(b): Prepare(2) after Prepare(1) is promised, and only the disk lets it out (I1, I4).
    let (mut acceptor, mut out) = (Acceptor::default(), outbox(3));
    for round in 1..=2 {
        prepare(&mut acceptor, ballot(round, 1), 0, &mut out);
        let before = drain(&mut out);
        assert_eq!(before.records, [Record::Promised { ballot: ballot(round, 1) }]);
        assert_eq!(before.sent, []);
        assert_eq!(sync(&mut out, ballot(round, 1)).sent.len(), 1);
    }
    assert_eq!(acceptor.promised(), ballot(2, 1));
}

#[test]
fn a_lower_ballot_is_refused_and_nothing_changes() {
    // The Nack names the promise and the mark, so that the sender can go above and catch up.
    let (mut acceptor, mut out) = with(&[(0, ballot(3, 2), "x")]);
    let before = acceptor.clone();
    prepare(&mut acceptor, ballot(2, 1), 0, &mut out);
    assert_eq!(accept(&mut acceptor, ballot(2, 1), 1, "y", &mut out), Ok(()));
    let drained = drain(&mut out);
    assert_eq!(drained.records, []);
    let nack = Nack { ballot: ballot(2, 1), promised: ballot(3, 2), chosen: Slot(0) };
    assert_eq!(drained.messages(), [nack.clone().into(), nack.into()]);
    assert_eq!(acceptor, before);
}

#[test]
#[should_panic(expected = "I1")]
fn the_promise_never_falls() {
    // Nobody but this replica's own code can ask for that (I1).
    let (mut acceptor, mut out) = with(&[(0, ballot(3, 2), "x")]);
    acceptor.promise(ballot(2, 2), &mut out);
}

#[test]
fn a_restarted_acceptor_keeps_its_promise() {
    // I1 across a restart: what the log recovered is refused against.
    let mut log = recovered(3);
    log.promised = ballot(5, 2);
    let (mut acceptor, mut out) = (Acceptor::new(&log), outbox(3));
    prepare(&mut acceptor, ballot(4, 1), 0, &mut out);
    assert_eq!(as_nack(&drain(&mut out).messages()[0]).promised, ballot(5, 2));
}

#[test]
fn a_repeated_prepare_is_answered_again_and_writes_nothing() {
    // The first answer was lost; the second one still waits for the first one's record (I4).
    let (mut acceptor, mut out) = (Acceptor::default(), outbox(3));
    prepare(&mut acceptor, ballot(1, 1), 0, &mut out);
    prepare(&mut acceptor, ballot(1, 1), 0, &mut out);
    let before = drain(&mut out);
    assert_eq!((before.records.len(), before.sent.len()), (1, 0));
    assert_eq!(sync(&mut out, ballot(1, 1)).sent.len(), 2);
}

#[test]
fn a_repeated_accept_is_answered_again_and_waits_like_the_first() {
    // Answered at once it would be a vote that a crash takes back (I4).
    let (mut acceptor, mut out) = (Acceptor::default(), outbox(3));
    for _ in 0..2 {
        assert_eq!(accept(&mut acceptor, ballot(1, 1), 0, "x", &mut out), Ok(()));
    }
    let before = drain(&mut out);
    assert_eq!((before.records.len(), before.sent.len()), (1, 0));
    assert_eq!(sync(&mut out, ballot(1, 1)).sent.len(), 2);
}

#[test]
fn a_late_page_is_refused_once_more_was_promised() {
    // Four ballots: x accepted at 1, 2 promised, y accepted at 3 over x. A page for 2 made now
    // could only leave y out and say "nothing": a Nack instead, so that I5 does not rest on it.
    let (mut acceptor, mut out) = with(&[(0, ballot(1, 1), "x")]);
    prepare(&mut acceptor, ballot(2, 2), 0, &mut out);
    assert_eq!(accept(&mut acceptor, ballot(3, 1), 0, "y", &mut out), Ok(()));
    sync(&mut out, ballot(3, 1));
    prepare(&mut acceptor, ballot(2, 2), 0, &mut out);
    let messages = drain(&mut out).messages();
    assert_eq!(messages.len(), 1);
    assert_eq!(as_nack(&messages[0]).promised, ballot(3, 1));
}

#[test]
fn a_report_is_never_filtered_by_ballot() {
    // Accepted at 2, then Prepare(2) comes again: the page names ballot 2; the candidate judges.
    let (mut acceptor, mut out) = with(&[(0, ballot(1, 1), "x"), (1, ballot(2, 2), "y")]);
    let pages = pages_for(&mut acceptor, ballot(2, 2), 0, &mut out);
    assert_eq!(pages.len(), 1);
    assert_eq!(pages[0].accepted, [run(0, 1, ballot(1, 1)), run(1, 2, ballot(2, 2))]);
}

#[test]
fn to_accept_is_to_promise() {
    // Accept(4) without a Prepare(4): after it, 3 is refused; one record says both (I3).
    let (mut acceptor, mut out) = (Acceptor::default(), outbox(3));
    assert_eq!(accept(&mut acceptor, ballot(4, 1), 0, "x", &mut out), Ok(()));
    let record = Record::Accepted { slot: Slot(0), ballot: ballot(4, 1), entry: entry("x") };
    assert_eq!(drain(&mut out).records, [record]);
    assert_eq!(acceptor.promised(), ballot(4, 1));
    prepare(&mut acceptor, ballot(3, 2), 0, &mut out);
    assert_eq!(as_nack(&drain(&mut out).messages()[0]).promised, ballot(4, 1));
}

#[test]
fn of_a_slots_proposals_the_highest_is_kept() {
    // x at 1, then y at 2: the report and the answer to a Fetch speak of y alone (I3).
    let (mut acceptor, mut out) = with(&[(0, ballot(1, 1), "x"), (0, ballot(2, 2), "y")]);
    assert_eq!(acceptor.held(Slot(0)).map(|held| &held.entry), Some(&entry("y")));
    let pages = pages_for(&mut acceptor, ballot(3, 1), 0, &mut out);
    assert_eq!(pages[0].accepted, [run(0, 1, ballot(2, 2))]);
}

#[test]
fn a_second_entry_for_a_ballot_and_slot_is_refused() {
    // I2 is broken by the sender: what is held stays, nothing is written, nothing is answered.
    let (mut acceptor, mut out) = with(&[(0, ballot(1, 1), "x")]);
    let before = acceptor.clone();
    let judged = accept(&mut acceptor, ballot(1, 1), 0, "y", &mut out);
    assert_eq!(judged, Err(Misbehaviour::TwoEntries { slot: Slot(0), ballot: ballot(1, 1) }));
    assert_eq!(acceptor, before);
    assert_eq!(drain(&mut out), Default::default());
}

#[test]
fn a_slot_outside_the_window_is_answered_behind_and_gets_no_vote() {
    // Mark 10: slot 9 is chosen already, slot 10 + ALPHA has no place. Neither raises the promise.
    let (mut acceptor, mut out) = (Acceptor::default(), outbox(3));
    acceptor.settle(Slot(10), &mut out);
    for slot in [0, 9, 10 + ALPHA, u64::MAX] {
        assert_eq!(accept(&mut acceptor, ballot(1, 1), slot, "x", &mut out), Ok(()));
        let drained = drain(&mut out);
        let behind = Behind { ballot: ballot(1, 1), chosen: Slot(10) };
        assert_eq!((drained.records, drained.sent), (vec![], vec![(vec![id(1)], behind.into())]));
    }
    assert_eq!(acceptor.promised(), Ballot::ZERO);
}

#[test]
fn the_window_reaches_to_its_last_slot() {
    // Mark 10: slots 10 and 10 + ALPHA - 1 are the first and the last that get a vote.
    let (mut acceptor, mut out) = (Acceptor::default(), outbox(3));
    acceptor.settle(Slot(10), &mut out);
    for slot in [10 + ALPHA - 1, 10] {
        assert_eq!(accept(&mut acceptor, ballot(1, 1), slot, "x", &mut out), Ok(()));
        let accepted =
            Accepted { ballot: ballot(1, 1), slots: slots(slot, slot + 1), chosen: Slot(10) };
        assert_eq!(sync(&mut out, ballot(1, 1)).messages(), [accepted.into()]);
    }
}

#[test]
fn settled_slots_are_told_as_chosen_never_as_nothing() {
    // Slots below the mark are forgotten. The Promise says that they are chosen, which nobody may
    // read as "nothing accepted" (I5): it names no run below the mark.
    let (mut acceptor, mut out) = with(&[(0, ballot(1, 1), "x"), (3, ballot(1, 1), "y")]);
    acceptor.settle(Slot(2), &mut out);
    let pages = pages_for(&mut acceptor, ballot(2, 2), 0, &mut out);
    assert_eq!(pages.len(), 1);
    assert_eq!((pages[0].chosen, pages[0].last), (Slot(2), true));
    assert_eq!(pages[0].accepted, [run(3, 4, ballot(1, 1))]);
}

#[test]
fn a_promise_speaks_of_the_slots_that_were_asked_about() {
    // First 2: slot 0 is not asked about. First far above everything: an empty last page from
    // there.
    let (mut acceptor, mut out) = with(&[(0, ballot(1, 1), "x"), (3, ballot(1, 1), "y")]);
    let pages = pages_for(&mut acceptor, ballot(2, 2), 2, &mut out);
    assert_eq!(pages[0].slots, slots(2, 4));
    assert_eq!(pages[0].accepted, [run(3, 4, ballot(1, 1))]);
    let pages = pages_for(&mut acceptor, ballot(2, 2), 9000, &mut out);
    assert_eq!((pages.len(), pages[0].slots, pages[0].last), (1, slots(9000, 9000), true));
    assert_eq!(pages[0].accepted, []);
}

#[test]
fn pages_leave_no_slot_out_and_only_the_last_is_last() {
    // Ballots that alternate make a run of each slot: three pages, end to end.
    let mut log = recovered(3);
    log.promised = ballot(2, 1);
    let held = |slot| (Slot(slot), ballot(1 + slot % 2, 1), entry("x"));
    log.accepted = (0..80).map(held).collect();
    let (mut acceptor, mut out) = (Acceptor::new(&log), outbox(3));
    let pages = pages_for(&mut acceptor, ballot(3, 2), 0, &mut out);
    assert_eq!(pages.len(), 3);
    assert_eq!(pages[0].slots.start, Slot(0));
    assert!(pages.windows(2).all(|pair| pair[0].slots.end == pair[1].slots.start));
    assert!(pages.iter().all(|page| page.accepted.len() <= PAGE_RUNS));
    assert!(pages.iter().all(|page| page.last == (page.slots.end == Slot(80))));
    let told = pages.iter().flat_map(|page| &page.accepted).map(|run| run.slots.len());
    assert_eq!(told.sum::<u64>(), 80);
}

#[test]
fn a_fetch_is_answered_with_what_is_held_at_that_ballot_or_higher() {
    // Held at 2: of use to whoever asks from 1 or 2 on, gone for whoever asks from 3 on.
    let (acceptor, mut out) = with(&[(0, ballot(2, 2), "x")]);
    let held = Some((ballot(2, 2), entry("x")));
    for (round, expected) in [(1, held.clone()), (2, held), (3, None)] {
        let ballot = ballot(round, 2);
        acceptor.handle_fetch(id(1), &Fetch { slot: Slot(0), ballot }, &mut out);
        let fetched = Fetched { slot: Slot(0), proposal: expected, chosen: Slot(0) };
        assert_eq!(drain(&mut out).sent, [(vec![id(1)], fetched.into())]);
    }
}

#[test]
fn a_fetch_of_a_settled_slot_is_answered_with_the_mark() {
    // Gone, but chosen: the mark tells the candidate to learn the slot instead.
    let (mut acceptor, mut out) = with(&[(0, ballot(1, 1), "x")]);
    acceptor.settle(Slot(1), &mut out);
    acceptor.handle_fetch(id(2), &Fetch { slot: Slot(0), ballot: ballot(1, 1) }, &mut out);
    let fetched = Fetched { slot: Slot(0), proposal: None, chosen: Slot(1) };
    assert_eq!(drain(&mut out).messages(), [fetched.into()]);
}

/// An acceptor that promised 3 and whose disk lost slots 1 and 2, accepted at up to 3 and at 2.
fn with_faulty() -> (Acceptor, Outbox) {
    let mut log = recovered(3);
    log.promised = ballot(3, 1);
    log.accepted = vec![(Slot(1), ballot(1, 1), entry("old"))];
    log.faulty = vec![run(1, 2, ballot(3, 1)), run(2, 3, ballot(2, 1))];
    (Acceptor::new(&log), outbox(3))
}

#[test]
fn a_lost_slot_is_reported_with_its_bound_never_as_nothing_nor_as_an_older_proposal() {
    // Slot 1 still has an older record, slot 2 none: both are told as lost, at up to 3 and 2 (I10).
    let (mut acceptor, mut out) = with_faulty();
    let pages = pages_for(&mut acceptor, ballot(4, 2), 0, &mut out);
    assert_eq!((pages.len(), pages[0].accepted.len()), (1, 0));
    assert_eq!(pages[0].faulty, [run(1, 2, ballot(3, 1)), run(2, 3, ballot(2, 1))]);
    assert_eq!(acceptor.faulty(), 2);
}

#[test]
fn lost_slots_alone_fill_pages_too() {
    // The pages are bounded by what they name, lost slots included.
    let mut log = recovered(3);
    log.promised = ballot(2, 1);
    log.faulty = (0..80).map(|slot| run(slot, slot + 1, ballot(1 + slot % 2, 1))).collect();
    let (mut acceptor, mut out) = (Acceptor::new(&log), outbox(3));
    let pages = pages_for(&mut acceptor, ballot(3, 2), 0, &mut out);
    assert!(pages.iter().all(|page| page.faulty.len() <= PAGE_RUNS));
    let told = pages.iter().flat_map(|page| &page.faulty).map(|run| run.slots.len());
    assert_eq!((pages.len(), told.sum::<u64>()), (3, 80));
}

#[test]
fn a_lost_slot_is_healed_by_accepting_it_again() {
    // The promise has passed every ballot in which it can have been accepted (I10).
    let (mut acceptor, mut out) = with_faulty();
    assert_eq!(accept(&mut acceptor, ballot(3, 1), 2, "new", &mut out), Ok(()));
    assert_eq!(sync(&mut out, ballot(3, 1)).events, [Event::Healed { slot: Slot(2) }]);
    let pages = pages_for(&mut acceptor, ballot(4, 2), 0, &mut out);
    assert_eq!(pages[0].faulty, [run(1, 2, ballot(3, 1))]);
    assert_eq!(pages[0].accepted, [run(2, 3, ballot(3, 1))]);
}

#[test]
fn a_refused_accept_heals_nothing() {
    // Below the promise there is no vote, so what was lost there is as unknown as before (I10).
    let (mut acceptor, mut out) = with_faulty();
    assert_eq!(accept(&mut acceptor, ballot(2, 1), 2, "new", &mut out), Ok(()));
    assert_eq!(acceptor.faulty(), 2);
    assert_eq!(drain(&mut out).events, []);
}

#[test]
fn a_lost_slot_is_healed_by_learning_it() {
    // Known chosen, one by one or by the mark: the acceptance no longer matters.
    let (mut acceptor, mut out) = with_faulty();
    acceptor.heal(Slot(2), &mut out);
    assert_eq!(drain(&mut out).events, [Event::Healed { slot: Slot(2) }]);
    assert_eq!(acceptor.faulty(), 1);
    acceptor.settle(Slot(2), &mut out);
    assert_eq!(acceptor.faulty(), 0);
}
