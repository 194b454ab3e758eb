//! A replica: the roles put together behind the sans-IO API.
//!
//! Time, messages and completions come in as calls; everything that must happen comes out of
//! [`Replica::poll_output`]. A handler dispatches and no more: what a role decides is in the role.
//!
//! The one law for whoever drives it: *drain before you wait*. After any inputs call `poll_output`
//! until it says [`Output::Wait`]; never sleep on an undrained replica. Inputs may pile up first:
//! that is how one sync serves many proposals. The same settings, log and inputs give the same
//! outputs.

use alloc::collections::BTreeMap;

use crate::acceptor::{Acceptor, Held};
use crate::announcer::Announcer;
use crate::ballot::Ballot;
use crate::catch_up::CatchUp;
use crate::config::{Config, ConfigError};
use crate::election::Election;
use crate::fate::Fates;
use crate::forming::Forming;
use crate::forwarding::Forwarding;
use crate::hand_over::HandOvers;
use crate::learner::Learner;
use crate::lives::Lives;
use crate::membership::{Membership, Peer, ReplicaId, Replicas};
use crate::message::{Message, Refused, Standing};
use crate::outbox::Outbox;
use crate::output::{Event, Fate, HaltReason, IgnoreReason, Misbehaviour, Output};
use crate::patience::Patience;
use crate::preference::Preference;
use crate::proposer::{Limits, Proposer};
use crate::quorum::Quorums;
use crate::reads::{Indexes, Reads};
use crate::record::{Lsn, Recovered};
use crate::roster::Roster;
use crate::slot::Slot;
use crate::time::Instant;

pub use propose::{Intake, ProposeError};
pub use read::{Consistency, ReadError};
pub use stalled::{Cause, Stalled};
pub use status::{PeerStatus, Role, Status};
pub use transfer::TransferError;

mod dispatch;
mod propose;
mod read;
mod stalled;
mod status;
mod timers;
mod transfer;

/// One member of a cluster: proposer, acceptor and learner in one.
///
/// ```
/// use synod::membership::DiskId;
/// use synod::record::Recovered;
/// use synod::{ClusterId, Config, Instant, Output, Replica, ReplicaId};
///
/// // Three replicas and a driver without a disk, a network or a state machine: it only looks.
/// let recovered = Recovered::nothing(ClusterId::named("docs")?, ReplicaId(1), DiskId([1; 16]));
/// let config = Config::new([1, 2, 3].map(ReplicaId));
/// let mut replica = Replica::new(config, recovered, Instant::ZERO)?;
/// replica.handle_timeout(Instant::from_millis(100));
/// let (until, timer) = loop {
///     match replica.poll_output() {
///         Output::Wait { until } => break until.expect("it wants to be woken"),
///         Output::Send { to, message } => println!("{} to {to}", message.name()),
///         _ => {}
///     }
/// };
/// println!("wake it at {until}, for {timer:?}");
/// let stalled = replica.why_stalled(until).expect("nobody answers");
/// assert!(stalled.to_string().contains("replica 2"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct Replica {
    config: Config,
    me: Peer,
    forming: Forming,
    /// `None` until the cluster is formed.
    membership: Option<Membership>,
    acceptor: Acceptor,
    /// What the acceptor stood by when this start began.
    start: Standing,
    proposer: Proposer,
    learner: Learner,
    election: Election,
    hand_over: HandOvers,
    preference: Preference,
    catch_up: CatchUp,
    fates: Fates,
    forwarding: Forwarding,
    /// When the commands were taken in.
    patience: Patience,
    announcer: Announcer,
    /// Whose commands were chosen since this leader last sent an Accept.
    owed: Replicas,
    indexes: Indexes,
    reads: Reads,
    /// When the reads were.
    read_patience: Patience,
    lives: Lives,
    out: Outbox,
    /// When to look at what had no answer; runs while this replica prepares or leads.
    resend_at: Option<Instant>,
    /// The chosen mark when this leader last got something chosen, or had nothing open; and when.
    moved: (Slot, Instant),
    /// When to look at what is missing, or at the forming; runs always.
    tick_at: Instant,
    /// The latest time that an input told.
    now: Instant,
    heard: Roster<Instant>,
    /// What the other members last told that they have promised.
    told: BTreeMap<ReplicaId, Ballot>,
    /// The chosen and the applied mark when one of them last moved, or nothing was waited for; and
    /// when.
    progress: ((Slot, Slot), Instant),
    ignored: BTreeMap<IgnoreReason, u64>,
    misbehaved: u64,
    halted: Option<HaltReason>,
}

