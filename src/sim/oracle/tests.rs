//! Each oracle fires on a history that breaks its claim: a check that cannot fail is worth nothing.

use std::vec::Vec;

use bytes::Bytes;

use super::{Broken, Oracle};
use crate::ballot::Ballot;
use crate::config::Config;
use crate::entry::{BatchBuilder, CommandId, Entry};
use crate::membership::{
    ClusterId, DiskId, Incarnation, Member, Membership, Peer, ReplicaId, VoteSet,
};
use crate::message::{
    Accept, Accepted, Announcement, Chosen, Fetched, Forming, Heartbeat, HeartbeatAnswer, Message,
    Nack, Prepare, Promise, Refused, Standing,
};
use crate::output::Fate;
use crate::record::{Lsn, Record, Recovered};
use crate::replica::{Replica, Role, Status};
use crate::slot::{Run, Slot, Slots};
use crate::time::Instant;

mod forwards;

const S0: Slot = Slot(0);
const S1: Slot = Slot(1);

fn ballot(round: u64, replica: u32) -> Ballot {
    Ballot { round, replica: ReplicaId(replica) }
}

fn peer(replica: u32, life: u64) -> Peer {
    Peer { replica: ReplicaId(replica), disk: DiskId::default(), incarnation: Incarnation(life) }
}

fn id(replica: u32, sequence: u64) -> CommandId {
    CommandId { replica: ReplicaId(replica), incarnation: Incarnation(1), sequence }
}

fn batch(ids: &[CommandId], command: &[u8]) -> Entry {
    let mut builder = BatchBuilder::default();
    ids.iter().for_each(|id| builder.push(*id, command));
    builder.build().map_or(Entry::Noop, Entry::Batch)
}

/// A history, told to the oracles of three replicas, in the words of the protocol.
struct History {
    oracle: Oracle,
    lsns: [u64; 3],
}

impl History {
    fn new() -> Self {
        let mut oracle = Oracle::new(*members().quorums());
        (0..3).for_each(|at| oracle.on_installed(at, &members()));
        Self { oracle, lsns: [0; 3] }
    }

    /// Replica 1 leads at ballot 1.1 on Promises of everybody; `a` and `b` were taken in.
    fn led() -> Self {
        let mut history = Self::new();
        history.oracle.on_submit(id(1, 0), b"a").unwrap();
        history.oracle.on_submit(id(1, 1), b"b").unwrap();
        (1..=3).for_each(|r| history.durable(r, Record::Promised { ballot: ballot(1, 1) }));
        history.send(1, Message::Prepare(Prepare { ballot: ballot(1, 1), first: S0 })).unwrap();
        (2..=3).for_each(|r| history.promised(r, 1, ballot(1, 1), &[]));
        history
    }

    /// The same, and `a` is chosen at slot 0 by replicas 1 and 2.
    fn chosen() -> Self {
        let mut history = Self::led();
        history.accept(1, ballot(1, 1), S0, a()).unwrap();
        history.accepted(1, ballot(1, 1), S0, a());
        history.accepted(2, ballot(1, 1), S0, a());
        history
    }

    fn send(&mut self, from: u32, message: impl Into<Message>) -> Result<(), Broken> {
        self.oracle.on_send(peer(from, 1), ReplicaId(2), &message.into())
    }

    fn write(&mut self, at: u32, record: &Record, chosen: Slot) -> Result<(), Broken> {
        let read = |_| Some((ballot(1, 1), a()));
        self.oracle.on_persist(at as usize - 1, record, chosen, read)
    }

    fn durable(&mut self, at: u32, record: Record) {
        self.write(at, &record, S0).unwrap();
        let lsn = &mut self.lsns[at as usize - 1];
        *lsn += 1;
        self.oracle.on_durable(at as usize - 1, Lsn(*lsn), &record, S0).unwrap();
    }

    fn accept(&mut self, from: u32, at: Ballot, slot: Slot, entry: Entry) -> Result<(), Broken> {
        let announcement = Announcement::default();
        self.send(from, Accept { ballot: at, slot, entry, announcement })
    }

