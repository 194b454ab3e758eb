//! Each message as it leaves, against the durable image of its sender's disk.

use core::hash::{Hash, Hasher};
use std::format;
use std::vec::Vec;

use crate::ballot::Ballot;
use crate::entry::Entry;
use crate::membership::{Peer, ReplicaId, VoteSet};
use crate::message::{Accepted, Announcement, Message, Promise};
use crate::slot::{ALPHA, Slot, Slots};

use super::{Broken, Oracle, broken, index_of};
use crate::sim::trace::{Fingerprint, fingerprint};

/// What an acceptor's Promises say of a slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Report {
    /// Nothing, or the highest ballot accepted.
    Accepted(Option<Ballot>),
    /// May be lost, accepted at most at this ballot.
    Faulty(Ballot),
    /// Settled: whoever counts it proposes nothing there.
    Chosen,
}

impl Oracle {
    /// A message leaves.
    pub(crate) fn on_send(
        &mut self,
        from: Peer,
        to: ReplicaId,
        message: &Message,
    ) -> Result<(), Broken> {
        let at = index_of(from.replica);
        if self.images[at].lost {
            return Ok(());
        }
        self.life_is_true(from, to, message)?;
        self.true_mark(message.name(), at, message.chosen().unwrap_or_default())?;
        self.images[at].note_told(message);
        match message {
            Message::Prepare(prepare) => {
                self.i2_ballot_has_one_owner(from, prepare.ballot)?;
                self.i4_promise_is_durable(at, "Prepare", prepare.ballot)
            }
            Message::Promise(promise) => {
                self.i4_promise_is_durable(at, "Promise", promise.ballot)?;
                self.i10_promise_reports_all(at, promise)?;
                let sent = &mut self.images[at].promise_sent;
                *sent = promise.ballot.max(*sent);
                Ok(())
            }
            Message::Accept(accept) => {
                self.i2_ballot_has_one_owner(from, accept.ballot)?;
                self.on_proposal(at, accept.ballot, accept.slot, &accept.entry)?;
                self.tag_announcement_is_true(at, &accept.announcement)
            }
            Message::Accepted(accepted) => {
                self.i3_no_vote_below_a_promise(at, accepted)?;
                self.i4_vote_is_durable(at, accepted)
            }
            Message::Heartbeat(heartbeat) => {
                self.i2_ballot_has_one_owner(from, heartbeat.ballot)?;
                self.i4_promise_is_durable(at, "Heartbeat", heartbeat.ballot)?;
                self.lead_has_its_quorum(at, heartbeat.ballot)?;
                self.tag_announcement_is_true(at, &heartbeat.announcement)
            }
            Message::HandOver(hand_over) => self.hand_over_is_due(from, to, hand_over),
            Message::Nack(nack) => self.nack_is_true(at, nack.ballot, nack.promised),
            Message::Fetched(fetched) => match &fetched.proposal {
                Some((ballot, entry)) => self.fetched_is_true(at, fetched.slot, *ballot, entry),
                None => Ok(()),
            },
            Message::Chosen(chosen) => {
                self.true_entry("I6", at, chosen.slot, chosen.ballot, &chosen.entry)
            }
            Message::Forward(forward) => self.on_forward(from, forward),
            Message::ForwardAnswer(answer) => {
                self.tag_announcement_is_true(at, &answer.announcement)
            }
            Message::ReadIndexAnswer(answer) => {
                self.tag_announcement_is_true(at, &answer.announcement)
            }
            Message::Announcement(told) => self.tag_announcement_is_true(at, told),
            Message::Behind(_)
            | Message::ReadIndex(_)
            | Message::HeartbeatAnswer(_)
            | Message::Canvass(_)
            | Message::CanvassAnswer(_)
            | Message::Fetch(_)
            | Message::CatchUp(_)
            | Message::Forming(_)
            | Message::Refused(_) => Ok(()),
        }
    }

    /// A message leaves as a frame.
    pub(crate) fn on_frame(&mut self, from: Peer, to: ReplicaId, message: &Message) {
        self.framed.insert(framed(from, index_of(to), message));
    }

    /// WIRE: what comes out of a frame was sent, by whom it says, to whom it reached.
    pub(crate) fn wire_was_sent(
        &self,
        from: Peer,
        to: usize,
        message: &Message,
    ) -> Result<(), Broken> {
        if !self.framed.contains(&framed(from, to, message)) {
            return broken("WIRE", format!("{} hears from {from:?}: {message:?}", to + 1));
        }
        Ok(())
    }

    /// A message arrives. Promises are kept: they justify what their receiver proposes.
    pub(crate) fn on_deliver(&mut self, from: Peer, to: usize, message: &Message) {
        if let Message::Promise(promise) = message
            && index_of(promise.ballot.replica) == to
            && !self.lost_lives.contains(&from)
        {
            let pages = self.promises.entry(promise.ballot).or_default();
            let pages = pages.entry(index_of(from.replica)).or_default();
            if !pages.contains(promise) {
                pages.push((**promise).clone());
            }
        }
    }

