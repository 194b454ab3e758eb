//! The servers' processes: started, killed, stopped and let go on; none outlives the torture.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, UdpSocket};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

use super::proxy::Proxy;
use super::random::{Stream, stream};
use super::resp::{self, Reply};

/// How long a replica may take to say who leads.
const INFO_TIMEOUT: Duration = Duration::from_millis(300);

/// From where ports are tried. They lie below those that the system gives to clients: on loopback a
/// client that connects to a server which is down could be given the server's own port, and talk to
/// itself.
const PORTS: std::ops::Range<u16> = 10_000..32_000;

/// What kills the servers when the torture ends without a word, for example by SIGKILL or SIGINT: a
/// shell that reads who they are until nobody can tell it any more.
const GUARD: &str = "trap '' HUP INT TERM; while read -r line; do pids=$line; done; \
                     [ -z \"$pids\" ] || kill -KILL $pids";

/// What each server is started with.
#[derive(Clone, Debug)]
pub(crate) struct Setting {
    pub(crate) binary: PathBuf,
    /// Below it lie the logs, the key and what the servers say.
    pub(crate) directory: PathBuf,
    pub(crate) medium: Option<String>,
}

/// How long the replica waits for a command's fate before it answers that it is unknown. Some wait
/// less than most faults last, so that this happens.
fn client_timeout(replica: usize) -> Duration {
    Duration::from_millis([400, 800, 2000][replica % 3])
}

struct Server {
    listen: SocketAddr,
    client: SocketAddr,
    /// `ID=ADDRESS` for each of the others.
    peers: Vec<String>,
    child: Option<Child>,
    starts: u64,
}

/// The servers, numbered from 0; people see them numbered from 1.
pub(crate) struct Servers {
    setting: Setting,
    servers: Vec<Server>,
    guard: Child,
    pids: Option<ChildStdin>,
}

/// So many ports on loopback that nobody listens at, neither for datagrams nor for connections.
///
/// # Errors
///
/// That there are not as many.
pub(crate) fn free_addresses(count: usize) -> io::Result<Vec<SocketAddr>> {
    let span = u32::from(PORTS.end - PORTS.start);
    // Two tortures at once begin at different ports.
    let first = std::process::id().wrapping_mul(64) % span;
    let addresses = (0..span).map(|i| {
        let port = u32::from(PORTS.start) + (first + i) % span;
        SocketAddr::from((Ipv4Addr::LOCALHOST, u16::try_from(port).unwrap_or(PORTS.start)))
    });
    let free = addresses
        .filter(|address| UdpSocket::bind(address).is_ok() && TcpListener::bind(address).is_ok());
    let free: Vec<SocketAddr> = free.take(count).collect();
    if free.len() == count { Ok(free) } else { Err(io::Error::other("too few free ports")) }
}

impl Servers {
    /// Servers at these addresses, for one another and for clients, that are not started yet.
    ///
    /// # Errors
    ///
    /// The system's.
    pub(crate) fn new(
        setting: Setting,
        seed: u64,
        listen: &[SocketAddr],
        client: &[SocketAddr],
        proxy: &Proxy,
    ) -> io::Result<Self> {
        let mut random = stream(seed, Stream::Key);
        let key: Vec<u8> = (0..32).map(|_| random.below(256).to_le_bytes()[0]).collect();
        let mut options = OpenOptions::new();
        options.write(true).create_new(true).mode(0o600);
        options.open(setting.directory.join("key"))?.write_all(&key)?;
        let mut guard = Command::new("sh")
            .args(["-c", GUARD])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()?;
        let pids = guard.stdin.take();
        let servers = (0..listen.len()).map(|from| {
            let to = (0..listen.len()).filter_map(|to| Some((to, proxy.address(from, to)?)));
            let peers = to.map(|(to, address)| format!("{}={address}", to + 1)).collect();
            let (listen, client) = (listen[from], client[from]);
            Server { listen, client, peers, child: None, starts: 0 }
        });
        Ok(Self { servers: servers.collect(), setting, guard, pids })
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.servers.len()
    }

    /// Starts the replica, unless it runs.
    ///
    /// # Errors
    ///
    /// The system's.
    pub(crate) fn start(&mut self, replica: usize) -> io::Result<()> {
        let stderr = self.stderr_path(replica);
        let (setting, server) = (&self.setting, &mut self.servers[replica]);
        if server.child.is_some() {
            return Ok(());
        }
        let data = setting.directory.join(format!("replica-{}", replica + 1));
        fs::create_dir_all(&data)?;
        let stderr = OpenOptions::new().create(true).append(true).open(stderr)?;
        let mut command = Command::new(&setting.binary);
        command
            .args(["--id", &(replica + 1).to_string()])
            .args(["--listen", &server.listen.to_string()])
            .args(["--client", &server.client.to_string()])
            .args(server.peers.iter().flat_map(|peer| ["--peer", peer]))
            .arg("--data")
            .arg(data)
            .arg("--key-file")
            .arg(setting.directory.join("key"))
            .args(["--client-timeout-ms", &client_timeout(replica).as_millis().to_string()]);
        if let Some(medium) = &setting.medium {
            command.args(["--medium", medium]);
        }
        let out = stderr.try_clone()?;
        let child = command.stdin(Stdio::null()).stdout(out).stderr(stderr).spawn()?;
        server.child = Some(child);
        server.starts += 1;
        self.tell_guard()
    }

