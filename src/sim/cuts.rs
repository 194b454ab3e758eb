//! Which directed links are cut, for good or by turns.

use std::vec::Vec;

/// Which directed links are cut.
#[derive(Clone, Debug)]
pub(crate) struct Cuts {
    replicas: usize,
    cut: Vec<bool>,
    /// Links that are cut by turns, all at the same time.
    flapping: Vec<bool>,
    /// Whether those work just now.
    works: bool,
}

impl Cuts {
    /// No link is cut.
    pub(crate) fn none(replicas: usize) -> Self {
        let none = std::vec![false; replicas * replicas];
        Self { replicas, cut: none.clone(), flapping: none, works: false }
    }

    /// Whether the link from one place to the other is cut just now.
    pub(crate) fn is_cut(&self, from: usize, to: usize) -> bool {
        let link = from * self.replicas + to;
        self.cut[link] || (self.flapping[link] && !self.works)
    }

    /// The links that are cut just now, from the first to the second place.
    pub(crate) fn list(&self) -> Vec<(usize, usize)> {
        let pairs =
            (0..self.replicas).flat_map(|from| (0..self.replicas).map(move |to| (from, to)));
        pairs.filter(|(from, to)| from != to && self.is_cut(*from, *to)).collect()
    }

    /// Cuts one direction.
    pub(crate) fn cut(&mut self, from: usize, to: usize) {
        self.cut[from * self.replicas + to] = true;
    }

    /// Mends one direction.
    pub(crate) fn mend(&mut self, from: usize, to: usize) {
        self.cut[from * self.replicas + to] = false;
    }

    /// Cuts every direction that is wanted, by its two places.
    pub(crate) fn cut_if(&mut self, wanted: impl Fn(usize, usize) -> bool) {
        for from in 0..self.replicas {
            for to in 0..self.replicas {
                if from != to && wanted(from, to) {
                    self.cut(from, to);
                }
            }
        }
    }

    /// Cuts everything between the members of `side` (a bit each) and the others.
    pub(crate) fn split(&mut self, side: u16) {
        self.cut_if(|from, to| (side >> from) & 1 != (side >> to) & 1);
    }

    /// Cuts everything from the members of `side` to the others, and nothing the other way.
    pub(crate) fn split_one_way(&mut self, side: u16) {
        self.cut_if(|from, to| (side >> from) & 1 == 1 && (side >> to) & 1 == 0);
    }

    /// Leaves only the links to and from `hub`.
    pub(crate) fn only_hub(&mut self, hub: usize) {
        self.cut_if(|from, to| from != hub && to != hub);
    }

    /// Leaves only the links between neighbours in a row.
    pub(crate) fn chain(&mut self) {
        self.cut_if(|from, to| from.abs_diff(to) > 1);
    }

    /// Leaves only the links between neighbours in a ring.
    pub(crate) fn ring(&mut self) {
        let last = self.replicas - 1;
        self.cut_if(|from, to| from.abs_diff(to) > 1 && from.abs_diff(to) != last);
    }

    /// Nobody hears `from`.
    pub(crate) fn mute(&mut self, from: usize) {
        self.cut_if(|sender, _| sender == from);
    }

    /// `to` hears nobody.
    pub(crate) fn deafen(&mut self, to: usize) {
        self.cut_if(|_, receiver| receiver == to);
    }

    /// From now on what is cut is cut by turns.
    pub(crate) fn begin_flapping(&mut self) {
        for (cut, flapping) in self.cut.iter_mut().zip(&mut self.flapping) {
            *flapping |= core::mem::take(cut);
        }
        self.works = false;
    }

    /// The links that are cut by turns change.
    pub(crate) fn flap(&mut self) {
        self.works = !self.works;
    }

    /// Whether both directions between two places work just now.
    fn is_whole(&self, one: usize, other: usize) -> bool {
        !self.is_cut(one, other) && !self.is_cut(other, one)
    }

    /// Whether some place reaches a majority in both directions, itself counted.
    pub(crate) fn leave_a_majority(&self) -> bool {
        let reached = |one| (0..self.replicas).filter(|at| self.is_whole(one, *at)).count();
        (0..self.replicas).any(|one| 2 * reached(one) > self.replicas)
    }

    /// The places that reach `one` in both directions, over others or not, itself included.
    pub(crate) fn in_touch_with(&self, one: usize) -> Vec<usize> {
        let mut found = std::vec![one];
        let mut looked = 0;
        while let Some(from) = found.get(looked).copied() {
            looked += 1;
            for at in 0..self.replicas {
                if self.is_whole(from, at) && !found.contains(&at) {
                    found.push(at);
                }
            }
        }
        found
    }

    /// Mends every link.
    pub(crate) fn heal(&mut self) {
        self.cut.fill(false);
        self.flapping.fill(false);
    }
}
