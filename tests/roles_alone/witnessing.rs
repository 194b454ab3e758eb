//! A cluster of two replicas and a witness: what it survives, and what the witness never does.

use synod::ballot::Ballot;
use synod::entry::Entry;
use synod::membership::{Peer, ReplicaId};
use synod::message::{Accept, Accepted, Announcement, Message, Nack, Prepare};
use synod::slot::{ALPHA, Run, Slot, Slots};

use crate::cluster::{Cluster, FULL, Host, Table, WITNESS, open};
use crate::witness::Witness;

#[test]
fn a_witness_chooses_with_one_replica_while_the_other_is_down() {
    let mut table = Table::new(0);
    let mut cluster = Cluster::start(&mut table);
    cluster.propose(&mut table, 0, 5, 5);
    let up = cluster.fail_over(&mut table);
    // More slots than an acceptor has open: its mark must move.
    let many = 2 * ALPHA as usize;
    cluster.propose(&mut table, up, many, 5 + many);
    assert!(cluster.witness().chosen() > Slot(ALPHA), "{}", cluster.witness().chosen());
    // What it has accepted, and hears announced, it need not ask for.
    assert_eq!(cluster.witness().caught_up, 0);
    // Killed and opened again it goes on, and so does the other replica.
    cluster.start_witness(&table);
    cluster.propose(&mut table, up, 5, 10 + many);
    cluster.start_full(&table, 1 - up);
    cluster.propose(&mut table, up, 5, 15 + many);
}

#[test]
fn what_was_chosen_through_a_witness_outlives_the_replica_that_led() {
    let mut table = Table::new(0);
    let mut cluster = Cluster::start(&mut table);
    cluster.propose(&mut table, 0, 5, 5);
    let second = cluster.fail_over(&mut table);
    let first = 1 - second;
    cluster.propose(&mut table, second, 20, 25);
    // Now the witness alone has the last 20, on its disk.
    cluster.full[second] = None;
    cluster.witness = None;
    cluster.start_witness(&table);
    cluster.start_full(&table, first);
    cluster.propose(&mut table, first, 5, 30);
}

#[test]
fn a_witness_that_was_away_catches_up() {
    let mut table = Table::new(0);
    let mut cluster = Cluster::start(&mut table);
    cluster.propose(&mut table, 0, 5, 5);
    cluster.witness = None;
    let many = 2 * ALPHA as usize;
    cluster.propose(&mut table, 0, many, 5 + many);
    cluster.start_witness(&table);
    table.run(&mut cluster, "the witness has all", |cluster| {
        cluster.witness.as_ref().is_some_and(|witness| witness.chosen() >= Slot(5 + many as u64))
    });
    // All below its mark lies in its own log, and it can vote again.
    cluster.witness = None;
    let (wal, recovered) = open(table.directory(WITNESS), WITNESS);
    assert_eq!(recovered.holes, vec![]);
    let has = |slot| wal.locate(slot).is_some_and(|located| located.read().is_ok());
    assert!(Slots::new(Slot::ZERO, recovered.chosen).iter().all(has));
    assert!(recovered.chosen > Slot(ALPHA), "{}", recovered.chosen);
    drop(wal);
    cluster.start_witness(&table);
    let up = cluster.fail_over(&mut table);
    cluster.propose(&mut table, up, 5, 10 + many);
}

#[test]
fn whatever_frames_are_lost_all_agree() {
    for seed in 1..=4 {
        let mut table = Table::new(seed);
        let mut cluster = Cluster::start(&mut table);
        cluster.start_observer(&table);
        table.loss_permille = 75 * seed as u32;
        for round in 1..=9 {
            let at = round % 2;
            (0..2).for_each(|index| cluster.full(index).announces = true);
            cluster.propose(&mut table, at, 20, 20 * round);
            match round % 3 {
                0 => cluster.start_witness(&table),
                1 => cluster.start_full(&table, at),
                _ => cluster.start_full(&table, 1 - at),
            }
        }
        table.run(&mut cluster, "the observer has all", |cluster| {
            cluster.observer.as_ref().is_some_and(|observer| observer.applied.len() >= 180)
        });
        let applied = cluster.observer().applied.clone();
        table.run(&mut cluster, "the replicas have all", |cluster| {
            cluster.full.iter().flatten().all(|host| host.applied.len() >= 180)
        });
        assert!((0..2).all(|index| cluster.full(index).applied == applied), "seed {seed}");
    }
}

fn ballot(round: u64, replica: ReplicaId) -> Ballot {
    Ballot { round, replica }
}

