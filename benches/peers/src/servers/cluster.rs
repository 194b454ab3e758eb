//! The members of one kind of server, on loopback, each with a directory on the disk.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tempfile::TempDir;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use super::client::{Client, name};
use super::kind::{Kind, Place};
use super::ledger::Ledger;
use super::process::{Process, free_ports};

/// How long members may take until one leads.
const START: Duration = Duration::from_secs(60);

/// How often members are looked at while something is waited for.
const LOOK: Duration = Duration::from_millis(20);

/// How long a member may take to say what it is.
const ANSWER: Duration = Duration::from_secs(2);

/// How many clients write every key once.
const FILLING: u32 = 64;

/// How many keys are read back.
const SAMPLE: u32 = 100;

/// Where clusters are made, and of what.
#[derive(Clone, Debug)]
pub(crate) struct Setting {
    /// The program of synod's server.
    pub(crate) udp_kv: PathBuf,
    /// Where the directories of members are made.
    pub(crate) directory: PathBuf,
    pub(crate) keys: u32,
    pub(crate) value_bytes: usize,
}

/// A running cluster. Its processes and its data are gone when it is dropped.
#[derive(Debug)]
pub(crate) struct Cluster {
    pub(crate) kind: Kind,
    // Before their directory: what writes there ends first.
    processes: Vec<Process>,
    places: Vec<Place>,
    udp_kv: PathBuf,
    pub(crate) ledger: Arc<Mutex<Ledger>>,
    /// The names of all keys.
    pub(crate) names: Arc<[String]>,
    directory: TempDir,
}

