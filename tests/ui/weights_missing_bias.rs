// The cell has a bias, the file has none.
lstm_kernels::lstm_cell!(in=1, hidden=2, weights = "bake/bad.safetensors", prefix = "without_bias");

fn main() {}
