//! One seed: its figures, its trace and its picture.

use std::fs;
use std::io::Write;
use std::path::Path;

use synod::sim::{Recording, Report, Swarm, Violation};

use crate::draw::draw;
use crate::failure;
use crate::options::Options;
use crate::profile::{self, Judge};
use crate::run::say;

/// Runs the seed and shows what is asked for. True if it is clean.
pub(crate) fn run(
    options: &Options,
    seed: u64,
    judge: &Judge,
    out: &mut dyn Write,
) -> Result<bool, String> {
    let swarm = profile::swarm(options.profile, seed, &options.reduction());
    let swarm = swarm.map_err(|error| error.to_string())?;
    if !options.trace && options.draw.is_none() {
        let result = (judge.run)(options.profile, &swarm);
        if let Err(violation) = &result {
            say(out, &failure::tell(options, seed, violation, judge));
        }
        return Ok(sum_up(seed, &result, out));
    }
    let recording = (judge.record)(options.profile, &swarm);
    if options.trace {
        recording.lines.iter().for_each(|line| say(out, line));
    }
    if let Some(file) = &options.draw {
        draw_into(file, options, seed, &swarm, &recording)?;
    }
    if let Err(violation) = &recording.result {
        say(out, &failure::claim(violation));
    }
    Ok(sum_up(seed, &recording.result, out))
}

fn draw_into(
    file: &Path,
    options: &Options,
    seed: u64,
    swarm: &Swarm,
    recording: &Recording,
) -> Result<(), String> {
    let difference = options.reduction().to_string();
    let title = format!("synod: seed {seed} of {} {difference}", options.profile);
    let replicas = swarm.parts().settings.replicas;
    let picture = draw(title.trim_end(), replicas, &recording.occurrences, options.choice())?;
    fs::write(file, picture).map_err(|error| format!("{}: {error}", file.display()))
}

/// Prints the last line, which is the same each time. True if the seed is clean.
fn sum_up(seed: u64, result: &Result<Report, Violation>, out: &mut dyn Write) -> bool {
    let text = match result {
        Ok(report) => format!(
            "clean: seed {seed}, {} simulated, {} steps, {} messages, {} elections, {} slots \
             chosen, {} commands acknowledged, trace hash {:016x}",
            report.time,
            report.steps,
            report.messages,
            report.elections,
            report.slots,
            report.acknowledged,
            report.trace_hash
        ),
        Err(violation) => format!("FAILED: seed {seed}: {}", violation.invariant),
    };
    say(out, &text);
    result.is_ok()
}
