//! The example `udp_kv` as its clients see it: processes on loopback, spoken to by RESP.
//!
//! Where a change of leader would make a command fail that is certainly not applied, the tests try
//! it again, as a client would; nothing depends on how fast anything is.

#[path = "examples/built.rs"]
mod built;
mod kv;

use std::io::{ErrorKind, Write};
use std::net::Shutdown;
use std::os::unix::process::CommandExt;
use std::process::Command;
use std::thread;
use std::time::Duration;

use kv::{Cluster, DEADLINE, now, request};

/// So long that it is never up in a test that passes.
const PATIENT: [&str; 2] = ["--client-timeout-ms", "100000"];

/// What a command is answered, one after the other on one store.
const COMMANDS: &[(&str, &str)] = &[
    ("PING", "+PONG"),
    ("PING hello", "$hello"),
    ("PING a b", "-ERR wrong number of arguments for 'ping' command"),
    ("ECHO hello", "$hello"),
    ("FLUSHALL", "+OK"),
    ("DBSIZE", ":0"),
    ("GET a", "nil"),
    ("GET", "-ERR wrong number of arguments for 'get' command"),
    ("SET a 1", "+OK"),
    ("set A 2 nx", "+OK"),
    ("SET a 2 NX", "nil"),
    ("SET a 2 XX GET", "$1"),
    ("SET a 2 NX XX", "-ERR syntax error"),
    ("SET a 2 EX 10", "-ERR keys do not expire here"),
    ("GET a", "$2"),
    ("SETNX a 3", ":0"),
    ("SETNX b 3", ":1"),
    ("GETSET b 4", "$3"),
    ("GETSET c 5", "nil"),
    ("INCR a", ":3"),
    ("DECR a", ":2"),
    ("INCRBY a 40", ":42"),
    ("DECRBY a 50", ":-8"),
    ("INCRBY a 1.5", "-ERR value is not an integer or out of range"),
    ("DECRBY a -9223372036854775808", "-ERR decrement would overflow"),
    ("SET big 9223372036854775807", "+OK"),
    ("INCR big", "-ERR increment or decrement would overflow"),
    ("APPEND a x", ":3"),
    ("INCR a", "-ERR value is not an integer or out of range"),
    ("APPEND new xyz", ":3"),
    ("STRLEN new", ":3"),
    ("STRLEN missing", ":0"),
    ("MSET k1 v1 k2 v2", "+OK"),
    ("MSET k1 v1 k2", "-ERR wrong number of arguments for 'mset' command"),
    ("MGET k1 k2 missing k1", "[$v1, $v2, nil, $v1]"),
    ("EXISTS k1 k1 missing k2", ":3"),
    ("DEL k1 k1 missing k2", ":2"),
    ("EXISTS k1", ":0"),
    ("DBSIZE", ":6"),
    ("SELECT 0", "+OK"),
    ("SELECT 1", "-ERR DB index is out of range"),
    ("SELECT x", "-ERR value is not an integer or out of range"),
    ("CONFIG GET save", "[$save, $]"),
    ("COMMAND COUNT", ":24"),
    ("COMMAND INFO get nonsense", "[[$get, :2, [+readonly], :1, :1, :1], nil]"),
    ("HELLO 3", "-NOPROTO unsupported protocol version"),
    ("NONSENSE a", "-ERR unknown command 'NONSENSE', with args beginning with: 'a' "),
    ("FLUSHALL NONSENSE", "-ERR syntax error"),
    ("FLUSHALL ASYNC", "+OK"),
    ("DBSIZE", ":0"),
];

#[test]
fn every_command_is_answered_as_redis_does_by_the_leader_and_by_a_follower() {
    let mut cluster = Cluster::start(3, &PATIENT);
    let leader = cluster.leader();
    for replica in [leader, leader % 3 + 1] {
        let mut client = cluster.client(replica);
        for (command, expected) in COMMANDS {
            let words: Vec<&str> = command.split(' ').collect();
            assert_eq!(client.command(&words), *expected, "{command} on replica {replica}");
        }
        assert!(client.once(&["HELLO", "2"]).starts_with("[$server, $udp_kv, $version"));
        assert!(client.once(&["COMMAND"]).contains("[$mget, :-2, [+readonly], :1, :-1, :1]"));
        assert_eq!(client.once(&["INFO", "nonsense"]), "$");
        for name in ["ballot", "chosen", "applied", "lag_1", "stalled"] {
            if name != "lag_1" || replica != 1 {
                client.info(name);
            }
        }
        assert_eq!(client.once(&["QUIT"]), "+OK");
        assert_eq!(client.next(), None);
    }
    let deadline = now() + DEADLINE;
    for replica in 1..=3 {
        // It looks at the node now and then.
        while !cluster.said(replica).contains("leads") {
            assert!(now() < deadline, "{}", cluster.said(replica));
            thread::sleep(Duration::from_millis(10));
        }
        assert!(cluster.said(replica).contains(&format!("replica {replica} of 3 (1, 2, 3)")));
    }
}

