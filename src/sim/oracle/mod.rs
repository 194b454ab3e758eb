//! The oracles: what must hold at every step of every run.
//!
//! They see what no replica sees: each record as it becomes durable on each disk, each message as
//! it leaves, each command as it is taken in. From the durable records alone they compute what is
//! *really* chosen, and judge everything that the replicas say and do against that. One function
//! holds one claim; its message begins with the invariant's number.

pub(crate) mod chosen;
mod fates;
mod forwards;
mod leading;
mod lives;
mod reads;
mod sent;
mod status;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::format;
use std::string::String;
use std::vec::Vec;

use crate::ballot::Ballot;
use crate::entry::{CommandId, Entry, Place};
use crate::membership::{Incarnation, Peer, ReplicaId, VoteSet};
use crate::message::Promise;
use crate::output::Fate;
use crate::quorum::{Quorums, Tally};
use crate::record::{Lsn, Record, Recovered};
use crate::slot::{Slot, Slots};

use super::trace::fingerprint;

/// A claim that does not hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Broken {
    /// The claim's short name, such as `I4` or `AGR`.
    pub(crate) invariant: &'static str,
    /// What was seen.
    pub(crate) text: String,
}

/// The claim does not hold.
pub(crate) fn broken<T>(invariant: &'static str, text: String) -> Result<T, Broken> {
    Err(Broken { invariant, text })
}

/// A proposal as its first Accept showed it.
#[derive(Clone, Debug)]
struct Proposal {
    print: u64,
    entry: Entry,
    /// Who has durably accepted it, a bit for each replica.
    votes: VoteSet,
}

/// What is really chosen at a slot.
#[derive(Clone, Copy, Debug)]
struct Truth {
    ballot: Ballot,
    print: u64,
}

/// A command as it was taken in.
#[derive(Clone, Copy, Debug)]
struct Command {
    print: u64,
    fate: Option<Fate>,
}

/// What the oracles know of one replica.
#[derive(Clone, Debug, Default)]
struct Image {
    /// The highest promise that is durable on its disk.
    promised: Ballot,
    /// The highest promise that it appended in this life, durable or not.
    promised_written: Ballot,
    /// Every acceptance that is durable on its disk.
    accepted: BTreeMap<Slot, BTreeSet<Ballot>>,
    /// Every acceptance that it appended in this life, durable or not.
    written: BTreeMap<Slot, BTreeSet<Ballot>>,
    /// The highest ballot that it told a Promise of, in all its lives.
    promise_sent: Ballot,
    /// What it told that it accepted at the highest such ballot, and its highest chosen mark.
    told: (Ballot, BTreeSet<Slot>, Slot),
    /// The chosen mark that is durable on its disk.
    marked: Slot,
    /// The chosen mark that it appended last.
    marked_written: Slot,
    /// The low-water mark of its disk.
    durable: Lsn,
    /// What its status said last.
    seen: status::Marks,
    /// The next slot that it must hand to its state machine.
    next_apply: Slot,
    /// How it formed, and its starts.
    life: lives::Life,
    /// Its disk is not what it was: what it says and does from now on is not the replica's.
    lost: bool,
}

/// Everything that the oracles know.
#[derive(Debug)]
pub(crate) struct Oracle {
    replicas: usize,
    quorums: Quorums,
    images: Vec<Image>,
    owners: BTreeMap<Ballot, Incarnation>,
    proposals: BTreeMap<(Slot, Ballot), Proposal>,
    /// Promises as the owners of their ballots received them.
    promises: BTreeMap<Ballot, BTreeMap<usize, Vec<Promise>>>,
    chosen: BTreeMap<Slot, Truth>,
    /// Slots whose announcement at the ballot was found true.
    tagged: BTreeMap<Ballot, Slots>,
    /// Every slot below is really chosen.
    prefix: Slot,
    applied: BTreeMap<Slot, (u64, usize)>,
    commands: BTreeMap<CommandId, Command>,
    places: BTreeMap<CommandId, Place>,
    /// To which ballot each command was forwarded, and the highest limit that was told.
    forwards: BTreeMap<CommandId, (Ballot, Slot)>,
    /// Where each command was proposed first.
    proposed: BTreeMap<CommandId, (Slot, Ballot)>,
    /// The next command that may be applied of each start of each replica.
    ordered: BTreeMap<(ReplicaId, Incarnation), u64>,
    /// Linearizable reads under way, each with the slots below which it must see.
    reads: BTreeMap<(ReplicaId, Incarnation, u64), Slot>,
    /// Everything below was seen by somebody: in the answer to a command, or to a read.
    seen: Slot,
    /// How many slots were chosen by fewer than a majority.
    chosen_by_few: u64,
    /// How many commands were reported chosen.
    acknowledged: u64,
    /// The lives of replicas whose disks are not what they were: nobody may count their votes.
    lost_lives: BTreeSet<Peer>,
    /// Fingerprints of the messages that were framed, with their senders and receivers.
    framed: BTreeSet<u64>,
}

