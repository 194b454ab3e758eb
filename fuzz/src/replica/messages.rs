//! What peers say to the replica: answers as an honest one gives them, and messages that obey the
//! wire and nothing else.

use synod::ballot::Ballot;
use synod::entry::{BatchBuilder, CommandId, Entry};
use synod::membership::{DiskId, Incarnation, Member, Membership, ReplicaId};
use synod::message::{
    Accept, Accepted, Announcement, Behind, Canvass, CanvassAnswer, CatchUp, Chosen, Fetch,
    Fetched, Forming, Forward, ForwardAnswer, HandOver, Heartbeat, HeartbeatAnswer, Message, Nack,
    Prepare, Promise, ReadIndex, ReadIndexAnswer, Refused, Standing,
};
use synod::quorum::{QuorumSystem, Quorums};
use synod::slot::{ALPHA, Run, Slot, Slots};
use synod::wire::SLOT_MAX;

use super::super::choices::Choices;
use super::super::frames::Name;

/// How many kinds of messages there are.
pub(super) const KINDS: u8 = 22;
/// A long entry, in bytes: sixteen of them are more than may wait for the disk.
const LONG: usize = 300 << 10;

/// What a peer may know of the replica.
#[derive(Clone, Copy, Debug)]
pub(super) struct View {
    pub(super) me: Name,
    pub(super) members: u32,
    pub(super) quorums: Quorums,
    pub(super) promised: Ballot,
    pub(super) chosen: Slot,
}

/// The list of members, each on its own disk.
fn members(count: u32) -> Vec<Member> {
    (1..=count).map(|id| member(Name::of(id))).collect()
}

/// The list of so many members, with their quorums.
pub(super) fn list(count: u32, quorums: Quorums) -> Membership {
    Membership::with_quorums(members(count), quorums).expect("quorums of so many")
}

/// The quorums of these members, if the system is one.
pub(super) fn quorums(system: &QuorumSystem, count: u32) -> Option<Quorums> {
    let names: Vec<ReplicaId> = (1..=count).map(ReplicaId).collect();
    Quorums::new(system, &names).ok()
}

fn member(name: Name) -> Member {
    Member { replica: ReplicaId(name.replica), disk: DiskId([name.disk; 16]) }
}

fn batch(replica: u32, incarnation: u64, sequence: u64, command: &[u8]) -> Entry {
    let mut builder = BatchBuilder::default();
    let (replica, incarnation) = (ReplicaId(replica), Incarnation(incarnation));
    builder.push(CommandId { replica, incarnation, sequence }, command);
    builder.build().map_or(Entry::Noop, Entry::Batch)
}

/// The entry that honest peers have for the slot.
fn true_entry(slot: Slot) -> Entry {
    if slot.0.is_multiple_of(5) { Entry::Noop } else { batch(2, 1, slot.0, &slot.0.to_le_bytes()) }
}

/// What honest peers answer to a message of the replica.
pub(super) fn answers(sent: &Message, view: View) -> Vec<Message> {
    let start = Standing::default();
    let one = match sent {
        Message::Prepare(Prepare { ballot, first }) => Message::from(Promise {
            ballot: *ballot,
            slots: Slots::new(*first, *first),
            last: true,
            chosen: Slot::ZERO,
            accepted: Vec::new(),
            faulty: Vec::new(),
        }),
        Message::Accept(Accept { ballot, slot, announcement, .. }) => {
            let slots = Slots::one(*slot);
            Accepted { ballot: *ballot, slots, chosen: announcement.chosen }.into()
        }
        Message::Heartbeat(Heartbeat { ballot, sequence, announcement }) => {
            let (ballot, sequence, chosen) = (*ballot, *sequence, announcement.chosen);
            HeartbeatAnswer { ballot, sequence, end: chosen, start, chosen, priority: 1 }.into()
        }
        Message::Canvass(Canvass { sequence, chosen }) => {
            let (sequence, promised) = (*sequence, Ballot::ZERO);
            CanvassAnswer { sequence, yes: true, promised, leader: None, start, chosen: *chosen }
                .into()
        }
        Message::Fetch(Fetch { slot, ballot }) => {
            let proposal = Some((*ballot, true_entry(*slot)));
            Fetched { slot: *slot, proposal, chosen: Slot::ZERO }.into()
        }
        Message::CatchUp(CatchUp { slots, .. }) => {
            let ballot = Ballot { round: 1, replica: ReplicaId(2) };
            let chosen =
                |slot: Slot| Chosen { slot, ballot, entry: true_entry(slot), chosen: slots.end };
            return slots.iter().take(64).map(chosen).map(Message::from).collect();
        }
        Message::Forming(told) => {
            Forming { members: Some(list(view.members, view.quorums)), formed: told.formed }.into()
        }
        Message::Forward(Forward { ballot, batch, limit, chosen, .. }) => {
            let numbers =
                batch.origins().last().map(|run| run.first.sequence + u64::from(run.count));
            let announcement = Announcement { chosen: *chosen, ..Announcement::default() };
            let (incarnation, taken) = (Incarnation(view.me.incarnation), numbers.unwrap_or(0));
            ForwardAnswer { ballot: *ballot, incarnation, taken, next: *limit, announcement }.into()
        }
        Message::ReadIndex(ReadIndex { reads, chosen, .. }) => {
            let announcement = Announcement { chosen: *chosen, ..Announcement::default() };
            let incarnation = Incarnation(view.me.incarnation);
            ReadIndexAnswer { incarnation, reads: *reads, index: *chosen, announcement }.into()
        }
        _ => return Vec::new(),
    };
    vec![one]
}

