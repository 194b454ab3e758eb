//! What is asked of the peers' logs, when, and of whom.

use alloc::vec::Vec;

use super::*;
use crate::message::Message;
use crate::outbox::tests::{drain, id, outbox, slots};

/// What was asked since the last look: of whom, and which slots.
fn asked(out: &mut Outbox) -> Option<(ReplicaId, Slots)> {
    let mut sent = drain(out).sent;
    assert!(sent.len() <= 1, "{sent:?}");
    match sent.pop()? {
        (to, Message::CatchUp(request)) => Some((to[0], request.slots)),
        (_, other) => panic!("a {}", other.name()),
    }
}

/// A replica that heard these marks, of members 2, 3, ...
fn heard(marks: &[u64]) -> (CatchUp, Outbox) {
    let mut catch_up = CatchUp::default();
    (2..).zip(marks).for_each(|(name, mark)| catch_up.note(id(name), Slot(*mark), true));
    (catch_up, outbox(1))
}

/// A tick of a replica whose mark is `chosen` and that lacks everything up to `end`.
fn tick(catch_up: &mut CatchUp, chosen: u64, end: u64, out: &mut Outbox) {
    let missing = (chosen < end).then(|| slots(chosen, end));
    catch_up.on_tick(Slot(chosen), missing, None, Replicas::default(), out);
}

#[test]
fn a_short_lag_that_ends_by_itself_asks_nobody() {
    // The announcement came before the Accept: at the next tick the mark has moved on.
    let (mut catch_up, mut out) = heard(&[5]);
    catch_up.proceed(Slot(3), Some(slots(3, 5)), &mut out);
    tick(&mut catch_up, 3, 5, &mut out);
    tick(&mut catch_up, 4, 5, &mut out);
    tick(&mut catch_up, 5, 5, &mut out);
    assert_eq!(asked(&mut out), None);
}

#[test]
fn a_lag_that_outlives_a_tick_is_asked_about() {
    // Nothing has moved from one tick to the next: what is missing was lost on the way.
    let (mut catch_up, mut out) = heard(&[5]);
    tick(&mut catch_up, 3, 5, &mut out);
    tick(&mut catch_up, 3, 5, &mut out);
    assert_eq!(asked(&mut out), Some((id(2), slots(3, 5))));
}

#[test]
fn a_long_lag_does_not_wait_for_the_tick() {
    // A restarted replica is far behind: the first page is asked for at once, and only once.
    let (mut catch_up, mut out) = heard(&[1000]);
    for _ in 0..2 {
        catch_up.proceed(Slot(0), Some(slots(0, 256)), &mut out);
    }
    assert_eq!(asked(&mut out), Some((id(2), slots(0, PAGE_SLOTS_MIN))));
}

#[test]
fn pages_follow_one_another_and_grow_while_they_come_whole() {
    // 4, 8, 16, ... up to the largest page; each one is asked for as soon as the last one has come.
    let (mut catch_up, mut out) = heard(&[1000]);
    let mut chosen = 0;
    let mut pages = alloc::vec::Vec::new();
    while chosen < 1000 {
        let missing = slots(chosen, (chosen + 256).min(1000));
        catch_up.proceed(Slot(chosen), Some(missing), &mut out);
        let (_, page) = asked(&mut out).unwrap();
        pages.push(page.len());
        chosen = page.end.0;
    }
    assert_eq!(pages[..7], [4, 8, 16, 32, 64, 128, 128]);
    assert_eq!(pages.iter().sum::<u64>(), 1000);
}

#[test]
fn a_page_that_does_not_come_is_asked_of_another_and_shrinks() {
    // Neither 2 nor 3 answers. Nothing moves from tick to tick: 3 is asked next, then 2 again;
    // never for ever the same one.
    let (mut catch_up, mut out) = heard(&[1000, 1000]);
    catch_up.pages.extend([(id(2), 64), (id(3), 64)]);
    catch_up.proceed(Slot(0), Some(slots(0, 256)), &mut out);
    assert_eq!(asked(&mut out), Some((id(2), slots(0, 64))));
    tick(&mut catch_up, 0, 256, &mut out);
    assert_eq!(asked(&mut out), None);
    for (to, page) in [(3, 64), (2, 32), (3, 32), (2, 16), (3, 16)] {
        tick(&mut catch_up, 0, 256, &mut out);
        assert_eq!(asked(&mut out), Some((id(to), slots(0, page))));
    }
}

/// How many ticks it takes to catch up to `end` when replica 2, which is as far ahead as 3, gives
/// nothing: neither a page nor a word, or it goes on telling its mark.
fn ticks_beside_a_silent_peer(end: u64, talks: bool) -> u64 {
    let (mut catch_up, mut out) = heard(&[end, end]);
    let (mut chosen, mut ticks) = (0, 0);
    while chosen < end {
        let missing = |chosen: u64| slots(chosen, (chosen + 256).min(end));
        catch_up.proceed(Slot(chosen), Some(missing(chosen)), &mut out);
        while let Some((to, page)) = asked(&mut out) {
            if to != id(2) {
                chosen = page.end.0;
                let more = (chosen < end).then(|| missing(chosen));
                catch_up.proceed(Slot(chosen), more, &mut out);
            }
        }
        if talks {
            catch_up.note(id(2), Slot(end), true);
        }
        tick(&mut catch_up, chosen, end, &mut out);
        while let Some((to, page)) = asked(&mut out) {
            if to != id(2) {
                chosen = page.end.0;
            }
        }
        ticks += 1;
    }
    ticks
}

