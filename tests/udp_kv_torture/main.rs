//! The torture of the example `udp_kv`: a short one as a person runs it; and its parts, each with
//! something planted that it must find.

#![allow(dead_code, reason = "the example uses all of it, these tests a part")]

#[path = "../examples/built.rs"]
mod built;
mod checker;
mod counters;
mod network;
mod parts;
#[path = "../../examples/udp_kv/torture/mod.rs"]
mod torture;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;
use std::thread;
use std::time::Duration;

/// `udp_kv torture` with these arguments.
fn udp_kv_torture(args: &[&str]) -> Command {
    let mut command = Command::new(built::example("udp_kv"));
    command.arg("torture").args(args);
    command
}

/// How many processes have this in their command line, those that have ended aside.
fn processes_with(text: &str) -> usize {
    let entries = fs::read_dir("/proc").expect("there is a list of processes").flatten();
    let lines = entries.filter_map(|entry| fs::read(entry.path().join("cmdline")).ok());
    lines.filter(|line| String::from_utf8_lossy(line).contains(text)).count()
}

/// Waits for something that must come.
#[track_caller]
fn wait_until(what: impl Fn() -> bool) {
    for _ in 0..2000 {
        if what() {
            return;
        }
        thread::sleep(Duration::from_millis(10));
    }
    panic!("it has not come within 20 s");
}

#[test]
fn twelve_seconds_of_torture_show_no_violation() {
    let mut torture = udp_kv_torture(&["--seconds", "12", "--seed", "3", "--replicas", "3"]);
    let output = torture.output().expect("the example starts");
    let said = String::from_utf8_lossy(&output.stdout);
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}{told}");
    assert!(said.starts_with("verdict: 0 violations, 4 rounds,"), "{said}{told}");
}

#[test]
fn a_server_that_does_not_start_is_told() {
    let mut torture = udp_kv_torture(&["--seconds", "3", "--server", "/nonexistent/server"]);
    let temporary = tempfile::tempdir().expect("a directory");
    torture.env("TMPDIR", temporary.path());
    let output = torture.output().expect("the example starts");
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).starts_with("error: "), "{output:?}");
}

#[test]
fn no_server_outlives_a_torture_that_is_killed() {
    let temporary = tempfile::tempdir().expect("a directory");
    // A server that does nothing, and not even that when it is asked kindly to end.
    let server = temporary.path().join("server");
    fs::write(&server, "#!/bin/sh\nkill -STOP $$\n").expect("a file");
    fs::set_permissions(&server, fs::Permissions::from_mode(0o700)).expect("a mode");
    let server = server.to_str().expect("a path in UTF-8");
    let mut torture = udp_kv_torture(&["--server", server])
        .env("TMPDIR", temporary.path())
        .spawn()
        .expect("the example starts");
    // Each server names its script and its data; the torture itself is another one.
    wait_until(|| processes_with(server) == 4);
    torture.kill().expect("it runs");
    torture.wait().expect("it was killed");
    wait_until(|| processes_with(server) == 0);
}
