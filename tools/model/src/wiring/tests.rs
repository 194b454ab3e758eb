//! The wiring of the model against `synod::Replica`: the same inputs, the same records, messages
//! and deliveries.

use std::collections::BTreeSet;
use std::time::Duration;

use synod::membership::{ClusterId, DiskId, Member, Membership, Peer, ReplicaId};
use synod::message::{CanvassAnswer, Message, Standing};
use synod::output::{Event, Output};
use synod::record::{Lsn, Record, Recovered};
use synod::slot::Slot;
use synod::{Ballot, Config, Entry, Instant, Replica};

use super::{Input, Rules, Step, as_sent};
use crate::node::Node;

const REPLICAS: u32 = 3;
const RULES: Rules =
    Rules { slots: Slot(2), syncs_at_once: false, proposes_at_once: false, learns: true };

fn recovered(id: u32) -> Recovered {
    let disk = |id: u32| DiskId([id as u8; 16]);
    let member = |id: u32| Member { replica: ReplicaId(id), disk: disk(id) };
    let members = Membership::new((1..=REPLICAS).map(member).collect()).ok();
    let nothing = Recovered::nothing(ClusterId::default(), ReplicaId(id), disk(id));
    Recovered { members, formed: true, ..nothing }
}

fn peer(id: ReplicaId) -> Peer {
    recovered(id.0).me
}

/// Numbers that are the same in every run.
struct Dice(u64);

impl Dice {
    fn below(&mut self, limit: usize) -> usize {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % limit
    }
}

/// What came of an input, in an order that does not matter.
#[derive(Debug, Default, PartialEq, Eq)]
struct Outs {
    records: Vec<(Record, Slot)>,
    sent: BTreeSet<String>,
    delivered: Vec<(Slot, Entry)>,
}

/// A replica and its model.
struct Pair {
    node: Node,
    replica: Replica,
    now: Instant,
    durable: Lsn,
    /// The highest round that the replica was told or has tried.
    round: u64,
    /// The ballot at which it proposed commands. The model numbers those of the next one anew.
    proposed_at: Option<Ballot>,
}

/// What is compared: not what elections and catching up say, which the model leaves out, nor what
/// it tells unasked.
fn is_compared(message: &Message) -> bool {
    !matches!(
        message,
        Message::Canvass(_)
            | Message::CanvassAnswer(_)
            | Message::Heartbeat(_)
            | Message::HeartbeatAnswer(_)
            | Message::CatchUp(_)
            | Message::Chosen(_)
    )
}

impl Pair {
    fn new(id: u32) -> Self {
        let config = Config::new((1..=REPLICAS).map(ReplicaId));
        let replica = Replica::new(config, recovered(id), Instant::ZERO).expect("good settings");
        let (now, durable) = (Instant::ZERO, Lsn::ZERO);
        let node = Node::new(ReplicaId(id));
        Self { node, replica, now, durable, round: 0, proposed_at: None }
    }

    /// The input as the replica gets it.
    fn turn_replica(&mut self, input: &Input) {
        match input.clone() {
            Input::Message { from, message } => {
                self.replica.handle_message(self.now, peer(from), message);
            }
            Input::Prepare { round } => self.elect(round),
            Input::Propose => {
                let ballot = self.node.proposer.leading().expect("only leaders propose");
                self.replica.propose(self.now, &[ballot.round as u8]).expect("it leads");
            }
            Input::Sync { records } => {
                self.durable = Lsn(self.durable.0 + records as u64);
                self.replica.handle_persisted(self.now, self.durable);
            }
            Input::Resend | Input::StepDown | Input::Crash { .. } => {
                panic!("{input:?} is not compared")
            }
        }
    }

    /// Time passes, it canvasses, and somebody says yes and names the round below.
    fn elect(&mut self, round: u64) {
        self.now = self.now.after(Duration::from_secs(1_000));
        self.replica.handle_timeout(self.now);
        let sequence = self.drain().1.expect("a replica without a leader canvasses");
        let other = ReplicaId(self.node.me.0 % REPLICAS + 1);
        let promised = Ballot { round: round - 1, replica: other };
        let (start, chosen) = (Standing::default(), Slot::ZERO);
        let answer = CanvassAnswer { sequence, yes: true, promised, leader: None, start, chosen };
        self.replica.handle_message(self.now, peer(other), answer.into());
    }

