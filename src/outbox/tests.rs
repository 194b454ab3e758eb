//! What waits for the disk and what does not; and samples for the tests of the roles.

use alloc::vec;
use alloc::vec::Vec;

use super::*;
use crate::entry::{BatchBuilder, CommandId, Entry};
use crate::membership::{ClusterId, DiskId, Incarnation, Member, Membership, Peer};
use crate::message::{
    Accept, Announcement, Behind, Canvass, CanvassAnswer, CatchUp, Chosen, Fetch, Fetched, Forming,
    Heartbeat, HeartbeatAnswer, Nack, Prepare, Promise, Refused, Standing,
};
use crate::record::Recovered;
use crate::slot::{Run, Slots};

pub(crate) fn id(name: u32) -> ReplicaId {
    ReplicaId(name)
}

pub(crate) fn ballot(round: u64, replica: u32) -> Ballot {
    Ballot { round, replica: id(replica) }
}

pub(crate) fn slots(start: u64, end: u64) -> Slots {
    Slots { start: Slot(start), end: Slot(end) }
}

pub(crate) fn run(start: u64, end: u64, ballot: Ballot) -> Run {
    Run { slots: slots(start, end), ballot }
}

/// The replica of this name on the disk of this name, in its first start.
pub(crate) fn peer(name: u32, disk: u8) -> Peer {
    Peer { replica: id(name), disk: DiskId([disk; 16]), incarnation: Incarnation(1) }
}

/// Replicas 1 to `count`, each on the disk of its own number.
pub(crate) fn members(count: u32) -> Vec<Member> {
    (1..=count).map(|name| Member { replica: id(name), disk: DiskId([name as u8; 16]) }).collect()
}

pub(crate) fn membership(count: u32) -> Membership {
    Membership::new(members(count)).unwrap()
}

/// A batch with this one command.
pub(crate) fn entry(text: &str) -> Entry {
    let id = CommandId { replica: id(1), incarnation: Incarnation(1), sequence: 0 };
    let mut batch = BatchBuilder::default();
    batch.push(id, text.as_bytes());
    Entry::Batch(batch.build().unwrap())
}

pub(crate) fn announcement(chosen: u64, runs: Vec<Run>) -> Announcement {
    Announcement { chosen: Slot(chosen), runs: runs.into() }
}

/// An empty log of a formed replica, of three members.
pub(crate) fn recovered(name: u32) -> Recovered {
    Recovered {
        cluster: ClusterId::named("test").unwrap(),
        me: peer(name, name as u8),
        members: Some(membership(3)),
        formed: true,
        promised: Ballot::ZERO,
        chosen: Slot::ZERO,
        runs: Vec::new(),
        holes: Vec::new(),
        accepted: Vec::new(),
        learned: Vec::new(),
        faulty: Vec::new(),
        last: Lsn::ZERO,
    }
}

/// Everything that lies in an outbox, sorted by kind.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Drained {
    pub(crate) records: Vec<Record>,
    pub(crate) sent: Vec<(Vec<ReplicaId>, Message)>,
    pub(crate) own: Vec<Message>,
    pub(crate) events: Vec<Event>,
    pub(crate) other: Vec<Output>,
}

impl Drained {
    pub(crate) fn messages(&self) -> Vec<Message> {
        self.sent.iter().map(|(_, message)| message.clone()).collect()
    }
}

pub(crate) fn outbox(name: u32) -> Outbox {
    Outbox::new(id(name), Lsn::ZERO, Slot::ZERO)
}

pub(crate) fn sorted(outputs: impl IntoIterator<Item = Output>) -> Drained {
    let mut drained = Drained::default();
    for output in outputs {
        match output {
            Output::Persist { record, .. } => drained.records.push(record),
            Output::Send { to, message } => drained.sent.push((to.iter().collect(), message)),
            Output::Event(event) => drained.events.push(event),
            other => drained.other.push(other),
        }
    }
    drained
}

pub(crate) fn drain(out: &mut Outbox) -> Drained {
    let mut drained = sorted(core::iter::from_fn(|| out.poll()));
    drained.own.extend(core::iter::from_fn(|| out.next_for_me()));
    drained
}

