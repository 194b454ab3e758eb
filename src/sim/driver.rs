//! Turns a cluster in simulated time: messages arrive, syncs end, timers come due, faults strike.

use std::collections::BTreeMap;
use std::format;
use std::vec::Vec;

use oorandom::Rand64;

use crate::output::Fate;
use crate::slot::Slot;
use crate::time::Instant;

use super::clients::{Clients, Crowd};
use super::cluster::Cluster;
use super::network::{Envelope, LinkFaults};
use super::oracle::{Broken, broken};

/// Something that happens at a time.
#[derive(Debug)]
enum Happening {
    Arrives(Envelope),
    SyncEnds { at: usize, starts: u64 },
    Applies { at: usize },
    Proposal,
    Crash,
    CrashAll,
    Start { at: usize },
    Cut,
    Mend,
}

/// How the world around the replicas behaves. Times in microseconds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Weather {
    /// Every link's odds.
    pub links: LinkFaults,
    /// How long a sync takes, and up to how much longer.
    pub sync_micros: (u64, u64),
    /// How long a state machine takes, and up to how much longer.
    pub apply_micros: (u64, u64),
    /// How often a replica crashes, if any does.
    pub crash_every_micros: Option<u64>,
    /// How often all crash at once, if ever.
    pub crash_all_every_micros: Option<u64>,
    /// For how long a crashed replica stays down, at the most.
    pub down_micros: u64,
    /// How many of a thousand crashes make a record of the one rotting disk go bad.
    pub rot_permille: u32,
    /// How often links are cut, if ever.
    pub cut_every_micros: Option<u64>,
    /// For how long links stay cut, at the most.
    pub cut_micros: u64,
    /// How often a command is proposed, if ever.
    pub propose_every_micros: Option<u64>,
    /// The longest command, in bytes.
    pub command_bytes: u64,
}

