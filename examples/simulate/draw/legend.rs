//! The colours, and the legend that tells them.

use std::collections::BTreeMap;

use synod::ballot::Ballot;

use super::scene::Scene;
use super::svg::Svg;

/// What is written in the ordinary way.
pub(crate) const INK: &str = "#24292f";
/// What is written beside.
pub(crate) const FAINT: &str = "#6a737d";
/// What is wrong.
pub(crate) const ALARM: &str = "#c1121f";
/// The shade of a stretch in which links are cut.
pub(crate) const SHADE: &str = "#fdf0c8";
/// A slot that is chosen.
pub(crate) const CHOSEN: &str = "#b07d00";
/// A ballot below all others.
const NO_BALLOT: &str = "#dfe3e8";

/// Kinds of messages that share a colour.
const KINDS: [(&str, &[&str], &str); 9] = [
    ("Prepare", &["Prepare"], "#7b2cbf"),
    ("Promise", &["Promise"], "#c35ad6"),
    ("Accept", &["Accept"], "#1f5fd0"),
    ("Accepted", &["Accepted"], "#1e8e3e"),
    ("Nack, Behind, Refused", &["Nack", "Behind", "Refused"], "#d62839"),
    ("Heartbeat and its answer", &["Heartbeat", "HeartbeatAnswer"], "#828d99"),
    ("Canvass and its answer, HandOver", &["Canvass", "CanvassAnswer", "HandOver"], "#e07b00"),
    ("Fetch, CatchUp, and what they bring", &["Fetch", "Fetched", "CatchUp", "Chosen"], "#0a8a91"),
    ("Forming", &["Forming"], "#8a5a44"),
];

/// Fills of ballots, in the order in which they come up.
const BALLOTS: [&str; 8] =
    ["#9fd0f5", "#f9c784", "#b9e08c", "#f2a9b8", "#c4b5f0", "#8adfd0", "#ecd96a", "#d9bba0"];

/// The colour of a message.
pub(crate) fn colour(kind: &str) -> &'static str {
    KINDS.iter().find(|(_, kinds, _)| kinds.contains(&kind)).map_or(INK, |(_, _, colour)| colour)
}

/// The fill of every ballot of the scene.
pub(crate) fn fills(scene: &Scene) -> BTreeMap<Ballot, &'static str> {
    let mut spans: Vec<_> = scene.spans.iter().map(|span| (span.from, span.promised)).collect();
    spans.sort_unstable();
    let mut fills = BTreeMap::from([(Ballot::ZERO, NO_BALLOT)]);
    for (_, ballot) in spans {
        let next = BALLOTS[(fills.len() - 1) % BALLOTS.len()];
        fills.entry(ballot).or_insert(next);
    }
    fills
}

/// How far apart the legend's lines are.
const ROW: f64 = 18.0;

/// A sign of the legend, drawn with its left end at a place.
type Sign = fn(&mut Svg, f64, f64);

const SIGNS: [(&str, Sign); 13] = [
    ("replica at a ballot (each its colour)", |svg, x, y| {
        svg.rect("bar", BALLOTS[0], (x + 2.0, y - 5.0), (20.0, 10.0));
    }),
    ("leader", |svg, x, y| {
        svg.rect("leader", BALLOTS[0], (x + 2.0, y - 7.0), (20.0, 14.0));
    }),
    ("tries to lead", |svg, x, y| {
        svg.rect("candidate", BALLOTS[0], (x + 2.0, y - 6.0), (20.0, 12.0));
    }),
    ("crashed, until it starts", |svg, x, y| {
        cross(svg, ALARM, (x + 5.0, y), 5.0);
        svg.line("down", FAINT, (x + 8.0, y), (x + 24.0, y));
    }),
    ("stands still", |svg, x, y| {
        svg.rect("bar", BALLOTS[0], (x + 2.0, y - 5.0), (20.0, 10.0));
        svg.rect("frozen", INK, (x + 2.0, y - 3.0), (20.0, 6.0));
    }),
    ("message lost", |svg, x, y| {
        svg.line("arrow", colour("Accept"), (x, y), (x + 18.0, y));
        cross(svg, colour("Accept"), (x + 19.0, y), 4.0);
    }),
    ("came again", |svg, x, y| {
        svg.line("again", colour("Accept"), (x, y), (x + 24.0, y));
    }),
    ("begins or ends outside the picture", |svg, x, y| {
        svg.line("beyond", colour("Accept"), (x, y), (x + 24.0, y));
    }),
    ("slot chosen: a quorum of disks has it", |svg, x, y| diamond(svg, (x + 12.0, y))),
    ("a command is proposed", |svg, x, y| command(svg, (x + 14.0, y))),
    ("sync of the disk", |svg, x, y| {
        svg.line("sync", INK, (x + 2.0, y), (x + 22.0, y));
    }),
    ("links are cut", |svg, x, y| {
        svg.rect("shade", SHADE, (x, y - 7.0), (24.0, 14.0));
    }),
    ("silence, not to scale", |svg, x, y| {
        svg.line("silence", FAINT, (x, y), (x + 24.0, y));
    }),
];

