use lstm_kernels::lstm_cell;

lstm_cell!(in=10, hidden=4 * 5);
lstm_cell!(in=10, hidden={20});
lstm_cell!(in=10, hidden=+20);
lstm_cell!(in=10, hidden=sizes::HIDDEN);
lstm_cell!(in=10, hidden=usize::max(10, 20), bias=false);

fn main() {}
