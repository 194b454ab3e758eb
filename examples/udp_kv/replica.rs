//! The replica behind the server: a node over UDP with the store as its state machine.

use std::collections::BTreeMap;
use std::net::{SocketAddr, UdpSocket};
use std::time::Duration;

use synod::config::Config;
use synod::node::NodeStatus;
use synod::record::Recovered;
use synod::udp::{ClusterKey, DATAGRAM_BYTES_MAX, UdpOptions, UdpTransport};
use synod::wal::{Directory, FileAccess, Wal, WalError, WalOptions};
use synod::{
    Applied, Consistency, Handle, Node, ReplicaId, Stalled, StartError, Ticket, TicketError,
};

use crate::Failure;
use crate::options::{Medium, ServerOptions};
use crate::parse::{ARGUMENTS_MAX, REQUEST_BYTES_MAX};
use crate::reply::Reply;
use crate::store::Store;

/// For how long nothing may move before that is told.
const STALL: Duration = Duration::from_secs(2);

/// How long a batch may grow, so that the Accept with it still fits one datagram.
const BATCH_BYTES: usize = 60 << 10;

/// How many slots are in flight before others wait until they are full: what comes in while one is
/// under way goes together in the next. That is what many clients with one command each need.
const PARTIAL_SLOTS: u64 = 1;

/// The longest command: the longest request, with a length before each argument.
const COMMAND_BYTES: usize = REQUEST_BYTES_MAX + ARGUMENTS_MAX * 4 + 64;

/// How many bytes of commands may wait in a leader: what several replicas' clients can have in
/// flight (`server::IN_FLIGHT_BYTES`).
const QUEUE_BYTES: usize = 64 << 20;

/// The replica. Clones are the same one.
#[derive(Clone, Debug)]
pub(crate) struct Replica {
    node: Handle<Store>,
    access: FileAccess,
}

impl Replica {
    /// Opens the log and the socket, and starts the node.
    pub(crate) fn start(
        options: &ServerOptions,
        members: &BTreeMap<ReplicaId, SocketAddr>,
    ) -> Result<Self, Failure> {
        let udp = udp_options(options, members)?;
        let (log, access) = open_log(options)?;
        let transport = UdpTransport::bind(udp).map_err(Failure::failed)?;
        let config = Config {
            batch_bytes: BATCH_BYTES,
            partial_slots: PARTIAL_SLOTS,
            command_bytes: COMMAND_BYTES,
            queue_bytes: QUEUE_BYTES,
            // Whoever waits in vain hears so before the time is up, and then it is certain.
            patience: options.client_timeout() * 3 / 4,
            ..Config::new(members.keys().copied())
        };
        let node = Node::start(config, log, transport, Store::default());
        let node = node.map_err(|error| match error {
            StartError::Config(error) => Failure::usage(error),
            other => Failure::failed(other),
        })?;
        Ok(Self { node, access })
    }

    /// How the log is written.
    pub(crate) fn access(&self) -> FileAccess {
        self.access
    }

    /// Proposes a change.
    pub(crate) fn propose(&self, command: &[u8]) -> Ticket<Applied<Reply>> {
        self.node.propose(command)
    }

    /// Asks the store. Nothing that was answered before, to any client, is missed.
    pub(crate) fn read<R: Send + 'static>(
        &self,
        ask: impl FnOnce(&Store) -> R + Send + 'static,
    ) -> Ticket<R> {
        self.node.read(Consistency::Linearizable, ask)
    }

    pub(crate) fn status(&self) -> NodeStatus {
        self.node.status()
    }

    /// What the replica waits for, if nothing has moved for a while.
    pub(crate) fn stalled(&self) -> Option<Stalled> {
        self.node.why_stalled().filter(|stalled| stalled.since >= STALL)
    }

    /// Stops the node: everything that was taken in is durable when this returns.
    pub(crate) fn stop(&self) -> Result<(), Failure> {
        self.node.stop().map_err(Failure::failed)
    }
}

/// What the socket will be, if it can be: nothing is made before that is known.
fn udp_options(
    options: &ServerOptions,
    members: &BTreeMap<ReplicaId, SocketAddr>,
) -> Result<UdpOptions, Failure> {
    let listen = options.listen;
    let key = options.key_file.as_ref().map(ClusterKey::read).transpose();
    let key = key.map_err(|error| Failure::Usage(format!("--key-file: {error}")))?;
    if key.is_none() && !options.insecure && !listen.ip().is_loopback() {
        return Err(Failure::Usage(format!(
            "--listen {listen} can be reached from elsewhere: give --key-file, or --insecure"
        )));
    }
    UdpSocket::bind(listen)
        .map_err(|error| Failure::Usage(format!("--listen {listen}: {error}")))?;
    Ok(UdpOptions {
        key,
        allow_insecure: options.insecure,
        datagram_bytes: DATAGRAM_BYTES_MAX,
        ..UdpOptions::new(listen, members.clone())
    })
}

/// The log, and how it is written.
fn open_log(options: &ServerOptions) -> Result<((Wal, Recovered), FileAccess), Failure> {
    let failed = |error| match error {
        // The disk's fault, not the option's.
        WalError::Full { .. } | WalError::Rot { .. } => Failure::failed(error),
        _ => Failure::Usage(format!("--data {error}")),
    };
    let access = options.medium.map(Medium::access);
    let directory = Directory::open(&options.data, access).map_err(failed)?;
    let access = directory.access();
    let (cluster, me) = (options.cluster, ReplicaId(options.id));
    let log = Wal::open(Box::new(directory), cluster, me, WalOptions::default());
    Ok((log.map_err(failed)?, access))
}

/// What a client is told of a change that has no answer.
pub(crate) fn failed_write(error: &TicketError) -> Reply {
    match error {
        TicketError::TooLarge { .. } => Reply::error_of(format!("ERR {error}")),
        certain if certain.is_certain() => Reply::try_again(&certain.to_string()),
        unknown => Reply::timeout(&unknown.to_string()),
    }
}

/// What a client is told when this much time has passed.
pub(crate) fn late(timeout: Duration) -> String {
    format!("no answer within {} ms", timeout.as_millis())
}
