//! raft 0.7.0 (TiKV's) over raft-engine 0.4, with a sync for each write.
//!
//! Settings of raft: `max_size_per_msg` 1 MiB (0 would send one entry a message),
//! `max_inflight_msgs` 1024, `batch_append`, pre-vote off, ticks of 20 ms, heartbeats each tick,
//! elections after 50 (nothing fails here, so no stall of the disk may start one). Replica 1
//! campaigns at once. All that arrived meanwhile is stepped before the next `Ready`, and proposals
//! that came together go in as one message.
//!
//! Settings of raft-engine: files of 64 MiB, filled beforehand (`prefill_for_recycle`, 128 MiB),
//! no compression (a batch of random bytes does not shrink), nothing purged. The log's entries are
//! cached in raft's `MemStorage`, as TiKV caches them. A change of the commit index alone is not
//! written: raft does not ask for that.
//!
//! `raft`: the thread of the replica writes and syncs by itself; what a leader sends goes out
//! before, what waits for the disk afterwards. `raft-async`: a second thread of each replica
//! writes all that has queued up in one go (`advance_append_async`, `on_persist_ready`).

use std::collections::BTreeMap;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use crossbeam_channel::{Receiver, Sender, unbounded};
use raft::eraftpb::{Entry, HardState, Message, MessageType};
use raft::prelude::{Config, RawNode, Ready};
use raft::storage::MemStorage;
use raft::{INVALID_ID, StateRole};
use raft_engine::{Engine, LogBatch, MessageExt, ReadableSize};

use super::drive::Cluster;
use super::threads::{self, Input, Place, Report};
use super::{Setup, place};
use crate::check::Applied;

const TICK: Duration = Duration::from_millis(20);

/// The one group whose log a replica's engine holds.
const GROUP: u64 = 1;

/// Entries that every replica has applied are dropped from the cache, this many at a time.
const CACHED_ENTRIES: u64 = 1 << 16;

/// Who writes the log.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Writer {
    /// The replica's own thread.
    Own,
    /// A second one.
    Second,
}

/// Starts the replicas.
pub(crate) fn start(setup: &Setup<'_>, writer: Writer) -> Result<Box<dyn Cluster>> {
    let (run, replicas) = (setup.directory.to_owned(), setup.replicas as u64);
    threads::start(setup, move |place: Place<Message>| {
        let directory = place::of_replica(&run, place.me);
        let mut replica = Replica::new(place, replicas, open(&directory)?, writer)?;
        replica.run()?;
        replica.end()
    })
}

fn open(directory: &Path) -> Result<Engine> {
    let config = raft_engine::Config {
        dir: directory.display().to_string(),
        target_file_size: ReadableSize::mb(64),
        prefill_for_recycle: true,
        prefill_limit: Some(ReadableSize::mb(128)),
        batch_compression_threshold: ReadableSize(0),
        ..raft_engine::Config::default()
    };
    Engine::open(config).context("cannot open raft-engine")
}

/// How raft-engine finds an entry's index.
struct Entries;

impl MessageExt for Entries {
    type Entry = Entry;

    fn index(entry: &Entry) -> u64 {
        entry.index
    }
}

/// What goes to the disk, and what waits for it.
struct Write {
    number: u64,
    batch: LogBatch,
    messages: Vec<Message>,
}

/// Where the log is written.
enum Disk {
    Own(Box<Engine>),
    Second { writes: Sender<Write>, thread: thread::JoinHandle<Result<()>> },
}

struct Replica {
    node: RawNode<MemStorage>,
    store: MemStorage,
    place: Place<Message>,
    disk: Disk,
    led: bool,
}

impl Replica {
    fn new(place: Place<Message>, replicas: u64, engine: Engine, writer: Writer) -> Result<Self> {
        let config = Config {
            id: place.me,
            election_tick: 50,
            heartbeat_tick: 1,
            max_size_per_msg: 1 << 20,
            max_inflight_msgs: 1024,
            batch_append: true,
            ..Config::default()
        };
        let voters = (1..=replicas).collect::<Vec<_>>();
        let store = MemStorage::new_with_conf_state((voters, vec![]));
        let logger = slog::Logger::root(slog::Discard, slog::o!());
        let mut node = RawNode::new(&config, store.clone(), &logger)?;
        if place.me == 1 {
            node.campaign()?;
        }
        let disk = match writer {
            Writer::Own => Disk::Own(Box::new(engine)),
            Writer::Second => {
                let (writes, queue) = unbounded();
                let (me, peers) = (place.me, place.peers.clone());
                let thread = thread::Builder::new()
                    .name(format!("writer-{me}"))
                    .spawn(move || write(&engine, &queue, me, &peers))?;
                Disk::Second { writes, thread }
            }
        };
        Ok(Self { node, store, place, disk, led: false })
    }

