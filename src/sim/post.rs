//! What the links do to messages.

use super::driver::{Driver, Happening};
use super::network::{Envelope, LinkFaults};
use super::oracle::index_of;
use super::record::Loss;

/// How many messages of the past are kept.
const HISTORY_MAX: usize = 1000;

impl Driver {
    /// Puts a message under way.
    pub(super) fn post(&mut self, mut envelope: Envelope) {
        let (from, to) = (index_of(envelope.from.replica), index_of(envelope.to));
        let link = self.links[from * self.starts.len() + to];
        if self.chance(link.loss_permille) {
            self.cluster.faults.lost += 1;
            self.cluster.happens_lost(&envelope, Loss::Network);
            return;
        }
        if self.chance(link.duplicate_permille) {
            self.cluster.faults.duplicated += 1;
            self.send_off(&link, envelope.clone());
        }
        if self.chance(link.replay_permille) && !self.history.is_empty() {
            let old = self.below(self.history.len() as u64) as usize;
            self.cluster.faults.replayed += 1;
            self.send_off(&link, self.history[old].clone());
        }
        if link.replay_permille > 0 || self.keeps_history {
            self.remember(&envelope);
        }
        if self.chance(link.damage_permille) && envelope.damage(|below| self.below(below)) {
            self.cluster.faults.damaged += 1;
        }
        self.send_off(&link, envelope);
    }

    /// The message arrives when the link lets it.
    fn send_off(&mut self, link: &LinkFaults, envelope: Envelope) {
        let (takes, late) = link.under_way(|below| self.below(below));
        self.cluster.faults.late += u64::from(late);
        self.at(takes, Happening::Arrives(envelope));
    }

    /// Keeps some of what was sent, of all ages.
    fn remember(&mut self, envelope: &Envelope) {
        if self.history.len() < HISTORY_MAX {
            self.history.push(envelope.clone());
        } else if self.below(16) == 0 {
            let at = self.below(HISTORY_MAX as u64) as usize;
            self.history[at] = envelope.clone();
        }
    }
}
