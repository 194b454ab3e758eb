//! How a cluster forms, and what a start of a replica says that it stood by before.

use std::format;

use crate::membership::{Incarnation, Member, Membership, Peer, ReplicaId};
use crate::message::{Forming, Message, Refused, Standing};
use crate::record::{Record, Recovered};

use super::{Broken, Oracle, broken, index_of};

/// What the oracles know of a replica's way into its cluster and of its starts.
#[derive(Clone, Debug, Default)]
pub(super) struct Life {
    /// The list of members that it appended, durable or not.
    list_written: Option<Membership>,
    /// The list of members that is durable on its disk.
    list: Option<Membership>,
    /// Whether it is formed by its disk.
    formed: bool,
    /// The latest of its starts.
    latest: Incarnation,
    /// What it told by its votes, in all its starts.
    voted: Standing,
    /// What its present start gave back of it.
    start: Standing,
    /// Whether its disk was exchanged: then its starts need not follow one another.
    exchanged: bool,
}

impl Life {
    /// What is left of it when the disk is exchanged: what the others have heard.
    pub(super) fn on_other_disk(&self) -> Self {
        let (latest, voted) = (self.latest, self.voted);
        Self { latest, voted, exchanged: true, ..Self::default() }
    }
}

impl Life {
    /// Whether it is formed by its disk.
    pub(super) fn formed(&self) -> bool {
        self.formed
    }
}

impl Oracle {
    /// The replica was made as a member of a formed cluster.
    pub(crate) fn on_installed(&mut self, at: usize, members: &Membership) {
        let life = &mut self.images[at].life;
        (life.list, life.list_written) = (Some(members.clone()), Some(members.clone()));
        life.formed = true;
    }

    /// FORM: a list of members is never replaced, and nobody is formed before every member has made
    /// the same list durable.
    pub(super) fn form_in_two_rounds(&mut self, at: usize, record: &Record) -> Result<(), Broken> {
        match record {
            Record::Members { members } => {
                let life = &mut self.images[at].life;
                if life.list_written.as_ref().is_some_and(|list| list != members) {
                    return broken("FORM", format!("{} replaces its list of members", at + 1));
                }
                life.list_written = Some(members.clone());
            }
            Record::Formed => {
                let list = &self.images[at].life.list_written;
                let has_it = |member: &Member| {
                    let by = index_of(member.replica);
                    by == at || self.images.get(by).is_some_and(|image| image.life.list == *list)
                };
                let agreed = |list: &Membership| list.members().iter().all(has_it);
                if !list.as_ref().is_some_and(agreed) {
                    return broken(
                        "FORM",
                        format!("{} is formed, and not every member has its list", at + 1),
                    );
                }
            }
            Record::Promised { .. } | Record::Accepted { .. } | Record::Chosen { .. } => {}
        }
        Ok(())
    }

    /// A record of forming became durable.
    pub(super) fn note_formed(&mut self, at: usize, record: &Record) {
        let life = &mut self.images[at].life;
        match record {
            Record::Members { members } => life.list = Some(members.clone()),
            Record::Formed => life.formed = true,
            Record::Promised { .. } | Record::Accepted { .. } | Record::Chosen { .. } => {}
        }
    }

    /// FORM, I1: a start remembers its cluster, is later than every one before it, and stands by
    /// what was voted before it.
    pub(super) fn life_goes_on(&mut self, at: usize, recovered: &Recovered) -> Result<(), Broken> {
        let life = &self.images[at].life;
        let who = at + 1;
        if recovered.members != life.list && life.list.is_some() || life.formed && !recovered.formed
        {
            return broken("FORM", format!("{who} was formed, and starts without its list"));
        }
        let follows = !life.exchanged;
        if follows && recovered.me.incarnation <= life.latest {
            return broken(
                "I2",
                format!("{who} starts as {:?} after {:?}", recovered.me.incarnation, life.latest),
            );
        }
        let accepted = recovered.accepted.iter().map(|(slot, ..)| slot.next());
        let faulty = recovered.faulty.iter().map(|run| run.slots.end);
        let end = accepted.chain(faulty).fold(recovered.chosen, |end, slot| end.max(slot));
        let start = Standing { promised: recovered.promised, end };
        if follows && !start.covers(life.voted) {
            return broken("I10", format!("{who} voted {:?}, and starts as {start:?}", life.voted));
        }
        let life = &mut self.images[at].life;
        (life.latest, life.start) = (recovered.me.incarnation.max(life.latest), start);
        (life.list, life.formed) = (recovered.members.clone(), recovered.formed);
        life.list_written.clone_from(&recovered.members);
        Ok(())
    }

