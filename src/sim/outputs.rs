//! What the hosts of a cluster do with the outputs of their replicas.

use std::format;

use bytes::Bytes;
use core::ops::Range;

use crate::entry::Entry;
use crate::membership::{Peer, ReplicaId, Replicas};
use crate::message::{Chosen, Message};
use crate::output::{Event, Fate, IgnoreReason, Output};
use crate::record::{Lsn, Record};
use crate::slot::{Slot, Slots};

use super::cluster::Cluster;
use super::network::{Condition, Envelope, Payload};
use super::oracle::{Broken, broken, index_of};
use super::record::Happened;
use super::strangers::is_stranger;
use super::text;
use super::trace::fingerprint;

/// How many outputs one drain may give before it counts as endless.
const OUTPUTS_MAX: usize = 100_000;
/// How many entries one request to a log gives at the most.
const PAGE_ENTRIES: u64 = 128;

impl Cluster {
    /// Takes outputs until the replica waits, and looks at it then.
    pub(crate) fn drain(&mut self, at: usize) -> Result<(), Broken> {
        for _ in 0..OUTPUTS_MAX {
            let Some(replica) = &mut self.hosts[at].replica else { return Ok(()) };
            let output = replica.poll_output();
            if let Output::Wait { until } = output {
                self.hosts[at].wake = until.map(|(when, _)| when);
                if !self.slow_machines && self.tell_applied(at) {
                    continue;
                }
                return self.look(at);
            }
            self.perform(at, output)?;
        }
        broken("BOUND", format!("{} never waits", at + 1))
    }

    /// Shows the replica's status to the oracles.
    fn look(&mut self, at: usize) -> Result<(), Broken> {
        let host = &mut self.hosts[at];
        let Some(replica) = &host.replica else { return Ok(()) };
        let status = replica.status();
        (host.chosen, host.urged) = (status.chosen, false);
        self.oracle.on_status(at, &status, &host.config)?;
        self.happens_stood(at, status.promised, status.role);
        Ok(())
    }

    /// Does what one output asks for.
    pub(crate) fn perform(&mut self, at: usize, output: Output) -> Result<(), Broken> {
        match output {
            Output::Persist { lsn, record, chosen } => self.persist(at, lsn, record, chosen),
            Output::Send { to, message } => {
                to.iter().try_for_each(|to| self.send(at, to, message.clone()))
            }
            Output::SendEntries { to, slots } => self.send_entries(at, to, slots),
            Output::Chosen { slot, entry } => self.hand_to_machine(at, slot, &entry),
            Output::ApplyFromLog { slots } => {
                slots.iter().try_for_each(|slot| self.apply_from_log(at, slot))
            }
            Output::Fate { commands, fate } => {
                self.trace.add(fate);
                match fate {
                    Fate::Chosen { .. } => {}
                    Fate::Superseded => self.marks.superseded += 1,
                    Fate::NotLeader { .. } => self.marks.given_back += 1,
                }
                self.line(at, || format!("fate of {commands:?}: {fate:?}"));
                let peer = self.hosts[at].peer;
                self.oracle.on_fate(peer.replica, peer.incarnation, commands.clone(), fate)?;
                self.service.fate(peer, commands, fate)
            }
            Output::ReadReady { reads, upto } => self.serve(at, reads, upto),
            Output::ReadRefused { reads, leader } => {
                self.trace.add((&reads, leader));
                self.marks.reads_refused += reads.end - reads.start;
                self.line(at, || format!("refuses reads {reads:?}, leader {leader:?}"));
                self.oracle.on_reads_refused(self.hosts[at].peer, reads)
            }
            Output::Event(event) => self.note(at, &event),
            Output::Wait { .. } => Ok(()),
        }
    }

    fn serve(&mut self, at: usize, reads: Range<u64>, upto: Slot) -> Result<(), Broken> {
        self.trace.add((&reads, upto));
        self.marks.reads_served += reads.end - reads.start;
        let host = &self.hosts[at];
        let applied = Slot(host.machine.len() as u64);
        self.line(at, || format!("serves reads {reads:?}, index {upto}, at {applied}"));
        self.oracle.on_reads_ready(self.hosts[at].peer, reads, upto, applied)
    }

