//! Checks synod's roles in every order of messages, syncs and crashes, within bounds.
//!
//! Exit codes: 0 if every claim holds and every mark was reached, 1 if not, 2 for a bad option.

mod bounds;
mod fault;
mod model;
mod node;
mod tables;
mod wiring;

use std::process::ExitCode;
use std::sync::PoisonError;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use clap::{CommandFactory, Parser, Subcommand};
use stateright::{Checker, Expectation, HasDiscoveries, Model};

use crate::bounds::{Bounds, CI, Options};
use crate::fault::Fault;
use crate::model::{Action, CLAIMS, Cluster, State};

#[derive(Parser)]
#[command(about = "Checks synod's roles in every order of messages, syncs and crashes")]
struct Command {
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
    /// Checks one instance, and shows the way to a claim that does not hold.
    Check {
        #[command(flatten)]
        options: Options,
        #[command(flatten)]
        effort: Effort,
    },
    /// Checks the instances that every change must pass, to their ends.
    Ci,
    /// Lists the claims.
    Claims,
}

/// How to search, and how far.
#[derive(Clone, Debug, Default, clap::Args)]
struct Effort {
    /// Breadth first, so that what is shown is the shortest way. Needs more memory.
    #[arg(long, conflicts_with = "threads")]
    shortest: bool,
    /// On so many threads.
    #[arg(long, value_parser = clap::value_parser!(u8).range(1..=64))]
    threads: Option<u8>,
    /// Stops after about so many seconds. What was seen until then is judged.
    #[arg(long)]
    seconds: Option<u64>,
    /// Prints one line, for a table.
    #[arg(long)]
    brief: bool,
    /// Judges only what has come of a fault: two entries chosen, proposed or delivered. The faults
    /// themselves, such as a message before its record, are let pass.
    #[arg(long)]
    consequences: bool,
}

/// What has come of a search.
struct Findings {
    bounds: Bounds,
    generated: usize,
    unique: usize,
    depth: usize,
    locals: usize,
    messages: usize,
    seconds: f64,
    complete: bool,
    /// Marks that were not reached.
    missed: Vec<&'static str>,
    broken: Option<Broken>,
}

/// A claim that does not hold, and the way there.
struct Broken {
    fault: Fault,
    steps: Vec<String>,
    end: String,
}

fn main() -> ExitCode {
    quiet_checkers();
    match Command::parse().what {
        What::Check { options, effort } => {
            let bounds = options.bounds().unwrap_or_else(|why| {
                Command::command().error(clap::error::ErrorKind::ValueValidation, why).exit()
            });
            let findings = search(bounds, &effort);
            if effort.brief {
                findings.print_line()
            } else {
                findings.print()
            }
            findings.exit_code()
        }
        What::Ci => check_all(),
        What::Claims => {
            Fault::ALL.iter().for_each(|fault| println!("{}", fault.claim()));
            ExitCode::SUCCESS
        }
    }
}

fn check_all() -> ExitCode {
    let (mut unique, mut bad, from) = (0, 0, now());
    for options in CI {
        let words = ["check"].iter().chain(options.iter()).chain(&["--threads", "2"]);
        let parsed = Command::parse_from(std::iter::once(&"model").chain(words));
        let What::Check { options, effort } = parsed.what else { continue };
        let bounds = options.bounds().expect("the instances of CI make sense");
        let findings = search(bounds, &effort);
        findings.print();
        unique += findings.unique;
        bad += usize::from(!findings.holds() || !findings.complete);
    }
    let instances = CI.len();
    println!("{unique} states of {instances} instances in {:.0} s", from.elapsed().as_secs_f64());
    if bad > 0 {
        println!("{bad} instances FAILED");
    }
    ExitCode::from(u8::from(bad > 0))
}

/// A role that stops itself is judged by the model; what it says is shown with the way there.
fn quiet_checkers() {
    let loud = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        let thread = std::thread::current();
        if !thread.name().is_some_and(|name| name.starts_with("checker-")) {
            loud(panic);
        }
    }));
}

#[expect(clippy::disallowed_methods, reason = "a tool that says how long it took")]
fn now() -> Instant {
    Instant::now()
}

