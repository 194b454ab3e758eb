//! The rules of the house that no compiler checks, held by reading the tree as text.
//!
//! Each rule is a function from files to findings. It is run on the tree, and once on a planted
//! violation, so that a rule which finds nothing is known to look.

mod papers;
mod rules;
mod source;

use std::env;
use std::fs;

use papers::{examples, proofs};
use rules::*;
use source::{File, root, tree};

type Rule = fn(&File) -> Vec<String>;

fn keeps(rule: Rule) {
    let findings: Vec<String> = tree().iter().flat_map(rule).collect();
    assert!(findings.is_empty(), "\n{}\n", findings.join("\n"));
}

#[track_caller]
fn finds(rule: Rule, path: &str, planted: &str) {
    assert_ne!(rule(&File::new(path, planted)), Vec::<String>::new(), "not found: {planted}");
}

#[track_caller]
fn passes(rule: Rule, path: &str, text: &str) {
    assert_eq!(rule(&File::new(path, text)), Vec::<String>::new(), "{text}");
}

#[test]
fn lower_storeys_never_name_higher_ones() {
    finds(storeys, "src/slot.rs", "use crate::replica::Replica;");
    finds(storeys, "src/slot.rs", "use crate::{\n    ballot::{Ballot, x},\n    wire::Frame,\n};");
    finds(storeys, "src/slot.rs", "fn f() -> super::wal::Wal {}");
    finds(storeys, "src/wal/map.rs", "use super::super::{sim, slot};");
    finds(storeys, "src/wire.rs", "use crate::Message;");
    finds(storeys, "src/wire.rs", "use std::time::Instant;");
    finds(storeys, "src/misc.rs", "");
    passes(storeys, "src/wal/map.rs", "// crate::sim\nuse super::frame;\nuse crate::slot::Slot;");
    passes(storeys, "src/wire/tests.rs", "use super::*;\nuse crate::slot::Slot;\nuse std::vec;");
    keeps(storeys);
}

#[test]
fn the_words_are_the_papers() {
    for word in forbidden() {
        finds(words, "docs/A.md", &format!("An entry is {word} here"));
    }
    finds(words, "src/slot.rs", concat!("// see iss", "ue #2"));
    finds(words, "docs/A.md", concat!("Comm", "itted entries"));
    let (theirs, peer) =
        (concat!("LogEntry::Deci", "ded(x)"), "benches/peers/src/engine/omnipaxos.rs");
    finds(words, "src/slot.rs", theirs);
    finds(words, peer, concat!("// what is deci", "ded"));
    passes(words, peer, theirs);
    passes(words, "docs/A.md", "undecidable; a group commit; this issue is hard; a shared lock");
    keeps(words);
}

#[test]
fn what_is_unsafe_stays_in_one_file() {
    finds(unsafe_code, "src/wal/mod.rs", "fn f() { unsafe { g() } }");
    finds(unsafe_code, "tests/wal.rs", "let s = \"a // \\\" b\"; unsafe {}");
    passes(unsafe_code, "src/wal/map.rs", "unsafe {}");
    passes(unsafe_code, "src/lib.rs", "#![deny(unsafe_code)] // unsafe\nlet s = r#\"unsafe\"#;");
    keeps(unsafe_code);
}

#[test]
fn features_are_switched_in_two_files() {
    finds(features, "src/wal/mod.rs", "#[cfg(feature = \"udp\")]\nmod x;");
    finds(features, "src/node/mod.rs", "#[cfg(any(test, not(feature=\"udp\")))]");
    finds(features, "tests/x.rs", "if cfg!(feature = \"udp\") {}");
    passes(features, "src/lib.rs", "#[cfg(feature = \"udp\")]");
    passes(features, "src/wal/mod.rs", "//! The feature = \"log\".\n#[cfg(test)]");
    keeps(features);
}

