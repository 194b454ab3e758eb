//! Forwards, the order of commands, and reads: each claim fires.

use super::*;
use crate::message::Forward;

/// Replica 2 forwards commands to replica 1, which leads at 1.1.
fn forward(at: Ballot, ids: &[CommandId], limit: Slot) -> Message {
    let Entry::Batch(batch) = batch(ids, b"f") else { panic!("a batch of something") };
    Forward { ballot: at, after: 0, limit, batch, chosen: S0 }.into()
}

fn led_with(commands: &[CommandId]) -> History {
    let mut history = History::led();
    for id in commands {
        history.oracle.on_submit(*id, b"f").unwrap();
    }
    history
}

#[test]
fn fwd_of_others_commands_or_of_none_or_to_two_ballots() {
    let (mine, low) = (id(2, 0), ballot(1, 1));
    breaks("FWD", led_with(&[]).send(2, forward(low, &[mine], S1)));
    breaks("FWD", led_with(&[id(3, 0)]).send(2, forward(low, &[id(3, 0)], S1)));
    let mut history = led_with(&[mine]);
    history.send(2, forward(low, &[mine], S1)).unwrap();
    history.send(2, forward(low, &[mine], Slot(9))).unwrap();
    breaks("FWD", history.send(2, forward(ballot(2, 3), &[mine], S1)));
}

#[test]
fn fwd_is_proposed_unasked_or_at_its_limit_or_twice() {
    let (mine, leads) = (id(2, 0), ballot(1, 1));
    let entry = || batch(&[mine], b"f");
    breaks("FWD", led_with(&[mine]).accept(1, leads, S0, entry()));
    let forwarded = |limit| {
        let mut history = led_with(&[mine]);
        history.send(2, forward(leads, &[mine], limit)).unwrap();
        history
    };
    forwarded(S1).accept(1, leads, S0, entry()).unwrap();
    breaks("FWD", forwarded(S1).accept(1, leads, S1, entry()));
    let mut history = forwarded(Slot(9));
    history.accept(1, leads, S0, entry()).unwrap();
    history.accept(1, leads, S0, entry()).unwrap();
    breaks("FWD", history.accept(1, leads, S1, entry()));
}

#[test]
fn order_of_a_later_command_before_an_earlier_one() {
    let mut oracle = History::led().oracle;
    oracle.order_of_taking_in(S0, &batch(&[id(1, 0), id(2, 3)], b"x")).unwrap();
    oracle.order_of_taking_in(S1, &batch(&[id(1, 1), id(2, 7)], b"x")).unwrap();
    breaks("ORDER", oracle.order_of_taking_in(Slot(2), &batch(&[id(2, 5)], b"x")));
}

#[test]
fn reads_that_miss_what_was_seen_or_were_not_asked() {
    let (reader, other) = (peer(2, 1), peer(1, 1));
    let mut oracle = History::led().oracle;
    oracle.on_read_asked(reader, 0).unwrap();
    breaks("READ", oracle.on_read_asked(reader, 0));
    breaks("READ", oracle.on_reads_ready(reader, 1..2, S0, S0));
    breaks("READ", oracle.on_reads_ready(reader, 0..1, S1, S0));
    oracle.on_reads_ready(reader, 0..1, S0, S0).unwrap();
    // Somebody else's command is answered by its own replica only.
    oracle.note_answers(other, S0, &batch(&[id(3, 0)], b"x"));
    oracle.on_read_asked(reader, 1).unwrap();
    oracle.on_reads_ready(reader, 1..2, S0, S0).unwrap();
    oracle.on_read_asked(reader, 2).unwrap();
    oracle.note_answers(other, S0, &batch(&[id(1, 0)], b"x"));
    oracle.on_reads_ready(reader, 2..3, S0, S0).unwrap();
    oracle.on_read_asked(reader, 3).unwrap();
    breaks("LIN", oracle.on_reads_ready(reader, 3..4, S0, S0));
    // What one read has seen the next must see, wherever it is asked.
    oracle.on_read_asked(reader, 4).unwrap();
    oracle.on_reads_ready(reader, 4..5, S1, Slot(7)).unwrap();
    oracle.on_read_asked(other, 0).unwrap();
    breaks("LIN", oracle.on_reads_ready(other, 0..1, S1, Slot(6)));
}

#[test]
fn reads_without_an_end() {
    let reader = peer(2, 1);
    let mut oracle = History::led().oracle;
    oracle.on_read_asked(reader, 0).unwrap();
    oracle.reads_done_at_rest(peer(2, 2)).unwrap();
    breaks("READ", oracle.reads_done_at_rest(reader));
    oracle.on_reads_refused(reader, 0..1).unwrap();
    oracle.reads_done_at_rest(reader).unwrap();
    breaks("READ", oracle.on_reads_refused(reader, 0..1));
}