#[test]
fn what_one_client_wrote_every_client_reads_from_every_replica() {
    let mut cluster = Cluster::start(3, &PATIENT);
    let mut clients: Vec<_> = (1..=3).map(|replica| cluster.client(replica)).collect();
    for round in 0..60usize {
        let value = round.to_string();
        assert_eq!(clients[round % 3].command(&["SET", "key", &value]), "+OK");
        for client in &mut clients {
            assert_eq!(client.command(&["GET", "key"]), format!("${value}"));
        }
    }
}

#[test]
fn pipelined_replies_come_in_the_order_of_the_requests() {
    const ROUNDS: usize = 400;
    let mut cluster = Cluster::start(3, &PATIENT);
    let follower = cluster.leader() % 3 + 1;
    let mut client = cluster.client(follower);
    let deadline = now() + DEADLINE;
    loop {
        assert!(client.command(&["FLUSHALL"]) == "+OK" && now() < deadline);
        let (mut bytes, mut expected) = (Vec::new(), Vec::new());
        for round in 0..ROUNDS {
            let value = round.to_string();
            let mut add = |words: &[&str], reply: String| {
                bytes.extend(request(words));
                expected.push(reply);
            };
            add(&["SET", "key", &value], "+OK".into());
            add(&["INCR", "count"], format!(":{}", round + 1));
            add(&["PING", &value], format!("${value}"));
            if round % 7 == 0 {
                add(&["GET", "key"], format!("${value}"));
                add(&["MGET", "key", "count"], format!("[${value}, ${}]", round + 1));
                add(&["STRLEN", "key"], format!(":{}", value.len()));
            }
            add(
                &["NONSENSE"],
                "-ERR unknown command 'NONSENSE', with args beginning with: ".into(),
            );
        }
        client.send(&bytes);
        let replies: Vec<String> = expected.iter().map(|_| client.reply()).collect();
        // A change of leader may refuse one of them, and then all that follow differ.
        if !replies.iter().any(|reply| reply.starts_with("-TRYAGAIN")) {
            assert_eq!(replies, expected);
            return;
        }
    }
}

#[test]
fn bad_input_ends_its_own_connection_and_no_other() {
    let mut cluster = Cluster::start(1, &PATIENT);
    let mut other = cluster.client(1);
    assert_eq!(other.command(&["SET", "a", "1"]), "+OK");
    for (bytes, error) in [
        ("*x\r\n", "invalid multibulk length"),
        ("*1000000000\r\n", "invalid multibulk length"),
        ("*1\r\n:4\r\n", "expected '$', got ':'"),
        ("*1\r\n$-5\r\n", "invalid bulk length"),
        ("*1\r\n$9999999999\r\n", "invalid bulk length"),
        ("*1\r\n$1\r\nabc", "expected CRLF behind a bulk string"),
        ("GET \"a\r\n", "unbalanced quotes in request"),
    ] {
        let mut client = cluster.client(1);
        client.send(b"GET a\r\n");
        client.send(bytes.as_bytes());
        client.send(b"SET a 2\r\n");
        assert_eq!(client.reply(), "$1", "{bytes}");
        assert_eq!(client.reply(), format!("-ERR Protocol error: {error}"));
        assert_eq!(client.next(), None, "{bytes}");
        assert_eq!(other.command(&["GET", "a"]), "$1");
    }
    let mut client = cluster.client(1);
    client.send(&vec![b'x'; 70 << 10]);
    assert_eq!(client.reply(), "-ERR Protocol error: too big inline request");
    // One that ends within a request.
    let mut client = cluster.client(1);
    client.send(b"*2\r\n$3\r\nGET\r\n$1\r");
    client.stream().shutdown(Shutdown::Write).expect("it was open");
    assert_eq!(client.next(), None);
    let mut client = cluster.client(1);
    client.send(b"\r\nping\r\n*0\r\nset \"b c\" 'd e'\r\nget \"b c\"\r\n");
    assert_eq!([client.reply(), client.reply(), client.reply()], ["+PONG", "+OK", "$d e"]);
}

