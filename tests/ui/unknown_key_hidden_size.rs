use lstm_kernels::lstm_cell;

lstm_cell!(in=10, hidden_size=20);

fn main() {}
