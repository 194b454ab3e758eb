//! The fate of each command is reported once, and is true.

use core::ops::Range;
use std::format;

use crate::entry::{CommandId, Place};
use crate::membership::{Incarnation, ReplicaId};
use crate::output::Fate;

use super::{Broken, Command, Oracle, broken};
use crate::sim::trace::fingerprint_bytes;

impl Oracle {
    /// A replica took a command in.
    pub(crate) fn on_submit(&mut self, id: CommandId, command: &[u8]) -> Result<(), Broken> {
        let command = Command { print: fingerprint_bytes(command), fate: None };
        if self.commands.insert(id, command).is_some() {
            return broken("FATE", format!("{id:?} names two commands"));
        }
        Ok(())
    }

    /// A replica reports what became of commands that it took in.
    pub(crate) fn on_fate(
        &mut self,
        replica: ReplicaId,
        incarnation: Incarnation,
        sequences: Range<u64>,
        fate: Fate,
    ) -> Result<(), Broken> {
        let first = sequences.start;
        if sequences.is_empty() {
            return broken("FATE", format!("a fate of no commands: {sequences:?}"));
        }
        for sequence in sequences {
            let id = CommandId { replica, incarnation, sequence };
            self.fate_once(id, fate)?;
            self.fate_true(id, (sequence - first) as u32, fate)?;
        }
        Ok(())
    }

    /// FATE: a command that was taken in has one fate.
    fn fate_once(&mut self, id: CommandId, fate: Fate) -> Result<(), Broken> {
        let Some(command) = self.commands.get_mut(&id) else {
            return broken("FATE", format!("{id:?} was never taken in, but has a fate: {fate:?}"));
        };
        if let Some(before) = command.fate.replace(fate) {
            return broken("FATE", format!("{id:?} has two fates: {before:?}, {fate:?}"));
        }
        Ok(())
    }

    /// FATE: a command is really chosen where that is said, and really never where it is denied.
    fn fate_true(&mut self, id: CommandId, nth: u32, fate: Fate) -> Result<(), Broken> {
        let place = self.places.get(&id).copied();
        match fate {
            Fate::Chosen { slot, index } => {
                let told = Place { slot, index: index.saturating_add(nth) };
                if place != Some(told) {
                    return broken(
                        "FATE",
                        format!("{id:?} is told chosen at {told}; really: {place:?}"),
                    );
                }
                self.acknowledged += 1;
            }
            Fate::Superseded | Fate::NotLeader { .. } => {
                if let Some(place) = place {
                    return broken("FATE", format!("{id:?} is told {fate:?}, but is at {place}"));
                }
            }
        }
        Ok(())
    }

    /// What was reported of the command.
    pub(crate) fn fate(&self, id: CommandId) -> Option<Fate> {
        self.commands.get(&id)?.fate
    }

    /// FATE: at rest, every command of this start of the replica has its fate.
    pub(crate) fn fate_known_at_rest(
        &self,
        replica: ReplicaId,
        life: Incarnation,
    ) -> Result<(), Broken> {
        let from = CommandId { replica, incarnation: life, sequence: 0 };
        let upto = CommandId { replica, incarnation: life, sequence: u64::MAX };
        let commands = self.commands.range(from..=upto);
        let mut open = commands.filter(|(_, command)| command.fate.is_none());
        match open.next() {
            Some((id, _)) => broken("FATE", format!("{id:?} and {} more have none", open.count())),
            None => Ok(()),
        }
    }

    /// DUR: every command that was reported chosen lies below the mark that all have applied.
    pub(crate) fn dur_acknowledged_below(&self, applied: crate::slot::Slot) -> Result<(), Broken> {
        for (id, command) in &self.commands {
            if let Some(Fate::Chosen { slot, .. }) = command.fate
                && slot >= applied
            {
                return broken("DUR", format!("{id:?} was chosen at {slot}, and is not applied"));
            }
        }
        Ok(())
    }
}
