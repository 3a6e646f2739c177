use lstm_kernels::lstm_cell;

lstm_cell!();

fn main() {}
