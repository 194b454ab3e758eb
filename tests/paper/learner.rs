//! How a chosen value is learned (section 2.3), and handed to the state machine (section 3).

use synod::entry::Entry;
use synod::membership::ReplicaId;
use synod::message::Announcement;
use synod::output::Misbehaviour;
use synod::record::Record;
use synod::roles::{Held, Learner, Outbox};
use synod::slot::{Run, Slot, Slots};

use crate::roles::{Bench, accept, ballot, drain, entry, membership, outbox};

const ANY: u64 = 100;

fn learner() -> (Learner, Outbox) {
    (Learner::new(ANY), outbox(1))
}

/// Learns the slot as somebody without an acceptor does.
fn learn(learner: &mut Learner, out: &mut Outbox, slot: u64, entry: Entry) {
    let judged = learner.learn(Slot(slot), ballot(1, 1), entry, None, out);
    assert_eq!(judged, Ok(()));
}

fn pass_all(learner: &mut Learner, out: &mut Outbox) -> u64 {
    let mut passed = 0;
    while learner.pass(out).is_some() {
        passed += 1;
    }
    passed
}

/// 2.3: "To learn that a value has been chosen, a learner must find out that a proposal has been
/// accepted by a majority of acceptors."
#[test]
fn a_value_is_chosen_when_a_majority_accepted_one_proposal() {
    for (members, majority) in [(1, 1), (2, 2), (3, 2), (4, 3), (5, 3), (7, 4), (9, 5)] {
        let cluster = membership(members);
        let (mut learner, _) = learner();
        for id in 1..=majority {
            let chosen = learner.handle_accepted(ReplicaId(id), ballot(1, 1), Slot(0), &cluster);
            assert_eq!(chosen, id == majority, "{id} of {members} have accepted");
        }
    }
}

/// 2.3: "a proposal", not a value: votes of two ballots are never added up, even for one slot.
#[test]
fn votes_of_different_proposals_are_not_added_up() {
    let cluster = membership(3);
    let (mut learner, _) = learner();
    let mut vote = |id, round, replica| {
        learner.handle_accepted(ReplicaId(id), ballot(round, replica), Slot(0), &cluster)
    };
    assert!(!vote(1, 1, 1));
    assert!(!vote(2, 2, 2), "one vote each at 1.1 and 2.2");
    assert!(!vote(3, 1, 1), "an old ballot's vote, late");
    assert!(vote(3, 2, 2));
}

/// 2.3: a majority of acceptors: the same one twice is one, and strangers are none.
#[test]
fn only_votes_of_different_members_count() {
    let cluster = membership(3);
    let (mut learner, _) = learner();
    let mut vote = |id| learner.handle_accepted(ReplicaId(id), ballot(1, 1), Slot(0), &cluster);
    assert!(!vote(2));
    assert!(!vote(2), "a repeated answer");
    assert!(!vote(8), "nobody's vote");
    assert!(vote(1));
}

/// 2.3: acceptors "respond with their acceptances to a distinguished learner, which in turn informs
/// the other learners". What is told names ballots only, so a learner takes a slot from it only
/// where its acceptor holds *that* proposal: under another number it may hold another value.
#[test]
fn an_informed_learner_takes_only_the_very_proposal() {
    for (told, taken) in [(ballot(1, 1), false), (ballot(2, 2), true), (ballot(3, 1), false)] {
        let mut bench = Bench::new(1);
        assert!(bench.accepts(ballot(2, 2), 0, entry(1)));
        let (mut learner, mut out) = learner();
        let runs = vec![Run { slots: Slots::one(Slot(0)), ballot: told }];
        let announcement = Announcement { chosen: Slot(1), runs: runs.into() };
        let held = |slot| bench.acceptor.held(slot);
        assert_eq!(learner.handle_announcement(&announcement, held, &mut out), Ok(()));
        assert_eq!(learner.learned(Slot(0)), taken.then(|| entry(1)).as_ref(), "told of {told}");
        assert_eq!(learner.chosen(), Slot(0), "the mark alone teaches nothing");
        let missing = (!taken).then(|| Slots::one(Slot(0)));
        assert_eq!(learner.missing(announcement.chosen), missing, "the rest is asked for");
    }
}

