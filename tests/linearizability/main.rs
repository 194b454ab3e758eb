//! Histories of clients: that the check by the order of the log and a full search, which knows
//! nothing of a log, judge alike; and what both say of real runs.
//!
//! `SYNOD_SEEDS` says how many runs are looked at, `SYNOD_SEED` the first:
//!
//! ```text
//! SYNOD_SEEDS=1000 cargo test --release --test linearizability -- --nocapture
//! ```

mod histories;
mod search;

use synod::sim::{History, Outcome, Random, Registers, Simulation, Swarm};
use synod::{Place, Slot};

use histories::{Wrong, good, spoiled};
use search::{Call, Verdict, search, window};

/// How many registers the machine of the runs has.
const REGISTERS: usize = 4;
/// How far a search goes before it leaves the question open.
const POINTS_MAX: usize = 20_000;
/// How many operations a window of a run has.
const WINDOW_OPERATIONS: u64 = 200;

fn number(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |text| {
        text.parse().unwrap_or_else(|_| panic!("{name}={text} is no number"))
    })
}

/// What the search says of a whole history: registers are independent of one another.
fn judge(history: &History<u64>) -> Verdict {
    let verdicts = (0..REGISTERS)
        .map(|register| search(&Call::all_of(history, register), Some(0), POINTS_MAX));
    let mut all = Verdict::Linearizable;
    for verdict in verdicts {
        match verdict {
            Verdict::Not => return Verdict::Not,
            Verdict::Open => all = Verdict::Open,
            Verdict::Linearizable => {}
        }
    }
    all
}

#[test]
fn both_checks_take_every_good_history() {
    for seed in 0..300 {
        let history = good(seed, 5 + seed as usize % 150, 1 + seed % 6);
        assert_eq!(history.check(Registers::default()).err(), None, "seed {seed}");
        assert_eq!(judge(&history), Verdict::Linearizable, "seed {seed}: {history:?}");
    }
}

/// The check by the log knows more than the search: what it takes, the search must take. And both
/// must find most of what is wrong; a part of it shows to nobody.
#[test]
fn what_the_search_refuses_the_check_by_the_log_refuses() {
    for wrong in Wrong::ALL {
        let (mut tried, mut found, mut refused) = (0, 0, 0);
        for seed in 0..300 {
            let history = good(seed, 40 + seed as usize % 40, 2 + seed % 5);
            let Some(history) = spoiled(&history, wrong, seed) else { continue };
            let by_log = history.check(Registers::default());
            let verdict = judge(&history);
            assert!(
                by_log.is_err() || verdict == Verdict::Linearizable,
                "{wrong:?} {seed}: the log finds nothing, the search: {verdict:?}"
            );
            tried += 1;
            found += u64::from(by_log.is_err());
            refused += u64::from(verdict == Verdict::Not);
        }
        println!("{wrong:?}: of {tried}, {found} found by the log, {refused} by the search");
        assert!(tried >= 100, "{wrong:?}: only {tried} histories");
        // An addition that a write hides before anybody looks shows only in the machines' states.
        let hidden = if wrong == Wrong::AppliedTwice { tried / 2 } else { 0 };
        assert!(found + hidden >= tried, "{wrong:?}: the log finds {found} of {tried}");
        assert!(refused * 3 >= tried, "{wrong:?}: the search finds {refused} of {tried}");
    }
}

/// The two checks say exactly the same: the search takes a history if and only if there is some log
/// with which the check by the log takes it. Tried with every log there is.
#[test]
fn a_history_is_linearizable_if_some_log_explains_it() {
    let mut counts = [0; 2];
    for seed in 0..1500 {
        let short = good(seed, 2 + seed as usize % 5, 1 + seed % 4);
        let wrong = Wrong::ALL[seed as usize % Wrong::ALL.len()];
        // One register and small numbers, so that answers can be right by chance.
        let narrow = narrowed(&short);
        let spoiled = spoiled(&narrow, wrong, seed);
        for mut history in [Some(narrow), spoiled].into_iter().flatten() {
            let verdict = judge(&history);
            history.operations.iter_mut().for_each(|operation| operation.place = None);
            let explained = some_log_explains(&mut history, 0);
            let expected = if explained { Verdict::Linearizable } else { Verdict::Not };
            assert_eq!(verdict, expected, "seed {seed} {wrong:?}: {history:?}");
            counts[usize::from(explained)] += 1;
        }
    }
    assert!(counts.iter().all(|count| *count > 300), "one-sided: {counts:?}");
}

