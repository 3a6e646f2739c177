use lstm_kernels::{LstmWeights, lstm_cell};

lstm_cell!(in=10, hidden=20);
lstm_cell!(struct Amp, in=1, hidden=16);

fn main() {
    let cell = LSTMCell::new(&LstmWeights::torch(&[], &[], None)).unwrap();
    cell.step(&[0.0; 10], &mut Amp::zero_state());
}
