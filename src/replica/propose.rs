//! How commands come into a replica, and who proposes them: this replica, while it leads, or the
//! leader that it forwards them to.

use thiserror::Error;

use crate::ballot::Ballot;
use crate::entry::{CommandId, Entry};
use crate::membership::{Incarnation, ReplicaId, Replicas};
use crate::message::Forward;
use crate::output::{Fate, IgnoreReason, Output};
use crate::replica::Replica;
use crate::slot::Slot;
use crate::time::Instant;

/// How many runs of commands may wait for their fate.
const AWAITED_MAX: usize = 4096;

/// How many times `apply_slots` the state machine may be behind before a leader takes no more.
const APPLY_LAG_FACTOR: u64 = 16;

/// Why a command was not taken in. It is certain that it is never applied.
///
/// ```
#[doc = include_str!("example.txt")]
/// let (mut replica, now) = leading_alone();
/// let error = replica.propose(now, &vec![0; 3 << 20]).unwrap_err();
/// assert_eq!(error, ProposeError::TooLarge { bytes: 3 << 20, limit: 2 << 20 });
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ProposeError {
    /// This replica neither leads nor knows who does, and the settings allow no waiting.
    #[error("no leader is known")]
    NotLeader,
    /// Too much waits already: for a leader, the pipeline, the disk or the state machine.
    #[error("too much is waiting already; try again later")]
    Full,
    /// The command is longer than the settings allow.
    #[error("a command of {bytes} bytes is longer than the limit of {limit}")]
    TooLarge {
        /// Its length.
        bytes: usize,
        /// The limit.
        limit: usize,
    },
    /// The replica has stopped for good.
    #[error("the replica has stopped for good")]
    Halted,
}

/// A replica that takes commands in, one after the other: [`Replica::intake`].
///
/// ```
#[doc = include_str!("example.txt")]
/// let (mut replica, now) = leading_alone();
/// let mut intake = replica.intake(now);
/// let [one, two] = [b"one", b"two"].map(|command| intake.propose(command));
/// assert_eq!(two?.sequence, one?.sequence + 1);
/// # Ok::<(), ProposeError>(())
/// ```
#[derive(Debug)]
pub struct Intake<'a> {
    replica: &'a mut Replica,
    /// Why it takes in none.
    refusal: Option<ProposeError>,
    /// How many bytes of forwarded commands are unanswered.
    unanswered: usize,
}

impl Intake<'_> {
    /// Takes a command in.
    ///
    /// # Errors
    /// Why not. It is then certain that the command is never applied.
    #[inline]
    pub fn propose(&mut self, command: &[u8]) -> Result<CommandId, ProposeError> {
        let replica = &mut *self.replica;
        let (bytes, limit) = (command.len(), replica.config.command_bytes);
        // Whoever tries again later does not learn only then that it is too large.
        if bytes > limit && self.refusal != Some(ProposeError::Halted) {
            return Err(ProposeError::TooLarge { bytes, limit });
        }
        if let Some(refusal) = self.refusal {
            return Err(refusal);
        }
        if replica.is_full(replica.proposer.queued_bytes() + self.unanswered, bytes) {
            return Err(ProposeError::Full);
        }
        replica.patience.start(replica.now, replica.proposer.sequence());
        Ok(replica.proposer.enqueue(command))
    }
}

impl Replica {
    /// Takes a command in. At the next drain it is proposed, if this replica leads, or forwarded to
    /// the leader that it follows; without one it waits, for at most [`crate::Config::patience`].
    ///
    /// What becomes of it comes out as [`Output::Fate`]. Commands of one start of one replica are
    /// chosen in the order in which they were taken in, whoever leads meanwhile.
    ///
    /// # Errors
    /// Why not. It is then certain that the command is never applied.
    pub fn propose(&mut self, now: Instant, command: &[u8]) -> Result<CommandId, ProposeError> {
        self.intake(now).propose(command)
    }

