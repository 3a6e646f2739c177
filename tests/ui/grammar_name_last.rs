use lstm_kernels::lstm_cell;

lstm_cell!(in=10, hidden=20, struct Amp);

fn main() {}
