//! A live node under a rain of bad datagrams: garbage, cut, changed, oversized, replayed, of
//! another cluster and of an earlier start. It goes on choosing, counts them, and does not grow.
//!
//! A minute of it, with the counts and the memory before and after:
//! ```text
//! BLAST_SECONDS=60 BLAST_BURST=100 cargo test --release --test udp_hostile -- --nocapture
//! ```
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod trio;

use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use oorandom::Rand32;
use synod::membership::{ClusterId, ReplicaId};
use synod::node::NodeStatus;
use synod::node::channel::Network;
use synod::output::IgnoreReason;
use synod::udp::{ClusterKey, UdpCounters, UdpOptions, UdpTransport};
use synod::wal::Wal;
use synod::{Handle, Node};
use trio::{Book, Cluster, Member, Recorder, config, eventually, numbered};

const LOOPBACK: Ipv4Addr = Ipv4Addr::LOCALHOST;
const KEPT: usize = 2000;

fn bind(listen: SocketAddr, key: Option<&ClusterKey>) -> UdpTransport {
    let mut options = UdpOptions::new(listen, []);
    options.key = key.cloned();
    UdpTransport::bind(options).unwrap()
}

/// Stands between two nodes: forwards datagrams, and keeps some of them.
struct Tap {
    address: SocketAddr,
    kept: Arc<Mutex<Vec<Vec<u8>>>>,
    ending: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Tap {
    fn new(to: SocketAddr) -> Self {
        let socket = UdpSocket::bind((LOOPBACK, 0)).unwrap();
        socket.set_read_timeout(Some(Duration::from_millis(20))).unwrap();
        let address = socket.local_addr().unwrap();
        let (kept, ending): (Arc<Mutex<Vec<_>>>, Arc<AtomicBool>) = Default::default();
        let (keep, end) = (Arc::clone(&kept), Arc::clone(&ending));
        let thread = thread::spawn(move || {
            let mut buffer = [0; 65_536];
            while !end.load(Ordering::Relaxed) {
                let Ok((bytes, _)) = socket.recv_from(&mut buffer) else { continue };
                let mut kept = keep.lock().unwrap();
                if kept.len() < KEPT {
                    kept.push(buffer[..bytes].to_vec());
                }
                drop(kept);
                let _ = socket.send_to(&buffer[..bytes], to);
            }
        });
        Self { address, kept, ending, thread: Some(thread) }
    }

    fn kept(&self) -> Vec<Vec<u8>> {
        self.kept.lock().unwrap().clone()
    }
}

impl Drop for Tap {
    fn drop(&mut self) {
        self.ending.store(true, Ordering::Relaxed);
        self.thread.take().unwrap().join().unwrap();
    }
}

/// One bad datagram, made of a good one.
fn bad(good: &[Vec<u8>], random: &mut Rand32) -> Vec<u8> {
    let mut datagram = good[random.rand_range(0..good.len() as u32) as usize].clone();
    let length = datagram.len() as u32;
    match random.rand_range(0..6) {
        0 => datagram.truncate(random.rand_range(0..length) as usize),
        1 => {
            let bit = random.rand_range(0..length * 8);
            datagram[bit as usize / 8] ^= 1 << (bit % 8);
        }
        2 => datagram.resize(random.rand_range(length + 1..9000) as usize, 7),
        3 => (0..random.rand_range(0..2000)).for_each(|at| match datagram.get_mut(at as usize) {
            Some(byte) => *byte = random.rand_u32() as u8,
            None => datagram.push(random.rand_u32() as u8),
        }),
        // Sealed with no key: right at the beginning, wrong behind it.
        4 => {
            datagram[22..].fill(random.rand_u32() as u8);
            datagram[10] = random.rand_u32() as u8;
        }
        // Replayed as it was.
        _ => {}
    }
    datagram
}

/// The memory of this process, in bytes, where the system tells.
fn memory() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with("VmRSS:"));
    let kibibytes = line.and_then(|line| line.split_whitespace().nth(1));
    kibibytes.map_or(0, |number| number.parse::<u64>().unwrap() * 1024)
}

/// A node of another cluster that has the same key and takes the victim for its peer.
fn start_foreigner(
    victim: ReplicaId,
    address: SocketAddr,
    key: Option<&ClusterKey>,
) -> (tempfile::TempDir, Handle<Recorder>) {
    let directory = tempfile::tempdir().unwrap();
    let me = ReplicaId(victim.0 % 3 + 1);
    let cluster = ClusterId::named("another").unwrap();
    let log = Wal::open_directory(directory.path(), cluster, me).unwrap();
    let mut transport = bind((LOOPBACK, 0).into(), key);
    transport.set_peer(victim, address);
    let machine = Recorder { book: Book::default() };
    (directory, Node::start(config(3, 9), log, transport, machine).unwrap())
}

/// A number that whoever runs the test may set.
fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |value| value.parse().expect("a number"))
}

