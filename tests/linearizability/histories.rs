//! Histories out of nothing: good ones, and ones that a broken log would have made.

use std::mem::swap;

use synod::sim::{History, Operation, Outcome, Random, RegisterCommand, RegisterKind, Registers};
use synod::{CommandId, Place, ReplicaId, Slot, StateMachine};

/// What is wrong with a history.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wrong {
    /// Two clients got each other's answers.
    SwappedAnswers,
    /// A read answered what was true before the last change.
    StaleAnswer,
    /// A change was answered, and is not in the log.
    LostChange,
    /// An addition took effect twice.
    AppliedTwice,
    /// Two commands that did not overlap are in the log the wrong way round.
    OutOfOrder,
}

impl Wrong {
    pub(crate) const ALL: [Self; 5] = [
        Self::SwappedAnswers,
        Self::StaleAnswer,
        Self::LostChange,
        Self::AppliedTwice,
        Self::OutOfOrder,
    ];
}

/// A command that was sent and has no place yet.
struct Pending {
    operation: usize,
    /// Whether its client still waits.
    awaited: bool,
}

/// A linearizable history of so many operations, in the order of a log.
pub(crate) fn good(seed: u64, count: usize, clients: u64) -> History<u64> {
    let mut random = Random::from_seed(seed);
    let (mut operations, mut machine) = (Vec::new(), Registers::default());
    let (mut pending, mut applied): (Vec<Pending>, Vec<usize>) = (Vec::new(), Vec::new());
    let (mut now, mut slot) = (0, 0);
    while operations.len() < count || !pending.is_empty() || !applied.is_empty() {
        now += 1;
        let busy = pending.iter().filter(|one| one.awaited).count() + applied.len();
        match random.below(8) {
            0..3 if operations.len() < count && (busy as u64) < clients => {
                pending.push(Pending { operation: operations.len(), awaited: true });
                operations.push(sent(&mut random, now));
            }
            // It takes effect, whether somebody waits or not.
            3 | 4 if !pending.is_empty() => {
                let nth = random.below(pending.len() as u64) as usize;
                let Pending { operation, awaited } = pending.swap_remove(nth);
                let place = Place { slot: Slot(slot), index: random.below(3) as u32 };
                slot += 1 + random.below(2);
                let one: &mut Operation<u64> = &mut operations[operation];
                one.place = Some(place);
                let answer = machine.apply(place, &one.command);
                if awaited && !random.chance(100) {
                    one.outcome = Outcome::Answered(answer);
                    applied.push(operation);
                }
            }
            // It never does: certainly, or as far as anybody knows.
            5 if !pending.is_empty() && random.chance(200) => {
                let nth = random.below(pending.len() as u64) as usize;
                let Pending { operation, awaited } = pending.swap_remove(nth);
                if awaited && random.chance(500) {
                    operations[operation].outcome = Outcome::Never;
                    operations[operation].returned = Some(now);
                }
            }
            6 if !pending.is_empty() && random.chance(100) => {
                let nth = random.below(pending.len() as u64) as usize;
                pending[nth].awaited = false;
            }
            _ if !applied.is_empty() => {
                let nth = random.below(applied.len() as u64) as usize;
                operations[applied.swap_remove(nth)].returned = Some(now);
            }
            _ => {}
        }
    }
    History { operations }
}

fn sent(random: &mut Random, invoked: u64) -> Operation<u64> {
    let number = random.below(1 << 16);
    Operation {
        client: 1,
        id: CommandId { replica: ReplicaId(1), incarnation: Default::default(), sequence: invoked },
        command: number.to_le_bytes().to_vec().into(),
        invoked,
        returned: None,
        outcome: Outcome::Unknown,
        place: None,
    }
}

/// What the operation does.
pub(crate) fn command(operation: &Operation<u64>) -> RegisterCommand {
    RegisterCommand::parse(&operation.command)
}

