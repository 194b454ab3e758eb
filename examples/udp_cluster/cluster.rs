//! The replicas' processes: starting, killing and stopping them, and the pipes to and from them.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufReader, Read, Seek, SeekFrom, Write};
use std::net::{SocketAddr, UdpSocket};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::thread;
use std::time::Duration;

use synod::quorum::QuorumSystem;

use crate::clock;
use crate::protocol::{self, Report, Request};

/// How long a replica may take to end after its standard input was closed.
const STOP_TIMEOUT: Duration = Duration::from_secs(20);

/// What a replica's process did.
#[derive(Debug)]
pub(crate) enum What {
    /// It said something.
    Report(Report),
    /// It will say nothing more.
    Ended,
}

struct Event {
    replica: usize,
    start: u64,
    what: What,
}

/// One replica's process.
struct Process {
    child: Child,
    /// Frames for its standard input, which closes when this is dropped.
    requests: Option<Sender<Vec<u8>>>,
    /// Counts the starts of this replica, from 0.
    start: u64,
    up: bool,
}

/// The replicas' processes, numbered from 0; people see them numbered from 1.
pub(crate) struct Cluster {
    directory: PathBuf,
    addresses: Vec<SocketAddr>,
    quorums: QuorumSystem,
    processes: Vec<Process>,
    events: Receiver<Event>,
    sender: Sender<Event>,
}

impl Cluster {
    /// Starts the replicas, with their logs below `directory` and a fresh key that only they know.
    pub(crate) fn start(
        directory: &Path,
        replicas: u32,
        quorums: QuorumSystem,
    ) -> io::Result<Self> {
        // The sockets are all open at once, so that the system gives each another port. Each
        // replica's process then binds its own, and binds it again when it is started again.
        let sockets = (0..replicas)
            .map(|_| UdpSocket::bind("127.0.0.1:0"))
            .collect::<io::Result<Vec<_>>>()?;
        let addresses =
            sockets.iter().map(UdpSocket::local_addr).collect::<io::Result<Vec<SocketAddr>>>()?;
        drop(sockets);
        let mut key = [0; 32];
        getrandom::fill(&mut key).map_err(io::Error::other)?;
        let mut options = OpenOptions::new();
        options.write(true).create_new(true).mode(0o600);
        options.open(directory.join("key"))?.write_all(&key)?;

        let (sender, events) = mpsc::channel();
        let directory = directory.to_owned();
        let processes = Vec::new();
        let mut cluster = Self { directory, addresses, quorums, processes, events, sender };
        for replica in 0..cluster.addresses.len() {
            let process = cluster.spawn(replica, 0)?;
            cluster.processes.push(process);
        }
        Ok(cluster)
    }

    /// How many replicas there are.
    pub(crate) fn len(&self) -> usize {
        self.processes.len()
    }

    /// Whether the replica's process was not killed and has not ended.
    pub(crate) fn is_up(&self, replica: usize) -> bool {
        self.processes[replica].up
    }

    /// How often the replica was started again.
    pub(crate) fn restarts(&self, replica: usize) -> u64 {
        self.processes[replica].start
    }

    /// What a replica did next, if one does something within `timeout`.
    pub(crate) fn next(&self, timeout: Duration) -> Option<(usize, What)> {
        let deadline = clock::now() + timeout;
        loop {
            let left = deadline.saturating_duration_since(clock::now());
            match self.events.recv_timeout(left) {
                // What an earlier process of the replica did is of no interest once there is a new
                // one: its lines are in the log.
                Ok(event) if event.start != self.processes[event.replica].start => {}
                Ok(event) => return Some((event.replica, event.what)),
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => return None,
            }
        }
    }

    /// Sends a request. It is lost if the replica's process has ended, which its reader tells.
    pub(crate) fn send(&self, replica: usize, request: &Request<'_>) -> io::Result<()> {
        let frame = protocol::encode(request)?;
        if let Some(requests) = &self.processes[replica].requests {
            let _ = requests.send(frame);
        }
        Ok(())
    }

    /// Kills the replica's process with SIGKILL.
    pub(crate) fn kill(&mut self, replica: usize) -> io::Result<()> {
        let process = &mut self.processes[replica];
        process.up = false;
        process.requests = None;
        process.child.kill()?;
        process.child.wait().map(drop)
    }

    /// Notes that the replica's process has ended, and tells how.
    pub(crate) fn ended(&mut self, replica: usize) -> io::Result<ExitStatus> {
        let process = &mut self.processes[replica];
        process.up = false;
        process.requests = None;
        // It closed its standard output, so it is ending; should it hang there, it is ended.
        match wait(&mut process.child, STOP_TIMEOUT)? {
            Some(status) => Ok(status),
            None => {
                process.child.kill()?;
                process.child.wait()
            }
        }
    }

