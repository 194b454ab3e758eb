//! One test for each rule of "Paxos Made Simple" (Lamport, 2001), on the roles that the crate
//! shows: messages in, messages out, no network.
//!
//! Each test is named for what the paper says and cites its section. Where the crate is stricter
//! than the paper, or says more than it, docs/PROTOCOL.md has the reason.

mod acceptor;
mod ballots;
mod learner;
mod progress;
mod proposer;
mod roles;
mod storage;
