//! What is shown while seeds run: a bar, or without a terminal a line now and then.

use std::cell::Cell;
use std::io::{self, Write};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

use crate::clock;

/// How often a line is told where there is no bar.
const EVERY: Duration = Duration::from_secs(10);

/// Tells people something, on standard error. Whether anyone listens changes nothing.
pub(crate) fn tell(line: &str) {
    let _ = writeln!(io::stderr(), "{line}");
}

/// The bar.
pub(crate) struct Progress {
    bar: ProgressBar,
    /// What is counted.
    what: &'static str,
    begun: Instant,
    told: Cell<Instant>,
}

impl Progress {
    /// Nothing is done yet of so many of these.
    pub(crate) fn new(count: u64, what: &'static str) -> Self {
        let bar = ProgressBar::new(count);
        let style = format!("{{pos}}/{{len}} {what}, {{per_sec}}, {{msg}} {{wide_bar}} {{eta}}");
        if let Ok(style) = ProgressStyle::with_template(&style) {
            bar.set_style(style);
        }
        let now = clock::now();
        Self { bar, what, begun: now, told: Cell::new(now) }
    }

    /// Shows how many are done, and what else there is to say.
    pub(crate) fn advance(&self, done: u64, message: String) {
        self.bar.set_position(done);
        if self.bar.is_hidden() && self.told.get().elapsed() >= EVERY {
            self.told.set(clock::now());
            let rate = done as f64 / self.begun.elapsed().as_secs_f64().max(1e-6);
            let (len, what) = (self.bar.length().unwrap_or(0), self.what);
            tell(&format!("{done}/{len} {what}, {rate:.0}/s, {message}"));
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
