//! The budget: how many instructions each workload may cost, and whether it keeps to that.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::str::FromStr;

/// How far above its budget a figure may be, and how far below before the budget is too generous.
pub(crate) const ROOM_PERCENT: u64 = 10;

const OPENING: &str = "\
# Instructions for each command, frame or record, and the compiler that they were counted with.
# Written by tools/instructions --rewrite; docs/TESTING.md says how it is used.
";

/// What the workloads may cost when one compiler has made them.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Budget {
    /// The compiler and its target. With another one the figures say nothing.
    pub(crate) compiler: String,
    /// Instructions for each unit, by the names of workloads.
    pub(crate) instructions: BTreeMap<String, u64>,
}

/// What a figure is beside its budget.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Near enough.
    Within,
    /// More than the budget and the room above it: this fails.
    Above,
    /// So far below that growth would go unseen: the budget can be lowered.
    Below,
    /// There is no budget for it: this fails.
    Unknown,
}

impl Verdict {
    /// Whether the guard lets it pass.
    pub(crate) fn passes(self) -> bool {
        matches!(self, Self::Within | Self::Below)
    }

    /// In words.
    pub(crate) fn text(self) -> &'static str {
        match self {
            Self::Within => "within",
            Self::Above => "ABOVE",
            Self::Below => "budget can be lowered",
            Self::Unknown => "NOT IN THE BUDGET",
        }
    }
}

impl Budget {
    /// Judges one figure.
    pub(crate) fn judge(&self, workload: &str, instructions: u64) -> Verdict {
        let Some(budget) = self.instructions.get(workload).copied() else {
            return Verdict::Unknown;
        };
        if instructions * 100 > budget * (100 + ROOM_PERCENT) {
            Verdict::Above
        } else if instructions * 100 < budget * (100 - ROOM_PERCENT) {
            Verdict::Below
        } else {
            Verdict::Within
        }
    }

    /// The file.
    pub(crate) fn text(&self) -> String {
        let mut text = format!("{OPENING}compiler {}\n", self.compiler);
        for (name, instructions) in &self.instructions {
            writeln!(text, "{name} {instructions}").expect("a string takes all");
        }
        text
    }
}

impl FromStr for Budget {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (mut compiler, mut instructions) = (None, BTreeMap::new());
        for (number, line) in text.lines().enumerate() {
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let wrong = |what: &str| format!("line {} {what}: {line}", number + 1);
            let (name, rest) = line.split_once(' ').ok_or_else(|| wrong("has one word"))?;
            if name == "compiler" {
                compiler = Some(rest.to_owned());
                continue;
            }
            let figure = rest.parse().map_err(|_| wrong("has no number"))?;
            if instructions.insert(name.to_owned(), figure).is_some() {
                return Err(wrong("names a workload again"));
            }
        }
        let compiler = compiler.ok_or("no line names the compiler")?;
        Ok(Self { compiler, instructions })
    }
}

#[cfg(test)]
mod tests;
