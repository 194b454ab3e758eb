use alloc::vec;
use alloc::vec::Vec;

use quickcheck::{Gen, QuickCheck};

use super::Replay;
use crate::ballot::Ballot;
use crate::entry::{BatchBuilder, CommandId, Entry};
use crate::membership::{ClusterId, DiskId, Incarnation, Member, Membership, Peer, ReplicaId};
use crate::record::{Lsn, Record, Recovered};
use crate::slot::{ALPHA, Run, Slot, Slots};

fn ballot(round: u64) -> Ballot {
    if round == 0 { Ballot::ZERO } else { Ballot { round, replica: ReplicaId(round as u32 % 3) } }
}

fn entry(name: u64) -> Entry {
    let id =
        CommandId { replica: ReplicaId(1), incarnation: Incarnation::default(), sequence: name };
    let mut builder = BatchBuilder::default();
    builder.push(id, &name.to_le_bytes());
    Entry::Batch(builder.build().expect("one command"))
}

fn accepted(slot: u64, round: u64) -> Record {
    Record::Accepted { slot: Slot(slot), ballot: ballot(round), entry: entry(round) }
}

fn chosen(slot: u64, round: u64) -> Record {
    Record::Chosen { slot: Slot(slot), ballot: ballot(round), entry: entry(round) }
}

fn run(slots: core::ops::Range<u64>, round: u64) -> Run {
    Run { slots: Slots::new(Slot(slots.start), Slot(slots.end)), ballot: ballot(round) }
}

/// Folds records, each with the chosen mark that was written with it.
fn fold(records: impl IntoIterator<Item = (Record, u64)>) -> Replay {
    let mut replay = Replay::default();
    for (lsn, (record, mark)) in records.into_iter().enumerate() {
        replay.apply(Lsn(lsn as u64 + 1), record, Slot(mark));
    }
    replay
}

fn finish(replay: Replay) -> Recovered {
    let me =
        Peer { replica: ReplicaId(1), disk: DiskId([1; 16]), incarnation: Incarnation::default() };
    replay.finish(ClusterId([0; 16]), me)
}

/// I1: the promise is the highest ballot of every record, and of what else is known.
#[test]
fn the_promise_is_the_highest_ballot_seen() {
    fn property(steps: Vec<(bool, u8)>, marker: u8) -> bool {
        let highest = steps.iter().map(|(_, round)| *round).chain([marker]).max().unwrap_or(0);
        let mut replay = fold(steps.into_iter().map(|(promise, round)| {
            let promised = Record::Promised { ballot: ballot(round.into()) };
            (if promise { promised } else { accepted(4, round.into()) }, 0)
        }));
        replay.raise_promise(ballot(marker.into()));
        finish(replay).promised == ballot(highest.into())
    }
    QuickCheck::new()
        .rng(Gen::from_size_and_seed(50, 0x5eed))
        .quickcheck(property as fn(Vec<(bool, u8)>, u8) -> bool);
}

#[test]
fn of_an_open_slot_the_highest_ballot_is_kept() {
    let recovered = finish(fold([(accepted(3, 1), 0), (accepted(3, 5), 0), (accepted(7, 2), 0)]));
    let held = [(Slot(3), ballot(5), entry(5)), (Slot(7), ballot(2), entry(2))];
    assert_eq!(recovered.accepted, held);
    assert_eq!((recovered.chosen, recovered.last), (Slot(0), Lsn(3)));
}

/// What was learned outranks what was accepted, on whichever side of it the records lie.
#[test]
fn a_chosen_record_outranks_accepted_ones() {
    for records in [
        [(chosen(0, 3), 0), (accepted(0, 2), 1)],
        [(accepted(0, 2), 0), (chosen(0, 3), 1)],
        // Accepted at 4 after it was chosen at 3: the stored ballot stays that of the record.
        [(chosen(0, 3), 0), (accepted(0, 4), 1)],
    ] {
        let recovered = finish(fold(records));
        assert_eq!(recovered.chosen, Slot(1));
        assert_eq!(recovered.runs, [run(0..1, 3)]);
        assert!(recovered.accepted.is_empty() && recovered.learned.is_empty());
    }
}