impl Replica {
    /// The replica that a log remembers.
    ///
    /// # Errors
    /// If the settings make no sense, or name other members than the log was formed with.
    pub fn new(config: Config, recovered: Recovered, now: Instant) -> Result<Self, ConfigError> {
        let me = recovered.me;
        config.check(me.replica)?;
        recovered.check().map_err(ConfigError::Recovered)?;
        let quorums = Quorums::new(&config.quorums, &config.members)?;
        match &recovered.members {
            Some(formed_with) if !formed_with.names(&config.members) => {
                return Err(ConfigError::OtherMembers);
            }
            Some(formed_with) if *formed_with.quorums() != quorums => {
                return Err(ConfigError::OtherQuorums);
            }
            _ => {}
        }
        let limits = Limits {
            pipeline_slots: config.pipeline_slots,
            partial_slots: config.partial_slots,
            pipeline_bytes: config.pipeline_bytes,
            batch_bytes: config.batch_bytes,
        };
        let forming = Forming::new(&config.members, quorums, &recovered);
        let acceptor = Acceptor::new(&recovered);
        let mut replica = Self {
            me,
            membership: forming.membership(),
            forming,
            start: acceptor.standing(),
            acceptor,
            proposer: Proposer::new(me.replica, me.incarnation, limits),
            learner: Learner::recover(&recovered, config.apply_slots),
            election: Election::new(
                me.replica,
                config.heartbeat,
                config.election_timeout,
                config.seed,
                now,
            ),
            hand_over: HandOvers::new(config.election_timeout),
            preference: Preference::new(config.priority, config.election_timeout),
            catch_up: CatchUp::default(),
            fates: Fates::new(me.replica, me.incarnation),
            forwarding: Forwarding::new(me.incarnation, config.pipeline_bytes),
            patience: Patience::new(config.patience.max(config.election_timeout)),
            announcer: Announcer::new(config.heartbeat, now),
            owed: Replicas::default(),
            indexes: Indexes::default(),
            reads: Reads::new(me.incarnation),
            read_patience: Patience::new(config.patience.max(config.election_timeout)),
            lives: Lives::default(),
            out: Outbox::new(me.replica, recovered.last, recovered.chosen),
            resend_at: None,
            moved: (recovered.chosen, now),
            tick_at: now,
            now,
            heard: Roster::new(),
            told: BTreeMap::new(),
            progress: ((recovered.chosen, Slot::ZERO), now),
            ignored: BTreeMap::new(),
            misbehaved: 0,
            halted: None,
            config,
        };
        replica.election.note_promise(recovered.promised);
        replica.election.set_last(replica.config.priority == 0, now);
        replica.hurry_if_alone();
        replica.settle(now);
        Ok(replica)
    }

    /// Takes a message that the wire found to come from that peer.
    pub fn handle_message(&mut self, now: Instant, from: Peer, message: Message) {
        if self.ignore_message(from, &message) {
            return;
        }
        let is_member = self.is_member(from.replica);
        if is_member {
            self.heard.set(from.replica, now);
        }
        if let Some(chosen) = message.chosen() {
            self.catch_up.note(from.replica, chosen, is_member);
        }
        match message {
            Message::Forming(told) => {
                let judged = self.forming.handle_forming(from, &told, &mut self.out);
                judged.unwrap_or_else(|reason| self.halt(reason));
            }
            Message::Refused(refused) => self.handle_refused(from.replica, &refused),
            other => self.dispatch(now, from.replica, other),
        }
        self.settle(now);
    }

    /// Does what is due. Early and repeated calls do nothing.
    pub fn handle_timeout(&mut self, now: Instant) {
        if self.halted.is_some() {
            return;
        }
        if self.membership.is_some() {
            self.on_election(now);
            self.on_announcement(now);
            if self.resend_at.is_some_and(|at| at <= now) {
                self.on_resend(now);
            }
        }
        if self.tick_at <= now {
            self.tick_at = now.after(self.tick_interval());
            if self.membership.is_some() {
                self.on_catch_up();
            } else {
                self.forming.on_tick(&mut self.out);
            }
            self.on_commands(now);
            self.on_reads(now);
            self.on_hand_over(now);
            self.note_progress(now);
        }
        self.settle(now);
    }

    /// Hears that every record up to `upto` is on disk. A low-water mark: with several syncs under
    /// way the driver tells the unbroken prefix. A mark that was told before does nothing, one
    /// above what was asked for is refused with [`Event::PersistedTooFar`].
    ///
    /// There is no call for a failed sync: the driver then never turns this replica again, and what
    /// waited for the disk is never sent.
    pub fn handle_persisted(&mut self, now: Instant, upto: Lsn) {
        if self.halted.is_some() {
            return;
        }
        if !self.out.handle_persisted(upto, self.acceptor.promised()) {
            let appended = self.out.appended();
            self.out.event(Event::PersistedTooFar { upto, appended });
        }
        self.settle(now);
    }

