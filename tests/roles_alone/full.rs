//! A replica with all its roles, turned by hand.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use synod::entry::Entry;
use synod::membership::{Peer, ReplicaId};
use synod::message::Message;
use synod::output::Output;
use synod::slot::Slot;
use synod::time::Instant;
use synod::wal::Wal;
use synod::{Config, Fate, Replica, Role};

use crate::cluster::{Host, MEMBERS, OBSERVER, open, page, sync};

pub(crate) struct Full {
    pub(crate) replica: Replica,
    wal: Wal,
    me: Peer,
    /// Whether it tells the observer what it tells everybody.
    pub(crate) announces: bool,
    /// Commands whose fate is not known yet, by their numbers.
    waiting: BTreeMap<u64, Vec<u8>>,
    /// Commands that are certain not to be applied: they are proposed again.
    given_back: Vec<Vec<u8>>,
    /// The commands that were applied, in order.
    pub(crate) applied: Vec<Vec<u8>>,
}

impl Full {
    pub(crate) fn start(directory: &Path, id: ReplicaId, now: Instant) -> Self {
        let (wal, recovered) = open(directory, id);
        let me = recovered.me;
        let mut config = Config::new(MEMBERS);
        config.seed = id.0.into();
        config.batch_bytes = 1; // A slot for each command.
        config.patience = Duration::from_secs(60);
        let replica = Replica::new(config, recovered, now).expect("settings that make sense");
        Self {
            replica,
            wal,
            me,
            announces: false,
            waiting: BTreeMap::new(),
            given_back: Vec::new(),
            applied: Vec::new(),
        }
    }

    pub(crate) fn propose(&mut self, now: Instant, command: Vec<u8>) {
        let taken = self.replica.propose(now, &command);
        self.waiting.insert(taken.expect("the replica takes it").sequence, command);
    }

    pub(crate) fn leads(&self) -> bool {
        self.replica.status().role == Role::Leading
    }

    fn apply(&mut self, now: Instant, slot: Slot, entry: &Entry) {
        if let Entry::Batch(batch) = entry {
            self.applied.extend(batch.commands().map(<[u8]>::to_vec));
        }
        self.replica.handle_applied(now, slot.next());
    }
}

impl Host for Full {
    fn me(&self) -> Peer {
        self.me
    }

    fn handle_message(&mut self, now: Instant, from: Peer, message: Message) {
        self.replica.handle_message(now, from, message);
    }

    fn handle_timeout(&mut self, now: Instant) {
        for command in std::mem::take(&mut self.given_back) {
            self.propose(now, command);
        }
        self.replica.handle_timeout(now);
    }

    fn drain(&mut self, now: Instant) -> Vec<(ReplicaId, Message)> {
        let mut said = Vec::new();
        loop {
            match self.replica.poll_output() {
                Output::Persist { lsn, record, chosen } => {
                    self.wal.append(lsn, &record, chosen).expect("the log takes it");
                }
                Output::Send { to, message } => {
                    said.extend(to.iter().map(|to| (to, message.clone())));
                    // Who keeps an observer tells it what is proposed and what is chosen.
                    if self.announces
                        && matches!(message, Message::Accept(_) | Message::Heartbeat(_))
                    {
                        said.push((OBSERVER, message));
                    }
                }
                Output::SendEntries { to, slots } => {
                    let chosen = self.replica.status().chosen;
                    said.extend(page(&self.wal, slots, chosen).into_iter().map(|m| (to, m)));
                }
                Output::Chosen { slot, entry } => self.apply(now, slot, &entry),
                Output::ApplyFromLog { slots } => {
                    for slot in slots.iter() {
                        let located = self.wal.locate(slot).expect("the log has what is chosen");
                        let (_, entry) = located.read().expect("the entry can be read");
                        self.apply(now, slot, &entry);
                    }
                }
                Output::Event(event) => assert!(
                    !matches!(
                        event,
                        synod::Event::Halted { .. } | synod::Event::PeerMisbehaved { .. }
                    ),
                    "{event:?}"
                ),
                Output::Fate { commands, fate } => {
                    for command in commands.filter_map(|number| self.waiting.remove(&number)) {
                        if !matches!(fate, Fate::Chosen { .. }) {
                            self.given_back.push(command);
                        }
                    }
                }
                Output::ReadReady { .. } | Output::ReadRefused { .. } => {}
                Output::Wait { .. } => return said,
            }
        }
    }

    fn sync(&mut self, now: Instant) {
        if let Some(durable) = sync(&mut self.wal) {
            self.replica.handle_persisted(now, durable);
        }
    }
}
