//! A header that says what cannot be is not believed, though its checksum holds.

use super::*;

#[test]
fn numbers_beyond_those_of_any_log_are_rot() {
    let header = Header {
        cluster: ClusterId([1; 16]),
        disk: DiskId([1; 16]),
        replica: ReplicaId(1),
        number: 1,
        incarnation: Incarnation(1),
        salt: 7,
        bytes: 1 << 16,
        first: Lsn(1),
        sealed: Lsn::ZERO,
        durable: Lsn::ZERO,
    };
    assert_eq!(Header::read(&header.write()), Copy::Good(header.clone()));
    for at in [80, 88, 96] {
        for (number, holds) in [(1u64 << 62, true), ((1 << 62) + 1, false), (u64::MAX, false)] {
            let mut bytes = header.write();
            put(&mut bytes, at, &number.to_le_bytes());
            let sum = checksum::of(&bytes[..SUM]);
            put(&mut bytes, SUM, &sum.to_le_bytes());
            assert_eq!(matches!(Header::read(&bytes), Copy::Good(_)), holds, "{at}: {number}");
        }
    }
}
