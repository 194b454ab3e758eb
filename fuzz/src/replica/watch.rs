//! What must hold of one replica whatever its peers, its disk and its driver do to it: each output
//! is held against the records that are durable in its log.

use std::collections::{BTreeMap, BTreeSet};

use synod::ballot::Ballot;
use synod::config::Config;
use synod::entry::{Batch, ENTRY_BYTES_MAX, Entry};
use synod::membership::{Incarnation, Membership, ReplicaId};
use synod::message::{Accepted, Announcement, Message, Promise};
use synod::output::{Fate, HaltReason};
use synod::record::Record;
use synod::replica::Status;
use synod::slot::{ALPHA, Slot};

/// What is known of a replica over all its starts.
#[derive(Debug, Default)]
pub(super) struct Watch {
    /// Which entry was proposed by this replica at a ballot and slot.
    proposed: BTreeMap<(Ballot, Slot), Entry>,
    /// In which start it used a ballot of its own.
    owners: BTreeMap<Ballot, Incarnation>,
    /// The highest ballot of a Promise that left.
    pub(super) promise_sent: Ballot,
    /// The list of members that left.
    told: Option<Membership>,
    before: Option<Status>,
    /// Commands whose fate was told, in this start.
    fates: BTreeSet<u64>,
    /// Commands that were proposed in this start.
    out: BTreeSet<u64>,
}

/// The log as the watch sees it when a message leaves.
#[derive(Clone, Copy)]
pub(super) struct Logged<'a> {
    pub(super) me: ReplicaId,
    pub(super) incarnation: Incarnation,
    /// What the start began with.
    pub(super) start: Ballot,
    pub(super) records: &'a [(Record, Slot)],
    pub(super) durable: usize,
    pub(super) promised: Ballot,
    pub(super) chosen: Slot,
}

impl Logged<'_> {
    fn durable(&self) -> impl Iterator<Item = &Record> {
        self.records[..self.durable].iter().map(|(record, _)| record)
    }

    fn durable_promise(&self) -> Ballot {
        let of = |record: &Record| match record {
            Record::Promised { ballot } | Record::Accepted { ballot, .. } => *ballot,
            _ => Ballot::ZERO,
        };
        self.durable().map(of).max().unwrap_or_default()
    }

    fn has(&self, at: Slot, in_ballot: Ballot) -> bool {
        self.records.iter().any(|(record, _)| match record {
            Record::Accepted { slot, ballot, .. } | Record::Chosen { slot, ballot, .. } => {
                (*slot, *ballot) == (at, in_ballot)
            }
            _ => false,
        })
    }

    /// The slots that are durably accepted, with the ballots.
    fn accepted(&self) -> BTreeMap<Slot, BTreeSet<Ballot>> {
        let mut accepted: BTreeMap<Slot, BTreeSet<Ballot>> = BTreeMap::new();
        for record in self.durable() {
            if let Record::Accepted { slot, ballot, .. } = record {
                accepted.entry(*slot).or_default().insert(*ballot);
            }
        }
        accepted
    }
}

impl Watch {
    /// The replica was started anew.
    pub(super) fn restarted(&mut self) {
        self.before = None;
        self.fates.clear();
        self.out.clear();
    }

    /// A record is asked for.
    pub(super) fn on_persist(&mut self, record: &Record, log: &Logged<'_>) {
        match record {
            Record::Promised { ballot } => {
                assert!(*ballot > self.promised(log), "I1: a promise of {ballot} is no news");
            }
            Record::Accepted { slot, ballot, entry } => {
                assert!(*ballot >= self.promised(log), "I3: {slot} accepted below the promise");
                if ballot.replica == log.me {
                    self.on_proposal(*ballot, *slot, entry, log);
                }
            }
            Record::Members { members } => {
                let twice = log.records.iter().any(|(r, _)| matches!(r, Record::Members { .. }));
                assert!(!twice && !members.members().is_empty(), "a list of members is replaced");
            }
            Record::Chosen { .. } | Record::Formed => {}
        }
    }

    /// What the log as it was, durable or not, has promised.
    fn promised(&self, log: &Logged<'_>) -> Ballot {
        Logged { durable: log.records.len(), ..*log }.durable_promise().max(log.start)
    }