/// Makes messages out of choices.
pub(super) struct Speaker<'c, 'a> {
    pub(super) choices: &'c mut Choices<'a>,
    pub(super) view: View,
    pub(super) from: Name,
}

impl Speaker<'_, '_> {
    /// A message of this kind. The wire lets it pass, unless a slot in it is too high.
    pub(super) fn message(&mut self, kind: u8) -> Message {
        match kind % KINDS {
            0 => Prepare { ballot: self.own_ballot(), first: self.slot() }.into(),
            1 => self.promise(),
            2 => {
                Nack { ballot: self.ballot(), promised: self.ballot(), chosen: self.slot() }.into()
            }
            3 => {
                let (ballot, slot, entry) = (self.own_ballot(), self.slot(), self.entry());
                Accept { ballot, slot, entry, announcement: self.announcement() }.into()
            }
            4 => {
                let (ballot, start) = (self.ballot(), self.slot());
                let slots = Slots::new(start, start.plus(self.length()));
                Accepted { ballot, slots, chosen: self.slot() }.into()
            }
            5 => Behind { ballot: self.ballot(), chosen: self.slot() }.into(),
            6 => {
                let (ballot, sequence) = (self.own_ballot(), self.choices.number());
                Heartbeat { ballot, sequence, announcement: self.announcement() }.into()
            }
            7 => HeartbeatAnswer {
                ballot: self.ballot(),
                sequence: self.choices.number(),
                end: self.slot(),
                start: self.standing(),
                chosen: self.slot(),
                priority: self.choices.byte(),
            }
            .into(),
            8 => Canvass { sequence: self.choices.number(), chosen: self.slot() }.into(),
            9 => CanvassAnswer {
                sequence: self.choices.number(),
                yes: self.choices.flag(),
                promised: self.ballot(),
                leader: self.choices.flag().then(|| self.ballot()),
                start: self.standing(),
                chosen: self.slot(),
            }
            .into(),
            10 => Fetch { slot: self.slot(), ballot: self.ballot() }.into(),
            11 => {
                let proposal = self.choices.flag().then(|| (self.ballot(), self.entry()));
                Fetched { slot: self.slot(), proposal, chosen: self.slot() }.into()
            }
            12 => {
                let start = self.slot();
                let slots = Slots::new(start, start.plus(self.length()));
                CatchUp { slots, chosen: self.slot() }.into()
            }
            13 => {
                let (slot, ballot, entry) = (self.slot(), self.ballot(), self.entry());
                Chosen { slot, ballot, entry, chosen: self.slot() }.into()
            }
            14 => self.forming(),
            16..KINDS => self.of_commands_and_reads(kind % KINDS),
            _ => {
                let incarnation = Incarnation(self.choices.near(self.view.me.incarnation));
                Refused { incarnation, before: self.standing() }.into()
            }
        }
    }

    /// A ballot near the replica's promise.
    fn ballot(&mut self) -> Ballot {
        let replica = match self.choices.byte() % 8 {
            0..=3 => self.view.promised.replica.0,
            4 | 5 => self.from.replica,
            6 => self.view.me.replica,
            _ => u32::from(self.choices.byte()),
        };
        let round = self.choices.near(self.view.promised.round);
        Ballot { round, replica: ReplicaId(replica) }
    }

    /// A ballot near the replica's promise, mostly one of the sender's.
    fn own_ballot(&mut self) -> Ballot {
        let round = self.choices.near(self.view.promised.round);
        let foreign = round % 16 == 15;
        let replica =
            if foreign { self.view.promised.replica } else { ReplicaId(self.from.replica) };
        Ballot { round, replica }
    }

    /// A slot near the replica's chosen mark, never so high that a run could not follow.
    fn slot(&mut self) -> Slot {
        Slot(self.choices.near(self.view.chosen.0).min(SLOT_MAX + 1))
    }

