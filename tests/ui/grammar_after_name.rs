use lstm_kernels::lstm_cell;

lstm_cell!(struct Amp<T>, in=10, hidden=20);
lstm_cell!(struct Amp: Clone, in=10, hidden=20);
lstm_cell!(struct Amp(), in=10, hidden=20);
lstm_cell!(struct Amp {}, in=10, hidden=20);
lstm_cell!(struct cells::Amp, in=10, hidden=20);

fn main() {}