/// 2.2, P2: once chosen, a slot's value never changes; who says otherwise is refused. (I6)
#[test]
fn a_chosen_value_never_changes() {
    let (mut learner, mut out) = learner();
    learn(&mut learner, &mut out, 0, entry(1));
    learn(&mut learner, &mut out, 0, entry(1));
    let again = learner.learn(Slot(0), ballot(2, 2), entry(2), None, &mut out);
    assert_eq!(again, Err(Misbehaviour::ChosenChanged { slot: Slot(0) }));
    assert_eq!(learner.learned(Slot(0)), Some(&entry(1)));
}

/// 2.3 and 2.5: what a replica learned without having accepted it at that number must be written
/// down as chosen, or what it did accept there would be taken for the chosen value after a crash.
#[test]
fn what_was_learned_and_not_accepted_is_written_as_chosen() {
    let mine = |round, name| Held { ballot: ballot(round, 1), entry: entry(name) };
    for (held, written) in [(None, true), (Some(mine(3, 7)), true), (Some(mine(2, 1)), false)] {
        let (mut learner, mut out) = learner();
        let judged = learner.learn(Slot(0), ballot(2, 1), entry(1), held.as_ref(), &mut out);
        assert_eq!(judged, Ok(()));
        let record = Record::Chosen { slot: Slot(0), ballot: ballot(2, 1), entry: entry(1) };
        assert_eq!(
            drain(&mut out).records,
            written.then_some(record).into_iter().collect::<Vec<_>>()
        );
    }
}

/// Section 3: the servers "execute the commands in the same order": the state machine gets slot i
/// only after every slot below it, each once, whatever the order of learning. (I7)
#[test]
fn entries_are_delivered_in_slot_order_each_once() {
    let (mut learner, mut out) = learner();
    for slot in [3, 1, 0, 1, 4, 0, 2] {
        learn(&mut learner, &mut out, slot, entry(slot));
        pass_all(&mut learner, &mut out);
    }
    let expected: Vec<_> = (0..5).map(|slot| (Slot(slot), entry(slot))).collect();
    assert_eq!(drain(&mut out).delivered, expected);
    assert_eq!(learner.chosen(), Slot(5));
}

/// Section 3: applied is never ahead of chosen, whatever the driver claims. (I8)
#[test]
fn nothing_counts_as_applied_before_it_was_delivered() {
    let (mut learner, mut out) = learner();
    for slot in [0, 1, 3] {
        learn(&mut learner, &mut out, slot, entry(slot));
    }
    assert_eq!(pass_all(&mut learner, &mut out), 2);
    learner.handle_applied(Slot(1));
    assert_eq!((learner.applied(), learner.chosen()), (Slot(1), Slot(2)));
    learner.handle_applied(Slot(9));
    assert_eq!((learner.applied(), learner.chosen()), (Slot(2), Slot(2)));
    learner.handle_applied(Slot(0));
    assert_eq!(learner.applied(), Slot(2), "a mark never falls");
}

/// 2.1: "A process never learns that a value has been chosen unless it actually has been": what the
/// acceptor of this very replica holds is not thereby chosen.
#[test]
fn an_accepted_value_is_not_yet_a_chosen_one() {
    let mut bench = Bench::new(1);
    bench.accept(accept(ballot(1, 1), 0, entry(1)));
    let (mut learner, mut out) = learner();
    let cluster = membership(3);
    assert!(!learner.handle_accepted(ReplicaId(1), ballot(1, 1), Slot(0), &cluster));
    assert_eq!(learner.learned(Slot(0)), None);
    assert_eq!(pass_all(&mut learner, &mut out), 0);
}
