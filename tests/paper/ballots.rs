//! P2 and what implies it (section 2.2), over every run of three ballots on one slot: whoever
//! answers phase 1, and whoever accepts in phase 2.

use synod::ballot::Ballot;
use synod::entry::Entry;
use synod::message::{Announcement, Message};
use synod::roles::{Acceptor, Held};
use synod::slot::Slot;

use crate::roles::{ASKER, Bench, ballot, drain_synced, membership, outbox, prepare, proposer};

const SLOT: Slot = Slot::ZERO;
const ACCEPTORS: usize = 3;
const MAJORITIES: [u8; 4] = [0b011, 0b101, 0b110, 0b111];

/// A proposal that was issued: its number and value, who had accepted what when its phase 1 was
/// answered, and who accepted it afterwards.
#[derive(Debug)]
struct Issued {
    ballot: Ballot,
    value: Entry,
    held_before: [Option<(Ballot, Entry)>; ACCEPTORS],
    accepted_by: u8,
}

impl Issued {
    fn is_chosen(&self) -> bool {
        self.accepted_by.count_ones() as usize > ACCEPTORS / 2
    }
}

fn held(acceptor: &Acceptor) -> Option<(Ballot, Entry)> {
    acceptor.held(SLOT).map(|held| (held.ballot, held.entry.clone()))
}

/// One ballot from its prepare requests to its accept requests. The proposer holds nothing itself:
/// what it must take over it fetches.
///
/// Where phase 1 proves that something is chosen already, nothing is issued: that is given back.
fn run_ballot(
    round: u64,
    quorum: u8,
    accepting: u8,
    acceptors: &mut [Bench; ACCEPTORS],
) -> Result<Issued, Held> {
    let members = membership(ACCEPTORS as u32);
    // Each ballot is another proposer's, none of them an acceptor, with a command of its own.
    let me = 3 + round as u32;
    let (mut proposer, mut out, ballot) = (proposer(me), outbox(me), ballot(round, me));
    proposer.enqueue(format!("value of {ballot}").as_bytes());
    proposer.prepare(ballot, SLOT, &members, &mut out);
    let nothing = Announcement::default();
    let held_before = [0, 1, 2].map(|i| held(&acceptors[i].acceptor));
    let in_quorum = |i: &usize| quorum & (1 << i) != 0;

    for i in (0..ACCEPTORS).filter(in_quorum) {
        for message in acceptors[i].prepare(ballot) {
            let Message::Promise(promise) = message else { panic!("refused: {message:?}") };
            let from = members.members()[i].replica;
            proposer.handle_promise(from, &promise, &members).expect("an honest report");
        }
    }
    let found = proposer.take_over(|_| None, &nothing, false, &members, &mut out);
    assert_eq!(found, [], "it holds nothing");
    let mut sent = drain_synced(&mut out, ballot).messages;
    for message in &sent {
        let Message::Fetch(fetch) = message else { continue };
        for bench in acceptors.iter_mut() {
            bench.acceptor.handle_fetch(ASKER, fetch, &mut bench.out);
            for message in bench.synced().messages {
                let Message::Fetched(fetched) = message else { panic!("{message:?}") };
                proposer.handle_fetched(fetched);
            }
        }
    }
    let found = proposer.take_over(|_| None, &nothing, false, &members, &mut out);
    if let [(SLOT, chosen)] = &found[..] {
        return Err(chosen.clone());
    }
    proposer.propose_next(false, &nothing, &members, &mut out);
    sent.extend(drain_synced(&mut out, ballot).messages);
    let mut proposed = sent.into_iter().filter_map(|message| match message {
        Message::Accept(accept) if accept.slot == SLOT => Some(accept),
        _ => None,
    });
    let accept = proposed.next().expect("a majority has promised, so something is proposed");
    assert_eq!(proposed.next(), None, "once");
    assert_eq!(accept.ballot, ballot);

    let mut accepted_by = 0;
    for i in (0..ACCEPTORS).filter(|i| accepting & (1 << i) != 0) {
        if acceptors[i].accepts(ballot, SLOT.0, accept.entry.clone()) {
            accepted_by |= 1 << i;
        }
    }
    Ok(Issued { ballot, value: accept.entry, held_before, accepted_by })
}

