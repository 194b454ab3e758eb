//! Turning the core: inputs in, outputs out, one lock held shortly.
//!
//! Whoever has an input turns the core: the thread that delivers a frame, that ends a sync, that
//! proposes, or the timer thread. Whoever finds the lock taken leaves the input in a bounded queue;
//! the holder looks at the queues again after it has let go, so nothing is left lying.

use alloc::collections::VecDeque;
use alloc::vec::Vec;
use core::ops::Range;
use core::sync::atomic::{AtomicBool, AtomicU32, Ordering, fence};
use core::time::Duration;
use std::boxed::Box;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, OnceLock, Weak};

use parking_lot::{Condvar, Mutex, MutexGuard};

use super::alarm::Alarm;
use super::clock::Clock;
use super::inputs::{HomeOf, Inputs};
use super::outgoing::{Frames, Outgoing};
use super::proposals::Commands;
use super::queue::Queue;
use super::read::Reading;
use super::status::{Groups, Tallies};
use super::ticket::{Applied, Home, Pending, Settler, TicketError};
use super::transfer::Transferring;
use super::work::{Duty, Work};
use super::{StopReason, panic_message};
use crate::entry::Entry;
use crate::fragment::Courier;
use crate::machine::StateMachine;
use crate::membership::{ClusterId, Peer, ReplicaId};
use crate::message::Message;
use crate::output::{Event, Fate, HaltReason, Output};
use crate::record::{Lsn, Record};
use crate::replica::{Replica, TransferError};
use crate::slot::{Slot, Slots};
use crate::time::Instant;
use crate::trace;
use crate::transport::Transport;
use crate::wal::{self, Located, Preparation, Wal, WalError, WalStatus};

/// How many syncs may run at a time. One: the log takes its syncs to the disk one after the other,
/// so a second one would only close its group earlier than it need be.
pub(super) const SYNCS_MAX: u32 = 1;
/// How many proposers may turn the core while a sync runs. The commands of the others wait in the
/// queue for its end: that is how one turn and one sync serve many.
const EAGER_TURNS: u32 = 1;
/// How often one caller turns the core for others before the timer thread takes over.
const ROUNDS_MAX: u32 = 8;
/// How many errands may wait, and how many slots a page for a peer has at the most.
const ERRANDS_MAX: usize = 32;
const PAGE_SLOTS: u64 = 256;
/// How many events are kept.
const EVENTS_KEPT: usize = 256;

/// Something for the thread that works on files beside the core.
pub(super) enum Errand {
    /// Read these entries out of the log for a peer.
    Page { to: ReplicaId, entries: Vec<(Slot, Located)> },
    /// Make the log's next segment.
    Prepare(Preparation),
}

/// What a turn leaves to do without the lock.
pub(super) struct Effects<M: StateMachine> {
    pub(super) frames: Frames,
    pub(super) settled: Vec<(Settler<Applied<M::Answer>>, TicketError)>,
    pub(super) unread: Vec<(Box<dyn Reading<M>>, TicketError)>,
    pub(super) transferred: Vec<(Transferring, Result<ReplicaId, TransferError>)>,
    work: bool,
    sync: bool,
    errand: bool,
}

impl<M: StateMachine> Effects<M> {
    fn new(frames: Frames) -> Self {
        let (settled, unread, transferred) = (Vec::new(), Vec::new(), Vec::new());
        Self { frames, settled, unread, transferred, work: false, sync: false, errand: false }
    }
}

/// What the lock guards.
pub(super) struct Core<M: StateMachine> {
    pub(super) replica: Replica,
    /// Closed when the node has stopped, so that the directory can be opened again.
    pub(super) wal: Option<Wal>,
    /// What the log told when it was closed.
    last_words: Option<WalStatus>,
    pub(super) courier: Courier,
    /// Syncs that run.
    pub(super) syncs: u32,
    /// Commands that are being taken in.
    pub(super) commands: Commands<Settler<Applied<M::Answer>>>,
    /// Reads that are.
    pub(super) asked: Commands<Box<dyn Reading<M>>>,
    /// Every slot below is chosen.
    pub(super) chosen: Slot,
    pub(super) groups: Groups,
    /// Records and commands since the last sync began.
    gathered: (u64, u64),
    pub(super) events: VecDeque<(Instant, Event)>,
    /// What reads the machine, by the reads' numbers.
    pub(super) reads: Pending<Box<dyn Reading<M>>>,
    /// Who waits for leadership to be handed over.
    pub(super) transfers: Vec<Transferring>,
    pub(super) effects: Effects<M>,
}

