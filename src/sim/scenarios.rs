//! The situations in which machines die at every call of their disks.

use crate::config::Config;
use crate::wal::{Fault, Kept};

use super::driver::Driver;
use super::host::{DiskKind, Settings};
use super::oracle::{Broken, broken};
use super::weather::Weather;

/// One millisecond, in microseconds.
const MS: u64 = 1000;
/// How long a cluster has to find a leader, in milliseconds.
const ELECTION: u64 = 400;
/// A command of which some fill a segment, in bytes.
const LONG: usize = 7000;

/// A scripted situation. Clusters are of three replicas unless it says otherwise.
///
/// ```
/// use synod::sim::{Scenario, crash_points};
///
/// assert_eq!(Scenario::Alone.roles(), 1, "one machine, which leads");
/// assert!(!crash_points(Scenario::Alone)?.is_empty());
/// # Ok::<(), synod::sim::Violation>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Scenario {
    /// A replica is started for the first time, together with the others.
    FirstStart,
    /// A replica is started for the first time, and the others wait for it.
    LastFirstStart,
    /// The cluster forms.
    Forming,
    /// The first election.
    FirstElection,
    /// The first command is accepted and chosen.
    FirstCommand,
    /// Many commands at once share groups.
    GroupCommit,
    /// Two syncs run at a time.
    TwoSyncs,
    /// Long commands fill a segment and begin the next.
    SegmentRoll,
    /// The leader is cut off, and the others elect another.
    LeaderLoss,
    /// A cut-off leader, with commands that nobody accepted, is deposed.
    Deposed,
    /// The leader dies with proposals in flight, and another takes them over.
    TakeOver,
    /// The leader dies with gaps among its proposals, and another fills them.
    Gaps,
    /// A replica starts again; everything had been synced.
    Restart,
    /// A process starts again that died with records in the page cache.
    RestartAfterKill,
    /// A replica starts again after a power cut in the middle of a sync.
    RestartTorn,
    /// The same, and the start dies too, and the next one.
    RestartTwice,
    /// A replica starts again with more records in the page cache than one segment takes.
    RestartLongTail,
    /// A replica starts again after records went bad.
    RestartRotten,
    /// A replica starts again after a sync failed.
    RestartAfterFailedSync,
    /// A replica starts again on a full disk.
    RestartFull,
    /// A replica that was away starts and catches up.
    CatchUp,
    /// A replica sends another what it lacks.
    Serve,
    /// A replica that was cut off learns what was chosen meanwhile.
    Learn,
    /// Everybody loses power at once, and starts again.
    AllRestart,
    /// A replica's log is closed, and it starts again.
    CleanStop,
    /// One replica alone.
    Alone,
    /// Five replicas elect a leader and choose.
    Five,
}

impl Scenario {
    /// Every scenario.
    pub const ALL: [Self; 27] = [
        Self::FirstStart,
        Self::LastFirstStart,
        Self::Forming,
        Self::FirstElection,
        Self::FirstCommand,
        Self::GroupCommit,
        Self::TwoSyncs,
        Self::SegmentRoll,
        Self::LeaderLoss,
        Self::Deposed,
        Self::TakeOver,
        Self::Gaps,
        Self::Restart,
        Self::RestartAfterKill,
        Self::RestartTorn,
        Self::RestartTwice,
        Self::RestartLongTail,
        Self::RestartRotten,
        Self::RestartAfterFailedSync,
        Self::RestartFull,
        Self::CatchUp,
        Self::Serve,
        Self::Learn,
        Self::AllRestart,
        Self::CleanStop,
        Self::Alone,
        Self::Five,
    ];

    /// In how many roles a machine may die: the leader, and those that follow it; or whoever is
    /// the first, and the others.
    #[must_use]
    pub fn roles(self) -> usize {
        match self {
            Self::FirstStart | Self::LastFirstStart | Self::Alone | Self::Serve | Self::Learn => 1,
            Self::FirstElection | Self::Deposed | Self::Five => 3,
            _ => 2,
        }
    }

    /// Whether it is about dying again in the start that follows.
    pub(super) fn dies_twice(self) -> bool {
        self == Self::RestartTwice
    }

