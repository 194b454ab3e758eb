//! Plays: single situations, each a file that opens with its story. Every play is run under the
//! oracles, and what its commands cause must be what stands below them.
//!
//! `REWRITE=1 cargo test --test plays` writes that anew; read the difference as you would code.
//! `PLAY=NAME cargo test --test plays` runs only the plays whose name contains NAME.

use std::env;
use std::fs;
use std::path::PathBuf;

use synod::sim::{Script, ScriptError};

/// So many situations there are at least.
const PLAYS_MIN: usize = 40;

fn directory() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/plays")
}

/// The plays' names and texts, in order.
fn plays() -> Vec<(String, String)> {
    let entries = fs::read_dir(directory()).expect("the directory of the plays");
    let mut plays: Vec<_> = entries
        .map(|entry| entry.expect("its entry").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "play"))
        .map(|path| {
            let name = path.file_stem().expect("it has a name").to_string_lossy().into_owned();
            (name, fs::read_to_string(&path).expect("a play"))
        })
        .collect();
    plays.sort();
    plays
}

fn is_wanted(name: &str) -> bool {
    env::var("PLAY").is_ok_and(|wanted| name.contains(&wanted)) || env::var("PLAY").is_err()
}

/// The first line where the texts differ.
fn difference(stands: &str, caused: &str) -> String {
    let (mut stands, mut caused) = (stands.lines(), caused.lines());
    for number in 1.. {
        let (a, b) = (stands.next(), caused.next());
        if a != b {
            let show = |line: Option<&str>| line.unwrap_or("(the end)").to_owned();
            return format!("line {number}\n  stands: {}\n  caused: {}", show(a), show(b));
        }
        if a.is_none() {
            break;
        }
    }
    String::from("the ends of their lines")
}

/// Runs a play; gives what it is now.
fn perform(name: &str, stands: &str) -> Result<String, String> {
    let run = Script::parse(stands).and_then(|script| script.run());
    let performance = run.map_err(|error| match &error {
        ScriptError::Unmet { text, .. } | ScriptError::Broken { text, .. } => {
            format!("{name}.play: {error}\n{text}")
        }
        _ => format!("{name}.play: {error}"),
    })?;
    Ok(performance.text)
}

/// What is wrong with a play, if anything.
fn judge(name: &str, stands: &str) -> Result<(), String> {
    let caused = perform(name, stands)?;
    if caused == stands {
        return Ok(());
    }
    Err(format!("{name}.play: {}", difference(stands, &caused)))
}

fn rewrite(name: &str, stands: &str) -> Result<(), String> {
    let path = directory().join(format!("{name}.play"));
    fs::write(path, perform(name, stands)?).map_err(|error| format!("{name}.play: {error}"))
}

#[test]
fn every_play_goes_as_it_is_written() {
    let judge = if env::var_os("REWRITE").is_some() { rewrite } else { judge };
    let wrong: Vec<String> = plays()
        .iter()
        .filter(|(name, _)| is_wanted(name))
        .filter_map(|(name, stands)| judge(name, stands).err())
        .collect();
    assert!(wrong.is_empty(), "{} plays\n\n{}\n", wrong.len(), wrong.join("\n\n"));
}

/// A story says in words what happens and where it comes from, and some line states what matters:
/// a transcript alone would be taken over, wrong or right.
#[test]
fn every_play_tells_its_story_and_expects_something() {
    let plays = plays();
    assert!(plays.len() >= PLAYS_MIN, "{} plays, fewer than {PLAYS_MIN}", plays.len());
    for (name, text) in &plays {
        let script = Script::parse(text).unwrap_or_else(|error| panic!("{name}.play: {error}"));
        let story = script.story();
        assert!(story.split_whitespace().count() >= 30, "{name}.play: tell the story: {story}");
        assert!(story.contains("Source: "), "{name}.play: say where it comes from");
        let expected = text.lines().filter(|line| line.starts_with("expect ")).count();
        assert!(expected >= 2, "{name}.play: say what matters, at least twice");
    }
    let mut stories: Vec<_> = plays.iter().map(|(_, text)| text.lines().next()).collect();
    stories.sort_unstable();
    stories.dedup();
    assert_eq!(stories.len(), plays.len(), "two plays open alike");
}

#[test]
fn a_play_that_goes_otherwise_is_noticed() {
    let play = "# x\ncluster 3\nquietly elect 1\npropose 1 x\n";
    let performance = Script::parse(play).expect("a play").run().expect("it runs");
    assert!(judge("planted", play).is_err(), "what the proposal causes is missing");
    assert_eq!(judge("planted", &performance.text), Ok(()));
    let other = performance.text.replace("Accept 1.1", "Accept 2.1");
    assert!(judge("planted", &other).unwrap_err().contains("caused:"), "{other}");
}
