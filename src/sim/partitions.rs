//! Links that are cut and mended: partitions of every shape, and how they change.

use std::vec::Vec;

use super::driver::{Driver, Happening};

/// How often the replica around which links are cut is one that leads.
const LEADER_PERMILLE: u32 = 500;

/// How many election timeouts a hunt for leaders lasts at the most, beside what a cut lasts.
const HUNT_TIMEOUTS: u64 = 12;
/// How often it looks for one, in microseconds at the most.
const HUNT_MICROS: u64 = 4000;

/// Single links that are cut one by one and mended one by one, in another order.
#[derive(Clone, Debug, Default)]
pub(super) struct Swizzle {
    links: Vec<(usize, usize)>,
    done: usize,
    mending: bool,
}

impl Driver {
    /// Cuts links in a shape of chance, and plans how that goes on and ends.
    pub(super) fn cut(&mut self) {
        self.cuts += 1;
        self.cluster.faults.cuts += 1;
        let cut = self.cuts;
        if self.chance(self.weather.hunt_permille) {
            let timeouts = self.below(HUNT_TIMEOUTS) * self.cluster.election_timeout_micros();
            let lasts = timeouts + self.below(self.weather.cut_micros);
            self.at(0, Happening::Hunt { cut });
            self.at(lasts, Happening::Mend { cut });
            return;
        }
        if self.chance(self.weather.swizzle_permille) {
            self.begin_swizzle();
            self.at(0, Happening::Clog { cut });
            return;
        }
        let n = self.starts.len() as u64;
        let (mut one, other) = (self.below(n) as usize, self.below(n) as usize);
        // A leader that is cut off keeps what only it has accepted: the next ones must not miss it.
        if let Some((leader, _)) = self.cluster.leader()
            && self.chance(LEADER_PERMILLE)
        {
            one = leader;
        }
        let side = self.below(1 << n) as u16;
        let lasts = self.below(self.weather.cut_micros);
        let shape = self.below(10);
        let cuts = &mut self.cluster.cuts;
        match shape {
            0 => cuts.only_hub(one),
            1 => cuts.chain(),
            2 => cuts.ring(),
            3 => cuts.mute(one),
            4 => cuts.deafen(one),
            5 => cuts.split(1 << one),
            6 => cuts.split_one_way(side),
            7 => {
                cuts.cut(one, other);
                cuts.cut(other, one);
            }
            // The only one that reaches a quorum is then one that has missed what was chosen.
            8 => {
                cuts.split(1 << one);
                self.at(lasts / 2, Happening::Turn { cut, hub: one });
            }
            _ => cuts.split(side),
        }
        if self.chance(self.weather.flap_permille) {
            let timeout = self.cluster.election_timeout_micros();
            self.cluster.cuts.begin_flapping();
            let period_micros = timeout + self.below(2 * timeout + 1);
            self.at(period_micros / 2, Happening::Flap { cut, period_micros });
        }
        self.at(lasts, Happening::Mend { cut });
    }

    /// What was planned when links were cut. Void when others have been cut since.
    pub(super) fn go_on_cutting(&mut self, what: Happening) {
        match what {
            Happening::Turn { cut, hub } if cut == self.cuts => {
                self.cluster.faults.turns += 1;
                self.cluster.cuts.heal();
                self.cluster.cuts.only_hub(hub);
            }
            Happening::Flap { cut, period_micros } if cut == self.cuts => {
                self.cluster.faults.flaps += 1;
                self.cluster.cuts.flap();
                self.at(period_micros / 2, Happening::Flap { cut, period_micros });
            }
            Happening::Hunt { cut } if cut == self.cuts => {
                if let Some(leader) = self.cluster.busy_leader() {
                    self.cluster.faults.hunts += 1;
                    self.cluster.cuts.heal();
                    self.cluster.cuts.split(1 << leader);
                }
                let again = self.below(HUNT_MICROS);
                self.at(again, Happening::Hunt { cut });
            }
            Happening::Clog { cut } if cut == self.cuts => self.clog(cut),
            Happening::Mend { cut } if cut == self.cuts => self.mend(),
            _ => {}
        }
    }

    /// All links work again, until the next cut.
    fn mend(&mut self) {
        // Whatever else was planned for this cut is void now.
        self.cuts += 1;
        self.cluster.cuts.heal();
        if let Some(every) = self.weather.cut_every_micros {
            let again = self.below(2 * every);
            self.at(again, Happening::Cut);
        }
    }

    fn begin_swizzle(&mut self) {
        let n = self.starts.len();
        let pairs = (0..n).flat_map(|from| (0..n).map(move |to| (from, to)));
        let mut links: Vec<_> = pairs.filter(|(from, to)| from != to).collect();
        self.shuffle(&mut links);
        let some = 1 + self.below(links.len() as u64) as usize;
        links.truncate(some);
        self.swizzle = Swizzle { links, done: 0, mending: false };
    }

    /// Cuts the next link, or mends the next one.
    fn clog(&mut self, cut: u64) {
        let Some((from, to)) = self.swizzle.links.get(self.swizzle.done).copied() else {
            if self.swizzle.mending || self.swizzle.links.is_empty() {
                return self.mend();
            }
            let mut links = core::mem::take(&mut self.swizzle.links);
            self.shuffle(&mut links);
            self.swizzle = Swizzle { links, done: 0, mending: true };
            self.at(0, Happening::Clog { cut });
            return;
        };
        self.cluster.faults.clogs += 1;
        if self.swizzle.mending {
            self.cluster.cuts.mend(from, to);
        } else {
            self.cluster.cuts.cut(from, to);
        }
        self.swizzle.done += 1;
        let share = self.weather.cut_micros / self.swizzle.links.len() as u64;
        let next = self.below(share.max(1));
        self.at(next, Happening::Clog { cut });
    }

    pub(super) fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            let other = self.below(last as u64 + 1) as usize;
            items.swap(last, other);
        }
    }
}
