//! What a play shows: the lines of the trace in its own words.

use core::mem::take;
use std::collections::BTreeMap;
use std::format;
use std::string::String;
use std::vec::Vec;

use crate::entry::CommandId;
use crate::sim::network::Envelope;
use crate::sim::oracle::chosen::command_ids;
use crate::sim::oracle::index_of;
use crate::sim::text;

use super::stage::Stage;

/// The play's names for entries, by what the trace shows of them; nothing where two look alike.
type Entries = BTreeMap<String, Option<String>>;

impl Stage {
    /// How many lines were said and done since this was asked last.
    pub(super) fn count_lines(&mut self) -> usize {
        if self.only_events {
            return self.take_lines().len();
        }
        take(&mut self.lines).len() + self.driver.cluster.trace.take_lines().len()
    }

    /// What was said and done since this was asked last, as lines.
    pub(super) fn take_lines(&mut self) -> Vec<String> {
        let mut lines = take(&mut self.lines);
        let trace = self.driver.cluster.trace.take_lines();
        let entries = self.entries();
        for line in trace {
            let Some((_, done)) = line.split_once("ms ") else { continue };
            // The play's own words say it better.
            if done.contains(" is proposed ") {
                continue;
            }
            let done = plain(&with_names(&self.with_fates(done), &entries));
            // The commands that only keep a run busy have numbers, no names.
            let named = || done.split_once(" fate of ").is_some_and(|(_, of)| !is_digit(of));
            if !self.only_events || done.contains(" event: ") || named() {
                lines.push(done);
            }
        }
        lines
    }

    /// Messages under way.
    pub(super) fn described<'a>(
        &self,
        envelopes: impl IntoIterator<Item = &'a Envelope>,
    ) -> Vec<String> {
        let entries = self.entries();
        let describe = |envelope: &Envelope| {
            let link = format!("{}->{}", envelope.from.replica, envelope.to);
            let what = match self.contents(envelope) {
                Some(body) => with_names(&text::body(&body), &entries),
                None => String::from("a frame that makes no sense"),
            };
            let now = &self.driver.cluster.hosts[index_of(envelope.from.replica)].peer;
            let old = if now.incarnation == envelope.from.incarnation {
                String::new()
            } else {
                format!(", of life {}", envelope.from.incarnation.count())
            };
            format!("{link} {what}{old}")
        };
        envelopes.into_iter().map(describe).collect()
    }

    fn entries(&self) -> Entries {
        let mut entries = Entries::new();
        for entry in self.driver.cluster.oracle.entries() {
            let name = |id| self.names.get(&id).map(String::as_str);
            let Some(names) = command_ids(entry).map(name).collect::<Option<Vec<_>>>() else {
                continue;
            };
            let names = format!("[{}]", names.join(" "));
            let known = entries.entry(text::entry(entry)).or_insert_with(|| Some(names.clone()));
            known.take_if(|known| *known != names);
        }
        entries
    }

    /// The line with the play's names for the commands whose fate it tells.
    fn with_fates(&self, line: &str) -> String {
        let told = || {
            let (who, rest) = line.split_once(" fate of ")?;
            let (range, fate) = rest.split_once(": ")?;
            let (first, end) = range.split_once("..")?;
            let peer = self.driver.cluster.hosts[who.parse::<usize>().ok()? - 1].peer;
            let (replica, incarnation) = (peer.replica, peer.incarnation);
            let names: Option<Vec<&str>> = (first.parse::<u64>().ok()?..end.parse().ok()?)
                .map(|sequence| CommandId { replica, incarnation, sequence })
                .map(|id| self.names.get(&id).map(String::as_str))
                .collect();
            Some(format!("{who} fate of {}: {fate}", names?.join(" ")))
        };
        told().unwrap_or_else(|| String::from(line))
    }
}

/// The line with the play's names for the commands of each entry.
fn with_names(line: &str, entries: &Entries) -> String {
    let mut named = String::new();
    let mut rest = line;
    while let Some(at) = rest.find('[') {
        let Some(end) = rest[at..].find(']') else { break };
        let token = &rest[at..=at + end];
        named.push_str(&rest[..at]);
        let name = entries.get(token).and_then(Option::as_deref);
        named.push_str(name.unwrap_or(token));
        rest = &rest[at + end + 1..];
    }
    named + rest
}

fn is_digit(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_digit())
}

/// The line without the names of types that only wrap a number.
fn plain(line: &str) -> String {
    let mut line = String::from(line);
    for (before, after, sign) in [("ReplicaId(", ")", ""), ("Slot(", ")", "s")] {
        while let Some((head, rest)) = line.split_once(before) {
            let Some((number, tail)) = rest.split_once(after) else { break };
            line = format!("{head}{sign}{number}{tail}");
        }
    }
    while let Some((head, rest)) = line.split_once("Ballot { round: ") {
        let Some((ballot, tail)) = rest.split_once(" }") else { break };
        line = format!("{head}{}{tail}", ballot.replace(", replica: ", "."));
    }
    if let Some((head, rest)) = line.split_once("starts, Incarnation(")
        && let Some(start) = rest.strip_suffix(')').and_then(|start| start.parse::<u64>().ok())
    {
        line = format!("{head}starts, life {}", start >> 16);
    }
    line
}
