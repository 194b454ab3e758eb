//! Phase 1 alone: pages in, findings out; and a model that tries every set of Promises.

use alloc::vec;
use alloc::vec::Vec;

use quickcheck::{Arbitrary, Gen, QuickCheck};

use super::*;
use crate::outbox::tests::{ballot, id, membership, run, slots};
use crate::quorum::{QuorumSystem, Quorums};

const ME: u32 = 9;

/// Candidates of these tests prepare this ballot, above all that was accepted.
fn mine() -> Ballot {
    ballot(9, ME)
}

/// A Promise in one page, about the slots from 0 on.
fn promise(chosen: u64, accepted: &[(u64, Ballot)], faulty: &[(u64, Ballot)]) -> Promise {
    let runs = |slots: &[(u64, Ballot)]| -> Vec<Run> {
        slots.iter().map(|(slot, ballot)| run(*slot, slot + 1, *ballot)).collect()
    };
    let end = accepted.iter().chain(faulty).map(|(slot, _)| slot + 1).max().unwrap_or(0);
    Promise {
        ballot: mine(),
        slots: slots(0, end),
        last: true,
        chosen: Slot(chosen),
        accepted: runs(accepted),
        faulty: runs(faulty),
    }
}

/// Phase 1 over all slots, with these Promises of replicas 1, 2, ...
fn heard(promises: &[Promise]) -> PhaseOne {
    let mut phase_one = PhaseOne::new(mine(), Slot(0));
    for (name, promise) in (1..).zip(promises) {
        assert_eq!(phase_one.handle_promise(id(name), promise), Ok(()));
    }
    phase_one
}

/// What these Promises, out of a cluster of `members`, say of slot 0.
fn finding(members: u32, promises: &[Promise]) -> Finding {
    heard(promises).finding(Slot(0), &membership(members))
}

fn nothing() -> Promise {
    promise(0, &[], &[])
}

fn has(round: u64) -> Promise {
    promise(0, &[(0, ballot(round, 1))], &[])
}

fn lost(upto: u64) -> Promise {
    promise(0, &[], &[(0, ballot(upto, 1))])
}

fn adopt(round: u64) -> Finding {
    Finding::Adopt { from: ballot(round, 1) }
}

#[test]
fn a_slot_is_open_until_a_prepare_quorum_has_told() {
    // One Promise of three is no quorum, whatever it says (I5).
    for one in [nothing(), has(1), lost(1), promise(1, &[], &[])] {
        assert_eq!(finding(3, &[one]), Finding::Open);
    }
}

#[test]
fn a_slot_where_a_quorum_accepted_nothing_is_free() {
    // P2c: no acceptor of the quorum accepted anything there, so any entry will do (I5).
    assert_eq!(finding(3, &[nothing(), nothing()]), Finding::Free);
}

#[test]
fn the_highest_ballot_of_a_quorum_is_adopted() {
    // x at 1, y at 2, and there is no quorum without them: from 2 on (I5).
    assert_eq!(finding(3, &[has(1), has(2)]), adopt(2));
    assert_eq!(finding(5, &[has(1), nothing(), has(2)]), adopt(2));
}

#[test]
fn what_an_accept_quorum_reports_at_one_ballot_is_chosen() {
    // The very votes that the owner of ballot 1 would have counted; of two ballots none is chosen.
    let chosen_at = |promises: &[Promise]| heard(promises).chosen_at(Slot(0), &membership(3));
    assert_eq!(chosen_at(&[has(1), has(1)]), Some(ballot(1, 1)));
    assert_eq!(chosen_at(&[has(1), has(2), has(1)]), Some(ballot(1, 1)), "2 took it over");
    assert_eq!(chosen_at(&[has(1), has(2)]), None);
    assert_eq!(chosen_at(&[has(1), nothing()]), None);
    // What a disk has lost is no vote.
    assert_eq!(chosen_at(&[has(1), lost(1)]), None);
}

#[test]
fn nothing_is_found_chosen_before_a_prepare_quorum_has_promised() {
    // Two of five choose here. Until four have promised, two others may confirm a read of the
    // ballot's owner, that has not heard of the choice.
    let quorums = QuorumSystem::Sizes { prepare: 4, accept: 2 };
    let five = membership(5);
    let names: Vec<_> = five.members().iter().map(|member| member.replica).collect();
    let quorums = Quorums::new(&quorums, &names).unwrap();
    let five = Membership::with_quorums(five.members().to_vec(), quorums).unwrap();
    let mut phase_one = heard(&[has(1), has(1), nothing()]);
    assert_eq!(phase_one.chosen_at(Slot(0), &five), None);
    assert_eq!(phase_one.handle_promise(id(4), &nothing()), Ok(()));
    assert_eq!(phase_one.chosen_at(Slot(0), &five), Some(ballot(1, 1)));
}

