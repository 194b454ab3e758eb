//! What replicas say to one another: one struct per arrow of the papers.
//!
//! Those with neither lists nor entries are written to the wire as they stand: the order of their
//! fields is part of its format.

use alloc::boxed::Box;
use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

use crate::ballot::Ballot;
use crate::entry::Entry;
use crate::membership::{Incarnation, Membership};
use crate::slot::{Run, RunList, Slot, Slots};

pub use requests::{Forward, ForwardAnswer, ReadIndex, ReadIndexAnswer};

mod requests;

/// What an acceptor stands by. As far as it was ever voted, neither part falls, restarts included.
///
/// ```
/// use synod::message::Standing;
/// use synod::{Ballot, ReplicaId, Slot};
///
/// let promised = Ballot { round: 2, replica: ReplicaId(1) };
/// let before = Standing { promised, end: Slot(12) };
/// let after = Standing { end: Slot(10), ..before };
/// assert!(!after.covers(before), "it has forgotten what it accepted");
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Standing {
    /// The highest ballot that it promised.
    pub promised: Ballot,
    /// The first slot above everything that it accepted, and no lower than its chosen mark.
    pub end: Slot,
}

impl Standing {
    /// Whether both parts reach as far as the other's.
    #[must_use]
    pub fn covers(self, other: Self) -> bool {
        self.promised >= other.promised && self.end >= other.end
    }

    /// The higher one of each part.
    #[must_use]
    pub fn max(self, other: Self) -> Self {
        Self { promised: self.promised.max(other.promised), end: self.end.max(other.end) }
    }
}

/// Phase 1a: asks the acceptors to promise a ballot ("Paxos Made Simple", 2.2).
///
/// It covers every slot from `first` on, the candidate's first slot that it does not know chosen.
///
/// ```
#[doc = include_str!("message/example.txt")]
/// let answers = answers([Prepare { ballot: ballot(1), first: Slot(0) }.into()]);
/// assert!(matches!(&answers[..], [Message::Promise(promise)] if promise.ballot == ballot(1)));
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Prepare {
    /// The candidate's ballot.
    pub ballot: Ballot,
    /// The first slot that the candidate asks about.
    pub first: Slot,
}

/// Phase 1b: one page of an acceptor's promise. Carries ballots, not values.
///
/// ```
#[doc = include_str!("message/example.txt")]
/// let prepare = Prepare { ballot: ballot(2), first: Slot(0) };
/// let [_, Message::Promise(promise)] = &answers([accept(1, 0), prepare.into()])[..] else {
///     panic!("an Accepted, then a Promise of one page");
/// };
/// let held = Run { slots: Slots::one(Slot(0)), ballot: ballot(1) };
/// assert_eq!((promise.last, &promise.accepted[..]), (true, &[held][..]));
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Promise {
    /// The ballot that is promised.
    pub ballot: Ballot,
    /// The slots that this page speaks of. What it does not name in them was not accepted.
    pub slots: Slots,
    /// Whether this page also covers every slot from `slots.end` on.
    pub last: bool,
    /// Every slot below this one is chosen, and the acceptor holds it or can learn it.
    pub chosen: Slot,
    /// What was accepted: the slots at or above `chosen`, each with the highest ballot.
    pub accepted: Vec<Run>,
    /// Slots whose acceptance the disk may have lost, with the highest ballot in which they *can*
    /// have been accepted (invariant I10).
    pub faulty: Vec<Run>,
}

/// The answer to a Prepare, Accept or Heartbeat below the promise.
///
/// ```
#[doc = include_str!("message/example.txt")]
/// let refused = answers([accept(5, 0), accept(4, 0)]).pop();
/// let nack = Nack { ballot: ballot(4), promised: ballot(5), chosen: Slot(0) };
/// assert_eq!(refused, Some(nack.into()));
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Nack {
    /// The ballot that was refused.
    pub ballot: Ballot,
    /// What was promised instead.
    pub promised: Ballot,
    /// The sender's chosen mark.
    pub chosen: Slot,
}

