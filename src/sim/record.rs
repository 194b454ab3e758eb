//! Everything that a run did, kept for a closer look: its whole trace as text, and what happened in
//! it as data, of which diagrams are drawn.
//!
//! A run that is recorded does the same as one that is not, and has the same hash. It only keeps
//! more: some hundred bytes for each message.

use std::boxed::Box;
use std::collections::BTreeMap;
use std::format;
use std::string::String;
use std::vec::Vec;

use core::hash::{Hash, Hasher};

use crate::ballot::Ballot;
use crate::membership::{Incarnation, ReplicaId};
use crate::message::Message;
use crate::record::{Lsn, Record};
use crate::replica::Role;
use crate::slot::{Slot, Slots};
use crate::time::Instant;

use super::cluster::Cluster;
use super::driver::Driver;
use super::network::Envelope;
use super::oracle::Broken;
use super::swarm::{self, Swarm};
use super::text;
use super::trace::Fingerprint;
use super::{Report, Violation, report, watch_once};

/// A run with everything that it did.
///
/// ```
/// use synod::sim::{Recording, Swarm, record, simulate};
///
/// let swarm = Swarm::fault_free(1);
/// let Recording { result, lines, occurrences } = record(&swarm);
/// assert_eq!(result?, simulate(&swarm)?, "recording changes nothing");
/// assert!(!lines.is_empty() && !occurrences.is_empty());
/// # Ok::<(), synod::sim::Violation>(())
/// ```
#[derive(Clone, Debug)]
pub struct Recording {
    /// What came of it: the same as without a record.
    pub result: Result<Report, Violation>,
    /// The trace as text, every line of it.
    pub lines: Vec<String>,
    /// What happened, in the order of the cluster's time.
    pub occurrences: Vec<Occurrence>,
}

/// Something that happened in a run.
///
/// ```
/// use synod::sim::{Happened, Occurrence, Swarm, record};
///
/// let occurrences: Vec<Occurrence> = record(&Swarm::fault_free(1)).occurrences;
/// assert!(occurrences.is_sorted_by_key(|occurrence| occurrence.time));
/// assert!(matches!(occurrences[0].what, Happened::Started { .. }));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Occurrence {
    /// The cluster's time.
    pub time: Instant,
    /// How many inputs the replicas had been given.
    pub step: u64,
    /// What happened.
    pub what: Happened,
}

/// What happened. Messages are numbered from 1 on in the order in which they were sent, those to
/// strangers too, which are not shown; number 0 stands for one that no replica of this run sent.
///
/// ```
/// use synod::sim::{Happened, Swarm, record};
///
/// let occurrences = record(&Swarm::fault_free(1)).occurrences;
/// let promises = occurrences.iter().filter(|occurrence| {
///     matches!(occurrence.what, Happened::Sent { kind: "Promise", .. })
/// });
/// assert!(promises.count() >= 2, "somebody was elected");
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Happened {
    /// A replica started.
    Started {
        /// The replica.
        replica: ReplicaId,
        /// Which of its starts it is.
        incarnation: Incarnation,
    },
    /// A replica lost its power.
    Crashed {
        /// The replica.
        replica: ReplicaId,
    },
    /// Something on the disk of a replica that is down went bad.
    Rotted {
        /// The replica.
        replica: ReplicaId,
    },
    /// A replica stands still: it is told nothing.
    Froze {
        /// The replica.
        replica: ReplicaId,
    },
    /// A replica goes on, and is told everything at once.
    Thawed {
        /// The replica.
        replica: ReplicaId,
    },
    /// A replica's clock jumped.
    Jumped {
        /// The replica.
        replica: ReplicaId,
        /// How far, in microseconds.
        by_micros: i64,
    },
    /// What a replica stands by changed: the ballot that it promised, or what it does.
    Stood {
        /// The replica.
        replica: ReplicaId,
        /// The highest ballot that it promised, durably or not.
        promised: Ballot,
        /// What it does.
        role: Role,
    },
    /// A replica took in a command.
    Proposed {
        /// The replica.
        replica: ReplicaId,
        /// The command's length, in bytes.
        bytes: usize,
    },
    /// A replica sent a message.
    Sent {
        /// The message's number.
        message: u64,
        /// Who sent it.
        from: ReplicaId,
        /// To whom.
        to: ReplicaId,
        /// The message's name, as [`Message::name`] gives it.
        kind: &'static str,
        /// Its ballot, if it has one.
        ballot: Option<Ballot>,
        /// The slots that it is about, if it names some.
        slots: Option<Slots>,
        /// All of it, in a line.
        text: String,
    },
    /// A message arrived; perhaps not for the first time.
    Arrived {
        /// The message's number.
        message: u64,
        /// Who sent it.
        from: ReplicaId,
        /// Who received it.
        to: ReplicaId,
    },
    /// A message was lost, or a frame of it, which may be sent again.
    Lost {
        /// The message's number.
        message: u64,
        /// Who sent it.
        from: ReplicaId,
        /// To whom.
        to: ReplicaId,
        /// Why.
        loss: Loss,
    },
    /// A sync began.
    SyncBegan {
        /// Whose disk it is.
        replica: ReplicaId,
    },
    /// A sync ended. One that a crash cut short never does.
    Synced {
        /// Whose disk it is.
        replica: ReplicaId,
        /// Every record up to this one is durable.
        upto: Lsn,
    },
    /// A quorum of disks holds an acceptance of one proposal: the slot is chosen, whoever knows.
    Chosen {
        /// The slot.
        slot: Slot,
        /// The ballot of the proposal.
        ballot: Ballot,
        /// Whose disk made it a quorum.
        by: ReplicaId,
    },
    /// An entry was handed to a replica's state machine.
    Applied {
        /// The replica.
        replica: ReplicaId,
        /// The slot.
        slot: Slot,
    },
    /// Links were cut or mended.
    Cut {
        /// Every link that is cut from now on: what the first sends does not reach the second.
        links: Vec<(ReplicaId, ReplicaId)>,
    },
    /// From now on the weather is fair, and the cluster must show that it lives.
    Repaired,
    /// A claim did not hold, and the run ended.
    Broken {
        /// The claim's short name.
        invariant: &'static str,
        /// What was seen.
        text: String,
    },
}

