use lstm_kernels::lstm_cell;

lstm_cell!(in=10, hidden=20, dtype=half::f16);
lstm_cell!(in=10, hidden=20, dtype=Dtype::F16);

fn main() {}
