//! Claims about whole runs fire when they are broken: on purpose, one by one.

use super::*;
use crate::membership::Peer;
use crate::message::{Canvass, Message};
use crate::output::Event;
use crate::sim::network::{Condition, Envelope, Payload};
use crate::sim::outputs::frame;
use crate::sim::weather::Weather;
use crate::sim::{LinkFaults, Links};

#[track_caller]
fn breaks(invariant: &str, outcome: Result<(), Broken>) {
    match outcome {
        Err(broken) => assert_eq!(broken.invariant, invariant, "{broken:?}"),
        Ok(()) => panic!("{invariant} should be broken"),
    }
}

/// Three replicas in fair weather, one of which leads.
fn led() -> Driver {
    let mut driver = driver(false);
    start(&mut driver).unwrap();
    assert!(driver.cluster.leader().is_some());
    driver
}

#[test]
fn live_nothing_is_chosen_after_healing() {
    // Everybody follows clocks that stand still: no timer comes due, and nobody ever leads.
    let mut driver = driver(false);
    for host in &mut driver.cluster.hosts {
        host.drift_millionths = -999_999;
    }
    breaks("LIVE", driver.heal_and_prove_life());
}

#[test]
fn live_nothing_is_chosen_while_links_are_broken() {
    let mut driver = led();
    (0..3).for_each(|at| driver.cluster.cuts.split(1 << at));
    breaks("LIVE", driver.live_in_part(4, "nobody hears anybody"));
}

#[test]
fn noflap_the_leader_changes_again_and_again() {
    let mut driver = led();
    let usual = LinkFaults { loss_permille: 380, ..LinkFaults::NONE };
    let links = Links { usual, ..Links::NONE };
    driver.set_weather(Weather { links, ..Weather::FAIR });
    breaks("NOFLAP", driver.live_in_part(400, "half of everything is lost"));
}

#[test]
fn econ_too_many_messages_or_elections() {
    let mut driver = led();
    driver.cluster.econ_without_a_fault().unwrap();
    driver.econ_at_rest().unwrap();
    driver.cluster.sent += 10_000;
    breaks("ECON", driver.cluster.econ_without_a_fault());

    let mut driver = led();
    driver.cluster.marks.announcements += 10_000;
    breaks("ECON", driver.cluster.econ_without_a_fault());

    let mut driver = led();
    driver.cluster.prepared_micros = driver.cluster.now_micros;
    breaks("ECON", driver.cluster.econ_without_a_fault());

    // A client that never stops is no rest.
    let mut driver = led();
    let propose_every_micros = Some(500);
    driver.set_weather(Weather { propose_every_micros, ..Weather::FAIR });
    breaks("ECON", driver.econ_at_rest());
}

#[test]
fn storm_a_replica_tries_to_lead_again_at_once() {
    let mut driver = led();
    driver.cluster.on_preparing(1).unwrap();
    driver.cluster.now_micros += 119_000;
    breaks("STORM", driver.cluster.on_preparing(1));
    driver.cluster.now_micros += 121_000;
    driver.cluster.on_preparing(1).unwrap();
}

#[test]
fn conv_a_machine_has_applied_something_else() {
    let mut driver = led();
    let (leader, _) = driver.cluster.leader().unwrap();
    driver.cluster.propose(leader, 10).unwrap().unwrap();
    driver.run_for(100_000).unwrap();
    driver.cluster.conv_all_equal().unwrap();
    driver.cluster.hosts[2].machine[0] ^= 1;
    breaks("CONV", driver.cluster.conv_all_equal());
    driver.cluster.hosts[2].machine.clear();
    breaks("CONV", driver.cluster.conv_all_equal());
}

#[test]
fn rest_somebody_waits_or_follows_nobody() {
    let mut driver = led();
    let (leader, _) = driver.cluster.leader().unwrap();
    driver.run_for(100_000).unwrap();
    driver.cluster.rest_holds_nothing().unwrap();
    driver.cluster.rest_has_one_leader().unwrap();
    driver.cluster.propose(leader, 10).unwrap().unwrap();
    breaks("REST", driver.cluster.rest_holds_nothing());
    // A minority that hears nothing gives up its leader after a while.
    driver.cluster.cuts.deafen((leader + 1) % 3);
    driver.run_for(400_000).unwrap();
    breaks("REST", driver.cluster.rest_has_one_leader());
}

#[test]
fn halt_send_and_liar_are_read_off_the_events() {
    let mut cluster = led().cluster;
    let upto = Lsn(9);
    let (peer, appended) = (ReplicaId(2), Lsn(3));
    let what = crate::output::Misbehaviour::ChosenChanged { slot: Slot::ZERO };
    breaks("LIAR", cluster.note(0, &Event::PeerMisbehaved { peer, what }));
    breaks("SEND", cluster.note(0, &Event::PersistedTooFar { upto, appended }));
    let reason = crate::output::HaltReason::BallotsUsedUp;
    breaks("HALT", cluster.note(0, &Event::Halted { reason }));
}

#[test]
fn start_a_log_is_not_the_one_that_its_settings_name() {
    let mut cluster = led().cluster;
    cluster.crash(0, 0);
    cluster.hosts[0].config.members.pop();
    breaks("START", cluster.start(0));
}

#[test]
fn wire_a_frame_tells_what_nobody_sent() {
    let settings = Settings { frame_bytes_max: Some(1200), ..settings() };
    let mut driver = Driver::new(Cluster::new(&settings, false), 1);
    (0..3).try_for_each(|at| driver.start(at)).unwrap();
    let from = driver.cluster.hosts[1].peer;
    let made_up = Message::from(Canvass { sequence: 77, chosen: Slot::ZERO });
    let forged = |from: Peer, cluster: ClusterId| {
        let mut bytes = Vec::new();
        let mut courier = crate::fragment::Courier::new(cluster, from, 1200).unwrap();
        let to = crate::membership::Replicas::one(ReplicaId(1));
        let now = crate::time::Instant::ZERO;
        courier.send(now, &to, &made_up, &mut |_, frame| bytes = frame.to_vec());
        bytes
    };
    let bytes = forged(from, driver.cluster.cluster);
    breaks("WIRE", driver.cluster.deliver(&frame(from, ReplicaId(1), &bytes)));
    // A sound frame that is refused is as bad as one that is made up.
    let foreign = forged(from, ClusterId(*b"another cluster!"));
    let payload = Payload::Frame { bytes: foreign.into(), condition: Condition::Sound };
    let envelope = Envelope { from, to: ReplicaId(1), payload, number: 0 };
    breaks("WIRE", driver.cluster.deliver(&envelope));
}
