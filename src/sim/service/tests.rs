use std::rc::Rc;
use std::vec::Vec;

use bytes::Bytes;

use super::{Plan, Request, Service, Serving, Standing};
use crate::entry::{BatchBuilder, CommandId, Entry, Place};
use crate::machine::StateMachine;
use crate::membership::{DiskId, Incarnation, Peer, ReplicaId};
use crate::output::Fate;
use crate::sim::oracle::Broken;
use crate::slot::Slot;

/// Every machine of these runs, and more.
const RESTED: Option<&[bool]> = Some(&[true; 9]);

/// Adds the length of each command, and answers the sum; in wrong ways if it is told to.
#[derive(Clone, Default, PartialEq)]
struct Sum {
    sum: usize,
    wrong: Wrong,
    /// Only the comparison of states looks here.
    hidden: usize,
}

#[derive(Clone, Copy, Default, PartialEq)]
enum Wrong {
    #[default]
    Nothing,
    Answer,
    State,
    Silent,
    Batch,
}

impl StateMachine for Sum {
    type Answer = usize;
    fn apply(&mut self, _: Place, command: &[u8]) -> usize {
        self.sum += command.len();
        self.hidden += usize::from(self.wrong == Wrong::State);
        self.sum + usize::from(self.wrong == Wrong::Answer)
    }
    fn apply_batch(
        &mut self,
        slot: Slot,
        commands: crate::entry::Commands<'_>,
        answer: &mut dyn FnMut(usize),
    ) {
        for (index, command) in (0u32..).zip(commands) {
            let sum = self.apply(Place { slot, index }, command);
            if self.wrong != Wrong::Silent {
                answer(sum);
            }
        }
        self.hidden += usize::from(self.wrong == Wrong::Batch);
    }
}

/// Two hosts, with the machine of the second going wrong.
struct Run {
    service: Serving<Sum>,
    sent: u64,
}

fn peer(replica: u32, life: u64) -> Peer {
    Peer { replica: ReplicaId(replica), disk: DiskId::default(), incarnation: Incarnation(life) }
}

fn id(sequence: u64) -> CommandId {
    CommandId { replica: ReplicaId(1), incarnation: Incarnation(1), sequence }
}

fn batch(ids: &[u64]) -> Entry {
    let mut builder = BatchBuilder::default();
    ids.iter().for_each(|sequence| builder.push(id(*sequence), b"xy"));
    builder.build().map_or(Entry::Noop, Entry::Batch)
}

fn chosen(slot: u64, index: u32) -> Fate {
    Fate::Chosen { slot: Slot(slot), index }
}

impl Run {
    fn of(change: impl FnOnce(&mut Plan<Sum>)) -> Self {
        let mut plan = Plan {
            machine: Rc::new(Sum::default),
            workload: Rc::new(|request: Request<'_>| std::vec![0; request.bytes]),
            digest: None,
            equal: None,
            rules: Vec::new(),
        };
        change(&mut plan);
        let mut run = Self { service: Serving::new(plan, 2, 1), sent: 0 };
        (0..4).for_each(|_| run.send());
        run
    }

    fn new() -> Self {
        Self::of(|_| {})
    }

    fn wrong(mut self, wrong: Wrong) -> Self {
        self.service.hosts[1].machine.wrong = wrong;
        self
    }

    fn send(&mut self) {
        let operation = self.service.invoke(1, id(self.sent), Bytes::from_static(b"xy")).unwrap();
        assert_eq!(operation as u64, self.sent);
        self.sent += 1;
    }

    fn apply(&mut self, at: usize, slot: u64, ids: &[u64]) -> Result<(), Broken> {
        self.service.apply(at, peer(at as u32 + 1, 1), Slot(slot), &batch(ids))
    }

    fn both(&mut self, slot: u64, ids: &[u64]) {
        (0..2).for_each(|at| self.apply(at, slot, ids).unwrap());
    }

    fn fate(&mut self, sequence: u64, fate: Fate) -> Result<(), Broken> {
        self.service.fate(peer(1, 1), sequence..sequence + 1, fate)
    }
}

fn name<T>(result: Result<T, Broken>) -> &'static str {
    result.err().map_or("", |broken| broken.invariant)
}

#[test]
fn a_sound_run_breaks_nothing_and_tells_its_clients() {
    let mut run = Run::of(|plan| {
        plan.equal = Some(|one, other| one == other);
        plan.digest = Some(Rc::new(|machine| machine.sum as u64));
        plan.rules.push(("even", Rc::new(|machine| machine.sum % 2 == 0)));
    });
    run.both(0, &[0, 1]);
    run.both(1, &[]);
    run.service.fate(peer(1, 1), 0..2, chosen(0, 0)).unwrap();
    run.fate(2, Fate::Superseded).unwrap();
    run.service.give_up(3);
    run.both(2, &[3]);
    let standing = |operation| run.service.standing(operation);
    assert_eq!(standing(1), Standing::Answered);
    assert_eq!(standing(2), Standing::Never(None));
    run.service.finish(RESTED).unwrap();
    assert_eq!(run.service.operations(), (4, 2));
    let history = run.service.history();
    let returned: Vec<_> = history.operations.iter().map(|one| one.returned).collect();
    assert_eq!(returned, [Some(5), Some(6), Some(7), None]);
}

#[test]
fn what_a_stopped_replica_took_in_stays_unknown() {
    let mut run = Run::new();
    run.service.give_up(0);
    assert_eq!(run.service.stop(peer(1, 1)), 3);
    run.service.start(0);
    run.both(0, &[0, 1]);
    assert_eq!(run.service.standing(1), Standing::Stopped);
    assert_eq!(run.service.operations(), (4, 0));
    run.service.finish(RESTED).unwrap();
}

