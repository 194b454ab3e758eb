//! Runs seeds of the simulated cluster under the eyes of its oracles, makes a failing one small,
//! and shows any one as text or as a picture.
//!
//! ```text
//! cargo run --release --features sim --example simulate -- --help
//! ```
//!
//! Read the files in this order:
//!
//! - `profile.rs`: the runs that there are. All that ties this program to the simulator.
//! - `run.rs`: what the program does with its options.
//! - `seeds.rs`: many seeds on several threads, with their results in order.
//! - `failure.rs`: a failing seed is made small, and told with the command that repeats it.
//! - `single.rs`: one seed, with its trace and its picture.
//! - `script.rs`: a play, with what its commands cause.
//! - `partial.rs`: elections while links stay broken, as a table.
//! - `draw/`: the picture: `window.rs` says which part of the run, `scene.rs` what there is in it,
//!   `axis.rs` and `labels.rs` where it stands and what is written beside it, `picture.rs` puts it
//!   together.
//! - `options.rs`, `progress.rs`, `clock.rs`: the rest.

mod clock;
#[path = "../command_line/mod.rs"]
mod command_line;
mod draw;
mod failure;
mod options;
mod partial;
mod profile;
mod progress;
mod run;
mod script;
mod seeds;
mod single;

use std::io;
use std::process::ExitCode;

fn main() -> ExitCode {
    let code = run::run(std::env::args_os(), &profile::Judge::REAL, &mut io::stdout().lock());
    ExitCode::from(code)
}
