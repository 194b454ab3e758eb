//! Everything that was seen, as JSON. Names are those of `synod::wal::inspect`; what has more than
//! 53 bits, and what is no number to count with, is a string.

use serde_json::{Value, json};
use synod::ballot::Ballot;
use synod::membership::{Member, Membership, VoteSet};
use synod::slot::{Run, Slots};
use synod::wal::inspect::{
    Header, Inspection, LogSeen, RecordsSeen, Seen, SegmentSeen, Superblock,
};
use synod::wal::table::Row;

use crate::verdict;

/// The whole report, with a newline at its end.
pub(crate) fn text(seen: &Inspection) -> String {
    let findings = seen.findings.iter().map(|finding| {
        json!({
            "file": finding.file,
            "offset": finding.offset,
            "name": finding.name,
            "details": finding.details,
        })
    });
    let end = seen.end.map(|end| {
        json!({ "segment": end.segment, "offset": end.offset, "verdict": row(Some(end.row)) })
    });
    let all = json!({
        "place": seen.place,
        "verdict": verdict::word(seen),
        "sentence": verdict::sentence(seen),
        "refused": seen.refused,
        "changing": seen.changing,
        "superblock": {
            "verdict": row(seen.superblock.row),
            "taken": seen.superblock.taken.as_ref().map(superblock),
            "copies": copies(&seen.superblock.copies, superblock),
        },
        "log": seen.log.as_ref().map(log),
        "end": end,
        "segments": seen.segments.iter().map(segment).collect::<Vec<_>>(),
        "temporary": seen.temporary,
        "findings": findings.collect::<Vec<_>>(),
    });
    format!("{all:#}\n")
}

fn row(row: Option<&Row>) -> Value {
    row.map_or(
        Value::Null,
        |row| json!({ "verdict": format!("{:?}", row.verdict), "name": row.name }),
    )
}

fn copies<T>(copies: &[Seen<T>; 2], shown: impl Fn(&T) -> Value) -> Value {
    let copy = |copy: &Seen<T>| match copy {
        Seen::Holds(held) => json!({ "state": "holds", "content": shown(held) }),
        Seen::Newer { version } => json!({ "state": "newer", "version": version }),
        _ => json!({ "state": "rotten" }),
    };
    Value::Array(copies.iter().map(copy).collect())
}

fn superblock(block: &Superblock) -> Value {
    json!({
        "sequence": block.sequence,
        "cluster": block.cluster.to_string(),
        "replica": block.replica.0,
        "disk": block.disk.to_string(),
        "incarnation": block.incarnation.to_string(),
        "alpha": block.alpha,
        "entry_bytes_max": block.entry_bytes_max,
        "promised": ballot(block.promised),
        "members": members(block.members.as_ref()),
        "formed": block.formed,
        "first": block.first,
        "last": block.last,
        "durable": block.durable.0,
    })
}

fn log(log: &LogSeen) -> Value {
    json!({
        "members": members(log.members.as_ref()),
        "quorums": quorums(log.members.as_ref()),
        "formed": log.formed,
        "promised": ballot(log.promised),
        "chosen": log.chosen.0,
        "runs": runs(&log.runs),
        "accepted": runs(&log.accepted),
        "learned": runs(&log.learned),
        "faulty": runs(&log.faulty),
        "holes": log.holes.iter().map(|hole| slots(*hole)).collect::<Vec<_>>(),
        "last": log.last.0,
        "durable": log.durable.0,
        "lost": log.lost,
        "torn": log.torn,
    })
}

fn segment(segment: &SegmentSeen) -> Value {
    json!({
        "number": segment.number,
        "file": segment.file,
        "bytes": segment.bytes,
        "verdict": row(segment.row),
        "headers": copies(&segment.headers, header),
        "records": segment.records.iter().map(records).collect::<Vec<_>>(),
        "durable": segment.durable.0,
        "promised": ballot(segment.promised),
        "stray": segment.stray,
    })
}

fn header(header: &Header) -> Value {
    json!({
        "cluster": header.cluster.to_string(),
        "replica": header.replica.0,
        "disk": header.disk.to_string(),
        "number": header.number,
        "incarnation": header.incarnation.to_string(),
        "salt": format!("{:016x}", header.salt),
        "bytes": header.bytes,
        "first": header.first.0,
        "sealed": header.sealed.0,
        "durable": header.durable.0,
    })
}

fn records(records: &RecordsSeen) -> Value {
    json!({
        "offset": records.offset,
        "end": records.end,
        "first": records.first.0,
        "last": records.last.0,
        "whole": records.whole,
        "verdict": row(records.row),
    })
}

fn members(list: Option<&Membership>) -> Value {
    let member =
        |member: &Member| json!({ "replica": member.replica.0, "disk": member.disk.to_string() });
    Value::Array(list.map_or(&[][..], Membership::members).iter().map(member).collect())
}

/// The quorums of which no member can be left out, each as the names of its members.
fn quorums(list: Option<&Membership>) -> Value {
    let Some(list) = list else { return Value::Null };
    let names = |sets: Vec<VoteSet>| -> Vec<Vec<u32>> {
        let members = |set: VoteSet| {
            let inside = list.members().iter().enumerate().filter(move |(i, _)| set.contains(*i));
            inside.map(|(_, member)| member.replica.0).collect()
        };
        sets.into_iter().map(members).collect()
    };
    json!({
        "prepare": names(list.quorums().least_prepare()),
        "accept": names(list.quorums().least_accept()),
    })
}

fn runs(runs: &[Run]) -> Value {
    let run = |run: &Run| json!({ "slots": slots(run.slots), "ballot": ballot(run.ballot) });
    Value::Array(runs.iter().map(run).collect())
}

/// The first slot, and the first one after them.
fn slots(slots: Slots) -> Value {
    json!({ "start": slots.start.0, "end": slots.end.0 })
}

fn ballot(ballot: Ballot) -> Value {
    json!({ "round": ballot.round, "replica": ballot.replica.0 })
}
