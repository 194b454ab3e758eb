//! Every system of up to seven members, or nine, against what its words say; and what no system is.

use alloc::string::ToString;
use alloc::vec;

use super::*;

fn names(count: usize) -> Vec<ReplicaId> {
    (1..=count as u32).map(ReplicaId).collect()
}

fn won(tally: Tally) -> bool {
    tally == Tally::Won
}

/// Judges the system by its words: whether a set of places is a quorum, told in the plainest way.
struct Words<'a> {
    prepare: &'a dyn Fn(&[usize]) -> bool,
    accept: &'a dyn Fn(&[usize]) -> bool,
}

fn places(set: usize, members: usize) -> Vec<usize> {
    (0..members).filter(|i| set >> i & 1 == 1).collect()
}

fn votes(set: usize) -> VoteSet {
    places(set, MEMBERS_MAX).into_iter().fold(VoteSet::EMPTY, VoteSet::with)
}

/// Takes the system if each of its prepare quorums meets each of its accept quorums, pair by pair,
/// and both have one; the crate must judge the same, and count the same sets. True if it is one.
fn agrees(system: &QuorumSystem, members: usize, words: &Words<'_>) -> bool {
    let sets = 0..1usize << members;
    let family = |is: &dyn Fn(&[usize]) -> bool| -> Vec<usize> {
        sets.clone().filter(|set| is(&places(*set, members))).collect()
    };
    let (prepare, accept) = (family(words.prepare), family(words.accept));
    let meet = prepare.iter().all(|p| accept.iter().all(|a| p & a != 0));
    let sound = meet && !prepare.is_empty() && !accept.is_empty();
    let built = Quorums::new(system, &names(members));
    assert_eq!(built.is_ok(), sound, "{system} of {members}: {built:?}");
    let Ok(quorums) = built else { return false };
    for set in sets {
        let (yes, is) = (votes(set), |family: &[usize]| family.contains(&set));
        assert_eq!(won(quorums.prepare(yes, VoteSet::EMPTY)), is(&prepare), "{system} {set:b}");
        assert_eq!(won(quorums.accept(yes, VoteSet::EMPTY)), is(&accept), "{system} {set:b}");
    }
    true
}

#[test]
fn sizes_up_to_seven_members_and_every_pair_of_them() {
    let mut systems = 0;
    for members in 1..=7 {
        for prepare in 0..=members + 1 {
            for accept in 0..=members + 1 {
                let system = QuorumSystem::Sizes { prepare: prepare as u8, accept: accept as u8 };
                let words = Words {
                    prepare: &|set| set.len() >= prepare,
                    accept: &|set| set.len() >= accept,
                };
                systems += usize::from(agrees(&system, members, &words));
            }
        }
        let more_than_half = |set: &[usize]| 2 * set.len() > members;
        let words = Words { prepare: &more_than_half, accept: &more_than_half };
        assert!(agrees(&QuorumSystem::Majority, members, &words));
    }
    // Of n members: n of each size of the one, with all larger ones of the other.
    assert_eq!(systems, (1..=7).map(|n| n * (n + 1) / 2).sum::<usize>());
}

#[test]
fn weights_up_to_seven_members_and_every_pair_of_them() {
    let (mut systems, mut tried) = (0, 0);
    let mut random = oorandom::Rand32::new(7);
    for members in 1..=7usize {
        // All weights of few members, and some of more.
        let all = 4usize.pow(members as u32);
        let step = (all / 64).max(1);
        for case in (0..all).step_by(step) {
            let offset = if step == 1 { 0 } else { random.rand_range(0..step as u32) as usize };
            let weight = |place: usize| (case + offset) / 4usize.pow(place as u32) % 4;
            let heavy = |set: &[usize]| set.iter().map(|place| weight(*place)).sum::<usize>();
            let whole = heavy(&places((1 << members) - 1, members));
            for prepare in 0..=whole + 1 {
                for accept in [0, 1, whole / 2, (whole + 1).saturating_sub(prepare), whole] {
                    let weights = names(members).into_iter().enumerate();
                    let system = QuorumSystem::Weighted {
                        weights: weights.map(|(i, id)| (id, weight(i) as u16)).collect(),
                        prepare: prepare as u32,
                        accept: accept as u32,
                    };
                    let words = Words {
                        prepare: &|set| heavy(set) >= prepare,
                        accept: &|set| heavy(set) >= accept,
                    };
                    tried += 1;
                    systems += usize::from(agrees(&system, members, &words));
                }
            }
        }
    }
    assert!(systems > 1000 && tried > 2 * systems, "{systems} of {tried}");
}

