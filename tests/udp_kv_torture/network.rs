//! The network between the replicas: what becomes of datagrams, by the seed and through sockets.

use std::net::{SocketAddr, UdpSocket};
use std::time::Duration;

use crate::torture::clock::Clock;
use crate::torture::proxy::{Fates, Proxy, Weather};
use crate::torture::random::{Stream, stream};

/// The fates of so many datagrams.
fn fates(seed: u64, weather: &Weather, count: usize) -> Vec<Vec<Duration>> {
    let mut fates = Fates::new(stream(seed, Stream::Link { from: 0, to: 1 }));
    (0..count).map(|_| fates.next(weather)).collect()
}

#[test]
fn the_seed_says_what_becomes_of_each_datagram() {
    let weather = Weather {
        cut: false,
        loss_permille: 200,
        twice_permille: 300,
        delay: Duration::from_millis(1),
        late_permille: 400,
        late: Duration::from_millis(20),
    };
    assert_eq!(fates(1, &weather, 1000), fates(1, &weather, 1000));
    assert_ne!(fates(1, &weather, 1000), fates(2, &weather, 1000));
    let all = fates(1, &weather, 10_000);
    let count = |copies| all.iter().filter(|one| one.len() == copies).count();
    assert!((1700..2300).contains(&count(0)), "{} lost", count(0));
    assert!((2100..2700).contains(&count(2)), "{} twice", count(2));
    let times: Vec<Duration> = all.into_iter().flatten().collect();
    let late = times.iter().filter(|time| **time > weather.delay).count();
    assert!((3700..4300).contains(&(late * 10_000 / times.len())), "{late} late");
    assert!(times.iter().all(|time| (weather.delay..Duration::from_millis(21)).contains(time)));
}

#[test]
fn fair_weather_does_nothing_and_a_cut_everything() {
    let clear = fates(1, &Weather::default(), 1000);
    assert!(clear.iter().all(|one| one == &[Duration::ZERO]));
    let cut = fates(1, &Weather { cut: true, ..Weather::default() }, 1000);
    assert!(cut.iter().all(Vec::is_empty));
}

#[test]
fn what_one_datagram_meets_changes_nothing_for_the_next() {
    let some = Weather { loss_permille: 500, ..Weather::default() };
    let mut fates_then_cut = Fates::new(stream(1, Stream::Link { from: 0, to: 1 }));
    for _ in 0..100 {
        fates_then_cut.next(&Weather { cut: true, ..Weather::default() });
    }
    let rest: Vec<Vec<Duration>> = (0..100).map(|_| fates_then_cut.next(&some)).collect();
    assert_eq!(rest, fates(1, &some, 200)[100..]);
}

/// Two replicas that are sockets.
struct Pair {
    sockets: [UdpSocket; 2],
    proxy: Proxy,
}

impl Pair {
    fn new() -> Self {
        let sockets = [(); 2].map(|()| UdpSocket::bind("127.0.0.1:0").expect("a free port"));
        let address = |socket: &UdpSocket| socket.local_addr().expect("it is bound");
        let addresses: Vec<SocketAddr> = sockets.iter().map(address).collect();
        let proxy = Proxy::start(1, Clock::start(), &addresses).expect("sockets and threads");
        Self { sockets, proxy }
    }

    fn send(&self, from: usize, text: &str) {
        let to = self.proxy.address(from, 1 - from).expect("there is a way");
        self.sockets[from].send_to(text.as_bytes(), to).expect("it is sent");
    }

    /// What comes next, if something comes within a time.
    fn receive(&self, at: usize, within: Duration) -> Option<String> {
        self.sockets[at].set_read_timeout(Some(within)).expect("a timeout");
        let mut buffer = [0; 64];
        let (length, _) = self.sockets[at].recv_from(&mut buffer).ok()?;
        Some(String::from_utf8_lossy(&buffer[..length]).into_owned())
    }
}

/// Longer than anything that comes takes, and how long to wait for what should not.
const LONG: Duration = Duration::from_secs(20);
const SHORT: Duration = Duration::from_millis(200);

#[test]
fn datagrams_pass_both_ways_and_are_cut_one_way() {
    let pair = Pair::new();
    assert_eq!(pair.proxy.address(0, 0), None);
    pair.send(0, "there");
    assert_eq!(pair.receive(1, LONG).as_deref(), Some("there"));
    pair.proxy.change(|from, _| Weather { cut: from == 0, ..Weather::default() });
    pair.send(0, "lost");
    assert_eq!(pair.receive(1, SHORT), None);
    pair.send(1, "back");
    assert_eq!(pair.receive(0, LONG).as_deref(), Some("back"));
    pair.proxy.change(|_, _| Weather::default());
    pair.send(0, "again");
    assert_eq!(pair.receive(1, LONG).as_deref(), Some("again"));
}

#[test]
fn a_late_datagram_is_overtaken_and_one_may_come_twice() {
    let pair = Pair::new();
    let delay = Duration::from_secs(1);
    pair.proxy.change(|_, _| Weather { delay, twice_permille: 1000, ..Weather::default() });
    pair.send(0, "first");
    assert_eq!(pair.receive(1, SHORT / 10), None, "it takes its time");
    pair.proxy.change(|_, _| Weather::default());
    pair.send(0, "second");
    let three = [(); 3].map(|()| pair.receive(1, LONG).unwrap_or_default());
    assert_eq!(three, ["second", "first", "first"]);
}
