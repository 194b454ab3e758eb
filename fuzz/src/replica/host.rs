//! The driver of the one replica: its log as a list of records, its machine as a mark, its clock.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use bytes::Bytes;
use synod::ballot::Ballot;
use synod::config::Config;
use synod::entry::Entry;
use synod::membership::ReplicaId;
use synod::message::Message;
use synod::output::{Event, IgnoreReason, Misbehaviour, Output, Timer};
use synod::quorum::QuorumSystem;
use synod::record::{Lsn, Record, Recovered};
use synod::replay::Replay;
use synod::replica::{Consistency, Replica, Role};
use synod::slot::Slot;
use synod::time::Instant;
use synod::wire::{self, Body};

use super::super::choices::Choices;
use super::super::frames::{CLUSTER, Name};
use super::messages::{View, list, quorums};
use super::watch::{Logged, Watch, may_halt};

/// How many outputs one drain may give.
const OUTPUTS_MAX: usize = 20_000;
/// How many messages are kept to be answered.
const SAID_MAX: usize = 64;
/// How many inputs may pile up before the replica is drained.
const PILE_MAX: usize = 12;
/// How often a replica may be woken at one time: a new Membership makes a timer due at once.
const WAKES_MAX: usize = 4;
/// Time stays below this, far from its end.
const MICROS_MAX: u64 = 1 << 60;

pub(super) struct Host {
    name: Name,
    members: u32,
    config: Config,
    replica: Replica,
    now: Instant,
    until: Option<(Instant, Timer)>,
    records: Vec<(Record, Slot)>,
    /// Records that rotted: known by name only.
    rotten: BTreeSet<usize>,
    /// What the log gives for a slot: whether it was learned, its ballot and entry.
    stored: BTreeMap<Slot, (bool, Ballot, Entry)>,
    /// How many records are on disk, as the replica was told.
    durable: usize,
    start: Ballot,
    delivered: Slot,
    said: VecDeque<Message>,
    heard: Vec<Message>,
    /// Whether inputs pile up, whether entries are applied at once, whether a twin is turned too.
    lazy: bool,
    prompt: bool,
    twin: bool,
    piled: usize,
    /// Reads that were taken in and neither served nor refused.
    reads: BTreeSet<u64>,
    watch: Watch,
}

/// The settings, and what the log holds at first.
fn settings(choices: &mut Choices<'_>) -> (Config, u32, Vec<(Record, Slot)>) {
    let count = choices.one_of(&[3, 1, 5, 2]);
    let mut config = Config::new((1..=count).map(ReplicaId));
    config.seed = 7;
    config.unsynced_bytes = 4 << 20;
    let style = choices.byte();
    if style & 1 == 1 {
        config.pipeline_slots = 2;
        config.batch_bytes = 100;
        config.queue_bytes = 300;
        config.command_bytes = 5000;
    }
    if style & 2 == 2 {
        config.apply_slots = 3;
    }
    if style & 16 == 16 {
        config.quorums = QuorumSystem::Sizes { prepare: count as u8, accept: 1 };
    }
    if style & 8 == 8 {
        config.patience = Duration::ZERO;
    }
    let quorums = quorums(&config.quorums, count).expect("each size with its counterpart");
    let mut records = Vec::new();
    if style & 4 == 0 {
        records.push((Record::Members { members: list(count, quorums) }, Slot::ZERO));
        records.push((Record::Formed, Slot::ZERO));
    }
    (config, count, records)
}

impl Host {
    pub(super) fn new(choices: &mut Choices<'_>) -> Self {
        let (config, members, records) = settings(choices);
        let flags = choices.byte();
        let (name, now, durable) = (Name::of(1), Instant::from_millis(5), records.len());
        let recovered = recover(&records, &BTreeSet::new(), name);
        let replica = Replica::new(config.clone(), recovered, now);
        let mut host = Self {
            name,
            members,
            config,
            replica: replica.expect("the settings make sense"),
            now,
            until: None,
            records,
            rotten: BTreeSet::new(),
            stored: BTreeMap::new(),
            durable,
            start: Ballot::ZERO,
            delivered: Slot::ZERO,
            said: VecDeque::new(),
            heard: Vec::new(),
            lazy: flags & 1 == 1,
            prompt: flags & 2 == 0,
            twin: flags & 12 == 12,
            piled: 0,
            reads: BTreeSet::new(),
            watch: Watch::default(),
        };
        host.drain();
        host
    }

    pub(super) fn view(&self) -> View {
        let status = self.replica.status();
        let (promised, chosen) = (status.promised, status.chosen);
        let quorums = quorums(&self.config.quorums, self.members).expect("they were checked");
        View { me: self.name, members: self.members, quorums, promised, chosen }
    }

