use super::*;

pub(crate) fn measured(
    suite: &str,
    peer: &str,
    metric: &str,
    (replicas, in_flight, value_bytes, commands): (u64, u64, u64, u64),
    runs: &[f64],
) -> Measurement {
    Measurement {
        suite: suite.into(),
        peer: peer.into(),
        metric: metric.into(),
        replicas,
        in_flight,
        value_bytes,
        commands,
        runs: runs.to_vec(),
    }
}

fn cpu(peer: &str, in_flight: u64, nanos: f64) -> Measurement {
    let at = (3, in_flight, 64, 200_000);
    measured("engine", peer, "cpu_nanos_per_command", at, &[nanos])
}

/// The verdict of the only row that begins so.
fn verdict(all: &[Measurement], row: &str) -> Verdict {
    let targets = table::targets(all);
    let mut found = targets.iter().filter(|it| it.row.starts_with(row));
    let verdict = found.next().expect("the row is there").verdict();
    assert!(found.next().is_none(), "several rows begin with {row}");
    verdict
}

#[test]
fn nothing_measured_is_no_miss_and_no_success() {
    let targets = table::targets(&[]);
    assert!(targets.iter().all(|it| it.verdict() == Verdict::NotMeasured));
    let (text, met) = judged(&[], &BTreeMap::new()).expect("no reasons");
    assert!(met);
    assert_eq!(text.matches("| not measured |").count(), targets.len());
}

#[test]
fn the_best_peer_counts_and_neither_the_floor_nor_our_own_kind() {
    let row = "engine, window 256, to the best peer";
    let all = |nanos| {
        vec![
            cpu("floor", 256, 1.0),
            cpu("synod-other", 256, 1.0),
            cpu("raft", 256, 500.0),
            cpu("omnipaxos-batched", 256, 180.0),
            cpu("synod", 256, nanos),
        ]
    };
    assert_eq!(verdict(&all(19.9), row), Verdict::Aim);
    assert_eq!(verdict(&all(25.0), row), Verdict::Must);
    assert_eq!(verdict(&all(26.0), row), Verdict::Missed);
    assert_eq!(verdict(&all(26.0)[..2], row), Verdict::NotMeasured);
    assert_eq!(verdict(&all(26.0), "engine, window 16, to the best peer"), Verdict::NotMeasured);
}

#[test]
fn the_floor_counts_where_it_must() {
    let row = "engine, window 4096, to the floor";
    let all = |nanos| [cpu("floor", 4096, 10.0), cpu("synod", 4096, nanos)];
    assert_eq!(verdict(&all(13.0), row), Verdict::Aim);
    assert_eq!(verdict(&all(15.0), row), Verdict::Must);
    assert_eq!(verdict(&all(15.1), row), Verdict::Missed);
    let zero = [cpu("floor", 4096, 0.0), cpu("synod", 4096, 0.0)];
    assert_eq!(verdict(&zero, row), Verdict::Missed, "nothing to nothing is no success");
}

#[test]
fn a_row_to_the_best_peer_says_what_the_floor_would_get() {
    let all = [cpu("floor", 16, 10.0), cpu("raft", 16, 200.0), cpu("synod", 16, 30.0)];
    let targets = table::targets(&all);
    let row = |name: &str| targets.iter().find(|it| it.row == name).expect("it is there");
    assert_eq!(row("engine, window 16, to the best peer").floor, Some(0.05));
    assert_eq!(row("engine, window 256, to the best peer").floor, None);
    let (text, _) = judged(&all, &BTreeMap::new()).expect("no reasons");
    let line = "| engine, window 16, to the best peer | 30.0 | 0.15 | <= 0.25 | <= 0.17 | 0.05 |";
    assert!(text.contains(line), "{text}");
}

#[test]
fn growth_is_held_against_the_floors_own() {
    let row = "engine, 1000000 commands";
    let at = |peer: &str, commands, nanos| {
        let at = (3, 256, 64, commands);
        measured("engine", peer, "cpu_nanos_per_command", at, &[nanos])
    };
    let all = |long| {
        [
            at("floor", 10_240, 10.0),
            at("floor", 1_000_192, 13.0),
            at("synod", 10_240, 20.0),
            at("synod", 1_000_192, long),
        ]
    };
    assert_eq!(verdict(&all(22.0), row), Verdict::Aim);
    assert_eq!(verdict(&all(27.9), row), Verdict::Must);
    assert_eq!(verdict(&all(28.1), row), Verdict::Missed);
    assert_eq!(verdict(&all(22.0)[1..], row), Verdict::NotMeasured, "no growth of the floor");
}

