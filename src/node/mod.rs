//! The ready-made driver: a replica, its log, a transport and a state machine, turned by threads.
//!
//! ```text
//!  proposers --> queue --+            +--> disk thread: syncs --------+
//!  transport --> inbox --+--> core ---+--> errands: old entries       |
//!  timer thread ---------+    (lock)  +--> apply thread: the machine  |
//!        ^                 ^          +--> transport, after the lock  |
//!        +---- deadline ---+------------------------------------------+
//! ```
//!
//! The core is turned by whichever thread has an input. Syncs, the state machine, reads of old
//! entries and heartbeats never wait for one another: a slow disk or machine does not look like a
//! dead leader. Whoever waits for a ticket may run the machine instead of the apply thread. Any
//! failure stops the node for good, and every ticket gets the reason.

mod alarm;
mod apply;
pub mod channel;
mod clock;
mod handle;
mod inputs;
mod lent;
mod outgoing;
mod proposals;
pub(crate) mod queue;
mod read;
mod status;
#[cfg(test)]
mod tests;
mod ticket;
mod transfer;
mod turn;
mod work;
mod workers;

use alloc::sync::Arc;
use core::any::Any;
use std::boxed::Box;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::string::{String, ToString};
use std::thread::{self, JoinHandle};
use std::vec::Vec;

use thiserror::Error;

pub use self::handle::Handle;
use self::lent::Lent;
pub use self::status::{Counters, Lag, NodeStatus};
pub use self::ticket::{Applied, Ticket, TicketError};
use self::turn::{Parts, Shared};
use crate::config::{Config, ConfigError};
use crate::fragment::Courier;
use crate::machine::StateMachine;
use crate::output::HaltReason;
use crate::record::Recovered;
use crate::replica::Replica;
use crate::slot::Slot;
use crate::transport::{Inbox, Transport};
use crate::wal::{Wal, WalError};
use crate::wire::FrameError;

/// Starts replicas. See [`Node::start`].
///
/// ```
/// use synod::node::channel::Network;
/// use synod::wal::{HeapMedium, Wal, WalOptions};
/// use synod::{ClusterId, Config, Node, Place, ReplicaId, StateMachine};
///
/// struct Sum(usize);
///
/// impl StateMachine for Sum {
///     type Answer = usize;
///     fn apply(&mut self, _: Place, command: &[u8]) -> usize {
///         self.0 += command.len();
///         self.0
///     }
/// }
///
/// let (cluster, me) = (ClusterId::named("docs")?, ReplicaId(1));
/// // A disk in memory; in earnest `Wal::open_directory`.
/// let log = Wal::open(Box::new(HeapMedium::new(1)), cluster, me, WalOptions::default())?;
/// let node = Node::start(Config::new([me]), log, Network::new().transport(me), Sum(0))?;
/// assert_eq!(node.propose(b"four").wait()?.answer, 4);
/// node.stop()?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub enum Node {}

/// Why a node could not start.
///
/// ```
#[doc = include_str!("example.txt")]
/// let transport = Network::new().transport_with(ReplicaId(1), 100);
/// let started = Node::start(Config::new([ReplicaId(1)]), open_log()?, transport, Sum(0));
/// assert!(matches!(started, Err(StartError::MaxFrame { bytes: 100, .. })));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum StartError {
    /// The settings make no sense, or do not fit the log.
    #[error("config: {0}")]
    Config(#[from] ConfigError),
    /// The transport's longest frame is too short.
    #[error("the transport's longest frame, {bytes} bytes: {error}")]
    MaxFrame {
        /// The transport's longest frame, in bytes.
        bytes: usize,
        /// What is wrong with it.
        error: FrameError,
    },
    /// A thread could not be started.
    #[error("starting the {name} thread: {error}")]
    Thread {
        /// What the thread is for.
        name: &'static str,
        /// The system's reason.
        error: std::io::Error,
    },
    /// The node stopped while it started.
    #[error("stopped while it started: {0}")]
    Stopped(StopReason),
}

/// Why a node has stopped.
///
/// ```
#[doc = include_str!("example.txt")]
/// let (node, disk) = start_alone()?;
/// node.propose(b"four").wait()?;
/// disk.inject(Fault::Sync { after: 0 }); // The next sync fails.
/// assert!(node.propose(b"lost?").wait().is_err());
/// assert!(matches!(node.stop(), Err(StopReason::Log { .. })));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Error)]
#[non_exhaustive]
pub enum StopReason {
    /// It was told to, or its last handle was dropped.
    #[error("it was told to stop")]
    Asked,
    /// The state machine panicked.
    #[error("the state machine panicked at {slot}: {message}")]
    MachinePanicked {
        /// The slot whose commands were being applied.
        slot: Slot,
        /// What the panic said.
        message: Arc<str>,
    },
    /// The log failed: the disk is full, a sync or a read failed. Nothing that was not durable by
    /// then was acknowledged.
    #[error("the log failed: {error}")]
    Log {
        /// What the log said.
        error: Arc<WalError>,
    },
    /// The log does not hold a chosen entry that the state machine needs.
    #[error("the log does not hold the chosen entry of {slot}")]
    EntryLost {
        /// The entry's slot.
        slot: Slot,
    },
    /// The replica has stopped for good.
    #[error("{reason}")]
    Halted {
        /// What the replica said.
        reason: HaltReason,
    },
    /// The transport panicked.
    #[error("the transport panicked: {message}")]
    TransportPanicked {
        /// What the panic said.
        message: Arc<str>,
    },
    /// An invariant of the replica or of the log broke, or a waker panicked.
    #[error("the core panicked: {message}")]
    CorePanicked {
        /// What the panic said.
        message: Arc<str>,
    },
}