/// A chosen mark with the ballots of the slots just below it.
///
/// Facts: taken from any sender, at any ballot, before the message that carries them is judged.
///
/// ```
#[doc = include_str!("message/example.txt")]
/// // Slot 0 was accepted at ballot 1, and is announced as chosen at that ballot.
/// let run = Run { slots: Slots::one(Slot(0)), ballot: ballot(1) };
/// let announcement = Announcement { chosen: Slot(1), runs: vec![run].into() };
/// let heartbeat = Heartbeat { ballot: ballot(1), sequence: 1, announcement };
/// let canvass = Canvass { sequence: 1, chosen: Slot(0) };
/// let answers = answers([accept(1, 0), heartbeat.into(), canvass.into()]);
/// assert_eq!(answers[2].chosen(), Some(Slot(1)), "now the follower knows it, too");
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Announcement {
    /// Every slot below this one is chosen.
    pub chosen: Slot,
    /// Chosen slots, each with the ballot that is stored *with the chosen entry*. A follower takes
    /// a slot as chosen from here only if the ballot that it accepted *equals* the one named.
    pub runs: RunList,
}

/// Phase 2a: asks the acceptors to accept an entry.
///
/// ```
#[doc = include_str!("message/example.txt")]
/// let (slot, announcement) = (Slot(0), Announcement::default());
/// let accept = Accept { ballot: ballot(1), slot, entry: Entry::Noop, announcement };
/// assert!(matches!(answers([accept.into()])[..], [Message::Accepted(_)]));
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Accept {
    /// The leader's ballot.
    pub ballot: Ballot,
    /// The slot.
    pub slot: Slot,
    /// The entry; the same bytes in every Accept of this ballot and slot (invariant I2).
    pub entry: Entry,
    /// What the leader knows to be chosen.
    pub announcement: Announcement,
}

/// Phase 2b: these slots were accepted at this ballot.
///
/// ```
#[doc = include_str!("message/example.txt")]
/// let accepted = Accepted { ballot: ballot(1), slots: Slots::one(Slot(0)), chosen: Slot(0) };
/// assert_eq!(answers([accept(1, 0)]), [accepted.into()]);
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Accepted {
    /// The ballot.
    pub ballot: Ballot,
    /// The slots, all accepted at that ballot.
    pub slots: Slots,
    /// The acceptor's chosen mark.
    pub chosen: Slot,
}

/// The answer to an Accept below the acceptor's chosen mark, or too far above it: no vote, no Nack.
///
/// The mark says which of the two must catch up.
///
/// ```
#[doc = include_str!("message/example.txt")]
/// let behind = Behind { ballot: ballot(1), chosen: Slot(0) };
/// assert_eq!(answers([accept(1, ALPHA)]), [behind.into()]);
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Behind {
    /// The ballot of the Accept.
    pub ballot: Ballot,
    /// The acceptor's chosen mark.
    pub chosen: Slot,
}

/// A leader's sign of life.
///
/// ```
#[doc = include_str!("message/example.txt")]
/// let announcement = Announcement::default();
/// let heartbeat = Heartbeat { ballot: ballot(1), sequence: 7, announcement };
/// let answers = answers([heartbeat.into()]);
/// assert!(matches!(&answers[..], [Message::HeartbeatAnswer(answer)] if answer.sequence == 7));
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Heartbeat {
    /// The leader's ballot.
    pub ballot: Ballot,
    /// Counts the leader's heartbeats; the answer repeats it.
    pub sequence: u64,
    /// What the leader knows to be chosen.
    pub announcement: Announcement,
}

/// The answer to a Heartbeat at or above the promise.
///
/// ```
#[doc = include_str!("message/example.txt")]
/// let announcement = Announcement::default();
/// let heartbeat = Heartbeat { ballot: ballot(1), sequence: 7, announcement };
/// let Some(Message::HeartbeatAnswer(answer)) = answers([accept(1, 0), heartbeat.into()]).pop()
/// else {
///     panic!("a Heartbeat at the promise is answered");
/// };
/// assert_eq!(answer.end, Slot(1), "so far reaches what it has accepted");
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct HeartbeatAnswer {
    /// The heartbeat's ballot. The sender's promise is not above it.
    pub ballot: Ballot,
    /// The heartbeat's sequence number.
    pub sequence: u64,
    /// The first slot above everything that the sender has accepted, or in which commands may be
    /// chosen whose fate it waits for. A leader that has nothing to propose fills the slots below
    /// it, so that nobody waits for ever to hear what became of them.
    pub end: Slot,
    /// What the sender stood by when this start of it began.
    pub start: Standing,
    /// The sender's chosen mark.
    pub chosen: Slot,
    /// How much the sender should rather lead than others ([`crate::Config::priority`]).
    pub priority: u8,
}

