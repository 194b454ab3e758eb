//! Nodes end to end over channels: many commands, restarts, failover, partitions.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod trio;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::mpsc::{self, Sender};
use std::thread;
use std::time::Duration;

use synod::membership::ReplicaId;
use synod::node::channel::Network;
use synod::node::{StopReason, TicketError};
use synod::output::HaltReason;
use synod::{Consistency, Event, Handle, Node, TransferError, Transport};
use trio::{Book, Cluster, Member, Recorder, config, eventually, is_not_leader, numbered};

#[test]
fn three_machines_apply_the_same_commands() {
    let cluster = Cluster::start(3);
    let commands = numbered(0..1000);
    let node = cluster.members[cluster.leader()].node();
    let tickets: Vec<_> = commands.iter().map(|command| node.propose(command)).collect();
    let mut last = None;
    for (ticket, number) in tickets.into_iter().zip(1..) {
        let applied = ticket.wait().unwrap();
        assert_eq!(applied.answer, number);
        assert!(last < Some(applied.place), "places are in the order of the commands");
        last = Some(applied.place);
    }
    cluster.wait_for(&commands);
    let status = node.status();
    assert_eq!(status.counters.proposed, 1000);
    assert_eq!(status.counters.applied, 1000);
    assert_eq!(status.pending, 0);
    assert_eq!(status.leader(), Some(status.replica.me.replica()));
    let counters = &status.counters;
    assert!(counters.syncs > 0 && counters.syncs <= counters.synced_records);
    assert_eq!(counters.synced_commands, 1000);
}

#[test]
fn one_replica_is_a_cluster() {
    let cluster = Cluster::start(1);
    let commands = numbered(0..50);
    cluster.propose(&commands);
    cluster.wait_for(&commands);
}

#[test]
fn followers_forward_to_the_leader_and_have_the_answers() {
    let cluster = Cluster::start(3);
    let leader = cluster.leader();
    let commands = numbered(0..2000);
    let tickets: Vec<_> = commands
        .iter()
        .enumerate()
        .map(|(nth, command)| {
            let follower = (leader + 1 + nth % 2) % 3;
            cluster.members[follower].node().propose(command)
        })
        .collect();
    // On a busy machine the leader may change: what is not chosen then is certain never to be.
    let places: Vec<_> = tickets
        .into_iter()
        .map(|ticket| match ticket.wait() {
            Ok(applied) => Some(applied.place),
            Err(error) => {
                assert!(error.is_certain(), "{error}");
                None
            }
        })
        .collect();
    // Each follower's commands are chosen in the order in which it took them in.
    for follower in 0..2 {
        let own: Vec<_> = places.iter().skip(follower).step_by(2).flatten().collect();
        assert!(own.is_sorted(), "{own:?}");
    }
    let chosen: BTreeSet<_> = places.iter().flatten().collect();
    let count = places.iter().flatten().count();
    assert_eq!(chosen.len(), count, "each command has a place of its own");
    assert!(count > 0, "some are chosen");
    for member in &cluster.members {
        eventually("all are applied", || (member.applied().len() == count).then_some(()));
    }
}

#[test]
fn a_replica_that_finds_no_leader_says_so_when_its_patience_ends() {
    let mut member = Member::new(1);
    let mut config = config(3, 1);
    config.patience = Duration::from_millis(50);
    let network = Network::new();
    let node = member.start(config, network.transport(ReplicaId(1)));
    let (command, read) = (node.propose(b"x"), node.read(Consistency::Linearizable, |_| ()));
    assert!(is_not_leader(&read.wait().unwrap_err()));
    assert!(is_not_leader(&command.wait().unwrap_err()));
    // What it has applied by itself it tells whoever asks for no more.
    assert!(
        node.read(Consistency::Local, |book| book.book.lock().unwrap().is_empty()).wait().unwrap()
    );
}