    /// A message leaves.
    pub(super) fn on_send(&mut self, message: &Message, log: &Logged<'_>) {
        let mark = message.chosen().unwrap_or_default();
        assert!(mark <= log.chosen, "I8: {} tells the mark {mark}", message.name());
        match message {
            Message::Prepare(prepare) => {
                self.owns(prepare.ballot, log);
                promise_is_durable(prepare.ballot, log);
            }
            Message::Promise(promise) => {
                promise_is_durable(promise.ballot, log);
                reports_all(promise, log);
                self.promise_sent = self.promise_sent.max(promise.ballot);
            }
            Message::Accept(accept) => {
                self.on_proposal(accept.ballot, accept.slot, &accept.entry, log);
                announces_what_is_known(&accept.announcement, log);
            }
            Message::Accepted(accepted) => self.vote_is_durable(accepted, log),
            Message::Heartbeat(heartbeat) => {
                self.owns(heartbeat.ballot, log);
                promise_is_durable(heartbeat.ballot, log);
                announces_what_is_known(&heartbeat.announcement, log);
            }
            Message::Nack(nack) => {
                let sound = nack.ballot < nack.promised && nack.promised <= log.promised;
                assert!(sound, "I3: refuses {} for {}", nack.ballot, nack.promised);
            }
            Message::Fetched(fetched) => {
                if let Some((ballot, entry)) = &fetched.proposal {
                    holds(fetched.slot, *ballot, entry, log);
                }
            }
            Message::HeartbeatAnswer(answer) => assert_eq!(answer.start.promised, log.start),
            Message::CanvassAnswer(answer) => assert_eq!(answer.start.promised, log.start),
            Message::CatchUp(asked) => {
                assert!(!asked.slots.is_empty() && asked.slots.len() <= ALPHA, "asks for nothing");
            }
            Message::Forming(told) => self.list_is_durable(told.members.as_ref(), told.formed, log),
            Message::Forward(forward) => self.note_out(&forward.batch, log),
            Message::ForwardAnswer(answer) => announces_what_is_known(&answer.announcement, log),
            Message::ReadIndexAnswer(answer) => announces_what_is_known(&answer.announcement, log),
            Message::HandOver(asked) => announces_what_is_known(&asked.announcement, log),
            Message::Announcement(told) => announces_what_is_known(told, log),
            Message::Behind(_)
            | Message::ReadIndex(_)
            | Message::Canvass(_)
            | Message::Fetch(_)
            | Message::Chosen(_)
            | Message::Refused(_) => {}
        }
    }

    /// I2: a ballot of its own is used in one start only.
    fn owns(&mut self, ballot: Ballot, log: &Logged<'_>) {
        let owner = *self.owners.entry(ballot).or_insert(log.incarnation);
        let sound = ballot.replica == log.me && owner == log.incarnation;
        assert!(sound, "I2: {ballot} is used, which start {owner} owns");
    }

    /// I2: one entry for each ballot and slot. Notes its own commands: they are out.
    fn on_proposal(&mut self, ballot: Ballot, slot: Slot, entry: &Entry, log: &Logged<'_>) {
        self.owns(ballot, log);
        let first = self.proposed.entry((ballot, slot)).or_insert_with(|| entry.clone());
        assert!(first == entry, "I2: two entries for {slot} at {ballot}");
        if let Entry::Batch(batch) = entry {
            self.note_out(batch, log);
        }
    }

    /// Notes its own commands of a batch: they are out.
    fn note_out(&mut self, batch: &Batch, log: &Logged<'_>) {
        for origin in batch.origins() {
            let first = origin.first;
            if (first.replica, first.incarnation) == (log.me, log.incarnation) {
                // A peer may have made up as many as it likes.
                let count = u64::from(origin.count.min(4096));
                self.out.extend(first.sequence..first.sequence.saturating_add(count));
            }
        }
    }

    /// I3, I4: a vote is on disk, and not below what was promised to anybody.
    fn vote_is_durable(&self, accepted: &Accepted, log: &Logged<'_>) {
        let Accepted { ballot, slots, .. } = accepted;
        assert!(!slots.is_empty() && slots.len() <= ALPHA);
        assert!(*ballot >= self.promise_sent, "I3: votes at {ballot} after {}", self.promise_sent);
        let durable = log.accepted();
        for slot in slots.iter() {
            let there = durable.get(&slot).is_some_and(|ballots| ballots.contains(ballot));
            assert!(there, "I4: votes for {slot} at {ballot}, which is not durable");
        }
    }

    fn list_is_durable(&mut self, members: Option<&Membership>, formed: bool, log: &Logged<'_>) {
        let durable = |wanted: &dyn Fn(&Record) -> bool| log.durable().any(wanted);
        if let Some(members) = members {
            let same = |record: &Record| match record {
                Record::Members { members: there } => there == members,
                _ => false,
            };
            assert!(durable(&same), "I4: tells a list of members that is not durable");
            assert!(self.told.as_ref().is_none_or(|told| told == members), "two lists are told");
            self.told = Some(members.clone());
        }
        let is_formed = |record: &Record| *record == Record::Formed;
        assert!(!formed || durable(&is_formed), "I4: says that it is formed before it is durable");
    }

