//! A replica that has stopped, or that is asked for what it cannot do.

use alloc::string::ToString;

use super::*;

#[test]
fn a_stopped_replica_hears_nothing_says_nothing_and_does_nothing() {
    let mut alone = Alone::start(recovered(1));
    alone.lead();
    alone.hear(2, Refused { incarnation: Incarnation(5), before: Standing::default() });
    let before = alone.replica.status();
    assert_eq!(before.role, Role::Halted);
    let later = alone.now.after(core::time::Duration::from_secs(60));
    alone.replica.handle_timeout(later);
    alone.replica.handle_persisted(later, before.appended);
    alone.replica.handle_applied(later, Slot(1));
    let drained = alone.hear(2, Canvass { sequence: 1, chosen: Slot(0) });
    let ignored = Event::Ignored { peer: id(2), reason: IgnoreReason::Halted };
    assert_eq!((drained.sent, drained.events), (vec![], vec![ignored]));
    assert_eq!(alone.wait, None);
    let after = alone.replica.status();
    assert_eq!(
        (after.role, after.promised, after.durable),
        (Role::Halted, before.promised, before.durable)
    );
}

#[test]
fn a_message_under_the_replicas_own_name_is_dropped() {
    let mut alone = Alone::start(recovered(1));
    let drained = alone.hear(1, Prepare { ballot: ballot(9, 1), first: Slot(0) });
    let ignored = Event::Ignored { peer: id(1), reason: IgnoreReason::OwnName };
    assert_eq!((drained.sent, drained.events), (vec![], vec![ignored]));
    assert_eq!(alone.replica.status().promised, Ballot::ZERO);
}

#[test]
fn a_replica_whose_rounds_are_used_up_stops_instead_of_beginning_again() {
    // Round 0 after the last one would lead at a ballot of an earlier life (I2).
    let mut log = recovered(1);
    log.promised = ballot(u64::MAX, 3);
    let mut alone = Alone::start(log);
    alone.canvass();
    let yes = |sequence| CanvassAnswer {
        sequence,
        yes: true,
        promised: ballot(u64::MAX, 3),
        leader: None,
        start: Standing::default(),
        chosen: Slot(0),
    };
    let events = alone.hear(2, yes(1)).events;
    assert_eq!(events, [Event::Halted { reason: HaltReason::BallotsUsedUp }]);
    assert_eq!(alone.replica.status().role, Role::Halted);
}

#[test]
fn a_replica_that_stops_gives_back_what_nobody_was_offered() {
    // It waits for a leader to forward it to. Nobody will, so it is certainly never applied.
    let mut alone = Alone::start(recovered(1));
    alone.propose(b"waits");
    let before = Standing::default();
    let drained = alone.hear(2, Refused { incarnation: Incarnation(5), before });
    let fates = fates(&drained);
    let given_back = |output: &Output| {
        matches!(output, Output::Fate { fate: Fate::NotLeader { leader: None }, .. })
    };
    assert!(fates.len() == 1 && fates.iter().all(given_back), "{fates:?}");
}

#[test]
fn settings_that_name_other_members_than_the_log_are_refused() {
    for names in [&[1, 2][..], &[1, 2, 4]] {
        let config = Config::new(names.iter().map(|name| id(*name)));
        let refused = Replica::new(config, recovered(1), Instant::ZERO).err();
        assert_eq!(refused, Some(ConfigError::OtherMembers));
    }
}

#[test]
fn settings_with_other_quorums_than_the_log_are_refused() {
    let start = |system: &str| {
        let quorums = system.parse().unwrap();
        let config = Config { quorums, ..Config::new([1, 2, 3].map(id)) };
        Replica::new(config, recovered(1), Instant::ZERO).err()
    };
    assert_eq!(start("sizes/3/1"), Some(ConfigError::OtherQuorums));
    assert_eq!(start("weights:1=2,2=2,3=2/4/4"), None, "the same sets in other words");
    assert!(matches!(start("sizes/2/1"), Some(ConfigError::Quorums(_))), "they miss one another");
}

#[test]
fn every_end_says_what_happened_and_what_to_do() {
    let ours = membership(3);
    let reasons = [
        (
            HaltReason::ConflictingMembers { peer: id(2), ours: Some(ours.clone()), theirs: ours },
            "another list",
        ),
        (
            HaltReason::OtherDisk { peer: id(2), formed_with: crate::membership::DiskId([7; 16]) },
            "0707",
        ),
        (
            HaltReason::RolledBack {
                peer: id(2),
                seen: Incarnation(3 << 16),
                ours: Incarnation(2 << 16),
            },
            "start 3",
        ),
        (HaltReason::ListLost { peer: id(2) }, "is missing here"),
        (HaltReason::BallotsUsedUp, "used up"),
    ];
    for (reason, says) in reasons {
        let text = reason.to_string();
        assert!(text.contains(says), "{text}");
    }
    let refused = ProposeError::NotLeader.to_string();
    assert!(refused.contains("no leader"), "{refused}");
}
