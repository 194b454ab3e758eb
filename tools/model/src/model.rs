//! The cluster as stateright sees it: states, what can happen in them, and what must hold.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use stateright::{Model, Property};
use synod::membership::{DiskId, Member, Membership, ReplicaId};
use synod::message::Message;
use synod::slot::Slot;

use crate::bounds::Bounds;
use crate::fault::Fault;
use crate::node::{Loss, Node};
use crate::tables::{
    Edge, Envelope, LocalRef, PLACES, ROUNDS_MAX, Tables, is_for, place, round_of, slot_of,
};
use crate::wiring::{Input, Rules, Step, may_be_lost};
use crate::words_of;

/// The most replicas of an instance.
pub(crate) const REPLICAS_MAX: usize = 5;

/// A state of the cluster.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct State {
    /// The replicas; in a smaller cluster the last one is repeated, and never turned.
    locals: [LocalRef; REPLICAS_MAX],
    /// The messages that were sent, in the order of their numbers. Any of them may be delivered
    /// now, again, later or never.
    network: Arc<[u32]>,
    /// What was proposed at each place: the numbers of entries, or 0.
    proposed: [u8; PLACES],
    /// Whose each round is: the replica's place from 1 on, or 0.
    owners: [u8; ROUNDS_MAX],
    crashes: u8,
    losses: u8,
    pub(crate) fault: Option<Fault>,
}

/// What can happen. Replicas are named by their places, from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    Deliver { at: u8, message: u32 },
    Prepare { at: u8, round: u8 },
    Propose { at: u8 },
    Resend { at: u8 },
    StepDown { at: u8 },
    Sync { at: u8, records: u8 },
    Crash { at: u8, lost: Option<(u8, Loss)> },
}

/// An instance to check.
pub(crate) struct Cluster {
    pub(crate) bounds: Bounds,
    pub(crate) tables: Tables,
    /// Only these claims are judged.
    only: &'static [Fault],
    /// No further state is looked at.
    pub(crate) stopped: AtomicBool,
    /// A claim has failed. The checker keeps the last way that it sees; the first is the shortest.
    found: AtomicBool,
    membership: Membership,
}

impl Action {
    fn at(self) -> usize {
        usize::from(match self {
            Self::Deliver { at, .. }
            | Self::Prepare { at, .. }
            | Self::Propose { at }
            | Self::Resend { at }
            | Self::StepDown { at }
            | Self::Sync { at, .. }
            | Self::Crash { at, .. } => at,
        })
    }

    /// A number for the input that this is to the replica.
    fn key(self, syncs_at_once: bool) -> u32 {
        let key = |kind: u32, a: u8| 1 << 30 | kind << 8 | u32::from(a);
        let key = match self {
            Self::Deliver { message, .. } => message,
            Self::Prepare { round, .. } => key(1, round),
            Self::Propose { .. } => key(2, 0),
            Self::Resend { .. } => key(3, 0),
            Self::StepDown { .. } => key(4, 0),
            Self::Sync { records, .. } => key(5, records),
            Self::Crash { lost: None, .. } => key(6, 0),
            Self::Crash { lost: Some((index, Loss::Ballot)), .. } => key(7, index),
            Self::Crash { lost: Some((index, Loss::Slot)), .. } => key(8, index),
        };
        key | u32::from(syncs_at_once) << 31
    }
}

fn replica(at: u8) -> ReplicaId {
    ReplicaId(u32::from(at) + 1)
}

impl Cluster {
    pub(crate) fn new(bounds: Bounds, only: &'static [Fault]) -> Self {
        let member = |at| Member { replica: replica(at), disk: DiskId::default() };
        let members = (0..bounds.replicas).map(member).collect();
        let membership = Membership::new(members).expect("the bounds were checked");
        let (tables, stopped) = (Tables::default(), AtomicBool::new(false));
        Self { bounds, tables, only, stopped, found: AtomicBool::new(false), membership }
    }

