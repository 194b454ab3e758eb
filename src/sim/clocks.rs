//! The clocks of the hosts: ahead, too fast or too slow, and jumping.
//!
//! A replica is promised time that never goes back, and whoever drives one must keep that promise.
//! So does a host here: after its clock has jumped back, time stands still for its replica until
//! the clock has caught up. A process that starts again knows nothing of earlier times.

use std::format;

use crate::membership::ReplicaId;
use crate::time::Instant;

use super::driver::Driver;
use super::host::Host;
use super::record::Happened;

/// No host's clock shows less than a second, so that no time looks like "never".
const ZERO_MICROS: i128 = 1_000_000;

impl Host {
    /// What the host's clock shows when the cluster's shows `now_micros`.
    fn raw_micros(&self, now_micros: u64) -> i128 {
        let now = i128::from(now_micros);
        let drift = now * i128::from(self.drift_millionths) / 1_000_000;
        now + drift + i128::from(self.ahead_micros) + i128::from(self.jumped_micros)
    }

    /// The time that the host tells its replica when the cluster's clock shows `now_micros`.
    pub(crate) fn time(&self, now_micros: u64) -> Instant {
        let micros = self.raw_micros(now_micros).max(ZERO_MICROS);
        Instant::from_micros(u64::try_from(micros).unwrap_or(u64::MAX)).max(self.latest)
    }

    /// When, by the cluster's clock, the host's time comes to `wake`, or a little later.
    pub(crate) fn reaches(&self, wake: Instant) -> u64 {
        if wake <= self.latest {
            return 0;
        }
        let to_go = i128::from(wake.as_micros())
            - i128::from(self.ahead_micros)
            - i128::from(self.jumped_micros);
        if self.drift_millionths == 0 {
            return u64::try_from(to_go.max(0)).unwrap_or(u64::MAX);
        }
        let rate = 1_000_000 + i128::from(self.drift_millionths);
        // Both divisions round down, so this may be short by a few.
        let guess = to_go.max(0) * 1_000_000 / rate + 2;
        u64::try_from(guess).unwrap_or(u64::MAX)
    }

    /// The host's clock jumps.
    pub(crate) fn jump(&mut self, now_micros: u64, by_micros: i64) {
        self.latest = self.time(now_micros);
        let least = i64::try_from(ZERO_MICROS - self.raw_micros(now_micros)).unwrap_or(0);
        self.jumped_micros += by_micros.max(least.min(0));
    }

    /// Somebody sets a clock that was behind the replica's time: it goes on from there.
    pub(crate) fn set_right(&mut self, now_micros: u64) {
        let behind = i128::from(self.time(now_micros).as_micros()) - self.raw_micros(now_micros);
        self.jumped_micros += i64::try_from(behind.max(0)).unwrap_or(0);
    }

    /// A process starts: it knows of no earlier time.
    pub(crate) fn forget_time(&mut self) {
        self.latest = Instant::ZERO;
    }
}

impl Driver {
    /// The clock of one of the hosts jumps.
    pub(super) fn jump(&mut self) {
        let at = self.below(self.starts.len() as u64) as usize;
        let far = 1 + self.below(self.weather.jump_micros) as i64;
        let back = self.chance(self.weather.jump_back_permille);
        let by = if back { -far } else { far };
        let faults = &mut self.cluster.faults;
        *if back { &mut faults.jumps_back } else { &mut faults.jumps_forward } += 1;
        self.cluster.begin(10, at);
        self.cluster.trace.add(by as u64);
        self.cluster.line(at, || format!("has a clock that jumps by {by} us"));
        let replica = ReplicaId(at as u32 + 1);
        self.cluster.happens(|| Happened::Jumped { replica, by_micros: by });
        let now = self.cluster.now_micros;
        self.cluster.hosts[at].jump(now, by);
    }
}