/// What the threads of a node share.
pub(super) struct Shared<M: StateMachine> {
    core: Mutex<Core<M>>,
    /// What tickets hold of this node.
    pub(super) home: Arc<dyn Home>,
    pub(super) pending: Mutex<Pending<Settler<Applied<M::Answer>>>>,
    pub(super) inputs: Inputs<M>,
    pub(super) outgoing: Outgoing,
    pub(super) duty: Duty<M>,
    pub(super) syncs: Queue<wal::Sync>,
    pub(super) errands: Queue<Errand>,
    pub(super) alarm: Alarm,
    pub(super) tallies: Tallies,
    /// Whether a sync runs, for proposers that do not take the lock.
    syncing: AtomicBool,
    eager: AtomicU32,
    /// A clean stop has begun: no commands and reads are taken in any more.
    pub(super) leaving: AtomicBool,
    /// It goes on: nothing is.
    pub(super) stopping: AtomicBool,
    stopped: OnceLock<StopReason>,
    /// A sync has ended, or the node has stopped.
    quiet: Condvar,
    pub(super) election_timeout: Duration,
    pub(super) clock: Clock,
    pub(super) cluster: ClusterId,
    pub(super) me: Peer,
}

/// What a node is built of.
pub(super) struct Parts {
    pub(super) replica: Replica,
    pub(super) wal: Wal,
    pub(super) courier: Courier,
    pub(super) chosen: Slot,
    pub(super) transport: Box<dyn Transport>,
    pub(super) queue_bytes: usize,
    pub(super) command_bytes: usize,
    pub(super) election_timeout: Duration,
    pub(super) clock: Clock,
    pub(super) cluster: ClusterId,
    pub(super) me: Peer,
}

impl<M: StateMachine> Shared<M> {
    pub(super) fn new(machine: M, parts: Parts) -> Arc<Self> {
        let core = Core {
            replica: parts.replica,
            wal: Some(parts.wal),
            last_words: None,
            courier: parts.courier,
            syncs: 0,
            commands: Commands::default(),
            asked: Commands::default(),
            chosen: parts.chosen,
            groups: Groups::default(),
            gathered: (0, 0),
            events: VecDeque::new(),
            reads: Pending::default(),
            transfers: Vec::new(),
            effects: Effects::new(Frames::default()),
        };
        Arc::new_cyclic(|shared| Self {
            home: Arc::new(HomeOf(Weak::clone(shared))),
            core: Mutex::new(core),
            pending: Mutex::default(),
            inputs: Inputs::new(parts.command_bytes, parts.queue_bytes),
            outgoing: Outgoing::new(parts.transport),
            duty: Duty::new(machine),
            syncs: Queue::default(),
            errands: Queue::default(),
            alarm: Alarm::default(),
            tallies: Tallies::default(),
            syncing: AtomicBool::new(false),
            eager: AtomicU32::new(0),
            leaving: AtomicBool::new(false),
            stopping: AtomicBool::new(false),
            stopped: OnceLock::new(),
            quiet: Condvar::new(),
            election_timeout: parts.election_timeout,
            clock: parts.clock,
            cluster: parts.cluster,
            me: parts.me,
        })
    }

    /// Why the node has stopped, if it has.
    pub(super) fn stopped(&self) -> Option<&StopReason> {
        self.stopped.get()
    }

    /// Looks into the core, waiting for the lock.
    pub(super) fn look<R>(&self, look: impl FnOnce(&mut Core<M>) -> R) -> R {
        let seen = look(&mut self.core.lock());
        self.poke();
        seen
    }

    /// Gives the core an input, waiting for the lock, and turns it.
    pub(super) fn turn(&self, input: impl FnOnce(&mut Core<M>, Instant) -> Result<(), StopReason>) {
        let mut core = self.core.lock();
        self.process(&mut core, input);
        self.release(core);
        self.poke();
    }

