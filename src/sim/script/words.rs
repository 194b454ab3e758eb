//! The words of a line: numbers, times, replicas, links, kinds of messages.

use std::format;
use std::string::String;
use std::vec::Vec;

use crate::ballot::Ballot;
use crate::membership::ReplicaId;

use super::grammar::{Links, Slots, Which};

/// The names of what can be under way.
const KINDS: [&str; 24] = [
    "Prepare",
    "Promise",
    "Nack",
    "Accept",
    "Accepted",
    "Behind",
    "Heartbeat",
    "HeartbeatAnswer",
    "Canvass",
    "CanvassAnswer",
    "Fetch",
    "Fetched",
    "CatchUp",
    "Chosen",
    "Forming",
    "Refused",
    "Forward",
    "ForwardAnswer",
    "ReadIndex",
    "ReadIndexAnswer",
    "HandOver",
    "Announcement",
    "Fragment",
    "Acknowledgement",
];

/// The words of a command that were not read yet. Pairs `KEY=VALUE` may stand in any order.
#[derive(Debug)]
pub(super) struct Words<'a> {
    plain: Vec<&'a str>,
    pairs: Vec<(&'a str, &'a str)>,
}

impl<'a> Words<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        let (mut plain, mut pairs) = (Vec::new(), Vec::new());
        for word in text.split_whitespace() {
            match word.split_once('=') {
                Some(pair) => pairs.push(pair),
                None => plain.push(word),
            }
        }
        plain.reverse();
        pairs.reverse();
        Self { plain, pairs }
    }

    /// The next word that is no pair.
    pub(super) fn next(&mut self, what: &str) -> Result<&'a str, String> {
        self.plain.pop().ok_or_else(|| format!("the line ends where {what} should stand"))
    }

    /// All that are left.
    pub(super) fn rest(&mut self) -> impl Iterator<Item = &'a str> + use<'a> {
        core::mem::take(&mut self.plain).into_iter().rev()
    }

    /// Whether the next word is this one; then it is read.
    pub(super) fn take(&mut self, word: &str) -> bool {
        let is = self.plain.last() == Some(&word);
        if is {
            self.plain.pop();
        }
        is
    }

    pub(super) fn is_empty(&self) -> bool {
        self.plain.is_empty() && self.pairs.is_empty()
    }

    /// The value of a key, if it is there once.
    pub(super) fn pair(&mut self, key: &str) -> Result<Option<&'a str>, String> {
        let Some(at) = self.pairs.iter().position(|(k, _)| *k == key) else { return Ok(None) };
        let (_, value) = self.pairs.remove(at);
        if self.pairs.iter().any(|(k, _)| *k == key) {
            return Err(format!("{key} stands twice"));
        }
        Ok(Some(value))
    }

    /// The next pair, whatever its key.
    pub(super) fn any_pair(&mut self) -> Result<Option<(&'a str, &'a str)>, String> {
        let Some((key, value)) = self.pairs.pop() else { return Ok(None) };
        if self.pairs.iter().any(|(k, _)| *k == key) {
            return Err(format!("{key} stands twice"));
        }
        Ok(Some((key, value)))
    }

    /// A replica, as its place.
    pub(super) fn replica(&mut self) -> Result<usize, String> {
        replica(self.next("a replica")?)
    }

    /// A replica, if the next word is one.
    pub(super) fn replica_if_any(&mut self) -> Option<usize> {
        let at = replica(self.plain.last()?).ok()?;
        self.plain.pop();
        Some(at)
    }

    /// A name for a command.
    pub(super) fn name(&mut self) -> Result<String, String> {
        let name = self.next("a name")?;
        let sound = name.starts_with(|c: char| c.is_ascii_lowercase())
            && name.chars().all(|c| c.is_ascii_alphanumeric());
        let taken = ["leader", "slot", "mark", "way", "elections", "same", "noop", "open"];
        if !sound || taken.contains(&name) {
            return Err(format!("a command cannot be called `{name}`"));
        }
        Ok(String::from(name))
    }

    /// A duration, in microseconds.
    pub(super) fn time(&mut self) -> Result<u64, String> {
        micros(self.next("a time")?)
    }

    /// A number that may be below zero.
    pub(super) fn signed(&mut self) -> Result<i64, String> {
        let word = self.next("a number")?;
        let number = word.parse().map_err(|_| format!("`{word}` is no number"))?;
        if !(-500_000..=500_000).contains(&number) {
            return Err(format!("a drift of {number} millionths is out of -500000..=500000"));
        }
        Ok(number)
    }

    /// A link: `1->3` or `1-3`.
    pub(super) fn links(&mut self) -> Result<Links, String> {
        let word = self.next("a link")?;
        if let Some((from, to)) = word.split_once("->") {
            return Ok(Links::OneWay { from: replica(from)?, to: replica(to)? });
        }
        match word.split_once('-') {
            Some((one, other)) => Ok(Links::Both { one: replica(one)?, other: replica(other)? }),
            None => Err(format!("`{word}` is no link: `1->3` and `1-3` are")),
        }
    }

    /// Which messages under way.
    pub(super) fn which(&mut self) -> Result<Which, String> {
        let link = self.next("a link")?;
        let (from, to) = match link.split_once("->") {
            Some((from, to)) => (end(from)?, end(to)?),
            None if link == "*" => (None, None),
            None => return Err(format!("`{link}` is no link: `1->3`, `1->*` and `*` are")),
        };
        let ballot = match self.pair("ballot")? {
            None => None,
            Some(word) => {
                let (round, owner) = word.split_once('.').ok_or("a ballot is like 2.1")?;
                let owner = ReplicaId(replica(owner)? as u32 + 1);
                Some(Ballot { round: number(round)?, replica: owner })
            }
        };
        Ok(Which {
            from,
            to,
            kind: self.plain.pop().map(kind).transpose()?,
            slots: self.pair("slot")?.map(slots).transpose()?,
            ballot,
            life: self.pair("life")?.map(number).transpose()?,
            count: self.pair("count")?.map(number).transpose()?.map(|count| count as usize),
        })
    }

    /// Nothing may be left.
    pub(super) fn end(&self) -> Result<(), String> {
        if let Some(word) = self.plain.last() {
            return Err(format!("`{word}` makes no sense here"));
        }
        match self.pairs.last() {
            Some((key, value)) => Err(format!("`{key}={value}` makes no sense here")),
            None => Ok(()),
        }
    }
}

