use lstm_kernels::lstm_cell;

lstm_cell!(hidden=20);

fn main() {}
