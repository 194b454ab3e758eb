//! An embeddable multi-Paxos replicated log.
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
pub mod fragment;
mod learner;
mod lives;
pub mod membership;
pub mod message;
mod outbox;
pub mod output;
mod phase_one;
mod proposer;
pub mod quorum;
pub mod record;
pub mod replay;
pub mod replica;
pub mod slot;
pub mod time;
pub mod wire;

/// The roles of the papers, as state machines that work alone.
pub mod roles {
    pub use crate::acceptor::{Acceptor, Held};
    pub use crate::learner::Learner;
    pub use crate::outbox::Outbox;
    pub use crate::phase_one::{Finding, PhaseOne};
    pub use crate::proposer::{Limits, Proposed, Proposer};
}
