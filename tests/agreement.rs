//! Properties of chosen-value agreement over random schedules, shrinking to short ones.
//!
//! `SYNOD_CASES` says how many schedules each property plays, `SYNOD_SEED` from which seed they are
//! made:
//!
//! ```text
//! SYNOD_CASES=100000 cargo test --release --test agreement
//! ```

use std::cell::Cell;
use std::fmt;

use oorandom::Rand64;
use quickcheck::{Arbitrary, Gen, QuickCheck, TestResult};
use synod::sim::{Ending, Schedule, Step, Violation, play};

/// A random schedule. Debug prints what can be pasted into a test.
#[derive(Clone)]
struct Case(Schedule);

impl fmt::Debug for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Schedule { replicas, seed, formed, steps } = &self.0;
        writeln!(f, "Schedule {{ replicas: {replicas}, seed: {seed}, formed: {formed}, steps: [")?;
        steps.iter().try_for_each(|step| writeln!(f, "    Step::{step:?},"))?;
        write!(f, "] }}")
    }
}

/// How often each kind of step is taken; some kinds are left out of some schedules.
struct Weights {
    random: Rand64,
    weights: [u64; 19],
}

impl Weights {
    fn new(seed: u64) -> Self {
        let mut random = Rand64::new(u128::from(seed));
        // In the order of the kinds in `step`.
        let mut weights = [40, 4, 4, 6, 8, 5, 12, 14, 2, 3, 2, 4, 2, 2, 5, 1, 6, 5, 3];
        // Kinds that may be left out, so that the others go further.
        for kind in [1, 2, 3, 8, 9, 10, 12, 14, 15, 16, 17, 18] {
            if random.rand_range(0..3) == 0 {
                weights[kind] = 0;
            }
        }
        if random.rand_range(0..4) == 0 {
            weights[10] *= 4;
            weights[11] *= 4;
        }
        Self { random, weights }
    }

    fn below(&mut self, below: u64) -> u64 {
        self.random.rand_range(0..below)
    }

    fn index(&mut self) -> u16 {
        match self.below(4) {
            0 => self.below(400) as u16,
            1 => self.below(8) as u16,
            _ => 0,
        }
    }

    fn step(&mut self) -> Step {
        let total = self.weights.iter().sum();
        let mut left = self.below(total);
        let mut kind = 0;
        while left >= self.weights[kind] {
            left -= self.weights[kind];
            kind += 1;
        }
        let replica = self.below(63) as u8;
        let micros = [10, 1000, 21_000, 65_000, 130_000, 200_000][self.below(6) as usize];
        match kind {
            0 => Step::Deliver { index: self.index() },
            1 => Step::Drop { index: self.index() },
            2 => Step::Duplicate { index: self.index() },
            3 => Step::Burst { replica, count: 2 + self.below(6) as u8 },
            4 => Step::Tick { replica, micros },
            5 => Step::Pass { micros },
            6 => Step::Propose { replica, bytes: self.below(300) as u16 },
            7 => Step::Sync { replica },
            8 => Step::StartSync { replica },
            9 => Step::Apply { replica },
            10 => Step::Crash { replica, keep: self.below(8) as u8 },
            11 => Step::Restart { replica },
            12 if self.below(2) == 0 => Step::Split { side: self.below(512) as u16 },
            12 => Step::CutOneWay { from: replica, to: self.below(63) as u8 },
            13 => Step::Mend,
            14 => Step::Settle { rounds: 1 + self.below(4) as u8 },
            15 => Step::Rot { replica, record: self.below(8) as u8 },
            // Two draws or'ed together: majorities are more likely.
            16 => Step::Among {
                side: (self.below(512) | self.below(512)) as u16,
                rounds: 1 + self.below(6) as u8,
            },
            // The same few over and over: a ballot of an earlier reign is the best confusion.
            17 => Step::Elect { replica: self.below(2 + replica as u64 % 3) as u8 },
            _ => Step::Replay { index: self.below(100) as u16 },
        }
    }
}

impl Arbitrary for Case {
    fn arbitrary(g: &mut Gen) -> Self {
        // Not u64's own arbitrary: that one prefers the ends of the range.
        let seed = (0..8).fold(0, |seed, _| seed << 8 | u64::from(u8::arbitrary(g)));
        let mut weights = Weights::new(seed);
        let replicas = [5, 3, 5, 3, 5, 7, 4, 2, 1, 6, 5, 3][weights.below(12) as usize];
        let length = 1 + weights.below(3 * g.size().max(1) as u64) as usize;
        let mut steps = Vec::with_capacity(length + 2);
        if weights.below(4) > 0 {
            // Most schedules begin with an election, as nothing happens before one.
            steps.push(Step::Pass { micros: 130_000 + weights.below(80_000) as u32 });
            steps.push(Step::Settle { rounds: 2 + weights.below(5) as u8 });
        }
        steps.extend((0..length).map(|_| weights.step()));
        Self(Schedule { replicas, seed, formed: weights.below(16) > 0, steps })
    }

