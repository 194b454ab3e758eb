//! Folds the records of a log, in their order, into what its replica may not forget.
//!
//! Every log does this at its start, on disk or simulated; only reading and judging the bytes
//! differs.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;

use crate::ballot::Ballot;
use crate::entry::Entry;
use crate::membership::{ClusterId, Membership, Peer};
use crate::record::{Lsn, Record, Recovered};
use crate::slot::{ALPHA, Run, Slot, Slots};

/// The fold so far. Holds the entries of open slots only: at most [`ALPHA`] of them.
///
/// ```
/// use synod::membership::DiskId;
/// use synod::record::{Lsn, Record, Recovered};
/// use synod::replay::Replay;
/// use synod::{Ballot, ClusterId, Entry, ReplicaId, Slot};
///
/// let cluster = ClusterId::named("docs")?;
/// let me = Recovered::nothing(cluster, ReplicaId(1), DiskId([7; 16])).me;
/// let (slot, ballot) = (Slot(0), Ballot { round: 1, replica: ReplicaId(2) });
/// let mut replay = Replay::default();
/// replay.apply(Lsn(1), Record::Accepted { slot, ballot, entry: Entry::Noop }, Slot(0));
/// let recovered = replay.finish(cluster, me);
/// assert_eq!((recovered.promised, recovered.last), (ballot, Lsn(1)));
/// assert_eq!(recovered.accepted, [(slot, ballot, Entry::Noop)]);
/// # Ok::<(), synod::MembershipError>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct Replay {
    members: Option<Membership>,
    formed: bool,
    promised: Ballot,
    chosen: Slot,
    /// Slots below the chosen mark and the ballot stored with their entries, the last ALPHA of
    /// them.
    runs: Vec<Run>,
    /// Slots below the mark whose entries are lost: where each gap starts, and where it ends.
    holes: BTreeMap<Slot, Slot>,
    accepted: BTreeMap<Slot, (Ballot, Entry)>,
    learned: BTreeMap<Slot, (Ballot, Entry)>,
    /// Lost acceptances, with the exact ballot where it is known to be the newest.
    faulty: BTreeMap<Slot, Option<Ballot>>,
    /// Slots at or above the mark that may have been learned, and the entry lost since: what was
    /// accepted there need not be what was chosen.
    unlearned: BTreeSet<Slot>,
    last: Lsn,
}

impl Replay {
    /// Takes the next record of the log, and the chosen mark that was written with it.
    pub fn apply(&mut self, lsn: Lsn, record: Record, chosen: Slot) {
        self.last = self.last.max(lsn);
        match record {
            Record::Promised { ballot } => self.raise_promise(ballot),
            Record::Accepted { slot, ballot, entry } => {
                self.raise_promise(ballot);
                self.faulty.remove(&slot);
                let held = self.accepted.get(&slot).map(|held| held.0);
                if slot >= self.chosen && held <= Some(ballot) {
                    self.accepted.insert(slot, (ballot, entry));
                }
            }
            Record::Chosen { slot, ballot, entry } => {
                // What was accepted there stays lost until the mark passes: a Promise tells of
                // acceptances, not of what was learned (I10).
                self.unlearned.remove(&slot);
                self.fill_hole(slot);
                if slot >= self.chosen {
                    self.learned.entry(slot).or_insert((ballot, entry));
                }
            }
            Record::Members { members } => self.members = Some(members),
            Record::Formed => self.formed = true,
        }
        self.raise_chosen(chosen);
    }

    /// Takes a promise that is known from elsewhere: a group's marker or the superblock.
    pub fn raise_promise(&mut self, ballot: Ballot) {
        self.promised = self.promised.max(ballot);
    }