/// A lock that is taken whatever became of others who had it: a panic ends the program anyway.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Cluster {
    /// Starts all members, waits until one leads, and writes every key once.
    ///
    /// # Errors
    ///
    /// Says what did not work.
    pub(crate) async fn start(kind: Kind, setting: &Setting) -> Result<Self, String> {
        let directory = tempfile::Builder::new()
            .prefix(&format!("peers-{}-", kind.name()))
            .tempdir_in(&setting.directory)
            .map_err(|error| format!("{}: {error}", setting.directory.display()))?;
        let ports = free_ports(kind.members() * 3)?;
        let (ports, _) = ports.as_chunks();
        let place = |(i, ports): (usize, &[u16; 3])| Place {
            number: i + 1,
            directory: directory.path().join(format!("{}", i + 1)),
            ports: *ports,
        };
        let places = ports.iter().enumerate().map(place).collect();
        let mut cluster = Self {
            kind,
            processes: Vec::new(),
            places,
            udp_kv: setting.udp_kv.clone(),
            ledger: Arc::new(Mutex::new(Ledger::new(setting.keys, setting.value_bytes))),
            names: (0..setting.keys).map(name).collect(),
            directory,
        };
        for member in 0..cluster.places.len() {
            let process = cluster.process(member)?;
            cluster.processes.push(process);
        }
        cluster.wait_for_leader().await?;
        cluster.fill().await?;
        Ok(cluster)
    }

    /// How many members there are.
    pub(crate) fn members(&self) -> usize {
        self.places.len()
    }

    /// Where clients reach a member.
    pub(crate) fn address(&self, member: usize) -> std::net::SocketAddr {
        self.places[member].address()
    }

    fn process(&self, member: usize) -> Result<Process, String> {
        let me = &self.places[member];
        let command = self.kind.command(me, &self.places, &self.udp_kv)?;
        let log = self.directory.path().join(format!("{}.log", me.number));
        Process::start(&command, &log)
    }

    /// Kills a member with SIGKILL.
    pub(crate) fn kill(&mut self, member: usize) {
        self.processes[member].kill();
    }

    /// Starts a member again that was killed, and waits until it takes part.
    ///
    /// # Errors
    ///
    /// It does not within a minute.
    pub(crate) async fn restart(&mut self, member: usize) -> Result<(), String> {
        self.processes[member] = self.process(member)?;
        self.wait_for_leader().await?;
        let until = Instant::now() + START;
        loop {
            self.processes[member].check()?;
            match timeout(ANSWER, self.check_sample(member)).await {
                Ok(Ok(())) => return Ok(()),
                Ok(Err(error)) if Instant::now() > until => return Err(error),
                _ => sleep(LOOK).await,
            }
        }
    }

    /// How much of the processors all members have used so far.
    pub(crate) fn cpu(&self) -> Duration {
        self.processes.iter().map(Process::cpu).sum()
    }

    /// Who leads, and its term; `None` if nobody does, or there is no telling.
    pub(crate) async fn leader(&self) -> Option<(usize, u64)> {
        let mut leaders = Vec::new();
        for (member, place) in self.places.iter().enumerate() {
            let look = timeout(ANSWER, self.kind.look(place.address())).await;
            if let Ok(Ok(look)) = look
                && look.leads
            {
                leaders.push((member, look.term));
            }
        }
        // One that was replaced may not know yet.
        leaders.into_iter().max_by_key(|(_, term)| *term)
    }

    /// Waits until somebody leads; returns who, and its term.
    ///
    /// # Errors
    ///
    /// Nobody does within a minute, or a member ends by itself.
    pub(crate) async fn wait_for_leader(&mut self) -> Result<(usize, u64), String> {
        let until = Instant::now() + START;
        while Instant::now() < until {
            if let Some(found) = self.leader().await {
                return Ok(found);
            }
            for process in &mut self.processes {
                process.check()?;
            }
            sleep(LOOK).await;
        }
        Err(format!("{}: nobody leads after {} s", self.kind.name(), START.as_secs()))
    }

    /// Writes every key once.
    async fn fill(&mut self) -> Result<(), String> {
        let (leader, _) = self.wait_for_leader().await?;
        let (kind, address) = (self.kind, self.address(leader));
        let mut tasks = JoinSet::new();
        for first in 0..FILLING {
            let (ledger, names) = (Arc::clone(&self.ledger), Arc::clone(&self.names));
            tasks.spawn(async move {
                let mut client = Client::connect(kind, address).await?;
                let mut value = Vec::new();
                for (key, name) in (0..).zip(&*names).skip(first as usize).step_by(FILLING as usize)
                {
                    lock(&ledger).next(key, &mut value);
                    client.create(name, &value).await?;
                    lock(&ledger).acknowledge(key);
                }
                client.close().await;
                Ok::<_, String>(())
            });
        }
        all(tasks, kind).await
    }

    /// Reads some keys at a member and holds that they have what was written.
    ///
    /// # Errors
    ///
    /// They have not, or it does not answer.
    pub(crate) async fn check_sample(&self, member: usize) -> Result<(), String> {
        let mut client = Client::connect(self.kind, self.address(member)).await?;
        let keys = lock(&self.ledger).keys();
        for i in 0..SAMPLE.min(keys) {
            let key = u32::try_from(u64::from(i) * u64::from(keys) / u64::from(SAMPLE.min(keys)));
            let key = key.unwrap_or_default();
            let value = client.value(&self.names[key as usize]).await?;
            let member = member + 1;
            let checked = lock(&self.ledger).check(key, &value);
            checked.map_err(|error| format!("{} {member}: {error}", self.kind.name()))?;
        }
        client.close().await;
        Ok(())
    }
}

/// Waits for all tasks.
///
/// # Errors
///
/// The first failure of one; the others end.
pub(crate) async fn all(mut tasks: JoinSet<Result<(), String>>, kind: Kind) -> Result<(), String> {
    while let Some(ended) = tasks.join_next().await {
        let ended = ended.map_err(|error| error.to_string()).and_then(|result| result);
        ended.map_err(|error| format!("{}: {error}", kind.name()))?;
    }
    Ok(())
}
