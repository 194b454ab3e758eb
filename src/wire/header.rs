//! The header of a frame: a message without its entry, as postcard writes it.

use alloc::vec::Vec;

use bytes::Bytes;
use postcard::ser_flavors::Flavor;
use serde::{Deserialize, Serialize};

use super::check::{check_arrived, check_fragment, shortened};
use super::lists::{Members, Runs};
use super::{Acknowledgement, Body, Fragment, FrameError};
use crate::ballot::Ballot;
use crate::entry::Entry;
use crate::membership::{Incarnation, ReplicaId};
use crate::message::{
    Accept, Accepted, Announcement, Behind, Canvass, CanvassAnswer, CatchUp, Chosen, Fetch,
    Fetched, Forming, Heartbeat, HeartbeatAnswer, Message, Nack, Prepare, Promise, Refused,
    Standing,
};
use crate::slot::{Slot, Slots};

/// What stands in a header. The order of the kinds is part of the wire format.
#[derive(Serialize, Deserialize)]
pub(super) enum Header<'a> {
    Prepare {
        ballot: Ballot,
        first: Slot,
    },
    Promise {
        ballot: Ballot,
        slots: Slots,
        last: bool,
        chosen: Slot,
        accepted: Runs<'a>,
        faulty: Runs<'a>,
    },
    Nack {
        ballot: Ballot,
        promised: Ballot,
        chosen: Slot,
    },
    Accept {
        ballot: Ballot,
        slot: Slot,
        chosen: Slot,
        runs: Runs<'a>,
    },
    Accepted {
        ballot: Ballot,
        slots: Slots,
        chosen: Slot,
    },
    Behind {
        ballot: Ballot,
        chosen: Slot,
    },
    Heartbeat {
        ballot: Ballot,
        sequence: u64,
        chosen: Slot,
        runs: Runs<'a>,
    },
    HeartbeatAnswer {
        ballot: Ballot,
        sequence: u64,
        end: Slot,
        start: Standing,
        chosen: Slot,
    },
    Canvass {
        sequence: u64,
        chosen: Slot,
    },
    CanvassAnswer {
        sequence: u64,
        yes: bool,
        promised: Ballot,
        leader: Option<Ballot>,
        start: Standing,
        chosen: Slot,
    },
    Fetch {
        slot: Slot,
        ballot: Ballot,
    },
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
        members: Members<'a>,
        formed: bool,
    },
    Refused {
        incarnation: Incarnation,
        before: Standing,
    },
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
}

