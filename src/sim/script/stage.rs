//! The stage: a cluster in which nothing happens but what a command of a play says.

use core::mem::take;
use core::ops::Range;
use std::boxed::Box;
use std::collections::BTreeMap;
use std::format;
use std::string::{String, ToString};
use std::vec::Vec;

use bytes::Bytes;

use crate::entry::CommandId;
use crate::membership::{ClusterId, DiskId};
use crate::replica::ProposeError;
use crate::sim::cluster::Cluster;
use crate::sim::disk::{Disk, Journal};
use crate::sim::driver::Driver;
use crate::sim::host::{DiskKind, Settings};
use crate::sim::network::{Condition, Envelope, Payload};
use crate::sim::oracle::{Broken, index_of};
use crate::sim::text;
use crate::sim::wal_disk::WalDisk;
use crate::slot::Slot;
use crate::wal::Fault;
use crate::wire;

use super::grammar::{Command, Directory, Links, Lot, Scene, Slots, SyncPart, Which};

/// After how many rounds a cluster that does not come to rest is given up.
const ROUNDS_MAX: usize = 200;

/// Why a play stops.
#[derive(Debug)]
pub(super) enum Failure {
    /// The command asks for what cannot be.
    Bad(String),
    /// What it expects is not so.
    Unmet(String),
    /// What it does breaks a claim.
    Broken(Broken),
}

impl Failure {
    pub(super) fn bad<T>(problem: &str) -> Result<T, Self> {
        Err(Self::Bad(String::from(problem)))
    }

    pub(super) fn unmet<T>(problem: String) -> Result<T, Self> {
        Err(Self::Unmet(problem))
    }
}

impl From<Broken> for Failure {
    fn from(broken: Broken) -> Self {
        Self::Broken(broken)
    }
}

/// The cluster of a play, and what is under way in it.
pub(super) struct Stage {
    pub(super) driver: Driver,
    settings: Settings,
    /// Messages under way, oldest first.
    pub(super) pool: Vec<Envelope>,
    /// What became of each proposal when it was made, by the play's name for it.
    pub(super) proposals: BTreeMap<String, Result<CommandId, ProposeError>>,
    /// The play's names of the commands that were taken in.
    pub(super) names: BTreeMap<CommandId, String>,
    saved: BTreeMap<usize, Box<dyn Disk>>,
    disks_made: u64,
    /// What the command wants to say beside the trace.
    pub(super) lines: Vec<String>,
    /// Only events and fates are shown.
    pub(super) only_events: bool,
}

impl Stage {
    pub(super) fn new(scene: &Scene) -> Self {
        let mut cluster = Cluster::new(&scene.settings, true);
        cluster.trace.keep_all();
        Self {
            driver: Driver::new(cluster, scene.settings.seed),
            settings: scene.settings.clone(),
            pool: Vec::new(),
            proposals: BTreeMap::new(),
            names: BTreeMap::new(),
            saved: BTreeMap::new(),
            disks_made: 0,
            lines: Vec::new(),
            only_events: false,
        }
    }

    /// Starts everybody but those who are down.
    pub(super) fn open(&mut self, down: &[usize]) -> Result<(), Failure> {
        for at in self.everybody().filter(|at| !down.contains(at)) {
            self.driver.cluster.start(at)?;
        }
        self.gather();
        Ok(())
    }

    fn everybody(&self) -> Range<usize> {
        0..self.driver.cluster.hosts.len()
    }

    fn gather(&mut self) {
        self.pool.append(&mut self.driver.cluster.outbox);
    }

