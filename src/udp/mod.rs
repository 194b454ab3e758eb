//! The ready-made transport: datagrams over UDP, each authenticated and encrypted with a key that
//! the members share.
//!
//! A datagram that authenticates is taken from any source address, so that members may move or sit
//! behind address translation; what goes to a member goes to its configured address. A sender that
//! is not among the peers, but has the key, is answered at the address that it last sent from.
//!
//! What the transport does against replays: datagrams of an earlier start of their sender than was
//! seen already are refused, but for a few that the node itself refuses and answers. One of the
//! same start may be replayed; the protocol takes repeated messages for what they are.

mod key;
mod receive;
mod seal;
#[cfg(test)]
mod tests;

use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;
use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::thread::{self, JoinHandle};

use parking_lot::Mutex;
use rustix::net::{SendFlags, sendto, sockopt};
use thiserror::Error;

pub use self::key::{ClusterKey, KEY_BYTES, KeyError};
use self::receive::Receiver;
pub use self::seal::DATAGRAM_OVERHEAD;
use self::seal::{Seal, Sender};
use crate::membership::ReplicaId;
use crate::trace;
use crate::transport::{Inbox, Transport};

/// The datagrams that every path on the internet carries whole, in bytes.
pub const DATAGRAM_BYTES_DEFAULT: usize = 1200;

/// The longest datagram that UDP over IPv4 carries, in bytes.
pub const DATAGRAM_BYTES_MAX: usize = 65_507;

/// The shortest longest datagram that may be set, in bytes. A node needs more to carry its frames.
const DATAGRAM_BYTES_MIN: usize = DATAGRAM_OVERHEAD + 1;

/// How large the socket's buffers are asked to be: a few round trips of full pipelines.
const BUFFER_BYTES: usize = 8 << 20;

/// How many senders that are not among the peers are remembered.
const STRANGERS_MAX: usize = 32;

/// How a UDP transport is set up.
///
/// ```
/// use synod::ReplicaId;
/// use synod::udp::{ClusterKey, UdpOptions};
///
/// let peers =
///     [(ReplicaId(2), "10.0.0.2:7000".parse()?), (ReplicaId(3), "10.0.0.3:7000".parse()?)];
/// let mut options = UdpOptions::new("10.0.0.1:7000".parse()?, peers);
/// options.key = Some(ClusterKey::from_bytes([7; 32])); // Random, in earnest.
/// assert_eq!(options.datagram_bytes, 1200);
/// # Ok::<(), std::net::AddrParseError>(())
/// ```
#[derive(Clone, Debug)]
pub struct UdpOptions {
    /// The address to bind. Port 0 takes a free one; [`UdpTransport::local_address`] tells it.
    pub listen: SocketAddr,
    /// Where the other replicas listen. This replica's own address may be among them.
    pub peers: BTreeMap<ReplicaId, SocketAddr>,
    /// The key that authenticates every datagram. Without one, whoever reaches the socket can
    /// speak for any member.
    pub key: Option<ClusterKey>,
    /// Allows addresses other than loopback without a key. Default false.
    pub allow_insecure: bool,
    /// The longest datagram, in bytes. The same on every replica, or more where more is received.
    /// Default 1200.
    pub datagram_bytes: usize,
}

impl UdpOptions {
    /// Options for this address and these peers, without a key.
    #[must_use]
    pub fn new(
        listen: SocketAddr,
        peers: impl IntoIterator<Item = (ReplicaId, SocketAddr)>,
    ) -> Self {
        Self {
            listen,
            peers: peers.into_iter().collect(),
            key: None,
            allow_insecure: false,
            datagram_bytes: DATAGRAM_BYTES_DEFAULT,
        }
    }
}

/// Why a UDP transport could not be set up.
///
/// ```
/// use synod::udp::{BindError, UdpOptions, UdpTransport};
///
/// // Without a key, where others could reach it.
/// let bound = UdpTransport::bind(UdpOptions::new("0.0.0.0:0".parse()?, []));
/// assert!(matches!(bound, Err(BindError::Insecure { .. })));
/// # Ok::<(), std::net::AddrParseError>(())
/// ```
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum BindError {
    /// The socket could not be bound or set up.
    #[error("binding {address}: {error}")]
    Socket {
        /// The address.
        address: SocketAddr,
        /// The system's reason.
        error: io::Error,
    },
    /// There is no key, and the address is not a loopback one.
    #[error("{address} can be reached from elsewhere: give a cluster key, or allow_insecure")]
    Insecure {
        /// The address.
        address: SocketAddr,
    },
    /// The longest datagram is too short or too long.
    #[error(
        "datagrams of {bytes} bytes: the limits are {DATAGRAM_BYTES_MIN} and {DATAGRAM_BYTES_MAX}"
    )]
    DatagramBytes {
        /// The length that was given.
        bytes: usize,
    },
    /// The system gives no random bytes.
    #[error("no random bytes: {error}")]
    Random {
        /// The system's reason.
        error: getrandom::Error,
    },
}