/// How a message was lost.
///
/// ```
/// use synod::sim::{Happened, LinkFaults, Links, Loss, Swarm, record};
///
/// let lossy = LinkFaults { loss_permille: 100, ..LinkFaults::NONE };
/// let swarm = Swarm::fault_free(1).with(|parts| parts.weather.links = Links::all(lossy))?;
/// let lost = record(&swarm).occurrences.into_iter().filter(|occurrence| {
///     matches!(occurrence.what, Happened::Lost { loss: Loss::Network, .. })
/// });
/// assert!(lost.count() > 0);
/// # Ok::<(), synod::sim::Senseless>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Loss {
    /// By the odds of its link.
    Network,
    /// On a link that was cut when it would have arrived.
    Cut,
    /// Its receiver was down, or stood still for too long.
    Down,
    /// It was damaged, and refused.
    Damage,
}

/// What a cluster keeps while it is recorded.
#[derive(Debug)]
pub(crate) struct Recorder {
    occurrences: Vec<Occurrence>,
    /// What each replica stood by last.
    stands: Vec<Option<(Ballot, Role)>>,
    /// The number under which a message was sent last, by its link and contents: frames that are
    /// sent again by themselves bear none.
    numbers: BTreeMap<u64, u64>,
}

/// Runs a swarm as [`simulate`](super::simulate) does, and keeps everything.
#[must_use]
pub fn record(swarm: &Swarm) -> Recording {
    record_run(swarm.driver(true), |driver| swarm::run(driver, swarm.parts()))
}

/// Runs a swarm as [`simulate_fault_free`](super::simulate_fault_free) does, and keeps everything.
#[must_use]
pub fn record_fault_free(swarm: &Swarm) -> Recording {
    record_run(swarm.driver(true), |driver| swarm::run_fault_free(driver, swarm.parts()))
}

/// Runs once, and keeps everything.
pub(super) fn record_run(
    mut driver: Driver,
    run: impl Fn(&mut Driver) -> Result<(), Broken>,
) -> Recording {
    let replicas = driver.cluster.hosts.len();
    driver.cluster.trace.keep_all();
    driver.cluster.recorder = Some(Box::new(Recorder {
        occurrences: Vec::new(),
        stands: std::vec![None; replicas],
        numbers: BTreeMap::new(),
    }));
    let run = |driver: &mut Driver| {
        run(driver)?;
        driver.finish()
    };
    let result = watch_once(&mut driver, &run, &report);
    if let Err(violation) = &result {
        let (invariant, text) = (violation.invariant, violation.text.clone());
        driver.cluster.happens(|| Happened::Broken { invariant, text });
    }
    let recorder = driver.cluster.recorder.take();
    Recording {
        result,
        lines: driver.cluster.trace.take_lines(),
        occurrences: recorder.map(|recorder| recorder.occurrences).unwrap_or_default(),
    }
}

fn name(at: usize) -> ReplicaId {
    ReplicaId(at as u32 + 1)
}

impl Cluster {
    /// Keeps what happens, if the run is recorded.
    pub(crate) fn happens(&mut self, what: impl FnOnce() -> Happened) {
        if let Some(recorder) = &mut self.recorder {
            let time = Instant::from_micros(self.now_micros);
            recorder.occurrences.push(Occurrence { time, step: self.steps, what: what() });
        }
    }

    /// The message that was counted last is sent.
    pub(crate) fn happens_sent(&mut self, from: ReplicaId, to: ReplicaId, message: &Message) {
        let Some(recorder) = &mut self.recorder else { return };
        recorder.numbers.insert(link_print(from, to, message), self.sent);
        let number = self.sent;
        self.happens(|| {
            let (ballot, slots) = subject(message);
            let (kind, text) = (message.name(), text::message(message));
            Happened::Sent { message: number, from, to, kind, ballot, slots, text }
        });
    }

