//! A whole run: feeds the input to whoever leads, kills the leader half way, waits until all have
//! caught up, and compares what they have.

use std::fs;
use std::io::{self, BufReader, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use tempfile::TempDir;
use thiserror::Error;

use crate::clock;
use crate::cluster::{Cluster, What};
use crate::feeder::{CHUNK_BYTES, CHUNK_LINES, Chunk, Feeder};
use crate::input::{Input, InputError, Lines};
use crate::options::RunOptions;
use crate::protocol::{Report, Request, Standing, Summary};
use crate::report::{self, Figures, Progress};

/// How long nothing may move before the run is given up.
const STALL: Duration = Duration::from_secs(60);

/// How long the killed leader stays down if no line can be acknowledged without it.
const DOWN_MAX: Duration = Duration::from_secs(2);

/// How long to wait after a refusal, so that a refusing replica is not asked in a tight loop.
const RETRY: Duration = Duration::from_millis(10);

/// How often a process that someone else kills is started again, before that is a failure.
const RESTARTS_MAX: u64 = 10;

/// How long to wait for something to happen before looking at the clock again.
const TICK: Duration = Duration::from_millis(20);

/// Why a run has failed.
#[derive(Debug, Error)]
pub(crate) enum Failure {
    /// What was asked for makes no sense: exit code 2.
    #[error("{0}")]
    Usage(String),
    /// The cluster, or something around it, has failed: exit code 1.
    #[error("{0}")]
    Failed(String),
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self::Failed(error.to_string())
    }
}

/// Where the logs go.
enum Data {
    Kept { directory: PathBuf, made: bool },
    Temporary(TempDir),
}

impl Data {
    fn prepare(asked: Option<&Path>) -> Result<Self, Failure> {
        let Some(directory) = asked else {
            let temporary = tempfile::Builder::new().prefix("udp_cluster-").tempdir();
            return temporary.map(Self::Temporary).map_err(|error| {
                Failure::Failed(format!("cannot make a temporary directory: {error}"))
            });
        };
        let refuse = |why: &dyn std::fmt::Display| {
            Failure::Usage(format!("cannot use --data {}: {why}", directory.display()))
        };
        let made = !directory.exists();
        if made {
            fs::create_dir_all(directory).map_err(|error| refuse(&error))?;
        } else if fs::read_dir(directory).map_err(|error| refuse(&error))?.next().is_some() {
            return Err(refuse(&"it is not empty"));
        }
        // A directory that cannot be written to is refused here, not by a replica later.
        tempfile::tempfile_in(directory).map_err(|error| refuse(&error))?;
        Ok(Self::Kept { directory: directory.to_owned(), made })
    }

    fn path(&self) -> &Path {
        match self {
            Self::Kept { directory, .. } => directory,
            Self::Temporary(temporary) => temporary.path(),
        }
    }

    /// Nothing was started: leaves things as they were found.
    fn undo(self) {
        if let Self::Kept { directory, made: true } = self {
            // A directory that someone else has filled meanwhile stays.
            let _ = fs::remove_dir(directory);
        }
    }
}

/// Runs the cluster as the options say, and prints what came of it.
pub(crate) fn run(options: &RunOptions) -> Result<(), Failure> {
    let quorums = options.judged_quorums().map_err(|error| Failure::Usage(error.to_string()))?;
    let data = Data::prepare(options.data.as_deref())?;
    let input = match Input::open(options.input.as_deref(), data.path()) {
        Ok(input) => input,
        Err(error) => {
            data.undo();
            return Err(match error {
                InputError::Spool(_) => Failure::Failed(error.to_string()),
                InputError::File { .. } | InputError::LineTooLong { .. } => {
                    Failure::Usage(error.to_string())
                }
            });
        }
    };
    report::tell(&format!(
        "{} lines, {} bytes, {} replicas; {quorums}; logs in {}",
        input.lines,
        input.bytes,
        options.replicas,
        data.path().display()
    ));
    match replicate(&input, options, data.path()) {
        Ok(()) => match data {
            Data::Kept { .. } => Ok(()),
            Data::Temporary(temporary) => temporary.close().map_err(Failure::from),
        },
        Err(failure) => {
            let directory = match data {
                Data::Kept { directory, .. } => directory,
                Data::Temporary(temporary) => temporary.keep(),
            };
            Err(Failure::Failed(format!("{failure}; data kept in {}", directory.display())))
        }
    }
}

