//! What the program does with its options.

use std::ffi::OsString;
use std::io::Write;

use crate::failure;
use crate::options::{self, Options};
use crate::partial;
use crate::profile::{self, Judge};
use crate::progress::{Progress, tell};
use crate::script;
use crate::seeds::{self, Totals};
use crate::single;

/// Does what the arguments say, the program's name before them, and prints the results to `out`.
/// Gives the exit code.
pub(crate) fn run(
    args: impl IntoIterator<Item = OsString>,
    judge: &Judge,
    out: &mut dyn Write,
) -> u8 {
    let options = match options::parse(args) {
        Ok(options) => options,
        Err(code) => return code,
    };
    let clean = match (&options.script, options.partial, options.seed) {
        (Some(file), _, _) => script::run(file, out),
        (None, Some(seeds), _) => Ok(partial::run(&options, seeds, judge, out)),
        (None, None, Some(seed)) => single::run(&options, seed, judge, out),
        (None, None, None) => many(&options, judge, out),
    };
    match clean {
        Ok(true) => 0,
        Ok(false) => 1,
        Err(usage) => {
            tell(&format!("error: {usage}"));
            2
        }
    }
}

/// Prints a result. Whether anyone reads it changes nothing.
pub(crate) fn say(out: &mut dyn Write, text: &str) {
    let _ = writeln!(out, "{text}");
}

/// Runs the seeds. True if all are clean.
fn many(options: &Options, judge: &Judge, out: &mut dyn Write) -> Result<bool, String> {
    let plan = options.plan()?;
    let (profile, reduction) = (options.profile, options.reduction());
    let one = |seed| {
        let swarm = profile::swarm(profile, seed, &reduction)?;
        Ok((judge.run)(profile, &swarm))
    };
    let progress = Progress::new(plan.count, "seeds");
    let mut totals = Totals { every_mark: options.every_mark, ..Totals::default() };
    let mut senseless = None;
    seeds::run(&plan, &one, |outcome| {
        let result = match &outcome.result {
            Ok(result) => result,
            Err(error) => {
                senseless = Some(format!("seed {}: {error}", outcome.seed));
                return false;
            }
        };
        totals.add(outcome.seed, outcome.busy, result);
        if let Err(violation) = result {
            let told = failure::tell(options, outcome.seed, violation, judge);
            progress.suspend(|| say(out, &told));
        }
        progress.advance(totals.seeds, totals.progress());
        options.keep_going || totals.failed.is_empty()
    });
    progress.finish();
    if let Some(error) = senseless {
        return Err(error);
    }
    if let Some(never) = totals.never() {
        say(out, &never);
    }
    say(out, &totals.to_string());
    Ok(totals.are_clean())
}
