use std::collections::BTreeSet;

use super::*;

const LOAD: Load =
    Load { clients: 3, warm_up: Duration::ZERO, time: Duration::from_secs(2), seed: 7 };

#[test]
fn each_key_has_one_writer_and_all_are_written() {
    let of = |number| Keys::new(number, LOAD, 100).take(2000).collect::<BTreeSet<_>>();
    let drawn = [of(0), of(1), of(2)];
    let all: BTreeSet<u32> = drawn.iter().flatten().copied().collect();
    assert_eq!(all, (0..100).collect());
    assert_eq!(drawn.iter().map(BTreeSet::len).sum::<usize>(), 100, "two write one key");
    assert_eq!(Keys::new(2, LOAD, 2).next(), None, "there is no third key");
}

#[test]
fn figures_are_what_was_measured() {
    let mut latencies = Histogram::new_with_max(LATENCY_MICROS_MAX, 3).expect("it has a range");
    for micros in 1..=1000 {
        latencies.record(micros).expect("it is in range");
    }
    let elapsed = (LOAD.time, Duration::from_millis(10), Duration::from_millis(40));
    let figures = figures(&latencies, elapsed);
    assert_eq!((figures.requests, figures.per_second), (1000, 500.0));
    assert_eq!((figures.p50_micros, figures.p99_micros), (500.0, 990.0));
    assert_eq!((figures.client_cpu_micros, figures.server_cpu_micros), (10.0, 40.0));
    assert_eq!(figures.longest_millis, 1.0);
}
