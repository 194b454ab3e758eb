//! What a replica asks its driver to do: one closed enum, whose last member is "wait until".

use core::fmt;
use core::ops::Range;

use crate::ballot::Ballot;
use crate::entry::Entry;
use crate::membership::{DiskId, Incarnation, Membership, ReplicaId, Replicas};
use crate::message::Message;
use crate::record::{Lsn, Record};
use crate::slot::{Slot, Slots};
use crate::time::Instant;

/// One thing to do. Exhaustive on purpose: a new kind must break every driver at compile time.
///
/// ```
#[doc = include_str!("replica/example.txt")]
/// let (mut replica, now) = leading_alone();
/// replica.propose(now, b"hello").expect("there is room");
/// // `drain` does what a driver does, and returns what it did.
/// let outputs = drain(&mut replica, now);
/// assert!(matches!(outputs[0], Output::Persist { .. }));
/// assert!(outputs.iter().any(|output| matches!(output, Output::Chosen { .. })));
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[must_use]
pub enum Output {
    /// Append the record to the log. Records come in the order of their numbers, without a gap.
    Persist {
        /// The record's number.
        lsn: Lsn,
        /// The record.
        record: Record,
        /// The chosen mark: every slot below it is chosen, and this log holds its record at or
        /// before `lsn`.
        chosen: Slot,
    },
    /// Send the message. What had to wait for the disk has waited.
    Send {
        /// To whom; encode once.
        to: Replicas,
        /// The message.
        message: Message,
    },
    /// Send the chosen entries of these slots out of the log, each as a [`crate::message::Chosen`]
    /// message, as many as the driver likes, from the first on.
    SendEntries {
        /// To whom.
        to: ReplicaId,
        /// The slots, all below the chosen mark.
        slots: Slots,
    },
    /// Apply the entry. Slots come in order, each once, without a gap (invariant I7), together with
    /// those of [`Output::ApplyFromLog`].
    Chosen {
        /// The slot.
        slot: Slot,
        /// The entry.
        entry: Entry,
    },
    /// Apply the entries of these slots, read from the log: they are too many to hold in memory.
    ApplyFromLog {
        /// The slots, all below the chosen mark.
        slots: Slots,
    },
    /// What became of commands that this replica took in.
    Fate {
        /// Their sequence numbers, in this incarnation.
        commands: Range<u64>,
        /// What became of them.
        fate: Fate,
    },
    /// These reads may be served: everything below `upto` was handed out before, to be applied, and
    /// a state machine that has applied it gives them what is linearizable.
    ReadReady {
        /// Their numbers, in this incarnation.
        reads: Range<u64>,
        /// The first slot that need not be applied.
        upto: Slot,
    },
    /// These reads found no leader in time. They can be asked again.
    ReadRefused {
        /// Their numbers, in this incarnation.
        reads: Range<u64>,
        /// Who may lead.
        leader: Option<ReplicaId>,
    },
    /// Something that a person or a test may want to know.
    Event(Event),
    /// Nothing is left to do until an input comes, or until this time.
    Wait {
        /// When to call `handle_timeout`, and what for.
        until: Option<(Instant, Timer)>,
    },
}

/// What became of a command.
///
/// ```
#[doc = include_str!("replica/example.txt")]
/// let (mut replica, now) = leading_alone();
/// let id = replica.propose(now, b"hello").expect("there is room");
/// let fate = drain(&mut replica, now).into_iter().find_map(|output| match output {
///     Output::Fate { commands, fate } if commands.contains(&id.sequence) => Some(fate),
///     _ => None,
/// });
/// assert!(matches!(fate, Some(Fate::Chosen { index: 0, .. })));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Fate {
    /// Chosen: the first of the commands at this index of the slot's batch, the others after it.
    Chosen {
        /// The slot.
        slot: Slot,
        /// The first command's index within the batch.
        index: u32,
    },
    /// Everything below its limit is chosen, and it is not there: another entry was chosen at its
    /// slot, or the leader never proposed it. It is certain that it is never applied.
    Superseded,
    /// No leader was found for it in time. It was never offered to one, so it is certain that it is
    /// never applied.
    NotLeader {
        /// Who may lead.
        leader: Option<ReplicaId>,
    },
}

