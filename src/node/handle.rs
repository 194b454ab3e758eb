//! The program's end of a node.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;
use std::thread::{self, JoinHandle};

use bytes::Bytes;
use parking_lot::Mutex;

use super::StopReason;
use super::lent::is_lent;
use super::status::{Lag, NodeStatus};
use super::ticket::{Applied, Ticket};
use super::turn::Shared;
use crate::machine::StateMachine;
use crate::membership::ReplicaId;
use crate::output::Event;
use crate::replica::{Consistency, Stalled, TransferError};
use crate::time::Instant;
use crate::transport::{Deliver, Inbox};

/// A running node. Cheap to clone, and usable from any thread.
///
/// When the last clone is dropped, the node stops as by [`Handle::stop`].
///
/// ```
#[doc = include_str!("example.txt")]
/// let (node, _) = start_alone()?;
/// assert_eq!(node.propose(b"four").wait()?.answer, 4);
/// let other: Handle<Sum> = node.clone();
/// let total = other.read(Consistency::Linearizable, |sum| sum.0).wait()?;
/// assert_eq!(total, 4);
/// node.stop()?;
/// assert!(other.propose(b"late").wait().is_err());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Handle<M: StateMachine> {
    pub(super) owner: Arc<Owner<M>>,
}

/// What all clones of a handle share; dropped with the last one.
pub(super) struct Owner<M: StateMachine> {
    pub(super) shared: Arc<Shared<M>>,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

impl<M: StateMachine> Handle<M> {
    pub(super) fn new(shared: Arc<Shared<M>>) -> Self {
        Self { owner: Arc::new(Owner { shared, threads: Mutex::default() }) }
    }

    pub(super) fn add(&self, thread: JoinHandle<()>) {
        self.owner.threads.lock().push(thread);
    }

    /// Proposes a command, on any replica: one that does not lead forwards it to the leader. Never
    /// waits: if too much is under way already, the ticket says [`super::TicketError::Full`].
    /// Without a leader the ticket says so after [`crate::Config::patience`].
    ///
    /// Commands that one thread proposes one after the other on one replica are chosen in that
    /// order, whoever leads meanwhile; but an earlier one may fail while a later one is chosen.
    ///
    /// Whoever proposes many, and only then waits for the tickets, is served by few syncs: after a
    /// burst of commands the next ones are gathered until their proposer waits for one of their
    /// tickets, polls it or drops it, or there are 512 of them or 64 KiB; at most for two
    /// milliseconds. A command that is waited for at once is not held back.
    pub fn propose(&self, command: &[u8]) -> Ticket<Applied<M::Answer>> {
        self.owner.shared.propose(command)
    }

    /// Reads the state machine, on any replica. `read` runs where the state machine runs, so it
    /// holds up what is applied; what it returns comes by the ticket. No clock is trusted.
    ///
    /// [`Consistency`] says what the read may miss. The ticket of a linearizable one says
    /// [`super::TicketError::NotLeader`] if no leader confirms it within
    /// [`crate::Config::patience`].
    ///
    /// A local read mostly runs on the thread that waits for its ticket. If nobody waits for it,
    /// polls it or drops it, it runs elsewhere within a millisecond or two.
    ///
    /// Linearizable reads that are asked in a burst share a round of the leader: they are gathered
    /// as commands are ([`Handle::propose`]). One that is waited for at once is not held back.
    /// Reads that become ready together run in their order, up to 64 of them before the first is
    /// answered.
    pub fn read<T: Send + 'static>(
        &self,
        consistency: Consistency,
        read: impl FnOnce(&M) -> T + Send + 'static,
    ) -> Ticket<T> {
        self.owner.shared.read(consistency, read)
    }

    /// Hands leadership over to another member, if this replica leads: for maintenance, or to bring
    /// the leader near to its clients. Never waits. The ticket says who leads afterwards, usually
    /// `to`, or why nobody else does; at the latest after [`crate::Config::election_timeout`].
    ///
    /// Meanwhile commands wait, for the two syncs and the two round trips or so that an election
    /// takes which nobody disturbs, and those that others had forwarded and that have no slot yet
    /// may end as [`super::TicketError::Superseded`], as with any change of the leader. If `to` is
    /// out of reach, or too far behind, the leader goes on as if nothing had been asked. If `to`
    /// leads already, the ticket says so at once.
    ///
    /// ```no_run
    /// # fn rolling_restart<M: synod::StateMachine>(
    /// #     handle: &synod::Handle<M>,
    /// # ) -> Result<(), synod::TransferError> {
    /// let leader = handle.transfer(synod::ReplicaId(2)).wait()?;
    /// println!("{leader} leads");
    /// # Ok(())
    /// # }
    /// ```
    pub fn transfer(&self, to: ReplicaId) -> Ticket<ReplicaId, TransferError> {
        self.owner.shared.transfer(to)
    }