    /// Looks at further states again, after it was stopped or a claim has failed.
    pub(crate) fn go_on(&self) {
        self.stopped.store(false, Ordering::Relaxed);
        self.found.store(false, Ordering::Relaxed);
    }

    fn replicas(&self) -> impl Iterator<Item = u8> + use<> {
        0..self.bounds.replicas
    }

    fn input(&self, action: Action) -> Input {
        match action {
            Action::Deliver { message, .. } => {
                let Envelope { from, message, .. } = self.tables.envelope(message).clone();
                // No message comes from the receiver: it stands for whoever it does not matter who.
                Input::Message { from: from.unwrap_or(replica(action.at() as u8)), message }
            }
            Action::Prepare { round, .. } => Input::Prepare { round: round.into() },
            Action::Propose { .. } => Input::Propose,
            Action::Resend { .. } => Input::Resend,
            Action::StepDown { .. } => Input::StepDown,
            Action::Sync { records, .. } => Input::Sync { records: records.into() },
            Action::Crash { lost, .. } => {
                Input::Crash { lost: lost.map(|(index, loss)| (index.into(), loss)) }
            }
        }
    }

    /// Turns the real roles.
    fn compute(&self, before: LocalRef, action: Action, syncs_at_once: bool) -> Option<Edge> {
        let stopped = |fault, words| {
            let (sent, proposed, delivered) = (Box::default(), Box::default(), Box::default());
            Some(Edge { next: before, sent, proposed, delivered, fault: Some(fault), words })
        };
        let rules = Rules {
            slots: Slot(self.bounds.slots.into()),
            syncs_at_once,
            proposes_at_once: self.bounds.slots == 1,
            learns: self.bounds.learns,
        };
        let turned = catch_unwind(AssertUnwindSafe(|| {
            let input = self.input(action);
            Step::new(&before.0.node, input, &self.membership, rules)
        }));
        let step = match turned {
            Ok(step) => step,
            Err(panic) => return stopped(Fault::Stopped, words_of(&*panic)),
        };
        let Step { node, sent, delivered, fault, .. } = step?;
        let me = node.me;
        let node = if node.only_repeats(&before.0.node) { before.0.node.clone() } else { node };
        let next = match self.tables.local(node) {
            Ok(next) => next,
            Err(fault) => return stopped(fault, String::new()),
        };
        let proposed = sent.iter().filter_map(|(_, message)| match message {
            Message::Accept(accept) => {
                let place = place(accept.slot, accept.ballot.round);
                Some((place, self.tables.entry(&accept.entry)))
            }
            _ => None,
        });
        let mut proposed: Vec<_> = proposed.collect();
        proposed.sort_unstable();
        proposed.dedup();
        let delivered =
            delivered.iter().map(|(slot, entry)| (slot.0 as u8, self.tables.entry(entry)));
        let delivered = delivered.collect();
        let envelope = |(to, message)| {
            let from = matters(&message).then_some(me);
            self.tables.message(Envelope { from, to, message })
        };
        let sent = sent.into_iter().map(envelope).collect();
        let has_effect = next != before;
        let (proposed, words) = (proposed.into(), String::new());
        let edge = Edge { next, sent, proposed, delivered, fault, words };
        (has_effect || !edge.sent.is_empty() || fault.is_some()).then_some(edge)
    }

    /// The places whose proposals are chosen: a quorum has durably accepted them.
    fn chosen(&self, state: &State) -> u32 {
        let quorum = usize::from(self.bounds.replicas) / 2 + 1;
        // `at_least[k]`: the places that more than k replicas have accepted at.
        let mut at_least = [0u32; REPLICAS_MAX];
        for local in &state.locals[..usize::from(self.bounds.replicas)] {
            let mut carry = local.0.votes;
            for level in &mut at_least {
                (*level, carry) = (*level | carry, *level & carry);
            }
        }
        at_least[quorum - 1]
    }