/// Why a replica wants to be woken.
///
/// ```
#[doc = include_str!("replica/example.txt")]
/// let mut replica = fresh([1, 2, 3]);
/// drain(&mut replica, Instant::ZERO);
/// let Output::Wait { until: Some((_, timer)) } = replica.poll_output() else { panic!() };
/// assert_eq!(timer, Timer::Forming, "the others were not heard yet");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Timer {
    /// A forming replica tells its list again.
    Forming,
    /// No leader was heard.
    Election,
    /// A leader's next sign of life.
    Heartbeat,
    /// What is chosen is told, which nothing else tells.
    Announcement,
    /// What was not answered is sent again.
    Resend,
    /// What was asked of a peer's log is asked again.
    CatchUp,
}

/// Something that happened inside a replica.
///
/// ```
#[doc = include_str!("replica/example.txt")]
/// let mut replica = fresh([1]);
/// let outputs = drain(&mut replica, Instant::ZERO);
/// assert!(outputs.contains(&Output::Event(Event::Formed { members: 1 })));
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Event {
    /// The cluster is formed, with these members.
    Formed {
        /// How many members it has.
        members: usize,
    },
    /// This replica tries to lead.
    Preparing {
        /// Its ballot.
        ballot: Ballot,
    },
    /// This replica leads.
    Leading {
        /// Its ballot.
        ballot: Ballot,
    },
    /// This replica follows, or looks for, a leader.
    Following {
        /// The leader's ballot, if there is one.
        leader: Option<Ballot>,
    },
    /// This replica hands its leadership over.
    HandingOver {
        /// The ballot at which it leads.
        ballot: Ballot,
        /// To whom.
        to: ReplicaId,
    },
    /// Another replica leads after this one had begun to hand over, usually the one that it was
    /// meant for.
    HandedOver {
        /// The ballot of the leader.
        leader: Ballot,
    },
    /// A hand-over came to nothing: nobody else led in time. If this replica still led, it goes on.
    HandOverGivenUp {
        /// For whom it was meant.
        to: ReplicaId,
    },
    /// A peer contradicts what is held, or what it may say. Its message was refused.
    PeerMisbehaved {
        /// The peer.
        peer: ReplicaId,
        /// What it did.
        what: Misbehaviour,
    },
    /// A message was dropped before it was judged.
    Ignored {
        /// Who sent it.
        peer: ReplicaId,
        /// Why.
        reason: IgnoreReason,
    },
    /// A slot that the disk may have lost is known again.
    Healed {
        /// The slot.
        slot: Slot,
    },
    /// The driver told of a record on disk that was never asked for. Nothing was changed.
    PersistedTooFar {
        /// What the driver told.
        upto: Lsn,
        /// The last record that was asked for.
        appended: Lsn,
    },
    /// The replica has stopped for good: turning it again does nothing.
    Halted {
        /// Why.
        reason: HaltReason,
    },
}

/// What a misbehaving peer did.
///
/// ```
/// use synod::message::{Accept, Announcement};
/// use synod::output::Misbehaviour;
/// use synod::record::{Lsn, Record};
/// use synod::roles::{Acceptor, Outbox};
/// # use synod::entry::BatchBuilder;
/// # use synod::membership::Incarnation;
/// use synod::{Ballot, CommandId, Entry, ReplicaId, Slot};
///
/// # let incarnation = Incarnation::default().next(0);
/// # let id = CommandId { replica: ReplicaId(2), incarnation, sequence: 0 };
/// # let mut builder = BatchBuilder::default();
/// # builder.push(id, b"x");
/// # let batch = Entry::Batch(builder.build().expect("it has a command"));
/// let mut out = Outbox::new(ReplicaId(1), Lsn::ZERO, Slot::ZERO);
/// let mut acceptor = Acceptor::default();
/// let (slot, ballot) = (Slot(0), Ballot { round: 1, replica: ReplicaId(2) });
/// let mut accept = |entry| {
///     let accept = Accept { ballot, slot, entry, announcement: Announcement::default() };
///     acceptor.handle_accept(ReplicaId(2), accept, &mut out)
/// };
/// assert_eq!(accept(Entry::Noop), Ok(()));
/// assert_eq!(accept(batch), Err(Misbehaviour::TwoEntries { slot, ballot }));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Misbehaviour {
    /// Another entry for a ballot and slot that are held (invariant I2).
    TwoEntries {
        /// The slot.
        slot: Slot,
        /// The ballot.
        ballot: Ballot,
    },
    /// Another entry for a slot that is known chosen (invariant I6).
    ChosenChanged {
        /// The slot.
        slot: Slot,
    },
    /// Leads at a ballot that belongs to another replica.
    ForeignBallot {
        /// The ballot.
        ballot: Ballot,
    },
    /// Forwards commands that it did not take in.
    ForeignCommands {
        /// The ballot that the Forward is addressed to.
        ballot: Ballot,
    },
    /// A Promise that reports more than it can know.
    ImpossibleReport {
        /// The Promise's ballot.
        ballot: Ballot,
    },
}

