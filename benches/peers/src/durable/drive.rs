//! One proposing thread that keeps a number of commands in flight, and what it sees.
//!
//! The same for every peer: as many commands are proposed at first as may be in flight; whenever
//! some were applied at the proposer's replica, as many new ones are proposed at once. A latency
//! is the time from the proposal of a command until the proposing thread knows that it was
//! applied.

use std::collections::VecDeque;
use std::ops::Range;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use hdrhistogram::Histogram;
use rustix::time::{ClockId, clock_gettime};

use crate::check::Applied;

/// Three or more replicas of a peer, each with a log on the disk.
pub(crate) trait Cluster {
    /// Proposes the commands of these numbers, in order, at the leader. Does not wait for them.
    fn propose(&mut self, commands: Range<u64>) -> Result<()>;

    /// Waits until a command was applied at the proposer's replica that was not when this was
    /// asked last, and tells how many there are of them.
    fn applied(&mut self) -> Result<u64>;

    /// Waits until every replica has applied `commands`, stops them, and gives what each of their
    /// state machines saw.
    fn stop(self: Box<Self>, commands: u64) -> Result<Vec<Applied>>;
}

/// How long a run takes.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Length {
    /// This long.
    Time(Duration),
    /// Until that many commands were applied.
    Commands(u64),
}

impl Length {
    /// Whether a run that began then, and has had so many commands, is to go on.
    pub(crate) fn goes_on(self, begin: Instant, commands: u64) -> bool {
        match self {
            Self::Time(time) => begin.elapsed() < time,
            Self::Commands(count) => commands < count,
        }
    }
}

/// What was seen in a run.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Run {
    pub(crate) commands: u64,
    pub(crate) seconds: f64,
    pub(crate) p50_micros: f64,
    pub(crate) p99_micros: f64,
    pub(crate) cpu_nanos: u64,
}

impl Run {
    pub(crate) fn commands_per_second(&self) -> f64 {
        self.commands as f64 / self.seconds
    }

    pub(crate) fn cpu_nanos_per_command(&self) -> f64 {
        self.cpu_nanos as f64 / self.commands.max(1) as f64
    }
}

/// The processor time of all threads of this process so far.
pub(crate) fn cpu_nanos() -> u64 {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    u64::try_from(time.tv_sec).unwrap_or(0) * 1_000_000_000
        + u64::try_from(time.tv_nsec).unwrap_or(0)
}

/// Latencies in nanoseconds, with three digits.
pub(crate) fn histogram() -> Result<Histogram<u64>> {
    Ok(Histogram::new(3)?)
}

/// A quantile of a histogram of nanoseconds, in microseconds.
pub(crate) fn micros(latencies: &Histogram<u64>, quantile: f64) -> f64 {
    latencies.value_at_quantile(quantile) as f64 / 1000.0
}

/// What is in flight.
struct Window {
    next: u64,
    /// When how many were proposed, oldest first.
    waiting: VecDeque<(Instant, u64)>,
}

impl Window {
    fn propose(&mut self, cluster: &mut dyn Cluster, count: u64) -> Result<()> {
        self.waiting.push_back((Instant::now(), count));
        cluster.propose(self.next..self.next + count)?;
        self.next += count;
        Ok(())
    }

    /// Waits for some, and notes how long they took.
    fn take(&mut self, cluster: &mut dyn Cluster, latencies: &mut Histogram<u64>) -> Result<u64> {
        let applied = cluster.applied()?;
        let now = Instant::now();
        let mut left = applied;
        while left > 0 {
            let Some((since, count)) = self.waiting.front_mut() else { break };
            let taken = left.min(*count);
            let nanos = u64::try_from(now.duration_since(*since).as_nanos())?;
            latencies.record_n(nanos.max(1), taken)?;
            *count -= taken;
            left -= taken;
            if *count == 0 {
                self.waiting.pop_front();
            }
        }
        ensure!(left == 0, "{left} commands were applied that nobody waits for");
        Ok(applied)
    }

    fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }
}

/// Keeps `in_flight` commands in flight: a while to get warm, then as long as asked, and until all
/// are applied. Gives what was seen, and how many commands there were in all.
pub(crate) fn drive(
    cluster: &mut dyn Cluster,
    in_flight: u64,
    length: Length,
) -> Result<(Run, u64)> {
    let mut window = Window { next: 0, waiting: VecDeque::new() };
    let mut ignored = histogram()?;
    window.propose(cluster, in_flight)?;
    let mut warm = in_flight * 4;
    let begin = Instant::now();
    while warm > 0 || begin.elapsed() < Duration::from_millis(50) {
        let applied = window.take(cluster, &mut ignored)?;
        window.propose(cluster, applied)?;
        warm = warm.saturating_sub(applied);
    }
    let mut latencies = histogram()?;
    let (begin, cpu) = (Instant::now(), cpu_nanos());
    let mut commands = 0;
    while length.goes_on(begin, commands) {
        let applied = window.take(cluster, &mut latencies)?;
        window.propose(cluster, applied)?;
        commands += applied;
    }
    let run = Run {
        commands,
        seconds: begin.elapsed().as_secs_f64(),
        p50_micros: micros(&latencies, 0.5),
        p99_micros: micros(&latencies, 0.99),
        cpu_nanos: cpu_nanos() - cpu,
    };
    while !window.is_empty() {
        window.take(cluster, &mut ignored)?;
    }
    Ok((run, window.next))
}
