//! The server: clients are taken in, up to a limit, until a signal comes or the replica fails.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use rustix::process::{Resource, getrlimit, setrlimit};
use synod::wal::FileAccess;
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::runtime::{Builder, Runtime};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::Semaphore;
use tokio::task;
use tokio::time::sleep;

use crate::budget::Budget;
use crate::connection::Connection;
use crate::options::ServerOptions;
use crate::replica::Replica;
use crate::{Failure, tell, watch};

/// The most connections, if the system gives a file for each.
const CONNECTIONS_MAX: usize = 16_384;

/// Files that are not connections: the log's, sockets, standard streams.
const OTHER_FILES: usize = 64;

/// What changes of all connections may weigh together while they are in flight, in bytes.
const IN_FLIGHT_BYTES: usize = 16 << 20;

/// How many connections may wait to be taken in.
const BACKLOG: u32 = 4096;

/// How long taking connections in rests when the system has no file for one.
const AFTER_ERROR: Duration = Duration::from_millis(100);

/// How long connections have to send what they have when the server ends.
const ENDING: Duration = Duration::from_millis(500);

/// What all connections share.
pub(crate) struct Shared {
    pub(crate) replica: Replica,
    pub(crate) client_timeout: Duration,
    pub(crate) budget: Budget,
    /// Room for changes in flight, in bytes.
    pub(crate) in_flight: Arc<Semaphore>,
    pub(crate) connections_max: usize,
    connections: Arc<Semaphore>,
}

impl Shared {
    /// How many clients are connected.
    pub(crate) fn connected(&self) -> usize {
        self.connections_max - self.connections.available_permits()
    }
}

/// Runs a replica and serves its clients.
pub(crate) fn run(options: &ServerOptions) -> Result<(), Failure> {
    let members = options.members().map_err(Failure::usage)?;
    let connections_max = CONNECTIONS_MAX.min(raise_files().saturating_sub(OTHER_FILES)).max(1);
    let runtime = Builder::new_multi_thread().enable_all().build().map_err(Failure::failed)?;
    let listener = listen(&runtime, options.client)
        .map_err(|error| Failure::Usage(format!("--client {}: {error}", options.client)))?;
    let replica = Replica::start(options, &members)?;
    let names: Vec<String> = members.keys().map(ToString::to_string).collect();
    let medium = match replica.access() {
        FileAccess::Mapped => "mapped",
        FileAccess::Pwrite => "pwrite",
    };
    tell(&format!(
        "replica {} of {} ({}), cluster {}: datagrams on {}{}, clients on {}, log in {} ({})",
        options.id,
        members.len(),
        names.join(", "),
        options.cluster,
        options.listen,
        if options.key_file.is_some() { "" } else { " without a key" },
        options.client,
        options.data.display(),
        medium,
    ));
    let shared = Arc::new(Shared {
        replica: replica.clone(),
        client_timeout: options.client_timeout(),
        budget: Budget::new(),
        in_flight: Arc::new(Semaphore::new(IN_FLIGHT_BYTES)),
        connections_max,
        connections: Arc::new(Semaphore::new(connections_max)),
    });
    let ended = runtime.block_on(serve(listener, shared));
    // A leader hands over first, so that the others need not wait to find it gone. Every ticket is
    // settled by this, and its client told.
    let stopped = replica.stop();
    runtime.shutdown_timeout(ENDING);
    ended.and(stopped)
}

/// Takes clients in until a signal comes, or the replica fails.
async fn serve(listener: TcpListener, shared: Arc<Shared>) -> Result<(), Failure> {
    let mut terminate = signal(SignalKind::terminate()).map_err(Failure::failed)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(Failure::failed)?;
    let replica = shared.replica.clone();
    let mut watcher = task::spawn(watch::watch(replica));
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => take(stream, &shared),
                Err(error) => {
                    tell(&format!("a client cannot be taken in: {error}"));
                    sleep(AFTER_ERROR).await;
                }
            },
            _ = terminate.recv() => return Ok(()),
            _ = interrupt.recv() => return Ok(()),
            reason = &mut watcher => {
                let reason = reason.unwrap_or_else(|error| error.to_string());
                return Err(Failure::Failed(format!("the replica has stopped: {reason}")));
            }
        }
    }
}

fn take(stream: TcpStream, shared: &Arc<Shared>) {
    let Ok(place) = Arc::clone(&shared.connections).try_acquire_owned() else {
        // A new connection takes that much at once.
        let _ = stream.try_write(b"-ERR max number of clients reached\r\n");
        return;
    };
    // Replies leave in as few packets as can be already.
    let _ = stream.set_nodelay(true);
    let connection = Connection::new(stream, Arc::clone(shared));
    task::spawn(async move {
        connection.serve().await;
        drop(place);
    });
}

fn listen(runtime: &Runtime, address: SocketAddr) -> io::Result<TcpListener> {
    let _inside = runtime.enter();
    let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    // A server that is started again must not wait for its old connections to be forgotten.
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

/// Raises the number of files that may be open as far as the system allows; returns it.
fn raise_files() -> usize {
    let mut limit = getrlimit(Resource::Nofile);
    if limit.current != limit.maximum {
        let raised = rustix::process::Rlimit { current: limit.maximum, ..limit };
        if setrlimit(Resource::Nofile, raised).is_ok() {
            limit = getrlimit(Resource::Nofile);
        }
    }
    limit.current.map_or(usize::MAX, |files| usize::try_from(files).unwrap_or(usize::MAX))
}