    pub(super) fn settings(self) -> Settings {
        let mut config = Config::new([]);
        (config.batch_bytes, config.pipeline_slots) = (8 << 10, 64);
        let formed =
            !matches!(self, Self::FirstStart | Self::LastFirstStart | Self::Forming | Self::Alone);
        let replicas = match self {
            Self::Alone => 1,
            Self::Five => 5,
            _ => 3,
        };
        let (disk, frame_bytes_max) = (DiskKind::Wal, None);
        let (priorities, slow_machines, seed) = (std::vec![], false, 7);
        Settings {
            replicas,
            config,
            priorities,
            formed,
            slow_machines,
            disk,
            frame_bytes_max,
            seed,
        }
    }

    pub(super) fn weather(self) -> Weather {
        let sync_micros = match self {
            Self::TwoSyncs => (4 * MS, 0),
            _ => Weather::FAIR.sync_micros,
        };
        Weather { sync_micros, ..Weather::FAIR }
    }

    /// Plays up to the moment that the scenario is about. Returns whose machine dies.
    pub(super) fn begin(self, driver: &mut Driver, role: usize) -> Result<usize, Broken> {
        match self {
            Self::FirstStart | Self::Alone => return Ok(0),
            Self::LastFirstStart => {
                (1..3).try_for_each(|at| driver.start(at))?;
                run(driver, 100)?;
                return Ok(0);
            }
            Self::Forming | Self::FirstElection | Self::Five => {
                start_all(driver)?;
                return Ok(role);
            }
            _ => {}
        }
        start_all(driver)?;
        run(driver, ELECTION)?;
        let leader = leader(driver)?;
        let victim = (leader + role) % 3;
        match self {
            Self::GroupCommit | Self::TwoSyncs | Self::SegmentRoll => propose(driver, 2, 100)?,
            Self::LeaderLoss => driver.cluster.cuts.split(1 << leader),
            Self::Deposed => {
                driver.cluster.cuts.split(1 << leader);
                propose(driver, 3, 100)?;
                run(driver, 2 * ELECTION)?;
                propose(driver, 3, 100)?;
                run(driver, 50)?;
            }
            Self::TakeOver | Self::Gaps => return self.lose_leader(driver, leader, role),
            Self::Serve | Self::CatchUp => {
                let away = if self == Self::Serve { (leader + 1) % 3 } else { victim };
                propose(driver, 3, 100)?;
                run(driver, 20)?;
                take_down(driver, away, Kept::Everything);
                run(driver, ELECTION)?;
                for _ in 0..10 {
                    propose(driver, 2, 500)?;
                    run(driver, 2)?;
                }
                if self == Self::Serve {
                    return self::leader(driver);
                }
            }
            Self::Learn => {
                let away = (leader + 1) % 3;
                driver.cluster.cuts.split(1 << away);
                for _ in 0..10 {
                    propose(driver, 2, 500)?;
                    run(driver, 2)?;
                }
                return Ok(away);
            }
            Self::AllRestart => {
                propose(driver, 10, 300)?;
                driver.run_for(700)?;
                (0..3).for_each(|at| take_down(driver, at, Kept::Some { seed: at as u64 }));
            }
            _ => self.end_life(driver, victim)?,
        }
        Ok(victim)
    }

    /// The leader dies with proposals in flight. Returns one of the others.
    fn lose_leader(self, driver: &mut Driver, leader: usize, role: usize) -> Result<usize, Broken> {
        for nth in 0..6 {
            // One of the followers hears only every other proposal.
            if self == Self::Gaps && nth % 2 == 0 {
                driver.cluster.cuts.split(1 << leader);
            }
            propose_at(driver, leader, 100)?;
            driver.run_for(100)?;
            driver.cluster.cuts.heal();
        }
        take_down(driver, leader, Kept::Nothing);
        Ok((leader + 1 + role) % 3)
    }