/// The UDP transport of one replica. Its receiving thread runs while its node does.
///
/// ```
/// use synod::udp::{UdpOptions, UdpTransport};
/// use synod::{ReplicaId, Transport};
///
/// let mut transport = UdpTransport::bind(UdpOptions::new("127.0.0.1:0".parse()?, []))?;
/// assert_ne!(transport.local_address().port(), 0);
/// transport.set_peer(ReplicaId(2), "127.0.0.1:7002".parse()?);
/// assert!(transport.max_frame() < 1200);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct UdpTransport {
    socket: Arc<UdpSocket>,
    address: SocketAddr,
    peers: BTreeMap<ReplicaId, SocketAddr>,
    strangers: Arc<Mutex<Strangers>>,
    key: Option<ClusterKey>,
    random: [u8; 16],
    seal: Option<Seal>,
    datagram_bytes: usize,
    datagram: Vec<u8>,
    meter: UdpMeter,
    ending: Arc<AtomicBool>,
    receiving: Option<JoinHandle<()>>,
}

impl UdpTransport {
    /// Binds the socket. Nothing is received before the node starts.
    ///
    /// # Errors
    /// If the socket cannot be bound, or others could reach it although there is no key.
    pub fn bind(options: UdpOptions) -> Result<Self, BindError> {
        let UdpOptions { listen, peers, key, allow_insecure, datagram_bytes } = options;
        if !(DATAGRAM_BYTES_MIN..=DATAGRAM_BYTES_MAX).contains(&datagram_bytes) {
            return Err(BindError::DatagramBytes { bytes: datagram_bytes });
        }
        if key.is_none() && !allow_insecure && !listen.ip().is_loopback() {
            return Err(BindError::Insecure { address: listen });
        }
        let failed = |error| BindError::Socket { address: listen, error };
        let socket = UdpSocket::bind(listen).map_err(failed)?;
        socket.set_read_timeout(Some(receive::LOOK_UP)).map_err(failed)?;
        let address = socket.local_addr().map_err(failed)?;
        enlarge_buffers(&socket);
        let mut random = [0; 16];
        getrandom::fill(&mut random).map_err(|error| BindError::Random { error })?;
        if key.is_none() {
            trace::warning(&alloc::format!(
                "UDP on {address} without a cluster key: whoever can send to it can speak for any \
                 member"
            ));
        }
        Ok(Self {
            socket: Arc::new(socket),
            address,
            peers,
            strangers: Arc::default(),
            key,
            random,
            seal: None,
            datagram_bytes,
            datagram: Vec::new(),
            meter: UdpMeter::default(),
            ending: Arc::default(),
            receiving: None,
        })
    }

    /// The address that the socket is bound to.
    #[must_use]
    pub fn local_address(&self) -> SocketAddr {
        self.address
    }

    /// Sets where a peer listens, as [`UdpOptions::peers`] does, for those that are known later.
    pub fn set_peer(&mut self, replica: ReplicaId, address: SocketAddr) {
        self.peers.insert(replica, address);
    }

    /// What counts the datagrams; keep it to read it while the node runs.
    #[must_use]
    pub fn meter(&self) -> UdpMeter {
        self.meter.clone()
    }

    fn address_of(&self, replica: ReplicaId) -> Option<SocketAddr> {
        let known = self.peers.get(&replica).copied();
        known.or_else(|| self.strangers.lock().address(replica))
    }
}

/// Makes the socket's buffers as large as the system allows: what finds no room in them is lost,
/// and sent again only after a timeout. Loopback counts a datagram in the sender's buffer, too,
/// until it is received.
fn enlarge_buffers(socket: &UdpSocket) {
    #[cfg(target_os = "linux")]
    {
        // Only a privileged process may go beyond the system's limit.
        let _ = sockopt::set_socket_recv_buffer_size_force(socket, BUFFER_BYTES)
            .or_else(|_| sockopt::set_socket_recv_buffer_size(socket, BUFFER_BYTES));
        let _ = sockopt::set_socket_send_buffer_size_force(socket, BUFFER_BYTES)
            .or_else(|_| sockopt::set_socket_send_buffer_size(socket, BUFFER_BYTES));
    }
    #[cfg(not(target_os = "linux"))]
    {
        let _ = sockopt::set_socket_recv_buffer_size(socket, BUFFER_BYTES);
        let _ = sockopt::set_socket_send_buffer_size(socket, BUFFER_BYTES);
    }
}

impl Transport for UdpTransport {
    fn send(&mut self, to: ReplicaId, frame: &[u8]) {
        let tallies = &self.meter.tallies;
        let (Some(address), true) = (self.address_of(to), frame.len() <= self.max_frame()) else {
            tallies.unsent.fetch_add(1, Ordering::Relaxed);
            return;
        };
        let Some(seal) = self.seal.as_mut() else { return };
        seal.wrap(frame, &mut self.datagram);
        // What the system does not take at once is lost, like any datagram.
        let counter = match sendto(&self.socket, &self.datagram, SendFlags::DONTWAIT, &address) {
            Ok(_) => &tallies.sent,
            Err(_) => &tallies.unsent,
        };
        counter.fetch_add(1, Ordering::Relaxed);
    }