    /// Turns the core if something waits for it and nobody else turns it.
    pub(super) fn poke(&self) {
        let mut rounds = 0;
        loop {
            // Pairs with the same fence of whoever put something into a queue and then found the
            // lock taken: one of the two sees what the other did.
            fence(Ordering::SeqCst);
            if self.inputs.are_quiet() {
                return;
            }
            if rounds == ROUNDS_MAX && self.stopped.get().is_none() {
                return self.alarm.kick();
            }
            let Some(mut core) = self.core.try_lock() else { return };
            self.process(&mut core, |_, _| Ok(()));
            self.release(core);
            rounds = (rounds + 1).min(ROUNDS_MAX);
        }
    }

    /// Turns the core for a proposal, unless the end of a sync soon does.
    pub(super) fn poke_for_proposal(&self) {
        fence(Ordering::SeqCst);
        if self.syncing.load(Ordering::SeqCst) && self.stopped.get().is_none() {
            let left = self
                .eager
                .fetch_update(Ordering::AcqRel, Ordering::Acquire, |turns| turns.checked_sub(1));
            if left.is_err() {
                return;
            }
        }
        self.poke();
    }

    /// One turn, under the lock. A failure stops the node; so does a panic, which leaves the core
    /// half changed: it is never turned again.
    fn process(
        &self,
        core: &mut Core<M>,
        input: impl FnOnce(&mut Core<M>, Instant) -> Result<(), StopReason>,
    ) {
        if self.stopped.get().is_some() {
            self.refuse_waiting(core);
            return;
        }
        let now = self.clock.now();
        let turned = catch_unwind(AssertUnwindSafe(|| {
            input(core, now)?;
            self.note_applied(core, now);
            self.take_inputs(core, now);
            self.drain(core, now)?;
            if self.await_applied(core, now) { self.drain(core, now) } else { Ok(()) }
        }));
        match turned {
            Ok(Ok(())) => {}
            Ok(Err(reason)) => self.fail_locked(core, reason),
            Err(panic) => {
                // Whatever a broken core wanted to say stays unsaid.
                core.effects.frames.clear();
                let message = panic_message(panic.as_ref());
                self.fail_locked(core, StopReason::CorePanicked { message });
            }
        }
    }

    /// Stops the node for this reason, unless it has stopped already.
    pub(super) fn fail(&self, reason: StopReason) {
        let mut core = self.core.lock();
        self.fail_locked(&mut core, reason);
        self.release(core);
        self.poke();
    }

    fn fail_locked(&self, core: &mut Core<M>, reason: StopReason) {
        if self.stopped.set(reason.clone()).is_ok() {
            trace::stopped(self.me.replica(), &reason);
            self.duty.close();
            self.syncs.close();
            self.errands.close();
            self.alarm.close();
        }
        fence(Ordering::SeqCst);
        let reason = self.stopped.get().cloned().unwrap_or(reason);
        for settler in self.pending.lock().take_all().into_iter().flatten() {
            let error = TicketError::Unknown { reason: reason.clone() };
            core.effects.settled.push((settler, error));
        }
        for reading in core.reads.take_all().into_iter().flatten() {
            core.effects.unread.push((reading, TicketError::Stopped { reason: reason.clone() }));
        }
        core.end_transfers(Err(TransferError::Halted));
        self.refuse_waiting(core);
        self.quiet.notify_all();
    }

