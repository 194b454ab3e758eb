//! Roles put on a bench: each with an outbox of its own, whose disk is told to sync by the test.

use synod::ballot::Ballot;
use synod::entry::{BatchBuilder, CommandId, Entry};
use synod::membership::{DiskId, Incarnation, Member, Membership, ReplicaId};
use synod::message::{Accept, Announcement, Message, Prepare};
use synod::output::Output;
use synod::record::{Lsn, Record};
use synod::roles::{Acceptor, Limits, Outbox, Proposer};
use synod::slot::Slot;

/// Nobody of this name takes part: what is sent to it can be looked at.
pub(crate) const ASKER: ReplicaId = ReplicaId(9);

pub(crate) fn ballot(round: u64, replica: u32) -> Ballot {
    Ballot { round, replica: ReplicaId(replica) }
}

/// A batch of one command, another one for each name.
pub(crate) fn entry(name: u64) -> Entry {
    let id =
        CommandId { replica: ReplicaId(1), incarnation: Incarnation::default(), sequence: name };
    let mut builder = BatchBuilder::default();
    builder.push(id, format!("command {name}").as_bytes());
    Entry::Batch(builder.build().expect("one command"))
}

pub(crate) fn membership(members: u32) -> Membership {
    let member = |id: u32| Member { replica: ReplicaId(id), disk: DiskId([id as u8; 16]) };
    Membership::new((1..=members).map(member).collect()).expect("1 to 9 members")
}

pub(crate) fn prepare(ballot: Ballot) -> Prepare {
    Prepare { ballot, first: Slot::ZERO }
}

pub(crate) fn accept(ballot: Ballot, slot: u64, entry: Entry) -> Accept {
    Accept { ballot, slot: Slot(slot), entry, announcement: Announcement::default() }
}

pub(crate) fn outbox(me: u32) -> Outbox {
    Outbox::new(ReplicaId(me), Lsn::ZERO, Slot::ZERO)
}

/// What has come out of an outbox.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Outs {
    pub(crate) records: Vec<Record>,
    pub(crate) messages: Vec<Message>,
    pub(crate) delivered: Vec<(Slot, Entry)>,
}

/// Takes what may come out before the disk says anything.
pub(crate) fn drain(out: &mut Outbox) -> Outs {
    let mut outs = Outs::default();
    while let Some(output) = out.poll() {
        match output {
            Output::Persist { record, .. } => outs.records.push(record),
            Output::Send { message, .. } => outs.messages.push(message),
            Output::Chosen { slot, entry } => outs.delivered.push((slot, entry)),
            other => panic!("not expected of a role: {other:?}"),
        }
    }
    outs
}

/// Lets the disk sync everything, and takes what comes out.
pub(crate) fn drain_synced(out: &mut Outbox, promised: Ballot) -> Outs {
    let mut outs = drain(out);
    assert!(out.handle_persisted(out.appended(), promised), "no more than was asked for");
    let after = drain(out);
    outs.records.extend(after.records);
    outs.messages.extend(after.messages);
    outs.delivered.extend(after.delivered);
    outs
}

/// An acceptor, and the messages that it answers with once its disk has synced.
pub(crate) struct Bench {
    pub(crate) acceptor: Acceptor,
    pub(crate) out: Outbox,
}

impl Bench {
    pub(crate) fn new(me: u32) -> Self {
        Self { acceptor: Acceptor::default(), out: outbox(me) }
    }

    pub(crate) fn synced(&mut self) -> Outs {
        drain_synced(&mut self.out, self.acceptor.promised())
    }

    pub(crate) fn prepare(&mut self, ballot: Ballot) -> Vec<Message> {
        self.acceptor.handle_prepare(ASKER, &prepare(ballot), &mut self.out);
        self.synced().messages
    }

    pub(crate) fn accept(&mut self, accept: Accept) -> Vec<Message> {
        let judged = self.acceptor.handle_accept(ASKER, accept, &mut self.out);
        assert_eq!(judged, Ok(()));
        self.synced().messages
    }

    /// Whether it accepts the proposal. If not it must have refused the ballot.
    pub(crate) fn accepts(&mut self, ballot: Ballot, slot: u64, entry: Entry) -> bool {
        match &self.accept(accept(ballot, slot, entry))[..] {
            [Message::Accepted(accepted)] => {
                assert!(accepted.ballot == ballot && accepted.slots.contains(Slot(slot)));
                true
            }
            [Message::Nack(nack)] => {
                assert_eq!((nack.ballot, nack.promised), (ballot, self.acceptor.promised()));
                false
            }
            other => panic!("neither accepted nor refused: {other:?}"),
        }
    }
}

pub(crate) fn proposer(me: u32) -> Proposer {
    let limits =
        Limits { pipeline_slots: 16, partial_slots: 16, pipeline_bytes: 1 << 20, batch_bytes: 64 };
    Proposer::new(ReplicaId(me), Incarnation::default(), limits)
}