    fn accepted(&mut self, at: u32, ballot: Ballot, slot: Slot, entry: Entry) {
        self.durable(at, Record::Accepted { slot, ballot, entry });
    }

    fn promise(ballot: Ballot, accepted: &[Run]) -> Promise {
        let end = accepted.iter().map(|run| run.slots.end).max().unwrap_or(S0);
        let slots = Slots::new(S0, end);
        let accepted = accepted.to_vec();
        Promise { ballot, slots, last: true, chosen: S0, accepted, faulty: Vec::new() }
    }

    /// The promise, sent and delivered.
    fn promised(&mut self, from: u32, to: usize, ballot: Ballot, accepted: &[Run]) {
        let promise = Message::from(Self::promise(ballot, accepted));
        self.send(from, promise.clone()).unwrap();
        self.oracle.on_deliver(peer(from, 1), to - 1, &promise);
    }
}

fn a() -> Entry {
    batch(&[id(1, 0)], b"a")
}

fn b() -> Entry {
    batch(&[id(1, 1)], b"b")
}

fn run(slot: Slot, ballot: Ballot) -> Run {
    Run { slots: Slots::one(slot), ballot }
}

#[track_caller]
fn breaks(invariant: &str, outcome: Result<(), Broken>) {
    match outcome {
        Err(broken) => assert_eq!(broken.invariant, invariant, "{broken:?}"),
        Ok(()) => panic!("{invariant} should be broken"),
    }
}

fn members() -> Membership {
    let member = |r| Member { replica: ReplicaId(r), disk: DiskId::default() };
    Membership::new((1..=3).map(member).collect()).unwrap()
}

fn recovered(promised: Ballot, chosen: Slot, accepted: Vec<(Slot, Ballot, Entry)>) -> Recovered {
    Recovered {
        cluster: ClusterId::default(),
        me: peer(2, 2),
        members: Some(members()),
        formed: true,
        promised,
        chosen,
        runs: Vec::new(),
        holes: Vec::new(),
        accepted,
        learned: Vec::new(),
        faulty: Vec::new(),
        last: Lsn(9),
    }
}

#[test]
fn a_sound_history_breaks_nothing() {
    let mut history = History::chosen();
    history.send(1, Accepted { ballot: ballot(1, 1), slots: Slots::one(S0), chosen: S0 }).unwrap();
    history.oracle.on_apply(0, S0, &a()).unwrap();
    let fate = Fate::Chosen { slot: S0, index: 0 };
    history.oracle.on_fate(ReplicaId(1), Incarnation(1), 0..1, fate).unwrap();
    let chosen = Chosen { slot: S0, ballot: ballot(1, 1), entry: a(), chosen: S1 };
    history.send(1, chosen).unwrap();
    assert_eq!(history.oracle.slots_chosen(), 1);
}

#[test]
fn i1_a_promise_is_lost_in_a_restart() {
    let mut history = History::led();
    breaks("I1", history.oracle.on_recovered(1, &recovered(Ballot::ZERO, S0, Vec::new())));
}

#[test]
fn i2_two_entries_for_one_ballot_and_slot() {
    let mut history = History::led();
    history.accept(1, ballot(1, 1), S0, a()).unwrap();
    breaks("I2", history.accept(1, ballot(1, 1), S0, b()));
}

#[test]
fn i2_a_ballot_is_used_in_two_lives_or_by_another() {
    let mut history = History::led();
    let prepare = Message::Prepare(Prepare { ballot: ballot(1, 1), first: S0 });
    breaks("I2", history.oracle.on_send(peer(1, 2), ReplicaId(2), &prepare));
    breaks("I2", history.send(2, prepare));
}

#[test]
fn i2_an_answer_to_a_fetch_is_another_entry() {
    let mut history = History::chosen();
    let proposal = Some((ballot(1, 1), b()));
    breaks("I2", history.send(2, Fetched { slot: S0, proposal, chosen: S0 }));
}

