use super::*;

fn measurement(peer: &str, in_flight: u64, runs: &[f64]) -> Measurement {
    Measurement {
        suite: "engine".into(),
        peer: peer.into(),
        metric: "cpu_nanos_per_command".into(),
        replicas: 3,
        in_flight,
        value_bytes: 64,
        commands: 1000,
        runs: runs.to_vec(),
    }
}

#[test]
fn the_median_is_in_the_middle_whatever_the_order() {
    let of = |runs: &[f64]| Summary::of(runs).map(|it| (it.least, it.median, it.most));
    assert_eq!(of(&[]), None);
    assert_eq!(of(&[3.0]), Some((3.0, 3.0, 3.0)));
    assert_eq!(of(&[9.0, 1.0, 2.0]), Some((1.0, 2.0, 9.0)));
    assert_eq!(of(&[100.0, 4.0, 2.0, 1.0]), Some((1.0, 3.0, 100.0)));
}

#[test]
fn figures_have_the_digits_that_say_something() {
    let texts = [0.5, 21.34, 961.7, 20_466.0, 123_456.0, 12_345_678.0].map(figure);
    assert_eq!(texts, ["0.50", "21.3", "962", "20.5 k", "123 k", "12.3 M"]);
}

#[test]
fn a_table_has_median_range_and_ratio() {
    let all = [
        measurement("floor", 1, &[5.0]),
        measurement("synod", 1, &[10.0, 30.0, 20.0]),
        measurement("synod", 16, &[4.0]),
        measurement("raft", 1, &[80.0, 50.0]),
    ];
    let text = tables(&all);
    let wanted = "\
| engine: cpu_nanos_per_command | 1 in flight, 1000 commands | 16 in flight, 1000 commands |
|---|---|---|
| floor | 5.00 (5.00 to 5.00), 0.25 x |  |
| synod | 20.0 (10.0 to 30.0) | 4.00 (4.00 to 4.00) |
| raft | 65.0 (50.0 to 80.0), 3.25 x |  |

";
    assert_eq!(text, wanted);
}

#[test]
fn what_was_measured_again_replaces_what_was() {
    let all = [measurement("synod", 1, &[10.0]), measurement("synod", 1, &[12.0])];
    assert!(tables(&all).contains("| synod | 12.0 "), "{}", tables(&all));
}

#[test]
fn columns_say_what_differs_between_them() {
    let mut all = [measurement("synod", 1, &[1.0]), measurement("synod", 1, &[2.0])];
    all[1].replicas = 9;
    all[1].value_bytes = 16;
    let text = tables(&all);
    assert!(text.contains("| 1 in flight, 9 replicas, 16 B, 1000 commands |"), "{text}");
}
