//! The parts of the example `simulate` under a judge with a planted fault: seeds in their order,
//! failing ones made small and repeated, pictures as well-formed XML with an arrow for each
//! message.

#![allow(dead_code, reason = "the example uses all of it, these tests a part")]

#[path = "../examples/simulate/clock.rs"]
mod clock;
#[path = "../examples/command_line/mod.rs"]
mod command_line;
#[path = "../examples/simulate/draw/mod.rs"]
mod draw;
#[path = "../examples/simulate/failure.rs"]
mod failure;
#[path = "../examples/simulate/options.rs"]
mod options;
#[path = "../examples/simulate/partial.rs"]
mod partial;
#[path = "../examples/simulate/profile.rs"]
mod profile;
#[path = "../examples/simulate/progress.rs"]
mod progress;
#[path = "../examples/simulate/run.rs"]
mod run;
#[path = "../examples/simulate/script.rs"]
mod script;
#[path = "../examples/simulate/seeds.rs"]
mod seeds;
#[path = "../examples/simulate/single.rs"]
mod single;
#[path = "simulate/xml.rs"]
mod xml;

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::fs;

use profile::Judge;
use seeds::Plan;
use synod::replica::Role;
use synod::sim::{
    Course, Fracture, Happened, Occurrence, Recording, Swarm, Violation, record, simulate,
};
use synod::time::Instant;
use xml::Element;

/// A judge for whom a second election is a broken claim.
const PLANTED: Judge = Judge {
    run: |_, swarm| {
        let report = simulate(swarm)?;
        if report.elections < 2 { Ok(report) } else { Err(second_election(report.time)) }
    },
    record: |_, swarm| {
        let mut recording = record(swarm);
        let leads =
            |one: &&Occurrence| matches!(one.what, Happened::Stood { role: Role::Leading, .. });
        let second = recording.occurrences.iter().filter(leads).nth(1).map(|one| one.step);
        if let Some(step) = second {
            break_at(&mut recording, step);
        }
        recording
    },
    // Seed 3 chooses too late with five replicas, seed 4 changes its leader too often, and a ring
    // does not rest for so long as a minute.
    measure: |trial| match trial.seed {
        3 if trial.replicas == 5 => Ok(course(500_000, 0)),
        4 => Ok(course(480_000, 3)),
        seed => Ok(course(100_000 + 10_000 * seed, 1)),
    },
    rest: |trial, seconds| match (trial.fracture, seconds) {
        (Some(Fracture::Ring), 60) => Err(second_election(Instant::ZERO)),
        _ => Ok(()),
    },
};

fn course(first_choice_micros: u64, elections_after: u64) -> Course {
    Course {
        timeout_micros: 120_000,
        first_choice_micros: Some(first_choice_micros),
        pause_micros: 12_000,
        elections_before: 1,
        elections_after,
    }
}

fn second_election(time: Instant) -> Violation {
    let (text, trace) = (String::from("planted: <two> leaders & \"more\""), vec!["line".into()]);
    Violation { step: 7, time, invariant: "NOFLAP", text, trace }
}

fn break_at(recording: &mut Recording, step: u64) {
    recording.occurrences.retain(|one| one.step <= step);
    let time = recording.occurrences.last().expect("a step has occurrences").time;
    let violation = second_election(time);
    let (invariant, text) = (violation.invariant, violation.text.clone());
    let what = Happened::Broken { invariant, text };
    recording.occurrences.push(Occurrence { time, step, what });
    recording.result = Err(violation);
}

/// Runs the program with these arguments: its exit code, and what it prints.
fn simulates(args: &[&str], judge: &Judge) -> (u8, String) {
    let args = [&["simulate"], args].concat();
    let mut out = Vec::new();
    let code = run::run(args.into_iter().map(OsString::from), judge, &mut out);
    (code, String::from_utf8(out).expect("text"))
}

#[test]
fn outcomes_come_in_the_order_of_the_seeds_whatever_the_threads_do() {
    let run = |seed: u64| {
        // Some seeds take far longer than others.
        let turns = (seed * 7919 % 13) * 20_000;
        let step =
            seed + (0..turns).map(std::hint::black_box).filter(|n| *n == turns).count() as u64;
        Ok(Err(Violation { step, ..second_election(Instant::ZERO) }))
    };
    for jobs in [1, 2, 7, 60] {
        let plan = Plan { first: 100, count: 50, jobs };
        let mut seen = Vec::new();
        seeds::run(&plan, &run, |outcome| {
            let result = outcome.result.as_ref().expect("it makes sense");
            assert_eq!(result.as_ref().map_err(|violation| violation.step), Err(outcome.seed));
            seen.push(outcome.seed);
            true
        });
        assert_eq!(seen, (100..150).collect::<Vec<u64>>(), "{jobs} threads");
        let mut few = Vec::new();
        seeds::run(&plan, &run, |outcome| {
            few.push(outcome.seed);
            few.len() < 5
        });
        assert_eq!(few, (100..105).collect::<Vec<u64>>(), "{jobs} threads");
    }
}

