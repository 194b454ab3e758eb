//! What became of the planted bugs: a line for each, and the table in docs/MUTANTS.md.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::fs;
use std::path::Path;
use std::time::Duration;

use crate::checks::{Check, Outcome};
use crate::patch::{Kind, Patch};

const BEGIN: &str = "<!-- planted bugs -->\n";
const END: &str = "<!-- end of the planted bugs -->\n";

/// What became of one.
pub struct Row {
    pub name: String,
    what: String,
    kind: Kind,
    /// Whether that is what must become of it.
    pub is_right: bool,
    killed_by: String,
    seeds: String,
    took: Duration,
}

impl Row {
    /// The row of a patch: the first check that found it, or none.
    pub fn new(
        patch: &Patch,
        found: Result<Option<(Check, Outcome)>, String>,
        took: Duration,
    ) -> Self {
        let (killed_by, seeds, is_right) = match found {
            Err(error) => (error, String::new(), false),
            Ok(None) => {
                let seeds = patch.checks.contains(&Check::Seeds).then(|| patch.budget.to_string());
                let is_control = patch.kind == Kind::Control;
                let word = if is_control { "survives, as it must" } else { "SURVIVES" };
                (word.into(), seeds.unwrap_or_default(), is_control)
            }
            Ok(Some((check, outcome))) => {
                let (by, seeds) = match outcome {
                    Outcome::Broken { claim, seed } => (claim, seed.to_string()),
                    Outcome::Fails(test) => (format!("{check}: `{test}`"), String::new()),
                    Outcome::Hangs => (format!("{check}: hang"), String::new()),
                    Outcome::Clean | Outcome::Failed(_) => (format!("{check}"), String::new()),
                };
                let is_right = patch.kind != Kind::Control;
                let by = if is_right { by } else { format!("DIES, although a control: {by}") };
                (by, seeds, is_right)
            }
        };
        let (name, what, kind) = (patch.name.clone(), patch.what.clone(), patch.kind);
        Self { name, what, kind, is_right, killed_by, seeds, took }
    }
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, killed_by, seeds, .. } = self;
        let mark = if self.is_right { "" } else { "!! " };
        let seed = if seeds.is_empty() { String::new() } else { format!(", seeds {seeds}") };
        write!(f, "{mark}{name}: {killed_by}{seed} ({:.1} s)", self.took.as_secs_f32())
    }
}

/// One line over all.
pub fn summary(rows: &[Row]) -> String {
    let of = |kind: Kind| rows.iter().filter(move |row| row.kind == kind);
    let right = |kind: Kind| of(kind).filter(|row| row.is_right).count();
    format!(
        "{} of {} planted bugs died, {} of {} controls survived, canary: {}",
        right(Kind::Bug),
        of(Kind::Bug).count(),
        right(Kind::Control),
        of(Kind::Control).count(),
        if right(Kind::Canary) > 0 { "dead" } else { "not seen to die" }
    )
}

/// Writes the rows into the table between its two marks. Rows of other patches stay, as long as
/// these are there.
pub fn write_table(path: &Path, rows: &[Row], patches: &BTreeSet<String>) -> Result<(), String> {
    let fail = |error| format!("{}: {error}", path.display());
    let text = fs::read_to_string(path).map_err(fail)?;
    let missing = || format!("{}: the marks of the table are not there", path.display());
    fs::write(path, with_rows(&text, rows, patches).ok_or_else(missing)?).map_err(fail)
}

fn with_rows(text: &str, rows: &[Row], patches: &BTreeSet<String>) -> Option<String> {
    let (before, rest) = text.split_once(BEGIN)?;
    let (table, after) = rest.split_once(END)?;
    let known = table.lines().filter_map(|line| Some((line.split(" | ").next()?, line)));
    let known = known.filter_map(|(name, line)| Some((name.strip_prefix("| ")?, line)));
    let mut lines: BTreeMap<String, String> = known
        .filter(|(name, _)| patches.contains(*name))
        .map(|(name, line)| (name.to_owned(), line.to_owned()))
        .collect();
    for Row { name, what, killed_by, seeds, .. } in rows {
        lines.insert(name.clone(), format!("| {name} | {what} | {killed_by} | {seeds} |"));
    }
    let head = "| bug | what is wrong | killed by | seeds |\n|---|---|---|---|\n";
    let lines: String = lines.into_values().map(|line| line + "\n").collect();
    Some(format!("{before}{BEGIN}{head}{lines}{END}{after}"))
}

#[cfg(test)]
mod tests;
