// A weight is infinite.
lstm_kernels::lstm_cell!(in=1, hidden=2, weights = "bake/bad.safetensors", prefix = "inf");

fn main() {}