#[test]
fn any_quorum_will_do_not_only_the_first() {
    // The first two Promises report x of 1, whose holder dies before the entry is fetched: with the
    // first quorum only, the candidate is stuck. A third Promise of the same ballot makes another.
    let first = [nothing(), has(1)];
    assert_eq!(finding(3, &first), adopt(1));
    assert_eq!(finding(3, &[nothing(), has(1), nothing()]), Finding::Free);
    assert_eq!(finding(5, &[has(3), has(1), nothing(), nothing()]), adopt(1));
}

#[test]
fn of_all_quorums_the_one_with_the_lowest_bound_is_taken_slot_by_slot() {
    // Slot 0 is freed by replicas 1 and 2, slot 1 by 2 and 3: the quorums need not be the same.
    let (one, two, three) = (
        promise(0, &[(1, ballot(5, 1))], &[]),
        promise(0, &[], &[]),
        promise(0, &[(0, ballot(5, 1))], &[]),
    );
    let phase_one = heard(&[one, two, three]);
    assert_eq!(phase_one.finding(Slot(0), &membership(3)), Finding::Free);
    assert_eq!(phase_one.finding(Slot(1), &membership(3)), Finding::Free);
}

#[test]
fn every_ballot_from_the_bound_on_may_be_adopted_and_none_below() {
    // Late fetches: with m = 2 the entry of 2, 3, ... below the candidate's own may come (I5).
    let phase_one = heard(&[has(1), has(2)]);
    for round in 2..9 {
        phase_one.assert_allowed(Slot(0), Some(ballot(round, 1)), &membership(3));
    }
}

#[test]
#[should_panic(expected = "I5")]
fn a_lower_ballots_entry_is_never_proposed() {
    // The entry of 2 cannot be fetched, that of 1 is at hand: not that one (I5).
    heard(&[has(1), has(2)]).assert_allowed(Slot(0), Some(ballot(1, 1)), &membership(3));
}

#[test]
#[should_panic(expected = "I5")]
fn an_entry_of_ones_own_is_never_proposed_where_something_was_reported() {
    // A failed fetch frees no slot (I5).
    heard(&[has(1), nothing()]).assert_allowed(Slot(0), None, &membership(3));
}

#[test]
#[should_panic(expected = "I5")]
fn nothing_is_proposed_where_the_quorum_says_chosen() {
    // One of the two Promises says chosen: it is learned, not proposed (I5).
    let phase_one = heard(&[promise(1, &[], &[]), nothing()]);
    phase_one.assert_allowed(Slot(0), None, &membership(3));
}

#[test]
fn a_chosen_mark_settles_the_slots_below_it() {
    // A trimmed or settled slot is told by the mark: chosen, never "nothing accepted".
    let phase_one = heard(&[promise(2, &[], &[]), nothing()]);
    assert_eq!(phase_one.finding(Slot(1), &membership(3)), Finding::Chosen);
    assert_eq!(phase_one.finding(Slot(2), &membership(3)), Finding::Free);
    assert_eq!(phase_one.free_from(&membership(3)), Some(Slot(2)));
    assert!(phase_one.told_chosen(Slot(1)) && !phase_one.told_chosen(Slot(2)));
}

#[test]
fn without_the_one_that_says_chosen_the_others_lead_to_the_same_entry() {
    // It dies before its entry is learned. It is left out, as whoever reported an entry is.
    assert_eq!(finding(3, &[promise(1, &[], &[]), has(4)]), Finding::Chosen);
    assert_eq!(finding(3, &[promise(1, &[], &[]), has(4), nothing()]), adopt(4));
}

#[test]
fn a_chosen_mark_on_a_later_page_overrules_an_earlier_report() {
    // Between two pages the acceptor learned that slot 0 is chosen.
    let mut phase_one = heard(&[has(4), nothing()]);
    assert_eq!(phase_one.handle_promise(id(1), &promise(1, &[], &[])), Ok(()));
    assert_eq!(phase_one.finding(Slot(0), &membership(3)), Finding::Chosen);
}

