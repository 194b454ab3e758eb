//! Runs the built examples as a person would: what they print, and their exit codes. And the parts
//! of `udp_cluster` that can be tested on their own.

#[path = "examples/built.rs"]
mod built;

use std::fs;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use built::example;
use sha2::{Digest, Sha256};

/// Runs `udp_cluster` with these arguments and this standard input, and temporary files in `temp`.
fn udp_cluster(temp: &Path, args: &[&str], stdin: &[u8]) -> Output {
    let mut child = Command::new(example("udp_cluster"))
        .args(args)
        .env("TMPDIR", temp)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the example starts");
    let mut pipe = child.stdin.take().expect("standard input is a pipe");
    // A program that refuses its options does not read its input.
    let _ = pipe.write_all(stdin);
    drop(pipe);
    child.wait_with_output().expect("the example ends")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn hex(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The number of lines of the input, the last one perhaps without its newline.
fn lines(input: &[u8]) -> usize {
    input.split_inclusive(|byte| *byte == b'\n').count()
}

/// Runs an input through a file, and checks the table, the digests and that nothing is left behind.
fn replicates(input: &[u8], args: &[&str], replicas: usize, restarts: u64) {
    let temp = tempfile::tempdir().expect("a temporary directory");
    let files = tempfile::tempdir().expect("a temporary directory");
    let file = files.path().join("input");
    fs::write(&file, input).expect("the input is written");
    let args = [&["--input", file.to_str().expect("a path in UTF-8")], args].concat();
    let output = udp_cluster(temp.path(), &args, b"");
    check(&output, input, replicas, restarts);
    let left = fs::read_dir(temp.path()).expect("the directory is there").count();
    assert_eq!(left, 0, "the temporary directory is removed on success");
}

/// Checks what a run printed.
fn check(output: &Output, input: &[u8], replicas: usize, restarts: u64) {
    let (stdout, stderr) = (text(&output.stdout), text(&output.stderr));
    assert_eq!(output.status.code(), Some(0), "{stdout}\n{stderr}");
    let rows: Vec<Vec<&str>> = stdout
        .lines()
        .map(|line| line.split_whitespace().collect::<Vec<_>>())
        .filter(|row| row.first().is_some_and(|first| first.parse::<u32>().is_ok()))
        .filter(|row| row.len() == 5)
        .collect();
    assert_eq!(rows.len(), replicas, "one row for each replica:\n{stdout}");
    let digest = hex(input);
    for row in &rows {
        assert_eq!(row[1], lines(input).to_string(), "lines applied:\n{stdout}");
        assert_eq!(row[2], digest, "the digest:\n{stdout}");
        assert!(
            row[3].parse::<u64>().is_ok_and(|bytes| bytes > 0 && bytes >= input.len() as u64),
            "{stdout}"
        );
    }
    let sum: u64 = rows.iter().filter_map(|row| row[4].parse::<u64>().ok()).sum();
    assert_eq!(sum, restarts, "restarts:\n{stdout}");
    if !input.is_empty() {
        assert!(stdout.contains("lines/s"), "the rate:\n{stdout}");
        assert!(stdout.contains("p50") && stdout.contains("p99"), "the latency:\n{stdout}");
        assert_eq!(stdout.contains("fail-over: "), restarts > 0, "the gap:\n{stdout}");
    }
}

/// Lines of many lengths, some empty, with any bytes.
fn random_lines(count: usize, seed: u64) -> Vec<u8> {
    let mut random = oorandom::Rand32::new(seed);
    let mut input = Vec::new();
    for _ in 0..count {
        for _ in 0..random.rand_range(0..120) {
            let byte = random.rand_range(0..256).to_le_bytes()[0];
            input.push(if byte == b'\n' { 0 } else { byte });
        }
        input.push(b'\n');
    }
    input
}

#[test]
fn embed_reads_what_it_wrote() {
    let output = Command::new(example("embed")).output().expect("the example runs");
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert!(text(&output.stdout).contains("1998"), "{}", text(&output.stdout));
}

/// Runs an example; gives its exit code, and what it printed.
fn run(name: &str, args: &[&str], temp: &Path) -> (Option<i32>, String, String) {
    let output = Command::new(example(name)).args(args).env("TMPDIR", temp).output();
    let output = output.expect("the example runs");
    (output.status.code(), text(&output.stdout), text(&output.stderr))
}

#[test]
fn roles_choose_one_value_and_refuse_what_is_late() {
    let (code, out, err) = run("roles", &[], &std::env::temp_dir());
    assert_eq!((code, err.as_str()), (Some(0), ""), "{out}");
    assert_eq!(out.matches("Nack 1.4: promised 2.5").count(), 2, "{out}");
    // Nobody has learned anything before a majority had accepted, and blue was never proposed.
    let (before, after) = out.split_once("6 learns red").expect("the learner learns");
    assert_eq!(before.matches("<- 2  Accepted 2.5").count(), 1, "{out}");
    assert_eq!(before.matches("<- 3  Accepted 2.5").count(), 1, "{out}");
    assert!(after.ends_with("\nchosen: red\n") && !out.contains("blue"), "{out}");
}

#[test]
fn by_hand_applies_the_same_three_times_and_again() {
    let temp = tempfile::tempdir().expect("a temporary directory");
    let (code, out, err) = run("by_hand", &[], temp.path());
    assert_eq!((code, err.as_str()), (Some(0), ""), "{out}");
    let mut printed: Vec<&str> = out.lines().collect();
    let verdicts = printed.split_off(3);
    printed.sort_unstable();
    assert_eq!(printed, ["one", "three", "two"]);
    assert!(verdicts[0].starts_with("all three have applied these 3 lines"), "{out}");
    assert_eq!(verdicts[1..], ["and again, opened from their logs"]);
    assert_eq!(fs::read_dir(temp.path()).expect("the directory is there").count(), 0);
    let (code, out, err) = run("by_hand", &[], &temp.path().join("nowhere"));
    assert_eq!((code, out.as_str(), err.lines().count()), (Some(1), "", 1), "{err}");
    assert!(err.starts_with("by_hand: "), "{err}");
}

#[test]
fn the_hosts_on_runtimes_write_read_and_go_on() {
    for name in ["tokio_host", "smol_host"] {
        let temp = tempfile::tempdir().expect("a temporary directory");
        let data = temp.path().join("data");
        let data = data.to_str().expect("a path in UTF-8");
        for total in [3, 6] {
            let (code, out, err) = run(name, &[data], temp.path());
            assert_eq!((code, err.as_str()), (Some(0), ""), "{name}: {out}");
            let written = |id: u32| out.contains(&format!("replica {id} wrote line "));
            assert!((1..=3).all(written), "{name}: {out}");
            let read = format!(" has {total} lines, the last: hello from replica ");
            assert_eq!(out.matches(&read).count(), 3, "{name}: {out}");
        }
        assert_eq!(run(name, &[], temp.path()).0, Some(0), "{name}");
        let left = fs::read_dir(temp.path()).expect("the directory is there").count();
        assert_eq!(left, 1, "{name} leaves what it was told to keep, and no more");
        let file = temp.path().join("file");
        fs::write(&file, "no directory").expect("the file is written");
        let file = file.to_str().expect("a path in UTF-8");
        for args in [&[file][..], &[data, data]] {
            let (code, out, err) = run(name, args, temp.path());
            assert_eq!((code, out.as_str(), err.lines().count()), (Some(1), "", 1), "{err}");
            assert!(err.starts_with(&format!("{name}: ")), "{err}");
        }
    }
}

#[test]
fn own_machine_is_clean_and_a_careless_one_is_found() {
    let run = |options: &[&str]| {
        let output = Command::new(example("own_machine")).args(options).output();
        let output = output.expect("the example runs");
        (output.status.code(), text(&output.stdout), text(&output.stderr))
    };
    let (code, out, err) = run(&[]);
    assert!(code == Some(0) && out.starts_with("20 runs are clean: "), "{code:?} {out} {err}");
    let (code, out, err) = run(&["--careless"]);
    assert_eq!((code, err.as_str()), (Some(1), ""), "{out}");
    assert!(out.contains(" finds STATE ") || out.contains(" finds ANSWER "), "{out}");
    for options in [&["--hasty"][..], &["--careless", "--careless"]] {
        let (code, out, err) = run(options);
        assert_eq!((code, out.as_str(), err.lines().count()), (Some(2), "", 1), "{err}");
    }
}

#[test]
fn an_empty_file_is_fine() {
    replicates(b"", &["--no-kill"], 3, 0);
    replicates(b"", &[], 3, 1);
}

#[test]
fn the_last_line_may_lack_its_newline() {
    replicates(b"one\n\n\nfour", &[], 3, 1);
}

#[test]
fn one_line_without_a_newline() {
    replicates(b"x", &[], 3, 1);
}

#[test]
fn lines_hold_any_bytes() {
    replicates(b"\0\0\n\xff\xfe\r\n\n\0", &["--no-kill"], 3, 0);
}

#[test]
fn a_line_of_a_mebibyte_is_taken() {
    let mut input = vec![0xab; 1 << 20];
    input.push(b'\n');
    replicates(&input, &["--no-kill"], 3, 0);
}

#[test]
fn long_lines_survive_the_kill() {
    let input: Vec<u8> =
        (0..6u8).flat_map(|i| [vec![i + b'a'; 1 << 20], vec![b'\n']].concat()).collect();
    replicates(&input, &[], 3, 1);
}

#[test]
fn thousands_of_lines_survive_the_kill() {
    replicates(&random_lines(5000, 1), &[], 3, 1);
}

#[test]
fn one_replica_and_two_have_no_majority_without_their_leader() {
    replicates(&random_lines(300, 2), &["--replicas", "1"], 1, 1);
    replicates(&random_lines(300, 3), &["--replicas", "2"], 2, 1);
}

#[test]
fn five_replicas() {
    replicates(&random_lines(1000, 4), &["--replicas", "5"], 5, 1);
}

#[test]
fn five_replicas_of_which_two_are_enough() {
    replicates(&random_lines(1000, 6), &["--replicas", "5", "--quorums", "sizes/4/2"], 5, 1);
}

#[test]
fn six_replicas_in_three_zones() {
    let zones = ["--replicas", "6", "--quorums", "zones:1+2,3+4,5/2/2"];
    let temp = tempfile::tempdir().expect("a temporary directory");
    refused(temp.path(), &zones, "replica 6 has no weight or lies in no zone");
    // A zone of two needs both, so with its leader gone the other two zones go on.
    let zones = ["--replicas", "6", "--quorums", "zones:1+2,3+4,5+6/2/2"];
    replicates(&random_lines(500, 7), &zones, 6, 1);
    refused(temp.path(), &["--quorums", "sizes/2/1"], "misses accept quorum");
    refused(temp.path(), &["--quorums", "most"], "quorums are written as majority");
}

#[test]
fn standard_input_is_spooled() {
    let temp = tempfile::tempdir().expect("a temporary directory");
    let input = random_lines(1000, 5);
    check(&udp_cluster(temp.path(), &["--input", "-"], &input), &input, 3, 1);
}

#[test]
fn a_data_directory_that_was_named_is_kept() {
    let temp = tempfile::tempdir().expect("a temporary directory");
    let data = temp.path().join("new").join("data");
    let data = data.to_str().expect("a path in UTF-8");
    let args = ["--input", "-", "--no-kill", "--data", data];
    check(&udp_cluster(temp.path(), &args, b"a\nb\n"), b"a\nb\n", 3, 0);
    assert!(Path::new(data).join("replica-1").is_dir());
    // It is not empty any more, so a second run does not touch it.
    refused(temp.path(), &args, "not empty");
}

/// Checks that the program refuses these arguments with one line that says `what`, and code 2.
fn refused(temp: &Path, args: &[&str], what: &str) {
    let output = udp_cluster(temp, args, b"");
    let stderr = text(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{args:?}: {stderr}");
    assert_eq!(stderr.trim_end().lines().count(), 1, "{args:?}: {stderr}");
    assert!(stderr.contains(what), "{args:?} should say {what:?}: {stderr}");
    assert!(output.stdout.is_empty(), "{args:?}: {}", text(&output.stdout));
}

#[test]
fn bad_options_and_files_are_refused_in_one_line() {
    let temp = tempfile::tempdir().expect("a temporary directory");
    let path = |name: &str| temp.path().join(name).to_str().expect("a path in UTF-8").to_owned();
    let long = path("long");
    fs::write(&long, vec![b'x'; (1 << 20) + 1]).expect("the input is written");
    let (absent, new) = (path("absent"), path("new"));
    let here = temp.path().to_str().expect("a path in UTF-8");

    refused(temp.path(), &["--nonsense"], "--nonsense");
    refused(temp.path(), &["surplus"], "surplus");
    refused(temp.path(), &["--replicas", "0"], "0");
    refused(temp.path(), &["--replicas", "10"], "10");
    refused(temp.path(), &["--replicas", "many"], "many");
    refused(temp.path(), &["--replicas"], "--replicas");
    refused(temp.path(), &["--input", &absent], &absent);
    refused(temp.path(), &["--input", here], here);
    refused(temp.path(), &["--input", &long], "line 1 ");
    refused(temp.path(), &["--data", here], "not empty");
    refused(temp.path(), &["--data", &long], &long);
    refused(temp.path(), &["--data", &new, "--input", &absent], &absent);
    assert!(!Path::new(&new).exists(), "a refused run leaves no directory behind");
    let left = fs::read_dir(temp.path()).expect("the directory is there").count();
    assert_eq!(left, 1, "refused runs leave nothing behind");
}

#[test]
fn bad_addresses_and_keys_of_a_replica_are_refused_in_one_line() {
    let temp = tempfile::tempdir().expect("a temporary directory");
    let path = |name: &str| temp.path().join(name).to_str().expect("a path in UTF-8").to_owned();
    let write = |name: &str, bytes: usize, mode: u32| {
        let path = path(name);
        fs::write(&path, vec![7; bytes]).expect("the key is written");
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).expect("the file is ours");
        path
    };
    let (key, short, long) =
        (write("key", 32, 0o600), write("short", 31, 0o600), write("long", 33, 0o600));
    let (exposed, log) = (write("exposed", 32, 0o644), path("log"));
    let replica = |id: &str, addresses: &str, key: &str, what: &str| {
        let args =
            ["replica", "--id", id, "--addresses", addresses, "--key", key, "--log", log.as_str()];
        refused(temp.path(), &args, what);
    };
    replica("1", "nowhere", &key, "nowhere");
    replica("1", "127.0.0.1:99999", &key, "99999");
    replica("0", "127.0.0.1:0", &key, "--id");
    replica("2", "127.0.0.1:0", &key, "--id");
    replica("1", "127.0.0.1:0", &path("absent"), "absent");
    replica("1", "127.0.0.1:0", &short, "fewer");
    replica("1", "127.0.0.1:0", &long, "more");
    replica("1", "127.0.0.1:0", &exposed, "644");
    replica("1", "192.0.2.1:0", &key, "192.0.2.1");
}

#[test]
fn help_tells_every_option() {
    let temp = tempfile::tempdir().expect("a temporary directory");
    let output = udp_cluster(temp.path(), &["--help"], b"");
    assert_eq!(output.status.code(), Some(0));
    let help = text(&output.stdout);
    for word in ["--input", "--replicas", "--no-kill", "--data", "SIGKILL", "Exit code", "SHA-256"]
    {
        assert!(help.contains(word), "the help does not tell {word}:\n{help}");
    }
}

/// Seeds of the simulated cluster, as `simulate` runs and shows them.
mod simulate {
    use super::*;

    fn simulate(args: &[&str]) -> Output {
        Command::new(example("simulate")).args(args).output().expect("the example runs")
    }

    fn refused(args: &[&str], what: &str) {
        let output = simulate(args);
        let stderr = text(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{args:?}: {stderr}");
        assert_eq!(stderr.trim_end().lines().count(), 1, "{args:?}: {stderr}");
        assert!(stderr.contains(what), "{args:?} should say {what:?}: {stderr}");
        assert!(output.stdout.is_empty(), "{args:?}: {}", text(&output.stdout));
    }

    #[test]
    fn bad_options_and_files_are_refused_in_one_line() {
        refused(&["--nonsense"], "--nonsense");
        refused(&["surplus"], "surplus");
        refused(&["--seeds", "0"], "0");
        refused(&["--seeds", "many"], "many");
        refused(&["--seeds", "2", "--first-seed", "18446744073709551615"], "no 2 seeds");
        refused(&["--seed", "-1"], "-1");
        refused(&["--seed", "18446744073709551616"], "18446744073709551616");
        refused(&["--seed", "1", "--seeds", "2"], "--seeds");
        refused(&["--replicas", "0"], "0");
        refused(&["--replicas", "10"], "10");
        refused(&["--profile", "doom"], "doom");
        refused(&["--jobs", "0"], "0");
        refused(&["--without", "comets"], "comets");
        refused(&["--odds", "101"], "101");
        refused(&["--chaos-ms", "3600001"], "3600001");
        refused(&["--chaos-ms", "0"], "0");
        // A shape of links that leaves two replicas no quorum.
        refused(&["--profile", "partitions", "--replicas", "2", "--jobs", "1"], "progress");
        refused(&["--trace"], "--seed");
        refused(&["--draw", "x.svg"], "--seed");
        refused(&["--seed", "1", "--events", "9"], "--draw");
        refused(&["--seed", "1", "--draw", "x.svg", "--events", "0"], "0");
        refused(&["--seed", "1", "--draw", "x.svg", "--from-ms", "9"], "--to-ms");
        let backwards = ["--from-ms", "9", "--to-ms", "8"];
        refused(&[&["--seed", "1", "--draw", "x.svg"][..], &backwards].concat(), "--from-ms");
        let nowhere = "/nowhere/at/all.svg";
        refused(&["--seed", "1", "--chaos-ms", "50", "--draw", nowhere], nowhere);
    }

    #[test]
    fn clean_seeds_end_with_a_sum() {
        let args = ["--seeds", "6", "--first-seed", "40", "--chaos-ms", "300"];
        let output = simulate(&args);
        let stdout = text(&output.stdout);
        assert_eq!(output.status.code(), Some(0), "{stdout}{}", text(&output.stderr));
        let last = stdout.lines().last().unwrap_or_default();
        assert!(last.starts_with("clean: 6 seeds, "), "{stdout}");
        for word in ["simulated seconds", "per CPU second", "slots chosen", "marks "] {
            assert!(last.contains(word), "{word}: {stdout}");
        }
    }

    #[test]
    fn a_trace_is_the_same_each_time_and_whole() {
        let args = ["--seed", "21", "--chaos-ms", "900", "--trace"];
        let (first, second) = (simulate(&args), simulate(&args));
        assert_eq!(first.status.code(), Some(0), "{}", text(&first.stderr));
        assert!(first.stdout == second.stdout, "two traces of one seed differ");
        let trace = text(&first.stdout);
        assert!(trace.starts_with("   0.000ms 1 starts"), "{trace}");
        assert!(trace.lines().count() > 500, "only {} lines", trace.lines().count());
        let last = trace.lines().last().unwrap_or_default();
        assert!(last.starts_with("clean: seed 21, ") && last.contains("trace hash "), "{last}");
        // Without the trace the last line is the same: it is the same run.
        let alone = simulate(&args[..4]);
        assert_eq!(text(&alone.stdout).trim_end(), last);
    }

    #[test]
    fn a_picture_is_drawn() {
        let temp = tempfile::tempdir().expect("a temporary directory");
        let file = temp.path().join("run.svg");
        let path = file.to_str().expect("a path in UTF-8");
        let calm = ["--seed", "3", "--profile", "calm", "--replicas", "5", "--chaos-ms", "400"];
        let output = simulate(&[&calm[..], &["--draw", path]].concat());
        assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
        let picture = fs::read_to_string(&file).expect("the picture is there");
        assert!(picture.starts_with("<?xml") && picture.ends_with("</svg>\n"));
        assert!(picture.contains("replica 5") && picture.contains("leads 1."));
    }

    #[test]
    fn help_tells_every_option() {
        let output = simulate(&["--help"]);
        assert_eq!(output.status.code(), Some(0));
        let help = text(&output.stdout);
        for word in [
            "--seeds",
            "--first-seed",
            "--seed",
            "--profile",
            "--replicas",
            "--without",
            "--chaos-ms",
            "--commands",
            "--odds",
            "--luck",
            "--jobs",
            "--keep-going",
            "--shrink-tries",
            "--trace",
            "--draw",
            "--events",
            "--from-ms",
            "--to-ms",
            "Exit code",
        ] {
            assert!(help.contains(word), "the help does not tell {word}:\n{help}");
        }
    }
}

/// Processes of a run, found by the path of its data directory.
#[cfg(target_os = "linux")]
mod processes {
    use super::*;
    use std::io::{BufRead, BufReader, Read};
    use std::process::Child;
    use std::thread;
    use std::time::{Duration, Instant};

    /// How long anything may take before the test fails.
    const DEADLINE: Duration = Duration::from_secs(60);

    #[allow(clippy::disallowed_methods, reason = "deadlines of a test")]
    fn now() -> Instant {
        Instant::now()
    }

    /// The ids of the replicas' processes below this directory.
    fn replicas(data: &str) -> Vec<String> {
        let processes = fs::read_dir("/proc").expect("Linux has /proc").filter_map(Result::ok);
        let ids = processes.filter_map(|process| process.file_name().into_string().ok());
        ids.filter(|id| {
            let line = fs::read(format!("/proc/{id}/cmdline")).unwrap_or_default();
            let mut words = line.split(|byte| *byte == 0);
            words.nth(1) == Some(b"replica") && text(&line).contains(data)
        })
        .collect()
    }

    /// Two replicas whose leader was just killed: for two seconds the other one is alone, and
    /// nothing moves.
    struct Alone {
        run: Child,
        stderr: BufReader<std::process::ChildStderr>,
        data: String,
        survivor: String,
        /// Removed with this.
        _temp: tempfile::TempDir,
    }

    fn alone() -> Alone {
        let temp = tempfile::tempdir().expect("a temporary directory");
        let data = temp.path().join("data").to_str().expect("a path in UTF-8").to_owned();
        let mut run = Command::new(example("udp_cluster"))
            .args(["--replicas", "2", "--data", &data, "--input", "-"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the example starts");
        let mut stdin = run.stdin.take().expect("standard input is a pipe");
        stdin.write_all(&random_lines(100, 6)).expect("the input is read");
        drop(stdin);
        let mut stderr = BufReader::new(run.stderr.take().expect("standard error is a pipe"));
        let mut line = String::new();
        while !line.starts_with("killed replica") {
            line.clear();
            assert_ne!(stderr.read_line(&mut line).expect("text"), 0, "it ended before the kill");
        }
        let survivor = replicas(&data).pop().expect("one of two is alive");
        Alone { run, stderr, data, survivor, _temp: temp }
    }

    fn signal(process: &str, signal: &str) {
        let killed = Command::new("sh").args(["-c", &format!("kill -{signal} {process}")]).status();
        assert!(killed.expect("there is a shell").success(), "kill -{signal} {process}");
    }

    fn none_is_left(data: &str) {
        let deadline = now() + DEADLINE;
        while !replicas(data).is_empty() {
            assert!(now() < deadline, "replicas live on: {:?}", replicas(data));
            thread::sleep(Duration::from_millis(5));
        }
    }

    /// What the run said after the kill, and its exit code.
    fn end(mut alone: Alone) -> (String, String, Option<i32>, String) {
        let (mut stdout, mut stderr) = (String::new(), String::new());
        alone.stderr.read_to_string(&mut stderr).expect("text");
        let mut pipe = alone.run.stdout.take().expect("standard output is a pipe");
        pipe.read_to_string(&mut stdout).expect("text");
        let code = alone.run.wait().expect("it ends").code();
        none_is_left(&alone.data);
        assert!(Path::new(&alone.data).join("replica-1").is_dir(), "the data is kept");
        (stdout, stderr, code, alone.data.clone())
    }

    #[test]
    fn replicas_end_when_the_parent_is_killed() {
        let mut alone = alone();
        alone.run.kill().expect("it can be killed");
        alone.run.wait().expect("it has ended");
        none_is_left(&alone.data);
    }

    #[test]
    fn a_replica_that_someone_else_kills_is_started_again() {
        let alone = alone();
        signal(&alone.survivor, "KILL");
        let (stdout, stderr, code, _) = end(alone);
        assert_eq!(code, Some(0), "{stderr}");
        assert_eq!(stdout.matches(&hex(&random_lines(100, 6))).count(), 3, "{stdout}");
    }

    #[test]
    fn a_replica_that_ends_by_itself_fails_the_run_and_the_data_is_kept_and_named() {
        let alone = alone();
        signal(&alone.survivor, "TERM");
        let (stdout, stderr, code, data) = end(alone);
        assert_eq!(code, Some(1), "{stderr}");
        assert!(stdout.is_empty(), "{stdout}");
        let said = stderr.lines().last().unwrap_or_default();
        assert!(said.contains("ended unexpectedly") && said.contains(&data), "{stderr}");
    }
}
