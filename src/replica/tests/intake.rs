//! Commands that are taken in, or refused with the reason.

use super::*;

#[test]
fn a_command_is_refused_with_the_reason() {
    // Too long, or too many bytes queued; either is certain never to be applied.
    let small = |config: &mut Config| {
        (config.command_bytes, config.queue_bytes, config.pipeline_slots) = (100, 100, 1);
    };
    let mut alone = Alone::start_with(small, recovered(1));
    alone.lead();
    let refused = alone.replica.propose(alone.now, &[0; 101]);
    assert_eq!(refused, Err(ProposeError::TooLarge { bytes: 101, limit: 100 }));
    alone.propose(&[0; 100]);
    alone.propose(&[0; 100]);
    assert_eq!(alone.replica.propose(alone.now, &[0; 100]), Err(ProposeError::Full));
}

#[test]
fn an_intake_takes_in_and_refuses_as_if_each_came_alone() {
    let lengths = [101, 100, 0, 101, 100, 7];
    let outcomes = |setting: fn(&mut Config), leads: bool| {
        let start = || {
            let mut alone = Alone::start_with(setting, recovered(1));
            if leads {
                alone.lead();
            }
            alone
        };
        let (mut one, mut all) = (start(), start());
        let one_by_one = lengths.map(|bytes| one.replica.propose(one.now, &[0; 101][..bytes]));
        let mut intake = all.replica.intake(all.now);
        let together = lengths.map(|bytes| intake.propose(&[0; 101][..bytes]));
        assert_eq!(one_by_one, together);
        assert_eq!(one.drain(), all.drain());
        together.map(|taken| taken.map(|id| id.sequence))
    };
    let too_large = Err(ProposeError::TooLarge { bytes: 101, limit: 100 });
    let full = Err(ProposeError::Full);
    let small = |config: &mut Config| (config.command_bytes, config.queue_bytes) = (100, 200);
    assert_eq!(outcomes(small, true), [too_large, Ok(0), Ok(1), too_large, full, Ok(2)]);
    let hasty = |config: &mut Config| {
        (config.command_bytes, config.patience) = (100, Duration::ZERO);
    };
    let nobody = Err(ProposeError::NotLeader);
    assert_eq!(outcomes(hasty, false), [too_large, nobody, nobody, too_large, nobody, nobody]);
}

#[test]
fn a_leader_whose_machine_is_far_behind_takes_in_no_more() {
    let mut alone = Alone::start_with(|config| config.apply_slots = 2, recovered(1));
    let leader = alone.lead();
    assert!(!alone.replica.awaits_applied());
    // Sixteen times what it hands out at once, and one more.
    for slot in 0..33 {
        alone.propose(b"x");
        alone.hear(2, vote(leader, slot));
        alone.hear(3, vote(leader, slot));
    }
    assert!(alone.replica.awaits_applied());
    assert_eq!(alone.replica.intake(alone.now).propose(b"y"), Err(ProposeError::Full));
    alone.replica.handle_applied(alone.now, Slot(2));
    assert_eq!(alone.replica.applied(), Slot(2));
    assert!(alone.replica.awaits_applied());
    assert!(alone.replica.intake(alone.now).propose(b"y").is_ok());
}