    fn length(&mut self) -> u64 {
        1 + u64::from(self.choices.byte()) % ALPHA
    }

    fn standing(&mut self) -> Standing {
        match self.choices.byte() % 4 {
            0 | 1 => Standing::default(),
            2 => Standing { promised: self.ballot(), end: self.slot() },
            _ => Standing { promised: self.view.promised, end: self.view.chosen },
        }
    }

    fn entry(&mut self) -> Entry {
        match self.choices.byte() {
            0..=31 => Entry::Noop,
            tag @ 32..=127 => batch(self.from.replica, 1, u64::from(tag % 4), &[tag % 4]),
            128..=191 => {
                let (replica, incarnation) = (self.view.me.replica, self.view.me.incarnation);
                let sequence = self.choices.number().min(u64::MAX - 1);
                batch(replica, incarnation, sequence, b"yours")
            }
            192..=239 => true_entry(self.slot()),
            tag @ 240..=255 => batch(self.from.replica, 2, 0, &vec![tag; LONG]),
        }
    }

    /// Runs from `start` on, in order, of at most ALPHA slots together; and where they end.
    fn runs(&mut self, start: Slot) -> (Vec<Run>, Slot) {
        let (mut runs, mut at) = (Vec::new(), start);
        let count = match self.choices.byte() {
            few @ 0..=239 => few % 4,
            many @ 240..=255 => 3 * (many - 239),
        };
        let mut left = ALPHA;
        for _ in 0..count {
            let (gap, length) = (self.choices.byte(), self.choices.byte());
            let first = at.plus(u64::from(gap % 4));
            let length = (1 + u64::from(length % 64)).min(left);
            if length == 0 {
                break;
            }
            left -= length;
            at = first.plus(length);
            runs.push(Run { slots: Slots::new(first, at), ballot: self.ballot() });
        }
        (runs, at)
    }

    fn promise(&mut self) -> Message {
        let start = self.slot();
        let (accepted, first_end) = self.runs(start);
        let (faulty, second_end) = self.runs(start);
        let end = first_end.max(second_end).plus(u64::from(self.choices.byte() % 4));
        Promise {
            ballot: self.ballot(),
            slots: Slots::new(start, end),
            last: self.choices.flag(),
            chosen: self.slot(),
            accepted,
            faulty,
        }
        .into()
    }

    fn announcement(&mut self) -> Announcement {
        let chosen = self.slot();
        let start = self.slot();
        Announcement { chosen, runs: self.runs(start).0.into() }
    }

    fn of_commands_and_reads(&mut self, kind: u8) -> Message {
        let incarnation = Incarnation(self.choices.near(self.view.me.incarnation));
        match kind {
            16 => self.forward(),
            17 => ForwardAnswer {
                ballot: self.ballot(),
                incarnation,
                taken: self.choices.number(),
                next: self.slot(),
                announcement: self.announcement(),
            }
            .into(),
            18 => {
                let reads = self.choices.number();
                ReadIndex { ballot: self.ballot(), reads, chosen: self.slot() }.into()
            }
            20 => HandOver {
                ballot: self.own_ballot(),
                sequence: self.choices.number(),
                announcement: self.announcement(),
            }
            .into(),
            21 => self.announcement().into(),
            _ => ReadIndexAnswer {
                incarnation,
                reads: self.choices.number(),
                index: self.slot(),
                announcement: self.announcement(),
            }
            .into(),
        }
    }

    /// Commands of the sender, as a rule.
    fn forward(&mut self) -> Message {
        let Entry::Batch(batch) = self.entry() else { return self.forming() };
        let (after, limit) = (self.choices.number() % 8, self.slot().plus(self.length()));
        let ballot = Ballot { replica: ReplicaId(self.view.me.replica), ..self.view.promised };
        Forward { ballot, after, limit, batch, chosen: self.slot() }.into()
    }

    fn forming(&mut self) -> Message {
        let formed = self.choices.flag();
        let mut list = members(self.view.members);
        let mut quorums = Some(self.view.quorums);
        match self.choices.byte() % 8 {
            0..=2 => {}
            3 => list.clear(),
            4 => {
                list.pop();
            }
            5 => list.push(member(Name::of(40))),
            6 => list[0].disk = DiskId([self.choices.byte(); 16]),
            _ => {
                let system = QuorumSystem::Sizes { prepare: 1, accept: list.len() as u8 };
                quorums = self::quorums(&system, list.len() as u32);
            }
        }
        let members = match quorums {
            Some(quorums) if quorums.members() == list.len() => {
                Membership::with_quorums(list, quorums)
            }
            _ => Membership::new(list),
        };
        Forming { members: members.ok(), formed }.into()
    }
}
