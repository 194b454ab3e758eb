use std::vec::Vec;

use super::Fracture;

/// The directions that are cut in a cluster of five whose third replica is the odd one, by place.
fn cut_of_five(fracture: Fracture, leader: usize) -> Vec<(usize, usize)> {
    let place = |at: usize| (at + 5 - 2) % 5;
    let cuts = fracture.cuts(5, 2, leader, 7).list();
    let mut cut: Vec<_> = cuts.into_iter().map(|(from, to)| (place(from), place(to))).collect();
    cut.sort_unstable();
    cut
}

#[test]
fn each_cuts_what_it_says() {
    let mute: Vec<_> = (1..5).map(|to| (0, to)).collect();
    assert_eq!(cut_of_five(Fracture::Mute, 3), mute);
    let deaf: Vec<_> = (1..5).map(|from| (from, 0)).collect();
    assert_eq!(cut_of_five(Fracture::Deaf, 3), deaf);
    assert_eq!(cut_of_five(Fracture::CutOff, 3).len(), 8);
    assert_eq!(cut_of_five(Fracture::OneLinkLess, 3), [(0, 1), (1, 0)]);
    assert_eq!(cut_of_five(Fracture::OneDirectionLess, 3), [(0, 1)]);
    assert_eq!(cut_of_five(Fracture::TwoLinksLess, 3), [(0, 1), (0, 2), (1, 0), (2, 0)]);
    assert_eq!(cut_of_five(Fracture::HearsOne, 3), [(2, 0), (3, 0), (4, 0)]);
    assert_eq!(cut_of_five(Fracture::HeardByOne, 3), [(0, 2), (0, 3), (0, 4)]);
    // Ten links there are, of which these leave four, three, four and five.
    assert_eq!(cut_of_five(Fracture::QuorumLoss, 3).len(), 12);
    assert_eq!(cut_of_five(Fracture::Constrained, 3).len(), 14);
    assert_eq!(cut_of_five(Fracture::ConstrainedInTouch, 3).len(), 12);
    assert_eq!(cut_of_five(Fracture::Chained, 3).len(), 12);
    assert_eq!(cut_of_five(Fracture::Ring, 3).len(), 10);
    assert!(cut_of_five(Fracture::Chained, 3).contains(&(0, 4)));
    assert!(!cut_of_five(Fracture::Ring, 3).contains(&(0, 4)));
    assert!(cut_of_five(Fracture::Constrained, 3).contains(&(0, 3)), "not to the leader");
}

#[test]
fn a_leader_stands_anywhere_unless_nobody_can_lead_or_it_has_missed_something() {
    for replicas in [3, 5, 7] {
        for fracture in Fracture::ALL {
            let first = usize::from(fracture.has_outdated());
            let none = replicas == 7 && matches!(fracture, Fracture::Chained | Fracture::Ring);
            let expected: Vec<usize> = if none { Vec::new() } else { (first..replicas).collect() };
            assert_eq!(fracture.places(replicas), expected, "{fracture:?} of {replicas}");
        }
    }
    assert_eq!(Fracture::CutOff.places(2), [0; 0]);
}

#[test]
fn random_ones_differ_by_seed_and_leave_somebody_a_majority() {
    for fracture in [Fracture::RandomLinks, Fracture::RandomDirections] {
        let mut seen = std::collections::BTreeSet::new();
        for luck in 0..50 {
            let cuts = fracture.cuts(7, 0, 0, luck);
            assert!(cuts.leave_a_majority());
            let list = cuts.list();
            let both_ways = list.iter().all(|(from, to)| list.contains(&(*to, *from)));
            assert_eq!(both_ways, fracture == Fracture::RandomLinks, "seed {luck}");
            seen.insert(list);
        }
        assert_eq!(seen.len(), 50);
    }
}
