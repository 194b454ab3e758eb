//! What no log writes is not read, though its checksums hold.

use std::vec::Vec;

use super::*;
use crate::membership::{DiskId, MEMBERS_MAX, Member};

const SALT: Salt = Salt { salt: 0x1234_5678_9abc_def0, segment: 7 };
const AT: u32 = 8192;

/// A frame of that kind around that body.
fn framed(kind: Kind, body: &[u8]) -> Vec<u8> {
    let (mut bytes, head) = (Vec::new(), Head { lsn: Lsn(1), chosen: Slot(0), previous: 0 });
    push(&mut bytes, AT, SALT, head, kind, |buffer| buffer.extend_from_slice(body));
    bytes
}

#[test]
fn a_body_longer_than_any_record_is_not_read() {
    let longest = framed(Kind::Formed, &std::vec![0; BODY_MAX]);
    assert!(Frame::read(&longest, AT, SALT).is_some());
    let longer = framed(Kind::Formed, &std::vec![0; BODY_MAX + 1]);
    assert!(Frame::read(&longer, AT, SALT).is_none());
}

#[test]
fn a_body_that_its_kind_cannot_have_is_no_item() {
    let item = |kind, body: &[u8]| Frame::read(&framed(kind, body), AT, SALT).unwrap().item();
    let member = |i| Member { replica: ReplicaId(i), disk: DiskId([i as u8; 16]) };
    let members = Membership::new((1..=MEMBERS_MAX as u32).map(member).collect()).unwrap();
    let mut body = Vec::new();
    put_members(&mut body, &members);
    put_quorums(&mut body, &members);
    let held = item(Kind::Members, &body);
    assert_eq!(held, Some(Item::Record(Record::Members { members: members.clone() })));
    assert_eq!(item(Kind::Members, &body[1..]), None);
    assert_eq!(item(Kind::Members, &body[MEMBER..]), None, "quorums of more members");
    assert_eq!(item(Kind::Members, &body[..QUORUMS - 1]), None);
    let (first, rest) = body.split_at(MEMBER);
    let turned = [&rest[..MEMBER], first, &rest[MEMBER..]].concat();
    assert_eq!(item(Kind::Members, &turned), None, "out of order, so places would be others'");
    assert_eq!(item(Kind::Promised, &[0; 15]), None);
    assert_eq!(item(Kind::Accepted, &[0; ENTRY_HEAD - 1]), None);
    assert_eq!(item(Kind::Lost, &[0; ENTRY_HEAD]), None, "no kind has number 0");
}

#[test]
fn a_marker_is_no_item_and_nothing_else_is_a_marker() {
    let marker = framed(Kind::Marker, &[1; MARKER_BODY]);
    let frame = Frame::read(&marker, AT, SALT).unwrap();
    assert_eq!(frame.item(), None);
    assert!(frame.mark().is_some());
    let shorter = framed(Kind::Marker, &[1; MARKER_BODY - 1]);
    assert_eq!(Frame::read(&shorter, AT, SALT).unwrap().mark(), None);
    let other = framed(Kind::Formed, &[1; MARKER_BODY]);
    assert_eq!(Frame::read(&other, AT, SALT).unwrap().mark(), None);
}