    fn judge(&self, state: &mut State, at: usize, edge: &Edge) {
        if let Some(fault) = edge.fault {
            self.break_by(state, fault);
        }
        let votes_before = state.locals[at].0.votes;
        state.locals[at] = edge.next;
        for (place, entry) in &edge.proposed {
            self.note_proposal(state, *place, *entry);
        }
        let local = edge.next.0;
        if local.votes != votes_before {
            for (place, entry) in &local.voted {
                if state.proposed[usize::from(*place)] != *entry {
                    self.break_by(state, Fault::NotProposed);
                }
            }
            self.check_chosen(state);
        }
        let chosen = self.chosen(state);
        let is_chosen = |state: &State, slot: u8, entry: u8| {
            places(chosen).any(|p| slot_of(p) == slot && state.proposed[usize::from(p)] == entry)
        };
        for (place, entry) in &local.learned {
            if state.proposed[usize::from(*place)] != *entry {
                self.break_by(state, Fault::FalseTag);
            }
            if !is_chosen(state, slot_of(*place), *entry) {
                self.break_by(state, Fault::NotChosen);
            }
        }
        for (slot, entry) in &edge.delivered {
            if !is_chosen(state, *slot, *entry) {
                self.break_by(state, Fault::NotChosen);
            }
        }
    }

    fn note_proposal(&self, state: &mut State, place: u8, entry: u8) {
        let known = state.proposed[usize::from(place)];
        if known != 0 && known != entry {
            self.break_by(state, Fault::TwoEntries);
        }
        if known == 0 {
            state.proposed[usize::from(place)] = entry;
            self.check_chosen(state);
        }
    }

    /// Agreement, and P2c: no other entry is chosen at any ballot, nor proposed at a higher one.
    fn check_chosen(&self, state: &mut State) {
        let chosen = self.chosen(state);
        for low in places(chosen) {
            for high in 0..PLACES as u8 {
                let (entry, other) =
                    (state.proposed[usize::from(low)], state.proposed[usize::from(high)]);
                if other == 0 || other == entry || slot_of(low) != slot_of(high) {
                    continue;
                }
                if chosen & (1 << high) != 0 {
                    self.break_by(state, Fault::Agreement);
                } else if round_of(high) > round_of(low) {
                    self.break_by(state, Fault::LaterProposal);
                }
            }
        }
    }

    fn break_by(&self, state: &mut State, fault: Fault) {
        if self.only.contains(&fault) {
            state.fault.get_or_insert(fault);
        }
    }

    /// Whether the replica may own the round.
    ///
    /// Each round is one replica's. The roles compare ballots and replicas for equality and order
    /// only, and with one owner for each round the order of ballots is that of their rounds: so a
    /// run in which the replicas' names are exchanged is a run too. It is enough to look at those
    /// runs in which, by rounds, each replica's first round comes after those of lower names.
    fn may_own(&self, state: &State, at: u8, round: u8) -> bool {
        let index = usize::from(round) - 1;
        if let Some(owner) = self.bounds.owners[index] {
            return owner == at + 1;
        }
        if state.owners[index] != 0 {
            return state.owners[index] == at + 1;
        }
        if self.bounds.all_owners {
            return true;
        }
        let mut owners = state.owners;
        owners[index] = at + 1;
        let mut named = 0;
        owners[..usize::from(self.bounds.ballots)].iter().all(|owner| {
            // A round that nobody has yet may become that of the next name.
            let owner = if *owner == 0 { named + 1 } else { *owner };
            let fits = owner <= named + 1;
            named = named.max(owner).min(self.bounds.replicas);
            fits
        })
    }

