//! What the end-to-end tests of nodes share: a machine that writes down what it applies, and waits
//! on conditions instead of on time.
#![allow(dead_code, reason = "each test binary uses its part")]

use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use synod::config::Config;
use synod::entry::Place;
use synod::membership::{ClusterId, ReplicaId};
use synod::node::channel::Network;
use synod::node::{Applied, Handle, Node, Ticket, TicketError};
use synod::wal::Wal;
use synod::{StateMachine, Transport};
use tempfile::TempDir;

/// How long anything may take before a test gives up: far more than a busy machine needs.
const PATIENCE: Duration = Duration::from_secs(60);

/// Waits until `look` gives something.
pub(crate) fn eventually<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let step = Duration::from_millis(2);
    for _ in 0..PATIENCE.as_millis() / step.as_millis() {
        if let Some(seen) = look() {
            return seen;
        }
        thread::sleep(step);
    }
    panic!("waited in vain: {what}");
}

/// What a machine has applied.
pub(crate) type Book = Arc<Mutex<Vec<Vec<u8>>>>;

/// Writes down each command, and answers how many there are.
pub(crate) struct Recorder {
    pub(crate) book: Book,
}

impl StateMachine for Recorder {
    type Answer = u64;

    fn apply(&mut self, _place: Place, command: &[u8]) -> u64 {
        assert_ne!(command, b"panic", "told to panic");
        let mut book = self.book.lock().unwrap();
        book.push(command.to_vec());
        book.len() as u64
    }
}

pub(crate) fn cluster() -> ClusterId {
    ClusterId::named("trio").unwrap()
}

/// Settings under which a busy machine does not make a leader look dead.
pub(crate) fn config(members: u32, seed: u64) -> Config {
    let mut config = Config::new((1..=members).map(ReplicaId));
    config.seed = seed;
    config.heartbeat = Duration::from_millis(50);
    config.election_timeout = Duration::from_secs(1);
    config
}

/// One member: its directory outlives its node.
pub(crate) struct Member {
    pub(crate) id: ReplicaId,
    pub(crate) directory: TempDir,
    pub(crate) node: Option<Handle<Recorder>>,
    pub(crate) book: Book,
}

impl Member {
    pub(crate) fn new(id: u32) -> Self {
        let directory = tempfile::tempdir().unwrap();
        Self { id: ReplicaId(id), directory, node: None, book: Book::default() }
    }

    pub(crate) fn start(&mut self, config: Config, transport: impl Transport) -> &Handle<Recorder> {
        let log = Wal::open_directory(self.directory.path(), cluster(), self.id).unwrap();
        self.book = Book::default();
        let machine = Recorder { book: Arc::clone(&self.book) };
        self.node.insert(Node::start(config, log, transport, machine).unwrap())
    }

    pub(crate) fn node(&self) -> &Handle<Recorder> {
        self.node.as_ref().unwrap()
    }

    pub(crate) fn applied(&self) -> Vec<Vec<u8>> {
        self.book.lock().unwrap().clone()
    }
}

/// Members on one channel network.
pub(crate) struct Cluster {
    pub(crate) network: Network,
    pub(crate) members: Vec<Member>,
}

impl Cluster {
    pub(crate) fn start(count: u32) -> Self {
        let members = (1..=count).map(Member::new).collect();
        let mut cluster = Self { network: Network::new(), members };
        for index in 0..count as usize {
            cluster.start_member(index);
        }
        cluster
    }

    pub(crate) fn start_member(&mut self, index: usize) {
        let config = config(self.members.len() as u32, index as u64 + 1);
        let transport = self.network.transport(self.members[index].id);
        self.members[index].start(config, transport);
    }

    pub(crate) fn stop_member(&mut self, index: usize) {
        self.members[index].node.take().unwrap().stop().unwrap();
    }

    /// The index of a member that leads, as it says itself.
    pub(crate) fn leader(&self) -> usize {
        eventually("a leader", || self.current_leader())
    }

    pub(crate) fn current_leader(&self) -> Option<usize> {
        self.members
            .iter()
            .position(|member| member.node.as_ref().is_some_and(|node| node.status().leads()))
    }

    /// Proposes each command at whoever leads until it is applied; what is certain not to be
    /// applied is proposed again.
    pub(crate) fn propose(&self, commands: &[Vec<u8>]) {
        for command in commands {
            eventually("a command is applied", || {
                let leader = self.current_leader()?;
                let ticket = self.members[leader].node().propose(command);
                match self.fate(ticket) {
                    Ok(_) => Some(()),
                    Err(error) if error.is_certain() => None,
                    Err(error) => panic!("the fate of a command is lost: {error}"),
                }
            });
        }
    }

    /// Waits for a ticket. What became of the last commands of a deposed leader is known as soon as
    /// whoever leads has filled their slots.
    fn fate(&self, ticket: Ticket<Applied<u64>>) -> Result<Applied<u64>, TicketError> {
        match ticket.wait_timeout(PATIENCE) {
            Ok(fate) => fate,
            Err(_) => panic!("a command has no fate: {}", self.tell()),
        }
    }

    /// What the members say of themselves, for a test that fails.
    fn tell(&self) -> String {
        let nodes = self.members.iter().filter_map(|member| member.node.as_ref());
        nodes.map(|node| format!("\n{:#?}\n{:?}", node.status(), node.events())).collect()
    }

    /// Waits until every running member has applied exactly these commands, in this order.
    pub(crate) fn wait_for(&self, commands: &[Vec<u8>]) {
        for member in self.members.iter().filter(|member| member.node.is_some()) {
            eventually("all commands are applied", || {
                let applied = member.book.lock().unwrap().len();
                (applied >= commands.len()).then_some(())
            });
            assert_eq!(member.applied(), commands, "replica {}", member.id);
        }
    }
}

/// Commands that tell their number.
pub(crate) fn numbered(range: std::ops::Range<usize>) -> Vec<Vec<u8>> {
    range.map(|number| format!("command {number}").into_bytes()).collect()
}

pub(crate) fn is_not_leader(error: &TicketError) -> bool {
    matches!(error, TicketError::NotLeader { .. })
}