#[test]
fn i2_something_is_accepted_that_nobody_proposed() {
    let mut history = History::led();
    let record = Record::Accepted { slot: S0, ballot: ballot(1, 1), entry: a() };
    breaks("I2", history.write(2, &record, S0));
}

#[test]
fn i3_an_acceptor_accepts_below_its_promise() {
    let mut history = History::led();
    history.accept(1, ballot(1, 1), S0, a()).unwrap();
    history.durable(2, Record::Promised { ballot: ballot(2, 3) });
    let record = Record::Accepted { slot: S0, ballot: ballot(1, 1), entry: a() };
    breaks("I3", history.write(2, &record, S0));
}

#[test]
fn i3_an_old_vote_leaves_after_a_promise() {
    let mut history = History::chosen();
    history.durable(2, Record::Promised { ballot: ballot(2, 3) });
    history.promised(2, 3, ballot(2, 3), &[run(S0, ballot(1, 1))]);
    let accepted = Accepted { ballot: ballot(1, 1), slots: Slots::one(S0), chosen: S0 };
    breaks("I3", history.send(2, accepted));
}

#[test]
fn i3_a_nack_refuses_what_was_not_overtaken() {
    let mut history = History::led();
    let nack = Nack { ballot: ballot(1, 1), promised: ballot(1, 1), chosen: S0 };
    breaks("I3", history.send(2, nack));
    let nack = Nack { ballot: ballot(1, 1), promised: ballot(5, 1), chosen: S0 };
    breaks("I3", history.send(2, nack));
}

#[test]
fn i4_messages_leave_before_the_disk_has_what_they_say() {
    let mut history = History::led();
    history.write(2, &Record::Promised { ballot: ballot(2, 2) }, S0).unwrap();
    breaks("I4", history.send(2, Prepare { ballot: ballot(2, 2), first: S0 }));
    breaks("I4", history.send(2, History::promise(ballot(2, 2), &[])));
    history.accept(1, ballot(1, 1), S0, a()).unwrap();
    let slots = Slots::one(S0);
    breaks("I4", history.send(3, Accepted { ballot: ballot(1, 1), slots, chosen: S0 }));
    let announcement = Announcement::default();
    let mut fresh = History::new();
    breaks("I4", fresh.send(2, Heartbeat { ballot: ballot(1, 2), sequence: 1, announcement }));
}

#[test]
fn i5_a_proposal_without_a_quorum_of_promises() {
    let mut history = History::new();
    history.durable(1, Record::Promised { ballot: ballot(1, 1) });
    breaks("I5", history.accept(1, ballot(1, 1), S0, Entry::Noop));
}

#[test]
fn i5_a_reported_entry_is_passed_over() {
    let mut history = History::led();
    history.accept(1, ballot(1, 1), S0, a()).unwrap();
    history.accepted(2, ballot(1, 1), S0, a());
    (2..=3).for_each(|r| history.durable(r, Record::Promised { ballot: ballot(2, 3) }));
    history.promised(2, 3, ballot(2, 3), &[run(S0, ballot(1, 1))]);
    breaks("I5", history.accept(3, ballot(2, 3), S0, Entry::Noop));
    let mut again = history;
    // Another quorum, which reports nothing, would have allowed it.
    again.durable(1, Record::Promised { ballot: ballot(3, 3) });
    again.durable(3, Record::Promised { ballot: ballot(3, 3) });
    again.promised(1, 3, ballot(3, 3), &[]);
    again.accept(3, ballot(3, 3), S0, Entry::Noop).unwrap();
}

#[test]
fn p2c_a_chosen_entry_is_replaced_at_a_higher_ballot() {
    let mut history = History::chosen();
    breaks("P2c", history.accept(3, ballot(2, 3), S0, b()));
}

