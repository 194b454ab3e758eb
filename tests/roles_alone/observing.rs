//! An observer beside a cluster: it learns everything, in order, however it hears of it.

use synod::slot::ALPHA;

use crate::cluster::{Cluster, Table, commands};

fn observes(cluster: &mut Cluster, table: &mut Table, total: usize) {
    table.run(cluster, "the observer has all", |cluster| {
        cluster.observer.as_ref().is_some_and(|observer| observer.applied.len() >= total)
    });
    assert_eq!(cluster.observer().applied, commands(total));
}

fn announce(cluster: &mut Cluster, whether: bool) {
    (0..2).for_each(|index| cluster.full(index).announces = whether);
}

#[test]
fn an_observer_learns_from_announcements_and_by_asking() {
    let mut table = Table::new(0);
    let mut cluster = Cluster::start(&mut table);
    cluster.propose(&mut table, 0, 20, 20);

    // It comes late, and nobody tells it anything: it asks.
    cluster.start_observer(&table);
    observes(&mut cluster, &mut table, 20);
    assert_eq!(cluster.observer().announced, 0);
    assert!(cluster.observer().caught_up > 0);

    // It is told what is proposed, and what of it is chosen.
    announce(&mut cluster, true);
    cluster.propose(&mut table, 1, 100, 120);
    observes(&mut cluster, &mut table, 120);
    assert!(cluster.observer().announced > 0);

    // It misses more than an announcement names.
    cluster.observer = None;
    let many = 2 * ALPHA as usize;
    cluster.propose(&mut table, 0, many, 120 + many);
    cluster.start_observer(&table);
    cluster.propose(&mut table, 0, 50, 170 + many);
    observes(&mut cluster, &mut table, 170 + many);
}

#[test]
fn an_observer_goes_on_from_its_own_log() {
    let mut table = Table::new(0);
    let mut cluster = Cluster::start(&mut table);
    cluster.start_observer(&table);
    announce(&mut cluster, true);
    cluster.propose(&mut table, 0, 200, 200);
    observes(&mut cluster, &mut table, 200);

    // Alone in the world, it has all that it had learned.
    let mut alone = Cluster { full: [None, None], witness: None, observer: None };
    cluster.observer = None;
    alone.start_observer(&table);
    observes(&mut alone, &mut table, 200);
    assert_eq!((alone.observer().announced, alone.observer().caught_up), (0, 0));
    alone.observer = None;

    // Nobody has waited for it; it catches up again.
    cluster.propose(&mut table, 1, 10, 210);
    cluster.start_observer(&table);
    observes(&mut cluster, &mut table, 210);
}