#[test]
fn more_is_better_where_it_is() {
    let at = |suite, peer: &str, rate| {
        measured(suite, peer, "commands_per_second", (3, 64, 64, 1000), &[rate])
    };
    let row = "durable, 64 in flight, commands";
    let durable = |rate| [at("durable", "raft", 100.0), at("durable", "synod", rate)];
    assert_eq!(verdict(&durable(200.0), row), Verdict::Aim);
    assert_eq!(verdict(&durable(170.0), row), Verdict::Must);
    assert_eq!(verdict(&durable(169.0), row), Verdict::Missed);
    let row = "servers, 64 clients";
    let of = |peer, rate| at("servers", peer, rate);
    let servers =
        |rate| [of("etcd", 70.0), of("zookeeper", 100.0), of("redis", 900.0), of("synod", rate)];
    assert_eq!(verdict(&servers(700.0), row), Verdict::Aim);
    assert_eq!(verdict(&servers(499.0), row), Verdict::Missed);
}

#[test]
fn the_worst_of_all_gaps_counts() {
    let gaps =
        |worst| [measured("servers", "synod", "gap_millis", (3, 1, 64, 1), &[150.0, worst, 160.0])];
    assert_eq!(verdict(&gaps(220.0), "gap after a kill, worst"), Verdict::Aim);
    assert_eq!(verdict(&gaps(300.0), "gap after a kill, worst"), Verdict::Must);
    assert_eq!(verdict(&gaps(301.0), "gap after a kill, worst"), Verdict::Missed);
    let elections = [measured("servers", "synod", "elections", (3, 0, 64, 1), &[0.0, 1.0])];
    assert_eq!(verdict(&elections, "elections in 10 idle"), Verdict::Missed);
}

#[test]
fn what_was_measured_last_counts() {
    let row = "engine, window 1, to the best peer";
    let mut all = vec![cpu("raft", 1, 100.0), cpu("synod", 1, 90.0)];
    assert_eq!(verdict(&all, row), Verdict::Missed);
    all.push(cpu("synod", 1, 20.0));
    assert_eq!(verdict(&all, row), Verdict::Aim);
}

#[test]
fn a_miss_needs_a_reason_and_a_reason_its_row() {
    let all = [cpu("raft", 1, 100.0), cpu("synod", 1, 90.0)];
    let (text, met) = judged(&all, &BTreeMap::new()).expect("no reasons");
    assert!(!met && text.contains("| MISSED |"), "{text}");
    let row = "engine, window 1, to the best peer".to_owned();
    let reasons = BTreeMap::from([(row, "the profile says so".to_owned())]);
    let (text, met) = judged(&all, &reasons).expect("the row is there");
    assert!(met && text.contains("| MISSED: the profile says so |"), "{text}");
    let unknown = BTreeMap::from([("engine, window 2".to_owned(), "x".to_owned())]);
    assert!(judged(&all, &unknown).is_err());
}

#[test]
fn reasons_are_read_and_their_mistakes_named() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("reasons");
    let read = |text: &str| {
        fs::write(&path, text).expect("it is writable");
        reasons(&path)
    };
    let found = read("# why\n\na row, of two: because: it is\n").expect("it is well formed");
    assert_eq!(found, BTreeMap::from([("a row, of two".into(), "because: it is".into())]));
    assert!(read("a row\n").is_err());
    assert!(read("a row: \n").is_err());
    assert!(reasons(Path::new("/nonexistent/reasons")).is_err());
}

/// The file that is kept: it must be well formed, and every row in it a target.
#[test]
fn the_reasons_that_are_kept_are_for_targets() {
    let kept = reasons(Path::new(REASONS)).expect("it is well formed");
    assert!(judged(&[], &kept).is_ok());
}

#[test]
fn rows_have_names_of_their_own() {
    let mut rows: Vec<String> = table::targets(&[]).into_iter().map(|it| it.row).collect();
    let count = rows.len();
    rows.sort();
    rows.dedup();
    assert_eq!(rows.len(), count);
    assert!(rows.iter().all(|row| !row.contains(": ") && !row.contains('|')));
}

#[test]
fn what_shows_growth_is_judged_for_nothing_else() {
    let length = |commands, nanos| {
        let at = (3, 256, 64, commands);
        measured("engine", "synod", "cpu_nanos_per_command", at, &[nanos])
    };
    let mut all = vec![cpu("floor", 256, 10.0), cpu("synod", 256, 12.0)];
    all.extend([length(10_240, 30.0), length(1_000_192, 90.0)]);
    assert_eq!(verdict(&all, "engine, window 256, to the floor"), Verdict::Aim);
}
