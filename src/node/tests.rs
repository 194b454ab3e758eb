//! Tests of the driver's own parts. What they do together is tested end to end, under `tests/`.

use alloc::sync::Arc;
use alloc::task::Wake;
use alloc::vec::Vec;
use core::future::Future;
use core::pin::pin;
use core::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use core::task::{Context, Poll, Waker};
use core::time::Duration;
use std::boxed::Box;
use std::sync::mpsc;
use std::thread;

use bytes::Bytes;

use super::alarm::Alarm;
use super::channel::Network;
use super::clock::Clock;
use super::outgoing::Frames;
use super::queue::{Budget, Queue};
use super::ticket::{Applied, Home, Pending, Ticket, TicketError};
use super::{Handle, Node, StopReason, panic_message};
use crate::config::Config;
use crate::entry::{BatchBuilder, CommandId, Place};
use crate::machine::StateMachine;
use crate::membership::{ClusterId, DiskId, Incarnation, Peer, ReplicaId};
use crate::message::{Canvass, Message};
use crate::output::IgnoreReason;
use crate::slot::Slot;
use crate::time::Instant;
use crate::transport::Transport;
use crate::wal::{HeapMedium, Medium, Wal, WalOptions};
use crate::wire;

mod broken;
mod helping;
mod outgoing;
mod reads;

const PLACE: Place = Place { slot: Slot(3), index: 1 };

fn applied(answer: u32) -> Applied<u32> {
    Applied { place: PLACE, answer }
}

#[derive(Default)]
struct Flag {
    woken: AtomicUsize,
}

impl Wake for Flag {
    fn wake(self: Arc<Self>) {
        self.woken.fetch_add(1, Ordering::SeqCst);
    }
}

#[test]
fn ticket_waits_for_another_thread() {
    let (ticket, settler) = Ticket::new();
    let waiting = thread::spawn(move || ticket.wait());
    settler.settle(Ok(applied(7)));
    assert_eq!(waiting.join().unwrap().unwrap(), applied(7));
}

#[test]
fn ticket_comes_back_from_a_wait_that_was_too_short() {
    let (ticket, settler) = Ticket::new();
    assert!(!ticket.is_done());
    let ticket = ticket.wait_timeout(Duration::from_millis(1)).unwrap_err();
    settler.settle(Ok(applied(7)));
    assert!(ticket.is_done());
    assert_eq!(ticket.wait_timeout(Duration::MAX).unwrap().unwrap(), applied(7));
}

#[test]
fn ticket_wakes_its_last_poller_once() {
    let (ticket, settler) = Ticket::new();
    let (first, last) = (Arc::new(Flag::default()), Arc::new(Flag::default()));
    let mut ticket = pin!(ticket);
    for flag in [&first, &last] {
        let waker = Waker::from(Arc::clone(flag));
        assert!(ticket.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
    }
    settler.settle(Ok(applied(1)));
    assert_eq!(first.woken.load(Ordering::SeqCst), 0);
    assert_eq!(last.woken.load(Ordering::SeqCst), 1);
    let polled = ticket.as_mut().poll(&mut Context::from_waker(Waker::noop()));
    assert!(matches!(polled, Poll::Ready(Ok(done)) if done == applied(1)));
}

/// Counts how often it was hurried.
#[derive(Default)]
struct Counting(AtomicUsize);

impl Home for Counting {
    fn hurry(&self) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }

    fn wait(&self, unripe: bool, is_settled: &dyn Fn() -> bool) {
        if unripe {
            self.hurry();
        }
        while !is_settled() {
            thread::park();
        }
    }
}

#[test]
fn whoever_looks_at_a_ticket_in_vain_or_drops_it_hurries_once() {
    let hurried = |look: fn(Ticket<Applied<u32>>), settled: bool| {
        let counting = Arc::new(Counting::default());
        let (ticket, settler) = Ticket::new();
        let mut ticket = ticket.of(Arc::<Counting>::clone(&counting));
        ticket.mark_unripe();
        let open = if settled {
            settler.settle(Ok(applied(7)));
            None
        } else {
            Some(settler)
        };
        look(ticket);
        drop(open);
        counting.0.load(Ordering::SeqCst)
    };
    let looks: [fn(Ticket<Applied<u32>>); 3] = [
        drop,
        |ticket| drop(ticket.wait_timeout(Duration::ZERO)),
        |mut ticket| {
            let _ = pin!(&mut ticket).poll(&mut Context::from_waker(Waker::noop()));
        },
    ];
    for (place, look) in looks.into_iter().enumerate() {
        assert_eq!((hurried(look, false), hurried(look, true)), (1, 0), "look {place}");
    }
}

