//! The grammar of plays: a line of text to a command.

use core::time::Duration;
use std::boxed::Box;
use std::format;
use std::string::{String, ToString};
use std::vec::Vec;

use crate::ballot::Ballot;
use crate::config::Config;
use crate::membership::ReplicaId;
use crate::quorum::QuorumTextError;
use crate::sim::host::{DiskKind, Settings};

use super::words::{self, Words};

/// A line of a play that is kept: a command, a comment or a blank.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Line {
    pub(super) number: usize,
    pub(super) text: String,
    /// Whether what it causes is counted, not shown.
    pub(super) quiet: bool,
    pub(super) command: Option<Command>,
}

/// The cluster of a play.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Scene {
    pub(super) settings: Settings,
    /// Who is not started.
    pub(super) down: Vec<usize>,
}

/// Slots, or the numbers of pieces: from `start` up to, not with, `end`, every `step`th.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Slots {
    pub(super) start: u64,
    pub(super) end: u64,
    pub(super) step: usize,
}

/// Which messages are meant, of those under way.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Which {
    pub(super) from: Option<usize>,
    pub(super) to: Option<usize>,
    pub(super) kind: Option<&'static str>,
    pub(super) slots: Option<Slots>,
    pub(super) ballot: Option<Ballot>,
    pub(super) life: Option<u64>,
    pub(super) count: Option<usize>,
}

/// What happens to the messages that are meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Lot {
    /// They arrive.
    Deliver,
    /// They arrive, and stay under way.
    Copy,
    /// They are lost.
    Drop,
    /// A bit of each is flipped.
    Damage { byte: u64, bit: u64 },
    /// Only that many bytes are left of each.
    Shorten { bytes: usize },
    /// They seem to come from another cluster.
    OtherCluster { name: String },
    /// They seem to come from another disk.
    OtherDisk { disk: u8 },
}

/// A part of a sync.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SyncPart {
    Whole,
    Begin,
    End,
}

/// Which links are cut or mended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Links {
    OneWay { from: usize, to: usize },
    Both { one: usize, other: usize },
    Split { side: Vec<usize> },
    Hub { at: usize },
    Chain,
}

/// What a directory goes through while its replica is down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Directory {
    Rot { at: usize, record: u64 },
    Wipe { at: usize },
    Save { at: usize },
    Restore { at: usize },
}

/// What a play expects.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Expectation {
    Leader(Option<usize>),
    Status { at: usize, pairs: Vec<(String, String)> },
    Fate { name: String, fate: String },
    Slot { slot: u64, holds: Vec<String> },
    Marks(Vec<(String, u64)>),
    Way { which: Which, count: usize },
    Elections(u64),
    Same,
}

/// A command. Replicas are places, counted from 0.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Command {
    Cluster(Box<Scene>),
    Propose {
        at: usize,
        names: Vec<String>,
        bytes: usize,
    },
    Read {
        at: usize,
    },
    /// Without a target: to whoever suits best.
    Transfer {
        at: usize,
        to: Option<usize>,
    },
    Mail {
        which: Which,
        lot: Lot,
    },
    Way,
    Sync {
        at: Option<usize>,
        part: SyncPart,
    },
    FailSync {
        at: usize,
    },
    Apply {
        at: usize,
    },
    Settle {
        among: Vec<usize>,
        holding: Vec<&'static str>,
    },
    Elect {
        at: usize,
        without: Vec<usize>,
        holding: Vec<&'static str>,
    },
    Tick {
        at: usize,
        micros: u64,
    },
    Pass {
        micros: u64,
    },
    Clock {
        at: usize,
        micros: u64,
    },
    Drift {
        at: usize,
        millionths: i64,
    },
    Run {
        micros: u64,
        propose_every: Option<u64>,
    },
    Crash {
        at: usize,
        /// How many of the unsynced records are kept; `None`: all.
        keep: Option<u64>,
    },
    Start {
        at: usize,
        refused: bool,
    },
    Directory(Directory),
    Cut(Links),
    Mend(Option<Links>),
    Heal,
    Show(Option<usize>),
    Expect(Expectation),
}

impl Which {
    fn replicas(&self) -> Vec<usize> {
        self.from.into_iter().chain(self.to).collect()
    }
}

impl Links {
    fn replicas(&self) -> Vec<usize> {
        match self {
            Self::OneWay { from, to } => std::vec![*from, *to],
            Self::Both { one, other } => std::vec![*one, *other],
            Self::Split { side } => side.clone(),
            Self::Hub { at } => std::vec![*at],
            Self::Chain => Vec::new(),
        }
    }
}