#[test]
fn a_peer_that_is_ahead_and_gives_nothing_does_not_hold_up_the_others() {
    // With one page size for all, each question to 2 would make the pages of 3 short again: a dead
    // member would keep a restarted one behind for as long as the leader goes on.
    for talks in [false, true] {
        let ticks = ticks_beside_a_silent_peer(10_000, talks);
        assert!(ticks < 10, "{ticks} ticks for ten thousand slots, which one peer has");
    }
}

#[test]
fn only_who_is_ahead_is_asked_and_only_for_what_it_has() {
    // Replica 2 is as far behind, replica 3 has two of the slots.
    let (mut catch_up, mut out) = heard(&[3, 5]);
    for _ in 0..3 {
        tick(&mut catch_up, 3, 100, &mut out);
    }
    assert_eq!(drain(&mut out).sent.len(), 2);
    tick(&mut catch_up, 3, 100, &mut out);
    assert_eq!(asked(&mut out), Some((id(3), slots(3, 5))));
}

#[test]
fn a_mark_never_falls() {
    // An old message overtaken by a newer one: the higher mark is the fact.
    let (mut catch_up, _) = heard(&[9]);
    catch_up.note(id(2), Slot(4), true);
    assert_eq!((catch_up.mark(id(2)), catch_up.highest()), (Slot(9), Slot(9)));
}

#[test]
fn strangers_take_no_members_place_and_little_memory() {
    // A thousand names speak before replica 2 does: its mark is noted all the same.
    let mut catch_up = CatchUp::default();
    (100..1100).for_each(|name| catch_up.note(id(name), Slot(1), false));
    catch_up.note(id(2), Slot(7), true);
    assert_eq!(catch_up.mark(id(2)), Slot(7));
    assert_eq!(catch_up.all().count(), 1 + STRANGERS_MAX);
}

#[test]
fn a_hole_is_asked_about_until_it_is_filled() {
    // Chosen slots below the mark that the log has lost; nothing else is missing. Pages of it are
    // large, and ask one peer after the other.
    let (mut catch_up, mut out) = heard(&[1000, 1000]);
    for (to, start) in [(2, 10), (3, 10), (2, 100)] {
        catch_up.on_tick(Slot(1000), None, Some(slots(start, 500)), Replicas::default(), &mut out);
        assert_eq!(asked(&mut out), Some((id(to), slots(start, start + PAGE_SLOTS_MAX))));
    }
    catch_up.on_tick(Slot(1000), None, None, Replicas::default(), &mut out);
    assert_eq!(asked(&mut out), None);
}

#[test]
fn holes_and_the_open_end_take_turns() {
    // Both are wanted: neither starves the other, and a question about a hole does not make the
    // open page that is under way be asked for twice.
    let (mut catch_up, mut out) = heard(&[1000]);
    let hole = Some(slots(10, 20));
    catch_up.proceed(Slot(500), Some(slots(500, 756)), &mut out);
    assert_eq!(asked(&mut out), Some((id(2), slots(500, 504))));
    catch_up.on_tick(Slot(500), Some(slots(500, 756)), hole, Replicas::default(), &mut out);
    assert_eq!(asked(&mut out), Some((id(2), slots(10, 20))));
    catch_up.proceed(Slot(500), Some(slots(500, 756)), &mut out);
    assert_eq!(asked(&mut out), None);
    let mut starts = alloc::vec::Vec::new();
    for _ in 0..4 {
        catch_up.on_tick(Slot(500), Some(slots(500, 756)), hole, Replicas::default(), &mut out);
        starts.extend(asked(&mut out).map(|(_, page)| page.start.0));
    }
    assert_eq!(starts, [500, 10, 500, 10]);
}

#[test]
fn if_the_only_one_known_to_be_ahead_does_not_answer_others_are_asked_too() {
    // This replica hears its leader, 2, and is not heard by it. 3, 4 and 5 follow 2 as well, and
    // have told this one nothing.
    let (mut catch_up, mut out) = heard(&[9]);
    let others: Replicas = [2, 3, 4, 5].map(id).into_iter().collect();
    let tick = |catch_up: &mut CatchUp, out: &mut Outbox| {
        catch_up.on_tick(Slot(3), Some(slots(3, 9)), None, others, out);
        asked(out)
    };
    assert_eq!(tick(&mut catch_up, &mut out), None);
    let mut sources: Vec<u32> = Vec::new();
    for _ in 0..12 {
        sources.extend(tick(&mut catch_up, &mut out).map(|(from, _)| from.0));
    }
    assert_eq!(sources.iter().step_by(2).copied().collect::<Vec<_>>(), [2; 6]);
    let mut guessed: Vec<u32> = sources.iter().skip(1).step_by(2).copied().collect();
    guessed.sort_unstable();
    assert_eq!(guessed, [3, 3, 4, 4, 5, 5], "by turns: {sources:?}");
    // One of them gives the page: it is asked for the next one.
    assert_eq!(tick(&mut catch_up, &mut out).map(|(from, _)| from), Some(id(2)));
    let (from, page) = tick(&mut catch_up, &mut out).unwrap();
    assert_eq!(page, slots(3, 7));
    catch_up.note(from, Slot(9), true);
    catch_up.proceed(Slot(7), Some(slots(7, 9)), &mut out);
    assert_eq!(asked(&mut out), Some((from, slots(7, 9))));
}