    /// Does what a command says.
    pub(super) fn perform(&mut self, command: &Command) -> Result<(), Failure> {
        self.only_events = false;
        let cluster = &mut self.driver.cluster;
        match command {
            Command::Cluster(_) => return Failure::bad("a play has one cluster"),
            Command::Propose { at, names, bytes } => {
                names.iter().try_for_each(|name| self.propose(*at, name, *bytes))?;
            }
            Command::Read { at } => {
                if cluster.read(*at)?.is_none() {
                    self.lines.push(format!("{} takes no read", at + 1));
                }
            }
            Command::Transfer { at, to } => {
                let asked = match to {
                    Some(to) => cluster.transfer(*at, *to)?.err(),
                    None => cluster.resign(*at)?.err(),
                };
                self.lines.extend(asked.map(|error| format!("{} refuses: {error}", at + 1)));
            }
            Command::Mail { which, lot } => self.mail(which, lot)?,
            Command::Way => {
                let lines = self.described(&self.pool);
                self.lines.extend(lines);
            }
            Command::Sync { at, part } => self.sync(*at, *part)?,
            Command::FailSync { at } => match cluster.hosts[*at].disk.wal() {
                Some(wal) => wal.inject(Fault::Sync { after: 0 }),
                None => return Failure::bad("only syncs of disk=wal can fail"),
            },
            Command::Apply { at } => cluster.apply(*at)?,
            Command::Settle { among, holding } => {
                let among: Vec<usize> = match among.is_empty() {
                    true => self.everybody().collect(),
                    false => among.clone(),
                };
                self.settle(&among, holding)?;
            }
            Command::Elect { at, without, holding } => self.elect(*at, without, holding)?,
            Command::Tick { at, micros } => {
                cluster.hosts[*at].ahead_micros += micros;
                cluster.tick(*at)?;
            }
            Command::Pass { micros } => {
                cluster.now_micros += micros;
                self.everybody().try_for_each(|at| self.driver.cluster.tick(at))?;
            }
            Command::Clock { at, micros } => cluster.hosts[*at].ahead_micros += micros,
            Command::Drift { at, millionths } => self.drift(*at, *millionths),
            Command::Run { micros, propose_every } => self.run(*micros, *propose_every)?,
            Command::Crash { at, keep } => self.crash(*at, *keep)?,
            Command::Start { at, refused } => self.start(*at, *refused)?,
            Command::Directory(directory) => self.directory(*directory)?,
            Command::Cut(links) => self.cut(links),
            Command::Mend(links) => self.mend(links.as_ref()),
            Command::Heal => self.heal()?,
            Command::Show(at) => {
                let summary = self.driver.cluster.summary();
                let shown = |(i, _): &(usize, &str)| at.is_none_or(|at| at == *i);
                let lines = summary.split("; ").enumerate().filter(shown);
                self.lines.extend(lines.map(|(_, line)| String::from(line)));
            }
            Command::Expect(expectation) => self.expect(expectation)?,
        }
        self.gather();
        Ok(())
    }

    fn propose(&mut self, at: usize, name: &str, bytes: usize) -> Result<(), Failure> {
        if self.proposals.contains_key(name) {
            return Failure::bad(&format!("`{name}` names a command already"));
        }
        let proposed = self.driver.cluster.propose(at, bytes)?;
        let id = at + 1;
        self.lines.push(match &proposed {
            Ok(_) => format!("{id} takes in {name}"),
            Err(error) => format!("{id} refuses {name}: {error}"),
        });
        if let Ok(id) = proposed {
            self.names.insert(id, String::from(name));
        }
        self.proposals.insert(String::from(name), proposed);
        Ok(())
    }

    /// The oldest messages that are meant, by their places among those under way.
    pub(super) fn fitting(&self, which: &Which) -> Vec<usize> {
        let fitting = self.pool.iter().enumerate().filter(|(_, e)| self.fits(e, which));
        fitting.map(|(i, _)| i).take(which.count.unwrap_or(usize::MAX)).collect()
    }

    fn fits(&self, envelope: &Envelope, which: &Which) -> bool {
        let (from, to) = (index_of(envelope.from.replica), index_of(envelope.to));
        let contents = self.contents(envelope);
        let slot = |slots: &Slots| {
            let speaks = |slot| contents.as_ref().is_some_and(|b| text::speaks_of(b, Slot(slot)));
            (slots.start..slots.end).step_by(slots.step).any(speaks)
        };
        let ballot = contents.as_ref().and_then(text::ballot);
        which.from.is_none_or(|wanted| wanted == from)
            && which.to.is_none_or(|wanted| wanted == to)
            && which.kind.is_none_or(|kind| contents.as_ref().is_some_and(|b| b.name() == kind))
            && which.slots.as_ref().is_none_or(slot)
            && which.ballot.is_none_or(|wanted| ballot == Some(wanted))
            && which.life.is_none_or(|life| envelope.from.incarnation.count() == life)
    }

