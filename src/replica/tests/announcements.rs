//! What a leader tells when commands stop coming.

use super::*;

#[test]
fn the_last_command_is_announced_soon() {
    let mut alone = Alone::start(recovered(1));
    let leader = alone.lead();
    alone.propose(b"x");
    alone.sync();
    alone.hear(2, vote(leader, 0));
    assert_eq!(alone.replica.status().chosen, Slot(1));
    let (until, timer) = alone.wait.unwrap();
    assert_eq!(timer, Timer::Announcement);
    assert_eq!(until, alone.now.after(Config::new([id(1)]).heartbeat / 8));
    let runs = vec![run(0, 1, leader)];
    let told = (vec![id(2), id(3)], announcement(1, runs).into());
    assert_eq!(alone.tick().sent, [told]);
    assert_eq!(alone.wait.map(|(_, timer)| timer), Some(Timer::CatchUp), "once is enough");
}

#[test]
fn a_follower_learns_from_it_and_answers_nothing() {
    let mut alone = Alone::start(recovered(1));
    let leader = ballot(1, 2);
    alone.hear(2, accept(leader, 0, "x", announcement(0, Vec::new())));
    alone.sync();
    let heard = alone.hear(2, announcement(1, vec![run(0, 1, leader)]));
    assert_eq!((alone.replica.status().chosen, heard.sent), (Slot(1), Vec::new()));
}

#[test]
fn who_leads_no_more_announces_nothing() {
    let mut alone = Alone::start(recovered(1));
    let leader = alone.lead();
    alone.propose(b"x");
    alone.sync();
    alone.hear(2, vote(leader, 0));
    alone.hear(3, Prepare { ballot: ballot(9, 3), first: Slot(0) });
    alone.sync();
    while alone.now < Instant::from_millis(1000) {
        assert!(!names(&alone.tick()).contains(&"Announcement"));
    }
}

#[test]
fn a_leader_that_goes_on_proposing_announces_nothing() {
    let mut alone = Alone::start(recovered(1));
    let leader = alone.lead();
    let heartbeat = Config::new([id(1)]).heartbeat;
    for slot in 0..64 {
        let before = alone.propose(b"x");
        assert_eq!(names(&before), ["Accept"]);
        alone.sync();
        alone.hear(2, vote(leader, slot));
        alone.now = alone.now.after(heartbeat / 12);
        alone.replica.handle_timeout(alone.now);
        assert!(!names(&alone.drain()).contains(&"Announcement"), "after {slot}");
    }
}