#[test]
fn zones_up_to_seven_members_and_every_pair_of_them() {
    let mut systems = 0;
    for members in 1..=7usize {
        // Every way to put them into up to three zones.
        for case in (0..3usize.pow(members as u32)).step_by(if members < 7 { 1 } else { 5 }) {
            let zone_of = |place: usize| case / 3usize.pow(place as u32) % 3;
            let zone = |zone| (0..members).filter(move |place| zone_of(*place) == zone);
            let zones: Vec<Vec<usize>> = (0..3).map(|nth| zone(nth).collect()).collect();
            let in_zones = |set: &[usize]| {
                let majority = |zone: &&Vec<usize>| {
                    2 * zone.iter().filter(|place| set.contains(place)).count() > zone.len()
                };
                zones.iter().filter(majority).count()
            };
            for (prepare, accept) in (0..=3).flat_map(|p| (0..=3).map(move |a| (p, a))) {
                let named = |zone: &Vec<usize>| -> Vec<ReplicaId> {
                    zone.iter().map(|i| ReplicaId(*i as u32 + 1)).collect()
                };
                let system = QuorumSystem::Zones {
                    zones: zones.iter().map(named).collect(),
                    prepare: prepare as u8,
                    accept: accept as u8,
                };
                let words = Words {
                    prepare: &|set| in_zones(set) >= prepare,
                    accept: &|set| in_zones(set) >= accept,
                };
                systems += usize::from(agrees(&system, members, &words));
            }
        }
    }
    assert!(systems > 5000, "{systems}");
}

#[test]
fn a_tally_is_lost_exactly_when_the_rest_cannot_win() {
    for text in ["sizes/4/2", "weights:1=3,2=2,3=1,4=0,5=1/4/4", "zones:1+2+3,4+5/2/1"] {
        let quorums = Quorums::new(&text.parse().unwrap(), &names(5)).unwrap();
        for (yes, no) in (0..32).flat_map(|yes| (0..32).map(move |no| (yes, no))) {
            if yes & no != 0 {
                continue;
            }
            let ever = won(quorums.prepare(votes(31 & !no), VoteSet::EMPTY));
            let expected = match (won(quorums.prepare(votes(yes), VoteSet::EMPTY)), ever) {
                (true, _) => Tally::Won,
                (false, true) => Tally::Waiting,
                (false, false) => Tally::Lost,
            };
            assert_eq!(quorums.prepare(votes(yes), votes(no)), expected, "{text} {yes:b} {no:b}");
        }
    }
}

#[test]
fn a_refusal_names_the_sets_that_miss_one_another() {
    let refused = |text: &str, members| {
        let system: QuorumSystem = text.parse().unwrap();
        Quorums::new(&system, &names(members)).unwrap_err().to_string()
    };
    assert_eq!(refused("sizes/2/2", 4), "prepare quorum 3,4 misses accept quorum 1,2");
    assert_eq!(refused("sizes/0/2", 3), "prepare quorum of nobody misses accept quorum 1,2");
    assert_eq!(refused("sizes/3/0", 3), "prepare quorum 1,2,3 misses accept quorum of nobody");
    assert_eq!(refused("sizes/4/1", 3), "all members together are no prepare quorum");
    assert_eq!(refused("sizes/3/4", 3), "all members together are no accept quorum");
    assert_eq!(refused("weights:1=1,2=1/2/1", 3), "replica 3 has no weight or lies in no zone");
    assert_eq!(
        refused("zones:1+2,2+3/2/1", 3),
        "replica 2 has a weight or a zone, and is no member or has another already"
    );
    assert_eq!(
        refused("weights:1=1,2=1,4=1/2/2", 2),
        "replica 4 has a weight or a zone, and is no member or has another already"
    );
    assert_eq!(refused("majority", 10), "a cluster has 1 to 9 members, not 10");
    assert_eq!(refused("majority", 0), "a cluster has 1 to 9 members, not 0");
    // Heavy as they are together, no sum overflows.
    let heavy = (1..=9).map(|id| (ReplicaId(id), u16::MAX)).collect();
    let whole = 9 * u32::from(u16::MAX);
    let system = QuorumSystem::Weighted { weights: heavy, prepare: whole, accept: 1 };
    assert!(Quorums::new(&system, &names(9)).is_ok());
}

