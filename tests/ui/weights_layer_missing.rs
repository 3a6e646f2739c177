// The module has two layers, 0 and 1.
lstm_kernels::lstm_cell!(in=20, hidden=20, weights = "bake/model.safetensors", prefix = "lstm", layer = 2);

fn main() {}
