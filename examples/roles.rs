//! One value, chosen once: the roles of "Paxos Made Simple", section 2, with nothing around them.
//!
//! Three acceptors (1, 2 and 3), two proposers (4 and 5) and a learner. There is no replica, no
//! thread and no network: the function `main` carries every message by hand, and some of them late.
//! So it can be read like the paper.
//!
//! Proposers 4 and 5 are started once. One that may be started again must not use a ballot again:
//! a replica remembers its ballots as promises of its own acceptor.
use synod::ballot::Ballot;
use synod::entry::Entry;
use synod::membership::{DiskId, Incarnation, Member, Membership};
use synod::message::{Accept, Accepted, Announcement, Fetched, Message, Prepare, Promise};
use synod::output::Output;
use synod::record::Lsn;
use synod::roles::{Acceptor, Learner, Limits, Outbox, Proposer};
use synod::{ReplicaId, Slot};

/// A log has many slots. One value needs one.
const SLOT: Slot = Slot::ZERO;

/// Whatever has a name and says something: a role and its outbox.
struct Host<Role> {
    name: ReplicaId,
    role: Role,
    out: Outbox,
}

impl<Role> Host<Role> {
    fn new(name: u32, role: Role) -> Self {
        let name = ReplicaId(name);
        Self { name, role, out: Outbox::new(name, Lsn::ZERO, Slot::ZERO) }
    }

    /// What it has to say by now. A record would go into its log; here it is only shown.
    fn says(&mut self) -> Vec<Message> {
        let mut messages = Vec::new();
        while let Some(output) = self.out.poll() {
            match output {
                Output::Persist { .. } => println!("      {} writes that down", self.name),
                Output::Send { message, .. } => messages.push(message),
                Output::Chosen { entry, .. } => {
                    println!("  {} learns {}", self.name, value(&entry))
                }
                other => println!("      {} asks for {other:?}", self.name),
            }
        }
        messages
    }
}

impl Host<Acceptor> {
    /// Its answer to a message: not before its disk has what the answer is made of.
    fn answer(&mut self, from: ReplicaId, message: Message) -> Message {
        println!("  {from} -> {}  {}", self.name, text(&message));
        match message {
            Message::Prepare(prepare) => self.role.handle_prepare(from, &prepare, &mut self.out),
            Message::Accept(accept) => {
                self.role.handle_accept(from, accept, &mut self.out).expect("one value a ballot");
            }
            Message::Fetch(fetch) => self.role.handle_fetch(from, &fetch, &mut self.out),
            other => panic!("nothing to ask of an acceptor: {other:?}"),
        }
        let mut answers = self.says();
        if self.out.durable() < self.out.appended() {
            assert!(answers.is_empty(), "an answer overtook the disk");
            let synced = self.out.handle_persisted(self.out.appended(), self.role.promised());
            assert!(synced, "no more is synced than was written");
            answers = self.says();
        }
        let answer = answers.pop().expect("an acceptor always answers");
        println!("  {from} <- {}  {}", self.name, text(&answer));
        answer
    }

    fn promise(&mut self, prepare: Prepare) -> Promise {
        match self.answer(prepare.ballot.replica, prepare.into()) {
            Message::Promise(promise) => *promise,
            other => panic!("no promise: {other:?}"),
        }
    }

    fn accept(&mut self, accept: Accept) -> Accepted {
        match self.answer(accept.ballot.replica, accept.into()) {
            Message::Accepted(accepted) => accepted,
            other => panic!("not accepted: {other:?}"),
        }
    }
}

fn acceptor(name: u32) -> Host<Acceptor> {
    Host::new(name, Acceptor::default())
}

/// A proposer that would like this value.
fn proposer(name: u32, value: &str) -> Host<Proposer> {
    let limits = Limits {
        pipeline_slots: 1,
        partial_slots: 1,
        pipeline_bytes: 1 << 10,
        batch_bytes: 1 << 10,
    };
    let mut proposer = Proposer::new(ReplicaId(name), Incarnation::default(), limits);
    proposer.enqueue(value.as_bytes());
    Host::new(name, proposer)
}

impl Host<Proposer> {
    /// Phase 1, with a majority of the acceptors: asks, and hears what they have accepted.
    fn phase_one(
        &mut self,
        ballot: Ballot,
        majority: [&mut Host<Acceptor>; 2],
        members: &Membership,
    ) -> Prepare {
        self.role.prepare(ballot, SLOT, members, &mut self.out);
        let Some(Message::Prepare(prepare)) = self.says().pop() else { panic!("no Prepare") };
        for acceptor in majority {
            let promise = acceptor.promise(prepare.clone());
            self.role.handle_promise(acceptor.name, &promise, members).expect("an honest Promise");
        }
        assert_eq!(self.role.leading(), Some(ballot));
        prepare
    }
}

