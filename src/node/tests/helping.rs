//! Whoever waits for a ticket runs the state machine meanwhile.

use std::sync::OnceLock;
use std::thread::ThreadId;

use super::*;
use crate::replica::Consistency;

/// Tells on which thread it applies, and does there what it is given to do.
struct Where {
    before: Option<Place>,
    act: Act,
}

/// What is done with the bytes of each command.
type Act = Box<dyn FnMut(&[u8]) + Send>;

impl StateMachine for Where {
    type Answer = ThreadId;

    fn apply(&mut self, place: Place, command: &[u8]) -> ThreadId {
        let before = self.before.replace(place);
        assert!(before < Some(place), "{place:?} after {before:?}");
        (self.act)(command);
        thread::current().id()
    }
}

fn start_where(apply_slots: u64, act: Act) -> Handle<Where> {
    let disk = Box::new(HeapMedium::new(1));
    let log = Wal::open(disk, CLUSTER, ReplicaId(1), WalOptions::default()).unwrap();
    let mut config = Config::new([ReplicaId(1)]);
    config.apply_slots = apply_slots;
    // No timer turns the core while a test runs.
    (config.heartbeat, config.election_timeout) =
        (Duration::from_secs(3600), Duration::from_secs(6 * 3600));
    let transport = Network::new().transport(ReplicaId(1));
    let node = Node::start(config, log, transport, Where { before: None, act }).unwrap();
    node.propose(b"first").wait().unwrap();
    node
}

/// Proposes this command and waits, until it is applied by the thread that waits: the disk may be
/// quicker than the thread, and wake the apply thread before.
fn apply_here(node: &Handle<Where>, command: &[u8]) {
    let me = thread::current().id();
    while node.propose(command).wait().unwrap().answer != me {}
}

#[test]
fn whoever_waits_applies_its_command_and_runs_its_read() {
    let node = start_where(256, Box::new(|_| {}));
    let me = thread::current().id();
    apply_here(&node, b"x");
    // Such a read waits until its asker does: nothing is awake before.
    let ask = || node.read(Consistency::Linearizable, |_| thread::current().id());
    let read = || {
        for ticket in node.owner.shared.look(|_| [ask(), ask()]) {
            ticket.wait().unwrap();
        }
        ask().wait().unwrap()
    };
    while read() != me {}
}

#[test]
fn whoever_waits_for_some_time_only_or_polls_lends_nobody_its_thread() {
    let node = start_where(256, Box::new(|_| {}));
    let me = thread::current().id();
    for _ in 0..200 {
        let ticket = node.propose(b"x");
        let applied = ticket.wait_timeout(Duration::from_secs(600)).unwrap().unwrap();
        assert_ne!(applied.answer, me);
        let mut ticket = pin!(node.propose(b"y"));
        let waker = Waker::from(Arc::new(Flag::default()));
        let applied = loop {
            match ticket.as_mut().poll(&mut Context::from_waker(&waker)) {
                Poll::Ready(applied) => break applied.unwrap(),
                Poll::Pending => thread::yield_now(),
            }
        };
        assert_ne!(applied.answer, me);
    }
}

#[test]
fn many_that_wait_apply_everything_in_order_and_once() {
    const EACH: u64 = 300;
    let count = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&count);
    // With little room, so that the replica has to be told what is applied.
    let node = start_where(
        2,
        Box::new(move |_| {
            counted.fetch_add(1, Ordering::SeqCst);
        }),
    );
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for round in 0..EACH {
                    let tickets: Vec<_> = (0..=round % 3).map(|_| node.propose(b"x")).collect();
                    for ticket in tickets {
                        ticket.wait().unwrap();
                    }
                    node.read(Consistency::Local, |_| ()).wait().unwrap();
                }
            });
        }
    });
    // Of each three rounds: one, two and three.
    assert_eq!(count.load(Ordering::SeqCst) as u64, 1 + 4 * EACH * 2);
    let status = node.status().replica;
    assert_eq!(status.applied, status.chosen);
}

#[test]
fn a_replica_that_holds_entries_back_hears_at_once_that_it_may_go_on() {
    const SLOTS: u64 = 5;
    let (go_on, waits) = mpsc::channel();
    let mut held = Some(waits);
    let act = move |command: &[u8]| {
        if command == b"hold" {
            held.take().expect("it comes once").recv().expect("the test lives");
        }
    };
    // One slot is handed out at a time.
    let node = start_where(1, Box::new(act));
    let before = node.status().replica.chosen;
    let first = node.propose(b"hold");
    let tickets: Vec<_> = (1..SLOTS)
        .map(|slots| {
            while node.status().replica.chosen < before.plus(slots) {
                thread::yield_now();
            }
            node.propose(b"x")
        })
        .collect();
    while node.status().replica.chosen < before.plus(SLOTS) {
        thread::yield_now();
    }
    assert_eq!(node.status().replica.applied, before);
    // From now on nothing else turns the core.
    go_on.send(()).unwrap();
    for ticket in [first].into_iter().chain(tickets) {
        assert!(ticket.wait_timeout(Duration::MAX).unwrap().is_ok());
    }
}

