//! What the clients do: some count, the others read and write; one command at a time, or several in
//! a row before the first is answered.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};

use synod::sim::Random;

use super::checker::{Action, Operation, Outcome};
use super::counters::{Begun, Counters, Fate, counter_name};
use super::findings::count;
use super::history::{Histories, key_name, value_of, value_text};
use super::random::{self, Stream, stream};
use super::resp::Reply;
use super::session::{Answer, Run, Session};

/// How many commands are sent in a row at the most.
const ROW_MAX: u64 = 8;

/// Everything the clients work on.
#[derive(Debug)]
pub(crate) struct Workload {
    pub(crate) histories: Histories,
    pub(crate) counters: Counters,
    next_value: AtomicU64,
}

impl Workload {
    pub(crate) fn new(histories: Histories, counters: Counters) -> Self {
        Self { histories, counters, next_value: AtomicU64::new(1) }
    }
}

/// One client, until the run is over.
pub(crate) fn work(run: &Run, workload: &Workload, seed: u64, number: usize) {
    let mut session = Session::new(run, stream(seed, Stream::Worker(number)));
    while !run.is_over() {
        if !session.connect(None) {
            continue;
        }
        let count = match session.random.chance(600) {
            true => 1,
            false => random::between(&mut session.random, 2, ROW_MAX + 1),
        };
        let count = usize::try_from(count).unwrap_or(1);
        // Every third one counts.
        let refused = if number.is_multiple_of(3) {
            increment(run, workload, &mut session, count)
        } else {
            read_and_write(run, workload, &mut session, count)
        };
        session.rest(count, refused);
    }
}

/// Increments and reads of the counters; how many were refused.
fn increment(run: &Run, workload: &Workload, session: &mut Session<'_>, row: usize) -> usize {
    let counters = &workload.counters;
    let mut begun: Vec<Begun> = Vec::new();
    for _ in 0..row {
        let is_read = session.random.chance(400);
        begun.push(counters.begin(&mut session.random, is_read));
    }
    let command = |one: &Begun| {
        vec![if one.is_read { "GET" } else { "INCR" }.to_owned(), counter_name(one.counter)]
    };
    let commands: Vec<Vec<String>> = begun.iter().map(command).collect();
    let mut wrong = Vec::new();
    let mut refused = 0;
    // What this connection was answered: what it is answered after that comes later.
    let mut answered: BTreeMap<u64, u64> = BTreeMap::new();
    session.exchange(&commands, |i, answer| {
        let mut one = begun[i];
        let last = answered.entry(one.counter).or_default();
        one.least = one.least.max(*last);
        let fate = match (&answer, number_of(one.is_read, &answer)) {
            (Answer::Reply(_, at), Some(number)) => {
                if one.is_read {
                    count(&run.figures.reads);
                } else {
                    run.figures.count_write(*at);
                }
                *last = number.max(*last);
                Fate::Answered(number)
            }
            (Answer::Reply(reply, _), None) => {
                wrong.push((i, format!("the reply {reply:?}")));
                Fate::Unknown
            }
            (Answer::Refused, _) => {
                refused += 1;
                Fate::Never
            }
            (Answer::Unknown, _) => Fate::Unknown,
        };
        if let Err(why) = counters.end(one, fate) {
            wrong.push((i, why));
        }
    });
    for (i, why) in wrong {
        session.complain(&commands[i], &why);
    }
    refused
}

/// The number in the answer to a read or an increment.
pub(crate) fn number_of(is_read: bool, answer: &Answer) -> Option<u64> {
    match answer {
        Answer::Reply(Reply::Integer(number), _) if !is_read => u64::try_from(*number).ok(),
        Answer::Reply(Reply::Bulk(None), _) if is_read => Some(0),
        Answer::Reply(Reply::Bulk(Some(text)), _) if is_read => {
            std::str::from_utf8(text).ok().and_then(|text| text.parse().ok())
        }
        _ => None,
    }
}

/// Reads, writes and exchanges of the keys in use; how many were refused.
fn read_and_write(run: &Run, workload: &Workload, session: &mut Session<'_>, row: usize) -> usize {
    let mut begun = Vec::new();
    for _ in 0..row {
        let action = action(&mut session.random, &workload.next_value);
        let operation = Operation {
            connection: session.connection,
            order: session.next_order(),
            action,
            sent: run.clock.now(),
            outcome: Outcome::Unknown,
        };
        begun.push((workload.histories.begin(&mut session.random, operation), action));
    }
    let commands: Vec<Vec<String>> =
        begun.iter().map(|(token, action)| command(token.key, *action)).collect();
    let mut wrong = Vec::new();
    let mut refused = 0;
    session.exchange(&commands, |i, answer| {
        let (token, action) = begun[i];
        refused += usize::from(answer == Answer::Refused);
        let outcome = outcome_of(action, &answer);
        match (action, outcome) {
            (Action::Read, Outcome::Answered { .. }) => count(&run.figures.reads),
            (_, Outcome::Answered { at, .. }) => run.figures.count_write(at),
            (_, Outcome::Never | Outcome::Unknown) => {}
        }
        if let (Answer::Reply(reply, _), Outcome::Unknown) = (&answer, outcome) {
            wrong.push((i, format!("the reply {reply:?}")));
        }
        workload.histories.end(token, outcome);
    });
    for (i, why) in wrong {
        session.complain(&commands[i], &why);
    }
    refused
}

fn action(random: &mut Random, next_value: &AtomicU64) -> Action {
    let value = || next_value.fetch_add(1, Ordering::Relaxed);
    match random.below(100) {
        0..45 => Action::Read,
        45..85 => Action::Write(value()),
        _ => Action::Exchange(value()),
    }
}

/// The words of a command.
pub(crate) fn command(key: u64, action: Action) -> Vec<String> {
    let name = key_name(key);
    match action {
        Action::Read => vec!["GET".to_owned(), name],
        Action::Write(value) => vec!["SET".to_owned(), name, value_text(value)],
        Action::Exchange(value) => vec!["GETSET".to_owned(), name, value_text(value)],
    }
}

/// What became of an operation; unknown for a reply that its command does not have.
pub(crate) fn outcome_of(action: Action, answer: &Answer) -> Outcome {
    let (reply, at) = match answer {
        Answer::Refused => return Outcome::Never,
        Answer::Unknown => return Outcome::Unknown,
        Answer::Reply(reply, at) => (reply, *at),
    };
    match (action, reply) {
        (Action::Write(_), Reply::Simple(text)) if text == "OK" => {
            Outcome::Answered { at, found: None }
        }
        (Action::Read | Action::Exchange(_), Reply::Bulk(None)) => {
            Outcome::Answered { at, found: None }
        }
        (Action::Read | Action::Exchange(_), Reply::Bulk(Some(text))) => match value_of(text) {
            Some(value) => Outcome::Answered { at, found: Some(value) },
            None => Outcome::Unknown,
        },
        _ => Outcome::Unknown,
    }
}