#[test]
fn families_that_a_peer_makes_up_are_refused() {
    let majority = Quorums::new(&QuorumSystem::Majority, &names(3)).unwrap();
    let (prepare, accept) = majority.families();
    assert_eq!(Quorums::told(3, *prepare, *accept), Ok(majority));
    for members in [0, 1, 2, 4, 9, 10] {
        assert!(Quorums::told(members, *prepare, *accept).is_err(), "{members}");
    }
    // Each family with one set more or less: what is left may be a system by chance, and then every
    // pair of its quorums meets, and more votes never hurt.
    let mut taken = 0;
    for bit in 0..64 * WORDS {
        let mut other = *prepare;
        other.0[bit / 64] ^= 1 << (bit % 64);
        for told in [(other, *accept), (*accept, other)] {
            let Ok(quorums) = Quorums::told(3, told.0, told.1) else { continue };
            taken += 1;
            let (prepare, accept) = quorums.families();
            for (p, a) in VoteSet::subsets(3).flat_map(|p| VoteSet::subsets(3).map(move |a| (p, a)))
            {
                let meet = p.minus(a) != p;
                assert!(meet || !prepare.contains(p) || !accept.contains(a), "{p:?} {a:?}");
            }
        }
    }
    // Without one of the pairs, the other two and all three are left: twice three systems.
    assert_eq!(taken, 6);
}

#[test]
fn equal_by_the_sets_however_described() {
    let of = |text: &str| Quorums::new(&text.parse().unwrap(), &names(3)).unwrap();
    assert_eq!(of("majority"), of("sizes/2/2"));
    assert_eq!(of("majority"), of("weights:1=5,2=5,3=5/6/10"));
    assert_ne!(of("majority"), of("sizes/3/2"));
    assert_eq!(of("majority").to_string(), "prepare: 2 of 3, accept: 2 of 3");
    assert_eq!(of("sizes/3/1").to_string(), "prepare: 3 of 3, accept: 1 of 3");
    let zones = Quorums::new(&"zones:1+2,3+4/1/2".parse().unwrap(), &names(4)).unwrap();
    assert_eq!(zones.to_string(), "prepare: certain 2 of 4, accept: 4 of 4");
    let weights = of("weights:1=2,2=1,3=1/2/3");
    assert_eq!(weights.to_string(), "prepare: certain 1 to 2 of 3, accept: certain 2 of 3");
    let least: Vec<usize> = weights.least_accept().into_iter().map(VoteSet::bits).collect();
    assert_eq!(least, [0b011, 0b101]);
    let least: Vec<usize> = weights.least_prepare().into_iter().map(VoteSet::bits).collect();
    assert_eq!(least, [0b001, 0b110]);
}

#[test]
fn the_fewest_votes_that_are_still_wanted() {
    let quorums = Quorums::new(&"weights:1=3,2=1,3=1,4=1/4/3".parse().unwrap(), &names(4)).unwrap();
    let more = |set, phases| quorums.fewest_more(votes(set), phases);
    assert_eq!(more(0, Phases::Accept), 1, "the first one is enough alone");
    assert_eq!(more(0b1000, Phases::Accept), 1);
    assert_eq!(more(0b1100, Phases::Accept), 1);
    assert_eq!(more(0, Phases::Prepare), 2);
    assert_eq!(more(0b0110, Phases::Prepare), 1);
    assert_eq!(more(0b0001, Phases::Both), 1);
    assert_eq!(more(0b1111, Phases::Both), 0);
}

#[test]
fn systems_are_written_as_they_are_read() {
    let texts =
        ["majority", "sizes/4/2", "weights:1=3,2=0,30=65535/3/4294967295", "zones:1+2+3,4,5+6/2/2"];
    for text in texts {
        assert_eq!(text.parse::<QuorumSystem>().unwrap().to_string(), text);
    }
    let wrong = [
        "",
        "Majority",
        "majority/2/2",
        "sizes",
        "sizes/1",
        "sizes/1/2/3",
        "sizes/-1/2",
        "sizes/256/1",
        "weights:/1/1",
        "weights:1/1/1",
        "weights:1=65536/1/1",
        "zones:/1/1",
        "zones:1++2/1/1",
        "zones:a/1/1",
        "rows:1/1/1",
    ];
    for text in wrong {
        assert_eq!(text.parse::<QuorumSystem>(), Err(QuorumTextError), "{text}");
    }
    assert_eq!(vec![QuorumSystem::default()], [QuorumSystem::Majority]);
}