#[test]
fn what_was_learned_ahead_of_the_mark_is_kept_apart() {
    let recovered = finish(fold([(chosen(2, 3), 0), (accepted(1, 1), 0)]));
    assert_eq!(recovered.learned, [(Slot(2), ballot(3), entry(3))]);
    assert_eq!(recovered.accepted, [(Slot(1), ballot(1), entry(1))]);
}

#[test]
fn a_mark_that_passes_missing_slots_leaves_holes_until_they_are_learned() {
    let mut replay = fold([(accepted(0, 1), 0), (accepted(3, 1), 0)]);
    replay.raise_chosen(Slot(6));
    let holes = [Slots::new(Slot(1), Slot(3)), Slots::new(Slot(4), Slot(6))];
    assert_eq!(finish(replay.clone()).holes, holes);
    for slot in [1, 5] {
        replay.apply(Lsn(9 + slot), chosen(slot, 1), Slot(6));
    }
    let recovered = finish(replay);
    assert_eq!(recovered.holes, [Slots::one(Slot(2)), Slots::one(Slot(4))]);
    assert_eq!(recovered.runs, [run(0..1, 1), run(3..4, 1)]);
}

#[test]
fn a_mark_never_falls() {
    let mut replay = fold([(accepted(0, 1), 1)]);
    replay.raise_chosen(Slot(0));
    replay.apply(Lsn(2), Record::Promised { ballot: ballot(1) }, Slot(0));
    assert_eq!(replay.chosen(), Slot(1));
}

/// I10: a lost slot is Faulty up to the promise, unless a second copy proves the ballot.
#[test]
fn a_lost_slot_is_faulty_at_the_highest_ballot_it_can_have_been_accepted_in() {
    let mut replay = fold([(accepted(0, 1), 0), (accepted(1, 1), 0), (accepted(2, 1), 0)]);
    replay.lose(Slot(0), None);
    replay.lose(Slot(1), Some(ballot(3)));
    // The promise may be known only after the loss.
    replay.raise_promise(ballot(4));
    let recovered = finish(replay);
    assert_eq!(recovered.faulty, [run(0..1, 4), run(1..2, 3)]);
    assert_eq!(recovered.accepted, [(Slot(2), ballot(1), entry(1))], "the lost are not reported");
}

#[test]
fn a_faulty_slot_heals_when_it_is_accepted_again_or_the_mark_passes_it_but_not_when_it_is_learned()
{
    // A Promise tells of acceptances above the mark, and not of what was learned there.
    for (later, mark, healed) in
        [(accepted(0, 5), 0, true), (chosen(0, 5), 0, false), (chosen(0, 5), 1, true)]
    {
        let mut replay = fold([(accepted(0, 1), 0)]);
        replay.lose(Slot(0), None);
        replay.apply(Lsn(2), later, Slot(mark));
        assert_eq!(finish(replay).faulty.is_empty(), healed);
    }
}

/// A slot that is known chosen needs no vote any more: its entry is fetched instead.
#[test]
fn a_faulty_slot_below_the_mark_is_a_hole() {
    let mut passed = fold([(accepted(0, 1), 0)]);
    passed.lose(Slot(0), None);
    passed.raise_chosen(Slot(1));
    let mut below = fold([(accepted(0, 1), 1)]);
    below.lose(Slot(0), None);
    for recovered in [finish(passed), finish(below)] {
        assert!(recovered.faulty.is_empty());
        assert_eq!(recovered.holes, [Slots::one(Slot(0))]);
    }
}