    /// What became of commands. `stored` gives what is in the log at a slot; `is_alone` tells that
    /// the cluster has one member.
    pub(super) fn on_fate(
        &mut self,
        commands: core::ops::Range<u64>,
        fate: Fate,
        is_alone: bool,
        log: &Logged<'_>,
        stored: impl Fn(Slot) -> Option<Entry>,
    ) {
        for (i, sequence) in commands.enumerate() {
            assert!(self.fates.insert(sequence), "the fate of command {sequence} is told twice");
            match fate {
                Fate::NotLeader { .. } => {
                    assert!(!self.out.contains(&sequence), "{sequence} was proposed after all");
                }
                Fate::Superseded => {
                    // Who is alone sends its Accept to nobody, and writes nothing where a liar has
                    // told it that another entry is chosen.
                    let seen = self.out.contains(&sequence);
                    assert!(seen || is_alone, "{sequence} was never proposed");
                }
                Fate::Chosen { slot, index } => {
                    let Some(Entry::Batch(batch)) = stored(slot) else {
                        panic!("{sequence} is chosen in {slot}, which has no batch");
                    };
                    let mut names = batch.origins().flat_map(|origin| {
                        (0..u64::from(origin.count))
                            .map(move |i| (origin.first.incarnation, origin.first.sequence + i))
                    });
                    let named = names.nth(index as usize + i);
                    assert_eq!(named, Some((log.incarnation, sequence)), "not where it is told");
                }
            }
        }
    }

    /// The replica was turned, and says this of itself.
    pub(super) fn on_status(&mut self, status: Status, config: &Config) {
        let bounded = status.open_slots <= ALPHA
            && status.queued_bytes <= config.queue_bytes + ENTRY_BYTES_MAX
            && status.peers.len() < config.members.len();
        assert!(bounded, "it holds too much: {status:?}");
        assert!(status.applied <= status.chosen && status.durable <= status.appended, "I8");
        if let Some(before) = &self.before {
            assert!(status.promised >= before.promised, "I1: the promise falls");
            let marks = status.chosen >= before.chosen
                && status.applied >= before.applied
                && status.appended >= before.appended
                && status.durable >= before.durable;
            assert!(marks, "I8: a mark falls: {before:?}, then {status:?}");
            assert!(before.halted.is_none() || before.halted == status.halted, "a halt ends");
        }
        self.before = Some(status);
    }

    /// Whether it had stopped when it was last looked at.
    pub(super) fn has_halted(&self) -> bool {
        self.before.as_ref().is_some_and(|status| status.halted.is_some())
    }
}

/// I4: a promise is told only when it is on disk.
fn promise_is_durable(ballot: Ballot, log: &Logged<'_>) {
    let durable = log.durable_promise().max(log.start);
    assert!(durable >= ballot, "I4: {ballot} is told, {durable} is durable");
}

/// I10: a Promise names all that was accepted below it, and nothing else.
fn reports_all(promise: &Promise, log: &Logged<'_>) {
    let Promise { ballot, slots, last, chosen, accepted, faulty } = promise;
    for (slot, ballots) in log.accepted().range(slots.start.max(*chosen)..) {
        if !last && *slot >= slots.end {
            break;
        }
        let Some(below) = ballots.range(..*ballot).next_back() else { continue };
        let mut runs = accepted.iter().chain(faulty);
        let told = runs.any(|run| run.slots.contains(*slot) && run.ballot >= *below);
        assert!(told, "I10: the Promise of {ballot} hides {slot} at {below}");
    }
    for run in accepted {
        assert!(run.ballot <= *ballot, "I3: promises {ballot} below what it accepted");
        for slot in run.slots.iter() {
            assert!(log.has(slot, run.ballot), "reports {slot} at {}, never accepted", run.ballot);
        }
    }
}

/// What is announced lies in the log with that very ballot.
fn announces_what_is_known(announcement: &Announcement, log: &Logged<'_>) {
    for run in announcement.runs.iter() {
        assert!(run.slots.end <= announcement.chosen, "I6: announces above its own mark");
        for slot in run.slots.iter() {
            assert!(log.has(slot, run.ballot), "announces {slot} at {}, not held", run.ballot);
        }
    }
}

fn holds(at: Slot, in_ballot: Ballot, wanted: &Entry, log: &Logged<'_>) {
    let held = log.records.iter().any(|(record, _)| match record {
        Record::Accepted { slot, ballot, entry } => {
            (*slot, *ballot) == (at, in_ballot) && entry == wanted
        }
        _ => false,
    });
    assert!(held, "I2: hands out an entry for {at} at {in_ballot} that it does not hold");
}

/// Whether the replica may stop for that reason, after what it was told in this start.
pub(super) fn may_halt(reason: &HaltReason, heard: &[Message], formed: bool) -> bool {
    let any = |wanted: &dyn Fn(&Message) -> bool| heard.iter().any(wanted);
    match reason {
        HaltReason::RolledBack { .. } => any(&|message| matches!(message, Message::Refused(_))),
        HaltReason::OtherDisk { .. }
        | HaltReason::ListLost { .. }
        | HaltReason::ConflictingMembers { .. } => {
            !formed && any(&|message| matches!(message, Message::Forming(_)))
        }
        // Somebody used the last round.
        HaltReason::BallotsUsedUp => true,
        _ => false,
    }
}
