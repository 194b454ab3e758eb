//! Spans against the plain rule: for each record its latest whole source, else its latest one.

use std::vec::Vec;

use oorandom::Rand32;

use super::*;

#[test]
fn each_record_has_its_best_source() {
    for seed in 0..500 {
        let mut random = Rand32::new(seed);
        let mut plan = Plan::default();
        let mut expected: Vec<Option<(usize, bool)>> = std::vec![None; 32];
        for segment in 0..12 {
            let first = 1 + random.rand_range(0..28) as usize;
            let last = (first + random.rand_range(0..8) as usize).min(31);
            let whole = random.rand_range(0..3) > 0;
            let (low, high) = (Lsn(first as u64), Lsn(last as u64));
            plan.add(Span { first: low, last: high, segment, stretch: 0, whole });
            for source in &mut expected[first..=last] {
                if whole || source.is_none_or(|(_, held)| !held) {
                    *source = Some((segment, whole));
                }
            }
            if random.rand_range(0..6) == 0 {
                let seal = random.rand_range(0..31) as usize;
                plan.seal(Lsn(seal as u64));
                expected[seal + 1..].fill(None);
            }
        }
        let mut found = std::vec![None; 32];
        for span in plan.spans() {
            for lsn in span.first.0..=span.last.0 {
                assert!(found[lsn as usize].is_none(), "spans overlap");
                found[lsn as usize] = Some((span.segment, span.whole));
            }
        }
        assert_eq!(found, expected, "seed {seed}");
        let firsts: Vec<_> = plan.spans().iter().map(|span| span.first).collect();
        assert!(firsts.is_sorted());
    }
}
