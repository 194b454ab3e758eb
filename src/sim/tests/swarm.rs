//! What a run may be made of.

use std::vec::Vec;

use crate::membership::ReplicaId;
use crate::sim::{
    Link, LinkFaults, Links, Mode, Parts, Senseless, Shape, Swarm, Tail, Weather, simulate,
};

type Change = fn(&mut Parts);

#[test]
fn senseless_parts_are_refused_by_name() {
    fn link(parts: &mut Parts) -> &mut LinkFaults {
        &mut parts.weather.links.usual
    }
    let cases: [(&str, Change); 33] = [
        ("replicas", |parts| parts.settings.replicas = 0),
        ("replicas", |parts| parts.settings.replicas = 10),
        ("frame_bytes_max", |parts| parts.settings.frame_bytes_max = Some(391)),
        ("chaos_micros", |parts| parts.chaos_micros = 0),
        ("drift_millionths", |parts| parts.drift_millionths = 1_000_000),
        ("loss_permille", |parts| link(parts).loss_permille = 1001),
        ("duplicate_permille", |parts| link(parts).duplicate_permille = 1001),
        ("damage_permille", |parts| link(parts).damage_permille = 1001),
        ("replay_permille", |parts| link(parts).replay_permille = 1001),
        ("straggler_permille", |parts| link(parts).straggler_permille = 1001),
        ("delay_micros", |parts| link(parts).delay_micros = u64::MAX),
        ("jitter_micros", |parts| link(parts).jitter_micros = u64::MAX),
        ("tail", |parts| link(parts).tail = Tail::Doubling { micros: 0 }),
        ("rot_permille", |parts| parts.weather.rot_permille = 1001),
        ("flap_permille", |parts| parts.weather.flap_permille = 1001),
        ("swizzle_permille", |parts| parts.weather.swizzle_permille = 1001),
        ("hunt_permille", |parts| parts.weather.hunt_permille = 1001),
        ("jump_back_permille", |parts| parts.weather.jump_back_permille = 1001),
        ("crash_every_micros", |parts| parts.weather.crash_every_micros = Some(0)),
        ("crash_all_every_micros", |parts| parts.weather.crash_all_every_micros = Some(0)),
        ("cut_every_micros", |parts| parts.weather.cut_every_micros = Some(0)),
        ("cut_micros", |parts| parts.weather.cut_every_micros = Some(1)),
        ("stranger_every_micros", |parts| parts.weather.stranger_every_micros = Some(0)),
        ("jump_every_micros", |parts| parts.weather.jump_every_micros = Some(0)),
        ("freeze_micros", |parts| parts.weather.freeze_every_micros = Some(1)),
        ("transfer_every_micros", |parts| parts.weather.transfer_every_micros = Some(0)),
        ("leave_every_micros", |parts| parts.weather.leave_every_micros = Some(0)),
        ("propose_every_micros", |parts| parts.weather.propose_every_micros = Some(0)),
        ("sync_micros", |parts| parts.weather.sync_micros = (0, u64::MAX)),
        ("clients", |parts| parts.clients.count = 0),
        ("outstanding", |parts| parts.clients.outstanding = 0),
        ("roam_permille", |parts| parts.clients.roam_permille = 1001),
        ("command_bytes", |parts| parts.weather.command_bytes = 2 << 20),
    ];
    for (wanted, change) in cases {
        match Swarm::fault_free(1).with(change) {
            Err(Senseless::OutOfRange { part, .. }) => assert_eq!(part, wanted),
            other => panic!("{wanted}: {other:?}"),
        }
    }
}