#[test]
fn a_report_at_the_candidates_own_ballot_is_its_own_proposal_and_says_nothing() {
    // It proposed before this page came. What was reported before counts, what comes after does
    // not.
    let own = promise(0, &[(0, mine())], &[]);
    assert_eq!(finding(3, &[own.clone(), nothing()]), Finding::Free);
    let mut phase_one = heard(&[has(2), nothing()]);
    assert_eq!(phase_one.handle_promise(id(1), &own), Ok(()));
    assert_eq!(phase_one.finding(Slot(0), &membership(3)), adopt(2));
}

#[test]
fn strangers_promises_count_for_nothing() {
    // Replica 7 is no member of this Membership: it makes no quorum, and covers no slot.
    let mut phase_one = heard(&[nothing()]);
    assert_eq!(phase_one.handle_promise(id(7), &nothing()), Ok(()));
    assert_eq!(phase_one.finding(Slot(0), &membership(3)), Finding::Open);
    assert_eq!(phase_one.free_from(&membership(3)), None);
}

#[test]
fn a_lost_acceptance_alone_counts_for_no_quorum() {
    // Counted as "nothing" it would free a slot whose value it had helped to choose (I10).
    assert_eq!(finding(3, &[lost(1), nothing()]), Finding::Open);
    assert_eq!(finding(3, &[lost(1), lost(1)]), Finding::Open);
    assert_eq!(finding(3, &[lost(1), nothing(), nothing()]), Finding::Free);
}

#[test]
fn a_lost_acceptance_counts_beside_a_report_at_its_bound_or_higher() {
    // Its true ballot is at most u, so beside a report of m >= u it changes nothing (I10).
    assert_eq!(finding(3, &[lost(2), has(2)]), adopt(2));
    assert_eq!(finding(3, &[lost(2), has(3)]), adopt(3));
    assert_eq!(finding(3, &[lost(3), has(2)]), Finding::Open);
}

#[test]
fn the_bound_of_a_lost_acceptance_is_an_upper_one() {
    // Four ballots: F accepted v at 1 and 3, Z too, so v is chosen; Y accepted w at 2. F's disk
    // loses it. If F told a *lower* bound, 1, then Y's 2 would let it count, and w be chosen as
    // well. F tells the highest ballot that it can have been, 3: with Y alone it counts nothing
    // (I10).
    assert_eq!(finding(3, &[lost(3), has(2)]), Finding::Open);
    assert_eq!(finding(3, &[lost(3), has(2), has(3)]), adopt(3));
}

#[test]
fn one_lost_acceptance_does_not_bear_witness_for_another() {
    // Both may have lost the slot; neither *knows* of a report at 2 (I10).
    assert_eq!(finding(5, &[lost(2), lost(2), has(1)]), Finding::Open);
    assert_eq!(finding(5, &[lost(2), lost(2), has(2)]), adopt(2));
}

#[test]
fn a_lost_acceptance_needs_another_member_as_its_witness() {
    // Its page said 2; then it crashed, and its disk lost the slot. What it said before is no word
    // of *another* member (I10).
    let mut phase_one = heard(&[has(2), nothing()]);
    assert_eq!(phase_one.handle_promise(id(1), &lost(2)), Ok(()));
    assert_eq!(phase_one.finding(Slot(0), &membership(3)), Finding::Open);
    assert_eq!(phase_one.handle_promise(id(3), &has(2)), Ok(()));
    assert_eq!(phase_one.finding(Slot(0), &membership(3)), adopt(2));
}

#[test]
fn a_slot_counts_for_an_acceptor_only_when_a_page_covering_it_has_come() {
    // Two pages; the last one comes first: slots below it are not covered yet, those above are.
    let mut phase_one = heard(&[nothing()]);
    let mut last = promise(0, &[(40, ballot(1, 1))], &[]);
    last.slots = slots(32, 41);
    assert_eq!(phase_one.handle_promise(id(2), &last), Ok(()));
    assert_eq!(phase_one.finding(Slot(31), &membership(3)), Finding::Open);
    assert_eq!(phase_one.finding(Slot(40), &membership(3)), adopt(1));
    assert_eq!(phase_one.finding(Slot(1000), &membership(3)), Finding::Free);
    assert_eq!(phase_one.free_from(&membership(3)), None);
    assert!(phase_one.silent(&membership(3)).contains(id(2)));

    let mut first = promise(0, &[], &[]);
    (first.slots, first.last) = (slots(0, 32), false);
    assert_eq!(phase_one.handle_promise(id(2), &first), Ok(()));
    assert_eq!(phase_one.finding(Slot(31), &membership(3)), Finding::Free);
    assert_eq!(phase_one.free_from(&membership(3)), Some(Slot(41)));
    assert!(!phase_one.silent(&membership(3)).contains(id(2)));
}

