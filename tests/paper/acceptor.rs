//! What an acceptor may and must do (section 2.2).

use synod::message::{Message, Promise};
use synod::output::Misbehaviour;
use synod::slot::{ALPHA, Run, Slot, Slots};

use crate::roles::{ASKER, Bench, accept, ballot, entry};

/// Joins the pages of one Promise: the last one must be the last.
fn reported(messages: &[Message]) -> Vec<Run> {
    let page = |message: &Message| match message {
        Message::Promise(promise) => (**promise).clone(),
        other => panic!("no Promise: {other:?}"),
    };
    let pages: Vec<Promise> = messages.iter().map(page).collect();
    let last: Vec<bool> = pages.iter().map(|page| page.last).collect();
    assert!(last.iter().rev().skip(1).all(|last| !last) && last.last() == Some(&true));
    pages.into_iter().flat_map(|page| page.accepted).collect()
}

/// 2.2, P1: "An acceptor must accept the first proposal that it receives."
#[test]
fn p1_an_acceptor_accepts_the_first_proposal_it_receives() {
    for (round, replica, slot) in [(1, 1, 0), (1, 3, 7), (1_000, 2, ALPHA - 1)] {
        let mut bench = Bench::new(1);
        assert!(bench.accepts(ballot(round, replica), slot, entry(1)));
        let held = bench.acceptor.held(Slot(slot)).expect("accepted");
        assert_eq!((held.ballot, &held.entry), (ballot(round, replica), &entry(1)));
    }
}

/// 2.2, P1a: "An acceptor can accept a proposal numbered n iff it has not responded to a prepare
/// request having a number greater than n." (I3)
#[test]
fn p1a_an_acceptor_accepts_n_unless_it_promised_more() {
    let ballots = || (1..=3).flat_map(|round| (1..=3).map(move |id| ballot(round, id)));
    for promised in ballots() {
        for proposed in ballots() {
            let mut bench = Bench::new(1);
            bench.prepare(promised);
            let accepts = bench.accepts(proposed, 0, entry(1));
            assert_eq!(accepts, proposed >= promised, "{proposed} after a promise of {promised}");
            assert_eq!(bench.acceptor.held(Slot(0)).is_some(), accepts);
        }
    }
}

/// 2.2, phase 1(b): "If an acceptor receives a prepare request with number n greater than that of
/// any prepare request to which it has already responded, then it responds to the request with a
/// promise not to accept any more proposals numbered less than n and with the highest-numbered
/// proposal (if any) that it has accepted."
#[test]
fn phase_1b_a_promise_tells_the_highest_proposal_of_each_slot() {
    let mut bench = Bench::new(1);
    assert!(bench.accepts(ballot(1, 1), 0, entry(1)));
    assert!(bench.accepts(ballot(1, 1), 1, entry(2)));
    assert!(bench.accepts(ballot(2, 2), 0, entry(3)));
    let run = |slot, ballot| Run { slots: Slots::one(Slot(slot)), ballot };
    let told = [run(0, ballot(2, 2)), run(1, ballot(1, 1))];
    assert_eq!(reported(&bench.prepare(ballot(5, 3))), told);
    assert_eq!(bench.acceptor.promised(), ballot(5, 3));
    // Asked again, as after a lost answer, it says the same.
    assert_eq!(reported(&bench.prepare(ballot(5, 3))), told);
}

/// 2.2, phase 1(b): a lower number gets no promise, and the acceptor says why: "it should probably
/// inform the proposer, who should then abandon its proposal". (I1)
#[test]
fn phase_1b_a_lower_prepare_is_refused_and_changes_nothing() {
    let mut bench = Bench::new(1);
    bench.prepare(ballot(4, 2));
    let before = bench.acceptor.clone();
    for lower in [ballot(4, 1), ballot(1, 3)] {
        match &bench.prepare(lower)[..] {
            [Message::Nack(nack)] => assert_eq!(nack.promised, ballot(4, 2)),
            other => panic!("not refused: {other:?}"),
        }
        assert_eq!(bench.acceptor, before, "I1: the promise stays");
    }
}

