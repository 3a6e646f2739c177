// There is nothing at the root.
lstm_kernels::lstm_cell!(in=10, hidden=20, weights = "bake/model.safetensors");

fn main() {}