/// Syncs everything that was asked for, while `promised` is the promise; then drains.
pub(crate) fn sync(out: &mut Outbox, promised: Ballot) -> Drained {
    let appended = out.appended();
    assert!(out.handle_persisted(appended, promised));
    drain(out)
}

fn promise(ballot: Ballot) -> Promise {
    Promise {
        ballot,
        slots: slots(0, 0),
        last: true,
        chosen: Slot::ZERO,
        accepted: Vec::new(),
        faulty: Vec::new(),
    }
}

fn accepted(ballot: Ballot, start: u64, end: u64) -> Accepted {
    Accepted { ballot, slots: slots(start, end), chosen: Slot(start) }
}

/// One message of each kind, and whether it must wait.
fn every_kind() -> Vec<(Message, bool)> {
    let (b, chosen, slot) = (ballot(1, 1), Slot::ZERO, Slot::ZERO);
    let facts = Announcement::default();
    vec![
        (Prepare { ballot: b, first: slot }.into(), true),
        (promise(b).into(), true),
        (accepted(b, 0, 1).into(), true),
        (Forming { members: None, formed: false }.into(), true),
        (Accept { ballot: b, slot, entry: Entry::Noop, announcement: facts.clone() }.into(), false),
        (Nack { ballot: b, promised: b, chosen }.into(), false),
        (Behind { ballot: b, chosen }.into(), false),
        (Heartbeat { ballot: b, sequence: 1, announcement: facts }.into(), false),
        (
            HeartbeatAnswer {
                ballot: b,
                sequence: 1,
                end: chosen,
                start: Standing::default(),
                chosen,
                priority: 1,
            }
            .into(),
            false,
        ),
        (Canvass { sequence: 1, chosen }.into(), false),
        (
            CanvassAnswer {
                sequence: 1,
                yes: true,
                promised: b,
                leader: None,
                start: Standing::default(),
                chosen,
            }
            .into(),
            false,
        ),
        (Fetch { slot, ballot: b }.into(), false),
        (Fetched { slot, proposal: None, chosen }.into(), false),
        (CatchUp { slots: slots(0, 1), chosen }.into(), false),
        (Chosen { slot, ballot: b, entry: Entry::Noop, chosen }.into(), false),
        (Refused { incarnation: Incarnation(1), before: Standing::default() }.into(), false),
    ]
}

#[test]
fn what_speaks_for_the_acceptor_waits_for_the_disk_and_nothing_else_does() {
    // I4, kind by kind: each message is made after a record that is not yet on disk.
    for (message, waits) in every_kind() {
        let mut out = outbox(1);
        out.persist(Record::Promised { ballot: ballot(1, 1) });
        out.send_one(id(2), message.clone());
        let before = drain(&mut out);
        assert_eq!(before.sent.is_empty(), waits, "{}", message.name());
        let after = sync(&mut out, Ballot::ZERO);
        assert_eq!(after.sent.len(), usize::from(waits), "{}", message.name());
    }
}

#[test]
fn with_everything_on_disk_nothing_waits() {
    // I4 asks for durable records, not for a delay.
    for (message, _) in every_kind() {
        let mut out = outbox(1);
        out.send_one(id(2), message);
        assert_eq!(drain(&mut out).sent.len(), 1);
    }
}

#[test]
fn a_message_waits_for_every_record_appended_before_it() {
    // Two records, then an answer: the first sync covers only one of them, so the answer stays
    // (I4).
    let mut out = outbox(1);
    out.persist(Record::Promised { ballot: ballot(1, 2) });
    out.persist(Record::Formed);
    out.send_one(id(2), promise(ballot(1, 2)));
    assert!(out.handle_persisted(Lsn(1), ballot(1, 2)));
    assert_eq!(drain(&mut out).sent, []);
    assert!(out.handle_persisted(Lsn(2), ballot(1, 2)));
    assert_eq!(drain(&mut out).sent.len(), 1);
}

