//! What a bad play is told, and that a play does what its commands say.

use std::format;
use std::string::{String, ToString};

use super::{Script, ScriptError};

/// The one line that a play is refused or stopped with.
fn problem(play: &str) -> String {
    let error = Script::parse(play).and_then(|script| script.run()).unwrap_err();
    let said = error.to_string();
    assert_eq!(said.lines().count(), 1, "{said}");
    said
}

fn after_cluster(commands: &str) -> String {
    problem(&format!("# Story.\ncluster 3\n{commands}\n"))
}

#[test]
fn a_line_that_is_no_command_is_refused_by_its_number() {
    let wrong = [
        ("jump 1", "there is no command `jump`"),
        ("sync", "the line ends where a replica should stand"),
        ("sync 0", "`0` is no replica: they count from 1"),
        ("sync 4", "there is no replica 4"),
        ("sync 1 2", "`2` makes no sense here"),
        ("sync 1 keep=2", "`keep=2` makes no sense here"),
        ("fail-sync", "the line ends where a replica should stand"),
        ("fail-sync 1", "only syncs of disk=wal can fail"),
        ("crash 1 keep=some", "`some` is no number"),
        ("crash 1 keep=1 keep=2", "keep stands twice"),
        ("tick 1 25", "`25` is no time: 25ms, 300us and 2s are, up to an hour"),
        ("drift 1 900000", "a drift of 900000 millionths is out of -500000..=500000"),
        ("deliver 1-2", "`1-2` is no link: `1->3`, `1->*` and `*` are"),
        ("deliver 1->2 hello", "there is no message `hello`"),
        ("deliver 1->2 accept slot=3..1", "`3..1` are no slots: 3, 4..9 and 0..70/2 are"),
        ("damage 1->2 byte=3 bit=8", "a byte has the bits 0 to 7"),
        ("damage 1->2 byte=3", "damage needs bit=N"),
        ("forge 1->2", "forge needs cluster=NAME, at most 16 bytes, or disk=N"),
        ("cut 1", "`1` is no link: `1->3` and `1-3` are"),
        ("propose 1 X", "a command cannot be called `X`"),
        ("propose 1 slot", "a command cannot be called `slot`"),
        ("propose 1 x count=2000", "at most 1000 commands at a time, not 2000"),
        ("expect 1", "expect a replica's KEY=VALUE, at least one"),
        ("expect way 1->2", "expect way needs count=N"),
        ("  sync 1", "only what a command caused is indented, by four blanks"),
        ("cluster 3", "a play has one cluster"),
    ];
    for (line, said) in wrong {
        assert_eq!(after_cluster(line), format!("line 3: {said}"), "{line}");
    }
}

#[test]
fn a_cluster_that_makes_no_sense_is_refused() {
    let wrong = [
        ("", "no cluster"),
        ("sync 1", "the first command must be `cluster`"),
        ("cluster 10", "a cluster has 1 to 9 replicas, not 10"),
        ("cluster 3 down=4", "there is no replica 4"),
        ("cluster 3 frames=100", "frames of 100 bytes are too short: at least 392"),
        ("cluster 3 colour=red", "a cluster has no setting colour=red"),
        ("cluster 3 pipeline_slots=0", "pipeline_slots is 0, but it must lie in 1..=256"),
        ("cluster 3 heartbeat=1us", "heartbeat is 1, but it must lie in 100..=86400000000"),
    ];
    for (line, said) in wrong {
        assert_eq!(problem(line), format!("line 1: {said}"), "{line}");
    }
}

#[test]
fn what_a_command_cannot_do_is_told_when_it_is_tried() {
    let wrong = [
        ("deliver 1->2", "no message under way fits"),
        ("crash 1 keep=3", "only 0 records are not synced"),
        ("start 1", "replica 1 is up"),
        ("rot 1 record=0", "replica 1 is up"),
        ("expect x chosen", "no command is called `x`"),
        ("expect leader 1", "expected 1 leads, but it is nobody leads"),
        ("expect 1 promised=1.1", "expected promised=1.1, but it is promised=0.0"),
        ("expect 1 colour=red", "a status has no field `colour`"),
        ("expect mark joys=1", "there is no mark `joys`"),
        ("expect mark noops=1", "expected noops=1, but it is noops=0"),
        ("expect way * count=1", "expected 1 messages, but it is 0 messages"),
        ("expect elections 1", "expected 1 elections, but it is 0 elections"),
        ("expect slot 0 noop", "expected s0 noop, but it is s0 open"),
    ];
    for (line, said) in wrong {
        assert_eq!(after_cluster(line), format!("line 3: {said}"), "{line}");
    }
    let led = "elect 1\npropose 1 x\n";
    assert_eq!(after_cluster(&format!("{led}propose 1 x")), "line 5: `x` names a command already");
    assert_eq!(
        after_cluster(&format!("{led}expect x chosen")),
        "line 5: expected x chosen, but it is x waiting"
    );
    assert_eq!(after_cluster(&format!("{led}expect x eaten")), "line 5: there is no fate `eaten`");
    assert_eq!(
        after_cluster(&format!("{led}damage 1->2 byte=1 bit=1")),
        "line 5: only frames can be damaged: the cluster needs frames=BYTES"
    );
    assert_eq!(after_cluster("crash 1\nstart 1 refused"), "line 4: the log of 1 opens");
}

#[test]
fn a_claim_that_breaks_names_its_line_and_shows_its_trace() {
    // Two disks of three are set back to before the vote: nobody can notice that.
    let play = "\
# Story.
cluster 3
quietly elect 1
crash 2
save 2
start 2
crash 3
save 3
start 3
propose 1 x
deliver 1->* accept
sync all
crash 2
restore 2
start 2
crash 3
restore 3
start 3
crash 1
drop *
clock 2 800ms
clock 3 800ms
elect 2 without=1
propose 2 y
settle among=2,3
";
    let error = Script::parse(play).unwrap().run().unwrap_err();
    let ScriptError::Broken { line: 24, violation, text } = error else { panic!("{error}") };
    assert_eq!(violation.invariant, "P2c");
    let said = "2 -> 1: Accept 2.2 s0";
    assert!(violation.trace.iter().any(|line| line.contains(said)), "{violation}");
    assert!(text.contains(said), "{text}");
}

#[test]
fn a_play_gives_the_same_text_and_report_each_time() {
    let play = "# Story\n# of two lines.\n\ncluster 3\nelect 1\npropose 1 x\nsettle\nheal\n";
    let script = Script::parse(play).unwrap();
    assert_eq!(script.story(), "Story\nof two lines.");
    let first = script.run().unwrap();
    assert_eq!(first, script.run().unwrap());
    // What it causes is left out when it is read again.
    let again = Script::parse(&first.text).unwrap();
    assert_eq!(first, again.run().unwrap());
    assert_eq!(first.report.acknowledged, 2);
    assert!(first.text.contains("    1 -> 2: Accept 1.1 s0 [x] chosen s0 {}\n"), "{}", first.text);
}
