//! The header of a frame: a message without its entry, as postcard writes it.

use alloc::vec::Vec;

use bytes::Bytes;
use postcard::ser_flavors::Flavor;
use serde::{Deserialize, Serialize};

use super::check::{check_arrived, check_fragment, shortened};
use super::lists::{Listed, Runs};
use super::{Acknowledgement, Body, Fragment, FrameError};
use crate::ballot::Ballot;
use crate::entry::{Batch, Entry};
use crate::membership::{Incarnation, ReplicaId};
use crate::message::{
    Accept, Accepted, Announcement, Behind, Canvass, CanvassAnswer, CatchUp, Chosen, Fetch,
    Fetched, Forming, Forward, ForwardAnswer, HandOver, Heartbeat, HeartbeatAnswer, Message, Nack,
    Prepare, Promise, ReadIndex, ReadIndexAnswer, Refused,
};
use crate::slot::{Slot, Slots};

/// What stands in a header. The order of the kinds is part of the wire format.
#[derive(Serialize, Deserialize)]
pub(super) enum Header<'a> {
    Prepare(Prepare),
    Promise {
        ballot: Ballot,
        slots: Slots,
        last: bool,
        chosen: Slot,
        accepted: Runs<'a>,
        faulty: Runs<'a>,
    },
    Nack(Nack),
    Accept {
        ballot: Ballot,
        slot: Slot,
        chosen: Slot,
        runs: Runs<'a>,
    },
    Accepted(Accepted),
    Behind(Behind),
    Heartbeat {
        ballot: Ballot,
        sequence: u64,
        chosen: Slot,
        runs: Runs<'a>,
    },
    HeartbeatAnswer(HeartbeatAnswer),
    Canvass(Canvass),
    CanvassAnswer(CanvassAnswer),
    Fetch(Fetch),
    Fetched {
        slot: Slot,
        ballot: Option<Ballot>,
        chosen: Slot,
    },
    CatchUp {
        slots: Slots,
        chosen: Slot,
    },
    Chosen {
        slot: Slot,
        ballot: Ballot,
        chosen: Slot,
    },
    Forming {
        list: Option<Listed<'a>>,
        formed: bool,
    },
    Refused(Refused),
    Fragment {
        to: ReplicaId,
        number: u64,
        oldest: u64,
        total_bytes: u32,
        piece_bytes: u32,
        index: u32,
    },
    Acknowledgement {
        to: ReplicaId,
        incarnation: Incarnation,
        number: u64,
        arrived: u32,
        ahead: [u64; 4],
    },
    Forward {
        ballot: Ballot,
        after: u64,
        limit: Slot,
        chosen: Slot,
    },
    ForwardAnswer {
        ballot: Ballot,
        incarnation: Incarnation,
        taken: u64,
        next: Slot,
        chosen: Slot,
        runs: Runs<'a>,
    },
    ReadIndex(ReadIndex),
    ReadIndexAnswer {
        incarnation: Incarnation,
        reads: u64,
        index: Slot,
        chosen: Slot,
        runs: Runs<'a>,
    },
    HandOver {
        ballot: Ballot,
        sequence: u64,
        chosen: Slot,
        runs: Runs<'a>,
    },
    Announcement {
        chosen: Slot,
        runs: Runs<'a>,
    },
}

