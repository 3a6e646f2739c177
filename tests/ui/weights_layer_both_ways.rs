// The module has two directions.
lstm_kernels::lstm_cell!(in=4, hidden=5, weights = "bake/model.safetensors", prefix = "half", layer = 0);

fn main() {}