fn value(entry: &Entry) -> String {
    let Entry::Batch(batch) = entry else { return "nothing".into() };
    batch.commands().map(String::from_utf8_lossy).collect()
}

/// The message in the words of the paper.
fn text(message: &Message) -> String {
    let name = message.name();
    match message {
        Message::Prepare(m) => format!("{name} {}", m.ballot),
        Message::Promise(m) => match m.accepted.first() {
            Some(run) => format!("{name} {}, and accepted at {}", m.ballot, run.ballot),
            None => format!("{name} {}, and accepted nothing", m.ballot),
        },
        Message::Accept(m) => format!("{name} {} {}", m.ballot, value(&m.entry)),
        Message::Accepted(m) => format!("{name} {}", m.ballot),
        Message::Nack(m) => format!("{name} {}: promised {}", m.ballot, m.promised),
        Message::Fetched(Fetched { proposal: Some((ballot, entry)), .. }) => {
            format!("{name} {ballot} {}", value(entry))
        }
        other => other.name().into(),
    }
}

fn main() {
    let member = |name| Member { replica: ReplicaId(name), disk: DiskId::default() };
    let members = Membership::new([1, 2, 3].map(member).into()).expect("three acceptors");
    let nothing_chosen = Announcement::default();
    let (mut one, mut two, mut three) = (acceptor(1), acceptor(2), acceptor(3));
    let (mut four, mut five) = (proposer(4, "red"), proposer(5, "blue"));
    let mut learner = Host::new(6, Learner::new(1));

    println!("Phase 1 of proposer 4: a majority promises. The Prepare to 3 is under way for long.");
    let low = Ballot::ZERO.next(four.name).expect("a first ballot");
    let late_prepare = four.phase_one(low, [&mut one, &mut two], &members);

    println!("\nPhase 2: it was told of no value, so it proposes its own. Only 1 hears of it yet.");
    four.role.propose_next(false, &nothing_chosen, &members, &mut four.out);
    let Some(Message::Accept(accept)) = four.says().pop() else { panic!("no Accept") };
    assert_eq!(value(&accept.entry), "red");
    one.accept(accept.clone());
    let late_accept = accept;

    println!(
        "\nPhase 1 of proposer 5, at a higher ballot: 1 tells that it has accepted something."
    );
    let high = low.next(five.name).expect("a second ballot");
    five.phase_one(high, [&mut one, &mut two], &members);

    println!(
        "\nThat value must be proposed, not its own. A Promise names ballots only, so it asks."
    );
    let chosen = five.role.take_over(|_| None, &nothing_chosen, false, &members, &mut five.out);
    assert!(chosen.is_empty(), "one acceptor of three has accepted it");
    let Some(Message::Fetch(fetch)) = five.says().pop() else { panic!("no Fetch") };
    let answer = one.answer(five.name, fetch.into());
    let Message::Fetched(fetched) = answer else { panic!("no entry") };
    five.role.handle_fetched(fetched);
    let chosen = five.role.take_over(|_| None, &nothing_chosen, false, &members, &mut five.out);
    assert!(chosen.is_empty());
    let Some(Message::Accept(accept)) = five.says().pop() else { panic!("no Accept") };
    assert_eq!((accept.ballot, &*value(&accept.entry)), (high, "red"));

    println!("\nPhase 2 of proposer 5: two of three accept. The learner counts them.");
    for acceptor in [&mut two, &mut three] {
        let Accepted { ballot, .. } = acceptor.accept(accept.clone());
        if learner.role.handle_accepted(acceptor.name, ballot, SLOT, &members) {
            let (entry, out) = (accept.entry.clone(), &mut learner.out);
            learner.role.learn(SLOT, ballot, entry, None, out).expect("one value is chosen");
        }
    }
    let (_, chosen) = learner.role.pass(&mut learner.out).expect("a majority has accepted");
    learner.says();

    println!("\nThe late messages of proposer 4 arrive. They are refused, and change nothing.");
    assert!(matches!(three.answer(four.name, late_prepare.into()), Message::Nack(_)));
    assert!(matches!(two.answer(four.name, late_accept.into()), Message::Nack(_)));

    for acceptor in [&one, &two, &three] {
        let held = acceptor.role.held(SLOT).expect("each has accepted something");
        assert_eq!(held.entry, chosen);
    }
    println!("\nchosen: {}", value(&chosen));
}
