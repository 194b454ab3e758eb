//! Processes of the example `udp_kv`, and a client of them.

use std::fs;
use std::io::{self, Read, Write};
use std::net::{TcpStream, UdpSocket};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use redis_protocol::resp2::decode::decode;
use redis_protocol::resp2::types::OwnedFrame;
use tempfile::TempDir;
use tokio::net::TcpSocket;

use crate::built::example;

/// How long anything may take before the test fails. Nothing waits this long in a test that passes.
pub(crate) const DEADLINE: Duration = Duration::from_secs(120);

#[allow(clippy::disallowed_methods, reason = "deadlines of a test")]
pub(crate) fn now() -> Instant {
    Instant::now()
}

/// Replicas as processes of their own; killed when dropped.
pub(crate) struct Cluster {
    directory: TempDir,
    datagrams: Vec<u16>,
    /// Sockets that keep the ports of clients from others. They do not listen, so nobody reaches
    /// them by mistake while a replica is down.
    clients: Vec<TcpSocket>,
    options: Vec<String>,
    children: Vec<Option<Child>>,
}

impl Cluster {
    /// Starts so many replicas, numbered from 1, with these further options.
    pub(crate) fn start(replicas: usize, options: &[&str]) -> Self {
        // All are open at once, so that each gets another port.
        let udp: Vec<UdpSocket> =
            (0..replicas).map(|_| UdpSocket::bind("127.0.0.1:0").expect("a free port")).collect();
        let port = |socket: &UdpSocket| socket.local_addr().expect("bound").port();
        let datagrams = udp.iter().map(port).collect();
        let mut cluster = Self {
            directory: tempfile::tempdir().expect("a temporary directory"),
            datagrams,
            clients: (0..replicas).map(|_| keep_port()).collect(),
            options: options.iter().map(ToString::to_string).collect(),
            children: (0..replicas).map(|_| None).collect(),
        };
        drop(udp);
        for replica in 1..=replicas {
            cluster.restart(replica);
        }
        cluster
    }

    /// Starts a replica that does not run.
    pub(crate) fn restart(&mut self, replica: usize) {
        let log = fs::File::options()
            .create(true)
            .append(true)
            .open(self.said_path(replica))
            .expect("a file for what it says");
        let mut command = Command::new(example("udp_kv"));
        command.args(["--id", &replica.to_string()]);
        command.args(["--listen", &format!("127.0.0.1:{}", self.datagrams[replica - 1])]);
        command.args(["--client", &format!("127.0.0.1:{}", self.client_port(replica))]);
        command.arg("--data").arg(self.directory.path().join(replica.to_string()).join("log"));
        for (peer, port) in (1..).zip(&self.datagrams).filter(|(peer, _)| *peer != replica) {
            command.args(["--peer", &format!("{peer}=127.0.0.1:{port}")]);
        }
        let command = command.args(&self.options).stdin(Stdio::null()).stderr(log);
        self.children[replica - 1] = Some(command.spawn().expect("the example starts"));
    }

    /// Kills a replica with SIGKILL.
    pub(crate) fn kill(&mut self, replica: usize) {
        let mut child = self.children[replica - 1].take().expect("it runs");
        child.kill().expect("it can be killed");
        child.wait().expect("it ends");
    }

    /// The process of a replica.
    pub(crate) fn child(&mut self, replica: usize) -> &mut Child {
        self.children[replica - 1].as_mut().expect("it runs")
    }

    fn said_path(&self, replica: usize) -> PathBuf {
        self.directory.path().join(format!("{replica}.said"))
    }

    /// What a replica said on standard error.
    pub(crate) fn said(&self, replica: usize) -> String {
        fs::read_to_string(self.said_path(replica)).expect("a file for what it says")
    }

    /// The port of a replica's clients.
    pub(crate) fn client_port(&self, replica: usize) -> u16 {
        self.clients[replica - 1].local_addr().expect("bound").port()
    }

    /// A new client of a replica, once that takes connections.
    pub(crate) fn client(&mut self, replica: usize) -> Client {
        let deadline = now() + DEADLINE;
        loop {
            // A process that another test is about to start may hold a port of ours for a moment.
            let ended = self.children[replica - 1].as_mut().map(|child| child.try_wait());
            if matches!(ended, Some(Ok(Some(_)))) && self.said(replica).contains("in use") {
                self.restart(replica);
            }
            match TcpStream::connect(("127.0.0.1", self.client_port(replica))) {
                Ok(stream) => return Client::new(stream),
                Err(error) => {
                    assert!(now() < deadline, "replica {replica}: {error}: {}", self.said(replica));
                    thread::sleep(Duration::from_millis(10));
                }
            }
        }
    }

