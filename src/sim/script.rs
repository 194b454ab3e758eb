//! Plays: single situations, written as text, each command with what it causes.

mod expect;
mod grammar;
mod render;
mod stage;
#[cfg(test)]
mod tests;
mod words;

use std::boxed::Box;
use std::format;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::string::String;
use std::vec::Vec;

use thiserror::Error;

use super::oracle::Broken;
use super::{Report, Violation, panic_text, report};
use grammar::Line;
use stage::{Failure, Stage};

/// Why a play cannot be read, or did not go as it says. Lines count from 1.
///
/// ```
/// use synod::sim::{Script, ScriptError};
///
/// let error = Script::parse("# A story.\ncluster 3\nfly away\n").unwrap_err();
/// assert!(matches!(error, ScriptError::Bad { line: 3, .. }), "{error}");
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ScriptError {
    /// The line is no command, or asks for what cannot be.
    #[error("line {line}: {problem}")]
    Bad {
        /// The line.
        line: usize,
        /// What is wrong with it.
        problem: String,
    },
    /// What the line expects is not so.
    #[error("line {line}: {problem}")]
    Unmet {
        /// The line.
        line: usize,
        /// What is so instead.
        problem: String,
        /// The play up to there, with what its commands caused.
        text: String,
    },
    /// What the line does breaks a claim that the oracles watch.
    #[error("line {line}: {violation}")]
    Broken {
        /// The line.
        line: usize,
        /// The claim; the trace is that of this line.
        violation: Box<Violation>,
        /// The play up to there, with what its commands caused.
        text: String,
    },
}

/// What a play did.
///
/// ```
/// use synod::sim::{Performance, Script};
///
/// let play = "# A cluster, and an election.\ncluster 3\nquietly elect 1\n";
/// let Performance { text, report } = Script::parse(play)?.run()?;
/// assert!(text.len() > play.len(), "it tells what the commands caused");
/// assert_eq!(report.elections, 1);
/// # Ok::<(), synod::sim::ScriptError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Performance {
    /// The play, with what its commands caused now.
    pub text: String,
    /// What the run was like.
    pub report: Report,
}

/// A play: a single situation, written as text, each command with what it causes.
///
/// A play opens with its story, as comments, and makes a cluster in which nothing happens by
/// itself: a message arrives, a disk syncs and a clock goes forward only when a command says so.
/// Below each command stands, indented, what it caused; [`Self::run`] gives that anew, so that a
/// play is also a record of what the replicas say to one another. `expect` commands state what
/// matters about the situation. The oracles watch throughout.
///
/// ```
/// let play = "\
/// ## A command is chosen when two of three disks have it.
/// cluster 3
/// quietly elect 1
/// propose 1 x
/// deliver 1->2 accept
/// sync 2
/// deliver 2->1 accepted
/// expect slot 0 open
/// sync 1
/// expect slot 0 x
/// ";
/// let performance = synod::sim::Script::parse(play)?.run()?;
/// assert_eq!(performance.report.slots, 1);
/// assert!(performance.text.contains("    1 -> 2: Accept 1.1 s0 [x] chosen s0 {}\n"));
/// # Ok::<(), synod::sim::ScriptError>(())
/// ```
///
#[doc = include_str!("script/commands.md")]
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Script {
    story: String,
    lines: Vec<Line>,
}

impl Script {
    /// Reads a play. What stands indented below its commands is left out.
    ///
    /// # Errors
    /// The first line that is no command, or asks for what cannot be.
    pub fn parse(text: &str) -> Result<Self, ScriptError> {
        let mut lines = Vec::new();
        for (at, text) in text.lines().enumerate() {
            let number = at + 1;
            if let Some(line) = Line::parse(number, text)
                .map_err(|problem| ScriptError::Bad { line: number, problem })?
            {
                lines.push(line);
            }
        }
        grammar::check(&lines).map_err(|(line, problem)| ScriptError::Bad { line, problem })?;
        Ok(Self { story: grammar::story(text), lines })
    }

    /// The comment that the play opens with, without its signs; empty if there is none.
    #[must_use]
    pub fn story(&self) -> &str {
        &self.story
    }

    /// Runs the play under the eyes of the oracles. The same play gives the same text and report.
    ///
    /// # Errors
    /// The first line that asks for what cannot be, expects what is not so, or breaks a claim.
    pub fn run(&self) -> Result<Performance, ScriptError> {
        let mut text = String::new();
        let mut stage: Option<Stage> = None;
        for line in &self.lines {
            text.push_str(&line.text);
            text.push('\n');
            let failure = self.turn(line, &mut stage).err();
            if let (Some(stage), true) = (&mut stage, line.quiet && failure.is_none()) {
                text.push_str(&format!("    {} lines\n", stage.count_lines()));
                continue;
            }
            let caused = stage.as_mut().map(Stage::take_lines).unwrap_or_default();
            caused.iter().for_each(|caused| text.push_str(&format!("    {caused}\n")));
            if let Some(failure) = failure {
                return Err(failed(line, failure, caused, text, stage.as_ref()));
            }
        }
        let Some(stage) = stage else {
            return Err(ScriptError::Bad { line: 1, problem: String::from("no cluster is made") });
        };
        Ok(Performance { text, report: report(&stage.driver) })
    }

    /// Does what one line says.
    fn turn(&self, line: &Line, stage: &mut Option<Stage>) -> Result<(), Failure> {
        let Some(command) = &line.command else { return Ok(()) };
        let done = catch_unwind(AssertUnwindSafe(|| match (&mut *stage, command) {
            (Some(stage), command) => stage.perform(command),
            (stage, grammar::Command::Cluster(scene)) => {
                let made = stage.insert(Stage::new(scene));
                made.open(&scene.down)
            }
            (None, _) => Failure::bad("the first command must be `cluster`"),
        }));
        match done {
            Ok(done) => done,
            Err(panic) => {
                let text = panic_text(&*panic);
                Err(Failure::Broken(Broken { invariant: "PANIC", text }))
            }
        }
    }
}

fn failed(
    line: &Line,
    failure: Failure,
    trace: Vec<String>,
    text: String,
    stage: Option<&Stage>,
) -> ScriptError {
    let line = line.number;
    match failure {
        Failure::Bad(problem) => ScriptError::Bad { line, problem },
        Failure::Unmet(problem) => ScriptError::Unmet { line, problem, text },
        Failure::Broken(Broken { invariant, text: what }) => {
            let (step, time) = stage.map_or_else(Default::default, |stage| {
                (stage.driver.cluster.steps, stage.driver.now())
            });
            let violation = Violation { step, time, invariant, text: what, trace };
            ScriptError::Broken { line, violation: Box::new(violation), text }
        }
    }
}
