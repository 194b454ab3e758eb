//! The rules about what a reader is told: examples in the documentation of public types, and what a
//! paper names as its proof.

use crate::source::{File, code_of, is_word_char, words_at};

/// Which documents say what holds their promises up: all that they name must be there.
const PROVING: [&str; 1] = ["docs/PROMISES.md"];

/// Each public type of the library has an example that is run: a fence without a word after it.
pub(crate) fn examples(file: &File) -> Vec<String> {
    if !file.is_rust() || !file.path.starts_with("src/") || file.is_test() {
        return Vec::new();
    }
    let code = code_of(&file.text);
    let lines: Vec<&str> = file.text.lines().collect();
    let types = code.lines().enumerate().filter_map(|(at, line)| {
        let mut words = line.trim_start().strip_prefix("pub ")?.split(|c| !is_word_char(c));
        let kind = words.next().filter(|kind| matches!(*kind, "struct" | "enum" | "trait"));
        // A macro's `$name` is none.
        Some((at, kind.and(words.next()).filter(|name| !name.is_empty())?))
    });
    let bare = types.filter(|(at, _)| !has_example(&lines[..*at]));
    bare.map(|(at, name)| file.finding(at, format!("{name} has no example that is run"))).collect()
}

/// Whether the documentation at the end of these lines has an example. Its attributes may stand
/// between; an empty line, or one of another item, ends it.
fn has_example(before: &[&str]) -> bool {
    let is_doc = |line: &str| line.trim_start().starts_with("///");
    let ends = |line: &&&str| {
        let line = line.trim();
        line.is_empty() || (!is_doc(line) && line.ends_with(['{', '}', ';']))
    };
    let own = before.iter().rev().take_while(|line| !ends(line)).count();
    let mut inside = false;
    before[before.len() - own..].iter().filter(|line| is_doc(line)).any(|line| {
        let fence = line.trim_start().trim_start_matches('/').trim().strip_prefix("```");
        let opens = fence.is_some() && !inside;
        inside ^= fence.is_some();
        opens && fence == Some("")
    })
}

/// What stands in backquotes, line by line.
fn quoted(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let lines = text.lines().enumerate();
    lines.flat_map(|(at, line)| line.split('`').skip(1).step_by(2).map(move |name| (at, name)))
}

/// Tests that documents name, as `tests/x.rs::name`, and plays, as `name.play`, are there. Where
/// promises are proven, so are programs, profiles and the claims of the simulator.
pub(crate) fn proofs(files: &[File], exists: impl Fn(&str) -> bool) -> Vec<String> {
    let holds = |path: &str, word: &str| {
        files.iter().any(|file| file.path == path && words_at(&file.text, word).next().is_some())
    };
    let in_the_simulator = |claim: &str| {
        let mut simulator = files.iter().filter(|file| file.path.starts_with("src/sim/"));
        simulator.any(|file| file.text.contains(&format!("\"{claim}\"")))
    };
    let missing = |file: &File, name: &str| {
        if let Some((path, test)) = name.split_once(".rs::") {
            return !holds(&format!("{path}.rs"), test);
        }
        if let Some(play) = name.strip_suffix(".play").filter(|play| !play.contains(['*', ' '])) {
            let play = play.rsplit('/').next().unwrap_or_default();
            return !exists(&format!("tests/plays/{play}.play"));
        }
        if !PROVING.contains(&&*file.path) {
            return false;
        }
        let after = |flag: &str| {
            let mut words = name.split(' ').skip_while(move |word| *word != flag);
            words.nth(1).filter(|_| name.starts_with("cargo "))
        };
        let program = |folder: &str, name: &str| {
            exists(&format!("{folder}/{name}.rs")) || exists(&format!("{folder}/{name}/main.rs"))
        };
        let is_claim = name.len() > 1
            && name.starts_with(|c: char| c.is_ascii_uppercase())
            && name.chars().all(|c| c.is_ascii_uppercase() || c.is_ascii_digit());
        after("--test").is_some_and(|test| !program("tests", test))
            || after("--example").is_some_and(|example| !program("examples", example))
            || after("--profile")
                .is_some_and(|profile| !holds("src/sim/draw.rs", profile.trim_matches(['*', '.'])))
            || after("--manifest-path").is_some_and(|path| !exists(path))
            || (is_claim && !in_the_simulator(name))
            || (is_path(name) && !exists(name))
    };
    let documents = files.iter().filter(|file| file.is_markdown());
    let named = documents.flat_map(|file| quoted(&file.text).map(move |found| (file, found)));
    named
        .filter(|(file, (_, name))| missing(file, name))
        .map(|(file, (at, name))| file.finding(at, format!("{name} is not there")))
        .collect()
}

/// Whether the name looks like that of a file or directory of the project.
fn is_path(name: &str) -> bool {
    let roots = ["src/", "tests/", "docs/", "tools/", "fuzz/", "examples/", "benches/"];
    roots.iter().any(|root| name.starts_with(root)) && !name.contains([' ', ':', '*'])
}
