//! The proposer: tries to lead, takes over what earlier leaders left, and proposes.
//!
//! Phase 1 asks the acceptors to promise its ballot; phase 2 asks them to accept entries ("Paxos
//! Made Simple", 2.2). Once it leads, phase 1 is done for all slots at once, and each batch of
//! commands takes one round of phase 2 (section 3 there). Many slots are in flight; they are chosen
//! in any order.
//!
//! A slot below the highest report of phase 1 is taken over: its entry is fetched where it is not
//! held, or a Noop fills it where nothing was reported. New commands go above, at once.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use crate::acceptor::Held;
use crate::ballot::Ballot;
use crate::entry::{Batch, Entry};
use crate::membership::{Incarnation, Membership, ReplicaId, Replicas};
use crate::message::{Accept, Announcement, Fetch, Fetched, Prepare, Promise};
use crate::outbox::Outbox;
use crate::output::Misbehaviour;
use crate::phase_one::{Finding, PhaseOne};
use crate::slot::{ALPHA, Ring, Slot, Slots};

use self::forwarded::Taken;
use self::queue::Queue;

mod forwarded;
mod queue;
mod waiting;

/// How many entries of earlier leaders are asked for at a time.
const FETCHES_MAX: usize = 16;

/// How many bytes of them are in flight at the most, however long the pipeline is: a quarter of
/// what a peer's inbox holds, so that none are dropped there, and heartbeats wait behind no more.
const TAKE_OVER_BYTES: usize = 4 << 20;

/// How much a leader keeps in flight and in its queue.
///
/// ```
/// use synod::roles::Limits;
///
/// let limits = Limits {
///     pipeline_slots: 16,
///     partial_slots: 16,
///     pipeline_bytes: 8 << 20,
///     batch_bytes: 64 << 10,
/// };
/// let one_by_one = Limits { pipeline_slots: 1, batch_bytes: 1, ..limits };
/// assert_ne!(limits, one_by_one);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Limits {
    /// Slots in flight.
    pub pipeline_slots: u64,
    /// Slots in flight beside which others are begun only with a full batch.
    pub partial_slots: u64,
    /// Bytes of entries in flight.
    pub pipeline_bytes: usize,
    /// Bytes of a batch, as long as it has more than one command.
    pub batch_bytes: usize,
}

/// What a proposer is about.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Phase {
    Idle,
    /// Phase 1 of a ballot.
    Preparing(PhaseOne),
    /// Phase 2, many times.
    Leading(Leading),
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Leading {
    /// Phase 1 goes on: later Promises of the same ballot still help with what is taken over.
    phase_one: PhaseOne,
    /// What [`PhaseOne::free_from`] says of it since the last Promise: asked with each command.
    all_free_from: Option<Slot>,
    /// Slots below this one are taken over, those from here on are free.
    free_from: Slot,
    /// The next slot for new commands.
    next: Slot,
    /// Somebody has accepted slots up to here, or waits for the fate of commands that may be chosen
    /// in them: they are filled when there are no commands.
    fill_to: Slot,
    /// What was proposed at this ballot and is not passed yet.
    proposed: Ring<Entry>,
    proposed_bytes: usize,
    /// Entries that were fetched, with their ballots, and not proposed yet.
    fetched: Ring<Held>,
    /// Slots below this one were asked about, where their entry was not at hand.
    asked: Slot,
    /// Slots below this one were proposed before the last look at what needs sending again.
    stale: Slot,
    /// How far the commands of the other replicas were taken in.
    taken: BTreeMap<ReplicaId, Taken>,
}

/// Prepares and proposes.
///
/// ```
#[doc = include_str!("proposer/example.txt")]
/// let limits = Limits {
///     pipeline_slots: 16,
///     partial_slots: 16,
///     pipeline_bytes: 1 << 20,
///     batch_bytes: 1 << 10,
/// };
/// let mut proposer = Proposer::new(ReplicaId(1), Incarnation::default().next(0), limits);
/// let mut out = Outbox::new(ReplicaId(1), Lsn::ZERO, Slot(0));
/// proposer.prepare(ballot(1), Slot(0), &three(), &mut out);
/// let page = promise(ballot(1), &[]);
/// assert_eq!(proposer.handle_promise(ReplicaId(1), &page, &three()), Ok(false));
/// assert_eq!(proposer.handle_promise(ReplicaId(2), &page, &three()), Ok(true));
/// assert_eq!(proposer.leading(), Some(ballot(1)));
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Proposer {
    me: ReplicaId,
    incarnation: Incarnation,
    limits: Limits,
    phase: Phase,
    /// The number of the next command.
    sequence: u64,
    /// Commands that wait for the pipeline, gathered to batches.
    queue: Queue,
}