    /// What is under way; nothing of a frame that was damaged.
    pub(super) fn contents(&self, envelope: &Envelope) -> Option<wire::Body> {
        match &envelope.payload {
            Payload::Message(message) => Some(wire::Body::Message(message.clone())),
            Payload::Frame { bytes, .. } => {
                let decoded = wire::decode(self.driver.cluster.cluster, bytes.clone());
                decoded.ok().map(|(_, body)| body)
            }
        }
    }

    fn mail(&mut self, which: &Which, lot: &Lot) -> Result<(), Failure> {
        let places = self.fitting(which);
        let all = Which::default();
        if places.is_empty() && !(*lot == Lot::Drop && *which == all) {
            return Failure::unmet(String::from("no message under way fits"));
        }
        match lot {
            Lot::Deliver | Lot::Drop => {
                let (mut meant, mut rest) = (Vec::new(), Vec::new());
                for (i, envelope) in take(&mut self.pool).into_iter().enumerate() {
                    if places.contains(&i) { meant.push(envelope) } else { rest.push(envelope) }
                }
                self.pool = rest;
                if *lot == Lot::Drop {
                    let lost = self.described(&meant);
                    self.lines.extend(lost.into_iter().map(|line| format!("lost: {line}")));
                    return Ok(());
                }
                meant.iter().try_for_each(|envelope| self.deliver(envelope))?;
            }
            Lot::Copy => {
                for i in places {
                    let envelope = self.pool[i].clone();
                    self.deliver(&envelope)?;
                }
            }
            Lot::Damage { .. } | Lot::Shorten { .. } => {
                for i in places {
                    self.damage(i, lot)?;
                }
            }
            Lot::OtherCluster { .. } | Lot::OtherDisk { .. } => {
                for i in places {
                    self.forge(i, lot)?;
                }
            }
        }
        Ok(())
    }

    fn deliver(&mut self, envelope: &Envelope) -> Result<(), Failure> {
        let (from, to) = (index_of(envelope.from.replica), index_of(envelope.to));
        let why = match self.driver.cluster.is_up(to) {
            false => Some(format!("{} is down", to + 1)),
            true if self.driver.cluster.cuts.is_cut(from, to) => Some(String::from("cut")),
            true => None,
        };
        match why {
            Some(why) => {
                let line = self.described([envelope]).concat();
                let now = self.driver.cluster.now_micros;
                let line = || format!("{now}ms lost ({why}): {line}");
                self.driver.cluster.trace.line(line);
                Ok(())
            }
            None => Ok(self.driver.cluster.deliver(envelope)?),
        }
    }

    fn damage(&mut self, i: usize, lot: &Lot) -> Result<(), Failure> {
        let Payload::Frame { bytes, condition } = &mut self.pool[i].payload else {
            return Failure::bad("only frames can be damaged: the cluster needs frames=BYTES");
        };
        let mut changed = bytes.to_vec();
        match lot {
            Lot::Damage { byte, bit } => match changed.get_mut(*byte as usize) {
                Some(byte) => *byte ^= 1 << bit,
                None => return Failure::bad(&format!("the frame has {} bytes", bytes.len())),
            },
            Lot::Shorten { bytes } => changed.truncate(*bytes),
            _ => {}
        }
        (*bytes, *condition) = (changed.into(), Condition::Damaged);
        self.lines.push(format!("damaged: {i} of those under way"));
        Ok(())
    }

    fn forge(&mut self, i: usize, lot: &Lot) -> Result<(), Failure> {
        let own = self.driver.cluster.cluster;
        let contents = self.contents(&self.pool[i]);
        let envelope = &mut self.pool[i];
        let cluster = match lot {
            Lot::OtherDisk { disk } => {
                envelope.from.disk = DiskId([*disk; 16]);
                own
            }
            Lot::OtherCluster { name } => match ClusterId::named(name) {
                Ok(cluster) => cluster,
                Err(error) => return Failure::bad(&error.to_string()),
            },
            _ => own,
        };
        match (&mut envelope.payload, contents) {
            (Payload::Message(_), _) if cluster == own => Ok(()),
            (Payload::Frame { bytes, condition }, Some(wire::Body::Message(message))) => {
                let mut forged = Vec::new();
                wire::encode(cluster, envelope.from, &message, &mut forged);
                (*bytes, *condition) = (Bytes::from(forged), Condition::Damaged);
                Ok(())
            }
            _ => Failure::bad("only whole frames can be forged: the cluster needs frames=BYTES"),
        }
    }

