//! The state machines of a run, and the history of the clients that use them.
//!
//! Judged as it happens: that each command is applied once (`EXO`), that all replicas answer the
//! same (`ANSWER`) and are in the same state after the same slot (`STATE`), in every life, and that
//! the user's own rules hold (`RULE`). At the end: that the history is linearizable (`LIN`), that
//! every fate was reported as it is (`FATE`), and that nothing is lost (`DUR`).

use core::any::Any;
use core::fmt::Debug;
use core::ops::Range;
use std::collections::BTreeMap;
use std::format;
use std::rc::Rc;
use std::string::String;
use std::vec::Vec;

use bytes::Bytes;

use crate::entry::{Batch, CommandId, Entry, Place};
use crate::machine::StateMachine;
use crate::membership::{Incarnation, Peer, ReplicaId};
use crate::output::Fate;
use crate::slot::Slot;

use super::history::{History, HistoryError, Operation, Outcome};
use super::oracle::{Broken, broken};
use super::random::Random;

/// How many bytes of a command a violation shows.
const SHOWN_BYTES: usize = 40;

/// A command is to be made.
pub(crate) struct Request<'a> {
    /// By which client.
    pub(crate) client: usize,
    /// How many were made before.
    pub(crate) number: u64,
    /// About how long it is to be, if the workload has no say in it.
    pub(crate) bytes: usize,
    /// For what is random in it.
    pub(crate) random: &'a mut Random,
}

/// How a client stands with a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    /// Nothing is known yet.
    Waiting,
    /// It was answered.
    Answered,
    /// It is never applied; who may lead.
    Never(Option<ReplicaId>),
    /// Nothing will be known: its replica stopped.
    Stopped,
}

/// Sums up a state.
pub(crate) type Digest<M> = Rc<dyn Fn(&M) -> u64>;

