//! A replica alone: its peers are played by the tests, message by message.

use alloc::vec;
use alloc::vec::Vec;
use core::time::Duration;

use super::timers::STUCK_TIMEOUTS;
use super::*;
use crate::entry::Entry;
use crate::membership::Incarnation;
use crate::message::{
    Accept, Accepted, Announcement, Canvass, CanvassAnswer, CatchUp as Question, Chosen,
    Forming as Told, Heartbeat, HeartbeatAnswer, Nack, Prepare, Promise,
};
use crate::outbox::tests::{
    Drained, announcement, ballot, entry, id, membership, peer, recovered, run, slots, sorted,
};
use crate::output::Timer;
use crate::record::Record;
use crate::slot::ALPHA;

mod announcements;
mod deposed;
mod ends;
mod found_chosen;
mod hostile;
mod intake;
mod pipeline;
mod reads;
mod stalled;
mod stuck;
mod transfer;

/// Replica 1 of three, its clock and its disk.
struct Alone {
    replica: Replica,
    now: Instant,
    wait: Option<(Instant, Timer)>,
}

impl Alone {
    fn start(log: Recovered) -> Self {
        Self::start_with(|_| {}, log)
    }

    fn start_with(change: impl FnOnce(&mut Config), log: Recovered) -> Self {
        let mut config = Config::new([1, 2, 3].map(id));
        change(&mut config);
        let replica = Replica::new(config, log, Instant::ZERO).unwrap();
        let mut alone = Self { replica, now: Instant::ZERO, wait: None };
        alone.drain();
        alone
    }

    fn drain(&mut self) -> Drained {
        let mut outputs = Vec::new();
        loop {
            match self.replica.poll_output() {
                Output::Wait { until } => {
                    self.wait = until;
                    return sorted(outputs);
                }
                output => outputs.push(output),
            }
        }
    }

    fn hear(&mut self, from: u32, message: impl Into<Message>) -> Drained {
        self.hear_from(peer(from, from as u8), message)
    }

    fn hear_from(&mut self, from: Peer, message: impl Into<Message>) -> Drained {
        self.replica.handle_message(self.now, from, message.into());
        self.drain()
    }

    /// Everything that was asked for is on disk now.
    fn sync(&mut self) -> Drained {
        let appended = self.replica.status().appended;
        self.replica.handle_persisted(self.now, appended);
        self.drain()
    }

    /// Goes to the time that the replica asked for.
    fn tick(&mut self) -> Drained {
        let (until, _) = self.wait.unwrap();
        self.now = self.now.max(until);
        self.replica.handle_timeout(self.now);
        self.drain()
    }

    /// Lets the time pass until it asks whether it should lead.
    fn canvass(&mut self) -> Canvass {
        for _ in 0..100 {
            for message in self.tick().messages() {
                if let Message::Canvass(canvass) = message {
                    return canvass;
                }
            }
        }
        panic!("no Canvass");
    }

    /// Replica 2 says yes.
    fn prepare(&mut self) -> Drained {
        let sequence = self.canvass().sequence;
        let (promised, chosen) = (Ballot::ZERO, Slot(0));
        self.hear(
            2,
            CanvassAnswer {
                sequence,
                yes: true,
                promised,
                leader: None,
                start: Standing::default(),
                chosen,
            },
        )
    }

    /// A leader of an empty log, by the Promise of replica 2; and its ballot.
    fn lead(&mut self) -> Ballot {
        self.prepare();
        self.sync();
        let ballot = self.replica.status().promised;
        let drained = self.hear(2, promise(ballot));
        assert!(drained.events.contains(&Event::Leading { ballot }));
        ballot
    }

    fn propose(&mut self, command: &[u8]) -> Drained {
        self.replica.propose(self.now, command).unwrap();
        self.drain()
    }
}

