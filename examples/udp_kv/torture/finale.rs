//! The end of a run: all is well again, so every replica must answer, and agree with the others.

use std::collections::BTreeMap;
use std::thread;
use std::time::Duration;

use super::checker::{Action, Operation, Outcome};
use super::clock::Time;
use super::counters::{Begun, Fate, counter_name};
use super::random::{Stream, stream};
use super::resp::{self, Reply};
use super::session::{Answer, Run, Session};
use super::workload::{Workload, command, number_of, outcome_of};

/// How long the replicas have to answer once all is well.
const PATIENCE: Duration = Duration::from_secs(30);

/// How many reads are sent in a row.
const ROW: usize = 64;

/// How long to wait before asking again.
const PAUSE: Duration = Duration::from_millis(50);

/// Waits until every replica answers a read, and tells which do not in time.
pub(crate) fn wait_for_all(run: &Run) -> Result<(), String> {
    let deadline = run.clock.now() + PATIENCE;
    for (replica, address) in run.replicas.iter().enumerate() {
        loop {
            let answer = resp::ask(*address, &["GET", &counter_name(0)], run.reply_timeout);
            if matches!(answer, Ok(Reply::Bulk(_))) {
                break;
            }
            if run.clock.now() >= deadline {
                return Err(format!(
                    "replica {} does not answer, {PATIENCE:?} after all was well: {answer:?}",
                    replica + 1
                ));
            }
            thread::sleep(PAUSE);
        }
    }
    Ok(())
}

/// Reads everything that is left, once more through every replica: the keys for the checker, and
/// the counters, upon which all must agree.
///
/// # Errors
///
/// Which replica does not answer, or what they do not agree upon.
pub(crate) fn read_all(run: &Run, workload: &Workload, seed: u64) -> Result<(), String> {
    let deadline = run.clock.now() + PATIENCE;
    for replica in 0..run.replicas.len() {
        read_keys(run, workload, seed, replica, deadline)?;
    }
    // An increment of unknown fate may still be applied meanwhile, but not for ever.
    let deadline = run.clock.now() + PATIENCE;
    loop {
        let replicas = 0..run.replicas.len();
        let read = replicas.map(|replica| read_counters(run, workload, seed, replica, deadline));
        let read: Vec<BTreeMap<u64, u64>> = read.collect::<Result<_, String>>()?;
        let differs = |counter: &&u64| read.iter().any(|one| one[*counter] != read[0][*counter]);
        let Some(counter) = read[0].keys().find(differs) else { return Ok(()) };
        if run.clock.now() >= deadline {
            let numbers: Vec<u64> = read.iter().map(|one| one[counter]).collect();
            let name = counter_name(*counter);
            return Err(format!("{name}: the replicas do not agree at the end: {numbers:?}"));
        }
        thread::sleep(PAUSE);
    }
}

/// Reads every key that is left through one replica.
fn read_keys(
    run: &Run,
    workload: &Workload,
    seed: u64,
    replica: usize,
    deadline: Time,
) -> Result<(), String> {
    let mut session = Session::new(run, stream(seed, Stream::Last(replica)));
    for row in workload.histories.numbers().chunks(ROW) {
        let command = |key: &u64| command(*key, Action::Read);
        // A time before any of the answers, and the same for a read that is sent again.
        let sent = run.clock.now();
        read(run, &mut session, replica, deadline, row, command, |connection, i, answer| {
            let outcome = outcome_of(Action::Read, answer);
            // A connection reads each key once.
            let (order, action) = (0, Action::Read);
            let read = Operation { connection, order, action, sent, outcome };
            workload.histories.add(row[i], read);
            if outcome == Outcome::Unknown { Err(format!("the reply {answer:?}")) } else { Ok(()) }
        })?;
    }
    Ok(())
}

/// Reads every counter through one replica.
fn read_counters(
    run: &Run,
    workload: &Workload,
    seed: u64,
    replica: usize,
    deadline: Time,
) -> Result<BTreeMap<u64, u64>, String> {
    let counters = &workload.counters;
    let mut session = Session::new(run, stream(seed, Stream::Last(replica)));
    let mut found = BTreeMap::new();
    for row in counters.numbers().chunks(ROW) {
        let begun: Vec<Begun> = row.iter().map(|counter| counters.begin_read(*counter)).collect();
        let command = |counter: &u64| vec!["GET".to_owned(), counter_name(*counter)];
        read(run, &mut session, replica, deadline, row, command, |_, i, answer| {
            let number = number_of(true, answer).ok_or(format!("the reply {answer:?}"))?;
            found.insert(row[i], number);
            counters.end(begun[i], Fate::Answered(number))
        })?;
    }
    Ok(found)
}

/// Reads these through one replica, again and again until each is answered.
fn read(
    run: &Run,
    session: &mut Session<'_>,
    replica: usize,
    deadline: Time,
    row: &[u64],
    command: impl Fn(&u64) -> Vec<String>,
    mut each: impl FnMut(u64, usize, &Answer) -> Result<(), String>,
) -> Result<(), String> {
    let mut left: Vec<usize> = (0..row.len()).collect();
    let mut judged = Ok(());
    while !left.is_empty() && judged.is_ok() {
        if run.clock.now() >= deadline {
            let replica = replica + 1;
            return Err(format!(
                "replica {replica} does not answer the last reads in {PATIENCE:?}"
            ));
        }
        if !session.connect(Some(replica)) {
            continue;
        }
        let asked = std::mem::take(&mut left);
        let commands: Vec<Vec<String>> = asked.iter().map(|i| command(&row[*i])).collect();
        let connection = session.connection;
        session.exchange(&commands, |nth, answer| match answer {
            Answer::Reply(..) => {
                let one = each(connection, asked[nth], &answer);
                let why = |why| format!("{}, at the end: {why}", commands[nth].join(" "));
                if judged.is_ok() {
                    judged = one.map_err(why);
                }
            }
            Answer::Refused | Answer::Unknown => left.push(asked[nth]),
        });
        if !left.is_empty() {
            thread::sleep(PAUSE);
        }
    }
    judged
}
