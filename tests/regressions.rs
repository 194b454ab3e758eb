//! Every seed that once failed is run again, and its situation is kept as a play.
//!
//! `tests/seeds.txt` says what a seed is worth after the generator has changed.

use std::fs;
use std::path::PathBuf;

use synod::sim::{Script, Swarm, simulate};

fn read(path: &str) -> Option<String> {
    fs::read_to_string(PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests").join(path)).ok()
}

/// The property, the seed and the play of each line.
fn seeds(table: &str) -> Vec<(String, u64, String)> {
    let lines = table.lines().filter(|line| !line.starts_with('#'));
    let seed = |line: &str| {
        let words: Vec<&str> = line.split_whitespace().collect();
        let [property, seed, found, play] = words[..] else { return None };
        let dated = found.len() == 10 && found.chars().all(|c| c == '-' || c.is_ascii_digit());
        dated.then(|| Some((property.to_owned(), seed.parse().ok()?, play.to_owned())))?
    };
    lines.map(|line| seed(line).unwrap_or_else(|| panic!("tests/seeds.txt: {line}"))).collect()
}

#[test]
fn seeds_that_once_failed_are_clean() {
    let seeds = seeds(&read("seeds.txt").expect("tests/seeds.txt"));
    assert!(seeds.len() >= 2, "seeds are added, not taken away");
    for (property, seed, _) in seeds {
        match property.as_str() {
            "chaos" => {
                let swarm = Swarm::from_seed(seed);
                if let Err(violation) = simulate(&swarm) {
                    panic!("seed {seed} again: {swarm:?}\n{violation}");
                }
            }
            _ => panic!("tests/seeds.txt: there is no property {property}"),
        }
    }
}

#[test]
fn the_situation_of_each_seed_is_a_play() {
    for (_, seed, play) in seeds(&read("seeds.txt").expect("tests/seeds.txt")) {
        let text = read(&format!("plays/{play}.play"));
        let text =
            text.unwrap_or_else(|| panic!("seed {seed}: there is no tests/plays/{play}.play"));
        let script = Script::parse(&text).unwrap_or_else(|error| panic!("{play}.play: {error}"));
        let named = script.story().contains(&format!("seed {seed}"));
        assert!(named, "{play}.play does not name the seed {seed} that found it");
    }
}

#[test]
fn a_line_that_is_no_seed_is_noticed() {
    let table = "# comment\nchaos 7 2026-11-20 x\n";
    assert_eq!(seeds(table), [("chaos".to_owned(), 7, "x".to_owned())]);
    for wrong in ["chaos 7 2026-11-20", "chaos x 2026-11-20 y", "chaos 7 yesterday y"] {
        assert!(std::panic::catch_unwind(|| seeds(wrong)).is_err(), "{wrong}");
    }
}
