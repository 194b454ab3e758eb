//! OmniPaxos 0.2.4 over its own RocksDB storage (omnipaxos_storage 0.2.4).
//!
//! Settings: `batch_size` a quarter of what is in flight (the best of those tried before), the
//! storage's default `sync_writes` (every write is synced), RocksDB's defaults otherwise; ticks of
//! 10 ms, a batch is flushed after one, elections after 100, messages are sent again after 50,
//! replica 1 has the highest priority. All that arrived meanwhile is handled before messages are
//! sent and what is chosen is read.

use std::time::{Duration, Instant};

use anyhow::{Result, bail, ensure};
use bytes::Bytes;
use omnipaxos::macros::Entry;
use omnipaxos::messages::Message;
use omnipaxos::util::LogEntry;
use omnipaxos::{ClusterConfig, OmniPaxos, ServerConfig};
use omnipaxos_storage::persistent_storage::{PersistentStorage, PersistentStorageConfig};
use serde::{Deserialize, Serialize};

use super::drive::Cluster;
use super::threads::{self, Input, Place};
use super::{Setup, place};

const TICK: Duration = Duration::from_millis(10);

/// A command; its bytes are shared between the replicas.
#[derive(Clone, Debug, Serialize, Deserialize, Entry)]
struct Command(Bytes);

/// Starts the replicas.
pub(crate) fn start(setup: &Setup<'_>) -> Result<Box<dyn Cluster>> {
    let (run, replicas) = (setup.directory.to_owned(), setup.replicas as u64);
    let batch_size = (setup.in_flight / 4).max(1);
    threads::start(setup, move |place: Place<Message<Command>>| {
        let directory = place::of_replica(&run, place.me);
        let path = directory.display().to_string();
        let storage = PersistentStorage::open(PersistentStorageConfig::with_path(path));
        let cluster = ClusterConfig {
            configuration_id: 1,
            nodes: (1..=replicas).collect(),
            flexible_quorum: None,
        };
        let server = ServerConfig {
            pid: place.me,
            election_tick_timeout: 100,
            resend_message_tick_timeout: 50,
            flush_batch_tick_timeout: 1,
            batch_size,
            leader_priority: u32::from(place.me == 1),
            ..ServerConfig::default()
        };
        let mut replica = match cluster.build_for_server(server, storage) {
            Ok(core) => Replica { core, place, applied: 0, led: false },
            Err(error) => bail!("OmniPaxos refuses its settings: {error}"),
        };
        replica.run()?;
        Ok(replica.place.report.seen())
    })
}

struct Replica {
    core: OmniPaxos<Command, PersistentStorage<Command>>,
    place: Place<Message<Command>>,
    /// How many entries of the log were applied.
    applied: usize,
    led: bool,
}

impl Replica {
    fn run(&mut self) -> Result<()> {
        let (mut inputs, mut messages) = (Vec::new(), Vec::new());
        let mut tick = Instant::now() + TICK;
        loop {
            if !self.place.inputs(tick, &mut inputs) {
                return Ok(());
            }
            for input in inputs.drain(..) {
                match input {
                    Input::Message(message) => self.core.handle_incoming(message),
                    Input::Propose(commands) => {
                        for command in commands {
                            let appended = self.core.append(Command(command));
                            ensure!(appended.is_ok(), "OmniPaxos refuses a command");
                        }
                    }
                    Input::Persisted(_) => {}
                    Input::Stop => return Ok(()),
                }
            }
            if Instant::now() >= tick {
                tick = Instant::now() + TICK;
                self.core.tick();
            }
            self.core.take_outgoing_messages(&mut messages);
            for message in messages.drain(..) {
                self.place.send(message.get_receiver(), message);
            }
            self.apply()?;
        }
    }

    fn apply(&mut self) -> Result<()> {
        if self.core.get_decided_idx() > self.applied {
            let chosen = self.core.read_decided_suffix(self.applied).unwrap_or_default();
            for entry in &chosen {
                match entry {
                    LogEntry::Decided(Command(command)) => self.place.report.apply(command),
                    other => bail!("an entry that is no command: {other:?}"),
                }
            }
            self.applied += chosen.len();
            self.place.report.tell();
        }
        if !self.led && self.core.get_current_leader() == Some((self.place.me, true)) {
            self.led = true;
            self.place.report.leads();
        }
        Ok(())
    }
}