    fn actions_of(&self, state: &State, at: u8, actions: &mut Vec<Action>) {
        let local = state.locals[usize::from(at)].0;
        let unsynced = local.node.cache.len() as u8;
        actions.extend((1..=unsynced).map(|records| Action::Sync { at, records }));
        if local.is_leading && self.bounds.slots > 1 {
            actions.push(Action::Propose { at });
        }
        if local.is_active {
            if self.bounds.resends {
                actions.push(Action::Resend { at });
            }
            if self.bounds.step_downs {
                actions.push(Action::StepDown { at });
            }
        }
        for round in local.promised as u8 + 1..=self.bounds.ballots {
            if self.may_own(state, at, round) {
                actions.push(Action::Prepare { at, round });
            }
        }
        if state.crashes < self.bounds.crashes {
            actions.push(Action::Crash { at, lost: None });
            if state.losses < self.bounds.losses {
                for (index, kept) in local.node.disk.iter().enumerate() {
                    if may_be_lost(&kept.record) && kept.lost.is_none() {
                        for loss in [Loss::Ballot, Loss::Slot] {
                            actions.push(Action::Crash { at, lost: Some((index as u8, loss)) });
                        }
                    }
                }
            }
        }
    }

    /// Whether disks write at once.
    ///
    /// They do when no crash can come any more.
    fn syncs_at_once(&self, state: &State, action: Action) -> bool {
        let crashes = state.crashes + u8::from(matches!(action, Action::Crash { .. }));
        crashes >= self.bounds.crashes
    }

    /// What the action does in that state, for a person.
    pub(crate) fn tell(&self, state: &State, action: Action) -> String {
        let what = match action {
            Action::Deliver { at, message } => {
                let Envelope { from, message, .. } = self.tables.envelope(message);
                let from = from.map_or("somebody".to_owned(), |from| from.to_string());
                format!("{} hears from {from}: {message:?}", at + 1)
            }
            Action::Prepare { at, round } => format!("{} prepares at round {round}", at + 1),
            Action::Propose { at } => format!("{} proposes", at + 1),
            Action::Resend { at } => format!("{} asks again", at + 1),
            Action::StepDown { at } => format!("{} steps down", at + 1),
            Action::Sync { at, records } => format!("{} has {records} records written", at + 1),
            Action::Crash { at, lost: None } => format!("{} crashes and starts", at + 1),
            Action::Crash { at, lost: Some((index, loss)) } => {
                let record = &state.locals[usize::from(at)].0.node.disk[usize::from(index)].record;
                format!("{} starts and has lost {record:?} but for its {loss:?}", at + 1)
            }
        };
        let before = state.locals[action.at()];
        let at_once = self.syncs_at_once(state, action);
        let edge = before.0.edge(action.key(at_once), || self.compute(before, action, at_once));
        match edge.map(|edge| &edge.words).filter(|words| !words.is_empty()) {
            Some(words) => format!("{what}, and stops: {words}"),
            None => what,
        }
    }

    /// What each replica is, for a person.
    pub(crate) fn show(&self, state: &State) -> String {
        let mut text = String::new();
        for at in self.replicas() {
            let node = &state.locals[usize::from(at)].0.node;
            text += &format!(
                "  {}: promised {}, holds {:?}, log {:?}, unsynced {:?}\n",
                node.me,
                node.acceptor.promised(),
                node.acceptor.held(Slot::ZERO).map(|held| held.ballot.to_string()),
                node.disk.iter().map(|kept| &kept.record).collect::<Vec<_>>(),
                node.cache.iter().map(|kept| &kept.record).collect::<Vec<_>>(),
            );
        }
        text
    }

    fn has_adopted(state: &State) -> bool {
        let proposals = || (0..PLACES as u8).map(|p| (p, state.proposed[usize::from(p)]));
        proposals().any(|(low, entry)| {
            let again =
                |(high, other)| high > low && other == entry && slot_of(high) == slot_of(low);
            entry != 0 && proposals().any(again)
        })
    }

    fn any_local(&self, state: &State, holds: impl Fn(&Node) -> bool) -> bool {
        self.replicas().any(|at| holds(&state.locals[usize::from(at)].0.node))
    }
}