/// What the witness says to one message, before its disk has synced and after it.
fn answers(
    witness: &mut Witness,
    table: &Table,
    from: Peer,
    message: impl Into<Message>,
) -> (Vec<Message>, Vec<Message>) {
    let said = |witness: &mut Witness| {
        witness.drain(table.now).into_iter().map(|(_, message)| message).collect()
    };
    witness.handle_message(table.now, from, message.into());
    let before = said(witness);
    witness.sync(table.now);
    (before, said(witness))
}

#[test]
fn a_witness_answers_what_is_on_its_disk_and_keeps_it() {
    let mut table = Table::new(0);
    let mut cluster = Cluster::start(&mut table);
    let one = cluster.full(0).me();
    let open = cluster.witness().acceptor.end();
    let (high, low) = (ballot(100, FULL[0]), ballot(99, FULL[0]));
    let prepare = Prepare { ballot: high, first: open };

    // Killed before the sync: it has said nothing, and need remember nothing.
    let before = cluster.witness().acceptor.promised();
    cluster.witness().handle_message(table.now, one, prepare.clone().into());
    assert_eq!(cluster.witness().drain(table.now), vec![]);
    assert_eq!(cluster.witness().acceptor.promised(), high);
    cluster.start_witness(&table);
    assert_eq!(cluster.witness().acceptor.promised(), before);

    // Killed after it: the promise is kept.
    let (early, late) = answers(cluster.witness(), &table, one, prepare);
    assert_eq!(early, vec![]);
    assert!(matches!(&late[..], [Message::Promise(promise)] if promise.ballot == high));
    cluster.start_witness(&table);
    assert_eq!(cluster.witness().acceptor.promised(), high);
    let prepare = Prepare { ballot: low, first: open };
    let (refused, late) = answers(cluster.witness(), &table, one, prepare);
    assert!(matches!(&refused[..], [Message::Nack(Nack { promised, .. })] if *promised == high));
    assert_eq!(late, vec![]);

    // And so is what it accepts.
    let announcement = Announcement::default();
    let accept = Accept { ballot: high, slot: open, entry: Entry::Noop, announcement };
    let (early, late) = answers(cluster.witness(), &table, one, accept);
    assert_eq!(early, vec![]);
    assert!(matches!(&late[..], [Message::Accepted(Accepted { ballot, .. })] if *ballot == high));
    cluster.start_witness(&table);
    let held = cluster.witness().acceptor.held(open).expect("it has accepted there");
    assert_eq!((held.ballot, &held.entry), (high, &Entry::Noop));
    let two = cluster.full(1).me();
    let prepare = Prepare { ballot: ballot(101, FULL[1]), first: open };
    let (_, late) = answers(cluster.witness(), &table, two, prepare);
    let [Message::Promise(promise)] = &late[..] else { panic!("{late:?}") };
    assert_eq!(promise.accepted, vec![Run { slots: Slots::one(open), ballot: high }]);
}

#[test]
fn a_witness_hears_nobody_who_may_not_speak() {
    let mut table = Table::new(0);
    let elsewhere = tempfile::tempdir().expect("a temporary directory");
    let mut fresh = Witness::start(elsewhere.path(), WITNESS, table.now);
    let mut cluster = Cluster::start(&mut table);
    let (one, two) = (cluster.full(0).me(), cluster.full(1).me());
    let prepare = |replica: ReplicaId| Prepare { ballot: ballot(100, replica), first: Slot::ZERO };
    // Not formed: it belongs to no cluster yet.
    assert_eq!(answers(&mut fresh, &table, one, prepare(FULL[0])), (vec![], vec![]));

    let promised = cluster.witness().acceptor.promised();
    // A ballot of somebody else's.
    assert_eq!(answers(cluster.witness(), &table, two, prepare(FULL[0])), (vec![], vec![]));
    // A member's name on another disk: it is told the list, and stops.
    let wiped = tempfile::tempdir().expect("a temporary directory");
    let (_, recovered) = open(wiped.path(), FULL[0]);
    let (told, _) = answers(cluster.witness(), &table, recovered.me, prepare(FULL[0]));
    assert!(matches!(&told[..], [Message::Forming(told)] if told.formed), "{told:?}");
    // An earlier start of a member that has had another.
    cluster.start_full(&table, 0);
    let later = cluster.full(0).me();
    assert!(later.incarnation() > one.incarnation());
    let _ = answers(cluster.witness(), &table, later, prepare(FULL[1]));
    let (told, _) = answers(cluster.witness(), &table, one, prepare(FULL[0]));
    assert!(matches!(&told[..], [Message::Refused(_)]), "{told:?}");
    assert_eq!(cluster.witness().acceptor.promised(), promised);
}