/// The history with commands of the first register only, answered anew.
fn narrowed(history: &History<u64>) -> History<u64> {
    let numbers = (0..).map(|number: u64| number.to_le_bytes().to_vec());
    let of_first: Vec<Vec<u8>> = numbers
        .filter(|bytes| synod::sim::RegisterCommand::parse(bytes).register == 0)
        .take(8)
        .collect();
    let mut narrow = history.clone();
    for operation in &mut narrow.operations {
        let luck = operation.command[0] as usize;
        operation.command = of_first[luck % of_first.len()].clone().into();
    }
    histories::answered_anew(&narrow)
}

/// Whether the operations can be given places from `next` on so that the check takes the history.
fn some_log_explains(history: &mut History<u64>, next: u64) -> bool {
    let placed = |outcome: &Outcome<u64>| matches!(outcome, Outcome::Answered(_));
    let mut open = history.operations.iter().filter(|o| o.place.is_none());
    if open.all(|o| !placed(&o.outcome)) && history.check(Registers::default()).is_ok() {
        return true;
    }
    for index in 0..history.operations.len() {
        let operation = &mut history.operations[index];
        if operation.place.is_none() && operation.outcome != Outcome::Never {
            operation.place = Some(Place { slot: Slot(next), index: 0 });
            if some_log_explains(history, next + 1) {
                return true;
            }
            history.operations[index].place = None;
        }
    }
    false
}

/// Windows of real runs, judged by the search alone.
#[test]
fn windows_of_runs_are_linearizable() {
    let (first, seeds) = (number("SYNOD_SEED", 1), number("SYNOD_SEEDS", 12));
    let simulation = Simulation::registers();
    let (mut windows, mut open, mut answered, mut unknown) = (0, 0, 0, 0);
    for seed in first..first + seeds {
        let history = match simulation.run(&Swarm::from_seed(seed)) {
            Ok(outcomes) => outcomes.history,
            Err(violation) => panic!("SYNOD_SEED={seed} SYNOD_SEEDS=1: {violation}"),
        };
        let mut random = Random::from_seed(seed);
        for register in 0..REGISTERS {
            let calls = Call::all_of(&history, register);
            let count = calls.len() as u64;
            // The beginning, from which the register is known, and a stretch of the rest.
            let later = random.below(count.saturating_sub(WINDOW_OPERATIONS / 2));
            for (start, initial) in [(0, Some(0)), (later, None)] {
                let end = (start + WINDOW_OPERATIONS / 2).min(count.saturating_sub(1));
                let Some(from) = calls.get(start as usize) else { continue };
                let upto = calls[end as usize].invoked;
                let from = if initial.is_some() { 0 } else { from.invoked };
                let calls = window(&calls, from, upto);
                windows += 1;
                answered += calls.iter().filter(|call| call.returned.is_some()).count();
                unknown += calls.iter().filter(|call| call.returned.is_none()).count();
                match search(&calls, initial, POINTS_MAX) {
                    Verdict::Linearizable => {}
                    Verdict::Open => open += 1,
                    Verdict::Not => panic!(
                        "SYNOD_SEED={seed} SYNOD_SEEDS=1: register {register} from {from} to \
                         {upto} is not linearizable: {calls:#?}"
                    ),
                }
            }
        }
    }
    println!("{windows} windows: {answered} answered, {unknown} unknown; {open} left open");
    assert!(open * 5 <= windows, "{open} of {windows} windows were left open");
    assert!(answered as u64 > 100 * seeds, "little is answered: {answered}");
}

/// The same runs with a wrong answer in them are refused by the check, and mostly by the search.
#[test]
fn a_wrong_answer_in_a_run_is_found() {
    let simulation = Simulation::registers();
    let (mut tried, mut refused) = (0, 0);
    for seed in 1..=6 {
        let history = simulation.run(&Swarm::from_seed(seed)).expect("a clean run").history;
        assert_eq!(history.check(Registers::default()).err(), None);
        for wrong in [Wrong::SwappedAnswers, Wrong::StaleAnswer] {
            let Some(history) = spoiled(&history, wrong, seed) else { continue };
            assert!(history.check(Registers::default()).is_err(), "{wrong:?} {seed}");
            tried += 1;
            let calls = (0..REGISTERS).map(|register| Call::all_of(&history, register));
            // Whole histories are mostly too long for a search; windows of them are not.
            let mut windows = calls.flat_map(|calls| {
                let starts = (0..calls.len()).step_by(50);
                let windows = starts.map(|start| {
                    let end = (start + 100).min(calls.len() - 1);
                    window(&calls, calls[start].invoked, calls[end].invoked)
                });
                windows.collect::<Vec<_>>()
            });
            let found = windows.any(|calls| search(&calls, None, POINTS_MAX) == Verdict::Not);
            refused += u64::from(found);
        }
    }
    println!("{tried} spoiled runs, {refused} of them refused by the search");
    assert!(tried >= 8, "only {tried} runs could be spoiled");
    assert!(refused * 3 >= tried, "the search refuses {refused} of {tried}");
}
