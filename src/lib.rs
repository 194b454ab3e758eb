//! An embeddable multi-Paxos replicated log.
//!
//! A program links the crate, gives it a directory, a way to send frames to its peers and a state
//! machine; from then on that state machine runs in the same order on every replica, through
//! crashes, lost messages, partitions and broken disks.
//!
//! Two ways in:
//!
//! - [`Node::start`] runs a replica on threads of its own. Give it a [`Config`], a log
//!   ([`Wal::open_directory`]), a [`Transport`] and a [`StateMachine`]; propose and read through
//!   the [`Handle`], and wait for the answer on a [`Ticket`], with or without a runtime.
//! - [`Replica`] is the same replica without threads, clock, sockets or disk: calls in,
//!   [`Output`]s out. Drive it from any loop, runtime or test. Without the crate's features it is
//!   all there is, and needs neither std nor an operating system.
//!
//! Commands may be proposed at any replica: one that does not lead forwards them to the leader, and
//! learns what became of each as [`Fate`], whoever crashes meanwhile. Any replica serves reads,
//! too: as [`Consistency`] says, those that miss nothing that was acknowledged before they were
//! asked, at the cost of a round trip to a quorum, or those of what it has applied itself.
//!
//! The roles of the papers are in [`roles`] and work alone; [`wire`] and [`fragment`] turn messages
//! into frames; `sim` runs whole clusters from a seed.
//!
//! # Example: the whole loop, by hand
//!
//! One law: *drain before you wait*. After any inputs call [`Replica::poll_output`] until it says
//! [`Output::Wait`]. A cluster of one replica, on a disk in memory:
//!
#![cfg_attr(feature = "log", doc = "```")]
#![cfg_attr(not(feature = "log"), doc = "```ignore")]
//! use synod::wal::{HeapMedium, Wal, WalOptions};
//! use synod::{ClusterId, Config, Instant, Output, Replica, ReplicaId};
//!
//! let (cluster, me) = (ClusterId::named("by hand")?, ReplicaId(1));
//! let disk = Box::new(HeapMedium::new(1));
//! let (mut wal, recovered) = Wal::open(disk, cluster, me, WalOptions::default())?;
//! let mut now = Instant::ZERO;
//! let mut replica = Replica::new(Config::new([me]), recovered, now)?;
//! let mut applied = Vec::new();
//! let mut proposed = false;
//! while applied.is_empty() {
//!     // Inputs: messages, timeouts, completions, commands.
//!     replica.handle_timeout(now);
//!     if !proposed {
//!         proposed = replica.propose(now, b"hello").is_ok();
//!     }
//!     // Outputs, until there are none.
//!     let wake = loop {
//!         match replica.poll_output() {
//!             Output::Persist { lsn, record, chosen } => wal.append(lsn, &record, chosen)?,
//!             Output::Send { .. } | Output::SendEntries { .. } => {} // No peers here.
//!             Output::Chosen { slot, entry } => {
//!                 applied.push((slot, entry));
//!                 replica.handle_applied(now, slot.next());
//!             }
//!             Output::ApplyFromLog { .. } | Output::Fate { .. } | Output::Event(_) => {}
//!             Output::ReadReady { .. } | Output::ReadRefused { .. } => {} // Nobody reads.
//!             Output::Wait { until } => break until,
//!         }
//!     };
//!     // One sync serves every record before it; then the votes that waited for it go out.
//!     if let Some(sync) = wal.start_sync()? {
//!         replica.handle_persisted(now, wal.finish(sync.run())?);
//!     } else if let Some((at, _why)) = wake {
//!         now = at; // Sleep until then, or until a message comes.
//!     }
//! }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

#![cfg_attr(docsrs, feature(doc_cfg))]
#![no_std]

extern crate alloc;
#[cfg(any(feature = "std", test))]
extern crate std;

mod acceptor;
pub mod ballot;
mod catch_up;
pub mod checksum;
pub mod config;
mod election;
pub mod entry;
mod fate;
mod forming;
mod forwarding;
pub mod fragment;
mod learner;
mod lives;
#[cfg(any(feature = "driver", feature = "sim"))]
pub mod machine;
pub mod membership;
pub mod message;
#[cfg(feature = "driver")]
pub mod node;
mod outbox;
pub mod output;
mod patience;
mod phase_one;
mod proposer;
pub mod quorum;
mod reads;
pub mod record;
pub mod replay;
pub mod replica;
#[cfg(feature = "sim")]
pub mod sim;
pub mod slot;
pub mod time;
#[cfg(all(feature = "driver", not(feature = "tracing")))]
#[path = "trace/off.rs"]
mod trace;
#[cfg(feature = "tracing")]
#[path = "trace/on.rs"]
mod trace;
#[cfg(feature = "driver")]
pub mod transport;
#[cfg(feature = "udp")]
pub mod udp;
#[cfg(feature = "log")]
pub mod wal;
pub mod wire;

/// The roles of the papers, as state machines that work alone.
pub mod roles {
    pub use crate::acceptor::{Acceptor, Held};
    pub use crate::learner::Learner;
    pub use crate::outbox::Outbox;
    pub use crate::phase_one::{Finding, PhaseOne};
    pub use crate::proposer::{Limits, Proposed, Proposer};
}

pub use crate::ballot::Ballot;
pub use crate::config::{Config, ConfigError};
pub use crate::entry::{CommandId, Entry, Place};
#[cfg(any(feature = "driver", feature = "sim"))]
pub use crate::machine::StateMachine;
pub use crate::membership::{ClusterId, MembershipError, ReplicaId};
#[cfg(feature = "driver")]
pub use crate::node::{Applied, Handle, Node, StartError, StopReason, Ticket, TicketError};
pub use crate::output::{Event, Fate, Output};
pub use crate::replica::{Consistency, ProposeError, ReadError, Replica, Role, Stalled, Status};
pub use crate::slot::Slot;
pub use crate::time::Instant;
#[cfg(feature = "driver")]
pub use crate::transport::{Inbox, Transport};
#[cfg(feature = "log")]
pub use crate::wal::{Wal, WalError};

#[cfg(all(doctest, feature = "udp"))]
#[doc = include_str!("../README.md")]
struct ReadmeDoctests;
