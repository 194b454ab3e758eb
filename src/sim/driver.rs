//! Turns a cluster in simulated time: messages arrive, syncs end, timers come due, faults strike.

use std::boxed::Box;
use std::collections::BTreeMap;
use std::vec::Vec;

use oorandom::Rand64;

use crate::time::Instant;

use super::clients::{Clients, Crowd};
use super::cluster::Cluster;
use super::freezes::Freezer;
use super::hand_overs;
use super::network::{Envelope, LinkFaults};
use super::oracle::Broken;
use super::partitions::Swizzle;
use super::random::Random;
use super::weather::Weather;

/// Something that happens at a time.
#[derive(Debug)]
pub(super) enum Happening {
    Arrives(Envelope),
    SyncEnds {
        at: usize,
        starts: u64,
        number: u64,
    },
    Applies {
        at: usize,
    },
    Proposal,
    Crash,
    CrashAll,
    Start {
        at: usize,
    },
    Cut,
    /// The links that the cut of this number cut around a replica leave only those to it.
    Turn {
        cut: u64,
        hub: usize,
    },
    Flap {
        cut: u64,
        period_micros: u64,
    },
    Clog {
        cut: u64,
    },
    Hunt {
        cut: u64,
    },
    Mend {
        cut: u64,
    },
    Stranger,
    Foreign,
    Jump,
    Freeze,
    Thaw {
        at: usize,
        freeze: u64,
    },
    DiskStrike,
    Room {
        at: usize,
    },
    Transfer,
    Leave,
    /// A clean stop that began then may go on.
    Left {
        at: usize,
        starts: u64,
        since_micros: u64,
    },
}

impl Happening {
    /// Whether it belongs to what goes on rather than to what was planned to go wrong.
    fn goes_on(&self) -> bool {
        match self {
            Self::Arrives(_) | Self::SyncEnds { .. } | Self::Applies { .. } => true,
            Self::Thaw { .. } | Self::Left { .. } => true,
            Self::Proposal
            | Self::Crash
            | Self::CrashAll
            | Self::Start { .. }
            | Self::Cut
            | Self::Turn { .. }
            | Self::Flap { .. }
            | Self::Clog { .. }
            | Self::Hunt { .. }
            | Self::Mend { .. }
            | Self::Stranger
            | Self::Foreign
            | Self::Jump
            | Self::Freeze
            | Self::DiskStrike
            | Self::Room { .. }
            | Self::Transfer
            | Self::Leave => false,
        }
    }
}

/// The cluster in its weather.
pub(crate) struct Driver {
    pub(crate) cluster: Cluster,
    pub(crate) weather: Weather,
    pub(crate) clients: Crowd,
    /// Whether everything is repaired, and all hosts have applied all that is chosen.
    pub(crate) rested: bool,
    random: Rand64,
    queue: BTreeMap<(u64, u64), Happening>,
    queued: u64,
    /// How often each host was started: a sync that began in an earlier life never ends.
    pub(super) starts: Vec<u64>,
    applying: Vec<bool>,
    /// The odds of each link, by sender and then receiver.
    pub(super) links: Vec<LinkFaults>,
    /// Messages of the past, to be replayed or to go astray.
    pub(super) history: Vec<Envelope>,
    /// Whether they are kept although no link replays them.
    pub(super) keeps_history: bool,
    /// How often links were cut: what was planned for an earlier cut is void.
    pub(super) cuts: u64,
    pub(super) swizzle: Swizzle,
    pub(super) freezer: Freezer,
    /// Until when no sync of each disk ends.
    pub(super) stalled: Vec<u64>,
    /// What operators do is drawn from here.
    pub(super) operators: Random,
    /// Another cluster on the same network.
    pub(super) neighbour: Option<Box<Self>>,
}

impl Driver {
    /// The cluster, in fair weather.
    pub(crate) fn new(cluster: Cluster, seed: u64) -> Self {
        let n = cluster.hosts.len();
        Self {
            cluster,
            weather: Weather::FAIR,
            clients: Crowd::new(&Clients::from_seed(seed), seed),
            rested: false,
            random: Rand64::new(u128::from(seed)),
            queue: BTreeMap::new(),
            queued: 0,
            starts: std::vec![0; n],
            applying: std::vec![false; n],
            links: Weather::FAIR.links.table(n),
            history: Vec::new(),
            keeps_history: false,
            cuts: 0,
            swizzle: Swizzle::default(),
            freezer: Freezer::new(n),
            stalled: std::vec![0; n],
            operators: hand_overs::operators(seed),
            neighbour: None,
        }
    }

    /// A number below `below`, at least 0.
    pub(crate) fn below(&mut self, below: u64) -> u64 {
        self.random.rand_range(0..below.max(1))
    }

