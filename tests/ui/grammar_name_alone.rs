use lstm_kernels::lstm_cell;

lstm_cell!(Amp, in=10, hidden=20);
lstm_cell!(Amp<T>, in=10, hidden=20);

fn main() {}
