//! Reads and forwards through a whole replica.

use super::*;
use crate::message::{Fetched, Forward, ForwardAnswer, ReadIndex, ReadIndexAnswer};

impl Alone {
    fn ask(&mut self) -> (u64, Drained) {
        let read = self.replica.read(self.now, Consistency::Linearizable).unwrap();
        (read, self.drain())
    }
}

/// The reads that may be served, each with its index.
fn served(drained: &Drained) -> Vec<(core::ops::Range<u64>, u64)> {
    let ready = drained.other.iter().filter_map(|output| match output {
        Output::ReadReady { reads, upto } => Some((reads.clone(), upto.0)),
        _ => None,
    });
    ready.collect()
}

fn answer(drained: &Drained) -> HeartbeatAnswer {
    let sent = drained.messages().into_iter().find_map(|message| match message {
        Message::Heartbeat(Heartbeat { ballot, sequence, .. }) => Some((ballot, sequence)),
        _ => None,
    });
    let (ballot, sequence) = sent.expect("a Heartbeat");
    let (start, chosen) = (Standing::default(), Slot(0));
    HeartbeatAnswer { ballot, sequence, end: Slot(0), start, chosen, priority: 1 }
}

#[test]
fn a_leader_serves_its_reads_when_a_follower_has_answered_a_heartbeat() {
    let mut alone = Alone::start(recovered(1));
    alone.lead();
    let mut before = alone.tick();
    while !names(&before).contains(&"Heartbeat") {
        before = alone.tick();
    }
    let before = answer(&before);
    let (read, asked) = alone.ask();
    assert_eq!(names(&asked), ["Heartbeat"]);
    assert_eq!(served(&alone.hear(2, before)), [], "that was sent before the read came");
    let (later, during) = alone.ask();
    assert_eq!(names(&during), [""; 0], "one round at a time");
    let drained = alone.hear(2, answer(&asked));
    assert_eq!(served(&drained), [(read..read + 1, 0)]);
    assert_eq!(names(&drained), ["Heartbeat"]);
    assert_eq!(served(&alone.hear(3, answer(&drained))), [(later..later + 1, 0)]);
}

#[test]
fn a_new_leader_serves_nothing_before_it_has_taken_over() {
    // Slot 0 was reported, slot 1 is chosen first: that is an entry of its own ballot, but not
    // enough.
    let mut alone = Alone::start(recovered(1));
    alone.prepare();
    alone.sync();
    let leader = alone.replica.status().promised;
    let left = vec![run(0, 1, ballot(0, 3))];
    alone.hear(2, Promise { slots: slots(0, 1), accepted: left, ..promise(leader) });
    alone.propose(b"x");
    alone.sync();
    alone.hear(2, vote(leader, 1));
    let (_, asked) = alone.ask();
    assert_eq!(names(&asked), [""; 0]);
    let fetched = Some((ballot(0, 3), entry("v")));
    alone.hear(2, Fetched { slot: Slot(0), proposal: fetched, chosen: Slot(0) });
    alone.sync();
    let drained = alone.hear(2, vote(leader, 0));
    assert!(names(&drained).contains(&"Heartbeat"), "{:?}", names(&drained));
    let drained = alone.hear(2, answer(&drained));
    assert_eq!(served(&drained), [(0..1, 2)]);
}

#[test]
fn a_deposed_leader_serves_none_and_asks_the_next_one() {
    let mut alone = Alone::start(recovered(1));
    alone.lead();
    let (_, asked) = alone.ask();
    let drained = alone.hear(2, heartbeat(ballot(9, 2), Announcement::default()));
    assert_eq!(names(&drained), ["HeartbeatAnswer", "ReadIndex"]);
    assert_eq!(served(&alone.hear(3, answer(&asked))), []);
    let told = ReadIndexAnswer {
        incarnation: Incarnation(1),
        reads: 1,
        index: Slot(1),
        announcement: announcement(1, vec![]),
    };
    assert_eq!(served(&alone.hear(50, told.clone())), [], "a stranger's index");
    assert_eq!(served(&alone.hear(2, told)), [], "slot 0 is not here yet");
    let entry = Chosen { slot: Slot(0), ballot: ballot(9, 2), entry: Entry::Noop, chosen: Slot(1) };
    let drained = alone.hear(2, entry);
    assert_eq!(served(&drained), [(0..1, 1)]);
    let applied = drained.other.iter().position(|o| matches!(o, Output::Chosen { .. }));
    let ready = drained.other.iter().position(|o| matches!(o, Output::ReadReady { .. }));
    assert!(applied < ready, "first what must be seen, then the read: {:?}", drained.other);
}

#[test]
fn reads_and_commands_without_a_leader_are_refused_when_patience_ends() {
    let mut alone = Alone::start(recovered(1));
    alone.propose(b"x");
    let (read, _) = alone.ask();
    let (mut refused, mut given_up) = (Vec::new(), Vec::new());
    for _ in 0..200 {
        for output in alone.tick().other {
            match output {
                Output::ReadRefused { reads, leader: None } => refused.extend(reads),
                Output::Fate { commands, fate: Fate::NotLeader { leader: None } } => {
                    given_up.extend(commands);
                }
                _ => {}
            }
        }
    }
    assert_eq!((refused, given_up), (vec![read], vec![0]));
    assert!(alone.now >= Instant::from_millis(900), "not before its time: {}", alone.now);
}

#[test]
fn a_local_read_is_served_at_once_and_a_stopped_replica_takes_none() {
    let mut alone = Alone::start(recovered(1));
    let read = alone.replica.read(alone.now, Consistency::Local).unwrap();
    assert_eq!(served(&alone.drain()), [(read..read + 1, 0)]);
    alone.hear(2, Refused { incarnation: Incarnation(5), before: Standing::default() });
    for consistency in [Consistency::Local, Consistency::Linearizable] {
        assert_eq!(alone.replica.read(alone.now, consistency), Err(ReadError::Halted));
    }
}

