//! One client's connection: to any replica, and to another when it breaks. What became of each
//! command that it sent, in the words of the promise: answered, refused, or unknown.

use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use synod::sim::Random;

use super::clock::{Clock, Time};
use super::findings::{Figures, Findings, count};
use super::random;
use super::resp::{self, Client, Reply};

/// How long to wait before trying to connect again.
const RECONNECT: Duration = Duration::from_millis(20);

/// In how many of a thousand cases a connection that works is left for another.
const LEAVE_PERMILLE: u32 = 5;

/// What all clients have in common.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) clock: Clock,
    /// Where each replica listens to clients.
    pub(crate) replicas: Vec<SocketAddr>,
    /// How long a reply may take before the client gives up.
    pub(crate) reply_timeout: Duration,
    /// How long each client takes for an operation at least; no time for no limit.
    pub(crate) pace: Duration,
    pub(crate) findings: Findings,
    pub(crate) figures: Figures,
    pub(crate) stop: AtomicBool,
    connections: AtomicU64,
}

/// What became of a command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    Reply(Reply, Time),
    /// It has no effect, ever.
    Refused,
    Unknown,
}

/// A connection, which may have to be made first.
pub(crate) struct Session<'a> {
    run: &'a Run,
    pub(crate) random: Random,
    client: Option<(usize, Client)>,
    /// The connection's number.
    pub(crate) connection: u64,
    /// How many operations were numbered.
    order: u64,
    /// When the next operation may be sent.
    due: Time,
}

impl Run {
    pub(crate) fn new(
        clock: Clock,
        replicas: Vec<SocketAddr>,
        reply_timeout: Duration,
        pace: Duration,
    ) -> Self {
        Self {
            clock,
            replicas,
            reply_timeout,
            pace,
            findings: Findings::default(),
            figures: Figures::new(clock),
            stop: AtomicBool::new(false),
            connections: AtomicU64::new(0),
        }
    }

    /// Whether clients are to end.
    pub(crate) fn is_over(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    /// The number of the next connection.
    pub(crate) fn next_connection(&self) -> u64 {
        self.connections.fetch_add(1, Ordering::Relaxed) + 1
    }
}

impl<'a> Session<'a> {
    pub(crate) fn new(run: &'a Run, random: Random) -> Self {
        Self { run, random, client: None, connection: 0, order: 0, due: Time::ZERO }
    }

    /// Makes a connection if there is none: to this replica, or to any.
    pub(crate) fn connect(&mut self, replica: Option<usize>) -> bool {
        if self.random.chance(LEAVE_PERMILLE) {
            self.client = None;
        }
        if self.client.is_some() {
            return true;
        }
        let any = random::place(&mut self.random, self.run.replicas.len());
        let replica = replica.unwrap_or(any);
        match Client::connect(self.run.replicas[replica], self.run.reply_timeout) {
            Ok(client) => {
                count(&self.run.figures.connections);
                self.connection = self.run.next_connection();
                self.client = Some((replica, client));
                true
            }
            Err(_) => {
                thread::sleep(RECONNECT);
                false
            }
        }
    }

    /// The place of the next operation in the order of this client.
    pub(crate) fn next_order(&mut self) -> u64 {
        self.order += 1;
        self.order
    }

    /// Sends commands in one piece, and tells what became of each, in their order, as soon as that
    /// is known.
    pub(crate) fn exchange(
        &mut self,
        commands: &[Vec<String>],
        mut each: impl FnMut(usize, Answer),
    ) {
        let mut bytes = Vec::new();
        for command in commands {
            let words: Vec<&str> = command.iter().map(String::as_str).collect();
            resp::encode(&words, &mut bytes);
        }
        let mut sent = match &mut self.client {
            Some((_, client)) => client.send(&bytes),
            None => Err(io::ErrorKind::NotConnected.into()),
        };
        for (i, command) in commands.iter().enumerate() {
            let reply = match (&sent, &mut self.client) {
                (Ok(()), Some((_, client))) => client.receive(),
                _ => Err(io::ErrorKind::NotConnected.into()),
            };
            let answer = match reply {
                Ok(reply) => self.judge(command, reply),
                Err(error) => {
                    if error.kind() == io::ErrorKind::InvalidData {
                        self.complain(command, &format!("no reply of RESP2: {error}"));
                    }
                    // Replies to what follows would be taken for others.
                    sent = Err(io::ErrorKind::NotConnected.into());
                    Answer::Unknown
                }
            };
            match answer {
                Answer::Refused => count(&self.run.figures.refused),
                Answer::Unknown => count(&self.run.figures.unknown),
                Answer::Reply(..) => {}
            }
            each(i, answer);
        }
        if sent.is_err() {
            self.client = None;
        }
    }

    fn judge(&self, command: &[String], reply: Reply) -> Answer {
        let Reply::Error(text) = reply else { return Answer::Reply(reply, self.run.clock.now()) };
        match text.split(' ').next() {
            Some("TRYAGAIN") => Answer::Refused,
            Some("TIMEOUT") => Answer::Unknown,
            _ => {
                self.complain(command, &format!("the error -{text}"));
                Answer::Unknown
            }
        }
    }

    /// Reports a reply that no server should give.
    pub(crate) fn complain(&self, command: &[String], what: &str) {
        let at = self.run.clock.now().as_secs_f64();
        let replica = self.client.as_ref().map_or(0, |(replica, _)| replica + 1);
        let command: String = command.join(" ").chars().take(80).collect();
        self.run.findings.report(format!("{command}: {what}, from replica {replica} at {at:.3} s"));
    }

    /// Waits until the next operation may be sent, after so many of which so many were refused.
    pub(crate) fn rest(&mut self, operations: usize, refused: usize) {
        let now = self.run.clock.now();
        let pace = self.run.pace * u32::try_from(operations).unwrap_or(u32::MAX);
        self.due = (self.due + pace).max(now);
        if operations == refused {
            // There is no leader, or it cannot be reached: it will take a moment.
            let pause = random::between(&mut self.random, 5, 25);
            self.due = self.due.max(now + Duration::from_millis(pause));
        }
        thread::sleep(self.due.saturating_sub(now));
    }
}