    /// Hears that every slot below `upto` is applied.
    pub fn handle_applied(&mut self, now: Instant, upto: Slot) {
        if self.halted.is_some() {
            return;
        }
        self.now = self.now.max(now);
        self.learner.handle_applied(upto);
        self.deliver();
    }

    /// The first slot that it has not heard to be applied.
    #[must_use]
    pub fn applied(&self) -> Slot {
        self.learner.applied()
    }

    /// Whether chosen entries are held back until it hears that more is applied. A driver that
    /// knows it to be false may leave [`Replica::handle_applied`] for the next input's turn.
    #[must_use]
    pub fn awaits_applied(&self) -> bool {
        self.learner.delivered() < self.learner.chosen()
    }

    /// The next thing to do. Call it until it says [`Output::Wait`].
    #[inline]
    pub fn poll_output(&mut self) -> Output {
        match self.out.poll() {
            Some(output) => output,
            None if self.is_idle() => Output::Wait { until: self.wake() },
            None => self.begin_next(),
        }
    }

    /// Whether nothing waits that this replica could begin: asked at the end of every drain.
    fn is_idle(&self) -> bool {
        !self.proposer.has_work(false, self.learner.chosen())
            && !self.reads.is_asking()
            && !self.indexes.is_asked()
            && self.owed.is_empty()
    }

    /// Begins what waits and can begin, and gives the first output of it.
    fn begin_next(&mut self) -> Output {
        while self.propose_next() || self.forward_next() || self.ask_next() || self.tell_next() {
            if let Some(output) = self.out.poll() {
                return output;
            }
        }
        Output::Wait { until: self.wake() }
    }

    fn is_member(&self, replica: ReplicaId) -> bool {
        self.membership.as_ref().is_some_and(|m| m.member(replica).is_some())
    }

    fn leader_hint(&self) -> Option<ReplicaId> {
        self.election.leader().map(|ballot| ballot.replica)
    }

    /// Whether the message must be dropped before it is judged, and says so.
    fn ignore_message(&mut self, from: Peer, message: &Message) -> bool {
        let reason = if self.halted.is_some() {
            Some(IgnoreReason::Halted)
        } else if from.replica == self.me.replica {
            Some(IgnoreReason::OwnName)
        } else {
            match (&self.membership, message) {
                (Some(membership), _) => self.lives.judge(from, membership).err(),
                (None, Message::Forming(_) | Message::Refused(_)) => None,
                (None, _) => Some(IgnoreReason::NotFormed),
            }
        };
        let Some(reason) = reason else { return false };
        // Whoever may not speak as a member is told why, so that it stops by itself. Such answers
        // are not answered: two replicas that take each other for strangers would never end.
        let answer = match message {
            Message::Forming(told) => told.formed,
            Message::Refused(_) => true,
            _ => false,
        };
        match reason {
            _ if answer => {}
            IgnoreReason::OtherDisk => {
                self.forming.send_list(Replicas::one(from.replica), &mut self.out);
            }
            IgnoreReason::OldIncarnation => {
                let (incarnation, before) = self.lives.latest(from.replica);
                self.out.send_one(from.replica, Refused { incarnation, before });
            }
            _ => {}
        }
        self.ignore(from.replica, reason);
        true
    }

    fn ignore(&mut self, peer: ReplicaId, reason: IgnoreReason) {
        *self.ignored.entry(reason).or_default() += 1;
        self.out.event(Event::Ignored { peer, reason });
    }

    fn report(&mut self, peer: ReplicaId, judged: Result<(), Misbehaviour>) {
        if let Err(what) = judged {
            self.misbehaved += 1;
            self.out.event(Event::PeerMisbehaved { peer, what });
        }
    }

    fn halt(&mut self, reason: HaltReason) {
        self.stop_leading();
        // What was never offered to anybody is never applied; of the rest nothing will be known.
        for commands in self.proposer.drop_below(u64::MAX) {
            self.out.push(Output::Fate { commands, fate: Fate::NotLeader { leader: None } });
        }
        self.halted = Some(reason.clone());
        self.out.event(Event::Halted { reason });
    }

    /// Begins phase 1 at a new ballot, or goes on with the one that is under way.
    fn prepare(&mut self, now: Instant, above: u64) {
        let Some(membership) = &self.membership else { return };
        self.election.on_prepare(now);
        if self.proposer.ballot().is_some_and(|ballot| ballot.round >= above) {
            return;
        }
        let promised = self.acceptor.promised();
        let round = promised.round.max(above);
        let highest = Ballot { round, replica: promised.replica };
        let Some(ballot) = highest.next(self.me.replica) else {
            self.halt(HaltReason::BallotsUsedUp);
            return;
        };
        // The promise first, then Prepare: the other way round the gate would be too low.
        self.acceptor.promise(ballot, &mut self.out);
        self.out.event(Event::Preparing { ballot });
        self.proposer.prepare(ballot, self.learner.chosen(), membership, &mut self.out);
        self.resend_at = Some(now.after(self.election.repeat_after()));
        // Whatever was or was not chosen before is no fault of this attempt.
        self.moved = (self.learner.chosen(), now);
    }

