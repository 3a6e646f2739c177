use lstm_kernels::lstm_cell;

lstm_cell!(in=10, hidden=20, bias);
lstm_cell!(in=10, hidden=, bias=false);
lstm_cell!(in=hidden=20);

fn main() {}
