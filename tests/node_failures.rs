//! What a node does when something in it fails, is slow, or ends in an odd place: nobody hangs, and
//! everybody hears why.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod trio;

use std::future::Future;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};
use std::time::Duration;

use synod::entry::Place;
use synod::membership::ReplicaId;
use synod::node::channel::Network;
use synod::node::{Handle, StopReason, TicketError};
use synod::wal::{Fault, HeapMedium, Wal, WalError, WalOptions};
use synod::{Applied, Consistency, Node, StateMachine, Ticket, Transport};
use trio::{Book, Cluster, Member, Recorder, cluster, config, eventually, numbered};

/// Starts the only replica of a cluster and waits until it leads.
fn start_alone<M: StateMachine>(member: &Member, machine: M) -> Handle<M> {
    let mut config = config(1, 1);
    config.apply_slots = 1;
    let log = Wal::open_directory(member.directory.path(), cluster(), member.id).unwrap();
    let transport = Network::new().transport(member.id);
    let node = Node::start(config, log, transport, machine).unwrap();
    eventually("it leads", || node.status().leads().then_some(()));
    node
}

#[test]
fn a_panic_in_the_machine_reaches_every_ticket() {
    let cluster = Cluster::start(1);
    cluster.propose(&numbered(0..5));
    let node = cluster.members[0].node();
    let panicking = node.propose(b"panic");
    let later = node.propose(b"later");
    let error = panicking.wait().unwrap_err();
    let TicketError::Unknown { reason: StopReason::MachinePanicked { slot, message } } = &error
    else {
        panic!("{error}")
    };
    assert!(message.contains("told to panic"), "{message}");
    assert_eq!(slot.0, 5);
    // The second one was taken in before or after the panic.
    let error = later.wait().unwrap_err();
    let (TicketError::Unknown { reason } | TicketError::Stopped { reason }) = error else {
        panic!("{error}")
    };
    assert!(matches!(reason, StopReason::MachinePanicked { .. }), "{reason}");
    let error = node.propose(b"after").wait().unwrap_err();
    assert!(error.is_certain());
    assert!(matches!(error, TicketError::Stopped { reason: StopReason::MachinePanicked { .. } }));
    assert!(matches!(node.status().poisoned(), Some(StopReason::MachinePanicked { .. })));
    assert!(matches!(node.stop(), Err(StopReason::MachinePanicked { .. })));
}

/// Gives too few answers.
struct Silent;

impl StateMachine for Silent {
    type Answer = ();
    fn apply(&mut self, _: Place, _: &[u8]) {}
    fn apply_batch(
        &mut self,
        _: synod::slot::Slot,
        _: synod::entry::Commands<'_>,
        _: &mut dyn FnMut(()),
    ) {
    }
}

#[test]
fn a_machine_that_does_not_answer_is_found_out() {
    let member = Member::new(1);
    let node = start_alone(&member, Silent);
    let error = node.propose(b"x").wait().unwrap_err();
    assert!(matches!(error, TicketError::Unknown { reason: StopReason::MachinePanicked { .. } }));
}

/// Applies a command when it is told to.
struct Gated {
    gate: Receiver<()>,
    begun: Arc<AtomicBool>,
}

impl StateMachine for Gated {
    type Answer = u64;
    fn apply(&mut self, place: Place, _: &[u8]) -> u64 {
        self.begun.store(true, Ordering::SeqCst);
        self.gate.recv().unwrap();
        place.slot.0
    }
}

fn start_gated(member: &Member) -> (Sender<()>, Handle<Gated>) {
    let (gate, _, node) = start_watched(member);
    (gate, node)
}

/// The same, and whether it has begun with a command.
fn start_watched(member: &Member) -> (Sender<()>, Arc<AtomicBool>, Handle<Gated>) {
    let (sender, gate) = mpsc::channel();
    let begun = Arc::new(AtomicBool::new(false));
    let machine = Gated { gate, begun: Arc::clone(&begun) };
    (sender, begun, start_alone(member, machine))
}

