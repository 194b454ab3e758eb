//! Runs by an explicit schedule: every delivery, crash and tick is a step, so that a failing run
//! can be made shorter step by step.

use std::collections::VecDeque;
use std::vec::Vec;

use crate::config::Config;

use super::cluster::Cluster;
use super::driver::Driver;
use super::host::{DiskKind, Settings};
use super::network::Envelope;
use super::oracle::{Broken, index_of};
use super::{Report, Violation, watch};

/// The most messages under way; beyond it the oldest are lost.
const POOL_MAX: usize = 400;
/// The most messages of the past that can be replayed.
const PAST_MAX: usize = 100;
/// Longer than any timeout of an election, failed ones included.
const ELECT_MICROS: u64 = 400_000;

/// One step of a schedule. Numbers are taken modulo what exists, so every schedule is valid.
///
/// ```
/// use synod::sim::{Ending, Schedule, Step, play};
///
/// // Power is lost at once, then all is repaired.
/// let steps = vec![Step::Crash { replica: 0, keep: 0 }, Step::Restart { replica: 0 }];
/// let schedule = Schedule { replicas: 3, seed: 1, formed: true, steps };
/// assert!(play(&schedule, Ending::Heal)?.slots > 0);
/// # Ok::<(), synod::sim::Violation>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Step {
    /// A message under way arrives.
    Deliver {
        /// Which one, counted from the oldest.
        index: u16,
    },
    /// A message under way is lost.
    Drop {
        /// Which one, counted from the oldest.
        index: u16,
    },
    /// A message under way arrives, and stays under way.
    Duplicate {
        /// Which one, counted from the oldest.
        index: u16,
    },
    /// A message that arrived or was lost before arrives again.
    Replay {
        /// Which one, counted from the newest.
        index: u16,
    },
    /// Several messages for one replica arrive before it is drained.
    Burst {
        /// The receiver.
        replica: u8,
        /// How many at the most.
        count: u8,
    },
    /// One replica's clock goes forward.
    Tick {
        /// The replica.
        replica: u8,
        /// By how much, in microseconds.
        micros: u32,
    },
    /// All clocks go forward.
    Pass {
        /// By how much, in microseconds.
        micros: u32,
    },
    /// All clocks go forward by more than any timeout, but only one replica is told: it asks
    /// whether it should lead.
    Elect {
        /// The replica.
        replica: u8,
    },
    /// A command is proposed.
    Propose {
        /// Where; at a replica that leads if there is one and this is odd.
        replica: u8,
        /// The command's length, in bytes.
        bytes: u16,
    },
    /// A replica's disk syncs everything that was appended.
    Sync {
        /// The replica.
        replica: u8,
    },
    /// A replica's disk begins to sync what was appended; a Sync ends it.
    StartSync {
        /// The replica.
        replica: u8,
    },
    /// A replica's state machine is done with everything that it was handed.
    Apply {
        /// The replica.
        replica: u8,
    },
    /// A replica loses its power.
    Crash {
        /// The replica.
        replica: u8,
        /// How many of its unsynced records are kept.
        keep: u8,
    },
    /// A replica restarts, and meanwhile a record on its disk goes bad. Only one replica of a
    /// cluster of at least three rots: the first that a schedule names.
    Rot {
        /// The replica.
        replica: u8,
        /// Which record, counted from the newest that holds an entry.
        record: u8,
    },
    /// A replica starts again.
    Restart {
        /// The replica.
        replica: u8,
    },
    /// Links between two sides are cut.
    Split {
        /// One side, a bit for each replica.
        side: u16,
    },
    /// One link is cut in one direction.
    CutOneWay {
        /// From whom.
        from: u8,
        /// To whom.
        to: u8,
    },
    /// All links are mended.
    Mend,
    /// As Settle, but only among some replicas: what is under way to or from others is lost.
    Among {
        /// The replicas, a bit for each.
        side: u16,
        /// How many times, up to 8.
        rounds: u8,
    },
    /// Several times over, everything under way arrives, in order, and all disks sync.
    Settle {
        /// How many times, up to 8.
        rounds: u8,
    },
}

