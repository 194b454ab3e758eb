//! A witness: a member that runs an acceptor alone. It votes, and so keeps a cluster going that has
//! lost a replica, without a state machine, and without ever leading.

use std::path::Path;
use std::time::Duration;

use synod::ballot::Ballot;
use synod::membership::{Membership, Peer, ReplicaId};
use synod::message::{
    Announcement, Canvass, CanvassAnswer, CatchUp, Chosen, Heartbeat, HeartbeatAnswer, Message,
    Refused, Standing,
};
use synod::output::{Event, HaltReason, IgnoreReason, Misbehaviour, Output};
use synod::quorum::{QuorumSystem, Quorums};
use synod::record::Record;
use synod::roles::{Acceptor, Forming, Lives, Outbox};
use synod::slot::{Slot, Slots};
use synod::time::Instant;
use synod::wal::Wal;

use crate::cluster::{Host, MEMBERS, open, page, sync};

/// How often it shows its disk while the cluster forms.
const TICK: Duration = Duration::from_millis(20);
/// How long it believes in a leader that is silent: as long as the replicas do.
const ELECTION_TIMEOUT: Duration = Duration::from_millis(120);
/// How many bytes may wait for the disk before it takes no more Accepts.
const UNSYNCED_BYTES_MAX: usize = 32 << 20;
/// How many entries it asks for at a time.
const PAGE_SLOTS: u64 = 64;

pub(crate) struct Witness {
    wal: Wal,
    me: Peer,
    forming: Forming,
    /// `None` until the cluster is formed: until then the acceptor hears of nothing.
    membership: Option<Membership>,
    pub(crate) acceptor: Acceptor,
    /// What it stood by when this start began.
    start: Standing,
    lives: Lives,
    out: Outbox,
    /// The leader that it follows, and when it was heard.
    leader: Option<(Ballot, Instant)>,
    tick_at: Instant,
    /// How many entries it was sent because it had missed them.
    pub(crate) caught_up: u64,
    /// Why it has stopped for good.
    pub(crate) halted: Option<HaltReason>,
}

impl Witness {
    pub(crate) fn start(directory: &Path, id: ReplicaId, now: Instant) -> Self {
        let (wal, recovered) = open(directory, id);
        let quorums = Quorums::new(&QuorumSystem::Majority, &MEMBERS).expect("three members");
        let forming = Forming::new(&MEMBERS, quorums, &recovered);
        let acceptor = Acceptor::new(&recovered);
        Self {
            wal,
            me: recovered.me,
            membership: forming.membership(),
            forming,
            start: acceptor.standing(),
            acceptor,
            lives: Lives::default(),
            out: Outbox::new(id, recovered.last, recovered.chosen),
            leader: None,
            tick_at: now,
            caught_up: 0,
            halted: None,
        }
    }

    /// Whether the message may be heard. Whoever may not speak is told why, and stops by itself.
    fn hears(&mut self, from: Peer, message: &Message) -> bool {
        let peer = from.replica();
        let Some(membership) = &self.membership else {
            return matches!(message, Message::Forming(_) | Message::Refused(_));
        };
        let answer = match message {
            Message::Forming(told) => told.formed,
            Message::Refused(_) => true,
            _ => false,
        };
        match self.lives.judge(from, membership) {
            Ok(()) => return peer != self.me.replica(),
            Err(_) if answer => {}
            Err(IgnoreReason::OtherDisk) => {
                let to = [peer].into_iter().collect();
                self.forming.send_list(to, &mut self.out);
            }
            Err(_) => {
                let (incarnation, before) = self.lives.latest(peer);
                self.out.send_one(peer, Refused { incarnation, before });
            }
        }
        false
    }

    fn dispatch(&mut self, now: Instant, from: ReplicaId, message: Message) {
        match message {
            Message::Prepare(prepare) if is_owner(from, prepare.ballot) => {
                self.acceptor.handle_prepare(from, &prepare, &mut self.out);
            }
            Message::Accept(accept) if is_owner(from, accept.ballot) => {
                self.learn_announced(&accept.announcement);
                if self.out.unsynced_bytes() < UNSYNCED_BYTES_MAX {
                    let judged = self.acceptor.handle_accept(from, accept, &mut self.out);
                    self.report(from, judged);
                }
            }
            Message::Fetch(fetch) => self.acceptor.handle_fetch(from, &fetch, &mut self.out),
            Message::Heartbeat(heartbeat) if is_owner(from, heartbeat.ballot) => {
                self.handle_heartbeat(now, from, &heartbeat);
            }
            Message::Canvass(canvass) => self.handle_canvass(now, from, &canvass),
            Message::CatchUp(asked) => {
                let slots = asked.slots.intersection(Slots::new(Slot::ZERO, self.chosen()));
                if !slots.is_empty() {
                    self.out.push(Output::SendEntries { to: from, slots });
                }
            }
            Message::Chosen(chosen) => {
                let judged = self.handle_chosen(chosen);
                self.report(from, judged);
            }
            // It counts no votes, and leads nobody.
            _ => {}
        }
    }

