//! Messages and records as short lines for the trace.

use std::format;
use std::string::{String, ToString};
use std::vec::Vec;

use crate::ballot::Ballot;
use crate::entry::Entry;
use crate::message::{Announcement, Message};
use crate::record::Record;
use crate::slot::{Run, Slot};
use crate::wire::Body;

use super::trace::fingerprint;

/// An entry with four digits of its fingerprint: enough to see whether two are the same.
pub(crate) fn entry(entry: &Entry) -> String {
    match entry {
        Entry::Noop => String::from("noop"),
        Entry::Batch(batch) => {
            format!("[{} {:04x}]", batch.count(), fingerprint(entry) & 0xffff)
        }
    }
}

fn runs(runs: &[Run]) -> String {
    let runs: Vec<String> = runs.iter().map(ToString::to_string).collect();
    format!("{{{}}}", runs.join(" "))
}

fn announced(announcement: &Announcement) -> String {
    format!("chosen {} {}", announcement.chosen, runs(&announcement.runs))
}

fn sign(name: &str, ballot: Ballot, sequence: u64, announcement: &Announcement) -> String {
    format!("{name} {ballot} #{sequence} {}", announced(announcement))
}

/// A message in a few words.
pub(crate) fn message(message: &Message) -> String {
    let name = message.name();
    match message {
        Message::Prepare(m) => format!("{name} {} from {}", m.ballot, m.first),
        Message::Promise(m) => format!(
            "{name} {} {}{} chosen {} accepted {} faulty {}",
            m.ballot,
            m.slots,
            if m.last { " last" } else { "" },
            m.chosen,
            runs(&m.accepted),
            runs(&m.faulty)
        ),
        Message::Nack(m) => {
            format!("{name} {} promised {} chosen {}", m.ballot, m.promised, m.chosen)
        }
        Message::Accept(m) => {
            let told = announced(&m.announcement);
            format!("{name} {} {} {} {told}", m.ballot, m.slot, entry(&m.entry))
        }
        Message::Accepted(m) => format!("{name} {} {} chosen {}", m.ballot, m.slots, m.chosen),
        Message::Behind(m) => format!("{name} {} chosen {}", m.ballot, m.chosen),
        Message::Heartbeat(m) => sign(name, m.ballot, m.sequence, &m.announcement),
        Message::HeartbeatAnswer(m) => {
            format!("{name} {} #{} chosen {}", m.ballot, m.sequence, m.chosen)
        }
        Message::Canvass(m) => format!("{name} #{} chosen {}", m.sequence, m.chosen),
        Message::CanvassAnswer(m) => format!(
            "{name} #{} {} promised {} leader {} chosen {}",
            m.sequence,
            if m.yes { "yes" } else { "no" },
            m.promised,
            m.leader.map_or_else(|| String::from("none"), |leader| leader.to_string()),
            m.chosen
        ),
        Message::Fetch(m) => format!("{name} {} at {} or above", m.slot, m.ballot),
        Message::Fetched(m) => match &m.proposal {
            Some((ballot, held)) => {
                format!("{name} {} {ballot} {} chosen {}", m.slot, entry(held), m.chosen)
            }
            None => format!("{name} {} gone, chosen {}", m.slot, m.chosen),
        },
        Message::CatchUp(m) => format!("{name} {} chosen {}", m.slots, m.chosen),
        Message::Chosen(m) => {
            format!("{name} {} {} {} chosen {}", m.slot, m.ballot, entry(&m.entry), m.chosen)
        }
        Message::Forming(m) => {
            let members = m.members.as_ref().map_or(0, |list| list.members().len());
            format!("{name} {members} members{}", if m.formed { ", formed" } else { "" })
        }
        Message::Refused(m) => format!("{name} latest start {}", m.incarnation.0),
        Message::Forward(m) => format!(
            "{name} {} {} below {}, after #{}",
            m.ballot,
            entry(&Entry::Batch(m.batch.clone())),
            m.limit,
            m.after
        ),
        Message::ForwardAnswer(m) => {
            let told = announced(&m.announcement);
            format!("{name} {} taken below #{}, next {} {told}", m.ballot, m.taken, m.next)
        }
        Message::ReadIndex(m) => format!("{name} {} for reads below #{}", m.ballot, m.reads),
        Message::ReadIndexAnswer(m) => {
            let told = announced(&m.announcement);
            format!("{name} {} for reads below #{} {told}", m.index, m.reads)
        }
        Message::HandOver(m) => sign(name, m.ballot, m.sequence, &m.announcement),
        Message::Announcement(m) => format!("{name} {}", announced(m)),
    }
}

