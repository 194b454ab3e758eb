//! What the clients did to each key: recorded as it happens, and handed to the checker as soon as a
//! key has had enough.
//!
//! Only a few keys are in use at a time, so that clients meet on them, and each for so few
//! operations that its whole history can be checked. Most are checked and forgotten while the run
//! goes on; some are kept, to be read once more through every replica when all is over.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::Mutex;
use std::sync::mpsc::{Receiver, SyncSender};

use synod::sim::Random;

use super::checker::{self, Action, Operation, Outcome, POINTS_MAX, Verdict};
use super::findings::Findings;
use super::random;

/// How many keys are in use at a time.
const KEYS_IN_USE: usize = 6;

/// After how many operations with a possible effect a key has had enough. What is on its way then
/// still comes, and the last reads.
const ENOUGH: usize = 72;

/// The same with the refused operations. They cost nothing to check, but are kept.
const ENOUGH_REFUSED: usize = 600;

/// Of how many keys one is kept for the last reads, and how many at the most.
const KEPT_OF: u64 = 16;
const KEPT_MAX: usize = 400;

/// A key, with all that was done to it.
#[derive(Debug)]
pub(crate) struct Key {
    pub(crate) number: u64,
    pub(crate) operations: Vec<Operation>,
    /// How many operations have no outcome yet.
    pending: usize,
    refused: usize,
}

/// An operation that has begun.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Token {
    pub(crate) key: u64,
    index: usize,
}

/// The histories of all keys that are not forgotten.
#[derive(Debug)]
pub(crate) struct Histories {
    keys: Mutex<Keys>,
    finished: SyncSender<Key>,
}

#[derive(Debug, Default)]
struct Keys {
    in_use: Vec<u64>,
    /// Those in use, and those that still wait for an answer or for the last reads.
    all: BTreeMap<u64, Key>,
    next: u64,
    kept: usize,
}

/// The key's name for the servers.
pub(crate) fn key_name(number: u64) -> String {
    format!("key:{number}")
}

/// The text of a value: its number, and more behind it, so that the sizes differ and a value that
/// was cut or mixed up is known.
pub(crate) fn value_text(value: u64) -> String {
    let rest = usize::try_from(value % 97).unwrap_or(0);
    format!("{value}:{}", "v".repeat(rest))
}

/// The value of a text, if it is the text of one.
pub(crate) fn value_of(text: &[u8]) -> Option<u64> {
    let text = std::str::from_utf8(text).ok()?;
    let value = text.split(':').next()?.parse().ok()?;
    (value_text(value) == text).then_some(value)
}

impl Histories {
    /// No history yet. Keys that have had enough go to the other end of `finished`.
    pub(crate) fn new(finished: SyncSender<Key>) -> Self {
        let mut keys = Keys::default();
        for _ in 0..KEYS_IN_USE {
            let number = keys.open();
            keys.in_use.push(number);
        }
        Self { keys: Mutex::new(keys), finished }
    }

    /// An operation begins, on one of the keys in use: it is about to be sent.
    pub(crate) fn begin(&self, random: &mut Random, operation: Operation) -> Token {
        let mut keys = self.keys();
        let at = random::place(random, KEYS_IN_USE);
        let mut number = keys.in_use[at];
        let enough = |key: &Key| {
            key.operations.len() - key.refused >= ENOUGH || key.operations.len() >= ENOUGH_REFUSED
        };
        let mut finished = None;
        if keys.all.get(&number).is_some_and(enough) {
            finished = keys.close(number);
            number = keys.open();
            keys.in_use[at] = number;
        }
        let key = keys.all.entry(number).or_insert_with(|| Key::new(number));
        key.operations.push(operation);
        key.pending += 1;
        let index = key.operations.len() - 1;
        drop(keys);
        self.hand_over(finished);
        Token { key: number, index }
    }

    /// What became of an operation.
    pub(crate) fn end(&self, token: Token, outcome: Outcome) {
        let mut keys = self.keys();
        let Some(key) = keys.all.get_mut(&token.key) else { return };
        key.operations[token.index].outcome = outcome;
        key.pending -= 1;
        key.refused += usize::from(outcome == Outcome::Never);
        let finished = if keys.in_use.contains(&token.key) { None } else { keys.close(token.key) };
        drop(keys);
        self.hand_over(finished);
    }

