//! Instructions per command, counted by valgrind: two lengths of one cluster in this program,
//! started anew, and the difference between them, so that what is done once counts for nothing.

use std::env;
use std::process::Command;

use super::{Case, Options};

/// The instructions that one command more costs the whole cluster.
///
/// # Errors
///
/// Says what is missing, or what valgrind said.
pub(super) fn per_command(case: &Case, options: &Options) -> Result<f64, String> {
    let fewer = 1024_u64.next_multiple_of(case.window);
    let more = fewer + 8192_u64.next_multiple_of(case.window);
    let few = counted(case, options, fewer)?;
    let many = counted(case, options, more)?;
    let difference = many.checked_sub(few).ok_or("the longer run has fewer instructions")?;
    Ok(difference as f64 / (more - fewer) as f64)
}

fn counted(case: &Case, options: &Options, commands: u64) -> Result<u64, String> {
    let this = env::current_exe().map_err(|e| e.to_string())?;
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
        .arg(this)
        .args(["engine", "--once", "--peers", &case.peer.name()])
        .args(["--replicas", &case.replicas.to_string()])
        .args(["--windows", &case.window.to_string()])
        .args(["--value-bytes", &options.value_bytes.to_string()])
        .args(["--seed", &options.seed.to_string()])
        .args(["--commands", &commands.to_string()])
        .output()
        .map_err(|e| format!("{e}: does the package valgrind lack?"))?;
    let said = String::from_utf8_lossy(&output.stderr);
    if !output.status.success() {
        return Err(format!("valgrind failed: {said}"));
    }
    collected(&said).ok_or_else(|| format!("valgrind told no count: {said}"))
}

/// What a line such as `==12== Collected : 1234` says.
fn collected(said: &str) -> Option<u64> {
    let line = said.lines().find(|line| line.contains("Collected :"))?;
    line.split_whitespace().last()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_count_is_found_among_what_valgrind_says() {
        let said = "==1== Callgrind\n==1== Events    : Ir\n==1== Collected : 987654\n==1==\n";
        assert_eq!(collected(said), Some(987_654));
        assert_eq!(collected("==1== Collected : none\n"), None);
        assert_eq!(collected("==1== Events    : Ir\n"), None);
    }
}