fn search(bounds: Bounds, effort: &Effort) -> Findings {
    let only = if effort.consequences { Fault::CONSEQUENCES } else { &Fault::ALL };
    let cluster = Cluster::new(bounds, only);
    let builder = cluster
        .checker()
        .threads(effort.threads.unwrap_or(1).into())
        .finish_when(HasDiscoveries::AnyFailures);
    let from = now();
    if effort.shortest {
        watch(builder.spawn_bfs(), effort, from)
    } else {
        watch(builder.spawn_dfs(), effort, from)
    }
}

/// Waits for the end, or stops at the time that was given.
fn watch(checker: impl Checker<Cluster> + Send + Sync, effort: &Effort, from: Instant) -> Findings {
    let limit = Duration::from_secs(effort.seconds.unwrap_or(u64::MAX));
    let stopped = &checker.model().stopped;
    while !checker.is_done() {
        std::thread::sleep(Duration::from_millis(10));
        if from.elapsed() >= limit {
            stopped.store(true, Ordering::Relaxed);
        }
    }
    let complete = !stopped.load(Ordering::Relaxed);
    gather(checker.join(), complete, from)
}

fn gather(checker: impl Checker<Cluster>, complete: bool, from: Instant) -> Findings {
    let seconds = from.elapsed().as_secs_f64();
    let model = checker.model();
    let (locals, messages) = model.tables.sizes();
    // The way to a finding is walked again, step by step.
    model.go_on();
    let discoveries = checker.discoveries();
    let broken = discoveries.get(CLAIMS).map(|path| {
        let end = path.last_state();
        let steps: Vec<(State, Option<Action>)> = path.clone().into_vec();
        let steps = steps.iter().filter_map(|(state, action)| Some(model.tell(state, (*action)?)));
        let fault = end.fault.expect("the property says so");
        Broken { fault, steps: steps.collect(), end: model.show(end) }
    });
    let properties = model.properties();
    let marks = properties.iter().filter(|p| p.expectation == Expectation::Sometimes);
    let missed = marks.map(|p| p.name).filter(|name| !discoveries.contains_key(name));
    Findings {
        bounds: model.bounds,
        generated: checker.state_count(),
        unique: checker.unique_state_count(),
        depth: checker.max_depth(),
        locals,
        messages,
        seconds,
        complete: complete && broken.is_none(),
        missed: missed.collect(),
        broken,
    }
}

impl Findings {
    fn holds(&self) -> bool {
        self.broken.is_none() && (self.missed.is_empty() || !self.complete)
    }

    fn exit_code(&self) -> ExitCode {
        ExitCode::from(u8::from(!self.holds()))
    }

    fn print(&self) {
        println!("{}", self.bounds);
        println!(
            "  {} states ({} generated) in {:.1} s, to depth {}: {}",
            self.unique,
            self.generated,
            self.seconds,
            self.depth,
            if self.complete { "complete" } else { "NOT complete" }
        );
        println!("  {} states of a replica, {} messages", self.locals, self.messages);
        for mark in &self.missed {
            println!("  never reached: {mark}");
        }
        match &self.broken {
            None => println!("  every claim holds"),
            Some(broken) => {
                println!("  does NOT hold: {}", broken.fault.claim());
                for (count, step) in broken.steps.iter().enumerate() {
                    println!("  {:>3} {step}", count + 1);
                }
                println!("{}", broken.end);
            }
        }
    }

    /// Steps, states, seconds and the claim, for a table.
    fn print_line(&self) {
        let (unique, seconds) = (self.unique, self.seconds);
        match &self.broken {
            Some(broken) => {
                let (steps, claim) = (broken.steps.len(), broken.fault.claim());
                println!("{steps}\t{unique}\t{seconds:.1}\t{claim}");
            }
            None => println!("none\t{unique}\t{seconds:.1}\tevery claim holds"),
        }
    }
}

/// What a caught panic says.
pub(crate) fn words_of(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or(panic.downcast_ref::<&str>().copied()).unwrap_or("no words").to_owned()
}

/// What a lock guards, whoever panicked: what is in the tables was whole before.
pub(crate) fn unpoisoned<T>(guard: Result<T, PoisonError<T>>) -> T {
    guard.unwrap_or_else(PoisonError::into_inner)
}
