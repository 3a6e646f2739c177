//! Crates of users, below `fixtures/`: that they compile is most of the test.

use lstm_kernels::{LstmWeights, lstm_cell};
use support::assert_same_bits;

lstm_cell!(struct Cell, in=1, hidden=2, bias=false);

#[test]
fn a_renamed_library_and_a_crate_without_std_give_the_bits_of_any_other_crate() {
    let cell = Cell::new(&LstmWeights::torch(&[0.5; 8], &[0.5; 16], None)).expect("right shapes");
    for x in [-1.0, 0.0, 0.25, 2.0] {
        let mut state = Cell::zero_state();
        let expected = cell.step(&[x], &mut state);
        assert_same_bits(&renamed::one_step(x).expect("right shapes"), expected, format_args!("renamed, x = {x}"));
        assert_same_bits(&no_std_user::one_step(x).expect("right shapes"), expected, format_args!("no_std, x = {x}"));
    }
}
