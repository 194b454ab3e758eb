//! What a replica asks of the leader that it follows, for its own clients: to propose commands, and
//! to say up to where reads must read.

use serde::{Deserialize, Serialize};

use super::Announcement;
use crate::ballot::Ballot;
use crate::entry::Batch;
use crate::membership::Incarnation;
use crate::slot::Slot;

/// Commands that the sender took in, for the leader to propose.
///
/// Addressed to a ballot: whoever does not lead at it does nothing with it. The leader proposes a
/// command at most once, and never at `limit` or above: so once every slot below the limit is
/// passed, the sender knows what became of the command, whoever has crashed meanwhile.
///
/// ```
#[doc = include_str!("example.txt")]
/// let limit = Slot(64);
/// let forward = Forward { ballot: ballot(1), after: 0, limit, batch: batch(), chosen: Slot(0) };
/// assert_eq!(answers([forward.into()]), [], "who does not lead at that ballot does nothing");
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Forward {
    /// The ballot at which the receiver is believed to lead.
    pub ballot: Ballot,
    /// The end of the numbers of the Forward before this one, if that has no answer yet; otherwise
    /// 0. It must have been taken in before this one is.
    pub after: u64,
    /// The first slot in which the commands must not be proposed any more.
    pub limit: Slot,
    /// The commands, all taken in by this start of the sender, their numbers rising.
    pub batch: Batch,
    /// The sender's chosen mark.
    pub chosen: Slot,
}

/// The answer to a Forward: how far the leader has taken the sender's commands in. Sent again when
/// some of them are chosen and no Accept tells of it.
///
/// ```
#[doc = include_str!("example.txt")]
/// let answer = ForwardAnswer {
///     ballot: ballot(1),
///     incarnation: Incarnation::default().next(0),
///     taken: 3, // Commands 0 to 2.
///     next: Slot(5),
///     announcement: Announcement::default(),
/// };
/// assert_eq!(Message::from(answer).name(), "ForwardAnswer");
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ForwardAnswer {
    /// The ballot at which the sender leads.
    pub ballot: Ballot,
    /// The start of the receiver whose commands are meant.
    pub incarnation: Incarnation,
    /// The end of the numbers of the last Forward that was taken in.
    pub taken: u64,
    /// The slot that the leader gives out next.
    pub next: Slot,
    /// What the leader knows to be chosen.
    pub announcement: Announcement,
}

/// Asks the leader for a read index.
///
/// ```
#[doc = include_str!("example.txt")]
/// let question = ReadIndex { ballot: ballot(1), reads: 3, chosen: Slot(0) };
/// assert_eq!(answers([question.into()]), [], "only the leader of that ballot answers");
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct ReadIndex {
    /// The ballot at which the receiver is believed to lead.
    pub ballot: Ballot,
    /// All reads of the sender below this number have arrived before it asked.
    pub reads: u64,
    /// The sender's chosen mark.
    pub chosen: Slot,
}

/// The answer to a ReadIndex: everything that was acknowledged before those reads arrived lies
/// below the index.
///
/// ```
#[doc = include_str!("example.txt")]
/// let answer = ReadIndexAnswer {
///     incarnation: Incarnation::default().next(0),
///     reads: 3, // Reads 0 to 2.
///     index: Slot(5),
///     announcement: Announcement { chosen: Slot(5), ..Announcement::default() },
/// };
/// assert_eq!(Message::from(answer).chosen(), Some(Slot(5)));
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ReadIndexAnswer {
    /// The start of the receiver whose reads are meant.
    pub incarnation: Incarnation,
    /// The reads below this number are meant.
    pub reads: u64,
    /// They are served by a state machine that has applied every slot below this one.
    pub index: Slot,
    /// What the leader knows to be chosen.
    pub announcement: Announcement,
}
