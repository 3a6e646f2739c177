//! Where `lstm_cell!` may stand, and under which lints.
#![forbid(unsafe_code)]
#![deny(warnings, missing_docs)]

use lstm_kernels::{LstmWeights, lstm_cell};

lstm_cell!(in=1, hidden=2);

/// Several cells in one module, public and documented.
pub mod cells {
    lstm_kernels::lstm_cell!(
        /// A guitar amplifier.
        pub struct AmpCell, in=1, hidden=16
    );
    lstm_kernels::lstm_cell!(pub(crate) struct VadCell, hidden=4, in=2, bias=false,);
}

/// Names that a user has given to something else, and attributes that say more than the struct.
pub mod odd {
    #![allow(non_camel_case_types, dead_code)]

    type f32 = f64;
    struct usize;

    lstm_kernels::lstm_cell!(
        /// Not in this build.
        #[cfg(any())]
        pub struct Absent, in=1, hidden=4, out=1
    );
    lstm_kernels::lstm_cell!(
        /// Superseded.
        #[deprecated(note = "there is another one")]
        #[cfg(all())]
        pub struct Old, in=1, hidden=4, out=1
    );
}

#[test]
fn a_cell_may_be_made_inside_a_function_and_its_sizes_are_constants() {
    lstm_cell!(struct Local, in=2, hidden=3, bias=false);
    let cell = Local::new(&LstmWeights::torch(&[0.5; 24], &[0.5; 36], None)).expect("right shapes");
    let mut state = Local::zero_state();
    let h = cell.step(&[1.0; Local::INPUT], &mut state);
    assert_eq!(h.len(), Local::HIDDEN);
    assert!(h.iter().all(|&unit| unit > 0.0 && unit == h[0]));
}

#[test]
fn without_a_name_it_is_called_lstm_cell() {
    let (ih, hh, bias) = ([0.0; 8], [0.0; 16], [0.0; 8]);
    let cell = LSTMCell::new(&LstmWeights::torch(&ih, &hh, Some((&bias, &bias)))).expect("right shapes");
    let mut state = LSTMCellState::new(&[0.0; 2], &[1.0; 2]);
    cell.step(&[0.0], &mut state);
    // All sigmoids are 1/2 and g is 0: c halves.
    assert_eq!(state.c(), &[0.5; 2]);
}

#[test]
fn cells_of_one_module_are_types_of_their_own() {
    assert_eq!((cells::AmpCell::INPUT, cells::AmpCell::HIDDEN), (1, 16));
    assert_eq!((cells::VadCell::INPUT, cells::VadCell::HIDDEN), (2, 4));
}

#[test]
#[allow(deprecated)]
fn a_cell_of_odd_surroundings_is_the_same() {
    let weights = LstmWeights::torch(&[0.5; 16], &[0.5; 64], Some((&[0.0; 16], &[0.0; 16])));
    let cell = odd::Old::new(&weights.with_head(&[1.0; 4], None)).expect("right shapes");
    let mut state = odd::Old::zero_state();
    let [y] = cell.step_out(&[1.0], &mut state);
    assert_eq!(y, 4.0 * state.h()[0]);
}

#[test]
fn states_that_differ_are_not_equal() {
    lstm_cell!(struct Cell, in=1, hidden=3);
    let state = CellState::new(&[0.5; 3], &[-1.0; 3]);
    assert_eq!(state, state.clone());
    assert_ne!(state, CellState::new(&[0.5; 3], &[-1.0, -1.0, 2.0]));
    assert_ne!(state, CellState::new(&[0.5, 0.5, 0.0], &[-1.0; 3]));
}

#[test]
fn debug_says_the_sizes_of_a_cell_and_both_halves_of_a_state() {
    lstm_cell!(struct Named, in=1, hidden=2, bias=false, dtype=bf16);
    let cell = Named::new(&LstmWeights::torch(&[0.5; 8], &[0.5; 16], None)).expect("right shapes");
    let said = format!("Named {{ input: 1, hidden: 2, dtype: bf16, isa: {:?}, .. }}", cell.isa());
    assert_eq!(format!("{cell:?}"), said);
    let state = NamedState::new(&[0.5, 0.25], &[-1.0, 2.0]);
    assert_eq!(format!("{state:?}"), "State { h: [0.5, 0.25], c: [-1.0, 2.0] }");
}

#[test]
fn a_copy_on_the_heap_takes_no_stack() {
    lstm_cell!(struct Large, in=1024, hidden=128, bias=false);
    let copy = || {
        let (w_ih, w_hh) = (vec![0.01; 4 * 128 * 1024], vec![-0.01; 4 * 128 * 128]);
        let cell = Large::new_boxed(&LstmWeights::torch(&w_ih, &w_hh, None)).unwrap();
        let copy = cell.clone_boxed();
        let ([mut a, mut b], x) = ([Large::zero_state(); 2], [0.5; 1024]);
        assert_eq!(cell.step(&x, &mut a), copy.step(&x, &mut b));
        assert!(a.h().iter().all(|h| *h > 0.0));
    };
    // The cell has 2.3 MiB.
    std::thread::Builder::new().stack_size(256 << 10).spawn(copy).unwrap().join().unwrap();
}
