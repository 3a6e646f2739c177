use lstm_kernels::lstm_cell;

lstm_cell!(enum Amp, in=10, hidden=20);

fn main() {}
