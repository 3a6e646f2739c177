use lstm_kernels::lstm_cell;

lstm_cell!(in=10, hidden=20, weight="amp.safetensors");
lstm_cell!(in=10, hidden=20, file="amp.safetensors");
lstm_cell!(in=10, hidden=20, out=1, linear="lin");

fn main() {}
