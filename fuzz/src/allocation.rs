//! Counts what each thread allocates, so that a target can bound it, and stops one that would take
//! the machine's memory.
#![expect(unsafe_code, reason = "a global allocator that counts cannot be written without")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::ptr;

/// The most that one thread may hold, in bytes. Beyond it allocations fail, which ends the process.
const LIMIT: isize = 1 << 30;

thread_local! {
    /// What this thread has allocated and not freed. What another thread frees goes below zero
    /// there.
    static HELD: Cell<isize> = const { Cell::new(0) };
    static MOST: Cell<isize> = const { Cell::new(0) };
}

/// The system's allocator, with a count for each thread.
struct Counting;

fn note(bytes: isize) -> bool {
    let held = HELD.get().saturating_add(bytes);
    if bytes > 0 && held > LIMIT {
        return false;
    }
    HELD.set(held);
    MOST.set(held.max(MOST.get()));
    true
}

// SAFETY: every call goes to the system's allocator with the same arguments, or fails as that may.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if !note(layout.size() as isize) {
            return ptr::null_mut();
        }
        // SAFETY: the caller keeps the contract of `alloc`.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        if !note(layout.size() as isize) {
            return ptr::null_mut();
        }
        // SAFETY: the caller keeps the contract of `alloc_zeroed`.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        note(-(layout.size() as isize));
        // SAFETY: the caller keeps the contract of `dealloc`.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Runs `work`, and tells how many bytes more than before this thread held at its worst moment.
pub fn peak<T>(work: impl FnOnce() -> T) -> (T, usize) {
    let (before, outer) = (HELD.get(), MOST.get());
    MOST.set(before);
    let done = work();
    let most = MOST.get();
    MOST.set(most.max(outer));
    (done, usize::try_from(most - before).unwrap_or(0))
}
