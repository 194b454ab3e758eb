//! Where the time of one command goes: one in flight, three replicas, each step of its way noted.
//!
//! The way is that of the follower whose Accepted came first, and ends where the proposing thread
//! wakes; where the leader must wait for a second replica after that (its own sync, or the other
//! follower), that is a stage of its own. So the stages of a command add up to its latency. A run
//! gives the mean of each over the middle half of its commands, by latency: they add up, too, and
//! a stall of the disk is not in them. What noting costs shows beside `synod` with 1 in flight in
//! the suite `commands`; a frame is decoded once more at either end.
//!
//! Settings: as `synod`, but segments of 64 MiB, so that none is made meanwhile.

mod instruments;

use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use synod::config::Config;
use synod::membership::{ClusterId, ReplicaId};
use synod::wal::{Directory, FileAccess, Wal, WalOptions};
use synod::{Consistency, Handle, Node};

use self::instruments::{Event, Mark, NotedMachine, NotedMedium, NotedTransport, Recorder};
use super::drive::Length;
use super::synod::ids;
use super::table::{Cell, Table};
use super::{Options, Setup, place};
use crate::check::Applied;

/// As many as have a majority with one follower.
const REPLICAS: usize = 3;

/// How many commands go by before the first that counts.
const WARM_COMMANDS: u64 = 200;

/// How long a leader may take to appear.
const PATIENCE: Duration = Duration::from_secs(30);

/// What the stages of a command are called in results, in order.
pub(crate) const STAGES: [&str; 9] = [
    "stage_propose_micros",
    "stage_there_micros",
    "stage_append_micros",
    "stage_sync_micros",
    "stage_answer_micros",
    "stage_back_micros",
    "stage_second_micros",
    "stage_apply_micros",
    "stage_wake_micros",
];

/// How long each stage of a command took, in nanoseconds.
type Way = [u64; STAGES.len()];

pub(crate) fn measure(options: &Options, table: &mut Table) -> Result<()> {
    for round in 1..=options.runs {
        for &value_bytes in &options.value_bytes {
            let place = place::for_run(&options.directory)?;
            let directory = place.path();
            let setup = Setup { directory, replicas: REPLICAS, in_flight: 1, value_bytes };
            let mut ways = run(&setup, options.length())?;
            let cell = Cell { peer: "synod", replicas: REPLICAS, in_flight: 1, value_bytes };
            let count = ways.len() as u64;
            for (stage, micros) in STAGES.iter().zip(middle(&mut ways)?) {
                table.add(cell, stage, count, micros);
            }
            let whole = ways[ways.len() / 2].iter().sum::<u64>() as f64 / 1000.0;
            table.add(cell, "stages_p50_micros", count, whole);
        }
        eprintln!("round {round} of {}", options.runs);
    }
    Ok(())
}

/// The mean of each stage over the middle half, in microseconds; sorts the ways by their lengths.
fn middle(ways: &mut [Way]) -> Result<[f64; STAGES.len()]> {
    ways.sort_by_key(|way| way.iter().sum::<u64>());
    let half = &ways[ways.len() / 4..(3 * ways.len()).div_ceil(4)];
    ensure!(!half.is_empty(), "no command went its way from end to end");
    let mean = |stage: usize| {
        half.iter().map(|way| way[stage]).sum::<u64>() as f64 / half.len() as f64 / 1000.0
    };
    Ok(std::array::from_fn(mean))
}

/// One after another, for as long as a run takes.
fn run(setup: &Setup<'_>, length: Length) -> Result<Vec<Way>> {
    let recorder = Recorder::new();
    let nodes = start(setup, &recorder)?;
    let leader = leader(&nodes)?;
    let me = ReplicaId(leader as u32 + 1);
    let mut workload = setup.workload();
    let mut ways = Vec::new();
    for _ in 0..WARM_COMMANDS {
        nodes[leader].propose(workload.next().1).wait()?;
    }
    let (begin, mut seen) = (Instant::now(), 0);
    while length.goes_on(begin, seen) {
        recorder.take();
        recorder.note(me, Mark::Proposed);
        nodes[leader].propose(workload.next().1).wait()?;
        recorder.note(me, Mark::Woken);
        seen += 1;
        ways.extend(way(&recorder.take(), me));
    }
    let unclear = seen - ways.len() as u64;
    ensure!(unclear * 10 <= seen, "the ways of {unclear} of {seen} commands are not clear");
    super::check(setup, &stop(&nodes)?, WARM_COMMANDS + seen)?;
    Ok(ways)
}