/// A record in a few words.
pub(crate) fn record(record: &Record) -> String {
    match record {
        Record::Promised { ballot } => format!("Promised {ballot}"),
        Record::Accepted { slot, ballot, entry: held } => {
            format!("Accepted {slot} {ballot} {}", entry(held))
        }
        Record::Chosen { slot, ballot, entry: held } => {
            format!("Chosen {slot} {ballot} {}", entry(held))
        }
        Record::Members { members } => format!("Members {}", members.members().len()),
        Record::Formed => String::from("Formed"),
    }
}

/// What a frame holds, in a few words.
pub(crate) fn body(body: &Body) -> String {
    match body {
        Body::Message(held) => message(held),
        Body::Fragment(piece) => {
            format!("Fragment {} of #{}, {} bytes", piece.index, piece.number, piece.bytes.len())
        }
        Body::Acknowledgement(told) => {
            format!("Acknowledgement of #{}, {} arrived", told.number, told.arrived)
        }
    }
}

/// The ballot of a message, where it has one.
pub(crate) fn ballot(body: &Body) -> Option<Ballot> {
    let Body::Message(message) = body else { return None };
    match message {
        Message::Prepare(m) => Some(m.ballot),
        Message::Promise(m) => Some(m.ballot),
        Message::Nack(m) => Some(m.ballot),
        Message::Accept(m) => Some(m.ballot),
        Message::Accepted(m) => Some(m.ballot),
        Message::Behind(m) => Some(m.ballot),
        Message::Heartbeat(m) => Some(m.ballot),
        Message::HeartbeatAnswer(m) => Some(m.ballot),
        Message::Fetch(m) => Some(m.ballot),
        Message::Chosen(m) => Some(m.ballot),
        Message::Forward(m) => Some(m.ballot),
        Message::ForwardAnswer(m) => Some(m.ballot),
        Message::ReadIndex(m) => Some(m.ballot),
        Message::HandOver(m) => Some(m.ballot),
        Message::ReadIndexAnswer(_)
        | Message::Announcement(_)
        | Message::Canvass(_)
        | Message::CanvassAnswer(_)
        | Message::Fetched(_)
        | Message::CatchUp(_)
        | Message::Forming(_)
        | Message::Refused(_) => None,
    }
}

/// Whether a message speaks of the slot; of a fragment, whether it is that piece.
pub(crate) fn speaks_of(body: &Body, slot: Slot) -> bool {
    let message = match body {
        Body::Message(message) => message,
        Body::Fragment(piece) => return u64::from(piece.index) == slot.0,
        Body::Acknowledgement(_) => return false,
    };
    match message {
        Message::Promise(m) => m.slots.contains(slot) || (m.last && slot >= m.slots.end),
        Message::Accept(m) => m.slot == slot,
        Message::Accepted(m) => m.slots.contains(slot),
        Message::Fetch(m) => m.slot == slot,
        Message::Fetched(m) => m.slot == slot,
        Message::CatchUp(m) => m.slots.contains(slot),
        Message::Chosen(m) => m.slot == slot,
        Message::Prepare(_)
        | Message::Forward(_)
        | Message::ForwardAnswer(_)
        | Message::ReadIndex(_)
        | Message::ReadIndexAnswer(_)
        | Message::HandOver(_)
        | Message::Announcement(_)
        | Message::Nack(_)
        | Message::Behind(_)
        | Message::Heartbeat(_)
        | Message::HeartbeatAnswer(_)
        | Message::Canvass(_)
        | Message::CanvassAnswer(_)
        | Message::Forming(_)
        | Message::Refused(_) => false,
    }
}
