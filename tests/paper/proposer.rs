//! What a proposer may and must do (sections 2.2 and 2.4), and the leader's part in a state machine
//! (section 3).

use synod::ballot::Ballot;
use synod::entry::Entry;
use synod::membership::{Membership, ReplicaId};
use synod::message::{Accept, Announcement, Fetched, Message, Promise};
use synod::roles::{Finding, Outbox, PhaseOne, Proposer};
use synod::slot::{Run, Slot, Slots};

use crate::roles::{ballot, drain, entry, membership, outbox, proposer};

const ME: u32 = 2;

/// A whole Promise in one page, with the slots accepted, each at its ballot.
fn promise(ballot: Ballot, accepted: &[(u64, Ballot)]) -> Promise {
    let runs =
        accepted.iter().map(|(slot, at)| Run { slots: Slots::one(Slot(*slot)), ballot: *at });
    let end = accepted.iter().map(|(slot, _)| slot + 1).max().unwrap_or(0);
    Promise {
        ballot,
        slots: Slots::new(Slot(0), Slot(end)),
        last: true,
        chosen: Slot(0),
        accepted: runs.collect(),
        faulty: Vec::new(),
    }
}

/// A proposer in phase 1 of a ballot, with its outbox; its own promise is not in yet.
struct Bench {
    proposer: Proposer,
    out: Outbox,
    ballot: Ballot,
    members: Membership,
}

impl Bench {
    fn new(members: u32) -> Self {
        let (members, ballot) = (membership(members), ballot(5, ME));
        let (mut proposer, mut out) = (proposer(ME), outbox(ME));
        proposer.prepare(ballot, Slot(0), &members, &mut out);
        drain(&mut out);
        Self { proposer, out, ballot, members }
    }

    fn hear(&mut self, from: u32, accepted: &[(u64, Ballot)]) -> bool {
        let promise = promise(self.ballot, accepted);
        let leads = self.proposer.handle_promise(ReplicaId(from), &promise, &self.members);
        leads.expect("an honest report")
    }

    /// Everything that it now sends.
    fn sends(&mut self) -> Vec<Message> {
        let nothing = Announcement::default();
        let found =
            self.proposer.take_over(|_| None, &nothing, false, &self.members, &mut self.out);
        assert_eq!(found, [], "no test here lets an accept quorum report one ballot");
        while self.proposer.propose_next(false, &nothing, &self.members, &mut self.out).is_some() {}
        drain(&mut self.out).messages
    }

    fn proposes(&mut self) -> Vec<Accept> {
        let accept = |message| match message {
            Message::Accept(accept) => Some(accept),
            _ => None,
        };
        self.sends().into_iter().filter_map(accept).collect()
    }
}

/// 2.2, phase 1(a): "A proposer selects a proposal number n and sends a prepare request with number
/// n to a majority of acceptors." Here to all of them.
#[test]
fn phase_1a_prepare_goes_to_the_acceptors_with_its_own_number() {
    let (mut proposer, mut out) = (proposer(ME), outbox(ME));
    proposer.prepare(ballot(5, ME), Slot(3), &membership(3), &mut out);
    match &drain(&mut out).messages[..] {
        [Message::Prepare(prepare)] => {
            assert_eq!((prepare.ballot, prepare.first), (ballot(5, ME), Slot(3)));
        }
        other => panic!("no Prepare: {other:?}"),
    }
    assert!(
        matches!(out.next_for_me(), Some(Message::Prepare(_))),
        "its own acceptor is asked too"
    );
}

/// 2.5: "Different proposers choose their numbers from disjoint sets of numbers." (I2)
#[test]
#[should_panic(expected = "I2")]
fn phase_1a_nobody_prepares_with_anothers_number() {
    proposer(ME).prepare(ballot(5, ME + 1), Slot(0), &membership(3), &mut outbox(ME));
}

/// 2.2, phase 2(a): "If the proposer receives a response to its prepare requests (numbered n) from
/// a majority of acceptors, then it sends an accept request": not before.
#[test]
fn phase_2a_nothing_is_proposed_before_a_majority_has_promised() {
    let mut bench = Bench::new(5);
    bench.proposer.enqueue(b"mine");
    for (from, leads) in [(1, false), (1, false), (2, false), (9, false), (3, true)] {
        assert_eq!(bench.hear(from, &[]), leads, "after the Promise of {from}");
        assert_eq!(bench.proposes().len(), usize::from(leads));
    }
}

/// 2.2, phase 2(a): responses to another number do not count.
#[test]
fn phase_2a_promises_of_another_number_do_not_count() {
    let mut bench = Bench::new(3);
    for other in [ballot(4, ME), ballot(5, 1), ballot(6, ME)] {
        let stray = promise(other, &[]);
        let judged = bench.proposer.handle_promise(ReplicaId(1), &stray, &bench.members);
        assert_eq!(judged, Ok(false));
    }
    assert!(!bench.hear(1, &[]));
    assert!(bench.hear(3, &[]));
}

