//! Reads the project's files as text, Rust without its comments and literals.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};

pub(crate) struct File {
    pub(crate) path: String,
    pub(crate) text: String,
}

impl File {
    pub(crate) fn new(path: &str, text: impl Into<String>) -> Self {
        Self { path: path.into(), text: text.into() }
    }

    pub(crate) fn is_rust(&self) -> bool {
        self.path.ends_with(".rs")
    }

    pub(crate) fn is_markdown(&self) -> bool {
        self.path.ends_with(".md")
    }

    pub(crate) fn is_test(&self) -> bool {
        self.path.starts_with("tests/")
            || self.path.ends_with("/tests.rs")
            || self.path.contains("/tests/")
    }

    /// The names of the modules that lead to this file of the library; empty for lib.rs.
    pub(crate) fn module(&self) -> Option<Vec<&str>> {
        let inside = self.path.strip_prefix("src/")?.strip_suffix(".rs")?;
        let mut names: Vec<&str> = inside.split('/').collect();
        if matches!(names.last(), Some(&("mod" | "lib"))) {
            names.pop();
        }
        Some(names)
    }

    pub(crate) fn finding(&self, line: usize, what: impl std::fmt::Display) -> String {
        format!("{}:{}: {what}", self.path, line + 1)
    }

    pub(crate) fn findings(&self, offends: impl Fn(&str) -> Option<String>) -> Vec<String> {
        let lines = self.text.lines().enumerate();
        lines.filter_map(|(i, line)| Some(self.finding(i, offends(line)?))).collect()
    }
}

/// Where the tree is that is read: this one, unless another is named to see the rules find things.
pub(crate) fn root() -> PathBuf {
    env::var_os("TIDY_ROOT").map_or_else(|| env!("CARGO_MANIFEST_DIR").into(), PathBuf::from)
}

/// Every text file of the project.
pub(crate) fn tree() -> Vec<File> {
    pub(crate) fn walk(root: &Path, directory: &Path, files: &mut Vec<File>) {
        for entry in fs::read_dir(directory).expect("a directory of the project is readable") {
            let path = entry.expect("a directory entry is readable").path();
            let name = path.file_name().and_then(|n| n.to_str()).unwrap_or_default();
            if path.is_dir() && !matches!(name, "target" | ".git" | "corpora" | "golden") {
                walk(root, &path, files);
            }
            let known = [".rs", ".md", ".toml", ".sh"].iter().any(|end| name.ends_with(end));
            if path.is_file() && (known || path.ends_with(".ci/run")) {
                let inside = path.strip_prefix(root).expect("walked from the root");
                let text = fs::read_to_string(&path).expect("sources are UTF-8");
                files.push(File::new(&inside.to_string_lossy(), text));
            }
        }
    }
    let mut files = Vec::new();
    walk(&root(), &root(), &mut files);
    files.sort_by(|a, b| a.path.cmp(&b.path));
    assert!(files.iter().any(|file| file.path == "src/lib.rs"), "the walk found the sources");
    files
}

/// The code without its comments and without what its literals hold; lines stay where they are.
pub(crate) fn code_of(text: &str) -> String {
    let chars: Vec<char> = text.chars().collect();
    let at = |i: usize| chars.get(i).copied().unwrap_or('\0');
    let (mut code, mut i) = (String::with_capacity(text.len()), 0);
    while i < chars.len() {
        let end = literal_or_comment_end(&chars, i);
        if end > i {
            code.extend(chars[i..end].iter().map(|c| if *c == '\n' { '\n' } else { ' ' }));
            i = end;
        } else {
            code.push(at(i));
            i += 1;
        }
    }
    code
}

/// Where the comment or literal that begins at `start` ends; `start` if none begins there.
pub(crate) fn literal_or_comment_end(chars: &[char], start: usize) -> usize {
    let at = |i: usize| chars.get(i).copied().unwrap_or('\0');
    let find = |from: usize, end: &[char]| {
        let found = (from..chars.len()).find(|i| chars[*i..].starts_with(end));
        found.map_or(chars.len(), |i| i + end.len())
    };
    let in_word = start > 0 && (at(start - 1).is_alphanumeric() || at(start - 1) == '_');
    match (at(start), at(start + 1)) {
        ('/', '/') => find(start, &['\n']).saturating_sub(1),
        ('/', '*') => find(start + 2, &['*', '/']),
        ('"', _) => {
            let mut i = start + 1;
            while i < chars.len() && at(i) != '"' {
                i += if at(i) == '\\' { 2 } else { 1 };
            }
            (i + 1).min(chars.len())
        }
        ('r', '"' | '#') if !in_word => {
            let hashes = chars[start + 1..].iter().take_while(|c| **c == '#').count();
            if at(start + 1 + hashes) != '"' {
                return start;
            }
            let end: Vec<char> = std::iter::once('"').chain(vec!['#'; hashes]).collect();
            find(start + 2 + hashes, &end)
        }
        ('\'', '\\') => find(start + 3, &['\'']),
        ('\'', _) if at(start + 2) == '\'' => start + 3,
        _ => start,
    }
}

pub(crate) fn is_word_char(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// Byte offsets at which `word` stands in `text` as a word of its own.
pub(crate) fn words_at<'a>(text: &'a str, word: &'a str) -> impl Iterator<Item = usize> + 'a {
    text.match_indices(word).map(|(i, _)| i).filter(move |i| {
        let before = text[..*i].chars().next_back().is_none_or(|c| !is_word_char(c));
        let after = text[i + word.len()..].chars().next().is_none_or(|c| !is_word_char(c));
        before && after
    })
}

pub(crate) fn line_of(text: &str, offset: usize) -> usize {
    text[..offset].matches('\n').count()
}

/// The first names of a path or of each path of a `{..}` group that `rest` begins with.
pub(crate) fn first_names(rest: &str) -> Vec<&str> {
    let word = |text: &str| text.find(|c| !is_word_char(c)).unwrap_or(text.len());
    let Some(group) = rest.strip_prefix('{') else { return vec![&rest[..word(rest)]] };
    let (mut names, mut depth, mut fresh) = (Vec::new(), 0, true);
    for (i, c) in group.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth == 0 => break,
            '}' => depth -= 1,
            ',' if depth == 0 => fresh = true,
            _ if fresh && is_word_char(c) => {
                names.push(&group[i..i + word(&group[i..])]);
                fresh = false;
            }
            _ => {}
        }
    }
    names
}

/// What the file names at the root of the crate: the line, and the name.
pub(crate) fn root_names(file: &File) -> Vec<(usize, String)> {
    let (Some(module), code) = (file.module(), code_of(&file.text)) else { return Vec::new() };
    let climb = "super::".repeat(module.len().max(1));
    let mut found = Vec::new();
    for prefix in ["crate::", climb.as_str()] {
        for at in words_at(&code, prefix.trim_end_matches("::")) {
            let Some(rest) = code[at..].strip_prefix(prefix) else { continue };
            let names = first_names(rest.trim_start());
            found.extend(names.into_iter().map(|name| (line_of(&code, at), name.to_owned())));
        }
    }
    found
}