#[test]
fn a_failing_seed_is_made_small_and_told_with_the_command_that_repeats_it() {
    let args = ["--seeds", "60", "--chaos-ms", "500", "--shrink-tries", "40"];
    let (code, told) = simulates(&args, &PLANTED);
    assert_eq!(code, 1, "{told}");
    let last = told.lines().last().expect("a last line");
    assert!(last.starts_with("FAILED: 1 of ") && last.contains(": NOFLAP)"), "{told}");
    assert_eq!(told.matches("NOFLAP is broken").count(), 2, "as found, and made small:\n{told}");
    assert!(told.contains("made small in ") && told.contains("\n    line\n"), "{told}");

    let command = told.lines().find_map(|line| line.split_once("--example simulate -- "));
    let (cargo, options) = command.expect("a command");
    assert_eq!(cargo, "cargo run --release --features sim ");
    let again: Vec<&str> = options.split(' ').collect();
    assert!(again.len() > 4, "smaller than all: {options}");
    let (code, repeated) = simulates(&[&again[..], &["--shrink-tries", "0"]].concat(), &PLANTED);
    assert_eq!(code, 1, "{repeated}");
    let small = told.lines().rfind(|line| line.starts_with("NOFLAP"));
    assert!(repeated.contains(small.expect("the small one's claim")), "{repeated}\n{told}");
    assert_eq!(simulates(&again, &Judge::REAL).0, 0, "nothing but the planted claim is broken");

    let alone = [&args[..], &["--jobs", "1"]].concat();
    let figures = |told: &str| told.replace(last_line(told), "");
    assert_eq!(figures(&simulates(&alone, &PLANTED).1), figures(&told), "on one thread");
}

fn chaos(seed: u64, millis: u64) -> Swarm {
    let swarm = Swarm::from_seed(seed).with(|parts| parts.chaos_micros = millis * 1000);
    swarm.expect("it makes sense")
}

fn last_line(text: &str) -> &str {
    text.lines().last().unwrap_or_default()
}

#[test]
fn every_failing_seed_is_told_if_it_is_to_go_on() {
    let args = ["--seeds", "10", "--chaos-ms", "700", "--shrink-tries", "0", "--keep-going"];
    let (code, told) = simulates(&args, &PLANTED);
    let fails = |seed: &u64| (PLANTED.run)(profile::USUAL, &chaos(*seed, 700)).is_err();
    let failing: Vec<u64> = (1..11).filter(fails).collect();
    assert!(failing.len() > 1 && code == 1, "{failing:?}");
    let list: Vec<String> = failing.iter().map(|seed| format!("{seed}: NOFLAP")).collect();
    let summary = format!("FAILED: {} of 10 seeds ({})", failing.len(), list.join(", "));
    assert!(last_line(&told).starts_with(&summary), "{told}");
    for seed in failing {
        assert!(told.contains(&format!("-- --seed {seed} --chaos-ms 700\n")), "{told}");
    }
}

/// Draws with these arguments: the exit code, what is printed, and the picture.
fn draws(args: &[&str], judge: &Judge) -> (u8, String, String) {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let file = directory.path().join("run.svg");
    let file = file.to_str().expect("a path in UTF-8");
    let (code, out) = simulates(&[args, &["--draw", file]].concat(), judge);
    (code, out, fs::read_to_string(file).unwrap_or_default())
}

fn elements(picture: &str) -> Vec<Element> {
    let elements = xml::parse(picture).unwrap_or_else(|error| panic!("{error}\n{picture}"));
    assert_eq!(elements[0].name, "svg");
    elements
}

fn of_class(elements: &[Element], class: &str) -> usize {
    elements.iter().filter(|element| element.class() == class).count()
}

/// The messages that were sent, arrived or were lost between these milliseconds.
fn messages(occurrences: &[Occurrence], from: u64, to: u64) -> usize {
    let mut numbers = BTreeSet::new();
    for one in occurrences {
        if (from * 1000..=to * 1000 + 999).contains(&one.time.as_micros()) {
            match one.what {
                Happened::Sent { message, .. }
                | Happened::Arrived { message, .. }
                | Happened::Lost { message, .. } => numbers.insert(message),
                _ => false,
            };
        }
    }
    numbers.remove(&0);
    numbers.len()
}

