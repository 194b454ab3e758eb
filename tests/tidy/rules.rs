//! The rules: each from files to findings.

use std::collections::BTreeMap;

use crate::source::{File, code_of, is_word_char, line_of, root_names, words_at};

/// Which module lives on which storey; ARCHITECTURE.md shows the same table.
pub(crate) const STOREYS: [&[&str]; 6] = [
    &[
        "ballot",
        "checksum",
        "entry",
        "membership",
        "message",
        "output",
        "quorum",
        "record",
        "replay",
        "roster",
        "slot",
        "time",
    ],
    &["fragment", "outbox", "wire"],
    &[
        "acceptor",
        "announcer",
        "catch_up",
        "election",
        "fate",
        "forming",
        "forwarding",
        "hand_over",
        "learner",
        "lives",
        "patience",
        "phase_one",
        "preference",
        "proposer",
        "reads",
    ],
    &["config", "replica"],
    &["machine", "node", "trace", "transport", "wal"],
    &["sim", "udp"],
];

/// Storeys below this one are the core: no std.
pub(crate) const FIRST_WITH_STD: usize = 4;

pub(crate) const FILE_LINES_MAX: usize = 600;
pub(crate) const FUNCTION_LINES_MAX: usize = 70;
pub(crate) const COLUMNS_MAX: usize = 100;
pub(crate) const README_PROGRAM_LINES_MAX: usize = 40;
pub(crate) const INVARIANTS: usize = 10;

fn storey_of(module: &str) -> Option<usize> {
    STOREYS.iter().position(|storey| storey.contains(&module))
}

pub(crate) fn storeys(file: &File) -> Vec<String> {
    let Some(&own) = file.module().as_deref().and_then(<[_]>::first) else { return Vec::new() };
    let Some(storey) = storey_of(own) else {
        return vec![file.finding(0, format!("{own} lives on no storey"))];
    };
    let mut findings = Vec::new();
    for (line, name) in root_names(file) {
        if name.starts_with(char::is_uppercase) {
            findings.push(file.finding(line, format!("{name}: the house uses no front door")));
        }
        match storey_of(&name) {
            Some(other) if other > storey => findings.push(
                file.finding(line, format!("storey {storey} names {name} of storey {other}")),
            ),
            _ => {}
        }
    }
    let code = code_of(&file.text);
    let std_at = words_at(&code, "std").find(|at| code[at + 3..].starts_with("::"));
    if let Some(at) = std_at.filter(|_| storey < FIRST_WITH_STD && !file.is_test()) {
        findings.push(file.finding(line_of(&code, at), "the core names std"));
    }
    findings
}

/// Words that are spelt apart here, or this file would offend itself.
pub(crate) fn forbidden() -> Vec<String> {
    let halves = [
        ("comm", "itted"),
        ("deci", "ded"),
        ("FIX", "ME"),
        ("X", "XX"),
        ("TO", "DO"),
        ("todo", "!"),
        ("dbg", "!"),
        ("unimple", "mented!"),
        ("sha", "red/"),
    ];
    halves.iter().map(|(a, b)| format!("{a}{b}")).collect()
}

pub(crate) fn words(file: &File) -> Vec<String> {
    let forbidden = forbidden();
    // A name that others gave: there is no other way to take what it holds.
    let theirs = concat!("LogEntry::Deci", "ded(");
    let is_theirs = ["engine", "durable"]
        .iter()
        .any(|suite| file.path == format!("benches/peers/src/{suite}/omnipaxos.rs"));
    file.findings(|line| {
        let line = &if is_theirs { line.replace(theirs, "") } else { line.into() };
        let lower = line.to_lowercase();
        let plain = forbidden.iter().find(|word| match word.strip_suffix(['!', '/']) {
            Some(stem) => words_at(line, stem).any(|at| line[at..].starts_with(word.as_str())),
            None if word.chars().all(char::is_uppercase) => words_at(line, word).next().is_some(),
            None => words_at(&lower, word).next().is_some(),
        });
        let numbered = words_at(&lower, "issue").any(|at| {
            let rest = lower[at + 5..].trim_start_matches([' ', '#']);
            rest.len() < lower[at + 5..].len() && rest.starts_with(|c: char| c.is_ascii_digit())
        });
        match plain {
            Some(word) => Some(format!("the word {word}")),
            None => numbered.then(|| "the number of an issue".into()),
        }
    })
}

