use lstm_kernels::lstm_cell;

const HIDDEN: usize = 20;

lstm_cell!(in=10, hidden=HIDDEN);

fn main() {}
