//! How a cluster forms: some replicas, the messages between them, and wiped disks.

use alloc::vec;

use super::*;
use crate::message::Message;
use crate::outbox::tests::{
    Drained, drain, id, members, membership, outbox, peer, recovered, sync,
};
use crate::quorum::QuorumSystem;
use crate::record::Lsn;
use crate::slot::Slot;

fn names() -> Vec<ReplicaId> {
    vec![id(1), id(2), id(3)]
}

/// A replica of this name on that disk, with what its directory holds.
fn forming(name: u32, disk: u8, list: Option<Membership>, formed: bool) -> Forming {
    let mut log = recovered(name);
    log.me = peer(name, disk);
    (log.members, log.formed) = (list, formed);
    Forming::new(&names(), *membership(3).quorums(), &log)
}

fn fresh(name: u32) -> Forming {
    forming(name, name as u8, None, false)
}

fn told(members: impl Into<Option<Membership>>, formed: bool) -> Told {
    Told { members: members.into(), formed }
}

/// The list of these members, each with its disk.
fn listed(members: Vec<Member>) -> Membership {
    Membership::new(members).unwrap()
}

/// Lets the replica hear the messages, then go on, and syncs its log.
fn hear(
    forming: &mut Forming,
    from: &[(Peer, Told)],
    out: &mut Outbox,
) -> (Result<(), HaltReason>, Drained) {
    for (from, told) in from {
        let judged = forming.handle_forming(*from, told, out);
        if judged.is_err() {
            return (judged, drain(out));
        }
        forming.proceed(out);
    }
    (Ok(()), sync(out, crate::ballot::Ballot::ZERO))
}

fn disk_of(name: u32) -> (Peer, Told) {
    (peer(name, name as u8), told(None, false))
}

fn list_of(name: u32) -> (Peer, Told) {
    (peer(name, name as u8), told(membership(3), false))
}

#[test]
fn the_list_is_made_once_when_every_disk_was_heard_and_told_when_it_is_durable() {
    // Two of three disks make no list. The third does; nobody hears of the list before the disk has
    // it (I4), since a list that was told is never replaced.
    let (mut one, mut out) = (fresh(1), outbox(1));
    let (judged, drained) = hear(&mut one, &[disk_of(2), disk_of(2)], &mut out);
    assert_eq!((judged, drained), (Ok(()), Drained::default()));
    assert_eq!(one.handle_forming(disk_of(3).0, &disk_of(3).1, &mut out), Ok(()));
    assert!(!one.proceed(&mut out));
    let before = drain(&mut out);
    assert_eq!(before.records, [Record::Members { members: membership(3) }]);
    assert_eq!(before.sent, []);
    let after = sync(&mut out, crate::ballot::Ballot::ZERO);
    assert_eq!(after.sent, [(vec![id(2), id(3)], told(membership(3), false).into())]);
}

#[test]
fn a_replica_is_formed_when_every_member_has_told_the_same_list() {
    // The second round: two of three lists are not enough, the third one is (I9: formed once).
    let (mut one, mut out) = (fresh(1), outbox(1));
    let (_, drained) = hear(&mut one, &[disk_of(2), disk_of(3), list_of(2)], &mut out);
    assert_eq!((drained.events, one.membership()), (vec![], None));
    let (judged, drained) = hear(&mut one, &[list_of(3)], &mut out);
    assert_eq!(judged, Ok(()));
    assert_eq!(drained.records, [Record::Formed]);
    assert_eq!(drained.events, [Event::Formed { members: 3 }]);
    assert_eq!(one.membership(), Some(membership(3)));
}

#[test]
fn one_round_is_not_enough_to_form() {
    // Having heard every disk says nothing of what the others will put in their lists.
    let (mut one, mut out) = (fresh(1), outbox(1));
    let (_, drained) = hear(&mut one, &[disk_of(2), disk_of(3)], &mut out);
    assert_eq!((drained.events, one.membership()), (vec![], None));
}

#[test]
fn a_wiped_disk_forms_no_second_cluster() {
    // 1, 2, 3 show their disks; 1 and 2 make the list {1, 2, 3}; 3 has not heard 1 yet. 1 is wiped
    // and shows a new disk, 11. 3 makes {11, 2, 3}. With one round 1 and 2, then 1 and 3 would each
    // be a quorum of a cluster of their own. Here 3 waits for 2, which tells the other list: halt.
    let (mut three, mut out) = (fresh(3), outbox(3));
    let wiped = (peer(1, 11), told(None, false));
    let (_, drained) = hear(&mut three, &[disk_of(2), wiped.clone()], &mut out);
    let mut other = members(3);
    other[0].disk = DiskId([11; 16]);
    let other = listed(other);
    assert_eq!(drained.records, [Record::Members { members: other.clone() }]);
    let wiped_list = (wiped.0, told(other.clone(), false));
    let (judged, drained) = hear(&mut three, &[wiped_list, list_of(2)], &mut out);
    let reason =
        HaltReason::ConflictingMembers { peer: id(2), ours: Some(other), theirs: membership(3) };
    assert_eq!((judged, drained.events), (Err(reason), vec![]));
    assert_eq!(three.membership(), None);
}

