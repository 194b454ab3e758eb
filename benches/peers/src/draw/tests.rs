use super::*;
use crate::durable::stages::STAGES;
use crate::figures::PEERS;
use crate::figures::tests::measured;

fn everybody() -> Vec<Measurement> {
    let rate = ("durable", "commands_per_second");
    let of = |(number, peer): (u64, &str)| {
        let at = |in_flight: u64| {
            let figure = (1000 + 100 * number) as f64 * in_flight as f64;
            measured(rate, peer, (3, in_flight, 64), &[figure * 0.9, figure, figure * 1.2])
        };
        [at(1), at(64), at(1024)]
    };
    (0..).zip(PEERS.map(|(peer, _)| peer)).flat_map(of).collect()
}

#[test]
fn a_chart_has_each_peer_in_its_colour_its_title_and_its_units() {
    let charts = charts(&everybody()).expect("it draws");
    let (name, text) = &charts[0];
    assert_eq!((charts.len(), name.as_str()), (1, "durable-throughput.svg"));
    for (peer, [red, green, blue]) in PEERS {
        assert!(text.contains(&format!("\n{peer}\n")), "{peer} has no name in {text}");
        let colour = format!("stroke=\"#{red:02X}{green:02X}{blue:02X}\"");
        assert!(text.contains(&colour), "{peer} has no line");
    }
    for words in ["\nDurable: throughput by commands in flight\n", "\ncommands per second\n"] {
        assert!(text.contains(words), "{words}");
    }
    for place in ["\n1\n", "\n64\n", "\n1024\n"] {
        assert!(text.contains(place), "{place}");
    }
}

#[test]
fn the_same_results_give_the_same_bytes() {
    assert_eq!(charts(&everybody()), charts(&everybody()));
}

#[test]
fn one_point_alone_and_a_figure_of_nothing_are_drawn() {
    let rate = ("durable", "commands_per_second");
    let charts = charts(&[measured(rate, "raft", (3, 1, 64), &[0.0])]).expect("it draws");
    assert!(charts[0].1.contains("\nraft\n") && !charts[0].1.contains("NaN"));
}

#[test]
fn stages_are_drawn_with_their_times() {
    let all: Vec<_> = STAGES
        .iter()
        .zip(1..)
        .map(|(stage, number)| {
            measured(("durable", stage), "synod", (3, 1, 64), &[f64::from(number)])
        })
        .collect();
    let charts = charts(&all).expect("it draws");
    assert_eq!(charts[0].0, "stages.svg");
    for number in 1..=STAGES.len() {
        assert!(charts[0].1.contains(&format!("\n{number}.00 µs\n")), "{}", charts[0].1);
    }
    assert!(charts[0].1.contains("45.0 µs from the proposal on"));
    assert_eq!(super::charts(&all[1..]), Ok(vec![]), "a stage is missing");
}

#[test]
fn nothing_to_draw_is_one_clear_line() {
    let directory = tempfile::tempdir().expect("a directory");
    let empty = directory.path().join("empty");
    fs::write(&empty, "").expect("it is writable");
    let into = directory.path().join("charts");
    let refusal = run(&Options { files: vec![empty], into: into.clone() });
    assert!(
        refusal.is_err_and(|text| text.starts_with("nothing to draw") && text.lines().count() == 1)
    );
    assert!(!into.exists());
}

#[test]
fn ticks_are_round_numbers() {
    let found = ticks(&(0.9..2.4)).iter().map(|it| 10_f64.powf(*it).round()).collect::<Vec<_>>();
    assert_eq!(found, [10.0, 20.0, 50.0, 100.0, 200.0]);
    assert_eq!(ticks(&(0.0..4.0)).len(), 4, "powers of ten alone");
    assert_eq!(ticks(&(2.2..2.9)).len(), 5, "200, 300, 400, 500 and 700");
    let texts = [0.5, 20.0, 1000.0, 2500.0, 1e6].map(round_figure);
    assert_eq!(texts, ["0.5", "20", "1 k", "2.5 k", "1 M"]);
}
