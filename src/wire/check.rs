//! What frames may say: every check that needs no state.

use super::{CATCH_UP_SLOTS_MAX, FRAME_BYTES_MAX, Fragment, PIECE_BYTES_MIN, SLOT_MAX};
use crate::message::Message;
use crate::slot::{ALPHA, Run, Slot, Slots};

/// Checks what a message may say whoever sends it. Receivers refuse, senders assert.
pub(super) fn check(message: &Message) -> Result<(), &'static str> {
    match message {
        Message::Promise(m) => {
            if m.slots.end < m.slots.start {
                return Err("a Promise's slots end before they start");
            }
            check_runs(&m.accepted, Some(m.slots))?;
            check_runs(&m.faulty, Some(m.slots))
        }
        Message::Accept(m) => check_runs(&m.announcement.runs, None),
        Message::Heartbeat(m) => check_runs(&m.announcement.runs, None),
        Message::ForwardAnswer(m) => check_runs(&m.announcement.runs, None),
        Message::ReadIndexAnswer(m) => check_runs(&m.announcement.runs, None),
        Message::HandOver(m) => check_runs(&m.announcement.runs, None),
        Message::Announcement(m) => check_runs(&m.runs, None),
        Message::Accepted(m) if m.slots.is_empty() => Err("an Accepted of no slots"),
        Message::Accepted(m) if m.slots.len() > ALPHA => Err("an Accepted of too many slots"),
        Message::CatchUp(m) if m.slots.end < m.slots.start => {
            Err("a CatchUp's slots end before they start")
        }
        Message::Forming(_)
        | Message::Refused(_)
        | Message::Forward(_)
        | Message::ReadIndex(_)
        | Message::Prepare(_)
        | Message::Nack(_)
        | Message::Accepted(_)
        | Message::Behind(_)
        | Message::HeartbeatAnswer(_)
        | Message::Canvass(_)
        | Message::CanvassAnswer(_)
        | Message::Fetch(_)
        | Message::Fetched(_)
        | Message::CatchUp(_)
        | Message::Chosen(_) => Ok(()),
    }
}

/// Checks what a message may say when it arrives.
pub(super) fn check_arrived(message: &Message) -> Result<(), &'static str> {
    check(message)?;
    if let Message::CatchUp(m) = message
        && m.slots != shortened(m.slots)
    {
        return Err("a CatchUp of too many slots");
    }
    if slots_of(message).into_iter().any(|slot| slot.0 > SLOT_MAX) {
        return Err("a slot is too high");
    }
    Ok(())
}

/// Runs are sorted, disjoint, not empty, of at most [`ALPHA`] slots together, within the page.
fn check_runs(runs: &[Run], page: Option<Slots>) -> Result<(), &'static str> {
    let mut end = page.map_or(Slot::ZERO, |page| page.start);
    let mut slots = 0u64;
    for run in runs {
        if run.slots.is_empty() || run.slots.start < end {
            return Err("runs are empty, out of order or outside their page");
        }
        end = run.slots.end;
        slots = slots.saturating_add(run.slots.len());
    }
    if page.is_some_and(|page| !runs.is_empty() && end > page.end) {
        return Err("runs reach beyond their page");
    }
    if slots > ALPHA { Err("runs of too many slots") } else { Ok(()) }
}

/// Every slot and mark that a message names, those at the ends of its runs included.
fn slots_of(message: &Message) -> [Slot; 3] {
    let last = |runs: &[Run]| runs.last().map_or(Slot::ZERO, |run| run.slots.end);
    match message {
        Message::Prepare(m) => [m.first; 3],
        // Its runs lie within its page.
        Message::Promise(m) => [m.slots.start, m.slots.end, m.chosen],
        Message::Nack(m) => [m.chosen; 3],
        Message::Accept(m) => [m.slot, m.announcement.chosen, last(&m.announcement.runs)],
        Message::Accepted(m) => [m.slots.start, m.slots.end, m.chosen],
        Message::Behind(m) => [m.chosen; 3],
        Message::Heartbeat(m) => {
            [m.announcement.chosen, last(&m.announcement.runs), m.announcement.chosen]
        }
        Message::HeartbeatAnswer(m) => [m.end, m.start.end, m.chosen],
        Message::Canvass(m) => [m.chosen; 3],
        Message::CanvassAnswer(m) => [m.start.end, m.chosen, m.chosen],
        Message::Fetch(m) => [m.slot; 3],
        Message::Fetched(m) => [m.slot, m.chosen, m.chosen],
        Message::CatchUp(m) => [m.slots.start, m.slots.end, m.chosen],
        Message::Chosen(m) => [m.slot, m.chosen, m.chosen],
        Message::Refused(m) => [m.before.end; 3],
        Message::Forming(_) => [Slot::ZERO; 3],
        Message::Forward(m) => [m.limit, m.chosen, m.chosen],
        Message::ForwardAnswer(m) => [m.next, m.announcement.chosen, last(&m.announcement.runs)],
        Message::ReadIndex(m) => [m.chosen; 3],
        Message::ReadIndexAnswer(m) => [m.index, m.announcement.chosen, last(&m.announcement.runs)],
        Message::HandOver(m) => {
            [m.announcement.chosen, last(&m.announcement.runs), m.announcement.chosen]
        }
        Message::Announcement(m) => [m.chosen, last(&m.runs), m.chosen],
    }
}

/// As much of a range as a CatchUp may ask for.
pub(super) fn shortened(slots: Slots) -> Slots {
    Slots { start: slots.start, end: slots.end.min(slots.start.plus(CATCH_UP_SLOTS_MAX)) }
}

/// Checks a fragment's numbers against one another; every product below is bounded first.
pub(super) fn check_fragment(fragment: &Fragment) -> Result<(), &'static str> {
    let (total, piece) = (fragment.total_bytes as usize, fragment.piece_bytes as usize);
    if total > FRAME_BYTES_MAX {
        return Err("the length of a whole frame");
    }
    if piece < PIECE_BYTES_MIN || piece > total {
        return Err("the length of a piece");
    }
    if fragment.index as usize >= total.div_ceil(piece) {
        return Err("the index of a piece");
    }
    let at = fragment.index as usize * piece;
    if fragment.bytes.len() != piece.min(total - at) {
        return Err("the bytes of a piece");
    }
    if fragment.number < fragment.oldest {
        return Err("the number of a fragment");
    }
    Ok(())
}
