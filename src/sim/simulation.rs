//! A user's own state machine and workload, under the faults and the oracles of the simulator.

use core::any::Any;
use core::fmt::{self, Debug};
use core::hash::{Hash, Hasher};
use std::boxed::Box;
use std::rc::Rc;
use std::vec::Vec;

use crate::machine::StateMachine;

use super::cluster::Cluster;
use super::driver::Driver;
use super::history::History;
use super::oracle::Broken;
use super::random::Random;
use super::registers::Registers;
use super::service::{Plan, Request, Service, Serving};
use super::swarm::{self, Swarm};
use super::trace::Fingerprint;
use super::{Report, Violation, report, watch_and_keep};

/// The longest command that a workload may make, in bytes: simulated logs have small segments.
pub const COMMAND_BYTES_MAX: usize = 8 << 10;

/// What a run with a user's machine was like.
///
/// ```
/// use synod::sim::{Outcomes, Registers, Simulation, Swarm};
///
/// let Outcomes { report, history } = Simulation::registers().run(&Swarm::fault_free(1))?;
/// assert!(report.answered > 0);
/// history.check(Registers::default()).expect("the run has checked it already");
/// # Ok::<(), synod::sim::Violation>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcomes<A> {
    /// What every run reports.
    pub report: Report,
    /// What the clients saw.
    pub history: History<A>,
}

/// A state machine and a workload, to be run under faults.
///
/// Every run holds: each command is applied at most once by each machine; all replicas answer a
/// command the same, also when they restart and apply their logs again; the history of the clients
/// is linearizable; every fate is reported as it is. [`Simulation::compare`] and
/// [`Simulation::digest`] also compare states; [`Simulation::rule`] adds a rule of the user's own.
///
/// ```
/// use synod::sim::{Simulation, Swarm};
/// use synod::{Place, StateMachine};
///
/// #[derive(Default, PartialEq)]
/// struct Account(u64);
///
/// impl StateMachine for Account {
///     type Answer = u64;
///     fn apply(&mut self, _: Place, command: &[u8]) -> u64 {
///         self.0 += command.iter().map(|byte| u64::from(*byte)).sum::<u64>();
///         self.0
///     }
/// }
///
/// let simulation = Simulation::new(Account::default, |_client, random| {
///     vec![random.below(10) as u8]
/// });
/// let simulation = simulation.compare().rule("a balance is small", |account| account.0 < 1 << 32);
/// let outcomes = simulation.run(&Swarm::from_seed(7))?;
/// assert!(outcomes.report.answered > 0);
/// # Ok::<(), synod::sim::Violation>(())
/// ```
pub struct Simulation<M> {
    plan: Plan<M>,
}

impl<M> Debug for Simulation<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rules: Vec<_> = self.plan.rules.iter().map(|(name, _)| name).collect();
        f.debug_struct("Simulation").field("rules", &rules).finish_non_exhaustive()
    }
}

