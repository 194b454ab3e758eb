//! How the examples read their command lines, and how a mistake on one is told: one line, exit
//! code 2.

use std::ffi::OsString;

use clap::Parser;

/// The exit code for a mistake on the command line.
const MISTAKE: u8 = 2;

/// Reads the arguments; for `--help`, or for a mistake, prints what there is to say, a mistake by
/// `tell`, and returns the exit code.
pub(crate) fn parse<O: Parser>(
    arguments: impl IntoIterator<Item = OsString>,
    tell: impl FnOnce(&str),
) -> Result<O, u8> {
    O::try_parse_from(arguments).map_err(|error| {
        if error.use_stderr() {
            tell(&one_line(&error.to_string()));
            MISTAKE
        } else {
            // Help was asked for. If it cannot be printed, nobody is there to be told.
            let _ = error.print();
            0
        }
    })
}

/// The first paragraph of clap's message, which says what is wrong, without the advice behind it.
fn one_line(message: &str) -> String {
    let first: Vec<&str> =
        message.lines().take_while(|line| !line.is_empty()).map(str::trim).collect();
    first.join(" ")
}
