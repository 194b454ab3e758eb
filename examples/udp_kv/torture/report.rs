//! What is shown while the torture lasts: a line, or without a terminal one now and then.

use std::io::{self, Write};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

use super::clock::Time;
use super::findings::{Figures, read};
use super::history::Checked;

/// How often the line changes, and how often one is told where nobody watches.
const CHANGE: Duration = Duration::from_millis(500);
const TELL: Duration = Duration::from_secs(10);

/// Tells people something, on standard error. Whether anyone listens changes nothing.
pub(crate) fn tell(line: &str) {
    let _ = writeln!(io::stderr(), "{line}");
}

/// The line.
pub(crate) struct Progress {
    bar: ProgressBar,
    changed: Time,
    told: Time,
    /// What was answered by then.
    answered: u64,
    /// How many there were in a second.
    rate: f64,
}

impl Progress {
    pub(crate) fn new(seconds: u64) -> Self {
        let bar = ProgressBar::new(seconds);
        if let Ok(style) = ProgressStyle::with_template("{pos}/{len} s, {msg}") {
            bar.set_style(style);
        }
        Self { bar, changed: Time::ZERO, told: Time::ZERO, answered: 0, rate: 0.0 }
    }

    /// Shows how far it is, if it is time to. Tells nothing twice in a row.
    pub(crate) fn advance(&mut self, now: Time, figures: &Figures, state: impl FnOnce() -> String) {
        let passed = now.saturating_sub(self.changed);
        if passed < CHANGE {
            return;
        }
        let answered = figures.answered();
        self.rate = (answered - self.answered) as f64 / passed.as_secs_f64();
        (self.answered, self.changed) = (answered, now);
        let message = format!("{}, {:.0}/s, {}", state(), self.rate, line(figures));
        self.bar.set_position(now.as_secs());
        if self.bar.is_hidden() && now.saturating_sub(self.told) >= TELL {
            self.told = now;
            tell(&format!("{} s, {message}", now.as_secs()));
        }
        self.bar.set_message(message);
    }

    pub(crate) fn finish(&self) {
        self.bar.finish_and_clear();
    }
}

/// The figures, for people.
fn line(figures: &Figures) -> String {
    format!(
        "{} writes and {} reads answered, {} unknown, {} refused, longest gap {} ms",
        read(&figures.writes),
        read(&figures.reads),
        read(&figures.unknown),
        read(&figures.refused),
        figures.gap().as_millis()
    )
}

/// What came of the run, in one line.
pub(crate) fn verdict(
    violations: u64,
    rounds: u64,
    faults: u64,
    figures: &Figures,
    gap: Duration,
    checked: Checked,
) -> String {
    let open = match checked.open {
        0 => String::new(),
        open => format!(", {open} keys too tangled to check"),
    };
    format!(
        "verdict: {violations} violations, {rounds} rounds, {faults} faults, {} writes and {} \
         reads answered, {} unknown, {} refused, {} connections, {} keys with {} operations \
         checked{open}, longest gap without an acknowledged write {} ms",
        read(&figures.writes),
        read(&figures.reads),
        read(&figures.unknown),
        read(&figures.refused),
        read(&figures.connections),
        checked.keys,
        checked.operations,
        gap.as_millis()
    )
}
