//! Nodes end to end over UDP on loopback, in one process.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod trio;

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};

use synod::StopReason;
use synod::membership::ReplicaId;
use synod::node::channel::Network;
use synod::output::HaltReason;
use synod::udp::{ClusterKey, UdpMeter, UdpOptions, UdpTransport};
use trio::{Cluster, Member, config, eventually, numbered};

const LOOPBACK: Ipv4Addr = Ipv4Addr::LOCALHOST;

/// Members over UDP, with their addresses and what counts their datagrams.
struct UdpCluster {
    cluster: Cluster,
    key: Option<ClusterKey>,
    addresses: BTreeMap<ReplicaId, SocketAddr>,
    meters: Vec<UdpMeter>,
}

impl UdpCluster {
    fn start(key: Option<ClusterKey>) -> Self {
        let members: Vec<_> = (1..=3).map(Member::new).collect();
        let cluster = Cluster { network: Network::new(), members };
        let mut udp = Self { cluster, key, addresses: BTreeMap::new(), meters: Vec::new() };
        let transports: Vec<_> = (0..3).map(|_| udp.bind((LOOPBACK, 0).into())).collect();
        for (member, transport) in udp.cluster.members.iter().zip(&transports) {
            udp.addresses.insert(member.id, transport.local_address());
        }
        for (index, transport) in transports.into_iter().enumerate() {
            udp.meters.push(transport.meter());
            udp.start_member(index, transport);
        }
        udp
    }

    fn bind(&self, listen: SocketAddr) -> UdpTransport {
        let mut options = UdpOptions::new(listen, []);
        options.key.clone_from(&self.key);
        UdpTransport::bind(options).unwrap()
    }

    fn start_member(&mut self, index: usize, mut transport: UdpTransport) {
        for (replica, address) in &self.addresses {
            transport.set_peer(*replica, *address);
        }
        self.cluster.members[index].start(config(3, index as u64 + 1), transport);
    }
}

fn runs_and_restarts(key: Option<ClusterKey>) {
    let mut udp = UdpCluster::start(key);
    let mut commands = numbered(0..300);
    // Far longer than a datagram, but not so long that sealing it without optimisation takes long.
    commands[50] = vec![50; 20_000];
    udp.cluster.propose(&commands[..100]);
    let first = udp.cluster.leader();
    udp.cluster.stop_member(first);
    udp.cluster.propose(&commands[100..200]);
    // The same address can be bound again at once, and the replica catches up over it.
    let transport = udp.bind(udp.addresses[&udp.cluster.members[first].id]);
    udp.start_member(first, transport);
    udp.cluster.propose(&commands[200..]);
    udp.cluster.wait_for(&commands);
    for meter in &udp.meters {
        let counters = meter.read();
        assert!(counters.sent > 0 && counters.received > 0, "{counters:?}");
        assert_eq!(counters.forged + counters.malformed + counters.foreign, 0, "{counters:?}");
    }
}

#[test]
fn three_nodes_with_a_key() {
    runs_and_restarts(Some(ClusterKey::from_bytes([42; 32])));
}

#[test]
fn three_nodes_without_a_key() {
    runs_and_restarts(None);
}

#[test]
fn a_member_is_heard_from_another_address() {
    let mut udp = UdpCluster::start(Some(ClusterKey::from_bytes([42; 32])));
    udp.cluster.propose(&numbered(0..20));
    let follower = (udp.cluster.leader() + 1) % 3;
    udp.cluster.stop_member(follower);
    // It is at another address now, and nobody was told: it hears nothing, but is heard.
    let heard = |udp: &UdpCluster| {
        let status = udp.cluster.members[(follower + 1) % 3].node().status();
        let peer = udp.cluster.members[follower].id;
        status.replica.peers.iter().find(|known| known.replica == peer).unwrap().heard
    };
    let before = heard(&udp);
    let transport = udp.bind((LOOPBACK, 0).into());
    udp.start_member(follower, transport);
    eventually("it is heard", || (heard(&udp) > before).then_some(()));
    udp.cluster.stop_member(follower);
}

#[test]
fn a_wiped_directory_hears_over_udp_why_it_must_stop() {
    let mut udp = UdpCluster::start(Some(ClusterKey::from_bytes([42; 32])));
    udp.cluster.propose(&numbered(0..10));
    let follower = (udp.cluster.leader() + 1) % 3;
    let listen = udp.addresses[&udp.cluster.members[follower].id];
    // The members hear its second start; the wiped directory begins with its first.
    udp.cluster.stop_member(follower);
    let transport = udp.bind(listen);
    udp.start_member(follower, transport);
    udp.cluster.propose(&numbered(10..20));
    udp.cluster.wait_for(&numbered(0..20));
    udp.cluster.stop_member(follower);
    udp.cluster.members[follower].directory = tempfile::tempdir().unwrap();
    let transport = udp.bind(listen);
    udp.start_member(follower, transport);
    let wiped = udp.cluster.members[follower].node();
    let reason = eventually("it stops", || wiped.status().stopped);
    let told = matches!(reason, StopReason::Halted { reason: HaltReason::OtherDisk { .. } });
    assert!(told, "{reason}");
    udp.cluster.propose(&numbered(20..30));
}
