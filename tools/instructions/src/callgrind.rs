//! Runs a workload under valgrind's callgrind, which counts every instruction: the same number on a
//! busy machine as on an idle one.

use std::env;
use std::fs;
use std::io::{self, ErrorKind};
use std::path::Path;
use std::process::{Command, Output, Stdio};

use crate::workload::Workload;

/// Instructions for each unit of the workload: of two runs of different lengths the difference, so
/// that set-up is not in it.
pub(crate) fn count(workload: &Workload) -> Result<u64, String> {
    let [short, long] = workload.turns;
    let units = (long - short) * workload.units;
    let instructions = total(workload, long)?.checked_sub(total(workload, short)?);
    let instructions = instructions.ok_or("the longer run had fewer instructions")?;
    Ok((instructions + units / 2) / units)
}

fn total(workload: &Workload, turns: u64) -> Result<u64, String> {
    let directory = tempfile::tempdir().map_err(|error| format!("a directory: {error}"))?;
    let profile = directory.path().join("profile");
    run(workload, turns, &profile)?;
    let text = fs::read_to_string(&profile).map_err(|error| format!("the profile: {error}"))?;
    let total = text.lines().find_map(|line| line.strip_prefix("totals: "));
    let total = total.and_then(|total| total.trim().parse().ok());
    total.ok_or_else(|| "callgrind's profile has no total".into())
}

/// The functions that take the most instructions, as callgrind_annotate lists them. The long run is
/// made four times as long, so that set-up is little of it.
pub(crate) fn functions(workload: &Workload) -> Result<String, String> {
    let directory = tempfile::tempdir().map_err(|error| format!("a directory: {error}"))?;
    let profile = directory.path().join("profile");
    run(workload, workload.turns[1] * 4, &profile)?;
    let mut command = Command::new("callgrind_annotate");
    finish(command.arg("--auto=no").arg("--threshold=95").arg(&profile))
}

fn run(workload: &Workload, turns: u64, profile: &Path) -> Result<(), String> {
    let program = env::current_exe().map_err(|error| format!("this program: {error}"))?;
    let mut command = Command::new("valgrind");
    command.arg("--tool=callgrind").arg(format!("--callgrind-out-file={}", profile.display()));
    finish(command.arg(program).arg(workload.name).arg(turns.to_string())).map(drop)
}

/// Runs the command; what it printed, or what went wrong, with its own words.
fn finish(command: &mut Command) -> Result<String, String> {
    let name = command.get_program().to_string_lossy().into_owned();
    let output: io::Result<Output> = command.stdin(Stdio::null()).output();
    match output {
        Ok(output) if output.status.success() => {
            String::from_utf8(output.stdout).map_err(|_| format!("{name} printed no text"))
        }
        Ok(output) => {
            let said = String::from_utf8_lossy(&output.stderr);
            Err(format!("{name} failed with {}:\n{said}", output.status))
        }
        Err(error) if error.kind() == ErrorKind::NotFound => {
            Err(format!("{name} is not here: tools/install-dev.sh installs the package valgrind"))
        }
        Err(error) => Err(format!("{name} does not run: {error}")),
    }
}