    /// Does what the replica asks for, until it waits; then starts a sync if one is due.
    fn drain(&self, core: &mut Core<M>, now: Instant) -> Result<(), StopReason> {
        let mut halted = None;
        let wake = loop {
            match core.replica.poll_output() {
                Output::Persist { lsn, record, chosen } => core.append(lsn, &record, chosen)?,
                Output::Send { to, message } => {
                    let frames = &mut core.effects.frames;
                    core.courier.send(now, &to, &message, &mut |to, frame| frames.push(to, frame));
                }
                Output::SendEntries { to, slots } => self.start_page(core, to, slots),
                Output::Chosen { slot, entry } => {
                    core.chosen = core.chosen.max(slot.next());
                    core.effects.work |= self.duty.push(Work::Entry { slot, entry }).is_ok();
                }
                Output::ApplyFromLog { slots } => {
                    core.chosen = core.chosen.max(slots.end);
                    core.effects.work |= self.duty.push(Work::FromLog { slots }).is_ok();
                }
                Output::Fate { commands, fate } => self.take_fate(core, commands, fate),
                Output::ReadReady { reads, .. } => {
                    // Behind everything that they must see, in the same queue.
                    let ready = core.take_reads(reads);
                    core.effects.work |= self.duty.push(Work::Read(ready)).is_ok();
                }
                Output::ReadRefused { reads, leader } => {
                    for reading in core.take_reads(reads) {
                        core.effects.unread.push((reading, TicketError::NotLeader { leader }));
                    }
                }
                Output::Event(event) => halted = halted.or(self.take_event(core, now, event)),
                Output::Wait { until } => break until.map(|(at, _)| at),
            }
        };
        if let Some(reason) = halted {
            return Err(StopReason::Halted { reason });
        }
        let wal = core.wal.as_mut().ok_or(StopReason::Asked)?;
        while core.syncs < SYNCS_MAX {
            let Some(sync) = wal.start_sync().map_err(log_failed)? else { break };
            let (records, commands) = core::mem::take(&mut core.gathered);
            core.groups.records += records;
            core.groups.commands += commands;
            core.groups.records_max = core.groups.records_max.max(records);
            core.syncs += 1;
            self.eager.store(EAGER_TURNS, Ordering::Release);
            core.effects.sync |= self.syncs.push(sync).is_ok();
        }
        if let Some(preparation) = wal.prepare() {
            core.effects.errand |= self.errands.push(Errand::Prepare(preparation)).is_ok();
        }
        self.syncing.store(core.syncs > 0, Ordering::SeqCst);
        let wake = [wake, core.courier.wake()].into_iter().flatten().min();
        self.alarm.set(wake);
        Ok(())
    }

    /// Looks up where the entries lie; reading them is an errand.
    fn start_page(&self, core: &mut Core<M>, to: ReplicaId, slots: Slots) {
        if self.errands.len() >= ERRANDS_MAX {
            Tallies::add(&self.tallies.reader_full, 1);
            return;
        }
        let Some(wal) = &core.wal else { return };
        let some = Slots::new(slots.start, slots.end.min(slots.start.plus(PAGE_SLOTS)));
        let entries =
            some.iter().map_while(|slot| Some((slot, wal.locate(slot)?))).collect::<Vec<_>>();
        if !entries.is_empty() {
            core.effects.errand |= self.errands.push(Errand::Page { to, entries }).is_ok();
        }
    }

    fn take_fate(&self, core: &mut Core<M>, commands: Range<u64>, fate: Fate) {
        let error = match fate {
            // The thread that runs the state machine finds the command in its batch.
            Fate::Chosen { .. } => return,
            Fate::Superseded => TicketError::Superseded,
            Fate::NotLeader { leader } => TicketError::NotLeader { leader },
        };
        let count = commands.end.saturating_sub(commands.start);
        self.pending.lock().take(commands.start, count, |_, settler| {
            core.effects.settled.push((settler, error.clone()));
        });
    }

    /// Keeps the event; if it says that the replica has stopped for good, tells why.
    fn take_event(&self, core: &mut Core<M>, now: Instant, event: Event) -> Option<HaltReason> {
        trace::event(self.me.replica(), &event);
        core.note_transferred(&event);
        let halted =
            if let Event::Halted { reason } = &event { Some(reason.clone()) } else { None };
        if core.events.len() >= EVENTS_KEPT {
            core.events.pop_front();
        }
        core.events.push_back((now, event));
        halted
    }

