//! Every seed that once failed is run again, and its situation is kept as a play.
//!
//! `tests/seeds.txt` says what a seed is worth after the generator has changed.

use std::fs;
use std::path::PathBuf;

use synod::sim::{Script, Swarm, simulate};

fn read(path: &str) -> Option<String> {
    fs::read_to_string(PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests").join(path)).ok()
}

/// The profile and the seed of each line, and what tells its situation.
fn seeds(table: &str) -> Vec<(String, u64, String)> {
    let lines = table.lines().filter(|line| !line.starts_with('#'));
    let seed = |line: &str| {
        let words: Vec<&str> = line.split_whitespace().collect();
        let [profile, seed, found, told_by] = words[..] else { return None };
        let dated = found.len() == 10 && found.chars().all(|c| c == '-' || c.is_ascii_digit());
        dated.then(|| Some((profile.to_owned(), seed.parse().ok()?, told_by.to_owned())))?
    };
    lines.map(|line| seed(line).unwrap_or_else(|| panic!("tests/seeds.txt: {line}"))).collect()
}

#[test]
fn seeds_that_once_failed_are_clean() {
    let seeds = seeds(&read("seeds.txt").expect("tests/seeds.txt"));
    assert!(seeds.len() >= 2, "seeds are added, not taken away");
    for (profile, seed, _) in seeds {
        let swarm = Swarm::profile(&profile, seed).expect("tests/seeds.txt names a profile");
        if let Err(violation) = simulate(&swarm) {
            panic!("{profile}, seed {seed} again: {swarm:?}\n{violation}");
        }
    }
}

#[test]
fn the_situation_of_each_seed_is_told_by_a_play_or_a_test() {
    for (_, seed, told_by) in seeds(&read("seeds.txt").expect("tests/seeds.txt")) {
        let known = |text: Option<String>| {
            text.unwrap_or_else(|| panic!("seed {seed}: there is no {told_by} in tests"))
        };
        let story = match told_by.split_once("::") {
            // The simulator itself was wrong.
            None if told_by == "-" => continue,
            Some((file, test)) => {
                let text = known(read(&format!("{file}.rs")));
                assert!(text.contains(&format!("fn {test}()")), "{file}.rs has no test {test}");
                text
            }
            None => {
                let text = known(read(&format!("plays/{told_by}.play")));
                let script = Script::parse(&text);
                let script = script.unwrap_or_else(|error| panic!("{told_by}.play: {error}"));
                script.story().to_owned()
            }
        };
        let named = story.contains(&format!("seed {seed}"));
        assert!(named, "{told_by} does not name the seed {seed} that found it");
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
