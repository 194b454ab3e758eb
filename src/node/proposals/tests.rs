//! What ripens when.

use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;

use super::*;

fn at(millis: u64) -> Instant {
    Instant::ZERO.after(Duration::from_millis(millis))
}

fn push(proposals: &Proposals<u32>, command: &[u8], what: u32) -> Placed {
    proposals.push(command, what, || at(0))
}

/// Takes out all.
fn take(proposals: &Proposals<u32>) -> Vec<(String, u32)> {
    let mut commands = Commands::default();
    proposals.take(&mut commands);
    let mut taken = Vec::new();
    while let Some((command, what)) = commands.pop() {
        taken.push((String::from_utf8(command.to_vec()).unwrap(), what));
    }
    taken
}

/// Proposals whose last turn has found several.
fn bursting() -> Proposals<u32> {
    let proposals = Proposals::new(PROPOSALS_MAX, 1 << 20);
    push(&proposals, b"a", 1);
    push(&proposals, b"b", 2);
    assert_eq!(take(&proposals).len(), 2);
    proposals
}

#[test]
fn one_at_a_time_each_is_ripe_at_once() {
    let proposals = Proposals::new(PROPOSALS_MAX, 1 << 20);
    for round in 0..3 {
        assert!(!proposals.are_ripe());
        assert_eq!(push(&proposals, b"one", round), Placed::Ripe);
        assert!(proposals.are_ripe());
        assert_eq!(take(&proposals), [(String::from("one"), round)]);
    }
    assert!(!proposals.are_ripe());
}

#[test]
fn in_a_burst_they_ripen_together_when_the_proposer_stops() {
    let proposals = bursting();
    assert_eq!(push(&proposals, b"c", 3), Placed::Unripe { look_at: Some(at(1)) });
    assert_eq!(push(&proposals, b"", 4), Placed::Unripe { look_at: None }, "one look is enough");
    assert_eq!(push(&proposals, b"de", 5), Placed::Unripe { look_at: None });
    assert!(!proposals.are_ripe());
    assert!(proposals.ripen());
    assert!(proposals.are_ripe());
    let expected = [("c", 3), ("", 4), ("de", 5)].map(|(text, what)| (String::from(text), what));
    assert_eq!(take(&proposals), expected);
    assert!(!proposals.ripen() && !proposals.are_ripe(), "nothing waits");
    // The next burst is one command long. After it each is ripe at once again.
    push(&proposals, b"f", 6);
    assert!(proposals.ripen());
    assert_eq!(take(&proposals).len(), 1);
    assert_eq!(push(&proposals, b"g", 7), Placed::Ripe);
}

#[test]
fn many_need_not_wait_for_more() {
    let proposals = bursting();
    for count in 1..RIPE_COMMANDS {
        assert!(matches!(push(&proposals, b"x", 0), Placed::Unripe { .. }), "{count}");
    }
    assert_eq!(push(&proposals, b"x", 0), Placed::Ripe);
    let proposals = bursting();
    assert!(matches!(push(&proposals, &[0; RIPE_BYTES - 1], 0), Placed::Unripe { .. }));
    assert_eq!(push(&proposals, b"x", 0), Placed::Ripe);
}

#[test]
fn what_nobody_hurries_ripens_by_itself() {
    let proposals = bursting();
    assert_eq!(push(&proposals, b"c", 3), Placed::Unripe { look_at: Some(at(1)) });
    assert_eq!(proposals.ripen_old(at(1)), None);
    assert!(proposals.are_ripe());
    assert_eq!(take(&proposals).len(), 1);
    assert_eq!(proposals.ripen_old(at(2)), None, "nothing waits");
    assert!(!proposals.are_ripe());
}

#[test]
fn what_is_younger_than_the_look_is_looked_at_again() {
    let proposals = bursting();
    push(&proposals, b"c", 3);
    push(&proposals, b"d", 4);
    take(&proposals);
    // The look that c asked for finds e, which came later.
    assert_eq!(push(&proposals, b"e", 5), Placed::Unripe { look_at: None });
    assert_eq!(proposals.ripen_old(at(1)), Some(at(2)));
    assert!(!proposals.are_ripe());
    assert_eq!(push(&proposals, b"f", 6), Placed::Unripe { look_at: None });
    assert_eq!(proposals.ripen_old(at(2)), None);
    assert!(proposals.are_ripe());
}

#[test]
fn there_is_room_for_so_many_bytes_and_commands_and_always_for_one() {
    let proposals = Proposals::new(PROPOSALS_MAX, 10);
    assert_eq!(push(&proposals, &[b'x'; 100], 1), Placed::Ripe);
    assert_eq!(push(&proposals, b"", 2), Placed::Full);
    assert_eq!(take(&proposals).len(), 1);
    push(&proposals, &[b'x'; 6], 3);
    assert_eq!(push(&proposals, &[0; 5], 0), Placed::Full);
    push(&proposals, &[b'x'; 4], 4);
    assert_eq!(take(&proposals).iter().map(|(_, what)| *what).collect::<Vec<_>>(), [3, 4]);
    let proposals = Proposals::new(PROPOSALS_MAX, 1 << 20);
    for what in 0..PROPOSALS_MAX as u32 {
        assert_ne!(push(&proposals, b"", what), Placed::Full);
    }
    assert_eq!(push(&proposals, b"", 0), Placed::Full);
    assert!(take(&proposals).into_iter().map(|(_, what)| what).eq(0..PROPOSALS_MAX as u32));
}

#[test]
fn a_buffer_is_used_again_but_not_one_that_is_huge() {
    let proposals = Proposals::new(PROPOSALS_MAX, KEPT_BYTES * 2);
    let mut commands = Commands::default();
    let mut take = |what: u32| {
        proposals.take(&mut commands);
        assert_eq!(commands.pop().map(|(_, taken)| taken), Some(what));
        commands.bytes.capacity()
    };
    push(&proposals, &vec![0; KEPT_BYTES + 1], 1);
    assert!(take(1) > KEPT_BYTES);
    // Two buffers go to and fro.
    for what in 2..6 {
        push(&proposals, &[0; 100], what);
        let kept = take(what);
        assert!((100..=KEPT_BYTES).contains(&kept), "{kept}");
    }
}

#[test]
#[should_panic(expected = "1 commands were not taken in")]
fn nothing_that_was_taken_out_is_forgotten() {
    let proposals = Proposals::new(PROPOSALS_MAX, 100);
    let mut commands = Commands::default();
    push(&proposals, b"a", 1);
    proposals.take(&mut commands);
    proposals.take(&mut commands);
}