fn end(word: &str) -> Result<Option<usize>, String> {
    if word == "*" { Ok(None) } else { replica(word).map(Some) }
}

/// A replica's place.
fn replica(word: &str) -> Result<usize, String> {
    match word.parse::<usize>() {
        Ok(id @ 1..=9) => Ok(id - 1),
        _ => Err(format!("`{word}` is no replica: they count from 1")),
    }
}

/// Several replicas, as `1,3`.
pub(super) fn replicas(word: &str) -> Result<Vec<usize>, String> {
    word.split(',').map(replica).collect()
}

/// Priorities, as `2,1,1`.
pub(super) fn priorities(word: &str) -> Result<Vec<u8>, String> {
    let priority = |word: &str| word.parse().map_err(|_| format!("`{word}` is no priority"));
    word.split(',').map(priority).collect()
}

/// Kinds of messages, as `accept,nack`.
pub(super) fn kinds(word: &str) -> Result<Vec<&'static str>, String> {
    word.split(',').map(kind).collect()
}

fn kind(word: &str) -> Result<&'static str, String> {
    let found = KINDS.into_iter().find(|kind| kind.eq_ignore_ascii_case(word));
    found.ok_or_else(|| format!("there is no message `{word}`"))
}

/// A slot, or `4..9`, or every second one as `0..70/2`.
fn slots(word: &str) -> Result<Slots, String> {
    let Some((start, rest)) = word.split_once("..") else {
        let start = number(word)?;
        return Ok(Slots { start, end: start.saturating_add(1), step: 1 });
    };
    let (end, step) = rest.split_once('/').unwrap_or((rest, "1"));
    let slots = Slots { start: number(start)?, end: number(end)?, step: number(step)? as usize };
    if slots.step == 0 || slots.end <= slots.start || slots.end - slots.start > 10_000 {
        return Err(format!("`{word}` are no slots: 3, 4..9 and 0..70/2 are"));
    }
    Ok(slots)
}

/// A number.
pub(super) fn number(word: &str) -> Result<u64, String> {
    word.parse().map_err(|_| format!("`{word}` is no number"))
}

/// A duration such as `25ms`, in microseconds; at most an hour.
pub(super) fn micros(word: &str) -> Result<u64, String> {
    let units = [("us", 1), ("ms", 1000), ("s", 1_000_000)];
    let unit =
        units.into_iter().find_map(|(unit, micros)| Some((word.strip_suffix(unit)?, micros)));
    let time = unit.and_then(|(count, micros)| count.parse::<u64>().ok()?.checked_mul(micros));
    match time {
        Some(time @ 0..=3_600_000_000) => Ok(time),
        _ => Err(format!("`{word}` is no time: 25ms, 300us and 2s are, up to an hour")),
    }
}