    /// Something to choose by.
    pub(super) fn luck(&mut self) -> u64 {
        self.random.rand_u64()
    }

    /// The cluster, and numbers as [`Driver::below`] gives them.
    pub(super) fn cluster_and_chance(&mut self) -> (&mut Cluster, impl FnMut(u64) -> u64) {
        let random = &mut self.random;
        (&mut self.cluster, |below: u64| random.rand_range(0..below.max(1)))
    }

    pub(super) fn chance(&mut self, permille: u32) -> bool {
        permille > 0 && self.below(1000) < u64::from(permille)
    }

    pub(super) fn at(&mut self, micros: u64, what: Happening) {
        self.queued += 1;
        self.queue.insert((self.cluster.now_micros + micros, self.queued), what);
    }

    pub(super) fn spread(&mut self, (least, more): (u64, u64)) -> u64 {
        least + self.below(more + 1)
    }

    /// Changes the weather: what was planned for the old one, messages aside, is forgotten.
    pub(crate) fn set_weather(&mut self, weather: Weather) {
        self.queue.retain(|_, what| what.goes_on());
        self.links = weather.links.table(self.starts.len());
        self.weather = weather;
        let weather = &self.weather;
        let plans = [
            (weather.propose_every_micros, Happening::Proposal),
            (weather.crash_every_micros, Happening::Crash),
            (weather.crash_all_every_micros, Happening::CrashAll),
            (weather.cut_every_micros, Happening::Cut),
            (weather.stranger_every_micros, Happening::Stranger),
            (weather.foreign_every_micros, Happening::Foreign),
            (weather.jump_every_micros, Happening::Jump),
            (weather.freeze_every_micros, Happening::Freeze),
            (weather.disks.strike_every_micros, Happening::DiskStrike),
        ];
        for (every, what) in plans {
            if let Some(every) = every {
                let first = self.below(2 * every);
                self.at(first, what);
            }
        }
        self.plan_hand_overs();
    }

    /// Starts a host that is down.
    pub(crate) fn start(&mut self, at: usize) -> Result<(), Broken> {
        if self.cluster.is_up(at) {
            return Ok(());
        }
        self.starts[at] += 1;
        self.applying[at] = false;
        self.cluster.start(at)?;
        self.collect()
    }

    /// Sends what is under way in `pool` on its way, as if it was sent now.
    pub(crate) fn take_over(&mut self, pool: Vec<Envelope>) -> Result<(), Broken> {
        self.cluster.outbox.extend(pool);
        self.collect()
    }

    /// Lets this much time pass.
    pub(crate) fn run_for(&mut self, micros: u64) -> Result<(), Broken> {
        let end = self.cluster.now_micros + micros;
        self.collect()?;
        loop {
            let queued = self.queue.first_key_value().map(|(key, _)| key.0);
            let wake = (0..self.starts.len()).filter_map(|at| Some((self.wakes(at)?, at))).min();
            match (queued, wake) {
                (queued, Some((when, at))) if when <= end && queued.is_none_or(|q| when < q) => {
                    self.cluster.now_micros = self.cluster.now_micros.max(when);
                    self.cluster.tick(at)?;
                }
                (Some(when), _) if when <= end => {
                    self.cluster.now_micros = self.cluster.now_micros.max(when);
                    if let Some((_, what)) = self.queue.pop_first() {
                        self.happen(what)?;
                    }
                }
                _ => break,
            }
            self.collect()?;
        }
        self.cluster.now_micros = end;
        Ok(())
    }

    /// When the host's next timer is due, by the cluster's clock.
    fn wakes(&self, at: usize) -> Option<u64> {
        if self.cluster.hosts[at].frozen {
            return None;
        }
        Some(self.cluster.hosts[at].reaches(self.cluster.wake(at)?))
    }

    /// Plans the next of what happens about so often.
    fn again(&mut self, every_micros: Option<u64>, what: Happening) {
        if let Some(every_micros) = every_micros {
            let micros = self.below(2 * every_micros);
            self.at(micros, what);
        }
    }

    fn happen(&mut self, what: Happening) -> Result<(), Broken> {
        let Some(what) = self.keep_for_thaw(what) else { return Ok(()) };
        match what {
            Happening::Arrives(envelope) => self.cluster.deliver(&envelope),
            Happening::SyncEnds { at, .. } if self.stalled[at] > self.cluster.now_micros => {
                self.at(self.stalled[at] - self.cluster.now_micros, what);
                Ok(())
            }
            Happening::SyncEnds { at, starts, number } if starts == self.starts[at] => {
                self.cluster.finish_sync(at, Some(number))
            }
            Happening::SyncEnds { .. } => Ok(()),
            Happening::Applies { at } => {
                self.applying[at] = false;
                self.cluster.apply(at)
            }
            Happening::Proposal => {
                self.again(self.weather.propose_every_micros, Happening::Proposal);
                let bytes = self.below(self.weather.command_bytes) as usize;
                self.clients.turn(&mut self.cluster, bytes)
            }
            Happening::Start { at } => self.start(at),
            Happening::Turn { .. }
            | Happening::Flap { .. }
            | Happening::Clog { .. }
            | Happening::Hunt { .. }
            | Happening::Mend { .. } => {
                self.go_on_cutting(what);
                Ok(())
            }
            Happening::Thaw { at, freeze } => {
                self.thaw_if(at, freeze);
                Ok(())
            }
            Happening::Room { at } => {
                self.make_room(at);
                Ok(())
            }
            Happening::Transfer | Happening::Leave | Happening::Left { .. } => self.operate(what),
            fault => self.strike(fault),
        }
    }