impl<'a> Header<'a> {
    /// The header of a message.
    pub(super) fn of(message: &'a Message) -> Self {
        match message {
            Message::Prepare(m) => Self::Prepare { ballot: m.ballot, first: m.first },
            Message::Promise(m) => Self::Promise {
                ballot: m.ballot,
                slots: m.slots,
                last: m.last,
                chosen: m.chosen,
                accepted: Runs::of(&m.accepted),
                faulty: Runs::of(&m.faulty),
            },
            Message::Nack(m) => {
                Self::Nack { ballot: m.ballot, promised: m.promised, chosen: m.chosen }
            }
            Message::Accept(m) => Self::Accept {
                ballot: m.ballot,
                slot: m.slot,
                chosen: m.announcement.chosen,
                runs: Runs::of(&m.announcement.runs),
            },
            Message::Accepted(m) => {
                Self::Accepted { ballot: m.ballot, slots: m.slots, chosen: m.chosen }
            }
            Message::Behind(m) => Self::Behind { ballot: m.ballot, chosen: m.chosen },
            Message::Heartbeat(m) => Self::Heartbeat {
                ballot: m.ballot,
                sequence: m.sequence,
                chosen: m.announcement.chosen,
                runs: Runs::of(&m.announcement.runs),
            },
            Message::HeartbeatAnswer(m) => {
                let HeartbeatAnswer { ballot, sequence, end, start, chosen } = *m;
                Self::HeartbeatAnswer { ballot, sequence, end, start, chosen }
            }
            Message::Canvass(m) => Self::Canvass { sequence: m.sequence, chosen: m.chosen },
            Message::CanvassAnswer(m) => Self::CanvassAnswer {
                sequence: m.sequence,
                yes: m.yes,
                promised: m.promised,
                leader: m.leader,
                start: m.start,
                chosen: m.chosen,
            },
            Message::Fetch(m) => Self::Fetch { slot: m.slot, ballot: m.ballot },
            Message::Fetched(m) => Self::Fetched {
                slot: m.slot,
                ballot: m.proposal.as_ref().map(|(ballot, _)| *ballot),
                chosen: m.chosen,
            },
            Message::CatchUp(m) => Self::CatchUp { slots: shortened(m.slots), chosen: m.chosen },
            Message::Chosen(m) => Self::Chosen { slot: m.slot, ballot: m.ballot, chosen: m.chosen },
            Message::Refused(m) => Self::Refused { incarnation: m.incarnation, before: m.before },
            Message::Forming(m) => {
                Self::Forming { members: Members::of(&m.members), formed: m.formed }
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
                | Self::Fetched { ballot: Some(_), .. }
                | Self::Fragment { .. }
        )
    }

    fn joined(self, payload: Bytes) -> Result<Body, FrameError> {
        Ok(Body::Message(match self {
            Self::Prepare { ballot, first } => Message::Prepare(Prepare { ballot, first }),
            Self::Promise { ballot, slots, last, chosen, accepted, faulty } => {
                let (accepted, faulty) = (accepted.into_vec(), faulty.into_vec());
                Message::Promise(Promise { ballot, slots, last, chosen, accepted, faulty })
            }
            Self::Nack { ballot, promised, chosen } => {
                Message::Nack(Nack { ballot, promised, chosen })
            }
            Self::Accept { ballot, slot, chosen, runs } => {
                let announcement = Announcement { chosen, runs: runs.into_vec() };
                let entry = Entry::from_payload(payload)?;
                Message::Accept(Accept { ballot, slot, entry, announcement })
            }
            Self::Accepted { ballot, slots, chosen } => {
                Message::Accepted(Accepted { ballot, slots, chosen })
            }
            Self::Behind { ballot, chosen } => Message::Behind(Behind { ballot, chosen }),
            Self::Heartbeat { ballot, sequence, chosen, runs } => {
                let announcement = Announcement { chosen, runs: runs.into_vec() };
                Message::Heartbeat(Heartbeat { ballot, sequence, announcement })
            }
            Self::HeartbeatAnswer { ballot, sequence, end, start, chosen } => {
                Message::HeartbeatAnswer(HeartbeatAnswer { ballot, sequence, end, start, chosen })
            }
            Self::Canvass { sequence, chosen } => Message::Canvass(Canvass { sequence, chosen }),
            Self::CanvassAnswer { sequence, yes, promised, leader, start, chosen } => {
                let answer = CanvassAnswer { sequence, yes, promised, leader, start, chosen };
                Message::CanvassAnswer(answer)
            }
            Self::Fetch { slot, ballot } => Message::Fetch(Fetch { slot, ballot }),
            Self::Fetched { slot, ballot, chosen } => {
                let entry = |ballot| Ok((ballot, Entry::from_payload(payload)?));
                let proposal = ballot.map(entry).transpose().map_err(FrameError::Payload)?;
                Message::Fetched(Fetched { slot, proposal, chosen })
            }
            Self::CatchUp { slots, chosen } => Message::CatchUp(CatchUp { slots, chosen }),
            Self::Chosen { slot, ballot, chosen } => {
                let entry = Entry::from_payload(payload)?;
                Message::Chosen(Chosen { slot, ballot, entry, chosen })
            }
            Self::Refused { incarnation, before } => {
                Message::Refused(Refused { incarnation, before })
            }
            Self::Forming { members, formed } => {
                Message::Forming(Forming { members: members.into_vec(), formed })
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
        }))
    }
}

/// The payload of a message's frame.
pub(super) fn payload(message: &Message) -> &[u8] {
    match message {
        Message::Accept(m) => m.entry.payload(),
        Message::Chosen(m) => m.entry.payload(),
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
        | Message::Refused(_) => &[],
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
