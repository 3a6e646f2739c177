use lstm_kernels::lstm_cell;

lstm_cell!(in=10u32, hidden=20);
lstm_cell!(in=10, hidden=20usize);

fn main() {}
