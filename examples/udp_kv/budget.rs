//! What all clients together may hold in memory: of requests that have not come whole, and of
//! replies that were not read yet.
//!
//! A connection has a little for nothing. What it holds beyond comes out of one budget for all: ten
//! thousand connections that each begin a long request, or read no replies, cost no more than that.
//! Whoever holds some of it must get on, or loses its connection.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

/// What all connections together may hold beyond what each has for nothing, in KiB.
const BUDGET_KIB: usize = 256 << 10;

/// What a connection may hold for nothing, in bytes.
const FREE_BYTES: usize = 64 << 10;

/// How long a connection waits for a part of the budget.
const WAIT: Duration = Duration::from_secs(5);

/// How long a connection that holds a part of the budget may rest without reading or being read.
pub(crate) const REST_MAX: Duration = Duration::from_secs(30);

/// The budget of all connections.
#[derive(Clone, Debug)]
pub(crate) struct Budget(Arc<Semaphore>);

/// The budget is spent, and nothing of it came back in time.
#[derive(Debug)]
pub(crate) struct Spent;

/// What one connection holds of the budget. It comes back when this is dropped.
#[derive(Debug)]
pub(crate) struct Held {
    budget: Budget,
    permit: Option<OwnedSemaphorePermit>,
}

impl Budget {
    pub(crate) fn new() -> Self {
        Self(Arc::new(Semaphore::new(BUDGET_KIB)))
    }

    /// The part of a connection that holds nothing yet.
    pub(crate) fn hold(&self) -> Held {
        Held { budget: self.clone(), permit: None }
    }
}

impl Held {
    /// Whether any of the budget is held.
    pub(crate) fn any(&self) -> bool {
        self.permit.is_some()
    }

    /// Holds what a connection with this many bytes needs, and gives back what it does not.
    pub(crate) async fn set(&mut self, bytes: usize) -> Result<(), Spent> {
        let wanted = bytes.saturating_sub(FREE_BYTES).div_ceil(1024);
        if wanted == 0 {
            self.permit = None;
            return Ok(());
        }
        let held = self.permit.as_ref().map_or(0, OwnedSemaphorePermit::num_permits);
        if let Some(permit) = self.permit.as_mut().filter(|_| wanted <= held) {
            drop(permit.split(held - wanted));
            return Ok(());
        }
        let more = u32::try_from(wanted - held).map_err(|_| Spent)?;
        let more = timeout(WAIT, Arc::clone(&self.budget.0).acquire_many_owned(more)).await;
        let more = more.map_err(|_| Spent)?.map_err(|_| Spent)?;
        match &mut self.permit {
            Some(permit) => permit.merge(more),
            none => *none = Some(more),
        }
        Ok(())
    }
}