#[test]
fn a_wiped_replica_stops_when_it_hears_of_its_old_disk() {
    // The list names disk 1 for it, and it is on disk 11 now: it must not vote (I1).
    for formed in [false, true] {
        let (mut wiped, mut out) = (forming(1, 11, None, false), outbox(1));
        let (judged, _) = hear(&mut wiped, &[(peer(2, 2), told(membership(3), formed))], &mut out);
        let reason = HaltReason::OtherDisk { peer: id(2), formed_with: DiskId([1; 16]) };
        assert_eq!(judged, Err(reason));
    }
}

#[test]
fn a_replica_that_lost_its_list_does_not_form_again() {
    // 2 is formed with this very disk, so this disk had told the list; yet its directory holds
    // none: it is an older copy, and has forgotten promises too (I1).
    let (mut copy, mut out) = (fresh(1), outbox(1));
    let (judged, drained) = hear(&mut copy, &[(peer(2, 2), told(membership(3), true))], &mut out);
    assert_eq!(judged, Err(HaltReason::ListLost { peer: id(2) }));
    assert_eq!((drained.records, copy.membership()), (vec![], None));
}

#[test]
fn a_list_that_was_made_durable_is_never_replaced() {
    // After a restart 1 has its list; a wiped 3 shows another disk, which changes nothing here.
    let (mut one, mut out) = (forming(1, 1, Some(membership(3)), false), outbox(1));
    let (judged, drained) = hear(&mut one, &[(peer(3, 13), told(None, false))], &mut out);
    assert_eq!((judged, drained.records), (Ok(()), vec![]));
    one.on_tick(&mut out);
    assert_eq!(drain(&mut out).messages(), [told(membership(3), false).into()]);
}

#[test]
fn a_restart_between_the_rounds_goes_on_with_the_same_list() {
    // The list was durable and told; the others' lists are heard after the restart.
    let (mut one, mut out) = (forming(1, 1, Some(membership(3)), false), outbox(1));
    let (_, drained) = hear(&mut one, &[list_of(2), list_of(3)], &mut out);
    assert_eq!(drained.records, [Record::Formed]);
}

#[test]
fn one_formed_member_vouches_for_all() {
    // It is formed only because every member had told the list: no need to hear them all again.
    let (mut one, mut out) = (forming(1, 1, Some(membership(3)), false), outbox(1));
    let (_, drained) = hear(&mut one, &[(peer(2, 2), told(membership(3), true))], &mut out);
    assert_eq!(drained.records, [Record::Formed]);
}

#[test]
fn a_list_teaches_the_disks_that_were_not_heard() {
    // 1 has not heard 3 at all, but 2's list names it, and disk 1 as well: 1 makes the same list.
    let (mut one, mut out) = (fresh(1), outbox(1));
    let (judged, drained) = hear(&mut one, &[list_of(2)], &mut out);
    assert_eq!(judged, Ok(()));
    assert_eq!(drained.records, [Record::Members { members: membership(3) }]);
}

#[test]
fn a_list_of_other_names_stops_the_replica() {
    // One replica was started with other settings; nothing was voted yet.
    let mut four = members(3);
    four.push(Member { replica: id(4), disk: DiskId([4; 16]) });
    let four = listed(four);
    let (mut one, mut out) = (fresh(1), outbox(1));
    let (judged, _) = hear(&mut one, &[(peer(2, 2), told(four.clone(), false))], &mut out);
    let reason = HaltReason::ConflictingMembers { peer: id(2), ours: None, theirs: four };
    assert_eq!(judged, Err(reason));
}

#[test]
fn a_list_with_other_quorums_stops_the_replica() {
    // The same members, and one of them was told that one disk is enough for a command: with its
    // settings and ours, two leaders could choose two entries in one slot.
    let flexible = QuorumSystem::Sizes { prepare: 3, accept: 1 };
    let flexible = Quorums::new(&flexible, &names()).unwrap();
    let theirs = Membership::with_quorums(members(3), flexible).unwrap();
    for ours in [None, Some(membership(3))] {
        let (mut one, mut out) = (forming(1, 1, ours.clone(), false), outbox(1));
        let told = [(peer(2, 2), told(theirs.clone(), false))];
        let (judged, _) = hear(&mut one, &told, &mut out);
        let theirs = theirs.clone();
        assert_eq!(judged, Err(HaltReason::ConflictingMembers { peer: id(2), ours, theirs }));
    }
}

