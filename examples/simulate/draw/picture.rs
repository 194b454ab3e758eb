//! Puts the picture together.

use std::collections::BTreeMap;

use synod::replica::Role;
use synod::sim::Loss;
use synod::time::Instant;

use super::axis::{Axis, LINE, Moments};
use super::labels::{self, Line};
use super::legend::{self, ALARM, FAINT, INK, SHADE};
use super::scene::{Arrow, Scene, Span, What};
use super::svg::Svg;
use super::window::Window;

/// What is left of the first replica's line: times, and what it stands by.
const LEFT: f64 = 188.0;
/// What is right of the last replica's line: its notes, and which links are cut.
const RIGHT: f64 = 300.0;
/// What the last replica's notes take of that.
const NOTES: f64 = 165.0;
/// How far the replicas' lines go beyond the first and the last moment.
const BEYOND: f64 = 26.0;
/// How often a replica's number is repeated on its line.
const TAGS: f64 = 420.0;
/// How far such a number is from anything else on the line.
const TAG_ROOM: f64 = 17.0;
/// How many characters of a violation fit a line of the narrowest picture.
const CHARACTERS: usize = 85;

struct Painter<'a> {
    scene: &'a Scene,
    window: &'a Window,
    axis: Axis,
    notes: BTreeMap<(usize, Instant), Vec<Line>>,
    svg: Svg,
    spacing: f64,
}

/// The picture of the scene.
pub(crate) fn paint(title: &str, scene: &Scene, window: &Window) -> String {
    let spacing = if scene.replicas <= 5 { 205.0 } else { 180.0 };
    let width = (LEFT + RIGHT + spacing * scene.replicas.saturating_sub(1) as f64).max(860.0);
    let mut svg = Svg::default();
    svg.text("title", INK, (24.0, 34.0), title);
    let part = format!(
        "Time runs down, at no fixed scale. Events {} to {} of {}, from {} to {}.",
        window.first,
        window.first + window.events - 1,
        window.of,
        window.start,
        window.end
    );
    svg.text("sub", FAINT, (24.0, 54.0), &part);
    let names = legend::legend(&mut svg, (24.0, 80.0), width - 48.0) + 22.0;
    let notes = labels::notes(scene, window);
    let axis = moments(scene, window, &notes).axis(names + 20.0 + BEYOND);
    let bottom = axis.bottom() + BEYOND;
    let mut painter = Painter { scene, window, axis, notes, svg, spacing };
    painter.cuts();
    painter.margin();
    painter.lines(names);
    scene.arrows.iter().for_each(|arrow| painter.arrow(arrow));
    painter.points();
    painter.write_notes();
    let bottom = painter.violation(width, bottom);
    painter.svg.finish(title, legend::STYLE, (width, bottom + 30.0))
}

/// Every moment that matters, with the room for what is written beside it.
fn moments(
    scene: &Scene,
    window: &Window,
    notes: &BTreeMap<(usize, Instant), Vec<Line>>,
) -> Moments {
    let mut moments = Moments::default();
    for arrow in &scene.arrows {
        let inside = window.contains(arrow.sent);
        if inside {
            moments.add(arrow.sent);
        }
        for (time, _) in arrow.ends.iter().filter(|(time, _)| window.contains(*time)) {
            moments.add(*time);
            if inside && *time > arrow.sent {
                moments.slope(arrow.sent, *time);
            }
        }
    }
    for ((replica, time), lines) in notes {
        moments.reserve(*time, 2 * replica + 1, lines.len());
    }
    for span in &scene.spans {
        moments.add(span.to);
        moments.reserve(span.from, 2 * span.replica, 1);
    }
    for cut in &scene.cuts {
        moments.add(cut.to);
        // Their lines stand below the moment: room for the most that there can be.
        if cut.from > window.start {
            moments.reserve(cut.from, 2 * scene.replicas, labels::LINK_LINES_MAX);
        }
    }
    scene.syncs.iter().flat_map(|sync| [sync.from, sync.to]).for_each(|time| moments.add(time));
    scene.points.iter().for_each(|point| moments.add(point.time));
    for frozen in &scene.frozen {
        moments.add(frozen.from);
        moments.add(frozen.to);
    }
    moments
}

