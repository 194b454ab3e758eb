//! Everything that was seen, as text for a person.

use std::fmt::Display;

use synod::membership::{Member, Membership};
use synod::wal::inspect::{Header, Inspection, LogSeen, Seen, SegmentSeen, Superblock};
use synod::wal::table::Row;

use crate::columns::Columns;
use crate::verdict;

/// How many of a list are shown; JSON has all of them.
const SHOWN: usize = 12;

/// The whole report.
pub(crate) fn text(seen: &Inspection) -> String {
    let mut text = format!("{}\n{}\n", seen.place, verdict::sentence(seen));
    if let Some(block) = &seen.superblock.taken {
        section(&mut text, "identity", &identity(block));
    }
    section(&mut text, &format!("superblock: {}", row(seen.superblock.row)), &superblock(seen));
    if let Some(log) = &seen.log {
        section(&mut text, "marks", &marks(log));
        section(&mut text, "slots", &slots(log));
    }
    section(&mut text, "segments", &segments(seen));
    section(&mut text, "headers", &headers(seen));
    section(&mut text, "records", &records(seen));
    if !seen.temporary.is_empty() {
        // Names may hold anything.
        let names = seen.temporary.iter().map(|name| format!("{name:?}"));
        text.push_str(&format!("\nfiles that were being made: {}\n", list(names)));
    }
    if !seen.findings.is_empty() {
        section(&mut text, "findings", &findings(seen));
    }
    text
}

fn section(text: &mut String, title: &str, columns: &Columns) {
    text.push_str(&format!("\n{title}\n{}", columns.text()));
}

fn identity(block: &Superblock) -> Columns {
    let mut columns = Columns::default();
    columns.pair("cluster", block.cluster);
    columns.pair("replica", block.replica);
    columns.pair("disk", block.disk);
    columns.pair("incarnation", format!("{} (start/random)", block.incarnation));
    columns.pair("alpha", format!("{} slots", block.alpha));
    columns.pair("longest entry", format!("{} bytes", block.entry_bytes_max));
    columns
}

fn superblock(seen: &Inspection) -> Columns {
    let mut columns = Columns::titled(&[
        "copy",
        "state",
        "sequence",
        "incarnation",
        "promised",
        "formed",
        "segments",
        "durable",
        "members",
    ]);
    for (i, copy) in seen.superblock.copies.iter().enumerate() {
        let mut cells = vec![(i + 1).to_string(), state(copy)];
        if let Seen::Holds(block) = copy {
            cells.extend([
                block.sequence.to_string(),
                block.incarnation.to_string(),
                block.promised.to_string(),
                yes(block.formed).into(),
                format!("{} to {}", block.first, block.last),
                block.durable.to_string(),
                list(members(block.members.as_ref()).iter().map(|member| member.replica)),
            ]);
        }
        columns.push(cells);
    }
    columns
}

fn members(list: Option<&Membership>) -> &[Member] {
    list.map_or(&[], Membership::members)
}

fn marks(log: &LogSeen) -> Columns {
    let mut columns = Columns::default();
    columns.pair("promised", log.promised);
    columns.pair("chosen", format!("{} (every slot below)", log.chosen));
    columns.pair("last record", log.last);
    columns.pair("proven durable", log.durable);
    columns.pair("records lost", log.lost);
    columns.pair("formed", yes(log.formed));
    let one = |one: &Member| format!("{} on disk {}", one.replica, one.disk);
    columns.pair("members", list(members(log.members.as_ref()).iter().map(one)));
    let quorums = log.members.iter().map(|list| list.quorums().to_string());
    columns.pair("quorums", list(quorums));
    columns
}

fn slots(log: &LogSeen) -> Columns {
    let mut columns = Columns::default();
    columns.pair("chosen, the last", list(&log.runs));
    columns.pair("accepted", list(&log.accepted));
    columns.pair("learned", list(&log.learned));
    columns.pair("faulty", list(&log.faulty));
    columns.pair("holes", list(&log.holes));
    columns
}

