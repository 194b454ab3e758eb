//! What a program replicates: its state machine.

use crate::entry::{Commands, Place};
use crate::slot::Slot;

/// A program's state, and how a command changes it.
///
/// Every replica applies the same commands in the same order, so `apply` must depend on nothing but
/// the state and its arguments: no clock, no random number, no order of a hash map. It runs on one
/// thread at a time: one of its own, or that of somebody who waits in [`crate::Ticket::wait`] and
/// has nothing else to do. While it runs, the replica goes on voting and leading. A panic in it
/// stops the node for good.
///
/// ```
/// use synod::{Place, Slot, StateMachine};
///
/// /// Adds up the lengths of commands.
/// struct Sum(usize);
///
/// impl StateMachine for Sum {
///     type Answer = usize;
///     fn apply(&mut self, _: Place, command: &[u8]) -> usize {
///         self.0 += command.len();
///         self.0
///     }
/// }
///
/// let mut sum = Sum(0);
/// assert_eq!(sum.apply(Place { slot: Slot(0), index: 0 }, b"four"), 4);
/// ```
pub trait StateMachine: Send + 'static {
    /// What applying a command answers. A node hands it to the ticket of whoever proposed the
    /// command on this replica in this start; elsewhere it is dropped.
    type Answer: Send + 'static;

    /// Applies one command.
    fn apply(&mut self, place: Place, command: &[u8]) -> Self::Answer;

    /// Applies the commands of one slot, in their order, and gives `answer` one answer for each.
    ///
    /// The default calls [`StateMachine::apply`] for each. Override it where a batch can be done
    /// faster than its commands one by one.
    fn apply_batch(
        &mut self,
        slot: Slot,
        commands: Commands<'_>,
        answer: &mut dyn FnMut(Self::Answer),
    ) {
        for (index, command) in (0u32..).zip(commands) {
            answer(self.apply(Place { slot, index }, command));
        }
    }
}
