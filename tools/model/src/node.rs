//! One replica of the model: the crate's own roles, a log that a crash cuts, and what of them must
//! be seen from outside.
//!
//! Nothing here decides anything of the protocol. `wiring.rs` turns the roles.

use std::collections::HashSet;

use synod::ballot::Ballot;
use synod::entry::Entry;
use synod::membership::{ClusterId, DiskId, Incarnation, ReplicaId, Replicas};
use synod::output::Output;
use synod::record::{Lsn, Record, Recovered};
use synod::replay::Replay;
use synod::roles::{Acceptor, Learner, Limits, Outbox, Proposer};
use synod::slot::Slot;

/// Far more than any instance has: the state machine is never what limits.
const PLENTY: usize = 1 << 20;

const LIMITS: Limits =
    Limits { pipeline_slots: 64, partial_slots: 64, pipeline_bytes: PLENTY, batch_bytes: PLENTY };

/// A record of the log, with the chosen mark that was written beside it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Kept {
    pub(crate) record: Record,
    pub(crate) chosen: Slot,
    /// The disk has lost it. That it was once durable still counts: votes were told.
    pub(crate) lost: Option<Loss>,
}

/// What a second copy still tells of a lost record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Loss {
    /// The slot, and the ballot of what was accepted there.
    Ballot,
    /// Only the slot.
    Slot,
}

/// A replica between two steps: nothing is left to do until an input comes.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Node {
    pub(crate) me: ReplicaId,
    /// Counts the starts.
    pub(crate) start: u8,
    pub(crate) acceptor: Acceptor,
    pub(crate) proposer: Proposer,
    pub(crate) learner: Learner,
    pub(crate) out: Outbox,
    /// What is on the platter.
    pub(crate) disk: Vec<Kept>,
    /// What was appended and not synced.
    pub(crate) cache: Vec<Kept>,
}

impl Node {
    /// A replica with an empty log.
    pub(crate) fn new(me: ReplicaId) -> Self {
        Self::recover(me, 0, Vec::new())
    }

    /// The replica that this log remembers, in its next start. Not yet settled.
    pub(crate) fn recover(me: ReplicaId, start: u8, disk: Vec<Kept>) -> Self {
        let recovered = replay(me, &disk);
        recovered.check().expect("a log of real records gives back what a replica can start from");
        Self {
            me,
            start,
            acceptor: Acceptor::new(&recovered),
            proposer: proposer(me, start),
            learner: Learner::recover(&recovered, PLENTY as u64),
            out: Outbox::new(me, Lsn::ZERO, recovered.chosen),
            disk,
            cache: Vec::new(),
        }
    }

    /// What the log holds for a slot below the chosen mark, as every log of the crate finds it: a
    /// learned entry outranks what was accepted.
    pub(crate) fn read(&self, slot: Slot) -> Option<(Ballot, Entry)> {
        let (mut learned, mut accepted) = (None, None);
        for kept in self.disk.iter().chain(&self.cache) {
            match &kept.record {
                Record::Chosen { slot: at, ballot, entry } if *at == slot => {
                    learned = kept.lost.is_none().then(|| (*ballot, entry.clone()));
                }
                Record::Accepted { slot: at, ballot, entry } if *at == slot => {
                    accepted = kept.lost.is_none().then(|| (*ballot, entry.clone()));
                }
                _ => {}
            }
        }
        learned.or(accepted)
    }

    /// The highest ballot that the platter knows to be promised.
    pub(crate) fn durable_promise(&self) -> Ballot {
        let ballots = self.disk.iter().map(|kept| match &kept.record {
            Record::Promised { ballot } | Record::Accepted { ballot, .. } => *ballot,
            _ => Ballot::ZERO,
        });
        ballots.max().unwrap_or_default()
    }

