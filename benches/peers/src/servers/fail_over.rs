//! For how long nothing is acknowledged when the leader is killed.
//!
//! Four clients write at members that live on, each again at the next one when it hears nothing for
//! a while or hears of an error. The gap is the longest time between two acknowledgements, of any
//! of them, around the kill.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use super::client::Client;
use super::cluster::{Cluster, all, lock};
use super::kind::Kind;
use super::ledger::Ledger;
use super::load::{Keys, Load};

/// How many clients write.
pub(crate) const CLIENTS: u32 = 4;

/// How long clients write before the kill.
const BEFORE: Duration = Duration::from_millis(500);

/// When nothing has become worse for so long, it is over.
const AFTER: Duration = Duration::from_secs(1);

/// By then it must be over.
const AFTER_MAX: Duration = Duration::from_secs(30);

/// How long a client waits for a reply until it asks again.
const REPLY: Duration = Duration::from_millis(100);

/// How long a client rests after an error.
const REST: Duration = Duration::from_millis(2);

/// The times between acknowledgements.
#[derive(Debug)]
struct Gaps {
    last: Instant,
    longest: Duration,
}

/// What the clients of a round share.
struct Shared {
    stopping: AtomicBool,
    gaps: Mutex<Gaps>,
    ledger: Arc<Mutex<Ledger>>,
    names: Arc<[String]>,
}

impl Shared {
    fn acknowledged(&self) {
        let mut gaps = lock(&self.gaps);
        let now = Instant::now();
        gaps.longest = gaps.longest.max(now - gaps.last);
        gaps.last = now;
    }
}

/// Kills the leader once; returns the longest gap, when the member takes part again.
///
/// # Errors
///
/// Nothing was acknowledged any more, or a key has not what was written.
pub(crate) async fn round(cluster: &mut Cluster, seed: u64) -> Result<Duration, String> {
    let (leader, _) = cluster.wait_for_leader().await?;
    let count = cluster.members();
    let others = (1..count).map(|i| cluster.address((leader + i) % count));
    let addresses: Arc<[SocketAddr]> = others.chain([cluster.address(leader)]).collect();
    let shared = Arc::new(Shared {
        stopping: AtomicBool::new(false),
        gaps: Mutex::new(Gaps { last: Instant::now(), longest: Duration::ZERO }),
        ledger: Arc::clone(&cluster.ledger),
        names: Arc::clone(&cluster.names),
    });
    let load = Load { clients: CLIENTS, warm_up: BEFORE, time: AFTER, seed };
    let mut tasks = JoinSet::new();
    for number in 0..CLIENTS {
        let (shared, addresses) = (Arc::clone(&shared), Arc::clone(&addresses));
        let kind = cluster.kind;
        tasks.spawn(async move {
            write(kind, number, load, &addresses, &shared).await;
            Ok(())
        });
    }
    sleep(BEFORE).await;
    lock(&shared.gaps).longest = Duration::ZERO;
    cluster.kill(leader);
    let killed = Instant::now();
    let (mut longest, mut since) = (Duration::ZERO, killed);
    loop {
        sleep(Duration::from_millis(50)).await;
        let (now_longest, silent) = {
            let gaps = lock(&shared.gaps);
            (gaps.longest, gaps.last.elapsed())
        };
        if now_longest > longest || silent > longest {
            (longest, since) = (now_longest, Instant::now());
        } else if since.elapsed() >= AFTER {
            break;
        }
        if killed.elapsed() > AFTER_MAX {
            let seconds = AFTER_MAX.as_secs();
            return Err(format!("{}: {seconds} s after a kill, no end", cluster.kind.name()));
        }
    }
    shared.stopping.store(true, Ordering::Relaxed);
    all(tasks, cluster.kind).await?;
    cluster.restart(leader).await?;
    Ok(longest)
}

/// Writes until it is told to stop, at one address after the other.
async fn write(kind: Kind, number: u32, load: Load, addresses: &[SocketAddr], shared: &Shared) {
    let mut at = number as usize % addresses.len().saturating_sub(1).max(1);
    let mut client: Option<Client> = None;
    let mut value = Vec::new();
    let keys = Keys::new(number, load, u32::try_from(shared.names.len()).unwrap_or(u32::MAX));
    for key in keys {
        if shared.stopping.load(Ordering::Relaxed) {
            break;
        }
        if client.is_none() {
            match timeout(REPLY, Client::connect(kind, addresses[at])).await {
                Ok(Ok(connected)) => client = Some(connected),
                Ok(Err(_)) | Err(_) => {
                    at = (at + 1) % addresses.len();
                    sleep(REST).await;
                    continue;
                }
            }
        }
        let Some(mut connected) = client.take() else { continue };
        lock(&shared.ledger).next(key, &mut value);
        let name = &shared.names[key as usize];
        match timeout(REPLY, connected.set(name, &value)).await {
            Ok(Ok(())) => {
                lock(&shared.ledger).acknowledge(key);
                shared.acknowledged();
                client = Some(connected);
            }
            Ok(Err(_)) | Err(_) => {
                lock(&shared.ledger).give_up(key);
                at = (at + 1) % addresses.len();
                sleep(REST).await;
            }
        }
    }
}
