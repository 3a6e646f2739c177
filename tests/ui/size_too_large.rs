use lstm_kernels::lstm_cell;

lstm_cell!(in=4097, hidden=20);

fn main() {}