    fn shrink(&self) -> Box<dyn Iterator<Item = Self>> {
        let length = self.0.steps.len();
        let sizes = std::iter::successors(Some(length), |size| Some(size / 2));
        let cuts = sizes
            .take_while(|size| *size > 0)
            .flat_map(move |size| (0..length).step_by(size).map(move |from| (from, size)));
        let schedule = self.0.clone();
        let shorter = cuts.map(move |(from, size)| {
            let mut cut = schedule.clone();
            cut.steps.drain(from..length.min(from + size));
            Self(cut)
        });
        let schedule = self.0.clone();
        let fewer = (1..schedule.replicas)
            .map(move |replicas| Self(Schedule { replicas, ..schedule.clone() }));
        let schedule = self.0.clone();
        let simpler = (0..length).filter_map(move |at| {
            let step = simplest(schedule.steps[at]);
            (step != schedule.steps[at]).then(|| {
                let mut simpler = schedule.clone();
                simpler.steps[at] = step;
                Self(simpler)
            })
        });
        Box::new(shorter.chain(fewer).chain(simpler))
    }
}

/// The plainest step of the same kind.
fn simplest(step: Step) -> Step {
    match step {
        Step::Deliver { .. } => Step::Deliver { index: 0 },
        Step::Drop { .. } => Step::Drop { index: 0 },
        Step::Duplicate { .. } => Step::Deliver { index: 0 },
        Step::Burst { replica, .. } => Step::Burst { replica: replica % 9, count: 2 },
        Step::Tick { replica, .. } => Step::Tick { replica: replica % 9, micros: 200_000 },
        Step::Pass { .. } => Step::Pass { micros: 200_000 },
        Step::Propose { replica, .. } => Step::Propose { replica, bytes: 8 },
        Step::Crash { replica, .. } => Step::Crash { replica, keep: 0 },
        Step::Settle { .. } => Step::Settle { rounds: 1 },
        Step::Among { side, .. } => Step::Among { side, rounds: 8 },
        Step::Rot { replica, .. } => Step::Rot { replica: replica % 9, record: 0 },
        Step::Replay { .. } => Step::Replay { index: 0 },
        other @ (Step::Sync { .. }
        | Step::Elect { .. }
        | Step::StartSync { .. }
        | Step::Apply { .. }
        | Step::Restart { .. }
        | Step::Split { .. }
        | Step::CutOneWay { .. }
        | Step::Mend) => other,
    }
}

fn number(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |text| {
        text.parse().unwrap_or_else(|_| panic!("{name}={text} is no number"))
    })
}

fn check(property: fn(Case) -> TestResult, cases_by_default: u64) {
    let cases = number("SYNOD_CASES", cases_by_default);
    let generator = Gen::from_size_and_seed(100, number("SYNOD_SEED", 1));
    QuickCheck::new().rng(generator).tests(cases).max_tests(cases).quickcheck(property);
}

thread_local! {
    /// How many schedules this test has played, and at which of them one failed first.
    static PLAYED: Cell<(u64, Option<u64>)> = const { Cell::new((0, None)) };
}

fn verdict<T>(outcome: Result<T, Violation>) -> TestResult {
    let (played, failed) = PLAYED.get();
    let failed = failed.or(outcome.is_err().then_some(played + 1));
    PLAYED.set((played + 1, failed));
    match outcome {
        Ok(_) => TestResult::passed(),
        Err(violation) => TestResult::error(format!(
            "schedule {} failed; made shorter: {violation}",
            failed.unwrap_or_default()
        )),
    }
}

/// Nobody, in any life, ever learns or applies another entry for a slot than anybody else, and all
/// that leads there holds: the oracles watch every step.
#[test]
fn chosen_values_agree() {
    fn property(case: Case) -> TestResult {
        verdict(play(&case.0, Ending::Stop))
    }
    check(property, 1500);
}

/// What was reported chosen is there, in its place, after all replicas have lost their power and
/// everything that they had not synced.
#[test]
fn acknowledged_commands_outlive_a_loss_of_power() {
    fn property(case: Case) -> TestResult {
        verdict(play(&case.0, Ending::LosePower))
    }
    check(property, 300);
}

/// Once all replicas are up and connected, a fresh command is chosen and applied everywhere within
/// a bounded number of election timeouts, every log is equal, and every fate is known.
#[test]
fn a_healed_cluster_makes_progress() {
    fn property(case: Case) -> TestResult {
        verdict(play(&case.0, Ending::Heal))
    }
    check(property, 300);
}

/// The same schedule gives the same inputs and outputs, byte for byte.
#[test]
fn runs_repeat_exactly() {
    fn property(case: Case) -> TestResult {
        let hash = || play(&case.0, Ending::Heal).map(|report| report.trace_hash);
        match (hash(), hash()) {
            (Ok(first), Ok(second)) => TestResult::from_bool(first == second),
            (Err(violation), _) | (_, Err(violation)) => verdict::<()>(Err(violation)),
        }
    }
    check(property, 100);
}