#[test]
fn every_replica_reads_what_was_acknowledged_anywhere() {
    let cluster = Cluster::start(3);
    let commands = numbered(0..200);
    for (nth, command) in commands.iter().enumerate() {
        let (proposer, reader) =
            (cluster.members[nth % 3].node(), cluster.members[(nth + 1) % 3].node());
        // On a busy machine there may be no leader for a while.
        eventually("it is applied", || match proposer.propose(command).wait() {
            Ok(_) => Some(()),
            Err(error) => {
                assert!(error.is_certain(), "{error}");
                None
            }
        });
        let count = |book: &Recorder| book.book.lock().unwrap().len();
        let read =
            eventually("it is read", || reader.read(Consistency::Linearizable, count).wait().ok());
        assert_eq!(read, nth + 1);
    }
}

/// What the node says it waits for, once that names all of these.
fn says(node: &Handle<Recorder>, parts: &[String]) -> String {
    eventually("it says what it waits for", || {
        let text = node.why_stalled()?.to_string();
        parts.iter().all(|part| text.contains(part)).then_some(text)
    })
}

#[test]
fn a_replica_says_for_whom_it_waits_when_others_are_stopped_or_cut_off() {
    let mut cluster = Cluster::start(3);
    cluster.propose(&numbered(0..10));
    let leader = cluster.leader();
    let (stopped, cut_off) = ((leader + 1) % 3, (leader + 2) % 3);
    let name = |index: usize| format!("replica {}", cluster.members[index].id);
    let (leads, gone, away) = (name(leader), name(stopped), name(cut_off));
    // One stopped: the others go on, and wait for nothing.
    cluster.stop_member(stopped);
    cluster.propose(&numbered(10..20));
    let node = cluster.members[cluster.leader()].node();
    eventually("it waits for nothing", || node.why_stalled().is_none().then_some(()));
    // One more cut off: nobody leads any more, and either says whom it does not hear.
    let others = cluster.members.iter().map(|member| member.id);
    cluster.network.isolate(cluster.members[cut_off].id, others);
    let alone = cluster.members[leader].node();
    let told = says(alone, &["nobody leads, and 1 more must agree".into(), gone, away.clone()]);
    assert!(told.contains("was last heard") || told.contains("was not heard yet"), "{told}");
    says(cluster.members[cut_off].node(), &["nobody leads".into(), leads]);
    cluster.network.heal();
    eventually("all is well", || alone.why_stalled().is_none().then_some(()));
    cluster.stop_member(cut_off);
    let waiting = cluster.members[leader].node().propose(b"x");
    let node = cluster.members[leader].node();
    says(node, &[away]);
    assert!(!waiting.is_done() || waiting.wait().is_err());
    node.stop().unwrap();
    assert_eq!(node.why_stalled(), None, "status tells why it has stopped");
}

#[test]
fn a_read_that_panics_fails_alone() {
    let cluster = Cluster::start(1);
    let node = cluster.members[cluster.leader()].node();
    let panicking = node.read(Consistency::Linearizable, |_| -> u8 { panic!("on purpose") });
    let error = panicking.wait().unwrap_err();
    assert!(matches!(&error, TicketError::ReadPanicked { message } if &**message == "on purpose"));
    cluster.propose(&numbered(0..3));
    assert_eq!(
        node.read(Consistency::Local, |book| book.book.lock().unwrap().len()).wait().unwrap(),
        3
    );
}

#[test]
fn what_was_to_read_a_stopped_node_is_refused() {
    let cluster = Cluster::start(1);
    let node = cluster.members[cluster.leader()].node();
    node.stop().unwrap();
    for consistency in [Consistency::Linearizable, Consistency::Local] {
        let error = node.read(consistency, |_| ()).wait().unwrap_err();
        assert!(matches!(error, TicketError::Stopped { .. }), "{error}");
    }
}

#[test]
fn commands_that_are_too_long_are_refused_at_once() {
    let mut member = Member::new(1);
    let mut config = config(1, 1);
    config.command_bytes = 100;
    let network = Network::new();
    let node = member.start(config, network.transport(ReplicaId(1)));
    let ticket = node.propose(&[0; 101]);
    assert!(ticket.is_done());
    let error = ticket.wait().unwrap_err();
    assert!(matches!(error, TicketError::TooLarge { bytes: 101, limit: 100 }), "{error}");
}

