//! What a new leader finds chosen by the Promises alone.

use super::*;

/// A follower that has accepted commands of replica 3 in slots 0 and 1, durably, and is to lead.
/// What replica 2 reports of them is all that it hears.
fn told(reports: &[(u64, Ballot)]) -> (Alone, Ballot, Drained) {
    let mut alone = Alone::start(recovered(1));
    for slot in 0..2 {
        alone.hear(3, accept(dead(), slot, "x", Announcement::default()));
    }
    alone.sync();
    alone.prepare();
    alone.sync();
    let leader = alone.replica.status().promised;
    let accepted = reports.iter().map(|(slot, at)| run(*slot, slot + 1, *at)).collect();
    let answer = Promise { slots: slots(0, 2), accepted, ..promise(leader) };
    let drained = alone.hear(2, answer);
    assert!(drained.events.contains(&Event::Leading { ballot: leader }));
    (alone, leader, drained)
}

/// The ballot of the leader that is gone.
fn dead() -> Ballot {
    ballot(1, 3)
}

#[test]
fn what_a_quorum_accepted_at_one_ballot_is_not_proposed_again() {
    // 1 and 2 hold both slots of ballot 1.3: chosen, although 3 never told. Nothing of it goes over
    // the network again, or to the disk, however long it is; the others learn it by its ballot.
    let (mut alone, _, drained) = told(&[(0, dead()), (1, dead())]);
    let delivered = (0..2).map(|slot| Output::Chosen { slot: Slot(slot), entry: entry("x") });
    assert_eq!(drained.other, delivered.collect::<Vec<_>>());
    assert_eq!(names(&drained), ["Heartbeat"]);
    assert_eq!((drained.records.len(), alone.replica.status().chosen), (0, Slot(2)));
    let facts = alone.tick().messages().into_iter().find_map(|message| match message {
        Message::Announcement(facts) => Some(facts),
        _ => None,
    });
    assert_eq!(facts, Some(announcement(2, vec![run(0, 2, dead())])));
}

#[test]
fn what_a_minority_accepted_is_proposed_again() {
    // 2 has nothing in slot 0, and in slot 1 something of another ballot: neither is known chosen.
    let (alone, leader, drained) = told(&[(1, ballot(1, 2))]);
    let proposed = drained.messages().into_iter().filter_map(|message| match message {
        Message::Accept(accept) => Some((accept.ballot, accept.slot, accept.entry)),
        _ => None,
    });
    let again = [0, 1].map(|slot| (leader, Slot(slot), entry("x")));
    assert_eq!(proposed.collect::<Vec<_>>(), again);
    assert_eq!(alone.replica.status().chosen, Slot(0));
}

#[test]
fn what_is_found_chosen_above_a_gap_waits_for_it() {
    // Slot 1 is chosen, slot 0 is not: that is proposed, and slot 1 is passed with it.
    let (mut alone, leader, drained) = told(&[(1, dead())]);
    let accepts = names(&drained).iter().filter(|name| **name == "Accept").count();
    assert_eq!((accepts, alone.replica.status().chosen), (1, Slot(0)));
    alone.sync();
    alone.hear(2, vote(leader, 0));
    assert_eq!(alone.replica.status().chosen, Slot(2));
}
