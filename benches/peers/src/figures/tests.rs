use super::*;

/// A measurement that some figure shows.
pub(crate) fn measured(
    (suite, metric): (&str, &str),
    peer: &str,
    (replicas, in_flight, value_bytes): (u64, u64, u64),
    runs: &[f64],
) -> Measurement {
    crate::targets::tests::measured(
        suite,
        peer,
        metric,
        (replicas, in_flight, value_bytes, 200_000),
        runs,
    )
}

fn named(name: &str) -> &'static Figure {
    FIGURES.iter().find(|it| it.name == name).expect("there is such a figure")
}

fn cpu(peer: &str, in_flight: u64, nanos: f64) -> Measurement {
    measured(("engine", "cpu_nanos_per_command"), peer, (3, in_flight, 64), &[nanos])
}

#[test]
fn a_series_goes_along_its_axis_and_the_last_word_counts() {
    let all = [cpu("synod", 256, 9.0), cpu("synod", 1, 5.0), cpu("synod", 256, 7.0)];
    let series = named("engine-window").series(&all);
    let points: Vec<_> = series[0].points.iter().map(|(at, it)| (*at, it.median)).collect();
    assert_eq!((series.len(), points), (1, vec![(1, 5.0), (256, 7.0)]));
    assert_eq!(Figure::places(&series), [1, 256]);
}

#[test]
fn what_another_figure_shows_is_not_mixed_in() {
    let mut all = vec![cpu("synod", 256, 1.0), cpu("synod", 256, 2.0), cpu("nobody", 256, 3.0)];
    all[1].commands = 1_000_192;
    let at = |name: &str| {
        let series = named(name).series(&all);
        series.iter().flat_map(|it| it.points.iter().map(|it| it.1.median)).collect::<Vec<_>>()
    };
    assert_eq!(at("engine-window"), [1.0]);
    assert_eq!(at("engine-replicas"), [1.0]);
    assert_eq!(at("engine-length"), [1.0, 2.0]);
    assert!(at("durable-throughput").is_empty());
}

#[test]
fn values_are_told_in_bytes_per_second() {
    let rate = ("durable", "commands_per_second");
    let series =
        named("durable-values").series(&[measured(rate, "raft", (3, 16, 1 << 20), &[2.0])]);
    assert_eq!(series[0].points[0].1.median, 2.097_152);
    assert_eq!(place_text(Axis::ValueBytes, 1 << 20), "1 MiB");
    assert_eq!(place_text(Axis::ValueBytes, 64 << 10), "64 KiB");
    assert_eq!(place_text(Axis::ValueBytes, 16), "16 B");
}

#[test]
fn one_redis_stands_beside_three_members() {
    let rate = ("servers", "commands_per_second");
    let all =
        [measured(rate, "redis", (1, 64, 64), &[2.0]), measured(rate, "etcd", (1, 64, 64), &[1.0])];
    let series = named("servers-throughput").series(&all);
    assert_eq!(series.iter().map(|it| it.peer).collect::<Vec<_>>(), ["redis"]);
}

#[test]
fn every_peer_has_a_colour_and_every_figure_a_name_of_its_own() {
    let mut colours = PEERS.map(|(_, colour)| colour).to_vec();
    colours.sort_unstable();
    colours.dedup();
    assert_eq!(colours.len(), PEERS.len());
    let mut names: Vec<_> = FIGURES.iter().map(|it| it.name).collect();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), FIGURES.len());
}