    /// Starts a replica again whose process has ended, on the same log and address.
    pub(crate) fn restart(&mut self, replica: usize) -> io::Result<()> {
        let start = self.processes[replica].start + 1;
        self.processes[replica] = self.spawn(replica, start)?;
        Ok(())
    }

    /// Closes every replica's standard input, upon which it ends; says which did not end well.
    pub(crate) fn stop(&mut self) -> Result<(), String> {
        for process in &mut self.processes {
            process.requests = None;
        }
        let mut bad = Vec::new();
        for (replica, process) in self.processes.iter_mut().enumerate().filter(|(_, p)| p.up) {
            let number = replica + 1;
            process.up = false;
            match wait(&mut process.child, STOP_TIMEOUT) {
                Ok(Some(status)) if status.success() => {}
                Ok(Some(status)) => bad.push(format!("replica {number} ended with {status}")),
                Ok(None) => bad.push(format!("replica {number} did not end in {STOP_TIMEOUT:?}")),
                Err(error) => bad.push(format!("replica {number} cannot be awaited: {error}")),
            }
        }
        if bad.is_empty() { Ok(()) } else { Err(bad.join("; ")) }
    }

    /// The last line that the replica wrote to its standard error, if any.
    pub(crate) fn last_words(&self, replica: usize) -> Option<String> {
        let mut file = File::open(self.stderr_path(replica)).ok()?;
        let end = file.seek(SeekFrom::End(0)).ok()?;
        file.seek(SeekFrom::Start(end.saturating_sub(4096))).ok()?;
        let mut text = Vec::new();
        file.read_to_end(&mut text).ok()?;
        let text = String::from_utf8_lossy(&text);
        text.lines().rfind(|line| !line.trim().is_empty()).map(str::to_owned)
    }

    fn stderr_path(&self, replica: usize) -> PathBuf {
        self.directory.join(format!("replica-{}.stderr", replica + 1))
    }

    fn spawn(&self, replica: usize, start: u64) -> io::Result<Process> {
        let log = self.directory.join(format!("replica-{}", replica + 1));
        fs::create_dir_all(&log)?;
        let stderr =
            OpenOptions::new().create(true).append(true).open(self.stderr_path(replica))?;
        let addresses: Vec<String> = self.addresses.iter().map(ToString::to_string).collect();
        let mut child = Command::new(std::env::current_exe()?)
            .args(["replica", "--id", &(replica + 1).to_string()])
            .args(["--addresses", &addresses.join(",")])
            .args(["--quorums", &self.quorums.to_string()])
            .arg("--key")
            .arg(self.directory.join("key"))
            .arg("--log")
            .arg(log)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(stderr)
            .spawn()?;
        let pipes = child.stdin.take().zip(child.stdout.take());
        let (stdin, stdout) = pipes.ok_or_else(|| io::Error::other("a process without pipes"))?;
        let (requests, frames) = mpsc::channel();
        let sender = self.sender.clone();
        thread::Builder::new()
            .name(format!("to {}", replica + 1))
            .spawn(move || write_requests(stdin, &frames))?;
        thread::Builder::new()
            .name(format!("from {}", replica + 1))
            .spawn(move || read_reports(stdout, replica, start, &sender))?;
        Ok(Process { child, requests: Some(requests), start, up: true })
    }
}

impl Drop for Cluster {
    /// On the way out after a failure: no process is left behind.
    fn drop(&mut self) {
        for process in self.processes.iter_mut().filter(|process| process.up) {
            process.requests = None;
            if !matches!(wait(&mut process.child, Duration::from_secs(2)), Ok(Some(_))) {
                let _ = process.child.kill();
                let _ = process.child.wait();
            }
        }
    }
}

/// Writes frames until there are no more, or nobody reads them. Runs on a thread of its own, since
/// a replica that does not read would block it.
fn write_requests(mut stdin: ChildStdin, frames: &Receiver<Vec<u8>>) {
    for frame in frames {
        if stdin.write_all(&frame).is_err() {
            return;
        }
    }
}

/// Passes a replica's reports on until it ends, or says what cannot be understood.
fn read_reports(stdout: ChildStdout, replica: usize, start: u64, events: &Sender<Event>) {
    let mut stdout = BufReader::new(stdout);
    let mut body = Vec::new();
    while matches!(protocol::read(&mut stdout, &mut body), Ok(true)) {
        let Ok(report) = protocol::decode(&body) else { break };
        if events.send(Event { replica, start, what: What::Report(report) }).is_err() {
            return;
        }
    }
    let _ = events.send(Event { replica, start, what: What::Ended });
}

/// Waits for a process to end, at most for `timeout`.
fn wait(child: &mut Child, timeout: Duration) -> io::Result<Option<ExitStatus>> {
    let deadline = clock::now() + timeout;
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(Some(status));
        }
        if clock::now() >= deadline {
            return Ok(None);
        }
        thread::sleep(Duration::from_millis(2));
    }
}
