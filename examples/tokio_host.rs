//! Three replicas on tokio: a transport over its UDP sockets, and tickets that a task awaits.
//!
//! `tokio_host [DIRECTORY]` keeps its logs in the directory, so that a second run goes on with what
//! the first one wrote; without one they vanish. The datagrams are not authenticated: this is for
//! loopback only, and `synod::udp` does that.
use std::collections::BTreeMap;
use std::error::Error;
use std::net::SocketAddr;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use synod::{
    ClusterId, Config, Consistency, Handle, Inbox, Node, Place, ReplicaId, StateMachine, Transport,
    Wal,
};
use tokio::net::UdpSocket;
use tokio::task::{self, JoinHandle};
use tokio::time;

const IDS: [ReplicaId; 3] = [ReplicaId(1), ReplicaId(2), ReplicaId(3)];

/// The state machine: lines, in the order in which they were chosen.
#[derive(Default)]
struct Lines(Vec<String>);

impl StateMachine for Lines {
    type Answer = usize;
    fn apply(&mut self, _: Place, command: &[u8]) -> usize {
        self.0.push(String::from_utf8_lossy(command).into());
        self.0.len()
    }
}

struct TokioUdp {
    socket: Arc<UdpSocket>,
    peers: BTreeMap<ReplicaId, SocketAddr>,
    receiving: Option<JoinHandle<()>>,
}

impl Transport for TokioUdp {
    fn send(&mut self, to: ReplicaId, frame: &[u8]) {
        // Never waits: what the socket does not take at once is lost, as datagrams may be.
        let _ = self.peers.get(&to).map(|address| self.socket.try_send_to(frame, *address));
    }

    fn max_frame(&self) -> usize {
        1200 // Safe on every path. What is longer goes in pieces.
    }

    /// Called by `Node::start`, and that by a task: so there is a runtime to spawn on.
    fn open(&mut self, inbox: Inbox) {
        let socket = Arc::clone(&self.socket);
        self.receiving = Some(tokio::spawn(async move {
            let mut buffer = [0; 1200];
            loop {
                match socket.recv_from(&mut buffer).await {
                    Ok((bytes, _)) => inbox.deliver(Bytes::copy_from_slice(&buffer[..bytes])),
                    // Some systems tell here that a peer is down. It may come back.
                    Err(_) => time::sleep(Duration::from_millis(10)).await,
                }
            }
        }));
    }
}

impl Drop for TokioUdp {
    fn drop(&mut self) {
        if let Some(task) = &self.receiving {
            task.abort();
        }
    }
}

/// Starts the three replicas, each on a socket of its own.
async fn start(directory: &Path) -> Result<Vec<Handle<Lines>>, Box<dyn Error>> {
    let (mut sockets, mut peers) = (Vec::new(), BTreeMap::new());
    for id in IDS {
        let socket = UdpSocket::bind("127.0.0.1:0").await?;
        peers.insert(id, socket.local_addr()?);
        sockets.push((id, Arc::new(socket)));
    }
    let mut nodes = Vec::new();
    for (id, socket) in sockets {
        // Opening a log reads files: a server does this before its runtime is busy.
        let log = Wal::open_directory(
            directory.join(id.to_string()),
            ClusterId::named("tokio host")?,
            id,
        )?;
        let mut config = Config::new(IDS);
        config.patience = Duration::from_secs(10); // The cluster forms first, and elects a leader.
        let transport = TokioUdp { socket, peers: peers.clone(), receiving: None };
        nodes.push(Node::start(config, log, transport, Lines::default())?);
    }
    Ok(nodes)
}

async fn run(directory: &Path) -> Result<(), Box<dyn Error>> {
    let nodes = start(directory).await?;
    // All are under way before the first is awaited. Any replica takes commands.
    let propose = |(id, node): (ReplicaId, &Handle<Lines>)| {
        (id, node.propose(format!("hello from replica {id}").as_bytes()))
    };
    let tickets: Vec<_> = IDS.into_iter().zip(&nodes).map(propose).collect();
    for (id, ticket) in tickets {
        // Whoever stops waiting does not know what becomes of the command.
        let applied = time::timeout(Duration::from_secs(30), ticket).await??;
        println!("replica {id} wrote line {} at {}", applied.answer, applied.place);
    }
    // A linearizable read at any replica sees everything that was acknowledged.
    for (id, node) in IDS.into_iter().zip(&nodes) {
        let lines = node.read(Consistency::Linearizable, |lines| lines.0.clone()).await?;
        println!("replica {id} has {} lines, the last: {}", lines.len(), lines[lines.len() - 1]);
    }
    // Stopping waits for the disk.
    for node in nodes {
        task::spawn_blocking(move || node.stop()).await??;
    }
    Ok(())
}

async fn with_directory() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args_os().skip(1);
    match (arguments.next(), arguments.next()) {
        (None, _) => run(tempfile::tempdir()?.path()).await,
        (Some(directory), None) => run(directory.as_ref()).await,
        _ => Err("usage: tokio_host [DIRECTORY]".into()),
    }
}

#[tokio::main]
async fn main() -> ExitCode {
    let Err(error) = with_directory().await else { return ExitCode::SUCCESS };
    eprintln!("tokio_host: {error}");
    ExitCode::FAILURE
}
