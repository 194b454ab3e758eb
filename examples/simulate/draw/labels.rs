//! What is written beside a replica's line, and how much room that takes.

use std::collections::BTreeMap;

use synod::membership::ReplicaId;
use synod::replica::Role;
use synod::time::Instant;

use super::legend::{ALARM, CHOSEN, FAINT, INK, colour};
use super::scene::{Scene, Span, What};
use super::window::Window;

/// The most lines at one moment on one replica's line.
const LINES_MAX: usize = 6;
/// The most links that are named one by one.
const LINKS_MAX: usize = 6;
/// The most lines that say which links are cut.
pub(crate) const LINK_LINES_MAX: usize = 4;

/// A line of text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Line {
    pub(crate) text: String,
    pub(crate) colour: &'static str,
    pub(crate) bold: bool,
}

impl Line {
    fn new(text: impl Into<String>, colour: &'static str, bold: bool) -> Self {
        Self { text: text.into(), colour, bold }
    }
}

/// What is written to the right of a replica's line, above a moment. Messages that say the same to
/// several receivers are named once.
pub(crate) fn notes(scene: &Scene, window: &Window) -> BTreeMap<(usize, Instant), Vec<Line>> {
    let mut points: BTreeMap<(usize, Instant), Vec<What>> = BTreeMap::new();
    for point in &scene.points {
        points.entry((point.replica, point.time)).or_default().push(point.what);
    }
    let mut notes: BTreeMap<(usize, Instant), Vec<Line>> = BTreeMap::new();
    for (at, whats) in points {
        let lines = point_lines(&whats);
        if !lines.is_empty() {
            notes.insert(at, lines);
        }
    }
    for arrow in scene.arrows.iter().filter(|arrow| window.contains(arrow.sent)) {
        let lines = notes.entry((arrow.from, arrow.sent)).or_default();
        let line = Line::new(arrow.label.clone(), colour(arrow.kind), false);
        if !lines.contains(&line) {
            lines.push(line);
        }
    }
    for lines in notes.values_mut().filter(|lines| lines.len() > LINES_MAX) {
        let more = lines.len() - LINES_MAX + 1;
        lines.truncate(LINES_MAX - 1);
        lines.push(Line::new(format!("and {more} more"), FAINT, false));
    }
    notes
}

fn point_lines(whats: &[What]) -> Vec<Line> {
    let mut lines = Vec::new();
    let chosen: Vec<u64> = whats
        .iter()
        .filter_map(|what| if let What::Chosen(s) = what { Some(*s) } else { None })
        .collect();
    let applied: Vec<u64> = whats
        .iter()
        .filter_map(|what| if let What::Applied(s) = what { Some(*s) } else { None })
        .collect();
    for what in whats {
        match what {
            What::Starts(1) => lines.push(Line::new("starts", INK, true)),
            What::Starts(nth) => lines.push(Line::new(format!("start {nth}"), INK, true)),
            What::Crashes => lines.push(Line::new("crashes", ALARM, true)),
            What::Rots => lines.push(Line::new("its disk rots", ALARM, true)),
            What::StandsStill => lines.push(Line::new("stands still", ALARM, true)),
            What::GoesOn => lines.push(Line::new("goes on", INK, true)),
            What::ClockJumps(by) => {
                let text = format!("clock jumps {:+.1} ms", *by as f64 / 1000.0);
                lines.push(Line::new(text, ALARM, false));
            }
            What::Stray => lines.push(Line::new("from a stranger", ALARM, false)),
            What::Command | What::Chosen(_) | What::Applied(_) => {}
        }
    }
    if !chosen.is_empty() {
        lines.push(Line::new(format!("{} chosen", ranges(&chosen)), CHOSEN, true));
    }
    if !applied.is_empty() {
        lines.push(Line::new(format!("applies {}", ranges(&applied)), FAINT, false));
    }
    lines
}

/// Slots in a few words: neighbours as a range.
fn ranges(slots: &[u64]) -> String {
    let mut ranges: Vec<(u64, u64)> = Vec::new();
    for slot in slots {
        match ranges.last_mut() {
            Some((_, last)) if *last + 1 == *slot => *last = *slot,
            _ => ranges.push((*slot, *slot)),
        }
    }
    let words: Vec<String> = ranges
        .iter()
        .map(
            |(first, last)| {
                if first == last { format!("s{first}") } else { format!("s{first} to s{last}") }
            },
        )
        .collect();
    words.join(", ")
}

/// What is written to the left of a replica's line where a stretch begins.
pub(crate) fn stand(span: &Span) -> String {
    let ballot = if span.promised.round == 0 { String::new() } else { span.promised.to_string() };
    let role = match span.role {
        Role::Leading => "leads",
        Role::Preparing => "prepares",
        Role::Canvassing => "canvasses",
        Role::Forming => "forms",
        Role::Halted => "halted",
        Role::Following => "",
    };
    match (ballot.is_empty(), role.is_empty()) {
        (false, false) => format!("{role} {ballot}"),
        (true, true) => String::from("no ballot"),
        _ => ballot + role,
    }
}

/// Which links are cut, in a few lines.
pub(crate) fn links(replicas: usize, links: &[(ReplicaId, ReplicaId)]) -> Vec<String> {
    let cut = |from: usize, to: usize| {
        links.contains(&(ReplicaId(from as u32 + 1), ReplicaId(to as u32 + 1)))
    };
    if let Some(sides) = sides(replicas, cut) {
        return vec![String::from("cut apart:"), sides];
    }
    let others = |one: usize| (0..replicas).filter(move |other| *other != one);
    for one in 0..replicas {
        if links.len() + 1 == replicas && others(one).all(|to| cut(one, to)) {
            return vec![format!("nobody hears {}", one + 1)];
        }
        if links.len() + 1 == replicas && others(one).all(|from| cut(from, one)) {
            return vec![format!("{} hears nobody", one + 1)];
        }
    }
    let mut words = Vec::new();
    for from in 0..replicas {
        for to in others(from).filter(|to| cut(from, *to)) {
            let both = cut(to, from);
            if !both || from < to {
                let arrow = if both { '↔' } else { '→' };
                words.push(format!("{}{arrow}{}", from + 1, to + 1));
            }
        }
    }
    let more = words.len().saturating_sub(LINKS_MAX);
    words.truncate(LINKS_MAX);
    let mut lines = vec![String::from("cut:")];
    lines.extend(words.chunks(3).map(|some| some.join("  ")));
    if more > 0 {
        lines.push(format!("and {more} more"));
    }
    lines
}

/// The sides, if exactly the links between sides are cut.
fn sides(replicas: usize, cut: impl Fn(usize, usize) -> bool) -> Option<String> {
    let mut side: Vec<usize> = (0..replicas).collect();
    for from in 0..replicas {
        for to in 0..replicas {
            if from != to && !cut(from, to) {
                let (old, new) = (side[to], side[from]);
                side.iter_mut().filter(|side| **side == old).for_each(|side| *side = new);
            }
        }
    }
    let differ = |from: usize, to: usize| side[from] != side[to];
    let pairs = (0..replicas).flat_map(|from| (0..replicas).map(move |to| (from, to)));
    let exact =
        pairs.filter(|(from, to)| from != to).all(|(from, to)| cut(from, to) == differ(from, to));
    let mut names: BTreeMap<usize, Vec<String>> = BTreeMap::new();
    for (replica, side) in side.iter().enumerate() {
        names.entry(*side).or_default().push((replica + 1).to_string());
    }
    let words: Vec<String> = names.values().map(|names| names.join(" ")).collect();
    (exact && names.len() > 1).then(|| words.join(" | "))
}
