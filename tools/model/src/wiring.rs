//! How one input goes through the roles of a replica, as `synod::Replica` turns them.
//!
//! What is left out can only do less than what the model does: no elections (any replica may
//! prepare or step down at any time), no judging of lives (a message of an earlier start is
//! delivered like any other), no questions for what is missing (a replica that is ahead may answer
//! without one), no refusals (a refused leader steps down when the checker says so).

use synod::ballot::Ballot;
use synod::entry::Entry;
use synod::membership::{Membership, ReplicaId, Replicas};
use synod::message::{
    Accept, Accepted, Announcement, CatchUp, Chosen, Fetched, Heartbeat, Message,
};
use synod::output::{Event, Output};
use synod::record::{Lsn, Record};
use synod::roles::{Held, Proposer};
use synod::slot::{ALPHA, Slot, Slots};

use crate::fault::Fault;
use crate::node::{Kept, Loss, Node};

/// What can happen to one replica.
#[derive(Clone, Debug)]
pub(crate) enum Input {
    /// A message arrives.
    Message { from: ReplicaId, message: Message },
    /// It tries to lead, at this round.
    Prepare { round: u64 },
    /// A client proposes a command to it.
    Propose,
    /// Something had no answer.
    Resend,
    /// It gives up leading.
    StepDown,
    /// Its disk has so many more records.
    Sync { records: usize },
    /// It stops and starts again, without what was not synced. One record of the log may be lost.
    Crash { lost: Option<(usize, Loss)> },
}

/// What happens by itself.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rules {
    /// New commands are proposed below this slot.
    pub(crate) slots: Slot,
    /// Disks write at once. They do when no crash can come any more: then a late sync is no more
    /// than late messages to others. Those to oneself, such as a leader's own vote, come first.
    pub(crate) syncs_at_once: bool,
    /// A leader has a command for each free slot at once.
    ///
    /// Where there is one slot this leaves out nothing: a leader that leads and does not propose
    /// does nothing that others see, so it is as if a Promise had come later.
    pub(crate) proposes_at_once: bool,
    /// Votes are counted and what is chosen is told. If not, leaders have nothing left to do when
    /// they have proposed, and stop.
    pub(crate) learns: bool,
}

/// A replica in the middle of an input, and what has come of it.
pub(crate) struct Step<'a> {
    pub(crate) node: Node,
    membership: &'a Membership,
    rules: Rules,
    /// With the receiver; none means everyone but the sender.
    pub(crate) sent: Vec<(Option<ReplicaId>, Message)>,
    pub(crate) delivered: Vec<(Slot, Entry)>,
    pub(crate) fault: Option<Fault>,
}

impl<'a> Step<'a> {
    /// The replica that takes the input; `None` where it cannot come.
    pub(crate) fn new(
        node: &Node,
        input: Input,
        membership: &'a Membership,
        rules: Rules,
    ) -> Option<Self> {
        let node = node.clone();
        let (sent, delivered) = (Vec::new(), Vec::new());
        let mut step = Self { node, membership, rules, sent, delivered, fault: None };
        if !step.take(input) {
            return None;
        }
        step.settle();
        step.drain();
        while step.goes_on() {
            step.settle();
            step.drain();
        }
        step.tell_what_is_chosen();
        step.node.forget();
        Some(step)
    }

    /// What happens by itself, as the rules have it; whether anything did.
    fn goes_on(&mut self) -> bool {
        if self.rules.syncs_at_once && !self.node.cache.is_empty() {
            self.sync(self.node.cache.len());
            return true;
        }
        if self.rules.proposes_at_once {
            // What cannot be proposed is taken back: the client goes elsewhere.
            let before = self.node.clone();
            if self.propose() {
                return true;
            }
            self.node = before;
        }
        let Node { proposer, .. } = &mut self.node;
        let has_all = |ballot| {
            (0..self.rules.slots.0).all(|slot| proposer.proposed(Slot(slot), ballot).is_some())
        };
        if !self.rules.learns && proposer.leading().is_some_and(has_all) {
            stop(proposer);
        }
        false
    }

    fn take(&mut self, input: Input) -> bool {
        match input {
            Input::Message { from, message } => self.dispatch(from, message),
            Input::Prepare { round } => self.prepare(round),
            Input::Propose => return self.propose(),
            Input::Resend => self.take_over(true),
            Input::StepDown => stop(&mut self.node.proposer),
            Input::Sync { records } => self.sync(records),
            Input::Crash { lost } => self.crash(lost),
        }
        true
    }

