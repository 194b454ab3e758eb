//! The checks that a planted bug meets: seeds of the simulator, and tests by name.

use std::fmt;
use std::fs::File;
use std::io::Read;
use std::path::PathBuf;
use std::process::Stdio;
use std::thread;
use std::time::{Duration, Instant};

use crate::tree::Tree;

/// How long one check may compute, its build not counted, and how long it may take at all, on a
/// machine that has other work: what takes longer hangs.
const PATIENCE: Duration = Duration::from_secs(150);
const PATIENCE_IDLE: Duration = Duration::from_secs(300);

/// A check, cheapest kind first.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Check {
    /// Seeds of the simulator, in every mode, until a claim breaks.
    Seeds,
    /// The unit tests whose names hold this word.
    Lib(String),
    /// The tests of this file in `tests`, of those the ones whose names hold the word.
    Test(String, String),
}

/// What a check says of a planted bug.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Nothing: the bug has survived it.
    Clean,
    /// A claim of the simulator broke, at this seed.
    Broken { claim: String, seed: u64 },
    /// A test failed.
    Fails(String),
    /// It ran for longer than it may.
    Hangs,
    /// The check could not be made.
    Failed(String),
}

impl Check {
    /// Reads `seeds`, `lib WORD` or `TEST [WORD]`.
    pub fn parse(text: &str) -> Result<Self, String> {
        let words: Vec<&str> = text.split_whitespace().collect();
        match words.as_slice() {
            ["seeds"] => Ok(Self::Seeds),
            ["lib", word] => Ok(Self::Lib((*word).into())),
            [test] if *test != "lib" => Ok(Self::Test((*test).into(), String::new())),
            [test, word] => Ok(Self::Test((*test).into(), (*word).into())),
            _ => Err(format!("{text:?} is no check: seeds, lib WORD or TEST [WORD]")),
        }
    }
}

impl fmt::Display for Check {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Seeds => write!(f, "seeds"),
            Self::Lib(word) => write!(f, "lib {word}"),
            Self::Test(test, word) if word.is_empty() => write!(f, "{test}"),
            Self::Test(test, word) => write!(f, "{test} {word}"),
        }
    }
}

/// Builds and runs the check in the tree as it is now.
pub fn run(tree: &Tree, check: &Check, budget: u64) -> Outcome {
    let budget = budget.to_string();
    let (build, arguments): (Vec<&str>, Vec<&str>) = match check {
        Check::Seeds => (vec!["build", "--example", "seeds"], vec![&budget]),
        Check::Lib(word) => (vec!["test", "--no-run", "--lib"], vec![word]),
        Check::Test(test, word) if word.is_empty() => {
            (vec!["test", "--no-run", "--test", test], vec![])
        }
        Check::Test(test, word) => (vec!["test", "--no-run", "--test", test], vec![word]),
    };
    let program = match self::build(tree, &build) {
        Ok(program) => program,
        Err(error) => return Outcome::Failed(error),
    };
    let (ended, output) = match execute(tree, &program, &arguments) {
        Ok(done) => done,
        Err(error) => return Outcome::Failed(error),
    };
    match (ended, check) {
        (None, _) => Outcome::Hangs,
        (Some(true), Check::Seeds) => Outcome::Clean,
        // A word that fits no test proves nothing.
        (Some(true), _) if output.contains("running 0 tests") => {
            Outcome::Failed(format!("{check}: there is no such test"))
        }
        (Some(true), _) => Outcome::Clean,
        (Some(false), Check::Seeds) => broken_claim(&output),
        (Some(false), _) => Outcome::Fails(failed_test(&output)),
    }
}

/// Whether the compiler takes the library and its unit tests in the tree as it is now.
pub fn compile(tree: &Tree) -> Result<(), String> {
    cargo(tree, &["check", "--lib", "--profile", "test"]).map(drop)
}