fn replicate(input: &Input, options: &RunOptions, directory: &Path) -> Result<(), Failure> {
    let mut run = Run::start(input, options, directory)?;
    run.feed()?;
    let summaries = run.summaries()?;
    let figures = run.figures(&summaries);
    run.progress.finish();
    match io::stdout().write_all(figures.to_string().as_bytes()) {
        // Whoever reads has read enough; the exit code still tells.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {}
        written => written?,
    }
    run.cluster.stop().map_err(Failure::Failed)?;
    if summaries.iter().all(|s| s.lines == input.lines && s.sha256 == input.sha256) {
        Ok(())
    } else {
        Err(Failure::Failed("the replicas do not hold the input".to_owned()))
    }
}

/// What is to become of the leader.
enum Kill {
    Never,
    /// Kill it once this many lines are acknowledged.
    At(u64),
    /// It is down, and is started again after the next acknowledged line, or at this time.
    Down {
        replica: usize,
        until: Instant,
    },
    Done,
}

/// What is known of a replica's process from what it said.
#[derive(Clone, Default)]
struct Known {
    standing: Standing,
    summary: Option<Summary>,
}

struct Run<'a> {
    input: &'a Input,
    lines: Lines<BufReader<fs::File>>,
    cluster: Cluster,
    feeder: Feeder,
    known: Vec<Known>,
    /// Whom the lines go to, and the round of its ballot.
    target: Option<(u64, usize)>,
    kill: Kill,
    /// Nothing is sent before this time.
    retry: Instant,
    refusal: Option<String>,
    /// When something moved last.
    moved: Instant,
    /// When the first line was sent, and when the last news of an acknowledgement came.
    started: Option<Instant>,
    acknowledged: Option<Instant>,
    /// The longest time without an acknowledgement since the kill.
    gap: Duration,
    progress: Progress,
}

impl<'a> Run<'a> {
    fn start(input: &'a Input, options: &RunOptions, directory: &Path) -> Result<Self, Failure> {
        let now = clock::now();
        let cluster = Cluster::start(directory, options.replicas, options.quorums.clone())
            .map_err(|error| Failure::Failed(format!("cannot start the replicas: {error}")))?;
        Ok(Self {
            input,
            lines: input.read()?,
            known: vec![Known::default(); cluster.len()],
            cluster,
            feeder: Feeder::new(),
            target: None,
            kill: if options.no_kill { Kill::Never } else { Kill::At(input.lines / 2) },
            retry: now,
            refusal: None,
            moved: now,
            started: None,
            acknowledged: None,
            gap: Duration::ZERO,
            progress: Progress::new(input.lines),
        })
    }

    /// Until someone leads, every line is acknowledged, and every replica has applied it.
    fn feed(&mut self) -> Result<(), Failure> {
        while !self.is_done() {
            self.read()?;
            self.send()?;
            self.listen()?;
            self.kill_or_restart()?;
        }
        Ok(())
    }

    fn is_done(&self) -> bool {
        self.target.is_some()
            && matches!(self.kill, Kill::Never | Kill::Done)
            && self.feeder.acknowledged() == self.input.lines
            && self.known.iter().all(|known| known.standing.lines == self.input.lines)
    }