#[test]
fn a_restarted_replica_applies_all_again_and_catches_up() {
    let mut cluster = Cluster::start(3);
    let commands = numbered(0..300);
    cluster.propose(&commands[..100]);
    let follower = (cluster.leader() + 1) % 3;
    cluster.stop_member(follower);
    cluster.propose(&commands[100..200]);
    cluster.start_member(follower);
    cluster.propose(&commands[200..]);
    cluster.wait_for(&commands);
}

#[test]
fn all_stop_and_start_again() {
    let mut cluster = Cluster::start(3);
    let commands = numbered(0..200);
    cluster.propose(&commands[..100]);
    for index in 0..3 {
        cluster.stop_member(index);
    }
    for index in 0..3 {
        cluster.start_member(index);
    }
    cluster.propose(&commands[100..]);
    cluster.wait_for(&commands);
}

#[test]
fn another_leads_when_the_leader_stops() {
    let mut cluster = Cluster::start(3);
    let commands = numbered(0..300);
    cluster.propose(&commands[..100]);
    let first = cluster.leader();
    cluster.stop_member(first);
    cluster.propose(&commands[100..200]);
    assert_ne!(cluster.leader(), first);
    cluster.start_member(first);
    cluster.propose(&commands[200..]);
    cluster.wait_for(&commands);
}

#[test]
fn a_leader_that_is_cut_off_steps_down_and_its_commands_have_a_fate() {
    let cluster = Cluster::start(3);
    let commands = numbered(0..20);
    cluster.propose(&commands);
    let old = cluster.leader();
    let others = [1, 2, 3].map(ReplicaId);
    cluster.network.isolate(cluster.members[old].id, others);
    let stranded = cluster.members[old].node().propose(b"stranded");
    eventually("the old leader steps down", || {
        (!cluster.members[old].node().status().leads()).then_some(())
    });
    eventually("another one leads", || cluster.current_leader());
    let stranded = stranded.wait_timeout(Duration::from_millis(1)).unwrap_err();
    cluster.propose(&numbered(20..40));
    cluster.network.heal();
    let error = stranded.wait().unwrap_err();
    assert!(matches!(error, TicketError::Superseded), "{error}");
    cluster.wait_for(&numbered(0..40));
}

#[test]
fn long_commands_pass_short_frames() {
    let mut members: Vec<_> = (1..=3).map(Member::new).collect();
    let network = Network::new();
    for member in &mut members {
        let transport = network.transport_with(member.id, 1200);
        member.start(config(3, member.id.0.into()), transport);
    }
    let cluster = Cluster { network, members };
    let commands = vec![vec![7; 1 << 20], vec![8; 1], vec![9; 1 << 20]];
    cluster.propose(&commands);
    cluster.wait_for(&commands);
    let leader = cluster.members[cluster.leader()].node().status();
    assert!(leader.counters.fragments.fragments_sent > 1000);
}

/// Puts frames where the test finds them.
struct Handed(Sender<(ReplicaId, Vec<u8>)>);

impl Transport for Handed {
    fn send(&mut self, to: ReplicaId, frame: &[u8]) {
        let _ = self.0.send((to, frame.to_vec()));
    }
    fn max_frame(&self) -> usize {
        60_000
    }
}

#[test]
fn a_program_may_carry_the_frames_itself() {
    let (sender, frames) = mpsc::channel();
    let mut members: Vec<_> = (1..=3).map(Member::new).collect();
    for member in &mut members {
        member.start(config(3, member.id.0.into()), Handed(sender.clone()));
    }
    drop(sender);
    let nodes: Vec<_> = members.iter().map(|member| member.node().clone()).collect();
    let carrying = thread::spawn(move || {
        for (to, frame) in frames {
            nodes[to.0 as usize - 1].deliver(frame.into());
        }
    });
    let mut cluster = Cluster { network: Network::new(), members };
    let commands = numbered(0..100);
    cluster.propose(&commands);
    cluster.wait_for(&commands);
    // The thread ends when the last transport is dropped, with its node.
    (0..3).for_each(|index| cluster.stop_member(index));
    carrying.join().unwrap();
}