    /// What was ever durably accepted here.
    pub(crate) fn votes(&self) -> impl Iterator<Item = (Slot, Ballot, &Entry)> {
        self.disk.iter().filter_map(|kept| match &kept.record {
            Record::Accepted { slot, ballot, entry } => Some((*slot, *ballot, entry)),
            _ => None,
        })
    }

    /// Moves the first `records` of the cache to the platter.
    pub(crate) fn write(&mut self, records: usize) {
        self.disk.extend(self.cache.drain(..records));
        self.forget_promises();
    }

    /// Drops promises that other records repeat: they tell nothing, so states that differ in them
    /// are one. Not where the mark beside one is news to what follows.
    fn forget_promises(&mut self) {
        let highest = self.durable_promise();
        let accepted = self.votes().any(|(_, ballot, _)| ballot == highest);
        let mut mark = Slot::ZERO;
        let mut ahead = self.disk.len();
        self.disk.retain(|kept| {
            ahead -= 1;
            let news = kept.chosen > mark || ahead == 0;
            mark = kept.chosen;
            match kept.record {
                Record::Promised { ballot } => news || (ballot == highest && !accepted),
                _ => true,
            }
        });
    }

    /// Whether this state is `before` with some answers waiting for the disk once more: as often as
    /// they are sent, they are one message of the network.
    pub(crate) fn only_repeats(&self, before: &Self) -> bool {
        let Self { me: _, start, acceptor, proposer, learner, out, disk, cache } = self;
        let rest = (start, acceptor, proposer, learner, disk, cache);
        let same = rest
            == (
                &before.start,
                &before.acceptor,
                &before.proposer,
                &before.learner,
                &before.disk,
                &before.cache,
            );
        same && waiting(out) == waiting(&before.out)
    }

    /// Forgets what makes no difference, so that states which differ in it alone are one: the
    /// numbers of records when none is on its way, and those of commands when none waits.
    pub(crate) fn forget(&mut self) {
        if self.cache.is_empty() && self.out.durable() == self.out.appended() {
            let anew = |last| Outbox::new(self.me, last, self.learner.chosen());
            assert_eq!(self.out, anew(self.out.appended()), "an outbox at rest holds nothing");
            self.out = anew(Lsn::ZERO);
        }
        if self.proposer.ballot().is_none() {
            self.proposer = proposer(self.me, self.start);
        }
    }
}

fn proposer(me: ReplicaId, start: u8) -> Proposer {
    Proposer::new(me, Incarnation(u64::from(start + 1) << 16), LIMITS)
}

/// The messages that wait for the disk, each once: what it would let go if all were written.
fn waiting(out: &Outbox) -> HashSet<Output> {
    let mut out = out.clone();
    let upto = out.appended();
    assert!(out.handle_persisted(upto, Ballot::ZERO), "{upto} was asked for");
    let mut messages = HashSet::new();
    while let Some(output) = out.poll() {
        messages.insert(output);
    }
    while let Some(message) = out.next_for_me() {
        messages.insert(Output::Send { to: Replicas::one(out.me()), message });
    }
    messages
}

/// What the log gives back at a start.
fn replay(me: ReplicaId, disk: &[Kept]) -> Recovered {
    let mut replay = Replay::default();
    for kept in disk {
        match (kept.lost, &kept.record) {
            (None, record) => replay.apply(Lsn::ZERO, record.clone(), kept.chosen),
            (Some(loss), Record::Accepted { slot, ballot, .. }) => {
                replay.raise_promise(*ballot);
                replay.lose(*slot, (loss == Loss::Ballot).then_some(*ballot));
                replay.raise_chosen(kept.chosen);
            }
            (Some(_), Record::Chosen { slot, .. }) => {
                replay.lose(*slot, None);
                replay.raise_chosen(kept.chosen);
            }
            (Some(_), record) => panic!("only records of slots are lost, not {record:?}"),
        }
    }
    let peer = Recovered::nothing(ClusterId::default(), me, DiskId::default()).me;
    replay.finish(ClusterId::default(), peer)
}
