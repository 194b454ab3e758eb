use std::vec::Vec;

use bytes::Bytes;

use super::{History, HistoryError, Operation, Outcome};
use crate::entry::{CommandId, Place};
use crate::machine::StateMachine;
use crate::membership::{Incarnation, ReplicaId};
use crate::slot::Slot;

/// Adds the length of each command, and answers the sum.
#[derive(Debug, Default, PartialEq)]
struct Sum(usize);

impl StateMachine for Sum {
    type Answer = usize;
    fn apply(&mut self, _: Place, command: &[u8]) -> usize {
        self.0 += command.len();
        self.0
    }
}

fn place(slot: u64, index: u32) -> Place {
    Place { slot: Slot(slot), index }
}

fn operation(
    times: (u64, Option<u64>),
    outcome: Outcome<usize>,
    place: Option<Place>,
) -> Operation<usize> {
    let (invoked, returned) = times;
    let id = CommandId { replica: ReplicaId(1), incarnation: Incarnation(1), sequence: invoked };
    let command = Bytes::from_static(b"x");
    Operation { client: 1, id, command, invoked, returned, outcome, place }
}

fn answered(invoked: u64, returned: u64, answer: usize, at: Place) -> Operation<usize> {
    operation((invoked, Some(returned)), Outcome::Answered(answer), Some(at))
}

fn check(operations: Vec<Operation<usize>>) -> Result<Sum, HistoryError> {
    History { operations }.check(Sum::default())
}

/// Three that overlap, in an order that is not that of their sending; one that nobody hears of, and
/// one that never was.
fn sound() -> Vec<Operation<usize>> {
    std::vec![
        answered(1, 6, 2, place(0, 1)),
        answered(2, 4, 1, place(0, 0)),
        operation((3, None), Outcome::Unknown, Some(place(4, 0))),
        answered(5, 8, 3, place(2, 0)),
        operation((7, Some(9)), Outcome::Never, None),
        operation((10, None), Outcome::Unknown, None),
    ]
}

#[test]
fn a_sound_history_leaves_the_machine_of_the_log() {
    assert_eq!(check(sound()), Ok(Sum(4)));
    assert_eq!(check(Vec::new()), Ok(Sum(0)));
}

#[test]
fn lin_the_log_contradicts_what_clients_saw() {
    let mut operations = sound();
    // Sent after operation 1 was answered, but before it in the log.
    operations[1].place = Some(place(3, 0));
    operations[1].outcome = Outcome::Answered(3);
    operations[3].outcome = Outcome::Answered(2);
    operations[0].outcome = Outcome::Answered(1);
    assert_eq!(check(operations), Err(HistoryError::OutOfOrder { early: 1, late: 3 }));
}

#[test]
fn lin_what_was_sent_late_and_never_answered_counts_as_well() {
    let mut operations = sound();
    operations[5].place = Some(place(2, 0));
    operations[3].place = Some(place(3, 0));
    operations[3].outcome = Outcome::Answered(4);
    assert_eq!(check(operations), Err(HistoryError::OutOfOrder { early: 3, late: 5 }));
}

#[test]
fn lin_an_answer_is_not_that_of_the_log() {
    let mut operations = sound();
    operations[3].outcome = Outcome::Answered(2);
    let error = check(operations).unwrap_err();
    let HistoryError::WrongAnswer { operation: 3, ref given, ref right, .. } = error else {
        panic!("{error}");
    };
    assert_eq!((&**given, &**right), ("2", "3"));
}

#[test]
fn fate_an_operation_is_answered_and_nowhere_or_never_and_somewhere() {
    let mut operations = sound();
    operations[3].place = None;
    assert_eq!(check(operations), Err(HistoryError::AnsweredNowhere { operation: 3 }));
    let mut operations = sound();
    let at = place(9, 0);
    operations[4].place = Some(at);
    assert_eq!(check(operations), Err(HistoryError::NeverButApplied { operation: 4, place: at }));
}

#[test]
fn exo_two_operations_share_a_place() {
    let mut operations = sound();
    operations[2].place = Some(place(2, 0));
    assert_eq!(
        check(operations),
        Err(HistoryError::SharedPlace { first: 2, second: 3, place: place(2, 0) })
    );
}