fn promise(ballot: Ballot) -> Promise {
    Promise {
        ballot,
        slots: slots(0, 0),
        last: true,
        chosen: Slot(0),
        accepted: Vec::new(),
        faulty: Vec::new(),
    }
}

fn vote(ballot: Ballot, slot: u64) -> Accepted {
    Accepted { ballot, slots: slots(slot, slot + 1), chosen: Slot(0) }
}

fn accept(ballot: Ballot, slot: u64, text: &str, announcement: Announcement) -> Accept {
    Accept { ballot, slot: Slot(slot), entry: entry(text), announcement }
}

fn heartbeat(ballot: Ballot, announcement: Announcement) -> Heartbeat {
    Heartbeat { ballot, sequence: 1, announcement }
}

fn names(drained: &Drained) -> Vec<&'static str> {
    drained.sent.iter().map(|(_, message)| message.name()).collect()
}

fn fates(drained: &Drained) -> Vec<Output> {
    let is_fate = |output: &&Output| matches!(output, Output::Fate { .. });
    drained.other.iter().filter(is_fate).cloned().collect()
}

#[test]
fn prepare_leaves_after_the_own_promise_is_on_disk() {
    // Sent earlier, a crash would forget it, and the next life could use the ballot again (I2, I4).
    let mut alone = Alone::start(recovered(1));
    let before = alone.prepare();
    assert_eq!(before.records, [Record::Promised { ballot: ballot(1, 1) }]);
    assert_eq!(before.sent, []);
    let after = alone.sync();
    let prepare = Prepare { ballot: ballot(1, 1), first: Slot(0) };
    assert_eq!(after.sent, [(vec![id(2), id(3)], prepare.into())]);
}

#[test]
fn a_restarted_replica_leads_at_no_ballot_of_an_earlier_life() {
    // It led at 7.1 and crashed. Its own promise of 7.1 was durable, so the next one is 8.1 (I2).
    let mut log = recovered(1);
    (log.promised, log.last) = (ballot(7, 1), Lsn(5));
    let mut alone = Alone::start(log);
    assert_eq!(alone.prepare().records, [Record::Promised { ballot: ballot(8, 1) }]);
}

#[test]
fn the_own_vote_counts_after_the_own_sync() {
    // Accept leaves at once. With the vote of 2 and its own, which is not on disk, nothing is
    // chosen yet: a crash would take it back (I4).
    let mut alone = Alone::start(recovered(1));
    let leader = alone.lead();
    let proposed = alone.propose(b"x");
    assert_eq!(names(&proposed), ["Accept"]);
    alone.hear(2, vote(leader, 0));
    assert_eq!(alone.replica.status().chosen, Slot(0));
    let synced = alone.sync();
    assert_eq!(alone.replica.status().chosen, Slot(1));
    let fate = Fate::Chosen { slot: Slot(0), index: 0 };
    assert_eq!(fates(&synced), [Output::Fate { commands: 0..1, fate }]);
}

#[test]
fn a_quorum_of_others_needs_no_disk_of_the_leader() {
    // 2 and 3 have it on disk; the leader's own may lag.
    let mut alone = Alone::start(recovered(1));
    let leader = alone.lead();
    alone.propose(b"x");
    alone.hear(2, vote(leader, 0));
    let drained = alone.hear(3, vote(leader, 0));
    assert_eq!(alone.replica.status().chosen, Slot(1));
    assert_eq!(fates(&drained).len(), 1);
}

#[test]
fn only_the_owner_of_a_ballot_counts_its_votes() {
    // Votes of another ballot, and of strangers, choose nothing.
    let mut alone = Alone::start(recovered(1));
    let leader = alone.lead();
    alone.propose(b"x");
    for (from, ballot) in [(2, ballot(9, 2)), (3, ballot(9, 2)), (8, leader), (9, leader)] {
        alone.hear(from, vote(ballot, 0));
    }
    alone.hear(2, vote(leader, 0));
    assert_eq!(alone.replica.status().chosen, Slot(0));
}

