//! Holds raw results against what they must be.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;

/// What to judge.
#[derive(Args)]
pub(crate) struct Options {
    /// Raw results.
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
}

/// Prints a table of what was measured.
///
/// # Errors
///
/// Says what file is no result.
pub(crate) fn run(options: &Options) -> Result<ExitCode, String> {
    print!("{}", crate::summary::tables(&crate::results::read(&options.files)?));
    Ok(ExitCode::SUCCESS)
}