/// Why a message was dropped before it was judged.
///
/// ```
#[doc = include_str!("replica/example.txt")]
/// let mut replica = fresh([1, 2, 3]);
/// let canvass = Canvass { sequence: 1, chosen: Slot(0) };
/// replica.handle_message(Instant::ZERO, peer(2), canvass.into());
/// assert_eq!(replica.status().ignored[&IgnoreReason::NotFormed], 1);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum IgnoreReason {
    /// It comes from a member's name on another disk.
    OtherDisk,
    /// It comes from an earlier start of the sender.
    OldIncarnation,
    /// It comes in this replica's own name.
    OwnName,
    /// This replica is not formed yet.
    NotFormed,
    /// The sender is no member, and only members may say this.
    NoMember,
    /// Too many bytes wait for the disk.
    DiskBusy,
    /// The sender has not shown yet that it remembers its earlier votes.
    Unproven,
    /// The sender has forgotten votes of earlier starts: its directory is an older copy.
    Forgetful,
    /// This replica has stopped.
    Halted,
}

/// Why a replica has stopped for good.
///
/// ```
#[doc = include_str!("replica/example.txt")]
/// let mut replica = fresh([1, 2, 3]);
/// // Replica 2 knows this very disk as a member; an older copy of the directory does not.
/// let members = [1, 2, 3].map(|id| Member { replica: ReplicaId(id), disk: peer(id).disk() });
/// let members = Membership::new(members.to_vec()).ok();
/// let told = Forming { members, formed: true };
/// replica.handle_message(Instant::ZERO, peer(2), told.into());
/// assert_eq!(replica.status().halted, Some(HaltReason::ListLost { peer: ReplicaId(2) }));
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum HaltReason {
    /// Two lists of members met while the cluster formed: a disk was wiped meanwhile, or the
    /// settings name other members or other quorums. Nothing was voted; make every directory anew,
    /// with the same settings.
    ConflictingMembers {
        /// Who told the other list.
        peer: ReplicaId,
        /// The list that is durable here, if there is one.
        ours: Option<Membership>,
        /// The list that was told.
        theirs: Membership,
    },
    /// The cluster was formed with another disk of this replica: the directory was wiped, or is
    /// another's. It must not vote under the promises of the old one.
    OtherDisk {
        /// Who told.
        peer: ReplicaId,
        /// The disk that the cluster was formed with.
        formed_with: DiskId,
    },
    /// A peer has seen a later start of this replica, or a vote of an earlier one that it does not
    /// remember: the directory is an older copy.
    RolledBack {
        /// Who told.
        peer: ReplicaId,
        /// The start that the peer has seen.
        seen: Incarnation,
        /// The start that this is.
        ours: Incarnation,
    },
    /// A peer is formed with this very disk, which it can only be after this replica had made the
    /// list of members durable; but there is none here: the directory is an older copy.
    ListLost {
        /// Who told.
        peer: ReplicaId,
    },
    /// The rounds of ballots are used up.
    BallotsUsedUp,
}

impl fmt::Display for HaltReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ConflictingMembers { peer, .. } => write!(
                f,
                "replica {peer} tells another list of members or other quorums: was a disk wiped \
                 while the cluster formed, or do the settings differ? make every directory anew"
            ),
            Self::OtherDisk { peer, formed_with } => write!(
                f,
                "replica {peer} knows this replica on disk {formed_with}: the directory was wiped \
                 or is another's, and must not vote"
            ),
            Self::RolledBack { peer, seen, ours } => write!(
                f,
                "replica {peer} knows of votes of this replica, up to its start {seen}, that it \
                 does not remember in start {ours}: the directory is an older copy, and must \
                 not vote"
            ),
            Self::ListLost { peer } => write!(
                f,
                "replica {peer} is formed with this disk, but its list of members is missing here: \
                 the directory is an older copy, and must not vote"
            ),
            Self::BallotsUsedUp => write!(f, "the rounds of ballots are used up"),
        }
    }
}
