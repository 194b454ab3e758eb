//! Measures synod beside other engines and servers: the same commands, the same check of what every
//! replica applied, the runs of all peers in turn.
//!
//! Raw results go to a file, one line of JSON for each measurement; tables show the median and the
//! range. Only ratios within one run say anything: the machine differs, and it drifts.
//!
//! Exit code 0: all was measured, and every target is met. 1: not so. 2: bad options.

#![allow(clippy::disallowed_methods, reason = "a benchmark looks at the clock")]

mod check;
#[path = "../../../examples/command_line/mod.rs"]
mod command_line;
mod disk;
mod document;
mod draw;
mod durable;
mod engine;
mod failures;
mod figures;
mod results;
mod servers;
mod summary;
mod targets;
mod workload;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Measures synod beside other consensus engines and servers.
#[derive(Parser)]
#[command(version)]
struct Options {
    #[command(subcommand)]
    suite: Suite,
}

#[derive(Subcommand)]
enum Suite {
    /// Protocol engines: all replicas in one thread, memory only.
    Engine(engine::Options),
    /// Servers on loopback: `udp_kv`, etcd, ZooKeeper and Redis.
    Servers(servers::Options),
    /// Replicas with logs on a disk, and a sync before each acknowledgement.
    Durable(durable::Options),
    /// Holds raw results against the targets, a line for each.
    Targets(targets::Options),
    /// Draws charts from raw results.
    Draw(draw::Options),
    /// Writes the tables of a document from raw results.
    Document(document::Options),
}

/// Tells of a mistake in what was asked for, and says with what code to end.
fn refuse(mistake: &str) -> ExitCode {
    eprintln!("peers: {mistake}");
    ExitCode::from(2)
}

fn main() -> ExitCode {
    let read = command_line::parse(std::env::args_os(), |mistake| eprintln!("{mistake}"));
    let options: Options = match read {
        Ok(options) => options,
        Err(code) => return ExitCode::from(code),
    };
    let done = match options.suite {
        Suite::Engine(options) => engine::run(&options),
        Suite::Servers(options) => servers::run(&options),
        Suite::Durable(options) => durable::run(&options),
        Suite::Targets(options) => targets::run(&options),
        Suite::Draw(options) => draw::run(&options),
        Suite::Document(options) => document::run(&options),
    };
    done.unwrap_or_else(|failure| {
        eprintln!("peers: {failure}");
        ExitCode::FAILURE
    })
}
