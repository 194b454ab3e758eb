//! CRC32C, the one checksum of wire and log.
//!
//! With std the processor's instruction computes it, without std a table does; the sums are equal.

/// Extends the CRC32C `sum` of what came before by `bytes`. The sum of nothing is 0.
#[cfg(feature = "std")]
#[must_use]
pub fn extend(sum: u32, bytes: &[u8]) -> u32 {
    crc32c::crc32c_append(sum, bytes)
}

/// Extends the CRC32C `sum` of what came before by `bytes`. The sum of nothing is 0.
#[cfg(not(feature = "std"))]
#[must_use]
pub fn extend(sum: u32, bytes: &[u8]) -> u32 {
    table::extend(sum, bytes)
}

/// The CRC32C of `bytes`.
#[must_use]
pub fn of(bytes: &[u8]) -> u32 {
    extend(0, bytes)
}

#[cfg(any(not(feature = "std"), test))]
mod table {
    use crc::{CRC_32_ISCSI, Crc, Table};

    static CRC32C: Crc<u32, Table<16>> = Crc::<u32, Table<16>>::new(&CRC_32_ISCSI);

    pub(super) fn extend(sum: u32, bytes: &[u8]) -> u32 {
        // The algorithm reflects its initial value; a digest resumes from a finished sum.
        let mut digest = CRC32C.digest_with_initial((sum ^ u32::MAX).reverse_bits());
        digest.update(bytes);
        digest.finalize()
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec::Vec;

    /// RFC 3720, appendix B.4, and the check value of the catalogue of CRCs.
    const KNOWN: [(&[u8], u32); 3] =
        [(b"123456789", 0xe306_9283), (&[0; 32], 0x8a91_36aa), (&[0xff; 32], 0x62a8_ab43)];

    #[test]
    fn both_implementations_give_the_published_sums() {
        for (bytes, sum) in KNOWN {
            assert_eq!(super::of(bytes), sum);
            assert_eq!(super::table::extend(0, bytes), sum);
        }
    }

    #[test]
    fn both_implementations_extend_alike() {
        let bytes: Vec<u8> = (0..=255).collect();
        for cut in 0..bytes.len() {
            let (head, tail) = bytes.split_at(cut);
            assert_eq!(super::extend(super::of(head), tail), super::of(&bytes));
            assert_eq!(
                super::table::extend(super::table::extend(0, head), tail),
                super::of(&bytes)
            );
        }
    }
}
