//! The faults, done: each begins and ends when the plan says, and what is done is written down.

use std::fs::File;
use std::io::{self, Write};
use std::path::Path;
use std::time::Duration;

use rustix::process::Signal;

use super::clock::{Clock, Time};
use super::plan::{Fault, Kind, Target};
use super::proxy::{Proxy, Weather};
use super::servers::Servers;

/// A fault that has begun and is not over.
struct Active {
    kind: Kind,
    /// Whom it hits.
    hit: usize,
    end: Time,
}

/// What is done to the cluster.
pub(crate) struct Faults {
    pub(crate) servers: Servers,
    proxy: Proxy,
    clock: Clock,
    waiting: Vec<(Time, Fault)>,
    active: Vec<Active>,
    /// Who led when it was last known.
    leader: usize,
    /// Everything that was done, with its time.
    story: File,
    /// How many faults have begun.
    pub(crate) count: u64,
}

impl Faults {
    /// Nothing is wrong yet.
    ///
    /// # Errors
    ///
    /// The system's.
    pub(crate) fn new(
        servers: Servers,
        proxy: Proxy,
        clock: Clock,
        directory: &Path,
    ) -> io::Result<Self> {
        let story = File::create(directory.join("faults.txt"))?;
        let (waiting, active) = (Vec::new(), Vec::new());
        Ok(Self { servers, proxy, clock, waiting, active, leader: 0, story, count: 0 })
    }

    /// These are to happen in the round that begins at this time.
    pub(crate) fn add(&mut self, round: Time, faults: Vec<Fault>) {
        self.waiting.extend(faults.into_iter().map(|fault| (round, fault)));
    }

    /// Begins and ends what is due.
    ///
    /// # Errors
    ///
    /// The system's.
    pub(crate) fn turn(&mut self) -> io::Result<()> {
        let now = self.clock.now();
        while let Some(at) = self.active.iter().position(|active| active.end <= now) {
            let over = self.active.swap_remove(at);
            self.end(&over)?;
        }
        let is_due = |(round, fault): &(Time, Fault)| *round + fault.begin <= now;
        while let Some(at) = self.waiting.iter().position(is_due) {
            let (round, fault) = self.waiting.swap_remove(at);
            self.begin(fault.kind, round + fault.end)?;
        }
        Ok(())
    }

    /// Ends everything, and starts whoever is down.
    ///
    /// # Errors
    ///
    /// The system's.
    pub(crate) fn heal(&mut self) -> io::Result<()> {
        self.waiting.clear();
        for over in std::mem::take(&mut self.active) {
            self.end(&over)?;
        }
        self.tell("all is well")
    }

    /// What is wrong now, for people.
    pub(crate) fn describe(&self) -> String {
        let texts: Vec<String> = self.active.iter().map(Active::describe).collect();
        if texts.is_empty() { "none".to_owned() } else { texts.join(" + ") }
    }

    fn begin(&mut self, kind: Kind, end: Time) -> io::Result<()> {
        let hit = match kind.target() {
            Some(Target::Replica(replica)) => replica,
            Some(Target::Leader) => {
                self.leader = self.servers.leader().unwrap_or(self.leader);
                self.leader
            }
            None => 0,
        };
        match kind {
            Kind::Kill(_) => self.servers.kill(hit)?,
            Kind::KillAll => (0..self.servers.len()).try_for_each(|all| self.servers.kill(all))?,
            Kind::Stop(_) => self.servers.signal(hit, Signal::STOP)?,
            Kind::Isolate(_)
            | Kind::Deafen(_)
            | Kind::Mute(_)
            | Kind::Cut(..)
            | Kind::Weather(_) => {}
        }
        self.count += 1;
        let active = Active { kind, hit, end };
        let text = active.describe();
        self.active.push(active);
        self.change_weather();
        self.tell(&text)
    }

    fn end(&mut self, over: &Active) -> io::Result<()> {
        match over.kind {
            Kind::Kill(_) => self.servers.start(over.hit)?,
            Kind::KillAll => (0..self.servers.len()).try_for_each(|all| self.servers.start(all))?,
            Kind::Stop(_) => self.servers.signal(over.hit, Signal::CONT)?,
            Kind::Isolate(_)
            | Kind::Deafen(_)
            | Kind::Mute(_)
            | Kind::Cut(..)
            | Kind::Weather(_) => {}
        }
        self.change_weather();
        self.tell(&format!("over: {}", over.describe()))
    }

    /// The weather that all faults together make.
    fn change_weather(&self) {
        let mut everywhere = Weather::default();
        for active in &self.active {
            if let Kind::Weather(weather) = active.kind {
                everywhere = weather;
            }
        }
        let active = &self.active;
        self.proxy.change(|from, to| {
            let cut = active.iter().any(|active| active.kind.cuts(active.hit, from, to));
            Weather { cut, ..everywhere }
        });
    }

    /// Writes down what happened.
    ///
    /// # Errors
    ///
    /// The system's.
    pub(crate) fn tell(&mut self, what: &str) -> io::Result<()> {
        writeln!(self.story, "{:>10.3} s  {what}", self.clock.now().as_secs_f64())
    }
}

impl Active {
    fn describe(&self) -> String {
        match self.kind.target() {
            Some(Target::Leader) => format!("{} (replica {})", self.kind, self.hit + 1),
            Some(Target::Replica(_)) | None => self.kind.to_string(),
        }
    }
}

/// How often there is a look for what is due.
pub(crate) const TURN: Duration = Duration::from_millis(10);
