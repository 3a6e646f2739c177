// A file's name is a string.
lstm_kernels::lstm_cell!(in=1, hidden=2, weights = bad);

fn main() {}
