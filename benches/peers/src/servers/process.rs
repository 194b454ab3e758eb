//! One server process: it ends with the program, however that ends.

use std::fs::{self, File};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// Ports that no system gives to outgoing connections: between a kill and the new start nobody
/// takes one away.
const PORTS: std::ops::Range<u16> = 10_000..32_000;

/// A running process, killed and reaped when it is dropped.
#[derive(Debug)]
pub(crate) struct Process {
    child: Child,
    log: PathBuf,
}

impl Process {
    /// Starts the program. What it says goes into a file, behind what is there.
    ///
    /// # Errors
    ///
    /// Says why it cannot be started.
    pub(crate) fn start(command: &Command, log: &Path) -> Result<Self, String> {
        let program = command.get_program();
        let named = |error: std::io::Error| format!("{}: {error}", program.display());
        let file = File::options().create(true).append(true).open(log).map_err(named)?;
        // Whatever becomes of this program, by a SIGKILL too, the system ends the server. The
        // thread that starts it is the one that lives as long as the program.
        let mut wrapped = Command::new("setpriv");
        wrapped.args(["--pdeathsig", "SIGKILL", "--"]).arg(program).args(command.get_args());
        for (name, value) in command.get_envs() {
            wrapped.env(name, value.unwrap_or_default());
        }
        if let Some(directory) = command.get_current_dir() {
            wrapped.current_dir(directory);
        }
        wrapped.stdin(Stdio::null()).stdout(file.try_clone().map_err(named)?).stderr(file);
        let child = wrapped.spawn().map_err(|error| format!("setpriv: {error}"))?;
        Ok(Self { child, log: log.to_owned() })
    }

    /// Kills the process with SIGKILL and waits until it is gone.
    pub(crate) fn kill(&mut self) {
        // It may have ended by itself: then there is nothing to kill.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// Holds that the process runs.
    ///
    /// # Errors
    ///
    /// Says how it ended, with its last lines.
    pub(crate) fn check(&mut self) -> Result<(), String> {
        match self.child.try_wait() {
            Ok(None) => Ok(()),
            Ok(Some(status)) => {
                let text = fs::read_to_string(&self.log).unwrap_or_default();
                let lines: Vec<&str> = text.lines().collect();
                let last = lines[lines.len().saturating_sub(5)..].join("\n");
                Err(format!("{} ended: {status}\n{last}", self.log.display()))
            }
            Err(error) => Err(format!("{}: {error}", self.log.display())),
        }
    }

    /// How much of the processors the process and its threads have used so far. The system counts
    /// in steps of 10 ms.
    pub(crate) fn cpu(&self) -> Duration {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.child.id()));
        // The name, in parentheses, may hold blanks.
        let stat = stat.unwrap_or_default();
        let fields = stat.rsplit_once(')').map_or("", |(_, fields)| fields);
        let ticks = fields.split_ascii_whitespace().skip(11).take(2);
        let ticks: u64 = ticks.filter_map(|ticks| ticks.parse::<u64>().ok()).sum();
        Duration::from_millis(ticks * 1000 / rustix::param::clock_ticks_per_second())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

/// This many ports of loopback that are free for datagrams and connections.
///
/// # Errors
///
/// There are not so many.
pub(crate) fn free_ports(count: usize) -> Result<Vec<u16>, String> {
    let free = |port: &u16| {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, *port));
        Some((*port, TcpListener::bind(address).ok()?, UdpSocket::bind(address).ok()?))
    };
    // Several programs of this kind begin at different places.
    let first = usize::try_from(std::process::id()).unwrap_or_default() * 97 % PORTS.len();
    let all = PORTS.skip(first).chain(PORTS.take(first));
    let found: Vec<_> = all.filter_map(|port| free(&port)).take(count).collect();
    if found.len() < count {
        return Err(format!("there are no {count} free ports between {PORTS:?}"));
    }
    Ok(found.into_iter().map(|(port, _, _)| port).collect())
}

/// Where the system finds a program; `None` if it is not installed.
pub(crate) fn find(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|folder| folder.join(program)).find(|path| path.is_file())
}