#[test]
fn a_higher_prepare_deposes_the_leader() {
    // It promises, keeps what it never proposed for the next leader, and leads no more: one leader
    // per ballot.
    let mut alone = Alone::start_with(|config| config.pipeline_slots = 1, recovered(1));
    alone.lead();
    alone.propose(b"proposed");
    alone.propose(&[0; 40]);
    let drained = alone.hear(2, Prepare { ballot: ballot(9, 2), first: Slot(0) });
    assert_eq!(drained.records, [Record::Promised { ballot: ballot(9, 2) }]);
    assert_eq!(fates(&drained), []);
    let status = alone.replica.status();
    assert_eq!((status.role, status.awaited_runs), (Role::Following, 1));
    assert!(status.queued_bytes > 0);
}

#[test]
fn a_refusal_by_a_higher_promise_ends_the_leadership_and_an_old_one_does_not() {
    // A Nack of an earlier ballot, or one that names no higher promise, says nothing of this one.
    let mut alone = Alone::start(recovered(1));
    let leader = alone.lead();
    let nack = |ballot, promised| Nack { ballot, promised, chosen: Slot(0) };
    alone.hear(2, nack(ballot(0, 1), ballot(9, 2)));
    alone.hear(2, nack(leader, leader));
    assert_eq!(alone.replica.status().role, Role::Leading);
    alone.hear(2, nack(leader, ballot(9, 2)));
    assert_eq!(alone.replica.status().role, Role::Following);
    assert_eq!(alone.prepare().records, [Record::Promised { ballot: ballot(10, 1) }]);
}

#[test]
fn another_entry_chosen_at_its_slot_supersedes_a_command() {
    // The leader was deposed before anybody accepted; the next one put a Noop there.
    let mut alone = Alone::start(recovered(1));
    alone.lead();
    alone.propose(b"x");
    let chosen =
        Chosen { slot: Slot(0), ballot: ballot(9, 2), entry: Entry::Noop, chosen: Slot(1) };
    let drained = alone.hear(2, chosen);
    assert_eq!(fates(&drained), [Output::Fate { commands: 0..1, fate: Fate::Superseded }]);
}

#[test]
fn a_refused_accept_still_teaches_what_is_chosen() {
    // Marks are facts. Slot 0 was accepted at 2; an Accept of the deposed 1 names it chosen at 2.
    let mut alone = Alone::start(recovered(1));
    let leader = ballot(2, 2);
    alone.hear(2, accept(leader, 0, "x", Announcement::default()));
    let facts = announcement(1, vec![run(0, 1, leader)]);
    let drained = alone.hear(3, accept(ballot(1, 3), 1, "y", facts));
    assert_eq!(names(&drained), ["Nack"]);
    assert_eq!(alone.replica.status().chosen, Slot(1));
    let told = Output::Chosen { slot: Slot(0), entry: entry("x") };
    assert_eq!(drained.other, [told]);
}

#[test]
fn the_mark_of_an_accept_moves_the_window_for_its_own_slot() {
    // Slot ALPHA has a place only once slot 0 is passed, and this very message says that it is
    // chosen.
    let mut alone = Alone::start(recovered(1));
    let leader = ballot(2, 2);
    alone.hear(2, accept(leader, 0, "x", Announcement::default()));
    let facts = announcement(1, vec![run(0, 1, leader)]);
    alone.hear(2, accept(leader, ALPHA, "y", facts));
    assert_eq!(names(&alone.sync()), ["Accepted", "Accepted"]);
}

