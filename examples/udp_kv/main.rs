//! A replicated key-value server that Redis clients speak to.
//!
//! ```text
//! cargo run --release --example udp_kv -- --help
//! ```
//!
//! One process is one replica: RESP2 over TCP to clients, synod over UDP to its peers. Read the
//! files in this order:
//!
//! - `store.rs`: the state machine, with its commands as they lie in the log.
//! - `replica.rs`: the node, and how commands and reads go through it.
//! - `connection.rs`: one client: what it pipelines is proposed in batches, and answered in order.
//! - `server.rs`: clients are taken in, up to a limit; signals end it all.
//! - `commands.rs`: the commands of Redis, and what each asks for.
//! - `parse.rs`, `reply.rs`: RESP2, in and out.
//! - `budget.rs`: what all clients together may hold in memory.
//! - `watch.rs`, `info.rs`: what the replica tells about itself.
//! - `options.rs`: the command line.
//! - `torture`: many faults for a cluster of these, and a judge.

mod budget;
#[path = "../command_line/mod.rs"]
mod command_line;
mod commands;
mod connection;
mod info;
mod options;
mod parse;
mod replica;
mod reply;
mod server;
mod store;
mod torture;
mod watch;

use std::fmt;
use std::io::{self, Write};
use std::process::ExitCode;

use options::{Options, Part};

/// Why the program ended.
#[derive(Debug)]
pub(crate) enum Failure {
    /// An option, a file or an address is bad.
    Usage(String),
    /// The replica, or the system, failed.
    Failed(String),
}

impl Failure {
    pub(crate) fn usage(error: impl fmt::Display) -> Self {
        Self::Usage(error.to_string())
    }

    pub(crate) fn failed(error: impl fmt::Display) -> Self {
        Self::Failed(error.to_string())
    }
}

/// Tells a person something, on standard error.
pub(crate) fn tell(text: &str) {
    // If nobody reads it, there is nobody to be told that.
    let _ = writeln!(io::stderr().lock(), "udp_kv: {text}");
}

fn main() -> ExitCode {
    let options: Options = match command_line::parse(std::env::args_os(), tell) {
        Ok(options) => options,
        Err(code) => return ExitCode::from(code),
    };
    let result = match (options.part, options.server) {
        (Some(Part::Torture(options)), _) => return torture::run(&options),
        (None, Some(options)) => server::run(&options),
        (None, None) => Err(Failure::usage("error: options are missing; see --help")),
    };
    let (code, text) = match result {
        Ok(()) => return ExitCode::SUCCESS,
        Err(Failure::Usage(text)) => (2, text),
        Err(Failure::Failed(text)) => (1, text),
    };
    tell(&format!("error: {text}"));
    ExitCode::from(code)
}