    /// Handles what the replicas do, at least once, and gives up when nothing moves.
    fn listen(&mut self) -> Result<(), Failure> {
        let mut next = self.cluster.next(TICK);
        while let Some((replica, what)) = next {
            self.handle(replica, what)?;
            next = self.cluster.next(Duration::ZERO);
        }
        if clock::now().saturating_duration_since(self.moved) < STALL {
            return Ok(());
        }
        let lines: Vec<u64> = self.known.iter().map(|known| known.standing.lines).collect();
        Err(Failure::Failed(format!(
            "nothing has moved for {STALL:?}: {} of {} lines acknowledged, applied by each \
             replica: {lines:?}, leader: {}, last refusal: {}",
            self.feeder.acknowledged(),
            self.input.lines,
            self.target.map_or("none".to_owned(), |(_, replica)| (replica + 1).to_string()),
            self.refusal.as_deref().unwrap_or("none"),
        )))
    }

    fn handle(&mut self, replica: usize, what: What) -> Result<(), Failure> {
        match what {
            What::Report(Report::Status(standing)) => {
                if standing.lines != self.known[replica].standing.lines {
                    self.moved = clock::now();
                }
                self.known[replica].standing = standing;
            }
            What::Report(Report::Taken { lines }) => self.handle_taken(replica, lines)?,
            What::Report(Report::Broken { attempt, why }) => {
                if attempt == self.feeder.attempt() {
                    self.feeder.start_again();
                    self.retry = clock::now() + RETRY;
                    self.refusal = Some(format!("replica {}: {why}", replica + 1));
                }
            }
            What::Report(Report::Digest(summary)) => {
                self.moved = clock::now();
                self.known[replica].summary = Some(summary);
            }
            What::Ended => self.handle_ended(replica)?,
        }
        Ok(())
    }

    fn handle_taken(&mut self, replica: usize, lines: u64) -> Result<(), Failure> {
        let now = clock::now();
        let news = self.feeder.acknowledge(lines, now);
        if news == 0 {
            return Ok(());
        }
        if matches!(self.kill, Kill::Down { .. } | Kill::Done) {
            let since = self.acknowledged.or(self.started).unwrap_or(now);
            self.gap = self.gap.max(now.saturating_duration_since(since));
        }
        (self.moved, self.acknowledged) = (now, Some(now));
        self.progress.advance(self.feeder.acknowledged());
        // The killed leader's last words may still be in its pipe: they are true, but no sign that
        // the others go on without it.
        match self.kill {
            Kill::Down { replica: down, .. } if replica != down => self.restart(down),
            Kill::Never | Kill::At(_) | Kill::Down { .. } | Kill::Done => Ok(()),
        }
    }

    /// A process has ended. Killed by us: as it should be. Killed by someone else: it is started
    /// again. Anything else is a failure.
    fn handle_ended(&mut self, replica: usize) -> Result<(), Failure> {
        if !self.cluster.is_up(replica) {
            return Ok(());
        }
        let status = self.cluster.ended(replica)?;
        self.known[replica] = Known::default();
        let killed = std::os::unix::process::ExitStatusExt::signal(&status) == Some(9);
        if killed && self.cluster.restarts(replica) < RESTARTS_MAX {
            self.progress.say(&format!("replica {}: killed by someone else", replica + 1));
            return self.restart(replica);
        }
        let words = self.cluster.last_words(replica);
        Err(Failure::Failed(format!(
            "replica {} ended unexpectedly with {status}: {}",
            replica + 1,
            words.as_deref().unwrap_or("it said nothing"),
        )))
    }

    /// Reads lines as long as there is room for more in flight.
    fn read(&mut self) -> Result<(), Failure> {
        loop {
            let most = self.feeder.room().min(self.read_limit() - self.feeder.read());
            let most = usize::try_from(most).unwrap_or(usize::MAX).min(CHUNK_LINES);
            if most == 0 {
                return Ok(());
            }
            let mut chunk = Chunk::default();
            while chunk.lengths.len() < most && chunk.bytes.len() < CHUNK_BYTES {
                let before = chunk.bytes.len();
                let more = self.lines.read_into(&mut chunk.bytes);
                if !more.map_err(|error| Failure::Failed(format!("the input: {error}")))? {
                    return Err(Failure::Failed("the input was changed meanwhile".to_owned()));
                }
                let length = u32::try_from(chunk.bytes.len() - before);
                chunk.lengths.push(length.map_err(io::Error::other)?);
            }
            self.feeder.push(chunk);
        }
    }

