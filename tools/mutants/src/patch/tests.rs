use super::*;

const GOOD: &str = "What: w\nBreaks: b\nKilled-by: lib x; seeds\nBudget: 200\n\n\
    --- a/src/slot.rs\n+++ b/src/slot.rs\n@@ -1 +1 @@\n-a\n+b\n";

fn parsed(text: &str) -> Result<Patch, String> {
    parse(Path::new("tests/mutants/some.patch"), text)
}

#[test]
fn a_bug_says_what_it_breaks_and_who_finds_it() {
    let patch = parsed(GOOD).expect("it is good");
    assert_eq!((patch.name.as_str(), patch.kind, patch.budget), ("some", Kind::Bug, 200));
    // The cheapest check comes first, whatever the header's order.
    assert_eq!(patch.checks, [Check::Seeds, Check::Lib("x".into())]);
    assert_eq!(patch.files, [PathBuf::from("src/slot.rs")]);
}

#[test]
fn controls_and_canaries_are_told_apart() {
    let kind = |text: &str| parsed(text).map(|patch| patch.kind);
    assert_eq!(kind(&GOOD.replace("Breaks: b", "Control: c")), Ok(Kind::Control));
    let canary = GOOD.replace("Budget: 200", "Budget: 200\nCanary: yes");
    assert_eq!(kind(&canary), Ok(Kind::Canary));
    assert!(kind(&canary.replace("Breaks: b", "Control: c")).is_err());
}

#[test]
fn what_makes_no_sense_is_refused() {
    let spoilt = [
        ("Breaks: b\n", ""),
        ("What: w\n", ""),
        ("Budget: 200", "Budget: 201"),
        ("Budget: 200", "Budget: 0"),
        ("Budget: 200", "Budget: many"),
        ("lib x", "lib"),
        ("lib x", "lib x y"),
        ("+++ b/src/slot.rs", "+++ b/src/sim/mod.rs"),
        ("+++ b/src/slot.rs", "+++ b/tests/paper.rs"),
        ("+++ b/", "+++ c/"),
        ("\n\n", "\n"),
    ];
    for (from, to) in spoilt {
        assert!(GOOD.contains(from), "{from:?}");
        assert!(parsed(&GOOD.replacen(from, to, 1)).is_err(), "{from:?} as {to:?}");
    }
}