/// The history as a log that goes wrong would have made it; `None` if it has nothing to spoil.
pub(crate) fn spoiled(history: &History<u64>, wrong: Wrong, seed: u64) -> Option<History<u64>> {
    let mut random = Random::from_seed(seed);
    let mut spoiled = history.clone();
    let mut answered: Vec<usize> = (0..spoiled.operations.len()).collect();
    answered.retain(|i| matches!(spoiled.operations[*i].outcome, Outcome::Answered(_)));
    answered.sort_by_key(|i| spoiled.operations[*i].place);
    let mut pick = |from: Vec<usize>| {
        let nth = random.below(from.len() as u64) as usize;
        from.get(nth).copied()
    };
    let does = |history: &History<u64>, of: &[usize], want: fn(RegisterKind) -> bool| {
        let which = of.iter().copied().filter(|i| want(command(&history.operations[*i]).kind));
        which.collect::<Vec<usize>>()
    };
    let is_change = |kind| kind != RegisterKind::Read;
    match wrong {
        Wrong::SwappedAnswers => {
            let one =
                pick(does(history, &answered, |kind| !matches!(kind, RegisterKind::Write(_))))?;
            let register = command(&history.operations[one]).register;
            let mut others =
                does(history, &answered, |kind| !matches!(kind, RegisterKind::Write(_)));
            others.retain(|i| {
                let other = &history.operations[*i];
                command(other).register == register
                    && other.outcome != history.operations[one].outcome
            });
            let other = pick(others)?;
            let mut outcome = spoiled.operations[one].outcome.clone();
            swap(&mut outcome, &mut spoiled.operations[other].outcome);
            spoiled.operations[one].outcome = outcome;
        }
        Wrong::StaleAnswer => {
            let reads = does(history, &answered, |kind| kind == RegisterKind::Read);
            let read = pick(reads)?;
            let before = last_change(history, &answered, read)?;
            // As if it had been applied just before that change.
            let answers = replay(history, |order| {
                order.retain(|i| *i != read);
                let at = order.iter().position(|i| *i == before).unwrap_or(0);
                order.insert(at, read);
            });
            spoiled.operations[read].outcome = answers.operations[read].outcome.clone();
        }
        Wrong::LostChange => {
            let lost = pick(does(history, &answered, is_change))?;
            spoiled = replay(history, |order| order.retain(|i| *i != lost));
            spoiled.operations[lost].place = None;
        }
        Wrong::AppliedTwice => {
            let twice =
                pick(does(history, &answered, |kind| matches!(kind, RegisterKind::Add(_))))?;
            spoiled = replay(history, |order| {
                let at = order.iter().position(|i| *i == twice).unwrap_or(0);
                order.insert(at, twice);
            });
            // Its client heard of the first time.
            spoiled.operations[twice].outcome = history.operations[twice].outcome.clone();
        }
        Wrong::OutOfOrder => {
            let late = pick(does(history, &answered, |_| true))?;
            let early = last_change(history, &answered, late)?;
            let places = [early, late].map(|i| history.operations[i].place);
            spoiled = replay(history, |order| {
                let at = [early, late].map(|i| order.iter().position(|o| *o == i).unwrap_or(0));
                order.swap(at[0], at[1]);
            });
            spoiled.operations[early].place = places[1];
            spoiled.operations[late].place = places[0];
        }
    }
    Some(spoiled)
}

/// The last answered change of the same register that had returned before the operation was sent.
fn last_change(history: &History<u64>, answered: &[usize], of: usize) -> Option<usize> {
    let (operation, invoked) = (&history.operations[of], history.operations[of].invoked);
    answered.iter().copied().rfind(|i| {
        let other = &history.operations[*i];
        command(other).register == command(operation).register
            && command(other).kind != RegisterKind::Read
            && other.returned.is_some_and(|at| at < invoked)
            && other.place < operation.place
    })
}

/// The history with the answers of another order.
fn replay(history: &History<u64>, change: impl FnOnce(&mut Vec<usize>)) -> History<u64> {
    let mut replayed = history.clone();
    let mut order: Vec<usize> = (0..replayed.operations.len()).collect();
    order.retain(|i| history.operations[*i].place.is_some());
    order.sort_by_key(|i| history.operations[*i].place);
    change(&mut order);
    let mut machine = Registers::default();
    for index in order {
        let operation = &mut replayed.operations[index];
        let place = operation.place.unwrap_or(Place { slot: Slot(0), index: 0 });
        let answer = machine.apply(place, &operation.command);
        if matches!(operation.outcome, Outcome::Answered(_)) {
            operation.outcome = Outcome::Answered(answer);
        }
    }
    replayed
}

/// The history with the answers of its own log.
pub(crate) fn answered_anew(history: &History<u64>) -> History<u64> {
    replay(history, |_| {})
}