    fn sync(&mut self, at: Option<usize>, part: SyncPart) -> Result<(), Failure> {
        let all = self.everybody().filter(|i| at.is_none_or(|at| at == *i));
        for i in all {
            if part != SyncPart::End {
                self.driver.cluster.start_sync(i)?;
            }
            if part != SyncPart::Begin {
                self.driver.cluster.finish_sync(i, None)?;
            }
        }
        Ok(())
    }

    /// Delivers and syncs until nothing is left, among some, and but for some kinds of messages.
    fn settle(&mut self, among: &[usize], holding: &[&str]) -> Result<(), Failure> {
        for _ in 0..ROUNDS_MAX {
            self.gather();
            let mut moved = false;
            for at in among.iter().copied() {
                if self.driver.cluster.is_up(at)
                    && !self.driver.cluster.hosts[at].unsynced.is_empty()
                {
                    self.driver.cluster.sync(at)?;
                    moved = true;
                }
            }
            self.gather();
            for envelope in take(&mut self.pool) {
                let ends = [index_of(envelope.from.replica), index_of(envelope.to)];
                let held =
                    self.contents(&envelope).is_some_and(|body| holding.contains(&body.name()));
                if held || !ends.iter().all(|end| among.contains(end)) {
                    self.pool.push(envelope);
                } else {
                    self.deliver(&envelope)?;
                    moved = true;
                }
            }
            if !moved {
                return Ok(());
            }
        }
        Failure::unmet(format!("no rest after {ROUNDS_MAX} rounds"))
    }

    fn elect(&mut self, at: usize, away: &[usize], holding: &[&str]) -> Result<(), Failure> {
        let timeout = self.driver.cluster.election_timeout_micros();
        let among: Vec<usize> = self.everybody().filter(|i| !away.contains(i)).collect();
        // A leader that nobody answers steps down at its next tick; the candidate asks after that.
        self.driver.cluster.now_micros += 2 * timeout;
        for i in among.iter().copied() {
            let host = &self.driver.cluster.hosts[i];
            let leads = host
                .replica
                .as_ref()
                .is_some_and(|replica| replica.status().role == crate::replica::Role::Leading);
            if leads {
                self.driver.cluster.tick(i)?;
            }
        }
        self.driver.cluster.now_micros += 4 * timeout;
        self.driver.cluster.tick(at)?;
        self.settle(&among, holding)?;
        match self.driver.cluster.leader() {
            Some((leader, _)) if leader == at => Ok(()),
            _ => Failure::unmet(format!(
                "{} does not lead: {}",
                at + 1,
                self.driver.cluster.summary()
            )),
        }
    }

    /// Changes how fast a clock runs; what it shows now stays.
    fn drift(&mut self, at: usize, millionths: i64) {
        let before = self.driver.cluster.local(at);
        self.driver.cluster.hosts[at].drift_millionths = millionths;
        let after = self.driver.cluster.local(at);
        let ahead = &mut self.driver.cluster.hosts[at].ahead_micros;
        *ahead = (*ahead + before.as_micros()).saturating_sub(after.as_micros());
    }

    /// Lets the cluster run in fair weather, and gives whoever leads a command that often.
    fn run(&mut self, micros: u64, propose_every: Option<u64>) -> Result<(), Failure> {
        self.only_events = true;
        let every = propose_every.unwrap_or(micros).max(1);
        let mut left = micros;
        while left > 0 {
            self.gather();
            self.driver.take_over(take(&mut self.pool))?;
            let part = every.min(left);
            self.driver.run_for(part)?;
            left -= part;
            if let (Some(_), Some((leader, _))) = (propose_every, self.driver.cluster.leader()) {
                // Too much may wait already; the next one will do.
                let _refused = self.driver.cluster.propose(leader, 8)?;
            }
        }
        Ok(())
    }

    fn crash(&mut self, at: usize, keep: Option<u64>) -> Result<(), Failure> {
        self.is(at, true)?;
        let unsynced = self.driver.cluster.hosts[at].unsynced.len() as u64;
        let luck = match (self.settings.disk, keep) {
            (DiskKind::Journal, Some(keep)) if keep > unsynced => {
                return Failure::unmet(format!("only {unsynced} records are not synced"));
            }
            (DiskKind::Journal, keep) => keep.unwrap_or(unsynced),
            // The number chooses which sectors are kept; with all, only the process dies.
            (DiskKind::Wal, Some(keep)) => 4 * keep,
            (DiskKind::Wal, None) => 3,
        };
        self.driver.cluster.crash(at, luck);
        Ok(())
    }