    pub(super) fn leads(&self) -> bool {
        matches!(self.replica.status().role, Role::Leading | Role::Halted)
    }

    pub(super) fn said(&self) -> &VecDeque<Message> {
        &self.said
    }

    pub(super) fn take_said(&mut self) -> VecDeque<Message> {
        std::mem::take(&mut self.said)
    }

    /// An input: the replica takes it, and is drained sooner or later.
    fn input(&mut self, input: impl Fn(&mut Replica)) {
        let mut twin = self.twin.then(|| self.replica.clone());
        input(&mut self.replica);
        if let Some(twin) = &mut twin {
            input(twin);
            let mut copy = self.replica.clone();
            loop {
                let (one, other) = (copy.poll_output(), twin.poll_output());
                assert_eq!(one, other, "the same inputs give other outputs");
                if matches!(one, Output::Wait { .. }) {
                    break;
                }
            }
        }
        self.piled += 1;
        if !self.lazy || self.piled >= PILE_MAX {
            self.drain();
        }
    }

    /// A message arrives, if the wire lets it pass.
    pub(super) fn hear(&mut self, from: Name, message: Message) {
        let mut frame = Vec::new();
        wire::encode(CLUSTER, from.peer(), &message, &mut frame);
        self.hear_frame(from, Bytes::from(frame));
    }

    pub(super) fn hear_frame(&mut self, from: Name, frame: Bytes) {
        let Ok((peer, Body::Message(message))) = wire::decode(CLUSTER, frame) else { return };
        assert_eq!(peer, from.peer());
        let now = self.now;
        self.heard.push(message.clone());
        self.input(|replica| replica.handle_message(now, peer, message.clone()));
    }

    /// Sleeps until the replica wants to be woken, and wakes it: then nothing is due any more.
    pub(super) fn wake_up(&mut self) {
        self.drain();
        let Some((at, _)) = self.until else { return };
        self.now = self.now.max(at).min(Instant::from_micros(MICROS_MAX));
        let now = self.now;
        for _ in 0..WAKES_MAX {
            self.input(|replica| replica.handle_timeout(now));
            self.drain();
            if self.until.is_none_or(|(at, _)| at > now) {
                return;
            }
        }
        panic!("it is woken for {:?} and wants it at once again", self.until);
    }

    pub(super) fn wake_early(&mut self) {
        let now = self.now;
        self.input(|replica| replica.handle_timeout(now));
    }

    pub(super) fn pass(&mut self, micros: u64) {
        let micros = self.now.as_micros().saturating_add(micros).min(MICROS_MAX);
        self.now = Instant::from_micros(micros);
    }

    /// So many records more are on disk.
    pub(super) fn sync(&mut self, count: usize) {
        self.drain();
        self.durable = self.durable.saturating_add(count).min(self.records.len());
        let (now, upto) = (self.now, Lsn(self.durable as u64));
        self.input(|replica| replica.handle_persisted(now, upto));
    }

    /// The driver tells a mark that it told before, or one of records that it was never given.
    pub(super) fn claim_persisted(&mut self, number: u64) {
        self.drain();
        let upto = if number.is_multiple_of(2) {
            Lsn((self.durable as u64).saturating_sub(number))
        } else {
            Lsn((self.records.len() as u64).saturating_add(number))
        };
        let before = self.replica.status();
        self.replica.handle_persisted(self.now, upto);
        let first = self.replica.poll_output();
        if number % 2 == 1 && before.halted.is_none() {
            let appended = Lsn(self.records.len() as u64);
            assert_eq!(first, Output::Event(Event::PersistedTooFar { upto, appended }));
        } else {
            assert!(matches!(first, Output::Wait { .. }), "an old mark leads to {first:?}");
        }
        assert_eq!(self.replica.status().durable, before.durable);
        self.drain();
    }

    pub(super) fn apply(&mut self) {
        let (now, upto) = (self.now, self.delivered);
        self.input(|replica| replica.handle_applied(now, upto));
    }

    pub(super) fn claim_applied(&mut self, choices: &mut Choices<'_>) {
        let (now, upto) = (self.now, Slot(choices.near(self.delivered.0)));
        self.input(|replica| replica.handle_applied(now, upto));
    }

    pub(super) fn propose(&mut self, style: u8) {
        let bytes = match style {
            0..=199 => usize::from(style % 16),
            200..=239 => 30 * usize::from(style - 190),
            240..=255 => (usize::from(style) - 240) << 16,
        };
        let (now, command) = (self.now, vec![style; bytes]);
        self.input(|replica| {
            let _ = replica.propose(now, &command);
        });
    }

