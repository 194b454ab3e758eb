//! What hostile or broken peers can do to a courier: little.

use super::*;

/// A fragment of the frame of a message of 10,000 bytes.
fn fragment(number: u64, index: u32) -> Fragment {
    let bytes = Bytes::from(vec![7; 1000]);
    let (to, oldest) = (ReplicaId(2), 0);
    Fragment { to, number, oldest, total_bytes: 10_000, piece_bytes: 1000, index, bytes }
}

fn frame_of(from: Peer, fragment: &Fragment) -> Bytes {
    let mut buffer = Vec::new();
    wire::encode_fragment(CLUSTER, from, fragment, &mut buffer);
    Bytes::from(buffer)
}

fn receive(courier: &mut Courier, from: Peer, fragment: &Fragment) -> Result<(), FrameError> {
    courier.receive(Instant::ZERO, frame_of(from, fragment), &mut |_, _| {}).map(|whole| {
        assert_eq!(whole, None);
    })
}

fn refused(what: &'static str) -> Result<(), FrameError> {
    Err(FrameError::Fragment { what })
}

#[test]
fn a_claimed_length_allocates_nothing() {
    let mut courier = courier(2, 1);
    let claim = Fragment { total_bytes: FRAME_BYTES_MAX as u32, ..fragment(0, 0) };
    assert_eq!(receive(&mut courier, peer(1, 1), &claim), Ok(()));
    assert_eq!(courier.counters().reassembly_bytes, 1000);
}

#[test]
fn contradictions_are_refused() {
    let mut courier = courier(2, 1);
    let from = peer(1, 1);
    assert_eq!(receive(&mut courier, from, &fragment(3, 0)), Ok(()));
    let longer = Fragment { total_bytes: 10_001, ..fragment(3, 1) };
    let contradicts = refused("it contradicts the pieces before it");
    assert_eq!(receive(&mut courier, from, &longer), contradicts);
    let pieces = Fragment { piece_bytes: 500, bytes: Bytes::from(vec![7; 500]), ..fragment(3, 1) };
    assert_eq!(receive(&mut courier, from, &pieces), contradicts);
    let beyond = Fragment { total_bytes: 200_000, ..fragment(4, 65) };
    assert_eq!(receive(&mut courier, from, &beyond), Ok(()));
    assert_eq!(courier.counters().fragments_beyond, 1);
    let far = fragment(16, 0);
    let far_ahead = refused("it is too far ahead of the oldest message");
    assert_eq!(receive(&mut courier, from, &far), far_ahead);
    let astray = Fragment { to: ReplicaId(3), ..fragment(3, 1) };
    assert_eq!(receive(&mut courier, from, &astray), refused("it is for another replica"));
    assert_eq!(receive(&mut courier, peer(1, 2), &fragment(0, 0)), Ok(()));
    let earlier = refused("it is of an earlier start of its sender");
    assert_eq!(receive(&mut courier, from, &fragment(3, 1)), earlier);
    let counters = courier.counters();
    assert_eq!((counters.refused_fragments, counters.dropped_unfinished), (5, 2));
    assert_eq!(counters.reassembly_bytes, 1000);
}

#[test]
fn messages_ahead_of_the_oldest_share_a_budget_and_the_oldest_gets_through() {
    let mut receiver = courier(2, 1);
    let from = peer(1, 1);
    let piece = |number: u64, index: u32| Fragment {
        total_bytes: 3_000_000,
        piece_bytes: 60_000,
        bytes: Bytes::from(vec![7; 60_000]),
        ..fragment(number, index)
    };
    let mut taken = 0;
    for number in (1..16).rev() {
        // All but the last piece, in order: none of them completes.
        taken +=
            (0..49).filter(|i| receive(&mut receiver, from, &piece(number, *i)).is_ok()).count();
    }
    assert!(taken * 60_000 <= AHEAD_BYTES_MAX, "{taken}");
    assert!(receiver.counters().reassembly_bytes <= 2 * AHEAD_BYTES_MAX);
    for index in 0..49 {
        assert_eq!(receive(&mut receiver, from, &piece(0, index)), Ok(()));
    }
    assert!(receiver.counters().reassembly_bytes <= 3_000_000 + 2 * AHEAD_BYTES_MAX);
    // The whole is no frame, and is refused as one.
    assert_eq!(receive(&mut receiver, from, &piece(0, 49)), Err(FrameError::Magic));
    // Its pieces may be repeated now and then.
    assert_eq!(receive(&mut receiver, from, &piece(0, 49)), Ok(()));
}