#[test]
fn names_say_something() {
    finds(names, "src/helpers.rs", "");
    finds(names, "src/slot.rs", &format!("pub fn {}slot() {{}}", "get_"));
    let storage = "benches/peers/src/engine/openraft/storage.rs";
    finds(names, storage, &format!("fn {}slot() {{}}", "get_"));
    finds(names, "src/slot.rs", &format!("fn {}log_state(&self) {{}}", "get_"));
    passes(names, storage, &format!("async fn {}log_state(&mut self) {{}}", "get_"));
    keeps(names);
}

#[test]
fn files_functions_and_lines_are_short() {
    finds(sizes, "src/slot.rs", &"\n".repeat(FILE_LINES_MAX + 1));
    finds(sizes, "src/slot.rs", &"é".repeat(COLUMNS_MAX + 1));
    passes(sizes, "src/slot.rs", &"é".repeat(COLUMNS_MAX));
    let function =
        |lines: usize| format!("fn f(x: [u8; 2]) {{\n{}}}\n", "    g('{');\n".repeat(lines));
    finds(sizes, "src/slot.rs", &function(FUNCTION_LINES_MAX));
    passes(sizes, "src/slot.rs", &function(FUNCTION_LINES_MAX - 2));
    passes(sizes, "src/slot.rs", &format!("fn f();\n{}", "// {\n".repeat(200)));
    keeps(sizes);
}

#[test]
fn there_are_no_tabs_and_no_trailing_blanks() {
    finds(blanks, "src/slot.rs", "\tx\n");
    finds(blanks, "README.md", "x \n");
    finds(blanks, "README.md", "x");
    finds(blanks, "README.md", "x\n\n");
    keeps(blanks);
}

#[test]
fn a_file_opens_with_what_it_is_for() {
    finds(opening, "src/slot.rs", "use core::fmt;\n");
    keeps(opening);
}

#[test]
fn links_lead_somewhere() {
    let here = |path: &str| matches!(path, "docs/WAL.md" | "docs/../README.md");
    let look = |text: &str| links(&[File::new("docs/A.md", text)], here);
    assert_eq!(look("[a](MISSING.md) and [b](WAL.md)").len(), 1);
    assert_eq!(look("[a](../README.md#x) [b](#top) [c](https://example.org/x)"), [""; 0]);
    let findings = links(&tree(), |path| root().join(path.trim_start_matches('/')).exists());
    assert!(findings.is_empty(), "\n{}\n", findings.join("\n"));
}

#[test]
fn every_public_type_has_an_example() {
    let example = "/// A slot.\n///\n/// ```\n/// assert!(true);\n/// ```\n";
    let text = "/// A slot.\n///\n/// ```text\n/// 1 2 3\n/// ```\n";
    let item = "#[derive(\n    Clone,\n)]\npub struct Slot(pub u64);\n";
    finds(examples, "src/slot.rs", item);
    finds(examples, "src/slot.rs", &format!("{text}{item}"));
    finds(examples, "src/slot.rs", &format!("{example}struct Other;\n/// A slot.\n{item}"));
    finds(examples, "src/slot.rs", &format!("{example}pub fn f() {{}}\n\npub enum Slot {{}}\n"));
    finds(examples, "src/slot.rs", "counts! {\n    /// Marks.\n    pub struct Marks {\n");
    passes(examples, "src/slot.rs", &format!("{example}{item}"));
    passes(examples, "src/slot.rs", &format!("{text}{example}#[cfg(x)]\npub trait Slot {{}}\n"));
    passes(examples, "src/slot.rs", "pub(crate) struct Slot;\n// pub struct A;\nstruct B;\n");
    passes(examples, "src/slot/tests.rs", item);
    keeps(examples);
}