/// I6, I8: what is lost may have been a learned entry. What was accepted there later, at whatever
/// ballot, does not stand for it once the mark passes.
#[test]
fn where_a_learned_entry_may_be_lost_what_was_accepted_does_not_stand_for_it() {
    let mut replay = fold([(accepted(0, 1), 0)]);
    replay.lose(Slot(0), None);
    replay.apply(Lsn(3), accepted(0, 2), Slot(0));
    replay.apply(Lsn(4), accepted(1, 2), Slot(0));
    assert_eq!(finish(replay.clone()).accepted.len(), 2, "it is reported, as any acceptance");
    replay.raise_chosen(Slot(2));
    let recovered = finish(replay);
    assert_eq!(recovered.holes, [Slots::one(Slot(0))]);
    assert_eq!(recovered.runs, [run(1..2, 2)]);
}

#[test]
fn runs_reach_back_alpha_slots_and_no_further() {
    let slots = 2 * ALPHA;
    let recovered = finish(fold((0..slots).map(|slot| (accepted(slot, 1), slot))));
    assert_eq!(recovered.chosen, Slot(slots - 1));
    assert_eq!(recovered.runs, [run(slots - 1 - ALPHA..slots - 1, 1)]);
    assert!(recovered.holes.is_empty());
}

#[test]
fn the_list_of_members_and_the_forming_are_remembered() {
    let member = Member { replica: ReplicaId(1), disk: DiskId([1; 16]) };
    let members = Membership::new(vec![member]).unwrap();
    let told = (Record::Members { members: members.clone() }, 0);
    let recovered = finish(fold([told.clone()]));
    assert_eq!((recovered.members, recovered.formed), (Some(members.clone()), false));
    let recovered = finish(fold([told, (Record::Formed, 0)]));
    assert_eq!((recovered.members, recovered.formed), (Some(members), true));
}

/// A log that was made up may jump to any mark: the slots between are one hole, and cost no more
/// than one.
#[test]
fn a_mark_far_ahead_leaves_one_hole() {
    let mut replay = fold([(accepted(3, 1), 0), (accepted(1 << 40, 1), 1 << 62)]);
    let holes = |replay: &Replay| finish(replay.clone()).holes;
    let far = |from: u64, to: u64| Slots::new(Slot(from), Slot(to));
    let (first, second) = (far(4, 1 << 40), far((1 << 40) + 1, 1 << 62));
    assert_eq!(holes(&replay), [far(0, 3), first, second]);
    assert_eq!(finish(replay.clone()).chosen, Slot(1 << 62));
    // Learned, one of them is known again; lost once more, it is a hole once more, and once only.
    replay.apply(Lsn(3), chosen(9, 1), Slot(0));
    assert_eq!(holes(&replay), [far(0, 3), far(4, 9), far(10, 1 << 40), second]);
    for _ in 0..2 {
        replay.lose(Slot(9), None);
        assert_eq!(holes(&replay), [far(0, 3), first, second]);
    }
}

#[test]
fn a_log_that_contradicts_itself_is_told() {
    let sound = || finish(fold([(accepted(4, 2), 3), (chosen(5, 1), 3)]));
    assert_eq!(sound().check(), Ok(()));
    let told = |change: fn(&mut Recovered)| {
        let mut recovered = sound();
        change(&mut recovered);
        recovered.check().expect_err("a contradiction")
    };
    assert!(told(|log| log.chosen = Slot(5)).contains("an open slot lies outside"));
    assert!(told(|log| log.accepted[0].0 = Slot(3 + ALPHA)).contains("an open slot lies outside"));
    assert!(told(|log| log.faulty = vec![run(2..4, 1)]).contains("a lost slot lies outside"));
    assert!(told(|log| log.accepted[0].1 = ballot(3)).contains("above the promise"));
    assert!(told(|log| log.faulty = vec![run(6..7, 3)]).contains("above the promise"));
    assert!(told(|log| log.holes = vec![run(2..4, 1).slots]).contains("a hole lies above"));
    assert!(told(|log| log.formed = true).contains("lacks this replica on this disk"));
}
