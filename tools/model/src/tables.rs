//! Each local state, message and entry once: a state of the model is a handful of numbers, and a
//! step of a replica is computed once, by the real roles, however many states it occurs in.
//!
//! What is in the tables is compared as a whole (`Eq`), never by a hash. It is kept for the life of
//! the process, which checks one instance.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hash, Hasher};
use std::sync::RwLock;

use synod::entry::Entry;
use synod::membership::ReplicaId;
use synod::message::Message;
use synod::slot::Slot;

use crate::fault::Fault;
use crate::node::Node;
use crate::unpoisoned;

/// The rounds that fit the tables.
pub(crate) const ROUNDS_MAX: usize = 8;
/// The slots that fit the tables.
pub(crate) const SLOTS_MAX: usize = 2;
/// The places for (slot, round).
pub(crate) const PLACES: usize = ROUNDS_MAX * SLOTS_MAX;

/// A proposal: its slot and round as one place, and its entry's number, which is not 0.
pub(crate) type Proposal = (u8, u8);

/// The place of a slot and a round, which counts from 1.
pub(crate) fn place(slot: Slot, round: u64) -> u8 {
    let round = round as usize - 1;
    assert!(slot.0 < SLOTS_MAX as u64 && round < ROUNDS_MAX, "{slot} at {round} has no place");
    (slot.0 as usize * ROUNDS_MAX + round) as u8
}

/// The slot of a place.
pub(crate) fn slot_of(place: u8) -> u8 {
    place / ROUNDS_MAX as u8
}

/// The round of a place.
pub(crate) fn round_of(place: u8) -> u8 {
    place % ROUNDS_MAX as u8 + 1
}

const NOBODY: u32 = 7;

/// Whether the message of that number is for the replica at that place.
pub(crate) fn is_for(number: u32, at: u8) -> bool {
    let (from, to) = (number >> 3 & 7, number & 7);
    to == u32::from(at) || (to == NOBODY && from != u32::from(at))
}

/// A message on its way.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Envelope {
    /// None: it does not matter.
    pub(crate) from: Option<ReplicaId>,
    /// None: everyone but the sender.
    pub(crate) to: Option<ReplicaId>,
    pub(crate) message: Message,
}

/// A local state, and what of it is looked at from outside.
#[derive(Debug)]
pub(crate) struct Local {
    pub(crate) number: u32,
    pub(crate) node: Node,
    /// A bit for each place in which this replica ever durably accepted.
    pub(crate) votes: u32,
    /// The same with the entries.
    pub(crate) voted: Box<[Proposal]>,
    /// What it knows to be chosen, with the ballot that it names for it.
    pub(crate) learned: Box<[Proposal]>,
    pub(crate) promised: u64,
    pub(crate) is_active: bool,
    pub(crate) is_leading: bool,
    edges: RwLock<HashMap<u32, Option<&'static Edge>, BuildHasherDefault<NumberHasher>>>,
}

/// Spreads numbers that are given in order, quickly.
#[derive(Debug, Default)]
pub(crate) struct NumberHasher(u64);

impl Hasher for NumberHasher {
    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|byte| self.write_u32(u32::from(*byte)));
    }

    fn write_u32(&mut self, number: u32) {
        let mixed = (self.0 ^ u64::from(number)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        self.0 = mixed ^ mixed >> 32;
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

/// A handle of a local state: equal where the states are.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LocalRef(pub(crate) &'static Local);

impl PartialEq for LocalRef {
    fn eq(&self, other: &Self) -> bool {
        self.0.number == other.0.number
    }
}

impl Eq for LocalRef {}

impl Hash for LocalRef {
    fn hash<H: Hasher>(&self, hasher: &mut H) {
        hasher.write_u32(self.0.number);
    }
}

/// What an input does to a local state.
#[derive(Debug)]
pub(crate) struct Edge {
    pub(crate) next: LocalRef,
    /// Numbers of messages.
    pub(crate) sent: Box<[u32]>,
    pub(crate) proposed: Box<[Proposal]>,
    /// Slots and entries.
    pub(crate) delivered: Box<[(u8, u8)]>,
    pub(crate) fault: Option<Fault>,
    /// What a role said when it stopped itself.
    pub(crate) words: String,
}

impl Local {
    /// What the input does, computed at most once; `None` where it cannot come.
    pub(crate) fn edge(
        &self,
        input: u32,
        compute: impl FnOnce() -> Option<Edge>,
    ) -> Option<&'static Edge> {
        let known = unpoisoned(self.edges.read()).get(&input).copied();
        if let Some(edge) = known {
            return edge;
        }
        let edge = compute().map(|edge| &*Box::leak(Box::new(edge)));
        let mut edges = unpoisoned(self.edges.write());
        *edges.entry(input).or_insert(edge)
    }
}

#[derive(Debug)]
struct Numbers<T: 'static> {
    numbers: HashMap<&'static T, u32>,
    all: Vec<&'static T>,
}

