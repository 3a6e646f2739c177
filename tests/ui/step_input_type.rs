use lstm_kernels::{LstmWeights, lstm_cell};

lstm_cell!(in=10, hidden=20);

fn main() {
    let cell = LSTMCell::new(&LstmWeights::torch(&[], &[], None)).unwrap();
    let mut state = LSTMCell::zero_state();
    cell.step(&[0_f64; 10], &mut state);
}