#[test]
fn a_message_does_not_wait_for_records_appended_after_it() {
    // The gate is one number, taken when the message is made; later records do not hold it up.
    let mut out = outbox(1);
    out.persist(Record::Formed);
    out.send_one(id(2), accepted(ballot(1, 2), 0, 1));
    out.persist(Record::Formed);
    assert!(out.handle_persisted(Lsn(1), Ballot::ZERO));
    assert_eq!(drain(&mut out).sent.len(), 1);
}

#[test]
fn the_answer_to_a_repeated_question_waits_like_the_first() {
    // The second answer appends no record of its own, yet what it says is not on disk either (I4).
    let mut out = outbox(1);
    out.persist(Record::Promised { ballot: ballot(1, 2) });
    out.send_one(id(2), promise(ballot(1, 2)));
    out.send_one(id(2), promise(ballot(1, 2)));
    assert_eq!(drain(&mut out).sent, []);
    assert_eq!(sync(&mut out, ballot(1, 2)).sent.len(), 2);
}

#[test]
fn a_queued_promise_is_dropped_when_the_promise_has_moved_on() {
    // Promised 1, then 2, before the first sync ends: only the second Promise may leave (I1).
    let mut out = outbox(3);
    for round in 1..=2 {
        out.persist(Record::Promised { ballot: ballot(round, 1) });
        out.send_one(id(1), promise(ballot(round, 1)));
    }
    let sent = sync(&mut out, ballot(2, 1)).messages();
    assert_eq!(sent, [promise(ballot(2, 1)).into()]);
}

#[test]
fn a_queued_vote_is_sent_although_the_promise_has_moved_on() {
    // What was accepted stays accepted: a higher promise takes no vote back.
    let mut out = outbox(3);
    out.persist(Record::Formed);
    out.send_one(id(1), accepted(ballot(1, 1), 0, 1));
    assert_eq!(sync(&mut out, ballot(2, 2)).sent.len(), 1);
}

#[test]
fn the_leaders_own_vote_waits_for_its_own_disk() {
    // The Accepted to oneself counts like any other, so it waits like any other (I4).
    let mut out = outbox(1);
    out.persist(Record::Formed);
    out.send_one(id(1), accepted(ballot(1, 1), 0, 1));
    assert_eq!(drain(&mut out).own, []);
    assert_eq!(sync(&mut out, ballot(1, 1)).own, [accepted(ballot(1, 1), 0, 1).into()]);
}

#[test]
fn an_accept_overtakes_what_waits_for_the_disk() {
    // The leader's disk and those of its peers work in parallel.
    let mut out = outbox(1);
    out.persist(Record::Formed);
    out.send_one(id(2), Prepare { ballot: ballot(1, 1), first: Slot::ZERO });
    let announcement = Announcement::default();
    let (slot, ballot) = (Slot::ZERO, ballot(1, 1));
    let accept = Accept { ballot, slot, entry: Entry::Noop, announcement };
    out.send_one(id(2), accept.clone());
    assert_eq!(drain(&mut out).messages(), [accept.into()]);
}

#[test]
fn a_message_to_all_goes_to_the_driver_once_and_to_oneself_once() {
    // The driver encodes once, for the others; this replica hears itself without a frame.
    let mut out = outbox(2);
    assert_eq!(out.me(), id(2));
    let prepare = Prepare { ballot: ballot(1, 2), first: Slot::ZERO };
    out.send([1, 2, 3].map(id).into_iter().collect(), prepare.clone());
    let drained = drain(&mut out);
    assert_eq!(drained.sent, [(vec![id(1), id(3)], prepare.clone().into())]);
    assert_eq!(drained.own, [prepare.into()]);
}

#[test]
fn released_votes_of_neighbouring_slots_become_one() {
    // One sync serves many Accepts; their answers need one message.
    let mut out = outbox(3);
    for slot in 0..4 {
        out.persist(Record::Formed);
        out.send_one(id(1), accepted(ballot(1, 1), slot, slot + 1));
    }
    let sent = sync(&mut out, ballot(1, 1)).messages();
    let joined = Accepted { ballot: ballot(1, 1), slots: slots(0, 4), chosen: Slot(3) };
    assert_eq!(sent, [joined.into()]);
}