impl<T> Default for Numbers<T> {
    fn default() -> Self {
        Self { numbers: HashMap::new(), all: Vec::new() }
    }
}

impl<T: Hash + Eq> Numbers<T> {
    fn number(&mut self, value: T) -> u32 {
        if let Some(number) = self.numbers.get(&value) {
            return *number;
        }
        let number = self.all.len() as u32;
        let value: &'static T = Box::leak(Box::new(value));
        self.numbers.insert(value, number);
        self.all.push(value);
        number
    }
}

/// The tables.
#[derive(Debug, Default)]
pub(crate) struct Tables {
    locals: RwLock<HashMap<&'static Node, LocalRef>>,
    messages: RwLock<Numbers<Envelope>>,
    entries: RwLock<Numbers<Entry>>,
}

fn read<T>(lock: &RwLock<T>) -> std::sync::RwLockReadGuard<'_, T> {
    unpoisoned(lock.read())
}

fn write<T>(lock: &RwLock<T>) -> std::sync::RwLockWriteGuard<'_, T> {
    unpoisoned(lock.write())
}

impl Tables {
    /// The number of an entry, from 1 on.
    pub(crate) fn entry(&self, entry: &Entry) -> u8 {
        if let Some(number) = read(&self.entries).numbers.get(entry) {
            return *number as u8 + 1;
        }
        let number = write(&self.entries).number(entry.clone());
        u8::try_from(number + 1).expect("an instance has few entries")
    }

    /// The number of a message. Its lowest bits are the places of sender and receiver.
    pub(crate) fn message(&self, envelope: Envelope) -> u32 {
        let place = |replica: Option<ReplicaId>| replica.map_or(NOBODY, |replica| replica.0 - 1);
        let (from, to) = (place(envelope.from), place(envelope.to));
        let number = write(&self.messages).number(envelope);
        assert!(number < 1 << 24, "an instance has few messages");
        number << 6 | from << 3 | to
    }

    /// The message of that number.
    pub(crate) fn envelope(&self, number: u32) -> &'static Envelope {
        read(&self.messages).all[(number >> 6) as usize]
    }

    /// How many local states and messages there are.
    pub(crate) fn sizes(&self) -> (usize, usize) {
        (read(&self.locals).len(), read(&self.messages).all.len())
    }

    /// The handle of a local state; and what it says that contradicts itself.
    pub(crate) fn local(&self, node: Node) -> Result<LocalRef, Fault> {
        if let Some(local) = read(&self.locals).get(&node) {
            return Ok(*local);
        }
        let voted: Box<[Proposal]> = node
            .votes()
            .map(|(slot, ballot, entry)| (place(slot, ballot.round), self.entry(entry)))
            .collect();
        let votes = voted.iter().fold(0, |votes, (place, _)| votes | 1 << place);
        let learned = self.learned(&node)?;
        let mut locals = write(&self.locals);
        if let Some(local) = locals.get(&node) {
            return Ok(*local);
        }
        let local = Box::leak(Box::new(Local {
            number: locals.len() as u32,
            votes,
            voted,
            learned,
            promised: node.acceptor.promised().round,
            is_active: node.proposer.ballot().is_some(),
            is_leading: node.proposer.leading().is_some(),
            edges: RwLock::default(),
            node,
        }));
        locals.insert(&local.node, LocalRef(local));
        Ok(LocalRef(local))
    }

    /// What the replica takes for chosen: the slots below its mark with the ballots that it
    /// announces and the entries of its log, and those above that it has learned.
    fn learned(&self, node: &Node) -> Result<Box<[Proposal]>, Fault> {
        let (learner, mut learned) = (&node.learner, Vec::new());
        let runs = learner.announcement().runs;
        for slot in runs.iter().flat_map(|run| run.slots.iter().map(move |slot| (slot, run.ballot)))
        {
            let (slot, ballot) = slot;
            if learner.holes().iter().any(|hole| hole.contains(slot)) {
                continue;
            }
            let (_, entry) = node.read(slot).ok_or(Fault::MarkWithoutRecord)?;
            learned.push((place(slot, ballot.round), self.entry(&entry)));
        }
        for slot in (0..SLOTS_MAX as u64).map(|ahead| learner.chosen().plus(ahead)) {
            if let Some((ballot, entry)) = learner.learned_at(slot) {
                learned.push((place(slot, ballot.round), self.entry(entry)));
            }
        }
        Ok(learned.into())
    }
}