    fn persist(&mut self, at: usize, lsn: Lsn, record: Record, chosen: Slot) -> Result<(), Broken> {
        self.trace.add((lsn, &record, chosen));
        self.line(at, || format!("writes {lsn} {}, mark {chosen}", text::record(&record)));
        if let Err(error) = self.hosts[at].disk.append(lsn, &record, chosen) {
            return self.on_log_failed(at, &error);
        }
        let host = &mut self.hosts[at];
        self.marks.rolled_in_sync += host.disk.wal().map_or(0, |wal| wal.take_rolls());
        self.marks.learned += u64::from(matches!(record, Record::Chosen { .. }));
        self.oracle.on_persist(at, &record, chosen, |slot| host.disk.look(slot))?;
        host.unsynced.push_back((lsn, record, chosen));
        Ok(())
    }

    fn send(&mut self, at: usize, to: ReplicaId, message: Message) -> Result<(), Broken> {
        let from = self.hosts[at].peer;
        self.trace.add((from.replica, to, &message));
        self.line(at, || format!("-> {to}: {}", text::message(&message)));
        let is_host = index_of(to) < self.hosts.len();
        if to == from.replica || !(is_host || is_stranger(to)) {
            return broken("SEND", format!("{} sends {} to {to}", at + 1, message.name()));
        }
        self.mark_message(&message);
        self.oracle.on_send(from, to, &message)?;
        self.sent += 1;
        // A stranger's host is not there to receive anything.
        if !is_host {
            return Ok(());
        }
        self.happens_sent(from.replica, to, &message);
        let (now, number) = (self.local(at), self.sent);
        let outbox = &mut self.outbox;
        match &mut self.hosts[at].courier {
            None => outbox.push(Envelope { number, from, to, payload: Payload::Message(message) }),
            Some(courier) => {
                self.oracle.on_frame(from, to, &message);
                let mut emit =
                    |to, bytes: &[u8]| outbox.push(Envelope { number, ..frame(from, to, bytes) });
                courier.send(now, &Replicas::one(to), &message, &mut emit);
            }
        }
        Ok(())
    }

    fn mark_message(&mut self, message: &Message) {
        let marks = &mut self.marks;
        match message {
            Message::Accept(accept) => {
                if self.oracle.is_new(accept.slot, accept.ballot) {
                    let adopted = self.oracle.is_adopted(accept.slot, accept.ballot, &accept.entry);
                    marks.adoptions += u64::from(adopted);
                    marks.noops += u64::from(accept.entry == Entry::Noop && !adopted);
                }
            }
            Message::Promise(promise) => marks.pages += u64::from(!promise.last),
            Message::Nack(_) => marks.nacks += 1,
            Message::Behind(_) => marks.behinds += 1,
            Message::Announcement(_) => marks.announcements += 1,
            Message::Chosen(_) => marks.caught_up += 1,
            Message::Fetched(fetched) => marks.fetches += u64::from(fetched.proposal.is_some()),
            Message::Forward(forward) => {
                let origin = forward.batch.origins().next();
                let again = origin.is_some_and(|origin| self.oracle.was_forwarded(origin.first));
                marks.forwards += 1;
                marks.forwards_again += u64::from(again);
            }
            Message::Prepare(_)
            | Message::ForwardAnswer(_)
            | Message::ReadIndex(_)
            | Message::ReadIndexAnswer(_)
            | Message::HandOver(_)
            | Message::Accepted(_)
            | Message::Heartbeat(_)
            | Message::HeartbeatAnswer(_)
            | Message::Canvass(_)
            | Message::CanvassAnswer(_)
            | Message::Fetch(_)
            | Message::CatchUp(_)
            | Message::Forming(_)
            | Message::Refused(_) => {}
        }
    }