/// 2.2, phase 1(b), for all slots at once (section 3): long promises come in pages that say what
/// they cover, so that nothing unsaid is taken for "nothing accepted".
#[test]
fn phase_1b_pages_cover_every_slot_once() {
    let mut bench = Bench::new(1);
    for slot in 0..ALPHA {
        // No two neighbours share a ballot: as many runs as there can be.
        assert!(bench.accepts(ballot(1 + slot, 1), slot, entry(slot)));
    }
    let messages = bench.prepare(ballot(1_000, 2));
    assert!(messages.len() > 1, "{} runs fit a page", ALPHA);
    assert_eq!(reported(&messages).len(), ALPHA as usize);
    let mut next = Slot::ZERO;
    for message in messages {
        let Message::Promise(page) = message else { panic!("no Promise: {message:?}") };
        assert_eq!(page.slots.start, next, "pages leave no gap");
        next = page.slots.end;
    }
    assert_eq!(next, Slot(ALPHA));
}

/// 2.2, phase 2(b): "If an acceptor receives an accept request for a proposal numbered n, it
/// accepts the proposal unless it has already responded to a prepare request having a number
/// greater than n." And to accept is to promise: nothing lower is accepted after it. (I3)
#[test]
fn phase_2b_accepting_raises_the_promise() {
    let mut bench = Bench::new(1);
    assert!(bench.accepts(ballot(3, 1), 0, entry(1)));
    assert_eq!(bench.acceptor.promised(), ballot(3, 1));
    assert!(!bench.accepts(ballot(2, 3), 1, entry(2)), "of another slot too");
    assert!(bench.accepts(ballot(3, 1), 1, entry(2)));
}

/// 2.2: a proposal is accepted once; a repeated accept request is answered again, writes nothing,
/// and another value under the same number is refused. (I2)
#[test]
fn phase_2b_a_proposal_has_one_value() {
    let mut bench = Bench::new(1);
    let proposal = accept(ballot(1, 1), 0, entry(1));
    assert_eq!(bench.accept(proposal.clone()).len(), 1);
    bench.acceptor.handle_accept(ASKER, proposal, &mut bench.out).expect("the same again");
    let again = bench.synced();
    assert_eq!((again.records.len(), again.messages.len()), (0, 1), "answered, not written");

    let other = accept(ballot(1, 1), 0, entry(2));
    let judged = bench.acceptor.handle_accept(ASKER, other, &mut bench.out);
    let contradiction = Misbehaviour::TwoEntries { slot: Slot(0), ballot: ballot(1, 1) };
    assert_eq!(judged, Err(contradiction));
    assert_eq!(bench.synced().messages, []);
    assert_eq!(bench.acceptor.held(Slot(0)).map(|held| &held.entry), Some(&entry(1)));
}

/// Section 3: a leader "can propose commands i + 1 through i + alpha after commands 1 through i are
/// chosen". An acceptor holds it to that: beyond its window it neither accepts nor refuses. (I9)
#[test]
fn an_acceptor_accepts_within_alpha_of_its_chosen_mark() {
    let mut bench = Bench::new(1);
    bench.acceptor.settle(Slot(10), &mut bench.out);
    for (slot, inside) in [(9, false), (10, true), (9 + ALPHA, true), (10 + ALPHA, false)] {
        match &bench.accept(accept(ballot(1, 1), slot, entry(slot)))[..] {
            [Message::Accepted(_)] => assert!(inside, "slot {slot} is accepted"),
            [Message::Behind(behind)] => {
                assert!(!inside, "slot {slot} is not accepted");
                assert_eq!(behind.chosen, Slot(10), "the mark says who must catch up");
            }
            other => panic!("{other:?}"),
        }
    }
}
