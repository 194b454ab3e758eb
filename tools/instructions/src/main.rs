//! Guards against slow growth: counts the instructions of the core, the wire and the log by
//! callgrind, and holds each to the budget in `budget.txt`. Wall time would say something else on
//! each machine and in each minute; instructions stay the same as long as the compiler does.
//!
//! Exit code 0: every figure is within its budget, or the compiler is another one than the
//! budget's. 1: not so. 2: bad options, or nothing could be counted.

mod budget;
mod callgrind;
mod cluster;
#[path = "../../../examples/command_line/mod.rs"]
mod command_line;
mod workload;

use std::collections::BTreeMap;
use std::fs;
use std::process::ExitCode;
use std::sync::Mutex;
use std::thread;

use clap::Parser;

use budget::{Budget, ROOM_PERCENT};
use workload::{ALL, Workload};

const BUDGET: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/budget.txt");
const COMPILER: &str = env!("COMPILER");

/// Counts the instructions of synod's core, wire and log, and holds them to a budget.
#[derive(Parser)]
#[command(version)]
struct Options {
    /// Only runs this workload, uncounted: for callgrind and other profilers.
    #[arg(requires = "turns", value_parser = workload::named)]
    workload: Option<&'static Workload>,
    /// How many turns that makes.
    #[arg(value_parser = clap::value_parser!(u64).range(1..))]
    turns: Option<u64>,
    /// Writes the budget anew: every figure as it is now, and this compiler.
    #[arg(long, conflicts_with = "workload")]
    rewrite: bool,
    /// Prints the functions that take the most instructions of this workload.
    #[arg(long, conflicts_with_all = ["workload", "rewrite"], value_parser = workload::named)]
    profile: Option<&'static Workload>,
}

fn main() -> ExitCode {
    let read = command_line::parse(std::env::args_os(), |mistake| eprintln!("{mistake}"));
    let options: Options = match read {
        Ok(options) => options,
        Err(code) => return ExitCode::from(code),
    };
    if let (Some(workload), Some(turns)) = (options.workload, options.turns) {
        workload.run(turns);
        return ExitCode::SUCCESS;
    }
    match command(&options) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(1),
        Err(error) => {
            eprintln!("instructions: {error}");
            ExitCode::from(2)
        }
    }
}

/// Whether every figure passes.
fn command(options: &Options) -> Result<bool, String> {
    if cfg!(debug_assertions) {
        return Err("this is no release build, which the budget is for".into());
    }
    if let Some(workload) = options.profile {
        print!("{}", callgrind::functions(workload)?);
        return Ok(true);
    }
    let figures = count_all()?;
    if options.rewrite {
        let instructions = figures.iter().map(|(name, figure)| ((*name).to_owned(), *figure));
        let budget = Budget { compiler: COMPILER.into(), instructions: instructions.collect() };
        fs::write(BUDGET, budget.text()).map_err(|error| format!("{BUDGET}: {error}"))?;
    }
    let text = fs::read_to_string(BUDGET).map_err(|error| format!("{BUDGET}: {error}"))?;
    let budget = text.parse().map_err(|error| format!("{BUDGET}: {error}"))?;
    Ok(report(&figures, &budget))
}

/// Counts every workload, as many at a time as there are processors: they do not disturb the count.
fn count_all() -> Result<BTreeMap<&'static str, u64>, String> {
    let next = Mutex::new(ALL.iter());
    let count = || {
        let mut counted = Vec::new();
        loop {
            let workload = next.lock().expect("no thread panics").next();
            let Some(workload) = workload else { return Ok(counted) };
            let figure = callgrind::count(workload);
            counted.push((workload.name, figure.map_err(|e| format!("{}: {e}", workload.name))?));
        }
    };
    let threads = thread::available_parallelism().map_or(1, usize::from);
    thread::scope(|scope| {
        let threads: Vec<_> = (0..threads).map(|_| scope.spawn(count)).collect();
        let mut figures = BTreeMap::new();
        for thread in threads {
            let counted: Result<Vec<_>, String> = thread.join().expect("counting does not panic");
            figures.extend(counted?);
        }
        Ok(figures)
    })
}

/// Prints each figure beside its budget. Whether all pass.
fn report(figures: &BTreeMap<&str, u64>, budget: &Budget) -> bool {
    let judged = budget.compiler == COMPILER;
    println!("| workload | instructions for each | | budget | difference | |");
    println!("|---|---|---|---|---|---|");
    let mut passes = true;
    for workload in &ALL {
        let Some(figure) = figures.get(workload.name).copied() else { continue };
        let verdict = budget.judge(workload.name, figure);
        let known = budget.instructions.get(workload.name).copied();
        let difference = known.filter(|known| *known > 0).map_or_else(String::new, |known| {
            format!("{:+.1} %", (figure as f64 / known as f64 - 1.0) * 100.0)
        });
        let known = known.map_or_else(String::new, |known| known.to_string());
        let verdict_text = if judged { verdict.text() } else { "" };
        let (name, unit) = (workload.name, workload.unit);
        println!("| {name} | {unit} | {figure} | {known} | {difference} | {verdict_text} |");
        passes &= verdict.passes();
    }
    for name in budget.instructions.keys().filter(|name| !figures.contains_key(name.as_str())) {
        println!("the budget names {name}, which is no workload");
        passes = false;
    }
    if !judged {
        println!("budget is for {}, this is {COMPILER}: not judged", budget.compiler);
        return true;
    }
    if !passes {
        println!(
            "above a budget and its room of {ROOM_PERCENT} %: find out why with --profile; or"
        );
        println!("take the growth over with --rewrite, and say in the change what it buys");
    }
    passes
}
