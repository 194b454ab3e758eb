//! What the command line can say, and which of it makes no sense together.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::Parser;
use synod::sim::{Hardship, Reduction, Swarm};

use crate::command_line;
use crate::draw::Choice;
use crate::profile::{self, Profile};
use crate::progress;
use crate::seeds::Plan;

/// How many events are drawn if nothing else is said.
const EVENTS: usize = 300;
/// The longest chaos, in milliseconds: an hour.
const CHAOS_MILLIS_MAX: u64 = 3_600_000;

/// Runs seeds of the simulated cluster under the eyes of its oracles.
///
/// A seed stands for a cluster, for a kind of weather and for a course of things: some simulated
/// seconds with some kinds of faults, then repair and proof of life. It does the same each time, on
/// every machine. The first seed that breaks a claim is made small (fewer kinds of faults, a
/// shorter chaos, fewer replicas, fewer commands) and told with the command that repeats it.
///
/// Exit code: 0 if every seed is clean; 1 if one is not, or a mark that is wanted never came up; 2
/// for a bad option or file.
#[derive(Debug, Parser)]
#[command(name = "simulate")]
pub(crate) struct Options {
    /// How many seeds to run.
    #[arg(long, value_name = "N", default_value_t = 1000,
          value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) seeds: u64,
    /// The first of them.
    #[arg(long, value_name = "S", default_value_t = 1)]
    pub(crate) first_seed: u64,
    /// Run one seed alone.
    #[arg(long, value_name = "S",
          conflicts_with_all = ["seeds", "first_seed", "jobs", "keep_going"])]
    pub(crate) seed: Option<u64>,
    /// Run a play instead: a single situation as text, such as those of tests/plays. Prints it with
    /// what each of its commands causes.
    #[arg(long, value_name = "FILE",
          conflicts_with_all = ["seed", "seeds", "first_seed", "jobs", "keep_going", "every_mark",
                                "profile", "shrink_tries", "replicas", "without", "chaos_ms",
                                "commands", "odds", "luck", "trace", "draw"])]
    pub(crate) script: Option<PathBuf>,
    /// Try elections instead: links break in every way in which somebody still reaches a majority,
    /// in clusters of 3, 5 and 7, with the leader at every place, and with so many seeds for each.
    /// Prints how soon and how steadily they go on choosing, as a table; fails if that is too late,
    /// or too unsteady. Takes about a minute on
    /// two processors.
    #[arg(long, value_name = "SEEDS", num_args = 0..=1, default_missing_value = "12",
          conflicts_with_all = ["script", "seed", "seeds", "keep_going", "every_mark", "profile",
                                "shrink_tries", "replicas", "without", "chaos_ms", "commands",
                                "odds", "luck", "trace", "draw"])]
    pub(crate) partial: Option<std::num::NonZeroU64>,
    /// For how many simulated minutes each cluster with broken links is at rest, without an
    /// election. One with whole links always is for ten hours.
    #[arg(long, value_name = "N", default_value_t = 2, requires = "partial",
          value_parser = clap::value_parser!(u64).range(..=100_000))]
    pub(crate) idle_minutes: u64,
    /// What a seed stands for: some of all kinds of faults, or those of one kind; a name that is
    /// none lists them all.
    #[arg(long, value_name = "NAME", default_value = profile::USUAL, value_parser = profile_named)]
    pub(crate) profile: Profile,
    /// Threads that run seeds. Results do not depend on it.
    #[arg(long, value_name = "N", default_value_t = 2,
          value_parser = clap::value_parser!(u16).range(1..=256))]
    pub(crate) jobs: u16,
    /// Go on after a seed that is not clean.
    #[arg(long)]
    pub(crate) keep_going: bool,
    /// Fail unless everything came up that the tests must reach.
    #[arg(long, conflicts_with = "seed")]
    pub(crate) every_mark: bool,
    /// The most runs that making a failing seed small may take; 0 leaves it as it is.
    #[arg(long, value_name = "N", default_value_t = 300)]
    pub(crate) shrink_tries: u64,

    /// Replicas, 1 to 9, instead of what the seed says.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u8).range(1..=9))]
    replicas: Option<u8>,
    /// Go without these, separated by commas: crashes, power-cuts, rot, cuts, loss, duplicates,
    /// and others; a name that is none lists them all.
    #[arg(long, value_name = "KINDS", value_delimiter = ',')]
    without: Vec<Hardship>,
    /// How long the chaos lasts, in simulated milliseconds, instead of what the seed says.
    #[arg(long, value_name = "N",
          value_parser = clap::value_parser!(u64).range(1..=CHAOS_MILLIS_MAX))]
    chaos_ms: Option<u64>,
    /// After so many commands propose no more in the chaos.
    #[arg(long, value_name = "N")]
    commands: Option<u64>,
    /// What is left of every chance of a fault, in hundredths.
    #[arg(long, value_name = "PERCENT", default_value_t = 100,
          value_parser = clap::value_parser!(u32).range(0..=100))]
    odds: u32,
    /// Another course of things in the same cluster and weather.
    #[arg(long, value_name = "N", default_value_t = 0)]
    luck: u64,

    /// Print everything that the seed's run does, byte for byte the same each time.
    #[arg(long, requires = "seed")]
    pub(crate) trace: bool,
    /// Draw the seed's run as a space-time diagram into this file, as SVG.
    #[arg(long, value_name = "FILE", requires = "seed")]
    pub(crate) draw: Option<PathBuf>,
    /// How many events to draw: the first ones, or the last ones before a claim broke.
    /// [default: 300]
    #[arg(long, value_name = "N", requires = "draw", conflicts_with_all = ["from_ms", "to_ms"])]
    events: Option<std::num::NonZeroUsize>,
    /// Draw what happened from this simulated millisecond on. [default: 0]
    #[arg(long, value_name = "MS", requires = "draw", requires = "to_ms")]
    from_ms: Option<u64>,
    /// Draw what happened up to this simulated millisecond.
    #[arg(long, value_name = "MS", requires = "draw")]
    to_ms: Option<u64>,
}