/// The place of a replica among the images: names count from 1.
pub(crate) fn index_of(replica: ReplicaId) -> usize {
    (replica.0 as usize).wrapping_sub(1)
}

impl Oracle {
    /// Oracles for as many replicas as these quorums are of, named from 1 on.
    pub(crate) fn new(quorums: Quorums) -> Self {
        let replicas = quorums.members();
        Self {
            replicas,
            quorums,
            images: std::vec![Image::default(); replicas],
            owners: BTreeMap::new(),
            proposals: BTreeMap::new(),
            promises: BTreeMap::new(),
            chosen: BTreeMap::new(),
            tagged: BTreeMap::new(),
            prefix: Slot::ZERO,
            applied: BTreeMap::new(),
            commands: BTreeMap::new(),
            places: BTreeMap::new(),
            forwards: BTreeMap::new(),
            proposed: BTreeMap::new(),
            ordered: BTreeMap::new(),
            reads: BTreeMap::new(),
            seen: Slot::ZERO,
            chosen_by_few: 0,
            acknowledged: 0,
            lost_lives: BTreeSet::new(),
            framed: BTreeSet::new(),
        }
    }

    /// Whether these can elect a leader and choose: they are a quorum of both kinds.
    pub(crate) fn can_go_on(&self, replicas: impl Iterator<Item = usize>) -> bool {
        let votes = replicas.fold(VoteSet::EMPTY, VoteSet::with);
        self.is_prepare_quorum(votes) && self.is_accept_quorum(votes)
    }

    /// Whether these are a prepare quorum.
    fn is_prepare_quorum(&self, votes: VoteSet) -> bool {
        self.quorums.prepare(votes, VoteSet::EMPTY) == Tally::Won
    }

    /// Whether these are an accept quorum.
    fn is_accept_quorum(&self, votes: VoteSet) -> bool {
        self.quorums.accept(votes, VoteSet::EMPTY) == Tally::Won
    }

    /// How many slots were chosen by fewer than a majority of the members.
    pub(crate) fn chosen_by_few(&self) -> u64 {
        self.chosen_by_few
    }

    /// How many slots are really chosen.
    pub(crate) fn slots_chosen(&self) -> u64 {
        self.chosen.len() as u64
    }

    /// How many commands were reported chosen.
    pub(crate) fn acknowledged(&self) -> u64 {
        self.acknowledged
    }

    /// Every slot below is really chosen.
    pub(crate) fn prefix(&self) -> Slot {
        self.prefix
    }

    /// The highest chosen mark that is durable on another disk.
    pub(crate) fn mark_of_others(&self, at: usize) -> Slot {
        let others = self.images.iter().enumerate();
        let others = others.filter(|(by, image)| *by != at && !image.lost);
        others.map(|(_, image)| image.marked).max().unwrap_or_default()
    }