impl<'a> Header<'a> {
    /// The header of a message.
    pub(super) fn of(message: &'a Message) -> Self {
        match message {
            Message::Prepare(m) => Self::Prepare(m.clone()),
            Message::Promise(m) => Self::Promise {
                ballot: m.ballot,
                slots: m.slots,
                last: m.last,
                chosen: m.chosen,
                accepted: Runs::of(&m.accepted),
                faulty: Runs::of(&m.faulty),
            },
            Message::Nack(m) => Self::Nack(m.clone()),
            Message::Accept(m) => Self::Accept {
                ballot: m.ballot,
                slot: m.slot,
                chosen: m.announcement.chosen,
                runs: Runs::of(&m.announcement.runs),
            },
            Message::Accepted(m) => Self::Accepted(m.clone()),
            Message::Behind(m) => Self::Behind(m.clone()),
            Message::Heartbeat(m) => Self::Heartbeat {
                ballot: m.ballot,
                sequence: m.sequence,
                chosen: m.announcement.chosen,
                runs: Runs::of(&m.announcement.runs),
            },
            Message::HeartbeatAnswer(m) => Self::HeartbeatAnswer(m.clone()),
            Message::Canvass(m) => Self::Canvass(m.clone()),
            Message::CanvassAnswer(m) => Self::CanvassAnswer((**m).clone()),
            Message::Fetch(m) => Self::Fetch(m.clone()),
            Message::Fetched(m) => Self::Fetched {
                slot: m.slot,
                ballot: m.proposal.as_ref().map(|(ballot, _)| *ballot),
                chosen: m.chosen,
            },
            Message::CatchUp(m) => Self::CatchUp { slots: shortened(m.slots), chosen: m.chosen },
            Message::Chosen(m) => Self::Chosen { slot: m.slot, ballot: m.ballot, chosen: m.chosen },
            Message::Refused(m) => Self::Refused(m.clone()),
            Message::Forming(m) => {
                Self::Forming { list: m.members.as_ref().map(Listed::of), formed: m.formed }
            }
            Message::Forward(m) => {
                let Forward { ballot, after, limit, batch: _, chosen } = *m;
                Self::Forward { ballot, after, limit, chosen }
            }
            Message::ForwardAnswer(m) => {
                let ForwardAnswer { ballot, incarnation, taken, next, ref announcement } = *m;
                let (chosen, runs) = (announcement.chosen, Runs::of(&announcement.runs));
                Self::ForwardAnswer { ballot, incarnation, taken, next, chosen, runs }
            }
            Message::ReadIndex(m) => Self::ReadIndex(m.clone()),
            Message::ReadIndexAnswer(m) => {
                let ReadIndexAnswer { incarnation, reads, index, ref announcement } = *m;
                let (chosen, runs) = (announcement.chosen, Runs::of(&announcement.runs));
                Self::ReadIndexAnswer { incarnation, reads, index, chosen, runs }
            }
            Message::HandOver(m) => {
                let HandOver { ballot, sequence, ref announcement } = *m;
                let (chosen, runs) = (announcement.chosen, Runs::of(&announcement.runs));
                Self::HandOver { ballot, sequence, chosen, runs }
            }
            Message::Announcement(m) => {
                Self::Announcement { chosen: m.chosen, runs: Runs::of(&m.runs) }
            }
        }
    }

    pub(super) fn of_fragment(fragment: &Fragment) -> Self {
        let Fragment { to, number, oldest, total_bytes, piece_bytes, index, bytes: _ } = *fragment;
        Self::Fragment { to, number, oldest, total_bytes, piece_bytes, index }
    }

    pub(super) fn of_acknowledgement(acknowledgement: &Acknowledgement) -> Self {
        let Acknowledgement { to, incarnation, number, arrived, ahead } = *acknowledgement;
        Self::Acknowledgement { to, incarnation, number, arrived, ahead }
    }

    /// Appends the header's bytes.
    pub(super) fn write(&self, buffer: &mut Vec<u8>) {
        postcard::serialize_with_flavor(self, Append(buffer))
            .expect("a growing buffer takes every header");
    }

    /// The header with these bytes.
    pub(super) fn read(bytes: &[u8]) -> Result<Self, FrameError> {
        match postcard::take_from_bytes(bytes) {
            Ok((header, [])) => Ok(header),
            Ok(_) | Err(_) => Err(FrameError::Header { bytes: bytes.len() }),
        }
    }

    /// Joins header and payload, after every check that needs no state.
    pub(super) fn into_body(self, payload: Bytes) -> Result<Body, FrameError> {
        if !self.has_payload() && !payload.is_empty() {
            return Err(FrameError::Trailing { bytes: payload.len() });
        }
        let body = self.joined(payload)?;
        match &body {
            Body::Message(message) => check_arrived(message),
            Body::Fragment(fragment) => check_fragment(fragment),
            Body::Acknowledgement(_) => Ok(()),
        }
        .map_err(|what| FrameError::Bounds { what })?;
        Ok(body)
    }

    fn has_payload(&self) -> bool {
        matches!(
            self,
            Self::Accept { .. }
                | Self::Chosen { .. }
                | Self::Forward { .. }
                | Self::Fetched { ballot: Some(_), .. }
                | Self::Fragment { .. }
        )
    }

