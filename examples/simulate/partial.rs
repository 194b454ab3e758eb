//! Elections under partial connectivity: trials of every fracture, at every place of the leader, as
//! a table.

use std::fmt::Write as _;
use std::io::Write;
use std::num::NonZeroU64;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::thread;

use synod::sim::{Course, Fracture, Trial, Violation};

use crate::failure;
use crate::options::Options;
use crate::profile::Judge;
use crate::progress::Progress;
use crate::run::say;

/// How many replicas the clusters have.
const SIZES: [usize; 3] = [3, 5, 7];
/// How long a cluster whose links are whole is at rest, in seconds: ten hours.
const WHOLE_REST_SECONDS: u64 = 36_000;

/// What the paper reports: whether each protocol makes stable progress in its three scenarios.
const PAPER: [(&str, [&str; 3]); 5] = [
    ("Omni-Paxos", ["yes", "yes", "yes"]),
    ("Multi-Paxos", ["no", "yes", "no"]),
    ("Raft", ["no*", "no", "no*"]),
    ("VR", ["no", "no", "no"]),
    ("Zab", ["no", "no", "no"]),
];
/// Its scenarios, in that order.
const SCENARIOS: [Fracture; 3] = [Fracture::QuorumLoss, Fracture::Constrained, Fracture::Chained];
const SOURCE: &str = "\
The last columns: whether other protocols make stable progress, by Table 1 of Ng, Haridi and
Carbone, \"Omni-Paxos: Breaking the Barriers of Partial Connectivity\", EuroSys 2023; where
there are five replicas, three in the chain. no*: yes with a patch, pre-vote and check-quorum.";

/// What is to be done to a cluster.
#[derive(Clone, Copy)]
enum Work {
    /// Measure.
    Measure(Trial),
    /// Let it rest for so many seconds.
    Rest(Trial, u64),
}

/// What came of it.
enum Done {
    Measured(Trial, Result<Course, Violation>),
    Rested(Trial, Result<(), Violation>),
}

/// The figures of one fracture in clusters of one size.
#[derive(Default)]
struct Figures {
    runs: usize,
    /// Times until the first choice in the runs in which another one had to lead, and in the
    /// others.
    replaced: Vec<f64>,
    kept: Vec<f64>,
    changes: u64,
}

/// Runs the trials and prints the table. True if no bound was missed and no claim broke.
pub(crate) fn run(
    options: &Options,
    seeds: NonZeroU64,
    judge: &Judge,
    out: &mut dyn Write,
) -> bool {
    let rest_seconds = 60 * options.idle_minutes;
    let works = works(options.first_seed, seeds, rest_seconds);
    let progress = Progress::new(works.len() as u64, "trials");
    let mut figures: Vec<Figures> = Vec::new();
    figures.resize_with(Fracture::ALL.len() * SIZES.len(), Figures::default);
    let (mut runs, mut rests, mut missed, mut done) = (0_u64, 0_u64, 0_u64, 0_u64);
    all(&works, options.jobs, judge, |outcome| {
        done += 1;
        let complaint = match outcome {
            Done::Measured(trial, Ok(course)) => {
                runs += 1;
                if let Some(index) = cell(&trial) {
                    figures[index].add(&course);
                }
                course.miss().map(|miss| format!("{}: {miss}", describe(&trial)))
            }
            Done::Rested(_, Ok(())) => {
                rests += 1;
                None
            }
            Done::Measured(trial, Err(broken)) | Done::Rested(trial, Err(broken)) => {
                Some(format!("{}: {}", describe(&trial), failure::claim(&broken)))
            }
        };
        if let Some(complaint) = complaint {
            missed += 1;
            progress.suspend(|| say(out, &format!("MISSED: {complaint}")));
        }
        progress.advance(done, format!("{missed} missed"));
    });
    progress.finish();
    say(out, &table(&figures));
    say(out, &format!("{SOURCE}\n"));
    let verdict = if missed == 0 { "clean".into() } else { format!("FAILED: {missed} of these") };
    say(
        out,
        &format!(
            "{verdict}: {runs} runs, {seeds} for each place of the leader; {rests} clusters at \
             rest, those with whole links for {WHOLE_REST_SECONDS} s, the others for \
             {rest_seconds} s"
        ),
    );
    missed == 0
}

