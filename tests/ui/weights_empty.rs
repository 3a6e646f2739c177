// No name at all.
lstm_kernels::lstm_cell!(in=1, hidden=2, weights = "");

fn main() {}
