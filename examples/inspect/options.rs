//! What the command line can say, and how a mistake on it is told: one line, exit code 2.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;

use crate::verdict::NO_LOG;

/// Says what lies in the directory of a log, and what a start would make of it.
///
/// It changes nothing, takes no lock, and may be used while the log's process runs: what is being
/// written is not taken for rot. Segments are read one at a time, each twice.
///
/// Exit code: 0 if a start would take the log and nothing in it is rotten or lost; 1 if something
/// is, or a start would refuse the log; 2 for a bad option, or if there is no log.
#[derive(Debug, Parser)]
#[command(name = "inspect")]
pub(crate) struct Options {
    /// The directory of the log.
    #[arg(value_name = "DIRECTORY")]
    pub(crate) directory: PathBuf,
    /// Print JSON instead of tables.
    #[arg(long)]
    pub(crate) json: bool,
}

/// Reads the command line; for `--help`, or for a mistake, prints what there is to say and returns
/// the exit code.
pub(crate) fn parse() -> Result<Options, ExitCode> {
    Options::try_parse().map_err(|error| {
        if error.use_stderr() {
            let message = error.to_string();
            let first = message.lines().take_while(|line| !line.is_empty()).map(str::trim);
            eprintln!("{}", first.collect::<Vec<_>>().join(" "));
            ExitCode::from(NO_LOG)
        } else {
            // Help was asked for. If it cannot be printed, nobody is there to be told.
            let _ = error.print();
            ExitCode::SUCCESS
        }
    })
}