    fn joined(self, payload: Bytes) -> Result<Body, FrameError> {
        Ok(Body::Message(match self {
            Self::Prepare(m) => m.into(),
            Self::Promise { ballot, slots, last, chosen, accepted, faulty } => {
                let (accepted, faulty) = (accepted.into_vec(), faulty.into_vec());
                Promise { ballot, slots, last, chosen, accepted, faulty }.into()
            }
            Self::Nack(m) => m.into(),
            Self::Accept { ballot, slot, chosen, runs } => {
                let (entry, announcement) = (Entry::from_payload(payload)?, told(chosen, runs));
                Accept { ballot, slot, entry, announcement }.into()
            }
            Self::Accepted(m) => m.into(),
            Self::Behind(m) => m.into(),
            Self::Heartbeat { ballot, sequence, chosen, runs } => {
                Heartbeat { ballot, sequence, announcement: told(chosen, runs) }.into()
            }
            Self::HeartbeatAnswer(m) => m.into(),
            Self::Canvass(m) => m.into(),
            Self::CanvassAnswer(m) => m.into(),
            Self::Fetch(m) => m.into(),
            Self::Fetched { slot, ballot, chosen } => {
                let entry = |ballot| Ok((ballot, Entry::from_payload(payload)?));
                let proposal = ballot.map(entry).transpose().map_err(FrameError::Payload)?;
                Fetched { slot, proposal, chosen }.into()
            }
            Self::CatchUp { slots, chosen } => CatchUp { slots, chosen }.into(),
            Self::Chosen { slot, ballot, chosen } => {
                let entry = Entry::from_payload(payload)?;
                Chosen { slot, ballot, entry, chosen }.into()
            }
            Self::Refused(m) => m.into(),
            Self::Forming { list, formed } => {
                let members = list.map(Listed::into_membership).transpose();
                Forming { members: members.map_err(|what| FrameError::Bounds { what })?, formed }
                    .into()
            }
            Self::Fragment { to, number, oldest, total_bytes, piece_bytes, index } => {
                let bytes = payload;
                return Ok(Body::Fragment(Fragment {
                    to,
                    number,
                    oldest,
                    total_bytes,
                    piece_bytes,
                    index,
                    bytes,
                }));
            }
            Self::Acknowledgement { to, incarnation, number, arrived, ahead } => {
                let body = Acknowledgement { to, incarnation, number, arrived, ahead };
                return Ok(Body::Acknowledgement(body));
            }
            Self::Forward { ballot, after, limit, chosen } => {
                Forward { ballot, after, limit, batch: Batch::parse(payload)?, chosen }.into()
            }
            Self::ForwardAnswer { ballot, incarnation, taken, next, chosen, runs } => {
                let announcement = told(chosen, runs);
                ForwardAnswer { ballot, incarnation, taken, next, announcement }.into()
            }
            Self::ReadIndex(m) => m.into(),
            Self::ReadIndexAnswer { incarnation, reads, index, chosen, runs } => {
                let announcement = told(chosen, runs);
                ReadIndexAnswer { incarnation, reads, index, announcement }.into()
            }
            Self::HandOver { ballot, sequence, chosen, runs } => {
                HandOver { ballot, sequence, announcement: told(chosen, runs) }.into()
            }
            Self::Announcement { chosen, runs } => told(chosen, runs).into(),
        }))
    }
}

fn told(chosen: Slot, runs: Runs<'_>) -> Announcement {
    Announcement { chosen, runs: runs.into_vec().into() }
}

/// The payload of a message's frame.
pub(super) fn payload(message: &Message) -> &[u8] {
    match message {
        Message::Accept(m) => m.entry.payload(),
        Message::Chosen(m) => m.entry.payload(),
        Message::Forward(m) => m.batch.bytes(),
        Message::Fetched(m) => m.proposal.as_ref().map_or(&[], |(_, entry)| entry.payload()),
        Message::Prepare(_)
        | Message::Promise(_)
        | Message::Nack(_)
        | Message::Accepted(_)
        | Message::Behind(_)
        | Message::Heartbeat(_)
        | Message::HeartbeatAnswer(_)
        | Message::Canvass(_)
        | Message::CanvassAnswer(_)
        | Message::Fetch(_)
        | Message::CatchUp(_)
        | Message::Forming(_)
        | Message::Refused(_)
        | Message::ForwardAnswer(_)
        | Message::ReadIndex(_)
        | Message::ReadIndexAnswer(_)
        | Message::HandOver(_)
        | Message::Announcement(_) => &[],
    }
}

/// Lets postcard append to a buffer that is reused.
struct Append<'a>(&'a mut Vec<u8>);

impl Flavor for Append<'_> {
    type Output = ();

    fn try_push(&mut self, byte: u8) -> postcard::Result<()> {
        self.0.push(byte);
        Ok(())
    }

    fn try_extend(&mut self, bytes: &[u8]) -> postcard::Result<()> {
        self.0.extend_from_slice(bytes);
        Ok(())
    }

    fn finalize(self) -> postcard::Result<()> {
        Ok(())
    }
}
