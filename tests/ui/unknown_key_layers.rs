use lstm_kernels::lstm_cell;

lstm_cell!(in=10, hidden=20, layers=2);
lstm_cell!(in=10, hidden=20, num_layers=2);

fn main() {}