#[test]
fn p2c_a_proposal_above_becomes_wrong_when_its_rival_is_chosen() {
    let mut history = History::led();
    history.accept(1, ballot(1, 1), S0, a()).unwrap();
    history.accepted(1, ballot(1, 1), S0, a());
    (1..=3).for_each(|r| {
        let record = Record::Promised { ballot: ballot(2, 3) };
        history.oracle.on_persist(r - 1, &record, S0, |_| None).unwrap();
    });
    // Replica 3's quorum of Promises comes from its own and one other disk that reports nothing.
    history.durable(3, Record::Promised { ballot: ballot(2, 3) });
    history.durable(2, Record::Promised { ballot: ballot(2, 3) });
    history.promised(2, 3, ballot(2, 3), &[]);
    history.accept(3, ballot(2, 3), S0, batch(&[id(3, 0)], b"c")).unwrap();
    let record = Record::Accepted { slot: S0, ballot: ballot(1, 1), entry: a() };
    breaks("P2c", history.oracle.on_durable(1, Lsn(8), &record, S0));
}

#[test]
fn agr_two_entries_are_chosen() {
    let mut history = History::chosen();
    let forced = super::Proposal {
        print: super::fingerprint(&b()),
        entry: b(),
        votes: VoteSet::EMPTY.with(2),
    };
    history.oracle.proposals.insert((S0, ballot(0, 9)), forced);
    breaks("AGR", history.oracle.count_vote(1, S0, ballot(0, 9)));
}

#[test]
fn agr_two_replicas_apply_different_entries() {
    let mut history = History::chosen();
    history.oracle.on_apply(0, S0, &a()).unwrap();
    breaks("AGR", history.oracle.on_apply(1, S0, &b()));
}

#[test]
fn i6_something_is_applied_told_or_written_that_is_not_chosen() {
    let mut history = History::led();
    history.accept(1, ballot(1, 1), S0, a()).unwrap();
    breaks("I6", history.oracle.on_apply(0, S0, &a()));
    let chosen = Chosen { slot: S0, ballot: ballot(1, 1), entry: a(), chosen: S0 };
    breaks("I6", history.send(1, chosen));
    let record = Record::Chosen { slot: S0, ballot: ballot(1, 1), entry: a() };
    breaks("I6", history.write(3, &record, S0));
    let runs = std::vec![run(S0, ballot(1, 1))];
    let announcement = Announcement { chosen: S0, runs: runs.into() };
    breaks("I6", history.send(1, Heartbeat { ballot: ballot(1, 1), sequence: 1, announcement }));
    let mut other = History::chosen();
    breaks("I6", other.oracle.on_apply(0, S0, &b()));
}

#[test]
fn tag_an_announcement_names_a_ballot_that_proposed_nothing_there() {
    let mut history = History::chosen();
    let runs = std::vec![run(S0, ballot(7, 1))];
    let announcement = Announcement { chosen: S1, runs: runs.into() };
    breaks("TAG", history.send(1, Heartbeat { ballot: ballot(1, 1), sequence: 1, announcement }));
}

#[test]
fn i7_entries_are_applied_twice_or_with_a_gap() {
    let mut history = History::chosen();
    breaks("I7", history.oracle.on_apply(0, S1, &a()));
    let mut history = History::chosen();
    history.oracle.on_apply(0, S0, &a()).unwrap();
    breaks("I7", history.oracle.on_apply(0, S0, &a()));
}

#[test]
fn i8_a_mark_passes_what_is_not_chosen_or_not_in_the_log() {
    let mut history = History::chosen();
    let nack = Nack { ballot: ballot(1, 1), promised: ballot(2, 1), chosen: Slot(2) };
    breaks("I8", history.send(2, nack));
    breaks("I8", history.write(2, &Record::Formed, Slot(2)));
    breaks("I8", history.oracle.on_persist(1, &Record::Formed, S1, |_| None));
    let other = |_| Some((ballot(1, 1), b()));
    breaks("I8", history.oracle.on_persist(1, &Record::Formed, S1, other));
}

#[test]
fn i8_a_mark_is_lost_in_a_restart() {
    let mut history = History::chosen();
    history.oracle.on_durable(1, Lsn(5), &Record::Formed, S1).unwrap();
    let held = std::vec![(S0, ballot(1, 1), a())];
    breaks("I8", history.oracle.on_recovered(1, &recovered(ballot(1, 1), S0, held)));
}

