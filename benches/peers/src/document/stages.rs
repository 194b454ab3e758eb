//! What the stages of one command are, in words and in figures.

use crate::durable::stages::STAGES;
use crate::results::Measurement;
use crate::summary::{OURS, Summary, cell};

/// What each stage is, in order.
const TEXTS: [&str; STAGES.len()] = [
    "leader: proposal until Accept is sent",
    "on the way to a follower",
    "follower: appended, until its sync begins",
    "follower: its sync",
    "follower: until Accepted is sent",
    "on the way to the leader",
    "leader: until a second replica has synced",
    "leader: chosen and applied",
    "until the proposing thread is awake",
];

/// How long one stage took.
pub(crate) struct Stage {
    pub(crate) text: &'static str,
    pub(crate) micros: Summary,
}

/// All stages, if all were measured; of what was measured last, in three replicas with commands of
/// 64 bytes.
pub(crate) fn stages(all: &[Measurement]) -> Option<Vec<Stage>> {
    let stages = STAGES.iter().zip(TEXTS).map(|(metric, text)| {
        let ours = |it: &&Measurement| {
            it.peer == OURS && it.metric == *metric && (it.replicas, it.value_bytes) == (3, 64)
        };
        let micros = Summary::of(&all.iter().rev().find(ours)?.runs)?;
        Some(Stage { text, micros })
    });
    stages.collect()
}

/// A row for each stage, and its share of the whole.
pub(super) fn table(all: &[Measurement]) -> String {
    let Some(stages) = stages(all) else { return String::new() };
    let whole: f64 = stages.iter().map(|it| it.micros.median).sum();
    let mut text = "| stage | µs | share |\n|---|---|---|\n".to_owned();
    for Stage { text: name, micros } in &stages {
        let share = micros.median / whole * 100.0;
        text.push_str(&format!("| {name} | {} | {share:.0} % |\n", cell(Some(*micros), None)));
    }
    text
}
