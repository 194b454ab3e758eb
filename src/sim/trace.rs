//! What a run did: a running hash of everything, and the last lines as text when somebody looks.

use core::hash::{Hash, Hasher};
use std::collections::VecDeque;
use std::string::String;
use std::vec::Vec;

use crate::entry::Entry;

/// How many lines of text a trace keeps, unless it is to keep all.
const LINES_MAX: usize = 200;

/// A hasher whose sums are the same on every machine: integers go in as little-endian 64 bits.
#[derive(Clone, Debug)]
pub(crate) struct Fingerprint(u64);

impl Fingerprint {
    pub(crate) fn new() -> Self {
        Self(0x9e37_79b9_7f4a_7c15)
    }

    fn mix(&mut self, word: u64) {
        self.0 = (self.0.rotate_left(23) ^ word).wrapping_mul(0xff51_afd7_ed55_8ccd);
    }
}

impl Hasher for Fingerprint {
    fn write(&mut self, bytes: &[u8]) {
        let (words, rest) = bytes.as_chunks();
        for word in words {
            self.mix(u64::from_le_bytes(*word));
        }
        if !rest.is_empty() {
            let mut word = [0; 8];
            word[..rest.len()].copy_from_slice(rest);
            self.mix(u64::from_le_bytes(word));
        }
        self.mix(bytes.len() as u64);
    }
    fn write_u8(&mut self, word: u8) {
        self.mix(u64::from(word));
    }
    fn write_u16(&mut self, word: u16) {
        self.mix(u64::from(word));
    }
    fn write_u32(&mut self, word: u32) {
        self.mix(u64::from(word));
    }
    fn write_u64(&mut self, word: u64) {
        self.mix(word);
    }
    fn write_usize(&mut self, word: usize) {
        self.mix(word as u64);
    }
    fn write_isize(&mut self, word: isize) {
        self.mix(word as u64);
    }
    fn finish(&self) -> u64 {
        let folded = (self.0 ^ (self.0 >> 32)).wrapping_mul(0xc4ce_b9fe_1a85_ec53);
        folded ^ (folded >> 29)
    }
}

/// The fingerprint of an entry's bytes.
pub(crate) fn fingerprint(entry: &Entry) -> u64 {
    fingerprint_bytes(entry.payload())
}

/// The fingerprint of bytes.
pub(crate) fn fingerprint_bytes(bytes: &[u8]) -> u64 {
    let mut hasher = Fingerprint::new();
    hasher.write(bytes);
    hasher.finish()
}

/// The hash so far, and text if it is wanted.
#[derive(Clone, Debug)]
pub(crate) struct Trace {
    hasher: Fingerprint,
    lines: Option<VecDeque<String>>,
    lines_max: usize,
}

impl Trace {
    /// A trace that keeps its last lines as text if `text`.
    pub(crate) fn new(text: bool) -> Self {
        Self { hasher: Fingerprint::new(), lines: text.then(VecDeque::new), lines_max: LINES_MAX }
    }

    /// Hashes the item.
    pub(crate) fn add(&mut self, item: impl Hash) {
        item.hash(&mut self.hasher);
    }

    /// Whether text is wanted.
    pub(crate) fn is_text(&self) -> bool {
        self.lines.is_some()
    }

    /// Keeps the line, if text is wanted.
    pub(crate) fn line(&mut self, line: impl FnOnce() -> String) {
        if let Some(lines) = &mut self.lines {
            if lines.len() >= self.lines_max {
                lines.pop_front();
            }
            lines.push_back(line());
        }
    }

    /// From now on no line is forgotten before it is taken.
    pub(crate) fn keep_all(&mut self) {
        self.lines_max = usize::MAX;
    }

    /// Takes the lines since they were taken last.
    pub(crate) fn take_lines(&mut self) -> Vec<String> {
        self.lines.iter_mut().flat_map(core::mem::take).collect()
    }

    /// The hash of everything so far.
    pub(crate) fn hash(&self) -> u64 {
        self.hasher.finish()
    }

    /// The last lines.
    pub(crate) fn lines(&self) -> Vec<String> {
        let lines = self.lines.iter().flatten();
        lines.skip(self.lines.iter().flatten().count().saturating_sub(LINES_MAX)).cloned().collect()
    }
}
