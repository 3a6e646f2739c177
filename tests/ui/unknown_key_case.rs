use lstm_kernels::lstm_cell;

lstm_cell!(In=10, hidden=20);
lstm_cell!(in=10, Hidden=20);

fn main() {}