/// Asks whether the sender should try to lead. Changes no state.
///
/// ```
#[doc = include_str!("message/example.txt")]
/// let [Message::CanvassAnswer(answer)] =
///     &answers([Canvass { sequence: 7, chosen: Slot(0) }.into()])[..]
/// else {
///     panic!("every member answers");
/// };
/// assert_eq!((answer.sequence, answer.promised), (7, Ballot::ZERO));
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Canvass {
    /// Tells this round of questions from earlier ones; the answer repeats it.
    pub sequence: u64,
    /// The sender's chosen mark.
    pub chosen: Slot,
}

/// The answer to a Canvass.
///
/// ```
#[doc = include_str!("message/example.txt")]
/// let announcement = Announcement::default();
/// let heartbeat = Heartbeat { ballot: ballot(1), sequence: 1, announcement };
/// let canvass = Canvass { sequence: 7, chosen: Slot(0) };
/// let Some(Message::CanvassAnswer(answer)) = answers([heartbeat.into(), canvass.into()]).pop()
/// else {
///     panic!("every member answers");
/// };
/// assert_eq!((answer.yes, answer.leader), (false, Some(ballot(1))), "it has a leader");
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct CanvassAnswer {
    /// The question's sequence number.
    pub sequence: u64,
    /// "No" from whoever leads, or has heard its leader within the election timeout.
    pub yes: bool,
    /// What the sender has promised.
    pub promised: Ballot,
    /// The ballot of the leader that the sender follows, or is.
    pub leader: Option<Ballot>,
    /// What the sender stood by when this start of it began.
    pub start: Standing,
    /// The sender's chosen mark.
    pub chosen: Slot,
}

/// Asks for the entry of a proposal that a Promise named.
///
/// ```
#[doc = include_str!("message/example.txt")]
/// let fetch = Fetch { slot: Slot(0), ballot: ballot(1) };
/// let answer = answers([accept(1, 0), fetch.into()]).pop();
/// assert!(matches!(answer, Some(Message::Fetched(Fetched { proposal: Some(_), .. }))));
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Fetch {
    /// The slot.
    pub slot: Slot,
    /// The lowest ballot whose entry is of use.
    pub ballot: Ballot,
}

/// The answer to a Fetch: the proposal that the acceptor holds for the slot, whatever its ballot.
///
/// ```
#[doc = include_str!("message/example.txt")]
/// let fetch = Fetch { slot: Slot(0), ballot: ballot(1) };
/// let gone = Fetched { slot: Slot(0), proposal: None, chosen: Slot(0) };
/// assert_eq!(answers([fetch.into()]), [gone.into()], "nothing was accepted there");
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Fetched {
    /// The slot.
    pub slot: Slot,
    /// The proposal, or `None`: gone.
    pub proposal: Option<(Ballot, Entry)>,
    /// The sender's chosen mark.
    pub chosen: Slot,
}

/// Asks for chosen entries, as many of them as fit a page.
///
/// ```
#[doc = include_str!("message/example.txt")]
/// // A leader announces far more than this replica knows.
/// let announcement = Announcement { chosen: Slot(1000), ..Announcement::default() };
/// let heartbeat = Heartbeat { ballot: ballot(1), sequence: 1, announcement };
/// let answers = answers([heartbeat.into()]);
/// assert!(answers.iter().any(|answer| matches!(answer, Message::CatchUp(CatchUp { .. }))));
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct CatchUp {
    /// The slots that the sender lacks.
    pub slots: Slots,
    /// The sender's chosen mark.
    pub chosen: Slot,
}