    /// Neither prepares nor leads any more. What was queued was never proposed, and waits for the
    /// next leader.
    fn stop_leading(&mut self) {
        if self.proposer.ballot().is_none() {
            return;
        }
        self.proposer.stop();
        self.indexes.stop();
        self.hand_over.on_stop();
        self.announcer.on_stop();
        self.resend_at = None;
        self.out.event(Event::Following { leader: None });
    }

    fn take_over(&mut self, again: bool) {
        let Some(membership) = &self.membership else { return };
        if self.proposer.free_from().is_none_or(|free| free <= self.learner.chosen()) {
            return;
        }
        let announcement = self.learner.announcement();
        let held = |slot| self.acceptor.held(slot);
        let found = self.proposer.take_over(held, &announcement, again, membership, &mut self.out);
        for (slot, Held { ballot, entry }) in found {
            if self.learner.learned(slot).is_some() {
                continue;
            }
            let held = self.acceptor.held(slot);
            let learned = self.learner.learn(slot, ballot, entry, held, &mut self.out);
            self.report(ballot.replica, learned);
        }
    }

    fn is_disk_busy(&self) -> bool {
        self.out.unsynced_bytes() > self.config.unsynced_bytes
    }

    /// Brings every role up to what the others know, until nothing follows any more.
    fn settle(&mut self, now: Instant) {
        self.now = self.now.max(now);
        // After most inputs nothing follows.
        if self.out.has_for_me() || self.learner.can_pass() || self.membership.is_none() {
            self.settle_roles();
        }
        if self.hand_over.to().is_some() {
            self.proceed_with_hand_over();
        }
        self.deliver();
        if self.catch_up.is_behind(self.learner.chosen()) {
            self.proceed_with_catch_up();
        }
    }

    #[inline(never)]
    fn proceed_with_catch_up(&mut self) {
        if self.membership.is_some() && !self.is_disk_busy() {
            let missing = self.learner.missing(self.catch_up.highest());
            self.catch_up.proceed(self.learner.chosen(), missing, &mut self.out);
        }
    }

    /// What the replica tells itself, the forming, and what is chosen: each may lead to another.
    #[inline(never)]
    fn settle_roles(&mut self) {
        loop {
            while let Some(message) = self.out.next_for_me() {
                self.dispatch(self.now, self.me.replica, message);
            }
            let forms = self.membership.is_none() && self.halted.is_none();
            let formed = forms && self.forming.proceed(&mut self.out);
            if formed {
                self.set_membership();
            }
            if !self.pass_chosen() && !formed {
                break;
            }
        }
    }

    /// Hands out what the state machine has room for, and the reads that it may then serve.
    #[inline]
    fn deliver(&mut self) {
        self.learner.deliver_from_log(&mut self.out);
        self.reads.deliver(self.learner.delivered(), &mut self.out);
    }

    /// Passes the slots that are known chosen without a gap; true if there were any.
    #[inline]
    fn pass_chosen(&mut self) -> bool {
        // Asked after every input.
        let any = self.learner.can_pass();
        if any {
            self.pass_all();
        }
        any
    }

    #[inline(never)]
    fn pass_all(&mut self) {
        loop {
            let waits = self.fates.awaited() > 0 || self.proposer.leading().is_some();
            let Some((slot, entry)) = self.learner.pass_and_keep(waits, &mut self.out) else {
                break;
            };
            if let Some(entry) = entry {
                self.fates.pass(slot, &entry, &mut self.out);
                self.owe(&entry);
            }
        }
        let chosen = self.learner.chosen();
        self.forwarding.settle(self.fates.oldest().unwrap_or(u64::MAX));
        self.acceptor.settle(chosen, &mut self.out);
        if self.proposer.leading().is_some() {
            self.proposer.settle(chosen);
            self.announcer.note_chosen(self.now, chosen);
            self.take_over(false);
        }
    }

    /// The one place where the Membership is set: once, to the list that every member told.
    fn set_membership(&mut self) {
        assert!(self.membership.is_none(), "I9: the first Membership is fixed when it forms");
        self.membership = self.forming.membership();
        self.hurry_if_alone();
    }

    /// A replica without peers need not wait for any.
    fn hurry_if_alone(&mut self) {
        if self.membership.as_ref().is_some_and(|membership| membership.members().len() == 1) {
            self.election.hurry(self.now);
        }
    }
}

#[cfg(test)]
mod tests;