/// What was just proposed.
///
/// ```
#[doc = include_str!("proposer/example.txt")]
/// let (mut proposer, mut out) = leading();
/// proposer.enqueue(b"hello");
/// let chosen = Announcement::default();
/// let Proposed { slot, batch } =
///     proposer.propose_next(false, &chosen, &three(), &mut out).expect("there is room");
/// assert_eq!((slot, batch.map(|batch| batch.count())), (Slot(0), Some(1)));
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Proposed {
    /// The slot.
    pub slot: Slot,
    /// The batch; none if the slot was only filled.
    pub batch: Option<Batch>,
}

impl Proposer {
    /// A proposer that has not tried to lead yet.
    #[must_use]
    pub fn new(me: ReplicaId, incarnation: Incarnation, limits: Limits) -> Self {
        Self { me, incarnation, limits, phase: Phase::Idle, sequence: 0, queue: Queue::default() }
    }

    /// The ballot that it prepares or leads at.
    #[must_use]
    pub fn ballot(&self) -> Option<Ballot> {
        self.phase_one().map(PhaseOne::ballot)
    }

    /// The ballot that it leads at.
    #[must_use]
    pub fn leading(&self) -> Option<Ballot> {
        match &self.phase {
            Phase::Leading(leading) => Some(leading.phase_one.ballot()),
            Phase::Idle | Phase::Preparing(_) => None,
        }
    }

    /// Starts phase 1(a) at a ballot that its own acceptor has just promised: so the ballot is
    /// durable before the Prepare leaves, and no later start uses it again.
    ///
    /// `first` is the first slot that is not known chosen.
    ///
    /// # Panics
    /// If the ballot is another replica's (invariant I2).
    pub fn prepare(
        &mut self,
        ballot: Ballot,
        first: Slot,
        membership: &Membership,
        out: &mut Outbox,
    ) {
        assert!(ballot.replica == self.me, "I2: {} prepares {ballot}", self.me);
        self.phase = Phase::Preparing(PhaseOne::new(ballot, first));
        out.send(membership.everyone(), Prepare { ballot, first });
    }

    /// Takes a page of a Promise (phase 1(b)). True if this replica leads from now on.
    ///
    /// # Errors
    /// If the page reports what its sender cannot know.
    pub fn handle_promise(
        &mut self,
        from: ReplicaId,
        promise: &Promise,
        membership: &Membership,
    ) -> Result<bool, Misbehaviour> {
        match &mut self.phase {
            Phase::Preparing(phase_one) if phase_one.ballot() == promise.ballot => {
                phase_one.handle_promise(from, promise)?;
                let Some(free_from) = phase_one.free_from(membership) else { return Ok(false) };
                let first = phase_one.first();
                self.phase = Phase::Leading(Leading {
                    phase_one: phase_one.clone(),
                    all_free_from: Some(free_from),
                    free_from,
                    next: free_from,
                    fill_to: free_from,
                    proposed: Ring::new(first),
                    proposed_bytes: 0,
                    fetched: Ring::new(first),
                    asked: first,
                    stale: first,
                    taken: BTreeMap::new(),
                });
                Ok(true)
            }
            Phase::Leading(leading) if leading.phase_one.ballot() == promise.ballot => {
                leading.phase_one.handle_promise(from, promise)?;
                leading.all_free_from = leading.phase_one.free_from(membership);
                Ok(false)
            }
            _ => Ok(false),
        }
    }

