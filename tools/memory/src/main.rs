//! Measures the memory of replicas, and holds that it is bounded: idle, for each command, and over
//! long runs with every replica up, with one down, and with state machines that are stopped.
//!
//! Each case has a process of its own, so that none inherits the memory of another. A replica's own
//! memory is told from pages of mapped log segments: the system takes those back if it needs them.
//!
//! Exit code 0: every claim holds. 1: not so. 2: bad options, or nothing could be measured.

mod allocation;
#[path = "../../../examples/command_line/mod.rs"]
mod command_line;
mod nodes;
mod outcome;
mod process;
mod runs;
mod samples;
mod small;
#[path = "../../instructions/src/cluster.rs"]
mod three;

use std::env;
use std::fs::OpenOptions;
use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, ExitCode, Stdio};

use clap::{Parser, ValueEnum};

use outcome::Outcome;

/// What is measured in one process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Case {
    /// Three cores alone: idle, in flight, allocations.
    Core,
    /// Three nodes: idle, in flight, allocations.
    Node,
    /// A long run, 1024 commands in flight.
    Busy,
    /// The same with one of three replicas down.
    OneDown,
    /// The same with the state machine of a follower stopped.
    FollowerStopped,
    /// Every state machine is stopped, and commands are proposed all the same.
    AllStopped,
}

/// Measures the memory of synod's replicas, and that it is bounded.
#[derive(Parser)]
#[command(version)]
struct Options {
    /// How many commands each long run has.
    #[arg(long, default_value_t = 10_000_000)]
    #[arg(value_parser = clap::value_parser!(u64).range(10_000..))]
    commands: u64,
    /// Measures only this case.
    #[arg(long)]
    case: Option<Case>,
    /// Where the logs lie while it runs; 64-byte commands take about 300 bytes each there.
    #[arg(long, default_value_os_t = env::temp_dir())]
    directory: PathBuf,
    /// How many arenas the allocator of glibc may have; 0 leaves it to that. With one for each
    /// thread a burst leaves holes in all of them, and what is resident climbs by steps though what
    /// is allocated does not.
    #[arg(long, default_value_t = 1)]
    arenas: u32,
    /// Appends the figures to this file, as lines of JSON.
    #[arg(long)]
    out: Option<PathBuf>,
    /// Prints what one case has shown as one JSON document.
    #[arg(long, requires = "case", hide = true)]
    document: bool,
}

fn main() -> ExitCode {
    let read = command_line::parse(std::env::args_os(), |mistake| eprintln!("{mistake}"));
    let options: Options = match read {
        Ok(options) => options,
        Err(code) => return ExitCode::from(code),
    };
    match command(&options) {
        Ok(outcome) if outcome.claims.iter().all(|claim| claim.holds) => ExitCode::SUCCESS,
        Ok(_) => ExitCode::from(1),
        Err(error) => {
            eprintln!("memory: {error}");
            ExitCode::from(2)
        }
    }
}

fn command(options: &Options) -> Result<Outcome, String> {
    if let (Some(case), true) = (options.case, options.document) {
        let outcome = measure(case, options)?;
        println!("{}", serde_json::to_string(&outcome).map_err(|error| error.to_string())?);
        // Whoever started this process reads the claims.
        return Ok(Outcome::default());
    }
    let mut all = Outcome::default();
    let cases = options.case.map_or_else(|| Case::value_variants().to_vec(), |case| vec![case]);
    for case in cases {
        let outcome = apart(case, options)?;
        all.figures.extend(outcome.figures);
        all.claims.extend(outcome.claims);
    }
    all.print();
    if let Some(path) = &options.out {
        let file = OpenOptions::new().create(true).append(true).open(path);
        let written = file.and_then(|mut file| file.write_all(all.json_lines().as_bytes()));
        written.map_err(|error| format!("{}: {error}", path.display()))?;
    }
    Ok(all)
}

/// Measures a case in a process of its own.
fn apart(case: Case, options: &Options) -> Result<Outcome, String> {
    let name = case.to_possible_value().map_or_else(String::new, |value| value.get_name().into());
    let program = env::current_exe().map_err(|error| format!("this program: {error}"))?;
    let mut command = Command::new(program);
    if options.arenas > 0 {
        command.env("MALLOC_ARENA_MAX", options.arenas.to_string());
    }
    let output = command
        .args(["--document", "--case", &name, "--commands", &options.commands.to_string()])
        .arg("--directory")
        .arg(&options.directory)
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()
        .map_err(|error| format!("this program: {error}"))?;
    if !output.status.success() {
        return Err(format!("{name}: the process ended with {}", output.status));
    }
    serde_json::from_slice(&output.stdout).map_err(|error| format!("{name}: {error}"))
}

fn measure(case: Case, options: &Options) -> Result<Outcome, String> {
    let (directory, commands) = (options.directory.as_path(), options.commands);
    match case {
        Case::Core => small::core(),
        Case::Node => small::node(directory),
        Case::Busy => runs::busy("busy", directory, commands, runs::Trouble::None),
        Case::OneDown => runs::busy("one-down", directory, commands, runs::Trouble::OneDown),
        Case::FollowerStopped => {
            runs::busy("follower-stopped", directory, commands, runs::Trouble::FollowerStopped)
        }
        Case::AllStopped => runs::stopped(directory, commands),
    }
}
