//! Which message goes to which role. An arm of the dispatch is one call; a handler tells the role
//! what it needs to know, and the other roles what follows.
use crate::ballot::Ballot;
use crate::election::Footing;
use crate::membership::ReplicaId;
use crate::message::{
    Accept, Accepted, Announcement, Chosen, Fetched, Heartbeat, Message, Nack, Prepare, Promise,
    Refused, Standing,
};
use crate::output::{Event, HaltReason, IgnoreReason, Misbehaviour, Output};
use crate::replica::Replica;
use crate::slot::{ALPHA, Slot, Slots};
use crate::time::Instant;

impl Replica {
    /// Gives the message to the role that it is for.
    pub(super) fn dispatch(&mut self, now: Instant, from: ReplicaId, message: Message) {
        match message {
            Message::Prepare(prepare) => self.handle_prepare(now, from, &prepare),
            Message::Promise(promise) => self.handle_promise(now, from, &promise),
            Message::Nack(nack) => self.handle_nack(now, from, &nack),
            Message::Accept(accept) => self.handle_accept(now, from, accept),
            Message::Accepted(accepted) => self.handle_accepted(from, &accepted),
            Message::Behind(_) => {}
            Message::Heartbeat(heartbeat) => self.handle_heartbeat(now, from, &heartbeat),
            Message::HeartbeatAnswer(answer) => {
                if self.ignore_forgetful(from, answer.start) {
                    return;
                }
                if self.proposer.leading() == Some(answer.ballot) && self.is_member(from) {
                    self.election.handle_heartbeat_answer(now, from);
                    self.proposer.fill_to(answer.end, self.learner.chosen());
                    self.confirm(from, answer.sequence);
                    self.prefer(now, from, &answer);
                }
            }
            Message::Canvass(canvass) => {
                let footing = self.footing();
                self.election.handle_canvass(now, from, &canvass, footing, &mut self.out);
            }
            Message::CanvassAnswer(answer) => {
                // What a stranger claims to have promised is no reason to go above it.
                if !self.is_member(from) {
                    self.ignore(from, IgnoreReason::NoMember);
                    return;
                }
                if self.ignore_forgetful(from, answer.start) {
                    return;
                }
                self.told.insert(from, answer.promised);
                let Some(membership) = &self.membership else { return };
                let verdict = self.election.handle_canvass_answer(from, &answer, membership);
                self.obey(now, verdict);
            }
            Message::Fetch(fetch) => self.acceptor.handle_fetch(from, &fetch, &mut self.out),
            Message::Fetched(fetched) => self.handle_fetched(fetched),
            Message::CatchUp(asked) => {
                let slots = asked.slots.intersection(Slots::new(Slot::ZERO, self.learner.chosen()));
                if !slots.is_empty() {
                    self.out.push(Output::SendEntries { to: from, slots });
                }
            }
            Message::Chosen(chosen) => self.handle_chosen(from, chosen),
            Message::Forward(forward) => self.handle_forward(from, forward),
            Message::ForwardAnswer(answer) => {
                self.learn_announced(from, &answer.announcement);
                self.forwarding.handle_answer(from, &answer);
            }
            Message::ReadIndex(asked) => self.handle_read_index(from, &asked),
            Message::ReadIndexAnswer(answer) => {
                self.learn_announced(from, &answer.announcement);
                if self.is_member(from) {
                    self.reads.handle_answer(&answer);
                }
            }
            Message::HandOver(asked) => self.handle_hand_over(now, from, &asked),
            Message::Announcement(announcement) => self.learn_announced(from, &announcement),
            Message::Forming(_) | Message::Refused(_) => {}
        }
    }

    pub(super) fn handle_refused(&mut self, peer: ReplicaId, refused: &Refused) {
        let (seen, ours) = (refused.incarnation, self.me.incarnation);
        let forgot = seen > ours || !self.start.covers(refused.before);
        if forgot && self.config.members.contains(&peer) {
            self.halt(HaltReason::RolledBack { peer, seen, ours });
        }
    }

    fn handle_prepare(&mut self, now: Instant, from: ReplicaId, prepare: &Prepare) {
        if self.ignore_foreign_ballot(from, prepare.ballot) {
            return;
        }
        let before = self.acceptor.promised();
        self.acceptor.handle_prepare(from, prepare, &mut self.out);
        if self.acceptor.promised() > before {
            self.give_way(now, from);
        }
    }

    /// The acceptor has promised a higher ballot: whatever this replica led or tried is over.
    fn give_way(&mut self, now: Instant, to: ReplicaId) {
        if to != self.me.replica {
            self.stop_leading();
            self.election.on_promise(now);
        }
    }

    fn handle_promise(&mut self, now: Instant, from: ReplicaId, promise: &Promise) {
        let end = promise.accepted.iter().map(|run| run.slots.end).max().unwrap_or_default();
        if self.ignore_vote(from, Standing { promised: promise.ballot, end }) {
            return;
        }
        let Some(membership) = &self.membership else { return };
        match self.proposer.handle_promise(from, promise, membership) {
            Ok(true) => {
                self.election.on_lead(now, membership);
                self.proposer.fill_to(self.end(promise.ballot), self.learner.chosen());
                self.forwarding.follow(promise.ballot);
                self.on_leader(now, promise.ballot);
                self.out.event(Event::Leading { ballot: promise.ballot });
                self.on_election(now);
                self.take_over(false);
            }
            Ok(false) => self.take_over(false),
            Err(what) => self.report(from, Err(what)),
        }
    }

    fn handle_nack(&mut self, now: Instant, from: ReplicaId, nack: &Nack) {
        if !self.is_member(from) {
            return;
        }
        self.told.insert(from, nack.promised);
        self.election.note_promise(nack.promised);
        if self.proposer.ballot() == Some(nack.ballot) && nack.promised > nack.ballot {
            self.stop_leading();
            self.election.on_nack(now, nack.promised);
        }
    }

