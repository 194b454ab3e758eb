//! Plays: single situations, message by message.

use std::vec::Vec;

use super::super::cluster::Cluster;
use super::super::host::{DiskKind, Settings};
use super::super::network::{Envelope, Payload};
use super::super::oracle::{Broken, index_of};
use crate::config::Config;
use crate::message::Message;

/// A cluster whose messages arrive only when the play says so.
struct Play {
    cluster: Cluster,
    pool: Vec<Envelope>,
}

impl Play {
    /// Replicas 1 to `replicas`, started; `leader` leads and everything has arrived.
    fn led_by(leader: usize, replicas: usize) -> Self {
        let mut config = Config::new([]);
        config.batch_bytes = 1;
        let settings = Settings {
            replicas,
            config,
            formed: true,
            slow_machines: false,
            disk: DiskKind::Journal,
            frame_bytes_max: None,
            seed: 1,
        };
        let mut play = Self { cluster: Cluster::new(&settings, true), pool: Vec::new() };
        (1..=replicas).for_each(|id| play.start(id));
        play.elect(leader, &[]);
        play
    }

    fn start(&mut self, id: usize) {
        self.cluster.start(id - 1).unwrap();
    }

    /// Lets a replica win an election in which the `away` hear nothing.
    fn elect(&mut self, id: usize, away: &[usize]) {
        self.elect_if(id, away, |_, _| true);
        self.pool.clear();
        self.cluster.outbox.clear();
    }

    /// The same, and of all else only what is wanted arrives. Nothing under way is lost.
    fn elect_if(&mut self, id: usize, away: &[usize], want: impl Fn(&Envelope, &Message) -> bool) {
        // A leader steps down at the first tick, and asks at the second.
        for host in &mut self.cluster.hosts {
            host.ahead_micros += 200_000;
        }
        if self.cluster.leader().is_some_and(|(at, _)| at + 1 == id) {
            self.cluster.tick(id - 1).unwrap();
        }
        for host in &mut self.cluster.hosts {
            host.ahead_micros += 200_000;
        }
        self.cluster.tick(id - 1).unwrap();
        for _ in 0..6 {
            self.deliver(|envelope, message| {
                let ids = [index_of(envelope.from.replica) + 1, index_of(envelope.to) + 1];
                !ids.iter().any(|id| away.contains(id)) && want(envelope, message)
            })
            .unwrap();
            (0..self.cluster.hosts.len()).for_each(|at| self.cluster.sync(at).unwrap());
        }
        assert_eq!(self.cluster.leader().map(|(at, _)| at + 1), Some(id), "{}", self.trace());
    }

    fn propose(&mut self, id: usize) {
        self.cluster.propose(id - 1, 8).unwrap().unwrap();
    }

    fn sync(&mut self, id: usize) {
        self.cluster.sync(id - 1).unwrap();
    }

    /// Delivers, in order, what is under way and wanted, until nothing of it is left. The rest
    /// stays under way.
    fn deliver(&mut self, want: impl Fn(&Envelope, &Message) -> bool) -> Result<(), Broken> {
        loop {
            self.pool.append(&mut self.cluster.outbox);
            let wanted = |envelope: &Envelope| match &envelope.payload {
                Payload::Message(message) => want(envelope, message),
                Payload::Frame { .. } => false,
            };
            let Some(at) = self.pool.iter().position(wanted) else { return Ok(()) };
            let envelope = self.pool.remove(at);
            self.cluster.deliver(&envelope)?;
        }
    }

    /// Delivers what is under way from one replica to another, if it is wanted.
    fn pass(
        &mut self,
        from: usize,
        to: usize,
        want: impl Fn(&Message) -> bool,
    ) -> Result<(), Broken> {
        self.deliver(|envelope, message| {
            index_of(envelope.from.replica) + 1 == from
                && index_of(envelope.to) + 1 == to
                && want(message)
        })
    }

