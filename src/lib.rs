//! An embeddable multi-Paxos replicated log.
#![cfg_attr(docsrs, feature(doc_cfg))]
#![no_std]

extern crate alloc;
#[cfg(any(feature = "std", test))]
extern crate std;

pub mod ballot;
pub mod checksum;
pub mod config;
pub mod entry;
pub mod membership;
pub mod message;
pub mod output;
pub mod quorum;
pub mod record;
pub mod replay;
pub mod slot;
pub mod time;
