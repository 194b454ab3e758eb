//! A replica among peers that say anything, in any order, at any time.

use oorandom::Rand64;

use super::*;
use crate::message::{Behind, Fetch, Fetched};
use crate::slot::{Run, Slots};

/// Draws messages with few, and with extreme, numbers, so that they often meet what is held.
struct Liar(Rand64);

impl Liar {
    fn below(&mut self, end: u64) -> u64 {
        self.0.rand_range(0..end)
    }

    fn one_of<T: Copy>(&mut self, choices: &[T]) -> T {
        let index = self.below(choices.len() as u64);
        choices[index as usize]
    }

    fn slot(&mut self) -> Slot {
        Slot(self.one_of(&[
            0,
            1,
            2,
            3,
            4,
            5,
            9,
            ALPHA - 1,
            ALPHA,
            ALPHA + 3,
            u64::MAX - 1,
            u64::MAX,
        ]))
    }

    fn slots(&mut self) -> Slots {
        Slots { start: self.slot(), end: self.slot() }
    }

    fn ballot(&mut self, from: u32) -> Ballot {
        let owner = self.one_of(&[from, from, from, 1, 2, 3]);
        ballot(self.one_of(&[0, 1, 2, 3, 4, 5, 6, 7, 1000]), owner)
    }

    fn entry(&mut self) -> Entry {
        if self.below(3) == 0 { Entry::Noop } else { entry(self.one_of(&["x", "y", "z"])) }
    }

    fn runs(&mut self, from: u32) -> Vec<Run> {
        let run = |liar: &mut Self| Run { slots: liar.slots(), ballot: liar.ballot(from) };
        (0..self.below(4)).map(|_| run(self)).collect()
    }

    fn announcement(&mut self, from: u32) -> Announcement {
        Announcement { chosen: self.slot(), runs: self.runs(from).into() }
    }

    fn message(&mut self, from: u32) -> Message {
        let (ballot, slot, chosen) = (self.ballot(from), self.slot(), self.slot());
        let sequence = self.below(40);
        match self.below(14) {
            0 => Prepare { ballot, first: slot }.into(),
            1 => self.promise(from).into(),
            2 => Nack { ballot, promised: self.ballot(from), chosen }.into(),
            3 => {
                let announcement = self.announcement(from);
                Accept { ballot, slot, entry: self.entry(), announcement }.into()
            }
            4 => Accepted { ballot, slots: self.slots(), chosen }.into(),
            5 => Behind { ballot, chosen }.into(),
            6 => heartbeat(ballot, self.announcement(from)).into(),
            7 => HeartbeatAnswer {
                ballot,
                sequence,
                end: slot,
                start: Standing::default(),
                chosen,
                priority: 1,
            }
            .into(),
            8 => Canvass { sequence, chosen }.into(),
            9 => {
                let (yes, leader) = (self.below(4) > 0, None);
                CanvassAnswer {
                    sequence,
                    yes,
                    promised: ballot,
                    leader,
                    start: Standing::default(),
                    chosen,
                }
                .into()
            }
            10 => Fetch { slot, ballot }.into(),
            11 => {
                let proposal = (self.below(4) > 0).then(|| (ballot, self.entry()));
                Fetched { slot, proposal, chosen }.into()
            }
            12 => Question { slots: self.slots(), chosen }.into(),
            _ => Chosen { slot, ballot, entry: self.entry(), chosen }.into(),
        }
    }

    fn promise(&mut self, from: u32) -> Promise {
        Promise {
            ballot: self.ballot(from),
            slots: self.slots(),
            last: self.below(2) == 0,
            chosen: self.slot(),
            accepted: self.runs(from),
            faulty: self.runs(from),
        }
    }
}

/// What may never fall.
fn marks(alone: &Alone) -> (Ballot, Slot, Slot, Lsn) {
    let status = alone.replica.status();
    (status.promised, status.chosen, status.applied, status.durable)
}