    fn dispatch(&mut self, from: ReplicaId, message: Message) {
        let Node { acceptor, proposer, learner, out, .. } = &mut self.node;
        match message {
            Message::Prepare(prepare) => {
                if self.is_foreign(from, prepare.ballot) {
                    return;
                }
                let Node { acceptor, out, .. } = &mut self.node;
                let before = acceptor.promised();
                acceptor.handle_prepare(from, &prepare, out);
                self.give_way(from, before);
            }
            Message::Promise(promise) => {
                match proposer.handle_promise(from, &promise, self.membership) {
                    Ok(true) => {
                        proposer.fill_to(acceptor.end(), learner.chosen());
                        self.take_over(false);
                    }
                    Ok(false) => self.take_over(false),
                    Err(_) => self.break_by(Fault::Accused),
                }
            }
            Message::Accept(accept) => self.handle_accept(from, accept),
            Message::Accepted(accepted) => self.handle_accepted(from, &accepted),
            Message::Heartbeat(heartbeat) => self.handle_heartbeat(from, &heartbeat),
            Message::Fetch(fetch) => acceptor.handle_fetch(from, &fetch, out),
            Message::Fetched(fetched) => {
                proposer.handle_fetched(fetched);
                self.take_over(false);
            }
            Message::CatchUp(asked) => {
                let slots = asked.slots.intersection(Slots::new(Slot::ZERO, learner.chosen()));
                if !slots.is_empty() {
                    out.push(Output::SendEntries { to: from, slots });
                }
            }
            Message::Chosen(chosen) => {
                let Chosen { slot, ballot, entry, .. } = chosen;
                let judged = learner.learn(slot, ballot, entry, acceptor.held(slot), out);
                self.report(judged);
            }
            // To itself only: the network carries none.
            Message::Nack(nack) => {
                if proposer.ballot() == Some(nack.ballot) && nack.promised > nack.ballot {
                    stop(proposer);
                }
            }
            Message::Behind(_) => {}
            other => panic!("the model sends no {}", other.name()),
        }
    }

    fn handle_accept(&mut self, from: ReplicaId, accept: Accept) {
        if self.is_foreign(from, accept.ballot) {
            return;
        }
        self.learn_announced(from, &accept.announcement);
        self.pass_chosen();
        let Node { acceptor, learner, out, .. } = &mut self.node;
        let chosen = learner.learned_at(accept.slot);
        if chosen.is_some_and(|(at, entry)| accept.ballot > *at && *entry != accept.entry) {
            self.break_by(Fault::Accused);
            return;
        }
        let before = acceptor.promised();
        let judged = acceptor.handle_accept(from, accept, out);
        self.give_way(from, before);
        self.report(judged);
    }

    fn handle_accepted(&mut self, from: ReplicaId, accepted: &Accepted) {
        let Node { acceptor, proposer, learner, out, .. } = &mut self.node;
        let ballot = accepted.ballot;
        if proposer.leading() != Some(ballot) {
            return;
        }
        let open = Slots::new(learner.chosen(), learner.chosen().plus(ALPHA));
        let mut judged = Ok(());
        for slot in accepted.slots.intersection(open).iter() {
            let Some(entry) = proposer.proposed(slot, ballot) else { continue };
            if learner.handle_accepted(from, ballot, slot, self.membership) {
                let held = acceptor.held(slot);
                judged = judged.and(learner.learn(slot, ballot, entry.clone(), held, out));
            }
        }
        self.report(judged);
    }

    fn handle_heartbeat(&mut self, from: ReplicaId, heartbeat: &Heartbeat) {
        if self.is_foreign(from, heartbeat.ballot) {
            return;
        }
        self.learn_announced(from, &heartbeat.announcement);
        if heartbeat.ballot >= self.node.acceptor.promised() {
            stop(&mut self.node.proposer);
        }
    }

    fn learn_announced(&mut self, from: ReplicaId, announcement: &Announcement) {
        if from == self.node.me {
            return;
        }
        let Node { acceptor, learner, out, .. } = &mut self.node;
        let judged = learner.handle_announcement(announcement, |slot| acceptor.held(slot), out);
        self.report(judged);
    }

    fn give_way(&mut self, to: ReplicaId, before: Ballot) {
        if self.node.acceptor.promised() > before && to != self.node.me {
            stop(&mut self.node.proposer);
        }
    }

