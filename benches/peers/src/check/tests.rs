use super::*;

fn applied(commands: &[&[u8]]) -> Applied {
    let mut applied = Applied::default();
    commands.iter().for_each(|command| applied.apply(command));
    applied
}

#[test]
fn every_byte_and_the_length_count() {
    for bytes in [8, 13, 64] {
        let mut command: Vec<u8> = (0..bytes).collect();
        let whole = applied(&[&command]);
        for i in 0..command.len() {
            command[i] ^= 0x80;
            assert_ne!(applied(&[&command]), whole, "byte {i} of {bytes}");
            command[i] ^= 0x80;
        }
        command.push(0);
        assert_ne!(applied(&[&command]), whole, "a zero after {bytes}");
    }
}

#[test]
fn the_order_counts() {
    assert_ne!(
        applied(&[b"one of 12 by", b"two of 12 by"]),
        applied(&[b"two of 12 by", b"one of 12 by"])
    );
    assert_ne!(applied(&[b"01234567", b"89abcdef"]), applied(&[b"89abcdef", b"01234567"]));
    assert_ne!(applied(&[b"01234567", b"x"]), applied(&[b"01234567x", b""]));
}

#[test]
fn a_lost_a_doubled_and_a_swapped_command_are_found() {
    let mut workload = Workload::new(1, 32);
    let mut run = |numbers: &[u64]| {
        let mut applied = Applied::default();
        numbers.iter().for_each(|number| applied.apply(workload.command(*number)));
        applied
    };
    let right = run(&[0, 1, 2, 3]);
    let wrong = [run(&[0, 1, 3]), run(&[0, 1, 2, 2, 3]), run(&[0, 2, 1, 3]), run(&[0, 1, 2, 4])];
    assert_eq!(in_order(&[right, right, right], &mut workload, 4), Ok(()));
    for wrong in wrong {
        let found = in_order(&[right, right, wrong], &mut workload, 4);
        assert!(found.is_err_and(|text| text.starts_with("replica 3")), "{wrong:?}");
    }
    assert!(in_order(&[right], &mut workload, 5).is_err());
}
