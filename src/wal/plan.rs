//! Where each record of the log is read from: ranges of numbers, each with its best source.

use alloc::vec::Vec;

use crate::record::Lsn;

/// Records `first` to `last`, and which stretch of which segment they are read from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Span {
    pub(super) first: Lsn,
    pub(super) last: Lsn,
    /// The segment, by its place in the chain.
    pub(super) segment: usize,
    /// The stretch, by its place in the segment.
    pub(super) stretch: usize,
    pub(super) whole: bool,
}

impl Span {
    /// What of this span lies outside the other.
    fn without(self, other: &Self) -> impl Iterator<Item = Self> {
        let before = Self { last: self.last.min(Lsn(other.first.0.saturating_sub(1))), ..self };
        let after = Self { first: self.first.max(other.last.next()), ..self };
        [before, after].into_iter().filter(|part| part.first <= part.last)
    }

    fn overlaps(&self, other: &Self) -> bool {
        self.first <= other.last && other.first <= self.last
    }
}

/// Spans that do not overlap, by their numbers.
#[derive(Clone, Debug, Default)]
pub(super) struct Plan {
    spans: Vec<Span>,
}

impl Plan {
    /// Takes a span of a later place in the log: it replaces what overlaps, but a damaged span
    /// never replaces a whole one.
    pub(super) fn add(&mut self, span: Span) {
        if self.spans.last().is_none_or(|last| last.last < span.first) {
            self.spans.push(span);
            return;
        }
        let mut parts = alloc::vec![span];
        if !span.whole {
            for kept in self.spans.iter().filter(|kept| kept.whole) {
                parts = parts.into_iter().flat_map(|part| part.without(kept)).collect();
            }
        }
        for part in parts {
            let (over, mut spans): (Vec<Span>, Vec<Span>) =
                self.spans.iter().partition(|kept| kept.overlaps(&part));
            spans.extend(over.into_iter().flat_map(|kept| kept.without(&part)));
            spans.push(part);
            spans.sort_unstable_by_key(|kept| kept.first);
            self.spans = spans;
        }
    }

    /// Voids every record above `lsn`.
    pub(super) fn seal(&mut self, lsn: Lsn) {
        self.spans.retain_mut(|span| {
            span.last = span.last.min(lsn);
            span.first <= span.last
        });
    }

    pub(super) fn spans(&self) -> &[Span] {
        &self.spans
    }
}

#[cfg(test)]
mod tests;
