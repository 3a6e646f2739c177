use lstm_kernels::lstm_cell;

lstm_cell!(in=10, hidden=2.5);

fn main() {}
