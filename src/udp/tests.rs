//! Tests of sealing, of key files, and of what the receiving thread refuses.

use alloc::format;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::net::{Ipv4Addr, SocketAddr};
use core::time::Duration;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::thread;

use bytes::Bytes;
use parking_lot::Mutex;

use super::key::{ClusterKey, KeyError};
use super::seal::{DATAGRAM_OVERHEAD, Refusal, Seal, Sender};
use super::{BindError, STRANGERS_MAX, Strangers, UdpOptions, UdpTransport};
use crate::membership::{ClusterId, DiskId, Incarnation, Peer, ReplicaId};
use crate::transport::{Deliver, Inbox, Transport};

const ME: Sender = Sender { replica: ReplicaId(3), incarnation: Incarnation(7) };
const FRAME: &[u8] = b"what a frame may hold";

/// Keeps the frames that come in.
#[derive(Default)]
struct Kept(Mutex<Vec<Bytes>>);

impl Deliver for Kept {
    fn deliver(&self, frame: Bytes) {
        self.0.lock().push(frame);
    }
}

/// A transport that runs, as this start of this replica, and what came in by it.
fn open(replica: u32, incarnation: u64) -> (UdpTransport, Arc<Kept>) {
    open_with(Some(key(1)), replica, incarnation)
}

fn open_with(key: Option<ClusterKey>, replica: u32, incarnation: u64) -> (UdpTransport, Arc<Kept>) {
    let mut options = UdpOptions::new(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)), []);
    options.key = key;
    let mut transport = UdpTransport::bind(options).unwrap();
    let kept = Arc::new(Kept::default());
    let me = Peer {
        replica: ReplicaId(replica),
        disk: DiskId::default(),
        incarnation: Incarnation(incarnation),
    };
    transport.open(Inbox::new(&kept, cluster("a"), me));
    (transport, kept)
}

/// Sends over and over, as datagrams may be lost, until `done`.
fn send_until(from: &mut UdpTransport, to: u32, frame: &[u8], done: impl Fn() -> bool) {
    for _ in 0..10_000 {
        from.send(ReplicaId(to), frame);
        if done() {
            return;
        }
        thread::sleep(Duration::from_millis(1));
    }
    panic!("waited in vain");
}

#[test]
fn a_stranger_is_answered_where_it_sent_from() {
    let (mut member, at_member) = open(1, 1);
    let (mut stranger, at_stranger) = open(9, 1);
    // The member does not know the stranger's address.
    member.send(ReplicaId(9), FRAME);
    assert_eq!(member.meter().read().unsent, 1);
    stranger.set_peer(ReplicaId(1), member.local_address());
    send_until(&mut stranger, 1, b"question", || !at_member.0.lock().is_empty());
    assert_eq!(at_member.0.lock()[0], &b"question"[..]);
    send_until(&mut member, 9, b"answer", || !at_stranger.0.lock().is_empty());
    assert_eq!(at_stranger.0.lock()[0], &b"answer"[..]);
}

#[test]
fn earlier_starts_and_echoes_are_refused() {
    let (member, at_member) = open(1, 5);
    let meter = member.meter();
    let count = || at_member.0.lock().len();
    let [mut second, mut first, mut echo] = [(2, 2), (2, 1), (1, 5)].map(|(replica, start)| {
        let mut transport = open(replica, start).0;
        transport.set_peer(ReplicaId(1), member.local_address());
        transport
    });
    // Nothing is known of an earlier start yet.
    send_until(&mut first, 1, FRAME, || count() > 0);
    send_until(&mut second, 1, b"later", || at_member.0.lock().last().unwrap() == &b"later"[..]);
    let before = count();
    send_until(&mut first, 1, FRAME, || meter.read().old_incarnation > 0);
    send_until(&mut echo, 1, FRAME, || meter.read().own > 0);
    assert_eq!(at_member.0.lock()[before..].iter().filter(|frame| *frame == FRAME).count(), 0);
}