#[test]
fn what_is_known_chosen_is_not_accepted_otherwise() {
    // A leader that proposes another entry where one is known chosen contradicts it (I6).
    let mut alone = Alone::start(recovered(1));
    let slot = Slot(1);
    alone.hear(3, Chosen { slot, ballot: ballot(1, 3), entry: entry("x"), chosen: Slot(2) });
    let drained = alone.hear(2, accept(ballot(2, 2), 1, "y", Announcement::default()));
    let what = Misbehaviour::ChosenChanged { slot };
    assert_eq!(drained.events, [Event::PeerMisbehaved { peer: id(2), what }]);
    assert_eq!((drained.sent, alone.replica.status().misbehaved), (vec![], 1));
}

#[test]
fn nobody_leads_at_anothers_ballot() {
    // Refused and reported, whatever the message: nothing is promised, accepted or followed.
    let mut alone = Alone::start(recovered(1));
    let foreign = ballot(5, 3);
    let messages: [Message; 3] = [
        Prepare { ballot: foreign, first: Slot(0) }.into(),
        accept(foreign, 0, "x", Announcement::default()).into(),
        heartbeat(foreign, Announcement::default()).into(),
    ];
    for message in messages {
        let drained = alone.hear(2, message);
        let what = Misbehaviour::ForeignBallot { ballot: foreign };
        assert_eq!(drained.events, [Event::PeerMisbehaved { peer: id(2), what }]);
        assert_eq!((drained.records, drained.sent), (vec![], vec![]));
    }
}

#[test]
fn a_stranger_is_answered_and_taught_by_but_not_followed() {
    // Dropping its frames can lock a changed cluster out: its Prepare is answered; its heartbeat
    // teaches its mark, and resets no timer.
    let mut alone = Alone::start(recovered(1));
    alone.hear(8, Prepare { ballot: ballot(3, 8), first: Slot(0) });
    assert_eq!(names(&alone.sync()), ["Promise"]);
    let drained = alone.hear(8, heartbeat(ballot(3, 8), announcement(4, vec![])));
    let ignored = Event::Ignored { peer: id(8), reason: IgnoreReason::NoMember };
    assert_eq!((drained.events, drained.sent), (vec![ignored], vec![]));
    assert_eq!(alone.replica.status().leader, None);
    alone.tick();
    assert_eq!(names(&alone.tick()), ["CatchUp"]);
}

#[test]
fn what_a_stranger_says_it_promised_is_nothing_to_go_above() {
    // It names the last round that there is. Who believed that would never lead again, and stop.
    let mut alone = Alone::start(recovered(1));
    let sequence = alone.canvass().sequence;
    let promised = ballot(u64::MAX, 8);
    let (start, chosen) = (Standing::default(), Slot(0));
    let answer = CanvassAnswer { sequence, yes: true, promised, leader: None, start, chosen };
    let drained = alone.hear(8, answer);
    let ignored = Event::Ignored { peer: id(8), reason: IgnoreReason::NoMember };
    assert_eq!((drained.events, drained.sent), (vec![ignored], vec![]));
    assert_eq!(alone.lead().round, 1);
}

#[test]
fn a_follower_forwards_to_its_leader_and_one_without_waits_or_refuses() {
    let mut alone = Alone::start(recovered(1));
    assert_eq!(names(&alone.propose(b"x")), [""; 0]);
    let drained = alone.hear(2, heartbeat(ballot(3, 2), Announcement::default()));
    assert_eq!(names(&drained), ["HeartbeatAnswer", "Forward"]);
    assert_eq!(names(&alone.propose(b"y")), ["Forward"]);
    let hasty = |config: &mut Config| config.patience = core::time::Duration::ZERO;
    let mut alone = Alone::start_with(hasty, recovered(1));
    let refused = alone.replica.propose(alone.now, b"x");
    assert_eq!(refused, Err(ProposeError::NotLeader));
    let refused = alone.replica.read(alone.now, Consistency::Linearizable);
    assert_eq!(refused, Err(ReadError::NotLeader));
    alone.hear(2, heartbeat(ballot(3, 2), Announcement::default()));
    assert_eq!(names(&alone.propose(b"x")), ["Forward"]);
}

