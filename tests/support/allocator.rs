//! The system's allocator, which counts each thread's calls and what it holds (the test harness has threads of its
//! own).

use std::{
    alloc::{GlobalAlloc, Layout, System},
    cell::Cell,
    hint::black_box,
};

/// To be a test program's `#[global_allocator]`, for [`calls`] and [`peak`] to see something.
#[derive(Debug)]
pub struct Allocator;

thread_local! {
    static CALLS: Cell<usize> = const { Cell::new(0) };
    static HELD: Cell<isize> = const { Cell::new(0) };
    static MOST: Cell<isize> = const { Cell::new(0) };
}

// SAFETY: both methods hand their arguments on to `System`, which is a correct allocator, and return its answer. The
// counters are thread-local, constant-initialised and have no destructor, so touching them never allocates. `realloc`
// and `alloc_zeroed` are the trait's own, which call these two.
unsafe impl GlobalAlloc for Allocator {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        CALLS.set(CALLS.get() + 1);
        HELD.set(HELD.get() + layout.size() as isize);
        MOST.set(MOST.get().max(HELD.get()));
        // SAFETY: the caller keeps `alloc`'s contract, which is the same for `System`.
        unsafe { System.alloc(layout) }
    }
    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        CALLS.set(CALLS.get() + 1);
        HELD.set(HELD.get() - layout.size() as isize);
        // SAFETY: `block` came from `System` through this allocator, with this layout.
        unsafe { System.dealloc(block, layout) }
    }
}

/// Calls of the allocator during `work`, frees included.
pub fn calls<T>(work: impl FnOnce() -> T) -> usize {
    let before = CALLS.get();
    black_box(work());
    CALLS.get() - before
}

/// What `work` returns, and the most memory that this thread held during it beyond what it held before.
pub fn peak<T>(work: impl FnOnce() -> T) -> (T, usize) {
    let before = HELD.get();
    MOST.set(before);
    let result = black_box(work());
    (result, (MOST.get() - before) as usize)
}