/// Anybody can claim a later start where nobody has a key: it must not lock the member out.
#[test]
fn without_a_key_no_start_that_is_claimed_is_remembered() {
    let (member, at_member) = open_with(None, 1, 1);
    let [mut forged, mut honest] = [9, 1].map(|start| {
        let mut transport = open_with(None, 2, start).0;
        transport.set_peer(ReplicaId(1), member.local_address());
        transport
    });
    let seen = |wanted: &[u8]| at_member.0.lock().iter().any(|frame| frame == wanted);
    send_until(&mut forged, 1, b"forged", || seen(b"forged"));
    send_until(&mut honest, 1, b"honest", || seen(b"honest"));
    assert_eq!(member.meter().read().old_incarnation, 0);
}

fn cluster(name: &str) -> ClusterId {
    ClusterId::named(name).unwrap()
}

fn key(byte: u8) -> ClusterKey {
    ClusterKey::from_bytes([byte; 32])
}

fn seal(key: Option<&ClusterKey>, name: &str) -> Seal {
    Seal::new(key, cluster(name), ME, [5; 16])
}

fn wrapped(mut seal: Seal) -> Vec<u8> {
    let mut datagram = Vec::new();
    seal.wrap(FRAME, &mut datagram);
    datagram
}

#[test]
fn what_is_wrapped_comes_out_again() {
    for key in [Some(key(1)), None] {
        let datagram = wrapped(seal(key.as_ref(), "a"));
        assert!(datagram.len() <= FRAME.len() + DATAGRAM_OVERHEAD);
        let (sender, frame) = seal(key.as_ref(), "a").unwrap(&datagram).unwrap();
        assert_eq!((sender, &frame[..]), (ME, FRAME));
    }
}

#[test]
fn sealed_datagrams_hide_the_frame_and_never_repeat_a_nonce() {
    let key = key(1);
    let mut seal = seal(Some(&key), "a");
    let (mut first, mut second) = (Vec::new(), Vec::new());
    seal.wrap(FRAME, &mut first);
    seal.wrap(FRAME, &mut second);
    assert_ne!(first, second);
    for datagram in [&first, &second] {
        assert!(!datagram.windows(8).any(|bytes| bytes == &FRAME[..8]));
    }
}

#[test]
fn every_flipped_bit_and_every_cut_is_refused() {
    let key = key(1);
    let datagram = wrapped(seal(Some(&key), "a"));
    let judge = seal(Some(&key), "a");
    for bit in 0..datagram.len() * 8 {
        let mut changed = datagram.clone();
        changed[bit / 8] ^= 1 << (bit % 8);
        assert!(judge.unwrap(&changed).is_err(), "bit {bit} was flipped");
    }
    for length in 0..datagram.len() {
        assert!(judge.unwrap(&datagram[..length]).is_err(), "cut to {length} bytes");
    }
}

#[test]
fn others_are_refused_by_their_reason() {
    let (ours, theirs) = (key(1), key(2));
    let judge = seal(Some(&ours), "a");
    let refusal = |datagram: &[u8]| judge.unwrap(datagram).unwrap_err();
    assert_eq!(refusal(&wrapped(seal(Some(&ours), "b"))), Refusal::Foreign);
    assert_eq!(refusal(&wrapped(seal(Some(&theirs), "a"))), Refusal::Forged);
    assert_eq!(refusal(&wrapped(seal(None, "a"))), Refusal::Forged);
    assert_eq!(refusal(b"SYNU"), Refusal::Malformed);
    assert_eq!(refusal(&[0; 100]), Refusal::Malformed);
    let mut newer = wrapped(seal(Some(&ours), "a"));
    newer[4] += 1;
    assert_eq!(refusal(&newer), Refusal::Version);
    let open = seal(None, "a");
    assert_eq!(open.unwrap(&wrapped(seal(Some(&ours), "a"))).unwrap_err(), Refusal::Forged);
}