    /// How many lines may be read by now. Some are held back until the leader was killed, so that
    /// there is something left to do without it, even if the input is short.
    fn read_limit(&self) -> u64 {
        match self.kill {
            Kill::At(lines) => lines + (self.input.lines - lines) / 2,
            Kill::Never | Kill::Down { .. } | Kill::Done => self.input.lines,
        }
    }

    /// Sends what is to be sent to whoever leads.
    fn send(&mut self) -> Result<(), Failure> {
        let now = clock::now();
        // Of several that think so, the one with the highest ballot is right.
        let leader = (0..self.known.len())
            .filter(|replica| self.cluster.is_up(*replica))
            .filter_map(|replica| Some((self.known[replica].standing.leads?, replica)))
            .max();
        if leader != self.target {
            self.target = leader;
            self.feeder.start_again();
            self.progress.leader(leader.map(|(_, replica)| replica));
        }
        let Some((_, replica)) = leader.filter(|_| now >= self.retry) else { return Ok(()) };
        while let Some(request) = self.feeder.next(now) {
            self.started.get_or_insert(now);
            self.cluster.send(replica, &request)?;
        }
        Ok(())
    }

    fn kill_or_restart(&mut self) -> Result<(), Failure> {
        match (&self.kill, self.target) {
            (Kill::At(lines), Some((_, replica))) if self.feeder.acknowledged() >= *lines => {
                self.cluster.kill(replica)?;
                self.known[replica] = Known::default();
                self.kill = Kill::Down { replica, until: clock::now() + DOWN_MAX };
                self.progress.say(&format!(
                    "killed replica {}, the leader, after {} acknowledged lines",
                    replica + 1,
                    self.feeder.acknowledged()
                ));
                Ok(())
            }
            (Kill::Down { replica, until }, _) if clock::now() >= *until => self.restart(*replica),
            (Kill::Never | Kill::At(_) | Kill::Down { .. } | Kill::Done, _) => Ok(()),
        }
    }

    fn restart(&mut self, replica: usize) -> Result<(), Failure> {
        if matches!(self.kill, Kill::Down { replica: down, .. } if down == replica) {
            self.kill = Kill::Done;
        }
        self.known[replica] = Known::default();
        self.cluster.restart(replica).map_err(|error| {
            Failure::Failed(format!("cannot start replica {} again: {error}", replica + 1))
        })?;
        self.progress.say(&format!(
            "started replica {} again after {} acknowledged lines",
            replica + 1,
            self.feeder.acknowledged()
        ));
        self.moved = clock::now();
        Ok(())
    }

    /// Asks every replica what it has; one that was started again since then, once more.
    fn summaries(&mut self) -> Result<Vec<Summary>, Failure> {
        let mut asked = vec![None; self.cluster.len()];
        loop {
            for (replica, asked) in asked.iter_mut().enumerate() {
                let start = Some(self.cluster.restarts(replica));
                let caught_up = self.known[replica].standing.lines == self.input.lines;
                if *asked != start && caught_up {
                    self.cluster.send(replica, &Request::Digest)?;
                    *asked = start;
                }
            }
            if let Some(all) = self.known.iter().map(|known| known.summary).collect() {
                return Ok(all);
            }
            self.listen()?;
        }
    }

    fn figures(&self, summaries: &[Summary]) -> Figures {
        Figures {
            input: Summary { lines: self.input.lines, sha256: self.input.sha256, log_bytes: 0 },
            replicas: summaries.to_vec(),
            restarts: (0..self.cluster.len()).map(|r| self.cluster.restarts(r)).collect(),
            taken: self
                .started
                .zip(self.acknowledged)
                .map(|(from, to)| to.saturating_duration_since(from)),
            p50: self.feeder.latency(0.50),
            p99: self.feeder.latency(0.99),
            gap: matches!(self.kill, Kill::Done).then_some(self.gap),
        }
    }
}