pub(crate) fn unsafe_code(file: &File) -> Vec<String> {
    // No part of the crate: a program without std needs an allocator of its own, and so does what
    // counts allocations.
    let outside = [
        "tools/no-std/src/host.rs",
        "tests/wire_memory.rs",
        "fuzz/src/allocation.rs",
        "tools/memory/src/allocation.rs",
    ];
    if !file.is_rust() || file.path == "src/wal/map.rs" || outside.contains(&&*file.path) {
        return Vec::new();
    }
    let code = code_of(&file.text);
    let offences = words_at(&code, "unsafe");
    offences.map(|at| file.finding(line_of(&code, at), "unsafe outside src/wal/map.rs")).collect()
}

pub(crate) fn features(file: &File) -> Vec<String> {
    // The last one switches a feature of another package, and is where that is switched.
    let home = ["src/lib.rs", "src/checksum.rs", "benches/peers/src/durable/mod.rs"];
    if !file.is_rust() || home.contains(&&*file.path) {
        return Vec::new();
    }
    File::new(&file.path, code_of(&file.text)).findings(|line| {
        let named = words_at(line, "feature")
            .any(|at| line[at + "feature".len()..].trim_start().starts_with('='));
        named.then(|| "a feature outside src/lib.rs and src/checksum.rs".into())
    })
}

pub(crate) fn names(file: &File) -> Vec<String> {
    let mut findings = Vec::new();
    let stem = file.path.rsplit('/').next().and_then(|name| name.strip_suffix(".rs"));
    if matches!(stem, Some("util" | "utils" | "common" | "helpers")) {
        findings.push(file.finding(0, "a name that says nothing"));
    }
    if file.is_rust() {
        // Names that others gave: what implements their traits must use them.
        let theirs: &[&str] = match file.path.as_str() {
            "benches/peers/src/engine/openraft/storage.rs" => {
                &["log_state", "log_reader", "snapshot_builder", "current_snapshot"]
            }
            "benches/peers/src/durable/openraft.rs" => &["snapshot_builder", "current_snapshot"],
            "benches/peers/src/durable/openraft/log.rs" => &["log_state", "log_reader"],
            _ => &[],
        };
        let code = File::new(&file.path, code_of(&file.text));
        findings.extend(code.findings(|line| {
            let (_, name) = line.split_once(concat!("fn ", "get_"))?;
            let name = name.split('(').next().unwrap_or_default();
            (!theirs.contains(&name)).then(|| "a getter is named for what it gets".into())
        }));
    }
    findings
}

pub(crate) fn sizes(file: &File) -> Vec<String> {
    let mut findings = Vec::new();
    let lines = file.text.lines().count();
    if lines > FILE_LINES_MAX {
        findings.push(file.finding(0, format!("{lines} lines, more than {FILE_LINES_MAX}")));
    }
    if file.is_rust() {
        findings.extend(file.findings(|line| {
            let columns = line.chars().count();
            (columns > COLUMNS_MAX).then(|| format!("{columns} columns"))
        }));
        findings.extend(long_functions(file));
    }
    findings
}

/// Functions with too many lines of code, blank lines and comments not counted.
pub(crate) fn long_functions(file: &File) -> Vec<String> {
    let code = code_of(&file.text);
    let mut findings = Vec::new();
    for start in words_at(&code, "fn") {
        let (mut braces, mut brackets, mut end) = (0, 0, None);
        if !code[start + 2..].trim_start().starts_with(|c: char| is_word_char(c)) {
            continue; // A function pointer's type.
        }
        for (i, c) in code[start..].char_indices() {
            match c {
                '(' | '[' => brackets += 1,
                ')' | ']' => brackets -= 1,
                ';' if braces == 0 && brackets == 0 => break,
                '{' => braces += 1,
                '}' => braces -= 1,
                _ => {}
            }
            if c == '}' && braces == 0 {
                end = Some(start + i);
                break;
            }
        }
        let Some(end) = end else { continue };
        let lines = code[start..end].lines().filter(|line| !line.trim().is_empty()).count();
        if lines > FUNCTION_LINES_MAX {
            let what = format!("a function of {lines} lines, more than {FUNCTION_LINES_MAX}");
            findings.push(file.finding(line_of(&code, start), what));
        }
    }
    findings
}

pub(crate) fn blanks(file: &File) -> Vec<String> {
    let mut findings = file.findings(|line| {
        let offence = line.contains('\t') || line.ends_with(char::is_whitespace);
        offence.then(|| "a tab or a trailing blank".into())
    });
    if !file.text.is_empty() && (!file.text.ends_with('\n') || file.text.ends_with("\n\n")) {
        findings.push(file.finding(file.text.lines().count(), "not one newline at the end"));
    }
    findings
}

pub(crate) fn opening(file: &File) -> Vec<String> {
    let ours = file.is_rust() && !file.path.ends_with("/tests.rs");
    let missing = ours && !file.text.starts_with("//!");
    if missing { vec![file.finding(0, "does not open with what it is for")] } else { Vec::new() }
}

