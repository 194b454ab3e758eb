//! From the figures of runs to tables: median, range, and the ratio to synod's.

use std::fmt::Write;

use crate::results::Measurement;

/// The peer that ratios are to.
pub(crate) const OURS: &str = "synod";

/// What a few runs say together.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Summary {
    /// The figure in the middle; of an even number, the mean of the middle two.
    pub(crate) median: f64,
    /// The smallest.
    pub(crate) least: f64,
    /// The largest.
    pub(crate) most: f64,
}

impl Summary {
    /// Of these runs; `None` if there are none.
    pub(crate) fn of(runs: &[f64]) -> Option<Self> {
        let mut sorted = runs.to_vec();
        sorted.sort_by(f64::total_cmp);
        let (least, most) = (*sorted.first()?, *sorted.last()?);
        let middle = sorted.len() / 2;
        let median = match sorted.len() % 2 {
            0 => f64::midpoint(sorted[middle - 1], sorted[middle]),
            _ => sorted[middle],
        };
        Some(Self { median, least, most })
    }
}

/// A figure with three or four digits that say something.
pub(crate) fn figure(value: f64) -> String {
    let whole = value.abs();
    match whole {
        _ if whole >= 1e7 => format!("{:.1} M", value / 1e6),
        _ if whole >= 1e5 => format!("{:.0} k", value / 1e3),
        _ if whole >= 1e4 => format!("{:.1} k", value / 1e3),
        _ if whole >= 100.0 => format!("{value:.0}"),
        _ if whole >= 10.0 => format!("{value:.1}"),
        _ => format!("{value:.2}"),
    }
}

/// One Markdown table for each suite and metric: a row for each peer, a column for each situation.
/// A cell is the median, the range, and the median as a multiple of synod's in the same column.
pub(crate) fn tables(measurements: &[Measurement]) -> String {
    let mut text = String::new();
    for (suite, metric) in unique(measurements.iter().map(|it| (&it.suite, &it.metric))) {
        let these: Vec<&Measurement> =
            measurements.iter().filter(|it| (&it.suite, &it.metric) == (suite, metric)).collect();
        table(&mut text, &format!("{suite}: {metric}"), &these);
    }
    text
}

/// What tells one column from another: replicas, commands in flight, bytes of a value, and for
/// engines, which are measured over the length of their logs too, commands.
type Situation = (u64, u64, u64, Option<u64>);

fn situation(it: &Measurement) -> Situation {
    let commands = (it.suite == "engine").then_some(it.commands);
    (it.replicas, it.in_flight, it.value_bytes, commands)
}

fn table(text: &mut String, title: &str, these: &[&Measurement]) {
    let columns = unique(these.iter().map(|it| situation(it)));
    let peers = unique(these.iter().map(|it| &it.peer));
    // The last word counts, if the same was measured twice.
    let at = |peer: &str, column| {
        let found = these.iter().rev().find(|it| it.peer == peer && situation(it) == column);
        found.and_then(|it| Summary::of(&it.runs))
    };
    let heads: Vec<String> = columns.iter().map(|column| head(*column, &columns)).collect();
    // To write into a string cannot fail.
    let _ = writeln!(text, "| {title} | {} |", heads.join(" | "));
    let _ = writeln!(text, "|---|{}", "---|".repeat(columns.len()));
    for peer in peers {
        let cells = columns.iter().map(|column| cell(at(peer, *column), at(OURS, *column)));
        let _ = writeln!(text, "| {peer} | {} |", cells.collect::<Vec<_>>().join(" | "));
    }
    text.push('\n');
}

/// What a column's head says: what all columns have in common is said with the first number only.
fn head((replicas, in_flight, value_bytes, commands): Situation, columns: &[Situation]) -> String {
    let mut parts = vec![format!("{in_flight} in flight")];
    let differs =
        |of: fn(&Situation) -> u64| columns.iter().any(|column| of(column) != of(&columns[0]));
    if differs(|it| it.0) || replicas != 3 {
        parts.push(format!("{replicas} replicas"));
    }
    if differs(|it| it.2) || value_bytes != 64 {
        parts.push(format!("{value_bytes} B"));
    }
    if let Some(commands) = commands {
        parts.push(format!("{} commands", figure(commands as f64)));
    }
    parts.join(", ")
}

/// The median, the range, and the median as a multiple of ours.
pub(crate) fn cell(theirs: Option<Summary>, ours: Option<Summary>) -> String {
    let Some(it) = theirs else { return String::new() };
    let mut text = format!("{} ({} to {})", figure(it.median), figure(it.least), figure(it.most));
    if let Some(ours) = ours.filter(|ours| ours.median > 0.0 && Some(*ours) != theirs) {
        let _ = write!(text, ", {:.2} x", it.median / ours.median);
    }
    text
}

/// The different ones, in the order in which they come.
fn unique<T: PartialEq>(all: impl Iterator<Item = T>) -> Vec<T> {
    let mut unique = Vec::new();
    for it in all {
        if !unique.contains(&it) {
            unique.push(it);
        }
    }
    unique
}

#[cfg(test)]
mod tests;
