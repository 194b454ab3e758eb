//! One replica alone among liars: messages of members, strangers and earlier starts, true and
//! nearly true, marks of the disk and the state machine, commands, time, crashes and rot.
//!
//! Its own invariants are asserted by itself; what it says and does is held against the log that
//! its driver keeps ([`watch`]). Peers may lie, so what is chosen may contradict itself; but it
//! must not panic, run on, or say what its disk does not hold.

mod host;
mod messages;
mod watch;

use synod::message::Message;

use super::choices::Choices;
use super::frames::Name;
use host::Host;
use messages::{KINDS, Speaker, answers};

/// How many steps one input may take.
const STEPS_MAX: usize = 250;
/// How many times in a row a replica may be turned to be brought to lead.
const ROUNDS_MAX: usize = 24;

/// Runs the target.
pub fn run(data: &[u8]) {
    let mut choices = Choices::new(data);
    let mut host = Host::new(&mut choices);
    for _ in 0..STEPS_MAX {
        if choices.is_over() {
            break;
        }
        step(&mut host, &mut choices);
    }
    host.drain();
}

fn step(host: &mut Host, choices: &mut Choices<'_>) {
    match choices.byte() % 25 {
        0 | 1 => host.wake_up(),
        2 => host.wake_early(),
        3 => host.pass(choices.number().min(1 << 40)),
        4 | 5 => host.sync(usize::MAX),
        6 => host.sync(usize::from(choices.byte())),
        7 => host.claim_persisted(choices.number()),
        8 => host.apply(),
        9 => host.claim_applied(choices),
        10 | 11 => host.propose(choices.byte()),
        12 | 13 => answer_one(host, choices),
        14 => answer_all(host, choices.byte()),
        15..=18 => speak(host, choices),
        19 => raw(host, choices),
        20 => host.restart(usize::from(choices.byte())),
        21 => host.rot(choices),
        22 => lead(host),
        23 => match choices.byte() {
            style @ 0..=223 => host.read(style),
            to => host.hand_over(u32::from(to % 8)),
        },
        _ => host.drain(),
    }
}

/// Whom a message comes from.
fn sender(host: &Host, choices: &mut Choices<'_>) -> Name {
    let member = Name::of(2 + u32::from(choices.byte()) % host.view().members.max(2));
    match choices.byte() {
        0..=191 => member,
        192..=207 => Name::of(50 + u32::from(choices.byte() % 16)),
        208..=215 => Name { disk: 77, ..member },
        216..=223 => member.start(0),
        224..=247 => member.start(choices.number() % 8),
        248..=255 => host.view().me,
    }
}

/// A member answers something that the replica said lately, or says something like its answer.
fn answer_one(host: &mut Host, choices: &mut Choices<'_>) {
    let said = host.said();
    if said.is_empty() {
        return;
    }
    let message = said[choices.below(said.len())].clone();
    let from = sender(host, choices);
    for answer in answers(&message, host.view()) {
        host.hear(from, answer);
    }
}

/// Every member of a set answers all that the replica said lately.
fn answer_all(host: &mut Host, set: u8) {
    let said = host.take_said();
    for replica in 2..=host.view().members {
        if set >> (replica % 8) & 1 == 0 {
            for message in &said {
                for answer in answers(message, host.view()) {
                    host.hear(Name::of(replica), answer);
                }
            }
        }
    }
}

fn speak(host: &mut Host, choices: &mut Choices<'_>) {
    let (kind, from) = (choices.byte() % KINDS, sender(host, choices));
    let message: Message = Speaker { choices, view: host.view(), from }.message(kind);
    host.hear(from, message);
}

/// A frame whose header is whatever it is.
fn raw(host: &mut Host, choices: &mut Choices<'_>) {
    let from = sender(host, choices);
    let (header, payload) = (choices.bytes(), choices.bytes());
    host.hear_frame(from, super::frames::sealed(from, header, payload));
}

/// Time passes, the disk works, and honest members answer, until the replica leads.
fn lead(host: &mut Host) {
    for _ in 0..ROUNDS_MAX {
        if host.leads() {
            return;
        }
        host.wake_up();
        host.sync(usize::MAX);
        answer_all(host, 0);
    }
}
