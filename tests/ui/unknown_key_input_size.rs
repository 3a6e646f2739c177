use lstm_kernels::lstm_cell;

lstm_cell!(input_size=10, hidden=20);

fn main() {}