    fn prepare(&mut self, round: u64) {
        let Node { acceptor, proposer, learner, out, me, .. } = &mut self.node;
        let promised = acceptor.promised();
        let highest = Ballot { round: promised.round.max(round - 1), replica: promised.replica };
        let ballot = highest.next(*me).expect("the model has few rounds");
        acceptor.promise(ballot, out);
        proposer.prepare(ballot, learner.chosen(), self.membership, out);
    }

    /// A command, another one for each ballot, straight into the next free slot; false where there
    /// is none.
    fn propose(&mut self) -> bool {
        let Some(ballot) = self.node.proposer.leading() else { return false };
        self.node.proposer.enqueue(&[ballot.round as u8]);
        self.propose_next() == Some(true)
    }

    fn propose_next(&mut self) -> Option<bool> {
        let Node { proposer, learner, out, .. } = &mut self.node;
        if !proposer.has_work(false, learner.chosen()) {
            return None;
        }
        let announcement = learner.announcement();
        let proposed = proposer.propose_next(false, &announcement, self.membership, out)?;
        self.settle();
        Some(proposed.slot < self.rules.slots)
    }

    /// What a heartbeat and an answer to a question for chosen entries would say now is sent at
    /// once: it need not be delivered before its time.
    fn tell_what_is_chosen(&mut self) {
        let Node { proposer, learner, out, me, .. } = &mut self.node;
        let slots = Slots::new(Slot::ZERO, learner.chosen());
        if slots.is_empty() {
            return;
        }
        if let Some(ballot) = proposer.leading() {
            let announcement = learner.announcement();
            out.send(self.membership.others(*me), Heartbeat { ballot, sequence: 0, announcement });
        }
        let asked = CatchUp { slots, chosen: Slot::ZERO };
        for asker in self.membership.others(self.node.me).iter().take(1) {
            self.dispatch(asker, asked.clone().into());
        }
        self.drain();
    }

    fn sync(&mut self, records: usize) {
        self.node.write(records);
        let Node { acceptor, out, .. } = &mut self.node;
        let upto = Lsn(out.durable().0 + records as u64);
        assert!(out.handle_persisted(upto, acceptor.promised()), "{upto} was asked for");
    }

    fn crash(&mut self, lost: Option<(usize, Loss)>) {
        let mut disk = core::mem::take(&mut self.node.disk);
        if let Some((index, loss)) = lost {
            disk[index].lost = Some(loss);
        }
        self.node = Node::recover(self.node.me, self.node.start + 1, disk);
    }

    fn take_over(&mut self, again: bool) {
        let Node { acceptor, proposer, learner, out, .. } = &mut self.node;
        if proposer.free_from().is_none_or(|free| free <= learner.chosen()) {
            return;
        }
        let announcement = learner.announcement();
        let held = |slot| acceptor.held(slot);
        let found = proposer.take_over(held, &announcement, again, self.membership, out);
        let mut learn = |(slot, Held { ballot, entry })| {
            learner.learn(slot, ballot, entry, acceptor.held(slot), out)
        };
        let learned = found.into_iter().try_for_each(&mut learn);
        self.report(learned);
    }

    fn settle(&mut self) {
        loop {
            while let Some(message) = self.node.out.next_for_me() {
                self.check_durable(&message);
                let counts = self.rules.learns || !matches!(message, Message::Accepted(_));
                if counts {
                    self.dispatch(self.node.me, message);
                }
            }
            if !self.pass_chosen() {
                break;
            }
        }
        self.node.learner.deliver_from_log(&mut self.node.out);
    }

    fn pass_chosen(&mut self) -> bool {
        let Node { acceptor, proposer, learner, out, .. } = &mut self.node;
        let before = learner.chosen();
        while learner.pass(out).is_some() {}
        let chosen = learner.chosen();
        if chosen == before {
            return false;
        }
        acceptor.settle(chosen, out);
        proposer.settle(chosen);
        self.take_over(false);
        true
    }

    /// What a driver does: all outputs, then the next batch, until nothing is left.
    fn drain(&mut self) {
        loop {
            while let Some(output) = self.node.out.poll() {
                self.obey(output);
            }
            if self.propose_next().is_none() {
                return;
            }
        }
    }