#[test]
fn ticket_whose_settler_is_dropped_is_unknown() {
    let (ticket, settler) = Ticket::<Applied<u32>>::new();
    drop(settler);
    let error = ticket.wait().unwrap_err();
    assert!(matches!(error, TicketError::Unknown { reason: StopReason::Asked }));
    assert!(!error.is_certain());
}

#[test]
fn settling_after_the_ticket_is_gone_does_nothing() {
    let (ticket, settler) = Ticket::new();
    drop(ticket);
    settler.settle(Ok(applied(1)));
}

#[test]
fn pending_finds_the_commands_of_a_batch_by_their_origins() {
    let me = Peer { replica: ReplicaId(1), disk: DiskId::default(), incarnation: Incarnation(2) };
    let id = |replica, incarnation, sequence| CommandId {
        replica: ReplicaId(replica),
        incarnation: Incarnation(incarnation),
        sequence,
    };
    let (mut pending, mut tickets) = (Pending::default(), Vec::new());
    for sequence in 0..5 {
        let (ticket, settler) = Ticket::<Applied<u32>>::new();
        pending.push(sequence, settler);
        tickets.push(ticket);
    }
    let mut batch = BatchBuilder::default();
    // Another replica's, those of this start, one of an earlier start, and one more of this one.
    for origin in [id(2, 2, 0), id(1, 2, 1), id(1, 2, 2), id(1, 1, 3), id(1, 2, 4)] {
        batch.push(origin, b"x");
    }
    let mut found = Vec::new();
    pending.take_batch(me, &batch.build().unwrap(), |index, settler| {
        found.push(index);
        settler.settle(Ok(applied(index)));
    });
    assert_eq!(found, [1, 2, 4]);
    let answers = |sequence: usize| tickets[sequence].is_done();
    assert_eq!([0, 1, 2, 3, 4].map(answers), [false, true, true, false, true]);
    assert_eq!(tickets.pop().unwrap().wait().unwrap().answer, 4);
}

#[test]
fn pending_gives_each_ticket_once() {
    let mut pending = Pending::default();
    let mut tickets = Vec::new();
    for sequence in 0..6 {
        let (ticket, settler) = Ticket::<Applied<u32>>::new();
        pending.push(sequence, settler);
        tickets.push(Some(ticket));
    }
    let mut seen = Vec::new();
    pending.take(2, 2, |sequence, settler| {
        seen.push(sequence);
        settler.settle(Err(TicketError::Superseded));
    });
    // Overlaps what is gone, and reaches beyond what there is, as a lying batch may.
    pending.take(0, u64::from(u32::MAX), |sequence, settler| {
        seen.push(sequence);
        settler.settle(Err(TicketError::Full));
    });
    pending.take(u64::MAX, u64::MAX, |sequence, _| seen.push(sequence));
    assert_eq!(seen, [2, 3, 0, 1, 4, 5]);
    assert_eq!(pending.len(), 0);
    let superseded = tickets[2].take().unwrap().wait().unwrap_err();
    assert!(matches!(superseded, TicketError::Superseded));
    let (_ticket, settler) = Ticket::<Applied<u32>>::new();
    pending.push(6, settler);
    assert_eq!(pending.len(), 1);
}

#[test]
fn queue_keeps_order_and_ends_its_waiters() {
    let queue = Arc::new(Queue::default());
    for job in 0..3 {
        queue.push(job).unwrap();
    }
    assert_eq!((queue.pop(), queue.pop(), queue.len()), (Some(0), Some(1), 1));
    queue.pop();
    let waiting = {
        let queue = Arc::clone(&queue);
        thread::spawn(move || queue.pop())
    };
    queue.close();
    assert_eq!(waiting.join().unwrap(), None);
    assert_eq!(queue.push(9), Err(9));
    assert!(queue.is_empty());
}

#[test]
fn budget_is_kept() {
    let budget = Budget::new(10);
    assert!(budget.take(6));
    assert!(!budget.take(5));
    assert!(budget.take(4));
    assert!(!budget.take(1));
    budget.give(10);
    // Something longer than all of it still fits when nothing else is there.
    assert!(budget.take(11));
    assert!(!budget.take(1));
    budget.give(11);
    assert!(!budget.take(usize::MAX) || !budget.take(usize::MAX));
}

