//! What a replica does when time passes, and when it wants to be woken.

use core::time::Duration;

use crate::ballot::Ballot;
use crate::election::Verdict;
use crate::membership::Replicas;
use crate::output::Timer;
use crate::replica::Replica;
use crate::slot::{ALPHA, Slots};
use crate::time::Instant;

/// After how many election timeouts without a chosen slot a leader gives up.
pub(super) const STUCK_TIMEOUTS: u32 = 100;

/// The same for a leader whose log has lost a recently chosen entry, and that nobody has given it.
const STUCK_WITH_HOLE_TIMEOUTS: u32 = 4;

/// How many bytes of entries one tick sends again.
const RESEND_BYTES: usize = 1 << 20;

impl Replica {
    pub(super) fn on_election(&mut self, now: Instant) {
        let Some(membership) = &self.membership else { return };
        let ballot = self.proposer.leading();
        let (before, announcement) = (self.election.sequence(), || self.learner.announcement());
        let verdict = self.election.on_tick(now, ballot, announcement, membership, &mut self.out);
        if ballot.is_some() && self.election.sequence() > before {
            self.announcer.note_told(now, self.learner.chosen());
        }
        self.obey(now, verdict);
    }

    pub(super) fn obey(&mut self, now: Instant, verdict: Verdict) {
        match verdict {
            Verdict::Stay => {}
            Verdict::StepDown => self.stop_leading(),
            Verdict::Prepare { above } => self.prepare(now, above),
        }
    }

    /// Tells what is chosen, if nothing else has told it for a while.
    pub(super) fn on_announcement(&mut self, now: Instant) {
        let Some(membership) = &self.membership else { return };
        if self.announcer.on_tick(now, self.learner.chosen()) {
            let others = membership.others(self.me.replica);
            self.out.send(others, self.learner.announcement());
        }
    }

    /// Shows the others that this replica leads at the ballot, and returns the sign's number.
    pub(super) fn send_heartbeat(&mut self, ballot: Ballot) -> Option<u64> {
        let membership = self.membership.as_ref()?;
        let (now, announcement) = (self.now, self.learner.announcement());
        self.announcer.note_told(now, announcement.chosen);
        let out = &mut self.out;
        Some(self.election.send_heartbeat(now, ballot, announcement, membership, out))
    }

    pub(super) fn on_resend(&mut self, now: Instant) {
        if self.give_up_stuck(now) {
            return;
        }
        self.resend_at = Some(now.after(self.election.repeat_after()));
        let Some(membership) = &self.membership else { return };
        let announcement = self.learner.announcement();
        let Some(ballot) = self.proposer.ballot() else {
            self.resend_at = None;
            return;
        };
        let voted = |slot, replica| {
            self.learner.learned(slot).is_some()
                || membership.has_voted(self.learner.voters(slot, ballot), replica)
        };
        self.proposer.send_again(voted, &announcement, RESEND_BYTES, membership, &mut self.out);
        self.take_over(true);
    }

    /// A leader whose heartbeats are answered but whose proposals never are, say because long
    /// frames are lost, lets another one try. So does one whose log has lost a chosen entry that
    /// nobody may have learned yet: phase 1 of another one finds it where it was accepted.
    pub(super) fn give_up_stuck(&mut self, now: Instant) -> bool {
        let chosen = self.learner.chosen();
        // A leader whose disk hangs proposes nothing any more, so what it queues counts too.
        let idle = self.proposer.open_slots() == 0
            && !self.has_work()
            && self.proposer.free_from().is_some_and(|free| free <= chosen);
        let recent = |hole: &Slots| hole.end.plus(ALPHA) > chosen;
        let lost = self.learner.holes().iter().any(recent);
        if ((idle || chosen > self.moved.0) && !lost) || self.proposer.leading().is_none() {
            self.moved = (chosen, now);
        }
        let timeouts = if lost { STUCK_WITH_HOLE_TIMEOUTS } else { STUCK_TIMEOUTS };
        let stuck = now.since(self.moved.1) >= self.config.election_timeout * timeouts;
        if stuck {
            self.stop_leading();
            self.election.on_stuck(now);
        }
        stuck
    }

    pub(super) fn on_catch_up(&mut self) {
        if self.is_disk_busy() {
            return;
        }
        let missing = self.learner.missing(self.catch_up.highest());
        let hole = self.learner.holes().first().copied();
        let members = self.membership.as_ref();
        let others = members.map_or(Replicas::default(), |members| members.others(self.me.replica));
        self.catch_up.on_tick(self.learner.chosen(), missing, hole, others, &mut self.out);
    }

    pub(super) fn wake(&self) -> Option<(Instant, Timer)> {
        if self.halted.is_some() {
            return None;
        }
        if self.membership.is_none() {
            return Some((self.tick_at, Timer::Forming));
        }
        let sooner = |one: (Instant, Timer), other: (Instant, Timer)| {
            if other.0 < one.0 { other } else { one }
        };
        let mut first = sooner((self.tick_at, Timer::CatchUp), self.election.wake());
        if let Some(at) = self.resend_at {
            first = sooner(first, (at, Timer::Resend));
        }
        Some(self.announcer.wake().map_or(first, |wake| sooner(first, wake)))
    }

    pub(super) fn tick_interval(&self) -> Duration {
        self.config.heartbeat
    }
}