    /// Lets go of the lock, then does what the turn left to do.
    fn release(&self, mut core: MutexGuard<'_, Core<M>>) {
        let spare = self.outgoing.spare();
        let effects = core::mem::replace(&mut core.effects, Effects::new(spare));
        drop(core);
        if effects.sync {
            self.syncs.wake();
        }
        let sent =
            catch_unwind(AssertUnwindSafe(|| self.outgoing.send(effects.frames, &self.tallies)));
        match sent {
            Ok(false) => {}
            // The timer thread turns the core, and then sends what was left.
            Ok(true) => self.alarm.kick(),
            Err(panic) => {
                let message = panic_message(panic.as_ref());
                self.fail(StopReason::TransportPanicked { message });
            }
        }
        if effects.work {
            self.duty.wake();
        }
        if effects.errand {
            self.errands.wake();
        }
        for (settler, error) in effects.settled {
            settler.settle(Err(error));
        }
        for (reading, error) in effects.unread {
            reading.refuse(error);
        }
        for (settler, result) in effects.transferred {
            settler.settle(result);
        }
    }

    /// Sends a message from outside a turn.
    pub(super) fn send_message(
        &self,
        core: &mut Core<M>,
        now: Instant,
        to: ReplicaId,
        message: &Message,
    ) {
        let frames = &mut core.effects.frames;
        let to = crate::membership::Replicas::one(to);
        core.courier.send(now, &to, message, &mut |to, frame| frames.push(to, frame));
    }

    /// Lets the core's own timers and those of fragments ring.
    pub(super) fn on_timeout(&self) {
        let now = self.clock.now();
        let looks = [self.inputs.proposals.ripen_old(now), self.inputs.reads.ripen_old(now)];
        looks.into_iter().flatten().for_each(|look_at| self.alarm.set_look(look_at));
        self.duty.wake_for_left();
        self.turn(|core, now| {
            if !self.stopping.load(Ordering::SeqCst) {
                core.replica.handle_timeout(now);
                let frames = &mut core.effects.frames;
                core.courier.handle_timeout(now, &mut |to, frame| frames.push(to, frame));
            }
            Ok(())
        });
    }

    /// Takes back a sync that has run.
    pub(super) fn on_synced(&self, done: wal::Synced) {
        self.turn(|core, now| {
            core.syncs -= 1;
            core.groups.syncs += 1;
            let wal = core.wal.as_mut().ok_or(StopReason::Asked)?;
            let durable = wal.finish(done).map_err(log_failed)?;
            core.replica.handle_persisted(now, durable);
            Ok(())
        });
        self.quiet.notify_all();
    }

    /// Takes nothing in any more, and waits until everything appended is durable or the node has
    /// failed. Then it has stopped.
    pub(super) fn finish(&self) {
        self.stopping.store(true, Ordering::SeqCst);
        self.turn(|_, _| Ok(()));
        let mut core = self.core.lock();
        while core.syncs > 0 && self.stopped.get().is_none() {
            self.quiet.wait(&mut core);
        }
        self.fail_locked(&mut core, StopReason::Asked);
        self.release(core);
        self.poke();
    }
}

impl<M: StateMachine> Core<M> {
    /// Closes the log: its directory is free once what this returns is dropped.
    pub(super) fn close_log(&mut self) -> Option<Wal> {
        let wal = self.wal.take()?;
        self.last_words = Some(wal.status());
        Some(wal)
    }

    /// What the log tells, or told when it was closed.
    pub(super) fn log_status(&self) -> WalStatus {
        let now = self.wal.as_ref().map(Wal::status);
        now.or_else(|| self.last_words.clone()).expect("a log is open until it is closed")
    }

    fn take_reads(&mut self, reads: Range<u64>) -> Vec<Box<dyn Reading<M>>> {
        let mut taken = Vec::new();
        let count = reads.end.saturating_sub(reads.start);
        self.reads.take(reads.start, count, |_, reading| taken.push(reading));
        taken
    }

    fn append(&mut self, lsn: Lsn, record: &Record, chosen: Slot) -> Result<(), StopReason> {
        self.gathered.0 += 1;
        if let Record::Accepted { entry: Entry::Batch(batch), .. }
        | Record::Chosen { entry: Entry::Batch(batch), .. } = record
        {
            self.gathered.1 += u64::from(batch.count());
        }
        let wal = self.wal.as_mut().ok_or(StopReason::Asked)?;
        wal.append(lsn, record, chosen).map_err(log_failed)
    }
}

/// Why a node stops whose log failed.
pub(super) fn log_failed(error: WalError) -> StopReason {
    StopReason::Log { error: Arc::new(error) }
}
