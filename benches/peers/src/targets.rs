//! Holds raw results against what they must be: a line for each target, with the figure, its ratio,
//! what it must be, what it aims at, and the verdict.
//!
//! A target that is missed needs a reason in `reasons.txt`, written after a profile; without one
//! the exit code is 1. What was not measured is said to be so, and is no miss.

mod table;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;

pub(crate) use self::table::shows_growth;
use crate::results::{self, Measurement};
use crate::summary::{self, figure};

/// The reasons that are kept.
pub(crate) const REASONS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/reasons.txt");

/// What to judge.
#[derive(Args)]
pub(crate) struct Options {
    /// Raw results of any suites.
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Why targets are missed: a line `row: reason` for each.
    #[arg(long, value_name = "FILE", default_value = REASONS)]
    reasons: PathBuf,
    /// Shows the tables of all figures, too.
    #[arg(long)]
    tables: bool,
}

/// How a figure relates to what it should be.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Bound {
    /// The smaller the better: at most this.
    Most(f64),
    /// The larger the better: at least this.
    Least(f64),
}

impl Bound {
    fn holds(self, ratio: f64) -> bool {
        match self {
            Self::Most(limit) => ratio <= limit,
            Self::Least(limit) => ratio >= limit,
        }
    }

    fn text(self) -> String {
        match self {
            Self::Most(limit) => format!("<= {}", figure(limit)),
            Self::Least(limit) => format!(">= {}", figure(limit)),
        }
    }
}

/// A row of the table.
struct Target {
    /// What reasons name it by.
    row: String,
    must: Bound,
    aim: Option<Bound>,
    /// What was measured.
    found: Option<Found>,
    /// The ratio that the floor has, where it was measured: nobody's can be better.
    floor: Option<f64>,
}

/// What was measured of a target.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Found {
    /// In the metric's own unit.
    figure: f64,
    /// What is judged; the figure itself where a target is a plain number.
    ratio: f64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    Aim,
    Must,
    Missed,
    NotMeasured,
}

impl Target {
    fn verdict(&self) -> Verdict {
        match self.found {
            None => Verdict::NotMeasured,
            // What cannot be compared is no success.
            Some(it) if !it.ratio.is_finite() || !self.must.holds(it.ratio) => Verdict::Missed,
            Some(it) if self.aim.is_some_and(|aim| !aim.holds(it.ratio)) => Verdict::Must,
            Some(_) => Verdict::Aim,
        }
    }
}

/// Judges, and prints what it found.
///
/// # Errors
///
/// Says which file is none of results or of reasons.
pub(crate) fn run(options: &Options) -> Result<ExitCode, String> {
    let measurements = results::read(&options.files)?;
    let reasons = reasons(&options.reasons)?;
    if options.tables {
        print!("{}", summary::tables(&measurements));
    }
    let (text, met) = judged(&measurements, &reasons)?;
    print!("{text}");
    Ok(if met { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// The lines, and whether every miss has its reason.
///
/// # Errors
///
/// A reason for a row that is not there.
pub(crate) fn judged(
    measurements: &[Measurement],
    reasons: &BTreeMap<String, String>,
) -> Result<(String, bool), String> {
    let targets = table::targets(measurements);
    if let Some(row) = reasons.keys().find(|row| targets.iter().all(|it| it.row != **row)) {
        return Err(format!("a reason for \"{row}\", which is no target"));
    }
    let (mut text, mut met) = (String::new(), true);
    text.push_str(
        "| target | figure | ratio | must | aim | floor's ratio | verdict |\n\
         |---|---|---|---|---|---|---|\n",
    );
    for target in targets {
        let verdict = match (target.verdict(), reasons.get(&target.row)) {
            (Verdict::Aim, _) => "aim".into(),
            (Verdict::Must, _) => "must".into(),
            (Verdict::NotMeasured, _) => "not measured".into(),
            (Verdict::Missed, Some(reason)) => format!("MISSED: {reason}"),
            (Verdict::Missed, None) => {
                met = false;
                "MISSED".into()
            }
        };
        let show = |of: fn(Found) -> f64| target.found.map_or(String::new(), |it| figure(of(it)));
        let cells = [
            target.row.clone(),
            show(|it| it.figure),
            show(|it| it.ratio),
            target.must.text(),
            target.aim.map_or(String::new(), Bound::text),
            target.floor.map_or(String::new(), figure),
            verdict,
        ];
        text.push_str(&format!("| {} |\n", cells.join(" | ")));
    }
    Ok((text, met))
}

/// The reasons of a file, by row. Lines that are empty or begin with `#` say nothing.
pub(crate) fn reasons(path: &Path) -> Result<BTreeMap<String, String>, String> {
    let text = fs::read_to_string(path).map_err(|e| format!("{}: {e}", path.display()))?;
    let lines = text.lines().enumerate();
    let lines = lines.filter(|(_, line)| !line.trim().is_empty() && !line.starts_with('#'));
    let parsed = lines.map(|(i, line)| {
        let parts = line.split_once(": ").map(|(row, reason)| (row.trim(), reason.trim()));
        match parts {
            Some((row, reason)) if !row.is_empty() && !reason.is_empty() => {
                Ok((row.to_owned(), reason.to_owned()))
            }
            _ => Err(format!("{}: line {} is no `row: reason`", path.display(), i + 1)),
        }
    });
    parsed.collect()
}

#[cfg(test)]
pub(crate) mod tests;