#[test]
fn alarm_rings_when_due_and_when_kicked() {
    let clock = Clock::start();
    let alarm = Arc::new(Alarm::default());
    alarm.set(Some(Instant::ZERO));
    assert!(alarm.wait(&clock));
    alarm.set(Some(clock.now().after(Duration::from_millis(5))));
    assert!(alarm.wait(&clock));
    alarm.kick();
    assert!(alarm.wait(&clock));
    // An earlier time than the one slept for wakes the sleeper.
    let asleep = Arc::new(AtomicBool::new(true));
    let waiting = {
        let (alarm, asleep) = (Arc::clone(&alarm), Arc::clone(&asleep));
        thread::spawn(move || {
            let rang = alarm.wait(&clock);
            asleep.store(false, Ordering::SeqCst);
            rang
        })
    };
    alarm.set(Some(clock.now().after(Duration::from_secs(3600))));
    thread::sleep(Duration::from_millis(5));
    assert!(asleep.load(Ordering::SeqCst));
    alarm.set(Some(Instant::ZERO));
    assert!(waiting.join().unwrap());
    alarm.close();
    assert!(!alarm.wait(&clock));
}

#[test]
fn one_frame_for_two_lies_there_once() {
    let mut frames = Frames::default();
    frames.push(ReplicaId(1), b"same");
    frames.push(ReplicaId(2), b"same");
    frames.push(ReplicaId(2), b"other");
    assert_eq!(frames.len(), (9, 3));
}

#[test]
fn panics_say_what_they_said() {
    let text = |run: fn()| panic_message(thread::spawn(run).join().unwrap_err().as_ref());
    assert_eq!(&*text(|| panic!("plain")), "plain");
    assert_eq!(&*text(|| panic!("with {}", 1)), "with 1");
    assert_eq!(&*text(|| std::panic::panic_any(1)), "a panic without a message");
}

/// Counts what it applies.
struct Count(u64);

impl StateMachine for Count {
    type Answer = u64;
    fn apply(&mut self, _: Place, _: &[u8]) -> u64 {
        self.0 += 1;
        self.0
    }
}

const CLUSTER: ClusterId = ClusterId([1; 16]);

/// A cluster of one, or one of three that is alone.
fn start(members: u32) -> Handle<Count> {
    start_over(members, Box::new(HeapMedium::new(1)), Network::new().transport(ReplicaId(1)))
}

fn start_over(members: u32, disk: Box<dyn Medium>, transport: impl Transport) -> Handle<Count> {
    let log = Wal::open(disk, CLUSTER, ReplicaId(1), WalOptions::default()).unwrap();
    let config = Config::new((1..=members).map(ReplicaId));
    Node::start(config, log, transport, Count(0)).unwrap()
}

#[test]
fn deliver_never_waits_and_drops_what_finds_no_room() {
    let node = start(3);
    let from = Peer { replica: ReplicaId(2), disk: DiskId([2; 16]), incarnation: Incarnation(1) };
    let message = Message::Canvass(Canvass { sequence: 1, chosen: Slot::ZERO });
    let mut frame = Vec::new();
    wire::encode(CLUSTER, from, &message, &mut frame);
    let frame = Bytes::from(frame);
    // The lock is held, by this very thread: whoever waited for it would wait for ever.
    node.owner.shared.look(|_| (0..5000).for_each(|_| node.deliver(frame.clone())));
    let counters = node.status().counters;
    assert!(counters.inbox_full >= 5000 - 4096, "{counters:?}");
    assert_eq!(counters.received + counters.inbox_full, 5000);
    // What had found room was taken in when the lock was free.
    let ignored = node.status().replica.ignored;
    assert_eq!(ignored.get(&IgnoreReason::NotFormed), Some(&counters.received));
}

#[test]
fn propose_never_waits_and_every_ticket_is_settled() {
    let node = start(1);
    while !node.status().leads() {
        thread::sleep(Duration::from_millis(1));
    }
    let propose = || (0..20_000).map(|_| node.propose(b"x")).collect::<Vec<_>>();
    let tickets = node.owner.shared.look(|_| propose());
    let (mut applied, mut full) = (0, 0);
    for ticket in tickets {
        match ticket.wait() {
            Ok(_) => applied += 1,
            Err(TicketError::Full) => full += 1,
            Err(error) => panic!("{error}"),
        }
    }
    assert!(full >= 20_000 - 16_384, "{full}");
    assert_eq!(applied + full, 20_000);
    assert_eq!(node.status().counters.applied, applied);
}

type Holder<T> = fn(Ticket<T>) -> Option<Ticket<T>>;

