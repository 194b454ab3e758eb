//! What std would have given: the entry point, memory, and an end for panics.

use core::alloc::{GlobalAlloc, Layout};
use core::cell::UnsafeCell;
use core::panic::PanicInfo;
use core::sync::atomic::{AtomicUsize, Ordering};

/// Enough for a short run; nothing is ever given back.
const ARENA_BYTES: usize = 256 << 20;

struct Arena {
    bytes: UnsafeCell<[u8; ARENA_BYTES]>,
    used: AtomicUsize,
}

// SAFETY: every byte is handed out at most once, because `used` only grows, and atomically.
unsafe impl Sync for Arena {}

// SAFETY: a pointer that is returned lies in the arena, is aligned, and belongs to nobody else.
unsafe impl GlobalAlloc for Arena {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let start = self.bytes.get().cast::<u8>();
        let take = |used: usize| {
            let padding = (start as usize + used).wrapping_neg() & (layout.align() - 1);
            let end = used.checked_add(padding)?.checked_add(layout.size())?;
            (end <= ARENA_BYTES).then_some(end)
        };
        match self.used.fetch_update(Ordering::Relaxed, Ordering::Relaxed, take) {
            // SAFETY: `take` keeps the end within the arena.
            Ok(used) => unsafe {
                let padding = (start as usize + used).wrapping_neg() & (layout.align() - 1);
                start.add(used + padding)
            },
            Err(_) => core::ptr::null_mut(),
        }
    }

    unsafe fn dealloc(&self, _: *mut u8, _: Layout) {}
}

#[global_allocator]
static ARENA: Arena = Arena { bytes: UnsafeCell::new([0; ARENA_BYTES]), used: AtomicUsize::new(0) };

// Of the C library only what every program on this platform is linked with.
#[link(name = "c")]
unsafe extern "C" {
    fn exit(code: i32) -> !;
}

/// The entry point that the platform's start files call.
#[unsafe(no_mangle)]
pub extern "C" fn main() -> i32 {
    crate::run()
}

#[panic_handler]
fn panic(_: &PanicInfo<'_>) -> ! {
    // SAFETY: the C library is initialised before `main`, and this never returns.
    unsafe { exit(101) }
}

/// The alloc that ships with the compiler names this, for unwinding; nothing unwinds here.
#[unsafe(no_mangle)]
pub extern "C" fn rust_eh_personality() {}