#[test]
fn exo_a_command_is_applied_twice_or_in_two_places_or_was_never_sent() {
    let mut run = Run::new();
    run.both(0, &[0]);
    assert_eq!(name(run.apply(0, 1, &[0])), "EXO");
    let mut run = Run::new();
    run.apply(0, 0, &[0, 1]).unwrap();
    assert_eq!(name(run.apply(1, 0, &[1, 0])), "EXO");
    assert_eq!(name(Run::new().apply(0, 0, &[9])), "EXO");
    let mut run = Run::new();
    run.apply(0, 0, &[0]).unwrap();
    assert_eq!(name(run.apply(0, 0, &[0])), "EXO", "a slot is applied again");
    assert_eq!(name(run.apply(0, 2, &[1])), "EXO", "a slot is passed over");
}

#[test]
fn answer_replicas_answer_differently_or_not_at_all() {
    let mut run = Run::new().wrong(Wrong::Answer);
    run.apply(0, 0, &[0]).unwrap();
    assert_eq!(name(run.apply(1, 0, &[0])), "ANSWER");
    assert_eq!(name(Run::new().wrong(Wrong::Silent).apply(1, 0, &[0])), "ANSWER");
}

#[test]
fn state_replicas_differ_after_the_same_slot() {
    let compared =
        |plan: &mut Plan<Sum>| plan.equal = Some(|one, other| one.hidden == other.hidden);
    let digested = |plan: &mut Plan<Sum>| {
        plan.digest = Some(Rc::new(|machine| machine.hidden as u64));
    };
    let changes: [fn(&mut Plan<Sum>); 2] = [compared, digested];
    for change in changes {
        let mut run = Run::of(change).wrong(Wrong::State);
        run.apply(0, 0, &[0]).unwrap();
        assert_eq!(name(run.apply(1, 0, &[0])), "STATE");
    }
    Run::new().wrong(Wrong::State).both(0, &[0]);
}

#[test]
fn state_a_later_life_differs() {
    let mut run = Run::of(|plan| plan.digest = Some(Rc::new(|machine| machine.hidden as u64)));
    run.both(0, &[0]);
    run.service.start(1);
    let mut run = run.wrong(Wrong::State);
    assert_eq!(name(run.apply(1, 0, &[0])), "STATE");
}

#[test]
fn state_a_batch_is_not_its_commands_one_by_one() {
    let mut run = Run::of(|plan| plan.equal = Some(|one, other| one.hidden == other.hidden));
    run.service.hosts.iter_mut().for_each(|host| host.machine.wrong = Wrong::Batch);
    run.both(0, &[0]);
    assert_eq!(name(run.service.finish(RESTED)), "STATE");
}

#[test]
fn rule_the_users_own_does_not_hold() {
    let rule: super::Rule<Sum> = ("at most 4", Rc::new(|machine: &Sum| machine.sum <= 4));
    let mut run = Run::of(|plan| plan.rules.push(rule));
    run.both(0, &[0, 1]);
    let broken = run.apply(0, 1, &[2]).unwrap_err();
    assert_eq!(broken.invariant, "RULE");
    assert!(broken.text.contains("at most 4"), "{}", broken.text);
}

#[test]
fn fate_is_told_twice_or_of_nothing() {
    let mut run = Run::new();
    run.fate(0, Fate::Superseded).unwrap();
    assert_eq!(name(run.fate(0, Fate::Superseded)), "FATE");
    assert_eq!(name(run.fate(9, Fate::Superseded)), "FATE");
    let next = run.service.invoke(1, id(7), Bytes::new());
    assert_eq!(name(next), "FATE", "names are counted");
}

#[test]
fn fate_is_not_what_the_machines_found() {
    // Denied, and applied.
    let mut run = Run::new();
    run.fate(0, Fate::NotLeader { leader: None }).unwrap();
    run.both(0, &[0]);
    assert_eq!(name(run.service.finish(None)), "FATE");
    // Chosen elsewhere.
    let mut run = Run::new();
    run.both(0, &[0, 1]);
    run.service.fate(peer(1, 1), 0..2, chosen(0, 1)).unwrap();
    assert_eq!(name(run.service.finish(None)), "FATE");
    // Chosen, and nobody ever applies it: at rest only.
    let mut run = Run::new();
    run.fate(0, chosen(0, 0)).unwrap();
    run.service.finish(None).unwrap();
    assert_eq!(name(run.service.finish(RESTED)), "FATE");
}

#[test]
fn dur_a_machine_lacks_what_another_has_applied() {
    let mut run = Run::new();
    run.apply(0, 0, &[0]).unwrap();
    run.service.finish(None).unwrap();
    assert_eq!(name(run.service.finish(RESTED)), "DUR");
}

#[test]
fn lin_a_client_hears_too_much() {
    let mut run = Run::new();
    run.both(0, &[0]);
    run.service.operations[0].outcome = super::Outcome::Answered(3);
    assert_eq!(name(run.service.finish(RESTED)), "LIN");
    let mut run = Run::new();
    run.both(0, &[1]);
    run.send();
    // Sent after the answer to 1, but before it in the log.
    run.service.operations[4].place = Some(Place { slot: Slot(0), index: 0 });
    run.service.operations[1].place = Some(Place { slot: Slot(1), index: 0 });
    assert_eq!(name(run.service.finish(None)), "LIN");
}
