//! Hand-overs through a whole replica, on both sides.

use super::*;
use crate::message::{Forward, HandOver};

/// The answer of a follower with this priority that knows so much to be chosen.
fn follows(drained: &Drained, chosen: u64, priority: u8) -> Option<HeartbeatAnswer> {
    let heartbeat = drained.messages().into_iter().find_map(|message| match message {
        Message::Heartbeat(heartbeat) => Some(heartbeat),
        _ => None,
    })?;
    let (start, chosen) = (Standing::default(), Slot(chosen));
    let Heartbeat { ballot, sequence, .. } = heartbeat;
    Some(HeartbeatAnswer { ballot, sequence, end: chosen, start, chosen, priority })
}

fn hand_overs(drained: &Drained) -> Vec<(ReplicaId, HandOver)> {
    let sent = drained.sent.iter().flat_map(|(to, message)| to.iter().map(move |to| (to, message)));
    let asked = sent.filter_map(|(to, message)| match message {
        Message::HandOver(asked) => Some((*to, asked.clone())),
        _ => None,
    });
    asked.collect()
}

fn asked(ballot: Ballot, sequence: u64) -> HandOver {
    HandOver { ballot, sequence, announcement: Announcement::default() }
}

impl Alone {
    fn transfer(&mut self, to: u32) -> (Result<(), TransferError>, Drained) {
        let begun = self.replica.transfer(self.now, id(to));
        (begun, self.drain())
    }

    /// The leader asks replica 2 to lead, which has everything.
    fn ask_two(&mut self) -> HandOver {
        let (begun, drained) = self.transfer(2);
        assert_eq!(begun, Ok(()));
        let answer = follows(&drained, 0, 1).unwrap();
        let (to, asked) = hand_overs(&self.hear(2, answer)).pop().unwrap();
        assert_eq!(to, id(2));
        asked
    }
}

#[test]
fn a_leader_asks_a_follower_that_has_everything_to_lead() {
    let mut alone = Alone::start(recovered(1));
    let ballot = alone.lead();
    let asked = alone.ask_two();
    assert_eq!(asked.ballot, ballot);
    // Its own commands wait, and nothing of them is refused.
    let drained = alone.propose(b"waits");
    assert_eq!((names(&drained), fates(&drained)), (vec![], vec![]));
    let next = Ballot { round: ballot.round + 1, replica: id(2) };
    alone.hear(2, Prepare { ballot: next, first: Slot(0) });
    assert_eq!(alone.replica.handing_over_to(), Some(id(2)));
    let drained = alone.hear(2, heartbeat(next, Announcement::default()));
    assert!(drained.events.contains(&Event::HandedOver { leader: next }));
    assert_eq!(alone.replica.handing_over_to(), None);
    // They were never offered to anybody, so the next leader gets them.
    assert!(names(&drained).contains(&"Forward"), "{:?}", names(&drained));
    assert_eq!(fates(&drained), []);
}

#[test]
fn a_target_that_lacks_something_is_not_asked_before_it_has_accepted_that() {
    let mut alone = Alone::start(recovered(1));
    let ballot = alone.lead();
    alone.propose(b"first");
    let (begun, drained) = alone.transfer(2);
    assert_eq!(begun, Ok(()));
    // Until the target answers, commands go on.
    assert!(names(&alone.propose(b"second")).contains(&"Accept"));
    let drained = alone.hear(2, follows(&drained, 0, 1).unwrap());
    assert_eq!(hand_overs(&drained), []);
    assert_eq!(names(&alone.propose(b"third")), [""; 0]);
    // Both are chosen with the votes of 3, and the target has only one.
    alone.sync();
    alone.hear(3, vote(ballot, 0));
    alone.hear(3, vote(ballot, 1));
    assert_eq!(alone.replica.status().chosen, Slot(2));
    assert_eq!(hand_overs(&alone.hear(2, vote(ballot, 1))), []);
    assert_eq!(hand_overs(&alone.hear(2, vote(ballot, 0))).len(), 1);
}

