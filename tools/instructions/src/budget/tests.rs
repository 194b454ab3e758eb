use super::*;

fn budget() -> Budget {
    let instructions = [("core/1".to_owned(), 1000), ("log/1".to_owned(), 5)].into();
    Budget { compiler: "rustc 1.0.0 (a 2015-05-15) x".into(), instructions }
}

#[test]
fn ten_percent_of_growth_pass_and_no_more() {
    assert_eq!(budget().judge("core/1", 1000), Verdict::Within);
    assert_eq!(budget().judge("core/1", 1100), Verdict::Within);
    assert_eq!(budget().judge("core/1", 1101), Verdict::Above);
    assert!(Verdict::Within.passes() && !Verdict::Above.passes());
}

#[test]
fn what_is_far_below_is_told_and_passes() {
    assert_eq!(budget().judge("core/1", 900), Verdict::Within);
    assert_eq!(budget().judge("core/1", 899), Verdict::Below);
    assert!(Verdict::Below.passes());
}

#[test]
fn what_has_no_budget_fails() {
    assert_eq!(budget().judge("core/16", 1), Verdict::Unknown);
    assert!(!Verdict::Unknown.passes());
}

#[test]
fn a_budget_is_read_as_it_was_written() {
    assert_eq!(budget().text().parse(), Ok(budget()));
}

#[test]
fn a_budget_that_says_less_or_something_else_is_refused() {
    let refused = |text: &str| text.parse::<Budget>().expect_err(text);
    assert_eq!(refused("core/1 5\n"), "no line names the compiler");
    assert_eq!(refused("compiler x\ncore/1\n"), "line 2 has one word: core/1");
    assert_eq!(refused("compiler x\ncore/1 -5\n"), "line 2 has no number: core/1 -5");
    let twice = "compiler x\ncore/1 5\ncore/1 6\n";
    assert_eq!(refused(twice), "line 3 names a workload again: core/1 6");
}
