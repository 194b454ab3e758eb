//! Changes in the files of a log under checksums that hold: what no accident makes.

use synod::checksum;

const SECTOR: usize = 512;
/// Where the groups of a segment begin.
const DATA: usize = 8192;
/// The head of a frame, the kind of a marker, and the head of a second copy.
const HEAD: usize = 40;
const MARKER: u8 = 7;
const COPY: &[u8; 8] = b"SYNODIDX";

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(std::array::from_fn(|i| bytes[at + i]))
}

/// What every checksum at an offset of a segment begins with: its salt, its number, the offset.
fn salted(segment: &[u8], offset: usize) -> u32 {
    let mut bytes = [0; 20];
    bytes[..8].copy_from_slice(&segment[72..80]);
    bytes[8..16].copy_from_slice(&segment[56..64]);
    bytes[16..].copy_from_slice(&(offset as u32).to_le_bytes());
    checksum::of(&bytes)
}

/// Makes the checksum of a slot of the superblock, or of a segment's header, right.
pub(super) fn seal_sector(file: &mut [u8], at: usize) {
    let Some(sector) = file.get_mut(at..at + SECTOR) else { return };
    let sum = checksum::of(&sector[..SECTOR - 4]);
    sector[SECTOR - 4..].copy_from_slice(&sum.to_le_bytes());
}

/// Makes the checksums of the group at `at` right, from its first frame to its marker.
pub(super) fn seal_group(segment: &mut [u8], at: usize) {
    let (mut at, mut previous) = (at, 0u32);
    while at + HEAD <= segment.len() {
        let length = u32_at(segment, at) as usize;
        let end = at + HEAD + length.min(segment.len()).div_ceil(8) * 8;
        if end > segment.len() || segment[at + 4] == 0 || segment[at + 4] > MARKER {
            return;
        }
        let salt = salted(segment, at);
        let frame = &mut segment[at..end];
        frame[24..28].copy_from_slice(&previous.to_le_bytes());
        let sum = checksum::extend(salt, &frame[..32]);
        frame[32..36].copy_from_slice(&sum.to_le_bytes());
        previous = checksum::extend(sum, &frame[HEAD..]);
        frame[36..40].copy_from_slice(&previous.to_le_bytes());
        if frame[4] == MARKER {
            return;
        }
        at = end;
    }
}

/// Makes the checksums of the second copy at `at` right.
pub(super) fn seal_copy(segment: &mut [u8], at: usize) {
    if !is_copy(segment, at) {
        return;
    }
    let (count, group) = (u32_at(segment, at + 44) as usize, u32_at(segment, at + 12) as usize);
    let bytes = 80usize.saturating_add(count.saturating_mul(32)).saturating_add(group / SECTOR * 4);
    let end = at.saturating_add(bytes.div_ceil(SECTOR).saturating_mul(SECTOR)).min(segment.len());
    let salt = salted(segment, at);
    let copy = &mut segment[at..end];
    let sum = checksum::extend(salt, &copy[..56]);
    copy[60..64].copy_from_slice(&sum.to_le_bytes());
    let sum = checksum::extend(sum, &copy[60..]);
    copy[56..60].copy_from_slice(&sum.to_le_bytes());
}

fn is_copy(segment: &[u8], at: usize) -> bool {
    segment.get(at..at + 80).is_some_and(|head| head[..8] == *COPY)
}

/// Where the groups and the second copies of a segment seem to begin.
pub(super) fn places(segment: &[u8]) -> (Vec<usize>, Vec<usize>) {
    let sectors = (DATA..segment.len()).step_by(SECTOR);
    let (mut groups, mut copies) = (Vec::new(), Vec::new());
    for at in sectors.filter(|at| segment.len() - at >= SECTOR) {
        if is_copy(segment, at) {
            copies.push(at);
        } else if u32_at(segment, at + 32)
            == checksum::extend(salted(segment, at), &segment[at..at + 32])
        {
            groups.push(at);
        }
    }
    (groups, copies)
}