#[test]
fn senseless_parts_are_refused_with_what_they_contradict() {
    let refused = |change: Change| {
        let mut parts = Parts::calm(1);
        change(&mut parts);
        Swarm::new(parts).unwrap_err()
    };
    let faults = LinkFaults::NONE;
    let link = Link { from: ReplicaId(1), to: ReplicaId(6), faults };
    let error = refused(|parts| {
        let link = Link { from: ReplicaId(1), to: ReplicaId(6), faults: LinkFaults::NONE };
        parts.weather.links.single.push(link);
    });
    assert_eq!(error, Senseless::Link { from: link.from, to: link.to, replicas: 5 });
    let error = refused(|parts| parts.weather.foreign_every_micros = Some(1000));
    assert_eq!(error, Senseless::Unframed);
    let error = refused(|parts| {
        parts.settings.replicas = 6;
        parts.mode = Mode::Partial { shape: Shape::Chain, odd: 0 };
    });
    assert_eq!(error, Senseless::Shape { shape: Shape::Chain, replicas: 6 });
    let error = refused(|parts| parts.settings.config.pipeline_slots = 0);
    assert!(matches!(error, Senseless::Config(_)), "{error}");
    let error = Swarm::profile("sunshine", 1).unwrap_err();
    let text = "there is no profile \"sunshine\"; there are: chaos, network, disks, calm, crowd, \
                partitions, clocks";
    assert_eq!(std::format!("{error}"), text);
}

#[test]
fn every_seed_of_every_profile_makes_sense() {
    for name in Swarm::PROFILES {
        for seed in 0..500 {
            let swarm = Swarm::profile(name, seed).unwrap();
            assert_eq!(Swarm::new(swarm.parts().clone()), Ok(swarm), "{name} {seed}");
        }
    }
}

#[test]
fn seeds_stand_for_clusters_of_five_at_least_as_often_as_of_three_and_for_every_mode() {
    let parts: Vec<Parts> = (0..1000).map(|seed| Swarm::from_seed(seed).parts().clone()).collect();
    let count = |wanted: fn(&Parts) -> bool| parts.iter().filter(|parts| wanted(parts)).count();
    let of = |replicas| parts.iter().filter(|parts| parts.settings.replicas == replicas).count();
    assert!(of(5) >= of(3) && of(3) > 150, "{} {}", of(5), of(3));
    assert!((1..=9).filter(|replicas| of(*replicas) > 0).count() == 8, "all sizes but eight");
    assert!(count(|parts| parts.mode == Mode::HealAll) > 400);
    assert!(count(|parts| parts.mode == Mode::HealCore) > 150);
    assert!(count(|parts| parts.mode == Mode::SafetyOnly) > 30);
    assert!(count(|parts| matches!(parts.mode, Mode::Partial { .. })) > 20);
    let single = |parts: &Parts| parts.weather.links.single.len();
    assert!(parts.iter().filter(|parts| single(parts) == 1).count() > 50, "one terrible link");
    assert!(parts.iter().filter(|parts| single(parts) > 10).count() > 50, "each link different");
}

#[test]
fn parts_of_ones_own_run() {
    let mut parts = Parts::calm(3);
    parts.weather.propose_every_micros = Some(5000);
    parts.chaos_micros = 500_000;
    let report = simulate(&Swarm::new(parts).unwrap()).unwrap();
    assert!(report.acknowledged > 20, "{report:?}");
    assert!(report.faults.fields().iter().all(|(_, count)| *count == 0), "{:?}", report.faults);
}

/// A quorum works on while every other replica is broken for good, whatever breaks it: the same
/// with the others chosen by many seeds, and none of the runs ends with everybody repaired.
#[test]
fn a_quorum_lives_without_the_others() {
    let mut frozen = 0;
    for seed in 20..52 {
        let mut parts = Parts::calm(seed);
        parts.weather = Weather { propose_every_micros: Some(5000), ..Weather::FAIR };
        (parts.chaos_micros, parts.mode) = (400_000, Mode::HealCore);
        let report = simulate(&Swarm::new(parts).unwrap()).unwrap();
        assert!(report.slots > 100, "seed {seed}: {report:?}");
        frozen += report.faults.freezes;
    }
    assert!(frozen > 0);
}

#[test]
fn a_link_with_odds_of_its_own_is_the_only_one_that_has_them() {
    let terrible = LinkFaults { loss_permille: 1000, ..LinkFaults::NONE };
    let link = Link { from: ReplicaId(2), to: ReplicaId(3), faults: terrible };
    let links = Links { single: std::vec![link], ..Links::NONE };
    let table = links.table(3);
    let lost: Vec<usize> = (0..9).filter(|i| table[*i].loss_permille > 0).collect();
    assert_eq!(lost, [5]);
}
