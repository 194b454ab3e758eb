//! The list of members as it lies on the disk: each member's name and disk, and then which sets of
//! them are quorums.

use alloc::vec::Vec;

use super::frame::{array_at, u32_at, u64_at};
use crate::membership::{DiskId, MEMBERS_MAX, Member, Membership, ReplicaId};
use crate::quorum::{Family, Quorums};

/// A member: replica id (4), disk id (16).
pub(super) const MEMBER: usize = 20;
/// The quorums: two families of sets, a bit for each set.
pub(super) const QUORUMS: usize = 2 * size_of::<Family>();
/// The longest list.
pub(super) const LIST_MAX: usize = MEMBERS_MAX * MEMBER + QUORUMS;

/// Appends the members, without their quorums.
pub(super) fn put_members(bytes: &mut Vec<u8>, list: &Membership) {
    for member in list.members() {
        bytes.extend_from_slice(&member.replica.0.to_le_bytes());
        bytes.extend_from_slice(&member.disk.0);
    }
}

/// Appends the quorums.
pub(super) fn put_quorums(bytes: &mut Vec<u8>, list: &Membership) {
    let (prepare, accept) = list.quorums().families();
    prepare.0.iter().chain(&accept.0).for_each(|word| {
        bytes.extend_from_slice(&word.to_le_bytes());
    });
}

/// Reads a list: `None` if there can be none of that kind. Members out of order are none: their
/// places are those of the votes.
pub(super) fn read(members: &[u8], quorums: &[u8]) -> Option<Membership> {
    if !members.len().is_multiple_of(MEMBER) || quorums.len() != QUORUMS {
        return None;
    }
    let member = |bytes: &[u8]| Member {
        replica: ReplicaId(u32_at(bytes, 0)),
        disk: DiskId(array_at(bytes, 4)),
    };
    let members: Vec<Member> = members.chunks_exact(MEMBER).map(member).collect();
    let family = |at| Family(core::array::from_fn(|i| u64_at(quorums, at + 8 * i)));
    let quorums = Quorums::told(members.len(), family(0), family(QUORUMS / 2)).ok()?;
    let sorted = members.is_sorted();
    Membership::with_quorums(members, quorums).ok().filter(|_| sorted)
}