impl Painter<'_> {
    fn x(&self, replica: usize) -> f64 {
        LEFT + self.spacing * replica as f64
    }

    /// Where the lines of replicas begin and end.
    fn ends(&self) -> (f64, f64) {
        (self.axis.top() - BEYOND, self.axis.bottom() + BEYOND)
    }

    /// The stretches in which links are cut.
    fn cuts(&mut self) {
        let right = self.x(self.scene.replicas - 1) + RIGHT;
        for cut in &self.scene.cuts {
            let (from, to) = (self.axis.place(cut.from), self.axis.place(cut.to));
            let lines = labels::links(self.scene.replicas, &cut.links);
            self.svg.group("cut", &lines.join(" "));
            let height = (to - from).max(2.0);
            self.svg.rect("shade", SHADE, (LEFT - 60.0, from), (right - LEFT + 50.0, height));
            for (nth, line) in lines.iter().enumerate() {
                let at = (right - RIGHT + NOTES, from + LINE * (nth as f64 + 1.0) - 1.0);
                self.svg.text("cut-links", INK, at, line);
            }
            self.svg.end_group();
        }
    }

    /// The times, and where time is not to scale.
    fn margin(&mut self) {
        let right = self.x(self.scene.replicas - 1) + NOTES;
        for (time, place) in self.axis.ticks(26.0) {
            let micros = time.as_micros();
            let text = format!("{}.{:03} ms", micros / 1000, micros % 1000);
            self.svg.line("guide", "#e1e4e8", (88.0, place), (right, place));
            self.svg.text("time", FAINT, (82.0, place + 3.5), &text);
        }
        for (micros, place) in self.axis.silences() {
            self.svg.line("silence", "#c3c9d0", (88.0, place), (right, place));
            let text = format!("({:.1} ms)", micros / 1000.0);
            self.svg.text("time", FAINT, (82.0, place + 3.5), &text);
        }
        if let Some(time) = self.scene.repaired {
            let place = self.axis.place(time);
            self.svg.line("edge", "#1e8e3e", (88.0, place), (right + 20.0, place));
            let at = (right, place - 4.0);
            self.svg.text("note", "#1e8e3e", at, "all is repaired");
        }
    }

    /// A line for each replica, with its ballots.
    fn lines(&mut self, names: f64) {
        let (top, bottom) = self.ends();
        let fills = legend::fills(self.scene);
        for replica in 0..self.scene.replicas {
            let x = self.x(replica);
            self.svg.text("name", INK, (x, names), &format!("replica {}", replica + 1));
            self.svg.line("down", FAINT, (x, top), (x, bottom));
        }
        for span in &self.scene.spans {
            let fill = fills.get(&span.promised).copied().unwrap_or(SHADE);
            self.span(span, fill);
        }
        for frozen in &self.scene.frozen {
            let (from, to) = (self.axis.place(frozen.from), self.axis.place(frozen.to));
            let x = self.x(frozen.replica) - 3.0;
            self.svg.rect("frozen", INK, (x, from), (6.0, (to - from).max(1.0)));
        }
        for sync in &self.scene.syncs {
            let x = self.x(sync.replica) - 14.0;
            let (from, to) = (self.axis.place(sync.from), self.axis.place(sync.to));
            self.svg.line("sync", INK, (x, from), (x, to.max(from + 1.0)));
            if !sync.ended && sync.to < self.window.end {
                legend::cross(&mut self.svg, INK, (x, to), 3.0);
            }
        }
        self.tags();
    }

    /// The replicas' numbers now and then on their lines, where nothing else stands.
    fn tags(&mut self) {
        let (top, bottom) = self.ends();
        for replica in 0..self.scene.replicas {
            let points = self.scene.points.iter().filter(|point| point.replica == replica);
            let taken: Vec<f64> = points.map(|point| self.axis.place(point.time)).collect();
            let free = |y: &f64| taken.iter().all(|taken| (taken - y).abs() > TAG_ROOM);
            let x = self.x(replica);
            for nth in 1..=((bottom - top) / TAGS) as usize {
                let place = top + TAGS * nth as f64;
                let tries = (0..10).map(|nth| place + TAG_ROOM * f64::from(nth));
                if let Some(y) = tries.into_iter().find(free) {
                    self.svg.circle("bar", "#ffffff", (x, y), 8.0);
                    self.svg.text("tag", INK, (x, y + 3.5), &(replica + 1).to_string());
                }
            }
        }
    }

    fn span(&mut self, span: &Span, fill: &str) {
        let x = self.x(span.replica);
        let (mut from, mut to) = (self.axis.place(span.from), self.axis.place(span.to));
        let (top, bottom) = self.ends();
        if !span.begins {
            from = top;
        }
        if span.to >= self.window.end {
            to = bottom;
        }
        let (class, half) = match span.role {
            Role::Leading => ("leader", 7.0),
            Role::Preparing | Role::Canvassing => ("candidate", 6.0),
            Role::Forming | Role::Following | Role::Halted => ("bar", 5.0),
        };
        let words = labels::stand(span);
        self.svg.group("span", &format!("replica {}: {words}", span.replica + 1));
        self.svg.rect(class, fill, (x - half, from), (2.0 * half, (to - from).max(1.0)));
        self.svg.end_group();
    }

    /// A message, to each of its ends.
    fn arrow(&mut self, arrow: &Arrow) {
        let colour = legend::colour(arrow.kind);
        let title = format!(
            "{} to {}, sent at {}: {}",
            arrow.from + 1,
            arrow.to + 1,
            arrow.sent,
            arrow.text
        );
        let (top, bottom) = self.ends();
        let (x0, x1) = (self.x(arrow.from), self.x(arrow.to));
        let side = (x1 - x0).signum();
        let (x0, x1) = (x0 + 7.0 * side, x1 - 7.0 * side);
        let early = arrow.sent < self.window.start;
        let start = (x0, if early { top } else { self.axis.place(arrow.sent) });
        self.svg.group("message", &title);
        let mut arrived = false;
        for (time, loss) in &arrow.ends {
            let late = *time > self.window.end;
            let inside = self.window.contains(*time);
            if (late && early) || *time < self.window.start || (late && arrived) {
                continue;
            }
            let line = match (early || late, arrived) {
                (true, _) => "beyond",
                (false, true) => "again",
                (false, false) => "arrow",
            };
            let mut end = (x1, if late { bottom } else { self.axis.place(*time) });
            match loss {
                Some(Loss::Network) => end = near(start, x1, self.spacing, 0.42),
                Some(_) => end = part(start, end, 0.88),
                None => arrived = true,
            }
            self.svg.line(line, colour, start, end);
            if loss.is_some() {
                legend::cross(&mut self.svg, colour, end, 4.0);
            } else if inside {
                legend::head(&mut self.svg, colour, start, end);
            }
        }
        if arrow.ends.is_empty() {
            // Nobody knows where it is: pieces of it, or under way when the run ended.
            let end = near(start, x1, self.spacing, 0.25);
            self.svg.line("beyond", colour, start, end);
        }
        self.svg.end_group();
    }

    fn points(&mut self) {
        for point in &self.scene.points {
            let at = (self.x(point.replica), self.axis.place(point.time));
            match point.what {
                What::Crashes => legend::cross(&mut self.svg, ALARM, at, 8.0),
                What::Command => legend::command(&mut self.svg, (at.0 - 5.0, at.1)),
                What::Chosen(_) => legend::diamond(&mut self.svg, at),
                What::Stray => {
                    let from = (at.0 - 40.0, at.1 - 14.0);
                    let end = (at.0 - 6.0, at.1);
                    self.svg.line("beyond", ALARM, from, end);
                    legend::head(&mut self.svg, ALARM, from, end);
                }
                What::Starts(_)
                | What::Rots
                | What::StandsStill
                | What::GoesOn
                | What::ClockJumps(_)
                | What::Applied(_) => {}
            }
        }
    }

    /// What is written beside the lines: over the arrows.
    fn write_notes(&mut self) {
        let top = self.ends().0;
        for span in &self.scene.spans {
            let x = self.x(span.replica) - 19.0;
            let y = if span.begins { self.axis.place(span.from) - 2.0 } else { top + LINE };
            self.svg.text("left", INK, (x, y), &labels::stand(span));
        }
        for ((replica, time), lines) in &self.notes {
            let (x, y) = (self.x(*replica) + 12.0, self.axis.place(*time) - 3.0);
            for (nth, line) in lines.iter().rev().enumerate() {
                let class = if line.bold { "bold" } else { "note" };
                self.svg.text(class, line.colour, (x, y - LINE * nth as f64), &line.text);
            }
        }
    }

    /// The claim that was broken, across the picture. Gives where the picture ends.
    fn violation(&mut self, width: f64, bottom: f64) -> f64 {
        let Some((time, invariant, text)) = &self.scene.broken else { return bottom };
        let place = self.axis.place(*time);
        self.svg.group("violation", text);
        self.svg.line("alarm", ALARM, (88.0, place), (width - 20.0, place));
        let said = format!("{invariant} is broken at {time}: {text}");
        let lines = wrap(&said, CHARACTERS);
        for (nth, line) in lines.iter().enumerate() {
            let at = (88.0, bottom + 16.0 * (nth as f64 + 1.0));
            self.svg.text("failed", ALARM, at, line);
        }
        self.svg.end_group();
        bottom + 16.0 * lines.len() as f64
    }
}

/// A point at this part of the way to a line, for what never came there. Those to farther lines
/// stand lower, so that each is seen.
fn near(from: (f64, f64), x: f64, spacing: f64, of: f64) -> (f64, f64) {
    part(from, (x, from.1 + 12.0 + 12.0 * (x - from.0).abs() / spacing), of)
}

/// The point at this part of the way.
fn part(from: (f64, f64), to: (f64, f64), of: f64) -> (f64, f64) {
    (from.0 + (to.0 - from.0) * of, from.1 + (to.1 - from.1) * of)
}

/// Lines of at most so many characters, broken between words.
fn wrap(text: &str, characters: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split_whitespace() {
        let last = lines.last_mut().expect("there is always a line");
        if !last.is_empty() && last.chars().count() + 1 + word.chars().count() > characters {
            lines.push(String::from(word));
        } else {
            if !last.is_empty() {
                last.push(' ');
            }
            last.push_str(word);
        }
    }
    lines
}