    /// Asks it to hand leadership over to this replica; with 0, to whoever suits best.
    pub(super) fn hand_over(&mut self, to: u32) {
        let now = self.now;
        self.input(|replica| {
            let _ = match to {
                0 => replica.resign(now).map(|_| ()),
                to => replica.transfer(now, ReplicaId(to)),
            };
        });
    }

    pub(super) fn read(&mut self, style: u8) {
        let consistency =
            if style.is_multiple_of(8) { Consistency::Local } else { Consistency::Linearizable };
        if let Ok(read) = self.replica.read(self.now, consistency) {
            assert!(self.reads.insert(read), "READ: two reads have the number {read}");
        }
        self.input(|_| {});
    }

    /// The process ends; of the records that were not durable the first so many are kept.
    pub(super) fn restart(&mut self, kept: usize) {
        self.drain();
        let kept = self.durable + kept.min(self.records.len() - self.durable);
        self.records.truncate(kept);
        self.rotten.retain(|index| *index < kept);
        self.durable = kept;
        self.name = self.name.start((self.name.incarnation >> 16) + 1);
        let recovered = recover(&self.records, &self.rotten, self.name);
        assert!(recovered.promised >= self.watch.promise_sent, "I1: a promise is forgotten");
        self.start = recovered.promised;
        self.store(&recovered);
        self.delivered = Slot::ZERO;
        self.until = None;
        self.said.clear();
        self.heard.clear();
        self.reads.clear();
        self.watch.restarted();
        let replica = Replica::new(self.config.clone(), recovered, self.now);
        self.replica = replica.expect("its own log is taken");
        self.drain();
    }

    /// A durable record with an entry rots, and the process is started anew.
    pub(super) fn rot(&mut self, choices: &mut Choices<'_>) {
        let has_entry = |index: &usize| {
            matches!(self.records[*index].0, Record::Accepted { .. } | Record::Chosen { .. })
        };
        let candidates: Vec<usize> = (0..self.durable).filter(has_entry).collect();
        if !candidates.is_empty() {
            self.rotten.insert(choices.one_of(&candidates));
        }
        self.restart(0);
    }

    /// What the log gives after a start: no entry for a hole, none that rotted.
    fn store(&mut self, recovered: &Recovered) {
        self.stored.clear();
        for index in 0..self.records.len() {
            let record = self.records[index].0.clone();
            match record {
                Record::Accepted { slot, .. } | Record::Chosen { slot, .. }
                    if self.rotten.contains(&index) =>
                {
                    if self.stored.get(&slot).is_some_and(|stored| !stored.0) {
                        self.stored.remove(&slot);
                    }
                }
                record => self.note(&record),
            }
        }
        for slot in recovered.holes.iter().flat_map(|hole| hole.iter()) {
            self.stored.remove(&slot);
        }
    }

    /// Notes where a record's entry is found: a Chosen record outranks every Accepted one.
    fn note(&mut self, record: &Record) {
        match record {
            Record::Accepted { slot, ballot, entry } => {
                if !self.stored.get(slot).is_some_and(|stored| stored.0) {
                    self.stored.insert(*slot, (false, *ballot, entry.clone()));
                }
            }
            Record::Chosen { slot, ballot, entry } => {
                self.stored.insert(*slot, (true, *ballot, entry.clone()));
            }
            Record::Promised { .. } | Record::Members { .. } | Record::Formed => {}
        }
    }

    /// Takes outputs until the replica waits.
    pub(super) fn drain(&mut self) {
        self.piled = 0;
        let halted = self.watch.has_halted();
        for _ in 0..OUTPUTS_MAX {
            let output = self.replica.poll_output();
            if let Output::Wait { until } = output {
                self.until = until;
                if self.prompt && self.replica.status().applied < self.delivered && !halted {
                    self.replica.handle_applied(self.now, self.delivered);
                    if self.replica.status().halted.is_none() {
                        continue;
                    }
                }
                let status = self.replica.status();
                assert_eq!(until.is_none(), status.halted.is_some(), "it waits for nothing");
                self.watch.on_status(status, &self.config);
                return;
            }
            let quiet = matches!(
                &output,
                Output::Event(Event::Ignored { reason: IgnoreReason::Halted, .. })
            );
            assert!(!halted || quiet, "a halted replica asks for {output:?}");
            self.perform(output);
        }
        panic!("it never waits");
    }

