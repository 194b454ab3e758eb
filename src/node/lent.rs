//! Threads that are lent to a node: its own, and those that run its transport or its state machine
//! for it, and other people's wakers there. Such a thread must not wait for a node to end.

use core::cell::Cell;

std::thread_local! {
    /// Whether this thread is lent to a node, perhaps to several.
    static IS_LENT: Cell<bool> = const { Cell::new(false) };
}

/// Whether this thread is lent to a node.
pub(super) fn is_lent() -> bool {
    IS_LENT.get()
}

/// Marks this thread as lent, until it is dropped.
pub(super) struct Lent {
    before: bool,
}

impl Lent {
    pub(super) fn begin() -> Self {
        Self { before: IS_LENT.replace(true) }
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        IS_LENT.set(self.before);
    }
}
