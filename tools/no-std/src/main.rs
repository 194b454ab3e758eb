//! A program without std that drives the core of synod: three replicas in one thread.
//!
//! A host build of the library proves nothing about its dependencies: if one of them pulled std in,
//! this program would have two panic handlers, and would not compile. Run it: it exits with 0 if a
//! command was chosen on all three replicas, or with the number of the step that failed.

#![no_std]
#![no_main]

extern crate alloc;

mod host;

use alloc::vec::Vec;
use core::time::Duration;

use synod::config::Config;
use synod::membership::{ClusterId, DiskId, Peer, ReplicaId};
use synod::output::Output;
use synod::record::{Lsn, Recovered};
use synod::replica::Replica;
use synod::time::Instant;

const COMMAND: &[u8] = b"no std here";

/// A replica, who it is, its last record, and how often it saw the command chosen.
struct Seat {
    replica: Replica,
    me: Peer,
    last: Lsn,
    seen: usize,
}

/// Runs three replicas until each has delivered the command once. Zero, or the step that failed.
fn run() -> i32 {
    let Ok(cluster) = ClusterId::named("no-std") else { return 2 };
    let ids = [ReplicaId(1), ReplicaId(2), ReplicaId(3)];
    let mut seats = Vec::new();
    for id in ids {
        let recovered = Recovered::nothing(cluster, id, DiskId([id.0 as u8; 16]));
        let me = recovered.me;
        let mut config = Config::new(ids);
        config.seed = u64::from(id.0);
        let Ok(replica) = Replica::new(config, recovered, Instant::ZERO) else { return 3 };
        seats.push(Seat { replica, me, last: Lsn::ZERO, seen: 0 });
    }
    let mut proposed = false;
    for tick in 0..2_000 {
        let now = Instant::ZERO.after(Duration::from_millis(tick));
        if let Err(step) = turn(&mut seats, cluster, now) {
            return step;
        }
        if !proposed {
            proposed = seats.iter_mut().any(|seat| seat.replica.propose(now, COMMAND).is_ok());
        }
        if seats.iter().all(|seat| seat.seen == 1) {
            return 0;
        }
    }
    4
}

/// Lets every replica think, and carries its frames to the others.
fn turn(seats: &mut [Seat], cluster: ClusterId, now: Instant) -> Result<(), i32> {
    let mut frames: Vec<(ReplicaId, Vec<u8>)> = Vec::new();
    for seat in seats.iter_mut() {
        seat.replica.handle_timeout(now);
        drain(seat, cluster, now, &mut frames);
    }
    for (to, frame) in frames {
        let Some(seat) = seats.iter_mut().find(|seat| seat.me.replica() == to) else {
            return Err(5);
        };
        match synod::wire::decode(cluster, frame.into()) {
            Ok((from, synod::wire::Body::Message(message))) => {
                seat.replica.handle_message(now, from, message);
            }
            _ => return Err(6),
        }
    }
    Ok(())
}

/// Drain before you wait: does what the replica asks for, the disk being memory.
fn drain(
    seat: &mut Seat,
    cluster: ClusterId,
    now: Instant,
    frames: &mut Vec<(ReplicaId, Vec<u8>)>,
) {
    loop {
        match seat.replica.poll_output() {
            Output::Persist { lsn, .. } => seat.last = lsn,
            Output::Send { to, message } => {
                let mut frame = Vec::new();
                synod::wire::encode(cluster, seat.me, &message, &mut frame);
                frames.extend(to.iter().map(|id| (id, frame.clone())));
            }
            Output::Chosen { slot, entry } => {
                if let synod::entry::Entry::Batch(batch) = &entry {
                    seat.seen += batch.commands().filter(|command| *command == COMMAND).count();
                }
                seat.replica.handle_applied(now, slot.next());
            }
            Output::Wait { .. } => {
                if seat.replica.status().durable == seat.last {
                    return;
                }
                seat.replica.handle_persisted(now, seat.last);
            }
            _ => {}
        }
    }
}