    /// A replica appended a record with the chosen mark that goes with it. `read` is what its log
    /// gives for a slot from now on.
    pub(crate) fn on_persist(
        &mut self,
        at: usize,
        record: &Record,
        chosen: Slot,
        read: impl Fn(Slot) -> Option<(Ballot, Entry)>,
    ) -> Result<(), Broken> {
        if self.images[at].lost {
            return Ok(());
        }
        if let Record::Accepted { slot, ballot, entry } = record {
            self.i3_accepts_at_its_promise(at, *slot, *ballot)?;
            if index_of(ballot.replica) == at {
                self.on_proposal(at, *ballot, *slot, entry)?;
            } else if self.note_proposal(*slot, *ballot, entry)? {
                return broken("I2", format!("{} accepts {slot}@{ballot}, not proposed", at + 1));
            }
            let image = &mut self.images[at];
            image.written.entry(*slot).or_default().insert(*ballot);
            image.promised_written = image.promised_written.max(*ballot);
        }
        if let Record::Promised { ballot } = record {
            let written = &mut self.images[at].promised_written;
            *written = (*written).max(*ballot);
        }
        if let Record::Chosen { slot, ballot, entry } = record {
            self.true_entry("I6", at, *slot, *ballot, entry)?;
        }
        self.form_in_two_rounds(at, record)?;
        self.true_mark("Persist", at, chosen)?;
        self.i8_log_holds_what_is_chosen(at, chosen, read)
    }

    /// A record became durable, with the chosen mark that was written with it.
    pub(crate) fn on_durable(
        &mut self,
        at: usize,
        lsn: Lsn,
        record: &Record,
        chosen: Slot,
    ) -> Result<(), Broken> {
        let image = &mut self.images[at];
        image.durable = lsn;
        if image.lost {
            return Ok(());
        }
        image.marked = image.marked.max(chosen);
        self.note_formed(at, record);
        let image = &mut self.images[at];
        match record {
            Record::Promised { ballot } => image.promised = image.promised.max(*ballot),
            Record::Accepted { slot, ballot, .. } => {
                image.promised = image.promised.max(*ballot);
                image.accepted.entry(*slot).or_default().insert(*ballot);
                return self.count_vote(at, *slot, *ballot);
            }
            Record::Chosen { .. } | Record::Members { .. } | Record::Formed => {}
        }
        Ok(())
    }

    /// A replica crashed: what it had not made durable is gone; its log ends with `last`.
    pub(crate) fn on_crash(&mut self, at: usize, last: Lsn) {
        let image = &mut self.images[at];
        image.durable = last;
        image.written = image.accepted.clone();
        image.promised_written = image.promised;
        image.marked_written = image.marked;
        image.seen = status::Marks::default();
        image.next_apply = Slot::ZERO;
    }

    /// The disk of a replica was exchanged: nothing that was on the old one binds the new one, but
    /// the others have heard of it.
    pub(crate) fn on_other_disk(&mut self, at: usize) {
        let life = self.images[at].life.on_other_disk();
        self.images[at] = Image { life, ..Image::default() };
    }

    /// A replica starts on a disk that is not what it was. What it told by then stays true of the
    /// replica; what it tells from now on is not to be believed, and a vote that is counted shows
    /// as a proposal on too few Promises (I5) or as a slot that is not chosen (I6).
    pub(crate) fn on_lost_start(&mut self, at: usize, me: Peer, last: Lsn) {
        self.on_crash(at, last);
        self.images[at].lost = true;
        self.lost_lives.insert(me);
    }

    /// Whether every other replica is formed by its disk.
    pub(crate) fn others_are_formed(&self, at: usize) -> bool {
        let others = self.images.iter().enumerate().filter(|(by, _)| *by != at);
        others.into_iter().all(|(_, image)| image.life.formed())
    }

    /// A replica starts with this.
    pub(crate) fn on_recovered(&mut self, at: usize, recovered: &Recovered) -> Result<(), Broken> {
        self.i1_promise_survives(at, recovered)?;
        self.i10_acceptances_survive(at, recovered)?;
        self.life_goes_on(at, recovered)?;
        self.true_mark("Recovered", at, recovered.chosen)?;
        let image = &mut self.images[at];
        image.seen.promised = recovered.promised;
        image.promised_written = image.promised_written.max(recovered.promised);
        // What a log gives back is durable by then. A promise may stand in its superblock although
        // a crash took the record; the next crash must not take it any more.
        image.promised = image.promised.max(recovered.promised);
        Ok(())
    }

    /// I1: what a replica promised durably, it still knows after a restart.
    fn i1_promise_survives(&self, at: usize, recovered: &Recovered) -> Result<(), Broken> {
        let durable = self.images[at].promised;
        if recovered.promised < durable {
            return broken(
                "I1",
                format!("{durable} was durable, {} is recovered", recovered.promised),
            );
        }
        Ok(())
    }

