//! A node whose disk hangs, and one whose core breaks: what was not durable does not count, and
//! what was half done is not said.

use alloc::string::String;
use alloc::vec;
use std::io;
use std::sync::mpsc::{self, Sender};

use parking_lot::{Condvar, Mutex};

use super::*;
use crate::node::turn::Core;
use crate::wal::MediumFile;

/// How many syncs may still pass, and how many have come.
#[derive(Default)]
struct Gate {
    syncs: Mutex<(u64, u64)>,
    moved: Condvar,
}

impl Gate {
    fn set(&self, passes: u64) {
        self.syncs.lock().0 = passes;
        self.moved.notify_all();
    }

    fn pass(&self) {
        let mut syncs = self.syncs.lock();
        syncs.1 += 1;
        self.moved.notify_all();
        self.moved.wait_while(&mut syncs, |(passes, _)| *passes == 0);
        syncs.0 -= 1;
    }

    fn come(&self) -> u64 {
        self.syncs.lock().1
    }
}

/// Opens the gate at the end, so that a test that fails ends as well.
struct Opening(Arc<Gate>);

impl Drop for Opening {
    fn drop(&mut self) {
        self.0.set(u64::MAX);
    }
}

/// A disk whose syncs wait at a gate.
struct GatedDisk {
    disk: HeapMedium,
    gate: Arc<Gate>,
}

struct GatedFile {
    file: Box<dyn MediumFile>,
    gate: Arc<Gate>,
}

impl GatedDisk {
    fn gated(&self, file: Box<dyn MediumFile>) -> Box<dyn MediumFile> {
        Box::new(GatedFile { file, gate: Arc::clone(&self.gate) })
    }
}

impl Medium for GatedDisk {
    fn place(&self) -> String {
        self.disk.place()
    }

    fn names(&self) -> io::Result<Vec<String>> {
        self.disk.names()
    }

    fn create(&self, name: &str, bytes: u64) -> io::Result<Box<dyn MediumFile>> {
        self.disk.create(name, bytes).map(|file| self.gated(file))
    }

    fn open(&self, name: &str) -> io::Result<Box<dyn MediumFile>> {
        self.disk.open(name).map(|file| self.gated(file))
    }

    fn open_writable(&self, name: &str) -> io::Result<Box<dyn MediumFile>> {
        self.disk.open_writable(name).map(|file| self.gated(file))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.disk.rename(from, to)
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        self.disk.remove(name)
    }

    fn sync_names(&self) -> io::Result<()> {
        self.disk.sync_names()
    }

    fn random(&self, buffer: &mut [u8]) -> io::Result<()> {
        self.disk.random(buffer)
    }
}

impl MediumFile for GatedFile {
    fn bytes(&self) -> io::Result<u64> {
        self.file.bytes()
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        self.file.read_at(offset, buffer)
    }

    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.file.write_at(offset, bytes)
    }

    fn sync(&self) -> io::Result<()> {
        self.gate.pass();
        self.file.sync()
    }
}

fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    for _ in 0..60_000 {
        if holds() {
            return;
        }
        thread::sleep(Duration::from_millis(1));
    }
    panic!("waited in vain: {what}");
}

#[test]
fn what_was_appended_while_a_sync_ran_is_not_durable_by_it() {
    // The first command's sync is under way when the second one is written; then the disk hangs.
    // Only the first is on it, so only the first is chosen (I4).
    let gate = Arc::new(Gate::default());
    gate.set(u64::MAX);
    let disk = GatedDisk { disk: HeapMedium::new(1), gate: Arc::clone(&gate) };
    let node = start_over(1, Box::new(disk), Network::new().transport(ReplicaId(1)));
    let _opening = Opening(Arc::clone(&gate));
    let log = || node.status().log;
    eventually("it leads", || node.status().leads());
    node.propose(b"before").wait().unwrap();
    eventually("all is durable", || log().durable == log().last);
    let (come, last) = (gate.come(), log().last);
    gate.set(0);
    let first = node.propose(b"first");
    eventually("its sync runs", || gate.come() > come);
    let second = node.propose(b"second");
    eventually("the second is written", || log().last.0 == last.0 + 2);
    gate.set(1);
    first.wait().unwrap();
    eventually("the second sync runs", || gate.come() > come + 1);
    let status = node.status();
    assert_eq!((status.log.durable.0, status.log.last.0), (last.0 + 1, last.0 + 2));
    assert_eq!(status.replica.durable, status.log.durable);
    let second = second.wait_timeout(Duration::ZERO).expect_err("it is not durable");
    gate.set(u64::MAX);
    second.wait().unwrap();
}

/// Shows the frames that it is given.
struct Shown(Sender<Vec<u8>>);

impl Transport for Shown {
    fn send(&mut self, _: ReplicaId, frame: &[u8]) {
        self.0.send(frame.to_vec()).unwrap();
    }

    fn max_frame(&self) -> usize {
        1200
    }
}

#[test]
fn a_core_that_panicked_says_nothing_of_what_it_had_begun() {
    // Half of a transition may be in it: an answer without the record that it depends on.
    let (sender, frames) = mpsc::channel();
    let node = start_over(1, Box::new(HeapMedium::new(1)), Shown(sender));
    let shared = &node.owner.shared;
    let say = |sequence| {
        let message = Message::Canvass(Canvass { sequence, chosen: Slot::ZERO });
        move |core: &mut Core<Count>, now: Instant| {
            shared.send_message(core, now, ReplicaId(2), &message);
        }
    };
    shared.turn(|core, now| {
        say(1)(core, now);
        Ok(())
    });
    shared.turn(|core, now| {
        say(2)(core, now);
        panic!("an invariant is broken");
    });
    let sent: Vec<_> = frames
        .try_iter()
        .map(|frame| match wire::decode(CLUSTER, Bytes::from(frame)) {
            Ok((_, wire::Body::Message(Message::Canvass(canvass)))) => canvass.sequence,
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(sent, vec![1]);
    let stopped = node.status().stopped;
    assert!(matches!(stopped, Some(StopReason::CorePanicked { .. })), "{stopped:?}");
}

#[test]
fn what_a_core_that_panicked_had_taken_out_and_not_in_is_refused() {
    let node = start(1);
    let shared = &node.owner.shared;
    let mut tickets = Vec::new();
    shared.turn(|core, _| {
        tickets.extend((0..3).map(|_| node.propose(b"x")));
        shared.inputs.proposals.take(&mut core.commands);
        assert!(core.commands.pop().is_some());
        panic!("an invariant is broken");
    });
    let errors: Vec<_> = tickets.into_iter().map(|ticket| ticket.wait().unwrap_err()).collect();
    let stopped = |error: &TicketError| {
        matches!(error, TicketError::Stopped { reason: StopReason::CorePanicked { .. } })
    };
    // What was in hand may be half taken in.
    assert_eq!(errors.iter().map(TicketError::is_certain).collect::<Vec<_>>(), [false, true, true]);
    assert!(errors[1..].iter().all(stopped), "{errors:?}");
}
