//! Makes a failing run small: fewer hardships, a shorter chaos, fewer replicas, fewer commands,
//! milder odds.
//!
//! Whatever still breaks the same claim is kept, and tried to be made smaller again, until nothing
//! helps any more or the tries are used up. Nothing here is random: the same failing swarm shrinks
//! to the same smaller one.

use std::collections::BTreeSet;
use std::vec::Vec;

use super::reduction::{Hardship, Reduction};
use super::swarm::Swarm;
use super::{Report, Violation};

/// How many courses of a smaller swarm are tried before it counts as clean: a smaller one that
/// cannot fail and one that was lucky look the same.
const COURSES: u64 = 4;
/// The odds that are tried, in hundredths.
const ODDS_PERCENT: [u32; 3] = [10, 25, 50];

/// A failing swarm that was made small.
///
/// ```
/// use synod::sim::{Reduction, Shrunk, Simulation, Swarm, shrink};
///
/// // A rule that no run keeps: so every smaller swarm fails, too.
/// let simulation = Simulation::registers().rule("nothing is ever right", |_| false);
/// let run = |swarm: &Swarm| simulation.run(swarm).map(|outcomes| outcomes.report);
/// let shrunk: Option<Shrunk> = shrink(&Swarm::fault_free(1), &Reduction::default(), 8, run);
/// let shrunk = shrunk.expect("it fails");
/// assert_eq!(shrunk.violation.invariant, "RULE");
/// println!("it also fails with {}", shrunk.reduction);
/// ```
#[derive(Clone, Debug)]
pub struct Shrunk {
    /// What it differs by from the swarm that was to be made small.
    pub reduction: Reduction,
    /// The small swarm.
    pub swarm: Swarm,
    /// How it fails.
    pub violation: Violation,
    /// How many runs that took.
    pub tries: u64,
}

/// Makes a failing swarm small, with `tries_max` runs at the most: the first one is that of the
/// swarm with `begin` taken from it. `run` is mostly [`simulate`](super::simulate).
///
/// `None` if the first run is clean, or makes no sense.
pub fn shrink(
    swarm: &Swarm,
    begin: &Reduction,
    tries_max: u64,
    run: impl Fn(&Swarm) -> Result<Report, Violation>,
) -> Option<Shrunk> {
    let small = begin.of(swarm).ok()?;
    let violation = run(&small).err()?;
    let best = begin.clone();
    let mut search = Search { swarm, run, tries_max, tries: 1, best, small, violation };
    while search.tries < tries_max && search.pass() {}
    Some(Shrunk {
        reduction: search.best,
        swarm: search.small,
        violation: search.violation,
        tries: search.tries,
    })
}

struct Search<'a, R> {
    swarm: &'a Swarm,
    run: R,
    tries_max: u64,
    tries: u64,
    /// The smallest that failed, as a difference and as it is, and how.
    best: Reduction,
    small: Swarm,
    violation: Violation,
}

impl<R: Fn(&Swarm) -> Result<Report, Violation>> Search<'_, R> {
    /// Tries every way to make it smaller once. True if one helped.
    fn pass(&mut self) -> bool {
        // No short circuit: each way is tried, whatever the others gave.
        let helped = [
            self.shorten(),
            self.drop_hardships(),
            self.drop_replicas(),
            self.drop_commands(),
            self.make_milder(),
        ];
        helped.contains(&true)
    }

    /// Whether the smaller swarm breaks the same claim, in one of its courses; if so, it is the
    /// best from now on.
    fn smaller(&mut self, candidate: &Reduction, courses: u64) -> bool {
        for luck in 0..courses {
            if self.tries >= self.tries_max {
                return false;
            }
            let candidate = Reduction { luck: self.best.luck + luck, ..candidate.clone() };
            let Ok(small) = candidate.of(self.swarm) else { return false };
            self.tries += 1;
            match (self.run)(&small) {
                Err(violation) if violation.invariant == self.violation.invariant => {
                    (self.best, self.small, self.violation) = (candidate, small, violation);
                    return true;
                }
                Ok(_) | Err(_) => {}
            }
        }
        false
    }

    /// The chaos need not last longer than until the claim was broken. If it was broken after the
    /// chaos, perhaps a shorter one does it too.
    fn shorten(&mut self) -> bool {
        let now = self.small.parts().chaos_micros / 1000;
        let broken = self.violation.time.as_micros() / 1000 + 1;
        let mut helped = broken < now && self.chaos(broken);
        loop {
            let now = self.small.parts().chaos_micros / 1000;
            let parts = [now / 4, now / 2, now * 3 / 4];
            if !parts.into_iter().any(|millis| millis < now && self.chaos(millis)) {
                return helped;
            }
            helped = true;
        }
    }

    fn chaos(&mut self, millis: u64) -> bool {
        let candidate = Reduction { chaos_millis: Some(millis), ..self.best.clone() };
        self.smaller(&candidate, 1)
    }

    /// All hardships at once, then halves of them, and so on to single ones.
    fn drop_hardships(&mut self) -> bool {
        let mut helped = false;
        let mut size = Hardship::ALL.len();
        while size > 0 {
            let present = self.present();
            for some in present.chunks(size) {
                let some: BTreeSet<Hardship> = some.iter().copied().collect();
                let without = self.best.without.union(&some).copied().collect();
                let candidate = Reduction { without, ..self.best.clone() };
                helped |= self.smaller(&candidate, COURSES);
            }
            size /= 2;
        }
        helped
    }

    fn present(&self) -> Vec<Hardship> {
        Hardship::ALL.into_iter().filter(|hardship| hardship.is_in(&self.small)).collect()
    }

    fn drop_replicas(&mut self) -> bool {
        let now = self.small.parts().settings.replicas;
        (1..now).any(|replicas| {
            let candidate = Reduction { replicas: Some(replicas), ..self.best.clone() };
            self.smaller(&candidate, COURSES)
        })
    }

    fn drop_commands(&mut self) -> bool {
        let now = self.small.parts().commands_max.unwrap_or(u64::MAX);
        let fewer = [0, 1, 2, 3, 5, 10, 20, 50, 100].into_iter().filter(|commands| *commands < now);
        fewer.into_iter().any(|commands| {
            let candidate = Reduction { commands: Some(commands), ..self.best.clone() };
            self.smaller(&candidate, 2)
        })
    }

    fn make_milder(&mut self) -> bool {
        let now = self.best.odds_percent;
        ODDS_PERCENT.into_iter().filter(|percent| *percent < now).any(|odds_percent| {
            let candidate = Reduction { odds_percent, ..self.best.clone() };
            // Where there are no odds, none need to be milder.
            let other = candidate.of(self.swarm).is_ok_and(|other| other != self.small);
            other && self.smaller(&candidate, 2)
        })
    }
}

#[cfg(test)]
mod tests;
