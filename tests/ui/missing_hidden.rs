use lstm_kernels::lstm_cell;

lstm_cell!(in=10, bias=false);

fn main() {}
