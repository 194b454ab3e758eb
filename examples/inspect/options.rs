//! What the command line can say.

use std::path::PathBuf;

use clap::Parser;

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
