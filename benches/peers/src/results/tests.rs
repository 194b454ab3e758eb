use super::*;

fn measurement() -> Measurement {
    Measurement {
        suite: "engine".into(),
        peer: "synod".into(),
        metric: "cpu_nanos_per_command".into(),
        replicas: 3,
        in_flight: 256,
        value_bytes: 64,
        commands: 100_000,
        runs: vec![21.3, 22.0],
    }
}

#[test]
fn what_is_appended_is_read_again_without_the_machines() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("results");
    for _ in 0..2 {
        let results = Results::open(Some(&path)).expect("it is writable");
        results.append(&measurement()).expect("it is writable");
    }
    assert_eq!(read(std::slice::from_ref(&path)), Ok(vec![measurement(), measurement()]));
    let text = fs::read_to_string(&path).expect("it is there");
    assert_eq!(text.lines().filter(|line| line.contains("\"kernel\"")).count(), 2);
    let machines = machines(&[path]).expect("they were written");
    assert_eq!(machines.len(), 2);
    assert!(machines.iter().all(|it| it.cpus > 0 && it.date.contains('T')));
}

#[test]
fn a_line_that_is_no_measurement_is_named() {
    let good = serde_json::to_string(&measurement()).expect("it has a text");
    for bad in [
        "",
        "x",
        "{\"suite\":\"engine\"}",
        "{\"suite\":\"machine\"}",
        &good.replace("21.3", "null"),
        &good.replace("[21.3,22.0]", "[]"),
        &good.replace(":3,", ":-3,"),
    ] {
        let found = parse(&format!("{good}\n{bad}\n"));
        assert!(found.is_err_and(|text| text.starts_with("line 2: ")), "{bad}");
    }
}

#[test]
fn a_file_that_is_not_there_is_named() {
    let found = read(&["/nonexistent/results".into()]);
    assert!(found.is_err_and(|text| text.starts_with("/nonexistent/results: ")));
    assert!(Results::open(Some(Path::new("/nonexistent/results"))).is_err());
}
