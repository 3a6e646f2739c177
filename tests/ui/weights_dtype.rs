// `weight_ih` holds whole numbers.
lstm_kernels::lstm_cell!(in=1, hidden=2, weights = "bake/bad.safetensors", prefix = "dtype");

fn main() {}