/// Whether it matters who sent the message. An entry is the same whoever tells it, and so one
/// message from nobody stands for all that tell it.
fn matters(message: &Message) -> bool {
    !matches!(message, Message::Fetched(_) | Message::Chosen(_))
}

/// The network with these messages too.
fn with(network: &Arc<[u32]>, sent: &[u32]) -> Arc<[u32]> {
    let is_new = |number: &&u32| network.binary_search(number).is_err();
    let mut new = sent.iter().filter(is_new).peekable();
    if new.peek().is_none() {
        return Arc::clone(network);
    }
    let mut after = network.to_vec();
    after.extend(new);
    after.sort_unstable();
    after.dedup();
    after.into()
}

/// The places whose bits are set.
fn places(mut bits: u32) -> impl Iterator<Item = u8> {
    std::iter::from_fn(move || {
        let place = (bits != 0).then(|| bits.trailing_zeros() as u8)?;
        bits &= bits - 1;
        Some(place)
    })
}

/// The property that stands for every claim; the state says which one failed.
pub(crate) const CLAIMS: &str = "every claim holds";

impl Model for Cluster {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        let start =
            |at| self.tables.local(Node::new(replica(at))).expect("nothing contradicts nothing");
        let last = self.bounds.replicas - 1;
        vec![State {
            locals: std::array::from_fn(|at| start(last.min(at as u8))),
            network: Arc::new([]),
            proposed: [0; PLACES],
            owners: [0; ROUNDS_MAX],
            crashes: 0,
            losses: 0,
            fault: None,
        }]
    }

    fn actions(&self, state: &State, actions: &mut Vec<Action>) {
        let is_over = [&self.stopped, &self.found].iter().any(|flag| flag.load(Ordering::Relaxed));
        if state.fault.is_some() || is_over {
            return;
        }
        for message in state.network.iter().copied() {
            let receivers = self.replicas().filter(|at| is_for(message, *at));
            actions.extend(receivers.map(|at| Action::Deliver { at, message }));
        }
        for at in self.replicas() {
            self.actions_of(state, at, actions);
        }
    }

    fn next_state(&self, state: &State, action: Action) -> Option<State> {
        let at = action.at();
        let before = state.locals[at];
        let is_crash = matches!(action, Action::Crash { .. });
        let at_once = self.syncs_at_once(state, action);
        let compute = || self.compute(before, action, at_once);
        let edge = before.0.edge(action.key(at_once), compute)?;
        let network = with(&state.network, &edge.sent);
        let still = edge.next == before && Arc::ptr_eq(&network, &state.network);
        if still && edge.fault.is_none() && !is_crash {
            return None;
        }
        let mut next = State { network, ..state.clone() };
        match action {
            Action::Prepare { at, round } => next.owners[usize::from(round) - 1] = at + 1,
            Action::Crash { lost, .. } => {
                next.crashes += 1;
                next.losses += u8::from(lost.is_some());
            }
            _ => {}
        }
        self.judge(&mut next, at, edge);
        Some(next)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        let mut properties = vec![Property::always(CLAIMS, |cluster: &Self, state: &State| {
            state.fault.is_none() || cluster.found.swap(true, Ordering::Relaxed)
        })];
        properties.push(Property::sometimes("something is chosen", |cluster: &Self, state| {
            cluster.chosen(state) != 0
        }));
        if self.bounds.learns {
            let name = "every slot is chosen and known";
            properties.push(Property::sometimes(name, |cluster, state| {
                let slots = Slot(cluster.bounds.slots.into());
                cluster.any_local(state, |node| node.learner.chosen() == slots)
            }));
        }
        if self.bounds.ballots > 1 {
            properties
                .push(Property::sometimes("a later ballot takes an entry over", |_, state| {
                    Self::has_adopted(state)
                }));
        }
        properties
    }
}