#[test]
fn with_too_many_bytes_unsynced_accepts_are_dropped_and_prepares_are_not() {
    // As good as lost; they come again. A promise is small, and an election must not wait.
    let mut alone = Alone::start_with(|config| config.unsynced_bytes = 4 << 20, recovered(1));
    let long = "x".repeat(4 << 20 >> 1);
    for slot in 0..3 {
        alone.hear(2, accept(ballot(1, 2), slot, &long, Announcement::default()));
    }
    let drained = alone.hear(2, accept(ballot(1, 2), 3, "y", Announcement::default()));
    let ignored = Event::Ignored { peer: id(2), reason: IgnoreReason::DiskBusy };
    assert_eq!((drained.events, drained.records), (vec![ignored], vec![]));
    let drained = alone.hear(3, Prepare { ballot: ballot(2, 3), first: Slot(0) });
    assert_eq!(drained.records.len(), 1);
    alone.sync();
    let drained = alone.hear(3, accept(ballot(2, 3), 3, "y", Announcement::default()));
    assert_eq!(drained.records.len(), 1);
}

#[test]
fn a_replica_that_is_not_formed_speaks_for_nobody() {
    // Only the forming is heard; a Prepare would be a promise of a disk that may be wiped yet.
    let mut log = recovered(1);
    (log.members, log.formed) = (None, false);
    let mut alone = Alone::start(log);
    let drained = alone.hear(2, Prepare { ballot: ballot(1, 2), first: Slot(0) });
    let ignored = Event::Ignored { peer: id(2), reason: IgnoreReason::NotFormed };
    assert_eq!((drained.events, drained.sent), (vec![ignored], vec![]));
    for from in [2, 3, 2] {
        alone.hear(from, Told { members: Some(membership(3)), formed: false });
    }
    alone.sync();
    alone.hear(2, Prepare { ballot: ballot(1, 2), first: Slot(0) });
    assert_eq!(names(&alone.sync()), ["Promise"]);
}

#[test]
fn a_member_on_another_disk_is_told_to_stop_once() {
    // Its question is answered with the list; its own list is not, or the two would never end.
    let mut alone = Alone::start(recovered(1));
    let wiped = peer(2, 22);
    let drained = alone.hear_from(wiped, Prepare { ballot: ballot(9, 2), first: Slot(0) });
    let told = Told { members: Some(membership(3)), formed: true };
    assert_eq!(drained.sent, [(vec![id(2)], told.clone().into())]);
    assert_eq!(alone.replica.status().promised, Ballot::ZERO);
    assert_eq!(alone.hear_from(wiped, told).sent, []);
}

#[test]
fn an_older_copy_of_the_directory_stops_when_it_hears_of_its_later_life() {
    // A peer has seen start 5 of this replica, which is in start 1: promises are forgotten (I1).
    let mut alone = Alone::start(recovered(1));
    let drained =
        alone.hear(2, Refused { incarnation: Incarnation(5), before: Standing::default() });
    let (seen, ours) = (Incarnation(5), Incarnation(1));
    let reason = HaltReason::RolledBack { peer: id(2), seen, ours };
    assert_eq!(drained.events, [Event::Halted { reason }]);
    assert_eq!(alone.hear(2, Prepare { ballot: ballot(1, 2), first: Slot(0) }).sent, []);
    assert_eq!(alone.replica.propose(alone.now, b"x"), Err(ProposeError::Halted));
    assert_eq!(alone.wait, None);
}

#[test]
fn an_older_copy_of_the_directory_stops_when_it_hears_of_a_vote_that_it_lost() {
    // Its start is newer than any that was seen, since the copy was taken in the same start. But it
    // had promised 4.2, and now knows of 3.2 only.
    let mut log = recovered(1);
    log.promised = ballot(3, 2);
    let mut alone = Alone::start(log);
    let refused = |round| Refused {
        incarnation: Incarnation(1),
        before: Standing { promised: ballot(round, 2), end: Slot(0) },
    };
    assert_eq!(alone.hear(2, refused(3)).events, []);
    let (seen, ours) = (Incarnation(1), Incarnation(1));
    let reason = HaltReason::RolledBack { peer: id(2), seen, ours };
    assert_eq!(alone.hear(2, refused(4)).events, [Event::Halted { reason }]);
}