    /// I2: a ballot is used by the replica that it names, in one of its lives.
    pub(super) fn i2_ballot_has_one_owner(
        &mut self,
        from: Peer,
        ballot: Ballot,
    ) -> Result<(), Broken> {
        let owner = *self.owners.entry(ballot).or_insert(from.incarnation);
        if ballot.replica != from.replica || owner != from.incarnation {
            return broken(
                "I2",
                format!("{} leads at {ballot} in life {:?}", from.replica, from.incarnation),
            );
        }
        Ok(())
    }

    /// I4: who says that it promised has the promise on its disk.
    fn i4_promise_is_durable(&self, at: usize, what: &str, ballot: Ballot) -> Result<(), Broken> {
        let durable = self.images[at].promised;
        if durable < ballot {
            return broken(
                "I4",
                format!("{} sends {what} at {ballot}, durable is {durable}", at + 1),
            );
        }
        Ok(())
    }

    /// I4: who says that it accepted has the acceptance on its disk, or the slot was chosen before.
    fn i4_vote_is_durable(&self, at: usize, accepted: &Accepted) -> Result<(), Broken> {
        let (image, ballot) = (&self.images[at], accepted.ballot);
        for slot in accepted.slots.iter() {
            if image.accepted.get(&slot).is_some_and(|ballots| ballots.contains(&ballot)) {
                continue;
            }
            let truth = self.chosen.get(&slot).filter(|_| slot < accepted.chosen);
            let settled = truth.zip(self.proposals.get(&(slot, ballot)));
            if settled.is_none_or(|(truth, proposal)| truth.print != proposal.print) {
                return broken(
                    "I4",
                    format!("{} sends Accepted of {slot} at {ballot}, not durable", at + 1),
                );
            }
        }
        Ok(())
    }

    /// I3: nothing is accepted at a ballot below one that was promised to somebody.
    fn i3_no_vote_below_a_promise(&self, at: usize, accepted: &Accepted) -> Result<(), Broken> {
        let promise = self.images[at].promise_sent;
        if accepted.ballot < promise {
            return broken(
                "I3",
                format!("{} sends Accepted at {} after {promise}", at + 1, accepted.ballot),
            );
        }
        Ok(())
    }

    /// I10: a Promise names, for each slot of its page, at least the highest ballot below its own
    /// that is durable there; and nothing that was never proposed.
    fn i10_promise_reports_all(&self, at: usize, promise: &Promise) -> Result<(), Broken> {
        let first = promise.slots.start.max(promise.chosen);
        for (slot, ballots) in self.images[at].accepted.range(first..) {
            if !promise.last && *slot >= promise.slots.end {
                break;
            }
            let Some(below) = ballots.range(..promise.ballot).next_back() else { continue };
            let told = match report_of(promise, *slot) {
                Some(Report::Accepted(told)) => told >= Some(*below),
                Some(Report::Faulty(most)) => most >= *below,
                Some(Report::Chosen) => true,
                None => false,
            };
            if !told {
                return broken(
                    "I10",
                    format!("{} promises {} and hides {slot}@{below}", at + 1, promise.ballot),
                );
            }
        }
        for run in &promise.accepted {
            if run.ballot > promise.ballot {
                return broken("I3", format!("{} promises below what it accepted", at + 1));
            }
            for slot in run.slots.iter().take(ALPHA as usize + 1) {
                if !self.proposals.contains_key(&(slot, run.ballot)) {
                    return broken(
                        "I10",
                        format!("{} reports {slot}@{}, never proposed", at + 1, run.ballot),
                    );
                }
            }
        }
        Ok(())
    }

    /// A Nack refuses a ballot that really is below the promise.
    fn nack_is_true(&self, at: usize, refused: Ballot, promised: Ballot) -> Result<(), Broken> {
        if promised <= refused || promised > self.images[at].promised_written {
            return broken("I3", format!("{} refuses {refused} for {promised}", at + 1));
        }
        Ok(())
    }