#[test]
fn long_keys_and_values_are_taken_and_longer_ones_are_refused_with_the_limit() {
    let mut cluster = Cluster::start(3, &PATIENT);
    let follower = cluster.leader() % 3 + 1;
    let mut client = cluster.client(follower);
    let long = "k".repeat(1 << 20);
    assert_eq!(client.command(&["SET", &long, &long]), "+OK");
    assert_eq!(client.command(&["STRLEN", &long]), ":1048576");
    assert!(client.command(&["GET", &long]) == format!("${long}"), "the value differs");
    assert_eq!(
        client.command(&["APPEND", &long, "x"]),
        "-ERR string exceeds maximum allowed size (1048576 bytes)"
    );
    let longer = "x".repeat((1 << 20) + 1);
    let refusal = "-ERR an argument of 1048577 bytes is longer than the limit of 1048576";
    for words in [["SET", "a", &longer], ["SET", &longer, "a"], [&longer, "a", "a"]] {
        assert_eq!(client.once(&words), refusal);
        assert_eq!(client.command(&["EXISTS", "a"]), ":0");
    }
    let many: Vec<&str> = ["MSET"].into_iter().chain([long.as_str(); 4]).collect();
    assert_eq!(client.once(&many), "-ERR a request is longer than the limit of 3145728 bytes");
    let many = vec!["DEL"; 65_537];
    assert_eq!(
        client.once(&many),
        "-ERR a request of 65537 arguments is longer than the limit of 65536"
    );
    assert_eq!(client.command(&["DBSIZE"]), ":1");
}

#[test]
fn after_a_kill_of_the_leader_the_others_go_on_and_it_comes_back() {
    let mut cluster = Cluster::start(3, &PATIENT);
    let leader = cluster.leader();
    for key in 0..50 {
        let key = format!("before-{key}");
        assert_eq!(cluster.client(leader).command(&["SET", &key, &key]), "+OK");
    }
    cluster.kill(leader);
    let others = [leader % 3 + 1, (leader + 1) % 3 + 1];
    for replica in others {
        let mut client = cluster.client(replica);
        let key = format!("after-{replica}");
        assert_eq!(client.command(&["SET", &key, &key]), "+OK");
        assert_eq!(client.command(&["GET", "before-49"]), "$before-49");
    }
    cluster.restart(leader);
    let mut client = cluster.client(leader);
    assert_eq!(client.command(&["DBSIZE"]), ":52");
    for replica in others {
        let key = format!("after-{replica}");
        assert_eq!(client.command(&["GET", &key]), format!("${key}"));
    }
    // All at once: nothing that was acknowledged is lost.
    (1..=3).for_each(|replica| cluster.kill(replica));
    (1..=3).for_each(|replica| cluster.restart(replica));
    assert_eq!(cluster.client(1).command(&["DBSIZE"]), ":52");
}

#[test]
fn without_a_quorum_a_command_is_refused_in_time_and_with_one_it_is_not() {
    let mut cluster = Cluster::start(3, &["--client-timeout-ms", "500"]);
    let mut client = cluster.client(1);
    let deadline = now() + DEADLINE;
    while client.once(&["SET", "a", "1"]) != "+OK" {
        assert!(now() < deadline, "the cluster does not get on");
    }
    cluster.kill(2);
    cluster.kill(3);
    let failed = |reply: &str| reply.starts_with("-TRYAGAIN ") || reply.starts_with("-TIMEOUT ");
    for _ in 0..3 {
        // The read waits for the writes before it, and they for one another.
        client.send(&[request(&["SET", "a", "2"]), request(&["APPEND", "a", "3"])].concat());
        client.send(&[request(&["GET", "a"]), request(&["PING"])].concat());
        let replies: Vec<String> = (0..4).map(|_| client.reply()).collect();
        assert!(failed(&replies[0]) && failed(&replies[1]), "{replies:?}");
        assert!(replies[2].starts_with("-TRYAGAIN "), "{replies:?}");
        assert_eq!(replies[3], "+PONG");
    }
    let deadline = now() + DEADLINE;
    while !cluster.said(1).contains("no progress for") {
        assert!(now() < deadline, "nobody is told: {}", cluster.said(1));
        thread::sleep(Duration::from_millis(50));
    }
    assert_ne!(client.info("stalled"), "none");
    cluster.restart(3);
    let deadline = now() + DEADLINE;
    while client.once(&["SET", "b", "1"]) != "+OK" {
        assert!(now() < deadline, "the cluster does not get on");
    }
    assert!(["$1", "$2", "$23", "$13"].contains(&&*client.command(&["GET", "a"])));
}

#[test]
fn a_client_that_never_reads_is_not_read_and_costs_others_nothing() {
    const CHUNK_REQUESTS: usize = 1000;
    let mut cluster = Cluster::start(1, &PATIENT);
    let mut other = cluster.client(1);
    assert_eq!(other.command(&["SET", "big", &"x".repeat(1 << 20)]), "+OK");
    let client = cluster.client(1);
    client.stream().set_write_timeout(Some(Duration::from_millis(500))).expect("a timeout");
    let chunk = request(&["GET", "big"]).repeat(CHUNK_REQUESTS);
    let deadline = now() + DEADLINE;
    // The system's buffers take some, but not without end.
    loop {
        match client.stream().write(&chunk) {
            Ok(_) => assert!(now() < deadline, "the server reads on"),
            Err(error) if error.kind() == ErrorKind::WouldBlock => break,
            Err(error) => panic!("the connection is open: {error}"),
        }
    }
    for round in 0..50 {
        assert_eq!(other.command(&["SET", "a", &round.to_string()]), "+OK");
        assert_eq!(other.command(&["GET", "a"]), format!("${round}"));
    }
    let process = cluster.child(1).id();
    let status = std::fs::read_to_string(format!("/proc/{process}/status"));
    let status = status.unwrap_or_default();
    let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:")?.strip_suffix(" kB"));
    if let Some(kib) = resident {
        let kib: u64 = kib.trim().parse().expect("a number of KiB");
        assert!(kib < 512 << 10, "{kib} KiB are resident");
    }
}