    fn obey(&mut self, output: Output) {
        match output {
            Output::Persist { record, chosen, .. } => {
                self.node.cache.push(Kept { record, chosen, lost: None });
            }
            Output::Send { to, message } => self.send(to, message),
            Output::SendEntries { to, slots } => {
                for slot in slots.iter() {
                    let Some((ballot, entry)) = self.node.read(slot) else { break };
                    let chosen = self.node.learner.chosen();
                    let message = Chosen { slot, ballot, entry, chosen };
                    self.send(Replicas::one(to), message.into());
                }
            }
            Output::Chosen { slot, entry } => {
                self.delivered.push((slot, entry));
                self.applied(slot.next());
            }
            Output::ApplyFromLog { slots } => {
                for slot in slots.iter() {
                    match self.node.read(slot) {
                        Some((_, entry)) => self.delivered.push((slot, entry)),
                        None => self.break_by(Fault::MarkWithoutRecord),
                    }
                }
                self.applied(slots.end);
            }
            Output::Event(Event::PeerMisbehaved { .. }) => self.break_by(Fault::Accused),
            Output::Event(_) | Output::Fate { .. } => {}
            Output::ReadReady { .. } | Output::ReadRefused { .. } => panic!("nobody reads"),
            Output::Wait { .. } => panic!("an outbox does not wait"),
        }
    }

    fn applied(&mut self, upto: Slot) {
        self.node.learner.handle_applied(upto);
        self.settle();
    }

    fn send(&mut self, to: Replicas, message: Message) {
        self.check_durable(&message);
        let counts = self.rules.learns || !matches!(message, Message::Accepted(_));
        if counts {
            self.sent.extend(as_sent(to, message, self.membership.members().len()));
        }
    }

    /// I4: what speaks for the acceptor is on its platter when it leaves, or is heard by itself.
    fn check_durable(&mut self, message: &Message) {
        let promised = self.node.durable_promise();
        let accepted = |accepted: &Accepted, slot: Slot| {
            self.node.votes().any(|(at, ballot, _)| at == slot && ballot == accepted.ballot)
        };
        match message {
            Message::Prepare(prepare) if prepare.ballot > promised => {
                self.break_by(Fault::PrepareNotDurable);
            }
            Message::Promise(promise) if promise.ballot > promised => {
                self.break_by(Fault::PromiseNotDurable);
            }
            Message::Accepted(vote) if !vote.slots.iter().all(|slot| accepted(vote, slot)) => {
                self.break_by(Fault::AcceptedNotDurable);
            }
            _ => {}
        }
    }

    fn is_foreign(&mut self, from: ReplicaId, ballot: Ballot) -> bool {
        let foreign = ballot.replica != from || ballot.round == 0;
        if foreign {
            self.break_by(Fault::Accused);
        }
        foreign
    }

    fn report<T>(&mut self, judged: Result<(), T>) {
        if judged.is_err() {
            self.break_by(Fault::Accused);
        }
    }

    fn break_by(&mut self, fault: Fault) {
        self.fault.get_or_insert(fault);
    }
}

/// The message as the network of the model has it: to whom, none meaning everyone else.
fn as_sent(to: Replicas, message: Message, members: usize) -> Vec<(Option<ReplicaId>, Message)> {
    let message = match message {
        // What they would do, the model does at any time.
        Message::Nack(_) | Message::Behind(_) => return Vec::new(),
        // They are the same for whoever asks.
        Message::Fetched(fetched) => {
            return vec![(None, Fetched { chosen: Slot::ZERO, ..fetched }.into())];
        }
        Message::Chosen(chosen) => {
            return vec![(None, Chosen { chosen: Slot::ZERO, ..chosen }.into())];
        }
        // This mark only tells whom to ask.
        Message::Accepted(accepted) => Accepted { chosen: Slot::ZERO, ..accepted }.into(),
        other => other,
    };
    if to.len() + 1 == members {
        return vec![(None, message)];
    }
    to.iter().map(|to| (Some(to), message.clone())).collect()
}

/// Whether the record is of a slot, and so may be lost without the log refusing to open.
pub(crate) fn may_be_lost(record: &Record) -> bool {
    matches!(record, Record::Accepted { .. } | Record::Chosen { .. })
}

/// It leads no more, and what waits goes elsewhere: the model forwards nothing.
fn stop(proposer: &mut Proposer) {
    proposer.stop();
    proposer.drop_below(u64::MAX);
}

#[cfg(test)]
mod tests;
