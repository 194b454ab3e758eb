//! What the clients of a run saw, and the check that it is linearizable.
//!
//! The log says in which order commands took effect. So whether a history is linearizable needs no
//! search: the order of the log must not contradict the order that clients saw, and the answers
//! must be those of one machine that applies the log in its order. After a sort, one pass.

use std::boxed::Box;
use std::vec::Vec;

use bytes::Bytes;
use thiserror::Error;

use crate::entry::{CommandId, Place};
use crate::machine::StateMachine;

/// What a client knows of a command that it sent.
///
/// ```
#[doc = include_str!("history/example.txt")]
/// let [answered, unknown] = [Outcome::Answered(7), Outcome::Unknown];
/// // Whoever does not know may be right either way; whoever was answered must be.
/// assert!(History { operations: vec![operation(1, 7, unknown)] }.check(machine()).is_ok());
/// let wrong = History { operations: vec![operation(1, 8, answered)] }.check(machine());
/// assert!(matches!(wrong, Err(HistoryError::WrongAnswer { .. })));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome<A> {
    /// It was applied, and answered this.
    Answered(A),
    /// It is certain that it is never applied.
    Never,
    /// Applied, or still to be, or never: its replica stopped, or the client's patience ended.
    Unknown,
}

/// A command that a replica took in from a client.
///
/// Times are ticks of one count for the whole history: no two are equal.
///
/// ```
#[doc = include_str!("history/example.txt")]
/// let first: Operation<u64> = operation(1, 7, Outcome::Answered(7));
/// let second = operation(2, 5, Outcome::Answered(12));
/// assert!(first.returned < Some(second.invoked));
/// assert!(History { operations: vec![first, second] }.check(machine()).is_ok());
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Operation<A> {
    /// Which client, counted from 1; 0 is the run itself.
    pub client: usize,
    /// The name that the replica gave the command.
    pub id: CommandId,
    /// The command.
    pub command: Bytes,
    /// When the client sent it.
    pub invoked: u64,
    /// When the client had its answer, or heard that there is none.
    pub returned: Option<u64>,
    /// What the client knows of it.
    pub outcome: Outcome<A>,
    /// Where in the log it was applied, whoever knows.
    pub place: Option<Place>,
}

/// Why a history is wrong. Operations are named by their index in the history.
///
/// ```
#[doc = include_str!("history/example.txt")]
/// let never = operation(1, 7, Outcome::Never);
/// let error = History { operations: vec![never] }.check(machine()).unwrap_err();
/// assert_eq!(error.to_string(), "operation 0 was told never to be applied, but is at s1[0]");
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum HistoryError {
    /// Two operations have one place.
    #[error("operations {first} and {second} are both at {place}")]
    SharedPlace {
        /// The one.
        first: usize,
        /// The other.
        second: usize,
        /// The place.
        place: Place,
    },
    /// An operation was answered, but is nowhere in the log.
    #[error("operation {operation} was answered, but was never applied")]
    AnsweredNowhere {
        /// Which.
        operation: usize,
    },
    /// An operation that was to be never applied is in the log.
    #[error("operation {operation} was told never to be applied, but is at {place}")]
    NeverButApplied {
        /// Which.
        operation: usize,
        /// Its place.
        place: Place,
    },
    /// The log contradicts the order that clients saw.
    #[error("operation {late} was sent after {early} was answered, but lies before it in the log")]
    OutOfOrder {
        /// Which was answered first.
        early: usize,
        /// Which was sent after that, and applied before.
        late: usize,
    },
    /// The answer is not that of a machine that applies the log in its order.
    #[error("operation {operation} at {place} was answered {given}, but the log says {right}")]
    WrongAnswer {
        /// Which.
        operation: usize,
        /// Its place.
        place: Place,
        /// What its client was told.
        given: Box<str>,
        /// What is right.
        right: Box<str>,
    },
}

/// Every operation of a run, in the order in which they were sent.
///
/// ```
#[doc = include_str!("history/example.txt")]
/// let operations = vec![
///     operation(1, 7, Outcome::Answered(7)),
///     operation(2, 5, Outcome::Answered(12)),
/// ];
/// let sum = History { operations }.check(machine()).expect("it is linearizable");
/// assert_eq!(sum.0, 12);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct History<A> {
    /// The operations.
    pub operations: Vec<Operation<A>>,
}

impl<A: PartialEq + core::fmt::Debug> History<A> {
    /// Checks that the history is linearizable in the order of the log, and that what clients were
    /// told of fates is true; gives the machine back as the log leaves it.
    ///
    /// `machine` is as new. All commands that were applied must be in the history.
    ///
    /// # Errors
    /// The first thing that is wrong.
    pub fn check<M: StateMachine<Answer = A>>(&self, mut machine: M) -> Result<M, HistoryError> {
        // Of those sent so far in the order of the log, the one that was sent last.
        let mut latest: Option<(u64, usize)> = None;
        for (place, index) in self.in_order()? {
            let operation = &self.operations[index];
            if let (Some(returned), Some((invoked, late))) = (operation.returned, latest)
                && returned < invoked
            {
                return Err(HistoryError::OutOfOrder { early: index, late });
            }
            latest = latest.max(Some((operation.invoked, index)));
            let right = machine.apply(place, &operation.command);
            match &operation.outcome {
                Outcome::Answered(given) if *given != right => {
                    return Err(HistoryError::WrongAnswer {
                        operation: index,
                        place,
                        given: std::format!("{given:?}").into(),
                        right: std::format!("{right:?}").into(),
                    });
                }
                Outcome::Never => {
                    return Err(HistoryError::NeverButApplied { operation: index, place });
                }
                Outcome::Answered(_) | Outcome::Unknown => {}
            }
        }
        Ok(machine)
    }

    /// The operations that have a place, in the order of the log.
    fn in_order(&self) -> Result<Vec<(Place, usize)>, HistoryError> {
        let mut order = Vec::with_capacity(self.operations.len());
        for (index, operation) in self.operations.iter().enumerate() {
            match operation.place {
                Some(place) => order.push((place, index)),
                None if matches!(operation.outcome, Outcome::Answered(_)) => {
                    return Err(HistoryError::AnsweredNowhere { operation: index });
                }
                None => {}
            }
        }
        order.sort_unstable();
        match order.windows(2).find(|pair| pair[0].0 == pair[1].0) {
            Some(pair) => Err(HistoryError::SharedPlace {
                first: pair[0].1,
                second: pair[1].1,
                place: pair[0].0,
            }),
            None => Ok(order),
        }
    }
}

#[cfg(test)]
mod tests;