    fn run(&mut self) -> Result<()> {
        let (mut inputs, mut tick) = (Vec::new(), Instant::now() + TICK);
        loop {
            self.turn()?;
            if !self.place.inputs(tick, &mut inputs) {
                return Ok(());
            }
            for input in inputs.drain(..) {
                match input {
                    Input::Message(message) => self.node.step(message)?,
                    Input::Propose(commands) => {
                        let mut message = Message::default();
                        message.set_msg_type(MessageType::MsgPropose);
                        message.from = self.place.me;
                        let entries =
                            commands.into_iter().map(|data| Entry { data, ..Entry::default() });
                        message.set_entries(entries.collect::<Vec<_>>().into());
                        self.node.step(message)?;
                    }
                    Input::Persisted(number) => self.node.on_persist_ready(number),
                    Input::Stop => return Ok(()),
                }
            }
            if Instant::now() >= tick {
                tick = Instant::now() + TICK;
                self.node.tick();
            }
        }
    }

    /// Does all that raft wants done.
    fn turn(&mut self) -> Result<()> {
        while self.node.has_ready() {
            let mut ready = self.node.ready();
            ensure!(ready.snapshot().is_empty(), "a snapshot where there is none");
            self.send(ready.take_messages());
            let chosen = ready.take_committed_entries();
            self.apply(&chosen)?;
            let batch = self.keep(&mut ready)?;
            let messages = ready.take_persisted_messages();
            self.persist(ready, batch, messages)?;
        }
        if !self.led && self.node.raft.state == StateRole::Leader {
            self.led = true;
            self.place.report.leads();
        }
        self.place.report.tell();
        Ok(())
    }

    /// Puts what is new into the cache, and into what goes to the disk.
    fn keep(&mut self, ready: &mut Ready) -> Result<LogBatch> {
        let mut batch = LogBatch::default();
        let entries = ready.take_entries();
        batch.add_entries::<Entries>(GROUP, &entries)?;
        let mut store = self.store.wl();
        store.append(&entries)?;
        if let Some(state) = ready.hs() {
            store.set_hardstate(state.clone());
            if ready.must_sync() {
                batch.put_message::<HardState>(GROUP, b"state".to_vec(), state)?;
            }
        }
        Ok(batch)
    }

    fn persist(&mut self, ready: Ready, mut batch: LogBatch, messages: Vec<Message>) -> Result<()> {
        match &self.disk {
            Disk::Own(engine) => {
                if !batch.is_empty() {
                    engine.write(&mut batch, true)?;
                }
                self.send(messages);
                let mut light = self.node.advance(ready);
                if let Some(commit) = light.commit_index() {
                    self.store.wl().mut_hard_state().commit = commit;
                }
                self.send(light.take_messages());
                self.apply(light.committed_entries())?;
            }
            Disk::Second { writes, .. } => {
                let number = ready.number();
                self.node.advance_append_async(ready);
                let write = Write { number, batch, messages };
                writes.send(write).ok().context("the writing thread has ended")?;
            }
        }
        self.node.advance_apply();
        Ok(())
    }

    fn send(&self, messages: Vec<Message>) {
        for message in messages {
            self.place.send(message.to, message);
        }
    }

    fn apply(&mut self, entries: &[Entry]) -> Result<()> {
        for entry in entries {
            // A new leader's first entry is empty.
            if !entry.data.is_empty() {
                self.place.report.apply(&entry.data);
            }
        }
        let Some(last) = entries.last() else { return Ok(()) };
        // What others may still need is kept.
        let followers = self.node.raft.prs().iter().map(|(_, progress)| progress.matched);
        let matched = if self.node.raft.state == StateRole::Leader {
            followers.min().unwrap_or(0)
        } else {
            last.index
        };
        let first = raft::Storage::first_index(&self.store)?;
        if matched > first + 2 * CACHED_ENTRIES && self.node.raft.leader_id != INVALID_ID {
            self.store.wl().compact((matched - CACHED_ENTRIES).min(last.index))?;
        }
        Ok(())
    }

    fn end(self) -> Result<Applied> {
        let Self { place: Place { report, .. }, disk, .. } = self;
        if let Disk::Second { writes, thread } = disk {
            drop(writes);
            thread.join().ok().context("the writing thread panicked")??;
        }
        Ok(Report::seen(report))
    }
}

/// Writes what has queued up, all in one, and sends what waited for it.
fn write(
    engine: &Engine,
    queue: &Receiver<Write>,
    me: u64,
    peers: &[Sender<Input<Message>>],
) -> Result<()> {
    let peers = (1..).zip(peers).collect::<BTreeMap<u64, _>>();
    while let Ok(first) = queue.recv() {
        let Write { mut number, mut batch, mut messages } = first;
        for mut more in queue.try_iter() {
            number = more.number;
            batch.merge(&mut more.batch)?;
            messages.append(&mut more.messages);
        }
        if !batch.is_empty() {
            engine.write(&mut batch, true)?;
        }
        for message in messages {
            if let Some(peer) = peers.get(&message.to) {
                let _ = peer.send(Input::Message(message));
            }
        }
        if let Some(own) = peers.get(&me) {
            let _ = own.send(Input::Persisted(number));
        }
    }
    Ok(())
}
