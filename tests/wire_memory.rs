//! What frames claim must not be believed by the allocator: a hostile header costs its receiver no
//! more memory than an honest one of its length.
#![expect(clippy::unwrap_used, reason = "a test stops where something is wrong")]
#![expect(unsafe_code, reason = "a global allocator that counts cannot be written without")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use bytes::Bytes;
use oorandom::Rand32;
use synod::checksum;
use synod::fragment::Courier;
use synod::membership::ClusterId;
use synod::time::Instant;
use synod::wire::{self, FRAME_BYTES_MAX, WIRE_VERSION};

/// The system's allocator, with a count of what is allocated and of the most that ever was.
struct Counting;

static NOW: AtomicUsize = AtomicUsize::new(0);
static MOST: AtomicUsize = AtomicUsize::new(0);

// SAFETY: every call goes to the system's allocator with the same arguments.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let now = NOW.fetch_add(layout.size(), Relaxed) + layout.size();
        MOST.fetch_max(now, Relaxed);
        // SAFETY: the caller keeps the contract of `alloc`.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        NOW.fetch_sub(layout.size(), Relaxed);
        // SAFETY: the caller keeps the contract of `dealloc`.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Runs `work`; tells how many bytes more than before were allocated at its worst moment.
fn peak(work: impl FnOnce()) -> usize {
    let before = NOW.load(Relaxed);
    MOST.store(before, Relaxed);
    work();
    MOST.load(Relaxed) - before
}

const CLUSTER: ClusterId = ClusterId(*b"frugal\0\0\0\0\0\0\0\0\0\0");

fn frame(replica: u32, header: &[u8], payload: &[u8]) -> Bytes {
    let mut frame = Vec::new();
    frame.extend_from_slice(b"SYND");
    frame.extend_from_slice(&[WIRE_VERSION, 0]);
    frame.extend_from_slice(&(header.len() as u16).to_le_bytes());
    frame.extend_from_slice(&[0; 4]);
    frame.extend_from_slice(&CLUSTER.0);
    frame.extend_from_slice(&[1; 16]);
    frame.extend_from_slice(&replica.to_le_bytes());
    frame.extend_from_slice(&1u64.to_le_bytes());
    frame.extend_from_slice(header);
    frame.extend_from_slice(payload);
    let sum = checksum::extend(checksum::of(&frame[..8]), &frame[12..]);
    frame[8..12].copy_from_slice(&sum.to_le_bytes());
    Bytes::from(frame)
}

/// 2^32 - 1, as postcard writes a length.
const HUGE: [u8; 5] = [0xff, 0xff, 0xff, 0xff, 0x0f];

/// A number as postcard writes it.
fn varint(mut value: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    while value >= 0x80 {
        bytes.push(value as u8 | 0x80);
        value >>= 7;
    }
    bytes.push(value as u8);
    bytes
}

/// What may come before a list in a header of each kind that has one.
const BEFORE_LISTS: [&[u8]; 9] = [
    &[1, 2, 1, 0, 0, 1, 0],    // Promise, before the accepted runs
    &[1, 2, 1, 0, 0, 1, 0, 0], // Promise, before the faulty ones
    &[3, 2, 1, 7, 0],          // Accept, before the announced runs
    &[6, 2, 1, 7, 0],          // Heartbeat, likewise
    &[14],                     // Forming, before the members
    &[19, 2, 1, 1, 0, 0, 0],   // ForwardAnswer, before the announced runs
    &[21, 1, 0, 0, 0],         // ReadIndexAnswer, likewise
    &[22, 2, 1, 1, 0],         // HandOver, likewise
    &[23, 0],                  // Announcement, likewise
];

/// The one test here: others beside it would be counted too.
#[test]
fn claims_allocate_nothing() {
    lists_of_claimed_lengths();
    batches_of_claimed_counts();
    random_headers();
    fragments_of_claimed_totals();
}

fn lists_of_claimed_lengths() {
    for before in BEFORE_LISTS {
        for filler in [0, 1, 2000, 14_000] {
            // Far more elements than there are bytes, and as many as there are.
            for claimed in [HUGE.to_vec(), varint(filler)] {
                let mut header = before.to_vec();
                header.extend_from_slice(&claimed);
                // Bytes that read as one run, or half a member, after the other.
                header.resize(header.len() + filler, 1);
                let frame = frame(1, &header, &[]);
                let mut taken = false;
                let used = peak(|| taken = wire::decode(CLUSTER, frame).is_ok());
                assert!(!taken || claimed != HUGE);
                let most = if filler < 2000 { 1 << 10 } else { 16 << 10 };
                assert!(used <= most, "{used} bytes for {filler} after {before:?} {claimed:?}");
            }
        }
    }
    // An honest list is read, so the bytes before it are what they should be.
    let honest = frame(1, &[6, 2, 1, 7, 0, 1, 3, 2, 1, 1], &[]);
    assert!(wire::decode(CLUSTER, honest).is_ok());
}

fn batches_of_claimed_counts() {
    for (runs, commands) in [(1, u32::MAX), (u32::MAX, u32::MAX), (1 << 26, 1 << 26), (1, 1)] {
        let mut payload = Vec::new();
        payload.extend_from_slice(&u32::to_le_bytes(runs));
        payload.extend_from_slice(&u32::to_le_bytes(commands));
        payload.resize(64, 0xff);
        // Chosen: slot 1, ballot 1.1, chosen mark 2.
        let frame = frame(1, &[13, 1, 1, 1, 2], &payload);
        let used = peak(|| assert!(wire::decode(CLUSTER, frame).is_err()));
        assert!(used <= 1 << 10, "{used} bytes for {runs} runs of {commands} commands");
    }
}

fn random_headers() {
    let mut random = Rand32::new(11);
    for _ in 0..50_000 {
        let mut header = vec![random.rand_range(0..18) as u8];
        for _ in 0..random.rand_range(0..60) {
            // Long and short varints.
            let byte = random.rand_u32() as u8;
            header.push(if random.rand_range(0..2) == 0 { byte } else { byte | 0x80 });
        }
        let frame = frame(1, &header, &[]);
        let used = peak(|| drop(wire::decode(CLUSTER, frame)));
        assert!(used <= 16 << 10, "{used} bytes for {header:?}");
    }
}

fn fragments_of_claimed_totals() {
    // The receiver's own name comes from the wire, like every other.
    let (me, _) = wire::decode(CLUSTER, frame(2, &[8, 1, 0], &[])).unwrap();
    let mut courier = Courier::new(CLUSTER, me, 1200).unwrap();
    let mut frames = Vec::new();
    for replica in 100..200 {
        for number in 0..32 {
            // Fragment: to replica 2, its number, the oldest, total, piece, index 0.
            let mut header = vec![16, 2, number, 0];
            header.extend(varint(FRAME_BYTES_MAX));
            header.extend(varint(1000));
            header.push(0);
            frames.push(frame(replica, &header, &[7; 1000]));
        }
    }
    let mut taken = 0;
    let used = peak(|| {
        for frame in frames {
            let answer = courier.receive(Instant::ZERO, frame, &mut |_, _| {});
            taken += usize::from(answer.is_ok());
        }
    });
    // As many as have room: 16 messages each of 16 senders, of which one piece each has come.
    assert_eq!(taken, 256);
    assert!(courier.counters().reassembly_bytes == 256 * 1000);
    assert!(used <= 512 << 10, "{used} bytes for {taken} fragments");
}
