//! The clients of a run: where they send their commands, how long they wait, and what they do then.
//!
//! A client sends to any replica, and stays with it as long as that takes its commands in; told
//! that another one may lead, it goes there. Now and then it reads, too, anywhere. What it hears
//! nothing of within its patience, or what stops with its replica, may still be applied: it stays
//! unknown, for good. If the client tries again, it sends a new command.

use std::vec::Vec;

use bytes::Bytes;

use super::cluster::Cluster;
use super::oracle::{Broken, index_of};
use super::random::Random;
use super::service::Standing;

/// The habits of a run's clients.
///
/// ```
/// use synod::sim::{Clients, Swarm, simulate};
///
/// let busy = Clients { count: 20, outstanding: 64, ..Clients::from_seed(1) };
/// let swarm = Swarm::fault_free(1).with(|parts| parts.clients = busy)?;
/// assert!(simulate(&swarm)?.operations > 0);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Clients {
    /// How many clients there are, at least 1.
    pub count: usize,
    /// How many commands each waits for at a time, at least 1. One that waits for so many sends no
    /// more.
    pub outstanding: usize,
    /// How long a client waits for an answer, and up to how much longer, in microseconds.
    pub patience_micros: (u64, u64),
    /// How often what was not applied, or is unknown, is sent again as a new command.
    pub retries: u32,
    /// How many of a thousand commands go to any replica, and not to the one that the client stays
    /// with.
    pub roam_permille: u32,
    /// How often of a thousand turns a client reads, at any replica.
    pub read_permille: u32,
}

impl Clients {
    /// The habits that the seed stands for.
    #[must_use]
    pub fn from_seed(seed: u64) -> Self {
        let mut random = Random::from_seed(seed ^ 0xc11e_4750);
        let mut pick = |from: &[u64]| from[random.below(from.len() as u64) as usize];
        Self {
            count: pick(&[1, 3, 8, 20]) as usize,
            outstanding: pick(&[1, 4, 64, 1000]) as usize,
            patience_micros: (pick(&[5000, 100_000, 1_000_000]), pick(&[1, 100_000, 1_000_000])),
            retries: pick(&[0, 0, 1, 3]) as u32,
            roam_permille: pick(&[0, 50, 500, 1000]) as u32,
            read_permille: pick(&[0, 100, 500, 1000]) as u32,
        }
    }
}

/// A command that a client waits for.
struct Awaited {
    operation: usize,
    command: Bytes,
    until_micros: u64,
    retries: u32,
}

#[derive(Default)]
struct Client {
    awaited: Vec<Awaited>,
    /// Where it sends its commands.
    favourite: Option<usize>,
}

/// The clients at work.
pub(crate) struct Crowd {
    habits: Clients,
    random: Random,
    clients: Vec<Client>,
    /// How many more commands are sent that a replica takes in, if that is limited.
    pub(crate) left: Option<u64>,
}

impl Crowd {
    pub(crate) fn new(habits: &Clients, seed: u64) -> Self {
        let mut clients = Vec::new();
        clients.resize_with(habits.count.max(1), Client::default);
        let random = Random::from_seed(seed ^ 0xc11e_4751);
        Self { habits: habits.clone(), random, clients, left: None }
    }

    /// One of the clients has time: it looks after what it waits for, and sends a new command of
    /// about this length, if it has a length to choose.
    pub(crate) fn turn(&mut self, cluster: &mut Cluster, bytes: usize) -> Result<(), Broken> {
        let client = self.random.below(self.clients.len() as u64) as usize;
        for (command, retries) in self.look_after(cluster, client) {
            cluster.marks.retried += 1;
            self.send(cluster, client, command, retries)?;
        }
        if self.clients[client].awaited.len() < self.habits.outstanding.max(1) {
            let command = cluster.service.command(client + 1, bytes);
            self.send(cluster, client, command.into(), self.habits.retries)?;
        }
        if self.random.chance(self.habits.read_permille) {
            let at = self.random.below(cluster.hosts.len() as u64) as usize;
            cluster.read(at)?;
        }
        Ok(())
    }

    /// Forgets what is settled or takes too long; what is to be sent again.
    fn look_after(&mut self, cluster: &mut Cluster, client: usize) -> Vec<(Bytes, u32)> {
        let Client { awaited, favourite } = &mut self.clients[client];
        let (mut again, now_micros) = (Vec::new(), cluster.now_micros);
        awaited.retain(|one| {
            match cluster.service.standing(one.operation) {
                Standing::Answered => return false,
                Standing::Waiting if one.until_micros > now_micros => return true,
                Standing::Waiting => {
                    cluster.service.give_up(one.operation);
                    cluster.marks.given_up += 1;
                    *favourite = None;
                }
                Standing::Never(leader) => *favourite = leader.map(index_of),
                Standing::Stopped => *favourite = None,
            }
            if let Some(left) = one.retries.checked_sub(1) {
                again.push((one.command.clone(), left));
            }
            false
        });
        again
    }

    /// Sends a command to the replica that the client stays with, or to any.
    fn send(
        &mut self,
        cluster: &mut Cluster,
        client: usize,
        command: Bytes,
        retries: u32,
    ) -> Result<(), Broken> {
        if self.left == Some(0) {
            return Ok(());
        }
        let replicas = cluster.hosts.len() as u64;
        let favourite = self.clients[client].favourite;
        let at = match favourite.filter(|_| !self.random.chance(self.habits.roam_permille)) {
            Some(at) => at,
            None => self.random.below(replicas) as usize,
        };
        if let Ok((_, operation)) = cluster.propose_as(client + 1, at, command.clone())? {
            let (least, more) = self.habits.patience_micros;
            let patience = least + self.random.below(more.saturating_add(1));
            let until_micros = cluster.now_micros.saturating_add(patience);
            let awaited = Awaited { operation, command, until_micros, retries };
            self.clients[client].favourite = Some(at);
            self.left = self.left.map(|left| left - 1);
            self.clients[client].awaited.push(awaited);
            return Ok(());
        }
        // Nobody took it in: it is certain that it is never applied.
        self.clients[client].favourite = None;
        Ok(())
    }
}

#[cfg(test)]
mod tests;