#[test]
fn what_a_promise_names_as_its_proof_is_there() {
    let files = |text: &str| {
        [
            File::new("docs/PROMISES.md", text),
            File::new("docs/WAL.md", "`cargo test --test gone` is no proof here\n"),
            File::new("src/sim/draw.rs", "const PROFILES: [&str; 1] = [\"disks\"];\n"),
            File::new("src/sim/rest.rs", "broken(\"REST\", text)"),
            File::new("tests/udp.rs", "fn garbage_is_refused() {}\n"),
        ]
    };
    let here = |path: &str| {
        matches!(path, "tests/udp.rs" | "tests/plays/duel.play" | "examples/simulate/main.rs")
    };
    let sound = "`tests/udp.rs::garbage_is_refused` `duel.play` `cargo test --test udp` `REST` \
                 `tests/udp.rs` `cargo run --example simulate -- --profile disks` or `a.b`";
    for gone in [
        "tests/udp.rs::garbage_is_taken",
        "tests/tcp.rs::garbage_is_refused",
        "war.play",
        "cargo test --test tcp",
        "cargo run --example simulate -- --profile floods",
        "cargo run --manifest-path tools/model/Cargo.toml",
        "tests/tcp.rs",
        "LIVE",
    ] {
        assert_eq!(proofs(&files(&format!("x `{gone}` y\n")), here).len(), 1, "{gone}");
    }
    assert_eq!(proofs(&files(sound), here), [""; 0]);
    let findings = proofs(&tree(), |path| root().join(path).exists());
    assert!(findings.is_empty(), "\n{}\n", findings.join("\n"));
}

#[test]
fn each_invariant_is_cited_in_the_code_the_tests_and_the_protocol() {
    let all = (1..=INVARIANTS).map(|i| format!("// I{i}\n")).collect::<String>();
    let most = all.replace("// I7\n", "");
    let paths = ["src/learner.rs", "tests/paper.rs", "docs/PROTOCOL.md"];
    for missing in paths {
        let text = |path| if path == missing { &most } else { &all };
        let planted = paths.map(|path| File::new(path, text(path).as_str()));
        assert_eq!(invariants(&planted).len(), 1, "{missing} without I7");
    }
    let findings = invariants(&tree());
    assert!(findings.is_empty(), "\n{}\n", findings.join("\n"));
}

#[test]
fn every_program_is_named_in_a_document() {
    let planted = [
        File::new("README.md", "Run `embed`."),
        File::new("examples/embed.rs", ""),
        File::new("examples/secret/main.rs", ""),
        File::new("examples/secret/part.rs", ""),
    ];
    assert_eq!(mentions(&planted), ["secret is named in no document"]);
    let findings = mentions(&tree());
    assert!(findings.is_empty(), "\n{}\n", findings.join("\n"));
}

/// `REWRITE=1 cargo test --test tidy` takes the program over from the example.
#[test]
fn the_readme_shows_the_example() {
    let readme = "# x\n\n```rust,no_run\nfn main() {}\n```\nText\n";
    assert_eq!(program(readme, "//! Says.\n\nfn main() {}\n"), [""; 0]);
    assert_eq!(program(readme, "fn main() { f() }\n").len(), 1);
    assert_eq!(program("no program", "").len(), 1);
    let long = "f();\n".repeat(README_PROGRAM_LINES_MAX + 1);
    let shown = with_program(readme, &long).expect("it has a program");
    assert!(shown.starts_with("# x\n\n```rust,no_run\nf();\n") && shown.ends_with("```\nText\n"));
    assert_eq!(program(&shown, &long).len(), 1);
    let read = |path| fs::read_to_string(root().join(path)).expect("README.md and the example");
    let (readme, example) = (read("README.md"), read("examples/embed.rs"));
    if env::var_os("REWRITE").is_some() {
        let rewritten = with_program(&readme, &example).expect("it has a program");
        fs::write(root().join("README.md"), rewritten).expect("README.md is writable");
        return;
    }
    assert_eq!(program(&readme, &example), [""; 0]);
}

#[test]
fn the_table_of_storeys_is_the_architectures() {
    let row = |(i, names): (usize, &&[&str])| format!("| {i} | `{}` | x |\n", names.join("`, `"));
    let good: String = STOREYS.iter().enumerate().map(row).collect();
    assert_eq!(table(&good), [""; 0]);
    assert_eq!(table(&good.replace("`wire`", "`wires`")).len(), 1);
    let read = fs::read_to_string(root().join("ARCHITECTURE.md")).expect("ARCHITECTURE.md");
    assert_eq!(table(&read), [""; 0]);
}