impl<M: StateMachine> Simulation<M>
where
    M::Answer: Clone + Debug + PartialEq,
{
    /// Runs will use machines that `machine` makes as new, and commands that `workload` makes for
    /// a client. Clients count from 1; 0 is the run itself, which proposes to see progress.
    ///
    /// A command has at most [`COMMAND_BYTES_MAX`] bytes; a longer one ends the run. What is
    /// random in it comes from the [`Random`] that it is given, so that a run can be repeated.
    pub fn new(
        machine: impl Fn() -> M + 'static,
        workload: impl Fn(usize, &mut Random) -> Vec<u8> + 'static,
    ) -> Self {
        let workload = move |request: Request<'_>| {
            let command = workload(request.client, request.random);
            let bytes = command.len();
            assert!(bytes <= COMMAND_BYTES_MAX, "the workload makes a command of {bytes} bytes");
            command
        };
        let (machine, workload) = (Rc::new(machine), Rc::new(workload));
        Self { plan: Plan { machine, workload, digest: None, equal: None, rules: Vec::new() } }
    }

    /// Compares the machines of replicas that have applied the same slots, after each slot.
    #[must_use]
    pub fn compare(mut self) -> Self
    where
        M: PartialEq,
    {
        self.plan.equal = Some(|one, other| one == other);
        self
    }

    /// Compares what `digest` makes of a machine after each slot, with the other replicas and with
    /// earlier lives. The function [`digest`] makes it of whatever is [`Hash`].
    #[must_use]
    pub fn digest(mut self, digest: impl Fn(&M) -> u64 + 'static) -> Self {
        self.plan.digest = Some(Rc::new(digest));
        self
    }

    /// Demands that `holds` is true of every machine after each slot. The name goes into the
    /// violation.
    #[must_use]
    pub fn rule(mut self, name: &'static str, holds: impl Fn(&M) -> bool + 'static) -> Self {
        self.plan.rules.push((name, Rc::new(holds)));
        self
    }

    /// Runs a swarm: chaos, then what its mode asks for; where that repairs everything, then also a
    /// restart of everything.
    ///
    /// # Errors
    /// The first claim that does not hold, with the last lines of the trace.
    pub fn run(&self, swarm: &Swarm) -> Result<Outcomes<M::Answer>, Violation> {
        self.watch(swarm, |driver| swarm::run(driver, swarm.parts()))
    }

    /// Runs a swarm that is to be free of faults:
    /// [`simulate_fault_free`](super::simulate_fault_free).
    ///
    /// # Errors
    /// The first claim that does not hold, with the last lines of the trace.
    pub fn run_fault_free(&self, swarm: &Swarm) -> Result<Outcomes<M::Answer>, Violation> {
        self.watch(swarm, |driver| swarm::run_fault_free(driver, swarm.parts()))
    }

    /// Runs once or, if a claim breaks, twice, and keeps the history of the last time.
    fn watch(
        &self,
        swarm: &Swarm,
        run: impl Fn(&mut Driver) -> Result<(), Broken>,
    ) -> Result<Outcomes<M::Answer>, Violation> {
        let settings = &swarm.parts().settings;
        let make = |text| {
            let mut cluster = Cluster::new(settings, text);
            cluster.service = self.service(settings.replicas, settings.seed);
            Driver::new(cluster, settings.seed)
        };
        watch_and_keep(make, run, |driver| {
            let service: &dyn Any = &*driver.cluster.service;
            let serving = service.downcast_ref::<Serving<M>>();
            let history = serving.expect("the service is the one that was plugged in").history();
            Outcomes { report: report(driver), history }
        })
    }

    pub(crate) fn service(&self, replicas: usize, seed: u64) -> Box<dyn Service> {
        Box::new(Serving::new(self.plan.clone(), replicas, seed))
    }
}

impl Simulation<Registers> {
    /// The machine and the workload of runs that bring none.
    #[must_use]
    pub fn registers() -> Self {
        let workload = |request: Request<'_>| {
            let mut command = request.number.to_le_bytes().to_vec();
            command.resize(request.bytes.max(8), request.number as u8);
            command
        };
        let (machine, workload) = (Rc::new(Registers::default), Rc::new(workload));
        let plan = Plan { machine, workload, digest: None, equal: None, rules: Vec::new() };
        Self { plan }.digest(digest)
    }
}

/// Runs a state machine of the user's under the eyes of the oracles: chaos, then what the swarm's
/// mode asks for. `workload` makes the commands of a client.
///
/// The short form of [`Simulation`], which says more.
///
/// # Errors
/// The first claim that does not hold, with the last lines of the trace.
pub fn simulate_machine<M>(
    swarm: &Swarm,
    machine: impl Fn() -> M + 'static,
    workload: impl Fn(usize, &mut Random) -> Vec<u8> + 'static,
) -> Result<Report, Violation>
where
    M: StateMachine + PartialEq,
    M::Answer: Clone + Debug + PartialEq,
{
    let outcomes = Simulation::new(machine, workload).compare().run(swarm)?;
    Ok(outcomes.report)
}

/// A sum of any value that does not depend on the machine that it is made on.
#[must_use]
pub fn digest(value: &impl Hash) -> u64 {
    let mut hasher = Fingerprint::new();
    value.hash(&mut hasher);
    hasher.finish()
}

#[cfg(test)]
mod tests;