    /// The keys that are still there, once nothing is under way.
    pub(crate) fn numbers(&self) -> Vec<u64> {
        self.keys().all.keys().copied().collect()
    }

    /// Adds one of the last reads.
    pub(crate) fn add(&self, number: u64, operation: Operation) {
        if let Some(key) = self.keys().all.get_mut(&number) {
            key.operations.push(operation);
        }
    }

    /// Hands over every key that is left.
    pub(crate) fn finish(self) {
        let keys = self.keys.into_inner().unwrap_or_default();
        for key in keys.all.into_values() {
            // If the checker is gone, its thread has failed, which whoever joins it tells.
            let _ = self.finished.send(key);
        }
    }

    fn hand_over(&self, key: Option<Key>) {
        if let Some(key) = key {
            let _ = self.finished.send(key);
        }
    }

    fn keys(&self) -> std::sync::MutexGuard<'_, Keys> {
        self.keys.lock().expect("nobody panics with the histories")
    }
}

impl Keys {
    /// A new key.
    fn open(&mut self) -> u64 {
        self.next += 1;
        self.all.insert(self.next, Key::new(self.next));
        self.next
    }

    /// Takes a key out that nobody uses any more, unless it is kept or waits for an answer.
    fn close(&mut self, number: u64) -> Option<Key> {
        if self.all.get(&number)?.pending > 0 {
            return None;
        }
        if number.is_multiple_of(KEPT_OF) && self.kept < KEPT_MAX {
            self.kept += 1;
            return None;
        }
        self.all.remove(&number)
    }
}

impl Key {
    pub(crate) fn new(number: u64) -> Self {
        Self { number, operations: Vec::new(), pending: 0, refused: 0 }
    }
}

/// What came of the checks.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Checked {
    pub(crate) keys: u64,
    pub(crate) operations: u64,
    /// Keys whose search grew too long.
    pub(crate) open: u64,
}

/// Checks keys until no more come.
pub(crate) fn check_all(keys: &Receiver<Key>, findings: &Findings) -> Checked {
    let mut checked = Checked::default();
    for key in keys {
        checked.keys += 1;
        checked.operations += key.operations.len() as u64;
        match checker::check(&key.operations, POINTS_MAX) {
            Verdict::Linearizable => {}
            Verdict::Not => findings.report(describe(&key)),
            Verdict::Open => checked.open += 1,
        }
    }
    checked
}

/// A key whose history is not linearizable, for people.
pub(crate) fn describe(key: &Key) -> String {
    let mut operations = checker::smallest(&key.operations);
    operations.sort_by_key(|one| one.sent);
    let name = key_name(key.number);
    let mut text = format!(
        "{name}: no order of its operations explains what was found; these of {} are enough:",
        key.operations.len()
    );
    for one in &operations {
        let action = match one.action {
            Action::Read => format!("GET {name}"),
            Action::Write(value) => format!("SET {name} {value}"),
            Action::Exchange(value) => format!("GETSET {name} {value}"),
        };
        let value = |found: Option<u64>| found.map_or("nil".to_owned(), |value| value.to_string());
        let (at, answer) = match (one.outcome, one.action) {
            (Outcome::Answered { at, .. }, Action::Write(_)) => (seconds(at), "OK".to_owned()),
            (Outcome::Answered { at, found }, _) => (seconds(at), value(found)),
            (Outcome::Never, _) => ("".to_owned(), "refused".to_owned()),
            (Outcome::Unknown, _) => ("".to_owned(), "unknown".to_owned()),
        };
        let (sent, connection) = (seconds(one.sent), one.connection);
        // Writing to a string cannot fail.
        let _ = write!(
            text,
            "\n    {sent:>12} .. {at:>12}  connection {connection:<4} #{:<5} {action} -> {answer}",
            one.order
        );
    }
    text
}

fn seconds(time: super::clock::Time) -> String {
    format!("{:.6} s", time.as_secs_f64())
}
