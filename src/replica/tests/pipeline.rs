//! What a leader begins while slots are in flight.

use super::*;

/// How many commands each Accept has that was sent.
fn sizes(drained: &Drained) -> Vec<u32> {
    let size = |(_, message): &(_, Message)| match message {
        Message::Accept(Accept { entry: Entry::Batch(batch), .. }) => Some(batch.count()),
        _ => None,
    };
    drained.sent.iter().filter_map(size).collect()
}

#[test]
fn with_enough_slots_in_flight_commands_wait_for_company() {
    // One slot: what comes while it is under way goes together as soon as it is chosen.
    let mut alone = Alone::start_with(|config| config.partial_slots = 1, recovered(1));
    let leader = alone.lead();
    assert_eq!(sizes(&alone.propose(b"alone")), [1]);
    for _ in 0..5 {
        assert!(sizes(&alone.propose(b"with others")).is_empty());
    }
    alone.sync();
    assert_eq!(sizes(&alone.hear(2, vote(leader, 0))), [5]);
    assert!(sizes(&alone.propose(b"the next")).is_empty());
    alone.sync();
    assert_eq!(sizes(&alone.hear(3, vote(leader, 1))), [1]);
}

#[test]
fn a_full_batch_waits_for_no_slot_in_flight() {
    // Two commands fit a batch. The third shows that the batch before is full: that one goes.
    let small = |config: &mut Config| (config.partial_slots, config.batch_bytes) = (1, 200);
    let mut alone = Alone::start_with(small, recovered(1));
    alone.lead();
    let sent: Vec<_> = (0..6).map(|_| sizes(&alone.propose(&[0; 60]))).collect();
    assert_eq!(sent, [vec![1], vec![], vec![], vec![2], vec![], vec![2]]);
}

#[test]
fn at_first_no_command_waits_for_company() {
    let mut alone = Alone::start(recovered(1));
    alone.lead();
    let sent: Vec<_> = (0..3).map(|_| sizes(&alone.propose(b"x"))).collect();
    assert_eq!(sent, [[1], [1], [1]]);
}
