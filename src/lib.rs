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
//! The roles of the papers are in [`roles`] and work alone, for witnesses and observers; [`wire`]
//! and [`fragment`] turn messages into frames; `sim` runs whole clusters from a seed.
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
mod announcer;
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
mod hand_over;
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
mod preference;
mod proposer;
pub mod quorum;
mod reads;
pub mod record;
pub mod replay;
pub mod replica;
mod roster;
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
///
/// A [`Replica`] is all of them. A host that needs less runs one by itself; the example `roles` has
/// all three without a log, `tests/roles_alone` a witness and an observer with logs of their own.
///
/// **How a role writes and speaks.** It asks its [`Outbox`](roles::Outbox), which hands out
/// [`Output`]s. The host appends each `Persist` to its log, syncs, and tells
/// [`Outbox::handle_persisted`](roles::Outbox::handle_persisted); until then the outbox keeps back
/// what speaks for an acceptor. A host sends nothing that did not come out of it.
///
/// **An acceptor alone, a witness,** is a member without a state machine that never leads. It owes:
///
/// - *Forming.* An empty log belongs to no cluster yet. [`Forming`](roles::Forming) writes the list
///   of members ([`Record::Members`](record::Record::Members)), tells it, and writes that every
///   member told the same ([`Record::Formed`](record::Record::Formed)); before that the acceptor
///   must not hear of anything.
/// - *Judging who speaks.* [`Lives`](roles::Lives) refuses a member's name on another disk, which
///   has forgotten its ballots, and earlier starts; and a Prepare, Accept or Heartbeat counts only
///   from the replica that its ballot names.
/// - *Answers* to Prepare, Accept and Fetch, which [`Acceptor`](roles::Acceptor) makes; to
///   Heartbeat and Canvass, with what it stood by when it started: so a directory that was set back
///   is found out; and to CatchUp, out of its log.
/// - *Its mark.* A slot below it is chosen, and its log has the entry: it accepted the very ballot
///   that an announcement names there, or was sent a Chosen and wrote it down. It tells that with
///   [`Acceptor::settle`](roles::Acceptor::settle) and
///   [`Outbox::note_chosen`](roles::Outbox::note_chosen), in slot order; more than
///   [`ALPHA`](slot::ALPHA) slots above the mark it accepts nothing.
///
/// **A learner alone, an observer,** is no member: nobody counts it, and its log is never formed.
/// Whatever it hears of chosen marks is a fact, and [`CatchUp`](roles::CatchUp) asks for what
/// [`Learner::missing`](roles::Learner::missing) names. Replicas answer a stranger's CatchUp too.
/// Since it has no acceptor, it gives [`Learner::learn`](roles::Learner::learn) no `held`: then
/// each entry is written down.
pub mod roles {
    pub use crate::acceptor::{Acceptor, Held};
    pub use crate::catch_up::CatchUp;
    pub use crate::forming::Forming;
    pub use crate::learner::Learner;
    pub use crate::lives::Lives;
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
pub use crate::replica::{
    Consistency, Intake, ProposeError, ReadError, Replica, Role, Stalled, Status, TransferError,
};
pub use crate::slot::Slot;
pub use crate::time::Instant;
#[cfg(feature = "driver")]
pub use crate::transport::{Inbox, Transport};
#[cfg(feature = "log")]
pub use crate::wal::{Wal, WalError};

#[cfg(all(doctest, feature = "udp"))]
#[doc = include_str!("../README.md")]
struct ReadmeDoctests;