    fn max_frame(&self) -> usize {
        self.datagram_bytes - DATAGRAM_OVERHEAD
    }

    /// # Panics
    /// If the system has no thread left.
    fn open(&mut self, inbox: Inbox) {
        let me = inbox.me();
        let me = Sender { replica: me.replica(), incarnation: me.incarnation() };
        let seal = || Seal::new(self.key.as_ref(), inbox.cluster(), me, self.random);
        self.seal = Some(seal());
        let receiver = Receiver {
            socket: Arc::clone(&self.socket),
            seal: seal(),
            me: me.replica,
            sealed: self.key.is_some(),
            peers: self.peers.keys().copied().collect(),
            strangers: Arc::clone(&self.strangers),
            meter: self.meter.clone(),
            ending: Arc::clone(&self.ending),
            inbox,
        };
        let thread = thread::Builder::new()
            .name("synod-udp".into())
            .spawn(move || receiver.run())
            .expect("a system with a thread left");
        self.receiving = Some(thread);
    }
}

impl Drop for UdpTransport {
    fn drop(&mut self) {
        self.ending.store(true, Ordering::Release);
        if let Some(thread) = self.receiving.take() {
            // The thread itself may drop the transport, through a waker that drops the last handle.
            if thread.thread().id() != thread::current().id() {
                let _ = thread.join();
            }
        }
    }
}

impl fmt::Debug for UdpTransport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UdpTransport")
            .field("address", &self.address)
            .field("peers", &self.peers)
            .field("sealed", &self.key.is_some())
            .finish_non_exhaustive()
    }
}

/// Where senders that are not among the peers sent from last.
#[derive(Debug, Default)]
struct Strangers {
    /// The latest last.
    seen: Vec<(ReplicaId, SocketAddr)>,
}

impl Strangers {
    fn note(&mut self, replica: ReplicaId, address: SocketAddr) {
        if self.seen.last() == Some(&(replica, address)) {
            return;
        }
        self.seen.retain(|(known, _)| *known != replica);
        if self.seen.len() >= STRANGERS_MAX {
            self.seen.remove(0);
        }
        self.seen.push((replica, address));
    }

    fn address(&self, replica: ReplicaId) -> Option<SocketAddr> {
        self.seen.iter().find(|(known, _)| *known == replica).map(|(_, address)| *address)
    }
}

/// Reads what a UDP transport counts. Clones count the same.
///
/// ```
/// use synod::udp::{UdpMeter, UdpOptions, UdpTransport};
///
/// let transport = UdpTransport::bind(UdpOptions::new("127.0.0.1:0".parse()?, []))?;
/// let meter: UdpMeter = transport.meter(); // Before the node takes the transport.
/// assert_eq!(meter.read().received, 0);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct UdpMeter {
    tallies: Arc<UdpTallies>,
}

#[derive(Debug, Default)]
struct UdpTallies {
    sent: AtomicU64,
    unsent: AtomicU64,
    received: AtomicU64,
    malformed: AtomicU64,
    version: AtomicU64,
    foreign: AtomicU64,
    forged: AtomicU64,
    old_incarnation: AtomicU64,
    own: AtomicU64,
    failed: AtomicU64,
}

/// What a UDP transport has counted.
///
/// ```
/// use synod::udp::{UdpCounters, UdpOptions, UdpTransport};
/// use synod::{ReplicaId, Transport};
///
/// let mut transport = UdpTransport::bind(UdpOptions::new("127.0.0.1:0".parse()?, []))?;
/// transport.send(ReplicaId(2), b"to nowhere: its address is not known");
/// let counters: UdpCounters = transport.meter().read();
/// assert_eq!((counters.sent, counters.unsent), (0, 1));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct UdpCounters {
    /// Datagrams sent.
    pub sent: u64,
    /// Datagrams that the system did not take, or whose receiver has no known address.
    pub unsent: u64,
    /// Datagrams received and handed to the node.
    pub received: u64,
    /// Refused: too short, or not this transport's at all.
    pub malformed: u64,
    /// Refused: another version of the layout.
    pub version: u64,
    /// Refused: another cluster's.
    pub foreign: u64,
    /// Refused: not authenticated by the key, or sealed although there is none.
    pub forged: u64,
    /// From an earlier start of the sender than was seen already: refused, but for a few that the
    /// node answers, so that a wiped or set back directory hears why it is.
    pub old_incarnation: u64,
    /// Refused: this replica's own, sent back to it.
    pub own: u64,
    /// Errors that receiving gave.
    pub failed: u64,
}

impl UdpMeter {
    /// The counts so far.
    #[must_use]
    pub fn read(&self) -> UdpCounters {
        let tallies = &self.tallies;
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        UdpCounters {
            sent: read(&tallies.sent),
            unsent: read(&tallies.unsent),
            received: read(&tallies.received),
            malformed: read(&tallies.malformed),
            version: read(&tallies.version),
            foreign: read(&tallies.foreign),
            forged: read(&tallies.forged),
            old_incarnation: read(&tallies.old_incarnation),
            own: read(&tallies.own),
            failed: read(&tallies.failed),
        }
    }
}