#[test]
fn votes_that_do_not_belong_together_stay_apart() {
    // A gap, another ballot, another receiver, or more slots than the window: no joining, since a
    // joined vote would say more than was accepted.
    let alone = [
        (1, accepted(ballot(1, 1), 0, 1)),
        (1, accepted(ballot(1, 1), 2, 3)),
        (1, accepted(ballot(2, 1), 3, 4)),
        (2, accepted(ballot(2, 1), 4, 5)),
        (2, accepted(ballot(2, 1), 5, 5 + ALPHA)),
    ];
    let mut out = outbox(3);
    out.persist(Record::Formed);
    alone.iter().for_each(|(to, vote)| out.send_one(id(*to), vote.clone()));
    let sent: Vec<_> = sync(&mut out, Ballot::ZERO).sent;
    let expected: Vec<_> =
        alone.iter().map(|(to, vote)| (vec![id(*to)], vote.clone().into())).collect();
    assert_eq!(sent, expected);
}

#[test]
fn the_durable_mark_is_a_low_water_mark() {
    // An old mark does nothing, one above what was asked for is the driver's mistake and refused
    // (I8).
    let mut out = outbox(1);
    out.persist(Record::Formed);
    out.persist(Record::Formed);
    assert!(out.handle_persisted(Lsn(2), Ballot::ZERO));
    assert!(out.handle_persisted(Lsn(1), Ballot::ZERO));
    assert_eq!(out.durable(), Lsn(2));
    assert!(!out.handle_persisted(Lsn(3), Ballot::ZERO));
    assert_eq!((out.durable(), out.appended()), (Lsn(2), Lsn(2)));
}

#[test]
fn unsynced_bytes_count_what_the_disk_does_not_have() {
    // The gate for new Accepts: grows with what is asked for, falls with what is synced.
    let mut out = outbox(1);
    let entry = entry("some command");
    out.persist(Record::Accepted { slot: Slot(0), ballot: ballot(1, 1), entry: entry.clone() });
    let first = out.unsynced_bytes();
    assert!(first >= entry.len());
    out.persist(Record::Promised { ballot: ballot(2, 1) });
    assert!(out.unsynced_bytes() > first);
    assert!(out.handle_persisted(Lsn(1), Ballot::ZERO));
    assert!(out.unsynced_bytes() < first);
    assert!(out.handle_persisted(Lsn(2), Ballot::ZERO));
    assert_eq!(out.unsynced_bytes(), 0);
}

#[test]
fn each_record_carries_the_chosen_mark_of_its_time_and_number() {
    // A restart finds the mark with the records, so that the open slots fit the ring (I8).
    let mut out = Outbox::new(id(1), Lsn(7), Slot(3));
    out.persist(Record::Formed);
    out.note_chosen(Slot(5));
    out.note_chosen(Slot(4));
    out.persist(Record::Formed);
    let record = Record::Formed;
    let expected = [(Lsn(8), Slot(3)), (Lsn(9), Slot(5))];
    for (lsn, chosen) in expected {
        assert_eq!(out.poll(), Some(Output::Persist { lsn, record: record.clone(), chosen }));
    }
    assert_eq!(out.poll(), None);
}

#[test]
fn a_disk_that_hangs_does_not_fill_the_memory() {
    // The same question again and again while one sync does not end: the votes that wait are
    // bounded. Nacks go on, and so does everything once the disk has moved.
    let mut out = outbox(3);
    out.persist(Record::Promised { ballot: ballot(1, 1) });
    for _ in 0..10_000 {
        out.send_one(id(1), promise(ballot(1, 1)));
    }
    out.send_one(id(1), Nack { ballot: ballot(1, 1), promised: ballot(2, 1), chosen: Slot(0) });
    assert_eq!(drain(&mut out).sent.len(), 1);
    assert_eq!(sync(&mut out, ballot(1, 1)).sent.len(), WITHHELD_MAX);
    out.persist(Record::Formed);
    out.send_one(id(1), promise(ballot(1, 1)));
    assert_eq!(sync(&mut out, ballot(1, 1)).sent.len(), 1);
}
