use lstm_kernels::{LstmWeights, lstm_cell};

lstm_cell!(in=10, hidden=20);

fn main() {
    let cell = LSTMCell::new(&LstmWeights::torch(&[], &[], None)).unwrap();
    let mut state = LSTMCell::zero_state();
    cell.run(&[[0.0; 10]; 3], &mut state, &mut [[0.0; 21]; 3]).unwrap();
}
