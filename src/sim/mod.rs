//! A seeded cluster with a faulty network and a crashing disk, under the eyes of oracles.
//!
//! Real [`Replica`](crate::replica::Replica)s are turned by the law that every driver keeps, *drain
//! before you wait*, but their clocks, disks and network are simulated: nothing is random that does
//! not come from the run's seed or schedule, so a run that fails once fails again, the same way.
//!
//! Three ways to run:
//!
//! - [`play`] takes an explicit [`Schedule`]: each delivery, loss, crash and tick is a [`Step`]. It
//!   is made for property tests: any sub-sequence of a schedule is a schedule, so a failing one
//!   shrinks.
//! - [`simulate`] takes a [`Swarm`], usually [`Swarm::from_seed`]: some seconds of simulated time
//!   with some kinds of faults on and others off; then all is repaired, or just a quorum, and the
//!   cluster must make progress and agree. [`Swarm::profile`] gives swarms with one kind of
//!   trouble, [`Swarm::new`] those of one's own [`Parts`].
//! - [`Script`] is a single situation as text, message by message, with what it causes: a play.
//!
//! The first two apply commands of simulated clients to a few registers. [`simulate_machine`] takes
//! your own state machine and workload instead, and [`Simulation`] also your own rules:
//!
//! ```
//! use synod::sim::{Swarm, simulate_machine};
//! use synod::{Place, StateMachine};
//!
//! #[derive(Default, PartialEq)]
//! struct Account(u64);
//!
//! impl StateMachine for Account {
//!     type Answer = u64;
//!     fn apply(&mut self, _: Place, command: &[u8]) -> u64 {
//!         self.0 += u64::from(command[0]);
//!         self.0
//!     }
//! }
//!
//! simulate_machine(&Swarm::from_seed(7), Account::default, |_client, random| {
//!     vec![random.below(10) as u8]
//! })?;
//! # Ok::<(), synod::sim::Violation>(())
//! ```
//!
//! The oracles see every record as it becomes durable and every message as it leaves. They compute
//! what is *really* chosen from the durable records of all disks alone, and judge everything that
//! replicas say and do against that. A claim that does not hold ends the run with a [`Violation`].
//!
//! ```
//! use synod::sim::{Swarm, simulate};
//!
//! let report = simulate(&Swarm::from_seed(7))?;
//! assert_eq!(report.trace_hash, simulate(&Swarm::from_seed(7))?.trace_hash);
//! # Ok::<(), synod::sim::Violation>(())
//! ```

mod clients;
mod clocks;
mod cluster;
mod counts;
mod crash_points;
mod cuts;
mod damage;
mod disk;
mod disk_faults;
mod draw;
mod driver;
mod economy;
mod faults;
mod fracture;
mod freezes;
mod hand_overs;
mod history;
mod host;
mod life;
mod marks;
mod misfit;
mod neighbours;
mod network;
mod oracle;
mod outputs;
mod partial;
mod partitions;
mod post;
mod quorum_core;
mod random;
mod record;
mod reduction;
mod registers;
mod rest;
mod restart;
mod rot;
mod scenarios;
mod schedule;
mod script;
mod senseless;
mod service;
mod shrink;
mod simulation;
mod stops;
mod strangers;
mod strikes;
mod swarm;
#[cfg(test)]
mod tests;
mod text;
mod trace;
mod trial;
mod wal_disk;
mod weather;

pub use clients::Clients;
pub use crash_points::{CrashPoint, Death, crash_points, play_crash_point};
pub use disk_faults::{DiskFaults, DiskFaultsError};
pub use faults::Faults;
pub use fracture::Fracture;
pub use history::{History, HistoryError, Operation, Outcome};
pub use host::{DiskKind, Settings};
pub use marks::Marks;
pub use network::{Link, LinkFaults, Links, Tail};
pub use partial::Shape;
pub use random::Random;
pub use record::{Happened, Loss, Occurrence, Recording, record, record_fault_free};
pub use reduction::{Hardship, NoHardship, Reduction};
pub use registers::{RegisterCommand, RegisterKind, Registers};
pub use scenarios::Scenario;
pub use schedule::{Ending, Schedule, Step, play};
pub use script::{Performance, Script, ScriptError};
pub use senseless::Senseless;
pub use shrink::{Shrunk, shrink};
pub use simulation::{COMMAND_BYTES_MAX, Outcomes, Simulation, digest, simulate_machine};
pub use swarm::{Mode, Parts, Swarm, simulate, simulate_fault_free};
pub use trial::{Course, Trial};
pub use weather::Weather;

use std::format;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::string::String;
use std::vec::Vec;

use thiserror::Error;

use crate::time::Instant;
use driver::Driver;
use oracle::Broken;

