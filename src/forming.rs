//! How a new cluster forms, so that a wiped disk can never vote by accident.
//!
//! Two rounds. A replica that has heard the DiskId of every member makes that list durable, once,
//! and tells it. It is formed, and may promise and accept, when it has heard every member tell the
//! *same* list, or one member say that it is formed with it. A durable list is never replaced; if
//! two lists meet, the replica stops. One round would not do: a replica wiped in the middle could
//! form a second cluster with members that the first one never heard from.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;

use crate::membership::{DiskId, Member, Membership, Peer, ReplicaId, Replicas};
use crate::message::Forming as Told;
use crate::outbox::Outbox;
use crate::output::{Event, HaltReason};
use crate::quorum::Quorums;
use crate::record::{Record, Recovered};

/// A replica's way into its cluster.
///
/// ```
/// use synod::membership::{ClusterId, DiskId};
/// use synod::quorum::{QuorumSystem, Quorums};
/// use synod::record::{Lsn, Recovered};
/// use synod::roles::{Forming, Outbox};
/// use synod::{ReplicaId, Slot};
///
/// // A cluster of one has nobody to hear: it makes its list, and is formed.
/// let (me, disk) = (ReplicaId(1), DiskId([7; 16]));
/// let empty = Recovered::nothing(ClusterId::named("alone")?, me, disk);
/// let quorums = Quorums::new(&QuorumSystem::Majority, &[me])?;
/// let (mut forming, mut out) =
///     (Forming::new(&[me], quorums, &empty), Outbox::new(me, Lsn::ZERO, Slot::ZERO));
/// assert_eq!(forming.membership(), None);
/// assert!(forming.proceed(&mut out));
/// assert_eq!(forming.membership().map(|members| members.members().len()), Some(1));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Forming {
    me: Member,
    /// The members' names, from the settings.
    names: Vec<ReplicaId>,
    /// The disks heard of before the list was made.
    disks: BTreeMap<ReplicaId, DiskId>,
    /// Their quorums, from the settings.
    quorums: Quorums,
    /// The list of members, once it was made durable.
    list: Option<Membership>,
    /// Who has told the same list.
    agreed: BTreeSet<ReplicaId>,
    formed: bool,
}

impl Forming {
    /// Takes up what the log remembers.
    #[must_use]
    pub fn new(names: &[ReplicaId], quorums: Quorums, recovered: &Recovered) -> Self {
        let me = Member { replica: recovered.me.replica, disk: recovered.me.disk };
        let mut names = names.to_vec();
        names.sort_unstable();
        Self {
            me,
            names,
            disks: BTreeMap::from([(me.replica, me.disk)]),
            quorums,
            list: recovered.members.clone(),
            agreed: BTreeSet::new(),
            formed: recovered.formed,
        }
    }

    /// The Membership of a formed replica.
    #[must_use]
    pub fn membership(&self) -> Option<Membership> {
        self.list.clone().filter(|_| self.formed)
    }

    /// Goes on as far as what was heard allows. True if the replica is formed by that.
    pub fn proceed(&mut self, out: &mut Outbox) -> bool {
        if self.formed {
            return false;
        }
        if self.list.is_none() && self.disks.len() == self.names.len() {
            let member =
                |(replica, disk): (&ReplicaId, &DiskId)| Member { replica: *replica, disk: *disk };
            let members = self.disks.iter().map(member).collect();
            // The settings were checked: the quorums were made for these names, each named once.
            if let Ok(members) = Membership::with_quorums(members, self.quorums) {
                self.list = Some(members.clone());
                out.persist(Record::Members { members });
                self.send_list(self.others(), out);
            }
        }
        if self.list.is_some() {
            self.agreed.insert(self.me.replica);
        }
        if self.agreed.len() < self.names.len() {
            return false;
        }
        self.formed = true;
        out.persist(Record::Formed);
        out.event(Event::Formed { members: self.names.len() });
        true
    }

    /// Hears a member's disk, and its list if it has one.
    ///
    /// # Errors
    /// If its list is not ours: this replica must stop.
    pub fn handle_forming(
        &mut self,
        from: Peer,
        told: &Told,
        out: &mut Outbox,
    ) -> Result<(), HaltReason> {
        let peer = from.replica;
        if !self.names.contains(&peer) {
            return Ok(());
        }
        if self.formed {
            // Whoever is not formed waits for our list; the others tell theirs at every tick.
            if !told.formed {
                self.send_list(Replicas::one(peer), out);
            }
            return Ok(());
        }
        if let Some(theirs) = &told.members {
            self.compare(peer, theirs, told.formed)?;
        } else if self.list.is_none() {
            self.disks.insert(peer, from.disk);
        }
        Ok(())
    }

    fn compare(
        &mut self,
        peer: ReplicaId,
        theirs: &Membership,
        formed: bool,
    ) -> Result<(), HaltReason> {
        let mine = theirs.member(self.me.replica);
        if let Some(other) = mine.filter(|member| member.disk != self.me.disk) {
            return Err(HaltReason::OtherDisk { peer, formed_with: other.disk });
        }
        let agrees = match &self.list {
            Some(ours) => ours == theirs,
            None => theirs.names(&self.names) && *theirs.quorums() == self.quorums,
        };
        if !agrees {
            let (ours, theirs) = (self.list.clone(), theirs.clone());
            return Err(HaltReason::ConflictingMembers { peer, ours, theirs });
        }
        if self.list.is_none() && formed {
            // Nobody is formed before this disk has told the list: it had it, and has lost it.
            return Err(HaltReason::ListLost { peer });
        }
        if self.list.is_none() {
            // It lists our disk, so it heard us; whom it heard besides, we now hear of too.
            let members = theirs.members().iter();
            self.disks.extend(members.map(|member| (member.replica, member.disk)));
            return Ok(());
        }
        self.agreed.insert(peer);
        if formed {
            // A member is formed only when every member has made this list durable.
            self.agreed.extend(self.names.iter().copied());
        }
        Ok(())
    }

    /// Shows the disk and the list to everybody: who has told us its list may still wait for ours.
    pub fn on_tick(&self, out: &mut Outbox) {
        if !self.formed {
            self.send_list(self.others(), out);
        }
    }

    /// Answers whoever speaks as a member from another disk than the one that is listed: it cannot
    /// be told what the cluster holds, but it can be told to stop.
    pub fn send_list(&self, to: Replicas, out: &mut Outbox) {
        if !to.is_empty() {
            out.send(to, Told { members: self.list.clone(), formed: self.formed });
        }
    }

    fn others(&self) -> Replicas {
        self.names.iter().copied().filter(|id| *id != self.me.replica).collect()
    }
}

#[cfg(test)]
mod tests;