impl Weather {
    /// Nothing goes wrong, nothing is proposed.
    pub const FAIR: Self = Self {
        links: LinkFaults::NONE,
        sync_micros: (300, 200),
        apply_micros: (10, 10),
        crash_every_micros: None,
        crash_all_every_micros: None,
        down_micros: 0,
        rot_permille: 0,
        cut_every_micros: None,
        cut_micros: 0,
        propose_every_micros: None,
        command_bytes: 32,
    };
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
    starts: Vec<u64>,
    applying: Vec<bool>,
    /// Messages of the past, to be replayed.
    history: Vec<Envelope>,
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
            history: Vec::new(),
        }
    }

    /// A number below `below`, at least 0.
    pub(crate) fn below(&mut self, below: u64) -> u64 {
        self.random.rand_range(0..below.max(1))
    }

    fn chance(&mut self, permille: u32) -> bool {
        permille > 0 && self.below(1000) < u64::from(permille)
    }

    fn at(&mut self, micros: u64, what: Happening) {
        self.queued += 1;
        self.queue.insert((self.cluster.now_micros + micros, self.queued), what);
    }

    fn spread(&mut self, (least, more): (u64, u64)) -> u64 {
        least + self.below(more + 1)
    }

    /// Changes the weather: what was planned for the old one, messages aside, is forgotten.
    pub(crate) fn set_weather(&mut self, weather: Weather) {
        self.queue.retain(|_, what| match what {
            Happening::Arrives(_) | Happening::SyncEnds { .. } | Happening::Applies { .. } => true,
            Happening::Proposal
            | Happening::Crash
            | Happening::CrashAll
            | Happening::Start { .. }
            | Happening::Cut
            | Happening::Mend => false,
        });
        self.weather = weather;
        let plans = [
            (self.weather.propose_every_micros, Happening::Proposal),
            (self.weather.crash_every_micros, Happening::Crash),
            (self.weather.crash_all_every_micros, Happening::CrashAll),
            (self.weather.cut_every_micros, Happening::Cut),
        ];
        for (every, what) in plans {
            if let Some(every) = every {
                let first = self.below(2 * every);
                self.at(first, what);
            }
        }
    }

    /// Starts a host that is down.
    pub(crate) fn start(&mut self, at: usize) -> Result<(), Broken> {
        if self.cluster.is_up(at) {
            return Ok(());
        }
        self.starts[at] += 1;
        self.applying[at] = false;
        self.cluster.start(at)?;
        self.collect();
        Ok(())
    }

    /// Sends what is under way in `pool` on its way, as if it was sent now.
    pub(crate) fn take_over(&mut self, pool: Vec<Envelope>) {
        self.cluster.outbox.extend(pool);
        self.collect();
    }

    /// Lets this much time pass.
    pub(crate) fn run_for(&mut self, micros: u64) -> Result<(), Broken> {
        let end = self.cluster.now_micros + micros;
        self.collect();
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
            self.collect();
        }
        self.cluster.now_micros = end;
        Ok(())
    }

    /// When the host's next timer is due, by the cluster's clock.
    fn wakes(&self, at: usize) -> Option<u64> {
        let host = &self.cluster.hosts[at];
        let wake = self.cluster.wake(at)?.as_micros().saturating_sub(host.ahead_micros);
        if host.drift_millionths == 0 {
            return Some(wake);
        }
        let rate = 1_000_000 + i128::from(host.drift_millionths);
        let guess = u64::try_from(i128::from(wake) * 1_000_000 / rate).unwrap_or(u64::MAX);
        // Both divisions round down, so the guess may be short by a few.
        Some(guess.saturating_add(2))
    }

    fn happen(&mut self, what: Happening) -> Result<(), Broken> {
        match what {
            Happening::Arrives(envelope) => self.cluster.deliver(&envelope),
            Happening::SyncEnds { at, starts } if starts == self.starts[at] => {
                self.cluster.finish_sync(at)
            }
            Happening::SyncEnds { .. } => Ok(()),
            Happening::Applies { at } => {
                self.applying[at] = false;
                self.cluster.apply(at)
            }
            Happening::Proposal => {
                let again = self.weather.propose_every_micros.unwrap_or(1_000_000);
                let again = self.below(2 * again);
                self.at(again, Happening::Proposal);
                let bytes = self.below(self.weather.command_bytes) as usize;
                self.clients.turn(&mut self.cluster, bytes)
            }
            Happening::Crash => {
                let at = self.below(self.starts.len() as u64) as usize;
                self.crash(at);
                let again = self.weather.crash_every_micros.unwrap_or(1_000_000);
                let again = self.below(2 * again);
                self.at(again, Happening::Crash);
                Ok(())
            }
            Happening::CrashAll => {
                (0..self.starts.len()).for_each(|at| self.crash(at));
                let again = self.weather.crash_all_every_micros.unwrap_or(1_000_000);
                self.at(again, Happening::CrashAll);
                Ok(())
            }
            Happening::Start { at } => self.start(at),
            Happening::Cut => {
                self.cut();
                Ok(())
            }
            Happening::Mend => {
                self.cluster.cuts.heal();
                let again = self.weather.cut_every_micros.unwrap_or(1_000_000);
                let again = self.below(2 * again);
                self.at(again, Happening::Cut);
                Ok(())
            }
        }
    }

    /// The host loses its power, and comes back after a while.
    pub(crate) fn crash(&mut self, at: usize) {
        if self.cluster.is_up(at) {
            let luck = self.random.rand_u64();
            self.cluster.crash(at, luck);
            self.starts[at] += 1;
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

    fn cut(&mut self) {
        let n = self.starts.len() as u64;
        let one = self.below(n) as usize;
        let side = self.below(1 << n) as u16;
        match self.below(6) {
            0 => self.cluster.cuts.only_hub(one),
            1 => self.cluster.cuts.chain(),
            // One hears nobody, or is heard by nobody.
            2 => (0..n as usize).for_each(|from| self.cluster.cuts.cut(from, one)),
            3 => (0..n as usize).for_each(|to| self.cluster.cuts.cut(one, to)),
            4 => self.cluster.cuts.split(1 << one),
            _ => self.cluster.cuts.split(side),
        }
        let mend = self.below(self.weather.cut_micros);
        self.at(mend, Happening::Mend);
    }

    /// Puts what was sent under way, and begins the syncs and applications that are due.
    fn collect(&mut self) {
        let sent = core::mem::take(&mut self.cluster.outbox);
        for envelope in sent {
            self.post(envelope);
        }
        for at in 0..self.starts.len() {
            if self.cluster.start_sync(at) {
                let takes = self.spread(self.weather.sync_micros);
                let starts = self.starts[at];
                self.at(takes, Happening::SyncEnds { at, starts });
            }
            if self.cluster.slow_machines && !self.applying[at] && self.cluster.has_to_apply(at) {
                self.applying[at] = true;
                let takes = self.spread(self.weather.apply_micros);
                self.at(takes, Happening::Applies { at });
            }
        }
    }

    fn post(&mut self, envelope: Envelope) {
        let links = self.weather.links;
        if self.chance(links.loss_permille) {
            return;
        }
        if self.chance(links.duplicate_permille) {
            let takes = self.under_way();
            self.at(takes, Happening::Arrives(envelope.clone()));
        }
        if self.chance(links.replay_permille) && !self.history.is_empty() {
            let old = self.below(self.history.len() as u64) as usize;
            let (old, takes) = (self.history[old].clone(), self.under_way());
            self.at(takes, Happening::Arrives(old));
        }
        if links.replay_permille > 0 {
            self.remember(&envelope);
        }
        let takes = self.under_way();
        let mut envelope = envelope;
        if self.chance(links.damage_permille) {
            envelope.damage(self.random.rand_u64());
        }
        self.at(takes, Happening::Arrives(envelope));
    }

    /// Keeps some of what was sent, of all ages.
    fn remember(&mut self, envelope: &Envelope) {
        if self.history.len() < HISTORY_MAX {
            self.history.push(envelope.clone());
        } else if self.below(16) == 0 {
            let at = self.below(HISTORY_MAX as u64) as usize;
            self.history[at] = envelope.clone();
        }
    }

    fn under_way(&mut self) -> u64 {
        let links = self.weather.links;
        let takes = self.spread((links.delay_micros, links.jitter_micros));
        if self.chance(links.straggler_permille) { takes * 20 } else { takes }
    }

    /// Everything is repaired: within a bound a leader is found, a fresh command is chosen, and all
    /// have applied the same.
    pub(crate) fn heal_and_prove_life(&mut self) -> Result<(), Broken> {
        self.set_weather(Weather::FAIR);
        self.cluster.cuts.heal();
        (0..self.starts.len()).try_for_each(|at| self.start(at))?;
        let timeout = self.cluster.election_timeout_micros();
        let mut proposed = Vec::new();
        let mut rounds = 0;
        while rounds < ROUNDS_MAX {
            let before = self.cluster.oracle.slots_chosen();
            // A fresh one each time: what a deposed leader took in may be lost, and without a fate
            // until somebody fills its slot.
            if let Some((leader, _)) = self.cluster.leader() {
                proposed.extend(self.cluster.propose(leader, 8)?.ok());
            }
            self.run_for(timeout)?;
            let chosen_at = |id| match self.cluster.oracle.fate(id) {
                Some(Fate::Chosen { slot, .. }) => Some(slot),
                Some(Fate::NotLeader { .. } | Fate::Superseded) | None => None,
            };
            let newest = proposed.iter().copied().filter_map(chosen_at).max();
            if newest.is_some_and(|slot| self.all_applied(slot.next())) {
                return self.prove_rest();
            }
            // While a leader works off what was queued before, one slot at a time where its
            // pipeline has just one, that is progress. The queue is finite.
            if self.cluster.oracle.slots_chosen() < before + BACKLOG_SLOTS {
                rounds += 1;
            }
        }
        broken(
            "LIVE",
            format!(
                "no progress in {ROUNDS_MAX} election timeouts after healing: {}",
                self.cluster.summary()
            ),
        )
    }

    fn all_applied(&self, upto: Slot) -> bool {
        self.cluster.hosts.iter().all(|host| host.machine.len() as u64 >= upto.0)
    }

    /// After a while of rest all state machines are equal, and every command has its fate.
    fn prove_rest(&mut self) -> Result<(), Broken> {
        let timeout = self.cluster.election_timeout_micros();
        let led = self.cluster.leading;
        self.run_for(REST_ROUNDS * timeout)?;
        if self.cluster.leading > led {
            return broken("LIVE", format!("{} elections at rest", self.cluster.leading - led));
        }
        self.cluster.conv_all_equal()?;
        self.rested = true;
        self.cluster.all_fates_known()
    }

    /// The cluster's time.
    pub(crate) fn now(&self) -> Instant {
        Instant::from_micros(self.cluster.now_micros)
    }
}

/// How many election timeouts a healed cluster has to find a leader and to choose a command.
const ROUNDS_MAX: u64 = 20;
/// A round in which so many slots were chosen is not counted among them.
const BACKLOG_SLOTS: u64 = 8;
/// How many election timeouts of rest everybody has to learn everything.
const REST_ROUNDS: u64 = 5;
/// How many messages of the past are kept.
const HISTORY_MAX: usize = 1000;
