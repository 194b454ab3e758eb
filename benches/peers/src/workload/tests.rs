use std::collections::BTreeSet;

use super::*;

fn commands(seed: u64, value_bytes: usize, count: usize) -> Vec<Vec<u8>> {
    let mut workload = Workload::new(seed, value_bytes);
    (0..count).map(|_| workload.next().1.to_vec()).collect()
}

#[test]
fn the_seed_says_which_commands() {
    assert_eq!(commands(1, 64, 100), commands(1, 64, 100));
    assert_ne!(commands(1, 64, 100), commands(2, 64, 100));
}

#[test]
fn no_two_commands_are_equal_nor_their_bytes_after_the_number() {
    let all = commands(3, 64, POOL_BYTES);
    let tails: BTreeSet<&[u8]> = all.iter().map(|c| &c[NUMBER_BYTES..]).collect();
    assert_eq!(tails.len(), POOL_BYTES);
    assert!(all.iter().all(|command| command.len() == 64));
}

#[test]
fn a_command_can_be_made_again_by_its_number() {
    let mut workload = Workload::new(5, 100);
    let seen: Vec<Vec<u8>> = (0..9).map(|_| workload.next().1.to_vec()).collect();
    for (number, command) in seen.iter().enumerate() {
        assert_eq!(workload.command(number as u64), command);
    }
}

#[test]
#[should_panic(expected = "at least 8 bytes")]
fn a_command_has_room_for_its_number() {
    let _ = Workload::new(0, 7);
}
