//! Long runs, sampled: memory must not grow with what was done.

use std::collections::VecDeque;
use std::path::Path;

use synod::TicketError;

use crate::nodes::{Client, Nodes, Waiting};
use crate::outcome::{Figure, Outcome};
use crate::samples::{Quarters, Sample};

/// How many commands are in flight.
const WINDOW: usize = 1024;
/// How often a run is sampled.
const SAMPLES: u64 = 200;
/// How many commands are proposed to stopped machines at the least: so many that what may wait does
/// so before the second quarter.
const STOPPED_COMMANDS_MIN: u64 = 2_000_000;
/// How often it is looked which of those were refused.
const LOOK_COMMANDS: u64 = 50_000;

/// What is wrong during a run.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Trouble {
    None,
    /// One of three replicas is down.
    OneDown,
    /// The state machine of a follower is stopped.
    FollowerStopped,
}

/// So many commands through three nodes, all but a few of them applied when it ends.
pub(crate) fn busy(
    case: &str,
    directory: &Path,
    commands: u64,
    trouble: Trouble,
) -> Result<Outcome, String> {
    let nodes = Nodes::start(directory)?;
    let follower = (nodes.leader() + 1) % 3;
    match trouble {
        Trouble::None => {}
        Trouble::OneDown => nodes.stop(follower)?,
        Trouble::FollowerStopped => nodes.gates()[follower].close(),
    }
    let mut client = Client::new(&nodes, WINDOW);
    let mut samples = vec![Sample::take()?];
    for part in 1..=SAMPLES {
        client.run(commands * part / SAMPLES - commands * (part - 1) / SAMPLES)?;
        samples.push(Sample::take()?);
        progress(case, part);
    }
    client.finish()?;
    nodes.gates()[follower].open();
    let mut outcome = Outcome::default();
    add_samples(&mut outcome, case, &samples, commands, WINDOW as u64)?;
    let applied = nodes.applied()?;
    outcome.claim(case, applied == commands, format!("{applied} of {commands} commands applied"));
    let refused = client.refused;
    add(&mut outcome, case, "commands_proposed_again", WINDOW as u64, commands, refused as f64);
    let slots = nodes.node(nodes.leader()).status().replica.chosen.0;
    add(&mut outcome, case, "slots_chosen", WINDOW as u64, commands, slots as f64);
    Ok(outcome)
}

/// Proposes without end while every state machine is stopped.
pub(crate) fn stopped(directory: &Path, commands: u64) -> Result<Outcome, String> {
    let case = "all-stopped";
    let commands = commands.max(STOPPED_COMMANDS_MIN);
    let nodes = Nodes::start(directory)?;
    let leader = nodes.leader();
    nodes.gates().iter().for_each(|gate| gate.close());
    let mut asked = Asked::default();
    let mut samples = vec![Sample::take()?];
    for part in 1..=SAMPLES {
        for number in commands * (part - 1) / SAMPLES..commands * part / SAMPLES {
            asked.waiting.push_back(nodes.propose(leader));
            if number % LOOK_COMMANDS == 0 {
                asked.look();
            }
        }
        asked.look();
        samples.push(Sample::take()?);
        progress(case, part);
    }
    let most = asked.waiting.len() as u64;
    nodes.gates().iter().for_each(|gate| gate.open());
    let taken = asked.finish();
    let applied = nodes.applied()?;

    let mut outcome = Outcome::default();
    add_samples(&mut outcome, case, &samples, commands, most)?;
    add(&mut outcome, case, "commands_taken_in", most, commands, taken as f64);
    add(&mut outcome, case, "commands_refused", most, commands, asked.full as f64);
    let Asked { full, other, .. } = &asked;
    let text = format!("{full} of {commands} refused as Full, {} otherwise", other.len());
    outcome.claim(case, *full > 0 && other.is_empty(), text);
    let text = format!("{applied} applied once the machines went on, {taken} tickets said so");
    outcome.claim(case, applied == taken && taken + full == commands, text);
    Ok(outcome)
}

/// Tickets of a client that does not wait.
#[derive(Default)]
struct Asked {
    waiting: VecDeque<Waiting>,
    full: u64,
    other: Vec<TicketError>,
}

impl Asked {
    /// Takes out what is known by now, without waiting.
    fn look(&mut self) {
        for _ in 0..self.waiting.len() {
            let Some(ticket) = self.waiting.pop_front() else { return };
            if ticket.is_done() {
                self.take(ticket);
            } else {
                self.waiting.push_back(ticket);
            }
        }
    }

    /// Waits for all. How many were applied.
    fn finish(&mut self) -> u64 {
        let waiting = std::mem::take(&mut self.waiting);
        waiting.into_iter().map(|ticket| u64::from(self.take(ticket))).sum()
    }

    /// Whether the command was applied.
    fn take(&mut self, ticket: Waiting) -> bool {
        match ticket.wait() {
            Ok(_) => return true,
            Err(TicketError::Full) => self.full += 1,
            Err(other) => self.other.push(other),
        }
        false
    }
}

fn add(
    outcome: &mut Outcome,
    case: &str,
    metric: &str,
    in_flight: u64,
    commands: u64,
    figure: f64,
) {
    let (case, metric) = (case.into(), metric.into());
    outcome.figures.push(Figure { case, metric, replicas: 3, in_flight, commands, figure });
}

/// What the samples show. The first one was taken before the run.
fn add_samples(
    outcome: &mut Outcome,
    case: &str,
    samples: &[Sample],
    commands: u64,
    in_flight: u64,
) -> Result<(), String> {
    let run = &samples[1..];
    let anonymous = Quarters::of(run.iter().map(|sample| sample.resident.anonymous));
    let files = Quarters::of(run.iter().map(|sample| sample.resident.files));
    let held = Quarters::of(run.iter().map(|sample| sample.held));
    for (metric, figure) in [
        ("peak_resident_bytes", Sample::take()?.resident.peak as f64),
        ("anonymous_bytes_at_the_start", samples[0].resident.anonymous as f64),
        ("anonymous_bytes_in_the_second_quarter", anonymous.second),
        ("anonymous_bytes_in_the_last_quarter", anonymous.last),
        ("mapped_bytes_in_the_second_quarter", files.second),
        ("mapped_bytes_in_the_last_quarter", files.last),
        ("heap_bytes_in_the_second_quarter", held.second),
        ("heap_bytes_in_the_last_quarter", held.last),
    ] {
        add(outcome, case, metric, in_flight, commands, figure);
    }
    for (what, quarters) in [("anonymous memory", anonymous), ("the heap", held)] {
        let [second, last] =
            [quarters.second, quarters.last].map(|bytes| bytes / f64::from(1 << 20));
        let text = format!("{what} is flat: {second:.1} MiB, then {last:.1} MiB");
        outcome.claim(case, quarters.is_flat(), text);
    }
    Ok(())
}

/// A line for each tenth of a run.
fn progress(case: &str, part: u64) {
    if part.is_multiple_of(SAMPLES / 10) {
        eprintln!("{case}: {} %", part * 100 / SAMPLES);
    }
}
