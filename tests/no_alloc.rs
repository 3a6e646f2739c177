//! Nothing is allocated while a cell runs. One call of malloc in a thousand that takes a lock or a page is what a
//! listener hears as a click.

use std::{
    alloc::{GlobalAlloc, Layout, System},
    cell::Cell,
    hint::black_box,
};

use lstm_kernels::{ISA_VARIABLE, Isa, LstmWeights, lstm_cell};
use support::{GRID, Model, Random, isas};

/// The system's allocator, which counts this thread's calls (the test harness has threads of its own).
struct Counting;

thread_local! {
    static CALLS: Cell<usize> = const { Cell::new(0) };
}

fn count() {
    CALLS.set(CALLS.get() + 1);
}

// SAFETY: every method hands its arguments on to `System`, which is a correct allocator, and returns its answer.
// The counter is thread-local, constant-initialised and has no destructor, so touching it never allocates.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count();
        // SAFETY: the caller keeps `alloc`'s contract, which is the same for `System`.
        unsafe { System.alloc(layout) }
    }
    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count();
        // SAFETY: as in `alloc`.
        unsafe { System.alloc_zeroed(layout) }
    }
    unsafe fn realloc(&self, block: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        count();
        // SAFETY: `block` came from `System` through this allocator, with this layout.
        unsafe { System.realloc(block, layout, new_size) }
    }
    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        count();
        // SAFETY: `block` came from `System` through this allocator, with this layout.
        unsafe { System.dealloc(block, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Calls of the allocator during `work`, frees included.
fn calls<T>(work: impl FnOnce() -> T) -> usize {
    let before = CALLS.get();
    black_box(work());
    CALLS.get() - before
}

lstm_cell!(in=10, hidden=20);

#[test]
fn the_counter_counts() {
    assert_eq!(calls(|| drop(black_box(Box::new(1)))), 2);
    assert!(calls(|| black_box(vec![0; 1000]).push(1)) >= 3);
    assert_eq!(calls(|| 1), 0);
}

#[test]
fn step_and_step_batch_and_run_allocate_nothing_for_any_shape_on_any_instruction_set() {
    for shape in GRID {
        let mut random = Random::new(1);
        let model = Model::random(shape, &mut random, 1.0);
        let (seq, mut out) = (random.normals(3 * shape.input), vec![0.0; 3 * shape.hidden]);
        for isa in isas() {
            let cell = shape.cell(&model.weights(), isa);
            let mut states = cell.states(3);
            let x = &seq[..shape.input];
            assert_eq!(calls(|| cell.step(x, &mut *states, 0).len()), 0, "{shape} on {isa}: step");
            assert_eq!(calls(|| cell.step_batch(&seq, &mut *states)), 0, "{shape} on {isa}: step_batch");
            assert_eq!(calls(|| cell.run(&seq, &mut *states, 1, &mut out)), 0, "{shape} on {isa}: run");
            // A refused call does not build its error on the heap either.
            assert_eq!(
                calls(|| cell.step_batch(x, &mut *states).is_err()),
                0,
                "{shape} on {isa}: a refused step_batch"
            );
        }
    }
}

#[test]
fn a_baked_cell_and_a_head_allocate_nothing() {
    lstm_cell!(struct Baked, in=1, hidden=16, out=1,
        weights="data/bake/models.safetensors", prefix="amp.rec", head="amp.lin");
    static CELL: Baked = Baked::baked();
    let (mut states, seq, mut out) = ([Baked::zero_state(); 3], [[0.5]; 3], [[0.0]; 3]);
    assert_eq!(calls(|| CELL.step_out(&seq[0], &mut states[0])), 0, "step_out");
    assert_eq!(calls(|| CELL.run_out(&seq, &mut states[0], &mut out)), 0, "run_out");
    assert_eq!(calls(|| CELL.step_batch_out(&seq, &mut states, &mut out)), 0, "step_batch_out");
    assert_eq!(calls(|| CELL.run_out(&seq[..1], &mut states[0], &mut out).is_err()), 0, "a refused run_out");
    assert_eq!(calls(|| CELL.isa()), 0, "isa");
    assert!(out.as_flattened().iter().all(|y| y.is_finite() && *y != 0.0));
}

#[test]
fn making_a_cell_and_its_states_allocates_nothing() {
    let (ih, hh, b) = ([0.1; 800], [0.1; 1600], [0.1; 80]);
    let weights = LstmWeights::torch(&ih, &hh, Some((&b, &b)));
    for isa in isas() {
        assert_eq!(calls(|| LSTMCell::with_isa(&weights, isa).expect("good weights")), 0, "{isa}");
    }
    if std::env::var_os(ISA_VARIABLE).is_none() {
        assert_eq!(calls(|| LSTMCell::new(&weights).expect("good weights")), 0, "new");
        assert_eq!(calls(Isa::detect), 0, "detect");
    } else {
        // The variable's text is the one thing that needs the heap.
        assert!(calls(|| LSTMCell::new(&weights).expect("good weights")) <= 2, "new with {ISA_VARIABLE}");
    }
    assert_eq!(calls(|| Isa::available().count()), 0, "available");
}

#[test]
fn states_live_where_they_are_put_and_never_on_the_heap() {
    let (h, c) = ([0.5; 20], [-0.5; 20]);
    assert_eq!(calls(LSTMCell::zero_state), 0);
    let mut state = LSTMCellState::new(&h, &c);
    assert_eq!(calls(|| LSTMCellState::new(&h, &c)), 0);
    assert_eq!(calls(|| state.set_h(&c)), 0);
    assert_eq!(calls(|| state.set_c(&h)), 0);
    assert_eq!(calls(|| (state.h()[0], state.c()[0])), 0);
    assert_eq!(calls(|| LSTMCellState::clone(&state) == state), 0);
    assert_eq!((state.h(), state.c()), (&c, &h));
}