    /// Begins to take several commands in, one after the other, as by [`Replica::propose`]: what
    /// does not depend on the command is looked at once.
    pub fn intake(&mut self, now: Instant) -> Intake<'_> {
        self.now = self.now.max(now);
        let refusal = if self.halted.is_some() {
            Some(ProposeError::Halted)
        } else if self.config.patience.is_zero() && self.offers_to().is_none() {
            Some(ProposeError::NotLeader)
        } else if self.is_machine_behind() || self.fates.awaited() >= AWAITED_MAX {
            Some(ProposeError::Full)
        } else {
            None
        };
        let unanswered = self.forwarding.unanswered_bytes();
        Intake { replica: self, refusal, unanswered }
    }

    /// Whether `bytes` more find no room beside what waits.
    fn is_full(&self, waiting: usize, bytes: usize) -> bool {
        waiting.saturating_add(bytes) > self.config.queue_bytes && waiting > 0
    }

    /// Whether the state machine is so far behind that a leader takes no more.
    fn is_machine_behind(&self) -> bool {
        let lag = self.learner.chosen().since(self.learner.applied());
        lag > self.config.apply_slots.saturating_mul(APPLY_LAG_FACTOR)
    }

    /// The ballot of the leader that commands and reads go to: this replica or another one.
    pub(super) fn offers_to(&self) -> Option<Ballot> {
        self.proposer.leading().or(self.election.leader())
    }

    /// Whether this replica's commands get no slot now: some that were offered to an earlier leader
    /// may yet be chosen, and would then come after them; or the next leader shall have them.
    fn holds_own(&self) -> bool {
        self.hand_over.is_closing() || self.must_wait()
    }

    /// Whether nobody takes commands of this replica: it does not lead, or some that were offered
    /// to an earlier leader may yet be chosen.
    fn must_wait(&self) -> bool {
        !self.proposer.leading().is_some_and(|ballot| self.fates.may_offer(ballot))
    }

    /// Whether this leader has something to propose.
    pub(super) fn has_work(&self) -> bool {
        self.proposer.has_work(self.holds_own(), self.learner.chosen())
    }

    /// Proposes the next batch, if there is one and the pipeline and the disk have room.
    pub(super) fn propose_next(&mut self) -> bool {
        let (Some(membership), Some(ballot)) = (&self.membership, self.proposer.leading()) else {
            return false;
        };
        // Whoever was asked to lead would not know of it.
        if self.hand_over.asked().is_some() || !self.has_work() || self.is_disk_busy() {
            return false;
        }
        let (hold, announcement) = (self.holds_own(), self.learner.announcement());
        let proposed =
            self.proposer.propose_in_turn(hold, &announcement, membership, &mut self.out);
        let Some(slot) = proposed else { return false };
        // The Accept tells everybody what is chosen.
        self.announcer.note_told(self.now, announcement.chosen);
        self.owed = Replicas::default();
        if let Some(Entry::Batch(batch)) = self.proposer.proposed(slot, ballot) {
            self.fates.propose(ballot, slot, batch);
        }
        self.settle(self.now);
        true
    }

    /// Forwards the next batch to the leader, if there is one and not too much is unanswered.
    pub(super) fn forward_next(&mut self) -> bool {
        let Some(ballot) = self.election.leader() else { return false };
        let settled = self.fates.awaited() == 0;
        if !self.fates.may_offer(ballot) || !self.forwarding.has_room(ballot, settled) {
            return false;
        }
        let Some(batch) = self.proposer.take_batch() else { return false };
        let me = self.me;
        let numbers = batch.taken_in_by(me.replica, me.incarnation);
        let numbers = numbers.expect("a replica's own queue holds its own commands, in order");
        let known = (self.learner.chosen(), self.acceptor.end());
        let sent = (numbers.clone(), batch);
        let limit = self.forwarding.send(ballot, sent, known, &mut self.out);
        self.fates.offer(ballot, numbers, limit);
        true
    }

    /// Takes in what a follower forwards, if this replica leads.
    pub(super) fn handle_forward(&mut self, from: ReplicaId, forward: Forward) {
        if !self.is_member(from) {
            self.ignore(from, IgnoreReason::NoMember);
            return;
        }
        let start = (from, self.start_of(from));
        let full = self.hand_over.is_closing()
            || self.is_machine_behind()
            || self.is_full(self.proposer.queued_bytes(), forward.batch.bytes().len());
        let announcement = self.learner.announcement();
        match self.proposer.handle_forward(start, forward, &announcement, full) {
            Ok(Some(answer)) => self.out.send_one(from, answer),
            Ok(None) => {}
            Err(what) => self.report(from, Err(what)),
        }
    }

    /// Tells those whose commands are chosen, and who have no Accept to hear it by.
    pub(super) fn tell_next(&mut self) -> bool {
        let owed = core::mem::take(&mut self.owed);
        if owed.is_empty() {
            return false;
        }
        let announcement = self.learner.announcement();
        for to in owed.iter() {
            if let Some(answer) = self.proposer.forward_answer(to, &announcement) {
                self.out.send_one(to, answer);
            }
        }
        true
    }

    /// Hears that the entry is chosen: notes who waits to hear it of this leader.
    pub(super) fn owe(&mut self, entry: &Entry) {
        if let Entry::Batch(batch) = entry
            && self.proposer.leading().is_some()
        {
            for origin in batch.origins() {
                let replica = origin.first.replica;
                if replica != self.me.replica && self.is_member(replica) {
                    self.owed.insert(replica);
                }
            }
        }
    }

    /// Which start of the member was heard last.
    pub(super) fn start_of(&self, member: ReplicaId) -> Incarnation {
        if member == self.me.replica { self.me.incarnation } else { self.lives.latest(member).0 }
    }

    /// Looks after commands: sends again what the leader has not answered, and gives up what has
    /// waited for too long.
    pub(super) fn on_commands(&mut self, now: Instant) {
        let known = (self.learner.chosen(), self.acceptor.end());
        if let Some((from, limit)) =
            self.forwarding.on_tick(self.election.leader(), known, &mut self.out)
        {
            self.fates.raise(from, limit);
        }
        let old = self.patience.on_tick(now, self.proposer.sequence());
        if self.is_overdue() {
            self.forwarding.give_up();
        }
        if self.must_wait() {
            let leader = self.leader_hint();
            for commands in self.proposer.drop_below(old) {
                self.out.push(Output::Fate { commands, fate: Fate::NotLeader { leader } });
            }
        }
        if let Some(ballot) = self.proposer.leading() {
            self.proposer.fill_to(self.end(ballot), self.learner.chosen());
        }
    }

    /// Whether the fate of some command is awaited for longer than anybody should wait.
    fn is_overdue(&self) -> bool {
        self.fates.oldest().is_some_and(|oldest| oldest < self.patience.old())
    }

    /// The first slot above everything that this replica has accepted, or in which commands may be
    /// chosen that it offered to another leader than this one, or too long ago, or that it gave up
    /// together with such. A leader that has nothing to propose fills the slots below, so that
    /// nobody waits for ever to hear what became of them.
    pub(super) fn end(&self, leader: Ballot) -> Slot {
        let end = self.acceptor.end();
        match self.fates.limit() {
            Some(limit)
                if !self.fates.may_offer(leader)
                    || self.is_overdue()
                    || self.forwarding.is_over() =>
            {
                end.max(limit)
            }
            _ => end,
        }
    }
}
