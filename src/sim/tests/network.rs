//! Frames that are damaged, times under way, cuts, clocks that jump and replicas that stand still.

use std::collections::BTreeMap;
use std::vec::Vec;

use bytes::Bytes;
use oorandom::Rand64;

use super::{driver, start};
use crate::entry::{BatchBuilder, CommandId, Entry};
use crate::membership::{ClusterId, DiskId, Incarnation, Peer, ReplicaId};
use crate::message::{Accept, Announcement, Behind, Message};
use crate::sim::cuts::Cuts;
use crate::sim::network::{Condition, Envelope, Payload, Tail};
use crate::sim::{LinkFaults, watch};
use crate::slot::Slot;
use crate::time::Instant;
use crate::wire::{self, FrameError};

fn below(random: &mut Rand64) -> impl FnMut(u64) -> u64 + '_ {
    |below| random.rand_range(0..below)
}

fn peer() -> Peer {
    Peer { replica: ReplicaId(1), disk: DiskId::default(), incarnation: Incarnation(1) }
}

/// A frame with an entry and one without.
fn frames() -> [Bytes; 2] {
    let (replica, incarnation) = (ReplicaId(1), Incarnation(1));
    let command = CommandId { replica, incarnation, sequence: 0 };
    let mut batch = BatchBuilder::default();
    batch.push(command, b"command");
    let entry = batch.build().map_or(Entry::Noop, Entry::Batch);
    let announcement = Announcement::default();
    let ballot = crate::ballot::Ballot::ZERO;
    let accept = Accept { ballot, slot: Slot(1), entry, announcement };
    let behind = Behind { ballot, chosen: Slot(1) };
    [Message::from(accept), Message::from(behind)].map(|message| {
        let mut buffer = Vec::new();
        wire::encode(ClusterId::default(), peer(), &message, &mut buffer);
        Bytes::from(buffer)
    })
}

#[test]
fn damage_reaches_every_refusal_and_nothing_damaged_passes() {
    let mut random = Rand64::new(1);
    let mut refused: BTreeMap<&str, u64> = BTreeMap::new();
    for sound in frames() {
        for _ in 0..5000 {
            let condition = Condition::Sound;
            let payload = Payload::Frame { bytes: sound.clone(), condition };
            let mut envelope = Envelope { number: 0, from: peer(), to: ReplicaId(2), payload };
            assert!(envelope.damage(below(&mut random)));
            let Payload::Frame { bytes, condition } = envelope.payload else { unreachable!() };
            assert_eq!(condition, Condition::Damaged);
            let name = match wire::decode(ClusterId::default(), bytes.clone()) {
                // The same bit was flipped twice.
                Ok(_) => {
                    assert_eq!(bytes, sound);
                    continue;
                }
                Err(FrameError::TooShort { .. }) => "TooShort",
                Err(FrameError::TooLong { .. }) => "TooLong",
                Err(FrameError::Magic) => "Magic",
                Err(FrameError::Version { .. }) => "Version",
                Err(FrameError::Checksum) => "Checksum",
                Err(FrameError::Header { .. }) => "Header",
                Err(FrameError::Bounds { .. }) => "Bounds",
                Err(FrameError::Payload(_)) => "Payload",
                Err(FrameError::Trailing { .. }) => "Trailing",
                Err(error) => panic!("{error}"),
            };
            *refused.entry(name).or_default() += 1;
        }
    }
    assert_eq!(refused.len(), 9, "{refused:?}");
}

#[test]
fn tails_are_as_long_as_they_say() {
    let mut random = Rand64::new(1);
    let mut times = |tail| {
        let link = LinkFaults { delay_micros: 50, jitter_micros: 0, tail, ..LinkFaults::NONE };
        let mut times: Vec<u64> =
            (0..10_000).map(|_| link.under_way(below(&mut random)).0).collect();
        times.sort_unstable();
        times
    };
    assert!(times(Tail::None).iter().all(|time| *time == 50));
    let light = times(Tail::Halving { micros: 1000 });
    assert!((light[4000], light[9000]) == (50, light[9000].clamp(2000, 4000)), "{}", light[9000]);
    assert!((5000..=15_000).contains(&light[9990]), "{}", light[9990]);
    let heavy = times(Tail::Doubling { micros: 1000 });
    assert!((2000..=8000).contains(&heavy[9000]), "{}", heavy[9000]);
    assert!(heavy[9990] > 200_000, "{}", heavy[9990]);
}

#[test]
fn stragglers_take_twenty_times_as_long() {
    let mut random = Rand64::new(1);
    let link = LinkFaults { jitter_micros: 0, straggler_permille: 500, ..LinkFaults::NONE };
    let times: Vec<(u64, bool)> = (0..100).map(|_| link.under_way(below(&mut random))).collect();
    assert!(times.iter().all(|time| [(200, false), (4000, true)].contains(time)), "{times:?}");
    assert!(times.contains(&(200, false)) && times.contains(&(4000, true)));
}

