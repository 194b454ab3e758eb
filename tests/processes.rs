//! Real processes over UDP, killed with SIGKILL and started again.
//!
//! A test starts this very binary again, once for each replica: the test `child` is such a replica
//! when it finds [`CHILD`] in its environment, and passes at once otherwise. Parent and child speak
//! lines: `propose <command>` and `list` one way, lines that begin with `@` the other way.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{self, BufRead, BufReader, Write};
use std::net::{SocketAddr, UdpSocket};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use synod::config::Config;
use synod::entry::Place;
use synod::membership::{ClusterId, ReplicaId};
use synod::udp::{ClusterKey, UdpOptions, UdpTransport};
use synod::wal::Wal;
use synod::{Applied, Handle, Node, StateMachine, Ticket};
use tempfile::TempDir;

/// What a child is told: its number, the directory of all, and everyone's address.
const CHILD: &str = "SYNOD_TEST_CHILD";

/// How long anything may take before the test fails. Nothing waits this long in a test that passes.
const DEADLINE: Duration = Duration::from_secs(60);

#[allow(clippy::disallowed_methods, reason = "deadlines of a test")]
fn now() -> Instant {
    Instant::now()
}

// ----- the child ---------------------------------------------------------------------------------

/// Keeps what it is told, in order.
struct Journal(Arc<Mutex<Vec<String>>>);

impl StateMachine for Journal {
    type Answer = ();

    fn apply(&mut self, _: Place, command: &[u8]) {
        let command = String::from_utf8_lossy(command).into_owned();
        self.0.lock().expect("nobody panics with the journal").push(command);
    }
}

#[test]
fn child() {
    let Ok(told) = std::env::var(CHILD) else { return };
    let words: Vec<&str> = told.split(' ').collect();
    let [id, directory, addresses] = words[..] else { panic!("{CHILD} is {told:?}") };
    let id = ReplicaId(id.parse().expect("a number"));
    let directory = PathBuf::from(directory);
    let addresses: Vec<SocketAddr> =
        addresses.split(',').map(|address| address.parse().expect("an address")).collect();
    let members: Vec<ReplicaId> = (1u32..).take(addresses.len()).map(ReplicaId).collect();

    let key = ClusterKey::read(directory.join("key")).expect("the key is there");
    let peers: BTreeMap<ReplicaId, SocketAddr> = members.iter().copied().zip(addresses).collect();
    let options = UdpOptions { key: Some(key), ..UdpOptions::new(peers[&id], peers) };
    let transport = UdpTransport::bind(options).expect("the address is free");
    let cluster = ClusterId::named("processes").expect("a good name");
    let log = Wal::open_directory(directory.join(id.to_string()), cluster, id).expect("the log");
    let config = Config::new(members);
    let journal = Arc::new(Mutex::new(Vec::new()));
    let node = Node::start(config, log, transport, Journal(Arc::clone(&journal))).expect("a start");

    let (watched, seen) = (node.clone(), Arc::clone(&journal));
    thread::spawn(move || watch(&watched, &seen));
    let (tickets, proposed) = mpsc::channel();
    thread::spawn(move || settle(&proposed));
    for line in io::stdin().lock().lines() {
        let line = line.expect("the parent speaks UTF-8");
        match line.split_once(' ') {
            Some(("propose", command)) => {
                let ticket = node.propose(command.as_bytes());
                tickets.send((command.to_owned(), ticket)).expect("the thread runs");
            }
            _ => say(&format!("@list {}", journal.lock().expect("no panic").join(" "))),
        }
    }
    node.stop().expect("a clean stop");
}

/// Tells whether this replica leads and how much it has applied, whenever that changes.
fn watch(node: &Handle<Journal>, journal: &Mutex<Vec<String>>) {
    let mut told = None;
    loop {
        let status = node.status();
        let applied = journal.lock().expect("nobody panics with the journal").len();
        let round = status.replica.leader.filter(|_| status.leads()).map_or(0, |b| b.round);
        if told != Some((round, applied)) {
            say(&format!("@at {round} {applied}"));
            told = Some((round, applied));
        }
        thread::sleep(Duration::from_millis(5));
    }
}