/// Everything that is to be done, what takes longest first.
fn works(first_seed: u64, seeds: NonZeroU64, rest_seconds: u64) -> Vec<Work> {
    let whole =
        |replicas| Trial { fracture: None, replicas, leader: 0, preferred: None, seed: first_seed };
    let mut works: Vec<Work> = SIZES
        .iter()
        .rev()
        .map(|replicas| Work::Rest(whole(*replicas), WHOLE_REST_SECONDS))
        .collect();
    let mut rests = Vec::new();
    let mut measured = Vec::new();
    for replicas in SIZES.into_iter().rev() {
        for fracture in Fracture::ALL {
            for leader in fracture.places(replicas) {
                let trial = |seed| Trial {
                    fracture: Some(fracture),
                    replicas,
                    leader,
                    preferred: None,
                    seed,
                };
                if rest_seconds > 0 {
                    rests.push(Work::Rest(trial(first_seed), rest_seconds));
                }
                let seeds = (0..seeds.get()).map(|nth| first_seed.wrapping_add(nth));
                measured.extend(seeds.map(|seed| Work::Measure(trial(seed))));
            }
        }
    }
    works.append(&mut rests);
    works.append(&mut measured);
    works
}

/// Does everything on so many threads, and hands on what came of each, whichever is first.
fn all(works: &[Work], jobs: u16, judge: &Judge, mut each: impl FnMut(Done)) {
    let next = AtomicUsize::new(0);
    let (sender, results) = mpsc::channel();
    thread::scope(|scope| {
        for _ in 0..jobs {
            let (sender, next) = (sender.clone(), &next);
            scope.spawn(move || {
                while let Some(work) = works.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let done = match *work {
                        Work::Measure(trial) => Done::Measured(trial, (judge.measure)(&trial)),
                        Work::Rest(trial, seconds) => {
                            Done::Rested(trial, (judge.rest)(&trial, seconds))
                        }
                    };
                    if sender.send(done).is_err() {
                        return;
                    }
                }
            });
        }
        drop(sender);
        results.into_iter().for_each(&mut each);
    });
}

/// Where in the table a trial belongs.
fn cell(trial: &Trial) -> Option<usize> {
    let row = Fracture::ALL.iter().position(|fracture| Some(*fracture) == trial.fracture)?;
    let column = SIZES.iter().position(|size| *size == trial.replicas)?;
    Some(row * SIZES.len() + column)
}

/// Which trial it is.
fn describe(trial: &Trial) -> String {
    let Trial { fracture, replicas, leader, seed, .. } = *trial;
    let name = fracture.map_or("whole", Fracture::name);
    format!("{name}, {replicas} replicas, leader at place {leader}, seed {seed}")
}

impl Figures {
    fn add(&mut self, course: &Course) {
        self.runs += 1;
        self.changes = self.changes.max(course.elections_after);
        let timeouts = course
            .first_choice_micros
            .map_or(f64::INFINITY, |micros| micros as f64 / course.timeout_micros.max(1) as f64);
        let group = if course.elections_before > 0 { &mut self.replaced } else { &mut self.kept };
        group.push(timeouts);
    }

    /// As the table shows it.
    fn text(&self) -> String {
        if self.runs == 0 {
            return "-".into();
        }
        let mut group = if self.replaced.is_empty() { &self.kept } else { &self.replaced }.clone();
        group.sort_by(f64::total_cmp);
        let (median, worst) = (group[group.len() / 2], group[group.len() - 1]);
        let share = 100 * self.replaced.len() / self.runs;
        format!("{share} %: {median:.2} / {worst:.2}, {}", self.changes)
    }
}

/// The table, as text that is Markdown, too.
fn table(figures: &[Figures]) -> String {
    let mut head = vec!["links".to_owned()];
    head.extend(SIZES.iter().map(|size| format!("{size} replicas")));
    head.extend(PAPER.iter().map(|(protocol, _)| (*protocol).to_owned()));
    let mut rows = vec![head];
    for (fracture, figures) in Fracture::ALL.iter().zip(figures.chunks(SIZES.len())) {
        let mut row = vec![fracture.name().to_owned()];
        row.extend(figures.iter().map(Figures::text));
        let scenario = SCENARIOS.iter().position(|scenario| scenario == fracture);
        let reported = |(_, says): &(&str, [&str; 3])| scenario.map_or("", |nth| says[nth]).into();
        row.extend(PAPER.iter().map(reported));
        rows.push(row);
    }
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max();
    let widths: Vec<usize> = (0..rows[0].len()).map(|column| width(column).unwrap_or(0)).collect();
    let mut text = String::from(
        "For each size of cluster: in how many of the runs another one had to lead; then how\n\
         long until somebody knew a new command chosen, in election timeouts: the median of\n\
         those runs (of all, if there are none), and the worst; and the most changes of leader\n\
         in the 100 timeouts after that. -: the links leave nobody who reaches a majority.\n\n",
    );
    for (nth, row) in rows.iter().enumerate() {
        for (cell, width) in row.iter().zip(&widths) {
            let _ = write!(text, "| {cell:width$} ");
        }
        text.push_str("|\n");
        if nth == 0 {
            widths.iter().for_each(|width| text.push_str(&format!("|{}", "-".repeat(width + 2))));
            text.push_str("|\n");
        }
    }
    text
}