#[test]
fn i10_an_acceptance_is_lost_in_a_restart() {
    let mut history = History::chosen();
    breaks("I10", history.oracle.on_recovered(1, &recovered(ballot(1, 1), S0, Vec::new())));
    let held = std::vec![(S0, ballot(1, 1), a())];
    history.oracle.on_recovered(1, &recovered(ballot(1, 1), S0, held)).unwrap();
}

#[test]
fn i10_a_promise_hides_an_acceptance_or_makes_one_up() {
    let mut history = History::chosen();
    history.durable(2, Record::Promised { ballot: ballot(2, 3) });
    breaks("I10", history.send(2, History::promise(ballot(2, 3), &[])));
    let made_up = History::promise(ballot(2, 3), &[run(S0, ballot(1, 1)), run(S1, ballot(1, 1))]);
    breaks("I10", history.send(2, made_up));
}

#[test]
fn form_one_round_a_replaced_list_a_vote_or_a_word_before_its_time() {
    let list = Record::Members { members: members() };
    let mut oracle = Oracle::new(*members().quorums());
    let persist = |oracle: &mut Oracle, at, record: &Record| {
        oracle.on_persist(at, record, S0, |_| None)?;
        oracle.on_durable(at, Lsn(1), record, S0)
    };
    let send = |oracle: &mut Oracle, from, message: Message| {
        oracle.on_send(peer(from, 1), ReplicaId(2), &message)
    };
    let told = |formed| Message::Forming(Forming { members: Some(members()), formed });
    breaks("FORM", send(&mut oracle, 1, told(false)));
    breaks("FORM", persist(&mut oracle, 0, &Record::Formed));
    persist(&mut oracle, 0, &list).unwrap();
    persist(&mut oracle, 1, &list).unwrap();
    breaks("FORM", persist(&mut oracle, 0, &Record::Formed));
    let others = Membership::new(members().members()[..2].to_vec()).unwrap();
    breaks("FORM", persist(&mut oracle, 0, &Record::Members { members: others }));
    persist(&mut oracle, 2, &list).unwrap();
    persist(&mut oracle, 2, &Record::Formed).unwrap();
    send(&mut oracle, 3, told(true)).unwrap();
    breaks("FORM", send(&mut oracle, 2, told(true)));
    breaks("FORM", send(&mut oracle, 2, Prepare { ballot: ballot(1, 2), first: S0 }.into()));
    let forgetful = Recovered { formed: false, ..recovered(ballot(0, 0), S0, Vec::new()) };
    breaks("FORM", oracle.on_recovered(2, &forgetful));
    let other = Recovered { members: None, ..recovered(ballot(0, 0), S0, Vec::new()) };
    breaks("FORM", oracle.on_recovered(1, &other));
}

#[test]
fn i2_a_start_is_not_later_than_the_one_before() {
    let mut history = History::new();
    let start = recovered(Ballot::ZERO, S0, Vec::new());
    history.oracle.on_recovered(1, &start).unwrap();
    breaks("I2", history.oracle.on_recovered(1, &start));
}

#[test]
fn stand_a_start_or_a_refusal_tells_what_was_not() {
    let mut history = History::led();
    let mut start = recovered(ballot(1, 1), S0, Vec::new());
    start.me = peer(2, 1);
    history.oracle.on_recovered(1, &start).unwrap();
    let answer = |round| HeartbeatAnswer {
        ballot: ballot(1, 1),
        sequence: 1,
        end: S0,
        start: Standing { promised: ballot(round, 1), end: S0 },
        chosen: S0,
        priority: 1,
    };
    history.send(2, answer(1)).unwrap();
    breaks("STAND", history.send(2, answer(0)));
    let refused = |life, round| Refused {
        incarnation: Incarnation(life),
        before: Standing { promised: ballot(round, 1), end: S0 },
    };
    history.send(3, refused(1, 1)).unwrap();
    breaks("STAND", history.send(3, refused(2, 1)));
    breaks("STAND", history.send(3, refused(1, 2)));
    let mut forgetful = recovered(Ballot::ZERO, S0, Vec::new());
    forgetful.me = peer(3, 2);
    breaks("I1", history.oracle.on_recovered(2, &forgetful));
}