    /// Whether a replica is up, as a command needs it.
    fn is(&self, at: usize, up: bool) -> Result<(), Failure> {
        match (self.driver.cluster.is_up(at), up) {
            (true, false) => Failure::unmet(format!("replica {} is up", at + 1)),
            (false, true) => Failure::unmet(format!("replica {} is down", at + 1)),
            _ => Ok(()),
        }
    }

    fn start(&mut self, at: usize, refused: bool) -> Result<(), Failure> {
        self.is(at, false)?;
        match self.driver.cluster.start(at) {
            Ok(()) if refused => Failure::unmet(format!("the log of {} opens", at + 1)),
            Err(Broken { invariant: "START", text }) if refused => {
                self.lines.push(text);
                Ok(())
            }
            started => Ok(started?),
        }
    }

    fn directory(&mut self, directory: Directory) -> Result<(), Failure> {
        let (Directory::Rot { at, .. }
        | Directory::Wipe { at }
        | Directory::Save { at }
        | Directory::Restore { at }) = directory;
        self.is(at, false)?;
        let cluster = &mut self.driver.cluster;
        let replica = cluster.hosts[at].peer.replica;
        match directory {
            Directory::Rot { record, .. } => cluster.rot(at, record),
            Directory::Save { .. } => match cluster.hosts[at].disk.copy() {
                Some(copy) => {
                    self.saved.insert(at, copy);
                }
                None => return Failure::bad("this kind of log cannot be copied"),
            },
            Directory::Wipe { .. } => {
                self.disks_made += 1;
                let seed = self.settings.seed + (self.disks_made << 32);
                let disk = match self.settings.disk {
                    DiskKind::Journal => Journal::boxed(cluster.cluster, replica, seed),
                    DiskKind::Wal => WalDisk::boxed(cluster.cluster, replica, seed, true),
                };
                self.exchange(at, disk);
            }
            Directory::Restore { .. } => {
                let Some(copy) = self.saved.get(&at).and_then(|disk| disk.copy()) else {
                    return Failure::bad("nothing was saved");
                };
                self.exchange(at, copy);
            }
        }
        Ok(())
    }

    /// Puts another disk into a host. What the old one held binds nobody; its replica may be told
    /// to stop.
    fn exchange(&mut self, at: usize, disk: Box<dyn Disk>) {
        let cluster = &mut self.driver.cluster;
        cluster.hosts[at].disk = disk;
        cluster.hosts[at].unsynced.clear();
        cluster.oracle.on_other_disk(at);
        cluster.may_halt = true;
    }

    fn cut(&mut self, links: &Links) {
        let cuts = &mut self.driver.cluster.cuts;
        match links {
            Links::OneWay { from, to } => cuts.cut(*from, *to),
            Links::Both { one, other } => {
                cuts.cut(*one, *other);
                cuts.cut(*other, *one);
            }
            Links::Split { side } => cuts.split(side.iter().fold(0, |side, at| side | 1 << at)),
            Links::Hub { at } => cuts.only_hub(*at),
            Links::Chain => cuts.chain(),
        }
    }

    /// Mends these links, or all.
    fn mend(&mut self, links: Option<&Links>) {
        let replicas = self.everybody();
        let cuts = &mut self.driver.cluster.cuts;
        let mended = |from: usize, to: usize| match links {
            Some(Links::OneWay { from: a, to: b }) => (from, to) == (*a, *b),
            Some(Links::Both { one, other }) => {
                (from, to) == (*one, *other) || (to, from) == (*one, *other)
            }
            _ => true,
        };
        let before = cuts.clone();
        cuts.heal();
        for from in replicas.clone() {
            for to in replicas.clone() {
                if before.is_cut(from, to) && !mended(from, to) {
                    self.driver.cluster.cuts.cut(from, to);
                }
            }
        }
    }

    fn heal(&mut self) -> Result<(), Failure> {
        self.only_events = true;
        self.sync(None, SyncPart::End)?;
        self.driver.take_over(take(&mut self.pool))?;
        self.driver.heal_and_prove_life()?;
        Ok(())
    }
}