    fn perform(&mut self, output: Output) {
        match output {
            Output::Persist { lsn, record, chosen } => {
                assert_eq!(lsn.0, self.records.len() as u64 + 1, "records are not in order");
                let before = self.records.last().map_or(Slot::ZERO, |(_, chosen)| *chosen);
                assert!(chosen >= before, "I8: the mark falls to {chosen}");
                let (mut watch, log) = (std::mem::take(&mut self.watch), self.log());
                watch.on_persist(&record, &log);
                self.watch = watch;
                self.note(&record);
                self.records.push((record, chosen));
            }
            Output::Send { to, message } => {
                assert!(!to.is_empty() && !to.contains(ReplicaId(self.name.replica)));
                let (mut watch, log) = (std::mem::take(&mut self.watch), self.log());
                watch.on_send(&message, &log);
                self.watch = watch;
                if self.said.len() >= SAID_MAX {
                    self.said.pop_front();
                }
                self.said.push_back(message);
            }
            Output::SendEntries { to, slots } => {
                assert!(to.0 != self.name.replica && !slots.is_empty());
                assert!(slots.end <= self.replica.status().chosen, "I8: sends what is not chosen");
            }
            Output::Chosen { slot, entry } => {
                assert_eq!(slot, self.delivered, "I7: not the next slot");
                let stored = self.stored.get(&slot).map(|(_, _, stored)| stored);
                assert_eq!(stored, Some(&entry), "I8: applies what is not in the log");
                self.delivered = slot.next();
            }
            Output::ApplyFromLog { slots } => {
                assert!(slots.start == self.delivered && !slots.is_empty(), "I7: not the next");
                assert!(slots.end <= self.replica.status().chosen, "I8: applies above the mark");
                let held = slots.iter().all(|slot| self.stored.contains_key(&slot));
                assert!(held, "I8: {slots} are to be read from the log, which lacks some");
                self.delivered = slots.end;
            }
            Output::Fate { commands, fate } => {
                let (mut watch, log) = (std::mem::take(&mut self.watch), self.log());
                let stored = |slot| self.stored.get(&slot).map(|(_, _, entry)| entry.clone());
                let is_alone = self.config.members.len() == 1;
                watch.on_fate(commands, fate, is_alone, &log, stored);
                self.watch = watch;
            }
            Output::ReadReady { reads, upto } => {
                assert!(upto <= self.delivered, "READ: served at {}, not {upto}", self.delivered);
                for read in reads {
                    assert!(self.reads.remove(&read), "READ: {read} is served unasked, or twice");
                }
            }
            Output::ReadRefused { reads, .. } => {
                for read in reads {
                    assert!(self.reads.remove(&read), "READ: {read} is refused unasked, or twice");
                }
            }
            Output::Event(Event::Halted { reason }) => {
                let formed = self.records.iter().any(|(record, _)| *record == Record::Formed);
                assert!(may_halt(&reason, &self.heard, formed), "it stops: {reason}");
            }
            Output::Event(Event::PeerMisbehaved { peer, what }) => {
                // Where a liar says that a slot is chosen, its own proposal may contradict that.
                let lied_to = matches!(what, Misbehaviour::ChosenChanged { .. });
                assert!(peer.0 != self.name.replica || lied_to, "it blames itself: {what:?}");
            }
            Output::Event(Event::PersistedTooFar { upto, .. }) => panic!("refuses {upto}"),
            Output::Event(_) | Output::Wait { .. } => {}
        }
    }

    fn log(&self) -> Logged<'_> {
        let status = self.replica.status();
        Logged {
            me: ReplicaId(self.name.replica),
            incarnation: self.name.peer().incarnation(),
            start: self.start,
            records: &self.records,
            durable: self.durable,
            promised: status.promised,
            chosen: status.chosen,
        }
    }
}

/// What a log of these records gives back, as recovery folds it.
fn recover(records: &[(Record, Slot)], rotten: &BTreeSet<usize>, name: Name) -> Recovered {
    let mut replay = Replay::default();
    for (index, (record, chosen)) in records.iter().enumerate() {
        let lsn = Lsn(index as u64 + 1);
        match record {
            Record::Accepted { slot, ballot, .. } if rotten.contains(&index) => {
                replay.raise_promise(*ballot);
                replay.lose(*slot, Some(*ballot));
                replay.raise_last(lsn);
            }
            Record::Chosen { slot, .. } if rotten.contains(&index) => {
                replay.lose(*slot, None);
                replay.raise_last(lsn);
            }
            record => replay.apply(lsn, record.clone(), *chosen),
        }
        // The second copy of a group tells the mark of its last record: here, of each.
        replay.raise_chosen(*chosen);
    }
    replay.finish(CLUSTER, name.peer())
}
