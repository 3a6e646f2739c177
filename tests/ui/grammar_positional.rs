use lstm_kernels::lstm_cell;

lstm_cell!(10, 20);

fn main() {}
