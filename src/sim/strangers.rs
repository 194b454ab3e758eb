//! Messages of those who may not speak as members, and what a replica may do about them: nothing.
//!
//! Nobody lies here: no marks are too high and no entries wrong, as a stranger that follows the
//! protocol would not send such. But its votes must not count, it must not be followed, and whoever
//! speaks in a member's name from another disk must not even be heard.

use std::format;
use std::string::String;
use std::vec::Vec;

use bytes::Bytes;

use crate::ballot::Ballot;
use crate::entry::Entry;
use crate::membership::{DiskId, Incarnation, Peer, ReplicaId};
use crate::message::{
    Accept, Accepted, Announcement, Canvass, CanvassAnswer, CatchUp, Chosen, Fetch, Forming,
    Heartbeat, HeartbeatAnswer, Message, Nack, Prepare, Promise, Refused, Standing,
};
use crate::output::{Event, Output};
use crate::replica::{Role, Status};
use crate::slot::{Slot, Slots};
use crate::wire::{self, FrameError};

use super::cluster::Cluster;
use super::network::Condition;
use super::oracle::{Broken, broken};
use super::outputs::frame;
use super::record::Happened;
use super::text;

/// The first name that is no member's.
const FIRST_STRANGER: u32 = 100;
/// How many such names there are.
const STRANGERS: u64 = 3;
/// How many kinds of messages a replica that is no member sends, and how many more somebody does
/// who only has a member's name. A Prepare of a replica that is no member is answered: an acceptor
/// does not judge who may propose.
const KINDS_OF_STRANGERS: u64 = 11;
const KINDS: u64 = 14;
/// How many outputs one message of a stranger may have.
const OUTPUTS_MAX: usize = 100;

/// As whom a stranger speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Guise {
    /// As a replica that is no member.
    NoMember,
    /// As a member, from another disk.
    OtherDisk,
    /// As the receiver itself.
    OwnName,
}

/// Whether the name is one that strangers use.
pub(crate) fn is_stranger(replica: ReplicaId) -> bool {
    (FIRST_STRANGER..FIRST_STRANGER + STRANGERS as u32).contains(&replica.0)
}

impl Cluster {
    /// A message of a stranger arrives at a host that is up. False if it does not fit there.
    pub(crate) fn meet_stranger(
        &mut self,
        to: usize,
        mut below: impl FnMut(u64) -> u64,
    ) -> Result<bool, Broken> {
        let Some(status) = self.status(to) else { return Ok(false) };
        let (me, n) = (self.hosts[to].peer, self.hosts.len() as u64);
        let other_disk = DiskId([0xee; 16]);
        let incarnation = Incarnation(below(1 << 20));
        let (guise, from) = match below(3) {
            0 => {
                let replica = ReplicaId(FIRST_STRANGER + below(STRANGERS) as u32);
                (Guise::NoMember, Peer { replica, disk: other_disk, incarnation })
            }
            1 => {
                let replica = ReplicaId(1 + below(n) as u32);
                (Guise::OtherDisk, Peer { replica, disk: other_disk, incarnation })
            }
            _ => (Guise::OwnName, me),
        };
        let guise = if from.replica == me.replica { Guise::OwnName } else { guise };
        let kinds = if guise == Guise::NoMember { KINDS_OF_STRANGERS } else { KINDS };
        // A replica that is not formed yet cannot tell the members' disks.
        let kinds = if status.role == Role::Forming { KINDS_OF_STRANGERS - 2 } else { kinds };
        let mark = if below(2) == 0 { status.chosen } else { self.oracle.prefix() };
        let message = forge(below(kinds), from.replica, &status, mark, &mut below);
        self.stranger_speaks(to, guise, from, message, &status)?;
        Ok(true)
    }

    pub(super) fn status(&self, at: usize) -> Option<Status> {
        self.hosts[at].replica.as_ref().map(crate::replica::Replica::status)
    }

