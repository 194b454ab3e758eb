//! Three nodes in one process over channels, each with its log in a directory, and a client.

use std::collections::VecDeque;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use std::time::Duration;

use synod::config::Config;
use synod::entry::Place;
use synod::membership::{ClusterId, ReplicaId};
use synod::node::channel::Network;
use synod::wal::Wal;
use synod::{Applied, Consistency, Handle, Node, StateMachine, Ticket, TicketError};
use tempfile::TempDir;

/// How often it is looked again for a state that is about to come.
const LOOK: Duration = Duration::from_millis(2);

const COMMAND: [u8; 64] = [7; 64];

/// Stops state machines, and lets them go on.
#[derive(Default)]
pub(crate) struct Gate {
    closed: AtomicBool,
    lock: Mutex<()>,
    opened: Condvar,
}

impl Gate {
    /// From now on whoever comes waits.
    pub(crate) fn close(&self) {
        self.closed.store(true, Ordering::SeqCst);
    }

    /// Lets all go on.
    pub(crate) fn open(&self) {
        let guard = self.lock.lock().expect("nobody panics with this lock");
        self.closed.store(false, Ordering::SeqCst);
        drop(guard);
        self.opened.notify_all();
    }

    fn pass(&self) {
        if self.closed.load(Ordering::SeqCst) {
            let guard = self.lock.lock().expect("nobody panics with this lock");
            let is_closed = |(): &mut ()| self.closed.load(Ordering::SeqCst);
            drop(self.opened.wait_while(guard, is_closed).expect("nobody panics with this lock"));
        }
    }
}

/// Counts commands, when its gate lets it.
pub(crate) struct Count {
    commands: u64,
    gate: Arc<Gate>,
}

impl StateMachine for Count {
    type Answer = u64;

    fn apply(&mut self, _place: Place, _command: &[u8]) -> u64 {
        self.gate.pass();
        self.commands += 1;
        self.commands
    }
}

/// What a client waits for.
pub(crate) type Waiting = Ticket<Applied<u64>>;

/// Three replicas.
pub(crate) struct Nodes {
    nodes: Vec<Handle<Count>>,
    gates: Vec<Arc<Gate>>,
    // Dropped after the nodes.
    _directories: Vec<TempDir>,
}

impl Nodes {
    /// Starts them with logs below the directory, and waits until they are formed and one leads.
    pub(crate) fn start(below: &Path) -> Result<Self, String> {
        let network = Network::new();
        let cluster = ClusterId::named("measured").map_err(|error| error.to_string())?;
        let ids = [1, 2, 3].map(ReplicaId);
        let mut all = Self { nodes: Vec::new(), gates: Vec::new(), _directories: Vec::new() };
        for id in ids {
            let directory = tempfile::tempdir_in(below);
            let directory = directory.map_err(|e| format!("{}: {e}", below.display()))?;
            let log = Wal::open_directory(directory.path(), cluster, id);
            let log = log.map_err(|error| error.to_string())?;
            let config = Config { seed: id.0.into(), ..Config::new(ids) };
            let gate = Arc::new(Gate::default());
            let machine = Count { commands: 0, gate: Arc::clone(&gate) };
            let node = Node::start(config, log, network.transport(id), machine);
            all.nodes.push(node.map_err(|error| error.to_string())?);
            all.gates.push(gate);
            all._directories.push(directory);
        }
        while all.nodes.iter().any(|node| node.status().leader().is_none()) {
            thread::sleep(LOOK);
        }
        Ok(all)
    }

    /// Waits for a replica that leads. Its place.
    pub(crate) fn leader(&self) -> usize {
        loop {
            match self.nodes.iter().position(|node| node.status().leads()) {
                Some(leader) => return leader,
                None => thread::sleep(LOOK),
            }
        }
    }

    pub(crate) fn gates(&self) -> &[Arc<Gate>] {
        &self.gates
    }

    pub(crate) fn node(&self, place: usize) -> &Handle<Count> {
        &self.nodes[place]
    }

    /// Stops a replica for good.
    pub(crate) fn stop(&self, place: usize) -> Result<(), String> {
        self.nodes[place].stop().map_err(|reason| reason.to_string())
    }

    /// Proposes a command of 64 bytes at that replica.
    pub(crate) fn propose(&self, place: usize) -> Waiting {
        self.nodes[place].propose(&COMMAND)
    }

    /// How many commands the leader's machine has applied.
    pub(crate) fn applied(&self) -> Result<u64, String> {
        let node = &self.nodes[self.leader()];
        let read = node.read(Consistency::Linearizable, |machine| machine.commands).wait();
        read.map_err(|error| format!("a read: {error}"))
    }

    /// Waits until the replica knows everything to be durable that was proposed there.
    pub(crate) fn settle(&self, place: usize, proposed: u64) {
        loop {
            let status = self.nodes[place].status();
            let replica = status.replica;
            let offered = replica.queued_bytes == 0 && replica.awaited_runs == 0;
            let durable = replica.durable == replica.appended;
            if status.counters.proposed == proposed && offered && durable {
                return;
            }
            thread::sleep(LOOK);
        }
    }
}

/// Keeps a number of commands in flight at the leader.
pub(crate) struct Client<'a> {
    nodes: &'a Nodes,
    leader: usize,
    window: usize,
    waiting: VecDeque<Waiting>,
    /// Commands that were refused, and proposed again.
    pub(crate) refused: u64,
}

impl<'a> Client<'a> {
    pub(crate) fn new(nodes: &'a Nodes, window: usize) -> Self {
        let waiting = VecDeque::with_capacity(window);
        Self { nodes, leader: nodes.leader(), window, waiting, refused: 0 }
    }

    /// Proposes so many, each until it is applied. Up to `window` of them may be left in flight.
    pub(crate) fn run(&mut self, commands: u64) -> Result<(), String> {
        for _ in 0..commands {
            if self.waiting.len() == self.window {
                self.wait_for_one()?;
            }
            self.waiting.push_back(self.nodes.propose(self.leader));
        }
        Ok(())
    }

    /// Waits for all that are in flight.
    pub(crate) fn finish(&mut self) -> Result<(), String> {
        while !self.waiting.is_empty() {
            self.wait_for_one()?;
        }
        Ok(())
    }

    fn wait_for_one(&mut self) -> Result<(), String> {
        let Some(ticket) = self.waiting.pop_front() else { return Ok(()) };
        match ticket.wait() {
            Ok(_) => Ok(()),
            Err(TicketError::Full | TicketError::NotLeader { .. } | TicketError::Superseded) => {
                self.refused += 1;
                self.leader = self.nodes.leader();
                self.waiting.push_back(self.nodes.propose(self.leader));
                Ok(())
            }
            Err(error) => Err(format!("a command: {error}")),
        }
    }
}
