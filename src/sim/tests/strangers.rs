//! Strangers and the second cluster: what they do, and that the claim about them can fail.

use bytes::Bytes;

use super::{driver, settings, start};
use crate::entry::Entry;
use crate::membership::{DiskId, Incarnation, Peer, ReplicaId, Replicas};
use crate::message::{CatchUp, Chosen, Forming, Message};
use crate::output::{Event, IgnoreReason, Output};
use crate::record::{Lsn, Record};
use crate::sim::cluster::Cluster;
use crate::sim::driver::Driver;
use crate::sim::host::Settings;
use crate::sim::network::{Condition, Envelope, Payload};
use crate::sim::oracle::Broken;
use crate::sim::strangers::{Guise, stranger_gets_little};
use crate::sim::{Parts, Swarm, simulate, watch};
use crate::slot::{Slot, Slots};
use crate::wire;

fn from(replica: u32) -> Peer {
    Peer { replica: ReplicaId(replica), disk: DiskId([9; 16]), incarnation: Incarnation(1) }
}

fn send(to: u32, message: impl Into<Message>) -> Output {
    Output::Send { to: Replicas::one(ReplicaId(to)), message: message.into() }
}

#[test]
fn a_stranger_that_gets_more_than_an_answer_breaks_the_claim() {
    let list = || Forming { members: None, formed: true };
    let page = || CatchUp { slots: Slots::one(Slot(1)), chosen: Slot(1) };
    let ignored = |peer| {
        let reason = IgnoreReason::NoMember;
        Output::Event(Event::Ignored { peer: ReplicaId(peer), reason })
    };
    let leading = Event::Following { leader: None };
    let slot = Slot(0);
    let allowed = |guise, stranger, output: &Output| {
        stranger_gets_little(guise, from(stranger), output).map_err(|broken| broken.invariant)
    };
    for (guise, stranger) in [(Guise::NoMember, 100), (Guise::OtherDisk, 2), (Guise::OwnName, 1)] {
        let other = if stranger == 2 { 3 } else { 2 };
        assert_eq!(allowed(guise, stranger, &ignored(stranger)), Ok(()));
        let too_much = [
            ignored(other),
            send(other, list()),
            Output::Event(leading.clone()),
            Output::Chosen { slot, entry: Entry::Noop },
            Output::Persist { lsn: Lsn(1), record: Record::Formed, chosen: slot },
            Output::SendEntries { to: ReplicaId(other), slots: Slots::one(slot) },
        ];
        for output in too_much {
            assert_eq!(allowed(guise, stranger, &output), Err("STRANGER"), "{output:?}");
        }
    }
    let chosen =
        Chosen { slot, ballot: crate::ballot::Ballot::ZERO, entry: Entry::Noop, chosen: slot };
    assert_eq!(allowed(Guise::NoMember, 100, &send(100, chosen.clone())), Ok(()));
    assert_eq!(allowed(Guise::NoMember, 100, &send(2, page())), Ok(()), "marks are facts");
    assert_eq!(allowed(Guise::OtherDisk, 2, &send(2, list())), Ok(()), "it is told why");
    assert_eq!(allowed(Guise::OtherDisk, 2, &send(2, chosen)), Err("STRANGER"));
    assert_eq!(allowed(Guise::OtherDisk, 2, &send(2, page())), Err("STRANGER"));
    assert_eq!(allowed(Guise::OwnName, 1, &send(1, list())), Err("STRANGER"));
}

/// Everything that strangers say arrives at a cluster that elects and chooses: all of it is worth
/// nothing, and everybody says so.
#[test]
fn strangers_disturb_nobody() {
    for frame_bytes_max in [None, Some(400)] {
        let mut parts = Parts::calm(5);
        parts.settings.frame_bytes_max = frame_bytes_max;
        parts.weather.stranger_every_micros = Some(500);
        parts.weather.propose_every_micros = Some(5000);
        parts.chaos_micros = 2_000_000;
        let report = simulate(&Swarm::new(parts).unwrap()).unwrap();
        assert!(report.faults.strangers > 1000, "{report:?}");
        let marks = report.marks;
        assert!(marks.other_disks > 100 && marks.own_names > 100 && marks.no_members > 50);
        assert!(report.elections <= 2, "{report:?}");
    }
}

