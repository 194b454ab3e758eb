//! Your own state machine under faults: a bank, 20 clusters, 3 seconds of chaos each.
//!
//! ```text
//! cargo run --release --example own_machine
//! cargo run --release --example own_machine -- --careless
//! ```
//!
//! With `--careless` the bank shares its pot out in the order of a hash map, which differs from
//! replica to replica; that is found within a few commands. Exit code 0 if all runs are clean, 1 if
//! something is found, 2 if the option is none.

use std::collections::HashMap;
use std::process::ExitCode;

use synod::sim::{Random, Simulation, Swarm, Violation};
use synod::{Place, StateMachine};

const ACCOUNTS: u8 = 5;
const COINS: u64 = 100;

#[derive(PartialEq)]
struct Bank {
    accounts: HashMap<u8, u64>,
    pot: u64,
    careless: bool,
}

impl Bank {
    fn new(careless: bool) -> Self {
        let accounts = (0..ACCOUNTS).map(|name| (name, COINS)).collect();
        Self { accounts, pot: 0, careless }
    }

    fn total(&self) -> u64 {
        self.pot + (0..ACCOUNTS).map(|name| self.accounts[&name]).sum::<u64>()
    }

    /// One coin for each account, while there are any.
    #[expect(clippy::disallowed_methods, reason = "the mistake that this example shows")]
    fn share_out(&mut self) {
        let mut names: Vec<u8> = self.accounts.keys().copied().collect();
        if !self.careless {
            names.sort_unstable();
        }
        for name in names {
            let coins = self.pot.min(1);
            self.pot -= coins;
            *self.accounts.entry(name).or_default() += coins;
        }
    }
}

impl StateMachine for Bank {
    /// The balance of the account that was named, `None` if the command makes no sense.
    type Answer = Option<u64>;

    fn apply(&mut self, _: Place, command: &[u8]) -> Option<u64> {
        match *command {
            // An account pays some coins into the pot.
            [b'p', name, coins] => {
                let balance = self.accounts.get_mut(&name)?;
                let coins = u64::from(coins).min(*balance);
                *balance -= coins;
                self.pot += coins;
                Some(*balance)
            }
            [b's', name] => {
                self.share_out();
                self.accounts.get(&name).copied()
            }
            _ => None,
        }
    }
}

/// What a client sends: mostly payments.
fn command(_client: usize, random: &mut Random) -> Vec<u8> {
    let name = random.below(ACCOUNTS.into()) as u8;
    if random.chance(300) { vec![b's', name] } else { vec![b'p', name, random.below(4) as u8] }
}

/// How many commands were answered; or which seed found what.
fn run(careless: bool) -> Result<u64, (u64, Violation)> {
    let simulation = Simulation::new(move || Bank::new(careless), command)
        .compare()
        .rule("no coin is made or lost", |bank| bank.total() == u64::from(ACCOUNTS) * COINS);
    let run = |seed| match simulation.run(&Swarm::from_seed(seed)) {
        Ok(outcomes) => Ok(outcomes.report.answered),
        Err(violation) => Err((seed, violation)),
    };
    (1..=20).map(run).sum()
}

fn main() -> ExitCode {
    let options: Vec<String> = std::env::args().skip(1).collect();
    let careless = match options.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [] => false,
        ["--careless"] => true,
        _ => {
            eprintln!("own_machine: the one option is --careless, not {:?}", options.join(" "));
            return ExitCode::from(2);
        }
    };
    match run(careless) {
        Ok(answered) => {
            println!("20 runs are clean: {answered} commands answered, every history linearizable");
            ExitCode::SUCCESS
        }
        Err((seed, violation)) => {
            let Violation { invariant, text, step, time, trace, .. } = violation;
            let last = trace.len().saturating_sub(5);
            println!("seed {seed} finds {invariant} at step {step}, {time}: {text}");
            println!("{}", trace[last..].join("\n"));
            ExitCode::FAILURE
        }
    }
}