pub(crate) fn links(files: &[File], exists: impl Fn(&str) -> bool) -> Vec<String> {
    let mut findings = Vec::new();
    for file in files.iter().filter(|file| file.is_markdown()) {
        let folder = file.path.rsplit_once('/').map_or("", |(folder, _)| folder);
        findings.extend(file.findings(|line| {
            line.match_indices("](").find_map(|(at, _)| {
                let target = line[at + 2..].split(')').next().unwrap_or_default();
                let path = target.split('#').next().unwrap_or_default();
                let local = !path.is_empty() && !target.contains("://");
                let missing = local && !exists(&format!("{folder}/{path}"));
                missing.then(|| format!("a link to {target}, which is not there"))
            })
        }));
    }
    findings
}

/// Which files count for a rule.
type Among = fn(&File) -> bool;

pub(crate) fn invariants(files: &[File]) -> Vec<String> {
    let places: [(&str, Among); 3] = [
        ("src", |file| file.path.starts_with("src/") && !file.is_test()),
        ("tests", |file| file.is_test() && !file.path.starts_with("tests/tidy/")),
        ("docs/PROTOCOL.md", |file| file.path == "docs/PROTOCOL.md"),
    ];
    let mut findings = Vec::new();
    for name in (1..=INVARIANTS).map(|i| format!("I{i}")) {
        for (place, among) in places {
            let mut cited = files.iter().filter(|file| among(file));
            if !cited.any(|file| words_at(&file.text, &name).next().is_some()) {
                findings.push(format!("{name} is cited nowhere in {place}"));
            }
        }
    }
    findings
}

pub(crate) fn mentions(files: &[File]) -> Vec<String> {
    let documents: String =
        files.iter().filter(|file| file.is_markdown()).map(|file| file.text.as_str()).collect();
    let program = |file: &File| {
        let inside =
            ["examples/", "benches/"].iter().find_map(|dir| file.path.strip_prefix(dir))?;
        inside.strip_suffix("/main.rs").or(inside.strip_suffix(".rs")).map(str::to_owned)
    };
    let nowhere = |name: &String| !name.contains('/') && !documents.contains(name.as_str());
    let missing = files.iter().filter_map(program).filter(nowhere);
    missing.map(|name| format!("{name} is named in no document")).collect()
}

/// What a reader sees of the example: all but the lines that say what the file is.
fn shown(example: &str) -> String {
    let lines = example.lines().filter(|line| !line.starts_with("//!"));
    lines.flat_map(|line| [line, "\n"]).collect::<String>().trim().to_owned()
}

/// The README with the example as its first program.
pub(crate) fn with_program(readme: &str, example: &str) -> Option<String> {
    let (before, rest) = readme.split_once("```rust")?;
    let (attributes, rest) = rest.split_once('\n')?;
    let (_, after) = rest.split_once("```")?;
    Some(format!("{before}```rust{attributes}\n{}\n```{after}", shown(example)))
}

/// The README's first program must be the example, and short.
pub(crate) fn program(readme: &str, example: &str) -> Vec<String> {
    let Some(wanted) = with_program(readme, example) else {
        return vec!["README.md: has no program".into()];
    };
    let mut findings = Vec::new();
    if readme != wanted {
        findings.push("README.md: its program is not examples/embed.rs; see REWRITE".into());
    }
    let lines = shown(example).lines().count();
    if lines > README_PROGRAM_LINES_MAX {
        findings.push(format!("examples/embed.rs: a program of {lines} lines"));
    }
    findings
}

/// The table of storeys in ARCHITECTURE.md: rows of a number and module names in backquotes.
pub(crate) fn table(architecture: &str) -> Vec<String> {
    let mut shown: BTreeMap<usize, Vec<&str>> = BTreeMap::new();
    for line in architecture.lines() {
        let mut cells = line.trim_matches('|').split('|').map(str::trim);
        let (Some(Ok(storey)), Some(modules)) =
            (cells.next().map(str::parse), cells.next().filter(|cell| cell.starts_with('`')))
        else {
            continue;
        };
        let mut names: Vec<&str> = modules.split('`').skip(1).step_by(2).collect();
        names.sort_unstable();
        shown.insert(storey, names);
    }
    let differs = |storey: &usize| shown.get(storey).map(Vec::as_slice) != Some(STOREYS[*storey]);
    let wrong = (0..STOREYS.len()).filter(differs);
    wrong
        .map(|storey| format!("ARCHITECTURE.md: storey {storey} differs from the test's"))
        .collect()
}
