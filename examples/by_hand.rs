//! A replica turned by hand: one plain loop over a UDP socket, a log and a list of lines. There is
//! no thread, channel or lock of the crate's; time, frames and records pass through the loop.
//!
//! Three of them share one thread here: each proposes a line, and all apply the same. Then they are
//! opened again from their logs. Datagrams are not authenticated: this is for loopback only, and
//! `synod::udp` does that.
use std::collections::BTreeMap;
use std::error::Error;
use std::io::ErrorKind;
use std::net::{SocketAddr, UdpSocket};
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use bytes::Bytes;
use synod::entry::Entry;
use synod::fragment::Courier;
use synod::membership::Replicas;
use synod::message::{Chosen, Message};
use synod::slot::Slots;
use synod::{ClusterId, Config, Event, Fate, Instant, Output, Replica, ReplicaId, Slot, Wal};

type Failure = Box<dyn Error>;
type Peers = BTreeMap<ReplicaId, SocketAddr>;

const IDS: [ReplicaId; 3] = [ReplicaId(1), ReplicaId(2), ReplicaId(3)];
const LINES: [&str; 3] = ["one", "two", "three"];
const DATAGRAM_BYTES: usize = 1200; // Safe on every path.

struct Host {
    replica: Replica,
    wal: Wal,
    /// Makes frames of messages, and messages of frames; long ones go in pieces.
    courier: Courier,
    socket: UdpSocket,
    peers: Peers,
    zero: std::time::Instant,
    /// The state machine.
    lines: Vec<String>,
}

impl Host {
    fn open(id: ReplicaId, socket: UdpSocket, peers: Peers, path: &Path) -> Result<Self, Failure> {
        let (wal, recovered) = Wal::open_directory(path, ClusterId::named("by hand")?, id)?;
        let courier = Courier::new(recovered.cluster, recovered.me, DATAGRAM_BYTES)?;
        let mut config = Config::new(peers.keys().copied());
        config.election_timeout = Duration::from_secs(1); // Leaders are silent while they sync.
        config.patience = Duration::from_secs(10); // The cluster forms first, and elects a leader.
        let replica = Replica::new(config, recovered, Instant::ZERO)?;
        #[expect(clippy::disallowed_methods, reason = "the core is told the time; this is a host")]
        let zero = std::time::Instant::now();
        Ok(Self { replica, wal, courier, socket, peers, zero, lines: Vec::new() })
    }

    fn now(&self) -> Instant {
        Instant::ZERO.after(self.zero.elapsed())
    }

    /// One round of the loop: outputs until there are none, then the disk or the network. Sleeps if
    /// there is nothing to do, but not longer than this.
    fn turn(&mut self, longest: Duration) -> Result<(), Failure> {
        let wake = self.drain()?;
        if let Some(sync) = self.wal.start_sync()? {
            // It serves every record before it. Here nothing is heard while it runs; who minds that
            // runs it on another thread, and goes on.
            let durable = self.wal.finish(sync.run())?;
            self.replica.handle_persisted(self.now(), durable);
        } else {
            let sleep = wake.map_or(longest, |at| at.since(self.now()).min(longest));
            self.receive(sleep.max(Duration::from_micros(100)))?;
            let now = self.now();
            self.replica.handle_timeout(now);
            self.courier.handle_timeout(now, &mut emit(&self.socket, &self.peers));
        }
        Ok(())
    }

    /// Does what the replica asks for, until it waits; then tells until when.
    fn drain(&mut self) -> Result<Option<Instant>, Failure> {
        loop {
            match self.replica.poll_output() {
                Output::Persist { lsn, record, chosen } => self.wal.append(lsn, &record, chosen)?,
                Output::Send { to, message } => self.send(&to, &message),
                Output::SendEntries { to, slots } => self.send_entries(to, slots)?,
                Output::Chosen { slot, entry } => self.apply(slot, &entry),
                Output::ApplyFromLog { slots } => {
                    for slot in slots.iter() {
                        let located = self.wal.locate(slot).ok_or("the log has lost an entry")?;
                        self.apply(slot, &located.read()?.1);
                    }
                }
                Output::Fate { fate: Fate::Chosen { .. }, .. } => {}
                // Certainly not applied, so that it could be proposed again.
                Output::Fate { fate, .. } => return Err(format!("a line is lost: {fate:?}").into()),
                Output::Event(Event::Halted { reason }) => return Err(reason.to_string().into()),
                Output::Event(_) => {}
                Output::ReadReady { .. } | Output::ReadRefused { .. } => {} // Nobody reads.
                Output::Wait { until } => {
                    let wake = until.map(|(at, _why)| at);
                    return Ok([wake, self.courier.wake()].into_iter().flatten().min());
                }
            }
        }
    }

