//! Leaders that are answered and get nothing done: they let another one try.

use super::*;

/// Goes on with the clock while both peers follow, until the leader gives up; how long that took.
/// None if it still leads after the given time.
fn leads_for(alone: &mut Alone, ballot: Ballot, most: Duration) -> Option<Duration> {
    let began = alone.now;
    while alone.now.since(began) < most {
        alone.tick();
        let chosen = Slot(0);
        for peer in [2, 3] {
            let start = Standing::default();
            alone.hear(
                peer,
                HeartbeatAnswer { ballot, sequence: 0, end: chosen, start, chosen, priority: 1 },
            );
        }
        if alone.replica.status().leader != Some(ballot) {
            return Some(alone.now.since(began));
        }
    }
    None
}

fn timeouts(count: u32) -> Duration {
    Config::new([id(1)]).election_timeout * count
}

#[test]
fn an_idle_leader_that_is_answered_leads_on() {
    let mut alone = Alone::start(recovered(1));
    let ballot = alone.lead();
    assert_eq!(leads_for(&mut alone, ballot, timeouts(300)), None);
}

#[test]
fn a_leader_whose_disk_hangs_gives_up_what_it_cannot_propose() {
    // Its sync never ends. The others choose what it sends, until too much waits for its disk: then
    // it proposes nothing any more, and has nothing open; but its queue is not empty.
    let least = crate::entry::ENTRY_BYTES_MAX;
    let mut alone = Alone::start_with(|config| config.unsynced_bytes = least, recovered(1));
    let ballot = alone.lead();
    let command = vec![7; 2 << 20];
    let mut slot = 0;
    while names(&alone.propose(&command)).contains(&"Accept") {
        for peer in [2, 3] {
            alone.hear(peer, Accepted { ballot, slots: slots(slot, slot + 1), chosen: Slot(0) });
        }
        slot += 1;
        assert_eq!(alone.replica.status().chosen, Slot(slot));
        assert!(slot < 9, "the disk is never busy");
    }
    assert_eq!(alone.replica.status().open_slots, 0);
    let took = leads_for(&mut alone, ballot, timeouts(300)).expect("it gives up");
    assert!(took >= timeouts(99), "{took:?}");
}

#[test]
fn a_leader_that_lost_what_perhaps_nobody_else_has_learned_gives_up_soon() {
    // Slot 0 is chosen and its entry lost; nobody's mark is above it, so nobody can be asked.
    let mut log = recovered(1);
    (log.chosen, log.holes) = (Slot(1), vec![slots(0, 1)]);
    let mut alone = Alone::start(log);
    alone.prepare();
    alone.sync();
    let ballot = alone.replica.status().promised;
    alone.hear(2, Promise { slots: slots(1, 1), ..promise(ballot) });
    assert_eq!(alone.replica.status().leader, Some(ballot));
    let took = leads_for(&mut alone, ballot, timeouts(300)).expect("it gives up");
    assert!(took <= timeouts(6), "{took:?}");
}