#[test]
fn votes_of_a_member_that_forgot_are_not_counted_and_it_is_told() {
    // 2 accepts slot 0; then it starts anew from an older copy. Its Accepted of slot 1 is not
    // counted, its answer shows the loss, and it hears of it.
    let mut alone = Alone::start(recovered(1));
    let ballot = alone.lead();
    alone.propose(b"x");
    alone.sync();
    let accepted = |slot| Accepted { ballot, slots: slots(slot, slot + 1), chosen: Slot(0) };
    alone.hear(2, accepted(0));
    assert_eq!(alone.replica.status().chosen, Slot(1));
    alone.propose(b"y");
    alone.sync();
    let again = Peer { incarnation: Incarnation(2), ..peer(2, 2) };
    let unproven = Event::Ignored { peer: id(2), reason: IgnoreReason::Unproven };
    assert_eq!(alone.hear_from(again, accepted(1)).events, [unproven]);
    let (end, chosen) = (Slot(0), Slot(0));
    let answer = |start| HeartbeatAnswer { ballot, sequence: 1, end, start, chosen, priority: 1 };
    let drained = alone.hear_from(again, answer(Standing { promised: ballot, end: Slot(0) }));
    let before = Standing { promised: ballot, end: Slot(1) };
    let refused = Refused { incarnation: Incarnation(2), before };
    assert_eq!(drained.sent, [(vec![id(2)], refused.clone().into())]);
    let (start, promised, chosen) = (Standing::default(), Ballot::ZERO, Slot(0));
    let yes = CanvassAnswer { sequence: 1, yes: true, promised, leader: None, start, chosen };
    assert_eq!(alone.hear_from(again, yes).sent, [(vec![id(2)], refused.into())]);
    assert_eq!(alone.replica.status().chosen, Slot(1));
    // Had it remembered, its vote would count.
    alone.hear_from(again, answer(before));
    alone.hear_from(again, accepted(1));
    assert_eq!(alone.replica.status().chosen, Slot(2));
}

#[test]
fn a_replica_alone_needs_nobody() {
    // One member: it forms, leads and chooses with its own disk.
    let mut log = recovered(1);
    (log.members, log.formed) = (None, false);
    let mut alone = Alone::start_with(|config| config.members = vec![id(1)], log);
    alone.sync();
    alone.tick();
    alone.sync();
    assert_eq!(alone.replica.status().role, Role::Leading);
    alone.propose(b"x");
    let fate = Fate::Chosen { slot: Slot(0), index: 0 };
    assert_eq!(fates(&alone.sync()), [Output::Fate { commands: 0..1, fate }]);
}

#[test]
fn a_new_leader_has_its_whole_time_to_get_something_chosen() {
    // It waited ten seconds for a quorum, then led. That nothing was chosen until then is no reason
    // to give up at the first look; that nothing is chosen for long while it leads, is.
    let mut alone = Alone::start(recovered(1));
    alone.now = Instant::from_millis(10_000);
    let ballot = alone.lead();
    alone.propose(b"x");
    let led = alone.now;
    let mut last = led;
    while alone.replica.status().role == Role::Leading {
        last = alone.now;
        assert!(last < led.after(Duration::from_secs(100)), "it leads for ever");
        alone.tick();
        let (end, start, chosen) = (Slot(0), Standing::default(), Slot(0));
        alone.hear(2, HeartbeatAnswer { ballot, sequence: 1, end, start, chosen, priority: 1 });
    }
    let timeout = alone.replica.config.election_timeout;
    assert!(last.since(led) >= timeout * (STUCK_TIMEOUTS - 1), "{:?}", last.since(led));
}