    /// What a message tells of its sender's life, or of its receiver's, is true.
    pub(super) fn life_is_true(
        &mut self,
        from: Peer,
        to: ReplicaId,
        message: &Message,
    ) -> Result<(), Broken> {
        let at = index_of(from.replica);
        let life = &mut self.images[at].life;
        match message {
            Message::Promise(promise) => {
                // Of the acceptances alone: a chosen mark may be told before the disk has it.
                let ends = promise.accepted.iter().map(|run| run.slots.end);
                let end = ends.max().unwrap_or_default();
                life.voted = life.voted.max(Standing { promised: promise.ballot, end });
            }
            Message::Accepted(accepted) => {
                let vote = Standing { promised: accepted.ballot, end: accepted.slots.end };
                life.voted = life.voted.max(vote);
            }
            Message::HeartbeatAnswer(answer) => {
                self.stands_by_its_start(at, answer.start)?;
            }
            Message::CanvassAnswer(answer) => {
                self.stands_by_its_start(at, answer.start)?;
            }
            Message::Forming(told) => return self.forming_is_durable(at, told),
            Message::Refused(refused) => return self.refused_is_true(at, to, refused),
            Message::Prepare(_)
            | Message::Nack(_)
            | Message::Accept(_)
            | Message::Behind(_)
            | Message::Heartbeat(_)
            | Message::Canvass(_)
            | Message::Fetch(_)
            | Message::Fetched(_)
            | Message::CatchUp(_)
            | Message::Chosen(_)
            | Message::Forward(_)
            | Message::ForwardAnswer(_)
            | Message::ReadIndex(_)
            | Message::ReadIndexAnswer(_)
            | Message::HandOver(_)
            | Message::Announcement(_) => {}
        }
        let speaks = matches!(
            message,
            Message::Prepare(_) | Message::Promise(_) | Message::Accept(_) | Message::Accepted(_)
        );
        if speaks && !self.images[at].life.formed {
            return broken("FORM", format!("{} sends {}, not formed", at + 1, message.name()));
        }
        Ok(())
    }

    /// STAND: a replica says of its present start what its disk gave back.
    fn stands_by_its_start(&self, at: usize, told: Standing) -> Result<(), Broken> {
        let start = self.images[at].life.start;
        if told != start {
            return broken(
                "STAND",
                format!("{} began standing by {start:?}, and says {told:?}", at + 1),
            );
        }
        Ok(())
    }

    /// FORM: a list is told only once it is durable, and so is being formed.
    fn forming_is_durable(&self, at: usize, told: &Forming) -> Result<(), Broken> {
        let life = &self.images[at].life;
        if (told.members.is_some() && told.members != life.list) || (told.formed && !life.formed) {
            return broken("FORM", format!("{} tells {told:?}, not durable", at + 1));
        }
        Ok(())
    }

    /// STAND: a refusal names a start that the receiver had, and votes that it gave.
    fn refused_is_true(&self, at: usize, to: ReplicaId, refused: &Refused) -> Result<(), Broken> {
        let Some(image) = self.images.get(index_of(to)) else { return Ok(()) };
        let life = &image.life;
        if refused.incarnation > life.latest || !life.voted.covers(refused.before) {
            return broken("STAND", format!("{} refuses {to} with {refused:?}", at + 1));
        }
        Ok(())
    }
}
