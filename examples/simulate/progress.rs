//! What is shown while seeds run: a bar, or without a terminal a line now and then.

use std::cell::Cell;
use std::io::{self, Write};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

use crate::clock;
use crate::seeds::Totals;

/// How often a line is told where there is no bar.
const EVERY: Duration = Duration::from_secs(10);

/// Tells people something, on standard error. Whether anyone listens changes nothing.
pub(crate) fn tell(line: &str) {
    let _ = writeln!(io::stderr(), "{line}");
}

/// The bar.
pub(crate) struct Progress {
    bar: ProgressBar,
    begun: Instant,
    told: Cell<Instant>,
}

impl Progress {
    pub(crate) fn new(seeds: u64) -> Self {
        let bar = ProgressBar::new(seeds);
        let style = "{pos}/{len} seeds, {per_sec}, {msg} {wide_bar} {eta}";
        if let Ok(style) = ProgressStyle::with_template(style) {
            bar.set_style(style);
        }
        let now = clock::now();
        Self { bar, begun: now, told: Cell::new(now) }
    }

    /// Shows how far it is.
    pub(crate) fn advance(&self, totals: &Totals) {
        let (hit, of) = totals.marks_hit();
        let (speed, faults) = (totals.speed(), totals.faults_injected());
        let message = format!("{speed:.0} simulated s/CPU s, {faults} faults, marks {hit}/{of}");
        self.bar.set_position(totals.seeds);
        if self.bar.is_hidden() && self.told.get().elapsed() >= EVERY {
            self.told.set(clock::now());
            let rate = totals.seeds as f64 / self.begun.elapsed().as_secs_f64().max(1e-6);
            let len = self.bar.length().unwrap_or(0);
            tell(&format!("{}/{len} seeds, {rate:.0}/s, {message}", totals.seeds));
        }
        self.bar.set_message(message);
    }

    /// Does something that prints, with the bar out of the way.
    pub(crate) fn suspend(&self, print: impl FnOnce()) {
        self.bar.suspend(print);
    }

    pub(crate) fn finish(&self) {
        self.bar.finish_and_clear();
    }
}
