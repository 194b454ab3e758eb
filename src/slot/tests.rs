//! Lists of runs, and when rings are equal. That a ring holds what it should is tested from
//! outside, against a map.

use alloc::collections::BTreeSet;
use alloc::format;
use alloc::vec;
use core::hash::{BuildHasher, Hash};
use std::hash::{BuildHasherDefault, DefaultHasher};

use super::*;
use crate::membership::ReplicaId;

fn hash_of(what: &impl Hash) -> u64 {
    BuildHasherDefault::<DefaultHasher>::default().hash_one(what)
}

fn run(slot: u64) -> Run {
    let ballot = Ballot { round: 1, replica: ReplicaId(2) };
    Run { slots: Slots::one(Slot(slot)), ballot }
}

#[test]
fn a_list_of_runs_is_what_it_lists() {
    for runs in [Vec::new(), vec![run(3)], vec![run(3), run(8)]] {
        let (list, same) = (RunList::from(runs.clone()), RunList::from(&runs[..]));
        assert_eq!(list[..], runs[..]);
        assert_eq!((&list, hash_of(&list)), (&same, hash_of(&same)));
        assert_eq!(format!("{list:?}"), format!("{runs:?}"));
    }
    let lists = [Vec::new(), vec![run(3)], vec![run(8)], vec![run(3), run(8)]].map(RunList::from);
    assert_eq!(lists.iter().map(hash_of).collect::<BTreeSet<_>>().len(), 4);
    assert_ne!(lists[1], lists[2]);
}

#[test]
fn rings_are_equal_by_what_they_hold_and_where_they_begin() {
    let mut ring = Ring::new(Slot(5));
    for slot in 5..12 {
        ring.insert(Slot(slot), slot);
    }
    ring.advance(Slot(10));
    // The same, in fewer places, each at another one.
    let mut same = Ring::new(Slot(10));
    same.insert(Slot(11), 11);
    same.insert(Slot(10), 10);
    assert!(ring.places.len() > same.places.len());
    assert_eq!((&ring, hash_of(&ring)), (&same, hash_of(&same)));
    for change in [
        |ring: &mut Ring<u64>| {
            let _ = ring.insert(Slot(10), 7);
        },
        |ring: &mut Ring<u64>| {
            let _ = ring.insert(Slot(12), 12);
        },
        |ring: &mut Ring<u64>| {
            let _ = ring.remove(Slot(10));
        },
        |ring: &mut Ring<u64>| ring.advance(Slot(11)),
    ] {
        let mut other = same.clone();
        change(&mut other);
        assert_ne!(ring, other);
        assert_ne!(hash_of(&ring), hash_of(&other));
    }
}