#[test]
fn dropped_tickets_do_not_stop_their_commands() {
    let cluster = Cluster::start(3);
    let commands = numbered(0..100);
    let node = cluster.members[cluster.leader()].node();
    for command in &commands {
        drop(node.propose(command));
    }
    cluster.wait_for(&commands);
    eventually("nothing is pending", || (node.status().pending == 0).then_some(()));
}

#[test]
fn the_last_handle_stops_the_node() {
    let mut member = Member::new(1);
    let network = Network::new();
    member.start(config(1, 1), network.transport(ReplicaId(1)));
    let second = member.node().clone();
    drop(member.node.take());
    eventually("it leads", || second.status().leads().then_some(()));
    second.propose(b"still there").wait().unwrap();
    drop(second);
    // The directory is free again, and holds what was acknowledged.
    member.start(config(1, 1), network.transport(ReplicaId(1)));
    eventually("all is applied again", || {
        (member.applied() == [b"still there".to_vec()]).then_some(())
    });
}

#[test]
fn a_stopped_node_says_so() {
    let cluster = Cluster::start(1);
    let node = cluster.members[0].node();
    cluster.propose(&numbered(0..10));
    node.stop().unwrap();
    node.stop().unwrap();
    let error = node.propose(b"late").wait().unwrap_err();
    assert!(matches!(error, TicketError::Stopped { reason: StopReason::Asked }), "{error}");
    let status = node.status();
    assert!(!status.leads());
    assert!(status.poisoned().is_none());
    assert!(matches!(status.stopped, Some(StopReason::Asked)));
    assert_eq!(status.replica.durable, status.replica.appended, "nothing is left unsynced");
}

#[test]
fn a_replica_whose_directory_was_wiped_stops_and_says_why() {
    let mut cluster = Cluster::start(3);
    cluster.propose(&numbered(0..10));
    let follower = (cluster.leader() + 1) % 3;
    cluster.stop_member(follower);
    cluster.members[follower].directory = tempfile::tempdir().unwrap();
    cluster.start_member(follower);
    let wiped = cluster.members[follower].node();
    let reason = eventually("it stops", || wiped.status().stopped);
    let StopReason::Halted { reason: HaltReason::OtherDisk { .. } } = &reason else {
        panic!("{reason}")
    };
    assert!(wiped.propose(b"x").wait().unwrap_err().is_certain());
    // The others go on without it.
    cluster.propose(&numbered(10..20));
}

#[test]
fn an_older_copy_of_a_directory_stops_and_says_why() {
    // The copy is taken between two starts. So the start from the copy has the number of a start
    // that voted already, and it has forgotten those votes.
    let mut cluster = Cluster::start(3);
    cluster.propose(&numbered(0..10));
    let follower = (cluster.leader() + 1) % 3;
    cluster.stop_member(follower);
    let older = tempfile::tempdir().unwrap();
    for file in std::fs::read_dir(cluster.members[follower].directory.path()).unwrap() {
        let file = file.unwrap();
        std::fs::copy(file.path(), older.path().join(file.file_name())).unwrap();
    }
    cluster.start_member(follower);
    cluster.propose(&numbered(10..20));
    cluster.wait_for(&numbered(0..20));
    cluster.stop_member(follower);
    cluster.members[follower].directory = older;
    cluster.start_member(follower);
    let copy = cluster.members[follower].node();
    let reason = eventually("it stops", || copy.status().stopped);
    let StopReason::Halted { reason: HaltReason::RolledBack { .. } } = &reason else {
        panic!("{reason}")
    };
    // The others go on without it.
    cluster.propose(&numbered(20..30));
}

#[test]
fn settings_that_make_no_sense_are_refused() {
    let member = Member::new(1);
    let network = Network::new();
    let log = synod::wal::Wal::open_directory(member.directory.path(), trio::cluster(), member.id);
    let machine = Recorder { book: Arc::clone(&Book::default()) };
    let config = synod::config::Config::new([ReplicaId(2), ReplicaId(3)]);
    let error = Node::start(config, log.unwrap(), network.transport(member.id), machine);
    let error = error.unwrap_err();
    assert!(matches!(error, synod::node::StartError::Config(_)), "{error}");
}

