//! Writes the tables of docs/PERFORMANCE.md from raw results, between the marks
//! `<!-- table: NAME -->` and `<!-- end -->`. All else of the document stays as it is.
//!
//! A test holds that the document and the charts that are kept are those of the results that are
//! kept.

pub(crate) mod stages;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;

use crate::figures::{FIGURES, Figure, place_text};
use crate::results::{self, Machine, Measurement};
use crate::summary::{OURS, cell, tables};
use crate::targets;

const BEGIN: &str = "<!-- table: ";
const BEGIN_END: &str = " -->";
const END: &str = "<!-- end -->";

/// What to write, and where.
#[derive(Args)]
pub(crate) struct Options {
    /// Raw results of any suites.
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Writes the tables into this document.
    #[arg(long, value_name = "FILE")]
    into: PathBuf,
    /// Why targets are missed: a line `row: reason` for each.
    #[arg(long, value_name = "FILE", default_value = targets::REASONS)]
    reasons: PathBuf,
}

/// Writes the tables.
///
/// # Errors
///
/// Says which file is none of results, what is wrong with the document, or what hinders writing.
pub(crate) fn run(options: &Options) -> Result<ExitCode, String> {
    let fail = |error: &dyn std::fmt::Display| format!("{}: {error}", options.into.display());
    let text = fs::read_to_string(&options.into).map_err(|error| fail(&error))?;
    let new = renewed(&text, &options.files, &options.reasons)?.map_err(|error| fail(&error))?;
    fs::write(&options.into, new).map_err(|error| fail(&error))?;
    Ok(ExitCode::SUCCESS)
}

/// The document with the tables of these results; inside, what is wrong with its marks.
///
/// # Errors
///
/// Says which file is none of results or of reasons.
fn renewed(
    text: &str,
    files: &[PathBuf],
    reasons: &Path,
) -> Result<Result<String, String>, String> {
    let all = results::read(files)?;
    let machines = results::machines(files)?;
    let (targets, _) = targets::judged(&all, &targets::reasons(reasons)?)?;
    Ok(rewrite(text, |name| match name {
        "machine" => Some(machine(&machines)),
        "targets" => Some(targets.clone()),
        _ => table(name, &all),
    }))
}

/// Puts the tables in their places.
///
/// # Errors
///
/// Names the line of a mark without an end, or of a table that is unknown.
fn rewrite(text: &str, table: impl Fn(&str) -> Option<String>) -> Result<String, String> {
    let mut new = String::new();
    let mut lines = text.lines().enumerate();
    while let Some((i, line)) = lines.next() {
        new.push_str(line);
        new.push('\n');
        let name = line.strip_prefix(BEGIN).and_then(|rest| rest.strip_suffix(BEGIN_END));
        let Some(name) = name else { continue };
        let wrong = |what: &str| format!("line {}: {what}", i + 1);
        let table = table(name).ok_or_else(|| wrong(&format!("no table is called {name}")))?;
        let table = if table.is_empty() { "Not measured.\n".to_owned() } else { table };
        new.push_str(&format!("\n{}\n\n{END}\n", table.trim_end()));
        lines.find(|(_, line)| *line == END).ok_or_else(|| wrong("the table has no end"))?;
    }
    Ok(new)
}

/// The table of that name; `None` if there is none.
fn table(name: &str, all: &[Measurement]) -> Option<String> {
    if let Some(figure) = FIGURES.iter().find(|it| it.name == name) {
        return Some(of_figure(figure, all));
    }
    let (suite, metric) = match name {
        "stages" => return Some(stages::table(all)),
        "stream" => ("durable", "log_bytes_per_second"),
        "reads" => ("durable", "operations_per_second"),
        "opening" => ("durable", "opened_bytes_per_second"),
        "suffix" => ("durable", "gap_millis"),
        "gaps" => ("servers", "gap_millis"),
        "elections" => ("servers", "elections"),
        _ => return None,
    };
    let these = all.iter().filter(|it| it.suite == suite && it.metric == metric);
    Some(tables(&these.cloned().collect::<Vec<_>>()))
}

/// A row for each peer, a column for each place along the axis: the median, the range, and the
/// median as a multiple of synod's.
fn of_figure(figure: &Figure, all: &[Measurement]) -> String {
    let series = figure.series(all);
    if series.is_empty() {
        return String::new();
    }
    let places = Figure::places(&series);
    let ours = series.iter().find(|it| it.peer == OURS);
    let heads: Vec<String> = places.iter().map(|at| place_text(figure.axis, *at)).collect();
    let mut text =
        format!("| {}, by {} | {} |\n", figure.unit, figure.axis_title, heads.join(" | "));
    text.push_str(&format!("|---|{}\n", "---|".repeat(places.len())));
    for it in &series {
        let cells = places.iter().map(|at| cell(it.at(*at), ours.and_then(|ours| ours.at(*at))));
        text.push_str(&format!("| {} | {} |\n", it.peer, cells.collect::<Vec<_>>().join(" | ")));
    }
    text
}

/// On what it was measured, and when: a row for each run that differs from the one before in more
/// than its date.
fn machine(machines: &[Machine]) -> String {
    let mut text = "| processors | model | kernel | compiler | synod | from | to |\n".to_owned();
    text.push_str("|---|---|---|---|---|---|---|\n");
    let same = |one: &Machine, other: &Machine| {
        let other = Machine { date: one.date.clone(), ..other.clone() };
        *one == other
    };
    for group in machines.chunk_by(same) {
        if let (Some(first), Some(last)) = (group.first(), group.last()) {
            text.push_str(&row(first, last));
        }
    }
    text
}

fn row(it: &Machine, last: &Machine) -> String {
    let cells = [
        it.cpus.to_string(),
        it.model.clone(),
        it.kernel.clone(),
        it.rustc.clone(),
        it.commit.clone(),
        minute(&it.date),
        minute(&last.date),
    ];
    format!("| {} |\n", cells.join(" | "))
}

/// A date without its seconds.
fn minute(date: &str) -> String {
    date.chars().take(16).collect::<String>().replace('T', " ")
}

#[cfg(test)]
mod tests;