/// What cargo prints, if it succeeds.
fn cargo(tree: &Tree, arguments: &[&str]) -> Result<String, String> {
    let mut command = tree.command("cargo");
    command.args(arguments).args(["--locked", "--quiet", "--message-format=json"]);
    let done = command.stdin(Stdio::null()).output().map_err(|error| format!("cargo: {error}"))?;
    let text = String::from_utf8_lossy(&done.stdout).into_owned();
    if !done.status.success() {
        let error = text.lines().find_map(|line| line.split("\"rendered\":\"error").nth(1));
        let error = error.map(|line| line.chars().take(300).collect::<String>());
        let all = || String::from_utf8_lossy(&done.stderr).into_owned();
        return Err(format!("does not build: error{}", error.unwrap_or_else(all)));
    }
    Ok(text)
}

/// Builds, and gives the program's path.
fn build(tree: &Tree, arguments: &[&str]) -> Result<PathBuf, String> {
    let text = cargo(tree, arguments)?;
    let mut programs = text.lines().filter_map(|line| {
        let path = line.split("\"executable\":\"").nth(1)?.split('"').next()?;
        Some(PathBuf::from(path))
    });
    programs.next_back().ok_or_else(|| format!("cargo {} makes no program", arguments.join(" ")))
}

/// Runs the program. `None` if it had to be stopped; otherwise whether it went well, and what it
/// printed.
fn execute(
    tree: &Tree,
    program: &PathBuf,
    arguments: &[&str],
) -> Result<(Option<bool>, String), String> {
    let fail = |error| format!("{}: {error}", program.display());
    // Into a file: a pipe that nobody empties would hold the program up.
    let path = tree.output();
    let file = File::create(&path).map_err(fail)?;
    let errors = file.try_clone().map_err(fail)?;
    // `nice` becomes the program, so it is the program that is stopped.
    let mut child = tree
        .command(program)
        .args(arguments)
        .env("CARGO_MANIFEST_DIR", tree.path())
        .stdin(Stdio::null())
        .stdout(file)
        .stderr(errors)
        .spawn()
        .map_err(fail)?;
    let begin = Instant::now();
    let ended = loop {
        match child.try_wait().map_err(fail)? {
            Some(status) => break Some(status.success()),
            None if begin.elapsed() > PATIENCE_IDLE || computed(child.id()) > PATIENCE => {
                child.kill().and_then(|()| child.wait()).map_err(fail)?;
                break None;
            }
            None => thread::sleep(Duration::from_millis(20)),
        }
    };
    let mut output = Vec::new();
    File::open(&path).and_then(|mut file| file.read_to_end(&mut output)).map_err(fail)?;
    Ok((ended, String::from_utf8_lossy(&output).into_owned()))
}

/// How long the process has computed, as far as the system tells.
fn computed(process: u32) -> Duration {
    /// Linux counts in hundredths of a second, whatever its own clock does.
    const TICK_MILLIS: u64 = 10;
    let status = std::fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
    // The name stands in parentheses and may hold blanks; behind it the fields have no such.
    let fields = status.rsplit_once(')').map_or("", |(_, fields)| fields).split_whitespace();
    let ticks = fields.skip(11).take(2).filter_map(|field| field.parse::<u64>().ok());
    Duration::from_millis(ticks.sum::<u64>() * TICK_MILLIS)
}

/// What the last line of `seeds` says; a program that dies without it has broken no claim by name.
fn broken_claim(output: &str) -> Outcome {
    let last = output.lines().rev().find_map(|line| line.strip_prefix("broken: "));
    let Some(last) = last else { return Outcome::Failed("the seeds end without a word".into()) };
    let words: Vec<&str> = last.split(" | ").collect();
    match words.as_slice() {
        [claim, mode, seed] => Outcome::Broken {
            claim: format!("{claim}, {mode}"),
            seed: seed.parse().unwrap_or_default(),
        },
        _ => Outcome::Failed(format!("the seeds end with {last:?}")),
    }
}

fn failed_test(output: &str) -> String {
    let failed = output.lines().find_map(|line| {
        line.strip_prefix("test ")?.strip_suffix(" ... FAILED").map(str::to_owned)
    });
    failed.unwrap_or_else(|| "the tests end without a word".into())
}

#[cfg(test)]
mod tests;
