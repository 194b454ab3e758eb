//! The parts of the example `udp_cluster` that need no process: the feeder against a model of a
//! cluster that loses, delays and repeats what it is sent, the reader of lines, and the frames.

use std::time::{Duration, Instant};

#[path = "../examples/udp_cluster/feeder.rs"]
#[allow(dead_code, reason = "the example uses all of it, these tests a part")]
mod feeder;
#[path = "../examples/udp_cluster/input.rs"]
#[allow(dead_code, reason = "the example uses all of it, these tests a part")]
mod input;
#[path = "../examples/udp_cluster/protocol.rs"]
#[allow(dead_code, reason = "the example uses all of it, these tests a part")]
mod protocol;

use feeder::{Chunk, Feeder, WINDOW_BYTES, WINDOW_LINES};
use input::{LINE_BYTES_MAX, LineError, Lines};
use protocol::{Report, Request, Standing, Summary};

#[allow(clippy::disallowed_methods, reason = "any point in time will do as a zero")]
fn zero() -> Instant {
    Instant::now()
}

/// A chunk of these lines of one byte each.
fn chunk(count: usize) -> Chunk {
    Chunk { lengths: vec![1; count], bytes: vec![b'x'; count] }
}

/// The attempt, and the numbers of the lines of a request.
fn numbers(request: &Request<'_>) -> (u64, Vec<u64>) {
    match request {
        Request::Lines { attempt, first, lengths, bytes } => {
            assert_eq!(bytes.len(), lengths.iter().map(|length| *length as usize).sum::<usize>());
            (*attempt, (*first..*first + lengths.len() as u64).collect())
        }
        Request::Digest => panic!("the feeder asks for no digest"),
    }
}

#[test]
fn lines_are_sent_once_in_an_attempt_and_again_in_the_next() {
    let now = zero();
    let mut feeder = Feeder::new();
    feeder.push(chunk(2));
    feeder.push(chunk(3));
    assert_eq!(feeder.next(now).map(|r| numbers(&r)), Some((0, vec![0, 1])));
    assert_eq!(feeder.next(now).map(|r| numbers(&r)), Some((0, vec![2, 3, 4])));
    assert_eq!(feeder.next(now), None);
    assert_eq!(feeder.acknowledge(2, now), 2);
    feeder.start_again();
    assert_eq!(feeder.next(now).map(|r| numbers(&r)), Some((1, vec![2, 3, 4])));
    assert_eq!(feeder.next(now), None);
}

#[test]
fn news_of_an_earlier_attempt_skip_no_line_of_this_one() {
    let now = zero();
    let mut feeder = Feeder::new();
    for _ in 0..3 {
        feeder.push(chunk(1));
        assert!(feeder.next(now).is_some());
    }
    feeder.start_again();
    assert_eq!(feeder.acknowledge(1, now), 1);
    assert_eq!(feeder.next(now).map(|r| numbers(&r)), Some((1, vec![1])));
    assert_eq!(feeder.acknowledge(2, now), 1);
    assert_eq!(feeder.next(now).map(|r| numbers(&r)), Some((1, vec![2])));
    assert_eq!(feeder.acknowledge(1, now), 0, "old news are no news");
    assert_eq!(feeder.acknowledge(3, now), 1);
    assert_eq!((feeder.acknowledged(), feeder.next(now)), (3, None));
}

#[test]
fn what_was_never_sent_cannot_be_acknowledged() {
    let now = zero();
    let mut feeder = Feeder::new();
    feeder.push(chunk(2));
    assert_eq!(feeder.acknowledge(u64::MAX, now), 0);
    assert_eq!(feeder.next(now).map(|r| numbers(&r)), Some((0, vec![0, 1])));
}

#[test]
fn the_window_is_bounded_in_lines_and_in_bytes() {
    let mut feeder = Feeder::new();
    assert_eq!(feeder.room(), WINDOW_LINES);
    feeder.push(chunk(100));
    assert_eq!(feeder.room(), WINDOW_LINES - 100);
    feeder.push(Chunk { lengths: vec![u32::MAX], bytes: vec![0; WINDOW_BYTES] });
    assert_eq!(feeder.room(), 0);
}

#[test]
fn latency_counts_from_the_first_sending() {
    let start = zero();
    let mut feeder = Feeder::new();
    feeder.push(chunk(10));
    assert!(feeder.next(start).is_some());
    feeder.start_again();
    assert!(feeder.next(start + Duration::from_millis(50)).is_some());
    feeder.acknowledge(10, start + Duration::from_millis(100));
    let p50 = feeder.latency(0.5);
    assert!(p50 >= Duration::from_millis(100) && p50 < Duration::from_millis(101), "{p50:?}");
}