/// A chosen entry, out of the sender's log.
///
/// ```
#[doc = include_str!("message/example.txt")]
/// let (slot, chosen) = (Slot(0), Slot(1));
/// let taught = Chosen { slot, ballot: ballot(1), entry: Entry::Noop, chosen };
/// let canvass = Canvass { sequence: 1, chosen };
/// let answer = answers([taught.into(), canvass.into()]).pop().expect("it answers");
/// assert_eq!(answer.chosen(), Some(Slot(1)));
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Chosen {
    /// The slot.
    pub slot: Slot,
    /// The ballot that is stored with the entry.
    pub ballot: Ballot,
    /// The entry.
    pub entry: Entry,
    /// The sender's chosen mark.
    pub chosen: Slot,
}

/// How a new cluster forms: a sign of life that shows the sender's DiskId, then the durable list.
///
/// ```
#[doc = include_str!("message/example.txt")]
/// let nothing = Forming { members: None, formed: false };
/// let [Message::Forming(told)] = &answers([nothing.into()])[..] else {
///     panic!("whoever is formed answers with its list");
/// };
/// let members = told.members.as_ref().map_or(0, |list| list.members().len());
/// assert!(told.formed && members == 3);
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Forming {
    /// The list of members that the sender has made durable, with their quorums.
    pub members: Option<Membership>,
    /// Whether the sender is formed: every member told it this same list.
    pub formed: bool,
}

/// The answer to a message of an earlier start of the receiver, or of one that has forgotten.
///
/// Whoever hears of a start of its own, or of a vote in an earlier start, that it does not remember
/// runs on an older copy of its directory, and must not vote.
///
/// ```
#[doc = include_str!("message/example.txt")]
/// let later = Incarnation::default().next(0).next(0);
/// let refused = Refused { incarnation: later, before: Standing::default() };
/// let canvass = Canvass { sequence: 1, chosen: Slot(0) };
/// assert_eq!(answers([refused.into(), canvass.into()]), [], "it has stopped for good");
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Refused {
    /// The latest start of the receiver that the sender knows.
    pub incarnation: Incarnation,
    /// What the receiver stood by before that start, as far as the sender knows.
    pub before: Standing,
}

/// Asks the receiver to lead in the sender's place, and at once: to prepare without a canvass, at
/// which everybody who hears the sender would say no (Ongaro, "Consensus: Bridging Theory and
/// Practice", 3.10: there it is TimeoutNow).
///
/// The receiver has accepted whatever the sender has proposed. It decides nothing: the receiver
/// needs Promises of a quorum like any candidate.
///
/// ```
#[doc = include_str!("message/example.txt")]
/// let announcement = Announcement::default();
/// let led = Heartbeat { ballot: ballot(1), sequence: 1, announcement: announcement.clone() };
/// let asked = HandOver { ballot: ballot(1), sequence: 1, announcement };
/// let answers = answers([led.into(), asked.into()]);
/// assert!(matches!(&answers[..], [.., Message::Prepare(prepare)] if prepare.ballot > ballot(1)));
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct HandOver {
    /// The ballot at which the sender leads.
    pub ballot: Ballot,
    /// The number of the sender's last Heartbeat. Whoever has heard a later one hears of a
    /// hand-over that may be given up by now.
    pub sequence: u64,
    /// What the sender knows to be chosen.
    pub announcement: Announcement,
}

/// A message from one replica to another.
///
/// ```
#[doc = include_str!("message/example.txt")]
/// let message = Message::from(Canvass { sequence: 1, chosen: Slot(4) });
/// assert_eq!((message.name(), message.chosen()), ("Canvass", Some(Slot(4))));
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Message {
    /// Phase 1a.
    Prepare(Prepare),
    /// Phase 1b. Boxed, as the other long ones that are rare: they would lengthen every message.
    Promise(Box<Promise>),
    /// The refusal of a ballot.
    Nack(Nack),
    /// Phase 2a.
    Accept(Accept),
    /// Phase 2b.
    Accepted(Accepted),
    /// The acceptor must catch up first.
    Behind(Behind),
    /// A leader's sign of life.
    Heartbeat(Heartbeat),
    /// The answer to it.
    HeartbeatAnswer(HeartbeatAnswer),
    /// Should I try to lead?
    Canvass(Canvass),
    /// The answer to that.
    CanvassAnswer(Box<CanvassAnswer>),
    /// Asks for a proposal's entry.
    Fetch(Fetch),
    /// The answer to that.
    Fetched(Fetched),
    /// Asks for chosen entries.
    CatchUp(CatchUp),
    /// A chosen entry.
    Chosen(Chosen),
    /// How a cluster forms.
    Forming(Forming),
    /// The receiver has had a later start.
    Refused(Refused),
    /// Commands for the leader to propose.
    Forward(Forward),
    /// How far they were taken in.
    ForwardAnswer(ForwardAnswer),
    /// Asks for a read index.
    ReadIndex(ReadIndex),
    /// The answer to that.
    ReadIndexAnswer(ReadIndexAnswer),
    /// Lead in my place.
    HandOver(HandOver),
    /// What is chosen, and no more.
    Announcement(Announcement),
}