/// 2.2, phase 2(a): v is "any value if the responses reported no proposals".
#[test]
fn phase_2a_a_free_slot_takes_the_clients_command() {
    let mut bench = Bench::new(3);
    let id = bench.proposer.enqueue(b"mine");
    bench.hear(1, &[]);
    bench.hear(2, &[]);
    let accepts = bench.proposes();
    assert_eq!(accepts.len(), 1);
    assert_eq!((accepts[0].ballot, accepts[0].slot), (bench.ballot, Slot(0)));
    let Entry::Batch(batch) = &accepts[0].entry else { panic!("a batch") };
    assert!(batch.commands().eq([b"mine"]));
    assert_eq!(batch.origins().map(|run| run.first).collect::<Vec<_>>(), [id]);
}

/// 2.2, phase 2(a): "v is the value of the highest-numbered proposal among the responses". A lower
/// one will not do, not even if the highest cannot be fetched. (I5)
#[test]
fn phase_2a_the_highest_reported_value_is_taken_over() {
    let mut bench = Bench::new(3);
    bench.proposer.enqueue(b"mine");
    bench.hear(1, &[(0, ballot(1, 1))]);
    bench.hear(3, &[(0, ballot(3, 3))]);
    match &bench.sends()[..] {
        [Message::Fetch(fetch), Message::Accept(own)] => {
            assert_eq!((fetch.slot, fetch.ballot), (Slot(0), ballot(3, 3)));
            assert_eq!(own.slot, Slot(1), "the command goes above all reports");
        }
        other => panic!("{other:?}"),
    }
    let answer = |proposal| Fetched { slot: Slot(0), proposal, chosen: Slot(0) };
    for useless in [None, Some((ballot(1, 1), entry(1))), Some((ballot(6, 1), entry(6)))] {
        bench.proposer.handle_fetched(answer(useless));
        assert_eq!(bench.proposes(), [], "nothing is proposed in its place");
    }
    bench.proposer.handle_fetched(answer(Some((ballot(3, 3), entry(3)))));
    let accepts = bench.proposes();
    assert_eq!(accepts.len(), 1);
    assert_eq!((accepts[0].slot, &accepts[0].entry), (Slot(0), &entry(3)));
    assert_eq!(accepts[0].ballot, bench.ballot);
}

/// 2.2, P2c speaks of *some* majority: one more Promise can free a proposer from a report whose
/// reporter has died.
#[test]
fn phase_2a_any_majority_of_the_promises_will_do() {
    let mut bench = Bench::new(3);
    bench.hear(1, &[(0, ballot(1, 1))]);
    bench.hear(2, &[]);
    assert_eq!(bench.proposes(), [], "1 must tell the value");
    bench.hear(3, &[]);
    let accepts = bench.proposes();
    assert_eq!(accepts.len(), 1, "2 and 3 are a majority that accepted nothing");
    assert_eq!((accepts[0].slot, &accepts[0].entry), (Slot(0), &Entry::Noop));
}

/// 2.5: an acceptor's storage keeps what it promised and accepted. One whose disk may have lost an
/// acceptance at up to u says so, and helps a majority only beside somebody who reports u. (I10)
#[test]
fn phase_2a_a_lost_acceptance_is_not_taken_for_none() {
    let members = membership(3);
    let run = |slot, ballot| Run { slots: Slots::one(Slot(slot)), ballot };
    let slots = Slots::one(Slot(0));
    let page = |faulty: Vec<Run>| Promise { slots, faulty, ..promise(ballot(5, ME), &[]) };
    let told = |round| Promise { slots, ..promise(ballot(5, ME), &[(0, ballot(round, 1))]) };
    let found = |reports: [Promise; 2]| {
        let mut phase_one = PhaseOne::new(ballot(5, ME), Slot(0));
        for (from, report) in (1..).zip(reports) {
            phase_one.handle_promise(ReplicaId(from), &report).expect("an honest report");
        }
        phase_one.finding(Slot(0), &members)
    };
    let lost = |round| page(vec![run(0, ballot(round, 1))]);
    assert_eq!(found([page(vec![]), page(vec![])]), Finding::Free);
    assert_eq!(found([lost(3), page(vec![])]), Finding::Open, "it may have accepted at 3");
    assert_eq!(found([lost(3), told(2)]), Finding::Open, "2 is not the highest it may have");
    assert_eq!(found([lost(3), told(3)]), Finding::Adopt { from: ballot(3, 1) });
    assert_eq!(found([lost(2), told(3)]), Finding::Adopt { from: ballot(3, 1) });
    assert_eq!(found([lost(3), lost(3)]), Finding::Open, "two who do not know");
}