    /// The replica that leads, as those say that run, once they agree.
    pub(crate) fn leader(&mut self) -> usize {
        let running = (1..).zip(&self.children).filter(|(_, child)| child.is_some());
        let running: Vec<usize> = running.map(|(replica, _)| replica).collect();
        let mut clients: Vec<(usize, Client)> =
            running.into_iter().map(|replica| (replica, self.client(replica))).collect();
        let deadline = now() + DEADLINE;
        loop {
            let mut said = Vec::new();
            let mut leads = None;
            for (replica, client) in &mut clients {
                said.push(client.info("leader"));
                if client.info("role") == "leading" {
                    leads = Some(*replica);
                }
            }
            match leads {
                Some(leader) if said.iter().all(|said| *said == leader.to_string()) => {
                    return leader;
                }
                _ => assert!(now() < deadline, "no leader: {said:?}"),
            }
            thread::sleep(Duration::from_millis(10));
        }
    }
}

/// A socket with a free port that a replica can bind all the same.
fn keep_port() -> TcpSocket {
    let socket = TcpSocket::new_v4().expect("a socket");
    socket.set_reuseaddr(true).expect("it can be set");
    socket.bind(([127, 0, 0, 1], 0).into()).expect("a free port");
    socket
}

impl Drop for Cluster {
    fn drop(&mut self) {
        for child in self.children.iter_mut().flatten() {
            let _ = child.kill();
            let _ = child.wait();
        }
        if thread::panicking() {
            for replica in 1..=self.children.len() {
                eprintln!("replica {replica}: {}", self.said(replica));
            }
        }
    }
}

/// The bytes of a request.
pub(crate) fn request(words: &[impl AsRef<[u8]>]) -> Vec<u8> {
    let mut bytes = format!("*{}\r\n", words.len()).into_bytes();
    for word in words {
        let word = word.as_ref();
        bytes.extend_from_slice(format!("${}\r\n", word.len()).as_bytes());
        bytes.extend_from_slice(word);
        bytes.extend_from_slice(b"\r\n");
    }
    bytes
}

/// A reply as a test writes it: `+OK`, `-ERR ...`, `:1`, `$value`, `nil`, `[a, b]`.
fn shown(frame: OwnedFrame) -> String {
    match frame {
        OwnedFrame::SimpleString(text) => format!("+{}", String::from_utf8_lossy(&text)),
        OwnedFrame::Error(text) => format!("-{text}"),
        OwnedFrame::Integer(number) => format!(":{number}"),
        OwnedFrame::BulkString(bytes) => format!("${}", String::from_utf8_lossy(&bytes)),
        OwnedFrame::Array(frames) => {
            format!("[{}]", frames.into_iter().map(shown).collect::<Vec<_>>().join(", "))
        }
        OwnedFrame::Null => "nil".to_owned(),
    }
}

/// A connection to a replica.
pub(crate) struct Client {
    stream: TcpStream,
    input: Vec<u8>,
}

impl Client {
    fn new(stream: TcpStream) -> Self {
        stream.set_read_timeout(Some(DEADLINE)).expect("a timeout can be set");
        stream.set_write_timeout(Some(DEADLINE)).expect("a timeout can be set");
        stream.set_nodelay(true).expect("packets can be sent at once");
        Self { stream, input: Vec::new() }
    }

    pub(crate) fn stream(&self) -> &TcpStream {
        &self.stream
    }

    /// Sends bytes as they are.
    pub(crate) fn send(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).expect("the connection is open");
    }

    /// The next reply; nothing if the connection is closed.
    pub(crate) fn next(&mut self) -> Option<String> {
        loop {
            if let Some((frame, bytes)) = decode(&self.input).expect("a reply is RESP") {
                self.input.drain(..bytes);
                return Some(shown(frame));
            }
            let mut buffer = vec![0; 64 << 10];
            match self.stream.read(&mut buffer) {
                Ok(0) => return None,
                Ok(bytes) => self.input.extend_from_slice(&buffer[..bytes]),
                Err(error) if error.kind() == io::ErrorKind::ConnectionReset => return None,
                Err(error) => panic!("no reply: {error}"),
            }
        }
    }

    /// The next reply.
    pub(crate) fn reply(&mut self) -> String {
        self.next().expect("the connection is open")
    }

    /// One request and its reply.
    pub(crate) fn once(&mut self, words: &[impl AsRef<[u8]>]) -> String {
        self.send(&request(words));
        self.reply()
    }

    /// One request and its reply, tried again as long as it is certainly not applied.
    pub(crate) fn command(&mut self, words: &[impl AsRef<[u8]>]) -> String {
        let deadline = now() + DEADLINE;
        loop {
            let reply = self.once(words);
            if !reply.starts_with("-TRYAGAIN") || now() > deadline {
                return reply;
            }
        }
    }

    /// A value out of INFO.
    pub(crate) fn info(&mut self, name: &str) -> String {
        let text = self.once(&["INFO"]);
        let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        line.unwrap_or_else(|| panic!("INFO has no {name}: {text}")).to_owned()
    }
}