#[test]
fn reads_that_a_slow_machine_does_not_serve_are_refused_when_they_are_too_many() {
    for consistency in [Consistency::Local, Consistency::Linearizable] {
        let member = Member::new(1);
        let (gate, begun, node) = start_watched(&member);
        let command = node.propose(b"x");
        eventually("it hangs in the command", || begun.load(Ordering::SeqCst).then_some(()));
        let (mut waiting, mut served) = (Vec::new(), 0);
        let refused = loop {
            let read = node.read(consistency, |_| ());
            if read.is_done() {
                break read.wait().unwrap_err();
            }
            waiting.push(read);
            assert!(waiting.len() <= 100_000, "any number of reads may wait");
        };
        assert!(matches!(refused, TicketError::Full), "{refused}");
        gate.send(()).unwrap();
        assert!(command.wait().is_ok());
        for read in waiting {
            read.wait().unwrap();
            served += 1;
        }
        assert!(served > 1000, "{served}");
        // All room has come back.
        eventually("one more is served", || node.read(consistency, |_| ()).wait().ok());
    }
}

#[test]
fn a_slow_machine_holds_up_nothing_but_itself_and_then_new_commands() {
    let member = Member::new(1);
    let (gate, node) = start_gated(&member);
    let mut taken = Vec::new();
    // Slot after slot is chosen although nothing is applied, until enough wait.
    let refused = eventually("the node is full", || {
        let chosen = node.status().replica.chosen;
        let ticket = node.propose(b"x");
        eventually("it is chosen or refused", || {
            (ticket.is_done() || node.status().replica.chosen > chosen).then_some(())
        });
        match ticket.wait_timeout(Duration::ZERO) {
            Ok(refused) => Some(refused.unwrap_err()),
            Err(waiting) => {
                taken.push(waiting);
                None
            }
        }
    });
    assert!(matches!(refused, TicketError::Full), "{refused}");
    assert!(taken.len() >= 16);
    assert!(node.status().leads());
    for _ in 0..=taken.len() {
        gate.send(()).unwrap();
    }
    for (ticket, slot) in taken.into_iter().zip(0..) {
        assert_eq!(ticket.wait().unwrap().answer, slot);
    }
    node.propose(b"x").wait().unwrap();
}

#[test]
fn waiting_shortly_gives_the_ticket_back() {
    let member = Member::new(1);
    let (gate, node) = start_gated(&member);
    let ticket = node.propose(b"x").wait_timeout(Duration::from_millis(5)).unwrap_err();
    gate.send(()).unwrap();
    assert_eq!(ticket.wait_timeout(Duration::from_secs(60)).unwrap().unwrap().answer, 0);
}

#[test]
fn what_waits_for_the_machine_at_a_stop_is_unknown() {
    let member = Member::new(1);
    let (gate, begun, node) = start_watched(&member);
    // The first has a slot of its own, so that the others wait behind it.
    let first = node.propose(b"x");
    eventually("the machine begins", || begun.load(Ordering::SeqCst).then_some(()));
    let tickets = [node.propose(b"y"), node.propose(b"z")];
    eventually("all are taken in", || (node.status().counters.proposed == 3).then_some(()));
    let stopping = {
        let node = node.clone();
        thread::spawn(move || node.stop())
    };
    // The tickets are settled although the machine never ends.
    for ticket in tickets {
        let error = ticket.wait().unwrap_err();
        assert!(matches!(error, TicketError::Unknown { reason: StopReason::Asked }), "{error}");
    }
    // What the machine had begun by then it ends.
    gate.send(()).unwrap();
    assert_eq!(first.wait().unwrap().answer, 0);
    stopping.join().unwrap().unwrap();
}

/// Stops its own node.
struct Suicidal(Arc<Mutex<Option<Handle<Self>>>>);