#[test]
fn strangers_do_not_take_part() {
    // Replica 7 is not in the settings: its disk is not counted, its list is not compared.
    let (mut one, mut out) = (fresh(1), outbox(1));
    let stranger = (peer(7, 7), told(None, false));
    let lister = (peer(7, 7), told(membership(2), true));
    let (judged, drained) = hear(&mut one, &[disk_of(2), stranger, lister], &mut out);
    assert_eq!((judged, drained), (Ok(()), Drained::default()));
}

#[test]
fn a_formed_replica_tells_its_list_to_whoever_asks_and_to_nobody_else() {
    // 3 missed the end of the forming and shows its list at each tick; 2 is formed, and needs no
    // answer, which it would answer again.
    let (mut one, mut out) = (forming(1, 1, Some(membership(3)), true), outbox(1));
    let formed = (peer(2, 2), told(membership(3), true));
    let (_, drained) = hear(&mut one, &[list_of(3), formed], &mut out);
    assert_eq!(drained.sent, [(vec![id(3)], told(membership(3), true).into())]);
    one.on_tick(&mut out);
    assert_eq!(drain(&mut out), Drained::default());
}

#[test]
fn a_cluster_of_one_forms_at_once() {
    // There is nobody to hear: the list, then formed, in one go.
    let mut log = recovered(1);
    (log.members, log.formed) = (None, false);
    let (mut one, mut out) = (Forming::new(&[id(1)], *membership(1).quorums(), &log), outbox(1));
    assert!(one.proceed(&mut out));
    assert_eq!(
        drain(&mut out).records,
        [Record::Members { members: membership(1) }, Record::Formed]
    );
    assert_eq!(one.membership(), Some(membership(1)));
}

/// Three replicas and what is under way between them.
struct Cluster {
    replicas: Vec<(Forming, Outbox)>,
    under_way: Vec<(usize, usize, Told)>,
}

impl Cluster {
    fn new() -> Self {
        let replica = |name| (fresh(name), Outbox::new(id(name), Lsn::ZERO, Slot::ZERO));
        Self { replicas: (1..=3).map(replica).collect(), under_way: Vec::new() }
    }

    fn tick(&mut self) {
        for i in 0..3 {
            let (forming, out) = &mut self.replicas[i];
            forming.on_tick(out);
            self.collect(i);
        }
    }

    fn collect(&mut self, from: usize) {
        let (_, out) = &mut self.replicas[from];
        for (to, message) in sync(out, crate::ballot::Ballot::ZERO).sent {
            let Message::Forming(told) = message else { panic!("a {}", message.name()) };
            let to = to.iter().map(|to| (from, to.0 as usize - 1, told.clone()));
            self.under_way.extend(to);
        }
    }

    /// Delivers everything but what `lose` names, until nothing is under way.
    fn deliver(&mut self, lose: impl Fn(usize, usize, &Told) -> bool) {
        while !self.under_way.is_empty() {
            let (from, to, told) = self.under_way.remove(0);
            if lose(from, to, &told) {
                continue;
            }
            let name = from as u32 + 1;
            let (forming, out) = &mut self.replicas[to];
            assert_eq!(forming.handle_forming(peer(name, name as u8), &told, out), Ok(()));
            forming.proceed(out);
            self.collect(to);
        }
    }

    fn formed(&self) -> usize {
        self.replicas.iter().filter(|(forming, _)| forming.membership().is_some()).count()
    }
}

#[test]
fn three_replicas_form_after_lost_lists() {
    // Each list reaches one of its two receivers: 1 tells 2, 2 tells 3, 3 tells 1; the others are
    // lost. Now each waits for the one that has heard it already, and that one must still tell it.
    let mut cluster = Cluster::new();
    cluster.tick();
    cluster.deliver(|from, to, told| told.members.is_some() && (from + 1) % 3 != to);
    assert_eq!(cluster.formed(), 0);
    cluster.tick();
    cluster.deliver(|_, _, _| false);
    assert_eq!(cluster.formed(), 3);
}

#[test]
fn three_replicas_form_over_any_network_that_loses_some() {
    // Seeded loss of every second message: all three are formed in the end, with the same list.
    for seed in 0..200 {
        let random = core::cell::RefCell::new(oorandom::Rand32::new(seed));
        let mut cluster = Cluster::new();
        for _ in 0..100 {
            cluster.tick();
            cluster.deliver(|_, _, _| random.borrow_mut().rand_range(0..2) == 0);
        }
        let lists: Vec<_> = cluster.replicas.iter().map(|(f, _)| f.membership()).collect();
        assert_eq!(lists, vec![Some(membership(3)); 3], "seed {seed}");
    }
}