/// A claim that did not hold in a run.
///
/// ```
/// use synod::sim::{Simulation, Swarm, Violation};
///
/// let simulation = Simulation::registers().rule("nothing is ever right", |_| false);
/// let violation: Violation = simulation.run(&Swarm::fault_free(1)).unwrap_err();
/// assert_eq!(violation.invariant, "RULE");
/// assert!(!violation.trace.is_empty());
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{invariant} is broken at step {step}, {time}: {text}\n{}", .trace.join("\n"))]
pub struct Violation {
    /// How many inputs the replicas had been given.
    pub step: u64,
    /// The cluster's time.
    pub time: Instant,
    /// The claim's short name: `I1` to `I10`, or `AGR`, `VAL`, `P2c`, `TAG`, `FATE`, `DUR`, `CONV`,
    /// `LIVE`, `LEAD`, `HANDOVER`, `PREFER`, `REST`, `NOFLAP`, `STORM`, `ECON`, `WIRE`, `STRANGER`,
    /// `BOUND`, `FORM`, `STAND`, `DISK`, `LOST`, `LIAR`, `HALT`, `START`, `SEND`, `PANIC`, `REPRO`;
    /// of state machines and their clients `LIN`, `EXO`, `ANSWER`, `STATE`, `RULE`.
    pub invariant: &'static str,
    /// What was seen.
    pub text: String,
    /// The last lines of the trace, at most 200.
    pub trace: Vec<String>,
}

/// What a run was like.
///
/// ```
/// use synod::sim::{Report, Swarm, simulate};
///
/// let report: Report = simulate(&Swarm::fault_free(1))?;
/// assert!(report.elections >= 1 && report.acknowledged > 0);
/// # Ok::<(), synod::sim::Violation>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Report {
    /// The hash of every input and output: the same on every machine.
    pub trace_hash: u64,
    /// How many inputs the replicas were given.
    pub steps: u64,
    /// How much time passed in the cluster.
    pub time: Instant,
    /// How many messages were sent.
    pub messages: u64,
    /// How many elections were won.
    pub elections: u64,
    /// How many slots were chosen.
    pub slots: u64,
    /// How many commands were reported chosen.
    pub acknowledged: u64,
    /// How many commands clients sent that a replica took in, the run's own ones included.
    pub operations: u64,
    /// How many of them were answered.
    pub answered: u64,
    /// What came up on the way.
    pub marks: Marks,
    /// What was made to go wrong.
    pub faults: Faults,
}

/// Runs once; if a claim breaks, once more with a trace as text.
fn watch(
    make: impl Fn(bool) -> Driver,
    run: impl Fn(&mut Driver) -> Result<(), Broken>,
) -> Result<Report, Violation> {
    watch_and_keep(make, run, report)
}

/// The same, and keeps more of the run than its report.
fn watch_and_keep<T>(
    make: impl Fn(bool) -> Driver,
    run: impl Fn(&mut Driver) -> Result<(), Broken>,
    keep: impl Fn(&Driver) -> T,
) -> Result<T, Violation> {
    let run = |driver: &mut Driver| {
        run(driver)?;
        driver.finish()
    };
    let violation = match watch_once(&mut make(false), &run, &keep) {
        Ok(report) => return Ok(report),
        Err(violation) => violation,
    };
    match watch_once(&mut make(true), &run, &keep) {
        Ok(_) => Err(Violation {
            invariant: "REPRO",
            text: format!("broken once, and not the second time: {violation}"),
            ..violation
        }),
        Err(violation) => Err(violation),
    }
}

fn watch_once<T>(
    driver: &mut Driver,
    run: &impl Fn(&mut Driver) -> Result<(), Broken>,
    keep: &impl Fn(&Driver) -> T,
) -> Result<T, Violation> {
    let broken = match catch_unwind(AssertUnwindSafe(|| run(driver))) {
        Ok(Ok(())) => return Ok(keep(driver)),
        Ok(Err(broken)) => broken,
        Err(panic) => Broken { invariant: "PANIC", text: panic_text(&*panic) },
    };
    Err(Violation {
        step: driver.cluster.steps,
        time: driver.now(),
        invariant: broken.invariant,
        text: broken.text,
        trace: driver.cluster.trace.lines(),
    })
}

fn panic_text(panic: &(dyn core::any::Any + Send)) -> String {
    match (panic.downcast_ref::<&str>(), panic.downcast_ref::<String>()) {
        (Some(text), _) => String::from(*text),
        (None, Some(text)) => text.clone(),
        (None, None) => String::from("a panic without words"),
    }
}

fn report(driver: &Driver) -> Report {
    let cluster = &driver.cluster;
    let (operations, answered) = cluster.service.operations();
    Report {
        trace_hash: cluster.trace.hash(),
        steps: cluster.steps,
        time: driver.now(),
        messages: cluster.sent,
        elections: cluster.leading,
        slots: cluster.oracle.slots_chosen(),
        acknowledged: cluster.oracle.acknowledged(),
        operations,
        answered,
        marks: cluster.marks,
        faults: cluster.faults,
    }
}
