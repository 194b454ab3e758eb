//! What a replica takes when it idles, what a command takes, and how often memory is asked for.

use std::path::Path;

use crate::allocation::{calls, held_bytes};
use crate::nodes::{Client, Nodes};
use crate::outcome::{Figure, Outcome};
use crate::samples::Sample;
use crate::three::Cluster;

const REPLICAS: u64 = 3;
/// How many commands are in flight where bytes for each are measured.
const HELD: u64 = 1024;

fn figure(case: &str, metric: &str, in_flight: u64, commands: u64, figure: f64) -> Figure {
    let (case, metric) = (case.into(), metric.into());
    Figure { case, metric, replicas: REPLICAS, in_flight, commands, figure }
}

/// The bytes between two looks, for each of so many.
fn each(before: u64, after: u64, count: u64) -> f64 {
    (after as f64 - before as f64) / count as f64
}

/// Three cores in one thread.
pub(crate) fn core() -> Result<Outcome, String> {
    let mut outcome = Outcome::default();
    let mut add = |metric: &str, in_flight, commands, value| {
        outcome.figures.push(figure("core", metric, in_flight, commands, value));
    };
    let empty = held_bytes();
    let mut cluster = Cluster::new();
    let idle = held_bytes();
    add("heap_bytes_per_idle_replica", 0, 0, each(empty, idle, REPLICAS));
    cluster.propose(HELD);
    cluster.drain_leader();
    add("heap_bytes_per_command_in_flight", HELD, HELD, each(idle, held_bytes(), HELD));
    cluster.settle();
    for (window, rounds) in [(1, 10_000), (16, 2000), (256, 200)] {
        for _ in 0..100 {
            cluster.propose(window);
            cluster.settle();
        }
        let before = calls();
        for _ in 0..rounds {
            cluster.propose(window);
            cluster.settle();
        }
        let commands = rounds * window;
        add("allocations_per_command", window, commands, each(before, calls(), commands));
    }
    cluster.pass_time();
    let [first, second, third] = cluster.applied();
    if [second, third] != [first, first] {
        return Err(format!("the replicas have applied {first}, {second} and {third} commands"));
    }
    Ok(outcome)
}

/// Three nodes, with their logs on a disk.
pub(crate) fn node(directory: &Path) -> Result<Outcome, String> {
    let mut outcome = Outcome::default();
    let mut add = |metric: &str, in_flight, commands, value| {
        outcome.figures.push(figure("node", metric, in_flight, commands, value));
    };
    let empty = Sample::take()?;
    let nodes = Nodes::start(directory)?;
    let idle = Sample::take()?;
    add("heap_bytes_per_idle_replica", 0, 0, each(empty.held, idle.held, REPLICAS));
    let resident = [empty, idle].map(|sample| sample.resident.anonymous);
    add("anonymous_bytes_per_idle_replica", 0, 0, each(resident[0], resident[1], REPLICAS));

    let leader = nodes.leader();
    let proposed = nodes.node(leader).status().counters.proposed;
    nodes.gates()[leader].close();
    let mut tickets = Vec::with_capacity(HELD as usize);
    let before = held_bytes();
    tickets.extend((0..HELD).map(|_| nodes.propose(leader)));
    nodes.settle(leader, proposed + HELD);
    add("heap_bytes_per_command_in_flight", HELD, HELD, each(before, held_bytes(), HELD));
    nodes.gates()[leader].open();
    for ticket in tickets {
        ticket.wait().map_err(|error| format!("a command: {error}"))?;
    }

    let (window, commands) = (64, 100_000);
    let mut client = Client::new(&nodes, window);
    client.run(commands / 10)?;
    let before = calls();
    client.run(commands)?;
    add("allocations_per_command", window as u64, commands, each(before, calls(), commands));
    client.finish()?;
    Ok(outcome)
}