    fn trace(&self) -> std::string::String {
        self.cluster.trace.lines().join("\n")
    }
}

fn slot_of(message: &Message) -> Option<u64> {
    match message {
        Message::Accept(accept) => Some(accept.slot.0),
        Message::Accepted(accepted) => Some(accepted.slots.start.0),
        Message::Chosen(chosen) => Some(chosen.slot.0),
        _ => None,
    }
}

/// 1 and 2 accept at slot 1; it is chosen. 1 loses its record to rot: Faulty. It hears that the
/// slot is chosen while slot 0 is still missing. Then 2 is away, and 3 prepares with 1's Promise:
/// that must not read as "nothing was accepted at slot 1".
#[test]
fn a_lost_acceptance_is_not_forgotten_when_the_slot_is_learned_above_the_mark() {
    let mut play = Play::led_by(2, 3);
    play.propose(2);
    play.propose(2);
    play.pass(2, 1, |message| slot_of(message) == Some(1)).unwrap();
    play.pass(2, 3, |message| slot_of(message) == Some(0)).unwrap();
    (1..=3).for_each(|id| play.sync(id));
    play.pass(1, 2, |message| slot_of(message) == Some(1)).unwrap();
    play.pass(3, 2, |message| slot_of(message) == Some(0)).unwrap();
    assert_eq!(play.cluster.hosts[1].machine.len(), 2, "{}", play.trace());

    play.cluster.crash(0, 0);
    play.cluster.rot(0, 0);
    play.start(1);
    assert_eq!(play.cluster.marks.faulty, 1, "{}", play.trace());
    play.pool.clear();
    // A heartbeat tells 1 that it is behind; it asks, and only slot 1 of the answer arrives.
    play.cluster.hosts[1].ahead_micros += 25_000;
    play.cluster.tick(1).unwrap();
    play.pass(2, 1, |message| matches!(message, Message::Heartbeat(_))).unwrap();
    for _ in 0..4 {
        play.cluster.hosts[0].ahead_micros += 25_000;
        play.cluster.tick(0).unwrap();
    }
    play.pass(1, 2, |message| matches!(message, Message::CatchUp(_))).unwrap();
    play.pass(2, 1, |message| matches!(message, Message::Chosen(_)) && slot_of(message) == Some(1))
        .unwrap();
    assert_eq!(play.cluster.marks.learned, 1, "{}", play.trace());
    play.sync(1);

    play.elect(3, &[2]);
    play.propose(3);
    play.deliver(|_, _| true).unwrap();
    (1..=3).for_each(|id| play.sync(id));
    play.deliver(|_, _| true).unwrap();
}

/// 1 leads, and 2 accepts at slot 0; its answer is slow. 1 is deposed and leads again, without 2,
/// at a higher ballot, and proposes the same entry; only 3 accepts it. Now the slow answer arrives:
/// two votes at each of two ballots, of five replicas, are no quorum.
#[test]
fn a_vote_of_an_earlier_reign_is_not_counted() {
    let mut play = Play::led_by(1, 5);
    play.propose(1);
    play.pass(1, 2, |message| slot_of(message) == Some(0)).unwrap();
    [1, 2].into_iter().for_each(|id| play.sync(id));
    play.elect_if(1, &[2, 5], |envelope, message| {
        !matches!(message, Message::Accept(_)) || index_of(envelope.to) + 1 == 3
    });
    play.pass(2, 1, |message| matches!(message, Message::Accepted(_))).unwrap();
    assert_eq!(play.cluster.marks.adoptions, 1, "{}", play.trace());
    assert!(play.cluster.hosts[0].machine.is_empty(), "{}", play.trace());
    play.deliver(|_, _| true).unwrap();
    (1..=5).for_each(|id| play.sync(id));
    play.deliver(|_, _| true).unwrap();
    assert_eq!(play.cluster.hosts[0].machine.len(), 1, "{}", play.trace());
}
