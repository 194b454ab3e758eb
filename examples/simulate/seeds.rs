//! Many seeds on several threads, with their results in the order of the seeds.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use synod::sim::{Faults, Marks, Report, Senseless, Violation};

use crate::clock;

/// Which seeds are run.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Plan {
    pub(crate) first: u64,
    /// At least one, and none beyond the last number.
    pub(crate) count: u64,
    pub(crate) jobs: u16,
}

/// How a run went.
pub(crate) type Verdict = Result<Report, Violation>;

/// What came of a seed.
pub(crate) struct Outcome {
    pub(crate) seed: u64,
    /// How its run went, if it made sense.
    pub(crate) result: Result<Verdict, Senseless>,
    /// What it cost of a processor.
    pub(crate) busy: Duration,
}

/// Runs the seeds and hands each outcome on, in the order of the seeds whichever thread is first,
/// until `each` says that it is enough.
pub(crate) fn run(
    plan: &Plan,
    run: &(impl Fn(u64) -> Result<Verdict, Senseless> + Sync),
    mut each: impl FnMut(&Outcome) -> bool,
) {
    let (next, enough) = (AtomicU64::new(0), AtomicBool::new(false));
    let (sender, outcomes) = mpsc::channel();
    thread::scope(|scope| {
        for _ in 0..u64::from(plan.jobs).min(plan.count) {
            let (sender, next, enough) = (sender.clone(), &next, &enough);
            scope.spawn(move || {
                while !enough.load(Ordering::Relaxed) {
                    let nth = next.fetch_add(1, Ordering::Relaxed);
                    if nth >= plan.count {
                        return;
                    }
                    let seed = plan.first + nth;
                    let before = clock::busy();
                    let result = run(seed);
                    let busy = clock::busy().saturating_sub(before);
                    if sender.send((nth, Outcome { seed, result, busy })).is_err() {
                        return;
                    }
                }
            });
        }
        drop(sender);
        let (mut early, mut wanted) = (BTreeMap::new(), 0);
        for (nth, outcome) in outcomes {
            early.insert(nth, outcome);
            while let Some(outcome) = early.remove(&wanted) {
                wanted += 1;
                if !each(&outcome) {
                    enough.store(true, Ordering::Relaxed);
                    return;
                }
            }
        }
    });
}

/// What all seeds together were like.
#[derive(Debug, Default)]
pub(crate) struct Totals {
    pub(crate) seeds: u64,
    /// Whether every mark must come up.
    pub(crate) every_mark: bool,
    /// Those that were not clean, with the claims that they broke.
    pub(crate) failed: Vec<(u64, &'static str)>,
    pub(crate) simulated: Duration,
    pub(crate) busy: Duration,
    pub(crate) slots: u64,
    pub(crate) marks: Marks,
    pub(crate) faults: Faults,
}

impl Totals {
    pub(crate) fn add(&mut self, seed: u64, busy: Duration, result: &Verdict) {
        self.seeds += 1;
        self.busy += busy;
        match result {
            Ok(report) => {
                self.simulated += Duration::from_micros(report.time.as_micros());
                self.slots += report.slots;
                self.marks.add(&report.marks);
                self.faults.add(&report.faults);
            }
            Err(violation) => {
                self.simulated += Duration::from_micros(violation.time.as_micros());
                self.failed.push((seed, violation.invariant));
            }
        }
    }

    /// Simulated seconds for each second of a processor.
    pub(crate) fn speed(&self) -> f64 {
        self.simulated.as_secs_f64() / self.busy.as_secs_f64().max(1e-6)
    }

    /// How many marks were hit, and how many there are.
    pub(crate) fn marks_hit(&self) -> (usize, usize) {
        let fields = self.marks.fields();
        (fields.iter().filter(|(_, count)| *count > 0).count(), fields.len())
    }

    /// How many faults were injected, of all kinds.
    pub(crate) fn faults_injected(&self) -> u64 {
        self.faults.fields().iter().map(|(_, count)| count).sum()
    }

    /// What is shown while seeds run.
    pub(crate) fn progress(&self) -> String {
        let (hit, of) = self.marks_hit();
        let (speed, faults) = (self.speed(), self.faults_injected());
        format!("{speed:.0} simulated s/CPU s, {faults} faults, marks {hit}/{of}")
    }

    /// Whether every seed was clean, and every mark came up that must.
    pub(crate) fn are_clean(&self) -> bool {
        self.failed.is_empty() && !(self.every_mark && self.never().is_some())
    }

    /// A line on the marks that were not hit, if there are some.
    pub(crate) fn never(&self) -> Option<String> {
        let fields = self.marks.fields();
        let never: Vec<&str> =
            fields.iter().filter(|(_, count)| *count == 0).map(|(name, _)| *name).collect();
        (!never.is_empty()).then(|| format!("never came up: {}", never.join(", ")))
    }
}

/// The last line: what it all sums up to.
impl fmt::Display for Totals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.failed.as_slice() {
            [] if self.are_clean() => write!(f, "clean: {} seeds", self.seeds)?,
            [] => write!(f, "FAILED: some marks never came up in {} seeds", self.seeds)?,
            failed => {
                write!(f, "FAILED: {} of {} seeds (", failed.len(), self.seeds)?;
                for (nth, (seed, invariant)) in failed.iter().take(10).enumerate() {
                    let comma = if nth == 0 { "" } else { ", " };
                    write!(f, "{comma}{seed}: {invariant}")?;
                }
                f.write_str(if failed.len() > 10 { ", ...)" } else { ")" })?;
            }
        }
        let (hit, of) = self.marks_hit();
        write!(
            f,
            ", {:.0} simulated seconds ({:.0} per CPU second), {} slots chosen, {} faults \
             injected, marks {hit}/{of}",
            self.simulated.as_secs_f64(),
            self.speed(),
            self.slots,
            self.faults_injected(),
        )
    }
}
