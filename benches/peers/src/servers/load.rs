//! Clients that each have one write under way, over a connection of their own to the leader.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use rustix::time::{ClockId, clock_gettime};
use tokio::task::JoinSet;
use tokio::time::sleep;

use super::client::Client;
use super::cluster::{Cluster, all, lock};

/// The longest latency that is told apart, in microseconds: a minute.
const LATENCY_MICROS_MAX: u64 = 60_000_000;

/// What is asked of a run.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Load {
    pub(crate) clients: u32,
    /// How long clients write before anything counts.
    pub(crate) warm_up: Duration,
    /// How long they are measured.
    pub(crate) time: Duration,
    /// Which keys are drawn.
    pub(crate) seed: u64,
}

/// What a run showed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Figures {
    pub(crate) requests: u64,
    pub(crate) per_second: f64,
    pub(crate) p50_micros: f64,
    pub(crate) p99_micros: f64,
    /// The longest that a client waited.
    pub(crate) longest_millis: f64,
    /// What this program used of a processor for each request.
    pub(crate) client_cpu_micros: f64,
    /// What all members together used.
    pub(crate) server_cpu_micros: f64,
}

/// What the clients of a run share.
struct Shared {
    measuring: AtomicBool,
    stopping: AtomicBool,
    latencies: Mutex<Histogram<u64>>,
}

/// What this program has used of the processors so far.
fn own_cpu() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    Duration::new(time.tv_sec.unsigned_abs(), u32::try_from(time.tv_nsec).unwrap_or_default())
}

/// Runs the load against the leader, then reads some keys back at another member.
///
/// # Errors
///
/// A request failed, or a key has not what was written.
pub(crate) async fn run(cluster: &mut Cluster, load: Load) -> Result<Figures, String> {
    let (leader, _) = cluster.wait_for_leader().await?;
    let histogram = Histogram::new_with_max(LATENCY_MICROS_MAX, 3).map_err(|e| e.to_string())?;
    let shared = Arc::new(Shared {
        measuring: AtomicBool::new(false),
        stopping: AtomicBool::new(false),
        latencies: Mutex::new(histogram),
    });
    let mut clients = Vec::new();
    for _ in 0..load.clients {
        clients.push(Client::connect(cluster.kind, cluster.address(leader)).await?);
    }
    let mut tasks = JoinSet::new();
    for (number, client) in (0..).zip(clients) {
        let (ledger, names) = (Arc::clone(&cluster.ledger), Arc::clone(&cluster.names));
        let shared = Arc::clone(&shared);
        tasks.spawn(async move {
            let mut client = client;
            let keys = Keys::new(number, load, u32::try_from(names.len()).unwrap_or(u32::MAX));
            let mut value = Vec::new();
            for key in keys {
                if shared.stopping.load(Ordering::Relaxed) {
                    break;
                }
                lock(&ledger).next(key, &mut value);
                let began = Instant::now();
                client.set(&names[key as usize], &value).await?;
                if shared.measuring.load(Ordering::Relaxed) {
                    let micros = u64::try_from(began.elapsed().as_micros()).unwrap_or(u64::MAX);
                    lock(&shared.latencies).saturating_record(micros);
                }
                lock(&ledger).acknowledge(key);
            }
            client.close().await;
            Ok(())
        });
    }
    let kind = cluster.kind;
    let writing = async {
        sleep(load.warm_up).await;
        let before = (Instant::now(), own_cpu(), cluster.cpu());
        shared.measuring.store(true, Ordering::Relaxed);
        sleep(load.time).await;
        shared.measuring.store(false, Ordering::Relaxed);
        let after = (before.0.elapsed(), own_cpu() - before.1, cluster.cpu() - before.2);
        shared.stopping.store(true, Ordering::Relaxed);
        after
    };
    let (after, ended) = tokio::join!(writing, all(tasks, kind));
    ended?;
    cluster.check_sample((leader + 1) % cluster.members()).await?;
    let latencies = lock(&shared.latencies);
    Ok(figures(&latencies, after))
}

/// The figures of a run: what was measured in how long, with what of the processors.
fn figures(
    latencies: &Histogram<u64>,
    (elapsed, client_cpu, server_cpu): (Duration, Duration, Duration),
) -> Figures {
    let requests = latencies.len();
    let each = |cpu: Duration| cpu.as_secs_f64() * 1e6 / requests.max(1) as f64;
    Figures {
        requests,
        per_second: requests as f64 / elapsed.as_secs_f64(),
        p50_micros: latencies.value_at_quantile(0.5) as f64,
        p99_micros: latencies.value_at_quantile(0.99) as f64,
        longest_millis: latencies.max() as f64 / 1000.0,
        client_cpu_micros: each(client_cpu),
        server_cpu_micros: each(server_cpu),
    }
}

/// The keys that a client writes, drawn from those that are its own: each `clients`th of them.
pub(crate) struct Keys {
    random: oorandom::Rand32,
    first: u32,
    step: u32,
    count: u32,
}

impl Keys {
    pub(crate) fn new(number: u32, load: Load, keys: u32) -> Self {
        let (first, step) = (number, load.clients);
        let count = keys.saturating_sub(first).div_ceil(step);
        Self { random: oorandom::Rand32::new_inc(load.seed, number.into()), first, step, count }
    }
}

impl Iterator for Keys {
    type Item = u32;

    fn next(&mut self) -> Option<u32> {
        if self.count == 0 {
            return None;
        }
        Some(self.first + self.random.rand_range(0..self.count) * self.step)
    }
}

#[cfg(test)]
mod tests;