#[test]
fn a_picture_has_an_arrow_for_each_message_of_its_window() {
    let mut signs: BTreeMap<&str, usize> = BTreeMap::new();
    for seed in [3, 6, 15, 21, 30] {
        let recording = record(&Swarm::from_seed(seed));
        for (from, to) in [(0, 250), (700, 800), (0, 1600)] {
            let (first, last) = (from.to_string(), to.to_string());
            let seed = seed.to_string();
            let args = ["--seed", &seed, "--from-ms", &first, "--to-ms", &last];
            let (code, out, picture) = draws(&args, &Judge::REAL);
            assert_eq!(code, 0, "{out}");
            let elements = elements(&picture);
            let wanted = messages(&recording.occurrences, from, to);
            assert_eq!(of_class(&elements, "message"), wanted, "seed {seed}, {from} to {to}");
            for sign in ["message", "span", "cut", "leader", "candidate", "cross", "again", "sync"]
            {
                *signs.entry(sign).or_default() += of_class(&elements, sign);
            }
        }
    }
    // The legend has one or two of each.
    assert!(signs.values().all(|count| *count > 30 || *count == signs["cut"]), "{signs:?}");
    assert!(signs["cut"] > 0, "{signs:?}");
}

#[test]
fn what_is_written_in_a_picture_does_not_overlap() {
    for seed in [1, 3, 6, 15, 19, 21] {
        let (code, out, picture) = draws(&["--seed", &seed.to_string()], &Judge::REAL);
        assert_eq!(code, 0, "{out}");
        let mut columns: BTreeMap<String, Vec<f64>> = BTreeMap::new();
        for element in elements(&picture) {
            let column = match element.class() {
                "note" | "bold" => "right",
                "left" => "left",
                "time" => "time",
                _ => continue,
            };
            let column = format!("{column} {}", element.attributes["x"]);
            columns.entry(column).or_default().push(element.number("y"));
        }
        assert!(columns.len() > 2, "seed {seed}: little is written");
        for (column, mut places) in columns {
            places.sort_by(f64::total_cmp);
            let close = places.windows(2).find(|pair| pair[1] - pair[0] < 11.5);
            assert_eq!(close, None, "seed {seed}, {column}");
        }
    }
}

#[test]
fn a_picture_of_a_broken_claim_ends_with_it() {
    let seed = (1..60).find(|seed| {
        let recording = (PLANTED.record)(profile::USUAL, &Swarm::from_seed(*seed));
        recording.result.is_err() && recording.occurrences.len() > 900
    });
    let seed = seed.expect("some seed has two elections").to_string();
    let (code, out, picture) = draws(&["--seed", &seed, "--events", "120"], &PLANTED);
    assert_eq!((code, last_line(&out)), (1, format!("FAILED: seed {seed}: NOFLAP").as_str()));
    let elements = elements(&picture);
    assert_eq!(of_class(&elements, "violation"), 1);
    let failed: String = elements
        .iter()
        .filter(|element| element.class() == "failed")
        .map(|element| format!("{} ", element.text))
        .collect();
    assert!(failed.ends_with("planted: <two> leaders & \"more\" "), "{failed}");
    let part = elements.iter().find(|element| element.class() == "sub").expect("which part");
    let number = |word: &str| -> u64 {
        let mut words = part.text.split([' ', ',']).skip_while(|other| *other != word);
        words.nth(1).expect("a number").parse().expect("a number")
    };
    let (first, last, of) = (number("Events"), number("to"), number("of"));
    assert!(last == of && of > 120 && (120..200).contains(&(last + 1 - first)), "{}", part.text);
}

#[test]
fn what_means_something_in_xml_is_written_otherwise() {
    let recording = record(&chaos(3, 200));
    let title = "a <b> & \"c\" 'd' \u{1} ]]>";
    let picture = draw::draw(title, 5, &recording.occurrences, draw::Choice::Events(50));
    let elements = elements(&picture.expect("a picture"));
    assert_eq!(elements[1].text, "a <b> & \"c\" 'd' \u{fffd} ]]>");
}

#[test]
fn a_window_in_which_nothing_happens_is_refused() {
    let args = ["--seed", "3", "--chaos-ms", "100", "--from-ms", "99999", "--to-ms", "100000"];
    let (code, out, picture) = draws(&args, &Judge::REAL);
    assert_eq!((code, out.as_str(), picture.as_str()), (2, "", ""));
}