    /// Takes an entry that was asked for. It is proposed by the next [`Proposer::take_over`].
    pub fn handle_fetched(&mut self, fetched: Fetched) {
        let Phase::Leading(leading) = &mut self.phase else { return };
        let Some((ballot, entry)) = fetched.proposal else { return };
        let slot = fetched.slot;
        let wanted = slot < leading.free_from
            && ballot < leading.phase_one.ballot()
            && leading.proposed.at(slot).is_none()
            && leading.fetched.has_place(slot)
            && leading.fetched.at(slot).is_none_or(|held| held.ballot < ballot);
        if wanted {
            leading.fetched.insert(slot, Held { ballot, entry });
        }
    }

    /// Proposes what earlier leaders left, wherever phase 1 allows it and the entry is at hand;
    /// asks for entries that are not. `again` repeats questions that were asked before, and no
    /// longer waits for what somebody has told is chosen.
    ///
    /// What phase 1 proves to be chosen is not proposed again, but given back, to be learned, once
    /// the entry is at hand: so what a leader left costs no more for being long.
    ///
    /// A slot waits until there are less than 4 MiB, or `pipeline_bytes` if that is less, in flight
    /// in the slots below it; so the first slot never waits.
    #[must_use]
    pub fn take_over<'a>(
        &mut self,
        held: impl Fn(Slot) -> Option<&'a Held>,
        announcement: &Announcement,
        again: bool,
        membership: &Membership,
        out: &mut Outbox,
    ) -> Vec<(Slot, Held)> {
        self.settle(announcement.chosen);
        let mut found = Vec::new();
        let Phase::Leading(leading) = &mut self.phase else { return found };
        let chosen = announcement.chosen;
        let window = Slots::new(chosen, leading.free_from.min(chosen.plus(ALPHA)));
        let bytes_max = self.limits.pipeline_bytes.min(TAKE_OVER_BYTES);
        let (mut lacking, mut bytes) = (0, 0);
        for slot in window.iter() {
            if lacking >= FETCHES_MAX || bytes >= bytes_max {
                break;
            }
            if let Some(entry) = leading.proposed.at(slot) {
                bytes += entry.len();
                continue;
            }
            if !again && leading.phase_one.told_chosen(slot) {
                continue;
            }
            match leading.phase_one.finding(slot, membership) {
                Finding::Open | Finding::Chosen => {}
                Finding::Free => {
                    leading.send_accept(slot, Entry::Noop, None, announcement, membership, out);
                }
                Finding::Adopt { from } => {
                    let mine = held(slot).filter(|held| held.ballot < leading.phase_one.ballot());
                    let known = [mine, leading.fetched.at(slot)];
                    let chosen_at = leading.phase_one.chosen_at(slot, membership);
                    let is_chosen = |held: &&Held| Some(held.ballot) == chosen_at;
                    if let Some(held) = known.into_iter().flatten().find(is_chosen) {
                        found.push((slot, held.clone()));
                        continue;
                    }
                    let fit = known.into_iter().flatten().find(|held| held.ballot >= from);
                    if let Some(Held { ballot, entry }) = fit.cloned() {
                        bytes += entry.len();
                        leading.send_accept(
                            slot,
                            entry,
                            Some(ballot),
                            announcement,
                            membership,
                            out,
                        );
                    } else {
                        lacking += 1;
                        if again || leading.ask(slot) {
                            leading.send_fetch(self.me, slot, from, out);
                        }
                    }
                }
            }
        }
        found
    }

    /// Proposes the next batch of the queue in the next free slot, if the pipeline has room (phase
    /// 2(a)). Without a batch it fills slots, up to where [`Proposer::fill_to`] said. With `hold`
    /// this replica's own commands go on waiting.
    pub fn propose_next(
        &mut self,
        hold: bool,
        announcement: &Announcement,
        membership: &Membership,
        out: &mut Outbox,
    ) -> Option<Proposed> {
        let slot = self.propose_in_turn(hold, announcement, membership, out)?;
        let batch = match self.proposed(slot, self.leading()?)? {
            Entry::Batch(batch) => Some(batch.clone()),
            Entry::Noop => None,
        };
        Some(Proposed { slot, batch })
    }

    /// The same, for whoever looks at the batch where it lies.
    pub(crate) fn propose_in_turn(
        &mut self,
        hold: bool,
        announcement: &Announcement,
        membership: &Membership,
        out: &mut Outbox,
    ) -> Option<Slot> {
        if !self.has_work(hold, announcement.chosen) {
            return None;
        }
        self.settle(announcement.chosen);
        let Phase::Leading(leading) = &mut self.phase else { return None };
        let chosen = announcement.chosen;
        let slot = leading.next.max(chosen);
        // Slots that are still taken over count too: the window is the cluster's.
        let in_flight = slot.since(chosen);
        // A slot that is filled waits for no commands.
        let awaits_more = in_flight >= self.limits.partial_slots
            && leading.fill_to <= slot
            && self.queue.may_grow(self.limits.batch_bytes);
        if in_flight >= self.limits.pipeline_slots.min(ALPHA)
            || awaits_more
            || leading.proposed_bytes >= self.limits.pipeline_bytes
            || !leading.is_free(slot, membership)
        {
            return None;
        }
        leading.next = slot.next();
        let batch = self.queue.pop(slot, hold, self.limits.batch_bytes);
        let entry = batch.map_or(Entry::Noop, Entry::Batch);
        leading.send_accept(slot, entry, None, announcement, membership, out);
        Some(slot)
    }

    /// Hears that somebody has accepted something in the slots below `end`, at whatever ballot, or
    /// waits for the fate of commands that it offered to another leader with that limit.
    ///
    /// Phase 1 did not hear of it, so it was not chosen before; but whoever took the commands in
    /// waits to hear their fate.
    pub fn fill_to(&mut self, end: Slot, chosen: Slot) {
        if let Phase::Leading(leading) = &mut self.phase {
            leading.fill_to = leading.fill_to.max(end.min(chosen.plus(ALPHA)));
        }
    }

    /// Whether there is a command to propose, or a slot to fill. With `hold` this replica's own
    /// commands do not count.
    #[must_use]
    pub fn has_work(&self, hold: bool, chosen: Slot) -> bool {
        let fill = match &self.phase {
            Phase::Leading(leading) => leading.fill_to > leading.next.max(chosen),
            Phase::Idle | Phase::Preparing(_) => false,
        };
        fill || self.queue.has_work(hold)
    }

    /// The entry that was proposed at this ballot for the slot.
    #[must_use]
    pub fn proposed(&self, slot: Slot, ballot: Ballot) -> Option<&Entry> {
        match &self.phase {
            Phase::Leading(leading) if leading.phase_one.ballot() == ballot => {
                leading.proposed.at(slot)
            }
            _ => None,
        }
    }

    /// Hears that every slot below `chosen` is passed.
    pub fn settle(&mut self, chosen: Slot) {
        let Phase::Leading(leading) = &mut self.phase else { return };
        let passed = Slots::new(leading.proposed.first(), chosen.min(leading.proposed.end()));
        for slot in passed.iter() {
            leading.proposed_bytes -= leading.proposed.at(slot).map_or(0, Entry::len);
        }
        leading.proposed.advance(chosen);
        leading.fetched.advance(chosen);
    }

    /// Sends again what had no answer since the last look: Prepare, or Accepts, to those who have
    /// not answered. `voted` tells who has accepted a slot. At most `bytes` bytes of entries.
    pub fn send_again(
        &mut self,
        voted: impl Fn(Slot, ReplicaId) -> bool,
        announcement: &Announcement,
        bytes: usize,
        membership: &Membership,
        out: &mut Outbox,
    ) {
        let phase_one = match &self.phase {
            Phase::Idle => return,
            Phase::Preparing(phase_one) => phase_one,
            Phase::Leading(leading) => &leading.phase_one,
        };
        let (ballot, first) = (phase_one.ballot(), phase_one.first());
        let unsettled = match &self.phase {
            Phase::Leading(leading) => {
                let next = leading.next.max(announcement.chosen);
                announcement.chosen < leading.free_from || !leading.is_free(next, membership)
            }
            Phase::Idle | Phase::Preparing(_) => true,
        };
        let silent = phase_one.silent(membership);
        if unsettled && !silent.is_empty() {
            out.send(silent, Prepare { ballot, first });
        }
        if let Phase::Leading(leading) = &mut self.phase {
            leading.send_accepts_again(voted, announcement, bytes, membership, out);
        }
    }

    /// Gives up: neither prepares nor leads. Commands that were still queued were never proposed:
    /// this replica's own wait on, those of others are dropped.
    pub fn stop(&mut self) {
        self.phase = Phase::Idle;
        self.queue.drop_forwarded();
    }

    /// Slots that are proposed and not passed.
    #[must_use]
    pub fn open_slots(&self) -> u64 {
        match &self.phase {
            Phase::Leading(leading) => leading.proposed.iter().count() as u64,
            Phase::Idle | Phase::Preparing(_) => 0,
        }
    }

    /// The members whose Promise of its ballot has not come whole.
    #[must_use]
    pub fn silent(&self, membership: &Membership) -> Replicas {
        self.phase_one().map_or_else(Replicas::default, |phase_one| phase_one.silent(membership))
    }

    fn phase_one(&self) -> Option<&PhaseOne> {
        match &self.phase {
            Phase::Idle => None,
            Phase::Preparing(phase_one) => Some(phase_one),
            Phase::Leading(leading) => Some(&leading.phase_one),
        }
    }

    /// The first slot above everything that phase 1 found and that was proposed, while this replica
    /// leads.
    #[must_use]
    pub fn end(&self) -> Slot {
        match &self.phase {
            Phase::Leading(leading) => leading.next.max(leading.free_from),
            Phase::Idle | Phase::Preparing(_) => Slot::ZERO,
        }
    }

    /// The first slot above everything that phase 1 found, while this replica leads.
    #[must_use]
    pub fn free_from(&self) -> Option<Slot> {
        match &self.phase {
            Phase::Leading(leading) => Some(leading.free_from),
            Phase::Idle | Phase::Preparing(_) => None,
        }
    }
}

