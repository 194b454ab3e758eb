use core::cell::Cell;
use std::rc::Rc;
use std::vec::Vec;

use super::{COMMAND_BYTES_MAX, Simulation, digest, simulate_machine};
use crate::entry::Place;
use crate::machine::StateMachine;
use crate::quorum::QuorumSystem;
use crate::sim::{
    DiskFaults, Mode, Outcome, Random, Registers, Shape, Swarm, simulate, simulate_fault_free,
};

/// Adds up bytes; the first byte of a command that is 200 or more is not to its taste.
#[derive(Debug, Default, PartialEq, Hash)]
struct Account {
    balance: u64,
    /// Which machine this is, if it matters to it.
    name: u64,
}

impl StateMachine for Account {
    type Answer = u64;
    fn apply(&mut self, _: Place, command: &[u8]) -> u64 {
        assert!(command[0] < 200, "not to its taste");
        self.balance += u64::from(command[0]) + self.name / 7;
        self.balance
    }
}

fn small(_: usize, random: &mut Random) -> Vec<u8> {
    std::vec![random.below(10) as u8]
}

fn swarm(seed: u64) -> Swarm {
    let swarm = Swarm::from_seed(seed).with(|parts| {
        (parts.chaos_micros, parts.mode) = (500_000, Mode::HealAll);
    });
    swarm.unwrap()
}

/// Five replicas with links that stay in that shape.
fn partial(seed: u64, shape: Shape) -> Swarm {
    let swarm = swarm(seed).with(|parts| {
        (parts.settings.replicas, parts.weather.rot_permille) = (5, 0);
        parts.settings.config.quorums = QuorumSystem::Majority;
        parts.weather.links.single.clear();
        parts.weather.disks = DiskFaults::NONE;
        parts.mode = Mode::Partial { shape, odd: 1 };
    });
    swarm.unwrap()
}

#[test]
fn a_users_machine_runs_clean_and_the_same_each_time() {
    let simulation = Simulation::new(Account::default, small).compare().digest(digest);
    let simulation = simulation.rule("grows slowly", |account| account.balance < 1 << 20);
    let outcomes = simulation.run(&swarm(6)).unwrap();
    assert_eq!(simulation.run(&swarm(6)).unwrap(), outcomes);
    assert_eq!(simulate_machine(&swarm(6), Account::default, small), Ok(outcomes.report));
    let history = &outcomes.history;
    let answered = |o: &&super::super::Operation<u64>| matches!(o.outcome, Outcome::Answered(_));
    let answered = history.operations.iter().filter(answered).count() as u64;
    assert_eq!(outcomes.report.answered, answered);
    assert!(answered > 10, "{:?}", outcomes.report);
    assert!(history.check(Account::default()).is_ok());
}

#[test]
fn every_way_to_run_takes_a_users_machine() {
    let simulation = Simulation::new(Account::default, small).compare();
    let fair = Swarm::fault_free(3);
    assert!(simulation.run_fault_free(&fair).unwrap().report.answered > 100);
    assert!(simulation.run(&partial(3, Shape::Hub)).unwrap().report.answered > 100);
}

#[test]
fn runs_without_a_machine_use_the_registers() {
    let registers = Simulation::registers();
    assert_eq!(simulate(&swarm(4)), registers.run(&swarm(4)).map(|o| o.report));
    let fair = Swarm::fault_free(4);
    assert_eq!(simulate_fault_free(&fair), registers.run_fault_free(&fair).map(|o| o.report));
    let swarm = partial(4, Shape::Deaf);
    let run = registers.run(&swarm).map(|outcomes| outcomes.report);
    assert_eq!(simulate(&swarm), run);
    assert!(run.unwrap().operations > 0);
}

#[test]
fn a_machine_that_depends_on_which_one_it_is_is_found() {
    let made = Rc::new(Cell::new(0));
    let machine = move || {
        made.set(made.get() + 1);
        Account { balance: 0, name: 7 * made.get() }
    };
    let violation = Simulation::new(machine, small).run(&swarm(2)).unwrap_err();
    assert_eq!(violation.invariant, "ANSWER", "{violation}");
    assert!(!violation.trace.is_empty());
}

#[test]
fn a_state_that_no_answer_shows_is_found() {
    let made = Rc::new(Cell::new(0));
    let machine = move || {
        made.set(made.get() + 1);
        Account { balance: 0, name: made.get() % 7 }
    };
    let simulation = Simulation::new(machine, small);
    // Their answers are the same: without a comparison nobody sees it.
    simulation.run(&swarm(2)).unwrap();
    assert_eq!(simulation.compare().run(&swarm(2)).unwrap_err().invariant, "STATE");
}

#[test]
fn a_rule_of_the_users_is_held_against_every_state() {
    let simulation = Simulation::new(Account::default, small);
    let violation = simulation.rule("below 5", |account| account.balance < 5);
    let violation = violation.run(&swarm(2)).unwrap_err();
    assert_eq!(violation.invariant, "RULE");
    assert!(violation.text.starts_with("below 5"), "{violation}");
}

#[test]
fn a_panic_and_a_command_that_is_too_long_end_the_run() {
    let sour = |_: usize, _: &mut Random| std::vec![200];
    let violation = simulate_machine(&swarm(1), Account::default, sour).unwrap_err();
    assert_eq!((violation.invariant, &*violation.text), ("PANIC", "not to its taste"));
    let long = |_: usize, _: &mut Random| std::vec![1; COMMAND_BYTES_MAX + 1];
    let violation = simulate_machine(&swarm(1), Account::default, long).unwrap_err();
    assert_eq!(violation.invariant, "PANIC");
    assert!(violation.text.contains("8193 bytes"), "{violation}");
    let longest = |_: usize, _: &mut Random| std::vec![1; COMMAND_BYTES_MAX];
    for seed in 1..4 {
        simulate_machine(&swarm(seed), Account::default, longest).unwrap();
    }
}

#[test]
fn registers_show_what_was_applied_before() {
    let place = Place { slot: crate::slot::Slot(0), index: 0 };
    let mut machine = Registers::default();
    let kinds: Vec<_> = (0..200u64)
        .map(|number| {
            let command = super::super::RegisterCommand::parse(&number.to_le_bytes());
            machine.apply(place, &number.to_le_bytes());
            (command.register, core::mem::discriminant(&command.kind))
        })
        .collect();
    for register in 0..4 {
        let mut of: Vec<_> = kinds.iter().filter(|kind| kind.0 == register).collect();
        of.dedup();
        assert!(of.len() > 10, "register {register} is used in one way only");
    }
    let mut shorter = Registers::default();
    (0..199u64).for_each(|number| {
        shorter.apply(place, &number.to_le_bytes());
    });
    assert_ne!(digest(&machine), digest(&shorter));
    shorter.apply(place, &199u64.to_le_bytes());
    assert_eq!(machine, shorter);
}