    /// Hands in a frame that another replica sent. Never waits: what finds no room is dropped and
    /// counted. A transport that receives by itself uses an [`Inbox`] instead.
    pub fn deliver(&self, frame: Bytes) {
        self.owner.shared.deliver(frame);
    }

    /// Where a receiving thread puts frames. Unlike a handle, it does not keep the node running.
    #[must_use]
    pub fn inbox(&self) -> Inbox {
        let shared = &self.owner.shared;
        Inbox::new(shared, shared.cluster, shared.me)
    }

    /// What the node tells about itself.
    #[must_use]
    pub fn status(&self) -> NodeStatus {
        let shared = &self.owner.shared;
        let mut counters = shared.tallies.read();
        shared.turn(|_, _| Ok(()));
        let (mut replica, log) = shared.look(|core| {
            let groups = core.groups;
            counters.syncs = groups.syncs;
            counters.synced_records = groups.records;
            counters.synced_commands = groups.commands;
            counters.sync_records_max = groups.records_max;
            counters.proposed = groups.proposed;
            counters.fragments = core.courier.counters();
            (core.replica.status(), core.log_status())
        });
        // The core of a node that has stopped hears of nothing any more.
        replica.applied = replica.applied.max(shared.duty.applied());
        let lag = replica
            .peers
            .iter()
            .map(|peer| Lag { replica: peer.replica, slots: replica.chosen.since(peer.chosen) })
            .collect();
        NodeStatus {
            log,
            stopped: shared.stopped().cloned(),
            lag,
            pending: shared.pending.lock().len(),
            apply_queue: shared.duty.len(),
            replica,
            counters,
        }
    }

    /// What the replica waits for, in words; `None` if it waits for nothing, or the node has
    /// stopped.
    #[must_use]
    pub fn why_stalled(&self) -> Option<Stalled> {
        let shared = &self.owner.shared;
        shared.turn(|_, _| Ok(()));
        let now = shared.clock.now();
        shared.stopped().is_none().then(|| shared.look(|core| core.replica.why_stalled(now)))?
    }

    /// The last things that happened, oldest first, each with its time since the node's start plus
    /// one second. At most 256 are kept.
    #[must_use]
    pub fn events(&self) -> Vec<(Instant, Event)> {
        self.owner.shared.look(|core| core.events.iter().cloned().collect())
    }

    /// Stops the node: no command or read is taken in any more, a leader hands over, everything
    /// appended is made durable, every ticket is settled, the threads end, and the directory can be
    /// opened again.
    ///
    /// A leader that knows of no other member that lives stops at once. Otherwise the others have a
    /// leader when this returns, or nobody took over within [`crate::Config::election_timeout`],
    /// 120 ms by default; a follower does not wait for any of that. So a stop takes no longer than
    /// that, and at the very most twice that, beside the syncs and the state machine.
    ///
    /// Waits for all that, unless it is called on a thread that works for a node, out of a state
    /// machine, a waker or a transport: then it goes on behind the caller's back. Calling it again
    /// does nothing.
    ///
    /// # Errors
    /// Why the node had failed before.
    pub fn stop(&self) -> Result<(), StopReason> {
        self.owner.stop();
        match self.owner.shared.stopped() {
            None | Some(StopReason::Asked) => Ok(()),
            Some(reason) => Err(reason.clone()),
        }
    }
}

impl<M: StateMachine> Owner<M> {
    fn stop(&self) {
        // A thread cannot wait for itself to end, nor for the transport or the machine that it
        // holds up: not even for somebody else who stops the node, and waits for all of them.
        let waits = !is_lent();
        // Held until all has ended, so that a second caller waits for the first.
        let threads = if waits { Some(self.threads.lock()) } else { self.threads.try_lock() };
        let Some(mut threads) = threads else { return };
        if threads.is_empty() {
            return;
        }
        let leaving = core::mem::take(&mut *threads);
        if waits {
            super::stop(&self.shared, leaving);
        } else {
            let shared = Arc::clone(&self.shared);
            // If no thread can be had for it, the node ends with the process.
            let _ = thread::Builder::new().spawn(move || super::stop(&shared, leaving));
        }
    }
}

impl<M: StateMachine> Drop for Owner<M> {
    fn drop(&mut self) {
        self.stop();
    }
}

impl<M: StateMachine> Clone for Handle<M> {
    fn clone(&self) -> Self {
        Self { owner: Arc::clone(&self.owner) }
    }
}

impl<M: StateMachine> fmt::Debug for Handle<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Handle")
            .field("me", &self.owner.shared.me)
            .field("stopped", &self.owner.shared.stopped())
            .finish_non_exhaustive()
    }
}