/// A schedule, and the cluster for it.
///
/// ```
/// use synod::sim::{Ending, Schedule, Step, play};
///
/// let steps = vec![Step::Drop { index: 0 }, Step::Settle { rounds: 8 }];
/// let schedule = Schedule { replicas: 3, seed: 1, formed: false, steps };
/// let report = play(&schedule, Ending::Heal)?;
/// assert_eq!(report.trace_hash, play(&schedule, Ending::Heal)?.trace_hash);
/// # Ok::<(), synod::sim::Violation>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Schedule {
    /// How many replicas: 1 to 9.
    pub replicas: u8,
    /// Seeds the replicas' jitter and chooses their settings.
    pub seed: u64,
    /// Whether the cluster is formed from the start.
    pub formed: bool,
    /// The steps.
    pub steps: Vec<Step>,
}

/// What happens after the last step.
///
/// ```
/// use synod::sim::{Ending, Schedule, play};
///
/// let schedule = Schedule { replicas: 3, seed: 1, formed: true, steps: Vec::new() };
/// assert_eq!(play(&schedule, Ending::Stop)?.slots, 0, "nothing happened");
/// assert!(play(&schedule, Ending::LosePower)?.slots > 0, "it had to make progress");
/// # Ok::<(), synod::sim::Violation>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// Nothing.
    Stop,
    /// All is repaired: the cluster must make progress, and all replicas must agree.
    Heal,
    /// All replicas lose their power and everything that is not synced; then as for `Heal`.
    LosePower,
}

/// Plays a schedule under the eyes of the oracles.
///
/// # Errors
/// The first claim that does not hold, with the last lines of the trace.
pub fn play(schedule: &Schedule, ending: Ending) -> Result<Report, Violation> {
    watch(
        |text| Driver::new(Cluster::new(&settings(schedule), text), schedule.seed),
        |driver| {
            Player { driver, pool: VecDeque::new(), past: VecDeque::new() }.play(schedule, ending)
        },
    )
}

/// The settings that a schedule's seed stands for: small windows, which short schedules fill.
fn settings(schedule: &Schedule) -> Settings {
    let bits = schedule.seed;
    let mut config = Config::new([]);
    config.pipeline_slots = [1, 2, 4, 16][(bits & 3) as usize];
    config.batch_bytes = [1, 100, 1000, 8 << 10][((bits >> 2) & 3) as usize];
    config.apply_slots = [1, 2, 8, 256][((bits >> 4) & 3) as usize];
    config.pipeline_bytes = [1, 200, 8 << 20, 8 << 20][((bits >> 6) & 3) as usize];
    config.queue_bytes = [100, 1000, 8 << 20, 8 << 20][((bits >> 8) & 3) as usize];
    Settings {
        replicas: usize::from(schedule.replicas.clamp(1, 9)),
        config,
        priorities: Vec::new(),
        formed: schedule.formed,
        slow_machines: (bits >> 10) & 3 == 0,
        disk: if (bits >> 15) & 7 == 0 { DiskKind::Wal } else { DiskKind::Journal },
        frame_bytes_max: ((bits >> 12) & 7 == 0).then_some(400),
        seed: schedule.seed,
    }
}

struct Player<'a> {
    driver: &'a mut Driver,
    /// Messages under way, oldest first.
    pool: VecDeque<Envelope>,
    /// Messages that are gone, newest first.
    past: VecDeque<Envelope>,
}