/// 2.2: a proposer "can make multiple proposals, so long as it follows the algorithm for each one";
/// for one slot and number it makes one: asked again, it has nothing to add. (I2)
#[test]
fn phase_2a_a_number_is_used_once() {
    let mut bench = Bench::new(3);
    bench.hear(1, &[]);
    bench.hear(2, &[(0, ballot(1, 1))]);
    bench.hear(3, &[]);
    assert_eq!(bench.proposes().len(), 1, "1 and 3 leave the slot free: a Noop");
    let late = Fetched { slot: Slot(0), proposal: Some((ballot(1, 1), entry(1))), chosen: Slot(0) };
    bench.proposer.handle_fetched(late);
    assert_eq!(bench.proposes(), []);
    let proposed = bench.proposer.proposed(Slot(0), bench.ballot);
    assert_eq!(proposed, Some(&Entry::Noop));
}

/// 2.2: what is sent again is the same proposal, byte for byte, to those who did not answer. (I2)
#[test]
fn phase_2a_a_resend_is_the_same_proposal() {
    let mut bench = Bench::new(3);
    bench.proposer.enqueue(b"mine");
    bench.hear(1, &[]);
    bench.hear(2, &[]);
    let first = bench.proposes();
    let nothing = Announcement::default();
    let mut again = Vec::new();
    // The first look only marks what is under way.
    for _ in 0..2 {
        let voted = |_, replica| replica == ReplicaId(1);
        bench.proposer.send_again(voted, &nothing, 1 << 20, &bench.members, &mut bench.out);
        again = drain(&mut bench.out).messages;
    }
    let accept = again.into_iter().find_map(|message| match message {
        Message::Accept(accept) => Some(accept),
        _ => None,
    });
    assert_eq!(accept.as_ref(), first.first());
}

/// 2.2: a proposer abandons its number when another one is ahead; what it never proposed can
/// be given up, and its fate is certain.
#[test]
fn an_abandoned_ballot_proposes_nothing_more() {
    let mut bench = Bench::new(3);
    bench.hear(1, &[]);
    bench.hear(2, &[]);
    let ids = [b"a", b"b"].map(|command| bench.proposer.enqueue(command).sequence);
    bench.proposer.stop();
    let dropped: Vec<u64> = bench.proposer.drop_below(u64::MAX).into_iter().flatten().collect();
    assert_eq!(dropped, ids);
    assert_eq!((bench.proposer.leading(), bench.proposes()), (None, vec![]));
}

/// Section 3: a new leader fills the gaps that its predecessor left with a "no-op", and proposes
/// new commands above everything that was reported.
#[test]
fn a_new_leader_fills_gaps_with_noops_and_goes_on_above() {
    let mut bench = Bench::new(3);
    bench.proposer.enqueue(b"mine");
    bench.hear(1, &[(2, ballot(1, 1))]);
    bench.hear(2, &[(4, ballot(3, 3))]);
    for (slot, at) in [(2, ballot(1, 1)), (4, ballot(3, 3))] {
        let proposal = Some((at, entry(slot)));
        bench.proposer.handle_fetched(Fetched { slot: Slot(slot), proposal, chosen: Slot(0) });
    }
    let proposed: Vec<_> = bench
        .proposes()
        .into_iter()
        .map(|accept| match accept.entry {
            Entry::Noop => (accept.slot.0, "noop".to_owned()),
            other if other == entry(accept.slot.0) => (accept.slot.0, "taken over".to_owned()),
            other => (accept.slot.0, other.to_string()),
        })
        .collect();
    let expected = [(0, "noop"), (1, "noop"), (2, "taken over"), (3, "noop"), (4, "taken over")];
    assert_eq!(proposed[..5], expected.map(|(slot, what)| (slot, what.to_owned())));
    assert_eq!((proposed.len(), proposed[5].0), (6, 5), "the command is at 5: {proposed:?}");
}

/// Section 3: the leader does not wait for one command to be chosen before it proposes the next, up
/// to its window.
#[test]
fn a_leader_keeps_many_slots_in_flight() {
    let mut bench = Bench::new(3);
    bench.hear(1, &[]);
    bench.hear(2, &[]);
    for name in 0..40 {
        bench.proposer.enqueue(&[name; 40]);
    }
    let slots: Vec<u64> = bench.proposes().iter().map(|accept| accept.slot.0).collect();
    assert_eq!(slots, (0..16).collect::<Vec<_>>(), "as many as the pipeline has");
    bench.proposer.settle(Slot(3));
    let chosen = Announcement { chosen: Slot(3), ..Announcement::default() };
    let mut more = 0;
    while bench.proposer.propose_next(false, &chosen, &bench.members, &mut bench.out).is_some() {
        more += 1;
    }
    assert_eq!(more, 3, "as many as were chosen");
}
