//! Which part of a run is drawn.

use synod::sim::{Happened, Occurrence};
use synod::time::Instant;

/// Which part of a run is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Choice {
    /// The first events; or, if the run broke a claim, the last ones before that.
    Events(usize),
    /// What happened between these times of the cluster, in milliseconds, both included.
    Millis {
        /// The first.
        from: u64,
        /// The last.
        to: u64,
    },
}

/// A part of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Window {
    pub(crate) start: Instant,
    /// Belongs to it.
    pub(crate) end: Instant,
    /// The number of its first event, from 1.
    pub(crate) first: usize,
    /// How many events it has.
    pub(crate) events: usize,
    /// How many events the run has.
    pub(crate) of: usize,
}

impl Window {
    pub(crate) fn contains(&self, time: Instant) -> bool {
        (self.start..=self.end).contains(&time)
    }
}

/// Whether it counts as an event: what became of a message belongs to its sending.
fn is_event(one: &Occurrence) -> bool {
    match one.what {
        Happened::Arrived { message, .. } => message == 0,
        Happened::Lost { .. } | Happened::SyncBegan { .. } => false,
        _ => true,
    }
}

impl Choice {
    /// The part of this run that is meant.
    pub(crate) fn window(self, occurrences: &[Occurrence]) -> Result<Window, String> {
        let events: Vec<&Occurrence> = occurrences.iter().filter(|one| is_event(one)).collect();
        let (start, end) = match self {
            Self::Events(count) => {
                let broken =
                    events.last().is_some_and(|one| matches!(one.what, Happened::Broken { .. }));
                let from = if broken { events.len().saturating_sub(count) } else { 0 };
                let some = &events[from..(from + count).min(events.len())];
                let (Some(first), Some(last)) = (some.first(), some.last()) else {
                    return Err(String::from("nothing happened in this run"));
                };
                (first.time, last.time)
            }
            Self::Millis { from, to } => {
                let end = to.saturating_mul(1000).saturating_add(999);
                (Instant::from_millis(from), Instant::from_micros(end))
            }
        };
        let inside = |one: &&&Occurrence| (start..=end).contains(&one.time);
        let first = events.iter().position(|one| inside(&one)).map_or(0, |at| at + 1);
        let count = events.iter().filter(inside).count();
        if count == 0 {
            let last = events.last().map_or(Instant::ZERO, |one| one.time);
            return Err(format!("nothing happened from {start} to {end}; the run ends at {last}"));
        }
        Ok(Window { start, end, first, events: count, of: events.len() })
    }
}
