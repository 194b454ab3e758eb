//! How long synod has no leader after one is gone, with a long suffix left behind and without.
//!
//! The suffix: the links to the leader are cut, those from it are not. So the followers accept and
//! sync what it proposes, and nothing of that is chosen, or applied anywhere, for the leader hears
//! no answer. Once all followers have it the leader is cut off at once, as if it were dead, and a
//! command is proposed at a follower. The gap is the time until that follower has applied it: an
//! election, the suffix found chosen by the Promises, since a majority holds it, and applied, and a
//! round for the command. It must have applied the whole suffix then, or the run fails. Commands of
//! the suffix are 400 kB each.
//!
//! Settings, with the suffix and without: 256 slots and 256 MiB in flight, batches of 400 kB, so
//! that a leader may leave 100 MB behind; replica 1, which leads and is cut off, has an election
//! timeout of 20 s, so that it does not give up while it hears nothing. All else are defaults, the
//! election timeout of those that take over, 120 ms, among them.

use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, bail, ensure};
use synod::membership::ReplicaId;
use synod::slot::ALPHA;
use synod::wal::FileAccess;

use super::synod::{Nodes, Settings, ids};
use super::table::{Cell, Table};
use super::{ACCESSES, Options, place};
use crate::workload::Workload;

/// How long a command of the suffix is.
const SUFFIX_COMMAND_BYTES: usize = 400_000;

/// How many of them are proposed before the followers have the ones before.
const STEP_COMMANDS: usize = 2;

/// How long anything but the gap may take.
const PATIENCE: Duration = Duration::from_secs(30);

pub(crate) fn measure(options: &Options, table: &mut Table) -> Result<()> {
    for round in 1..=options.runs {
        for &replicas in &options.replicas {
            ensure!(replicas >= 3, "nobody takes over in a cluster of {replicas}");
            for (access, name) in ACCESSES {
                for megabytes in [0, options.suffix_megabytes] {
                    let gap = gap(options, replicas, access, megabytes)?;
                    let peer = format!("{name}-suffix-{megabytes}-megabytes");
                    let cell = Cell { peer: &peer, replicas, in_flight: 1, value_bytes: 64 };
                    table.add(cell, "gap_millis", 1, gap.as_secs_f64() * 1000.0);
                }
            }
        }
        eprintln!("round {round} of {}", options.runs);
    }
    Ok(())
}

fn gap(
    options: &Options,
    replicas: usize,
    access: FileAccess,
    megabytes: usize,
) -> Result<Duration> {
    let place = place::for_run(&options.directory)?;
    let mut settings = Settings::new(access, 1, 64);
    settings.batch_bytes = SUFFIX_COMMAND_BYTES;
    settings.pipeline_slots = ALPHA;
    settings.pipeline_bytes = 256 << 20;
    settings.queue_bytes = 256 << 20;
    settings.unsynced_bytes = 256 << 20;
    settings.first_election_timeout = Duration::from_secs(20);
    let nodes = Nodes::start(place.path(), replicas, settings)?;
    nodes.let_first_lead()?;
    let leader = 0;
    nodes.handles[leader].propose(&[1; 64]).wait()?;
    leave_suffix(&nodes, leader, replicas, megabytes * 1_000_000 / SUFFIX_COMMAND_BYTES)?;
    let me = ReplicaId(leader as u32 + 1);
    let survivor = &nodes.handles[(leader + 1) % replicas];
    let begin = Instant::now();
    nodes.network.isolate(me, ids(replicas));
    let gap = loop {
        // Superseded, or no leader in time: a program would ask again.
        if survivor.propose(&[2; 64]).wait().is_ok() {
            break begin.elapsed();
        }
        if begin.elapsed() > PATIENCE {
            let stalled =
                nodes.handles.iter().map(|node| node.why_stalled().map(|it| it.to_string()));
            bail!("nobody takes over: {:?}", stalled.collect::<Vec<_>>());
        }
    };
    let applied = survivor.read(synod::Consistency::Local, |seen| seen.0.count).wait()?;
    let suffix = (megabytes * 1_000_000 / SUFFIX_COMMAND_BYTES) as u64;
    ensure!(applied == suffix + 2, "{applied} commands were applied, not {}", suffix + 2);
    // All end in some order. The old leader would wait for the others, as long as it believes that
    // it leads: it is told that it does not.
    nodes.network.heal();
    drop(nodes);
    Ok(gap)
}

/// Lets every follower, and nobody else, have `commands` commands of which it does not know that
/// they are chosen.
fn leave_suffix(nodes: &Nodes, leader: usize, replicas: usize, commands: usize) -> Result<()> {
    let me = ReplicaId(leader as u32 + 1);
    for other in ids(replicas).into_iter().filter(|other| *other != me) {
        nodes.network.cut(other, me);
    }
    let before = records(nodes);
    let mut workload = Workload::new(super::SEED, SUFFIX_COMMAND_BYTES);
    let mut tickets = Vec::new();
    let deadline = Instant::now() + PATIENCE;
    while tickets.len() < commands {
        // In small steps: heartbeats wait behind a burst, and a follower would try to lead.
        for _ in 0..STEP_COMMANDS.min(commands - tickets.len()) {
            tickets.push(nodes.handles[leader].propose(workload.next().1));
        }
        let behind = |nodes: &Nodes| {
            let places = records(nodes).into_iter().zip(&before).enumerate();
            places
                .filter(|(place, _)| *place != leader)
                .any(|(_, (records, before))| records < before + tickets.len() as u64)
        };
        while behind(nodes) {
            ensure!(Instant::now() < deadline, "the followers do not get the suffix");
            thread::sleep(Duration::from_millis(1));
        }
    }
    ensure!(tickets.iter().all(|ticket| !ticket.is_done()), "some of the suffix is chosen");
    Ok(())
}

fn records(nodes: &Nodes) -> Vec<u64> {
    nodes.handles.iter().map(|node| node.status().log.records).collect()
}
