use lstm_kernels::lstm_cell;

lstm_cell!(in=10, hidden=99999999999999999999999);

fn main() {}
