//! Each combination of answers that can be has exactly one row.

use std::vec::Vec;

use super::*;

/// Holds that exactly one row of the table fits each combination that `can_be`.
fn one_row_each(table: &Table, can_be: impl Fn(&[bool]) -> bool) {
    let columns = table.questions.len();
    let mut used = std::vec![false; table.rows.len()];
    for bits in 0..1u32 << columns {
        let answers: Vec<bool> = (0..columns).map(|column| bits >> column & 1 == 1).collect();
        let fits: Vec<_> =
            (0..table.rows.len()).filter(|i| table.rows[*i].fits(&answers)).collect();
        if can_be(&answers) {
            assert_eq!(fits.len(), 1, "{}: {answers:?} {fits:?}", table.about);
            assert_eq!(table.judge(&answers).name, table.rows[fits[0]].name);
            used[fits[0]] = true;
        }
    }
    assert!(used.iter().all(|used| *used), "{}: a row is never used: {used:?}", table.about);
    assert!(table.rows.iter().all(|row| row.answers.len() == columns));
}

#[test]
fn superblock() {
    // Where there is no file nothing of it holds; two copies that hold are one that does.
    one_row_each(&SUPERBLOCK, |is| {
        let [there, _, newer, one, both, ours] = *is else { panic!("six questions") };
        (there || !(newer || one || both || ours)) && (one || !(both || ours)) && !(newer && both)
    });
}

#[test]
fn segment() {
    one_row_each(&SEGMENT, |is| {
        let [_, there, newer, good, fits, ours, known] = *is else { panic!("seven questions") };
        (there || !(newer || good)) && (good || !(fits || ours || known))
    });
}

#[test]
fn records() {
    one_row_each(&RECORDS, |_| true);
}
