// No output at all.
lstm_kernels::lstm_cell!(in=1, hidden=2, out=0);

fn main() {}