impl Command {
    /// The replicas that it names.
    fn replicas(&self) -> Vec<usize> {
        match self {
            Self::Cluster(scene) => scene.down.clone(),
            Self::Propose { at, .. }
            | Self::Read { at }
            | Self::FailSync { at }
            | Self::Apply { at }
            | Self::Tick { at, .. }
            | Self::Clock { at, .. }
            | Self::Drift { at, .. }
            | Self::Crash { at, .. }
            | Self::Start { at, .. }
            | Self::Expect(Expectation::Status { at, .. })
            | Self::Directory(
                Directory::Rot { at, .. }
                | Directory::Wipe { at }
                | Directory::Save { at }
                | Directory::Restore { at },
            ) => std::vec![*at],
            Self::Sync { at, .. } | Self::Show(at) | Self::Expect(Expectation::Leader(at)) => {
                at.iter().copied().collect()
            }
            Self::Mail { which, .. } | Self::Expect(Expectation::Way { which, .. }) => {
                which.replicas()
            }
            Self::Transfer { at, to } => to.iter().chain([at]).copied().collect(),
            Self::Settle { among, .. } => among.clone(),
            Self::Elect { at, without, .. } => without.iter().chain([at]).copied().collect(),
            Self::Cut(links) | Self::Mend(Some(links)) => links.replicas(),
            Self::Way
            | Self::Pass { .. }
            | Self::Run { .. }
            | Self::Mend(None)
            | Self::Heal
            | Self::Expect(_) => Vec::new(),
        }
    }
}

impl Line {
    /// Reads a line; `None` if it is what a command caused.
    pub(super) fn parse(number: usize, text: &str) -> Result<Option<Self>, String> {
        if text.starts_with("    ") {
            return Ok(None);
        }
        if text.trim() != text {
            return Err(String::from("only what a command caused is indented, by four blanks"));
        }
        let line = |quiet, command| Some(Self { number, text: String::from(text), quiet, command });
        if text.is_empty() || text.starts_with('#') {
            return Ok(line(false, None));
        }
        let (quiet, said) = match text.strip_prefix("quietly ") {
            Some(rest) => (true, rest),
            None => (false, text),
        };
        let mut words = Words::new(said);
        let command = command(&mut words)?;
        words.end()?;
        Ok(line(quiet, Some(command)))
    }
}

/// The comment that a text opens with.
pub(super) fn story(text: &str) -> String {
    let lines = text.lines().take_while(|line| line.starts_with('#'));
    let lines: Vec<&str> = lines.map(|line| line.trim_start_matches('#').trim()).collect();
    lines.join("\n").trim().to_string()
}

/// What can be told of a play without running it: the cluster comes first and once, and every
/// replica that is named exists.
pub(super) fn check(lines: &[Line]) -> Result<(), (usize, String)> {
    let mut replicas = None;
    for line in lines {
        let Some(command) = &line.command else { continue };
        let bad = |problem: &str| Err((line.number, String::from(problem)));
        match (replicas, command) {
            (None, Command::Cluster(scene)) => replicas = Some(scene.settings.replicas),
            (None, _) => return bad("the first command must be `cluster`"),
            (Some(_), Command::Cluster(_)) => return bad("a play has one cluster"),
            (Some(_), _) => {}
        }
        let named = command.replicas().into_iter().max();
        if let Some(highest) = named.filter(|highest| Some(*highest) >= replicas) {
            return Err((line.number, format!("there is no replica {}", highest + 1)));
        }
    }
    match replicas {
        Some(_) => Ok(()),
        None => Err((lines.last().map_or(1, |line| line.number), String::from("no cluster"))),
    }
}