impl Leading {
    /// Whether phase 1 allows any entry in the slot.
    fn is_free(&self, slot: Slot, membership: &Membership) -> bool {
        self.all_free_from.is_some_and(|free| slot >= free)
            || self.phase_one.finding(slot, membership) == Finding::Free
    }

    /// The one place where a proposal is made: each slot once at this ballot (invariant I2), and
    /// only what phase 1 allows (I5).
    fn send_accept(
        &mut self,
        slot: Slot,
        entry: Entry,
        adopted: Option<Ballot>,
        announcement: &Announcement,
        membership: &Membership,
        out: &mut Outbox,
    ) {
        let ballot = self.phase_one.ballot();
        self.phase_one.assert_allowed(slot, adopted, membership);
        self.proposed_bytes += entry.len();
        let before = self.proposed.insert(slot, entry.clone());
        assert!(before.is_none(), "I2: {slot} proposed twice at {ballot}");
        let announcement = announcement.clone();
        out.send(membership.everyone(), Accept { ballot, slot, entry, announcement });
    }

    fn send_accepts_again(
        &mut self,
        voted: impl Fn(Slot, ReplicaId) -> bool,
        announcement: &Announcement,
        bytes: usize,
        membership: &Membership,
        out: &mut Outbox,
    ) {
        let mut sent = 0;
        for (slot, entry) in self.proposed.iter() {
            if slot >= self.stale || sent > bytes {
                break;
            }
            let to: Replicas =
                membership.everyone().iter().filter(|id| !voted(slot, *id)).collect();
            if to.is_empty() {
                continue;
            }
            sent += entry.len() * to.len();
            let (ballot, entry) = (self.phase_one.ballot(), entry.clone());
            out.send(to, Accept { ballot, slot, entry, announcement: announcement.clone() });
        }
        self.stale = self.next.max(self.free_from);
    }

    /// Whether the slot was not asked about yet; from now on it was.
    fn ask(&mut self, slot: Slot) -> bool {
        let first = slot >= self.asked;
        self.asked = self.asked.max(slot.next());
        first
    }

    fn send_fetch(&self, me: ReplicaId, slot: Slot, from: Ballot, out: &mut Outbox) {
        let reporters = self.phase_one.reporters(slot, from);
        let to: Replicas = reporters.iter().filter(|id| *id != me).collect();
        if !to.is_empty() {
            out.send(to, Fetch { slot, ballot: from });
        }
    }
}

#[cfg(test)]
mod tests;
