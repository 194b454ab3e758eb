//! The lists in a header: bounded before they allocate, whatever length they claim.

use alloc::borrow::Cow;
use alloc::vec::Vec;
use core::fmt;

use serde::de::{Error as _, SeqAccess, Visitor};
use serde::ser::SerializeSeq;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::ballot::Ballot;
use crate::membership::{MEMBERS_MAX, Member, Membership};
use crate::quorum::{Family, Quorums};
use crate::slot::{ALPHA, Run, Slot, Slots};

/// Runs as (gap from the end of the run before, length, ballot): they cannot be out of order.
pub(super) struct Runs<'a>(Cow<'a, [Run]>);

impl<'a> Runs<'a> {
    pub(super) fn of(runs: &'a [Run]) -> Self {
        Self(Cow::Borrowed(runs))
    }

    pub(super) fn into_vec(self) -> Vec<Run> {
        self.0.into_owned()
    }
}

impl Serialize for Runs<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut list = serializer.serialize_seq(Some(self.0.len()))?;
        let mut end = Slot::ZERO;
        for run in self.0.iter() {
            // The sender has asserted that all runs together have at most ALPHA slots.
            let length = run.slots.len() as u16;
            list.serialize_element(&(run.slots.start.since(end), length, run.ballot))?;
            end = run.slots.end;
        }
        list.end()
    }
}

impl<'de> Deserialize<'de> for Runs<'_> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_seq(RunsVisitor).map(|runs| Self(Cow::Owned(runs)))
    }
}

struct RunsVisitor;

impl<'de> Visitor<'de> for RunsVisitor {
    type Value = Vec<Run>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "runs of at most {ALPHA} slots")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
        let mut runs = Vec::with_capacity(room(&list, ALPHA as usize));
        let mut end = Slot::ZERO;
        while let Some((gap, length, ballot)) = list.next_element::<(u64, u16, Ballot)>()? {
            if runs.len() as u64 == ALPHA {
                return Err(A::Error::custom("too many runs"));
            }
            let start = end.0.checked_add(gap).ok_or_else(|| A::Error::custom("overflow"))?;
            let stop = start.checked_add(u64::from(length));
            end = Slot(stop.ok_or_else(|| A::Error::custom("overflow"))?);
            runs.push(Run { slots: Slots { start: Slot(start), end }, ballot });
        }
        Ok(runs)
    }
}

/// A list of members with their quorums.
#[derive(Serialize, Deserialize)]
pub(super) struct Listed<'a> {
    members: Members<'a>,
    prepare: Family,
    accept: Family,
}

impl<'a> Listed<'a> {
    pub(super) fn of(list: &'a Membership) -> Self {
        let (prepare, accept) = list.quorums().families();
        let members = Members(Cow::Borrowed(list.members()));
        Self { members, prepare: *prepare, accept: *accept }
    }

    /// A list that need not be one.
    #[cfg(test)]
    pub(super) fn forged(members: &'a [Member], quorums: Quorums) -> Self {
        let (prepare, accept) = quorums.families();
        Self { members: Members(Cow::Borrowed(members)), prepare: *prepare, accept: *accept }
    }

    /// The list; an error if there can be none of that kind.
    pub(super) fn into_membership(self) -> Result<Membership, &'static str> {
        let members = self.members.0.into_owned();
        if !members.is_sorted() {
            return Err("members are out of order");
        }
        let quorums = Quorums::told(members.len(), self.prepare, self.accept)
            .map_err(|_| "quorums that cannot be")?;
        Membership::with_quorums(members, quorums).map_err(|_| "a member is named twice")
    }
}

/// A bounded list of members.
struct Members<'a>(Cow<'a, [Member]>);

impl Serialize for Members<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Members<'_> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_seq(MembersVisitor).map(|members| Self(Cow::Owned(members)))
    }
}

struct MembersVisitor;

impl<'de> Visitor<'de> for MembersVisitor {
    type Value = Vec<Member>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "at most {MEMBERS_MAX} members")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
        let mut members = Vec::with_capacity(room(&list, MEMBERS_MAX));
        while let Some(member) = list.next_element()? {
            if members.len() == MEMBERS_MAX {
                return Err(A::Error::custom("too many members"));
            }
            members.push(member);
        }
        Ok(members)
    }
}

/// Room for as many elements as a list claims to have, as far as it may have them.
fn room<'de, A: SeqAccess<'de>>(list: &A, most: usize) -> usize {
    list.size_hint().unwrap_or(0).min(most)
}
