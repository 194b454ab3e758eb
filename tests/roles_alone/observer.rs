//! An observer: a learner alone. It is no member, and nobody waits for it; it learns what is chosen
//! and keeps it in a log of its own.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use synod::entry::Entry;
use synod::membership::{Peer, ReplicaId};
use synod::message::{Accept, Announcement, CatchUp as Asked, Message};
use synod::output::Output;
use synod::roles::{CatchUp, Held, Learner, Outbox};
use synod::slot::{ALPHA, Slot, Slots};
use synod::time::Instant;
use synod::wal::Wal;

use crate::cluster::{Host, MEMBERS, open, page, sync};

const TICK: Duration = Duration::from_millis(20);
/// How many slots may be delivered and not applied.
const APPLY_SLOTS: u64 = 64;
/// How many entries it asks for where it does not know whether there are any.
const PAGE_SLOTS: u64 = 16;

pub(crate) struct Observer {
    wal: Wal,
    me: Peer,
    pub(crate) learner: Learner,
    catch_up: CatchUp,
    out: Outbox,
    /// What was proposed in open slots, each at the highest ballot that it heard of.
    overheard: BTreeMap<Slot, Held>,
    tick_at: Instant,
    ticks: usize,
    /// The commands that were applied, in order.
    pub(crate) applied: Vec<Vec<u8>>,
    /// How many entries came by an announcement, and how many because it has asked.
    pub(crate) announced: u64,
    pub(crate) caught_up: u64,
}

impl Observer {
    pub(crate) fn start(directory: &Path, id: ReplicaId, now: Instant) -> Self {
        let (wal, recovered) = open(directory, id);
        assert!(!recovered.formed && recovered.members.is_none(), "it is no member of anything");
        Self {
            wal,
            me: recovered.me,
            learner: Learner::recover(&recovered, APPLY_SLOTS),
            catch_up: CatchUp::default(),
            out: Outbox::new(id, recovered.last, recovered.chosen),
            overheard: BTreeMap::new(),
            tick_at: now,
            ticks: 0,
            applied: Vec::new(),
            announced: 0,
            caught_up: 0,
        }
    }

    /// Remembers a proposal until it is known whether it is chosen.
    fn overhear(&mut self, accept: Accept) {
        let Accept { ballot, slot, entry, .. } = accept;
        let chosen = self.learner.chosen();
        let open = Slots::new(chosen, chosen.plus(ALPHA)).contains(slot);
        if open && self.overheard.get(&slot).is_none_or(|held| held.ballot < ballot) {
            self.overheard.insert(slot, Held { ballot, entry });
        }
    }

    /// Takes as chosen what was proposed at the very ballot that is announced.
    fn learn_announced(&mut self, announcement: &Announcement) {
        let open = Slots::new(self.learner.chosen(), self.learner.chosen().plus(ALPHA));
        for run in announcement.runs.iter() {
            for slot in run.slots.intersection(open).iter() {
                let Some(held) = self.overheard.get(&slot) else { continue };
                if held.ballot == run.ballot && self.learner.learned(slot).is_none() {
                    let (ballot, entry) = (held.ballot, held.entry.clone());
                    // No acceptor of its own has written it: it must go into the log.
                    let learned = self.learner.learn(slot, ballot, entry, None, &mut self.out);
                    learned.expect("one entry is chosen");
                    self.announced += 1;
                }
            }
        }
    }

    /// Passes what it knows, and asks for what others know and it does not.
    fn settle(&mut self) {
        while self.learner.pass(&mut self.out).is_some() {}
        self.overheard = self.overheard.split_off(&self.learner.chosen());
        self.learner.deliver_from_log(&mut self.out);
        let missing = self.learner.missing(self.catch_up.highest());
        self.catch_up.proceed(self.learner.chosen(), missing, &mut self.out);
    }

    fn apply(&mut self, slot: Slot, entry: &Entry) {
        if let Entry::Batch(batch) = entry {
            self.applied.extend(batch.commands().map(<[u8]>::to_vec));
        }
        self.learner.handle_applied(slot.next());
    }
}

impl Host for Observer {
    fn me(&self) -> Peer {
        self.me
    }

    /// Facts only: it needs no promises, and whoever is no member is told nothing else.
    fn handle_message(&mut self, _now: Instant, from: Peer, message: Message) {
        if let Some(chosen) = message.chosen() {
            let is_member = MEMBERS.contains(&from.replica());
            self.catch_up.note(from.replica(), chosen, is_member);
        }
        match message {
            Message::Accept(accept) => {
                self.learn_announced(&accept.announcement);
                self.overhear(accept);
            }
            Message::Heartbeat(heartbeat) => self.learn_announced(&heartbeat.announcement),
            Message::Chosen(told) => {
                let before = self.out.appended();
                let learned =
                    self.learner.learn(told.slot, told.ballot, told.entry, None, &mut self.out);
                learned.expect("one entry is chosen");
                self.caught_up += u64::from(self.out.appended() > before);
            }
            _ => {}
        }
        self.settle();
    }

    fn handle_timeout(&mut self, now: Instant) {
        if self.tick_at > now {
            return;
        }
        self.tick_at = now.after(TICK);
        self.ticks += 1;
        let chosen = self.learner.chosen();
        let missing = self.learner.missing(self.catch_up.highest());
        if missing.is_none() {
            // Nobody need tell it anything: it asks one member after the other what comes next.
            let slots = Slots::new(chosen, chosen.plus(PAGE_SLOTS));
            self.out.send_one(MEMBERS[self.ticks % MEMBERS.len()], Asked { slots, chosen });
        }
        let hole = self.learner.holes().first().copied();
        let members = MEMBERS.into_iter().collect();
        self.catch_up.on_tick(chosen, missing, hole, members, &mut self.out);
        self.settle();
    }

    fn drain(&mut self, _now: Instant) -> Vec<(ReplicaId, Message)> {
        let mut said = Vec::new();
        loop {
            let Some(output) = self.out.poll() else { return said };
            match output {
                Output::Persist { lsn, record, chosen } => {
                    self.wal.append(lsn, &record, chosen).expect("the log takes it");
                }
                Output::Send { to, message } => {
                    said.extend(to.iter().map(|to| (to, message.clone())))
                }
                Output::Chosen { slot, entry } => self.apply(slot, &entry),
                Output::ApplyFromLog { slots } => {
                    for message in page(&self.wal, slots, slots.end) {
                        let Message::Chosen(stored) = message else { continue };
                        self.apply(stored.slot, &stored.entry);
                    }
                    self.learner.deliver_from_log(&mut self.out);
                }
                other => panic!("not expected of a learner: {other:?}"),
            }
        }
    }

    fn sync(&mut self, _now: Instant) {
        if let Some(durable) = sync(&mut self.wal) {
            let promised = synod::ballot::Ballot::ZERO; // It has no acceptor.
            let known = self.out.handle_persisted(durable, promised);
            assert!(known, "the log has synced what was never asked for");
        }
    }
}
