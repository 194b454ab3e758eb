use super::*;

fn event(nanos: u64, replica: u32, mark: Mark) -> Event {
    Event { nanos, replica: ReplicaId(replica), mark }
}

/// Replica 1 leads; replica 2 answers first, replica 3 has not answered the command before yet.
fn events() -> Vec<Event> {
    vec![
        event(100, 1, Mark::Proposed),
        event(105, 1, Mark::AcceptedReceived(ReplicaId(3))),
        event(110, 1, Mark::AcceptSent(ReplicaId(2))),
        event(112, 1, Mark::AcceptSent(ReplicaId(3))),
        event(114, 1, Mark::SyncBegun),
        event(130, 2, Mark::AcceptReceived),
        event(170, 2, Mark::SyncBegun),
        event(300, 2, Mark::SyncEnded),
        event(320, 2, Mark::AcceptedSent),
        event(360, 1, Mark::AcceptedReceived(ReplicaId(2))),
        event(400, 1, Mark::SyncEnded),
        event(430, 1, Mark::Applied),
        event(500, 1, Mark::Woken),
    ]
}

#[test]
fn stages_are_the_times_between_marks_and_add_up() {
    let way = way(&events(), ReplicaId(1)).expect("all marks are there");
    assert_eq!(way, [10, 20, 40, 130, 20, 40, 40, 30, 70]);
    assert_eq!(way.iter().sum::<u64>(), 400);
}

#[test]
fn a_leader_that_has_synced_waits_for_nobody() {
    let mut events = events();
    events[10].nanos = 350;
    events.swap(9, 10);
    let way = way(&events, ReplicaId(1)).expect("all marks are there");
    assert_eq!(way[6..], [0, 70, 70]);
}

#[test]
fn the_other_follower_is_as_good_a_second() {
    let mut events = events();
    events[10] = event(390, 1, Mark::AcceptedReceived(ReplicaId(3)));
    let late = way(&events, ReplicaId(1));
    assert_eq!(late, None, "replica 3 answered the command before");
    let marks = [Mark::AcceptReceived, Mark::SyncBegun, Mark::SyncEnded, Mark::AcceptedSent];
    events.splice(8..8, marks.map(|mark| event(310, 3, mark)));
    let way = way(&events, ReplicaId(1)).expect("all marks are there");
    assert_eq!(way[6..], [30, 40, 70]);
}

#[test]
fn a_missing_mark_makes_no_way() {
    for missing in [0, 2, 5, 6, 7, 8, 9, 10, 11, 12] {
        let mut events = events();
        events.remove(missing);
        assert_eq!(way(&events, ReplicaId(1)), None, "without {missing}");
    }
}

#[test]
fn the_middle_half_counts() {
    let mut ways = Vec::new();
    for nanos in [9_000_000, 3000, 1000, 5000] {
        let mut way = [0; STAGES.len()];
        way[3] = nanos;
        ways.push(way);
    }
    let mean = middle(&mut ways).expect("there are some");
    assert_eq!((mean[3], mean[0]), (4.0, 0.0));
    assert!(middle(&mut []).is_err());
}

#[test]
fn commands_go_their_way_from_end_to_end() {
    let directory = place::for_run(&std::env::temp_dir()).expect("a directory");
    let setup = Setup { directory: directory.path(), replicas: 3, in_flight: 1, value_bytes: 64 };
    let ways = run(&setup, Length::Commands(20)).expect("it runs");
    assert!(ways.len() >= 10 && ways.iter().all(|way| way[3] > 0), "{ways:?}");
}