impl Message {
    /// The message's name, for traces and counters.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Prepare(_) => "Prepare",
            Self::Promise(_) => "Promise",
            Self::Nack(_) => "Nack",
            Self::Accept(_) => "Accept",
            Self::Accepted(_) => "Accepted",
            Self::Behind(_) => "Behind",
            Self::Heartbeat(_) => "Heartbeat",
            Self::HeartbeatAnswer(_) => "HeartbeatAnswer",
            Self::Canvass(_) => "Canvass",
            Self::CanvassAnswer(_) => "CanvassAnswer",
            Self::Fetch(_) => "Fetch",
            Self::Fetched(_) => "Fetched",
            Self::CatchUp(_) => "CatchUp",
            Self::Chosen(_) => "Chosen",
            Self::Forming(_) => "Forming",
            Self::Refused(_) => "Refused",
            Self::Forward(_) => "Forward",
            Self::ForwardAnswer(_) => "ForwardAnswer",
            Self::ReadIndex(_) => "ReadIndex",
            Self::ReadIndexAnswer(_) => "ReadIndexAnswer",
            Self::HandOver(_) => "HandOver",
            Self::Announcement(_) => "Announcement",
        }
    }

    /// The sender's chosen mark, where the message tells it.
    #[must_use]
    pub fn chosen(&self) -> Option<Slot> {
        match self {
            Self::Promise(m) => Some(m.chosen),
            Self::Nack(m) => Some(m.chosen),
            Self::Accept(m) => Some(m.announcement.chosen),
            Self::Accepted(m) => Some(m.chosen),
            Self::Behind(m) => Some(m.chosen),
            Self::Heartbeat(m) => Some(m.announcement.chosen),
            Self::HeartbeatAnswer(m) => Some(m.chosen),
            Self::Canvass(m) => Some(m.chosen),
            Self::CanvassAnswer(m) => Some(m.chosen),
            Self::Fetched(m) => Some(m.chosen),
            Self::CatchUp(m) => Some(m.chosen),
            Self::Chosen(m) => Some(m.chosen),
            Self::Forward(m) => Some(m.chosen),
            Self::ForwardAnswer(m) => Some(m.announcement.chosen),
            Self::ReadIndex(m) => Some(m.chosen),
            Self::ReadIndexAnswer(m) => Some(m.announcement.chosen),
            Self::HandOver(m) => Some(m.announcement.chosen),
            Self::Announcement(m) => Some(m.chosen),
            Self::Prepare(_) | Self::Fetch(_) | Self::Forming(_) | Self::Refused(_) => None,
        }
    }
}

/// Each kind of message becomes a [`Message`] by itself.
macro_rules! into_message {
    ($($kind:ident),*) => {
        $(impl From<$kind> for Message {
            fn from(message: $kind) -> Self {
                Self::$kind(message)
            }
        })*
    };
}

impl From<Promise> for Message {
    fn from(promise: Promise) -> Self {
        Self::Promise(Box::new(promise))
    }
}

impl From<CanvassAnswer> for Message {
    fn from(answer: CanvassAnswer) -> Self {
        Self::CanvassAnswer(Box::new(answer))
    }
}

into_message!(
    Prepare,
    Nack,
    Accept,
    Accepted,
    Behind,
    Heartbeat,
    HeartbeatAnswer,
    Canvass,
    Fetch,
    Fetched,
    CatchUp,
    Chosen,
    Forming,
    Refused,
    Forward,
    ForwardAnswer,
    ReadIndex,
    ReadIndexAnswer,
    HandOver,
    Announcement
);
