// `head` without a file.
lstm_kernels::lstm_cell!(in=1, hidden=2, out=1, head = "lin");

fn main() {}