/// Tells what became of each command.
fn settle(proposed: &Receiver<(String, Ticket<Applied<()>>)>) {
    for (command, ticket) in proposed {
        match ticket.wait() {
            Ok(_) => say(&format!("@chosen {command}")),
            Err(error) if error.is_certain() => say(&format!("@refused {command}")),
            Err(_) => say(&format!("@unknown {command}")),
        }
    }
}

fn say(line: &str) {
    // The parent may have gone, or killed us half way through this line.
    let _ = writeln!(io::stdout().lock(), "{line}");
}

// ----- the parent --------------------------------------------------------------------------------

/// A replica's process, as its parent sees it.
struct Process {
    child: Child,
    stdin: Option<ChildStdin>,
    round: u64,
    applied: usize,
    list: Option<Vec<String>>,
}

/// Three processes, and what they said.
struct Cluster {
    directory: TempDir,
    addresses: String,
    processes: BTreeMap<u32, Process>,
    /// Which replica said what, in which of the starts of this test.
    lines: Receiver<(u32, u32, String)>,
    sender: Sender<(u32, u32, String)>,
    starts: BTreeMap<u32, u32>,
    /// Commands whose proposer said that they are chosen and applied.
    chosen: BTreeSet<String>,
    refused: BTreeSet<String>,
}