#[test]
fn pieces_of_messages_that_are_over_are_counted_and_dropped() {
    let mut courier = courier(2, 1);
    let newer = Fragment { oldest: 3, ..fragment(3, 0) };
    assert_eq!(receive(&mut courier, peer(1, 1), &newer), Ok(()));
    for number in 0..3 {
        assert_eq!(receive(&mut courier, peer(1, 1), &fragment(number, 0)), Ok(()));
    }
    let counters = courier.counters();
    assert_eq!((counters.fragments_repeated, counters.reassembly_bytes), (3, 1000));
}

/// Cuts a frame into fragments, as `from` would.
fn cut(from: Peer, whole: &[u8]) -> Vec<Bytes> {
    let pieces = whole.chunks(1000).enumerate().map(|(index, piece)| Fragment {
        total_bytes: whole.len() as u32,
        bytes: Bytes::copy_from_slice(piece),
        ..fragment(0, index as u32)
    });
    pieces.map(|fragment| frame_of(from, &fragment)).collect()
}

fn receive_all(frames: Vec<Bytes>) -> Result<Option<(Peer, Message)>, FrameError> {
    let mut courier = courier(2, 1);
    let mut last = Ok(None);
    for frame in frames {
        last = courier.receive(Instant::ZERO, frame, &mut |_, _| {});
    }
    last
}

#[test]
fn the_whole_must_be_a_message_of_the_same_sender() {
    let mut whole = Vec::new();
    let message = accept(1, 5000);
    wire::encode(CLUSTER, peer(1, 1), &message, &mut whole);
    let received = receive_all(cut(peer(1, 1), &whole));
    assert_eq!(received, Ok(Some((peer(1, 1), message))));
    for other in [peer(3, 1), peer(1, 2)] {
        let received = receive_all(cut(other, &whole)).map(|_| ());
        assert_eq!(received, refused("the whole names another sender"));
    }
    let inner = Fragment { bytes: Bytes::from(vec![1; 9000]), ..fragment(1, 0) };
    let inner = Fragment { piece_bytes: 9000, ..inner };
    let nested = receive_all(cut(peer(1, 1), &frame_of(peer(1, 1), &inner))).map(|_| ());
    assert_eq!(nested, refused("the whole is no message"));
    whole[3000] ^= 1;
    assert_eq!(receive_all(cut(peer(1, 1), &whole)), Err(FrameError::Checksum));
}

#[test]
fn acknowledgements_of_nothing_do_nothing() {
    let mut sender = courier(1, 4);
    let (to, now) = (Replicas::one(ReplicaId(2)), Instant::ZERO);
    sender.send(now, &to, &accept(1, MIB), &mut |_, _| {});
    let before = sender.counters().queued_bytes;
    let mut random = Rand32::new(1);
    let mut buffer = Vec::new();
    for i in 0..10_000u32 {
        let acknowledgement = Acknowledgement {
            to: ReplicaId(1 + i % 2),
            // Of an earlier start of the sender, or for another replica.
            incarnation: Incarnation(3 + u64::from(i % 2)),
            number: u64::from(random.rand_range(0..3)),
            arrived: random.rand_u32(),
            ahead: [u64::MAX; 4],
        };
        wire::encode_acknowledgement(CLUSTER, peer(2, 1), &acknowledgement, &mut buffer);
        let frame = Bytes::copy_from_slice(&buffer);
        assert!(sender.receive(now, frame, &mut |_, _| {}).is_err());
    }
    assert_eq!(sender.counters().queued_bytes, before);
    // One that claims more than was sent counts for what was sent.
    let acknowledgement = Acknowledgement {
        to: ReplicaId(1),
        incarnation: Incarnation(4),
        number: 0,
        arrived: u32::MAX,
        ahead: [u64::MAX; 4],
    };
    wire::encode_acknowledgement(CLUSTER, peer(2, 1), &acknowledgement, &mut buffer);
    let mut sent = 0;
    let frame = Bytes::copy_from_slice(&buffer);
    assert_eq!(sender.receive(now, frame, &mut |_, _| sent += 1), Ok(None));
    assert!(sent > 40, "the window did not move: {sent}");
    assert_eq!(sender.counters().queued_bytes, before);
}

