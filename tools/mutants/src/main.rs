//! Plants bugs, one at a time, and proves that the checks find them.
//!
//! Each file `tests/mutants/NAME.patch` is a mistake that a good engineer could make, with a header
//! that says what it breaks and which checks must find it. This program applies each to a scratch
//! copy under `target/mutants`, builds that, and runs the checks in the order of their cost until
//! one fails: then the bug is dead. Some patches change nothing that matters; those must survive.
//!
//! Exit code 0: every bug died, every control survived. 1: not so. 2: bad options.

#![allow(clippy::disallowed_methods, reason = "it says how long things took, and stops what hangs")]

mod checks;
mod patch;
mod report;
mod tree;

use std::collections::{BTreeSet, VecDeque};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Mutex;
use std::thread;
use std::time::Instant;

use clap::Parser;

use checks::{Check, Outcome};
use patch::{Kind, Patch};
use report::Row;
use tree::Tree;

/// How many bugs a run of `--turn` plants.
const TURN: usize = 6;

/// Plants bugs in synod, one at a time, and proves that the checks find them.
#[derive(Parser)]
#[command(version)]
struct Options {
    /// Plants every bug, and writes the table in docs/MUTANTS.md.
    #[arg(long, conflicts_with_all = ["turn", "only"])]
    all: bool,
    /// Plants six bugs, the canary and one control, by turns: this is the number of the turn.
    #[arg(long, conflicts_with = "only")]
    turn: Option<usize>,
    /// Plants these bugs only.
    #[arg(long, num_args = 1.., value_name = "NAME")]
    only: Vec<String>,
    /// How many to build and check at a time, each in a scratch copy of its own.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u8).range(1..=8))]
    jobs: u8,
    /// Writes what became of these bugs into the table, too.
    #[arg(long)]
    write: bool,
    /// Checks that all patches apply, and builds nothing.
    #[arg(long)]
    apply: bool,
    /// Checks that all patches apply and that the compiler takes them, and runs nothing.
    #[arg(long, conflicts_with = "apply")]
    compile: bool,
    /// Leaves out the run of all checks without a bug.
    #[arg(long)]
    skip_sound: bool,
}

fn main() -> ExitCode {
    let options = Options::parse();
    let root = root();
    let patches = match patch::read_all(&root.join("tests/mutants")) {
        Ok(patches) => patches,
        Err(error) => return refuse(&error),
    };
    let names = patches.iter().map(|patch| patch.name.clone()).collect();
    let chosen = match choose(&options, patches) {
        Ok(chosen) => chosen,
        Err(error) => return refuse(&error),
    };
    match run(&options, &root, chosen, &names) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("mutants: {error}");
            ExitCode::FAILURE
        }
    }
}

fn refuse(error: &str) -> ExitCode {
    eprintln!("mutants: {error}");
    ExitCode::from(2)
}

/// The repository: this package lies two levels below it.
fn root() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.ancestors().nth(2).unwrap_or(here).to_path_buf()
}

/// The patches that the options ask for, in the order of their names.
fn choose(options: &Options, patches: Vec<Patch>) -> Result<Vec<Patch>, String> {
    if let Some(name) = options.only.iter().find(|name| patches.iter().all(|p| p.name != **name)) {
        return Err(format!("there is no patch {name}.patch in tests/mutants"));
    }
    if !options.only.is_empty() {
        return Ok(patches.into_iter().filter(|p| options.only.contains(&p.name)).collect());
    }
    if options.all || options.apply || options.compile {
        return Ok(patches);
    }
    let Some(turn) = options.turn else {
        return Err("say --all, --turn N, --only NAME..., --apply or --compile".into());
    };
    let of = |kind: Kind| patches.iter().filter(move |patch| patch.kind == kind);
    let by_turns = |kind: Kind, count: usize| -> Vec<String> {
        let names: Vec<_> = of(kind).map(|patch| patch.name.clone()).collect();
        let first = turn.wrapping_mul(count);
        let nth = |i: usize| names.get(first.wrapping_add(i) % names.len().max(1)).cloned();
        (0..count).filter_map(nth).collect()
    };
    let mut names: BTreeSet<String> = by_turns(Kind::Bug, TURN).into_iter().collect();
    names.extend(by_turns(Kind::Control, 1));
    names.extend(of(Kind::Canary).map(|patch| patch.name.clone()));
    Ok(patches.into_iter().filter(|patch| names.contains(&patch.name)).collect())
}