/// What a ticket's holder may do that lets its command or read go on; what it has not given up, it
/// gives back.
fn holders<T>() -> [Holder<T>; 5] {
    [
        |ticket| {
            assert!(ticket.wait().is_ok());
            None
        },
        |ticket| {
            drop(ticket);
            None
        },
        |ticket| match ticket.wait_timeout(Duration::ZERO) {
            Ok(done) => {
                assert!(done.is_ok());
                None
            }
            Err(ticket) => Some(ticket),
        },
        |mut ticket| {
            let polled = pin!(&mut ticket).poll(&mut Context::from_waker(Waker::noop()));
            polled.is_pending().then_some(ticket)
        },
        |ticket| {
            let _ = ticket.is_done();
            Some(ticket)
        },
    ]
}

/// Counts aloud.
struct Told(u64, mpsc::Sender<u64>);

impl StateMachine for Told {
    type Answer = ();
    fn apply(&mut self, _: Place, _: &[u8]) {
        self.0 += 1;
        let _ = self.1.send(self.0);
    }
}

#[test]
fn in_a_burst_a_command_waits_until_its_proposer_stops_and_no_longer() {
    let (told, applied) = mpsc::channel();
    let disk = Box::new(HeapMedium::new(1));
    let log = Wal::open(disk, CLUSTER, ReplicaId(1), WalOptions::default()).unwrap();
    let transport = Network::new().transport(ReplicaId(1));
    let node = Node::start(Config::new([ReplicaId(1)]), log, transport, Told(0, told)).unwrap();
    node.propose(b"first").wait().unwrap();
    assert_eq!(applied.recv(), Ok(1));
    // The lock is held by this thread, so that one turn finds both.
    let burst = || {
        let shared = &node.owner.shared;
        let two = shared.look(|_| [node.propose(b"x"), node.propose(b"y")]);
        assert!(two.map(|ticket| ticket.wait().is_ok()).iter().all(|done| *done));
        assert!(applied.recv().is_ok() && applied.recv().is_ok());
        assert!(!shared.inputs.proposals.are_ripe());
    };
    // Whatever its holder does with the ticket, the command is chosen.
    for (count, holder) in holders().into_iter().enumerate() {
        burst();
        let ticket = holder(node.propose(b"z"));
        assert_eq!(applied.recv(), Ok(4 + 3 * count as u64));
        drop(ticket);
    }
    // And if it does nothing at all, too.
    burst();
    let ticket = node.propose(b"z");
    assert_eq!(applied.recv(), Ok(19));
    ticket.wait().unwrap();
}

/// Says that it has begun with a command, and ends with none while the other end of `held` is held.
struct Stopped {
    begun: mpsc::Sender<()>,
    held: mpsc::Receiver<()>,
}

impl StateMachine for Stopped {
    type Answer = ();

    fn apply(&mut self, _: Place, _: &[u8]) {
        self.begun.send(()).expect("the test lives");
        self.held.recv().expect_err("nothing is sent");
    }
}

#[test]
fn a_machine_that_has_stopped_lets_so_many_commands_wait_and_no_more() {
    let ((begun, begins), (hold, held)) = (mpsc::channel(), mpsc::channel());
    let log = Wal::open(Box::new(HeapMedium::new(1)), CLUSTER, ReplicaId(1), WalOptions::default());
    let transport = Network::new().transport(ReplicaId(1));
    let config = Config::new([ReplicaId(1)]);
    let node = Node::start(config, log.unwrap(), transport, Stopped { begun, held }).unwrap();
    let first = node.propose(b"x");
    // From now on it holds the ticket of that one, and nothing else takes any.
    begins.recv().unwrap();
    let mut tickets = Vec::new();
    for _ in 0..5 {
        // The core takes all of them in at once, so that many share few slots.
        node.owner.shared.look(|_| tickets.extend((0..16_000).map(|_| node.propose(b"x"))));
    }
    let is_done = |tickets: &[Ticket<_>]| tickets.iter().filter(|ticket| ticket.is_done()).count();
    while node.status().pending + is_done(&tickets) < tickets.len() {
        thread::sleep(Duration::from_millis(1));
    }
    let status = node.status();
    assert!(status.replica.chosen < Slot(100), "the slots are not what bounds it");
    assert_eq!(status.pending, 65_536);
    drop(hold);
    first.wait().unwrap();
    let (applied, refused): (Vec<_>, Vec<_>) =
        tickets.into_iter().map(Ticket::wait).partition(Result::is_ok);
    assert_eq!((applied.len(), refused.len()), (65_536, 80_000 - 65_536));
    assert!(refused.iter().all(|refused| matches!(refused, Err(TicketError::Full))));
    node.propose(b"x").wait().unwrap();
}
