//! What a leader takes in of the commands of other replicas: each of them at most once.

use alloc::collections::BTreeMap;
use core::ops::Range;

use super::{Phase, Proposer};
use crate::membership::{Incarnation, ReplicaId};
use crate::message::{Announcement, Forward, ForwardAnswer};
use crate::output::Misbehaviour;

/// How many Forwards of a replica are kept that came before their turn, and how long they may be.
const EARLY_MAX: usize = 8;
const EARLY_BYTES: usize = 64 << 10;

/// How far the commands of a start of another replica were taken in, at one ballot.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Taken {
    incarnation: Incarnation,
    /// The end of their numbers. What lies below is never taken in again.
    end: u64,
    /// Forwards that the network let overtake others, by their first numbers.
    early: BTreeMap<u64, (Range<u64>, Forward)>,
}

impl Proposer {
    /// Takes in what another replica forwards, at most once: only at the ballot that it is
    /// addressed to, only above what of that start was taken in before, and only if the slot that
    /// it will get lies below its limit. With `full` nothing is taken in. `None` if this is not the
    /// leader's ballot.
    ///
    /// # Errors
    /// If the sender did not take these commands in.
    pub fn handle_forward(
        &mut self,
        (from, incarnation): (ReplicaId, Incarnation),
        forward: Forward,
        announcement: &Announcement,
        full: bool,
    ) -> Result<Option<ForwardAnswer>, Misbehaviour> {
        let ballot = forward.ballot;
        let Some(numbers) = forward.batch.taken_in_by(from, incarnation) else {
            return Err(Misbehaviour::ForeignCommands { ballot });
        };
        let Phase::Leading(leading) = &mut self.phase else { return Ok(None) };
        if leading.phase_one.ballot() != ballot {
            return Ok(None);
        }
        let first = leading.next.max(announcement.chosen);
        let anew = || Taken { incarnation, end: 0, early: BTreeMap::new() };
        let taken = leading.taken.entry(from).or_insert_with(anew);
        if taken.incarnation > incarnation {
            return Ok(None);
        }
        if taken.incarnation < incarnation {
            *taken = anew();
        }
        taken.keep(numbers, forward);
        while !full && let Some((numbers, forward)) = taken.next() {
            // One that comes too late does not hold up what follows.
            if first.plus(self.queue.slots_before_forwarded()) < forward.limit {
                taken.end = numbers.end;
                self.queue.push_forwarded(forward.batch, forward.limit);
            }
        }
        Ok(self.forward_answer(from, announcement))
    }

    /// How far the commands of the replica were taken in at the ballot at which this one leads.
    #[must_use]
    pub fn forward_answer(
        &self,
        of: ReplicaId,
        announcement: &Announcement,
    ) -> Option<ForwardAnswer> {
        let Phase::Leading(leading) = &self.phase else { return None };
        let Taken { incarnation, end: taken, .. } = *leading.taken.get(&of)?;
        let next = leading.next.max(announcement.chosen);
        let (ballot, announcement) = (leading.phase_one.ballot(), announcement.clone());
        Some(ForwardAnswer { ballot, incarnation, taken, next, announcement })
    }
}

impl Taken {
    /// Keeps a Forward until those before it have come. Long ones are not kept, nor too many: they
    /// are sent again.
    fn keep(&mut self, numbers: Range<u64>, forward: Forward) {
        let in_order = forward.after <= self.end;
        let short = forward.batch.bytes().len() <= EARLY_BYTES;
        if numbers.start >= self.end && (in_order || (short && self.early.len() < EARLY_MAX)) {
            self.early.insert(numbers.start, (numbers, forward));
        }
    }

    /// The first Forward whose turn has come. Below it there may be some whose turn never comes:
    /// their sender knows by now that they are not chosen any more.
    fn next(&mut self) -> Option<(Range<u64>, Forward)> {
        self.early = self.early.split_off(&self.end);
        let due = self.early.iter().find(|(_, (_, forward))| forward.after <= self.end);
        let first = due.map(|(first, _)| *first)?;
        self.early.remove(&first)
    }
}
