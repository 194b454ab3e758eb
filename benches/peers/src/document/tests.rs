use super::*;
use crate::draw;
use crate::figures::tests::measured;

/// What is kept in the repository.
fn kept(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs").join(name)
}

fn cpu(peer: &str, in_flight: u64, runs: &[f64]) -> Measurement {
    measured(("engine", "cpu_nanos_per_command"), peer, (3, in_flight, 64), runs)
}

#[test]
fn tables_go_between_their_marks_and_nowhere_else() {
    let text = "# A\n<!-- table: x -->\nold\n<!-- end -->\nafter\n";
    let new = rewrite(text, |name| (name == "x").then(|| "| new |\n".to_owned()));
    let wanted = "# A\n<!-- table: x -->\n\n| new |\n\n<!-- end -->\nafter\n";
    assert_eq!(new.as_deref(), Ok(wanted));
    assert_eq!(rewrite(wanted, |_| Some("| new |\n".to_owned())).as_deref(), Ok(wanted));
    let nothing = rewrite(text, |_| Some(String::new())).expect("the marks are right");
    assert!(nothing.contains("\nNot measured.\n"));
}

#[test]
fn a_mark_without_an_end_and_an_unknown_table_are_named() {
    let any = |_: &str| Some("x".to_owned());
    let endless = rewrite("a\n<!-- table: x -->\nold\n", any);
    assert_eq!(endless, Err("line 2: the table has no end".into()));
    let unknown = rewrite("<!-- table: x -->\n<!-- end -->\n", |name| table(name, &[]));
    assert_eq!(unknown, Err("line 1: no table is called x".into()));
}

#[test]
fn a_figures_table_has_medians_ranges_and_ratios() {
    let all = [cpu("raft", 256, &[600.0]), cpu("synod", 256, &[30.0, 10.0, 20.0])];
    let wanted = "\
| ns of processor time per command, by commands proposed at once | 256 |
|---|---|
| synod | 20.0 (10.0 to 30.0) |
| raft | 600 (600 to 600), 30.00 x |
";
    assert_eq!(table("engine-window", &all).as_deref(), Some(wanted));
}

#[test]
fn runs_on_one_machine_are_one_row() {
    let at = |date: &str, commit: &str| Machine {
        kernel: "6.1".into(),
        cpus: 2,
        model: "m".into(),
        date: date.into(),
        rustc: "rustc 1".into(),
        commit: commit.into(),
    };
    let [one, two] = ["2026-11-27T20:00:01Z", "2026-11-27T20:10:01Z"].map(|date| at(date, "a"));
    let text = machine(&[one, two, at("2026-11-28T01:02:03Z", "b")]);
    let rows: Vec<_> = text.lines().skip(2).collect();
    assert_eq!(
        rows,
        [
            "| 2 | m | 6.1 | rustc 1 | a | 2026-11-27 20:00 | 2026-11-27 20:10 |",
            "| 2 | m | 6.1 | rustc 1 | b | 2026-11-28 01:02 | 2026-11-28 01:02 |",
        ]
    );
}

/// Whoever changes results, a table or a chart by hand, or how they are made, fails here.
#[test]
fn document_and_charts_are_those_of_the_results_that_are_kept() {
    let results = [kept("performance.jsonl")];
    let text = fs::read_to_string(kept("PERFORMANCE.md")).expect("it is there");
    let new = renewed(&text, &results, Path::new(targets::REASONS)).expect("the results are fit");
    assert!(new.as_ref() == Ok(&text), "tools/performance.sh --draw makes the tables anew");
    let all = results::read(&results).expect("the results are fit");
    let charts = draw::charts(&all).expect("they can be drawn");
    let mut shown = 0;
    for (name, chart) in charts {
        let found = fs::read_to_string(kept("charts").join(&name)).expect("it is there");
        assert!(found == chart, "tools/performance.sh --draw makes {name} anew");
        shown += usize::from(text.contains(&format!("](charts/{name})")));
    }
    let files = fs::read_dir(kept("charts")).expect("it is there");
    assert_eq!(files.count(), shown, "each chart is shown");
}

#[test]
fn the_document_has_every_figure() {
    let text = fs::read_to_string(kept("PERFORMANCE.md")).expect("it is there");
    let more = ["machine", "targets", "stages", "stream", "reads", "opening", "suffix", "gaps"];
    for name in FIGURES.iter().map(|it| it.name).chain(more) {
        assert!(text.contains(&format!("{BEGIN}{name}{BEGIN_END}")), "{name}");
    }
}
