//! When a leader tells what is chosen in a message of its own.
//!
//! Its Accepts and Heartbeats tell it, too. But when commands stop coming, the followers would
//! learn of the last ones only by the next Heartbeat. So a leader that has told nothing for a while
//! sends an Announcement. Nobody answers it, and while commands keep coming none is needed.

use core::time::Duration;

use crate::output::Timer;
use crate::slot::Slot;
use crate::time::Instant;

/// Which part of the heartbeat interval a leader waits.
const PARTS: u32 = 8;

/// What a leader has told, and when it should tell more.
#[derive(Clone, Debug)]
pub(crate) struct Announcer {
    after: Duration,
    /// The highest chosen mark that was told to all others, and when one was told last.
    told: Slot,
    told_at: Instant,
    /// When to look. Later marks do not move it: whoever waits for it is woken seldom.
    look_at: Option<Instant>,
}

impl Announcer {
    /// Nothing was told yet.
    #[must_use]
    pub(crate) fn new(heartbeat: Duration, now: Instant) -> Self {
        Self { after: heartbeat / PARTS, told: Slot::ZERO, told_at: now, look_at: None }
    }

    /// Hears that a message to all others tells this mark.
    pub(crate) fn note_told(&mut self, now: Instant, chosen: Slot) {
        self.told = self.told.max(chosen);
        self.told_at = now;
    }

    /// Hears how far the log is chosen, as this leader knows.
    pub(crate) fn note_chosen(&mut self, now: Instant, chosen: Slot) {
        if self.look_at.is_none() && chosen > self.told {
            self.look_at = Some(now.after(self.after));
        }
    }

    /// Whether to announce the mark now.
    #[must_use]
    pub(crate) fn on_tick(&mut self, now: Instant, chosen: Slot) -> bool {
        if self.look_at.is_none_or(|at| now < at) {
            return false;
        }
        self.look_at = None;
        if chosen <= self.told {
            return false;
        }
        let due = self.told_at.after(self.after);
        if now < due {
            self.look_at = Some(due);
            return false;
        }
        self.note_told(now, chosen);
        true
    }

    /// Hears that this replica no longer leads.
    pub(crate) fn on_stop(&mut self) {
        self.look_at = None;
    }

    /// When to look next.
    #[must_use]
    pub(crate) fn wake(&self) -> Option<(Instant, Timer)> {
        self.look_at.map(|at| (at, Timer::Announcement))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEARTBEAT: Duration = Duration::from_millis(80);

    fn announcer() -> Announcer {
        Announcer::new(HEARTBEAT, Instant::ZERO)
    }

    fn look_at(announcer: &Announcer) -> Option<u64> {
        announcer.wake().map(|(at, _)| at.as_micros() / 1000)
    }

    #[test]
    fn a_mark_that_no_accept_tells_is_told_once() {
        let mut announcer = announcer();
        announcer.note_chosen(Instant::from_millis(100), Slot(5));
        assert_eq!(look_at(&announcer), Some(110));
        assert!(!announcer.on_tick(Instant::from_millis(109), Slot(5)));
        assert!(announcer.on_tick(Instant::from_millis(110), Slot(6)), "what is known by then");
        announcer.note_chosen(Instant::from_millis(111), Slot(6));
        assert_eq!(look_at(&announcer), None);
    }

    #[test]
    fn a_leader_that_goes_on_proposing_announces_nothing() {
        let mut announcer = announcer();
        for round in 1..100 {
            let now = Instant::from_millis(round);
            assert!(!announcer.on_tick(now, Slot(round)));
            announcer.note_told(now, Slot(round));
            announcer.note_chosen(now, Slot(round + 1));
        }
        let last = Instant::from_millis(99);
        assert!(!announcer.on_tick(last, Slot(100)));
        assert_eq!(look_at(&announcer), Some(101));
        assert!(!announcer.on_tick(Instant::from_millis(101), Slot(100)));
        assert_eq!(look_at(&announcer), Some(109), "an eighth of the interval after the last word");
        assert!(announcer.on_tick(Instant::from_millis(109), Slot(100)));
    }

    #[test]
    fn what_was_told_meanwhile_is_not_announced() {
        let mut announcer = announcer();
        announcer.note_chosen(Instant::ZERO, Slot(1));
        announcer.note_told(Instant::from_millis(5), Slot(1));
        assert!(!announcer.on_tick(Instant::from_millis(10), Slot(1)));
        assert_eq!(look_at(&announcer), None);
        announcer.note_chosen(Instant::from_millis(20), Slot(2));
        announcer.on_stop();
        assert!(!announcer.on_tick(Instant::from_millis(40), Slot(2)));
    }
}