impl Options {
    /// The seeds to run.
    pub(crate) fn plan(&self) -> Result<Plan, String> {
        let last = self.first_seed.checked_add(self.seeds - 1);
        last.ok_or_else(|| {
            format!("there are no {} seeds from {} on", self.seeds, self.first_seed)
        })?;
        Ok(Plan { first: self.first_seed, count: self.seeds, jobs: self.jobs })
    }

    /// How the swarms differ from those that the seeds stand for.
    pub(crate) fn reduction(&self) -> Reduction {
        Reduction {
            without: self.without.iter().copied().collect(),
            replicas: self.replicas.map(usize::from),
            chaos_millis: self.chaos_ms,
            commands: self.commands,
            odds_percent: self.odds,
            luck: self.luck,
        }
    }

    /// The command that runs one seed with this difference.
    pub(crate) fn command(&self, seed: u64, reduction: &Reduction) -> String {
        let mut command =
            format!("cargo run --release --features sim --example simulate -- --seed {seed}");
        if self.profile != profile::USUAL {
            command.push_str(&format!(" --profile {}", self.profile));
        }
        if *reduction != Reduction::default() {
            command.push_str(&format!(" {reduction}"));
        }
        command
    }

    /// Which part of the run to draw.
    pub(crate) fn choice(&self) -> Choice {
        match (self.to_ms, self.events) {
            (Some(to), _) => Choice::Millis { from: self.from_ms.unwrap_or(0), to },
            (None, events) => Choice::Events(events.map_or(EVENTS, std::num::NonZeroUsize::get)),
        }
    }
}

fn profile_named(name: &str) -> Result<Profile, String> {
    let known = Swarm::PROFILES.into_iter().find(|known| *known == name);
    known.ok_or_else(|| format!("there are {}", Swarm::PROFILES.join(", ")))
}

/// Reads the arguments; for `--help`, or for a mistake, prints what there is to say and returns the
/// exit code.
pub(crate) fn parse(args: impl IntoIterator<Item = OsString>) -> Result<Options, u8> {
    let options: Options = command_line::parse(args, progress::tell)?;
    if options.to_ms.is_some_and(|to| options.from_ms.is_some_and(|from| from > to)) {
        progress::tell("error: --from-ms is after --to-ms");
        return Err(2);
    }
    Ok(options)
}
