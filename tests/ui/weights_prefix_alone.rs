// `prefix` without a file.
lstm_kernels::lstm_cell!(in=1, hidden=2, prefix = "good");

fn main() {}