#[test]
fn pages_of_different_times_fill_one_another_up() {
    // The first answer lost its third page. The second was made at a higher mark, so its pages have
    // other borders: an old page lies within a new one, and must not hide it.
    let page = |chosen: u64, range: Slots, last: bool| Promise {
        slots: range,
        last,
        chosen: Slot(chosen),
        ..nothing()
    };
    let mut phase_one = heard(&[nothing()]);
    let pages = [
        page(0, slots(0, 40), false),
        page(0, slots(40, 60), false),
        page(50, slots(0, 82), false),
        page(50, slots(82, 90), true),
    ];
    for page in &pages {
        assert_eq!(phase_one.handle_promise(id(2), page), Ok(()));
    }
    assert_eq!(phase_one.finding(Slot(70), &membership(3)), Finding::Free);
    assert_eq!(phase_one.free_from(&membership(3)), Some(Slot(50)));
    assert!(!phase_one.silent(&membership(3)).contains(id(2)));
}

#[test]
fn new_commands_go_above_every_report_and_every_chosen_mark() {
    // Reports up to slot 7, a lost one at 9, a mark of 5: free from 10 on.
    let members = membership(5);
    let seven = promise(5, &[(7, ballot(1, 1))], &[]);
    let nine = promise(0, &[], &[(9, ballot(1, 1))]);
    assert_eq!(heard(&[seven, nine, nothing()]).free_from(&members), Some(Slot(10)));
    let mut later = PhaseOne::new(mine(), Slot(20));
    for name in 1..=3 {
        let empty = Promise { slots: slots(20, 20), ..nothing() };
        assert_eq!(later.handle_promise(id(name), &empty), Ok(()));
    }
    assert_eq!(later.free_from(&members), Some(Slot(20)));
}

#[test]
fn those_who_report_an_entry_that_will_do_are_asked_for_it() {
    // From 2 on: the one with 1 is of no use.
    let phase_one = heard(&[has(1), has(2), has(3)]);
    let asked: Vec<_> = phase_one.reporters(Slot(0), ballot(2, 1)).iter().collect();
    assert_eq!(asked, [id(2), id(3)]);
}

#[test]
fn a_report_of_what_cannot_be_known_is_refused_and_changes_nothing() {
    // A ballot above the one that was promised, a run outside its page, a page outside the window.
    let at = |slot: u64, ballot: Ballot| promise(0, &[(slot, ballot)], &[]);
    let outside = Promise { slots: slots(0, 1), ..at(5, ballot(1, 1)) };
    let beyond = Promise { slots: slots(0, ALPHA + 1), ..nothing() };
    let elsewhere = Promise { slots: slots(ALPHA + 1, ALPHA + 1), ..nothing() };
    let below = Promise { slots: slots(3, 8), chosen: Slot(5), ..nothing() };
    let backwards = Promise { accepted: vec![run(4, 2, ballot(1, 1))], ..at(5, ballot(1, 1)) };
    let inverted = Promise { slots: slots(ALPHA, 0), ..nothing() };
    let huge = Promise { accepted: vec![run(0, u64::MAX, ballot(1, 1))], ..nothing() };
    let future = at(0, ballot(10, 1));
    for page in [outside, beyond, elsewhere, below, backwards, inverted, huge, future] {
        let mut phase_one = heard(&[nothing()]);
        let before = phase_one.clone();
        let refused = Err(Misbehaviour::ImpossibleReport { ballot: mine() });
        assert_eq!(phase_one.handle_promise(id(2), &page), refused, "{page:?}");
        assert_eq!(phase_one, before);
    }
}

/// What one acceptor says of slot 0 in the model.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Says {
    Silent,
    Nothing,
    Accepted(u64),
    Lost(u64),
    Chosen,
}

impl Arbitrary for Says {
    fn arbitrary(g: &mut Gen) -> Self {
        let round = 1 + u64::arbitrary(g) % 4;
        match u8::arbitrary(g) % 8 {
            0 => Self::Silent,
            1 | 2 => Self::Nothing,
            3 | 4 => Self::Accepted(round),
            5 | 6 => Self::Lost(round),
            _ => Self::Chosen,
        }
    }
}