#[test]
fn key_files_are_judged() {
    let directory = tempfile::tempdir().unwrap();
    let write = |name: &str, bytes: &[u8], mode: u32| {
        let path = directory.path().join(name);
        fs::write(&path, bytes).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        path
    };
    assert_eq!(ClusterKey::read(write("good", &[9; 32], 0o600)).unwrap(), key(9));
    let missing = ClusterKey::read(directory.path().join("missing")).unwrap_err();
    assert!(matches!(missing, KeyError::Unreadable { .. }), "{missing}");
    for (name, length, read) in [("empty", 0, 0), ("short", 31, 31), ("long", 4096, 33)] {
        let error = ClusterKey::read(write(name, &[9; 4096][..length], 0o600)).unwrap_err();
        assert!(matches!(error, KeyError::Length { bytes, .. } if bytes == read), "{error}");
    }
    for mode in [0o640, 0o604, 0o660, 0o777] {
        let error = ClusterKey::read(write("exposed", &[9; 32], mode)).unwrap_err();
        assert!(matches!(error, KeyError::Exposed { mode: found, .. } if found == mode), "{error}");
    }
    let error = ClusterKey::read(directory.path()).unwrap_err();
    assert!(matches!(error, KeyError::NoFile { .. }), "{error}");
}

#[test]
fn keys_are_not_printed() {
    assert_eq!(format!("{:?}", key(77)), "ClusterKey(..)");
}

#[test]
fn only_loopback_is_bound_without_a_key() {
    let everywhere = SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0));
    let mut options = UdpOptions::new(everywhere, []);
    let refused = UdpTransport::bind(options.clone()).unwrap_err();
    assert!(matches!(refused, BindError::Insecure { .. }), "{refused}");
    options.key = Some(key(1));
    assert_ne!(UdpTransport::bind(options.clone()).unwrap().local_address().port(), 0);
    options.key = None;
    options.allow_insecure = true;
    assert_ne!(UdpTransport::bind(options).unwrap().local_address().port(), 0);
}

#[test]
fn datagram_lengths_are_bounded() {
    let loopback = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    for bytes in [0, DATAGRAM_OVERHEAD, 65_508, usize::MAX] {
        let mut options = UdpOptions::new(loopback, []);
        options.datagram_bytes = bytes;
        let refused = UdpTransport::bind(options).unwrap_err();
        assert!(matches!(refused, BindError::DatagramBytes { .. }), "{refused}");
    }
}

#[test]
fn an_address_in_use_is_named() {
    let first = UdpTransport::bind(UdpOptions::new(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)), []));
    let taken = first.as_ref().unwrap().local_address();
    let refused = UdpTransport::bind(UdpOptions::new(taken, [])).unwrap_err();
    assert!(matches!(refused, BindError::Socket { address, .. } if address == taken), "{refused}");
}

#[test]
fn few_strangers_are_remembered_the_latest_ones() {
    let mut strangers = Strangers::default();
    let address = |port| SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    for id in 0..1000u16 {
        strangers.note(ReplicaId(id.into()), address(id));
        strangers.note(ReplicaId(0), address(id));
    }
    assert_eq!(strangers.seen.len(), STRANGERS_MAX);
    assert_eq!(strangers.address(ReplicaId(0)), Some(address(999)));
    assert_eq!(strangers.address(ReplicaId(999)), Some(address(999)));
    assert_eq!(strangers.address(ReplicaId(1)), None);
}

#[test]
fn of_many_datagrams_of_earlier_starts_a_few_are_handed_in() {
    // A wiped directory counts its starts anew: the node must hear of it, to say so.
    let (member, at_member) = open(1, 1);
    let [mut later, mut wiped] = [9, 1].map(|start| {
        let mut transport = open(2, start).0;
        transport.set_peer(ReplicaId(1), member.local_address());
        transport
    });
    let seen = |wanted: &[u8]| at_member.0.lock().iter().any(|frame| frame == wanted);
    send_until(&mut later, 1, b"later", || seen(b"later"));
    send_until(&mut wiped, 1, b"wiped", || seen(b"wiped"));
    assert!(member.meter().read().old_incarnation >= 16, "not at once");
}