/// Draws the legend from a place down, in a width. Gives where it ends.
pub(crate) fn legend(svg: &mut Svg, (left, top): (f64, f64), width: f64) -> f64 {
    let mut place = (left, top);
    let mut put = |svg: &mut Svg, text: &str, sign: &dyn Fn(&mut Svg, f64, f64)| {
        let wide = 30.0 + 6.0 * text.chars().count() as f64 + 22.0;
        if place.0 > left && place.0 + wide > left + width {
            place = (left, place.1 + ROW);
        }
        sign(svg, place.0, place.1);
        svg.text("key", INK, (place.0 + 30.0, place.1 + 3.5), text);
        place.0 += wide;
    };
    for (text, _, colour) in KINDS {
        put(svg, text, &|svg, x, y| {
            svg.line("arrow", colour, (x, y), (x + 22.0, y));
            head(svg, colour, (x, y), (x + 24.0, y));
        });
    }
    for (text, sign) in SIGNS {
        put(svg, text, &sign);
    }
    place.1 + ROW
}

/// The head of an arrow that comes from a place.
pub(crate) fn head(svg: &mut Svg, colour: &str, from: (f64, f64), to: (f64, f64)) {
    let (x, y) = (to.0 - from.0, to.1 - from.1);
    let length = (x * x + y * y).sqrt().max(0.1);
    let (x, y) = (x / length, y / length);
    let back = (to.0 - 7.0 * x, to.1 - 7.0 * y);
    let wings = [(back.0 - 3.2 * y, back.1 + 3.2 * x), (back.0 + 3.2 * y, back.1 - 3.2 * x)];
    svg.polygon(colour, &[to, wings[0], wings[1]]);
}

/// A cross.
pub(crate) fn cross(svg: &mut Svg, colour: &str, at: (f64, f64), size: f64) {
    for up in [-size, size] {
        svg.line("cross", colour, (at.0 - size, at.1 - up), (at.0 + size, at.1 + up));
    }
}

/// The sign of a chosen slot.
pub(crate) fn diamond(svg: &mut Svg, (x, y): (f64, f64)) {
    svg.polygon("#ffffff", &[(x, y - 7.5), (x + 7.5, y), (x, y + 7.5), (x - 7.5, y)]);
    svg.polygon(CHOSEN, &[(x, y - 6.0), (x + 6.0, y), (x, y + 6.0), (x - 6.0, y)]);
}

/// The sign of a command, left of a replica's line.
pub(crate) fn command(svg: &mut Svg, (x, y): (f64, f64)) {
    svg.polygon(INK, &[(x, y), (x - 7.0, y - 4.0), (x - 7.0, y + 4.0)]);
}

/// What the classes look like.
pub(crate) const STYLE: &str = "\
text { font-family: 'DejaVu Sans', Verdana, Arial, sans-serif; font-size: 10px; } \
.title { font-size: 17px; font-weight: bold; } .sub { font-size: 12px; } \
.name { font-size: 14px; font-weight: bold; text-anchor: middle; } \
.key { font-size: 11px; } \
.left { text-anchor: end; } .bold { font-weight: bold; } \
.note, .left, .bold { paint-order: stroke; stroke: #ffffff; stroke-width: 3px; \
stroke-linejoin: round; } \
.time { text-anchor: end; } .tag { font-weight: bold; text-anchor: middle; } \
.failed { font-size: 12px; font-weight: bold; } \
.guide { stroke-width: 0.6; } \
.arrow { stroke-width: 1.3; } .again { stroke-width: 1.1; stroke-dasharray: 7 3; } \
.beyond { stroke-width: 1.1; stroke-dasharray: 2 3; } \
.cross { stroke-width: 1.8; } .down { stroke-width: 1.2; stroke-dasharray: 2 4; } \
.sync { stroke-width: 2.2; } .silence { stroke-dasharray: 1 4; stroke-width: 1.2; } \
.bar { stroke: #9aa5b1; stroke-width: 0.6; } \
.leader { stroke: #24292f; stroke-width: 2; } \
.candidate { stroke: #24292f; stroke-width: 1.2; stroke-dasharray: 3 2; } \
.frozen { opacity: 0.6; } \
.alarm { stroke-width: 2.5; } .edge { stroke-width: 1.2; stroke-dasharray: 8 4; }";
