//! What a play expects, against what is so.

use std::format;
use std::string::{String, ToString};
use std::vec::Vec;

use crate::ballot::Ballot;
use crate::entry::Entry;
use crate::output::{Fate, HaltReason};
use crate::replica::{ProposeError, Status};
use crate::sim::trace::fingerprint;
use crate::slot::Slot;

use super::grammar::Expectation;
use super::stage::{Failure, Stage};

impl Stage {
    pub(super) fn expect(&self, expectation: &Expectation) -> Result<(), Failure> {
        let cluster = &self.driver.cluster;
        match expectation {
            Expectation::Leader(wanted) => {
                let leader = cluster.leader().map(|(at, _)| at);
                let name = |at: Option<usize>| {
                    at.map_or_else(|| String::from("nobody"), |at| (at + 1).to_string())
                };
                same(&format!("{} leads", name(*wanted)), &format!("{} leads", name(leader)))
            }
            Expectation::Status { at, pairs } => self.expect_status(*at, pairs),
            Expectation::Fate { name, fate } => self.expect_fate(name, fate),
            Expectation::Slot { slot, holds } => self.expect_slot(Slot(*slot), holds),
            Expectation::Marks(marks) => marks.iter().try_for_each(|(name, wanted)| {
                let fields = cluster.marks.fields();
                match fields.iter().find(|(field, _)| field == name) {
                    Some((_, count)) => {
                        same(&format!("{name}={wanted}"), &format!("{name}={count}"))
                    }
                    None => Failure::bad(&format!("there is no mark `{name}`")),
                }
            }),
            Expectation::Way { which, count } => {
                let fitting = self.fitting(which).len();
                same(&format!("{count} messages"), &format!("{fitting} messages"))
            }
            Expectation::Elections(wanted) => {
                same(&format!("{wanted} elections"), &format!("{} elections", cluster.leading))
            }
            Expectation::Same => Ok(cluster.conv_all_equal()?),
        }
    }

    fn expect_status(&self, at: usize, pairs: &[(String, String)]) -> Result<(), Failure> {
        let Some(replica) = &self.driver.cluster.hosts[at].replica else {
            return Failure::unmet(format!("replica {} is down", at + 1));
        };
        let status = replica.status();
        pairs.iter().try_for_each(|(key, wanted)| {
            let Some(is) = field(&status, key) else {
                return Failure::bad(&format!("a status has no field `{key}`"));
            };
            same(&format!("{key}={wanted}"), &format!("{key}={is}"))
        })
    }

    fn expect_fate(&self, name: &str, wanted: &str) -> Result<(), Failure> {
        let known = [
            "chosen",
            "superseded",
            "given-back",
            "waiting",
            "full",
            "not-leader",
            "too-large",
            "halted",
        ];
        if !known.contains(&wanted) {
            return Failure::bad(&format!("there is no fate `{wanted}`"));
        }
        let Some(proposed) = self.proposals.get(name) else {
            return Failure::bad(&format!("no command is called `{name}`"));
        };
        let is = match proposed {
            Err(ProposeError::Full) => "full",
            Err(ProposeError::NotLeader) => "not-leader",
            Err(ProposeError::TooLarge { .. }) => "too-large",
            Err(ProposeError::Halted) => "halted",
            Ok(id) => match self.driver.cluster.oracle.fate(*id) {
                None => "waiting",
                Some(Fate::Chosen { .. }) => "chosen",
                Some(Fate::Superseded) => "superseded",
                Some(Fate::NotLeader { .. }) => "given-back",
            },
        };
        same(&format!("{name} {wanted}"), &format!("{name} {is}"))
    }

    /// What the disks of an accept quorum hold for the slot, whoever knows.
    fn expect_slot(&self, slot: Slot, wanted: &[String]) -> Result<(), Failure> {
        for name in wanted.iter().filter(|name| *name != "noop" && *name != "open") {
            if !matches!(self.proposals.get(name), Some(Ok(_))) {
                return Failure::bad(&format!("no command is called `{name}`"));
            }
        }
        let oracle = &self.driver.cluster.oracle;
        let is = match oracle.chosen_print(slot) {
            None => String::from("open"),
            Some(print) if print == fingerprint(&Entry::Noop) => String::from("noop"),
            Some(_) => {
                let places = self.proposals.iter().filter_map(|(name, proposed)| {
                    let place = oracle.place(*proposed.as_ref().ok()?)?;
                    (place.slot == slot).then_some((place, name.as_str()))
                });
                let mut places: Vec<_> = places.collect();
                places.sort_unstable();
                places.into_iter().map(|(_, name)| name).collect::<Vec<_>>().join(" ")
            }
        };
        same(&format!("{slot} {}", wanted.join(" ")), &format!("{slot} {is}"))
    }
}

fn same(wanted: &str, is: &str) -> Result<(), Failure> {
    if wanted == is {
        return Ok(());
    }
    Failure::unmet(format!("expected {wanted}, but it is {is}"))
}

/// A field of a status, in words. An `ignored` is the last reason in the order of reasons.
fn field(status: &Status, key: &str) -> Option<String> {
    Some(match key {
        "role" => format!("{:?}", status.role).to_lowercase(),
        "promised" => status.promised.to_string(),
        "leader" => status.leader.unwrap_or(Ballot::ZERO).to_string(),
        "chosen" => status.chosen.0.to_string(),
        "applied" => status.applied.0.to_string(),
        "open" => status.open_slots.to_string(),
        "faulty" => status.faulty_slots.to_string(),
        "holes" => status.hole_slots.to_string(),
        "durable" => status.durable.0.to_string(),
        "appended" => status.appended.0.to_string(),
        "queued" => status.queued_bytes.to_string(),
        "reads" => status.waiting_reads.to_string(),
        "awaited" => status.awaited_runs.to_string(),
        "halted" => String::from(match &status.halted {
            None => "no",
            Some(HaltReason::ConflictingMembers { .. }) => "conflicting-members",
            Some(HaltReason::OtherDisk { .. }) => "other-disk",
            Some(HaltReason::RolledBack { .. }) => "rolled-back",
            Some(HaltReason::ListLost { .. }) => "list-lost",
            Some(HaltReason::BallotsUsedUp) => "ballots-used-up",
        }),
        "ignored" => match status.ignored.iter().next_back() {
            Some((reason, count)) => format!("{reason:?}:{count}").to_lowercase(),
            None => String::from("nothing"),
        },
        _ => return None,
    })
}