fn command(words: &mut Words<'_>) -> Result<Command, String> {
    let verb = words.next("a command")?;
    Ok(match verb {
        "cluster" => Command::Cluster(Box::new(scene(words)?)),
        "propose" => Command::Propose {
            at: words.replica()?,
            names: names(words)?,
            bytes: words.pair("bytes")?.map_or(Ok(8), words::number)? as usize,
        },
        "read" => Command::Read { at: words.replica()? },
        "deliver" | "copy" | "drop" | "damage" | "shorten" | "forge" => mail(verb, words)?,
        "way" => Command::Way,
        "sync" | "begin-sync" | "end-sync" => {
            let part = match verb {
                "sync" => SyncPart::Whole,
                "begin-sync" => SyncPart::Begin,
                _ => SyncPart::End,
            };
            let at = if words.take("all") { None } else { Some(words.replica()?) };
            Command::Sync { at, part }
        }
        "fail-sync" => Command::FailSync { at: words.replica()? },
        "apply" => Command::Apply { at: words.replica()? },
        "settle" => Command::Settle {
            among: words.pair("among")?.map_or(Ok(Vec::new()), words::replicas)?,
            holding: words.pair("holding")?.map_or(Ok(Vec::new()), words::kinds)?,
        },
        "elect" => Command::Elect {
            at: words.replica()?,
            without: words.pair("without")?.map_or(Ok(Vec::new()), words::replicas)?,
            holding: words.pair("holding")?.map_or(Ok(Vec::new()), words::kinds)?,
        },
        "transfer" => match words.links()? {
            Links::OneWay { from, to } => Command::Transfer { at: from, to: Some(to) },
            _ => return Err(String::from("a transfer is like 1->2")),
        },
        "resign" => Command::Transfer { at: words.replica()?, to: None },
        "tick" => Command::Tick { at: words.replica()?, micros: words.time()? },
        "pass" => Command::Pass { micros: words.time()? },
        "clock" => Command::Clock { at: words.replica()?, micros: words.time()? },
        "drift" => Command::Drift { at: words.replica()?, millionths: words.signed()? },
        "run" => Command::Run {
            micros: words.time()?,
            propose_every: words.pair("propose")?.map(words::micros).transpose()?,
        },
        "crash" => Command::Crash {
            at: words.replica()?,
            keep: match words.pair("keep")? {
                None => Some(0),
                Some("all") => None,
                Some(count) => Some(words::number(count)?),
            },
        },
        "start" => Command::Start { at: words.replica()?, refused: words.take("refused") },
        "rot" | "wipe" | "save" | "restore" => Command::Directory(directory(verb, words)?),
        "cut" => Command::Cut(words.links()?),
        "split" => Command::Cut(Links::Split { side: words::replicas(words.next("replicas")?)? }),
        "hub" => Command::Cut(Links::Hub { at: words.replica()? }),
        "chain" => Command::Cut(Links::Chain),
        "mend" => Command::Mend(if words.is_empty() { None } else { Some(words.links()?) }),
        "heal" => Command::Heal,
        "show" => Command::Show(if words.is_empty() { None } else { Some(words.replica()?) }),
        "expect" => Command::Expect(expectation(words)?),
        other => return Err(format!("there is no command `{other}`")),
    })
}

/// The names of the commands that are proposed.
fn names(words: &mut Words<'_>) -> Result<Vec<String>, String> {
    let name = words.name()?;
    Ok(match words.pair("count")?.map(words::number).transpose()? {
        None => std::vec![name],
        Some(count @ 1..=1000) => (1..=count).map(|nth| format!("{name}{nth}")).collect(),
        Some(count) => return Err(format!("at most 1000 commands at a time, not {count}")),
    })
}

fn scene(words: &mut Words<'_>) -> Result<Scene, String> {
    let replicas = words::number(words.next("how many replicas")?)?;
    if !(1..=9).contains(&replicas) {
        return Err(format!("a cluster has 1 to 9 replicas, not {replicas}"));
    }
    let mut settings = Settings {
        replicas: replicas as usize,
        config: Config::new([]),
        priorities: Vec::new(),
        formed: true,
        slow_machines: false,
        disk: DiskKind::Journal,
        frame_bytes_max: None,
        seed: 1,
    };
    let mut down = Vec::new();
    while let Some((key, value)) = words.any_pair()? {
        match (key, value) {
            ("down", ids) => down = words::replicas(ids)?,
            ("formed", "no") => settings.formed = false,
            ("disk", "wal") => settings.disk = DiskKind::Wal,
            ("machines", "slow") => settings.slow_machines = true,
            ("priorities", list) => settings.priorities = words::priorities(list)?,
            ("seed", seed) => settings.seed = words::number(seed)?,
            ("frames", bytes) => {
                let bytes = words::number(bytes)? as usize;
                if bytes < 392 {
                    return Err(format!("frames of {bytes} bytes are too short: at least 392"));
                }
                settings.frame_bytes_max = Some(bytes);
            }
            _ => set(&mut settings.config, key, value)?,
        }
    }
    let mut config = settings.config.clone();
    config.members = (1..=replicas as u32).map(ReplicaId).collect();
    config.check(ReplicaId(1)).map_err(|error| error.to_string())?;
    Ok(Scene { settings, down })
}

