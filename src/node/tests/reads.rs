//! Linearizable reads that are asked in bursts.

use std::vec;

use super::*;
use crate::replica::Consistency;

fn start(members: &[u32]) -> Vec<Handle<Count>> {
    let network = Network::new();
    let members: Vec<_> = members.iter().map(|name| ReplicaId(*name)).collect();
    let start = |me: &ReplicaId| {
        let disk = Box::new(HeapMedium::new(u64::from(me.0)));
        let log = Wal::open(disk, CLUSTER, *me, WalOptions::default()).unwrap();
        let mut config = Config::new(members.clone());
        // However slow this machine is, somebody answers in time.
        config.patience = Duration::from_secs(600);
        config.seed = me.0.into();
        Node::start(config, log, network.transport(*me), Count(0)).unwrap()
    };
    members.iter().map(start).collect()
}

#[test]
fn in_a_burst_a_read_waits_until_its_asker_stops_and_no_longer() {
    let node = start(&[1]).remove(0);
    node.propose(b"first").wait().unwrap();
    let (told, ran) = mpsc::channel();
    let ask = || {
        let told = told.clone();
        node.read(Consistency::Linearizable, move |count| told.send(count.0).unwrap())
    };
    // The lock is held by this thread, so that one turn finds both.
    let burst = || {
        let two = node.owner.shared.look(|_| [ask(), ask()]);
        assert!(two.map(|ticket| ticket.wait().is_ok()).iter().all(|done| *done));
        assert_eq!([ran.recv(), ran.recv()], [Ok(1), Ok(1)]);
    };
    // Whatever its holder does with the ticket, the read runs.
    for holder in holders() {
        burst();
        let ticket = holder(ask());
        assert_eq!(ran.recv(), Ok(1));
        drop(ticket);
    }
    // And if it does nothing at all, too.
    burst();
    let ticket = ask();
    assert_eq!(ran.recv(), Ok(1));
    ticket.wait().unwrap();
}

#[test]
fn whoever_stops_ripens_commands_and_reads() {
    let node = start(&[1]).remove(0);
    node.propose(b"first").wait().unwrap();
    let shared = &node.owner.shared;
    let ask = || node.read(Consistency::Linearizable, |count| count.0);
    // After a burst of each; the lock is held by this thread, so that nobody takes them in.
    let reads = shared.look(|_| [ask(), ask()]);
    let commands = shared.look(|_| [node.propose(b"x"), node.propose(b"y")]);
    assert!(commands.map(Ticket::wait).iter().all(Result::is_ok));
    assert!(reads.map(Ticket::wait).iter().all(Result::is_ok));
    let (read, command) = shared.look(|_| {
        let (read, command) = (ask(), node.propose(b"z"));
        assert!(!read.is_done());
        assert!(shared.inputs.reads.are_ripe() && shared.inputs.proposals.are_ripe());
        (read, command)
    });
    assert!(read.wait().is_ok() && command.wait().is_ok());
}

#[test]
fn a_read_of_a_burst_sees_what_was_answered_before_it_was_asked() {
    // Each burst has reads from before and after some commands were answered, at every replica:
    // none of them may have the index of an older one.
    let nodes = start(&[1, 2, 3]);
    let propose = |node: &Handle<Count>| loop {
        // Superseded: the leader has changed.
        if let Ok(applied) = node.propose(b"x").wait() {
            break applied.answer;
        }
    };
    for round in 0..60 {
        let mut asked = vec![];
        for step in 0..3 {
            let answered = propose(&nodes[round % 3]);
            for node in &nodes {
                for _ in 0..=step {
                    let read = node.read(Consistency::Linearizable, |count| count.0);
                    asked.push((answered, read));
                }
            }
        }
        for (answered, ticket) in asked {
            let seen = ticket.wait().unwrap();
            assert!(seen >= answered, "{seen} commands seen, {answered} were answered before");
        }
    }
}

#[test]
fn the_reads_of_a_burst_run_in_their_order_and_all_are_answered() {
    let node = start(&[1]).remove(0);
    let (told, ran) = mpsc::channel();
    let ask = |number: u32| {
        let told = told.clone();
        node.read(Consistency::Linearizable, move |_| {
            told.send(number).unwrap();
            assert!(number % 50 != 7, "this one breaks");
            number
        })
    };
    // More than run before the first of them is answered.
    let tickets: Vec<_> = node.owner.shared.look(|_| (0..200).map(ask).collect());
    for (number, ticket) in (0..).zip(tickets) {
        match ticket.wait() {
            Ok(answer) => assert_eq!(answer, number),
            Err(error) => {
                assert!(matches!(error, TicketError::ReadPanicked { .. }), "{error}");
                assert_eq!(number % 50, 7);
            }
        }
    }
    assert_eq!(ran.try_iter().collect::<Vec<_>>(), (0..200).collect::<Vec<_>>());
}