    /// A life that ends so that the next start has something to do.
    fn end_life(self, driver: &mut Driver, victim: usize) -> Result<(), Broken> {
        match self {
            Self::Restart | Self::RestartRotten => {
                propose(driver, 10, 300)?;
                run(driver, 50)?;
                take_down(driver, victim, Kept::Everything);
                if self == Self::RestartRotten {
                    (0..3).for_each(|luck| driver.cluster.rot(victim, luck));
                }
            }
            Self::RestartAfterKill | Self::RestartTorn | Self::RestartTwice => {
                propose(driver, 4, 3000)?;
                driver.run_for(550)?;
                propose(driver, 4, 3000)?;
                driver.run_for(150)?;
                match self {
                    Self::RestartAfterKill => kill(driver, victim),
                    _ => take_down(driver, victim, Kept::Some { seed: 5 }),
                }
            }
            Self::RestartLongTail => {
                driver.stalled[victim] = u64::MAX;
                propose(driver, 14, LONG)?;
                run(driver, 5)?;
                kill(driver, victim);
                driver.stalled[victim] = 0;
            }
            Self::RestartAfterFailedSync => {
                if let Some(wal) = driver.cluster.hosts[victim].disk.wal() {
                    wal.inject(Fault::Sync { after: 0 });
                }
                propose(driver, 2, 300)?;
                until_down(driver, victim)?;
            }
            Self::RestartFull => {
                if let Some(wal) = driver.cluster.hosts[victim].disk.wal() {
                    wal.leave_room(Some(0));
                }
                while driver.cluster.is_up(victim) {
                    propose(driver, 1, LONG)?;
                    driver.run_for(500)?;
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// Plays on.
    pub(super) fn act(self, driver: &mut Driver, victim: usize) -> Result<(), Broken> {
        match self {
            Self::FirstStart | Self::LastFirstStart | Self::Forming | Self::FirstElection => {
                start_all(driver)?;
                run(driver, ELECTION)
            }
            Self::Alone | Self::Five => {
                start_all(driver)?;
                run(driver, ELECTION)?;
                propose(driver, 5, 300)?;
                run(driver, 20)
            }
            Self::FirstCommand => {
                propose(driver, 1, 100)?;
                run(driver, 50)
            }
            Self::GroupCommit => {
                propose(driver, 30, 200)?;
                run(driver, 50)
            }
            Self::TwoSyncs => {
                for _ in 0..8 {
                    propose(driver, 1, 400)?;
                    driver.run_for(1500)?;
                }
                run(driver, 30)
            }
            Self::SegmentRoll => {
                for _ in 0..10 {
                    propose(driver, 1, LONG)?;
                    driver.run_for(MS)?;
                }
                run(driver, 30)
            }
            Self::Deposed | Self::Learn => {
                driver.cluster.cuts.heal();
                run(driver, ELECTION)
            }
            Self::LeaderLoss | Self::TakeOver | Self::Gaps => {
                run(driver, ELECTION)?;
                driver.cluster.cuts.heal();
                run(driver, 50)
            }
            Self::CleanStop => {
                driver.cluster.close(victim)?;
                driver.start(victim)?;
                run(driver, 50)
            }
            Self::RestartFull => {
                driver.start(victim)?;
                run(driver, 20)?;
                driver.make_room(victim);
                run(driver, 100)
            }
            _ => {
                start_all(driver)?;
                run(driver, 150)
            }
        }
    }
}

fn start_all(driver: &mut Driver) -> Result<(), Broken> {
    (0..driver.cluster.hosts.len()).try_for_each(|at| driver.start(at))
}

fn run(driver: &mut Driver, millis: u64) -> Result<(), Broken> {
    driver.run_for(millis * MS)
}

fn leader(driver: &Driver) -> Result<usize, Broken> {
    match driver.cluster.leader() {
        Some((leader, _)) => Ok(leader),
        None => broken("LIVE", std::format!("nobody leads: {}", driver.cluster.summary())),
    }
}

/// Proposes commands at the leader, if there is one.
fn propose(driver: &mut Driver, commands: usize, bytes: usize) -> Result<(), Broken> {
    match driver.cluster.leader() {
        Some((leader, _)) => (0..commands).try_for_each(|_| propose_at(driver, leader, bytes)),
        None => Ok(()),
    }
}

fn propose_at(driver: &mut Driver, at: usize, bytes: usize) -> Result<(), Broken> {
    driver.cluster.propose(at, bytes).map(|_| ())
}

fn take_down(driver: &mut Driver, at: usize, kept: Kept) {
    driver.end_life(at, |wal| wal.cut_power(kept));
}

fn kill(driver: &mut Driver, at: usize) {
    driver.end_life(at, super::disk::Disk::kill);
}

/// Lets time pass until the host has stopped by itself.
fn until_down(driver: &mut Driver, at: usize) -> Result<(), Broken> {
    for _ in 0..1000 {
        if !driver.cluster.is_up(at) {
            return Ok(());
        }
        driver.run_for(100)?;
    }
    broken("REPRO", std::format!("{} does not stop", at + 1))
}