    fn stranger_speaks(
        &mut self,
        to: usize,
        guise: Guise,
        from: Peer,
        message: Message,
        before: &Status,
    ) -> Result<(), Broken> {
        self.begin(7, to);
        self.trace.add((from.replica, &message));
        self.line(to, || format!("<- {guise:?} {}: {}", from.replica, text::message(&message)));
        let (from_name, to_name) = (from.replica, self.hosts[to].peer.replica);
        self.happens(|| Happened::Arrived { message: 0, from: from_name, to: to_name });
        let message = self.through_the_wire(to, from, message)?;
        let now = self.local(to);
        if let Some(replica) = &mut self.hosts[to].replica {
            replica.handle_message(now, from, message);
        }
        let mut outputs = Vec::new();
        for _ in 0..OUTPUTS_MAX {
            let Some(replica) = &mut self.hosts[to].replica else { break };
            let output = replica.poll_output();
            if let Output::Wait { until } = output {
                self.hosts[to].wake = until.map(|(when, _)| when);
                break;
            }
            stranger_gets_little(guise, from, &output)?;
            outputs.push(output);
        }
        self.stranger_changes_nothing(to, guise, before)?;
        outputs.into_iter().try_for_each(|output| self.perform(to, output))?;
        self.drain(to)
    }

    /// The message as it comes out of the receiver's courier, if it has one.
    fn through_the_wire(
        &mut self,
        to: usize,
        from: Peer,
        message: Message,
    ) -> Result<Message, Broken> {
        let now = self.local(to);
        let (cluster, host) = (self.name(), &mut self.hosts[to]);
        let (me, outbox) = (host.peer, &mut self.outbox);
        let Some(courier) = &mut host.courier else { return Ok(message) };
        let mut buffer = Vec::new();
        wire::encode(cluster, from, &message, &mut buffer);
        let mut emit = |to, bytes: &[u8]| outbox.push(frame(me, to, bytes));
        match courier.receive(now, Bytes::from(buffer), &mut emit) {
            Ok(Some((sender, message))) if sender == from => Ok(message),
            other => broken("WIRE", format!("a stranger's frame gives {other:?}")),
        }
    }

    /// STRANGER: what a replica says of itself is as before, but for the count of what it ignored.
    pub(super) fn stranger_changes_nothing(
        &self,
        to: usize,
        guise: Guise,
        before: &Status,
    ) -> Result<(), Broken> {
        let Some(mut after) = self.status(to) else { return Ok(()) };
        after.ignored.clone_from(&before.ignored);
        if after != *before {
            return broken(
                "STRANGER",
                format!("{guise:?} changed {} from {before:?} to {after:?}", to + 1),
            );
        }
        Ok(())
    }

    /// A frame was refused. STRANGER: one of another cluster for that reason. WIRE: a sound one
    /// only if it is part of a message whose other parts are gone.
    pub(crate) fn on_frame_refused(
        &mut self,
        to: usize,
        condition: Condition,
        error: FrameError,
    ) -> Result<(), Broken> {
        let marks = &mut self.marks;
        *match error {
            FrameError::TooShort { .. } => &mut marks.frames_too_short,
            FrameError::TooLong { .. } => &mut marks.frames_too_long,
            FrameError::Magic => &mut marks.frames_without_magic,
            FrameError::Version { .. } => &mut marks.frames_of_other_version,
            FrameError::Checksum => &mut marks.frames_with_wrong_checksum,
            FrameError::Cluster { .. } => &mut marks.frames_of_other_cluster,
            FrameError::Header { .. } => &mut marks.frames_with_bad_header,
            FrameError::Bounds { .. } => &mut marks.frames_out_of_bounds,
            FrameError::Payload(_) => &mut marks.frames_with_bad_payload,
            FrameError::Trailing { .. } => &mut marks.frames_with_trailing_bytes,
            FrameError::Fragment { .. } | FrameError::Transport { .. } => {
                &mut marks.fragments_refused
            }
        } += 1;
        match (condition, error) {
            (Condition::Damaged, _)
            | (Condition::Sound, FrameError::Fragment { .. })
            | (Condition::Foreign, FrameError::Cluster { .. }) => Ok(()),
            (Condition::Sound, error) => {
                broken("WIRE", format!("{} refuses a sound frame: {error}", to + 1))
            }
            (Condition::Foreign, error) => {
                broken("STRANGER", format!("{} calls a foreign frame otherwise: {error}", to + 1))
            }
        }
    }
}