impl Node {
    /// Starts a replica: `log` is what opening its write-ahead log gave.
    ///
    /// The state machine begins empty: everything that the log holds chosen is applied to it again,
    /// in order. The node runs until [`Handle::stop`], until its last handle is dropped, or until
    /// something fails; its transport, log and machine are dropped then.
    ///
    /// # Errors
    /// If the settings make no sense, or a thread cannot be started.
    pub fn start<M: StateMachine>(
        config: Config,
        log: (Wal, Recovered),
        transport: impl Transport,
        machine: M,
    ) -> Result<Handle<M>, StartError> {
        let (wal, recovered) = log;
        let clock = clock::Clock::start();
        let (cluster, me, chosen) = (recovered.cluster, recovered.me, recovered.chosen);
        let (queue_bytes, command_bytes) = (config.queue_bytes, config.command_bytes);
        let election_timeout = config.election_timeout;
        let max_frame = transport.max_frame();
        let courier = Courier::new(cluster, me, max_frame)
            .map_err(|error| StartError::MaxFrame { bytes: max_frame, error })?;
        let replica = Replica::new(config, recovered, clock.now())?;
        let shared = Shared::new(
            machine,
            Parts {
                replica,
                wal,
                courier,
                chosen,
                transport: Box::new(transport),
                queue_bytes,
                command_bytes,
                election_timeout,
                clock,
                cluster,
                me,
            },
        );
        let handle = Handle::new(Arc::clone(&shared));
        // From here on the handle ends what was started if something fails.
        handle.add(spawn("disk", &shared, |shared| workers::run_disk(&shared))?);
        handle.add(spawn("timer", &shared, |shared| workers::run_timer(&shared))?);
        handle.add(spawn("errands", &shared, |shared| workers::run_errands(&shared))?);
        handle.add(spawn("apply", &shared, |shared| shared.run_machine())?);
        let inbox = Inbox::new(&shared, cluster, me);
        let opened = catch_unwind(AssertUnwindSafe(|| shared.outgoing.open(inbox)));
        if let Err(panic) = opened {
            let message = panic_message(panic.as_ref());
            shared.fail(StopReason::TransportPanicked { message });
        }
        shared.turn(|_, _| Ok(()));
        match shared.stopped() {
            Some(reason) => Err(StartError::Stopped(reason.clone())),
            None => Ok(handle),
        }
    }
}

fn spawn<M: StateMachine>(
    name: &'static str,
    shared: &Arc<Shared<M>>,
    run: impl FnOnce(Arc<Shared<M>>) + Send + 'static,
) -> Result<JoinHandle<()>, StartError> {
    let shared = Arc::clone(shared);
    let mut title = String::from("synod-");
    title.push_str(name);
    thread::Builder::new()
        .name(title)
        .spawn(move || {
            let _lent = Lent::begin();
            // A thread that ends silently would leave everybody waiting.
            let ran = catch_unwind(AssertUnwindSafe(|| run(Arc::clone(&shared))));
            if let Err(panic) = ran {
                let message = panic_message(panic.as_ref());
                shared.fail(StopReason::CorePanicked { message });
            }
        })
        .map_err(|error| StartError::Thread { name, error })
}

/// Ends a node: everything appended is durable, its threads have ended, its directory is free.
fn stop<M: StateMachine>(shared: &Shared<M>, threads: Vec<JoinHandle<()>>) {
    shared.leave();
    shared.finish();
    shared.outgoing.close();
    for thread in threads {
        // A thread that panicked has said so on standard error, and the node has stopped for it.
        let _ = thread.join();
    }
    let wal = shared.look(turn::Core::close_log);
    if let (Some(wal), Some(StopReason::Asked)) = (wal, shared.stopped()) {
        // All of it is durable; the log only takes a note of that, and may fail at it.
        let _ = wal.close();
    }
}

/// What a panic said.
fn panic_message(panic: &(dyn Any + Send)) -> Arc<str> {
    let text = panic
        .downcast_ref::<&str>()
        .map(ToString::to_string)
        .or_else(|| panic.downcast_ref::<String>().cloned());
    text.unwrap_or_else(|| String::from("a panic without a message")).into()
}
