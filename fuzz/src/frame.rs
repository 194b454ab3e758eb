//! Any bytes, taken for a frame: by the decoder, and by a courier that waits for frames.
//!
//! Each input is tried as it is, and once more with its checksum and the constants before it made
//! right. Nothing panics or allocates more than a multiple of the input, what is read is written
//! and read again as the same, and a courier says of the frame what the decoder says.

use bytes::Bytes;
use synod::ballot::Ballot;
use synod::entry::{BatchBuilder, CommandId, Entry};
use synod::fragment::Courier;
use synod::membership::{Incarnation, Peer, ReplicaId, Replicas};
use synod::message::{Chosen, Message};
use synod::slot::Slot;
use synod::time::Instant;
use synod::wire::{self, Body};

use super::allocation::peak;
use super::frames::{CLUSTER, Name, mend};

/// How many bytes of memory a byte of a frame may cost, and a frame beside them: a run of slots
/// takes 4 bytes there and 32 here, in a list that doubles.
const BYTES_PER_BYTE: usize = 20;
const BYTES_BESIDE: usize = 2 << 10;

/// The longest frame of the courier's transport.
const FRAME_BYTES: usize = 1200;

/// Runs the target.
pub fn run(data: &[u8]) {
    let mut mended = data.to_vec();
    mend(&mut mended);
    for frame in [Bytes::copy_from_slice(data), Bytes::from(mended)] {
        read(&frame);
        hear(&frame);
    }
}

fn read(frame: &Bytes) {
    let (taken, used) = peak(|| wire::decode(CLUSTER, frame.clone()));
    let limit = BYTES_PER_BYTE * frame.len() + BYTES_BESIDE;
    assert!(used <= limit, "{used} bytes for a frame of {}", frame.len());
    let Ok((from, Body::Message(message))) = taken else { return };
    look_through(&message);
    let (mut once, mut twice) = (Vec::new(), Vec::new());
    wire::encode(CLUSTER, from, &message, &mut once);
    let again = wire::decode(CLUSTER, Bytes::from(once.clone()));
    assert_eq!(again, Ok((from, Body::Message(message.clone()))), "it is read otherwise");
    wire::encode(CLUSTER, from, &message, &mut twice);
    assert_eq!(once, twice, "it is written otherwise");
}

/// What a batch says of itself holds for all of it.
fn look_through(message: &Message) {
    let entry = match message {
        Message::Accept(accept) => &accept.entry,
        Message::Chosen(chosen) => &chosen.entry,
        Message::Fetched(fetched) => match &fetched.proposal {
            Some((_, entry)) => entry,
            None => return,
        },
        _ => return,
    };
    let Entry::Batch(batch) = entry else { return };
    let count = batch.count() as usize;
    assert_eq!(batch.commands().count(), count);
    assert_eq!(batch.origins().map(|origin| origin.count as usize).sum::<usize>(), count);
    let bytes: usize = batch.commands().map(<[u8]>::len).sum();
    assert!(bytes < entry.len());
}

/// A message that does not fit one frame.
fn long_message() -> Message {
    let ballot = Ballot { round: 1, replica: ReplicaId(1) };
    let mut batch = BatchBuilder::default();
    let id = CommandId { replica: ReplicaId(1), incarnation: Incarnation(1), sequence: 0 };
    batch.push(id, &[7; 3 * FRAME_BYTES]);
    let entry = batch.build().map_or(Entry::Noop, Entry::Batch);
    Message::Chosen(Chosen { slot: Slot(1), ballot, entry, chosen: Slot(2) })
}

/// The frame comes three times to a courier for which it may well be.
fn hear(frame: &Bytes) {
    let read = wire::decode(CLUSTER, frame.clone());
    let me = match &read {
        Ok((_, Body::Fragment(fragment))) => Name::of(fragment.to.0),
        Ok((_, Body::Acknowledgement(acknowledgement))) => {
            let incarnation = acknowledgement.incarnation.0;
            Name { incarnation, ..Name::of(acknowledgement.to.0) }
        }
        _ => Name::of(2),
    };
    let courier = Courier::new(CLUSTER, me.peer(), FRAME_BYTES);
    let mut courier = courier.expect("frames of that length will do");
    let mut emit = |_: ReplicaId, frame: &[u8]| {
        assert!(frame.len() <= FRAME_BYTES, "a frame of {} bytes leaves", frame.len());
        let left = wire::decode(CLUSTER, Bytes::copy_from_slice(frame));
        assert!(left.is_ok_and(|(from, _)| from == me.peer()), "a frame leaves that is none");
    };
    let mut now = Instant::ZERO;
    if let Ok((from, _)) = &read {
        // So that an acknowledgement has something to acknowledge.
        courier.send(now, &Replicas::one(from.replica()), &long_message(), &mut emit);
    }
    for _ in 0..3 {
        let (taken, used) = peak(|| courier.receive(now, frame.clone(), &mut |_, _| {}));
        let limit = BYTES_PER_BYTE * frame.len() + 4 * BYTES_BESIDE + 2 * FRAME_BYTES;
        assert!(used <= limit, "{used} bytes for a frame of {}", frame.len());
        same(&read, taken);
    }
    let mut looks = 0;
    while let Some(wake) = courier.wake() {
        now = now.max(wake);
        courier.handle_timeout(now, &mut emit);
        assert!(courier.wake().is_none_or(|next| next > now), "it is woken for nothing");
        looks += 1;
        assert!(looks < 1000, "it never rests");
    }
    let counters = courier.counters();
    assert_eq!((counters.queued_bytes, counters.reassembly_bytes), (0, 0));
}

/// The courier says what the decoder says, fragments aside.
fn same(
    read: &Result<(Peer, Body), wire::FrameError>,
    taken: Result<Option<(Peer, Message)>, wire::FrameError>,
) {
    match (read, taken) {
        (Ok((from, Body::Message(message))), Ok(Some((sender, heard)))) => {
            assert!(*from == sender && *message == heard, "the courier hears something else");
        }
        (Ok((_, Body::Fragment(_) | Body::Acknowledgement(_))), _) => {}
        (Err(error), Err(refused)) => assert_eq!(*error, refused),
        (read, taken) => panic!("read as {read:?}, heard as {taken:?}"),
    }
}