#[test]
fn a_hand_over_without_an_answer_is_repeated_and_then_given_up() {
    let mut alone = Alone::start(recovered(1));
    let ballot = alone.lead();
    let began = alone.now;
    let first = alone.ask_two();
    alone.propose(b"waits");
    let (mut repeated, mut gone_on) = (Vec::new(), Vec::new());
    while gone_on.is_empty() {
        let drained = alone.tick();
        // Replica 3 follows, so that it is no lack of a quorum that ends it.
        repeated.extend(hand_overs(&drained).into_iter().map(|(_, asked)| asked.sequence));
        if let Some(answer) = follows(&drained, 0, 1) {
            gone_on.extend(names(&alone.hear(3, answer)));
        }
        if drained.events.contains(&Event::HandOverGivenUp { to: id(2) }) {
            gone_on.extend(names(&drained));
        }
        assert!(alone.now < began.after(Duration::from_secs(2)), "never given up");
    }
    let timeout = alone.replica.config.election_timeout;
    assert!(alone.now >= began.after(timeout) && alone.now < began.after(timeout * 5 / 4));
    assert!(repeated.len() >= 3, "{repeated:?}");
    // Each names the Heartbeat before it: so a late one is told from a new one.
    assert!(repeated.iter().all(|sequence| *sequence >= first.sequence));
    assert!(repeated.last() > Some(&first.sequence));
    assert!(gone_on.contains(&"Accept"), "{gone_on:?}");
    let status = alone.replica.status();
    assert_eq!((status.role, status.leader), (Role::Leading, Some(ballot)));
    assert_eq!(alone.transfer(3).0, Ok(()), "another one may begin");
}

#[test]
fn whoever_leads_anew_has_given_its_hand_over_up() {
    // 2 has begun to lead: all that is heard of it is an Accept. Then it is gone, and this replica
    // leads again, with some seeds before it looks whether the hand-over's time is over.
    let before_it_looks = (0..64).filter(|seed| {
        let mut alone = Alone::start_with(|config| config.seed = *seed, recovered(1));
        let led = alone.lead();
        alone.ask_two();
        let leader = Ballot { round: led.round + 1, replica: id(2) };
        alone.hear(2, accept(leader, 0, "first", Announcement::default()));
        assert_eq!(alone.replica.status().role, Role::Following);
        alone.prepare();
        alone.sync();
        let open = alone.replica.handing_over_to().is_some();
        let ballot = alone.replica.status().promised;
        let drained = alone.hear(2, promise(ballot));
        assert!(drained.events.contains(&Event::Leading { ballot }), "{:?}", drained.events);
        let given_up = drained.events.contains(&Event::HandOverGivenUp { to: id(2) });
        assert_eq!((given_up, alone.replica.handing_over_to()), (open, None));
        open
    });
    assert!(before_it_looks.count() > 0);
}

#[test]
fn what_is_forwarded_meanwhile_is_not_taken_in() {
    let mut alone = Alone::start(recovered(1));
    let ballot = alone.lead();
    let (_, drained) = alone.transfer(2);
    let mut builder = crate::entry::BatchBuilder::default();
    let incarnation = Incarnation(1);
    builder.push(crate::entry::CommandId { replica: id(3), incarnation, sequence: 0 }, b"late");
    let batch = builder.build().unwrap();
    let forward = Forward { ballot, after: 0, limit: Slot(64), batch, chosen: Slot(0) };
    alone.hear(2, follows(&drained, 0, 1).unwrap());
    let from = Peer { incarnation, ..peer(3, 3) };
    alone.hear_from(from, forward);
    assert_eq!(alone.replica.status().forwarded_bytes, 0);
    assert_eq!(alone.replica.status().open_slots, 0);
}

