//! Three replicas of a map in one process: a write, and a read of what was written.
use std::{collections::BTreeMap, error::Error, thread::sleep, time::Duration};

use synod::node::channel::Network;
use synod::{ClusterId, Config, Node, Place, ReplicaId, StateMachine, TicketError, Wal};

struct Map(BTreeMap<String, String>);

impl StateMachine for Map {
    type Answer = Option<String>;
    fn apply(&mut self, _: Place, command: &[u8]) -> Option<String> {
        let command = String::from_utf8_lossy(command);
        match command.split(' ').collect::<Vec<_>>()[..] {
            ["set", key, value] => self.0.insert(key.into(), value.into()),
            ["get", key] => self.0.get(key).cloned(),
            _ => None,
        }
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let (directory, network, mut replicas) = (tempfile::tempdir()?, Network::new(), Vec::new());
    for id in [1, 2, 3].map(ReplicaId) {
        let path = directory.path().join(id.to_string());
        let log = Wal::open_directory(path, ClusterId::named("embed")?, id)?;
        let (config, map) = (Config::new([1, 2, 3].map(ReplicaId)), Map(BTreeMap::new()));
        replicas.push(Node::start(config, log, network.transport(id), map)?);
    }
    let propose = |command: &str| loop {
        for replica in &replicas {
            match replica.propose(command.as_bytes()).wait() {
                Err(TicketError::NotLeader { .. }) => sleep(Duration::from_millis(10)),
                result => return result, // The leader's: nobody else takes a command in.
            }
        }
    };
    propose("set paxos 1998")?;
    println!("paxos: {:?}", propose("get paxos")?.answer);
    Ok(())
}
