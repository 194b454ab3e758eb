//! Shows one log on several replicas over UDP, through a SIGKILL of their leader.
//!
//! ```text
//! cargo run --release --example udp_cluster -- --help
//! ```
//!
//! The program starts N processes of itself on loopback, each a `synod` replica with a log
//! directory of its own, and sends every line of its input through the log. Read the files in this
//! order:
//!
//! - `replica.rs`: one replica. The state machine, a `Node` with the UDP transport, and what
//!   becomes of each proposed line. What an embedder writes is here.
//! - `feeder.rs`: how a client keeps thousands of lines in flight and loses, doubles or reorders
//!   none of them when the leader changes.
//! - `run.rs`: the run as a whole, with the kill and the restart.
//! - `cluster.rs`, `protocol.rs`: the processes, and the pipes to them.
//! - `input.rs`, `options.rs`, `report.rs`, `clock.rs`: the rest.

mod clock;
mod cluster;
#[path = "../command_line/mod.rs"]
mod command_line;
mod feeder;
mod input;
mod options;
mod protocol;
mod replica;
mod report;
mod run;

use std::process::ExitCode;

use options::{Options, Part};
use run::Failure;

fn main() -> ExitCode {
    let read = command_line::parse(std::env::args_os(), report::tell);
    let options: Options = match read {
        Ok(options) => options,
        Err(code) => return ExitCode::from(code),
    };
    let result = match options.part {
        Some(Part::Replica(replica)) => replica::run(&replica),
        None => run::run(&options.run),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            report::tell(&format!("error: {failure}"));
            ExitCode::from(match failure {
                Failure::Usage(_) => 2,
                Failure::Failed(_) => 1,
            })
        }
    }
}
