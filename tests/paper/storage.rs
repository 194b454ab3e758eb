//! What must survive a crash (section 2.5).

use std::collections::BTreeMap;

use oorandom::Rand32;
use synod::ballot::Ballot;
use synod::config::Config;
use synod::entry::Entry;
use synod::membership::{ClusterId, DiskId, ReplicaId};
use synod::message::{Announcement, Message};
use synod::output::{Event, Output};
use synod::record::{Lsn, Record, Recovered};
use synod::replay::Replay;
use synod::replica::Replica;
use synod::roles::{Acceptor, Outbox};
use synod::slot::Slot;
use synod::time::Instant;

use crate::roles::{ASKER, accept, ballot, drain, entry, membership, outbox, prepare, proposer};

/// 2.5: "An acceptor records its intended response in stable storage before actually sending the
/// response." (I4)
#[test]
fn an_acceptor_answers_only_after_its_disk_has_the_answer() {
    let mut out = outbox(1);
    let mut acceptor = Acceptor::default();
    acceptor.handle_prepare(ASKER, &prepare(ballot(1, 2)), &mut out);
    let promised = Record::Promised { ballot: ballot(1, 2) };
    let outs = drain(&mut out);
    assert_eq!((outs.records, outs.messages), (vec![promised], vec![]), "first the disk");
    assert!(out.handle_persisted(Lsn(1), acceptor.promised()));
    assert!(matches!(drain(&mut out).messages[..], [Message::Promise(_)]), "then the answer");

    let proposal = accept(ballot(1, 2), 0, entry(1));
    for repeated in [false, true] {
        let judged = acceptor.handle_accept(ASKER, proposal.clone(), &mut out);
        assert_eq!(judged, Ok(()));
        let outs = drain(&mut out);
        assert_eq!(outs.records.len(), usize::from(!repeated));
        assert_eq!(outs.messages, [], "the answer to a repeated request waits like the first");
    }
    assert!(out.handle_persisted(Lsn(1), acceptor.promised()));
    assert_eq!(drain(&mut out).messages, [], "an older sync does not help");
    assert!(out.handle_persisted(Lsn(2), acceptor.promised()));
    assert!(matches!(drain(&mut out).messages[..], [Message::Accepted(_), ..]));
    assert!(!out.handle_persisted(Lsn(3), acceptor.promised()), "nobody asked for record 3");
}

/// 2.5: a refusal commits to nothing, and an accept request tells nothing of the sender's disk:
/// neither waits. A prepare request does: its number must never be used again.
#[test]
fn of_a_leaders_messages_only_prepare_waits_for_its_disk() {
    let (mut acceptor, mut out, mut leader) = (Acceptor::default(), outbox(1), proposer(1));
    let (members, nothing) = (membership(3), Announcement::default());
    acceptor.promise(ballot(1, 1), &mut out);
    leader.prepare(ballot(1, 1), Slot(0), &members, &mut out);
    acceptor.handle_prepare(ASKER, &prepare(Ballot::ZERO), &mut out);
    assert!(matches!(drain(&mut out).messages[..], [Message::Nack(_)]), "Prepare waits");
    assert!(out.handle_persisted(Lsn(1), acceptor.promised()));
    assert!(matches!(drain(&mut out).messages[..], [Message::Prepare(_)]));

    let Some(Message::Prepare(asked)) = out.next_for_me() else { panic!("its own Prepare") };
    acceptor.handle_prepare(ReplicaId(1), &asked, &mut out);
    let Some(Message::Promise(own)) = out.next_for_me() else { panic!("its own Promise") };
    assert_eq!(leader.handle_promise(ReplicaId(1), &own, &members), Ok(false));
    assert_eq!(leader.handle_promise(ReplicaId(2), &own, &members), Ok(true), "another's like it");
    leader.enqueue(b"x");
    // Something that is not durable yet: an Accept to the others would leave all the same.
    out.persist(Record::Formed);
    leader.propose_next(false, &nothing, &members, &mut out).expect("the slot is free");
    assert!(matches!(drain(&mut out).messages[..], [Message::Accept(_)]));
}

/// What an acceptor has said to others, and so may never go back on.
#[derive(Default)]
struct Said {
    promised: Ballot,
    accepted: BTreeMap<Slot, Ballot>,
}

impl Said {
    fn note(&mut self, messages: Vec<Message>) {
        for message in messages {
            match message {
                Message::Promise(promise) => self.promised = self.promised.max(promise.ballot),
                Message::Accepted(accepted) => {
                    self.promised = self.promised.max(accepted.ballot);
                    for slot in accepted.slots.iter() {
                        let highest = self.accepted.entry(slot).or_default();
                        *highest = accepted.ballot.max(*highest);
                    }
                }
                _ => {}
            }
        }
    }