    fn send_entries(&mut self, at: usize, to: ReplicaId, slots: Slots) -> Result<(), Broken> {
        let mark = self.hosts[at].chosen;
        for slot in slots.iter().take(PAGE_ENTRIES as usize) {
            let read = match self.hosts[at].disk.read(slot) {
                Ok(read) => read,
                // As `Node` does: the peer asks somebody else.
                Err(error) => return self.excuse(at, &error),
            };
            let Some((ballot, entry)) = read else {
                if self.rotten == Some(at) {
                    continue;
                }
                return broken("I8", format!("{} cannot send {slot} from its log", at + 1));
            };
            let chosen = mark.max(slot.next());
            self.send(at, to, Message::Chosen(Chosen { slot, ballot, entry, chosen }))?;
        }
        Ok(())
    }

    fn apply_from_log(&mut self, at: usize, slot: Slot) -> Result<(), Broken> {
        if !self.is_up(at) {
            return Ok(());
        }
        self.marks.applied_from_log += 1;
        match self.hosts[at].disk.read(slot) {
            Ok(Some((_, entry))) => self.hand_to_machine(at, slot, &entry),
            Ok(None) => broken("I8", format!("{} cannot read {slot} in its log", at + 1)),
            Err(error) => self.on_log_failed(at, &error),
        }
    }

    fn hand_to_machine(&mut self, at: usize, slot: Slot, entry: &Entry) -> Result<(), Broken> {
        let print = fingerprint(entry);
        self.trace.add((at, slot, print));
        self.line(at, || format!("applies {slot} {}", text::entry(entry)));
        self.oracle.on_apply(at, slot, entry)?;
        self.happens(|| Happened::Applied { replica: ReplicaId(at as u32 + 1), slot });
        self.hosts[at].machine.push(print);
        self.oracle.note_answers(self.hosts[at].peer, slot, entry);
        self.service.apply(at, self.hosts[at].peer, slot, entry)
    }

    pub(crate) fn note(&mut self, at: usize, event: &Event) -> Result<(), Broken> {
        self.line(at, || format!("event: {event:?}"));
        match event {
            Event::Preparing { .. } => return self.on_preparing(at),
            Event::Leading { ballot } => {
                self.leading += 1;
                self.marks.led_by_few += u64::from(self.oracle.led_by_few(at, *ballot));
            }
            Event::PeerMisbehaved { .. } => {
                return broken("LIAR", format!("{} blames an honest peer: {event:?}", at + 1));
            }
            Event::Halted { reason } if !self.may_halt => return self.on_halted(at, reason),
            Event::PersistedTooFar { .. } => {
                return broken("SEND", format!("{} refuses a true mark: {event:?}", at + 1));
            }
            Event::Following { leader: None } => self.marks.deposed += 1,
            Event::Ignored { reason, .. } => self.mark_ignored(*reason),
            Event::HandingOver { .. }
            | Event::HandedOver { .. }
            | Event::HandOverGivenUp { .. } => self.mark_hand_over(at, event),
            Event::Formed { .. }
            | Event::Following { .. }
            | Event::Halted { .. }
            | Event::Healed { .. } => {}
        }
        Ok(())
    }

    fn mark_ignored(&mut self, reason: IgnoreReason) {
        let marks = &mut self.marks;
        match reason {
            IgnoreReason::OtherDisk => marks.other_disks += 1,
            IgnoreReason::OldIncarnation => marks.old_lives += 1,
            IgnoreReason::OwnName => marks.own_names += 1,
            IgnoreReason::NotFormed => marks.not_formed += 1,
            IgnoreReason::NoMember => marks.no_members += 1,
            IgnoreReason::DiskBusy
            | IgnoreReason::Unproven
            | IgnoreReason::Forgetful
            | IgnoreReason::Halted => {}
        }
    }
}

/// A frame under way, of no message that is known.
pub(crate) fn frame(from: Peer, to: ReplicaId, bytes: &[u8]) -> Envelope {
    let payload =
        Payload::Frame { bytes: Bytes::copy_from_slice(bytes), condition: Condition::Sound };
    Envelope { number: 0, from, to, payload }
}