    /// Something that comes again and again goes wrong.
    fn strike(&mut self, fault: Happening) -> Result<(), Broken> {
        match fault {
            Happening::Crash => {
                let at = self.below(self.starts.len() as u64) as usize;
                self.crash(at);
                self.again(self.weather.crash_every_micros, Happening::Crash);
            }
            Happening::CrashAll => {
                self.cluster.faults.crashes_of_all += 1;
                (0..self.starts.len()).for_each(|at| self.crash(at));
                // Not again at once: everybody needs some time to come up.
                let every = self.weather.crash_all_every_micros.unwrap_or(1_000_000);
                self.at(every, Happening::CrashAll);
            }
            // The end of a cut plans the next one.
            Happening::Cut => self.cut(),
            Happening::Stranger => {
                self.again(self.weather.stranger_every_micros, Happening::Stranger);
                self.stranger()?;
            }
            Happening::Foreign => {
                self.again(self.weather.foreign_every_micros, Happening::Foreign);
                self.exchange()?;
            }
            Happening::Jump => {
                self.again(self.weather.jump_every_micros, Happening::Jump);
                self.jump();
            }
            Happening::Freeze => {
                self.again(self.weather.freeze_every_micros, Happening::Freeze);
                self.freeze_one();
            }
            Happening::DiskStrike => {
                self.again(self.weather.disks.strike_every_micros, Happening::DiskStrike);
                self.strike_disk()?;
            }
            other => unreachable!("{other:?} is no fault that comes again"),
        }
        Ok(())
    }

    /// The host loses its power, for good unless its start is planned.
    pub(super) fn take_down(&mut self, at: usize) {
        let luck = self.random.rand_u64();
        self.cluster.crash(at, luck);
        self.starts[at] += 1;
        self.forget_frozen(at);
    }

    /// The host loses its power, and comes back after a while.
    pub(crate) fn crash(&mut self, at: usize) {
        if self.cluster.is_up(at) {
            self.take_down(at);
            if self.chance(self.weather.rot_permille) {
                for _ in 0..1 + self.below(3) {
                    let luck = self.random.rand_u64();
                    self.cluster.rot(at, luck);
                }
            }
            let down = self.below(self.weather.down_micros);
            self.at(down, Happening::Start { at });
        }
    }

    /// Puts what was sent under way, and begins the syncs and applications that are due.
    fn collect(&mut self) -> Result<(), Broken> {
        self.cluster.happens_cut();
        let sent = core::mem::take(&mut self.cluster.outbox);
        for envelope in sent {
            self.post(envelope);
        }
        for at in 0..self.starts.len() {
            while let Some(number) = self.cluster.start_sync(at)? {
                let takes = self.sync_takes(at);
                let starts = self.starts[at];
                self.at(takes, Happening::SyncEnds { at, starts, number });
            }
            if self.cluster.slow_machines && !self.applying[at] && self.cluster.has_to_apply(at) {
                self.applying[at] = true;
                let takes = self.spread(self.weather.apply_micros);
                self.at(takes, Happening::Applies { at });
            }
        }
        for at in core::mem::take(&mut self.cluster.stopped) {
            self.starts[at] += 1;
            self.plan_start(at);
        }
        Ok(())
    }

    /// What runs of syncs ends soon, however slow its disk was.
    pub(super) fn end_syncs_soon(&mut self) {
        let (least, more) = self.weather.sync_micros;
        let usual = self.cluster.now_micros + least + more;
        let late = |(key, what): (&(u64, u64), &Happening)| {
            (key.0 > usual && matches!(what, Happening::SyncEnds { .. })).then_some(*key)
        };
        let late: Vec<(u64, u64)> = self.queue.iter().filter_map(late).collect();
        for key in late {
            if let Some(what) = self.queue.remove(&key) {
                self.queue.insert((usual, key.1), what);
            }
        }
    }

    /// The cluster's time.
    pub(crate) fn now(&self) -> Instant {
        Instant::from_micros(self.cluster.now_micros)
    }
}