#[test]
fn so_many_reads_wait_and_no_more() {
    let mut alone = Alone::start(recovered(1));
    let full =
        (0..=65_536).find_map(|_| alone.replica.read(alone.now, Consistency::Linearizable).err());
    assert_eq!(full, Some(ReadError::Full));
}

#[test]
fn strangers_neither_forward_nor_ask() {
    let mut alone = Alone::start(recovered(1));
    let leader = alone.lead();
    let mut batch = crate::entry::BatchBuilder::default();
    let (replica, incarnation) = (id(50), Incarnation(1));
    batch.push(crate::entry::CommandId { replica, incarnation, sequence: 0 }, b"x");
    let (after, limit, batch, chosen) = (0, Slot(9), batch.build().unwrap(), Slot(0));
    alone.hear(50, Forward { ballot: leader, after, limit, batch, chosen });
    alone.hear(50, ReadIndex { ballot: leader, reads: 1, chosen: Slot(0) });
    assert_eq!(alone.replica.status().ignored.get(&IgnoreReason::NoMember), Some(&2));
    assert_eq!(alone.replica.status().open_slots, 0);
}

#[test]
fn who_forwards_the_commands_of_another_one_is_reported() {
    let mut alone = Alone::start(recovered(1));
    let ballot = alone.lead();
    let Entry::Batch(batch) = entry("of replica 1") else { panic!("a batch") };
    let (after, limit, chosen) = (0, Slot(9), Slot(0));
    let drained = alone.hear(2, Forward { ballot, after, limit, batch, chosen });
    let what = Misbehaviour::ForeignCommands { ballot };
    assert_eq!(drained.events, [Event::PeerMisbehaved { peer: id(2), what }]);
    assert_eq!(alone.replica.status().open_slots, 0);
}

#[test]
fn a_follower_hears_at_once_what_became_of_what_it_forwarded() {
    // Without the next Accept or Heartbeat: the leader tells as soon as it knows.
    let mut alone = Alone::start(recovered(1));
    let leader = alone.lead();
    let mut batch = crate::entry::BatchBuilder::default();
    let from = peer(2, 2);
    let (replica, incarnation) = (from.replica, from.incarnation);
    batch.push(crate::entry::CommandId { replica, incarnation, sequence: 0 }, b"x");
    let (after, limit, batch, chosen) = (0, Slot(9), batch.build().unwrap(), Slot(0));
    let drained = alone.hear_from(from, Forward { ballot: leader, after, limit, batch, chosen });
    assert_eq!(names(&drained), ["ForwardAnswer", "Accept"]);
    alone.sync();
    let drained = alone.hear_from(from, vote(leader, 0));
    let told: Vec<_> = drained.messages().into_iter().collect();
    let [Message::ForwardAnswer(ForwardAnswer { taken: 1, announcement, .. })] = &told[..] else {
        panic!("{told:?}")
    };
    assert_eq!(announcement.chosen, Slot(1));
}

#[test]
fn a_command_whose_leader_is_gone_has_its_fate_when_its_limit_is_passed() {
    // 2 led at 3.2, took x in, and died. 3 leads at 4.3: this follower tells it up to where slots
    // must be filled, and knows after that.
    let mut alone = Alone::start(recovered(1));
    alone.hear(2, heartbeat(ballot(3, 2), Announcement::default()));
    let Some(Message::Forward(Forward { limit, .. })) = alone.propose(b"x").messages().pop() else {
        panic!("it forwards")
    };
    let drained = alone.hear(3, heartbeat(ballot(4, 3), Announcement::default()));
    let Some(Message::HeartbeatAnswer(told)) = drained.messages().pop() else {
        panic!("an answer")
    };
    assert_eq!((told.end, limit), (limit, Slot(64)));
    alone.propose(b"y");
    let mut fates_told = vec![];
    for slot in 0..limit.0 {
        let chosen = Slot(slot + 1);
        let noop = Chosen { slot: Slot(slot), ballot: ballot(4, 3), entry: Entry::Noop, chosen };
        let drained = alone.hear(3, noop);
        fates_told.extend(fates(&drained).into_iter().map(|fate| (slot, fate)));
        assert_eq!(names(&drained).contains(&"Forward"), chosen == limit, "y waits for x");
    }
    let superseded = Output::Fate { commands: 0..1, fate: Fate::Superseded };
    assert_eq!(fates_told, [(limit.0 - 1, superseded)]);
}

#[test]
fn a_leader_that_was_deposed_meanwhile_begins_again_with_its_reads() {
    // 2 led at 9.2 and got slot 0 chosen before the read came here. Answers to Heartbeats of a
    // later ballot say nothing of the mark that was taken at the earlier one.
    let mut alone = Alone::start(recovered(1));
    alone.lead();
    let (read, _) = alone.ask();
    alone.hear(2, Prepare { ballot: ballot(9, 2), first: Slot(0) });
    alone.prepare();
    alone.sync();
    let again = alone.replica.status().promised;
    let told = Promise { slots: slots(1, 1), chosen: Slot(1), ..promise(again) };
    let drained = alone.hear(2, told);
    assert_eq!(alone.replica.status().role, Role::Leading);
    assert_eq!(served(&alone.hear(2, answer(&drained))), []);
    let entry = Chosen { slot: Slot(0), ballot: ballot(9, 2), entry: Entry::Noop, chosen: Slot(1) };
    let drained = alone.hear(2, entry);
    assert_eq!(served(&drained), []);
    assert_eq!(served(&alone.hear(2, answer(&drained))), [(read..read + 1, 1)]);
}