/// A rule of the user's, and its name.
pub(crate) type Rule<M> = (&'static str, Rc<dyn Fn(&M) -> bool>);

/// What a user plugs in.
pub(crate) struct Plan<M> {
    /// Makes a machine as new.
    pub(crate) machine: Rc<dyn Fn() -> M>,
    /// Makes the clients' commands.
    pub(crate) workload: Rc<dyn Fn(Request<'_>) -> Vec<u8>>,
    /// Sums up a state.
    pub(crate) digest: Option<Digest<M>>,
    /// Whether two states are the same.
    pub(crate) equal: Option<fn(&M, &M) -> bool>,
    /// What must hold of every state.
    pub(crate) rules: Vec<Rule<M>>,
}

impl<M> Clone for Plan<M> {
    fn clone(&self) -> Self {
        Self {
            machine: self.machine.clone(),
            workload: self.workload.clone(),
            digest: self.digest.clone(),
            equal: self.equal,
            rules: self.rules.clone(),
        }
    }
}

/// What a cluster asks of its state machines and of the record of its clients, whatever their type.
pub(crate) trait Service: Any {
    /// Makes the next command of a client.
    fn command(&mut self, client: usize, bytes: usize) -> Vec<u8>;
    /// A host starts, with a machine as new.
    fn start(&mut self, at: usize);
    /// A host stops: what its clients wait for stays unknown. How many commands that are.
    fn stop(&mut self, peer: Peer) -> u64;
    /// A client's command was taken in. Its index in the history.
    fn invoke(&mut self, client: usize, id: CommandId, command: Bytes) -> Result<usize, Broken>;
    /// A replica reports what became of commands that it took in.
    fn fate(&mut self, from: Peer, commands: Range<u64>, fate: Fate) -> Result<(), Broken>;
    /// A host's machine is given the next entry.
    fn apply(&mut self, at: usize, peer: Peer, slot: Slot, entry: &Entry) -> Result<(), Broken>;
    /// How the client of the operation stands with it.
    fn standing(&self, operation: usize) -> Standing;
    /// The client waits no longer.
    fn give_up(&mut self, operation: usize);
    /// Judges the whole history. `rested` says which hosts have applied all that is chosen, if the
    /// cluster came to rest.
    fn finish(&self, rested: Option<&[bool]>) -> Result<(), Broken>;
    /// How many operations there are, and how many of them were answered.
    fn operations(&self) -> (u64, u64);
}

/// One host's machine.
struct Served<M> {
    machine: M,
    /// Every slot below was applied in this life.
    next: Slot,
    /// How many commands were applied in this life.
    commands: usize,
}

/// What is known of an operation beside its history.
struct Known<A> {
    /// What it was answered by the first machine that applied it, and whose that was.
    answer: Option<(A, usize)>,
    fate: Option<Fate>,
    standing: Standing,
    /// Whether its client has stopped waiting before anything was known.
    given_up: bool,
}

/// State machines of one type, and their history.
pub(crate) struct Serving<M: StateMachine> {
    plan: Plan<M>,
    random: Random,
    /// How many commands were made.
    made: u64,
    hosts: Vec<Served<M>>,
    operations: Vec<Operation<M::Answer>>,
    known: Vec<Known<M::Answer>>,
    /// The operations that each life of each replica took in, by their sequence.
    lives: BTreeMap<(ReplicaId, Incarnation), Vec<usize>>,
    /// The digest after each slot, and whose machine had it first.
    states: Vec<(u64, usize)>,
    /// Counts what clients saw.
    ticks: u64,
    /// The answers to the batch at hand.
    answers: Vec<M::Answer>,
}

impl<M: StateMachine> Serving<M>
where
    M::Answer: Clone + Debug + PartialEq,
{
    pub(crate) fn new(plan: Plan<M>, replicas: usize, seed: u64) -> Self {
        let host = |_| Served { machine: (plan.machine)(), next: Slot::ZERO, commands: 0 };
        Self {
            hosts: (0..replicas).map(host).collect(),
            plan,
            random: Random::from_seed(seed ^ 0xc0_33a4d),
            made: 0,
            operations: Vec::new(),
            known: Vec::new(),
            lives: BTreeMap::new(),
            states: Vec::new(),
            ticks: 0,
            answers: Vec::new(),
        }
    }

    /// The history so far.
    pub(crate) fn history(&self) -> History<M::Answer> {
        History { operations: self.operations.clone() }
    }

    fn tick(&mut self) -> u64 {
        self.ticks += 1;
        self.ticks
    }

    /// The client hears what became of its command.
    fn return_to_client(&mut self, operation: usize, to: Standing, outcome: Outcome<M::Answer>) {
        let known = &mut self.known[operation];
        if known.standing == Standing::Waiting {
            known.standing = to;
            if !known.given_up {
                let returned = self.tick();
                self.operations[operation].returned = Some(returned);
                self.operations[operation].outcome = outcome;
            }
        }
    }

    /// ANSWER: a machine gives each command of a batch one answer.
    fn run_batch(&mut self, at: usize, slot: Slot, batch: &Batch) -> Result<(), Broken> {
        self.answers.clear();
        let (host, answers) = (&mut self.hosts[at], &mut self.answers);
        host.machine.apply_batch(slot, batch.commands(), &mut |answer| answers.push(answer));
        let (given, count) = (answers.len(), batch.count() as usize);
        host.commands += count;
        if given != count {
            return broken("ANSWER", format!("{given} answers to the {count} commands of {slot}"));
        }
        Ok(())
    }

    /// The machine of a host has applied the command at the place.
    fn applied(
        &mut self,
        at: usize,
        peer: Peer,
        id: CommandId,
        place: Place,
    ) -> Result<(), Broken> {
        let life = self.lives.get(&(id.replica, id.incarnation));
        let Some(&operation) = life.and_then(|life| life.get(id.sequence as usize)) else {
            return broken("EXO", format!("{place} holds {id:?}, which no client sent"));
        };
        let answer = self.answers[place.index as usize].clone();
        self.exo_one_place(operation, place)?;
        self.answer_same(at, operation, &answer)?;
        if id.replica == peer.replica && id.incarnation == peer.incarnation {
            self.return_to_client(operation, Standing::Answered, Outcome::Answered(answer));
        }
        Ok(())
    }

    /// EXO: each command has one place. Places are applied in their order, so it is applied once.
    fn exo_one_place(&mut self, operation: usize, place: Place) -> Result<(), Broken> {
        let id = self.operations[operation].id;
        let known = *self.operations[operation].place.get_or_insert(place);
        if known != place {
            return broken("EXO", format!("{id:?} is applied at {known} and at {place}"));
        }
        Ok(())
    }

    /// ANSWER: whoever applies a command, in whichever life, gives the same answer.
    fn answer_same(
        &mut self,
        at: usize,
        operation: usize,
        answer: &M::Answer,
    ) -> Result<(), Broken> {
        let known = &mut self.known[operation].answer;
        let (first, by) = known.get_or_insert_with(|| (answer.clone(), at));
        if first != answer {
            let Operation { place, command, .. } = &self.operations[operation];
            let shown = command[..command.len().min(SHOWN_BYTES)].escape_ascii();
            return broken(
                "ANSWER",
                format!(
                    "{} answers {answer:?} to \"{shown}\" at {}, {} had answered {first:?}",
                    at + 1,
                    place.map_or_else(String::new, |place| format!("{place}")),
                    *by + 1,
                ),
            );
        }
        Ok(())
    }

    /// STATE: after the same slot all machines are in the same state, in every life.
    fn state_same(&mut self, at: usize, slot: Slot) -> Result<(), Broken> {
        let (host, differs) = (&self.hosts[at], "after the same slots the states of");
        if let Some(digest) = &self.plan.digest {
            let state = digest(&host.machine);
            if self.states.len() as u64 == slot.0 {
                self.states.push((state, at));
            }
            let (first, by) = self.states[slot.0 as usize];
            if state != first {
                return broken(
                    "STATE",
                    format!("{differs} {} and {} differ: {slot}", by + 1, at + 1),
                );
            }
        }
        if let Some(equal) = self.plan.equal {
            let mut others = self.hosts.iter().enumerate();
            let level = others.find(|(by, other)| *by != at && other.next == host.next);
            if let Some((by, other)) = level
                && !equal(&other.machine, &host.machine)
            {
                return broken(
                    "STATE",
                    format!("{differs} {} and {} differ: {slot}", by + 1, at + 1),
                );
            }
        }
        Ok(())
    }

    /// RULE: what the user demands of every state holds.
    fn rules_hold(&self, at: usize, slot: Slot) -> Result<(), Broken> {
        let machine = &self.hosts[at].machine;
        match self.plan.rules.iter().find(|(_, holds)| !holds(machine)) {
            Some((name, _)) => {
                broken("RULE", format!("{name}: does not hold on {} after {slot}", at + 1))
            }
            None => Ok(()),
        }
    }

    /// FATE: what was reported of each command is where the machines found it.
    fn fates_are_true(&self, rested: bool) -> Result<(), Broken> {
        for (operation, known) in self.operations.iter().zip(&self.known) {
            let place = operation.place;
            let lies = match known.fate {
                Some(Fate::Chosen { slot, index }) => {
                    let told = Place { slot, index };
                    place.map_or(rested, |place| place != told)
                }
                Some(Fate::Superseded | Fate::NotLeader { .. }) => place.is_some(),
                None => false,
            };
            if lies {
                let (id, fate) = (operation.id, known.fate);
                return broken(
                    "FATE",
                    format!("{id:?} is told {fate:?}, and applied at {place:?}"),
                );
            }
        }
        Ok(())
    }

    /// DUR: every machine has applied every command that any machine ever applied.
    fn nothing_is_lost(&self, rested: &[bool]) -> Result<(), Broken> {
        let placed = self.operations.iter().filter(|operation| operation.place.is_some()).count();
        for (at, host) in self.hosts.iter().enumerate().filter(|(at, _)| rested[*at]) {
            if host.commands != placed {
                return broken(
                    "DUR",
                    format!("{} has {} commands, of {placed} applied", at + 1, host.commands),
                );
            }
        }
        Ok(())
    }

    /// STATE: every machine is as one that applied the log's commands one by one.
    fn as_replayed(&self, replayed: &M, rested: &[bool]) -> Result<(), Broken> {
        for (at, host) in self.hosts.iter().enumerate().filter(|(at, _)| rested[*at]) {
            let differs = self.plan.equal.is_some_and(|equal| !equal(&host.machine, replayed))
                || self.plan.digest.as_ref().is_some_and(|d| d(&host.machine) != d(replayed));
            if differs {
                let text = format!("{} is not as a machine that applies each by itself", at + 1);
                return broken("STATE", text);
            }
        }
        Ok(())
    }
}

impl<M: StateMachine> Service for Serving<M>
where
    M::Answer: Clone + Debug + PartialEq,
{
    fn command(&mut self, client: usize, bytes: usize) -> Vec<u8> {
        self.made += 1;
        let (number, random) = (self.made, &mut self.random);
        (self.plan.workload)(Request { client, number, bytes, random })
    }

    fn start(&mut self, at: usize) {
        let machine = (self.plan.machine)();
        self.hosts[at] = Served { machine, next: Slot::ZERO, commands: 0 };
    }

    fn stop(&mut self, peer: Peer) -> u64 {
        let mut unknown = 0;
        for &operation in self.lives.get(&(peer.replica, peer.incarnation)).into_iter().flatten() {
            let known = &mut self.known[operation];
            if known.standing == Standing::Waiting {
                known.standing = Standing::Stopped;
                unknown += u64::from(!known.given_up);
            }
        }
        unknown
    }

    fn invoke(&mut self, client: usize, id: CommandId, command: Bytes) -> Result<usize, Broken> {
        let (operation, invoked) = (self.operations.len(), self.tick());
        let life = self.lives.entry((id.replica, id.incarnation)).or_default();
        if life.len() as u64 != id.sequence {
            return broken("FATE", format!("{id:?} is not the next name after {}", life.len()));
        }
        life.push(operation);
        let outcome = Outcome::Unknown;
        let new = Operation { client, id, command, invoked, returned: None, outcome, place: None };
        self.operations.push(new);
        let standing = Standing::Waiting;
        self.known.push(Known { answer: None, fate: None, standing, given_up: false });
        Ok(operation)
    }

    fn fate(&mut self, from: Peer, commands: Range<u64>, fate: Fate) -> Result<(), Broken> {
        for (nth, sequence) in (0u32..).zip(commands) {
            let life = self.lives.get(&(from.replica, from.incarnation));
            let Some(&operation) = life.and_then(|life| life.get(sequence as usize)) else {
                return broken("FATE", format!("{fate:?} of {sequence}, which no client sent"));
            };
            let fate = match fate {
                Fate::Chosen { slot, index } => Fate::Chosen { slot, index: index + nth },
                Fate::Superseded | Fate::NotLeader { .. } => fate,
            };
            if let Some(before) = self.known[operation].fate.replace(fate) {
                return broken("FATE", format!("{sequence} is told {before:?}, then {fate:?}"));
            }
            // The answer of one that is chosen comes from the machine.
            match fate {
                Fate::Chosen { .. } => {}
                Fate::Superseded => {
                    self.return_to_client(operation, Standing::Never(None), Outcome::Never);
                }
                Fate::NotLeader { leader } => {
                    self.return_to_client(operation, Standing::Never(leader), Outcome::Never);
                }
            }
        }
        Ok(())
    }

    fn apply(&mut self, at: usize, peer: Peer, slot: Slot, entry: &Entry) -> Result<(), Broken> {
        let next = &mut self.hosts[at].next;
        if slot != *next {
            return broken("EXO", format!("{} applies {slot}, but {next} is next", at + 1));
        }
        *next = slot.next();
        if let Entry::Batch(batch) = entry {
            self.run_batch(at, slot, batch)?;
            let mut index = 0;
            for origin in batch.origins() {
                for nth in 0..u64::from(origin.count) {
                    let sequence = origin.first.sequence + nth;
                    let id = CommandId { sequence, ..origin.first };
                    self.applied(at, peer, id, Place { slot, index })?;
                    index += 1;
                }
            }
        }
        self.state_same(at, slot)?;
        self.rules_hold(at, slot)
    }

    fn standing(&self, operation: usize) -> Standing {
        self.known[operation].standing
    }

    fn give_up(&mut self, operation: usize) {
        self.known[operation].given_up = true;
    }

    fn finish(&self, rested: Option<&[bool]>) -> Result<(), Broken> {
        self.fates_are_true(rested.is_some())?;
        let replayed = match self.history().check((self.plan.machine)()) {
            Ok(replayed) => replayed,
            Err(error) => return broken(invariant_of(&error), format!("{error}")),
        };
        if let Some(rested) = rested {
            self.nothing_is_lost(rested)?;
            self.as_replayed(&replayed, rested)?;
        }
        Ok(())
    }

    fn operations(&self) -> (u64, u64) {
        let answered =
            |operation: &&Operation<_>| matches!(operation.outcome, Outcome::Answered(_));
        let answered = self.operations.iter().filter(answered).count();
        (self.operations.len() as u64, answered as u64)
    }
}

/// Which claim the history breaks.
fn invariant_of(error: &HistoryError) -> &'static str {
    match error {
        HistoryError::OutOfOrder { .. } | HistoryError::WrongAnswer { .. } => "LIN",
        HistoryError::SharedPlace { .. } => "EXO",
        HistoryError::AnsweredNowhere { .. } | HistoryError::NeverButApplied { .. } => "FATE",
    }
}

#[cfg(test)]
mod tests;
