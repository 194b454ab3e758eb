//! What was measured and claimed: a table for people, lines of JSON for programs.

use serde::{Deserialize, Serialize};

/// The length of each command, in bytes.
pub(crate) const VALUE_BYTES: u64 = 64;

/// What a case has shown.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Outcome {
    pub(crate) figures: Vec<Figure>,
    pub(crate) claims: Vec<Claim>,
}

/// One figure.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Figure {
    /// What it belongs to: `core`, `node`, `busy`, `one-down` or `stalled`.
    pub(crate) case: String,
    /// What it is; its unit is in the name.
    pub(crate) metric: String,
    pub(crate) replicas: u64,
    pub(crate) in_flight: u64,
    /// How many commands it was measured over.
    pub(crate) commands: u64,
    pub(crate) figure: f64,
}

/// Something that must hold.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Claim {
    pub(crate) case: String,
    pub(crate) holds: bool,
    pub(crate) text: String,
}

impl Outcome {
    /// Adds a claim.
    pub(crate) fn claim(&mut self, case: &str, holds: bool, text: String) {
        self.claims.push(Claim { case: case.into(), holds, text });
    }

    /// The figures as a table in Markdown, and the claims below it.
    pub(crate) fn print(&self) {
        println!("| case | replicas | in flight | commands | what | figure |");
        println!("|---|---|---|---|---|---|");
        for Figure { case, metric, replicas, in_flight, commands, figure } in &self.figures {
            let (what, figure) = in_words(metric, *figure);
            println!("| {case} | {replicas} | {in_flight} | {commands} | {what} | {figure} |");
        }
        println!();
        for Claim { case, holds, text } in &self.claims {
            println!("- {} {case}: {text}", if *holds { "holds:" } else { "BROKEN:" });
        }
    }

    /// The figures as lines of JSON, in the format of `benches/peers`.
    pub(crate) fn json_lines(&self) -> String {
        let lines = self.figures.iter().map(|figure| {
            let line = serde_json::json!({
                "suite": "memory",
                "peer": "synod",
                "case": figure.case,
                "metric": figure.metric,
                "replicas": figure.replicas,
                "in_flight": figure.in_flight,
                "value_bytes": VALUE_BYTES,
                "commands": figure.commands,
                "runs": [figure.figure],
            });
            format!("{line}\n")
        });
        lines.collect()
    }
}

/// A metric as words, and the figure as a person reads it.
fn in_words(metric: &str, figure: f64) -> (String, String) {
    let what = metric.replace('_', " ");
    let many = metric.contains("bytes") && figure >= 1e6;
    let figure = match figure {
        _ if many => format!("{:.1} MiB", figure / f64::from(1 << 20)),
        figure if figure < 100.0 => format!("{figure:.2}"),
        figure => format!("{figure:.0}"),
    };
    (what, figure)
}