/// The stages of the one command that these events are of; `None` if some are missing, as where
/// another replica leads by now.
fn way(events: &[Event], leader: ReplicaId) -> Option<Way> {
    // The way to the answer at this place. A late answer to the command before has none.
    let answered = |at: usize| match events[at].mark {
        Mark::AcceptedReceived(follower) if events[at].replica == leader => {
            upto(&events[..=at], leader, follower)
        }
        _ => None,
    };
    let synced = |at: usize| events[at].mark == Mark::SyncEnded && events[at].replica == leader;
    let places = 0..events.len();
    let (at, upto_answer) = places.clone().find_map(|at| Some((at, answered(at)?)))?;
    let second = if (0..at).any(synced) {
        at
    } else {
        places.skip(at + 1).find(|at| synced(*at) || answered(*at).is_some())?
    };
    let after = |mark| {
        let mut these = events[at..].iter().filter(|it| it.replica == leader && it.mark == mark);
        these.next().map(|it| it.nanos)
    };
    let (applied, woken) = (after(Mark::Applied)?, after(Mark::Woken)?);
    let times = [events[second].nanos, applied, woken];
    let mut way = [0; STAGES.len()];
    way[..6].copy_from_slice(&upto_answer);
    let mut from = events[at].nanos;
    for (stage, time) in way[6..].iter_mut().zip(times) {
        *stage = time.checked_sub(from)?;
        from = time;
    }
    Some(way)
}

/// From the proposal over this follower to its answer, which is the last of these events.
fn upto(events: &[Event], leader: ReplicaId, follower: ReplicaId) -> Option<[u64; 6]> {
    let marks = [
        (leader, Mark::Proposed),
        (leader, Mark::AcceptSent(follower)),
        (follower, Mark::AcceptReceived),
        (follower, Mark::SyncBegun),
        (follower, Mark::SyncEnded),
        (follower, Mark::AcceptedSent),
        (leader, Mark::AcceptedReceived(follower)),
    ];
    let mut times = [0; 7];
    let mut from = 0;
    for (time, (replica, mark)) in times.iter_mut().zip(marks) {
        let rest = &events[from..];
        let at = rest.iter().position(|it| it.replica == replica && it.mark == mark)?;
        *time = rest[at].nanos;
        from += at + 1;
    }
    Some(std::array::from_fn(|stage| times[stage + 1] - times[stage]))
}

fn start(setup: &Setup<'_>, recorder: &Recorder) -> Result<Vec<Handle<NotedMachine>>> {
    let cluster = ClusterId::named("peers")?;
    let transports = NotedTransport::all(setup.replicas as u32, cluster, recorder);
    let members = ids(setup.replicas);
    let nodes = members.iter().zip(transports).map(|(&me, transport)| {
        let directory = place::of_replica(setup.directory, me.0.into());
        let inner = Directory::open(directory, Some(FileAccess::Mapped))?;
        let medium = NotedMedium { inner, me, recorder: recorder.clone() };
        let options = WalOptions { segment_bytes: 64 << 20, ..WalOptions::default() };
        let log = Wal::open(Box::new(medium), cluster, me, options)?;
        let defaults = Config::new(members.iter().copied());
        let config = Config { seed: me.0.into(), ..defaults };
        let machine = NotedMachine { seen: Applied::default(), me, recorder: recorder.clone() };
        Ok(Node::start(config, log, transport, machine)?)
    });
    nodes.collect()
}

fn leader(nodes: &[Handle<NotedMachine>]) -> Result<usize> {
    let deadline = Instant::now() + PATIENCE;
    while Instant::now() < deadline {
        if let Some(leader) = nodes.iter().position(|node| node.status().leads()) {
            return Ok(leader);
        }
        thread::sleep(Duration::from_millis(2));
    }
    bail!("no replica of synod leads after {PATIENCE:?}")
}

/// What each replica saw, once it has seen everything; then they stop.
fn stop(nodes: &[Handle<NotedMachine>]) -> Result<Vec<Applied>> {
    let seen = nodes
        .iter()
        .map(|node| Ok(node.read(Consistency::Linearizable, |machine| machine.seen).wait()?));
    let seen = seen.collect::<Result<Vec<_>>>()?;
    nodes.iter().try_for_each(|node| node.stop().context("a replica of synod had failed"))?;
    Ok(seen)
}

#[cfg(test)]
mod tests;
