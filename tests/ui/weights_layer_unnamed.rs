// The module has two layers.
lstm_kernels::lstm_cell!(in=10, hidden=20, weights = "bake/model.safetensors", prefix = "lstm");

fn main() {}
