//! Which replica should rather lead: a leader hands over to a follower of higher priority, once
//! that has answered without a pause for a while and is not behind.
//!
//! Liveness only. A preferred replica may be unable to keep what it is given, say because it
//! reaches the leader and nobody else. So after each that has led and soon lost its place, or was
//! handed a place and did not take it, all of them must wait far longer, until it once leads for
//! longer than that. Every replica keeps that account by what it sees, since the
//! next leader may be any.

use alloc::collections::BTreeMap;
use core::time::Duration;

use crate::membership::ReplicaId;
use crate::time::Instant;

/// For how many election timeouts a preferred replica must answer without a pause.
const STEADY_TIMEOUTS: u32 = 4;

/// The same after it has failed: so rarely that what cannot succeed disturbs nobody.
const AGAIN_TIMEOUTS: u32 = 256;

/// What is known of another member.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
struct Other {
    priority: u8,
    /// Since when it has answered this leader without a pause, and the last time.
    steady: Option<(Instant, Instant)>,
    /// How often in a row it lost its place soon, or did not take it.
    failures: u32,
}

/// Who should rather lead than this replica.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Preference {
    priority: u8,
    timeout: Duration,
    others: BTreeMap<ReplicaId, Other>,
    /// Who leads, and since when.
    reign: Option<(ReplicaId, Instant)>,
}

impl Preference {
    /// Nothing is known of the others.
    #[must_use]
    pub(crate) fn new(priority: u8, timeout: Duration) -> Self {
        Self { priority, timeout, others: BTreeMap::new(), reign: None }
    }

    /// The priority of this replica.
    #[must_use]
    pub(crate) fn mine(&self) -> u8 {
        self.priority
    }

    /// The priority of another one, as it told a leader last.
    #[must_use]
    pub(crate) fn of(&self, other: ReplicaId) -> u8 {
        self.others.get(&other).map_or(0, |other| other.priority)
    }

    /// Hears that this member leads now, be it this replica or another one.
    pub(crate) fn on_leader(&mut self, now: Instant, leader: ReplicaId) {
        self.others.values_mut().for_each(|other| other.steady = None);
        match self.reign {
            Some((before, _)) if before == leader => return,
            Some((before, since)) => {
                let other = self.others.entry(before).or_default();
                let soon = now.since(since) < longer(self.timeout, other.failures);
                other.failures = if soon { other.failures.saturating_add(1) } else { 0 };
            }
            None => {}
        }
        self.reign = Some((leader, now));
    }

    /// Hears that a hand-over to this member came to nothing.
    pub(crate) fn on_given_up(&mut self, to: ReplicaId) {
        let other = self.others.entry(to).or_default();
        (other.failures, other.steady) = (other.failures.saturating_add(1), None);
    }

    /// Hears a member's answer to this leader, and whether it is near the leader's log. True if the
    /// leader should hand over to it.
    pub(crate) fn handle_answer(
        &mut self,
        now: Instant,
        from: ReplicaId,
        priority: u8,
        near: bool,
    ) -> bool {
        let timeout = self.timeout;
        let other = self.others.entry(from).or_default();
        other.priority = priority;
        let since = match other.steady {
            Some((since, last)) if near && now.since(last) < timeout => since,
            _ => now,
        };
        other.steady = Some((since, now));
        let failures = other.failures;
        self.is_ripe(now, from, Duration::ZERO)
            && !self.others.iter().any(|(id, other)| {
                // Whoever has failed more rarely goes first, and of those the highest priority;
                // their answers may come a little later.
                (other.failures, priority) < (failures, other.priority)
                    && self.is_ripe(now, *id, timeout)
            })
    }

    /// Whether the member has a higher priority than this replica, and has answered for so long
    /// that it may be handed the lead, or will have after `slack`.
    fn is_ripe(&self, now: Instant, member: ReplicaId, slack: Duration) -> bool {
        let Some(other) = self.others.get(&member) else { return false };
        // One account for all of them, or each would have attempts of its own.
        let higher = self.others.values().filter(|other| other.priority > self.priority);
        let failures = higher.fold(0, |sum: u32, other| sum.saturating_add(other.failures));
        let wait = longer(self.timeout, failures);
        other.priority > self.priority
            && other.steady.is_some_and(|(since, last)| {
                now.since(since) + slack >= wait && now.since(last) < self.timeout
            })
    }
}

/// For how long a member must answer before it is handed the lead, after so many failures; and for
/// how long it must lead so that this is none.
fn longer(timeout: Duration, failures: u32) -> Duration {
    timeout * if failures == 0 { STEADY_TIMEOUTS } else { AGAIN_TIMEOUTS }
}

#[cfg(test)]
mod tests;
