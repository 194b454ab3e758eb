//! Says what lies in the directory of a log, and what a start would make of it: for whoever stands
//! before a replica that does not start, at three in the morning.
//!
//! ```text
//! cargo run --release --example inspect -- DIRECTORY
//! ```
//!
//! It reads and changes nothing, and the log's process may run meanwhile. All that it knows of the
//! format it has from `synod::wal::inspect`, which judges with recovery's own code.
//!
//! - `options.rs`: what the command line can say.
//! - `verdict.rs`: the result in a sentence, and the exit code.
//! - `table.rs`: everything as text; `columns.rs` lays it out.
//! - `json.rs`: everything as JSON.

mod columns;
#[path = "../command_line/mod.rs"]
mod command_line;
mod json;
mod options;
mod table;
mod verdict;

use std::io::{self, Write};
use std::process::ExitCode;

use options::Options;
use synod::wal::inspect::inspect;

fn main() -> ExitCode {
    let read = command_line::parse(std::env::args_os(), |mistake| eprintln!("{mistake}"));
    let options: Options = match read {
        Ok(options) => options,
        Err(code) => return ExitCode::from(code),
    };
    let seen = match inspect(&options.directory) {
        Ok(seen) => seen,
        Err(error) => {
            eprintln!("error: {error}");
            return ExitCode::from(verdict::NO_LOG);
        }
    };
    if !seen.is_log() {
        eprintln!("error: {}: no log: neither a superblock nor a segment", seen.place);
        return ExitCode::from(verdict::NO_LOG);
    }
    let text = if options.json { json::text(&seen) } else { table::text(&seen) };
    // Whether anyone reads it changes nothing.
    let _ = io::stdout().lock().write_all(text.as_bytes());
    ExitCode::from(verdict::code(&seen))
}