#[test]
fn the_log_below_the_mark_is_served_and_no_more() {
    // Slots 0 and 1 are chosen here, slot 2 is only accepted, and another entry may be chosen there
    // (I6). A peer that asks for more gets the first two.
    let mut alone = Alone::start(recovered(1));
    alone.hear(2, accept(ballot(1, 2), 2, "y", Announcement::default()));
    for slot in [0, 1].map(Slot) {
        alone.hear(2, Chosen { slot, ballot: ballot(1, 2), entry: entry("x"), chosen: Slot(2) });
    }
    let drained = alone.hear(3, Question { slots: slots(0, u64::MAX), chosen: Slot(0) });
    assert_eq!(drained.other, [Output::SendEntries { to: id(3), slots: slots(0, 2) }]);
    assert_eq!(alone.hear(3, Question { slots: slots(2, 9), chosen: Slot(0) }), Drained::default());
}

#[test]
fn what_is_learned_heals_what_the_disk_lost_there_when_the_mark_passes_it() {
    // Slots 1 and 2 were lost; 1 comes out of a peer's log, but slot 0 is missing below it. Until
    // the mark passes them a Promise must tell both as lost (I10): it does not tell what was
    // learned.
    let mut log = recovered(1);
    (log.promised, log.last) = (ballot(2, 2), Lsn(3));
    log.faulty = vec![run(1, 3, ballot(2, 2))];
    let mut alone = Alone::start(log);
    let mut learn = |slot| {
        let slot = Slot(slot);
        let chosen = Chosen { slot, ballot: ballot(2, 2), entry: entry("x"), chosen: Slot(3) };
        let events = alone.hear(2, chosen).events;
        (events, alone.replica.status().faulty_slots)
    };
    assert_eq!(learn(1), (vec![], 2));
    assert_eq!(learn(1 + ALPHA), (vec![], 2));
    assert_eq!(learn(0), (vec![Event::Healed { slot: Slot(1) }], 1));
    assert_eq!(learn(2), (vec![Event::Healed { slot: Slot(2) }], 0));
}

#[test]
fn a_mark_on_disk_beyond_what_was_asked_for_is_the_drivers_mistake() {
    // Refused, not believed: nothing leaves by it.
    let mut alone = Alone::start(recovered(1));
    alone.hear(2, Prepare { ballot: ballot(1, 2), first: Slot(0) });
    alone.replica.handle_persisted(alone.now, Lsn(9));
    let drained = alone.drain();
    let (upto, appended) = (Lsn(9), Lsn(1));
    assert_eq!(drained.events, [Event::PersistedTooFar { upto, appended }]);
    assert_eq!(drained.sent, []);
}

#[test]
fn a_log_that_contradicts_itself_is_refused() {
    // Accepted outside the window, or above the promise, would become a panic later; formed without
    // a list, or with another disk's, a replica that waits for ever, or votes for another.
    let far = |log: &mut Recovered| log.accepted = vec![(Slot(ALPHA), Ballot::ZERO, entry("x"))];
    let high = |log: &mut Recovered| log.accepted = vec![(Slot(0), ballot(1, 1), entry("x"))];
    let hole = |log: &mut Recovered| log.holes = vec![slots(0, 1)];
    let none = |log: &mut Recovered| log.members = None;
    let other = |log: &mut Recovered| log.me = peer(1, 11);
    let changes: [&dyn Fn(&mut Recovered); 5] = [&far, &high, &hole, &none, &other];
    for change in changes {
        let mut log = recovered(1);
        change(&mut log);
        let config = Config::new([1, 2, 3].map(id));
        let refused = Replica::new(config, log, Instant::ZERO).err();
        assert!(matches!(refused, Some(ConfigError::Recovered(_))), "{refused:?}");
    }
}