    fn handle_accept(&mut self, now: Instant, from: ReplicaId, accept: Accept) {
        if self.ignore_foreign_ballot(from, accept.ballot) {
            return;
        }
        // Facts first: they count whatever becomes of the Accept.
        self.learn_announced(from, &accept.announcement);
        self.pass_chosen();
        // A lower ballot than the one at which it was chosen may honestly carry another entry.
        let chosen = self.learner.learned_at(accept.slot);
        if chosen.is_some_and(|(at, entry)| accept.ballot > *at && *entry != accept.entry) {
            let slot = accept.slot;
            self.report(from, Err(Misbehaviour::ChosenChanged { slot }));
            return;
        }
        if self.is_disk_busy() {
            self.ignore(from, IgnoreReason::DiskBusy);
            return;
        }
        let before = self.acceptor.promised();
        let judged = self.acceptor.handle_accept(from, accept, &mut self.out);
        if self.acceptor.promised() > before {
            self.give_way(now, from);
        }
        self.report(from, judged);
    }

    /// Counts Accepted messages of the ballot at which this replica leads. Only the owner of a
    /// ballot counts.
    fn handle_accepted(&mut self, from: ReplicaId, accepted: &Accepted) {
        let (ballot, end) = (accepted.ballot, accepted.slots.end);
        if self.ignore_vote(from, Standing { promised: ballot, end }) {
            return;
        }
        let Some(membership) = &self.membership else { return };
        if self.proposer.leading() != Some(ballot) {
            return;
        }
        self.hand_over.handle_accepted(from, ballot, accepted.slots);
        let open = Slots::new(self.learner.chosen(), self.learner.chosen().plus(ALPHA));
        let mut judged = Ok(());
        for slot in accepted.slots.intersection(open).iter() {
            let Some(entry) = self.proposer.proposed(slot, ballot) else { continue };
            if self.learner.handle_accepted(from, ballot, slot, membership) {
                let held = self.acceptor.held(slot);
                let learned = self.learner.learn(slot, ballot, entry.clone(), held, &mut self.out);
                judged = judged.and(learned);
            }
        }
        self.report(from, judged);
    }

    fn handle_heartbeat(&mut self, now: Instant, from: ReplicaId, heartbeat: &Heartbeat) {
        if self.ignore_foreign_ballot(from, heartbeat.ballot) {
            return;
        }
        self.learn_announced(from, &heartbeat.announcement);
        if heartbeat.ballot < self.acceptor.promised() {
            self.acceptor.send_nack(from, heartbeat.ballot, &mut self.out);
            return;
        }
        // A stranger may teach, but it is not followed.
        if !self.is_member(from) {
            self.ignore(from, IgnoreReason::NoMember);
            return;
        }
        self.stop_leading();
        if self.election.leader() != Some(heartbeat.ballot) {
            self.out.event(Event::Following { leader: Some(heartbeat.ballot) });
            self.forwarding.follow(heartbeat.ballot);
            self.on_leader(now, heartbeat.ballot);
        }
        // The answer tells what this Heartbeat has taught.
        self.pass_chosen();
        let footing = Footing { end: self.end(heartbeat.ballot), ..self.footing() };
        self.election.handle_heartbeat(now, from, heartbeat, footing, &mut self.out);
    }

    fn handle_fetched(&mut self, fetched: Fetched) {
        self.proposer.handle_fetched(fetched);
        self.take_over(false);
    }

    fn handle_chosen(&mut self, from: ReplicaId, chosen: Chosen) {
        let Chosen { slot, ballot, entry, .. } = chosen;
        let held = self.acceptor.held(slot);
        let judged = self.learner.learn(slot, ballot, entry, held, &mut self.out);
        self.report(from, judged);
    }

    pub(super) fn learn_announced(&mut self, from: ReplicaId, announcement: &Announcement) {
        if from == self.me.replica {
            return;
        }
        let held = |slot| self.acceptor.held(slot);
        let judged = self.learner.handle_announcement(announcement, held, &mut self.out);
        self.report(from, judged);
    }

    /// What this replica's answers tell of it.
    fn footing(&self) -> Footing {
        let (now, chosen) = (self.acceptor.standing(), self.learner.chosen());
        let priority = self.preference.mine();
        Footing { start: self.start, now, end: now.end, chosen, priority }
    }

    /// Only members vote, and of them only those that remember what they voted in earlier starts.
    /// A vote is durable before it is heard, so the member's next start must remember it.
    fn ignore_vote(&mut self, from: ReplicaId, vote: Standing) -> bool {
        if !self.is_member(from) {
            return true;
        }
        self.lives.note_vote(from, vote);
        if self.lives.may_vote(from) {
            return false;
        }
        self.ignore(from, IgnoreReason::Unproven);
        true
    }

    /// A member that no longer stands by what it voted before runs on an older copy of its
    /// directory. It is told, and stops.
    fn ignore_forgetful(&mut self, from: ReplicaId, start: Standing) -> bool {
        if self.lives.note_start(from, start) {
            return false;
        }
        let (incarnation, before) = self.lives.latest(from);
        self.out.send_one(from, Refused { incarnation, before });
        self.ignore(from, IgnoreReason::Forgetful);
        true
    }

    /// A ballot belongs to the replica that it names; nobody else leads at it.
    pub(super) fn ignore_foreign_ballot(&mut self, from: ReplicaId, ballot: Ballot) -> bool {
        let foreign = ballot.replica != from || ballot.round == 0;
        if foreign {
            self.report(from, Err(Misbehaviour::ForeignBallot { ballot }));
        }
        foreign
    }
}