    /// Takes a chosen mark that is known from elsewhere. Slots that it passes and whose entries are
    /// not held become holes.
    pub fn raise_chosen(&mut self, chosen: Slot) {
        // Not slot by slot: a log that says it may have a mark far from what it holds.
        let mut held = BTreeMap::new();
        for (slot, (ballot, _)) in take_below(&mut self.accepted, chosen) {
            if !self.unlearned.contains(&slot) {
                held.insert(slot, ballot);
            }
        }
        for (slot, (ballot, _)) in take_below(&mut self.learned, chosen) {
            held.insert(slot, ballot);
        }
        take_below(&mut self.faulty, chosen);
        self.unlearned = self.unlearned.split_off(&chosen);
        let mut next = self.chosen;
        for (slot, ballot) in held {
            self.add_hole(Slots::new(next, slot));
            Run::push(&mut self.runs, slot, ballot);
            next = slot.next();
        }
        self.add_hole(Slots::new(next, chosen));
        self.chosen = self.chosen.max(chosen);
        let oldest = Slot(self.chosen.0.saturating_sub(ALPHA));
        self.runs.retain_mut(|run| {
            run.slots.start = run.slots.start.max(oldest);
            !run.slots.is_empty()
        });
    }

    /// Notes that the record of this slot is lost. `newest` is the exact ballot in which the slot
    /// was accepted, given only where a second copy proves that it is the newest, and that what is
    /// lost is no learned entry.
    pub fn lose(&mut self, slot: Slot, newest: Option<Ballot>) {
        if slot < self.chosen {
            // First, so that no slot lies in two gaps.
            self.fill_hole(slot);
            self.add_hole(Slots::one(slot));
        } else {
            self.accepted.remove(&slot);
            self.faulty.insert(slot, newest);
            if newest.is_none() && !self.learned.contains_key(&slot) {
                self.unlearned.insert(slot);
            }
        }
    }

    /// Adds a gap, of which no slot lies in another one.
    fn add_hole(&mut self, slots: Slots) {
        if !slots.is_empty() {
            self.holes.insert(slots.start, slots.end);
        }
    }

    /// Takes the slot out of the gap in which it lies, if there is one.
    fn fill_hole(&mut self, slot: Slot) {
        let Some((start, end)) = self.holes.range(..=slot).next_back().map(|(s, e)| (*s, *e))
        else {
            return;
        };
        if slot < end {
            self.holes.remove(&start);
            self.add_hole(Slots::new(start, slot));
            self.add_hole(Slots::new(slot.next(), end));
        }
    }

    /// The chosen mark so far.
    #[must_use]
    pub fn chosen(&self) -> Slot {
        self.chosen
    }

    /// The promise so far.
    #[must_use]
    pub fn promised(&self) -> Ballot {
        self.promised
    }

    /// The number of the last record so far.
    #[must_use]
    pub fn last(&self) -> Lsn {
        self.last
    }

    /// Counts a record that is lost, so that its number is not given to another.
    pub fn raise_last(&mut self, lsn: Lsn) {
        self.last = self.last.max(lsn);
    }

    /// Whether the replica is formed.
    #[must_use]
    pub fn formed(&self) -> bool {
        self.formed
    }

    /// The list of members, if there was one so far.
    #[must_use]
    pub fn members(&self) -> Option<&Membership> {
        self.members.as_ref()
    }

    /// What the replica is given at its start.
    #[must_use]
    pub fn finish(self, cluster: ClusterId, me: Peer) -> Recovered {
        let open = |held: BTreeMap<Slot, (Ballot, Entry)>| {
            held.into_iter().map(|(slot, (ballot, entry))| (slot, ballot, entry)).collect()
        };
        let mut faulty = Vec::new();
        for (slot, newest) in self.faulty {
            Run::push(&mut faulty, slot, newest.unwrap_or(self.promised));
        }
        let mut holes: Vec<Slots> = Vec::new();
        for (start, end) in self.holes {
            match holes.last_mut() {
                Some(last) if last.end == start => last.end = end,
                _ => holes.push(Slots { start, end }),
            }
        }
        Recovered {
            cluster,
            me,
            members: self.members,
            formed: self.formed,
            promised: self.promised,
            chosen: self.chosen,
            runs: self.runs,
            holes,
            accepted: open(self.accepted),
            learned: open(self.learned),
            faulty,
            last: self.last,
        }
    }
}

/// Takes what lies below the slot.
fn take_below<T>(map: &mut BTreeMap<Slot, T>, slot: Slot) -> BTreeMap<Slot, T> {
    let rest = map.split_off(&slot);
    core::mem::replace(map, rest)
}

#[cfg(test)]
mod tests;