/// STRANGER: a message of a stranger leads to an event that says so, and at the most to an answer
/// to whom it names. Marks are facts, whoever tells them, so a member may be asked for what is
/// missing.
pub(super) fn stranger_gets_little(
    guise: Guise,
    from: Peer,
    output: &Output,
) -> Result<(), Broken> {
    let allowed = match output {
        Output::Event(Event::Ignored { peer, .. }) => *peer == from.replica,
        Output::Send { to, message } => {
            let answers = to.len() == 1 && to.contains(from.replica);
            match guise {
                Guise::NoMember => answers || matches!(message, Message::CatchUp(_)),
                Guise::OtherDisk => answers && matches!(message, Message::Forming(_)),
                Guise::OwnName => false,
            }
        }
        Output::SendEntries { to, .. } => guise == Guise::NoMember && *to == from.replica,
        _ => false,
    };
    if allowed {
        return Ok(());
    }
    broken("STRANGER", format!("{guise:?} {} is worth {}", from.replica, short(output)))
}

fn short(output: &Output) -> String {
    match output {
        Output::Send { to, message } => format!("-> {to}: {}", text::message(message)),
        other => format!("{other:?}"),
    }
}

/// A message of the stranger that fits what the receiver is doing, so that it would count if the
/// sender were a member. A kind below [`KINDS_OF_STRANGERS`] is true; the others need not be.
fn forge(
    kind: u64,
    from: ReplicaId,
    status: &Status,
    mark: Slot,
    below: &mut impl FnMut(u64) -> u64,
) -> Message {
    let (ballot, chosen) = (status.leader.unwrap_or(status.promised), mark);
    let higher =
        Ballot { round: status.promised.round.saturating_add(1 + below(9)), replica: from };
    let slots = Slots::new(status.chosen, status.chosen.plus(1 + below(20)));
    let standing = Standing { promised: ballot, end: slots.end };
    let announcement = Announcement { chosen, ..Announcement::default() };
    match kind {
        0 => {
            let (accepted, faulty) = (Vec::new(), Vec::new());
            Promise { ballot, slots, last: true, chosen, accepted, faulty }.into()
        }
        1 => Accepted { ballot, slots, chosen }.into(),
        2 => Nack { ballot, promised: higher, chosen }.into(),
        3 => Heartbeat { ballot: higher, sequence: 1 + below(9), announcement }.into(),
        4 => HeartbeatAnswer {
            ballot,
            sequence: 1 + below(99),
            end: slots.end,
            start: standing,
            chosen,
            priority: u8::MAX,
        }
        .into(),
        5 => Canvass { sequence: 1 + below(9), chosen }.into(),
        6 => CanvassAnswer {
            sequence: 1 + below(9),
            yes: true,
            // Nobody goes above this one: a replica that believed it could never lead again.
            promised: Ballot { round: u64::MAX, replica: from },
            leader: None,
            start: standing,
            chosen,
        }
        .into(),
        7 => Fetch { slot: slots.start, ballot: Ballot::ZERO }.into(),
        8 => CatchUp { slots: Slots::new(Slot::ZERO, slots.end), chosen }.into(),
        9 => Forming { members: None, formed: false }.into(),
        10 => Refused { incarnation: Incarnation(u64::MAX), before: standing }.into(),
        11 => Prepare { ballot: higher, first: slots.start }.into(),
        12 => Chosen { slot: slots.start, ballot: higher, entry: Entry::Noop, chosen }.into(),
        _ => {
            let slot = slots.start;
            Accept { ballot: higher, slot, entry: Entry::Noop, announcement }.into()
        }
    }
}