/// Sets a field of the settings by its name.
fn set(config: &mut Config, key: &str, value: &str) -> Result<(), String> {
    let time = || words::micros(value).map(Duration::from_micros);
    let size = || words::number(value).map(|number| number as usize);
    match key {
        "heartbeat" => config.heartbeat = time()?,
        "election_timeout" => config.election_timeout = time()?,
        "pipeline_slots" => config.pipeline_slots = words::number(value)?,
        "partial_slots" => config.partial_slots = words::number(value)?,
        "pipeline_bytes" => config.pipeline_bytes = size()?,
        "batch_bytes" => config.batch_bytes = size()?,
        "command_bytes" => config.command_bytes = size()?,
        "queue_bytes" => config.queue_bytes = size()?,
        "unsynced_bytes" => config.unsynced_bytes = size()?,
        "apply_slots" => config.apply_slots = words::number(value)?,
        "quorums" => {
            config.quorums = value.parse().map_err(|error: QuorumTextError| error.to_string())?;
        }
        _ => return Err(format!("a cluster has no setting {key}={value}")),
    }
    Ok(())
}

fn mail(verb: &str, words: &mut Words<'_>) -> Result<Command, String> {
    let mut number = |key: &str| -> Result<u64, String> {
        let value = words.pair(key)?.ok_or_else(|| format!("{verb} needs {key}=N"))?;
        words::number(value)
    };
    let lot = match verb {
        "deliver" => Lot::Deliver,
        "copy" => Lot::Copy,
        "drop" => Lot::Drop,
        "damage" => {
            let lot = Lot::Damage { byte: number("byte")?, bit: number("bit")? };
            if matches!(lot, Lot::Damage { bit: 8.., .. }) {
                return Err(String::from("a byte has the bits 0 to 7"));
            }
            lot
        }
        "shorten" => Lot::Shorten { bytes: number("bytes")? as usize },
        _ => match (words.pair("cluster")?, words.pair("disk")?) {
            (Some(name), None) if name.len() <= 16 => {
                Lot::OtherCluster { name: String::from(name) }
            }
            (None, Some(disk)) => {
                let disk = u8::try_from(words::number(disk)?);
                Lot::OtherDisk { disk: disk.map_err(|_| "a disk is 0 to 255 here")? }
            }
            _ => return Err(String::from("forge needs cluster=NAME, at most 16 bytes, or disk=N")),
        },
    };
    Ok(Command::Mail { which: words.which()?, lot })
}

fn directory(verb: &str, words: &mut Words<'_>) -> Result<Directory, String> {
    let at = words.replica()?;
    Ok(match verb {
        "rot" => {
            let record = words.pair("record")?.ok_or("rot needs record=N")?;
            Directory::Rot { at, record: words::number(record)? }
        }
        "wipe" => Directory::Wipe { at },
        "save" => Directory::Save { at },
        _ => Directory::Restore { at },
    })
}

fn expectation(words: &mut Words<'_>) -> Result<Expectation, String> {
    if let Some(at) = words.replica_if_any() {
        let mut pairs = Vec::new();
        while let Some((key, value)) = words.any_pair()? {
            pairs.push((key.to_string(), value.to_string()));
        }
        if pairs.is_empty() {
            return Err(String::from("expect a replica's KEY=VALUE, at least one"));
        }
        return Ok(Expectation::Status { at, pairs });
    }
    Ok(match words.next("what to expect")? {
        "leader" if words.take("none") => Expectation::Leader(None),
        "leader" => Expectation::Leader(Some(words.replica()?)),
        "slot" => {
            let slot = words::number(words.next("a slot")?)?;
            let holds: Vec<String> = words.rest().map(String::from).collect();
            if holds.is_empty() {
                return Err(String::from("expect a slot to hold commands, `noop`, or be `open`"));
            }
            Expectation::Slot { slot, holds }
        }
        "mark" => {
            let mut marks = Vec::new();
            while let Some((key, value)) = words.any_pair()? {
                marks.push((key.to_string(), words::number(value)?));
            }
            if marks.is_empty() {
                return Err(String::from("expect a mark's NAME=N, at least one"));
            }
            Expectation::Marks(marks)
        }
        "way" => {
            let mut which = words.which()?;
            let count = which.count.take().ok_or("expect way needs count=N")?;
            Expectation::Way { which, count }
        }
        "elections" => Expectation::Elections(words::number(words.next("how many")?)?),
        "same" => Expectation::Same,
        name => {
            Expectation::Fate { name: name.to_string(), fate: words.next("a fate")?.to_string() }
        }
    })
}
