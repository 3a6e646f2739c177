// The second layer takes the 20 units of the first.
lstm_kernels::lstm_cell!(in=10, hidden=20, weights = "bake/model.safetensors", prefix = "lstm", layer = 1);

fn main() {}
