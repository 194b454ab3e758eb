//! A slot that says what cannot be is not believed, though its checksum holds.

use super::*;
use crate::membership::Member;

#[test]
fn more_members_than_there_can_be_are_rot() {
    let mut block = Superblock::new(ClusterId([1; 16]), ReplicaId(1), DiskId([1; 16]));
    let member = |i| Member { replica: ReplicaId(i), disk: DiskId([i as u8; 16]) };
    let members = (1..=MEMBERS_MAX as u32).map(member).collect();
    block.members = Some(Membership::new(members).unwrap());
    let mut bytes = block.write();
    assert_eq!(Superblock::read(&bytes), Slot::Good(block));
    put(&mut bytes, 60, &(MEMBERS_MAX as u32 + 1).to_le_bytes());
    let sum = checksum::of(&bytes[..SUM]);
    put(&mut bytes, SUM, &sum.to_le_bytes());
    assert_eq!(Superblock::read(&bytes), Slot::Rot);
}

#[test]
fn a_list_whose_quorums_could_miss_one_another_is_rot() {
    let mut block = Superblock::new(ClusterId([1; 16]), ReplicaId(1), DiskId([1; 16]));
    let member = |i| Member { replica: ReplicaId(i), disk: DiskId([i as u8; 16]) };
    block.members = Some(Membership::new((1..=3).map(member).collect()).unwrap());
    let mut bytes = block.write();
    assert_eq!(Superblock::read(&bytes), Slot::Good(block));
    // Of three members every set is an accept quorum, that of nobody, too.
    put(&mut bytes, MEMBERS + MEMBERS_MAX * MEMBER + QUORUMS / 2, &[0xff]);
    let sum = checksum::of(&bytes[..SUM]);
    put(&mut bytes, SUM, &sum.to_le_bytes());
    assert_eq!(Superblock::read(&bytes), Slot::Rot);
}

#[test]
fn numbers_beyond_those_of_any_log_are_rot() {
    let block = Superblock::new(ClusterId([1; 16]), ReplicaId(1), DiskId([1; 16]));
    for at in [16, 104, 112, 120] {
        for (number, holds) in [(1u64 << 62, true), ((1 << 62) + 1, false), (u64::MAX, false)] {
            let mut bytes = block.write();
            put(&mut bytes, at, &number.to_le_bytes());
            let sum = checksum::of(&bytes[..SUM]);
            put(&mut bytes, SUM, &sum.to_le_bytes());
            assert_eq!(matches!(Superblock::read(&bytes), Slot::Good(_)), holds, "{at}: {number}");
        }
    }
}