impl StateMachine for Suicidal {
    type Answer = ();
    fn apply(&mut self, _: Place, _: &[u8]) {
        if let Some(node) = self.0.lock().unwrap().take() {
            node.stop().unwrap();
        }
    }
}

#[test]
fn a_machine_may_stop_its_own_node() {
    let member = Member::new(1);
    let own = Arc::default();
    let node = start_alone(&member, Suicidal(Arc::clone(&own)));
    *own.lock().unwrap() = Some(node.clone());
    // Applied or not: what counts is that both ends come.
    let _ = node.propose(b"x").wait();
    eventually("it stops", || node.status().stopped);
    drop(node);
    eventually("its directory is free", || {
        Wal::open_directory(member.directory.path(), cluster(), member.id).ok()
    });
}

/// Parks a thread until it is woken.
struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

fn block_on<F: Future>(future: F) -> F::Output {
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let mut future = pin!(future);
    loop {
        match future.as_mut().poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(output) => return output,
            Poll::Pending => thread::park(),
        }
    }
}

#[test]
fn tickets_are_futures() {
    let member = Member::new(1);
    let (gate, node) = start_gated(&member);
    let tickets = [node.propose(b"x"), node.propose(b"y")];
    let opening = thread::spawn(move || {
        gate.send(()).unwrap();
        gate.send(()).unwrap();
        gate
    });
    block_on(async {
        for ticket in tickets {
            ticket.await.unwrap();
        }
    });
    drop(opening.join().unwrap());
}

/// Holds the last handle of a node, and drops it when it is woken.
struct Last(Mutex<Option<Handle<Gated>>>);

impl Wake for Last {
    fn wake(self: Arc<Self>) {
        drop(self.0.lock().unwrap().take());
    }
}