#[test]
fn connections_beyond_the_limit_are_told_so() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    // Its own port, for it alone has this limit: 64 files are for other things than connections.
    let mut cluster = Cluster::start(1, &PATIENT);
    let port = cluster.client_port(1);
    cluster.kill(1);
    let mut child = Command::new("sh")
        .args(["-c", "ulimit -n 80; exec \"$0\" \"$@\""])
        .arg(built::example("udp_kv"))
        .args(["--id", "1", "--listen", "127.0.0.1:0", "--client", &format!("127.0.0.1:{port}")])
        .arg("--data")
        .arg(directory.path())
        .process_group(0)
        .spawn()
        .expect("the example starts");
    let mut clients: Vec<_> = (0..16).map(|_| cluster.client(1)).collect();
    for client in &mut clients {
        assert_eq!(client.once(&["PING"]), "+PONG");
    }
    let mut refused = cluster.client(1);
    assert_eq!(refused.reply(), "-ERR max number of clients reached");
    assert_eq!(refused.next(), None);
    assert_eq!(clients[0].once(&["PING"]), "+PONG");
    drop(clients.pop());
    let deadline = now() + DEADLINE;
    while cluster.client(1).once(&["PING"]) != "+PONG" {
        assert!(now() < deadline, "the place does not become free");
    }
    child.kill().expect("it runs");
    child.wait().expect("it ends");
}

#[test]
fn a_signal_ends_it_cleanly() {
    let mut cluster = Cluster::start(1, &PATIENT);
    assert_eq!(cluster.client(1).command(&["SET", "a", "1"]), "+OK");
    for signal in [rustix::process::Signal::TERM, rustix::process::Signal::INT] {
        let child = cluster.child(1);
        let process = rustix::process::Pid::from_child(child);
        rustix::process::kill_process(process, signal).expect("it runs");
        assert!(child.wait().expect("it ends").success());
        cluster.restart(1);
        assert_eq!(cluster.client(1).command(&["GET", "a"]), "$1");
    }
}

#[test]
fn a_bad_option_is_told_in_one_line() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let file = directory.path().join("file");
    std::fs::write(&file, "no key").expect("a file");
    let file = file.to_str().expect("a path of UTF-8");
    let good = directory.path().join("data");
    let good = ["--id=1", "--listen=127.0.0.1:0", "--client=127.0.0.1:0", "--data"]
        .map(str::to_owned)
        .into_iter()
        .chain([good.to_str().expect("a path of UTF-8").to_owned()])
        .collect::<Vec<String>>();
    let replaced = |option: &str| {
        let name = option.split('=').next().unwrap_or(option);
        let mut options: Vec<String> =
            good.iter().filter(|known| !known.starts_with(&format!("{name}="))).cloned().collect();
        options.push(option.to_owned());
        options
    };
    let key = format!("--key-file={file}");
    for (options, said) in [
        (Vec::new(), "required arguments were not provided"),
        (replaced("--bogus"), "--bogus"),
        (replaced("--id=x"), "--id"),
        (replaced("--listen=127.0.0.1"), "--listen"),
        (replaced("--listen=0.0.0.0:0"), "give --key-file, or --insecure"),
        (replaced("--client=192.0.2.1:1"), "--client 192.0.2.1:1"),
        (replaced("--peer=1=127.0.0.1:1"), "--peer 1"),
        (replaced("--peer=2"), "ID=HOST:PORT"),
        (replaced("--cluster="), "--cluster"),
        (replaced(&key), "--key-file: key file"),
        (replaced("--medium=tape"), "--medium"),
        (replaced("--client-timeout-ms=1"), "--client-timeout-ms"),
        ([&good[..3], &[format!("--data={file}")]].concat(), "--data"),
    ] {
        let output = Command::new(built::example("udp_kv"))
            .args(&options)
            .output()
            .expect("the example starts");
        let text = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{options:?}: {text}");
        assert!(text.contains(said) && text.lines().count() == 1, "{options:?}: {text}");
        assert!(!directory.path().join("data").exists(), "{options:?} left something behind");
    }
}