/// Sends bad datagrams until it is told to end, but for some time at the least.
fn blast(
    seed: u64,
    good: &[Vec<u8>],
    victim: SocketAddr,
    ending: Arc<AtomicBool>,
) -> JoinHandle<u64> {
    let good = good.to_vec();
    // A rain, not a flood: without optimisation a node opens about a thousand datagrams a second,
    // and the test is about bad ones, not about lost ones.
    let (pause, burst) = (Duration::from_millis(4), setting("BLAST_BURST", 2));
    let rounds = setting("BLAST_SECONDS", 3) * 250;
    thread::spawn(move || {
        let socket = UdpSocket::bind((LOOPBACK, 0)).unwrap();
        let mut random = Rand32::new(seed);
        let (mut round, mut sent) = (0, 0);
        while round < rounds || !ending.load(Ordering::Relaxed) {
            for _ in 0..burst {
                let datagram = bad(&good, &mut random);
                sent += u64::from(socket.send_to(&datagram, victim).is_ok());
            }
            thread::sleep(pause);
            round += 1;
        }
        sent
    })
}

/// What the victim counted: on the datagrams, and on the frames in them.
struct Counted {
    datagrams: UdpCounters,
    frames: NodeStatus,
}

/// Rains on the first of three nodes while they choose, and returns what it counted as soon as
/// `enough` says so.
fn rain(key: Option<&ClusterKey>, enough: impl Fn(&Counted) -> bool) {
    let members: Vec<_> = (1..=3).map(Member::new).collect();
    let mut cluster = Cluster { network: Network::new(), members };
    let transports: Vec<_> = (0..3).map(|_| bind((LOOPBACK, 0).into(), key)).collect();
    let addresses: Vec<_> = transports.iter().map(UdpTransport::local_address).collect();
    let meter = transports[0].meter();
    // What the third says to the first passes the tap.
    let tap = Tap::new(addresses[0]);
    let ids = [1, 2, 3].map(ReplicaId);
    let connect = |index: usize, mut transport: UdpTransport| {
        for (replica, address) in ids.iter().zip(&addresses) {
            transport.set_peer(*replica, *address);
        }
        if index == 2 {
            transport.set_peer(ids[0], tap.address);
        }
        transport
    };
    for (index, transport) in transports.into_iter().enumerate() {
        cluster.members[index].start(config(3, index as u64 + 1), connect(index, transport));
    }
    let commands = numbered(0..60);
    cluster.propose(&commands[..20]);
    eventually("datagrams to replay", || (tap.kept().len() >= 50).then_some(()));
    // What is kept so far becomes old with the third's next start.
    let old = tap.kept();
    cluster.stop_member(2);
    let transport = connect(2, bind(addresses[2], key));
    cluster.members[2].start(config(3, 3), transport);
    // The third speaks to whoever leads. Unless that is the first, it never hears of the new start,
    // and nothing of the old one is old to it.
    eventually("the first leads", || {
        let leader = cluster.leader();
        let asked = (leader != 0).then(|| cluster.members[leader].node().transfer(ids[0]).wait());
        asked.is_none().then_some(())
    });
    let (_directory, foreigner) = start_foreigner(ids[0], addresses[0], key);
    let before = memory();

    let ending = Arc::new(AtomicBool::new(false));
    let blasters: Vec<_> =
        (0..2).map(|seed| blast(seed, &old, addresses[0], Arc::clone(&ending))).collect();
    // Meanwhile the cluster goes on choosing. Its first member is told by the second, for what
    // reaches its socket between the rain.
    cluster.propose(&commands[20..]);
    ending.store(true, Ordering::Relaxed);
    let sent: u64 = blasters.into_iter().map(|blaster| blaster.join().unwrap()).sum();
    // The rain may have been too thick for every kind to come through: a few drops more.
    let socket = UdpSocket::bind((LOOPBACK, 0)).unwrap();
    let mut random = Rand32::new(7);
    let counted = eventually("every kind is counted", || {
        socket.send_to(&bad(&old, &mut random), addresses[0]).unwrap();
        let frames = cluster.members[0].node().status();
        let counted = Counted { datagrams: meter.read(), frames };
        enough(&counted).then_some(counted)
    });
    let (datagrams, refused) = (counted.datagrams, counted.frames.counters.refused);
    println!("{sent} bad datagrams sent; counted {datagrams:?}, refused frames {refused:?}");
    let grown = memory().saturating_sub(before);
    println!("memory: {before} bytes before, {grown} more after");
    assert!(grown < 256 << 20, "{grown} bytes more than before");
    cluster.propose(&numbered(60..80));
    cluster.wait_for(&numbered(0..80));
    assert!(foreigner.status().stopped.is_none());
}

#[test]
fn a_live_node_with_a_key_under_a_rain_of_bad_datagrams() {
    rain(Some(&ClusterKey::from_bytes([1; 32])), |counted| {
        let read = counted.datagrams;
        // Nothing that the key did not make comes so far as to be looked at.
        assert!(counted.frames.counters.refused.is_empty());
        [read.malformed, read.forged, read.foreign, read.old_incarnation]
            .iter()
            .all(|count| *count > 0)
    });
}

#[test]
fn a_live_node_without_a_key_under_a_rain_of_bad_datagrams() {
    rain(None, |counted| {
        let read = counted.datagrams;
        let old = counted.frames.replica.ignored.get(&IgnoreReason::OldIncarnation);
        let damaged = counted.frames.counters.refused.get("damaged");
        read.malformed > 0 && read.foreign > 0 && old.is_some() && damaged.is_some()
    });
}
