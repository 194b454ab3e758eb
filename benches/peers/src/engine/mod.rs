//! Protocol engines: all replicas in one thread, memory only.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;

/// What to measure.
#[derive(Args)]
pub(crate) struct Options {
    /// Appends the raw results to this file.
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

/// Measures.
///
/// # Errors
///
/// Says what went wrong.
pub(crate) fn run(options: &Options) -> Result<ExitCode, String> {
    crate::results::Results::open(options.out.as_deref())?;
    Err("no engine is there yet".into())
}