#[test]
fn a_play_is_shown_with_what_it_causes_or_the_line_where_it_goes_wrong() {
    let directory = tempfile::tempdir().expect("a directory");
    let play = |text: &str| {
        let file = directory.path().join("a.play");
        fs::write(&file, text).expect("written");
        let (code, out) = simulates(&["--script", &file.to_string_lossy()], &Judge::REAL);
        (code, out.replace(&*file.to_string_lossy(), "a.play"))
    };
    let begin = "cluster 3\nquietly elect 1\npropose 1 x\n";
    let (code, out) = play(&format!("{begin}deliver 1->2 accept\nexpect slot 0 open\n"));
    assert_eq!(code, 0, "{out}");
    assert!(out.contains("\n    2 <- 1: Accept 1.1 s0 [x]"), "{out}");
    assert!(last_line(&out).starts_with("clean: a.play, 0 slots chosen, trace hash "), "{out}");
    let (code, out) = play(&format!("{begin}expect slot 0 x\n"));
    assert_eq!(code, 1, "{out}");
    assert!(out.contains("\npropose 1 x\n    "), "{out}");
    assert!(last_line(&out).starts_with("FAILED: a.play, line 4: "), "{out}");
    // What cannot be read or done is a mistake of the caller's: a line on standard error.
    for bad in ["cluster 3\nfrobnicate\n", "propose 1 x\n", "", "cluster 3\ndeliver 1->9\n"] {
        assert_eq!(play(bad), (2, String::new()), "{bad:?}");
    }
    let missing = directory.path().join("none").to_string_lossy().into_owned();
    assert_eq!(simulates(&["--script", &missing], &Judge::REAL).0, 2);
    assert_eq!(simulates(&["--script", "a", "--seed", "4"], &Judge::REAL).0, 2);
}

#[test]
fn a_mark_that_never_came_up_fails_a_run_that_wants_all() {
    let few = ["--seeds", "2", "--chaos-ms", "50"];
    let (code, out) = simulates(&few, &Judge::REAL);
    assert_eq!(code, 0, "{out}");
    assert!(out.contains("never came up: ") && last_line(&out).starts_with("clean: "), "{out}");
    let (code, out) = simulates(&[&few[..], &["--every-mark"]].concat(), &Judge::REAL);
    assert_eq!(code, 1, "{out}");
    assert!(last_line(&out).starts_with("FAILED: some marks never came up in 2 seeds"), "{out}");
}

#[test]
fn elections_while_links_stay_broken_become_a_table() {
    let (code, told) = simulates(&["--partial", "2", "--jobs", "3"], &PLANTED);
    assert_eq!(code, 0, "{told}");
    let row = |name: &str| told.lines().find(|line| line.starts_with(&format!("| {name} ")));
    let cells = |name| -> Vec<&str> {
        let row = row(name).unwrap_or_else(|| panic!("no {name} in\n{told}"));
        row.split('|').map(str::trim).collect()
    };
    for fracture in Fracture::ALL {
        assert_eq!(cells(fracture.name()).len(), 11, "{told}");
    }
    // Seeds 1 and 2 take 110 and 120 ms.
    assert_eq!(cells("deaf")[2], "100 %: 1.00 / 1.00, 1", "{told}");
    assert_eq!(
        cells("chained")[3..10],
        ["100 %: 1.00 / 1.00, 1", "-", "yes", "no", "no*", "no", "no"]
    );
    assert!(
        told.lines().last().unwrap().starts_with("clean: 410 runs, 2 for each place"),
        "{told}"
    );

    let misses = ["--partial", "3", "--first-seed", "2", "--idle-minutes", "1"];
    let (code, told) = simulates(&misses, &PLANTED);
    assert_eq!(code, 1, "{told}");
    let count = |text: &str| told.lines().filter(|line| line.contains(text)).count();
    // Seed 3 with 5 replicas, 4 with all, and the rings of 3 and 5.
    let misses = (count("more than 480000"), count("3 elections after"), count("NOFLAP"));
    assert_eq!(misses, (73, 205, 8), "{told}");
    assert!(told.lines().last().unwrap().starts_with("FAILED: 286 of these"), "{told}");

    for wrong in
        [vec!["--partial", "0"], vec!["--partial", "--seed", "1"], vec!["--idle-minutes", "1"]]
    {
        assert_eq!(simulates(&wrong, &PLANTED).0, 2, "{wrong:?}");
    }
}
