//! The network between the replicas: a socket for each way from one replica to another, which
//! loses, doubles, delays and reorders datagrams, or lets none through, as its seed and the weather
//! say.
//!
//! Each way has a thread and random numbers of its own: the nth datagram of a way has the same fate
//! in every run of a seed that has the same weather then.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use rustix::net::sockopt;
use synod::sim::Random;

use super::clock::{Clock, Time};
use super::random::{Stream, between, stream};

/// No datagram is longer.
const DATAGRAM_BYTES_MAX: usize = 65_535;

/// How many datagrams are held back on a way at the most; more are lost, as in any router.
const HELD_MAX: usize = 4096;

/// How long a way without datagrams sleeps before it looks whether the proxy has ended.
const IDLE: Duration = Duration::from_millis(50);

/// What the system is asked to hold for each socket.
const BUFFER_BYTES: usize = 4 << 20;

/// What happens to datagrams on their way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Weather {
    /// Nothing comes through.
    pub(crate) cut: bool,
    /// How many of a thousand are lost.
    pub(crate) loss_permille: u32,
    /// How many of a thousand come twice.
    pub(crate) twice_permille: u32,
    /// How long each takes.
    pub(crate) delay: Duration,
    /// How many of a thousand take up to `late` longer, so that others overtake them.
    pub(crate) late_permille: u32,
    pub(crate) late: Duration,
}

/// One way's random numbers.
#[derive(Clone, Debug)]
pub(crate) struct Fates(Random);

impl Fates {
    pub(crate) fn new(random: Random) -> Self {
        Self(random)
    }

    /// After which times a datagram arrives: not at all, once, or twice.
    pub(crate) fn next(&mut self, weather: &Weather) -> Vec<Duration> {
        // Always the same number of draws: what one datagram meets changes nothing for the next.
        let lost = self.0.chance(weather.loss_permille.max(1)) && weather.loss_permille > 0;
        let twice = self.0.chance(weather.twice_permille.max(1)) && weather.twice_permille > 0;
        let mut time = || {
            let late = self.0.chance(weather.late_permille.max(1)) && weather.late_permille > 0;
            let most = u64::try_from(weather.late.as_micros()).unwrap_or(u64::MAX);
            let more = Duration::from_micros(between(&mut self.0, 0, most.max(1)));
            if late { weather.delay + more } else { weather.delay }
        };
        let (first, second) = (time(), time());
        match (lost || weather.cut, twice) {
            (true, _) => Vec::new(),
            (false, false) => vec![first],
            (false, true) => vec![first, second],
        }
    }
}

/// A way from one replica to another.
struct Way {
    address: SocketAddr,
    weather: Arc<Mutex<Weather>>,
}

/// All ways between the replicas, which are numbered from 0.
pub(crate) struct Proxy {
    /// From each replica to each; none from one to itself.
    ways: Vec<Vec<Option<Way>>>,
    stop: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
}

impl Proxy {
    /// Opens the ways to replicas that listen at these addresses.
    ///
    /// # Errors
    ///
    /// The system's.
    pub(crate) fn start(seed: u64, clock: Clock, targets: &[SocketAddr]) -> io::Result<Self> {
        let mut proxy =
            Self { ways: Vec::new(), stop: Arc::new(AtomicBool::new(false)), threads: Vec::new() };
        for from in 0..targets.len() {
            let mut ways = Vec::new();
            for (to, target) in targets.iter().enumerate() {
                let way = if from == to {
                    None
                } else {
                    let fates = Fates::new(stream(seed, Stream::Link { from, to }));
                    Some(proxy.open(*target, fates, clock)?)
                };
                ways.push(way);
            }
            proxy.ways.push(ways);
        }
        Ok(proxy)
    }

    fn open(&mut self, target: SocketAddr, fates: Fates, clock: Clock) -> io::Result<Way> {
        let socket = UdpSocket::bind("127.0.0.1:0")?;
        // Where the system grants less, more is lost in a storm of datagrams: that is allowed.
        let _ = sockopt::set_socket_recv_buffer_size(&socket, BUFFER_BYTES);
        let (address, weather) = (socket.local_addr()?, Arc::default());
        let mut traffic = Traffic {
            socket,
            target,
            clock,
            fates,
            weather: Arc::clone(&weather),
            held: BinaryHeap::new(),
            count: 0,
        };
        let stop = Arc::clone(&self.stop);
        let thread = thread::Builder::new().name("way".to_owned());
        self.threads.push(thread.spawn(move || traffic.run(&stop))?);
        Ok(Way { address, weather })
    }

    /// Where a replica sends what is for another; nothing from one to itself.
    pub(crate) fn address(&self, from: usize, to: usize) -> Option<SocketAddr> {
        Some(self.ways[from][to].as_ref()?.address)
    }

    /// Changes the weather on every way.
    pub(crate) fn change(&self, weather: impl Fn(usize, usize) -> Weather) {
        for (from, ways) in self.ways.iter().enumerate() {
            for (to, way) in ways.iter().enumerate() {
                if let Some(way) = way {
                    *way.weather.lock().expect("nobody panics with the weather") =
                        weather(from, to);
                }
            }
        }
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            // One that panicked has let nothing through since, which the run has shown.
            let _ = thread.join();
        }
    }
}

/// A datagram that is held back: when it is due, its number, and its bytes.
type Held = Reverse<(Time, u64, Vec<u8>)>;

struct Traffic {
    socket: UdpSocket,
    target: SocketAddr,
    clock: Clock,
    fates: Fates,
    weather: Arc<Mutex<Weather>>,
    held: BinaryHeap<Held>,
    count: u64,
}

impl Traffic {
    fn run(&mut self, stop: &AtomicBool) {
        let mut buffer = vec![0; DATAGRAM_BYTES_MAX];
        let mut timeout = None;
        while !stop.load(Ordering::Relaxed) {
            let wait = Some(self.deliver_due());
            if wait != timeout && self.socket.set_read_timeout(wait).is_ok() {
                timeout = wait;
            }
            // That the time is over, or that nobody listens at the target: both mean to go on.
            let Ok((length, _)) = self.socket.recv_from(&mut buffer) else { continue };
            self.take(&buffer[..length]);
        }
    }

    /// Sends what is due, and tells how long there is time to wait for more, never none.
    fn deliver_due(&mut self) -> Duration {
        let now = self.clock.now();
        while let Some(Reverse((due, _, _))) = self.held.peek() {
            if *due > now {
                return (*due - now).clamp(Duration::from_millis(1), IDLE);
            }
            if let Some(Reverse((_, _, datagram))) = self.held.pop() {
                self.send(&datagram);
            }
        }
        IDLE
    }

    fn take(&mut self, datagram: &[u8]) {
        let weather = *self.weather.lock().expect("nobody panics with the weather");
        for after in self.fates.next(&weather) {
            if after.is_zero() {
                self.send(datagram);
            } else if self.held.len() < HELD_MAX {
                self.count += 1;
                let due = self.clock.now() + after;
                self.held.push(Reverse((due, self.count, datagram.to_vec())));
            }
        }
    }

    fn send(&self, datagram: &[u8]) {
        // What cannot be sent is lost, as datagrams are.
        let _ = self.socket.send_to(datagram, self.target);
    }
}
