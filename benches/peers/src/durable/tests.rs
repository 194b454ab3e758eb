use super::drive::drive;
use super::table::Cell;
use super::*;

use std::ops::Range;

/// Applies what is proposed, at most so many commands at a time.
struct Fake {
    applied: Vec<u64>,
    waiting: Range<u64>,
    step: u64,
    most_in_flight: u64,
}

impl Cluster for Fake {
    fn propose(&mut self, commands: Range<u64>) -> Result<()> {
        assert_eq!(commands.start, self.waiting.end, "in order, and each once");
        self.waiting.end = commands.end;
        self.most_in_flight = self.most_in_flight.max(self.waiting.end - self.waiting.start);
        Ok(())
    }

    fn applied(&mut self) -> Result<u64> {
        let count = self.step.min(self.waiting.end - self.waiting.start);
        self.applied.extend(self.waiting.start..self.waiting.start + count);
        self.waiting.start += count;
        Ok(count)
    }

    fn stop(self: Box<Self>, _: u64) -> Result<Vec<Applied>> {
        Ok(Vec::new())
    }
}

fn fake(step: u64) -> Fake {
    Fake { applied: Vec::new(), waiting: 0..0, step, most_in_flight: 0 }
}

#[test]
fn so_many_are_in_flight_and_all_are_waited_for() {
    for (in_flight, step) in [(1, 1), (16, 3), (64, 64)] {
        let mut cluster = fake(step);
        let (run, commands) =
            drive(&mut cluster, in_flight, Length::Commands(1000)).expect("it runs");
        assert_eq!(cluster.most_in_flight, in_flight);
        assert_eq!(cluster.applied.len() as u64, commands);
        assert!(cluster.waiting.is_empty());
        assert!((1000..1000 + step).contains(&run.commands), "{}", run.commands);
        // Warming up counts for nothing.
        assert!(commands >= run.commands + 4 * in_flight, "{commands}");
        assert!(run.p50_micros > 0.0 && run.p99_micros >= run.p50_micros);
    }
}

#[test]
fn a_peer_that_applies_what_nobody_proposed_is_found_out() {
    struct TooMany;
    impl Cluster for TooMany {
        fn propose(&mut self, _: Range<u64>) -> Result<()> {
            Ok(())
        }

        fn applied(&mut self) -> Result<u64> {
            Ok(3)
        }

        fn stop(self: Box<Self>, _: u64) -> Result<Vec<Applied>> {
            Ok(Vec::new())
        }
    }
    let refusal = drive(&mut TooMany, 2, Length::Commands(10)).expect_err("one too many");
    assert_eq!(refusal.to_string(), "1 commands were applied that nobody waits for");
}

#[test]
fn the_check_sees_what_was_left_out() {
    let setup = Setup { directory: Path::new("."), replicas: 2, in_flight: 1, value_bytes: 64 };
    let (mut whole, mut short) = (Applied::default(), Applied::default());
    let mut workload = setup.workload();
    for number in 0..10 {
        whole.apply(workload.command(number));
        if number != 5 {
            short.apply(workload.command(number));
        }
    }
    assert!(check(&setup, &[whole, whole], 10).is_ok());
    assert!(check(&setup, &[whole, short], 10).is_err());
    assert!(check(&setup, &[whole, whole], 11).is_err());
}

#[derive(clap::Parser)]
struct Line {
    #[command(flatten)]
    options: Options,
}

fn options(words: &[&str]) -> Result<Options, clap::Error> {
    let line = <Line as clap::Parser>::try_parse_from([&["x"], words].concat());
    line.map(|line| line.options)
}

#[test]
fn every_situation_has_its_turn_in_each_round() {
    let words =
        ["--runs", "2", "--replicas", "3,5", "--in-flight", "1,64", "--value-bytes", "8,16"];
    let options = options(&words).expect("they are good");
    let mut seen = Vec::new();
    let done = options.rounds(|_, situation| {
        seen.push(situation);
        Ok(())
    });
    assert!(done.is_ok());
    assert_eq!(seen[..4], [(3, 1, 8), (3, 64, 8), (3, 1, 16), (3, 64, 16)]);
    assert_eq!((seen.len(), &seen[..8]), (16, &seen[8..]));
}

#[test]
fn every_peer_begins_a_round() {
    let options = options(&["--peers", "floor,synod,raft"]).expect("they are good");
    let [first, second, third, fourth] = [1, 2, 3, 4].map(|round| options.turn(round));
    assert_eq!(first, [Peer::Floor, Peer::Synod, Peer::Raft]);
    assert_eq!(second, [Peer::Synod, Peer::Raft, Peer::Floor]);
    assert_eq!((third[0], fourth), (Peer::Raft, first));
}

#[test]
fn bad_options_are_refused() {
    for words in [
        &["--replicas", "10"] as &[&str],
        &["--in-flight", "0"],
        &["--value-bytes", "7"],
        &["--seconds", "0"],
        &["--seconds", "1", "--commands", "1"],
        &["--peers", "nobody"],
    ] {
        assert!(options(words).is_err(), "{words:?}");
    }
}

#[test]
fn figures_of_one_cell_are_one_measurement() {
    let mut table = Table::default();
    let cell = Cell { peer: "raft", replicas: 3, in_flight: 1, value_bytes: 64 };
    table.add(cell, "p50_micros", 10, 1.0);
    table.add(cell, "p99_micros", 10, 2.0);
    table.add(Cell { in_flight: 64, ..cell }, "p50_micros", 10, 3.0);
    table.add(cell, "p50_micros", 10, 4.0);
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("results");
    table.finish(&Results::open(Some(&path)).expect("it is writable")).expect("it is writable");
    let found = crate::results::read(&[path]).expect("they are good");
    let runs: Vec<_> = found.iter().map(|it| (it.metric.as_str(), &it.runs[..])).collect();
    let wanted: [(_, &[f64]); 3] =
        [("p50_micros", &[1.0, 4.0]), ("p99_micros", &[2.0]), ("p50_micros", &[3.0])];
    assert_eq!(runs, wanted);
}

/// That every replica applied everything is held by the run itself.
#[test]
fn synod_runs_for_a_few_commands_in_each_situation() {
    let directory = tempfile::tempdir().expect("a directory");
    let words = [
        ["--peers", "synod,synod-pwrite"],
        ["--in-flight", "1,16"],
        ["--commands", "20"],
        ["--runs", "1"],
    ];
    let mut options = options(words.as_flattened()).expect("they are good");
    options.directory = directory.path().to_owned();
    let mut table = Table::default();
    commands::measure(&options, &mut table).expect("it runs");
    let path = directory.path().join("results");
    table.finish(&Results::open(Some(&path)).expect("it is writable")).expect("it is writable");
    let found = crate::results::read(&[path]).expect("they are good");
    assert_eq!(found.len(), 2 * 2 * 4, "of each peer in each situation each metric");
    assert!(found.iter().all(|it| it.runs[0] > 0.0 && it.commands >= 20));
}

#[test]
fn peers_are_refused_where_only_synod_is_measured() {
    let words = ["--suite", "stages", "--peers", "raft"];
    let code = run(&options(&words).expect("each is an option")).expect("nothing is measured");
    assert_eq!(format!("{code:?}"), format!("{:?}", ExitCode::from(2)));
}