fn links_of(cuts: &Cuts) -> Vec<(usize, usize)> {
    let pairs = (0..4).flat_map(|from| (0..4).map(move |to| (from, to)));
    pairs.filter(|(from, to)| cuts.is_cut(*from, *to)).collect()
}

#[test]
fn more_cuts_have_the_shapes_that_their_names_say() {
    let cut = |shape: fn(&mut Cuts)| {
        let mut cuts = Cuts::none(4);
        shape(&mut cuts);
        links_of(&cuts)
    };
    assert_eq!(cut(Cuts::ring), [(0, 2), (1, 3), (2, 0), (3, 1)]);
    assert_eq!(cut(|cuts| cuts.mute(1)), [(1, 0), (1, 2), (1, 3)]);
    assert_eq!(cut(|cuts| cuts.deafen(1)), [(0, 1), (2, 1), (3, 1)]);
    assert_eq!(cut(|cuts| cuts.split_one_way(0b0001)), [(0, 1), (0, 2), (0, 3)]);
    let mended = cut(|cuts| {
        cuts.mute(1);
        cuts.mend(1, 2);
    });
    assert_eq!(mended, [(1, 0), (1, 3)]);
}

#[test]
fn links_that_flap_work_by_turns_and_others_stay_cut() {
    let mut cuts = Cuts::none(4);
    cuts.cut(0, 1);
    cuts.begin_flapping();
    cuts.cut(2, 3);
    assert_eq!(links_of(&cuts), [(0, 1), (2, 3)]);
    cuts.flap();
    assert_eq!(links_of(&cuts), [(2, 3)]);
    cuts.flap();
    assert_eq!(links_of(&cuts), [(0, 1), (2, 3)]);
    cuts.heal();
    assert_eq!(links_of(&cuts), []);
}

#[test]
fn time_never_goes_back_for_a_replica_whatever_its_clock_does() {
    let mut driver = driver(false);
    let host = &mut driver.cluster.hosts[0];
    host.ahead_micros += 4_000_000;
    assert_eq!(host.time(1000), Instant::from_micros(5_001_000));
    host.jump(1000, -300);
    // Time stands still until the clock has caught up.
    assert_eq!(host.time(1299), Instant::from_micros(5_001_000));
    assert_eq!(host.time(1301), Instant::from_micros(5_001_001));
    host.jump(2000, 5000);
    assert_eq!(host.time(2000), Instant::from_micros(5_006_700));
    host.jump(3000, -2_000_000);
    assert_eq!(host.time(3000), Instant::from_micros(5_007_700));
    // A process that starts again goes by the clock.
    host.forget_time();
    assert_eq!(host.time(3000), Instant::from_micros(3_007_700));
    // No clock shows less than the first second.
    host.jump(3000, i64::MIN / 4);
    host.forget_time();
    assert_eq!(host.time(3000), Instant::from_micros(1_000_000));
    host.jump(3000, 10);
    host.jump(3000, -10);
    host.set_right(3000);
    assert_eq!(host.time(3001), Instant::from_micros(1_000_011));
}

#[test]
fn a_host_wakes_when_its_time_has_come_and_not_much_later() {
    let mut random = Rand64::new(1);
    let mut driver = driver(false);
    for _ in 0..2000 {
        let host = &mut driver.cluster.hosts[0];
        let mut below = below(&mut random);
        host.drift_millionths = below(1_900_000) as i64 - 950_000;
        host.ahead_micros = 1_000_000 + below(1_000_000);
        host.jumped_micros = 0;
        host.forget_time();
        host.jump(1000, below(2_000_000) as i64 - 1_000_000);
        let wake = Instant::from_micros(900_000 + below(3_000_000));
        let when = host.reaches(wake).max(1000);
        assert!(host.time(when) >= wake, "{host_time:?} {wake:?}", host_time = host.time(when));
        let early = when.saturating_sub(50).max(1000);
        assert!(early == 1000 || host.time(early) < wake, "too late for {wake:?}");
    }
}

#[test]
fn a_replica_that_stands_still_hears_everything_at_once_when_it_goes_on() {
    let report = watch(driver, |driver| {
        start(driver)?;
        let (leader, _) = driver.cluster.leader().unwrap();
        let still = (leader + 1) % 3;
        driver.freeze(still);
        driver.cluster.propose(leader, 8)?.unwrap();
        driver.run_for(50_000)?;
        let applied =
            |driver: &crate::sim::driver::Driver, at: usize| driver.cluster.hosts[at].machine.len();
        assert_eq!((applied(driver, leader), applied(driver, still)), (1, 0));
        let before = driver.cluster.steps;
        driver.thaw(still);
        driver.run_for(1000)?;
        assert!(driver.cluster.steps > before + 4, "heartbeats and an Accept have waited");
        driver.run_for(50_000)?;
        assert_eq!(applied(driver, still), 1);
        driver.freeze(still);
        driver.run_for(10_000)?;
        driver.take_down(still);
        driver.start(still)?;
        driver.run_for(50_000)?;
        assert_eq!(applied(driver, still), 1, "a restarted process does not stand still");
        Ok(())
    });
    assert_eq!(report.unwrap().faults.freezes, 2);
}