#[test]
fn leadership_goes_where_it_is_asked_to() {
    let cluster = Cluster::start(3);
    cluster.propose(&numbered(0..100));
    // On a busy machine the leader may change by itself meanwhile; then it is asked again.
    let (from, to) = eventually("it is handed over", || {
        let from = cluster.current_leader()?;
        let to = (from + 1) % 3;
        let handed = cluster.members[from].node().transfer(cluster.members[to].id).wait();
        (handed == Ok(cluster.members[to].id)).then_some((from, to))
    });
    let node = cluster.members[from].node();
    let next = cluster.members[to].id;
    let handed_over =
        |event: &Event| matches!(event, Event::HandedOver { leader } if leader.replica == next);
    assert!(node.events().iter().any(|(_, event)| handed_over(event)));
    cluster.propose(&numbered(100..200));
}

#[test]
fn a_transfer_that_makes_no_sense_says_why() {
    let cluster = Cluster::start(3);
    let (leader, follower) = eventually("a follower knows who leads", || {
        let leader = cluster.current_leader()?;
        let follower = (leader + 1) % 3;
        let known = cluster.members[follower].node().status().leader();
        (known == Some(cluster.members[leader].id)).then_some((leader, follower))
    });
    let ids: Vec<ReplicaId> = cluster.members.iter().map(|member| member.id).collect();
    let other = ids[(leader + 2) % 3];
    let nobody = cluster.members[leader].node().transfer(ReplicaId(9)).wait();
    assert_eq!(nobody, Err(TransferError::NotMember { replica: ReplicaId(9) }));
    let refused = cluster.members[follower].node().transfer(other).wait();
    assert!(matches!(refused, Err(TransferError::NotLeader { .. }) | Ok(_)), "{refused:?}");
    let stopped = cluster.members[follower].node().clone();
    stopped.stop().unwrap();
    assert_eq!(stopped.transfer(ids[leader]).wait(), Err(TransferError::Halted));
}

#[test]
fn a_leader_gives_up_a_hand_over_to_a_replica_that_is_cut_off() {
    let cluster = Cluster::start(3);
    eventually("it is given up", || {
        let leader = cluster.current_leader()?;
        let to = cluster.members[(leader + 1) % 3].id;
        let others = cluster.members.iter().map(|member| member.id).filter(|id| *id != to);
        cluster.network.isolate(to, others);
        let handed = cluster.members[leader].node().transfer(to).wait();
        cluster.network.heal();
        (handed == Err(TransferError::GivenUp { to })).then_some(())
    });
    cluster.propose(&numbered(0..50));
}

/// What counts is not how long it takes but that the others need no canvass for it: the next leader
/// prepares because it was asked to.
#[test]
fn a_leader_that_stops_hands_over_first() {
    let mut cluster = Cluster::start(3);
    cluster.propose(&numbered(0..100));
    // A busy machine may let a hand-over time out: then another leader stops.
    eventually("a stopped leader has handed over", || {
        let leader = cluster.current_leader()?;
        let node = cluster.members[leader].node().clone();
        node.stop().unwrap();
        let handed = node.events().iter().rev().find_map(|(_, event)| match event {
            Event::HandedOver { leader } => Some(leader.replica),
            _ => None,
        });
        drop(node);
        cluster.stop_member(leader);
        let next = cluster.members.iter().position(|member| Some(member.id) == handed);
        let led = next.is_some_and(|next| {
            let events = cluster.members[next].node().events();
            events.iter().any(|(_, event)| matches!(event, Event::Leading { .. }))
        });
        cluster.start_member(leader);
        led.then_some(())
    });
    cluster.propose(&numbered(100..150));
}

#[test]
fn a_leader_that_nobody_can_follow_stops_all_the_same() {
    let cluster = Cluster::start(3);
    let leader = cluster.leader();
    for member in cluster.members.iter().filter(|member| member.id != cluster.members[leader].id) {
        member.node().stop().unwrap();
    }
    let node = cluster.members[leader].node();
    node.stop().unwrap();
    assert!(node.propose(b"late").wait().unwrap_err().is_certain());
    // Alone in its cluster, too.
    let alone = Cluster::start(1);
    alone.propose(&numbered(0..10));
    alone.members[0].node().stop().unwrap();
}