#[test]
fn a_node_may_be_stopped_by_its_machine_on_the_thread_that_waits() {
    let handle: Arc<OnceLock<Handle<Where>>> = Arc::default();
    let (stops, me) = (Arc::clone(&handle), thread::current().id());
    let stop = move |command: &[u8]| {
        if command == b"stop" && thread::current().id() == me {
            stops.get().expect("the node has started").stop().unwrap();
        }
    };
    let node = start_where(256, Box::new(stop));
    assert!(handle.set(node.clone()).is_ok());
    while let Ok(applied) = node.propose(b"stop").wait() {
        if applied.answer == me {
            break;
        }
    }
    // It goes on behind the machine's back.
    while node.status().stopped.is_none() {
        thread::sleep(Duration::from_millis(1));
    }
    assert!(matches!(node.propose(b"late").wait(), Err(TicketError::Stopped { .. })));
}

#[test]
fn a_machine_may_stop_its_node_while_somebody_else_does() {
    let handle: Arc<OnceLock<Handle<Where>>> = Arc::default();
    let stops = Arc::clone(&handle);
    let (begun, begins) = mpsc::channel();
    let stop = move |command: &[u8]| {
        if command == b"stop" {
            let node = stops.get().expect("the node has started");
            begun.send(()).unwrap();
            // Whoever stops it waits for this machine from now on.
            while !node.owner.shared.leaving.load(Ordering::SeqCst) {
                thread::yield_now();
            }
            node.stop().unwrap();
        }
    };
    let node = start_where(256, Box::new(stop));
    assert!(handle.set(node.clone()).is_ok());
    let ticket = node.propose(b"stop");
    begins.recv().unwrap();
    node.stop().unwrap();
    assert!(ticket.wait_timeout(Duration::MAX).unwrap().is_ok());
}

#[test]
fn a_panic_of_the_machine_stops_the_node_and_not_the_thread_that_waits() {
    let me = thread::current().id();
    let panics = move |command: &[u8]| {
        assert!(command != b"panic" || thread::current().id() != me, "as it was told");
    };
    let node = start_where(256, Box::new(panics));
    let error = loop {
        if let Err(error) = node.propose(b"panic").wait() {
            break error;
        }
    };
    let TicketError::Unknown { reason: StopReason::MachinePanicked { message, .. } } = error else {
        panic!("{error}")
    };
    assert_eq!(&*message, "as it was told");
}

/// A waker that panics on the thread for which it was made, as another one's code may.
struct Panics(ThreadId);

impl Wake for Panics {
    fn wake(self: Arc<Self>) {
        assert!(thread::current().id() != self.0, "as it was told");
    }
}

#[test]
fn a_panic_of_a_waker_stops_the_node_and_not_the_thread_that_waits() {
    let node = start_where(256, Box::new(|_| {}));
    let panics = Waker::from(Arc::new(Panics(thread::current().id())));
    loop {
        // Two that are taken in by one turn, so that whoever applies the one applies the other.
        let [other, mine] = node.owner.shared.look(|_| [node.propose(b"x"), node.propose(b"y")]);
        let mut other = pin!(other);
        let polled = other.as_mut().poll(&mut Context::from_waker(&panics));
        let waited = mine.wait();
        if node.status().stopped.is_some() {
            break;
        }
        assert!(waited.is_ok() && (polled.is_ready() || other.is_done()));
    }
    let stopped = node.status().stopped;
    assert!(matches!(stopped, Some(StopReason::CorePanicked { .. })), "{stopped:?}");
}

#[test]
fn what_a_helper_leaves_is_done_by_the_apply_thread() {
    let node = start_where(256, Box::new(|_| {}));
    let duty = &node.owner.shared.duty;
    for _ in 0..100 {
        let helper = duty.enlist().expect("nobody else waits");
        assert!(duty.enlist().is_none());
        // It is woken for this, and goes away instead.
        let (told, ran) = mpsc::channel();
        let read = node.read(Consistency::Local, move |_| told.send(()).unwrap());
        drop(helper);
        ran.recv().unwrap();
        read.wait().unwrap();
    }
}

#[test]
fn a_local_read_runs_where_its_asker_waits_and_soon_if_nobody_does() {
    let node = start_where(256, Box::new(|_| {}));
    let me = thread::current().id();
    let (told, ran) = mpsc::channel();
    let ask = || {
        let told = told.clone();
        node.read(Consistency::Local, move |_| {
            told.send(()).unwrap();
            thread::current().id()
        })
    };
    while ask().wait().unwrap() != me {
        ran.recv().unwrap();
    }
    ran.recv().unwrap();
    for holder in holders() {
        let ticket = holder(ask());
        ran.recv().unwrap();
        drop(ticket);
    }
    // And if its holder does nothing at all, too.
    let ticket = ask();
    ran.recv().unwrap();
    drop(ticket);
}
