//! The system's allocator, which knows how much memory each thread holds and held at most.

use std::{
    alloc::{GlobalAlloc, Layout, System},
    cell::Cell,
    hint::black_box,
};

struct Measuring;

thread_local! {
    static HELD: Cell<isize> = const { Cell::new(0) };
    static MOST: Cell<isize> = const { Cell::new(0) };
}

fn take(bytes: usize) {
    HELD.set(HELD.get() + bytes as isize);
    MOST.set(MOST.get().max(HELD.get()));
}

fn give(bytes: usize) {
    HELD.set(HELD.get() - bytes as isize);
}

// SAFETY: every method hands its arguments on to `System`, which is a correct allocator, and returns its answer. The
// counters are thread-local, constant-initialised and have no destructor, so touching them never allocates. `realloc`
// and `alloc_zeroed` are the trait's own, which call these two.
unsafe impl GlobalAlloc for Measuring {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        take(layout.size());
        // SAFETY: the caller keeps `alloc`'s contract, which is the same for `System`.
        unsafe { System.alloc(layout) }
    }
    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        give(layout.size());
        // SAFETY: `block` came from `System` through this allocator, with this layout.
        unsafe { System.dealloc(block, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Measuring = Measuring;

/// What `work` returns, and the most memory that this thread held during it beyond what it held before.
pub fn peak<T>(work: impl FnOnce() -> T) -> (T, usize) {
    let before = HELD.get();
    MOST.set(before);
    let result = black_box(work());
    (result, (MOST.get() - before) as usize)
}

#[test]
fn the_peak_is_the_peak() {
    let (_, bytes) = peak(|| {
        drop(black_box(vec![0u8; 1000]));
        drop(black_box(vec![0u8; 3000]));
    });
    assert_eq!(bytes, 3000);
    let (_, bytes) = peak(|| (black_box(vec![0u8; 1000]), black_box(vec![0u8; 3000])));
    assert_eq!(bytes, 4000);
}
