use super::*;

fn row(name: &str) -> Row {
    Row {
        name: name.into(),
        what: "new".into(),
        kind: Kind::Bug,
        is_right: true,
        killed_by: "I4".into(),
        seeds: "3".into(),
        took: Duration::ZERO,
    }
}

#[test]
fn rows_are_written_in_their_order_and_the_others_stay() {
    let patches = ["a", "b", "c"].map(String::from).into();
    let text =
        format!("x\n{BEGIN}| a | old | I1 | 1 |\n| b | old | I1 | 1 |\n| z | gone | | |\n{END}y\n");
    let written = with_rows(&text, &[row("c"), row("b")], &patches).expect("the marks are there");
    let head = "| bug | what is wrong | killed by | seeds |\n|---|---|---|---|\n";
    let rows = "| a | old | I1 | 1 |\n| b | new | I4 | 3 |\n| c | new | I4 | 3 |\n";
    assert_eq!(written, format!("x\n{BEGIN}{head}{rows}{END}y\n"));
    assert_eq!(with_rows(&written, &[], &patches), Some(written.clone()));
    assert_eq!(with_rows("no marks", &[], &patches), None);
}