    /// I10: what a replica accepted durably above its chosen mark, it still knows after a restart,
    /// at least as a slot that may be lost.
    fn i10_acceptances_survive(&self, at: usize, recovered: &Recovered) -> Result<(), Broken> {
        let image = &self.images[at];
        if recovered.chosen < image.marked {
            return broken(
                "I8",
                format!("mark {} was durable, {} is recovered", image.marked, recovered.chosen),
            );
        }
        for (slot, ballots) in image.accepted.range(recovered.chosen..) {
            let highest = ballots.last().copied().unwrap_or_default();
            let held = recovered.accepted.iter().any(|(s, b, _)| s == slot && *b >= highest);
            let faulty =
                recovered.faulty.iter().any(|r| r.slots.contains(*slot) && r.ballot >= highest);
            if !held && !faulty {
                return broken("I10", format!("{slot} was accepted at {highest}, and is lost"));
            }
        }
        Ok(())
    }

    /// I3: an acceptor accepts only at a ballot that is not below a Promise that it ever told.
    fn i3_accepts_at_its_promise(
        &self,
        at: usize,
        slot: Slot,
        ballot: Ballot,
    ) -> Result<(), Broken> {
        let image = &self.images[at];
        let promise = image.promise_sent.max(image.promised_written);
        if ballot < promise {
            return broken("I3", format!("accepts {slot} at {ballot} after promising {promise}"));
        }
        Ok(())
    }

    /// I8: the chosen mark on disk is backed by the log: it gives the really chosen entry of every
    /// slot below.
    fn i8_log_holds_what_is_chosen(
        &mut self,
        at: usize,
        chosen: Slot,
        read: impl Fn(Slot) -> Option<(Ballot, Entry)>,
    ) -> Result<(), Broken> {
        let mut slot = self.images[at].marked_written;
        while slot < chosen {
            let Some((ballot, entry)) = read(slot) else {
                return broken("I8", format!("marks {chosen}, but its log has nothing at {slot}"));
            };
            self.true_entry("I8", at, slot, ballot, &entry)?;
            slot = slot.next();
        }
        let written = &mut self.images[at].marked_written;
        *written = chosen.max(*written);
        Ok(())
    }

    /// An entry that somebody says is chosen is what is really chosen there, and was proposed at
    /// the ballot that is named with it.
    fn true_entry(
        &self,
        invariant: &'static str,
        at: usize,
        slot: Slot,
        ballot: Ballot,
        entry: &Entry,
    ) -> Result<(), Broken> {
        let print = fingerprint(entry);
        let who = at + 1;
        match self.chosen.get(&slot) {
            None => {
                return broken(
                    invariant,
                    format!("{who} holds {slot} for chosen, but no quorum has accepted it"),
                );
            }
            Some(truth) if truth.print != print => {
                return broken(
                    invariant,
                    format!("{who} holds another entry for chosen at {slot}: {entry}"),
                );
            }
            Some(_) => {}
        }
        self.true_ballot(invariant, at, slot, ballot, print)
    }

    /// The ballot that is named with a chosen entry is one in which that entry was proposed.
    fn true_ballot(
        &self,
        invariant: &'static str,
        at: usize,
        slot: Slot,
        ballot: Ballot,
        print: u64,
    ) -> Result<(), Broken> {
        match self.proposals.get(&(slot, ballot)) {
            Some(proposal) if proposal.print == print => Ok(()),
            Some(_) => broken(
                invariant,
                format!("{} names {ballot} for {slot}, which proposed another entry", at + 1),
            ),
            None => broken(
                invariant,
                format!("{} names {ballot} for {slot}, which proposed nothing there", at + 1),
            ),
        }
    }

    /// A chosen mark, wherever it is said, passes only slots that are really chosen.
    fn true_mark(&self, where_said: &str, at: usize, mark: Slot) -> Result<(), Broken> {
        if mark > self.prefix {
            return broken(
                "I8",
                format!(
                    "{} marks {mark} in {where_said}, but only slots below {} are chosen",
                    at + 1,
                    self.prefix
                ),
            );
        }
        Ok(())
    }
}
