//! Frames on their way out: nobody waits for the transport, whoever it is that sends.

use alloc::sync::Weak;
use alloc::vec;

use parking_lot::Mutex;

use super::*;
use crate::node::lent::is_lent;
use crate::node::outgoing::Outgoing;
use crate::node::status::Tallies;
use crate::transport::{Deliver, Inbox};

fn frames(bytes: &[u8]) -> Frames {
    let mut frames = Frames::default();
    frames.push(ReplicaId(2), bytes);
    frames
}

/// What a transport has sent, and what is sent again while it sends.
#[derive(Default)]
struct Scene {
    outgoing: Mutex<Weak<Outgoing>>,
    tallies: Tallies,
    sent: Mutex<Vec<Vec<u8>>>,
    /// Sent meanwhile, one by each send.
    next: Mutex<Vec<Vec<u8>>>,
    /// What those sends returned, and whether the thread was marked.
    nested: Mutex<Vec<(bool, bool)>>,
}

/// Sends something more out of each send, as another node may that is handed a frame at once.
struct Echoing(Arc<Scene>);

impl Transport for Echoing {
    fn send(&mut self, _: ReplicaId, frame: &[u8]) {
        let scene = &self.0;
        scene.sent.lock().push(frame.to_vec());
        let Some(next) = scene.next.lock().pop() else { return };
        let outgoing = scene.outgoing.lock().upgrade().expect("it sends");
        let left = outgoing.send(frames(&next), &scene.tallies);
        scene.nested.lock().push((left, is_lent()));
    }

    fn max_frame(&self) -> usize {
        1200
    }
}

fn scene(next: Vec<Vec<u8>>) -> (Arc<Scene>, Arc<Outgoing>) {
    let scene = Arc::new(Scene { next: Mutex::new(next), ..Scene::default() });
    let outgoing = Arc::new(Outgoing::new(Box::new(Echoing(Arc::clone(&scene)))));
    *scene.outgoing.lock() = Arc::downgrade(&outgoing);
    (scene, outgoing)
}

#[test]
fn what_finds_the_transport_in_use_is_sent_by_its_holder_in_order() {
    let (scene, outgoing) = scene(vec![b"third".to_vec(), b"second".to_vec()]);
    assert!(!outgoing.send(frames(b"first"), &scene.tallies));
    assert_eq!(*scene.sent.lock(), [&b"first"[..], b"second", b"third"]);
    // It did not wait there, and knew that it was sending.
    assert_eq!(*scene.nested.lock(), [(false, true); 2]);
    assert!(!is_lent());
    let counters = scene.tallies.read();
    assert_eq!((counters.sent, counters.sent_bytes, counters.outgoing_full), (3, 16, 0));
}

#[test]
fn a_thread_that_sends_for_others_without_end_is_let_go() {
    let (scene, outgoing) = scene(vec![b"more".to_vec(); 60]);
    let tallies = &scene.tallies;
    assert!(outgoing.send(frames(b"first"), tallies), "something is left");
    let sent = scene.sent.lock().len();
    assert!((2..61).contains(&sent), "{sent} frames");
    // What is left comes before what is new.
    assert!(outgoing.send(frames(b"own"), tallies), "something is left");
    assert_eq!(scene.sent.lock()[sent..sent + 2], [&b"more"[..], b"own"]);
    // The timer thread goes on, with nothing of its own.
    while outgoing.send(Frames::default(), tallies) {}
    assert_eq!(scene.sent.lock().len(), 62);
}

/// Tells that it sends, and sends until it is told to end.
struct Holding(mpsc::Sender<()>, mpsc::Receiver<()>);

impl Transport for Holding {
    fn send(&mut self, _: ReplicaId, _: &[u8]) {
        let _ = self.0.send(());
        let _ = self.1.recv();
    }
    fn max_frame(&self) -> usize {
        1200
    }
}

#[test]
fn what_finds_no_room_beside_the_transport_is_dropped_and_counted() {
    let (scene, _) = scene(Vec::new());
    let many = vec![0; 40 << 20];
    // Another thread holds the transport.
    let (holding, held) = mpsc::channel();
    let (go_on, waiting) = mpsc::channel::<()>();
    let outgoing = Arc::new(Outgoing::new(Box::new(Holding(holding, waiting))));
    let holder = thread::spawn({
        let (outgoing, scene) = (Arc::clone(&outgoing), Arc::clone(&scene));
        move || outgoing.send(frames(b"first"), &scene.tallies)
    });
    held.recv().unwrap();
    for _ in 0..3 {
        assert!(!outgoing.send(frames(&many), &scene.tallies), "its holder looks");
    }
    assert_eq!(scene.tallies.read().outgoing_full, 2);
    drop(go_on);
    assert!(!holder.join().unwrap());
    assert_eq!(scene.tallies.read().sent, 2);
}

/// Stops its own node out of a send.
struct Stopping {
    node: Arc<Mutex<Option<Handle<Count>>>>,
    dropped: mpsc::Sender<()>,
}

impl Transport for Stopping {
    fn send(&mut self, _: ReplicaId, _: &[u8]) {
        let node = self.node.lock().take();
        if let Some(node) = node {
            assert!(node.stop().is_ok());
        }
    }

    fn max_frame(&self) -> usize {
        1200
    }
}

impl Drop for Stopping {
    fn drop(&mut self) {
        let _ = self.dropped.send(());
    }
}

#[test]
fn a_transport_may_stop_its_node() {
    let (dropped, ended) = mpsc::channel();
    let node = Arc::new(Mutex::new(None));
    let transport = Stopping { node: Arc::clone(&node), dropped };
    let started = start_over(3, Box::new(HeapMedium::new(1)), transport);
    // It goes on asking the others until they answer.
    *node.lock() = Some(started);
    ended.recv_timeout(Duration::from_secs(20)).expect("the node stops, and drops its transport");
}

/// Fails as no node may.
struct Panicking(AtomicUsize);

impl Deliver for Panicking {
    fn deliver(&self, _: Bytes) {
        self.0.fetch_add(1, Ordering::SeqCst);
        panic!("a waker");
    }
}

#[test]
fn a_panic_at_the_receiver_is_not_the_sender_s() {
    let network = Network::new();
    let peer = Peer { replica: ReplicaId(2), disk: DiskId([2; 16]), incarnation: Incarnation(1) };
    let receiver = Arc::new(Panicking(AtomicUsize::new(0)));
    let mut second = network.transport(ReplicaId(2));
    second.open(Inbox::new(&receiver, CLUSTER, peer));
    let first = start_over(3, Box::new(HeapMedium::new(1)), network.transport(ReplicaId(1)));
    while receiver.0.load(Ordering::SeqCst) < 2 {
        thread::sleep(Duration::from_millis(1));
    }
    assert!(first.stop().is_ok());
}
