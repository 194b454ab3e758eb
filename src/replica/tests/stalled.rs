//! What a replica says it waits for.

use alloc::string::{String, ToString};
use core::time::Duration;

use super::*;

impl Alone {
    fn says(&self) -> String {
        self.replica.why_stalled(self.now).map_or_else(String::new, |stalled| stalled.to_string())
    }

    fn pass(&mut self, time: Duration) {
        self.now = self.now.after(time);
    }
}

#[test]
fn an_idle_leader_waits_for_nothing() {
    let mut alone = Alone::start(recovered(1));
    alone.lead();
    assert_eq!(alone.says(), "");
}

#[test]
fn a_leader_names_the_slot_that_is_not_accepted_and_who_is_silent() {
    let mut alone = Alone::start(recovered(1));
    let leader = alone.lead();
    alone.propose(b"x");
    assert!(
        alone.says().starts_with("slot 0 needs 2 more Accepted; its own disk has not synced it")
    );
    alone.sync();
    alone.pass(Duration::from_millis(4100));
    let told = "slot 0 needs 1 more Accepted; replica 2 was last heard 4.1 s ago; \
                replica 3 was not heard yet";
    assert_eq!(alone.says(), told);
    let since = alone.replica.why_stalled(alone.now).unwrap().since;
    assert!(since >= Duration::from_secs(4), "{since:?}");
    alone.hear(3, Nack { ballot: ballot(0, 1), promised: ballot(7, 2), chosen: Slot(0) });
    assert!(alone.says().ends_with("; replica 3 has promised 7.2"), "{}", alone.says());
    alone.hear(2, vote(leader, 0));
    assert_eq!(alone.says(), "the state machine has to apply 1 slot");
    alone.replica.handle_applied(alone.now, Slot(1));
    assert_eq!(alone.says(), "");
}

#[test]
fn who_has_no_leader_says_how_many_are_missing() {
    let mut alone = Alone::start(recovered(1));
    alone.canvass();
    let says = alone.says();
    assert!(says.starts_with("nobody leads, and 1 more must agree"), "{says}");
    assert!(says.contains("replica 2 was not heard yet; replica 3 was not heard yet"), "{says}");
    alone.prepare();
    alone.sync();
    let says = alone.says();
    assert!(says.contains("needs 1 more Promise"), "{says}");
}

#[test]
fn a_follower_waits_for_its_leader_or_for_entries() {
    let mut alone = Alone::start(recovered(1));
    let leads = ballot(3, 2);
    alone.hear(2, heartbeat(leads, Announcement::default()));
    assert_eq!(alone.says(), "");
    alone.propose(b"x");
    alone.replica.read(alone.now, Consistency::Linearizable).unwrap();
    alone.drain();
    alone.pass(Duration::from_millis(250));
    let told = "1 run of commands and 1 read wait for replica 2, which leads at 3.2; \
                replica 2 was last heard 0.2 s ago";
    assert_eq!(alone.says(), told);
    let mut alone = Alone::start(recovered(1));
    alone.hear(2, heartbeat(leads, announcement(9, vec![])));
    assert_eq!(alone.says(), "slot 0 is missing here, and the log is chosen up to 9");
}

#[test]
fn what_an_earlier_leader_left_and_reads_and_ends_are_told_of() {
    let mut alone = Alone::start(recovered(1));
    alone.prepare();
    alone.sync();
    let at = alone.replica.status().promised;
    let left = vec![run(0, 1, ballot(0, 3))];
    alone.hear(2, Promise { slots: slots(0, 1), accepted: left, ..promise(at) });
    assert!(alone.says().contains("what an earlier leader left in slot 0"), "{}", alone.says());

    let mut alone = Alone::start(recovered(1));
    alone.lead();
    alone.replica.read(alone.now, Consistency::Linearizable).unwrap();
    alone.drain();
    assert!(alone.says().starts_with("1 read wait for a quorum to confirm"), "{}", alone.says());

    alone.hear(2, Refused { incarnation: Incarnation(5), before: Standing::default() });
    assert!(alone.says().starts_with("it has stopped for good: replica 2"), "{}", alone.says());
    let unformed = Recovered { members: None, formed: false, ..recovered(1) };
    assert!(Alone::start(unformed).says().starts_with("the cluster is not formed"));
}

#[test]
fn a_hung_disk_is_told_of() {
    let mut alone = Alone::start_with(|config| config.unsynced_bytes = 4 << 20, recovered(1));
    let leader = alone.lead();
    for slot in 0..4 {
        alone.propose(&vec![0; 2 << 20]);
        alone.hear(2, vote(leader, slot));
        alone.hear(3, vote(leader, slot));
    }
    alone.replica.handle_applied(alone.now, Slot(9));
    let says = alone.says();
    assert!(says.contains("bytes wait for its own disk"), "{says}");
}
