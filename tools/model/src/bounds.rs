//! What an instance has of everything.

use std::fmt;

use clap::Args;

use crate::model::REPLICAS_MAX;
use crate::tables::{ROUNDS_MAX, SLOTS_MAX};

/// The bounds of an instance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Bounds {
    pub(crate) replicas: u8,
    pub(crate) slots: u8,
    /// Each ballot is one replica's, whichever. Any of them may come first, and any may not come.
    pub(crate) ballots: u8,
    pub(crate) crashes: u8,
    /// Records that a disk loses, each at a crash.
    pub(crate) losses: u8,
    /// Votes are counted, and what is chosen is told.
    pub(crate) learns: bool,
    pub(crate) resends: bool,
    pub(crate) step_downs: bool,
    /// Whose the rounds are, where that is given.
    pub(crate) owners: [Option<u8>; ROUNDS_MAX],
    /// Looks at every assignment of ballots to replicas, not at one of each kind.
    pub(crate) all_owners: bool,
}

impl fmt::Display for Bounds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { replicas, slots, ballots, crashes, losses, .. } = self;
        write!(f, "{replicas} replicas, {slots} slots, {ballots} ballots, {crashes} crashes")?;
        write!(f, ", {losses} lost records")?;
        for (there, what) in [
            (self.learns, "learning"),
            (self.resends, "resends"),
            (self.step_downs, "step-downs"),
            (self.all_owners, "every owner"),
        ] {
            if there {
                write!(f, ", {what}")?;
            }
        }
        let given: Vec<String> = self.owners.iter().flatten().map(u8::to_string).collect();
        if !given.is_empty() {
            write!(f, ", ballots of {}", given.join(","))?;
        }
        Ok(())
    }
}

/// An instance by its name, with other bounds where the options say so.
#[derive(Clone, Debug, Args)]
pub(crate) struct Options {
    /// one-slot, two-slots, ballots, restarts, five or rot.
    #[arg(long, default_value = "one-slot", value_parser = instance)]
    instance: Bounds,
    #[arg(long, value_parser = clap::value_parser!(u8).range(2..=REPLICAS_MAX as i64))]
    replicas: Option<u8>,
    #[arg(long, value_parser = clap::value_parser!(u8).range(1..=SLOTS_MAX as i64))]
    slots: Option<u8>,
    #[arg(long, value_parser = clap::value_parser!(u8).range(1..=ROUNDS_MAX as i64))]
    ballots: Option<u8>,
    #[arg(long)]
    crashes: Option<u8>,
    #[arg(long)]
    losses: Option<u8>,
    #[arg(long)]
    learns: Option<bool>,
    #[arg(long)]
    resends: Option<bool>,
    #[arg(long)]
    step_downs: Option<bool>,
    /// Whose each ballot is, as a list of replicas; for the others it is open.
    #[arg(long, value_delimiter = ',')]
    owners: Vec<u8>,
    #[arg(long)]
    all_owners: bool,
}

/// The instances that every change must pass.
pub(crate) const CI: &[&[&str]] = &[
    &["--instance", "ballots", "--ballots", "3"],
    &["--instance", "ballots", "--owners", "1,2,3,1"],
    &["--instance", "one-slot"],
    &["--instance", "one-slot", "--crashes", "1", "--owners", "1,2", "--step-downs", "false"],
    &["--instance", "restarts"],
    &["--instance", "two-slots", "--learns", "false"],
    &["--instance", "five"],
    &["--instance", "five", "--learns", "true", "--ballots", "1"],
    &["--instance", "rot"],
];

const ONE_SLOT: Bounds = Bounds {
    replicas: 3,
    slots: 1,
    ballots: 2,
    crashes: 0,
    losses: 0,
    learns: true,
    resends: true,
    step_downs: true,
    owners: [None; ROUNDS_MAX],
    all_owners: false,
};

/// The bounds of the instance of that name.
fn instance(name: &str) -> Result<Bounds, String> {
    let silent = Bounds { learns: false, step_downs: false, ..ONE_SLOT };
    match name {
        "one-slot" => Ok(ONE_SLOT),
        "two-slots" => Ok(Bounds { slots: 2, ..ONE_SLOT }),
        "ballots" => Ok(Bounds { ballots: 4, ..silent }),
        "restarts" => Ok(Bounds { crashes: 1, ..silent }),
        "five" => Ok(Bounds { replicas: 5, ..silent }),
        "rot" => Ok(Bounds { crashes: 1, losses: 1, ..silent }),
        _ => Err("the instances are one-slot, two-slots, ballots, restarts, five and rot".into()),
    }
}

impl Options {
    /// The bounds that the options ask for.
    ///
    /// # Errors
    /// Why they make no sense.
    pub(crate) fn bounds(&self) -> Result<Bounds, String> {
        let named = self.instance;
        let bounds = Bounds {
            replicas: self.replicas.unwrap_or(named.replicas),
            slots: self.slots.unwrap_or(named.slots),
            ballots: self.ballots.unwrap_or(named.ballots),
            crashes: self.crashes.unwrap_or(named.crashes),
            losses: self.losses.unwrap_or(named.losses),
            learns: self.learns.unwrap_or(named.learns),
            resends: self.resends.unwrap_or(named.resends),
            step_downs: self.step_downs.unwrap_or(named.step_downs),
            owners: std::array::from_fn(|round| self.owners.get(round).copied()),
            all_owners: self.all_owners,
        };
        let unknown = self.owners.iter().find(|owner| !(1..=bounds.replicas).contains(*owner));
        match unknown {
            Some(owner) => Err(format!("there is no replica {owner} to own a ballot")),
            None if self.owners.len() > bounds.ballots.into() => {
                Err(format!("{} owners of {} ballots", self.owners.len(), bounds.ballots))
            }
            None if bounds.losses > bounds.crashes => {
                Err("a record is lost at a crash: fewer losses, or more crashes".into())
            }
            None => Ok(bounds),
        }
    }
}
