//! Leaders that hear of another one, or of nobody.

use super::*;

#[test]
fn a_leader_that_hears_a_higher_one_follows_it_and_proposes_no_more() {
    // 2 leads at 9.2 by the promise of 3; its Prepare never came here. Whatever is proposed or sent
    // again from now on is refused, and whoever waits for it does not hear of the new leader.
    let mut alone = Alone::start_with(|config| config.pipeline_slots = 1, recovered(1));
    alone.lead();
    alone.propose(b"proposed");
    alone.propose(&[0; 40]);
    let leader = ballot(9, 2);
    let drained = alone.hear(2, heartbeat(leader, Announcement::default()));
    // The second command goes to the new leader only when the fate of the first is known, which
    // would otherwise come after it.
    assert_eq!((names(&drained), fates(&drained)), (vec!["HeartbeatAnswer"], vec![]));
    let status = alone.replica.status();
    assert_eq!((status.role, status.leader), (Role::Following, Some(leader)));
    let chosen = Chosen { slot: Slot(0), ballot: leader, entry: Entry::Noop, chosen: Slot(1) };
    let drained = alone.hear(2, chosen);
    assert_eq!(names(&drained), ["Forward"]);
    assert_eq!(fates(&drained), [Output::Fate { commands: 0..1, fate: Fate::Superseded }]);
    for _ in 0..20 {
        alone.hear(2, heartbeat(leader, Announcement::default()));
        let sent = alone.tick();
        assert!(!names(&sent).iter().any(|name| ["Accept", "Heartbeat"].contains(name)));
    }
}

#[test]
fn a_leader_is_not_deposed_by_a_lower_one() {
    // 2 led before and has not heard of it yet: it is told so.
    let mut alone = Alone::start(recovered(1));
    alone.hear(2, heartbeat(ballot(1, 2), Announcement::default()));
    alone.hear(3, Prepare { ballot: ballot(2, 3), first: Slot(0) });
    let leader = alone.lead();
    let drained = alone.hear(2, heartbeat(ballot(1, 2), Announcement::default()));
    assert_eq!(names(&drained), ["Nack"]);
    let status = alone.replica.status();
    assert_eq!((status.role, status.leader), (Role::Leading, Some(leader)));
}

#[test]
fn what_a_leader_without_followers_never_proposed_is_refused_when_patience_ends() {
    let mut alone = Alone::start_with(|config| config.pipeline_slots = 1, recovered(1));
    alone.lead();
    let (began, patience) = (alone.now, Config::new([1, 2, 3].map(id)).patience);
    alone.propose(b"proposed");
    alone.propose(&[0; 40]);
    let mut told = Vec::new();
    while told.is_empty() && alone.now < began.after(patience * 3) {
        told.extend(fates(&alone.tick()));
    }
    let fate = Fate::NotLeader { leader: None };
    assert_eq!(told, [Output::Fate { commands: 1..2, fate }]);
    assert!(alone.now <= began.after(patience * 11 / 10), "only at {}", alone.now);
    assert_ne!(alone.replica.status().role, Role::Leading);
}

#[test]
fn what_is_given_up_with_older_commands_is_told_before_its_own_patience_ends() {
    // The leader takes nothing in, or its answers are lost. The first command is overdue, so none
    // is sent any more, nor the second one, which came just before. Once the fate of the first is
    // known nothing is overdue, and the second would be told when its own patience ends
    // (seed 3977 of the simulator).
    let mut alone = Alone::start(recovered(1));
    let (leader, patience) = (ballot(1, 2), Config::new([1, 2, 3].map(id)).patience);
    let mut mark = 0;
    let mut end_told = |alone: &mut Alone, marks: core::ops::Range<u64>| {
        for slot in marks {
            let before = announcement(slot, vec![run(0, slot, leader)]);
            let entry = Entry::Noop;
            alone.hear(2, Accept { ballot: leader, slot: Slot(slot), entry, announcement: before });
            mark = slot;
        }
        let known = announcement(mark, vec![run(0, mark, leader)]);
        let answers = alone.hear(2, heartbeat(leader, known)).messages();
        let end = answers.into_iter().find_map(|message| match message {
            Message::HeartbeatAnswer(answer) => Some(answer.end),
            _ => None,
        });
        end.unwrap()
    };
    end_told(&mut alone, 0..0);
    // So that what is sent again is not due between the second command and the end.
    alone.tick();
    alone.propose(b"old");
    let began = alone.now;
    while alone.now < began.after(patience * 97 / 100) {
        alone.tick();
        end_told(&mut alone, 0..0);
    }
    assert_eq!(end_told(&mut alone, 0..11), Slot(11));
    alone.propose(b"young");
    while alone.now < began.after(patience) {
        alone.tick();
        end_told(&mut alone, 0..0);
    }
    let before = alone.replica.status().awaited_runs;
    assert!(end_told(&mut alone, 11..73) >= Slot(74), "the limits of both");
    let status = alone.replica.status();
    assert!(before == 2 && status.awaited_runs == 1, "the fate of one is known: {status:?}");
    assert!(end_told(&mut alone, 0..0) >= Slot(74), "the limit of the second");
}