    fn check(&self, acceptor: &Acceptor) {
        assert!(acceptor.promised() >= self.promised, "I1: the promise of {}", self.promised);
        for (slot, said) in &self.accepted {
            let held = acceptor.held(*slot).expect("what it said it accepted, it holds");
            assert!(held.ballot >= *said, "{slot} was accepted at {said}");
            assert_eq!(held.entry, value(held.ballot, *slot), "I2: one entry for each ballot");
        }
    }
}

fn value(ballot: Ballot, slot: Slot) -> Entry {
    entry(ballot.round * 100 + u64::from(ballot.replica.0) * 10 + slot.0)
}

/// What a log of these records gives back.
fn recover(records: &[Record]) -> Recovered {
    let cluster = ClusterId::named("paper").expect("a name");
    let me = Recovered::nothing(cluster, ReplicaId(1), DiskId([1; 16])).me;
    let mut replay = Replay::default();
    for (lsn, record) in (1..).zip(records) {
        replay.apply(Lsn(lsn), record.clone(), Slot::ZERO);
    }
    replay.finish(cluster, me)
}

/// An acceptor with a disk that has the first `durable` of its records.
struct Life {
    acceptor: Acceptor,
    out: Outbox,
    records: Vec<Record>,
    durable: usize,
}

impl Life {
    fn start(records: Vec<Record>) -> Self {
        let recovered = recover(&records);
        let out = Outbox::new(ReplicaId(1), recovered.last, recovered.chosen);
        Self { acceptor: Acceptor::new(&recovered), out, durable: records.len(), records }
    }

    fn step(&mut self, random: &mut Rand32) {
        let ballot = ballot(random.rand_range(1..7).into(), random.rand_range(2..4));
        let slot = Slot(random.rand_range(0..3).into());
        match random.rand_range(0..4) {
            0 => self.acceptor.handle_prepare(ASKER, &prepare(ballot), &mut self.out),
            1 | 2 => {
                let proposal = accept(ballot, slot.0, value(ballot, slot));
                let judged = self.acceptor.handle_accept(ASKER, proposal, &mut self.out);
                assert_eq!(judged, Ok(()));
            }
            _ => {
                let waiting = (self.records.len() - self.durable) as u32;
                self.durable += random.rand_range(0..waiting + 1) as usize;
                let upto = Lsn(self.durable as u64);
                assert!(self.out.handle_persisted(upto, self.acceptor.promised()));
            }
        }
    }
}

/// 2.5: "An acceptor's ... stable storage, preserved during failures": whatever an acceptor said
/// before a crash holds after it, although the crash takes any of what was not yet on the disk.
#[test]
fn a_restarted_acceptor_keeps_every_answer_that_it_gave() {
    let mut silent = 0;
    for seed in 0..300 {
        let mut random = Rand32::new(seed);
        let (mut life, mut said) = (Life::start(Vec::new()), Said::default());
        for _ in 0..6 {
            for _ in 0..random.rand_range(1..25) {
                life.step(&mut random);
                let outs = drain(&mut life.out);
                life.records.extend(outs.records);
                said.note(outs.messages);
                said.check(&life.acceptor);
            }
            // The crash: of what was not synced some may have reached the disk all the same.
            let unsynced = (life.records.len() - life.durable) as u32;
            let kept = life.durable + random.rand_range(0..unsynced + 1) as usize;
            life.records.truncate(kept);
            life = Life::start(life.records);
            said.check(&life.acceptor);
        }
        silent += usize::from(said.promised == Ballot::ZERO);
    }
    assert!(silent < 30, "{silent} of 300 runs said nothing");
}

/// Drives a cluster of one on a disk of records until it leads. Its ballot.
fn lead(records: &mut Vec<Record>) -> Ballot {
    let recovered = recover(records);
    let config = Config::new([ReplicaId(1)]);
    let mut replica = Replica::new(config, recovered, Instant::ZERO).expect("valid settings");
    for millis in 0..1_000 {
        let now = Instant::from_millis(millis);
        replica.handle_timeout(now);
        loop {
            match replica.poll_output() {
                Output::Persist { lsn, record, .. } => {
                    records.push(record);
                    assert_eq!(lsn, Lsn(records.len() as u64));
                    replica.handle_persisted(now, lsn);
                }
                Output::Event(Event::Leading { ballot }) => return ballot,
                Output::Wait { .. } => break,
                _ => {}
            }
        }
    }
    panic!("it never leads")
}

/// 2.5: "Each proposer remembers (in stable storage) the highest-numbered proposal it has tried to
/// issue, and begins phase 1 with a higher proposal number than any it has already used." (I2)
#[test]
fn a_restarted_proposer_begins_with_a_higher_number() {
    let mut records = Vec::new();
    let mut last = Ballot::ZERO;
    for life in 0..4 {
        let ballot = lead(&mut records);
        assert!(ballot > last, "life {life} leads at {ballot} after {last}");
        last = ballot;
    }
}
