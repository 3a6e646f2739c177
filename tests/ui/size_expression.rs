use lstm_kernels::lstm_cell;

lstm_cell!(in=10, hidden=4 * 5);

fn main() {}