#[test]
fn random_fragments_of_many_claimed_senders_hold_bounded_memory() {
    let mut courier = courier(2, 1);
    let mut random = Rand32::new(20);
    let (mut now, mut most, mut forgotten) = (Instant::ZERO, 0, false);
    for i in 0..100_000u32 {
        let piece_bytes = *[256, 1000, 8000].get(random.rand_range(0..3) as usize).unwrap();
        let total_bytes = random.rand_range(piece_bytes..FRAME_BYTES_MAX as u32 + 1);
        let pieces = total_bytes.div_ceil(piece_bytes);
        let index = random.rand_range(0..pieces.min(300));
        let last = total_bytes - (pieces - 1) * piece_bytes;
        let bytes = vec![i as u8; if index + 1 == pieces { last } else { piece_bytes } as usize];
        let oldest = u64::from(random.rand_range(0..2));
        let number = oldest + u64::from(random.rand_range(0..20));
        let to = ReplicaId(2);
        let bytes = Bytes::from(bytes);
        let fragment = Fragment { to, number, oldest, total_bytes, piece_bytes, index, bytes };
        let from = peer(random.rand_range(0..64), u64::from(random.rand_range(0..3)));
        now = now.after(Duration::from_micros(random.rand_range(0..2000).into()));
        let _ = courier.receive(now, frame_of(from, &fragment), &mut |_, _| {});
        let held = courier.counters().reassembly_bytes;
        forgotten |= held < most;
        most = most.max(held);
        assert!(held <= REASSEMBLY_BYTES_MAX, "{held} bytes after {i} fragments");
        if i % 100 == 0 {
            courier.handle_timeout(now, &mut |_, _| {});
        }
    }
    let counters = courier.counters();
    assert!(most > 100_000 && forgotten, "{most} {counters:?}");
    assert!(counters.refused_fragments > 1000, "{counters:?}");
    courier.handle_timeout(now.after(FORGET), &mut |_, _| {});
    assert_eq!((courier.counters().reassembly_bytes, courier.wake()), (0, None));
}

/// The worst that one claimed sender after the other can do: every message filled but for one
/// piece.
#[test]
fn filled_messages_of_many_claimed_senders_hold_bounded_memory() {
    let mut courier = courier(2, 1);
    let piece_bytes = 60_000;
    let bytes = Bytes::from(vec![7; piece_bytes as usize]);
    let total_bytes = FRAME_BYTES_MAX as u32;
    for replica in 0..40 {
        for number in (0..16).rev() {
            for index in 0..total_bytes / piece_bytes {
                let bytes = bytes.clone();
                let fragment =
                    Fragment { total_bytes, piece_bytes, bytes, ..fragment(number, index) };
                let _ = receive(&mut courier, peer(replica, 1), &fragment);
            }
        }
        assert!(courier.counters().reassembly_bytes <= REASSEMBLY_BYTES_MAX);
    }
    assert!(courier.counters().reassembly_bytes > PEERS_MAX * 4_000_000);
}

#[test]
fn damaged_frames_never_panic_and_are_counted() {
    let mut link = Link::new(2, ROUGH);
    let mut random = Rand32::new(4);
    let message = accept(3, 100_000);
    link.send(0, &message);
    let mut damaged = 0;
    while link.step() {
        for (_, frame) in link.flying.values_mut() {
            if random.rand_range(0..200) == 0 {
                let at = random.rand_range(0..frame.len() as u32) as usize;
                frame[at] ^= 1 << random.rand_range(0..8);
                damaged += 1;
            }
        }
    }
    assert_eq!(link.messages(), [&message]);
    let count = |c: CourierCounters| c.refused_damaged + c.refused_version + c.refused_content;
    let counted = link.couriers.iter().map(|courier| count(courier.counters())).sum::<u64>();
    assert_eq!(counted, link.refused.len() as u64);
    assert!(counted > 20 && damaged >= counted, "{counted} of {damaged}");
}