#[test]
fn val_commands_that_nobody_took_in_or_twice_or_changed() {
    let mut history = History::led();
    let unknown = batch(&[id(1, 7)], b"a");
    history.accept(1, ballot(1, 1), S0, unknown.clone()).unwrap();
    history.accepted(1, ballot(1, 1), S0, unknown.clone());
    history
        .write(2, &Record::Accepted { slot: S0, ballot: ballot(1, 1), entry: unknown }, S0)
        .unwrap();
    breaks("VAL", history.oracle.count_vote(1, S0, ballot(1, 1)));

    let mut history = History::led();
    let changed = batch(&[id(1, 0)], b"b");
    history.accept(1, ballot(1, 1), S0, changed.clone()).unwrap();
    history.accepted(1, ballot(1, 1), S0, changed);
    breaks("VAL", history.oracle.count_vote(1, S0, ballot(1, 1)));

    let mut history = History::led();
    history.accept(1, ballot(1, 1), S0, a()).unwrap();
    history.accepted(1, ballot(1, 1), S0, a());
    history.oracle.places.insert(id(1, 0), crate::entry::Place { slot: S1, index: 0 });
    breaks("VAL", history.oracle.count_vote(1, S0, ballot(1, 1)));
}

#[test]
fn fate_untrue_twice_or_of_nothing() {
    let fate = |history: &mut History, commands, fate| {
        history.oracle.on_fate(ReplicaId(1), Incarnation(1), commands, fate)
    };
    let chosen = Fate::Chosen { slot: S0, index: 0 };
    breaks("FATE", fate(&mut History::led(), 0..1, chosen));
    breaks("FATE", fate(&mut History::chosen(), 0..1, Fate::Superseded));
    breaks("FATE", fate(&mut History::chosen(), 0..1, Fate::NotLeader { leader: None }));
    breaks("FATE", fate(&mut History::chosen(), 5..6, chosen));
    breaks("FATE", fate(&mut History::chosen(), 0..0, chosen));
    let mut history = History::chosen();
    fate(&mut history, 0..1, chosen).unwrap();
    breaks("FATE", fate(&mut history, 0..1, chosen));
}

#[test]
fn fate_a_command_is_chosen_after_it_was_denied() {
    let mut history = History::led();
    history.accept(1, ballot(1, 1), S0, a()).unwrap();
    history.accepted(1, ballot(1, 1), S0, a());
    let denied = Fate::Superseded;
    history.oracle.on_fate(ReplicaId(1), Incarnation(1), 0..1, denied).unwrap();
    breaks("FATE", history.oracle.count_vote(1, S0, ballot(1, 1)));
}

#[test]
fn a_chosen_mark_that_a_promise_tells_is_no_vote() {
    let mut history = History::chosen();
    history.durable(3, Record::Promised { ballot: ballot(2, 1) });
    let mut promise = History::promise(ballot(2, 1), &[]);
    promise.chosen = S1;
    promise.slots = Slots::new(S1, S1);
    history.send(3, promise).unwrap();
    // It learned what is chosen at slot 0, and the mark went with no record before it crashed.
    let mut start = recovered(ballot(2, 1), S0, Vec::new());
    start.me = peer(3, 2);
    history.oracle.on_recovered(2, &start).unwrap();
}

#[test]
fn fate_is_missing_at_rest() {
    let history = History::chosen();
    breaks("FATE", history.oracle.fate_known_at_rest(ReplicaId(1), Incarnation(1)));
    history.oracle.fate_known_at_rest(ReplicaId(1), Incarnation(2)).unwrap();
}

#[test]
fn dur_an_acknowledged_command_is_not_applied() {
    let mut history = History::chosen();
    let fate = Fate::Chosen { slot: S0, index: 0 };
    history.oracle.on_fate(ReplicaId(1), Incarnation(1), 0..1, fate).unwrap();
    breaks("DUR", history.oracle.dur_acknowledged_below(S0));
    history.oracle.dur_acknowledged_below(S1).unwrap();
}