    /// Kills the replica with SIGKILL, if it runs.
    ///
    /// # Errors
    ///
    /// The system's.
    pub(crate) fn kill(&mut self, replica: usize) -> io::Result<()> {
        let Some(mut child) = self.servers[replica].child.take() else { return Ok(()) };
        child.kill()?;
        child.wait()?;
        self.tell_guard()
    }

    /// Stops the replica with SIGSTOP, or lets it go on with SIGCONT, if it runs.
    ///
    /// # Errors
    ///
    /// The system's.
    pub(crate) fn signal(&self, replica: usize, signal: Signal) -> io::Result<()> {
        match &self.servers[replica].child {
            Some(child) => Ok(kill_process(Pid::from_child(child), signal)?),
            None => Ok(()),
        }
    }

    /// The first replica that ended although nobody killed it, and how.
    ///
    /// # Errors
    ///
    /// The system's.
    pub(crate) fn ended(&mut self) -> io::Result<Option<String>> {
        for replica in 0..self.servers.len() {
            let Some(child) = &mut self.servers[replica].child else { continue };
            if let Some(status) = child.try_wait()? {
                self.servers[replica].child = None;
                let words = self.last_words(replica);
                let number = replica + 1;
                return Ok(Some(format!("replica {number} ended by itself, {status}: {words}")));
            }
        }
        Ok(None)
    }

    /// Who leads: whom most replicas name, since one that was cut off may name another.
    pub(crate) fn leader(&self) -> Option<usize> {
        let mut named = vec![0; self.servers.len()];
        for (replica, server) in self.servers.iter().enumerate() {
            let up = server.child.is_some();
            let info = up.then(|| resp::ask(server.client, &["INFO"], INFO_TIMEOUT));
            let Some(Ok(Reply::Bulk(Some(text)))) = info else { continue };
            let text = String::from_utf8_lossy(&text).to_ascii_lowercase();
            if says(&text, "role", "leader") || says(&text, "role", "leading") {
                named[replica] += 1;
            }
            for (other, named) in named.iter_mut().enumerate() {
                *named += u32::from(says(&text, "leader", &(other + 1).to_string()));
            }
        }
        // Whoever was killed a moment ago may still be named.
        let up = (0..named.len()).filter(|replica| self.servers[*replica].child.is_some());
        let most = up.max_by_key(|replica| named[*replica])?;
        (named[most] > 0).then_some(most)
    }

    /// The last line that the replica wrote.
    fn last_words(&self, replica: usize) -> String {
        let read = || {
            let mut file = File::open(self.stderr_path(replica))?;
            let end = file.seek(SeekFrom::End(0))?;
            file.seek(SeekFrom::Start(end.saturating_sub(4096)))?;
            let mut text = Vec::new();
            file.read_to_end(&mut text)?;
            Ok::<_, io::Error>(String::from_utf8_lossy(&text).into_owned())
        };
        let text = read().unwrap_or_default();
        let last = text.lines().rfind(|line| !line.trim().is_empty());
        last.unwrap_or("it said nothing").to_owned()
    }

    fn stderr_path(&self, replica: usize) -> PathBuf {
        stderr_path(&self.setting.directory, replica)
    }

    /// Tells the guard whom to kill.
    fn tell_guard(&mut self) -> io::Result<()> {
        let Some(pids) = &mut self.pids else { return Ok(()) };
        let children = self.servers.iter().filter_map(|server| server.child.as_ref());
        let line: Vec<String> = children.map(|child| child.id().to_string()).collect();
        writeln!(pids, "{}", line.join(" "))
    }
}

/// Where the replica's standard error goes.
pub(crate) fn stderr_path(directory: &Path, replica: usize) -> PathBuf {
    directory.join(format!("replica-{}.stderr", replica + 1))
}

/// Whether a line of INFO says that.
pub(crate) fn says(text: &str, name: &str, value: &str) -> bool {
    text.lines().any(|line| {
        line.split_once(':').is_some_and(|(n, v)| n.trim() == name && v.trim() == value)
    })
}

impl Drop for Servers {
    /// No process is left behind.
    fn drop(&mut self) {
        for server in &mut self.servers {
            if let Some(mut child) = server.child.take() {
                let _ = child.kill();
                let _ = child.wait();
            }
        }
        let _ = self.tell_guard();
        self.pids = None;
        let _ = self.guard.wait();
    }
}