#[test]
fn a_transfer_that_makes_no_sense_is_refused_with_the_reason() {
    let mut alone = Alone::start(recovered(1));
    assert_eq!(alone.transfer(2).0, Err(TransferError::NotLeader { leader: None }));
    alone.hear(3, heartbeat(ballot(4, 3), Announcement::default()));
    assert_eq!(alone.transfer(2).0, Err(TransferError::NotLeader { leader: Some(id(3)) }));
    assert_eq!(alone.transfer(3), (Ok(()), sorted([])), "it leads already");
    assert_eq!(alone.transfer(9).0, Err(TransferError::NotMember { replica: id(9) }));
    assert!(alone.replica.resign(alone.now).is_err());
    alone.lead();
    assert_eq!(alone.transfer(1), (Ok(()), sorted([])), "it leads already");
    assert_eq!(alone.transfer(2).0, Ok(()));
    assert_eq!(alone.transfer(3).0, Err(TransferError::UnderWay { to: id(2) }));
    assert_eq!(alone.transfer(2), (Ok(()), sorted([])), "it is under way already");
    assert_eq!(alone.replica.resign(alone.now), Ok(id(2)));
}

#[test]
fn whoever_resigns_picks_the_highest_priority_and_then_the_longest_log() {
    let mut alone = Alone::start(recovered(1));
    alone.lead();
    let (_, drained) = alone.transfer(1);
    assert_eq!(hand_overs(&drained), []);
    let heartbeat = loop {
        let drained = alone.tick();
        if let Some(answer) = follows(&drained, 0, 0) {
            break answer;
        }
    };
    // 2 is known not to be preferred, and 3 knows more.
    alone.hear(2, heartbeat.clone());
    alone.hear(3, heartbeat.clone());
    let mut picks = alone.replica.clone();
    picks.handle_message(
        alone.now,
        peer(2, 2),
        HeartbeatAnswer { priority: 1, ..heartbeat.clone() }.into(),
    );
    assert_eq!(picks.resign(alone.now), Ok(id(2)));
    alone.hear(3, Nack { ballot: Ballot::ZERO, promised: Ballot::ZERO, chosen: Slot(1) });
    assert_eq!(alone.replica.resign(alone.now), Ok(id(3)));
    // Whoever was not heard for a timeout is not picked.
    let mut late = Alone::start(recovered(1));
    late.lead();
    late.now = late.now.after(Duration::from_millis(120));
    assert_eq!(late.replica.resign(late.now), Err(TransferError::NobodyElse));
}

#[test]
fn a_follower_that_is_asked_to_prepares_at_once() {
    let mut alone = Alone::start(recovered(1));
    let leader = ballot(4, 2);
    alone.hear(2, heartbeat(leader, Announcement::default()));
    let drained = alone.hear(2, asked(leader, 1));
    assert_eq!(names(&drained), [""; 0], "the promise comes first");
    assert_eq!(names(&alone.sync()), ["Prepare"]);
    let status = alone.replica.status();
    assert_eq!((status.role, status.promised), (Role::Preparing, ballot(5, 1)));
    // Once: whoever repeats it is not followed any more.
    alone.hear(2, asked(leader, 1));
    assert_eq!(alone.replica.status().promised, ballot(5, 1));
}

#[test]
fn nobody_else_makes_a_follower_prepare() {
    let leader = ballot(4, 2);
    let follower = || {
        let mut alone = Alone::start(recovered(1));
        alone.hear(2, heartbeat(ballot(3, 3), Announcement::default()));
        let later = Heartbeat { sequence: 5, ..heartbeat(leader, Announcement::default()) };
        alone.hear(2, later);
        alone
    };
    let rest = |alone: &Alone| {
        let status = alone.replica.status();
        assert_eq!((status.role, status.leader), (Role::Following, Some(leader)));
        assert_eq!(status.promised, Ballot::ZERO);
    };
    // A leader that was followed before; the one that is, before its last Heartbeat; a ballot that
    // is not heard of yet.
    for (from, ballot, sequence) in [(3, ballot(3, 3), 9), (2, leader, 4), (3, ballot(9, 3), 9)] {
        let mut alone = follower();
        alone.hear(from, asked(ballot, sequence));
        rest(&alone);
    }
    // Somebody else in the leader's name, which is misbehaviour, and a stranger.
    let mut alone = follower();
    let drained = alone.hear(3, asked(leader, 9));
    assert!(matches!(drained.events[..], [Event::PeerMisbehaved { .. }]), "{:?}", drained.events);
    rest(&alone);
    let reason = IgnoreReason::NoMember;
    let drained = alone.hear(7, asked(ballot(9, 7), 9));
    assert_eq!(drained.events, [Event::Ignored { peer: id(7), reason }]);
    rest(&alone);
    // The leader of a ballot below the promise.
    let mut alone = follower();
    alone.hear(3, Prepare { ballot: ballot(6, 3), first: Slot(0) });
    alone.hear(2, asked(leader, 9));
    assert_eq!(alone.replica.status().promised, ballot(6, 3));
    assert_eq!(alone.replica.status().role, Role::Following);
}

