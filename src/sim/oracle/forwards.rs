//! What is forwarded: proposed at the ballot that it was sent to, below its limit; and the order in
//! which the commands of one replica are applied.

use std::format;

use crate::ballot::Ballot;
use crate::entry::{CommandId, Entry};
use crate::membership::Peer;
use crate::message::Forward;
use crate::slot::Slot;

use super::chosen::command_ids;
use super::{Broken, Oracle, broken};

impl Oracle {
    /// FWD: a replica forwards its own commands, each to one ballot.
    pub(super) fn on_forward(&mut self, from: Peer, forward: &Forward) -> Result<(), Broken> {
        let entry = Entry::Batch(forward.batch.clone());
        for id in command_ids(&entry) {
            if (id.replica, id.incarnation) != (from.replica, from.incarnation)
                || !self.commands.contains_key(&id)
            {
                return broken("FWD", format!("{from:?} forwards {id:?}"));
            }
            let offer = self.forwards.entry(id).or_insert((forward.ballot, forward.limit));
            if offer.0 != forward.ballot {
                return broken(
                    "FWD",
                    format!("{id:?} is forwarded to {}, and to {}", offer.0, forward.ballot),
                );
            }
            offer.1 = offer.1.max(forward.limit);
        }
        Ok(())
    }

    /// Whether the command was forwarded before.
    pub(crate) fn was_forwarded(&self, id: CommandId) -> bool {
        self.forwards.contains_key(&id)
    }

    /// FWD: a new proposal holds the proposer's own commands, and what was forwarded to its ballot,
    /// in a slot below the limit. Each command is new in one slot only.
    pub(super) fn fwd_new_proposal(
        &mut self,
        slot: Slot,
        ballot: Ballot,
        entry: &Entry,
    ) -> Result<(), Broken> {
        for id in command_ids(entry) {
            if id.replica != ballot.replica {
                match self.forwards.get(&id) {
                    Some((to, limit)) if *to == ballot && slot < *limit => {}
                    offer => {
                        return broken(
                            "FWD",
                            format!("{ballot} proposes {id:?} at {slot}; offered: {offer:?}"),
                        );
                    }
                }
            }
            if let Some((first, at)) = self.proposed.insert(id, (slot, ballot)) {
                return broken(
                    "FWD",
                    format!("{id:?} is new at {slot}@{ballot}, and was at {first}@{at}"),
                );
            }
        }
        Ok(())
    }

    /// ORDER: commands that one start of a replica took in are applied in that order.
    pub(super) fn order_of_taking_in(&mut self, slot: Slot, entry: &Entry) -> Result<(), Broken> {
        for CommandId { replica, incarnation, sequence } in command_ids(entry) {
            let next = self.ordered.entry((replica, incarnation)).or_default();
            if sequence < *next {
                return broken(
                    "ORDER",
                    format!("{slot} holds command {sequence} of {replica}, after {next} - 1"),
                );
            }
            *next = sequence + 1;
        }
        Ok(())
    }
}
