//! Three replicas of a map in one process: a write, and a read of what was written.
use std::{collections::BTreeMap, error::Error, time::Duration};

use synod::node::channel::Network;
use synod::{ClusterId, Config, Consistency, Node, Place, ReplicaId, StateMachine, Wal};

struct Map(BTreeMap<String, String>);

impl StateMachine for Map {
    type Answer = Option<String>;
    fn apply(&mut self, _: Place, command: &[u8]) -> Option<String> {
        let command = String::from_utf8_lossy(command);
        let (key, value) = command.split_once('=')?;
        self.0.insert(key.into(), value.into())
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let (directory, network, mut replicas) = (tempfile::tempdir()?, Network::new(), Vec::new());
    for id in [1, 2, 3].map(ReplicaId) {
        let path = directory.path().join(id.to_string());
        let log = Wal::open_directory(path, ClusterId::named("embed")?, id)?;
        let mut config = Config::new([1, 2, 3].map(ReplicaId));
        config.patience = Duration::from_secs(10); // The cluster forms first, and elects a leader.
        replicas.push(Node::start(config, log, network.transport(id), Map(BTreeMap::new()))?);
    }
    // Any replica takes commands and reads; whoever leads, they know.
    let written = replicas[0].propose(b"paxos=1998").wait()?;
    println!("written at {}", written.place);
    let read = |map: &Map| map.0.get("paxos").cloned();
    println!("paxos: {:?}", replicas[1].read(Consistency::Linearizable, read).wait()?);
    Ok(())
}
