//! What is shown while the cluster runs, and at the end.

use std::fmt;
use std::io::{self, Write};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

use crate::protocol::Summary;

/// Tells people something, on standard error. Whether anyone listens changes nothing.
pub(crate) fn tell(line: &str) {
    let _ = writeln!(io::stderr(), "{line}");
}

/// The bar, with the rate and the leader. Without a terminal only the events are told.
pub(crate) struct Progress {
    bar: ProgressBar,
}

impl Progress {
    pub(crate) fn new(lines: u64) -> Self {
        let bar = ProgressBar::new(lines);
        let style = "{pos}/{len} lines, {per_sec}, {msg} {wide_bar}";
        if let Ok(style) = ProgressStyle::with_template(style) {
            bar.set_style(style);
        }
        let progress = Self { bar };
        progress.leader(None);
        progress
    }

    pub(crate) fn advance(&self, acknowledged: u64) {
        self.bar.set_position(acknowledged);
    }

    pub(crate) fn leader(&self, replica: Option<usize>) {
        self.bar.set_message(match replica {
            Some(replica) => format!("leader: replica {}", replica + 1),
            None => "no leader".to_owned(),
        });
    }

    /// Tells an event, above the bar.
    pub(crate) fn say(&self, event: &str) {
        self.bar.suspend(|| tell(event));
    }

    pub(crate) fn finish(&self) {
        self.bar.finish();
    }
}

/// What came of a run.
pub(crate) struct Figures {
    /// What every replica should have.
    pub(crate) input: Summary,
    pub(crate) replicas: Vec<Summary>,
    pub(crate) restarts: Vec<u64>,
    /// From the first line sent to the last one acknowledged.
    pub(crate) taken: Option<Duration>,
    pub(crate) p50: Duration,
    pub(crate) p99: Duration,
    /// The longest time without an acknowledgement since the leader was killed.
    pub(crate) gap: Option<Duration>,
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{:>7}  {:>13}  {:<64}  {:>12}  {:>8}",
            "replica", "lines applied", "SHA-256", "log bytes", "restarts"
        )?;
        for (number, (replica, restarts)) in self.replicas.iter().zip(&self.restarts).enumerate() {
            writeln!(
                f,
                "{:>7}  {:>13}  {:<64}  {:>12}  {restarts:>8}",
                number + 1,
                replica.lines,
                Hex(&replica.sha256).to_string(),
                replica.log_bytes,
            )?;
        }
        let input = Hex(&self.input.sha256).to_string();
        writeln!(f, "{:>7}  {:>13}  {input:<64}", "input", self.input.lines)?;
        if let Some(taken) = self.taken {
            let seconds = taken.as_secs_f64().max(1e-6);
            #[allow(clippy::cast_precision_loss, reason = "a rate for people")]
            let rate = self.input.lines as f64 / seconds;
            writeln!(
                f,
                "{rate:.0} lines/s ({} lines in {seconds:.3} s{})",
                self.input.lines,
                if self.gap.is_some() { ", the fail-over included" } else { "" },
            )?;
            let millis = |time: Duration| time.as_secs_f64() * 1e3;
            writeln!(
                f,
                "latency to chosen and applied: p50 {:.2} ms, p99 {:.2} ms",
                millis(self.p50),
                millis(self.p99)
            )?;
            if let Some(gap) = self.gap {
                writeln!(f, "longest gap at the fail-over: {:.0} ms", millis(gap))?;
            }
        }
        Ok(())
    }
}

/// Bytes as people compare them.
struct Hex<'a>(&'a [u8]);

impl fmt::Display for Hex<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}