fn segments(seen: &Inspection) -> Columns {
    let titles = ["number", "bytes", "first", "last", "durable", "promised", "stray", "verdict"];
    let mut columns = Columns::titled(&titles);
    for segment in &seen.segments {
        let first = segment.records.iter().map(|records| records.first).min();
        let last = segment.records.iter().map(|records| records.last).max();
        columns.push([
            segment.number.to_string(),
            or_none(segment.bytes),
            or_none(first),
            or_none(last),
            segment.durable.to_string(),
            segment.promised.to_string(),
            or_none(segment.stray),
            row(segment.row),
        ]);
    }
    columns
}

fn headers(seen: &Inspection) -> Columns {
    let mut columns = Columns::titled(&[
        "segment",
        "copy",
        "state",
        "number",
        "incarnation",
        "bytes",
        "from",
        "sealed",
        "durable",
        "salt",
    ]);
    for segment in &seen.segments {
        for (i, copy) in segment.headers.iter().enumerate() {
            let mut cells = vec![segment.number.to_string(), (i + 1).to_string()];
            cells.push(if segment.bytes.is_none() { "missing".into() } else { state(copy) });
            if let Seen::Holds(header) = copy {
                cells.extend(header_cells(header));
            }
            columns.push(cells);
        }
    }
    columns
}

fn header_cells(header: &Header) -> [String; 7] {
    [
        header.number.to_string(),
        header.incarnation.to_string(),
        header.bytes.to_string(),
        header.first.to_string(),
        header.sealed.to_string(),
        header.durable.to_string(),
        format!("{:016x}", header.salt),
    ]
}

fn records(seen: &Inspection) -> Columns {
    let titles = ["segment", "offset", "end", "first", "last", "state", "verdict"];
    let mut columns = Columns::titled(&titles);
    for segment in &seen.segments {
        segment_records(segment, &mut columns);
    }
    if let Some(end) = &seen.end {
        let state = if seen.changing { "being written" } else { "" };
        columns.push([
            end.segment.to_string(),
            end.offset.to_string(),
            String::new(),
            String::new(),
            String::new(),
            state.into(),
            row(Some(end.row)),
        ]);
    }
    columns
}

fn segment_records(segment: &SegmentSeen, columns: &mut Columns) {
    for records in &segment.records {
        columns.push([
            segment.number.to_string(),
            records.offset.to_string(),
            records.end.to_string(),
            records.first.to_string(),
            records.last.to_string(),
            if records.whole { "whole" } else { "damaged" }.into(),
            row(records.row),
        ]);
    }
}

fn findings(seen: &Inspection) -> Columns {
    let mut columns = Columns::titled(&["where", "offset", "what", "more"]);
    for finding in &seen.findings {
        let is_of_a_file = !finding.file.is_empty();
        columns.push([
            if is_of_a_file { finding.file.clone() } else { "the log".into() },
            if is_of_a_file { finding.offset.to_string() } else { String::new() },
            finding.name.into(),
            finding.details.clone(),
        ]);
    }
    columns
}

fn row(row: Option<&Row>) -> String {
    row.map_or_else(|| "not judged".into(), |row| format!("{:?}: {}", row.verdict, row.name))
}

fn state<T>(copy: &Seen<T>) -> String {
    match copy {
        Seen::Holds(_) => "holds".into(),
        Seen::Newer { version } => format!("format {version}"),
        _ => "does not hold".into(),
    }
}

fn yes(yes: bool) -> &'static str {
    if yes { "yes" } else { "no" }
}

fn or_none<T: Display>(value: Option<T>) -> String {
    value.map_or_else(|| "-".into(), |value| value.to_string())
}

/// What there is, or how much more than can be shown.
fn list<T: Display>(items: impl IntoIterator<Item = T>) -> String {
    let mut items = items.into_iter();
    let shown: Vec<String> = items.by_ref().take(SHOWN).map(|item| item.to_string()).collect();
    match (shown.is_empty(), items.count()) {
        (true, _) => "none".into(),
        (false, 0) => shown.join(", "),
        (false, more) => format!("{} and {more} more", shown.join(", ")),
    }
}