/// Every run of three ballots.
fn each_run(mut check: impl FnMut(&[Issued])) {
    let (mut runs, mut chosen, mut found) = (0, 0, 0);
    let choices = |accepting: &'static [u8]| {
        MAJORITIES.iter().flat_map(move |q| accepting.iter().map(move |a| (*q, *a)))
    };
    for first in choices(&[0, 1, 2, 3, 4, 5, 6, 7]) {
        for second in choices(&[0, 1, 2, 3, 4, 5, 6, 7]) {
            for third in choices(&[0b000, 0b111]) {
                let mut acceptors = [1, 2, 3].map(Bench::new);
                let mut issued: Vec<Issued> = Vec::new();
                for (round, (q, a)) in (1u64..).zip([first, second, third]) {
                    match run_ballot(round, q, a, &mut acceptors) {
                        Ok(proposal) => issued.push(proposal),
                        Err(held) => {
                            let is_it =
                                |i: &Issued| (i.ballot, &i.value) == (held.ballot, &held.entry);
                            let chosen = issued.iter().find(|i| is_it(i)).map(Issued::is_chosen);
                            assert_eq!(chosen, Some(true), "{held:?} is not chosen");
                            found += 1;
                        }
                    }
                }
                check(&issued);
                runs += 1;
                chosen += usize::from(issued.iter().filter(|i| i.is_chosen()).count() > 1);
            }
        }
    }
    assert!(runs == 32 * 32 * 8 && chosen > 1_000, "{chosen} of {runs} runs chose twice");
    assert!(found > 1_000, "phase 1 found {found} values chosen");
}

/// 2.2, P2: "If a proposal with value v is chosen, then every higher-numbered proposal that is
/// chosen has value v." P2a says so of every one that is *accepted by any acceptor*, P2b of every
/// one that is *issued by any proposer*: each implies the one before. (I6)
#[test]
fn p2_p2a_p2b_after_a_value_is_chosen_no_other_is_issued_accepted_or_chosen() {
    each_run(|issued| {
        for (i, lower) in issued.iter().enumerate().filter(|(_, lower)| lower.is_chosen()) {
            for higher in &issued[i + 1..] {
                let same = higher.value == lower.value;
                assert!(same, "P2b: {} issues another value", higher.ballot);
                assert!(higher.accepted_by == 0 || same, "P2a: {} is accepted", higher.ballot);
                assert!(!higher.is_chosen() || same, "P2: {} is chosen", higher.ballot);
            }
        }
    });
}

/// 2.2, P2c: "For any v and n, if a proposal with value v and number n is issued, then there is a
/// set S consisting of a majority of acceptors such that either (a) no acceptor in S has accepted
/// any proposal numbered less than n, or (b) v is the value of the highest-numbered proposal among
/// all proposals numbered less than n accepted by the acceptors in S." (I5)
#[test]
fn p2c_what_is_issued_is_the_highest_that_a_majority_accepted_or_free() {
    let (mut taken_over, mut free) = (0, 0);
    each_run(|issued| {
        for proposal in issued {
            let allows = |majority: u8| {
                let accepted = (0..ACCEPTORS).filter(|i| majority & (1 << i) != 0);
                let highest = accepted
                    .filter_map(|i| proposal.held_before[i].as_ref())
                    .max_by_key(|(ballot, _)| *ballot);
                highest.is_none_or(|(at, v)| *at < proposal.ballot && *v == proposal.value)
            };
            // Not only of those that promised: an entry fetched from another acceptor may be of a
            // higher ballot than the highest report, and then that acceptor is one of the set.
            assert!(
                MAJORITIES.iter().any(|majority| allows(*majority)),
                "{} issues {} over {:?}",
                proposal.ballot,
                proposal.value,
                proposal.held_before
            );
            let own = format!("value of {}", proposal.ballot);
            match &proposal.value {
                Entry::Batch(batch) if batch.commands().eq([own.as_bytes()]) => free += 1,
                Entry::Batch(_) => taken_over += 1,
                Entry::Noop => {}
            }
        }
    });
    assert!(taken_over > 3_000 && free > 8_000, "{taken_over} taken over, {free} free");
}

/// 2.2, the example of why P2a alone is not enough: an acceptor that was asleep must not be led to
/// accept another value, although it has heard nothing of the chosen one.
#[test]
fn an_acceptor_that_slept_through_a_choice_learns_it_from_the_next_ballot() {
    let mut acceptors = [1, 2, 3].map(Bench::new);
    let first = run_ballot(1, 0b011, 0b011, &mut acceptors).unwrap();
    assert!(first.is_chosen());
    let second = run_ballot(2, 0b110, 0b100, &mut acceptors).unwrap();
    assert_eq!(held(&acceptors[2].acceptor), Some((second.ballot, first.value)));
}

/// 2.2: an acceptor that has promised more ignores the old proposer, so a prepare request can be
/// answered while older accept requests are still under way.
#[test]
fn an_old_proposal_that_arrives_late_is_refused() {
    let mut acceptors = [1, 2, 3].map(Bench::new);
    let late = run_ballot(1, 0b111, 0b000, &mut acceptors).unwrap();
    for bench in &mut acceptors {
        bench.acceptor.handle_prepare(ASKER, &prepare(ballot(2, 5)), &mut bench.out);
        bench.synced();
        assert!(!bench.accepts(late.ballot, SLOT.0, late.value.clone()));
    }
}