    /// Everything that the replica puts out; and the canvass, if there was one.
    fn drain(&mut self) -> (Outs, Option<u64>) {
        let (mut outs, mut canvass) = (Outs::default(), None);
        loop {
            match self.replica.poll_output() {
                Output::Persist { record, chosen, .. } => outs.records.push((record, chosen)),
                Output::Send { message: Message::Canvass(asked), .. } => {
                    canvass = Some(asked.sequence);
                }
                Output::Send { to, message } if is_compared(&message) => {
                    let sent = as_sent(to, message, REPLICAS as usize);
                    outs.sent.extend(sent.iter().map(|sent| format!("{sent:?}")));
                }
                Output::Chosen { slot, entry } => {
                    outs.delivered.push((slot, entry));
                    self.replica.handle_applied(self.now, slot.next());
                }
                Output::Event(Event::PeerMisbehaved { peer, what }) => {
                    panic!("{peer} is accused: {what:?}");
                }
                Output::Wait { .. } => return (outs, canvass),
                _ => {}
            }
        }
    }

    /// Gives the input to both; what the model has sent.
    fn turn(&mut self, input: &Input, members: &Membership) -> Option<Vec<Sent>> {
        let step = Step::new(&self.node, input.clone(), members, RULES)?;
        assert_eq!(step.fault, None, "{input:?}");
        self.turn_replica(input);
        let (outs, _) = self.drain();
        let written = match input {
            Input::Sync { records } => *records,
            _ => 0,
        };
        let appended = &step.node.cache[self.node.cache.len() - written..];
        let compared = step.sent.iter().filter(|(_, message)| is_compared(message));
        let expected = Outs {
            records: appended.iter().map(|kept| (kept.record.clone(), kept.chosen)).collect(),
            sent: compared.map(|sent| format!("{sent:?}")).collect(),
            delivered: step.delivered,
        };
        assert_eq!(outs, expected, "{input:?}");
        self.node = step.node;
        let status = self.replica.status();
        assert_eq!(status.promised, self.node.acceptor.promised(), "{input:?}");
        assert_eq!(status.chosen, self.node.learner.chosen(), "{input:?}");
        assert_eq!(status.open_slots, self.node.proposer.open_slots(), "{input:?}");
        Some(step.sent)
    }

    /// Something that may happen to it, other than a message.
    fn event(&mut self, dice: &mut Dice) -> Option<Input> {
        match dice.below(4) {
            0 if self.node.proposer.ballot().is_none() => {
                self.round = self.round.max(self.node.acceptor.promised().round) + 1;
                Some(Input::Prepare { round: self.round })
            }
            1 => {
                let ballot = self.node.proposer.leading()?;
                let first = *self.proposed_at.get_or_insert(ballot);
                (first == ballot).then_some(Input::Propose)
            }
            2 | 3 if !self.node.cache.is_empty() => {
                Some(Input::Sync { records: 1 + dice.below(self.node.cache.len()) })
            }
            _ => None,
        }
    }
}

type Sent = (Option<ReplicaId>, Message);

fn walk(seed: u64, chosen: &mut usize, taken_over: &mut usize) {
    let mut dice = Dice(seed);
    let members = recovered(1).members.expect("three members");
    let mut pairs: Vec<Pair> = (1..=REPLICAS).map(Pair::new).collect();
    let mut network: Vec<(ReplicaId, Sent)> = Vec::new();
    for _ in 0..200 {
        let at = dice.below(pairs.len());
        let me = ReplicaId(at as u32 + 1);
        let input = if network.is_empty() || dice.below(3) == 0 {
            pairs[at].event(&mut dice)
        } else {
            let (from, (to, message)) = network[dice.below(network.len())].clone();
            let is_mine = to.map_or(from != me, |to| to == me);
            is_mine.then_some(Input::Message { from, message })
        };
        let Some(input) = input else { continue };
        let sent = pairs[at].turn(&input, &members).unwrap_or_default();
        let adopts = |sent: &&Sent| {
            let Message::Accept(accept) = &sent.1 else { return false };
            let own = [accept.ballot.round as u8];
            match &accept.entry {
                Entry::Noop => true,
                Entry::Batch(batch) => !batch.commands().eq([own]),
            }
        };
        *taken_over += sent.iter().filter(adopts).count();
        network.extend(sent.into_iter().map(|sent| (me, sent)));
    }
    let known = pairs.iter().filter(|pair| pair.node.learner.chosen() > Slot::ZERO);
    *chosen += known.count();
}

#[test]
fn the_model_does_what_a_replica_does() {
    let (mut chosen, mut taken_over) = (0, 0);
    for seed in 0..2_000 {
        walk(seed, &mut chosen, &mut taken_over);
    }
    assert!(chosen > 500 && taken_over > 100, "chosen {chosen}, taken over {taken_over}");
}