    /// A message arrives, in the envelope with this number or put together from several.
    pub(crate) fn happens_arrived(
        &mut self,
        number: u64,
        from: ReplicaId,
        to: usize,
        message: &Message,
    ) {
        let Some(recorder) = &self.recorder else { return };
        let to = name(to);
        let again = || recorder.numbers.get(&link_print(from, to, message)).copied();
        let message = if number > 0 { number } else { again().unwrap_or(0) };
        self.happens(|| Happened::Arrived { message, from, to });
    }

    /// What is in the envelope does not arrive.
    pub(crate) fn happens_lost(&mut self, envelope: &Envelope, loss: Loss) {
        if envelope.number > 0 {
            let (message, from) = (envelope.number, envelope.from.replica);
            self.happens(|| Happened::Lost { message, from, to: envelope.to, loss });
        }
    }

    /// A replica shows what it stands by.
    pub(crate) fn happens_stood(&mut self, at: usize, promised: Ballot, role: Role) {
        let Some(recorder) = &mut self.recorder else { return };
        if recorder.stands[at].replace((promised, role)) != Some((promised, role)) {
            self.happens(|| Happened::Stood { replica: name(at), promised, role });
        }
    }

    /// A replica goes down: whatever it stands by then is new.
    pub(crate) fn happens_crashed(&mut self, at: usize) {
        if let Some(recorder) = &mut self.recorder {
            recorder.stands[at] = None;
        }
        self.happens(|| Happened::Crashed { replica: name(at) });
    }

    /// Looks whether links were cut or mended, if somebody wants to know.
    pub(crate) fn happens_cut(&mut self) {
        if !self.trace.is_text() {
            return;
        }
        let cuts = self.cuts.list();
        if self.seen_cuts != cuts {
            let links: Vec<_> = cuts.iter().map(|(from, to)| (name(*from), name(*to))).collect();
            self.trace_cuts(&links);
            self.happens(|| Happened::Cut { links });
            self.seen_cuts = cuts;
        }
    }

    fn trace_cuts(&mut self, links: &[(ReplicaId, ReplicaId)]) {
        let now = self.now_micros;
        let links: Vec<String> = links.iter().map(|(from, to)| format!("{from}->{to}")).collect();
        let what = if links.is_empty() { String::from("none") } else { links.join(" ") };
        self.trace.line(|| format!("{:>4}.{:03}ms links cut: {what}", now / 1000, now % 1000));
    }

    /// A record is durable: perhaps its slot is chosen by that.
    pub(crate) fn durable(
        &mut self,
        at: usize,
        lsn: Lsn,
        record: &Record,
        chosen: Slot,
    ) -> Result<(), Broken> {
        let before = self.oracle.slots_chosen();
        self.oracle.on_durable(at, lsn, record, chosen)?;
        self.marks.chosen_by_few = self.oracle.chosen_by_few();
        if let Record::Accepted { slot, ballot, .. } = record
            && self.oracle.slots_chosen() > before
        {
            self.happens(|| Happened::Chosen { slot: *slot, ballot: *ballot, by: name(at) });
        }
        Ok(())
    }
}

fn link_print(from: ReplicaId, to: ReplicaId, message: &Message) -> u64 {
    let mut hasher = Fingerprint::new();
    (from, to, message).hash(&mut hasher);
    hasher.finish()
}

/// The ballot and the slots that a message is about.
fn subject(message: &Message) -> (Option<Ballot>, Option<Slots>) {
    let one = |slot: Slot| Some(Slots { start: slot, end: slot.next() });
    match message {
        Message::Prepare(m) => (Some(m.ballot), None),
        Message::Promise(m) => (Some(m.ballot), Some(m.slots)),
        Message::Nack(m) => (Some(m.ballot), None),
        Message::Accept(m) => (Some(m.ballot), one(m.slot)),
        Message::Accepted(m) => (Some(m.ballot), Some(m.slots)),
        Message::Behind(m) => (Some(m.ballot), None),
        Message::Heartbeat(m) => (Some(m.ballot), None),
        Message::HeartbeatAnswer(m) => (Some(m.ballot), None),
        Message::Canvass(_) | Message::Forming(_) | Message::Refused(_) => (None, None),
        Message::CanvassAnswer(m) => (m.leader, None),
        Message::Fetch(m) => (Some(m.ballot), one(m.slot)),
        Message::Fetched(m) => (m.proposal.as_ref().map(|(ballot, _)| *ballot), one(m.slot)),
        Message::CatchUp(m) => (None, Some(m.slots)),
        Message::Chosen(m) => (Some(m.ballot), one(m.slot)),
        Message::Forward(m) => (Some(m.ballot), None),
        Message::ForwardAnswer(m) => (Some(m.ballot), None),
        Message::ReadIndex(m) => (Some(m.ballot), None),
        Message::ReadIndexAnswer(_) | Message::Announcement(_) => (None, None),
        Message::HandOver(m) => (Some(m.ballot), None),
    }
}

#[cfg(test)]
mod tests;
