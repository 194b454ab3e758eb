//! A play: what its commands cause.

use std::fmt::Display;
use std::fs;
use std::io::Write;
use std::path::Path;

use synod::sim::{Script, ScriptError};

use crate::failure;
use crate::run::say;

/// Runs the play in the file and shows it. True if every line of it went as it says.
pub(crate) fn run(file: &Path, out: &mut dyn Write) -> Result<bool, String> {
    let name = file.display();
    let fail = |error: &dyn Display| format!("{name}: {error}");
    let text = fs::read_to_string(file).map_err(|error| fail(&error))?;
    let (line, problem, text) = match Script::parse(&text).and_then(|play| play.run()) {
        Ok(performance) => {
            say(out, performance.text.trim_end());
            let (slots, hash) = (performance.report.slots, performance.report.trace_hash);
            say(out, &format!("clean: {name}, {slots} slots chosen, trace hash {hash:016x}"));
            return Ok(true);
        }
        Err(ScriptError::Unmet { line, problem, text }) => (line, problem, text),
        Err(ScriptError::Broken { line, violation, text }) => {
            (line, failure::claim(&violation), text)
        }
        Err(bad) => return Err(fail(&bad)),
    };
    say(out, text.trim_end());
    say(out, &format!("FAILED: {name}, line {line}: {problem}"));
    Ok(false)
}