impl Cluster {
    fn start(replicas: u32) -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let key = directory.path().join("key");
        fs::write(&key, [42; 32]).expect("the key is written");
        fs::set_permissions(&key, fs::Permissions::from_mode(0o600)).expect("the key is ours");
        let sockets: Vec<UdpSocket> =
            (0..replicas).map(|_| UdpSocket::bind("127.0.0.1:0").expect("a free port")).collect();
        let addresses: Vec<String> = sockets
            .iter()
            .map(|socket| socket.local_addr().expect("a bound socket").to_string())
            .collect();
        drop(sockets);
        let (sender, lines) = mpsc::channel();
        let mut cluster = Self {
            directory,
            addresses: addresses.join(","),
            processes: BTreeMap::new(),
            lines,
            sender,
            starts: BTreeMap::new(),
            chosen: BTreeSet::new(),
            refused: BTreeSet::new(),
        };
        (1..=replicas).for_each(|id| cluster.start_one(id));
        cluster
    }

    fn start_one(&mut self, id: u32) {
        let directory = self.directory.path().to_str().expect("a path in UTF-8");
        let mut child = Command::new(std::env::current_exe().expect("a running test has a path"))
            .args(["child", "--exact", "--nocapture"])
            .env(CHILD, format!("{id} {directory} {}", self.addresses))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("this binary starts again");
        let stdin = child.stdin.take();
        let stdout = BufReader::new(child.stdout.take().expect("standard output is a pipe"));
        let start = self.starts.entry(id).or_default();
        *start += 1;
        let (start, sender) = (*start, self.sender.clone());
        thread::spawn(move || {
            for line in stdout.lines().map_while(Result::ok) {
                if sender.send((id, start, line)).is_err() {
                    return;
                }
            }
        });
        let process = Process { child, stdin, round: 0, applied: 0, list: None };
        self.processes.insert(id, process);
    }

    /// SIGKILL. What the process said before may still be on its way here.
    fn kill(&mut self, id: u32) {
        let mut process = self.processes.remove(&id).expect("it runs");
        process.child.kill().expect("it can be killed");
        process.child.wait().expect("it has ended");
    }

    /// Handles what the replicas say until `until` gives something.
    fn wait<T>(&mut self, what: &str, mut until: impl FnMut(&mut Self) -> Option<T>) -> T {
        let deadline = now() + DEADLINE;
        loop {
            if let Some(found) = until(self) {
                return found;
            }
            let left = deadline.saturating_duration_since(now());
            let Ok((id, start, line)) = self.lines.recv_timeout(left) else {
                panic!("{what}: not within {DEADLINE:?}; {}", self.describe());
            };
            self.handle(id, start, &line);
        }
    }

    fn handle(&mut self, id: u32, start: u32, line: &str) {
        // The test harness may have begun the line with the test's name.
        let line = line.find('@').map_or("", |start| &line[start..]);
        let Some((kind, rest)) = line.split_once(' ') else { return };
        match kind {
            "@chosen" => drop(self.chosen.insert(rest.to_owned())),
            "@refused" => drop(self.refused.insert(rest.to_owned())),
            _ => {}
        }
        let process = self.processes.get_mut(&id).filter(|_| self.starts[&id] == start);
        let Some(process) = process else { return };
        match kind {
            "@at" => {
                let (round, applied) = rest.split_once(' ').expect("two numbers");
                process.round = round.parse().expect("a number");
                process.applied = applied.parse().expect("a number");
            }
            "@list" => process.list = Some(rest.split(' ').map(str::to_owned).collect()),
            _ => {}
        }
    }

    fn describe(&self) -> String {
        let at: Vec<String> = self
            .processes
            .iter()
            .map(|(id, p)| format!("{id} at round {} with {} applied", p.round, p.applied))
            .collect();
        format!("{}; {} chosen", at.join(", "), self.chosen.len())
    }

    /// The replica that leads at the highest ballot.
    fn leader(&mut self) -> u32 {
        self.wait("a leader", |cluster| {
            let leads = cluster.processes.iter().filter(|(_, process)| process.round > 0);
            leads.max_by_key(|(_, process)| process.round).map(|(id, _)| *id)
        })
    }

    fn tell(&mut self, id: u32, line: &str) {
        let process = self.processes.get_mut(&id).expect("it runs");
        let stdin = process.stdin.as_mut().expect("its standard input is open");
        writeln!(stdin, "{line}").expect("it reads");
    }

    /// Proposes these commands to whoever leads, without waiting.
    fn propose(&mut self, commands: &[String]) -> u32 {
        let leader = self.leader();
        for command in commands {
            self.tell(leader, &format!("propose {command}"));
        }
        leader
    }

    /// Proposes these commands until each is acknowledged. What was refused, which is certain, is
    /// proposed again.
    fn choose(&mut self, commands: &[String]) {
        let mut open = commands.to_vec();
        while !open.is_empty() {
            self.propose(&open);
            let waiting = open.clone();
            self.wait("every command is chosen or refused", |cluster| {
                let met = |c: &String| cluster.chosen.contains(c) || cluster.refused.contains(c);
                waiting.iter().all(met).then_some(())
            });
            open.retain(|command| !self.chosen.contains(command));
            self.refused.retain(|command| !open.contains(command));
        }
    }

    /// Waits until all replicas have applied the same, and checks that it holds everything that
    /// was acknowledged. Returns it.
    fn converge(&mut self) -> Vec<String> {
        let ids: Vec<u32> = self.processes.keys().copied().collect();
        let mut lists: Vec<Vec<String>> = Vec::new();
        let deadline = now() + DEADLINE;
        while lists.is_empty() || lists.iter().any(|list| *list != lists[0]) {
            assert!(now() < deadline, "the replicas do not converge: {}", self.describe());
            self.wait("as many applied everywhere", |cluster| {
                let mut applied = cluster.processes.values().map(|process| process.applied);
                let first = applied.next()?;
                (first >= cluster.chosen.len() && applied.all(|other| other == first)).then_some(())
            });
            for id in &ids {
                self.processes.get_mut(id).expect("it runs").list = None;
                self.tell(*id, "list");
            }
            lists = self.wait("every list", |cluster| {
                cluster.processes.values().map(|process| process.list.clone()).collect()
            });
        }
        let list = lists.swap_remove(0);
        for command in &self.chosen {
            assert!(list.contains(command), "{command} was acknowledged, and is lost");
        }
        list
    }

    /// Closes every standard input: the processes must end by themselves, well.
    fn stop(mut self) {
        for process in self.processes.values_mut() {
            drop(process.stdin.take());
        }
        for (id, mut process) in std::mem::take(&mut self.processes) {
            let deadline = now() + DEADLINE;
            let status = loop {
                if let Some(status) = process.child.try_wait().expect("it is our child") {
                    break status;
                }
                assert!(now() < deadline, "replica {id} does not end when its input closes");
                thread::sleep(Duration::from_millis(2));
            };
            assert!(status.success(), "replica {id} ended with {status}");
        }
    }
}