#[test]
fn a_leader_that_is_asked_by_an_earlier_one_leads_on() {
    let mut alone = Alone::start(recovered(1));
    alone.hear(2, heartbeat(ballot(4, 2), Announcement::default()));
    let leader = alone.lead();
    alone.hear(2, asked(ballot(4, 2), 9));
    let status = alone.replica.status();
    assert_eq!((status.role, status.promised), (Role::Leading, leader));
}

#[test]
fn a_follower_of_higher_priority_is_handed_the_lead_after_a_while() {
    let mut alone = Alone::start(recovered(1));
    let ballot = alone.lead();
    let (began, mut handed) = (alone.now, None);
    while handed.is_none() {
        let drained = alone.tick();
        assert_eq!(hand_overs(&drained), []);
        if let Some(answer) = follows(&drained, 0, 2) {
            alone.hear(3, HeartbeatAnswer { priority: 1, ..answer.clone() });
            let drained = alone.hear(2, answer);
            handed = drained
                .events
                .contains(&Event::HandingOver { ballot, to: id(2) })
                .then_some(alone.now);
        }
    }
    let waited = handed.unwrap().since(began);
    let timeout = alone.replica.config.election_timeout;
    assert!(waited >= timeout * 4 && waited < timeout * 5, "{waited:?}");
}

#[test]
fn a_stopped_replica_hands_nothing_over() {
    let mut alone = Alone::start(recovered(1));
    alone.lead();
    alone.hear(2, Refused { incarnation: Incarnation(5), before: Standing::default() });
    assert_eq!(alone.transfer(2).0, Err(TransferError::Halted));
    assert_eq!(alone.replica.resign(alone.now), Err(TransferError::Halted));
}

#[test]
fn somebody_else_may_come_first() {
    // 2 is asked to lead, and 3 does: the lead is handed over all the same.
    let mut alone = Alone::start(recovered(1));
    let ballot = alone.lead();
    alone.ask_two();
    let leader = Ballot { round: ballot.round + 1, replica: id(3) };
    let drained = alone.hear(3, heartbeat(leader, Announcement::default()));
    assert!(drained.events.contains(&Event::HandedOver { leader }), "{:?}", drained.events);
    assert_eq!(alone.replica.handing_over_to(), None);
}

#[test]
fn who_is_handed_the_lead_asks_those_who_must_prove_that_they_remember() {
    // 2 voted for this replica once, and has started again. Its Promise counts only after it has
    // shown that it remembers that vote, as it does when it is canvassed; here nobody canvasses
    // (seed 1994 of the simulator).
    let mut alone = Alone::start(recovered(1));
    let led = alone.lead();
    let leader = Ballot { round: led.round + 1, replica: id(3) };
    alone.hear(3, heartbeat(leader, Announcement::default()));
    let first = peer(2, 2);
    let again = Peer { incarnation: first.incarnation.next(1), ..first };
    alone.hear_from(again, Canvass { sequence: 1, chosen: Slot(0) });
    let asks = names(&alone.hear(3, asked(leader, 1)));
    assert_eq!((asks, names(&alone.sync())), (vec!["Canvass"], vec!["Prepare"]));
    let ballot = alone.replica.status().promised;
    assert_eq!(ballot.replica, id(1));
    alone.hear_from(again, promise(ballot));
    assert_eq!(alone.replica.status().role, Role::Preparing, "not proven");
    let start = Standing { promised: leader, end: Slot(0) };
    let (yes, promised, chosen) = (false, ballot, Slot(0));
    let answer = CanvassAnswer { sequence: 9, yes, promised, leader: None, start, chosen };
    alone.hear_from(again, answer);
    alone.hear_from(again, promise(ballot));
    assert_eq!(alone.replica.status().role, Role::Leading);
}
