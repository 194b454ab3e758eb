//! Who may speak under a member's name.

use super::*;
use crate::outbox::tests::{ballot, id, membership, peer};
use crate::slot::Slot;

fn start(name: u32, disk: u8, incarnation: u64) -> Peer {
    Peer { incarnation: Incarnation(incarnation), ..peer(name, disk) }
}

#[test]
fn what_an_earlier_start_sent_is_dropped_once_a_later_one_was_heard() {
    // Start 2, then a datagram of start 1 that was under way; 2 and 3 are still good.
    let (members, mut lives) = (membership(3), Lives::default());
    assert_eq!(lives.judge(start(2, 2, 2), &members), Ok(()));
    assert_eq!(lives.judge(start(2, 2, 1), &members), Err(IgnoreReason::OldIncarnation));
    assert_eq!(lives.judge(start(2, 2, 2), &members), Ok(()));
    assert_eq!(lives.judge(start(2, 2, 3), &members), Ok(()));
    assert_eq!(lives.latest(id(2)).0, Incarnation(3));
}

#[test]
fn a_members_name_on_another_disk_is_dropped_and_teaches_nothing() {
    // A wiped replica 2 in its 9th start: the member on disk 2 is not outdated by that (I1).
    let (members, mut lives) = (membership(3), Lives::default());
    assert_eq!(lives.judge(start(2, 22, 9), &members), Err(IgnoreReason::OtherDisk));
    assert_eq!(lives.judge(start(2, 2, 1), &members), Ok(()));
    assert_eq!(lives.latest(id(2)).0, Incarnation(1));
}

#[test]
fn the_starts_of_different_members_are_apart() {
    // Replica 3 is in its 7th start, replica 1 in its first.
    let (members, mut lives) = (membership(3), Lives::default());
    assert_eq!(lives.judge(start(3, 3, 7), &members), Ok(()));
    assert_eq!(lives.judge(start(1, 1, 1), &members), Ok(()));
}

#[test]
fn strangers_are_let_through_and_not_remembered() {
    // Dropping them can lock a changed cluster out; remembering them would let them fill the
    // memory.
    let (members, mut lives) = (membership(3), Lives::default());
    let before = lives.clone();
    for name in 10..1000 {
        assert_eq!(lives.judge(start(name, 1, 5), &members), Ok(()));
    }
    assert_eq!(lives, before);
}

#[test]
fn a_member_votes_again_only_when_it_remembers_what_it_voted_before() {
    // Start 1 promises 7.3 and accepts up to slot 4. Start 2 must stand by both before it counts.
    let (members, mut lives) = (membership(3), Lives::default());
    let voted = |round, end| Standing { promised: ballot(round, 3), end: Slot(end) };
    lives.judge(start(2, 2, 1), &members).unwrap();
    assert!(lives.may_vote(id(2)), "nothing was voted before");
    lives.note_vote(id(2), voted(7, 0));
    lives.note_vote(id(2), voted(6, 5));
    assert!(lives.may_vote(id(2)), "it is still the same start");
    lives.judge(start(2, 2, 2), &members).unwrap();
    assert!(!lives.may_vote(id(2)));
    for forgotten in [voted(6, 5), voted(7, 4), Standing::default()] {
        assert!(!lives.note_start(id(2), forgotten), "{forgotten:?}");
        assert!(!lives.may_vote(id(2)));
    }
    assert_eq!(lives.latest(id(2)), (Incarnation(2), voted(7, 5)));
    assert!(lives.note_start(id(2), voted(7, 5)));
    assert!(lives.may_vote(id(2)));
    // What it votes from now on binds its next start, and not this one.
    lives.note_vote(id(2), voted(9, 9));
    assert!(lives.note_start(id(2), voted(7, 5)));
    lives.judge(start(2, 2, 3), &members).unwrap();
    assert!(!lives.note_start(id(2), voted(7, 5)));
}
