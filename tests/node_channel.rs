//! Nodes end to end over channels: many commands, restarts, failover, partitions.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod trio;

use std::sync::Arc;
use std::sync::mpsc::{self, Sender};
use std::thread;
use std::time::Duration;

use synod::membership::ReplicaId;
use synod::node::channel::Network;
use synod::node::{StopReason, TicketError};
use synod::output::HaltReason;
use synod::{Node, Transport};
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
fn followers_name_the_leader() {
    let cluster = Cluster::start(3);
    let leader = cluster.leader();
    let follower = cluster.members[(leader + 1) % 3].node();
    eventually("the follower knows the leader", || {
        let error = follower.propose(b"x").wait().unwrap_err();
        assert!(is_not_leader(&error), "{error}");
        let named = matches!(error, TicketError::NotLeader { leader: Some(_) });
        named.then_some(())
    });
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