/// Answers as an honest peer would, now and then, so that the replica gets somewhere.
fn answer(alone: &mut Alone, from: u32, drained: &Drained) -> Drained {
    let ballot = alone.replica.status().promised;
    let answers: Vec<Message> = drained
        .messages()
        .into_iter()
        .filter_map(|message| match message {
            Message::Canvass(Canvass { sequence, .. }) => {
                let (promised, chosen) = (Ballot::ZERO, Slot(0));
                let leader = None;
                Some(
                    CanvassAnswer {
                        sequence,
                        yes: true,
                        promised,
                        leader,
                        start: Standing::default(),
                        chosen,
                    }
                    .into(),
                )
            }
            Message::Prepare(prepare) => Some(promise(prepare.ballot).into()),
            Message::Accept(accept) => Some(vote(ballot, accept.slot.0).into()),
            _ => None,
        })
        .collect();
    let mut last = Drained::default();
    for message in answers {
        last = alone.hear(from, message);
    }
    last
}

/// A thousand steps. Tells whether it led, and how far it came.
fn play(seed: u64) -> (bool, Slot) {
    let mut liar = Liar(Rand64::new(u128::from(seed)));
    let mut alone = Alone::start(recovered(1));
    let mut led = false;
    let mut applied = 0;
    for _ in 0..1000 {
        let before = marks(&alone);
        let drained = match liar.below(20) {
            0 => alone.sync(),
            1..=3 => {
                let drained = alone.tick();
                let (until, timer) = alone.wait.unwrap();
                assert!(until > alone.now, "seed {seed}: {timer:?} is due again at once");
                drained
            }
            4 => {
                let _ = alone.replica.propose(alone.now, b"c");
                alone.drain()
            }
            5 => {
                alone.replica.handle_applied(alone.now, Slot(applied));
                alone.drain()
            }
            _ => {
                let from = liar.one_of(&[2, 3, 3, 7]);
                let message = liar.message(from);
                alone.hear(from, message)
            }
        };
        let more =
            if liar.below(2) == 0 { answer(&mut alone, 2, &drained) } else { <_>::default() };
        for output in drained.other.iter().chain(&more.other) {
            match output {
                Output::Chosen { slot, .. } => applied = slot.0 + 1,
                Output::ApplyFromLog { slots } => applied = slots.end.0,
                _ => {}
            }
        }
        let after = marks(&alone);
        assert!(after.0 >= before.0 && after.1 >= before.1, "I1, I8: seed {seed}");
        assert!(after.2 >= before.2 && after.3 >= before.3, "I8: seed {seed}");
        led |= alone.replica.status().role == Role::Leading;
    }
    (led, alone.replica.status().chosen)
}

#[test]
fn whatever_peers_say_there_is_no_panic_and_no_mark_falls() {
    // Asserts are for our own transitions: a lie can only be refused and reported, whatever it is.
    // Some plays must have led and chosen something, or the test says nothing.
    let plays: Vec<_> = (0..300).map(play).collect();
    assert!(plays.iter().filter(|(led, _)| *led).count() > 30, "{plays:?}");
    assert!(plays.iter().filter(|(_, chosen)| *chosen > Slot(0)).count() > 100, "{plays:?}");
}

#[test]
fn the_same_inputs_give_the_same_outputs() {
    // Byte for byte: a play can be played again.
    let outputs = |seed: u64| {
        let mut liar = Liar(Rand64::new(u128::from(seed)));
        let mut alone = Alone::start(recovered(1));
        let steps = (0..200).map(|_| {
            let message = liar.message(2);
            let heard = alone.hear(2, message);
            (heard, alone.tick(), alone.sync())
        });
        steps.collect::<Vec<_>>()
    };
    assert_eq!(outputs(1), outputs(1));
}

#[test]
fn a_flood_does_not_fill_the_memory() {
    // The disk hangs; the same questions come ten thousand times. What waits is bounded, and when
    // the disk moves the replica goes on.
    let mut alone = Alone::start(recovered(1));
    for _ in 0..10_000 {
        alone.hear(2, Prepare { ballot: ballot(1, 2), first: Slot(0) });
        alone.hear(2, accept(ballot(1, 2), 0, "x", Announcement::default()));
    }
    assert!(alone.sync().sent.len() < 5_000);
    alone.hear(2, accept(ballot(1, 2), 1, "y", Announcement::default()));
    assert_eq!(names(&alone.sync()), ["Accepted"]);
}