#[test]
fn a_waker_may_drop_the_last_handle() {
    let member = Member::new(1);
    let (gate, node) = start_gated(&member);
    let ticket: Ticket<Applied<u64>> = node.propose(b"x");
    let waker = Waker::from(Arc::new(Last(Mutex::new(Some(node)))));
    let mut ticket = pin!(ticket);
    assert!(ticket.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
    gate.send(()).unwrap();
    // Polling before would give the ticket another waker.
    eventually("it is settled", || ticket.is_done().then_some(()));
    assert_eq!(block_on(ticket).unwrap().answer, 0);
    eventually("its directory is free", || {
        Wal::open_directory(member.directory.path(), cluster(), member.id).ok()
    });
}

/// Starts the only replica of a cluster on a simulated disk.
fn start_on(disk: &HeapMedium, book: &Book) -> Handle<Recorder> {
    let options = WalOptions::default();
    let log = Wal::open(Box::new(disk.clone()), cluster(), ReplicaId(1), options).unwrap();
    let machine = Recorder { book: Arc::clone(book) };
    let transport = Network::new().transport(ReplicaId(1));
    let node = Node::start(config(1, 1), log, transport, machine).unwrap();
    eventually("it leads", || node.status().leads().then_some(()));
    node
}

/// Proposes until the log has failed; returns what was acknowledged, and the first failure.
fn propose_until_failure(node: &Handle<Recorder>, command: &[u8]) -> (usize, TicketError) {
    let mut acknowledged = 0;
    loop {
        match node.propose(command).wait_timeout(Duration::from_secs(30)) {
            Ok(Ok(_)) => acknowledged += 1,
            Ok(Err(error)) => return (acknowledged, error),
            Err(_) => panic!("nobody hears of the failure"),
        }
    }
}

/// Everything that was acknowledged is there after a power cut.
fn assert_kept(disk: &HeapMedium, acknowledged: usize) {
    disk.crash(1);
    disk.set_capacity(None);
    let book = Book::default();
    let node = start_on(disk, &book);
    let applied = || book.lock().unwrap().len();
    eventually("all is applied again", || (applied() >= acknowledged).then_some(()));
    node.propose(b"on it goes").wait().unwrap();
}

#[test]
fn a_failed_sync_reaches_every_ticket_and_loses_nothing_acknowledged() {
    let disk = HeapMedium::new(1);
    let node = start_on(&disk, &Book::default());
    disk.inject(Fault::Sync { after: 20 });
    let (acknowledged, error) = propose_until_failure(&node, b"x");
    assert!(acknowledged > 0);
    let TicketError::Unknown { reason: StopReason::Log { .. } } = &error else { panic!("{error}") };
    let error = node.propose(b"x").wait().unwrap_err();
    assert!(matches!(error, TicketError::Stopped { reason: StopReason::Log { .. } }), "{error}");
    let status = node.status();
    assert!(matches!(status.poisoned(), Some(StopReason::Log { .. })));
    assert!(status.log.poisoned.is_some());
    assert!(node.stop().is_err());
    assert_kept(&disk, acknowledged);
}

#[test]
fn a_full_disk_is_named_and_loses_nothing_acknowledged() {
    let disk = HeapMedium::new(2);
    let node = start_on(&disk, &Book::default());
    // No room for a third segment.
    disk.set_capacity(Some(40 << 20));
    let (acknowledged, error) = propose_until_failure(&node, &[7; 1 << 20]);
    assert!(acknowledged > 0);
    let TicketError::Unknown { reason: StopReason::Log { error } } = &error else {
        panic!("{error}")
    };
    assert!(matches!(**error, WalError::Full { .. }), "{error}");
    drop(node);
    assert_kept(&disk, acknowledged);
}

/// Fails as no transport may.
struct Panicking;

impl Transport for Panicking {
    fn send(&mut self, _: ReplicaId, _: &[u8]) {
        panic!("no cable");
    }
    fn max_frame(&self) -> usize {
        1200
    }
}

#[test]
fn a_panic_in_the_transport_stops_the_node() {
    let mut member = Member::new(1);
    let log = Wal::open_directory(member.directory.path(), cluster(), member.id).unwrap();
    let machine = Recorder { book: Arc::clone(&member.book) };
    // With peers, it sends before it is formed.
    let reason = match Node::start(config(3, 1), log, Panicking, machine) {
        Ok(node) => {
            let node = member.node.insert(node);
            eventually("it stops", || node.status().stopped)
        }
        Err(synod::node::StartError::Stopped(reason)) => reason,
        Err(error) => panic!("{error}"),
    };
    assert!(matches!(reason, StopReason::TransportPanicked { .. }), "{reason}");
}

/// Takes frames that carry nothing.
struct Narrow;

impl Transport for Narrow {
    fn send(&mut self, _: ReplicaId, _: &[u8]) {}
    fn max_frame(&self) -> usize {
        10
    }
}

#[test]
fn a_transport_with_short_frames_is_refused() {
    let member = Member::new(1);
    let log = Wal::open_directory(member.directory.path(), cluster(), member.id).unwrap();
    let machine = Recorder { book: Arc::clone(&member.book) };
    let error = Node::start(config(3, 1), log, Narrow, machine).unwrap_err();
    assert!(matches!(error, synod::node::StartError::MaxFrame { bytes: 10, .. }), "{error}");
}

struct Unopened;

impl Transport for Unopened {
    fn send(&mut self, _: ReplicaId, _: &[u8]) {}
    fn max_frame(&self) -> usize {
        1200
    }
    fn open(&mut self, _: synod::Inbox) {
        panic!("no thread left");
    }
}

#[test]
fn a_transport_that_panics_when_it_is_opened_is_an_error_of_the_start() {
    let member = Member::new(1);
    let log = Wal::open_directory(member.directory.path(), cluster(), member.id).unwrap();
    let machine = trio::Recorder { book: Arc::clone(&member.book) };
    let error = Node::start(config(3, 1), log, Unopened, machine).unwrap_err();
    let synod::node::StartError::Stopped(StopReason::TransportPanicked { message }) = &error else {
        panic!("{error}")
    };
    assert_eq!(&**message, "no thread left");
}