    fn handle_heartbeat(&mut self, now: Instant, from: ReplicaId, heartbeat: &Heartbeat) {
        let Heartbeat { ballot, sequence, announcement } = heartbeat;
        self.learn_announced(announcement);
        let chosen = self.chosen();
        if announcement.chosen > chosen {
            let end = announcement.chosen.min(chosen.plus(PAGE_SLOTS));
            self.out.send_one(from, CatchUp { slots: Slots::new(chosen, end), chosen });
        }
        if *ballot < self.acceptor.promised() {
            self.acceptor.send_nack(from, *ballot, &mut self.out);
        } else if self.is_member(from) {
            self.leader = Some((*ballot, now));
            let (start, end) = (self.start, self.acceptor.end());
            let (ballot, sequence) = (*ballot, *sequence);
            self.out.send_one(
                from,
                HeartbeatAnswer { ballot, sequence, end, start, chosen, priority: 0 },
            );
        }
    }

    /// "No" while it hears a leader, as every member says.
    fn handle_canvass(&mut self, now: Instant, from: ReplicaId, canvass: &Canvass) {
        let promised = self.acceptor.promised();
        let follows = |(_, heard): &(Ballot, Instant)| now.since(*heard) < ELECTION_TIMEOUT;
        let leader = self.leader.filter(follows).map(|(ballot, _)| ballot);
        self.out.send_one(
            from,
            CanvassAnswer {
                sequence: canvass.sequence,
                yes: leader.is_none(),
                promised,
                leader,
                start: self.start,
                chosen: self.chosen(),
            },
        );
    }

    /// Moves its mark over every slot at which it accepted the very ballot that is announced.
    fn learn_announced(&mut self, announcement: &Announcement) {
        while let Some(held) = self.acceptor.held(self.chosen()) {
            let (slot, ballot) = (self.chosen(), held.ballot);
            let named = |run: &synod::slot::Run| run.slots.contains(slot) && run.ballot == ballot;
            if !announcement.runs.iter().any(named) {
                return;
            }
            self.pass();
        }
    }

    /// Takes the entry of the slot at its mark; of another slot it hears again.
    fn handle_chosen(&mut self, told: Chosen) -> Result<(), Misbehaviour> {
        let Chosen { slot, ballot, entry, .. } = told;
        if slot != self.chosen() {
            return Ok(());
        }
        match self.acceptor.held(slot).filter(|held| held.ballot == ballot) {
            Some(held) if held.entry != entry => {
                return Err(Misbehaviour::TwoEntries { slot, ballot });
            }
            Some(_) => {}
            None => self.out.persist(Record::Chosen { slot, ballot, entry }),
        }
        self.caught_up += 1;
        self.pass();
        Ok(())
    }

    /// The slot at its mark is chosen, and its log has been given the entry.
    fn pass(&mut self) {
        let chosen = self.chosen().next();
        self.out.note_chosen(chosen);
        self.acceptor.settle(chosen, &mut self.out);
    }

    pub(crate) fn chosen(&self) -> Slot {
        self.acceptor.chosen()
    }

    fn is_member(&self, replica: ReplicaId) -> bool {
        self.membership.as_ref().is_some_and(|m| m.member(replica).is_some())
    }

    fn report(&mut self, peer: ReplicaId, judged: Result<(), Misbehaviour>) {
        if let Err(what) = judged {
            self.out.event(Event::PeerMisbehaved { peer, what });
        }
    }

    fn form(&mut self) {
        if self.forming.proceed(&mut self.out) {
            self.membership = self.forming.membership();
        }
    }
}

/// A ballot belongs to the replica that it names; nobody else prepares it or proposes at it.
fn is_owner(from: ReplicaId, ballot: Ballot) -> bool {
    ballot.replica == from && ballot.round > 0
}

impl Host for Witness {
    fn me(&self) -> Peer {
        self.me
    }

    fn handle_message(&mut self, now: Instant, from: Peer, message: Message) {
        if self.halted.is_some() || !self.hears(from, &message) {
            return;
        }
        match message {
            Message::Forming(told) => {
                self.halted = self.forming.handle_forming(from, &told, &mut self.out).err();
            }
            Message::Refused(Refused { incarnation, before }) => {
                let ours = self.me.incarnation();
                if incarnation > ours || !self.start.covers(before) {
                    let (peer, seen) = (from.replica(), incarnation);
                    self.halted = Some(HaltReason::RolledBack { peer, seen, ours });
                }
            }
            other => self.dispatch(now, from.replica(), other),
        }
        if self.halted.is_none() {
            self.form();
        }
    }

    fn handle_timeout(&mut self, now: Instant) {
        if self.tick_at <= now && self.halted.is_none() {
            self.tick_at = now.after(TICK);
            self.forming.on_tick(&mut self.out);
        }
    }

    fn drain(&mut self, _now: Instant) -> Vec<(ReplicaId, Message)> {
        let mut said = Vec::new();
        while let Some(output) = self.out.poll() {
            match output {
                Output::Persist { lsn, record, chosen } => {
                    self.wal.append(lsn, &record, chosen).expect("the log takes it");
                }
                Output::Send { to, message } => {
                    said.extend(to.iter().map(|to| (to, message.clone())))
                }
                Output::SendEntries { to, slots } => {
                    said.extend(page(&self.wal, slots, self.chosen()).into_iter().map(|m| (to, m)));
                }
                Output::Event(Event::Formed { .. }) => {}
                other => panic!("not expected of an acceptor: {other:?}"),
            }
        }
        said
    }

    fn sync(&mut self, _now: Instant) {
        if let Some(durable) = sync(&mut self.wal) {
            let known = self.out.handle_persisted(durable, self.acceptor.promised());
            assert!(known, "the log has synced what was never asked for");
        }
    }
}
