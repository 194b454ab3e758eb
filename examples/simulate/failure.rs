//! A failing seed: made small, and told with the command that repeats it.

use std::panic;

use synod::sim::{Hardship, Swarm, Violation, shrink};

use crate::options::Options;
use crate::profile::Judge;

/// How many lines of the trace are told.
const LINES: usize = 12;

/// What there is to tell of a seed that broke a claim.
pub(crate) fn tell(options: &Options, seed: u64, violation: &Violation, judge: &Judge) -> String {
    let mut told = format!("seed {seed}: {}", claim(violation));
    let begin = options.reduction();
    let swarm = Swarm::profile(options.profile, seed);
    let run = |swarm: &Swarm| (judge.run)(options.profile, swarm);
    let small = quietly(|| match options.shrink_tries {
        0 => None,
        tries => shrink(swarm.as_ref().ok()?, &begin, tries, run),
    });
    let (reduction, violation) = match &small {
        Some(small) => {
            let size = size(&small.swarm);
            told.push_str(&format!("\n\nmade small in {} runs: {size}\n", small.tries));
            told.push_str(&claim(&small.violation));
            (&small.reduction, &small.violation)
        }
        None => (&begin, violation),
    };
    let from = violation.trace.len().saturating_sub(LINES);
    for line in &violation.trace[from..] {
        told.push_str(&format!("\n    {line}"));
    }
    let command = options.command(seed, reduction);
    told.push_str(&format!(
        "\n\nagain (with --trace for all of it, or --draw FILE for a picture):\n{command}\n"
    ));
    told
}

/// Which claim did not hold, in a line without the trace.
pub(crate) fn claim(violation: &Violation) -> String {
    format!(
        "{} is broken at step {}, {}: {}",
        violation.invariant, violation.step, violation.time, violation.text
    )
}

/// How large a swarm is, in a few words.
fn size(swarm: &Swarm) -> String {
    let has = Hardship::ALL.into_iter().filter(|hardship| hardship.is_in(swarm));
    let has: Vec<&str> = has.map(Hardship::name).collect();
    format!(
        "{} replicas, {} ms of chaos with {}",
        swarm.parts().settings.replicas,
        swarm.parts().chaos_micros / 1000,
        if has.is_empty() { String::from("nothing special") } else { has.join(", ") }
    )
}

/// Runs something in which panics are expected and caught, without a word on standard error.
fn quietly<T>(run: impl FnOnce() -> T) -> T {
    let hook = panic::take_hook();
    panic::set_hook(Box::new(|_| {}));
    let result = run();
    panic::set_hook(hook);
    result
}