    fn send(&mut self, to: &Replicas, message: &Message) {
        self.courier.send(self.now(), to, message, &mut emit(&self.socket, &self.peers));
    }

    /// Sends a peer what it has missed, out of the log. It asks again for what does not come.
    fn send_entries(&mut self, to: ReplicaId, slots: Slots) -> Result<(), Failure> {
        let chosen = self.replica.status().chosen;
        for slot in slots.iter() {
            let Some(located) = self.wal.locate(slot) else { break };
            let (ballot, entry) = located.read()?;
            self.send(&Replicas::one(to), &Chosen { slot, ballot, entry, chosen }.into());
        }
        Ok(())
    }

    fn apply(&mut self, slot: Slot, entry: &Entry) {
        if let Entry::Batch(batch) = entry {
            self.lines.extend(batch.commands().map(|line| String::from_utf8_lossy(line).into()));
        }
        self.replica.handle_applied(self.now(), slot.next());
    }

    /// Waits for a datagram.
    fn receive(&mut self, timeout: Duration) -> Result<(), Failure> {
        self.socket.set_read_timeout(Some(timeout))?;
        let mut buffer = [0; DATAGRAM_BYTES];
        let nothing = |kind| matches!(kind, ErrorKind::WouldBlock | ErrorKind::TimedOut);
        let bytes = match self.socket.recv_from(&mut buffer) {
            Ok((bytes, _)) => bytes,
            Err(error) if nothing(error.kind()) => return Ok(()),
            Err(error) => return Err(error.into()),
        };
        let (now, frame) = (self.now(), Bytes::copy_from_slice(&buffer[..bytes]));
        // What is no frame of this cluster is dropped; the courier has counted it.
        let taken = self.courier.receive(now, frame, &mut emit(&self.socket, &self.peers));
        if let Ok(Some((from, message))) = taken {
            self.replica.handle_message(now, from, message);
        }
        Ok(())
    }
}

/// Sends frames. One that does not go out is lost, as datagrams may be.
fn emit(socket: &UdpSocket, peers: &Peers) -> impl FnMut(ReplicaId, &[u8]) {
    |to, frame| {
        let _ = peers.get(&to).map(|address| socket.send_to(frame, address));
    }
}

/// Runs three replicas, each of which proposes one of these lines, until every one has applied all
/// that there are; gives what each has applied.
fn run(directory: &Path, lines: &[&str]) -> Result<Vec<Vec<String>>, Failure> {
    let sockets: Vec<_> =
        IDS.iter().map(|_| UdpSocket::bind("127.0.0.1:0")).collect::<Result<_, _>>()?;
    let mut peers = Peers::new();
    for (id, socket) in IDS.into_iter().zip(&sockets) {
        peers.insert(id, socket.local_addr()?);
    }
    let mut hosts = Vec::new();
    for (id, socket) in IDS.into_iter().zip(sockets) {
        hosts.push(Host::open(id, socket, peers.clone(), &directory.join(id.to_string()))?);
    }
    for (host, line) in hosts.iter_mut().zip(lines) {
        host.replica.propose(host.now(), line.as_bytes())?;
    }
    while hosts.iter().any(|host| host.lines.len() < LINES.len()) {
        for host in &mut hosts {
            host.turn(Duration::from_millis(1))?;
        }
    }
    let close = |host: Host| host.wal.close().map(|_durable| host.lines);
    Ok(hosts.into_iter().map(close).collect::<Result<_, _>>()?)
}

fn show() -> Result<(), Failure> {
    let directory = tempfile::tempdir()?;
    let applied = run(directory.path(), &LINES)?;
    println!("{}", applied[0].join("\n"));
    if applied.iter().any(|lines| *lines != applied[0]) {
        return Err("the three have applied different lines".into());
    }
    println!("all three have applied these {} lines, in this order", LINES.len());
    if run(directory.path(), &[])? != applied {
        return Err("opened again, they have applied other lines".into());
    }
    println!("and again, opened from their logs");
    Ok(())
}

fn main() -> ExitCode {
    let Err(error) = show() else { return ExitCode::SUCCESS };
    eprintln!("by_hand: {error}");
    ExitCode::FAILURE
}