impl Drop for Cluster {
    /// A test that fails leaves no process behind.
    fn drop(&mut self) {
        for process in self.processes.values_mut() {
            let _ = process.child.kill();
            let _ = process.child.wait();
        }
    }
}

/// `count` commands that start with this word.
fn commands(word: &str, count: u32) -> Vec<String> {
    (0..count).map(|number| format!("{word}-{number}")).collect()
}

// ----- the tests ---------------------------------------------------------------------------------

#[test]
fn killed_leaders_and_followers_come_back_and_converge() {
    let mut cluster = Cluster::start(3);
    cluster.choose(&commands("first", 300));

    // The leader dies with commands in flight.
    let leader = cluster.propose(&commands("flight", 300));
    cluster.kill(leader);
    cluster.choose(&commands("two", 300));
    cluster.start_one(leader);
    cluster.choose(&commands("three", 300));

    // A follower dies; it missed a part that it must learn from the others' logs.
    let leader = cluster.leader();
    let follower = (1..=3).find(|id| *id != leader).expect("three replicas");
    cluster.kill(follower);
    cluster.choose(&commands("four", 300));
    cluster.start_one(follower);
    cluster.choose(&commands("five", 300));

    let list = cluster.converge();
    let known: BTreeSet<&str> =
        ["first", "flight", "two", "three", "four", "five"].into_iter().collect();
    for command in &list {
        let word = command.split('-').next().expect("a word");
        assert!(known.contains(word), "nobody proposed {command}");
    }
    // What was certainly refused, and so proposed again, was not applied before: nothing is double.
    let distinct: BTreeSet<&String> = list.iter().collect();
    assert_eq!(distinct.len(), list.len(), "a command was applied twice");
    cluster.stop();
}

#[test]
fn nothing_acknowledged_is_lost_when_all_are_killed_at_once() {
    let mut cluster = Cluster::start(3);
    for round in 0..4 {
        cluster.choose(&commands(&format!("round{round}"), 100));
        cluster.propose(&commands(&format!("flight{round}"), 100));
        (1..=3).for_each(|id| cluster.kill(id));
        (1..=3).for_each(|id| cluster.start_one(id));
    }
    cluster.choose(&commands("last", 10));
    assert!(cluster.converge().len() >= 410);
    cluster.stop();
}

#[test]
fn a_cluster_forms_although_its_members_are_killed_meanwhile() {
    let mut cluster = Cluster::start(3);
    for _ in 0..3 {
        for id in 1..=3 {
            cluster.kill(id);
            cluster.start_one(id);
        }
    }
    cluster.choose(&commands("formed", 10));
    assert_eq!(cluster.converge(), commands("formed", 10));
    cluster.stop();
}

#[test]
fn a_single_replica_comes_back_to_what_it_had() {
    let mut cluster = Cluster::start(1);
    cluster.choose(&commands("alone", 200));
    cluster.kill(1);
    cluster.start_one(1);
    cluster.choose(&commands("again", 200));
    assert_eq!(cluster.converge(), [commands("alone", 200), commands("again", 200)].concat());
    cluster.stop();
}