impl Player<'_> {
    fn play(mut self, schedule: &Schedule, ending: Ending) -> Result<(), Broken> {
        for at in 0..self.replicas() {
            self.driver.cluster.start(at)?;
        }
        self.gather();
        for step in &schedule.steps {
            self.step(*step)?;
            self.gather();
        }
        match ending {
            Ending::Stop => return Ok(()),
            Ending::Heal => {}
            Ending::LosePower => {
                for at in 0..self.replicas() {
                    self.driver.cluster.crash(at, 0);
                }
            }
        }
        (0..self.replicas()).try_for_each(|at| self.driver.cluster.finish_sync(at, None))?;
        self.driver.take_over(self.pool.into())?;
        self.driver.heal_and_prove_life()
    }

    fn replicas(&self) -> usize {
        self.driver.cluster.hosts.len()
    }

    fn one(&self, replica: u8) -> usize {
        usize::from(replica) % self.replicas()
    }

    fn gather(&mut self) {
        self.pool.extend(self.driver.cluster.outbox.drain(..));
        let over = self.pool.len().saturating_sub(POOL_MAX);
        self.pool.drain(..over);
    }

    fn pick(&self, index: u16) -> Option<usize> {
        usize::from(index).checked_rem(self.pool.len())
    }

    /// Takes a message out of those under way.
    fn take(&mut self, index: u16) -> Option<Envelope> {
        let envelope = self.pick(index).and_then(|i| self.pool.remove(i))?;
        self.remember(&envelope);
        Some(envelope)
    }

    fn remember(&mut self, envelope: &Envelope) {
        self.past.truncate(PAST_MAX - 1);
        self.past.push_front(envelope.clone());
    }

    fn step(&mut self, step: Step) -> Result<(), Broken> {
        match step {
            Step::Deliver { index } => match self.take(index) {
                Some(envelope) => self.driver.cluster.deliver(&envelope),
                None => Ok(()),
            },
            Step::Drop { index } => {
                self.take(index);
                Ok(())
            }
            Step::Replay { index } => {
                let past = usize::from(index).checked_rem(self.past.len());
                match past.and_then(|i| self.past.get(i)) {
                    Some(envelope) => self.driver.cluster.deliver(&envelope.clone()),
                    None => Ok(()),
                }
            }
            Step::Duplicate { index } => match self.pick(index) {
                Some(i) => self.driver.cluster.deliver(&self.pool[i].clone()),
                None => Ok(()),
            },
            Step::Burst { replica, count } => self.burst(self.one(replica), usize::from(count)),
            Step::Tick { replica, micros } => {
                let at = self.one(replica);
                self.driver.cluster.hosts[at].ahead_micros += u64::from(micros);
                self.driver.cluster.tick(at)
            }
            Step::Pass { micros } => {
                self.driver.cluster.now_micros += u64::from(micros);
                (0..self.replicas()).try_for_each(|at| self.driver.cluster.tick(at))
            }
            Step::Elect { replica } => {
                self.driver.cluster.now_micros += ELECT_MICROS;
                self.driver.cluster.tick(self.one(replica))
            }
            Step::Propose { replica, bytes } => self.propose(replica, usize::from(bytes)),
            Step::Sync { replica } => self.driver.cluster.sync(self.one(replica)),
            Step::StartSync { replica } => {
                self.driver.cluster.start_sync(self.one(replica)).map(|_| ())
            }
            Step::Apply { replica } => self.driver.cluster.apply(self.one(replica)),
            Step::Crash { replica, keep } => {
                self.driver.cluster.crash(self.one(replica), u64::from(keep));
                Ok(())
            }
            Step::Rot { replica, record } => {
                let at = self.one(replica);
                self.driver.cluster.crash(at, u64::from(record));
                self.driver.cluster.rot(at, u64::from(record));
                self.driver.cluster.start(at)
            }
            Step::Restart { replica } => self.driver.cluster.start(self.one(replica)),
            Step::Split { side } => {
                self.driver.cluster.cuts.split(side);
                Ok(())
            }
            Step::CutOneWay { from, to } => {
                let (from, to) = (self.one(from), self.one(to));
                self.driver.cluster.cuts.cut(from, to);
                Ok(())
            }
            Step::Mend => {
                self.driver.cluster.cuts.heal();
                Ok(())
            }
            Step::Among { side, rounds } => self.settle(side, rounds.min(8)),
            Step::Settle { rounds } => self.settle(u16::MAX, rounds.min(8)),
        }
    }

    fn propose(&mut self, replica: u8, bytes: usize) -> Result<(), Broken> {
        let leader = self.driver.cluster.leader().filter(|_| replica % 2 == 1);
        let at = leader.map_or(self.one(replica), |(at, _)| at);
        self.driver.cluster.propose(at, bytes).map(|_| ())
    }

    fn burst(&mut self, to: usize, count: usize) -> Result<(), Broken> {
        for _ in 0..count {
            let Some(i) = self.pool.iter().position(|e| index_of(e.to) == to) else { break };
            if let Some(envelope) = self.pool.remove(i) {
                self.driver.cluster.hand_over(&envelope)?;
            }
        }
        self.driver.cluster.drain(to)
    }

    fn settle(&mut self, side: u16, rounds: u8) -> Result<(), Broken> {
        let among = |at: usize| (side >> at) & 1 == 1;
        for _ in 0..rounds {
            for at in (0..self.replicas()).filter(|at| among(*at)) {
                self.driver.cluster.sync(at)?;
            }
            self.gather();
            for envelope in core::mem::take(&mut self.pool) {
                self.remember(&envelope);
                if among(index_of(envelope.from.replica)) && among(index_of(envelope.to)) {
                    self.driver.cluster.deliver(&envelope)?;
                }
            }
            self.gather();
        }
        Ok(())
    }
}