impl Says {
    fn promise(self) -> Option<Promise> {
        match self {
            Self::Silent => None,
            Self::Nothing => Some(nothing()),
            Self::Accepted(round) => Some(has(round)),
            Self::Lost(upto) => Some(lost(upto)),
            Self::Chosen => Some(promise(1, &[], &[])),
        }
    }
}

/// What the set allows: nothing, or a bound: any entry (0), entries from a ballot on, or chosen.
fn allowed(members: usize, set: &[Says]) -> Option<Finding> {
    let quorum = set.len() > members / 2 && !set.contains(&Says::Silent);
    let witness = |upto: u64| {
        set.iter().any(|other| match other {
            Says::Accepted(round) => *round >= upto,
            Says::Chosen => true,
            Says::Silent | Says::Nothing | Says::Lost(_) => false,
        })
    };
    let sound = set.iter().all(|says| !matches!(says, Says::Lost(upto) if !witness(*upto)));
    if !quorum || !sound {
        return None;
    }
    if set.contains(&Says::Chosen) {
        return Some(Finding::Chosen);
    }
    let highest = set.iter().filter_map(|says| match says {
        Says::Accepted(round) => Some(*round),
        Says::Silent | Says::Nothing | Says::Lost(_) | Says::Chosen => None,
    });
    Some(highest.max().map_or(Finding::Free, adopt))
}

/// Every set of acceptors by itself, and the best of what they allow.
fn model(says: &[Says]) -> Finding {
    let sets = 0u32..1 << says.len();
    let of = |set: u32| -> Vec<Says> {
        says.iter().enumerate().filter(|(i, _)| set & (1 << i) != 0).map(|(_, s)| *s).collect()
    };
    let rank = |finding: &Finding| match finding {
        Finding::Free => (0, Ballot::ZERO),
        Finding::Adopt { from } => (1, *from),
        Finding::Chosen => (2, Ballot::ZERO),
        Finding::Open => (3, Ballot::ZERO),
    };
    sets.filter_map(|set| allowed(says.len(), &of(set))).min_by_key(rank).unwrap_or(Finding::Open)
}

fn found(says: &[Says]) -> Finding {
    told(says).finding(Slot(0), &membership(says.len() as u32))
}

fn told(says: &[Says]) -> PhaseOne {
    let mut phase_one = PhaseOne::new(mine(), Slot(0));
    for (name, says) in (1..).zip(says) {
        if let Some(promise) = says.promise() {
            assert_eq!(phase_one.handle_promise(id(name), &promise), Ok(()));
        }
    }
    phase_one
}

/// The ballot that a majority says it accepted at.
fn chosen(says: &[Says]) -> Option<Ballot> {
    let majority = says.len() / 2 + 1;
    let votes = |round: u64| {
        let at = |says: &&Says| matches!(says, Says::Accepted(at) if *at == round);
        says.iter().filter(at).count()
    };
    (1..=4).find(|round| votes(*round) >= majority).map(|round| ballot(round, 1))
}

#[test]
fn a_finding_allows_exactly_what_some_set_of_promises_allows() {
    // 3 to 5 members, 4 ballots, lost and chosen reports, against every subset: neither more is
    // allowed (I5, I10) nor less.
    fn property(says: Vec<Says>) -> bool {
        let says: Vec<_> = says.into_iter().cycle().take(5).collect();
        (3..=says.len()).all(|members| found(&says[..members]) == model(&says[..members]))
    }
    QuickCheck::new()
        .rng(Gen::from_size_and_seed(100, 0x5eed))
        .tests(20_000)
        .quickcheck(property as fn(Vec<Says>) -> bool);
}

#[test]
fn with_three_members_every_case_agrees_with_the_model() {
    // All 11^3 of them: exhaustive where quickcheck only draws.
    let mut all = vec![Says::Silent, Says::Nothing, Says::Chosen];
    all.extend((1..=4).flat_map(|round| [Says::Accepted(round), Says::Lost(round)]));
    for one in &all {
        for two in &all {
            for three in &all {
                let says = [*one, *two, *three];
                assert_eq!(found(&says), model(&says), "{says:?}");
                let found_chosen = told(&says).chosen_at(Slot(0), &membership(3));
                assert_eq!(found_chosen, chosen(&says), "{says:?}");
            }
        }
    }
}