#[test]
fn fingerprints_tell_entries_apart() {
    let prints = [a(), b(), Entry::Noop].map(|entry| super::fingerprint(&entry));
    assert!(prints[0] != prints[1] && prints[1] != prints[2] && prints[0] != prints[2]);
    let zeroes = |n| super::super::trace::fingerprint_bytes(&Bytes::from(std::vec![0; n]));
    assert_ne!(zeroes(8), zeroes(9));
}

/// A status as a started replica gives it, to be spoilt.
fn status() -> Status {
    let history = recovered(ballot(1, 1), S0, Vec::new());
    let config = Config::new((1..=3).map(ReplicaId));
    Replica::new(config, history, Instant::ZERO).unwrap().status()
}

#[test]
fn status_marks_fall_or_run_ahead_or_grow_without_bound() {
    let config = Config::new((1..=3).map(ReplicaId));
    let judge = |spoil: fn(&mut Status), again: fn(&mut Status)| {
        let mut oracle = History::chosen().oracle;
        oracle.images[1].durable = Lsn(9);
        let mut status = status();
        spoil(&mut status);
        oracle.on_status(1, &status, &config)?;
        again(&mut status);
        oracle.on_status(1, &status, &config)
    };
    judge(|_| {}, |_| {}).unwrap();
    breaks("I1", judge(|s| s.promised = Ballot::ZERO, |_| {}));
    breaks("I1", judge(|s| s.promised = ballot(9, 1), |s| s.promised = ballot(8, 1)));
    breaks("I8", judge(|s| s.chosen = Slot(2), |_| {}));
    breaks("I8", judge(|s| s.chosen = S1, |s| s.chosen = S0));
    breaks("I8", judge(|s| s.applied = S1, |_| {}));
    breaks("I8", judge(|s| s.durable = Lsn(10), |_| {}));
    breaks("I8", judge(|s| (s.appended, s.durable) = (Lsn(20), Lsn(10)), |_| {}));
    breaks("I8", judge(|s| s.appended = Lsn(20), |s| s.appended = Lsn(19)));
    breaks("BOUND", judge(|s| s.open_slots = 257, |_| {}));
    breaks("BOUND", judge(|s| s.queued_bytes = usize::MAX, |_| {}));
    breaks("BOUND", judge(|s| s.unsynced_bytes = usize::MAX, |_| {}));
}

#[test]
fn lead_somebody_leads_or_follows_or_waits_without_a_right_to() {
    let config = Config::new((1..=3).map(ReplicaId));
    let judge = |at: usize, role, leader, promised, queued_bytes| {
        let mut oracle = History::led().oracle;
        oracle.images[at].durable = Lsn(9);
        let said = Status { role, leader, promised, queued_bytes, ..status() };
        oracle.on_status(at, &said, &config)
    };
    let holds = |open_slots, forwarded_bytes| {
        let mut oracle = History::led().oracle;
        oracle.images[1].durable = Lsn(9);
        let role = Role::Following;
        oracle.on_status(1, &Status { role, open_slots, forwarded_bytes, ..status() }, &config)
    };
    breaks("LEAD", holds(1, 0));
    breaks("LEAD", holds(0, 1));
    let (low, mine, high) = (ballot(1, 1), ballot(2, 1), ballot(2, 2));
    judge(0, Role::Leading, Some(low), low, 9).unwrap();
    judge(1, Role::Following, Some(high), low, 9).unwrap();
    judge(0, Role::Preparing, None, mine, 0).unwrap();
    // It leads below its promise, at another's ballot, or without a quorum.
    breaks("LEAD", judge(0, Role::Leading, Some(low), high, 0));
    breaks("LEAD", judge(1, Role::Leading, Some(low), low, 0));
    breaks("LEAD", judge(0, Role::Leading, Some(mine), mine, 0));
    breaks("LEAD", judge(0, Role::Preparing, None, high, 0));
    breaks("LEAD", judge(1, Role::Following, Some(low), high, 0));
    breaks("LEAD", History::led().oracle.lead_has_its_quorum(0, mine));
}
