//! Progress (section 2.4).

use synod::entry::Entry;
use synod::message::{Announcement, Message};
use synod::sim::{Mode, Swarm, simulate_fault_free};
use synod::slot::Slot;

use crate::roles::{Bench, ballot, drain_synced, entry, membership, outbox, proposer};

/// 2.4: "It's easy to construct a scenario in which two proposers each keep issuing a sequence of
/// proposals with increasing numbers, none of which are ever chosen." When one of them leaves off,
/// the other's is chosen.
#[test]
fn rivals_can_hold_each_other_up_and_one_alone_gets_on() {
    let mut acceptors = [1, 2, 3].map(Bench::new);
    let mut chosen = 0;
    for round in 1..50 {
        let rival = ballot(round, 1 + (round % 2) as u32);
        let next = ballot(round + 1, 1 + ((round + 1) % 2) as u32);
        for bench in &mut acceptors {
            bench.prepare(rival);
            // The other one is faster with its next number than this one with its proposal.
            bench.prepare(next);
            chosen += usize::from(bench.accepts(rival, 0, entry(round)));
        }
    }
    assert_eq!(chosen, 0);
    let alone = ballot(51, 1);
    let accepted: Vec<bool> = acceptors
        .iter_mut()
        .map(|bench| {
            bench.prepare(alone);
            bench.accepts(alone, 0, entry(51))
        })
        .collect();
    assert_eq!(accepted, [true; 3]);
}

/// 2.4: "a distinguished proposer must be selected as the only one to try issuing proposals". With
/// nothing in its way a cluster selects one, once, and everything that is proposed is chosen.
#[test]
fn a_cluster_without_faults_selects_one_leader_and_keeps_it() {
    for seed in 1..=5 {
        // A run that comes to rest ends with a restart of everybody, and another election.
        let swarm = Swarm::fault_free(seed).with(|parts| parts.mode = Mode::SafetyOnly);
        let report = simulate_fault_free(&swarm.expect("it makes sense"));
        let report = report.expect("every claim holds");
        assert_eq!(report.elections, 1, "seed {seed}");
        assert!(report.acknowledged > 0 && report.slots > 0, "seed {seed}: {report:?}");
    }
}

/// 2.4: a majority is enough: with the others silent the proposer still gets its value chosen.
#[test]
fn a_majority_is_enough() {
    for members in 1..=9u32 {
        let cluster = membership(members);
        let (mut leader, mut out, number) = (proposer(1), outbox(1), ballot(1, 1));
        leader.enqueue(b"x");
        leader.prepare(number, Slot(0), &cluster, &mut out);
        let mut benches: Vec<Bench> = (1..=members / 2 + 1).map(Bench::new).collect();
        let mut leads = false;
        for (id, bench) in (1..).zip(&mut benches) {
            for message in bench.prepare(number) {
                let Message::Promise(promise) = message else { panic!("{message:?}") };
                let from = synod::membership::ReplicaId(id);
                leads = leader.handle_promise(from, &promise, &cluster).expect("honest");
            }
        }
        assert!(leads, "{members} members");
        let proposed = leader.propose_next(false, &Announcement::default(), &cluster, &mut out);
        let entry =
            Entry::Batch(proposed.and_then(|proposed| proposed.batch).expect("the slot is free"));
        drain_synced(&mut out, number);
        let accepted = benches
            .iter_mut()
            .filter_map(|bench| bench.accepts(number, 0, entry.clone()).then_some(()));
        assert_eq!(accepted.count() as u32, members / 2 + 1);
    }
}