/// A cluster takes line n only as its n-th. Leaders fall at any moment: what was on its way is
/// lost, or comes late, in any order. Whatever happens, the input is applied as it is.
#[test]
fn no_line_is_lost_doubled_or_out_of_order() {
    for seed in 0..300 {
        let mut random = oorandom::Rand32::new(seed);
        let total = u64::from(random.rand_range(1..400));
        let now = zero();
        let mut feeder = Feeder::new();
        let mut applied: Vec<u64> = Vec::new();
        let mut late: Vec<Vec<u64>> = Vec::new();
        let mut steps = 0;
        while feeder.acknowledged() < total {
            steps += 1;
            assert!(steps < 100_000, "seed {seed} makes no progress");
            let left = feeder.room().min(total - feeder.read());
            if left > 0 {
                let most = u32::try_from(left.min(20)).expect("at most 20") + 1;
                feeder.push(chunk(random.rand_range(1..most) as usize));
            }
            let Some(request) = feeder.next(now) else {
                // Everything is sent and not all is acknowledged: a report was lost with a leader.
                feeder.start_again();
                continue;
            };
            let (_, lines) = numbers(&request);
            match random.rand_range(0..10) {
                0 => feeder.start_again(),
                1 => {
                    late.push(lines);
                    feeder.start_again();
                }
                choice => {
                    let due = late.len() as u32;
                    let from_late = choice == 2 && due > 0;
                    if from_late {
                        take(&mut applied, &late.swap_remove(random.rand_range(0..due) as usize));
                    }
                    take(&mut applied, &lines);
                    // An acknowledgement may get lost too; the next one says it again.
                    if random.rand_range(0..4) > 0 {
                        feeder.acknowledge(applied.len() as u64, now);
                    }
                }
            }
        }
        assert_eq!(applied, (0..total).collect::<Vec<_>>(), "seed {seed}");
    }
}

/// The state machine's rule.
fn take(applied: &mut Vec<u64>, lines: &[u64]) {
    for line in lines {
        if *line == applied.len() as u64 {
            applied.push(*line);
        }
    }
}

#[test]
fn lines_concatenate_to_the_input() {
    for input in [&b""[..], b"\n", b"\n\n", b"a", b"a\n", b"\0\n\xff", b"a\r\n\nb\n\nc"] {
        let mut lines = Lines::new(input);
        let mut all = Vec::new();
        let mut ends = Vec::new();
        while lines.read_into(&mut all).expect("the lines are short") {
            ends.push(all.len());
        }
        assert_eq!(all, input);
        let newlines = input.iter().filter(|byte| **byte == b'\n').count();
        let unfinished = usize::from(!input.is_empty() && !input.ends_with(b"\n"));
        assert_eq!(ends.len(), newlines + unfinished, "{input:?}");
    }
}

#[test]
fn a_line_may_have_a_mebibyte_and_no_more() {
    for newline in [&b""[..], b"\n"] {
        let longest = [&vec![b'x'; LINE_BYTES_MAX], newline].concat();
        let mut line = Vec::new();
        assert!(Lines::new(&longest[..]).read_into(&mut line).expect("it fits"));
        assert_eq!(line, longest);

        let longer = [b"short\n", &vec![b'x'; LINE_BYTES_MAX + 1][..], newline].concat();
        let mut lines = Lines::new(&longer[..]);
        assert!(lines.read_into(&mut line).expect("it fits"));
        let refused = lines.read_into(&mut line);
        assert!(matches!(refused, Err(LineError::TooLong { number: 2 })), "{refused:?}");
    }
}

#[test]
fn frames_come_out_as_they_went_in() {
    let reports = [
        Report::Status(Standing { leads: Some(7), lines: 3 }),
        Report::Taken { lines: u64::MAX },
        Report::Broken { attempt: 9, why: "full".to_owned() },
        Report::Digest(Summary { lines: 1, sha256: [3; 32], log_bytes: 12 }),
    ];
    let mut pipe = Vec::new();
    for report in &reports {
        protocol::write(&mut pipe, report).expect("a vector takes everything");
    }
    let mut from = &pipe[..];
    let mut body = Vec::new();
    for report in &reports {
        assert!(protocol::read(&mut from, &mut body).expect("a whole frame"));
        assert_eq!(&protocol::decode::<Report>(&body).expect("a report"), report);
    }
    assert!(!protocol::read(&mut from, &mut body).expect("the end"));
}

#[test]
fn broken_frames_are_errors() {
    let request = Request::Lines { attempt: 1, first: 2, lengths: vec![3], bytes: b"abc" };
    let frame = protocol::encode(&request).expect("it is short");
    let mut body = Vec::new();
    for length in 1..frame.len() {
        assert!(protocol::read(&mut &frame[..length], &mut body).is_err(), "cut to {length}");
    }
    assert!(protocol::read(&mut &[0xff; 8][..], &mut body).is_err(), "longer than any frame");
    assert!(protocol::read(&mut &frame[..], &mut body).expect("a whole frame"));
    assert_eq!(protocol::decode::<Request<'_>>(&body).expect("a request"), request);
    body.push(0);
    assert!(protocol::decode::<Request<'_>>(&body).is_err(), "a byte too many");
}
