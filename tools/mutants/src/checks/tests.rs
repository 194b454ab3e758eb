use super::*;

#[test]
fn the_last_line_of_the_seeds_says_what_broke() {
    let found = broken_claim("I4 is broken at step 3\nbroken: I4 | chaos | 17\n");
    assert_eq!(found, Outcome::Broken { claim: "I4, chaos".into(), seed: 17 });
    assert!(matches!(broken_claim("Killed"), Outcome::Failed(_)));
    assert!(matches!(broken_claim("broken: I4"), Outcome::Failed(_)));
}

#[test]
fn the_first_test_that_fails_is_named() {
    let output = "running 2 tests\ntest a::b ... ok\ntest a::c ... FAILED\ntest a::d ... FAILED\n";
    assert_eq!(failed_test(output), "a::c");
}

#[test]
fn what_a_process_has_computed_is_read() {
    let before = computed(std::process::id());
    let mut sum = 0u64;
    while computed(std::process::id()) == before {
        (0..1_000_000u64).for_each(|i| sum = std::hint::black_box(sum.wrapping_add(i)));
    }
    assert!(computed(std::process::id()) > before);
}