fn framed(text: bool) -> Driver {
    let settings = Settings { frame_bytes_max: Some(400), ..settings() };
    Driver::new(Cluster::new(&settings, text), 1)
}

#[test]
fn frames_of_another_cluster_are_refused_and_both_clusters_work() {
    let mut parts = Parts::calm(5);
    parts.settings.frame_bytes_max = Some(400);
    parts.weather.foreign_every_micros = Some(500);
    parts.weather.propose_every_micros = Some(5000);
    let report = simulate(&Swarm::new(parts.clone()).unwrap()).unwrap();
    assert!(report.faults.foreign_frames > 1000, "{report:?}");
    assert_eq!(report.marks.frames_of_other_cluster, report.faults.foreign_frames);
    // The other cluster is a part of the run: a run without it is another one.
    parts.weather.foreign_every_micros = None;
    let without = simulate(&Swarm::new(parts).unwrap()).unwrap();
    assert_eq!(without.marks.frames_of_other_cluster, 0);
    assert_ne!(without.trace_hash, report.trace_hash);
}

/// Hands a frame to replica 2 of three, and gives what the oracles say.
fn hand(condition: Condition, change: fn(&Driver) -> Bytes) -> Result<(), Broken> {
    let mut driver = framed(false);
    start(&mut driver)?;
    let payload = Payload::Frame { bytes: change(&driver), condition };
    let from = driver.cluster.hosts[0].peer;
    driver.cluster.deliver(&Envelope { number: 0, from, to: ReplicaId(2), payload })
}

fn sound(driver: &Driver) -> Bytes {
    let message = Message::from(CatchUp { slots: Slots::one(Slot(0)), chosen: Slot(0) });
    let mut buffer = std::vec::Vec::new();
    wire::encode(driver.cluster.name(), driver.cluster.hosts[0].peer, &message, &mut buffer);
    buffer.into()
}

#[test]
fn frames_that_fare_as_they_should_not_break_a_claim() {
    let invariant = |result: Result<(), Broken>| result.map_err(|broken| broken.invariant);
    let garbage: fn(&Driver) -> Bytes = |_| Bytes::from_static(b"no frame at all");
    // A frame of another cluster that is taken, or refused for another reason.
    assert_eq!(invariant(hand(Condition::Foreign, sound)), Err("STRANGER"));
    assert_eq!(invariant(hand(Condition::Foreign, garbage)), Err("STRANGER"));
    // A sound frame that is refused; one that was never sent.
    assert_eq!(invariant(hand(Condition::Sound, garbage)), Err("WIRE"));
    assert_eq!(invariant(hand(Condition::Sound, sound)), Err("WIRE"));
    assert_eq!(invariant(hand(Condition::Damaged, garbage)), Ok(()));
}

#[test]
fn a_replica_that_a_stranger_changed_breaks_the_claim() {
    let violation = watch(driver, |driver| {
        start(driver)?;
        let before = driver.cluster.status(0).unwrap();
        driver.cluster.stranger_changes_nothing(0, Guise::NoMember, &before)?;
        driver.run_for(20_000)?;
        driver.cluster.propose(driver.cluster.leader().unwrap().0, 8)?.unwrap();
        driver.run_for(20_000)?;
        driver.cluster.stranger_changes_nothing(0, Guise::NoMember, &before)
    });
    let violation = violation.unwrap_err();
    assert_eq!(violation.invariant, "STRANGER");
    assert!(violation.text.contains("NoMember changed 1"), "{violation}");
}
