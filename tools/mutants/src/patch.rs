//! Planted bugs as they lie in `tests/mutants`: a header, then a unified diff.
//!
//! ```text
//! What: what is wrong
//! Breaks: the property that it breaks        (a bug)
//! Control: why nothing that matters changes  (a control; it must survive)
//! Killed-by: seeds; lib acceptor; log_crash every_disk_call
//! Budget: 200
//! Canary: yes                                (the bug that everything must find at once)
//! ```

use std::fs;
use std::path::{Path, PathBuf};

use crate::checks::Check;

/// The most seeds that a bug may take.
pub const BUDGET_MAX: u64 = 200;

/// What must become of a patch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// It must die.
    Bug,
    /// It must survive.
    Control,
    /// It must die, in every run.
    Canary,
}

/// A planted bug.
#[derive(Clone, Debug)]
pub struct Patch {
    /// The name of its file, without `.patch`.
    pub name: String,
    pub path: PathBuf,
    pub what: String,
    pub kind: Kind,
    /// In the order of their cost.
    pub checks: Vec<Check>,
    /// How many seeds `seeds` may run.
    pub budget: u64,
    /// The files that it changes, from the root of the repository.
    pub files: Vec<PathBuf>,
}

/// Every patch of the directory, by name.
pub fn read_all(directory: &Path) -> Result<Vec<Patch>, String> {
    let fail = |error| format!("{}: {error}", directory.display());
    let mut patches = Vec::new();
    for entry in fs::read_dir(directory).map_err(fail)? {
        let path = entry.map_err(fail)?.path();
        if path.extension().is_some_and(|extension| extension == "patch") {
            let text = fs::read_to_string(&path).map_err(fail)?;
            let patch = parse(&path, &text);
            patches.push(patch.map_err(|error| format!("{}: {error}", path.display()))?);
        }
    }
    patches.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(patches)
}

fn parse(path: &Path, text: &str) -> Result<Patch, String> {
    let (header, diff) = text.split_once("\n\n").ok_or("no header before the diff")?;
    let field = |name: &str| {
        let mut values =
            header.lines().filter_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
        values.next().map(str::to_owned)
    };
    let required = |name: &str| field(name).ok_or(format!("the header has no line {name}:"));
    let kind = match (field("Breaks"), field("Control"), field("Canary")) {
        (Some(_), None, None) => Kind::Bug,
        (None, Some(_), None) => Kind::Control,
        (Some(_), None, Some(_)) => Kind::Canary,
        _ => return Err("a bug says what it Breaks, a control says why not: Control".into()),
    };
    let budget = required("Budget")?.parse().map_err(|_| "the budget is no number")?;
    if !(1..=BUDGET_MAX).contains(&budget) {
        return Err(format!("a budget is 1 to {BUDGET_MAX} seeds"));
    }
    let named = required("Killed-by")?;
    let mut checks = named.split(';').map(Check::parse).collect::<Result<Vec<_>, _>>()?;
    checks.sort();
    let files: Vec<PathBuf> =
        diff.lines().filter_map(|line| line.strip_prefix("+++ b/")).map(PathBuf::from).collect();
    let inside = |file: &PathBuf| file.starts_with("src") && !file.starts_with("src/sim");
    if files.is_empty() || !files.iter().all(inside) {
        return Err("a patch changes files of src, and none of src/sim".into());
    }
    let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    let path = path.to_path_buf();
    Ok(Patch { name, path, what: required("What")?, kind, checks, budget, files })
}

#[cfg(test)]
mod tests;
