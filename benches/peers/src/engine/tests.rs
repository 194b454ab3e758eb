use super::*;

fn case(peer: Peer, replicas: u64, window: u64) -> Case {
    Case { peer, replicas, window, commands: 3 * window }
}

/// The check is in the cluster's run: a peer that loses, doubles or swaps a command fails here.
#[test]
fn every_peer_applies_every_command_on_every_replica() {
    for &peer in Peer::value_variants() {
        for (replicas, window) in [(3, 1), (3, 256), (5, 16)] {
            let case = case(peer, replicas, window);
            let mut workload = Workload::new(7, 64);
            let mut engine = case.peer.cluster(&case).expect("it leads");
            for _ in 0..3 {
                engine.window(&mut workload, window).expect("it applies");
            }
            let applied = engine.applied();
            assert_eq!(applied.len() as u64, replicas, "{peer:?}");
            assert_eq!(check::in_order(&applied, &mut workload, 3 * window), Ok(()), "{peer:?}");
            let other = check::in_order(&applied, &mut Workload::new(8, 64), 3 * window);
            assert!(other.is_err(), "{peer:?} applied what it was given");
        }
    }
}

#[test]
fn synod_takes_more_than_its_queue_holds() {
    let mut workload = Workload::new(1, 16 << 10);
    let mut cluster = synod::Cluster::new(3).expect("it leads");
    cluster.window(&mut workload, 1024).expect("it applies");
    assert_eq!(check::in_order(&cluster.applied(), &mut workload, 1024), Ok(()));
}

#[test]
fn cases_are_whole_windows_and_the_peers_take_turns() {
    #[derive(clap::Parser)]
    struct Line {
        #[command(flatten)]
        options: Options,
    }
    let line = ["x", "--peers", "raft,floor", "--windows", "1,256", "--total", "1000,10000"];
    let options = <Line as clap::Parser>::parse_from(line).options;
    let found: Vec<_> =
        cases(&options).iter().map(|it| (it.peer.name(), it.window, it.commands)).collect();
    let of = |window, commands| ["raft", "floor"].map(|peer| (peer.to_owned(), window, commands));
    let wanted = [of(1, 1000), of(1, 10_000), of(256, 1024), of(256, 10_240)].concat();
    assert_eq!(found, wanted);
}