fn run(
    options: &Options,
    root: &Path,
    chosen: Vec<Patch>,
    names: &BTreeSet<String>,
) -> Result<bool, String> {
    let trees =
        (0..options.jobs).map(|job| Tree::make(root, job)).collect::<Result<Vec<_>, _>>()?;
    if options.apply || options.compile {
        return applies(&trees[0], &chosen, options.compile);
    }
    if !options.skip_sound && !is_sound(&trees[0], &chosen)? {
        return Ok(false);
    }
    let count = chosen.len();
    let waiting = Mutex::new(chosen.into_iter().collect::<VecDeque<_>>());
    let rows = Mutex::new(Vec::new());
    let begin = Instant::now();
    thread::scope(|scope| {
        for tree in &trees {
            let (waiting, rows) = (&waiting, &rows);
            scope.spawn(move || {
                while let Some(patch) = next(waiting) {
                    let row = plant(tree, &patch);
                    let mut rows = rows.lock().unwrap_or_else(|error| error.into_inner());
                    rows.push(row);
                    println!("{:>3}/{count} {}", rows.len(), rows[rows.len() - 1]);
                }
            });
        }
    });
    let mut rows = rows.into_inner().unwrap_or_else(|error| error.into_inner());
    rows.sort_by(|a: &Row, b| a.name.cmp(&b.name));
    if options.all || options.write {
        report::write_table(&root.join("docs/MUTANTS.md"), &rows, names)?;
    }
    println!("{} in {} s", report::summary(&rows), begin.elapsed().as_secs());
    Ok(rows.iter().all(|row| row.is_right))
}

fn next(waiting: &Mutex<VecDeque<Patch>>) -> Option<Patch> {
    waiting.lock().unwrap_or_else(|error| error.into_inner()).pop_front()
}

/// Whether every patch applies, and compiles if that is asked for, too.
fn applies(tree: &Tree, chosen: &[Patch], compile: bool) -> Result<bool, String> {
    let mut all = true;
    for patch in chosen {
        let compiled = || if compile { checks::compile(tree) } else { Ok(()) };
        if let Err(error) = tree.apply(patch).and_then(|()| compiled()) {
            println!("{}: {error}", patch.name);
            all = false;
        }
        tree.restore(patch)?;
    }
    let good = if compile { ", all apply and compile" } else { ", all apply" };
    println!("{} patches{}", chosen.len(), if all { good } else { "" });
    Ok(all)
}

/// Runs every check that is going to be used without a bug: what fails then, proves nothing later.
fn is_sound(tree: &Tree, chosen: &[Patch]) -> Result<bool, String> {
    let used: BTreeSet<&Check> = chosen.iter().flat_map(|patch| &patch.checks).collect();
    for check in used {
        let begin = Instant::now();
        match checks::run(tree, check, patch::BUDGET_MAX) {
            Outcome::Clean => println!("sound: {check} in {} s", begin.elapsed().as_secs()),
            other => {
                println!("without a bug: {check}: {other:?}");
                return Ok(false);
            }
        }
    }
    Ok(true)
}

/// Plants one bug and lets the checks look for it.
fn plant(tree: &Tree, patch: &Patch) -> Row {
    let begin = Instant::now();
    let found = tree.apply(patch).and_then(|()| hunt(tree, patch));
    let restored = tree.restore(patch);
    let found = restored.and(found);
    Row::new(patch, found, begin.elapsed())
}

/// The first check that finds something, with what it found.
fn hunt(tree: &Tree, patch: &Patch) -> Result<Option<(Check, Outcome)>, String> {
    for check in &patch.checks {
        match checks::run(tree, check, patch.budget) {
            Outcome::Clean => {}
            Outcome::Failed(error) => return Err(error),
            found => return Ok(Some((check.clone(), found))),
        }
    }
    Ok(None)
}