    /// F2: an announcement names slots that are really chosen, each with a ballot in which the
    /// chosen entry was proposed.
    pub(super) fn tag_announcement_is_true(
        &mut self,
        at: usize,
        announcement: &Announcement,
    ) -> Result<(), Broken> {
        for run in announcement.runs.iter() {
            // Announcements repeat themselves, and what was true of a slot once stays true: only
            // what the last looks at this ballot did not see is looked at.
            let nothing = Slots { start: run.slots.start, end: run.slots.start };
            let seen = self.tagged.get(&run.ballot).copied().unwrap_or(nothing);
            let before = Slots { end: run.slots.end.min(seen.start), ..run.slots };
            let after = Slots { start: run.slots.start.max(seen.end), ..run.slots };
            for slot in before.iter().chain(after.iter()) {
                let Some(truth) = self.chosen.get(&slot) else {
                    return broken("I6", format!("{} announces {slot}, not chosen", at + 1));
                };
                self.true_ballot("TAG", at, slot, run.ballot, truth.print)?;
            }
            let touches = run.slots.start <= seen.end && seen.start <= run.slots.end;
            let (start, end) = (seen.start.min(run.slots.start), seen.end.max(run.slots.end));
            let looked_at = if touches { Slots { start, end } } else { run.slots };
            self.tagged.insert(run.ballot, looked_at);
        }
        Ok(())
    }

    /// The answer to a Fetch is the proposal that it names.
    fn fetched_is_true(
        &self,
        at: usize,
        slot: Slot,
        ballot: Ballot,
        entry: &Entry,
    ) -> Result<(), Broken> {
        self.true_ballot("I2", at, slot, ballot, fingerprint(entry))
    }

    /// A proposal is made: its owner sends the Accept, or appends its own acceptance.
    pub(super) fn on_proposal(
        &mut self,
        at: usize,
        ballot: Ballot,
        slot: Slot,
        entry: &Entry,
    ) -> Result<(), Broken> {
        if self.note_proposal(slot, ballot, entry)? {
            if !self.is_adopted(slot, ballot, entry) {
                self.fwd_new_proposal(slot, ballot, entry)?;
            }
            self.i5_proposal_is_safe(at, ballot, slot, fingerprint(entry))?;
        }
        Ok(())
    }

    /// I5: some prepare quorum of Promises that reached the proposer allows the entry.
    fn i5_proposal_is_safe(
        &self,
        at: usize,
        ballot: Ballot,
        slot: Slot,
        print: u64,
    ) -> Result<(), Broken> {
        let mut reports: Vec<(Report, usize)> = Vec::new();
        if let Some(pages) = self.promises.get(&ballot) {
            // Below the ballot an acceptor is frozen, so pages of one ballot are equally true,
            // however old: what it told before its disk lost a record or its mark passed still
            // counts.
            let others = pages.iter().filter(|(by, _)| **by != at);
            reports.extend(others.filter_map(|(by, pages)| {
                Some((pages.iter().filter_map(|page| report_of(page, slot)).min()?, *by))
            }));
        }
        if self.images[at].promised >= ballot {
            let own = self.images[at].written.get(&slot);
            let highest = own.and_then(|own| own.range(..ballot).next_back().copied());
            reports.push((Report::Accepted(highest), at));
        }
        reports.retain(|(report, _)| *report != Report::Chosen);
        // A slot that may be lost counts only beside a report at least as high, so the quorum with
        // the lowest highest report decides.
        reports.sort_unstable_by_key(|(report, _)| match report {
            Report::Faulty(most) => (Some(*most), 0),
            Report::Accepted(ballot) => (*ballot, 1),
            Report::Chosen => (None, 2),
        });
        let mut votes = VoteSet::EMPTY;
        let decisive = reports.iter().find_map(|(report, by)| {
            votes.insert(*by);
            match report {
                Report::Accepted(highest) if self.is_prepare_quorum(votes) => Some(*highest),
                Report::Accepted(_) | Report::Faulty(_) | Report::Chosen => None,
            }
        });
        let lowest = match decisive {
            Some(Some(lowest)) => lowest,
            Some(None) => return Ok(()),
            None => {
                return broken(
                    "I5",
                    format!("{} proposes {slot} at {ballot} on {} Promises", at + 1, reports.len()),
                );
            }
        };
        let from = (slot, lowest);
        let mut sources = self.proposals.range(from..(slot, ballot));
        if sources.any(|(_, proposal)| proposal.print == print) {
            return Ok(());
        }
        broken(
            "I5",
            format!(
                "{} proposes at {ballot} another entry for {slot} than those of {lowest} and above",
                at + 1
            ),
        )
    }
}

fn framed(from: Peer, to: usize, message: &Message) -> u64 {
    let mut hasher = Fingerprint::new();
    (from.replica, from.incarnation, to, message).hash(&mut hasher);
    hasher.finish()
}

/// What a page says of a slot; `None` if it does not cover it.
fn report_of(page: &Promise, slot: Slot) -> Option<Report> {
    if slot < page.chosen {
        return Some(Report::Chosen);
    }
    if slot < page.slots.start || (slot >= page.slots.end && !page.last) {
        return None;
    }
    if let Some(run) = page.faulty.iter().find(|run| run.slots.contains(slot)) {
        return Some(Report::Faulty(run.ballot));
    }
    let runs = page.accepted.iter().filter(|run| run.slots.contains(slot));
    Some(Report::Accepted(runs.map(|run| run.ballot).max()))
}
