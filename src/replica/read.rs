//! How reads come into a replica, and how it finds out up to where they must read.

use thiserror::Error;

use crate::membership::ReplicaId;
use crate::message::ReadIndex;
use crate::output::{IgnoreReason, Output};
use crate::replica::Replica;
use crate::time::Instant;

/// How many reads may wait at a replica.
const READS_MAX: u64 = 65_536;

/// What a read may miss.
///
/// ```
#[doc = include_str!("example.txt")]
/// let mut replica = fresh([1, 2, 3]); // It has heard of nobody.
/// let local = replica.read(Instant::ZERO, Consistency::Local);
/// let linearizable = replica.read(Instant::ZERO, Consistency::Linearizable);
/// assert_eq!((local, linearizable), (Ok(0), Ok(1)), "both are taken in");
/// let outputs = drain(&mut replica, Instant::ZERO);
/// // The local one is served at once; the other waits for a quorum.
/// assert!(outputs.contains(&Output::ReadReady { reads: 0..1, upto: Slot(0) }));
/// assert_eq!(replica.status().waiting_reads, 1);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Consistency {
    /// Nothing that was acknowledged before the read was asked, by whichever replica. In CAP's
    /// words consistency over availability: without a quorum there is no answer. In PACELC's words
    /// consistency over latency, too: the leader hears a quorum once for each round of reads.
    Linearizable,
    /// Whatever this replica has not applied yet, with no bound on its age: a replica that is cut
    /// off answers from the past. Each replica's answers never go back, until it starts anew.
    /// Availability and latency over consistency.
    Local,
}

/// Why a read was not taken in. It can be asked again.
///
/// ```
#[doc = include_str!("example.txt")]
/// let mut config = Config::new([1, 2, 3].map(ReplicaId));
/// config.patience = Duration::ZERO; // Who knows no leader refuses at once.
/// let mut replica = Replica::new(config, nothing(1), Instant::ZERO)?;
/// let refused = replica.read(Instant::ZERO, Consistency::Linearizable);
/// assert_eq!(refused, Err(ReadError::NotLeader));
/// # Ok::<(), synod::ConfigError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ReadError {
    /// No leader is known, and the settings allow no waiting.
    #[error("no leader is known")]
    NotLeader,
    /// Too many reads wait already.
    #[error("too many reads are waiting already; try again later")]
    Full,
    /// The replica has stopped for good.
    #[error("the replica has stopped for good")]
    Halted,
}

impl Replica {
    /// Takes a read in, and returns its number: they count up from 0 in each start. Once it may be
    /// served, that comes out as [`Output::ReadReady`].
    ///
    /// # Errors
    /// Why not.
    pub fn read(&mut self, now: Instant, consistency: Consistency) -> Result<u64, ReadError> {
        self.now = self.now.max(now);
        if self.halted.is_some() {
            return Err(ReadError::Halted);
        }
        if consistency == Consistency::Local {
            let read = self.reads.take_in(false);
            let upto = self.learner.applied();
            self.out.push(Output::ReadReady { reads: read..read + 1, upto });
            return Ok(read);
        }
        if self.config.patience.is_zero() && self.offers_to().is_none() {
            return Err(ReadError::NotLeader);
        }
        if self.reads.waiting() >= READS_MAX {
            return Err(ReadError::Full);
        }
        self.read_patience.start(self.now, self.reads.next());
        Ok(self.reads.take_in(true))
    }

    /// Asks the leader for an index, and begins a round of answers if this replica leads and some
    /// wait for one.
    pub(super) fn ask_next(&mut self) -> bool {
        let chosen = self.learner.chosen();
        let to = self.offers_to();
        let asked = to.is_some_and(|ballot| self.reads.ask(ballot, chosen, &mut self.out));
        if asked {
            // It may be a question to oneself.
            self.settle(self.now);
        }
        let begun = self.confirm_next();
        if begun {
            self.settle(self.now);
        }
        asked || begun
    }

    /// Begins a round of answers, if one is due.
    fn confirm_next(&mut self) -> bool {
        let Some(ballot) = self.proposer.leading() else { return false };
        let chosen = self.learner.chosen();
        if !self.proposer.free_from().is_some_and(|free| self.indexes.is_due(chosen, free)) {
            return false;
        }
        let Some(sequence) = self.send_heartbeat(ballot) else { return false };
        self.indexes.begin(chosen, sequence);
        self.confirm(self.me.replica, sequence);
        true
    }

    /// Hears that the promise of a member was not above this leader's ballot when it answered.
    pub(super) fn confirm(&mut self, from: ReplicaId, sequence: u64) {
        let Some(membership) = &self.membership else { return };
        let announcement = || self.learner.announcement();
        let out = &mut self.out;
        self.indexes.handle_heartbeat_answer(from, sequence, announcement, membership, out);
    }

    /// Takes the question of a member, or of this replica itself, if it leads at that ballot.
    pub(super) fn handle_read_index(&mut self, from: ReplicaId, asked: &ReadIndex) {
        if !self.is_member(from) {
            self.ignore(from, IgnoreReason::NoMember);
        } else if self.proposer.leading() == Some(asked.ballot) {
            self.indexes.ask(from, self.start_of(from), asked.reads);
        }
    }

    /// Asks again what was not answered, and gives up what has waited for too long.
    pub(super) fn on_reads(&mut self, now: Instant) {
        self.reads.on_tick();
        let old = self.read_patience.on_tick(now, self.reads.next());
        let leader = self.leader_hint();
        for reads in self.reads.drop_below(old) {
            self.out.push(Output::ReadRefused { reads, leader });
        }
    }
}
